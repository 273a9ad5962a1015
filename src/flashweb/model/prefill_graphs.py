"""Steps with prompts on a GPU as captured CUDA graphs: any mix of chunks and decoding rows of up to N tokens.

A step of a few hundred tokens takes the device some ten milliseconds, and the host twice as long to launch kernel by
kernel. So the layers are captured once for each size of a ladder, and a step is padded to the next size: padding tokens
have no slot, belong to no sequence, and nobody reads their rows. Embeddings and pictures' features go into a static
tensor before, the head is computed after, for the rows that are wanted alone.

The layers are `fused_layers.run_layers`. Knows nothing of requests, schedules or sampling.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import partial

import torch
from torch import Tensor

from flashweb.model import graphs
from flashweb.model.attention import KVCache
from flashweb.model.fused_layers import PagedRead, StepLists, run_layers
from flashweb.model.inputs import ForwardInputs
from flashweb.model.kernels.decode_attention import DecodeWorkspace
from flashweb.model.kernels.prefill_attention import tokens_per_tile
from flashweb.model.text import TextDecoder

# Tokens of a step that have a graph of their own. Even with 2,048 the device waits for a host that launches kernel by
# kernel: 74 ms instead of about 50 (bf16, H200).
LADDER = (16, 32, 64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1408, 1536, 1792, 2048)


class PrefillGraphs:
    def __init__(
        self,
        text: TextDecoder,
        cache: KVCache,
        max_tokens: int,
        max_sequences: int,
        max_context: int,
        *,
        capture: bool = True,
        num_sms: int | None = None,
    ) -> None:
        """Captures a graph for every size of the ladder up to `max_tokens`. `capture` off: every step is launched
        kernel by kernel, for tests; `num_sms` then stands for a card's multiprocessors.
        """
        self.text, self.cache = text, cache
        self.sizes = [size for size in LADDER if size <= max_tokens]
        self.max_sequences = max_sequences
        config = text.config
        self._tile = tokens_per_tile(config.num_heads, config.num_kv_heads)
        dtype, device = cache.dtype, cache.storage.device
        most = self.sizes[-1] if self.sizes else 0
        self._x = torch.zeros(most, config.hidden_size, dtype=dtype, device=device)
        # Zeros, not empty: rows of padding are never written, and are multiplied all the same.
        self._attended = torch.zeros(most, config.num_heads * config.head_dim, dtype=dtype, device=device)
        self._positions = torch.zeros(3, most, dtype=torch.int64, device=device)
        self._slots = torch.full((most,), -1, dtype=torch.int64, device=device)
        # One sequence more than there can be: it is always empty, and padding tiles and entries belong to it.
        sequences, width = max_sequences + 1, -(-max_context // cache.block_size)
        entries = self._num_entries(most)
        self._lists = StepLists(
            torch.zeros(sequences, width, dtype=torch.int32, device=device),
            torch.zeros(sequences + 1, dtype=torch.int32, device=device),
            torch.zeros(sequences, dtype=torch.int32, device=device),
            torch.full((self._num_tiles(most), 2), sequences - 1, dtype=torch.int32, device=device),
            torch.full((entries, 2), sequences - 1, dtype=torch.int32, device=device),
        )
        self._workspace = DecodeWorkspace.allocate(
            entries, config.num_heads, config.num_kv_heads, config.head_dim, cache.storage.dtype, device, num_sms, dtype
        )
        self._graphs = graphs.capture(self.sizes, device, self._prepare, self._compute) if capture else {}

    def fits(self, inputs: ForwardInputs) -> bool:
        """Whether a step is small enough for a graph."""
        tokens, sequences = inputs.token_ids.shape[0], len(inputs.query_lens)
        return bool(self.sizes) and tokens <= self.sizes[-1] and sequences <= self.max_sequences

    @torch.inference_mode()
    def forward(self, inputs: ForwardInputs) -> Tensor:
        """[N, hidden] before the final norm, all rows; overwritten by the next step, in the stream's order."""
        tokens = inputs.token_ids.shape[0]
        size = self.sizes[bisect_left(self.sizes, tokens)]
        self._bring(inputs, tokens, size)
        known = self._graphs.get(size)
        if known is None:
            return self._compute(size)[:tokens]
        known.graph.replay()
        return known.result[:tokens]

    def _bring(self, inputs: ForwardInputs, tokens: int, size: int) -> None:
        """Puts a step where the graph reads it."""
        config, static = self.text.config, self._lists
        lists = StepLists.of(
            inputs,
            config.num_heads,
            config.num_kv_heads,
            self.max_sequences + 1,
            self._num_tiles(size),
            self._num_entries(size),
        )
        sequences, width = lists.tables.shape
        static.tables[:sequences, :width].copy_(lists.tables)
        static.starts.copy_(lists.starts)
        static.context_lens.copy_(lists.context_lens)
        static.tiles[: len(lists.tiles)].copy_(lists.tiles)
        static.entries[: len(lists.entries)].copy_(lists.entries)
        self._x[:tokens].copy_(self.text.embed(inputs))
        self._x[tokens:size].zero_()  # a graph changes it in place, and numbers would grow from step to step
        self._positions[:, :tokens].copy_(inputs.positions)
        self._slots[:tokens].copy_(inputs.slots)
        self._slots[tokens:size].fill_(-1)

    def _num_tiles(self, tokens: int) -> int:
        """Programs that any mix of sequences with so many tokens needs at most; those of one token need none."""
        return min(tokens, -(-tokens // self._tile) + min(self.max_sequences, tokens // 2))

    def _num_entries(self, tokens: int) -> int:
        """Sequences with a single token that there can be at most."""
        return min(tokens, self.max_sequences)

    def _compute(self, size: int) -> Tensor:
        """The layers for `size` rows of the static tensors. This is what a graph holds."""
        static = self._lists
        tiles, entries = static.tiles[: self._num_tiles(size)], static.entries[: self._num_entries(size)]
        lists = StepLists(static.tables, static.starts, static.context_lens, tiles, entries)
        attend = partial(PagedRead.of(lists, self._workspace, self.cache.block_size).attend, out=self._attended[:size])
        return run_layers(self.text, self._x[:size], self._positions[:, :size], self._slots[:size], self.cache, attend)

    def _prepare(self, size: int) -> None:
        """Nothing but padding."""
        self._x[:size].zero_()
