"""Attention over the paged key-value cache: one face, `attend`, and its reference implementation.

What a step needs is worked out once (`AttentionPlan`), then every layer writes its new keys and values and reads
each sequence's context back. The reference runs on any device through `scaled_dot_product_attention`:

- a sequence whose blocks follow each other in memory is read as a view, without a copy;
- any other sequence is gathered by slot numbers worked out once per step;
- on an accelerator, where launches cost more than bytes, the decoding sequences are gathered and padded together.

Knows nothing of layers, rotary embeddings or requests.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flashweb.model.inputs import ForwardInputs

# Rows of a prefill chunk that share one score mask; bounds the mask to this many times the context length.
MASKED_QUERY_ROWS = 512


class KVCache:
    """Keys and values of every layer, in blocks: per layer [num_blocks, block_size, 2 * kv_heads, head_dim].

    A token's keys (first kv_heads rows) and values lie together because the fused projection computes them
    together: one copy stores both. Slot s is row s of the flattened first two dimensions.
    """

    def __init__(
        self,
        num_layers: int,
        num_blocks: int,
        block_size: int,
        num_kv_heads: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        shape = (num_layers, num_blocks * block_size, 2 * num_kv_heads, head_dim)
        self.num_blocks = num_blocks
        self.block_size = block_size
        # Zeros, not empty: masked positions of a padded gather are multiplied by 0, and 0 * NaN is NaN.
        self.storage = torch.zeros(shape, dtype=dtype, device=device)
        self.layers: list[Tensor] = list(self.storage.unbind(0))  # [slots, 2 * kv_heads, head_dim] each

    @property
    def num_bytes(self) -> int:
        return self.storage.numel() * self.storage.element_size()


@dataclass(frozen=True, slots=True)
class _Sequence:
    """One sequence of a step: its rows among the new tokens and where its context lies in the cache."""

    first_row: int
    query_len: int
    context_len: int
    first_slot: int  # start of the contiguous run, or -1
    slots: Tensor | None  # int64 [context_len] when the run is broken


@dataclass(frozen=True, slots=True)
class _PaddedDecode:
    """Decoding sequences gathered together: rows int64 [B], slots int64 [B, L], mask bool [B, 1, 1, L]."""

    rows: Tensor
    slots: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class AttentionPlan:
    """Where to write and what to read, the same for every layer of one step."""

    slots: Tensor  # int64 [N]
    sequences: list[_Sequence]
    padded: _PaddedDecode | None

    @staticmethod
    def of(inputs: ForwardInputs, device: torch.device) -> AttentionPlan:
        pad = device.type != "cpu"
        sequences: list[_Sequence] = []
        decoding: list[tuple[int, int, list[int]]] = []
        row = 0
        size = inputs.block_size
        for query_len, context_len, table in zip(
            inputs.query_lens, inputs.context_lens, inputs.block_tables, strict=True
        ):
            used = -(-context_len // size)
            assert 0 < query_len <= context_len and len(table) >= used, (query_len, context_len, len(table))
            if pad and query_len == 1:
                decoding.append((row, context_len, table[:used]))
            else:
                first = table[0]
                if table[:used] == list(range(first, first + used)):
                    sequences.append(_Sequence(row, query_len, context_len, first * size, None))
                else:
                    slots = _slots(table[:used], size, device)[:context_len]
                    sequences.append(_Sequence(row, query_len, context_len, -1, slots))
            row += query_len
        assert row == inputs.token_ids.shape[0], (row, inputs.token_ids.shape)
        padded = _pad(decoding, size, device) if decoding else None
        return AttentionPlan(inputs.slots, sequences, padded)


def _slots(table: list[int], block_size: int, device: torch.device) -> Tensor:
    blocks = torch.tensor(table, dtype=torch.int64, device=device)
    return (blocks[:, None] * block_size + torch.arange(block_size, device=device)).flatten()


def _pad(decoding: list[tuple[int, int, list[int]]], block_size: int, device: torch.device) -> _PaddedDecode:
    width = max(len(table) for _, _, table in decoding)
    blocks = torch.tensor([t + [t[0]] * (width - len(t)) for _, _, t in decoding], device=device)
    slots = (blocks[:, :, None] * block_size + torch.arange(block_size, device=device)).flatten(1)
    lengths = torch.tensor([n for _, n, _ in decoding], device=device)
    mask = torch.arange(width * block_size, device=device) < lengths[:, None]
    rows = torch.tensor([row for row, _, _ in decoding], device=device)
    return _PaddedDecode(rows, slots, mask[:, None, None])


def attend(query: Tensor, key_value: Tensor, cache: Tensor, plan: AttentionPlan) -> Tensor:
    """Stores the new keys and values, then attends causally over each sequence's whole context.

    query      [N, heads, head_dim], rotated
    key_value  [N, 2 * kv_heads, head_dim], keys (rotated) before values
    cache      [slots, 2 * kv_heads, head_dim], one layer of a KVCache, written at plan.slots
    returns    [N, heads * head_dim]; scores are scaled by head_dim^-0.5
    """
    cache.index_copy_(0, plan.slots, key_value)
    if plan.padded is None and len(plan.sequences) == 1:
        return _attend_one(query, cache, plan.sequences[0])
    out = query.new_empty(query.shape[0], query.shape[1] * query.shape[2])
    for sequence in plan.sequences:
        end = sequence.first_row + sequence.query_len
        out[sequence.first_row : end] = _attend_one(query[sequence.first_row : end], cache, sequence)
    if plan.padded is not None:
        out[plan.padded.rows] = _attend_padded(query[plan.padded.rows], cache, plan.padded)
    return out


def _attend_one(query: Tensor, cache: Tensor, sequence: _Sequence) -> Tensor:
    """[n, heads, head_dim] -> [n, heads * head_dim] over one sequence's context."""
    n, heads, head_dim = query.shape
    if sequence.slots is None:
        context = cache.narrow(0, sequence.first_slot, sequence.context_len)
    else:
        context = cache.index_select(0, sequence.slots)
    keys, values = context.transpose(0, 1).unsqueeze(0).chunk(2, dim=1)
    if n == 1:
        # The query heads that share a key head are so many rows over the same keys: no head is repeated.
        grouped = query.view(1, keys.shape[1], -1, head_dim)
        return F.scaled_dot_product_attention(grouped, keys, values).view(1, heads * head_dim)
    if query.device.type != "cpu":  # not every fused kernel takes grouped heads; one copy per chunk is cheap there
        keys = keys.repeat_interleave(heads // keys.shape[1], dim=1)
        values = values.repeat_interleave(heads // values.shape[1], dim=1)
    rows = query.transpose(0, 1).unsqueeze(0)
    past = sequence.context_len - n
    if past == 0:
        out = F.scaled_dot_product_attention(rows, keys, values, is_causal=True, enable_gqa=keys.shape[1] != heads)
        return out.transpose(1, 2).reshape(n, heads * head_dim)
    pieces = []
    for start in range(0, n, MASKED_QUERY_ROWS):
        piece = rows[:, :, start : start + MASKED_QUERY_ROWS]
        seen = past + start + piece.shape[2]  # the last row of the piece sees this many tokens
        mask = torch.ones(piece.shape[2], seen, dtype=torch.bool, device=query.device).tril(past + start)
        out = F.scaled_dot_product_attention(
            piece, keys[:, :, :seen], values[:, :, :seen], attn_mask=mask, enable_gqa=keys.shape[1] != heads
        )
        pieces.append(out.transpose(1, 2).reshape(-1, heads * head_dim))
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _attend_padded(query: Tensor, cache: Tensor, padded: _PaddedDecode) -> Tensor:
    """[B, heads, head_dim] -> [B, heads * head_dim], one query token per sequence."""
    batch, heads, head_dim = query.shape
    context = cache.index_select(0, padded.slots.flatten()).view(batch, -1, *cache.shape[1:])
    keys, values = context.transpose(1, 2).chunk(2, dim=1)
    grouped = query.view(batch, keys.shape[1], -1, head_dim)
    return F.scaled_dot_product_attention(grouped, keys, values, attn_mask=padded.mask).view(batch, heads * head_dim)
