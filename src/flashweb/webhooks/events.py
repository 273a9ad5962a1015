"""What there is to tell, as the stores have it: ends of jobs and of background responses, as OpenAI's webhook events
and, for single requests, our own `job.*` in the same form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from flashweb.jobs import Job, JobQueue, JobState
from flashweb.stored import ResponseStore

# kind of job -> what its events begin with; what other kinds do is told of elsewhere (responses: by their own store)
_FAMILIES = {"batch": "batch", "request": "job"}


@dataclass(frozen=True, slots=True)
class Event:
    """`subject` has ended at `at`; `url` is its own receiver, None: the server's."""

    subject: str
    type: str
    at: float
    owner: str
    url: str | None = None

    @property
    def id(self) -> str:
        """The same each time it is told."""
        return "evt_" + hashlib.blake2b(f"{self.subject}\0{self.type}".encode(), digest_size=16).hexdigest()

    @property
    def body(self) -> bytes:
        told = {"id": self.id, "object": "event", "created_at": int(self.at), "type": self.type}
        return msgspec.json.encode({**told, "data": {"id": self.subject}})


class Endings(Protocol):
    """`Store.claim_endings` and `settle_endings`, whatever has ended."""

    async def claim(self, limit: int, now: float, until: float) -> tuple[list[Event], int]: ...

    async def settle(self, ready_at: Mapping[str, float | None]) -> None: ...


class JobEndings:
    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    async def claim(self, limit: int, now: float, until: float) -> tuple[list[Event], int]:
        if not await self._queue.is_there():
            return [], 0
        jobs, num = await self._queue.do(lambda store: store.claim_endings(limit, now, until))
        unknown = {job.id: None for job in jobs if job.kind not in _FAMILIES}
        if unknown:
            await self.settle(unknown)
        return [_event_of(job) for job in jobs if job.id not in unknown], num

    async def settle(self, ready_at: Mapping[str, float | None]) -> None:
        await self._queue.do(lambda store: store.settle_endings(ready_at))


def _event_of(job: Job) -> Event:
    family = _FAMILIES[job.kind]
    # A batch is completed when its files are there; a single request whose answer is an error has failed.
    state = JobState.FAILED if family == "job" and job.failed else job.state
    return Event(job.id, f"{family}.{state}", max(job.times.values()), job.owner, job.meta.get("webhook_url"))


class ResponseEndings:
    """`is_there`: whether there may be any; asking must not make a store."""

    def __init__(self, store: ResponseStore) -> None:
        self._store = store

    async def claim(self, limit: int, now: float, until: float) -> tuple[list[Event], int]:
        if not self._store.exists:
            return [], 0
        found, num = await self._store.claim_endings(limit, now, until)
        return [Event(id, f"response.{status}", ended, owner) for id, owner, status, ended in found], num

    async def settle(self, ready_at: Mapping[str, float | None]) -> None:
        await self._store.settle_endings(ready_at)
