"""One step as data: what bounds it, what it computes, and what came of it. Plain values."""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from dataclasses import dataclass, field
from typing import TypeAlias

from flashweb.engine.sequence import Picture, Sequence
from flashweb.engine.turns import Turn

TokenLogprobs: TypeAlias = tuple[float, tuple[tuple[int, float], ...]]


@dataclass(frozen=True, slots=True)
class Limits:
    """The engine's sizes, all decided (see `memory.decide_limits`)."""

    max_model_len: int  # tokens of prompt + answer
    max_num_seqs: int  # sequences running at once
    max_num_batched_tokens: int  # new tokens per step
    max_num_batched_patches: int  # vision patches per step, unless a single picture has more
    max_waiting: int  # sequences queued behind the running ones
    max_waiting_bytes: int  # pixels held by all sequences
    max_speculating: int = 0  # with more sequences running there are no drafts
    # New tokens of a prompt that has a step to itself, where that may be more than otherwise: nobody waits for it.
    max_lone_tokens: int | None = None
    # What a step that also decodes may have beside it, so that no stream waits long; None: as much as any other step.
    max_tokens_beside: int | None = None  # of prompts
    max_patches_beside: int | None = None  # of the tower: larger pictures are encoded in slices, a slice a step
    # The same of background work beside callers, whatever is preferred.
    max_background_tokens: int = 128
    max_background_patches: int = 256
    background_rides: bool = False  # rows are nearly free where weights are read once for all: beside decoding callers

    @property
    def most_tokens(self) -> int:
        """New tokens of the largest step there can be."""
        return max(self.max_num_batched_tokens, self.max_lone_tokens or 0)


@dataclass(frozen=True, slots=True)
class Slice:
    """One of `of` parts of the tower's blocks for one picture; the last one gives its features."""

    picture: Picture
    of: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens [start, end) of one sequence, computed in this step; `samples` when the next token comes out of it.

    The last of them may be `drafts`, guesses behind the sequence's newest token: then every row from that token on
    is sampled from.
    """

    seq: Sequence
    start: int
    end: int
    samples: bool
    life: int  # the sequence's num_preemptions when this was scheduled
    drafts: tuple[int, ...] = ()

    @property
    def num_sampled(self) -> int:
        """Rows that the next tokens are sampled from, the last ones."""
        return 1 + len(self.drafts) if self.samples else 0

    @property
    def place(self) -> int:
        """Of the first token sampled, in its answer."""
        return self.end - len(self.drafts) - self.seq.num_prompt_tokens


@dataclass(slots=True)
class Batch:
    """One step: chunks in order, the pictures that the tower must encode first, and a slice of one that is not needed
    in this step yet, which may be all there is. `owners`: the sequences that the tower works for, one per picture, or
    the slice's one."""

    chunks: list[Chunk] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    slice: Slice | None = None
    owners: list[Sequence] = field(default_factory=list)
    num_tokens: int = 0
    num_decoded: int = 0  # of these, of sequences that decode
    num_patches: int = 0
    turn: Turn = Turn.EVERYBODY
    began_at: float = 0.0  # by the scheduler's clock
    has_background: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.chunks and self.slice is None

    @property
    def is_background(self) -> bool:
        """Whether no caller waits for it."""
        return self.has_background and all(chunk.seq.is_background for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class Sampled:
    token_id: int
    logprobs: TokenLogprobs | None = None


# What a row was sampled to, or the error that concerns its sequence alone.
Row: TypeAlias = Sampled | Exception
# What a chunk came to: a token, several where drafts were right, none yet where a prompt is not finished, or an error.
Result: TypeAlias = tuple[Sampled, ...] | Exception


def accept(rows: Ordered[Row], drafts: Ordered[int]) -> Result:
    """Of the rows behind a sequence's newest token and its drafts: tokens up to the first that is not as guessed.

    Each was sampled as it would have been without drafts, from what the network made of the right tokens before it.
    A row that broke behind the first does not count: without the draft it comes again, and says whether it is so.
    There is one row alone where a step was computed again without drafts.
    """
    tokens: list[Sampled] = []
    for row, draft in zip(rows, (*drafts, None), strict=False):
        if isinstance(row, Exception):
            return tuple(tokens) or row
        tokens.append(row)
        if row.token_id != draft:
            break
    return tuple(tokens)
