"""`BoundedPool`: a fixed number of bounded processes, who has what open, and whose turn it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Generic, TypeVar

from flashweb.bounded.process import BoundedProcess

Worker = TypeVar("Worker", bound=BoundedProcess)


class BoundedPool(Generic[Worker]):
    """First come, first served. A process is started for its first question and ends when nobody needed it for a
    while."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._turns = asyncio.Semaphore(len(workers))
        self._workers = tuple(workers)
        self._idle = list(workers)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Of the processes that run now."""
        return tuple(worker.process_id for worker in self._workers if worker.process_id is not None)

    @contextlib.asynccontextmanager
    async def worker_for(self, digest: bytes) -> AsyncIterator[Worker]:
        """The one that has this open, else the one that was used last: as few processes as are needed."""
        async with self._turns:
            worker = next((one for one in self._idle if one.holds == digest), self._idle[-1])
            self._idle.remove(worker)
            worker.wake()
            try:
                yield worker
            finally:
                worker.rest()
                self._idle.append(worker)

    async def close(self) -> None:
        """End every process. Idempotent."""
        for worker in self._workers:
            worker.wake()
            await worker.end()
