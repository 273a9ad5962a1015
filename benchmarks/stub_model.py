"""A network that computes nothing: what is left is everything the engine does around one.

`StubModel` has the face of `Glm4v` and a decoder like `DecodeGraphs`, so that decode steps go the way they go on a GPU
(`decode_numbers`, one launch, pending tokens). A step takes `step_seconds` of sleep, as a GPU's would, and brings each
row the next of `words`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flashweb.model.inputs import ForwardInputs
from flashweb.types import Grid

KV_BYTES_PER_TOKEN = 64  # made up: the cache holds nothing


class StubCache:
    def wipe(self, blocks: list[int]) -> None:
        pass


class StubDecoder:
    """Decode steps of at most `max_batch` rows."""

    def __init__(self, words: Sequence[int], vocab_size: int, max_batch: int, step_seconds: float) -> None:
        self.max_batch = max_batch
        self.sampled = torch.zeros(max_batch, dtype=torch.int64)
        self._words = torch.tensor(words, dtype=torch.int64)
        self._logits = torch.zeros(max_batch, vocab_size)
        self._highest = torch.zeros(max_batch)
        self._rows = torch.arange(max_batch)
        self._num_steps = 0
        self._step_seconds = step_seconds
        self._ends = 0.0

    def launch(self, numbers: NDArray[np.int64], tables: NDArray[np.int32]) -> tuple[Tensor, Tensor, Tensor]:
        self._wait()
        batch = numbers.shape[1]
        self._num_steps += 1
        tokens = self._words[(self._rows[:batch] + self._num_steps) % len(self._words)]
        return self._logits[:batch], self._highest[:batch], tokens

    def _wait(self) -> None:
        """Until the step before has ended."""
        now = time.perf_counter()
        if self._ends > now:
            time.sleep(self._ends - now)
        self._ends = max(now, self._ends) + self._step_seconds


class StubModel:
    """Glm4v's face. Prompts and pictures cost nothing."""

    def __init__(self, words: Sequence[int], vocab_size: int, step_seconds: float = 0.0) -> None:
        self.device = torch.device("cpu")
        self.dtype = torch.bfloat16
        self.weight_bytes = 0
        text = SimpleNamespace(
            vocab_size=vocab_size, max_position_embeddings=32768, num_heads=1, num_kv_heads=1, head_dim=1
        )
        self.config = SimpleNamespace(text=text, vision=SimpleNamespace(patch_values=588))
        self._words = words
        self._step_seconds = step_seconds
        self._first = torch.zeros(1, vocab_size)
        self._first[0, words[0]] = 1.0

    def kv_bytes_per_token(self) -> int:
        return KV_BYTES_PER_TOKEN

    def new_kv_cache(self, num_blocks: int, block_size: int) -> StubCache:
        return StubCache()

    def new_decoder(self, max_batch: int) -> StubDecoder:
        return StubDecoder(self._words, self.config.text.vocab_size, max_batch, self._step_seconds)

    def encode_images(self, patches: list[Tensor], grids: list[Grid]) -> list[Tensor]:
        return [torch.zeros(grid.num_tokens, 1) for grid in grids]

    def forward(self, inputs: ForwardInputs, cache: StubCache) -> Tensor:
        return torch.zeros(len(inputs.token_ids), 1)

    def logits(self, hidden_rows: Tensor) -> Tensor:
        return self._first.expand(len(hidden_rows), -1)
