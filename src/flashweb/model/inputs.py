"""`ForwardInputs`: all that the network may see of one step, passed as an argument, never a global.

A step is a flat batch of tokens: sequence after sequence, each contributing `query_lens[i]` new tokens that continue
a context of `context_lens[i] - query_lens[i]` tokens already in the paged KV cache.
"""

from __future__ import annotations

from dataclasses import dataclass

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
