"""Causal attention of many new tokens over the paged cache: prompts and chunks of prompts in one launch.

A program computes some neighbouring tokens of one sequence for all query heads that share a key head: those are the
rows of one matrix product, so keys and values are read once for all of them. Knows nothing of layers or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from flashweb.model.kernels import e4m3, linear
from flashweb.model.kernels.e4m3 import check_scales, from_e4m3, read_heads

LOG2_E = 1.4426950408889634


class PrefillPlan(NamedTuple):
    """How the kernel is compiled.

    rows       query tokens x heads of a program; with fewer, keys and values are read more often
    tile       keys a turn
    warps      of a program
    stages     of the compiler's pipeline
    registers  a thread may have at most; None: as many as it wants
    """

    rows: int
    tile: int
    warps: int
    stages: int
    registers: int | None = None


# Keys are found through the block table: with fewer than 5 stages the next tile's are not on their way while this one
# is worked on (seen in the compiled code); with 5 there are three tiles of keys and of values.
BEST = PrefillPlan(128, 64, 8, 5)
# To be timed against it (`benchmarks/kernels.py`): two programs on a multiprocessor, where one computes while the other
# waits; smaller tiles with their own prefetching, of which two fit as well; half the rows.
OTHERS = (
    PrefillPlan(128, 64, 8, 4, registers=128),
    PrefillPlan(128, 32, 8, 5, registers=128),
    PrefillPlan(64, 64, 4, 5, registers=168),
)
BEST_BYTES = 129 << 10  # that a program of it has for itself, at most (head_dim 128)


def plan_for(head_dim: int, dtype: torch.dtype, shared_bytes: int) -> PrefillPlan:
    """`dtype` that is multiplied, the queries'; `shared_bytes` that one program may have."""
    if dtype.itemsize > 2:
        return BEST._replace(tile=32, warps=8 if head_dim >= 64 else 4)
    if head_dim < 64:
        return BEST._replace(warps=4)
    return BEST if shared_bytes >= BEST_BYTES else BEST._replace(tile=32)


def tokens_per_tile(heads: int, kv_heads: int, rows: int = BEST.rows) -> int:
    """Query tokens of one program."""
    return max(1, rows // int(triton.next_power_of_2(heads // kv_heads)))


def query_tiles(query_lens: Sequence[int] | NDArray[np.int32], tokens: int) -> NDArray[np.int32]:
    """What each program computes: [programs, 2], the sequence and its first new token, counted from its first."""
    counts = -(-np.asarray(query_lens, dtype=np.int32) // tokens)
    sequences = np.repeat(np.arange(len(query_lens), dtype=np.int32), counts)
    within = np.arange(counts.sum(), dtype=np.int32) - np.repeat(np.cumsum(counts, dtype=np.int32) - counts, counts)
    return np.stack((sequences, within * tokens), axis=1).astype(np.int32)


def paged_prefill(
    query: Tensor,
    cache_layer: Tensor,
    block_tables: Tensor,
    starts: Tensor,
    context_lens: Tensor,
    tiles: Tensor,
    block_size: int,
    out: Tensor,
    plan: PrefillPlan | None = None,
    scales: Tensor | None = None,
) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v of every new token over its sequence up to itself.

    query         [N, heads, head_dim], rotated; rows may be apart (a view of the qkv product)
    cache_layer   [2 * kv_heads, slots, head_dim], keys' heads before values' heads; the new tokens are stored already
    block_tables  int32 [S, max_blocks]; entries beyond a context are not read
    starts        int32 [S + 1], each sequence's first row of `query`, then N
    context_lens  int32 [S], with the new tokens
    tiles         int32 [programs, 2], `query_tiles` with `tokens_per_tile`; those of an empty sequence do nothing
    out           [N, heads * head_dim], of the query's dtype
    plan          None: the best known; `tiles` were then made with `tokens_per_tile`'s own number of rows
    scales        fp32 [2 * kv_heads, slots], where the layer's numbers are kept in e4m3 (`fp8_cache.py`), else None
    returns       out
    """
    rows, heads, head_dim = query.shape
    kv_heads = cache_layer.shape[0] // 2
    group = heads // kv_heads
    assert heads == group * kv_heads, (heads, kv_heads)
    assert head_dim == triton.next_power_of_2(head_dim) and head_dim >= 16, head_dim
    assert query.stride()[1:] == (head_dim, 1) and cache_layer.stride()[1:] == (head_dim, 1), "heads in one piece"
    assert out.shape == (rows, heads * head_dim) and out.is_contiguous(), out.shape
    assert starts.shape[0] == context_lens.shape[0] + 1 == block_tables.shape[0] + 1
    check_scales(cache_layer, scales)
    padded = triton.next_power_of_2(group)
    plan = plan or plan_for(head_dim, query.dtype, linear._device(query.device).shared_bytes)
    _prefill_kernel[(tiles.shape[0], kv_heads)](
        query,
        cache_layer,
        cache_layer if scales is None else scales,
        block_tables,
        starts,
        context_lens,
        tiles,
        out,
        head_dim**-0.5 * LOG2_E,
        query.stride(0),
        cache_layer.stride(0),
        block_tables.stride(0),
        KV_HEADS=kv_heads,
        GROUP=group,
        PADDED=padded,
        HEAD_DIM=head_dim,
        BLOCK_SIZE=block_size,
        TOKENS=tokens_per_tile(heads, kv_heads, plan.rows),
        TILE=plan.tile,
        IS_FP8=scales is not None,
        NATIVE=scales is not None and e4m3.reads_natively(query.device),
        num_warps=plan.warps,
        num_stages=plan.stages,
        **({} if plan.registers is None else {"maxnreg": plan.registers}),
    )
    return out


def reference_paged_prefill(
    query: Tensor,
    cache_layer: Tensor,
    block_tables: Tensor,
    starts: Tensor,
    context_lens: Tensor,
    block_size: int,
    scales: Tensor | None = None,
) -> Tensor:
    """The same in fp32, sequence by sequence: [N, heads * head_dim]."""
    rows, heads, head_dim = query.shape
    kv_heads = cache_layer.shape[0] // 2
    out = torch.empty_like(query)
    bounds = starts.tolist()
    for number, (first, end, context) in enumerate(zip(bounds, bounds[1:], context_lens.tolist(), strict=False)):
        tokens = torch.arange(context, device=query.device)
        slots = block_tables[number].long()[tokens // block_size] * block_size + tokens % block_size
        gathered = cache_layer[:, slots].float() if scales is None else read_heads(cache_layer, scales, slots)
        keys, values = gathered.repeat_interleave(heads // kv_heads, dim=0).chunk(2)
        scores = torch.einsum("nhd,htd->nht", query[first:end].float(), keys) * head_dim**-0.5
        seen = context - (end - first) + torch.arange(end - first, device=query.device)
        scores = scores.masked_fill(tokens > seen[:, None, None], float("-inf"))
        out[first:end] = torch.einsum("nht,htd->nhd", scores.softmax(-1), values).to(query.dtype)
    return out.view(rows, heads * head_dim)


@triton.jit  # type: ignore[untyped-decorator]
def _prefill_kernel(
    query_ptr: tl.tensor,
    cache_ptr: tl.tensor,
    cache_scales_ptr: tl.tensor,
    tables_ptr: tl.tensor,
    starts_ptr: tl.tensor,
    context_lens_ptr: tl.tensor,
    tiles_ptr: tl.tensor,
    out_ptr: tl.tensor,
    scale: tl.tensor,
    query_stride: tl.tensor,
    head_stride: tl.tensor,
    table_stride: tl.tensor,
    KV_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    PADDED: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    TOKENS: tl.constexpr,
    TILE: tl.constexpr,
    IS_FP8: tl.constexpr,
    NATIVE: tl.constexpr,
) -> None:
    sequence = tl.load(tiles_ptr + 2 * tl.program_id(0)).to(tl.int64)
    first = tl.load(tiles_ptr + 2 * tl.program_id(0) + 1)
    kv_head = tl.program_id(1).to(tl.int64)
    begin = tl.load(starts_ptr + sequence)
    num_new = tl.load(starts_ptr + sequence + 1) - begin
    past = tl.load(context_lens_ptr + sequence) - num_new
    if first >= num_new:  # a tile of an empty sequence
        return

    rows = tl.arange(0, TOKENS * PADDED)
    token, head = first + rows // PADDED, rows % PADDED
    wanted = ((token < num_new) & (head < GROUP))[:, None]
    dims = tl.arange(0, HEAD_DIM)[None, :]
    row, column = (begin + token).to(tl.int64), (kv_head * GROUP + head) * HEAD_DIM
    query = tl.load(query_ptr + (row * query_stride + column)[:, None] + dims, mask=wanted, other=0.0)
    seen = past + token  # the last key that each row may see: its own
    seen_by_all = past + first + 1
    end = past + tl.minimum(first + TOKENS, num_new)

    keys_ptr = cache_ptr + kv_head * head_stride
    values_ptr = cache_ptr + (KV_HEADS + kv_head) * head_stride
    key_scales_ptr = cache_scales_ptr + kv_head * (head_stride // HEAD_DIM)
    value_scales_ptr = cache_scales_ptr + (KV_HEADS + kv_head) * (head_stride // HEAD_DIM)
    maximum = tl.full((TOKENS * PADDED,), float("-inf"), tl.float32)
    total = tl.zeros((TOKENS * PADDED,), tl.float32)
    weighted = tl.zeros((TOKENS * PADDED, HEAD_DIM), tl.float32)
    for start in range(0, end, TILE):
        key = start + tl.arange(0, TILE)
        # Masked loads of values give zeros, not whatever lies there: a weight of 0 times NaN is NaN.
        inside = key < end
        block = tl.load(tables_ptr + sequence * table_stride + key // BLOCK_SIZE, mask=inside, other=0)
        slots = block.to(tl.int64) * BLOCK_SIZE + key % BLOCK_SIZE
        offsets = slots[:, None] * HEAD_DIM + dims
        keys = tl.load(keys_ptr + offsets, mask=inside[:, None], other=0)
        values = tl.load(values_ptr + offsets, mask=inside[:, None], other=0)
        if IS_FP8:
            keys, values = from_e4m3(keys, query.dtype, NATIVE), from_e4m3(values, query.dtype, NATIVE)
            key_scales = tl.load(key_scales_ptr + slots, mask=inside, other=0.0)
            value_scales = tl.load(value_scales_ptr + slots, mask=inside, other=0.0)
            scores = tl.dot(query, tl.trans(keys), input_precision="ieee") * key_scales[None, :]
        else:
            keys, values = keys.to(query.dtype), values.to(query.dtype)
            scores = tl.dot(query, tl.trans(keys), input_precision="ieee")
        if start + TILE > seen_by_all:  # before that, no row has a key to hide
            scores = tl.where(key[None, :] <= seen[:, None], scores, float("-inf"))
        # The first tile holds key 0, which every row sees: the maximum is finite from then on.
        new_maximum = tl.maximum(maximum, tl.max(scores, axis=1))
        shrink = tl.exp2((maximum - new_maximum) * scale)
        # Scaled here and not before, so that scaling and subtracting are one instruction.
        weights = tl.exp2(scores * scale - (new_maximum * scale)[:, None])
        total = total * shrink + tl.sum(weights, axis=1)
        if IS_FP8:
            weights *= value_scales[None, :]
        weighted = tl.dot(weights.to(query.dtype), values, weighted * shrink[:, None], input_precision="ieee")
        maximum = new_maximum
    result = (weighted / total[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + (row * (KV_HEADS * GROUP * HEAD_DIM) + column)[:, None] + dims, result, mask=wanted)
