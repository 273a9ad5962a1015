"""`ForwardInputs`: all that the network may see of one step, passed as an argument, never a global.

A step is a flat batch of tokens: sequence after sequence, each contributing `query_lens[i]` new tokens that continue
a context of `context_lens[i] - query_lens[i]` tokens already in the paged KV cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ForwardInputs:
    """N = total new tokens, S = sequences.

    token_ids       int64 [N]
    positions       int64 [3, N]     temporal, height, width axes of M-RoPE
    slots           int64 [N]        KV slot (block * block_size + offset) each new token's key and value go to
    query_lens      list[int] [S]    new tokens per sequence; all 1 = a decode step
    context_lens    list[int] [S]    tokens in the cache after this step, per sequence
    block_tables    list[list[int]]  block ids of each sequence, in order
    block_size      tokens per block
    image_features  [M, hidden] or None, rows to put in place of embeddings
    image_rows      int64 [M] or None, which of the N tokens they replace
    last_rows       int64 [S']       rows whose logits are wanted (the last of each sequence that samples now)
    """

    token_ids: Tensor
    positions: Tensor
    slots: Tensor
    query_lens: list[int]
    context_lens: list[int]
    block_tables: list[list[int]]
    block_size: int
    last_rows: Tensor
    image_features: Tensor | None = None
    image_rows: Tensor | None = None

    @property
    def is_decode(self) -> bool:
        return all(n == 1 for n in self.query_lens)


class BlockTables:
    """Block tables side by side, as kernels read them, kept from step to step: a table that is still in its place is
    not laid out again, only what it has grown by.

    A table is known by its list, which may grow but not change otherwise: who gets other blocks gets another list.
    """

    def __init__(self, block_size: int) -> None:
        self.block_size = block_size
        self._rows = np.zeros((0, 0), dtype=np.int32)
        self._tables: list[list[int]] = []  # whose blocks lie in the rows
        self._filled: list[int] = []  # and how many of them

    def rows(self, tables: Sequence[list[int]], context_lens: Sequence[int]) -> NDArray[np.int32]:
        """int32 [len(tables), blocks of the longest context]; behind a context's blocks lies anything. Good until the
        next call."""
        used = [-(-length // self.block_size) for length in context_lens]
        width = max(used)
        self._make_room(len(tables), width)
        for row, (table, count) in enumerate(zip(tables, used, strict=True)):
            begin = self._filled[row] if self._tables[row] is table else 0
            if begin < count:
                self._rows[row, begin:count] = table[begin:count]
                self._tables[row], self._filled[row] = table, count
        return self._rows[: len(tables), :width]

    def _make_room(self, num_rows: int, width: int) -> None:
        if num_rows > self._rows.shape[0] or width > self._rows.shape[1]:
            # Twice as wide as it must be: contexts grow by a block every few steps.
            self._rows = np.zeros((max(num_rows, len(self._rows)), 2 * width), dtype=np.int32)
            self._tables = [[] for _ in self._rows]
            self._filled = [0] * len(self._rows)
