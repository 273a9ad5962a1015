"""Decode steps on a GPU: one new token for each of up to B sequences, as one captured CUDA graph per batch size.

A step's numbers go into static tensors by one copy from pinned memory; then one launch replays everything from the
word embeddings to the largest logit. Tokens that the step before sampled are taken from `sampled`, where that step
left them, so nothing waits for the host. Rows that pad a batch to its graph's size have no context and no slot.

The kernels are those of `flashweb.model.kernels`; the network is `TextDecoder`'s, formula for formula. Knows nothing
of requests, schedules or sampling beyond the largest logit.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flashweb.model import graphs
from flashweb.model.attention import KVCache
from flashweb.model.fused_layers import run_layers
from flashweb.model.kernels.decode_attention import DecodeWorkspace, paged_decode
from flashweb.model.kernels.fused import rms_norm
from flashweb.model.text import TextDecoder

# Batch sizes that have a graph of their own; a batch in between is padded to the next.
LADDER = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256)
# Rows of the numbers that a step brings: token, three positions, slot, context length.
TOKEN, POSITIONS, SLOT, CONTEXT = 0, slice(1, 4), 4, 5
NUM_ROWS = 6
STAGES = 2  # steps whose numbers may lie in pinned memory at once: the one that runs and the next


class _Static:
    """The tensors that graphs read and write, of the largest batch; a smaller batch uses their beginning."""

    def __init__(self, text: TextDecoder, batch: int, width: int, dtype: torch.dtype, device: torch.device) -> None:
        vocabulary = text.config.vocab_size
        # Even rows of 8 bytes: kernels are compiled for addresses that 16 divides, and again for any other.
        self.numbers = torch.zeros(NUM_ROWS, batch + batch % 2, dtype=torch.int64, device=device)
        self.tables = torch.zeros(batch, width, dtype=torch.int32, device=device)
        self.sampled = torch.zeros(batch, dtype=torch.int64, device=device)
        self.logits = torch.empty(batch, vocabulary, dtype=torch.float32, device=device)
        self.highest = torch.empty(batch, dtype=torch.float32, device=device)
        # Zeros, not empty: rows of padding are never written, and are multiplied all the same.
        self.attended = torch.zeros(batch, text.config.num_heads * text.config.head_dim, dtype=dtype, device=device)


class DecodeGraphs:
    def __init__(
        self,
        text: TextDecoder,
        cache: KVCache,
        num_real_tokens: int,
        max_batch: int,
        max_context: int,
        *,
        capture: bool = True,
        num_sms: int | None = None,
    ) -> None:
        """Captures a graph for every size of the ladder up to `max_batch`. `capture` off: every step is launched
        kernel by kernel, for tests; `num_sms` then stands for a card's multiprocessors.
        """
        self.text, self.cache = text, cache
        self.num_real_tokens = num_real_tokens
        self.max_batch = max_batch
        self.sizes = [size for size in LADDER if size < max_batch] + [max_batch]
        device = cache.storage.device
        width = -(-max_context // cache.block_size)
        self.static = _Static(text, max_batch, width, cache.dtype, device)
        config = text.config
        self._workspace = DecodeWorkspace.allocate(
            max_batch,
            config.num_heads,
            config.num_kv_heads,
            config.head_dim,
            cache.storage.dtype,
            device,
            num_sms,
            cache.dtype,
        )
        pinned = device.type == "cuda"
        self._staging = [
            torch.zeros(NUM_ROWS * max_batch + (max_batch * width + 1) // 2, dtype=torch.int64, pin_memory=pinned)
            for _ in range(STAGES)
        ]
        self._steps = 0
        self._graphs = graphs.capture(self.sizes, device, self._prepare, self._compute) if capture else {}

    @property
    def sampled(self) -> Tensor:
        """int64 [max_batch]: tokens of the step before, which a step may refer to."""
        return self.static.sampled

    def size_for(self, batch: int) -> int:
        """The smallest captured size that holds so many sequences."""
        assert 0 < batch <= self.max_batch, (batch, self.max_batch)
        return self.sizes[bisect_left(self.sizes, batch)]

    @torch.inference_mode()
    def launch(self, numbers: NDArray[np.int64], tables: NDArray[np.int32]) -> tuple[Tensor, Tensor, Tensor]:
        """Computes one step of B sequences; nothing waits for the device.

        numbers  int64 [6, B]: token id (or -1 - row of `sampled`), three positions, slot, context length with the new
                 token
        tables   int32 [B, width], block ids of each sequence; beyond its context anything
        returns  logits fp32 [B, vocabulary], and the largest of each row with its id, fp32 and int64 [B]; all are
                 overwritten by the next step, in the stream's order
        """
        batch = numbers.shape[1]
        size = self.size_for(batch)
        self._bring(numbers, tables, size)
        known = self._graphs.get(size)
        if known is not None:
            known.graph.replay()
        else:
            self._compute(size)
        static = self.static
        return static.logits[:batch], static.highest[:batch], static.sampled[:batch]

    def _bring(self, numbers: NDArray[np.int64], tables: NDArray[np.int32], size: int) -> None:
        """Puts a step's numbers where the graph reads them: padding columns have slot -1 and no context."""
        staging = self._staging[self._steps % STAGES]
        self._steps += 1
        batch, width = tables.shape
        padded = staging[: NUM_ROWS * size].view(NUM_ROWS, size)
        host = padded.numpy()
        host[:, :batch] = numbers
        host[:, batch:] = 0
        host[SLOT, batch:] = -1
        blocks = staging[NUM_ROWS * size :].view(torch.int32)[: batch * width].view(batch, width)
        blocks.numpy()[...] = tables
        self.static.numbers[:, :size].copy_(padded, non_blocking=True)
        self.static.tables[:batch, :width].copy_(blocks, non_blocking=True)

    def _compute(self, size: int) -> None:
        """The network for `size` rows of the static tensors. This is what a graph holds."""
        text, static, cache = self.text, self.static, self.cache
        numbers = static.numbers[:, :size]
        ids = numbers[TOKEN]
        before = static.sampled.index_select(0, (-1 - ids).clamp_min(0))
        x = text.embedding(torch.where(ids < 0, before, ids))
        plan = self._workspace.plan(numbers[CONTEXT].int())
        tables, attended = static.tables[:size], static.attended[:size]

        def attend(query: Tensor, layer: Tensor, scales: Tensor | None) -> Tensor:
            return paged_decode(query, layer, tables, plan, cache.block_size, attended, scales=scales)

        x = run_layers(text, x, numbers[POSITIONS], numbers[SLOT], cache, attend)
        logits = static.logits[:size]
        logits.copy_(text.head(rms_norm(x, text.norm.weight, text.norm.eps)))
        if self.num_real_tokens < logits.shape[1]:
            logits[:, self.num_real_tokens :] = float("-inf")
        torch.max(logits, dim=1, out=(static.highest[:size], static.sampled[:size]))

    def _prepare(self, size: int) -> None:
        """Nothing but padding."""
        self.static.numbers.zero_()
        self.static.numbers[SLOT] = -1
