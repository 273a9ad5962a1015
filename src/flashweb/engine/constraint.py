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
from typing import Any

import llguidance
import numpy as np
from numpy.typing import NDArray

from flashweb.engine.protocol import WireStructure
from flashweb.errors import InvalidRequest, is_failure
from flashweb.structured.grammar import compile_structure
from flashweb.structured.vocabulary import Vocabulary
from flashweb.types import Structure

CACHE_BYTES = 64 << 20
# What a compiled grammar holds, generously: 1,000 optional properties (a source of 30 kB) were measured at 7 MB.
GRAMMAR_BYTES, BYTES_PER_CHARACTER = 256 << 10, 256

Mask = NDArray[np.int32]  # [words]: bit i % 32 of word i // 32 is set where token i is allowed


class Constraint:
    def __init__(
        self,
        matcher: llguidance.LLMatcher,
        vocabulary: Vocabulary,
        after_token: int | None = None,
        thought_end_ids: Collection[int] = (),
    ) -> None:
        """`after_token` ends a thought, which is free; `thought_end_ids` are all tokens that do. One of the others, as
        the beginning of a call, may come in a thought only where the structure itself can begin with it."""
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._after = after_token  # until it has come nothing is demanded but that the answer goes on
        self._error = ""
        self._is_stopped = bool(matcher.is_stopped())  # nothing can follow, or an error
        ends = [] if after_token is None else [id for id in thought_end_ids if id != after_token]
        self._first = frozenset(id for id in ends if matcher.validate_tokens([id]))
        self._not_in_thought = vocabulary.eos_token_ids.union(id for id in ends if id not in self._first)

    @property
    def is_complete(self) -> bool:
        """Whether the answer is whole and nothing can follow."""
        return self._after is None and not self._error and self._is_stopped

    def accept(self, token_id: int) -> None:
        """The answer's next token. One that is not allowed makes every later mask an error."""
        if self._after is not None:
            if token_id == self._after or token_id in self._first:
                self._after = None
            if token_id not in self._first:
                return
        if self._error or self._is_stopped:
            return
        if not self._consume(token_id):
            self._error = self._error or self._matcher.get_error() or "a token came that it does not allow"
        self._is_stopped = bool(self._matcher.is_stopped())

    def num_allowed(self, drafts: Sequence[int]) -> int:
        """How many of these could follow one after the other. Guesses never end an answer or pass a thought's end:
        what comes behind is then not a guess's to decide."""
        ends = self._vocabulary.eos_token_ids
        if self._after is not None:
            ends = self._not_in_thought.union(self._first, (self._after,))
        count = next((i for i, token in enumerate(drafts) if token in ends), len(drafts))
        if self._after is not None:
            return count
        if self._error or self._is_stopped:
            return 0
        return int(self._ask(self._matcher.validate_tokens, list(drafts[:count]), failed=0))

    def fill(self, rows: NDArray[np.int32], wanted: MaskWanted) -> tuple[list[str], list[bool]]:
        """Masks of the next token and of the one behind each draft: int32 [1 + len(drafts), words], all of them set
        before. Gives what is wrong with each row, as a rule "", and where likeliest tokens are known, whether each is
        allowed: then its row is left as it is. A row that allows nothing is not looked for."""
        likeliest = wanted.likeliest
        if self._after is not None:
            _clear(rows, self._not_in_thought)
            return [""] * len(rows), [token not in self._not_in_thought for token in likeliest]
        errors: list[str] = []
        passed: list[bool] = []
        num_consumed = 0
        for index in range(len(rows)):
            if index and not self._error and self._consume(wanted.drafts[index - 1]):
                num_consumed += 1
            if likeliest:
                passed.append(not self._error and self._is_next(likeliest[index]))
            if not self._error and not (likeliest and passed[index]):
                self._ask(self._matcher.unsafe_compute_mask_ptr, rows[index].ctypes.data, rows.strides[0], failed=None)
                self._error = self._error or self._matcher.get_error()
            errors.append(self._error)
        if num_consumed and not self._error and not self._ask(self._matcher.rollback, num_consumed, failed=False):
            self._error = self._error or "its drafts cannot be taken back"
        for row in rows if wanted.held_back else ():
            _hold_back(row, wanted.held_back)
        return errors, passed

    def _is_next(self, token_id: int) -> bool:
        return bool(self._ask(self._matcher.validate_tokens, [token_id], failed=0))

    def _consume(self, token_id: int) -> bool:
        return bool(self._ask(self._matcher.consume_token, token_id, failed=False))

    def _ask(self, call: Callable[..., Any], *arguments: Any, failed: Any) -> Any:
        """llguidance makes its own panics errors of the matcher. What comes out of it in spite of that ends this
        answer, and no other: the matcher is not asked again."""
        try:
            return call(*arguments)
        except BaseException as error:
            if not is_failure(error):
                raise
            self._error = f"{type(error).__name__}: {error}"
            return failed


def _hold_back(row: Mask, tokens: Collection[int]) -> None:
    before = row.copy()
    _clear(row[None], tokens)
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

    def constraint(self, structure: WireStructure, thought_end_ids: Collection[int] = ()) -> Constraint:
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
        return Constraint(matcher.deep_copy(), self.vocabulary, structure.after_token, thought_end_ids)

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
    """One chunk's rows: a constraint, its drafts, what it holds back while there are other tokens, and, where a row's
    choice is its largest logit and that is known, the likeliest token of each: if it is allowed it is the choice."""

    constraint: Constraint
    drafts: tuple[int, ...] = ()
    held_back: Collection[int] = ()
    likeliest: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class MaskRows:
    """Masks of a step's constrained rows, in their order, and the errors of those that cannot go on: their masks mean
    nothing. `settled` are the rows whose likeliest token is known, `refused` those of them where it is not allowed;
    the rest of them have no mask."""

    bits: NDArray[np.int32]  # [rows, words]
    errors: dict[int, InvalidRequest]
    settled: frozenset[int] = frozenset()
    refused: tuple[int, ...] = ()


class Masks:
    """Fills the masks of a step on a thread of its own; llguidance computes without the interpreter's lock."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="masks")

    def begin(self, wanted: Sequence[MaskWanted]) -> Callable[[], MaskRows]:
        """Starts with it; the function waits for the end."""
        return self._threads.submit(fill_rows, wanted).result


def fill_rows(wanted: Sequence[MaskWanted]) -> MaskRows:
    """In the order they are wanted, a row for each next token and one behind each draft."""
    num_rows = sum(1 + len(one.drafts) for one in wanted)
    bits = np.full((num_rows, wanted[0].constraint._vocabulary.num_words), -1, dtype=np.int32)
    reasons: list[str] = []
    settled: list[int] = []
    refused: list[int] = []
    for one in wanted:
        start = len(reasons)
        found, passed = one.constraint.fill(bits[start : start + 1 + len(one.drafts)], one)
        reasons += found
        settled += range(start, start + len(passed))
        refused += [start + index for index, allowed in enumerate(passed) if not allowed]
    dead: list[int] = []
    if refused or len(settled) < num_rows or any(reasons):
        is_alive = np.asarray(bits.any(axis=1))
        dead = [row for row, reason in enumerate(reasons) if reason or not is_alive[row]]
    return MaskRows(bits, {row: _dead_end(reasons[row]) for row in dead}, frozenset(settled), tuple(refused))
