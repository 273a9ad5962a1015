"""Attention over the paged key-value cache: one face, `attend`, and its reference implementation.

What a step needs is worked out once (`AttentionPlan`), then every layer writes its new keys and values and reads
each sequence's context back. The reference runs on any device through `scaled_dot_product_attention`:

- a sequence whose blocks follow each other in memory is read as a view, without a copy;
- any other sequence is gathered by slot numbers worked out once per step;
- sequences that keep decoding together are copied side by side once, and one call serves them all (`DecodeWindow`);
- on an accelerator without our kernels, where launches cost more than bytes, the decoding sequences are gathered and
  padded every step, in groups of similar length, none larger than `PADDED_BYTES`.

With our kernels (CUDA) one launch a layer reads every context in place, through the block tables: `fused_layers.py`.

Knows nothing of layers, rotary embeddings or requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flashweb.model.inputs import ForwardInputs

# Rows of a prefill chunk that share one score mask; bounds the mask to this many times the context length.
MASKED_QUERY_ROWS = 512

# A window may take this much memory beside the cache, grows by so many tokens at a time, and is not worth its copy
# when less than half of it would be read.
WINDOW_BYTES = 64 << 20
WINDOW_GROWTH = 64
WINDOW_FILL = 0.5

# Decoding sequences padded to one length are gathered in pieces of at most so many bytes (one layer's at a time).
PADDED_BYTES = 256 << 20


class KVCache:
    """Keys and values of every layer: [layers, 2 * kv_heads, slots, head_dim], keys' heads before values' heads.

    Slot s is token s % block_size of block s // block_size. A head's tokens lie together, so that a run of blocks
    is read as one stream; a token's keys and values are stored by one copy.
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
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.num_kv_heads = num_kv_heads
        self.dtype = dtype  # of what is stored and read
        shape = (num_layers, 2 * num_kv_heads, num_blocks * block_size, head_dim)
        # Zeros, not empty: masked positions of a padded gather are multiplied by 0, and 0 * NaN is NaN.
        self.storage = zeros(shape, self._stored_as(dtype), device)
        self.layers: list[Tensor] = list(self.storage.unbind(0))
        # Where numbers are kept rounded (`fp8_cache.py`), each layer's scales.
        self.scales: list[Tensor | None] = [None] * num_layers
        self._steady: _Steady | None = None

    @staticmethod
    def _stored_as(dtype: torch.dtype) -> torch.dtype:
        return dtype

    def store(self, layer: int, slots: Tensor, key_value: Tensor) -> Tensor:
        """[2 * kv_heads, N, head_dim] to the slots, int64 [N]; returns them as they will be read."""
        self.layers[layer].index_copy_(1, slots, key_value)
        return key_value

    def gather(self, slots: Tensor, layer: int | None = None) -> Tensor:
        """A copy of some slots of one layer, [2 * kv_heads, N, head_dim], or of all, with the layers before that."""
        source = self.storage if layer is None else self.layers[layer]
        return source.index_select(-2, slots)

    def views(self, first: int, count: int) -> list[tuple[Tensor, Tensor]] | None:
        """Per layer keys and values of neighbouring slots, [1, kv_heads, count, head_dim], where they lie; None where
        they are not stored as they are read."""
        run = self.storage.narrow(2, first, count).unsqueeze(1)
        keys, values = run.chunk(2, dim=2)
        return list(zip(keys.unbind(0), values.unbind(0), strict=True))

    def take_steady(self, batch: _Batch) -> DecodeWindow | None:
        """The window for a decode step, when the step before decoded the same sequences; they are then copied once.

        Taken means gone: only `keep_steady`, at the end of a step that went well, puts it back. So no step that
        failed, and none that wrote the cache in another way, leaves a window behind that no longer tells the truth.
        """
        steady, self._steady = self._steady, None
        if steady is None or not batch.continues(steady.batch):
            return None
        if steady.window is not None and max(batch.context_lens) <= steady.window.capacity:
            return steady.window
        return DecodeWindow.gather(self, batch)

    def keep_steady(self, batch: _Batch | None, window: DecodeWindow | None) -> None:
        self._steady = None if batch is None else _Steady(batch, window)

    @torch.inference_mode()  # the storage is made in it, and may be written in it alone
    def wipe(self, blocks: list[int]) -> None:
        """Zeroes blocks, so that whatever a failed step left there (NaN) cannot reach a padded gather."""
        self._steady = None
        view = self.storage.view(*self.storage.shape[:2], self.num_blocks, -1)
        view[:, :, blocks] = 0

    @torch.inference_mode()
    def wipe_slots(self, slots: list[int]) -> None:
        self._steady = None
        self.storage[:, :, slots] = 0

    @property
    def num_bytes(self) -> int:
        return self.storage.numel() * self.storage.element_size()

    @property
    def slot_bytes(self) -> int:
        """Bytes of one token in one layer, as it is read."""
        return self.storage.shape[1] * self.storage.shape[3] * self.dtype.itemsize


def zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros that, on a CPU, take memory only as they are written: the system maps zeroed pages on first touch."""
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    num_bytes, line = prod(shape) * dtype.itemsize, 64
    pages = np.zeros(num_bytes + line, dtype=np.uint8)
    start = -pages.ctypes.data % line  # whole cache lines, as torch would have it
    return torch.from_numpy(pages[start : start + num_bytes]).view(dtype).view(shape)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The sequences of a decode step: their blocks in use and tokens, the new one included."""

    tables: list[list[int]]
    context_lens: list[int]

    def continues(self, before: _Batch) -> bool:
        """The same sequences in the same order, one token on."""
        if [n - 1 for n in self.context_lens] != before.context_lens:
            return False
        return all(now[: len(then)] == then for now, then in zip(self.tables, before.tables, strict=True))


@dataclass(frozen=True, slots=True)
class _Steady:
    batch: _Batch
    window: DecodeWindow | None


class DecodeWindow:
    """Contexts of sequences that decode together, side by side: [layers, 2 * kv_heads, batch * capacity, head_dim].

    On a CPU one call over eight short contexts takes half the time of eight calls, each of which has to wake the
    other threads. Copying the contexts every step would cost as much as it saves, so the copy is kept while the same
    sequences go on, and every new token is stored in both places.
    """

    def __init__(self, storage: Tensor, batch_size: int, capacity: int) -> None:
        self.capacity = capacity
        self.layers: list[Tensor] = list(storage.unbind(0))
        self._rows = storage.view(storage.shape[0], 2, -1, batch_size, capacity, storage.shape[-1]).transpose(2, 3)

    @staticmethod
    def gather(cache: KVCache, batch: _Batch) -> DecodeWindow | None:
        """Copies the contexts; None when the window would be too large or mostly padding."""
        batch_size = len(batch.tables)
        capacity = (max(batch.context_lens) // WINDOW_GROWTH + 2) * WINDOW_GROWTH
        bytes_per_token = len(cache.layers) * cache.slot_bytes
        read = sum(batch.context_lens) / (batch_size * max(batch.context_lens))
        if batch_size * capacity * bytes_per_token > WINDOW_BYTES or read < WINDOW_FILL:
            return None
        width = -(-capacity // cache.block_size)
        blocks = torch.tensor([table + [table[0]] * (width - len(table)) for table in batch.tables])
        slots = (blocks[:, :, None] * cache.block_size + torch.arange(cache.block_size)).flatten(1)[:, :capacity]
        return DecodeWindow(cache.gather(slots.flatten()), batch_size, capacity)

    def views(self, longest: int) -> list[tuple[Tensor, Tensor]]:
        """Per layer the keys and the values, [batch, kv_heads, longest, head_dim]."""
        keys, values = self._rows.narrow(4, 0, longest).unbind(1)
        return list(zip(keys.unbind(0), values.unbind(0), strict=True))


@dataclass(frozen=True, slots=True)
class _WindowRead:
    """One step's use of a window: where the new tokens go, what is read, and what of it is padding."""

    window: DecodeWindow
    slots: Tensor  # int64 [B]
    views: list[tuple[Tensor, Tensor]]
    mask: Tensor | None  # added to the scores, [B, 1, 1, longest]; None when all contexts are equally long

    @staticmethod
    def of(window: DecodeWindow, context_lens: list[int], dtype: torch.dtype) -> _WindowRead:
        lengths, longest = torch.tensor(context_lens), max(context_lens)
        slots = torch.arange(len(context_lens)) * window.capacity + lengths - 1
        mask = None
        if min(context_lens) != longest:
            padding = torch.arange(longest) >= lengths[:, None]
            mask = torch.zeros(padding.shape, dtype=dtype).masked_fill_(padding, float("-inf"))[:, None, None]
        return _WindowRead(window, slots, window.views(longest), mask)


@dataclass(frozen=True, slots=True)
class _Context:
    """One sequence's keys and values as each layer sees them, [1, kv_heads, context_len, head_dim].

    A run of neighbouring blocks is a view, made once per step for all layers; a broken one is gathered per layer, and
    so is any that is not stored as it is read.
    """

    views: list[tuple[Tensor, Tensor]] | None
    slots: Tensor | None  # int64 [context_len]

    def read(self, cache: KVCache, layer: int) -> tuple[Tensor, Tensor]:
        if self.views is not None:
            return self.views[layer]
        assert self.slots is not None
        gathered = cache.gather(self.slots, layer).unsqueeze(0)
        keys, values = gathered.chunk(2, dim=1)
        return keys, values


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Several new tokens of one sequence: rows [first_row, end_row) of the step, `past` tokens before them."""

    first_row: int
    end_row: int
    past: int
    context: _Context


@dataclass(frozen=True, slots=True)
class _PaddedDecode:
    """Decoding sequences gathered together: rows int64 [B], slots int64 [B * L], mask bool [B, 1, 1, L]."""

    rows: Tensor  # which of the step's decoding sequences, in their order
    slots: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class _Decoding:
    """A sequence with one new token: its number among the step's decoding ones, its length and blocks in use."""

    row: int
    context_len: int
    table: list[int]


class AttentionPlan:
    """Where to write and what to read, the same for every layer of one step."""

    def __init__(self, cache: KVCache, slots: Tensor) -> None:
        self.cache = cache
        self.slots = slots  # int64 [N]
        self.chunks: list[_Chunk] = []
        self.decode_rows: list[int] = []
        # Both by the number among decode_rows, the first in that order; together every one of them once, unless a
        # window serves them all.
        self.alone: list[tuple[int, _Context]] = []
        self.padded: list[_PaddedDecode] = []
        self.steady: _Batch | None = None  # this step's, when it only decodes
        self.window: _WindowRead | None = None
        self.decode_index: Tensor | None = None  # decode_rows as int64, when they are not all rows

    @staticmethod
    def of(
        inputs: ForwardInputs,
        cache: KVCache,
        pad_decode: bool | None = None,
        padded_bytes: int = PADDED_BYTES,
    ) -> AttentionPlan:
        """`pad_decode` gathers decoding sequences together, by default on accelerators only; never more than
        `padded_bytes` at once."""
        assert inputs.block_size == cache.block_size, (inputs.block_size, cache.block_size)
        plan = AttentionPlan(cache, inputs.slots)
        device = inputs.slots.device
        pad = device.type != "cpu" if pad_decode is None else pad_decode
        decoding: list[_Decoding] = []
        if not pad and len(inputs.query_lens) > 1 and inputs.is_decode:
            plan._look_for_window(inputs)
        else:
            cache.keep_steady(None, None)
        row = 0
        for query_len, context_len, table in zip(
            inputs.query_lens, inputs.context_lens, inputs.block_tables, strict=True
        ):
            used = -(-context_len // cache.block_size)
            assert 0 < query_len <= context_len and len(table) >= used, (query_len, context_len, len(table))
            if query_len == 1:
                decoding.append(_Decoding(len(plan.decode_rows), context_len, table[:used]))
                plan.decode_rows.append(row)
            else:
                context = _context(cache, table[:used], context_len)
                plan.chunks.append(_Chunk(row, row + query_len, context_len - query_len, context))
            row += query_len
        assert row == inputs.token_ids.shape[0], (row, inputs.token_ids.shape)
        if plan.decode_rows and plan.chunks:
            plan.decode_index = torch.tensor(plan.decode_rows, device=device)
        if plan.window is None:
            plan._read_decoding(decoding, padded_bytes if pad else 0)
        return plan

    def _read_decoding(self, decoding: list[_Decoding], padded_bytes: int) -> None:
        alone: list[_Decoding] = []
        for group in _groups(decoding, padded_bytes // self.cache.slot_bytes, self.cache.block_size):
            if len(group) == 1:
                alone += group
            else:
                self.padded.append(_pad(group, self.cache.block_size, self.slots.device))
        alone.sort(key=lambda d: d.row)
        self.alone = [(d.row, _context(self.cache, d.table, d.context_len)) for d in alone]

    def _look_for_window(self, inputs: ForwardInputs) -> None:
        size = self.cache.block_size
        tables = [t[: -(-n // size)] for t, n in zip(inputs.block_tables, inputs.context_lens, strict=True)]
        self.steady = _Batch(tables, list(inputs.context_lens))
        window = self.cache.take_steady(self.steady)
        if window is not None:
            self.window = _WindowRead.of(window, inputs.context_lens, self.cache.dtype)

    def done(self) -> None:
        """Every layer has run: what the step left in the cache may be built upon."""
        self.cache.keep_steady(self.steady, self.window.window if self.window is not None else None)


def _context(cache: KVCache, table: list[int], context_len: int) -> _Context:
    first = table[0]
    is_run = table == list(range(first, first + len(table)))
    views = cache.views(first * cache.block_size, context_len) if is_run else None
    if views is not None:
        return _Context(views, None)
    return _Context(None, _slots(table, cache.block_size, cache.storage.device)[:context_len])


def _slots(table: list[int], block_size: int, device: torch.device) -> Tensor:
    blocks = torch.tensor(table, dtype=torch.int64, device=device)
    return (blocks[:, None] * block_size + torch.arange(block_size, device=device)).flatten()


def _groups(decoding: list[_Decoding], max_slots: int, block_size: int) -> list[list[_Decoding]]:
    """Neighbours in length whose number times the longest stays within `max_slots`; each group in the given order.

    From the shortest on, so that one long context does not stretch all the others: it is left to the end, and alone.
    """
    groups: list[list[_Decoding]] = []
    for d in sorted(decoding, key=lambda d: d.context_len):
        if groups and (len(groups[-1]) + 1) * len(d.table) * block_size <= max_slots:
            groups[-1].append(d)
        else:
            groups.append([d])
    return [sorted(group, key=lambda d: d.row) for group in groups]


def _pad(group: list[_Decoding], block_size: int, device: torch.device) -> _PaddedDecode:
    width = max(len(d.table) for d in group)
    blocks = torch.tensor([d.table + [d.table[0]] * (width - len(d.table)) for d in group], device=device)
    slots = (blocks[:, :, None] * block_size + torch.arange(block_size, device=device)).flatten()
    lengths = torch.tensor([d.context_len for d in group], device=device)
    mask = torch.arange(width * block_size, device=device) < lengths[:, None]
    return _PaddedDecode(torch.tensor([d.row for d in group], device=device), slots, mask[:, None, None])


def attend(query: Tensor, key_value: Tensor, plan: AttentionPlan, layer: int) -> Tensor:
    """Stores the new keys and values, then attends causally over each sequence's whole context.

    query      [N, heads, head_dim], rotated
    key_value  [N, 2 * kv_heads, head_dim], keys (rotated) before values; written at plan.slots
    returns    [N, heads * head_dim]; scores are scaled by head_dim^-0.5
    """
    cache = plan.cache
    kept = cache.store(layer, plan.slots, key_value.transpose(0, 1))
    if plan.window is not None:
        plan.window.window.layers[layer].index_copy_(1, plan.window.slots, kept)
    if not plan.chunks:
        return _decode(query, plan, layer)
    n, heads, head_dim = query.shape
    out = query.new_empty(n, heads * head_dim)
    for chunk in plan.chunks:
        keys, values = chunk.context.read(cache, layer)
        out[chunk.first_row : chunk.end_row] = _prefill(
            query[chunk.first_row : chunk.end_row], keys, values, chunk.past
        )
    if plan.decode_index is not None:
        out.index_copy_(0, plan.decode_index, _decode(query.index_select(0, plan.decode_index), plan, layer))
    return out


def _decode(query: Tensor, plan: AttentionPlan, layer: int) -> Tensor:
    """One query token per sequence: [B, heads, head_dim] -> [B, heads * head_dim].

    The query heads that share a key head are so many rows over the same keys: no head is repeated.
    """
    cache = plan.cache
    batch, heads, head_dim = query.shape
    grouped = query.view(batch, 1, cache.num_kv_heads, -1, head_dim)
    if plan.window is not None:
        keys, values = plan.window.views[layer]
        out = F.scaled_dot_product_attention(grouped[:, 0], keys, values, attn_mask=plan.window.mask)
        return out.reshape(batch, heads * head_dim)
    if len(plan.padded) == 1 and not plan.alone:
        return _attend_padded(grouped[:, 0], plan, plan.padded[0], layer).reshape(batch, heads * head_dim)
    outputs, rows = [], grouped.unbind(0)
    for row, context in plan.alone:
        keys, values = context.read(cache, layer)
        outputs.append(F.scaled_dot_product_attention(rows[row], keys, values))
    if not plan.padded:
        return (outputs[0] if batch == 1 else torch.cat(outputs)).reshape(batch, heads * head_dim)
    mixed = torch.empty_like(grouped[:, 0])
    for (row, _), output in zip(plan.alone, outputs, strict=True):
        mixed[row] = output[0]
    for group in plan.padded:
        some = grouped[:, 0].index_select(0, group.rows)
        mixed.index_copy_(0, group.rows, _attend_padded(some, plan, group, layer))
    return mixed.reshape(batch, heads * head_dim)


def _attend_padded(query: Tensor, plan: AttentionPlan, group: _PaddedDecode, layer: int) -> Tensor:
    """[B, kv_heads, heads / kv_heads, head_dim], and the same back."""
    gathered = plan.cache.gather(group.slots, layer)
    rows = gathered.view(gathered.shape[0], len(query), -1, gathered.shape[2]).transpose(0, 1)
    keys, values = rows.chunk(2, dim=1)
    return F.scaled_dot_product_attention(query, keys, values, attn_mask=group.mask)


def _prefill(query: Tensor, keys: Tensor, values: Tensor, past: int) -> Tensor:
    """[n, heads, head_dim] after `past` tokens -> [n, heads * head_dim] over [1, kv_heads, past + n, head_dim]."""
    n, heads, head_dim = query.shape
    if query.device.type != "cpu":  # not every fused kernel takes grouped heads; one copy per chunk is cheap there
        keys = keys.repeat_interleave(heads // keys.shape[1], dim=1)
        values = values.repeat_interleave(heads // values.shape[1], dim=1)
    grouped = keys.shape[1] != heads
    rows = query.transpose(0, 1).unsqueeze(0)
    if past == 0:
        out = F.scaled_dot_product_attention(rows, keys, values, is_causal=True, enable_gqa=grouped)
        return out.transpose(1, 2).reshape(n, heads * head_dim)
    pieces = []
    for start in range(0, n, MASKED_QUERY_ROWS):
        piece = rows[:, :, start : start + MASKED_QUERY_ROWS]
        seen = past + start + piece.shape[2]  # the last row of the piece sees this many tokens
        mask = torch.ones(piece.shape[2], seen, dtype=torch.bool, device=query.device).tril(past + start)
        out = F.scaled_dot_product_attention(
            piece, keys[:, :, :seen], values[:, :, :seen], attn_mask=mask, enable_gqa=grouped
        )
        pieces.append(out.transpose(1, 2).reshape(-1, heads * head_dim))
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
