"""`Vocabulary`: a checkpoint's tokens as llguidance wants them, and the width of its masks.

Control tokens are marked as such: no pattern of text ever allows one, whatever its name spells; a grammar can only
name them. Tokens that end an answer are allowed where the answer may end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import llguidance


class Tokens(Protocol):
    """What is needed of a tokenizer (`flashweb.prompt.tokenizer.Tokenizer`)."""

    num_tokens: int
    control_names: Mapping[int, str]

    def encode(self, text: str) -> list[int]: ...
    def id_to_bytes(self, id: int) -> bytes: ...


class Vocabulary:
    def __init__(self, tokens: Tokens, eos_token_ids: Sequence[int]) -> None:
        """`eos_token_ids`: at least one. Takes a fraction of a second for 150,000 tokens."""
        assert eos_token_ids, "without a token that ends it an answer cannot be complete"
        self.num_tokens = tokens.num_tokens
        self.eos_token_ids = frozenset(eos_token_ids)
        self.num_words = -(-self.num_tokens // 32)  # int32 words of a mask
        wrapper = llguidance.TokenizerWrapper(_Face(tokens, eos_token_ids[0]))
        self.tokenizer = llguidance.LLTokenizer(wrapper, n_vocab=tokens.num_tokens, eos_token=list(eos_token_ids))

    @classmethod
    def load(cls, folder: Path, eos_token_ids: Sequence[int]) -> Vocabulary:
        """From a checkpoint's `tokenizer.json`. Raises CheckpointError."""
        from flashweb.prompt.tokenizer import Tokenizer  # only where there is a structured request

        return cls(Tokenizer(folder / "tokenizer.json"), eos_token_ids)


class _Face:
    """The attributes that `llguidance.TokenizerWrapper` reads."""

    def __init__(self, tokens: Tokens, eos_token_id: int) -> None:
        self.eos_token_id = eos_token_id
        self.bos_token_id = None
        self.tokens = [tokens.id_to_bytes(id) for id in range(tokens.num_tokens)]
        self.special_token_ids = sorted(tokens.control_names)
        self._encode = tokens.encode

    def __call__(self, text: str) -> list[int]:
        return self._encode(text)
