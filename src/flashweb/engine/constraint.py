"""`Constraint`: one sequence's grammar, how far its answer has got in it, and which tokens it may go on with.

`Grammars` compiles them and remembers the compiled; `Masks` computes the allowed tokens of a step's rows on a thread
of its own, while the device computes the step's logits. Knows nothing of torch, batches or sockets.

A constraint follows the sequence's own tokens, one `accept` each, never guesses: drafts are walked through and taken
back within one call. So preemption, chunks of a prompt and steps computed again need nothing here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import llguidance
import numpy as np
from numpy.typing import NDArray

from flashweb.engine.protocol import WireStructure
from flashweb.errors import InvalidRequest
from flashweb.structured.grammar import compile_structure
from flashweb.structured.vocabulary import Vocabulary
from flashweb.types import Structure

CACHE_BYTES = 64 << 20
# What a compiled grammar holds, generously: 1,000 optional properties (a source of 30 kB) were measured at 7 MB.
GRAMMAR_BYTES, BYTES_PER_CHARACTER = 256 << 10, 256

Mask = NDArray[np.int32]  # [words]: bit i % 32 of word i // 32 is set where token i is allowed


class Constraint:
    def __init__(self, matcher: llguidance.LLMatcher, vocabulary: Vocabulary, after_token: int | None = None) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._after = after_token  # until it has come nothing is demanded but that the answer goes on
        self._error = ""

    @property
    def is_complete(self) -> bool:
        """Whether the answer is whole and nothing can follow."""
        return self._after is None and not self._error and bool(self._matcher.is_stopped())

    def accept(self, token_id: int) -> None:
        """The answer's next token. One that is not allowed makes every later mask an error."""
        if self._after is not None:
            if token_id == self._after:
                self._after = None
        elif not self._error and not self._matcher.is_stopped() and not self._matcher.consume_token(token_id):
            self._error = self._matcher.get_error() or "a token came that it does not allow"

    def num_allowed(self, drafts: Sequence[int]) -> int:
        """How many of these could follow one after the other. Guesses never end an answer or pass a thought's end:
        what comes behind is then not a guess's to decide."""
        eos = self._vocabulary.eos_token_ids
        count = next((i for i, token in enumerate(drafts) if token in eos), len(drafts))
        if self._after is not None:
            return drafts.index(self._after) if self._after in drafts else count
        if self._error or self._matcher.is_stopped():
            return 0
        return int(self._matcher.validate_tokens(list(drafts[:count])))

    def fill(self, rows: NDArray[np.int32], drafts: Sequence[int], held_back: Collection[int] = ()) -> None:
        """Masks of the next token and of the one behind each draft: int32 [1 + len(drafts), words]. `held_back`: tokens
        that are not to be chosen while there are others. Raises InvalidRequest when there are none at all."""
        if self._after is not None:
            rows[:] = -1
            _clear(rows, self._vocabulary.eos_token_ids)
            return
        consumed = 0
        for index, row in enumerate(rows):
            if index and not self._error and self._matcher.consume_token(drafts[index - 1]):
                consumed += 1
            self._fill_one(row, held_back)
        if consumed and not self._matcher.rollback(consumed):
            self._error = "its drafts cannot be taken back"

    def _fill_one(self, row: Mask, held_back: Collection[int]) -> None:
        if not self._error:
            self._matcher.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
            self._error = self._matcher.get_error()
        if self._error or not row.any():
            raise _dead_end(self._error)
        if held_back:
            before = row.copy()
            _clear(row[None], held_back)
            if not row.any():
                row[:] = before


def _clear(rows: NDArray[np.int32], tokens: Collection[int]) -> None:
    bits = rows.view(np.uint32)
    for token in tokens:
        if token // 32 < bits.shape[1]:
            bits[:, token // 32] &= np.uint32(0xFFFFFFFF ^ (1 << token % 32))


def _dead_end(reason: str) -> InvalidRequest:
    line = reason.strip().partition("\n")[0][:200] or "no token is allowed"
    return InvalidRequest(f"this answer cannot go on as its schema or grammar demands: {line}; make it simpler")


class Grammars:
    """Compiled grammars, the least recently used forgotten first. Safe to be used from two threads."""

    def __init__(self, load: Callable[[], Vocabulary], most_bytes: int = CACHE_BYTES) -> None:
        self._load = load
        self._vocabulary: Vocabulary | None = None
        self._most_bytes = most_bytes
        self._compiled: OrderedDict[tuple[str, str], llguidance.LLMatcher] = OrderedDict()
        self._num_bytes = 0
        self._lock = Lock()

    @classmethod
    def of_checkpoint(cls, folder: str, eos_token_ids: Sequence[int]) -> Grammars:
        return cls(lambda: Vocabulary.load(Path(folder), eos_token_ids))

    def __contains__(self, structure: WireStructure) -> bool:
        return (structure.kind, structure.source) in self._compiled

    @property
    def vocabulary(self) -> Vocabulary:
        """Read when it is wanted for the first time."""
        if self._vocabulary is None:
            self._vocabulary = self._load()
        return self._vocabulary

    def constraint(self, structure: WireStructure) -> Constraint:
        """A new answer's. Raises InvalidRequest, CheckpointError."""
        key = structure.kind, structure.source
        with self._lock:
            matcher = self._compiled.get(key)
            if matcher is not None:
                self._compiled.move_to_end(key)
        if matcher is None:
            matcher = compile_structure(Structure(structure.kind, structure.source), self.vocabulary)
            with self._lock:  # not held while something compiles: the other thread's may be ready
                self._remember(key, matcher)
        return Constraint(matcher.deep_copy(), self.vocabulary, structure.after_token)

    def _remember(self, key: tuple[str, str], matcher: llguidance.LLMatcher) -> None:
        if key not in self._compiled:
            self._num_bytes += _num_bytes(key)
        self._compiled[key] = matcher
        while self._num_bytes > self._most_bytes and len(self._compiled) > 1:
            self._num_bytes -= _num_bytes(self._compiled.popitem(last=False)[0])


def _num_bytes(key: tuple[str, str]) -> int:
    return GRAMMAR_BYTES + BYTES_PER_CHARACTER * len(key[1])


@dataclass(frozen=True, slots=True)
class MaskWanted:
    """One chunk's rows: a constraint, its drafts, and what it holds back."""

    constraint: Constraint
    drafts: tuple[int, ...] = ()
    held_back: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class MaskRows:
    """Masks of a step's constrained rows, and the errors of those that cannot go on, by row: theirs mean nothing."""

    bits: NDArray[np.int32]  # [rows, words]
    errors: dict[int, InvalidRequest]


class Masks:
    """Fills the masks of a step on a thread of its own; llguidance computes without the interpreter's lock."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="masks")

    def begin(self, wanted: Sequence[MaskWanted]) -> Callable[[], MaskRows]:
        """Starts with it; the function waits for the end."""
        return self._threads.submit(fill_rows, wanted).result


def fill_rows(wanted: Sequence[MaskWanted]) -> MaskRows:
    """In the order they are wanted, a row for each next token and one behind each draft."""
    counts = [1 + len(one.drafts) for one in wanted]
    bits = np.full((sum(counts), wanted[0].constraint._vocabulary.num_words), -1, dtype=np.int32)
    errors: dict[int, InvalidRequest] = {}
    start = 0
    for one, count in zip(wanted, counts, strict=True):
        rows = bits[start : start + count]
        try:
            one.constraint.fill(rows, one.drafts, one.held_back)
        except InvalidRequest as error:
            errors.update(dict.fromkeys(range(start, start + count), error))
        start += count
    return MaskRows(bits, errors)
