"""`Work`: what one request was made of and what it took, filled in on its way and read at its end by all who tell of
it: the answer's `timings_ms`, `Server-Timing`, the access log and the list of recent requests.

The HTTP side opens one for each request (`open_work`) and the pipeline's door finds it there (`current_work`), so that
an endpoint that answers a chat has nothing to hand on. Nothing here is done per token.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from flashweb.types import EngineTimes, FinishReason, PictureTimes, Usage

# In the order of a request's way, which is the contract's.
STAGES = ("fetch", "decode", "preprocess", "queue", "encode", "prefill", "decode_tokens")
MAX_HASHES = 4  # of a request's pictures, in one field
_NO_TIMES = EngineTimes(0.0, 0.0, 0.0)


# Of one choice's look-up among the answers that are kept: computed for it, kept from before, or read together with
# another request for which it was being computed.
Outcome: TypeAlias = Literal["miss", "shared", "hit"]
OUTCOMES: tuple[Outcome, ...] = ("miss", "shared", "hit")


@dataclass(eq=False, slots=True)
class Caching:
    """How one request may be answered by what was answered before: of the same `owner` only; with `no_cache` not at all
    (it is computed anew, and kept), with `no_store` neither that nor kept. `found`: what came of it, by choice."""

    owner: str
    no_cache: bool = False
    no_store: bool = False
    found: list[Outcome] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome | None:
        """Of the whole request, the dearest of its choices counts; None where nothing was looked up."""
        return next((outcome for outcome in OUTCOMES if outcome in self.found), None)


@dataclass(eq=False, slots=True)
class Work:
    """Moments are those of `time.perf_counter`. `cancel` ends the request from outside and tells whether there was
    still something to end; it is there while the request is inside the pipeline."""

    began: float = field(default_factory=time.perf_counter)
    admitted: bool = False
    background: bool = False  # nobody waits for it: a batch's, a job's
    pictures: PictureTimes = field(default_factory=PictureTimes)
    picture_sizes: tuple[tuple[int, int], ...] = ()  # (height, width) of the originals
    opening: str = ""  # the first characters of the question, where the log wants them
    engine: EngineTimes | None = None  # of the choice whose first token came first
    first_token: float | None = None
    last_token: float | None = None  # of the choice that has ended last
    usages: list[Usage] = field(default_factory=list)  # one of each choice, of those that were broken off too
    finishes: list[FinishReason] = field(default_factory=list)
    error_code: str | None = None
    cancel: Callable[[], bool] | None = None
    caching: Caching | None = None  # None: from the engine alone

    def has_begun(self, now: float, times: EngineTimes | None) -> None:
        """A choice has its first token."""
        if self.first_token is None:
            self.first_token, self.engine = now, times

    def has_ended(self, now: float, finish: FinishReason) -> None:
        """A choice has its last token."""
        self.last_token = now
        self.finishes.append(finish)

    def timings_ms(self, until: float | None = None) -> dict[str, float]:
        """Milliseconds by stage, 0 for what was not done, and `total` from the request's head to `until` (now).

        The pictures' stages are sums over pictures, which are worked on side by side; those behind them follow each
        other: `prefill` is without the tower's `encode`.
        """
        until = time.perf_counter() if until is None else until
        found = {stage: round(1000 * spent, 2) for stage, spent in zip(STAGES, self._seconds(until), strict=True)}
        found["total"] = round(1000 * (until - self.began), 2)
        return found

    def _seconds(self, until: float) -> tuple[float, ...]:
        """By stage, in the order of STAGES."""
        pictures, engine = self.pictures, self.engine or _NO_TIMES
        return (
            sum([spent for _, spent in pictures.fetches]),
            sum(pictures.draws) + sum(pictures.decodes),
            sum(pictures.preparations),
            engine.queue,
            engine.encode,
            max(0.0, engine.prefill - engine.encode),
            0.0 if self.first_token is None else (self.last_token or until) - self.first_token,
        )

    def _spent_ms(self, until: float) -> dict[str, float]:
        """Milliseconds by stage, of those that took any."""
        stages = zip(STAGES, self._seconds(until), strict=True)
        return {stage: ms for stage, spent in stages if spent and (ms := round(1000 * spent, 2))}

    def server_timing(self) -> str:
        """The header `Server-Timing` (W3C), with what is known by now: of a stream all up to its first token."""
        now = time.perf_counter()
        found = self._spent_ms(now)
        if self.last_token is None:
            found.pop("decode_tokens", None)
        found["total"] = round(1000 * (now - self.began), 2)
        return ", ".join([f"{stage};dur={spent:g}" for stage, spent in found.items()])

    def log_fields(self) -> dict[str, Any]:
        """What the access log tells beside the HTTP request's own facts."""
        if not self.admitted:
            return {"error_code": self.error_code}
        return {
            "image_hash": self.image_hash,
            "prompt_truncated": self.opening or None,
            "error_code": self.error_code,
            "result_cache": self.caching and self.caching.outcome,
            **{f"{stage}_ms": spent for stage, spent in self._spent_ms(time.perf_counter()).items()},
        }

    @property
    def image_hash(self) -> str | None:
        """MD5 of the pictures' files, of the first few; None where nobody wanted it or there is none."""
        hashes = self.pictures.hashes or ()
        more = f"+{len(hashes) - MAX_HASHES}" if len(hashes) > MAX_HASHES else ""
        return ",".join(hashes[:MAX_HASHES]) + more or None


def opening_of(texts: Sequence[str], most: int) -> str:
    """The first `most` characters of a prompt, never more than half of it: a log must not hold a whole one."""
    text = "\n".join(texts)
    return text[: min(most, len(text) // 2)]


_current: ContextVar[Work | None] = ContextVar("flashweb_work", default=None)


@contextmanager
def open_work() -> Iterator[Work]:
    """The work of one HTTP request; found by `current_work` in whatever runs for it, tasks of its own included."""
    work = Work()
    token = _current.set(work)
    try:
        yield work
    finally:
        _current.reset(token)


def current_work() -> Work:
    """The request's own; one of nobody's outside of HTTP."""
    return _current.get() or Work()
