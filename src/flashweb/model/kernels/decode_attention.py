"""Attention of one new token a sequence over the paged cache, the context split over programs.

A program takes one key head of one sequence and a piece of its context: the query heads that share the key head are
the rows of a tensor-core product, so that keys and values are read once. Pieces of one context leave a partial result
each (maximum, sum, weighted values), which a second kernel combines; a context in one piece is written at once.

How contexts are cut is worked out on the device, once per step and for all its layers (`DecodeWorkspace.plan`), from
all their lengths together: pieces of about equal size, as many as fill the card. One CUDA graph so serves every mix of
lengths, and a program without a piece leaves at once. Knows nothing of layers, of how blocks are given out, or of
prompts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashweb.model.kernels import e4m3
from flashweb.model.kernels.e4m3 import check_scales, from_e4m3, read_heads

LOG2_E = 1.4426950408889634
DOT_ROWS = 16  # the least a tensor-core product takes; fewer query heads a key head are padded to it

# Programs that run side by side on one multiprocessor, and the stages of the compiler's pipeline in each. Keys are
# found through the block table: with fewer than 5 stages the next tile's are not on their way while this one is worked
# on (seen in the compiled code); with 5 there are two tiles of keys and of values, 70 KiB in all.
PROGRAMS_PER_SM = 2
STAGES = 5
# Contexts of so few tiles stay in one piece: to combine costs more than to read them one after the other.
WHOLE_TILES = tl.constexpr(4)
# Partial results that are on their way together when pieces are combined.
UNROLLED = tl.constexpr(4)
# Up to so many sequences every head is combined by a program of its own; beyond, programs take several.
FEW_ROWS, HEADS_OF_MANY = 16, 4
# Fewer entries are planned as if there were so many: one kernel less to compile for each size.
LEAST_PLANNED = 16
# int32 values of a piece as the planning kernel leaves it (the last ones are not used).
PIECE = tl.constexpr(8)


def num_filling(kv_heads: int, num_sms: int) -> int:
    """Pieces that fill the card: each is a program for every key head."""
    return max(1, PROGRAMS_PER_SM * num_sms // kv_heads)


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """How the contexts of one step are cut. Fewer pieces than the room for them: see `bounds`.

    pieces   int32 [most, 8]: sequence, row of the query, first token, end, whether it is the only one of its row
    bounds   int32 [B + 1], the first piece of each entry, then the number of pieces
    entries  int32 [B, 2] as given to `DecodeWorkspace.plan`, or None
    tile     tokens that are loaded at once
    memory   fp32, flat: [most, heads, head_dim] values weighted relative to the piece's own maximum, then
             [most, heads] these maxima (times log2 e) and [most, heads] the sums of weights
    """

    pieces: Tensor
    bounds: Tensor
    entries: Tensor | None
    memory: Tensor
    tile: int


@dataclass(frozen=True, slots=True)
class DecodeWorkspace:
    """Memory for the plan of a step and the partial results of one layer: serves all layers, steps and batch sizes
    that run one after the other."""

    pieces: Tensor
    bounds: Tensor
    memory: Tensor
    filling: int
    tile: int

    @staticmethod
    def allocate(
        max_batch: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device,
        num_sms: int | None = None,
        query_dtype: torch.dtype | None = None,
    ) -> DecodeWorkspace:
        """`dtype` is the cache's, `query_dtype` the queries' where that is another; `num_sms` multiprocessors, the
        device's own if not given."""
        filling = num_filling(kv_heads, num_sms or _num_sms(device))
        most = max_batch + filling
        return DecodeWorkspace(
            torch.empty(most, PIECE.value, dtype=torch.int32, device=device),
            torch.empty(max_batch + 1, dtype=torch.int32, device=device),
            torch.empty(most * heads * (head_dim + 2), dtype=torch.float32, device=device),
            filling,
            tile_tokens(head_dim, torch.float32 if query_dtype == torch.float32 else dtype),
        )

    def plan(self, context_lens: Tensor, entries: Tensor | None = None) -> DecodePlan:
        """Cuts the contexts of one step; the plan is good until the next one is made.

        context_lens  int32 [S]
        entries       int32 [B, 2], the sequence (of context lengths and block tables) and the row (of query and result)
                      of each token to decode; None: sequence i is row i. Those of an empty sequence are padding.
        """
        batch = context_lens.shape[0] if entries is None else entries.shape[0]
        assert 0 < batch < self.bounds.shape[0], (batch, self.bounds.shape)
        # At most so many pieces: each takes the average share of the card at least, or is the last of its row.
        plan = DecodePlan(
            self.pieces[: batch + self.filling], self.bounds[: batch + 1], entries, self.memory, self.tile
        )
        padded = max(LEAST_PLANNED, triton.next_power_of_2(batch))
        _plan_kernel[(1,)](
            context_lens,
            context_lens if entries is None else entries,
            plan.pieces,
            plan.bounds,
            batch,
            self.filling,
            HAS_ENTRIES=entries is not None,
            BATCH=padded,
            TILE=self.tile,
            num_warps=min(4, max(1, padded // 32)),
        )
        return plan


def _num_sms(device: torch.device) -> int:
    """Multiprocessors; an interpreter on a CPU computes one program after the other."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def tile_tokens(head_dim: int, dtype: torch.dtype) -> int:
    """Tokens whose keys (or values) are loaded at once: 16 KiB of them; two of each fit into 99 KiB (sm86, sm89). Bytes
    that become fp32 count as fp32."""
    return max(16, min(128, (16 << 10) // (head_dim * dtype.itemsize)))


def paged_decode(
    query: Tensor,
    cache_layer: Tensor,
    block_tables: Tensor,
    plan: DecodePlan,
    block_size: int,
    out: Tensor,
    scales: Tensor | None = None,
) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v for the newest token of each sequence, its own key and value included.

    query         [N, heads, head_dim], rotated; rows may be apart (a view of the qkv product)
    cache_layer   [2 * kv_heads, slots, head_dim], keys' heads before values' heads; slot = block * block_size + offset
    block_tables  int32 [S, max_blocks]; entries beyond a context are not read
    plan          of this step, by `DecodeWorkspace.plan` for at most max_blocks * block_size tokens a sequence
    out           [N, heads * head_dim], of the query's dtype; rows that the plan does not name, and those of empty
                  sequences, stay as they are
    scales        fp32 [2 * kv_heads, slots], where the layer's numbers are kept in e4m3 (`fp8_cache.py`), else None
    returns       out
    """
    rows, heads, head_dim = query.shape
    kv_heads = cache_layer.shape[0] // 2
    group = heads // kv_heads
    assert heads == group * kv_heads and group <= DOT_ROWS, (heads, kv_heads)
    assert head_dim == triton.next_power_of_2(head_dim) and head_dim >= 16, head_dim
    assert query.stride()[1:] == (head_dim, 1) and cache_layer.stride()[1:] == (head_dim, 1), "heads in one piece"
    assert out.shape == (rows, heads * head_dim) and out.is_contiguous(), out.shape
    assert block_tables.stride(1) == 1 or block_tables.shape[1] == 1, block_tables.stride()
    check_scales(cache_layer, scales)
    most, batch = plan.pieces.shape[0], plan.bounds.shape[0] - 1
    results = most * heads
    partial, softmax = plan.memory[: results * head_dim], plan.memory[results * head_dim :]
    assert softmax.shape[0] >= 2 * results, f"workspace too small for {(batch, heads, head_dim)}"
    _decode_kernel[(most * kv_heads,)](
        query,
        cache_layer,
        cache_layer if scales is None else scales,
        block_tables,
        plan.pieces,
        plan.bounds,
        out,
        partial,
        softmax,
        head_dim**-0.5 * LOG2_E,
        query.stride(0),
        cache_layer.stride(0),
        block_tables.stride(0),
        results,
        batch,
        KV_HEADS=kv_heads,
        GROUP=group,
        HEAD_DIM=head_dim,
        BLOCK_SIZE=block_size,
        TILE=plan.tile,
        ROWS=DOT_ROWS,
        IS_FP8=scales is not None,
        NATIVE=scales is not None and e4m3.reads_natively(query.device),
        num_warps=4,
        num_stages=STAGES,
    )
    together = 1 if batch <= FEW_ROWS else min(HEADS_OF_MANY, triton.next_power_of_2(heads))
    _combine_kernel[(batch, triton.cdiv(heads, together))](
        plan.pieces,
        plan.bounds,
        out,
        partial,
        softmax,
        results,
        HEADS=heads,
        HEAD_DIM=head_dim,
        TOGETHER=together,
        num_warps=together,
    )
    return out


def reference_paged_decode(
    query: Tensor,
    cache_layer: Tensor,
    block_tables: Tensor,
    context_lens: Tensor,
    block_size: int,
    scales: Tensor | None = None,
) -> Tensor:
    """The same in fp32, sequence by sequence: [B, heads * head_dim]."""
    batch, heads, head_dim = query.shape
    kv_heads = cache_layer.shape[0] // 2
    out = torch.zeros_like(query)
    for row, context_len in enumerate(context_lens.tolist()):
        if context_len == 0:
            continue
        tokens = torch.arange(context_len, device=query.device)
        slots = block_tables[row].long()[tokens // block_size] * block_size + tokens % block_size
        gathered = cache_layer[:, slots].float() if scales is None else read_heads(cache_layer, scales, slots)
        keys, values = gathered.repeat_interleave(heads // kv_heads, dim=0).chunk(2)
        scores = torch.einsum("hd,htd->ht", query[row].float(), keys) * head_dim**-0.5
        out[row] = torch.einsum("ht,htd->hd", scores.softmax(-1), values).to(query.dtype)
    return out.view(batch, heads * head_dim)


@triton.jit(do_not_specialize=["batch", "filling"])  # type: ignore[untyped-decorator]
def _plan_kernel(
    context_lens_ptr: tl.tensor,
    entries_ptr: tl.tensor,
    pieces_ptr: tl.tensor,
    bounds_ptr: tl.tensor,
    batch: tl.tensor,
    filling: tl.tensor,
    HAS_ENTRIES: tl.constexpr,
    BATCH: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    entry = tl.arange(0, BATCH)
    there = entry < batch
    sequence, row = entry, entry
    if HAS_ENTRIES:
        sequence = tl.load(entries_ptr + 2 * entry, mask=there, other=0)
        row = tl.load(entries_ptr + 2 * entry + 1, mask=there, other=0)
    length = tl.load(context_lens_ptr + sequence, mask=there, other=0)
    tiles = tl.cdiv(length, TILE)
    # A context a little longer than its share is not cut for that.
    share = tl.maximum(tl.cdiv(tl.sum(tiles, axis=0), filling), 1)
    share += share // 4
    wanted = tl.where(tiles <= WHOLE_TILES, tl.minimum(tiles, 1), tl.cdiv(tiles, share))
    each = tl.cdiv(tiles, tl.maximum(wanted, 1))  # tiles of every piece but the last
    count = tl.cdiv(tiles, tl.maximum(each, 1))
    end = tl.cumsum(count, axis=0)
    begin = end - count
    tl.store(bounds_ptr + entry, begin, mask=there)
    tl.store(bounds_ptr + batch, tl.sum(count, axis=0))
    for number in range(tl.max(count, axis=0)):
        mine = number < count
        at = pieces_ptr + (begin + number) * PIECE
        first = number * each * TILE
        tl.store(at, sequence, mask=mine)
        tl.store(at + 1, row, mask=mine)
        tl.store(at + 2, first, mask=mine)
        tl.store(at + 3, tl.minimum(first + each * TILE, length), mask=mine)
        tl.store(at + 4, (count == 1).to(tl.int32), mask=mine)


@triton.jit(do_not_specialize=["table_stride", "num_results", "batch"])  # type: ignore[untyped-decorator]
def _decode_kernel(
    query_ptr: tl.tensor,
    cache_ptr: tl.tensor,
    cache_scales_ptr: tl.tensor,
    tables_ptr: tl.tensor,
    pieces_ptr: tl.tensor,
    bounds_ptr: tl.tensor,
    out_ptr: tl.tensor,
    partial_ptr: tl.tensor,
    scales_ptr: tl.tensor,
    scale: tl.tensor,
    query_stride: tl.tensor,
    head_stride: tl.tensor,
    table_stride: tl.tensor,
    num_results: tl.tensor,
    batch: tl.tensor,
    KV_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    TILE: tl.constexpr,
    ROWS: tl.constexpr,
    IS_FP8: tl.constexpr,
    NATIVE: tl.constexpr,
) -> None:
    piece = tl.program_id(0) // KV_HEADS
    kv_head = (tl.program_id(0) % KV_HEADS).to(tl.int64)
    # All of a piece is asked for before it is known to exist: what is read beyond the last is not used.
    at = pieces_ptr + piece * PIECE
    sequence, row = tl.load(at).to(tl.int64), tl.load(at + 1).to(tl.int64)
    start, end, is_whole = tl.multiple_of(tl.load(at + 2), TILE), tl.load(at + 3), tl.load(at + 4)
    if piece >= tl.load(bounds_ptr + batch):
        return
    heads = kv_head * GROUP + tl.arange(0, ROWS)
    in_group = (tl.arange(0, ROWS) < GROUP)[:, None]
    dims = tl.arange(0, HEAD_DIM)[None, :]

    query = tl.load(query_ptr + row * query_stride + heads[:, None] * HEAD_DIM + dims, mask=in_group, other=0.0)
    keys_ptr = cache_ptr + kv_head * head_stride
    values_ptr = cache_ptr + (KV_HEADS + kv_head) * head_stride
    key_scales_ptr = cache_scales_ptr + kv_head * (head_stride // HEAD_DIM)
    value_scales_ptr = cache_scales_ptr + (KV_HEADS + kv_head) * (head_stride // HEAD_DIM)
    maximum = tl.full((ROWS,), float("-inf"), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    weighted = tl.zeros((ROWS, HEAD_DIM), tl.float32)
    for first in range(start, end, TILE):
        token = first + tl.arange(0, TILE)
        # Masked loads of values give zeros, not whatever lies there: a weight of 0 times NaN is NaN.
        inside = token < end
        block = tl.load(tables_ptr + sequence * table_stride + token // BLOCK_SIZE, mask=inside, other=0)
        slots = block.to(tl.int64) * BLOCK_SIZE + token % BLOCK_SIZE
        offsets = slots[:, None] * HEAD_DIM + dims
        keys = tl.load(keys_ptr + offsets, mask=inside[:, None], other=0)
        values = tl.load(values_ptr + offsets, mask=inside[:, None], other=0)
        if IS_FP8:
            keys, values = from_e4m3(keys, query.dtype, NATIVE), from_e4m3(values, query.dtype, NATIVE)
            key_scales = tl.load(key_scales_ptr + slots, mask=inside, other=0.0) * scale
            value_scales = tl.load(value_scales_ptr + slots, mask=inside, other=0.0)
            scores = tl.dot(query, tl.trans(keys), input_precision="ieee") * key_scales[None, :]
        else:
            keys, values = keys.to(query.dtype), values.to(query.dtype)
            scores = tl.dot(query, tl.trans(keys), input_precision="ieee") * scale
        scores = tl.where(inside[None, :], scores, float("-inf"))
        # Every tile has a token inside, so the new maximum is finite.
        new_maximum = tl.maximum(maximum, tl.max(scores, axis=1))
        shrink = tl.exp2(maximum - new_maximum)
        weights = tl.exp2(scores - new_maximum[:, None])
        total = total * shrink + tl.sum(weights, axis=1)
        if IS_FP8:
            weights *= value_scales[None, :]
        weighted = tl.dot(weights.to(query.dtype), values, weighted * shrink[:, None], input_precision="ieee")
        maximum = new_maximum

    if is_whole:
        at_out = out_ptr + (row * (KV_HEADS * GROUP) + heads[:, None]) * HEAD_DIM + dims
        tl.store(at_out, (weighted / total[:, None]).to(out_ptr.dtype.element_ty), mask=in_group)
    else:
        result = piece * (KV_HEADS * GROUP) + heads
        tl.store(partial_ptr + result[:, None] * HEAD_DIM + dims, weighted, mask=in_group)
        tl.store(scales_ptr + result, maximum, mask=tl.arange(0, ROWS) < GROUP)
        tl.store(scales_ptr + num_results + result, total, mask=tl.arange(0, ROWS) < GROUP)


@triton.jit(do_not_specialize=["num_results"])  # type: ignore[untyped-decorator]
def _combine_kernel(
    pieces_ptr: tl.tensor,
    bounds_ptr: tl.tensor,
    out_ptr: tl.tensor,
    partial_ptr: tl.tensor,
    scales_ptr: tl.tensor,
    num_results: tl.tensor,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    TOGETHER: tl.constexpr,
) -> None:
    begin, end = tl.load(bounds_ptr + tl.program_id(0)), tl.load(bounds_ptr + tl.program_id(0) + 1)
    if end - begin <= 1:  # written already, or padding
        return
    row = tl.load(pieces_ptr + begin * PIECE + 1).to(tl.int64)
    # Heads lie one behind the other: a thread has its columns of all pieces, and nothing crosses from one to the next.
    columns = tl.program_id(1) * (TOGETHER * HEAD_DIM) + tl.arange(0, TOGETHER * HEAD_DIM)
    inside = columns < HEADS * HEAD_DIM
    head = columns // HEAD_DIM
    maximum = tl.full((TOGETHER * HEAD_DIM,), float("-inf"), tl.float32)
    total = tl.zeros((TOGETHER * HEAD_DIM,), tl.float32)
    weighted = tl.zeros((TOGETHER * HEAD_DIM,), tl.float32)
    for piece in tl.range(begin, end, loop_unroll_factor=UNROLLED):
        scales = scales_ptr + piece * HEADS + head
        piece_maximum = tl.load(scales, mask=inside, other=0.0)
        piece_total = tl.load(scales + num_results, mask=inside, other=1.0)
        partial = tl.load(partial_ptr + piece * (HEADS * HEAD_DIM) + columns, mask=inside, other=0.0)
        new_maximum = tl.maximum(maximum, piece_maximum)
        shrink, weight = tl.exp2(maximum - new_maximum), tl.exp2(piece_maximum - new_maximum)
        total = total * shrink + weight * piece_total
        weighted = weighted * shrink + weight * partial
        maximum = new_maximum
    tl.store(out_ptr + row * (HEADS * HEAD_DIM) + columns, (weighted / total).to(out_ptr.dtype.element_ty), mask=inside)
