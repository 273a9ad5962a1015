"""`BackgroundRuns`: answers that nobody waits for, run from the store and into it.

What a run needs is in the store alone: whoever claims a response runs it, in whichever process it was submitted, and
one whose process died is claimed again when its lease ends. Each run's events are written as they come, for those who
retrieve them. A durable queue may take this class's place: `submit`, `cancel`, `start` and `stop` are all of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Any

from flashweb.api.responses.answer import Answer, Event, frame
from flashweb.errors import EngineDied, FlashwebError, Overloaded, StorageUnavailable
from flashweb.observe.work import open_work
from flashweb.stored import ResponseStore, StoredResponse

log = logging.getLogger("flashweb.api")
NUM_AT_ONCE = 4  # in this process
LEASE_SECONDS = 15.0
FLUSH_SECONDS = 0.1  # how old an event gets before it is written
RENEW_SECONDS = 3.0
LOOK_SECONDS = 5.0  # how often one looks for responses whose process died
RETRY_SECONDS = 0.5
MAX_ATTEMPTS = 3  # so often a response may be there when its process, or the engine, dies


Step = tuple[list[Event], dict[str, Any]]  # some events, and the body as it is after them


class BackgroundRuns:
    """`answer(stored)` makes a response's answer, and raises Overloaded when that should be tried again later;
    `check_room` raises it while none should begin."""

    def __init__(
        self,
        store: ResponseStore,
        answer: Callable[[StoredResponse], AsyncGenerator[Step, None]],
        check_room: Callable[[], None],
    ) -> None:
        self._store = store
        self._answer = answer
        self._check_room = check_room
        self._news = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, *, look: bool) -> None:
        """`look`: there may be responses that a crash or a stop has interrupted. Idempotent."""
        if look:
            self._news.set()
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._work()) for _ in range(NUM_AT_ONCE)]
            self._tasks.append(asyncio.create_task(self._look()))

    async def stop(self) -> None:
        """What runs is given back to the store, for the next start."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def submit(self, response: StoredResponse) -> None:
        """Keep it, with the request that it answers, and run it when there is room."""
        await self._store.put(response)
        self.start(look=True)

    async def cancel(self, id: str, owner: str) -> StoredResponse:
        """The response as it is then; one that has ended stays as it was."""
        cancelled = await self._store.cancel(id, owner)
        task = self._running.get(id)
        if task is not None:
            task.cancel()  # another process's run hears of it when it writes
        return cancelled

    # --- inside -------------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """For responses whose process has died, or that another process has no room for."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._news.set()

    async def _work(self) -> None:
        """One place of those there are."""
        await self._news.wait()
        while True:
            try:
                self._check_room()
                self._news.clear()
                stored = await self._store.claim(LEASE_SECONDS)
                if stored is None:
                    await self._news.wait()
                else:
                    await self._run(stored)
            except Overloaded:
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("a background response could not be run")
                await asyncio.sleep(RETRY_SECONDS)

    async def _run(self, stored: StoredResponse) -> None:
        task = asyncio.create_task(self._answered(stored))
        self._running[stored.id] = task
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            with suppress(StorageUnavailable):
                await self._store.release(stored.id, counts=False)
            raise
        finally:
            del self._running[stored.id]
        if not task.cancelled():
            task.result()

    async def _answered(self, stored: StoredResponse) -> None:
        writer = _Writer(self._store, stored.id)
        run = asyncio.current_task()
        assert run is not None
        flushing = asyncio.create_task(writer.keep_flushing(run))
        body = stored.body
        failure: Exception | None = None
        try:
            if stored.attempts > MAX_ATTEMPTS:
                raise FlashwebError(f"The server broke off {MAX_ATTEMPTS} runs of this response.")
            with open_work() as work:
                work.background = True
                async with aclosing(self._answer(stored)) as steps:
                    async for events, body in steps:
                        if not writer.num_events and not await self._store.begin(stored.id, body):
                            return
                        writer.add(events)
        except Overloaded as refusal:  # at the door, by the drain, or with the engine: not for the caller to hear
            await self._store.release(stored.id, counts=isinstance(refusal, EngineDied))
            raise
        except Exception as error:
            failure = error
        finally:
            await writer.stop(flushing)
        if failure is not None:
            body = self._failed(stored, failure, writer)
        await self._store.finish(stored.id, body, writer.num_written, writer.pending)

    def _failed(self, stored: StoredResponse, error: Exception, writer: _Writer) -> dict[str, Any]:
        """What went wrong before the answer could tell of it itself."""
        answer = Answer({**stored.body}, _no_text, logprobs=False, show_summary=False)
        if not writer.num_events:
            answer.begin()
        answer.fail(error)
        writer.add(answer.take())
        return answer.body


def _no_text(token_id: int) -> tuple[str, bytes]:
    return "", b""


class _Writer:
    """A run's events on their way into the store, and its lease with them."""

    def __init__(self, store: ResponseStore, id: str) -> None:
        self.pending: list[bytes] = []
        self.num_written = 0
        self._store = store
        self._id = id
        self._over = asyncio.Event()

    @property
    def num_events(self) -> int:
        return self.num_written + len(self.pending)

    def add(self, events: Iterable[Event]) -> None:
        self.pending += map(frame, events)

    async def keep_flushing(self, run: asyncio.Task[Any]) -> None:
        """Until it is stopped; ends the run where the response is no longer wanted."""
        silent = 0.0
        while not self._over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), FLUSH_SECONDS)
            silent += FLUSH_SECONDS
            if self._over.is_set() or not (self.pending or silent >= RENEW_SECONDS):
                continue
            silent, taken, self.pending = 0.0, self.pending, []
            try:
                wanted = await self._store.add_events(self._id, self.num_written, taken, LEASE_SECONDS)
            except StorageUnavailable:
                self.pending = taken + self.pending
                continue
            self.num_written += len(taken)
            if not wanted:
                run.cancel()
                return

    async def stop(self, flushing: asyncio.Task[None]) -> None:
        """Never in the middle of writing, or nobody would know what was written."""
        self._over.set()
        await asyncio.wait({flushing})
