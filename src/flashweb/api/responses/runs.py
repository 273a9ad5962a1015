"""`Runs`: background responses over the durable queue of `jobs/`, and from it into the store of responses.

A background response is kept in the store, with the request that it answers; in the queue there is a job of the same
id, whose one item says no more than whom it is for. Whoever runs the queue has the app answer it, and the answer is
written into the store, event by event, under the number of the item's lease: what an earlier run still brings is not
taken. The store has the last word on how a response stands. Where the two differ, because a process died between them
or a queue was lost, `mend` makes them agree.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import Any

import msgspec

from flashweb.api.responses.answer import Answer, Event, frame
from flashweb.errors import EngineDied, FlashwebError, Overloaded, ResponseNotFound, StorageUnavailable
from flashweb.jobs import Job, JobQueue, Lease, NewJob
from flashweb.jobs.records import MAX_ATTEMPTS
from flashweb.jobs.runner import Begun, Call
from flashweb.stored import ResponseStore, StoredResponse

log = logging.getLogger("flashweb.api")
KIND = "response"
PATH = "/v1/responses"
FLUSH_SECONDS = 0.1  # how old an event gets before it is written
AWAY_SECONDS = 1.0  # after the store did not take an answer's end

Step = tuple[list[Event], dict[str, Any]]  # some events, and the body as it is after them


class _For(msgspec.Struct):
    """An item's payload: the name of the key that it is for, for usage and the log."""

    caller: str | None


class Runs:
    """`answer(stored)` makes a response's answer, and raises Overloaded when that should be tried again later. Also
    the runner's `Kind` for these jobs."""

    def __init__(
        self,
        store: ResponseStore,
        queue: JobQueue,
        answer: Callable[[StoredResponse], AsyncGenerator[Step, None]],
    ) -> None:
        self._store = store
        self._queue = queue
        self._answer = answer

    # --- for whoever hands in and asks --------------------------------------------------------------------------------

    async def submit(self, response: StoredResponse, caller: str | None) -> StoredResponse:
        """Keep it, with the request that it answers, and run it when there is room; one that was kept before, under the
        id that its Idempotency-Key gives it, stays as it is by now. `caller` is its key's name. Raises
        RateLimited and StorageUnavailable, and nothing is kept then."""
        assert response.request is not None
        with suppress(ResponseNotFound):
            return await self._store.get(response.id, response.owner)
        await self._store.put(response)
        try:
            await self._queue.hand_in(*_job_of(response.id, response.owner, caller))
        except BaseException:
            with suppress(StorageUnavailable, ResponseNotFound):
                await asyncio.shield(self._store.delete(response.id, response.owner))
            raise
        return response

    async def cancel(self, id: str, owner: str) -> StoredResponse:
        """The response as it is then; one that has ended stays as it was. Its run ends with its next event, or at the
        next heartbeat of whoever has it."""
        cancelled = await self._store.cancel(id, owner)
        with suppress(StorageUnavailable):  # then the run will find out by itself
            await self._queue.do(lambda store: store.cancel(id, owner, time.time()))
        return cancelled

    async def delete(self, id: str, owner: str) -> None:
        await self.cancel(id, owner)
        await self._store.delete(id, owner)
        with suppress(StorageUnavailable):
            await self._queue.do(lambda store: store.delete(id, owner))

    async def mend(self) -> None:
        """Responses that wait without a job get one, and those whose job was given up have failed. Idempotent, in any
        number of processes at once. Raises StorageUnavailable."""
        for id, owner, run in await self._store.running():
            job = await self._queue.do(lambda store, id=id, owner=owner: store.get(id, owner))  # type: ignore[misc]
            if job is None:  # its process died between the two, or the queue was lost with the numbers of its leases
                await self._store.reset(id, run)
                with suppress(ResponseNotFound):
                    request = (await self._store.get(id, owner)).request or {}
                    await self._hand_in_again(id, owner, request.get("caller"))
            elif job.has_ended:
                await self._give_up(id, run + 1)

    async def _hand_in_again(self, id: str, owner: str, caller: str | None) -> None:
        """Of one that its caller was promised: no bound refuses it."""
        job = _job_of(id, owner, caller)
        await self._queue.do(lambda store: store.submit(*job))
        self._queue.news.set()

    async def _give_up(self, id: str, run: int) -> None:
        """Whatever still runs is not heard any more."""
        stored = await self._store.begin(id, run)
        if stored is not None:
            log.warning("the background response %s ended without an answer", id)
            writer = _Writer(self._store, id, run)
            body = writer.failed(stored, _broke_off())
            await self._store.finish(id, run, 0, writer.pending, body)

    # --- for the runner -----------------------------------------------------------------------------------------------

    async def begin(self, job: Job) -> Begun:
        return Begun(job.meta)

    async def call_of(self, lease: Lease) -> Call:
        who = msgspec.json.decode(lease.payload, type=_For)
        return Call(PATH, b"{}", lease.owner, who.caller, lease=lease)

    async def end(self, job: Job) -> Mapping[str, Any]:
        return job.meta

    async def forget(self, job_id: str) -> None:
        pass

    async def run(self, lease: Lease) -> dict[str, Any] | None:
        """Have the response of this lease answered into the store; the body at its end, None where nobody wants it any
        more. Raises Overloaded when it is to be tried again."""
        stored = await self._store.begin(lease.job_id, lease.token)
        if stored is None:
            await self._check_number(lease)
            return None
        writer = _Writer(self._store, stored.id, lease.token)
        flushing = asyncio.create_task(writer.keep_flushing())
        answering = asyncio.create_task(self._answered(stored, lease, writer))
        try:
            await asyncio.wait({flushing, answering}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                flushing.result()
                return None  # the response was cancelled or deleted, or has a later run
            body = answering.result()
        finally:
            answering.cancel()
            await asyncio.wait({answering})
            # Never in the middle of writing, or nobody would know what was written.
            writer.stop()
            await asyncio.wait({flushing})
        return body if await writer.finish(body) else None

    async def _check_number(self, lease: Lease) -> None:
        """A power cut may have left the queue with lower numbers than the store has: then the next lease is as good as
        this one, once its number is high enough. Raises Overloaded."""
        with suppress(ResponseNotFound):
            if (await self._store.get(lease.job_id, lease.owner)).is_running:
                raise Overloaded(f"a run of {lease.job_id} with a higher number has begun")

    async def _answered(self, stored: StoredResponse, lease: Lease, writer: _Writer) -> dict[str, Any]:
        body = stored.body
        try:
            async with aclosing(self._answer(stored)) as steps:
                async for events, body in steps:
                    writer.add(events, body)
        except Overloaded as refusal:  # at the door, by the drain, or with the engine: not for the caller to hear
            if not isinstance(refusal, EngineDied) or lease.attempt < MAX_ATTEMPTS:
                raise
            body = writer.failed(stored, _broke_off())
        except Exception as error:
            body = writer.failed(stored, error)
        return body


def _job_of(id: str, owner: str, caller: str | None) -> tuple[NewJob, list[bytes], float]:
    return NewJob(id, KIND, owner), [msgspec.json.encode(_For(caller))], time.time()


def _broke_off() -> FlashwebError:
    return FlashwebError(f"The server broke off {MAX_ATTEMPTS} runs of this response.")


def _no_text(token_id: int) -> tuple[str, bytes]:
    return "", b""


class _Writer:
    """A run's events on their way into the store."""

    def __init__(self, store: ResponseStore, id: str, run: int) -> None:
        self.pending: list[bytes] = []
        self._num_written = 0
        self._body: dict[str, Any] | None = None  # where it is not written yet
        self._store = store
        self._id = id
        self._run = run
        self._over = asyncio.Event()

    @property
    def _num_events(self) -> int:
        return self._num_written + len(self.pending)

    def add(self, events: Iterable[Event], body: dict[str, Any]) -> None:
        if not self._num_events:
            self._body = {**body, "output": list(body["output"])}  # as it is now: `body` grows with the answer
        self.pending += map(frame, events)

    def failed(self, stored: StoredResponse, error: Exception) -> dict[str, Any]:
        """The body and the events of what went wrong before the answer could tell of it itself."""
        answer = Answer({**stored.body}, _no_text, logprobs=False, show_summary=False, number=self._num_events)
        if not self._num_events:
            answer.begin()
        answer.fail(error)
        self.add(answer.take(), answer.body)
        return answer.body

    async def keep_flushing(self) -> None:
        """Until it is stopped, or the store takes no more of this run."""
        while not self._over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), FLUSH_SECONDS)
            if self._over.is_set() or not self.pending:
                continue
            taken, self.pending = self.pending, []
            body, self._body = self._body, None
            try:
                if not await self._store.add_events(self._id, self._run, self._num_written, taken, body):
                    return
            except StorageUnavailable:
                self.pending, self._body = taken + self.pending, body
            else:
                self._num_written += len(taken)

    def stop(self) -> None:
        self._over.set()

    async def finish(self, body: dict[str, Any]) -> bool:
        """The answer is there: a store that is away must not cost it, only time. False where it is not wanted."""
        while True:
            try:
                return await self._store.finish(self._id, self._run, self._num_written, self.pending, body)
            except StorageUnavailable:
                await asyncio.sleep(AWAY_SECONDS)
