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
from flashweb.model.config import TextConfig
from flashweb.model.fp8_cache import quantise_heads
from flashweb.model.inputs import BlockTables, ForwardInputs
from flashweb.model.kernels import fused
from flashweb.model.kernels.decode_attention import DecodePlan, DecodeWorkspace, paged_decode
from flashweb.model.kernels.fused import bias_rotate_store, norm_add, rotation_table
from flashweb.model.kernels.prefill_attention import (
    paged_prefill,
    query_tiles,
    reference_paged_prefill,
    tokens_per_tile,
)
from flashweb.model.text import TextDecoder

# (rotated queries [N, heads, head_dim], one layer of the cache, its scales if it has any) -> [N, heads * head_dim]
Attend = Callable[[Tensor, Tensor, Tensor | None], Tensor]


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
    last_rows  int64 [n]: only these rows leave the last layer, in this order; None: all. Of none of them the last
               layer stores keys and values and computes nothing else.
    """
    feed = text.format.feed(fused)
    rotation = rotation_table(positions, text.frequencies, text.axes, x.dtype)
    layers = text.layers
    h = feed.normed(x, layers[0].before_attention)
    for i, layer in enumerate(layers):
        kept, scales = cache.layers[i], cache.scales[i]
        query = bias_rotate_store(layer.qkv(h), None, rotation, slots, kept, scales=scales)
        is_last = i + 1 == len(layers)
        if is_last and last_rows is not None and not len(last_rows):
            return x[:0]
        attended = attend(query, kept, scales)
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
class StepLists:
    """Where the contexts of a step lie and who computes them, int32 on the device.

    tables        [S, longest]
    starts        [S + 1]
    context_lens  [S]
    tiles         [programs, 2], sequence and first new token of each program for several new tokens of a sequence
    entries       [B, 2], sequence and row of each that has a single new token
    """

    tables: Tensor
    starts: Tensor
    context_lens: Tensor
    tiles: Tensor
    entries: Tensor

    @staticmethod
    def of(
        inputs: ForwardInputs,
        num_heads: int,
        num_kv_heads: int,
        num_sequences: int = 0,
        num_tiles: int = 0,
        num_entries: int = 0,
    ) -> StepLists:
        """`num_sequences`, `num_tiles`, `num_entries`: filled up to so many, with empty sequences behind the real ones
        (but for `tables`) and with tiles and entries of the last of them, which therefore has to be an empty one."""
        lengths = inputs.context_lens
        counts = np.zeros(max(num_sequences, len(lengths)), dtype=np.int32)
        counts[: len(lengths)] = inputs.query_lens
        seen = np.zeros_like(counts)
        seen[: len(lengths)] = lengths
        starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        single = np.flatnonzero(counts == 1).astype(np.int32)
        tiles = query_tiles(np.where(counts == 1, 0, counts), tokens_per_tile(num_heads, num_kv_heads))
        # Those with the most to read come first: a long one that begins last would keep the card waiting.
        tiles = tiles[np.argsort(-((seen - counts)[tiles[:, 0]] + tiles[:, 1]), kind="stable")]
        parts = (
            BlockTables(inputs.block_size).rows(inputs.block_tables, lengths),
            starts,
            seen,
            _filled_up(tiles, num_tiles, counts),
            _filled_up(np.stack((single, starts[single]), axis=1), num_entries, counts),
        )
        return StepLists(*_on_device(parts, inputs.slots.device))


def _filled_up(pairs: NDArray[np.int32], count: int, query_lens: NDArray[np.int32]) -> NDArray[np.int32]:
    if len(pairs) >= count:
        return pairs
    assert query_lens[-1] == 0, "no empty sequence is left for what fills up"
    nothing = np.array([[len(query_lens) - 1, 0]], dtype=np.int32)
    return np.concatenate((pairs, np.repeat(nothing, count - len(pairs), axis=0)))


@dataclass(frozen=True, slots=True)
class PagedRead:
    """How every layer of a step reads the cache: several new tokens of a sequence by `paged_prefill`, single ones by
    `paged_decode`, whose programs share a long context."""

    lists: StepLists
    plan: DecodePlan | None  # of the single ones, if there may be any
    block_size: int

    @staticmethod
    def of(lists: StepLists, workspace: DecodeWorkspace | None, block_size: int) -> PagedRead:
        """`workspace` may be None where nothing decodes. Launches what plans the step."""
        if not len(lists.entries):
            return PagedRead(lists, None, block_size)
        assert workspace is not None, "decoding rows need a workspace"
        return PagedRead(lists, workspace.plan(lists.context_lens, lists.entries), block_size)

    def attend(self, query: Tensor, layer: Tensor, scales: Tensor | None, out: Tensor | None = None) -> Tensor:
        """[N, heads, head_dim] over one layer of the cache -> [N, heads * head_dim], in `out` if given, where rows
        that belong to no sequence stay as they are."""
        out = query.new_empty(query.shape[0], query.shape[1] * query.shape[2]) if out is None else out
        lists, size = self.lists, self.block_size
        if len(lists.tiles):
            where = (lists.tables, lists.starts, lists.context_lens, lists.tiles)
            paged_prefill(query, layer, *where, size, out, scales=scales)
        if self.plan is not None:
            paged_decode(query, layer, lists.tables, self.plan, size, out, scales=scales)
        return out


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
    config = text.config
    lists = StepLists.of(inputs, config.num_heads, config.num_kv_heads)
    decoding = len(lists.entries)
    workspace = (
        DecodeWorkspace.allocate(
            decoding,
            config.num_heads,
            config.num_kv_heads,
            config.head_dim,
            cache.storage.dtype,
            cache.storage.device,
            query_dtype=cache.dtype,
        )
        if decoding
        else None
    )
    read = PagedRead.of(lists, workspace, inputs.block_size)
    rows = inputs.last_rows
    if rows.shape[0] == x.shape[0]:
        return run_layers(text, x, inputs.positions, inputs.slots, cache, read.attend)
    # Nothing reads the last layer's other rows: its keys and values are stored, the rest is not computed.
    hidden = torch.zeros_like(x)
    return hidden.index_copy_(0, rows, run_layers(text, x, inputs.positions, inputs.slots, cache, read.attend, rows))


def attention_error(config: TextConfig, dtype: torch.dtype, device: torch.device, *, fp8_cache: bool = False) -> float:
    """How far our attention is off on this card: the largest difference from attention written out, over the largest
    value. For a small step of everything a step can hold: prompts, a chunk, decoding rows of short and long contexts.
    """
    new, past, size = (40, 1, 9, 1, 1), (0, 300, 70, 0, 2000), 16
    made = torch.Generator().manual_seed(0)
    lengths = [n + p for n, p in zip(new, past, strict=True)]
    needed = [-(-length // size) for length in lengths]
    order = torch.randperm(sum(needed), generator=made).tolist()
    tables = [[order.pop() for _ in range(count)] for count in needed]
    nothing = torch.zeros(sum(new), dtype=torch.int64, device=device)
    inputs = ForwardInputs(
        token_ids=nothing, positions=nothing.expand(3, -1), slots=nothing, query_lens=list(new), context_lens=lengths,
        block_tables=tables, block_size=size, last_rows=nothing,
    )  # fmt: skip
    heads, kv_heads, width = config.num_heads, config.num_kv_heads, config.head_dim
    query = torch.randn(sum(new), heads, width, generator=made).to(device, dtype)
    layer = torch.randn(2 * kv_heads, sum(needed) * size, width, generator=made).to(device, dtype)
    scales = None
    if fp8_cache:
        layer, scales = quantise_heads(layer)
    lists = StepLists.of(inputs, heads, kv_heads)
    workspace = DecodeWorkspace.allocate(
        len(lists.entries), heads, kv_heads, width, layer.dtype, device, query_dtype=dtype
    )
    found = PagedRead.of(lists, workspace, size).attend(query, layer, scales).float()
    where = (lists.tables, lists.starts, lists.context_lens)
    wanted = reference_paged_prefill(query, layer, *where, size, scales).float()
    return float((found - wanted).abs().max() / wanted.abs().max()) if found.isfinite().all() else float("inf")
