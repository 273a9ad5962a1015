"""Attention of one new token a sequence over the paged cache, the context split over programs.

A program takes one key head of one sequence and a piece of its context: the query heads that share the key head are
the rows of a tensor-core product, so that keys and values are read once. Pieces of one context leave a partial result
each (maximum, sum, weighted values), which a second kernel combines; a context in one piece is written at once.

How many pieces there may be is fixed by shapes (`DecodeSplits`), how many there are is worked out on the device from
the context's length: one CUDA graph serves every length up to the one it was captured for, and a program without a
piece leaves at once. Knows nothing of layers, of how blocks are given out, or of prefill.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2_E = 1.4426950408889634
DOT_ROWS = 16  # the least a tensor-core product takes; fewer query heads a key head are padded to it

# Programs that run side by side on one multiprocessor, and the stages of the compiler's pipeline in each. Keys are
# found through the block table: with fewer than 5 stages the next tile's are not on their way while this one is worked
# on (seen in the compiled code); with 5 there are two tiles of keys and of values, 70 KiB in all.
PROGRAMS_PER_SM = 2
STAGES = 5
# With many sequences hardly a piece is needed to fill the card, but a long context among short ones must not be the
# work of one program: it is cut into pieces of so many tokens, at most this many.
BALANCED_TOKENS, BALANCED_SPLITS = tl.constexpr(2048), 8
# Pieces combined at a time.
COMBINED = 32


@dataclass(frozen=True, slots=True)
class DecodeSplits:
    """At most `count` pieces a context; `filling` of them, tiles permitting, whatever its length."""

    count: int
    filling: int

    @staticmethod
    def of(batch: int, kv_heads: int, max_context: int, num_sms: int, tile: int) -> DecodeSplits:
        """Enough pieces to fill the card with `batch` contexts, and to balance unequal ones."""
        assert batch > 0 and max_context > 0, (batch, max_context)
        filling = max(1, PROGRAMS_PER_SM * num_sms // (batch * kv_heads))
        balancing = min(BALANCED_SPLITS, max_context // BALANCED_TOKENS.value)
        return DecodeSplits(min(max(filling, balancing), triton.cdiv(max_context, tile)), filling)


@dataclass(frozen=True, slots=True)
class DecodeWorkspace:
    """Memory for the partial results of one layer: serves all layers and batch sizes that run one after the other.

    memory  fp32, flat: [B, heads, count, head_dim] values weighted relative to the piece's own maximum, then
            [B, heads, count] these maxima (times log2 e) and [B, heads, count] the sums of weights
    """

    memory: Tensor
    max_context: int
    num_sms: int

    @staticmethod
    def allocate(
        max_batch: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        max_context: int,
        dtype: torch.dtype,
        device: torch.device,
        num_sms: int | None = None,
    ) -> DecodeWorkspace:
        """`dtype` is the cache's; `num_sms` multiprocessors, the device's own if not given. Longer contexts than
        `max_context` are right too, only cut into fewer pieces than they should be."""
        if num_sms is None:
            num_sms = torch.cuda.get_device_properties(device).multi_processor_count
        tile = tile_tokens(head_dim, dtype)
        counts = [DecodeSplits.of(b, kv_heads, max_context, num_sms, tile).count for b in range(1, max_batch + 1)]
        # Contexts in one piece leave nothing here.
        rows = max(b * heads * count if count > 1 else 0 for b, count in enumerate(counts, start=1))
        memory = torch.empty(rows * (head_dim + 2), dtype=torch.float32, device=device)
        return DecodeWorkspace(memory, max_context, num_sms)


def tile_tokens(head_dim: int, dtype: torch.dtype) -> int:
    """Tokens whose keys (or values) are loaded at once: 16 KiB of them; two of each fit into 99 KiB (sm86, sm89)."""
    return max(16, min(128, (16 << 10) // (head_dim * dtype.itemsize)))


def paged_decode(
    query: Tensor,
    cache_layer: Tensor,
    block_tables: Tensor,
    context_lens: Tensor,
    block_size: int,
    out: Tensor,
    workspace: DecodeWorkspace,
) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v for the newest token of each sequence, its own key and value included.

    query         [B, heads, head_dim], rotated; rows may be apart (a view of the qkv product)
    cache_layer   [2 * kv_heads, slots, head_dim], keys' heads before values' heads; slot = block * block_size + offset
    block_tables  int32 [B, max_blocks]; entries beyond a context are not read
    context_lens  int32 [B], at most max_blocks * block_size; 0 is padding: zeros, nothing of the cache is read
    out           [B, heads * head_dim], of the query's dtype
    workspace     `DecodeWorkspace.allocate` for at least B sequences
    returns       out
    """
    batch, heads, head_dim = query.shape
    kv_heads = cache_layer.shape[0] // 2
    group = heads // kv_heads
    assert heads == group * kv_heads and group <= DOT_ROWS, (heads, kv_heads)
    assert head_dim == triton.next_power_of_2(head_dim) and head_dim >= 16, head_dim
    assert query.stride()[1:] == (head_dim, 1) and cache_layer.stride()[1:] == (head_dim, 1), "heads in one piece"
    assert out.shape == (batch, heads * head_dim) and out.is_contiguous(), out.shape
    assert block_tables.shape[0] == context_lens.shape[0] == batch, (block_tables.shape, context_lens.shape, batch)
    assert block_tables.stride(1) == 1 or block_tables.shape[1] == 1, block_tables.stride()
    tile = tile_tokens(head_dim, cache_layer.dtype)
    splits = DecodeSplits.of(batch, kv_heads, workspace.max_context, workspace.num_sms, tile)
    results = batch * heads * splits.count
    partial, scales = workspace.memory[: results * head_dim], workspace.memory[results * head_dim :]
    assert splits.count == 1 or scales.shape[0] >= 2 * results, f"workspace too small for {(batch, heads, head_dim)}"
    # The first pieces of all contexts come first, programs that have nothing to do last.
    _decode_kernel[(batch * kv_heads, splits.count)](
        query,
        cache_layer,
        block_tables,
        context_lens,
        out,
        partial,
        scales,
        head_dim**-0.5 * LOG2_E,
        query.stride(0),
        cache_layer.stride(0),
        block_tables.stride(0),
        results,
        splits.count,
        splits.filling,
        KV_HEADS=kv_heads,
        GROUP=group,
        HEAD_DIM=head_dim,
        BLOCK_SIZE=block_size,
        TILE=tile,
        ROWS=DOT_ROWS,
        num_warps=4,
        num_stages=STAGES,
    )
    if splits.count > 1:
        _combine_kernel[(batch, heads)](
            context_lens,
            out,
            partial,
            scales,
            results,
            splits.count,
            splits.filling,
            HEADS=heads,
            HEAD_DIM=head_dim,
            ALL=triton.next_power_of_2(splits.count),
            STEP=COMBINED,
            TILE=tile,
            num_warps=8,
        )
    return out


def reference_paged_decode(
    query: Tensor, cache_layer: Tensor, block_tables: Tensor, context_lens: Tensor, block_size: int
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
        keys, values = cache_layer[:, slots].float().repeat_interleave(heads // kv_heads, dim=0).chunk(2)
        scores = torch.einsum("hd,htd->ht", query[row].float(), keys) * head_dim**-0.5
        out[row] = torch.einsum("ht,htd->hd", scores.softmax(-1), values).to(query.dtype)
    return out.view(batch, heads * head_dim)


@triton.jit  # type: ignore[untyped-decorator]
def _pieces(context_len: tl.tensor, max_splits: tl.tensor, filling: tl.tensor, TILE: tl.constexpr) -> tl.tensor:
    """(pieces of this context, tokens of each but the last); no piece for an empty context."""
    wanted = tl.minimum(max_splits, tl.maximum(filling, tl.cdiv(context_len, BALANCED_TOKENS)))
    tokens = tl.cdiv(tl.cdiv(context_len, wanted), TILE) * TILE
    return tl.cdiv(context_len, tl.maximum(tokens, 1)), tokens


@triton.jit(do_not_specialize=["table_stride", "num_results", "max_splits", "filling"])  # type: ignore[untyped-decorator]
def _decode_kernel(
    query_ptr: tl.tensor,
    cache_ptr: tl.tensor,
    tables_ptr: tl.tensor,
    context_lens_ptr: tl.tensor,
    out_ptr: tl.tensor,
    partial_ptr: tl.tensor,
    scales_ptr: tl.tensor,
    scale: tl.tensor,
    query_stride: tl.tensor,
    head_stride: tl.tensor,
    table_stride: tl.tensor,
    num_results: tl.tensor,
    max_splits: tl.tensor,
    filling: tl.tensor,
    KV_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    TILE: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    row = (tl.program_id(0) // KV_HEADS).to(tl.int64)
    kv_head = (tl.program_id(0) % KV_HEADS).to(tl.int64)
    piece = tl.program_id(1)
    heads = kv_head * GROUP + tl.arange(0, ROWS)
    in_group = (tl.arange(0, ROWS) < GROUP)[:, None]
    dims = tl.arange(0, HEAD_DIM)[None, :]
    at_out = out_ptr + (row * (KV_HEADS * GROUP) + heads[:, None]) * HEAD_DIM + dims

    context_len = tl.load(context_lens_ptr + row)
    num_pieces, tokens = _pieces(context_len, max_splits, filling, TILE)
    if piece >= num_pieces:
        if piece == 0:
            tl.store(at_out, tl.zeros((ROWS, HEAD_DIM), out_ptr.dtype.element_ty), mask=in_group)
        return
    start = piece * tokens
    end = tl.minimum(start + tokens, context_len)

    query = tl.load(query_ptr + row * query_stride + heads[:, None] * HEAD_DIM + dims, mask=in_group, other=0.0)
    keys_ptr = cache_ptr + kv_head * head_stride
    values_ptr = cache_ptr + (KV_HEADS + kv_head) * head_stride
    maximum = tl.full((ROWS,), float("-inf"), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    weighted = tl.zeros((ROWS, HEAD_DIM), tl.float32)
    for first in range(start, end, TILE):
        token = first + tl.arange(0, TILE)
        # Masked loads of values give zeros, not whatever lies there: a weight of 0 times NaN is NaN.
        inside = token < end
        block = tl.load(tables_ptr + row * table_stride + token // BLOCK_SIZE, mask=inside, other=0)
        slots = block.to(tl.int64) * BLOCK_SIZE + token % BLOCK_SIZE
        offsets = slots[:, None] * HEAD_DIM + dims
        keys = tl.load(keys_ptr + offsets, mask=inside[:, None], other=0.0).to(query.dtype)
        values = tl.load(values_ptr + offsets, mask=inside[:, None], other=0.0).to(query.dtype)
        scores = tl.dot(query, tl.trans(keys), input_precision="ieee") * scale
        scores = tl.where(inside[None, :], scores, float("-inf"))
        # Every tile has a token inside, so the new maximum is finite.
        new_maximum = tl.maximum(maximum, tl.max(scores, axis=1))
        shrink = tl.exp2(maximum - new_maximum)
        weights = tl.exp2(scores - new_maximum[:, None])
        total = total * shrink + tl.sum(weights, axis=1)
        weighted = tl.dot(weights.to(query.dtype), values, weighted * shrink[:, None], input_precision="ieee")
        maximum = new_maximum

    if num_pieces == 1:
        tl.store(at_out, (weighted / total[:, None]).to(out_ptr.dtype.element_ty), mask=in_group)
    else:
        at = (row * (KV_HEADS * GROUP) + heads) * max_splits + piece
        tl.store(partial_ptr + at[:, None] * HEAD_DIM + dims, weighted, mask=in_group)
        tl.store(scales_ptr + at, maximum, mask=tl.arange(0, ROWS) < GROUP)
        tl.store(scales_ptr + num_results + at, total, mask=tl.arange(0, ROWS) < GROUP)


@triton.jit(do_not_specialize=["num_results", "max_splits", "filling"])  # type: ignore[untyped-decorator]
def _combine_kernel(
    context_lens_ptr: tl.tensor,
    out_ptr: tl.tensor,
    partial_ptr: tl.tensor,
    scales_ptr: tl.tensor,
    num_results: tl.tensor,
    max_splits: tl.tensor,
    filling: tl.tensor,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    ALL: tl.constexpr,
    STEP: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    context_len = tl.load(context_lens_ptr + row)
    num_pieces, _ = _pieces(context_len, max_splits, filling, TILE)
    if num_pieces <= 1:  # written already
        return
    head = row * HEADS + tl.program_id(1)
    dims = tl.arange(0, HEAD_DIM)
    pieces = tl.arange(0, ALL)
    maxima = tl.load(scales_ptr + head * max_splits + pieces, mask=pieces < num_pieces, other=float("-inf"))
    maximum = tl.max(maxima, axis=0)
    # Summed up once at the end: a reduction crosses the warps, and would stand between one load and the next.
    weighted = tl.zeros((STEP, HEAD_DIM), tl.float32)
    total = tl.zeros((STEP,), tl.float32)
    for first in range(0, num_pieces, STEP):
        piece = first + tl.arange(0, STEP)
        inside = piece < num_pieces
        at = head * max_splits + piece
        shrink = tl.exp2(tl.load(scales_ptr + at, mask=inside, other=float("-inf")) - maximum)
        total += shrink * tl.load(scales_ptr + num_results + at, mask=inside, other=0.0)
        partial = tl.load(partial_ptr + at[:, None] * HEAD_DIM + dims[None, :], mask=inside[:, None], other=0.0)
        weighted += shrink[:, None] * partial
    average = tl.sum(weighted, axis=0) / tl.sum(total, axis=0)
    tl.store(out_ptr + head * HEAD_DIM + dims, average.to(out_ptr.dtype.element_ty))
