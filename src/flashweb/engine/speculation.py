"""Prompt lookup: guesses what comes next from what came before, where a text repeats itself (Saxena 2023).

The last few tokens of a sequence are looked up in its own prompt and answer; what followed them there is the draft.
The engine verifies drafts with the model, so a wrong one costs time and never changes an answer. Pure Python; knows
nothing of blocks, steps or sampling.
"""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from typing import TypeAlias

MAX_DRAFTS = 7  # with the newest token, eight rows of one step
MIN_NGRAM, MAX_NGRAM = 3, 4  # two tokens are a coincidence too often: docs/experiments.md
WINDOW = 8192  # n-grams remembered, of the newest tokens: about 3 MB in a sequence of no repetition at all
MAX_PAUSE = 64  # tokens

Ngram: TypeAlias = tuple[int, ...]


class NgramIndex:
    """Where the n-grams of a growing text ended last. The text is the caller's; a place once read must not change."""

    def __init__(self, min_ngram: int = MIN_NGRAM, max_ngram: int = MAX_NGRAM, window: int = WINDOW) -> None:
        assert 1 <= min_ngram <= max_ngram, (min_ngram, max_ngram)
        self._window = window
        self._ends: dict[int, dict[Ngram, int]] = {n: {} for n in range(max_ngram, min_ngram - 1, -1)}  # longest first
        self._num_indexed = 0  # n-grams that end up to here, and have a token behind them, are known

    def find(self, tokens: Ordered[int], end: int) -> int | None:
        """Where the same tokens as the last ones of tokens[:end] ended before: the longest n-gram's newest place."""
        self._extend(tokens, end - 1)
        for n, ends in self._ends.items():
            if n < end:
                found = ends.get(tuple(tokens[end - n : end]))
                if found is not None:
                    return found
        return None

    def _extend(self, tokens: Ordered[int], end: int) -> None:
        for place in range(max(self._num_indexed, end - self._window) + 1, end + 1):
            for n, ends in self._ends.items():
                if n <= place:
                    ends[tuple(tokens[place - n : place])] = place
        for old in range(max(0, self._num_indexed - self._window) + 1, min(self._num_indexed, end - self._window) + 1):
            for n, ends in self._ends.items():
                ngram = tuple(tokens[old - n : old]) if n <= old else ()
                if ends.get(ngram) == old:
                    del ends[ngram]
        self._num_indexed = max(self._num_indexed, end)

    def __len__(self) -> int:
        return sum(map(len, self._ends.values()))


def copy_on(tokens: Ordered[int], start: int, end: int, count: int) -> list[int]:
    """`count` tokens from `start` on, as if tokens[:end] went on with them: what is copied may be copied again."""
    period = end - start
    return [tokens[start + i % period] for i in range(count)]


def match_length(tokens: Ordered[int], found: int, end: int, most: int) -> int:
    """How many tokens before `found` equal those before `end`, up to `most`."""
    length = 0
    while length < min(most, found) and tokens[found - 1 - length] == tokens[end - 1 - length]:
        length += 1
    return length


class Speculation:
    """One sequence's guesses, and how the last ones went.

    A draft is one token shorter than what matched: a long repetition is trusted further than a short one. After a
    draft of which nothing was right there is a pause, doubled each time and ended by the first success.
    """

    def __init__(self) -> None:
        self._index = NgramIndex()
        self._pause = 0
        self._resume_at = 0  # length of the text from which on there are drafts again

    def drafts(self, tokens: Ordered[int], end: int, most: int) -> tuple[int, ...]:
        """Up to `most` tokens that may follow tokens[:end]."""
        found = self._find(tokens, end)
        if found is None or most <= 0:
            return ()
        count = min(most, match_length(tokens, found, end, MAX_DRAFTS + 1) - 1)
        return tuple(copy_on(tokens, found, end, count))

    def is_repeating(self, tokens: Ordered[int], end: int) -> bool:
        """Whether tokens[:end] end with something seen before, so that a draft is likely after the next token too."""
        return self._find(tokens, end) is not None

    def learn(self, num_accepted: int, length: int) -> None:
        """The last draft came to `num_accepted` right tokens; the text is now so long."""
        self._pause = 0 if num_accepted else min(MAX_PAUSE, max(1, 2 * self._pause))
        self._resume_at = length + self._pause

    def _find(self, tokens: Ordered[int], end: int) -> int | None:
        return None if end < self._resume_at else self._index.find(tokens, end)
