"""The decoder's layers by our kernels: the same stretch for captured decode steps, captured prompts and plain steps.

What differs between them is how attention reads the cache, which the caller passes in. The network is `TextDecoder`'s,
formula for formula; norms are fused with the sums before them across the borders of layers. Needs Triton.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flashweb.model.attention import KVCache
from flashweb.model.inputs import BlockTables, ForwardInputs
from flashweb.model.kernels import fused
from flashweb.model.kernels.fused import bias_rotate_store, norm_add, rotation_table
from flashweb.model.kernels.prefill_attention import paged_prefill, query_tiles, tokens_per_tile
from flashweb.model.text import TextDecoder

# (rotated queries [N, heads, head_dim], one layer of the cache) -> [N, heads * head_dim]
Attend = Callable[[Tensor, Tensor], Tensor]


def run_layers(
    text: TextDecoder,
    x: Tensor,
    positions: Tensor,
    slots: Tensor,
    cache: KVCache,
    attend: Attend,
    last_rows: Tensor | None = None,
) -> Tensor:
    """Embeddings [N, hidden] to what the final norm takes; `x` is overwritten.

    positions  int64 [3, N]
    slots      int [N], where keys and values are stored; -1 is padding and not stored
    last_rows  int64 [n]: only these rows leave the last layer, in this order; None: all
    """
    feed = text.format.feed(fused)
    rotation = rotation_table(positions, text.frequencies, text.axes, x.dtype)
    layers = text.layers
    h = feed.normed(x, layers[0].before_attention)
    for i, layer in enumerate(layers):
        query = bias_rotate_store(layer.qkv(h), None, rotation, slots, cache.layers[i])
        attended = attend(query, cache.layers[i])
        is_last = i + 1 == len(layers)
        if is_last and last_rows is not None:
            x, attended = x.index_select(0, last_rows), attended.index_select(0, last_rows)
        x, h = feed.add_normed(x, layer.output(attended), layer.after_attention, layer.before_mlp)
        y = layer.down(feed.gated(layer.gate_up(h)))
        if is_last:
            x = norm_add(x, y, layer.after_mlp.weight, layer.after_mlp.eps)
        else:
            x, h = feed.add_normed(x, y, layer.after_mlp, layers[i + 1].before_attention)
    return x


@dataclass(frozen=True, slots=True)
class PagedRead:
    """How `paged_prefill` finds every context of a step, int32 on the device."""

    tables: Tensor  # [S, longest]
    starts: Tensor  # [S + 1]
    context_lens: Tensor  # [S]
    tiles: Tensor  # [programs, 2]
    block_size: int

    @staticmethod
    def of(
        inputs: ForwardInputs, num_heads: int, num_kv_heads: int, num_sequences: int = 0, num_tiles: int = 0
    ) -> PagedRead:
        """`num_sequences` and `num_tiles`: filled up to so many, with empty sequences behind the real ones (but for
        `tables`) and with tiles of the last of them, which therefore has to be an empty one."""
        size, lengths = inputs.block_size, inputs.context_lens
        tables = BlockTables(size).rows(inputs.block_tables, lengths)
        counts = np.zeros(max(num_sequences, len(lengths)), dtype=np.int32)
        counts[: len(lengths)] = inputs.query_lens
        seen = np.zeros_like(counts)
        seen[: len(lengths)] = lengths
        tiles = query_tiles(inputs.query_lens, tokens_per_tile(num_heads, num_kv_heads))
        if num_tiles > len(tiles):
            assert counts[-1] == 0, "no empty sequence is left for the tiles that fill up"
            nothing = np.tile(np.array([[len(counts) - 1, 0]], dtype=np.int32), (num_tiles - len(tiles), 1))
            tiles = np.concatenate((tiles, nothing))
        starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        there, first_rows, context_lens, programs = _on_device((tables, starts, seen, tiles), inputs.slots.device)
        return PagedRead(there, first_rows, context_lens, programs, size)

    def attend(self, query: Tensor, layer: Tensor, out: Tensor | None = None) -> Tensor:
        """[N, heads, head_dim] over one layer of the cache -> [N, heads * head_dim], in `out` if given, where rows
        that belong to no sequence stay as they are."""
        out = query.new_empty(query.shape[0], query.shape[1] * query.shape[2]) if out is None else out
        return paged_prefill(
            query, layer, self.tables, self.starts, self.context_lens, self.tiles, self.block_size, out
        )


def _on_device(parts: Sequence[NDArray[np.int32]], device: torch.device) -> list[Tensor]:
    """One copy for all. Each part begins at a multiple of 16 bytes: kernels are compiled again for other addresses."""
    sizes = [-(-part.size // 4) * 4 for part in parts]
    host = np.zeros(sum(sizes), dtype=np.int32)
    begins = np.cumsum([0, *sizes]).tolist()
    for part, begin in zip(parts, begins, strict=False):
        host[begin : begin + part.size] = part.ravel()
    moved = torch.from_numpy(host)
    if device.type != "cpu":
        moved = moved.pin_memory().to(device, non_blocking=True)
    return [moved[begin:][: part.size].view(part.shape) for part, begin in zip(parts, begins, strict=False)]


def forward(text: TextDecoder, inputs: ForwardInputs, cache: KVCache) -> Tensor:
    """`TextDecoder.forward`, launch by launch."""
    x = text.embed(inputs)
    read = PagedRead.of(inputs, text.config.num_heads, cache.num_kv_heads)
    rows = inputs.last_rows
    if rows.shape[0] == x.shape[0]:
        return run_layers(text, x, inputs.positions, inputs.slots, cache, read.attend)
    # Nothing reads the last layer's other rows: its keys and values are stored, the rest is not computed.
    hidden = torch.zeros_like(x)
    return hidden.index_copy_(0, rows, run_layers(text, x, inputs.positions, inputs.slots, cache, read.attend, rows))
