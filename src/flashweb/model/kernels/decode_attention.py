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
from typing import Any, TypeAlias

import torch
import triton
import triton.language as tl
from torch import Tensor

Pointer: TypeAlias = Any  # a tensor on the host, its address in a kernel
Tile: TypeAlias = Any

LOG2_E = 1.4426950408889634
DOT_ROWS = 16  # the least a tensor-core product takes; fewer query heads a key head are padded to it

# Programs that run side by side on one multiprocessor: keeps about 64 KiB of keys and values on their way.
PROGRAMS_PER_SM = 2
# With many sequences no piece is needed to fill the card, but a long context among short ones must not be the work of
# one program: it is cut into pieces of this many tokens, at most so many.
BALANCED_TOKENS, BALANCED_SPLITS = 2048, 8
# Pieces combined at a time.
COMBINED = 16


@dataclass(frozen=True, slots=True)
class DecodeSplits:
    """At most `count` pieces a context, of at least `least_tokens` tokens each (a multiple of the tile)."""

    count: int
    least_tokens: int

    @staticmethod
    def of(batch: int, kv_heads: int, max_context: int, num_sms: int, tile: int) -> DecodeSplits:
        """Enough pieces to fill the card with `batch` contexts of `max_context` tokens, or to balance unequal ones."""
        assert batch > 0 and max_context > 0, (batch, max_context)
        filling = PROGRAMS_PER_SM * num_sms // (batch * kv_heads)
        balancing = min(BALANCED_SPLITS, max_context // BALANCED_TOKENS)
        if filling >= balancing:
            return DecodeSplits(max(1, min(filling, triton.cdiv(max_context, tile))), tile)
        return DecodeSplits(balancing, BALANCED_TOKENS)


@dataclass(frozen=True, slots=True)
class DecodeWorkspace:
    """Memory for the partial results of up to `batch` sequences; one serves all layers, and every smaller batch of
    the same splits.

    partial  fp32 [batch, heads, count, head_dim], values weighted relative to the piece's own maximum
    scales   fp32 [2, batch, heads, count], the piece's maximum (times log2 e) and its sum
    """

    splits: DecodeSplits
    partial: Tensor
    scales: Tensor

    @staticmethod
    def allocate(
        batch: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        max_context: int,
        dtype: torch.dtype,
        device: torch.device,
        num_sms: int | None = None,
    ) -> DecodeWorkspace:
        """`dtype` is the cache's; `num_sms` multiprocessors, the device's own if not given."""
        if num_sms is None:
            num_sms = torch.cuda.get_device_properties(device).multi_processor_count
        splits = DecodeSplits.of(batch, kv_heads, max_context, num_sms, tile_tokens(head_dim, dtype))
        # Contexts in one piece leave nothing here.
        rows = batch if splits.count > 1 else 0
        partial = torch.empty(rows, heads, splits.count, head_dim, dtype=torch.float32, device=device)
        scales = torch.empty(2, rows, heads, splits.count, dtype=torch.float32, device=device)
        return DecodeWorkspace(splits, partial, scales)


def tile_tokens(head_dim: int, dtype: torch.dtype) -> int:
    """Tokens whose keys (or values) are loaded at once: 16 KiB of them, which fits three stages into 99 KiB (sm86)."""
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
    splits, partial, scales = workspace.splits, workspace.partial, workspace.scales
    assert splits.count == 1 or (partial.shape[0] >= batch and partial.shape[1:] == (heads, splits.count, head_dim)), (
        f"workspace {tuple(partial.shape)} for {(batch, heads, splits.count, head_dim)}"
    )
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
        scales.stride(0),
        splits.count,
        splits.least_tokens,
        KV_HEADS=kv_heads,
        GROUP=group,
        HEAD_DIM=head_dim,
        BLOCK_SIZE=block_size,
        TILE=tile_tokens(head_dim, cache_layer.dtype),
        ROWS=DOT_ROWS,
        num_warps=4,
        num_stages=3,
    )
    if splits.count > 1:
        _combine_kernel[(batch, heads)](
            context_lens,
            out,
            partial,
            scales,
            scales.stride(0),
            splits.count,
            splits.least_tokens,
            HEADS=heads,
            HEAD_DIM=head_dim,
            ALL=triton.next_power_of_2(splits.count),
            STEP=COMBINED,
            TILE=tile_tokens(head_dim, cache_layer.dtype),
            num_warps=4,
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
def _pieces(context_len: Tile, max_splits: Tile, least_tokens: Tile, TILE: tl.constexpr) -> Tile:
    """(pieces of this context, tokens of each but the last); no piece for an empty context."""
    wanted = tl.minimum(max_splits, tl.cdiv(context_len, least_tokens))
    tokens = tl.cdiv(tl.cdiv(context_len, tl.maximum(wanted, 1)), TILE) * TILE
    return tl.cdiv(context_len, tl.maximum(tokens, 1)), tokens


@triton.jit  # type: ignore[untyped-decorator]
def _decode_kernel(
    query_ptr: Pointer,
    cache_ptr: Pointer,
    tables_ptr: Pointer,
    context_lens_ptr: Pointer,
    out_ptr: Pointer,
    partial_ptr: Pointer,
    scales_ptr: Pointer,
    scale: float,
    query_stride: Tile,
    head_stride: Tile,
    table_stride: Tile,
    scales_stride: Tile,
    max_splits: Tile,
    least_tokens: Tile,
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
    num_pieces, tokens = _pieces(context_len, max_splits, least_tokens, TILE)
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
        tl.store(scales_ptr + scales_stride + at, total, mask=tl.arange(0, ROWS) < GROUP)


@triton.jit  # type: ignore[untyped-decorator]
def _combine_kernel(
    context_lens_ptr: Pointer,
    out_ptr: Pointer,
    partial_ptr: Pointer,
    scales_ptr: Pointer,
    scales_stride: Tile,
    max_splits: Tile,
    least_tokens: Tile,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    ALL: tl.constexpr,
    STEP: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    context_len = tl.load(context_lens_ptr + row)
    num_pieces, _ = _pieces(context_len, max_splits, least_tokens, TILE)
    if num_pieces <= 1:  # written already
        return
    head = row * HEADS + tl.program_id(1)
    dims = tl.arange(0, HEAD_DIM)
    pieces = tl.arange(0, ALL)
    maxima = tl.load(scales_ptr + head * max_splits + pieces, mask=pieces < num_pieces, other=float("-inf"))
    maximum = tl.max(maxima, axis=0)
    weighted = tl.zeros((HEAD_DIM,), tl.float32)
    total = 0.0
    for first in range(0, num_pieces, STEP):
        piece = first + tl.arange(0, STEP)
        inside = piece < num_pieces
        at = head * max_splits + piece
        shrink = tl.exp2(tl.load(scales_ptr + at, mask=inside, other=float("-inf")) - maximum)
        total += tl.sum(shrink * tl.load(scales_ptr + scales_stride + at, mask=inside, other=0.0), axis=0)
        partial = tl.load(partial_ptr + at[:, None] * HEAD_DIM + dims[None, :], mask=inside[:, None], other=0.0)
        weighted += tl.sum(shrink[:, None] * partial, axis=0)
    tl.store(out_ptr + head * HEAD_DIM + dims, (weighted / total).to(out_ptr.dtype.element_ty))
