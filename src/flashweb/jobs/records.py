"""The queue's vocabulary. A job is what a caller handed in and asks about (a batch, a scene to be run later); its items
are what is executed, one by one, each with exactly one result.

    job   validating -> in_progress -> finalizing -> completed | cancelled | expired     (validating -> failed)
    item  waiting <-> leased -> done | dead | cancelled | expired

A job without chores begins in progress and ends without `finalizing`. Moments are seconds since 1970. Plain data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# Executions of one item that may begin: a request that kills the engine each time must not run for ever, and one that
# was under way at several crashes of the whole service must still get its answer.
MAX_ATTEMPTS = 6
MAX_BACK_OFF_SECONDS = 60.0


class JobState(StrEnum):
    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})


class ItemState(StrEnum):
    WAITING = "waiting"
    LEASED = "leased"
    DONE = "done"  # answered, be it with an error
    DEAD = "dead"  # given up after MAX_ATTEMPTS; the result tells why
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class NewJob:
    """`has_chores`: its beginning (making items of what was handed in) and its end (making files of the results) are
    work too, which the runner does and repeats after a crash."""

    id: str
    kind: str
    owner: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    expires: float | None = None
    has_chores: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """`ending` is the state that follows `finalizing`; `times` when each state was reached."""

    id: str
    kind: str
    owner: str
    state: JobState
    ending: JobState
    created: float
    expires: float | None
    times: Mapping[str, float]
    meta: Mapping[str, Any]
    total: int
    completed: int
    failed: int

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to execute one item until it runs out. `token` grows with every lease of the item: a result that
    comes with an older one is not taken."""

    job_id: str
    seq: int
    token: int
    attempt: int  # from 1
    kind: str
    owner: str
    payload: bytes

    @property
    def name(self) -> tuple[str, int]:
        return self.job_id, self.seq


@dataclass(frozen=True, slots=True)
class Chore:
    """The right to begin or to end a job, fenced as a lease is."""

    job: Job
    token: int


@dataclass(frozen=True, slots=True)
class Item:
    """One item as it stands; `payload` until its job has ended, `result` only once it is done or dead."""

    seq: int
    state: ItemState
    payload: bytes
    result: bytes | None


def back_off_seconds(attempt: int) -> float:
    """How long an item waits after its attempt number `attempt` (from 1) has failed: 1, 2, 4, ... seconds."""
    return min(MAX_BACK_OFF_SECONDS, 2.0 ** (attempt - 1))
