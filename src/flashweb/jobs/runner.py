"""`Runner`: takes items from the queue as places become free, and has each answered by the very app that answers HTTP.

One process of a server runs it (whoever holds the lock of the data folder). It may die at any moment: its leases run
out, or the next one to hold the lock takes them back at once, and the items run again; a result is only taken with the
lease it was made under. Knows nothing of pipelines: how many may run beside the others is asked (`places`).
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from flashweb.disk import private_folder
from flashweb.errors import FlashwebError, StorageUnavailable
from flashweb.jobs.queue import JobQueue
from flashweb.jobs.records import Chore, Job, JobState, Lease

log = logging.getLogger("flashweb.jobs")
T = TypeVar("T")
LEASE_SECONDS = 30.0
BEAT_SECONDS = 1.0  # how soon a request that was cancelled ends, too
CHORE_SECONDS = 120.0  # the largest batch is validated, or its files written, in a fraction of this
IDLE_SECONDS = 0.5  # between two looks for what another process has handed in
BUSY_SECONDS = 0.05  # while the house is full: places become free when others leave, which nobody tells
SWEEP_SECONDS = 600.0
AWAY_SECONDS = 2.0  # after the store did not answer
# The server's own state and not the request's: it is tried again, for as long as the job lives.
NOT_NOW = frozenset(
    {"model_not_ready", "server_is_overloaded", "storage_unavailable", "storage_full", "storage_read_only",
     "storage_broken", "too_many_jobs"}
)  # fmt: skip
NOT_NOW_SECONDS = 1.0
# Ours, or the moment's: tried again a few times, then this answer stays. Among them that the engine died, perhaps of
# this very request.
TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
FINAL = frozenset({"invalid_answer", "incomplete_answer"})  # 500s that come again: scenes are greedy


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the app, in the name of an owner. `caller` is the key's name, for usage and the log; `lease` goes
    with what is kept elsewhere than in the queue, and ends there too."""

    path: str
    body: bytes
    owner: str
    caller: str | None = None
    content_type: str = "application/json"
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers`: those of our own (`x-flashweb-*`); `error_code`: the word for what went wrong, which not every
    endpoint's body has."""

    status: int
    request_id: str
    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    error_code: str | None = None

    def encoded(self) -> bytes:
        """As it is kept: the body as JSON where it is JSON, else as text; headers where there are some."""
        is_json = self.content_type.startswith("application/json")
        body: Any = msgspec.Raw(self.body) if is_json and self.body else self.body.decode(errors="replace")
        headers = {"headers": dict(self.headers)} if self.headers else {}
        return msgspec.json.encode({"status_code": self.status, "request_id": self.request_id, **headers, "body": body})


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of a job's beginning: its items, or `failed`."""

    meta: Mapping[str, Any]
    payloads: Sequence[bytes] = ()
    failed: bool = False


class Kind(Protocol):
    """What is particular to one kind of job. Each may be done twice, after a crash, and must then do the same."""

    async def begin(self, job: Job) -> Begun: ...

    async def call_of(self, lease: Lease) -> Call:
        """Raises FlashwebError for an item that cannot be executed at all."""

    async def end(self, job: Job) -> Mapping[str, Any]:
        """Returns the job's meta."""

    async def forget(self, job_id: str) -> None:
        """The queue has the job's end: what was kept beside it to get there may go."""


Ask = Callable[[Call, asyncio.Event], Awaitable[Answer]]
"""Has the app answer; the event tells that nobody wants the answer any more."""


@dataclass(eq=False, slots=True)
class _Running:
    lease: Lease
    unwanted: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Runner:
    """`places(n)`: how many more items may run beside the n that do; 0 while the server is loading or draining.
    `sweep` is called every SWEEP_SECONDS, before there is a queue by each process, else by the one that runs it."""

    def __init__(
        self,
        queue: JobQueue,
        kinds: Mapping[str, Kind],
        ask: Ask,
        places: Callable[[int], int],
        folder: Path,
        *,
        sweep: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._kinds = kinds
        self._ask = ask
        self._places = places
        self._folder = folder
        self._sweep = sweep
        self._clock = clock
        self._worker = f"{socket.gethostname()}:{folder}"
        self._lock: int | None = None
        self._has_taken_back = False
        self._running: dict[tuple[str, int], _Running] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = queue.news
        self._swept_at = 0.0
        self._was_away = False

    @property
    def num_running(self) -> int:
        return len(self._running)

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._keep(self._run), name="jobs-runner"),
            asyncio.create_task(self._keep(self._beat), name="jobs-heartbeat"),
        ]

    async def stop(self) -> None:
        """Ends what runs and gives its items back. Idempotent."""
        for task in self._tasks:
            task.cancel()
        running = [one.task for one in self._running.values() if one.task is not None]
        for task in (*running, *self._chores):
            task.cancel()
        await asyncio.gather(*self._tasks, *running, *self._chores, return_exceptions=True)
        self._tasks = []
        if self._lock is not None:
            os.close(self._lock)
            self._lock, self._has_taken_back = None, False

    async def _keep(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A runner that ends would leave every job waiting: what it cannot do now it tries again."""
        while True:
            try:
                await work()
            except StorageUnavailable as error:
                self._was_away = True
                log.warning("the queue does not answer (%s); trying again", error.code)
            except Exception:
                log.exception("the runner of jobs made a mistake; it goes on")
            await asyncio.sleep(AWAY_SECONDS)

    # --- taking items ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            took = await self._turn()
            # Between two items that follow each other at once, others of this loop get their turn too.
            seconds = 0.0 if took else BUSY_SECONDS if self._running else IDLE_SECONDS
            with suppress(TimeoutError):
                # Not `wait_for`: before Python 3.12 it swallows a cancellation that meets the event.
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def _turn(self) -> bool:
        """Whether there was anything to do."""
        if not await self._queue.is_there():
            await self._sweep_at_times()  # files may be there where no job ever was
            return False
        if not await self._is_mine():
            return False
        if self._was_away:
            # Leases that ran out meanwhile are still ours, and what was made under them is worth its result, until
            # somebody claims.
            await self._renew([one.lease for one in self._running.values()])
            self._was_away = False
        took = await self._take_chore()
        free = self._places(len(self._running))
        if free > 0:
            leases = await self._do(lambda store: store.claim(self._worker, free, self._clock(), LEASE_SECONDS))
            for lease in leases:
                one = self._running[lease.name] = _Running(lease)
                one.task = asyncio.create_task(self._execute(one))
            took = took or bool(leases)
        await self._sweep_at_times()
        return took

    async def _sweep_at_times(self) -> None:
        if self._clock() - self._swept_at > SWEEP_SECONDS and self._sweep is not None:
            self._swept_at = self._clock()
            await self._sweep()

    async def _is_mine(self) -> bool:
        """Whether this process holds the lock, which ends with the process. Whoever gets it takes back what the last
        holder had leased: that one is dead."""
        if self._lock is None:
            self._lock = await asyncio.to_thread(self._take_lock)
        if self._lock is not None and not self._has_taken_back:
            num = await self._do(lambda store: store.forsake(self._worker, self._clock()))
            self._has_taken_back = True  # not before: the queue may be away just now
            if num:
                log.warning("%d requests of jobs were under way when the server ended; they run again", num)
        return self._lock is not None

    def _take_lock(self) -> int | None:
        # Of this machine: several may share the folder, each with an engine of its own to keep busy.
        path = private_folder(self._folder) / f"runner-{socket.gethostname()}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    async def _do(self, work: Callable[[Any], T]) -> T:
        return await self._queue.do(work)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            running = list(self._running.values())
            if not running:
                continue
            leases = [one.lease for one in running]
            lost = await self._renew(leases)
            names = {lease.name for lease in lost}
            for one in running:
                if one.lease.name in names:
                    one.unwanted.set()

    async def _renew(self, leases: Sequence[Lease]) -> list[Lease]:
        return await self._do(lambda store: store.beat(leases, self._clock() + LEASE_SECONDS))

    # --- one item -------------------------------------------------------------------------------------------------

    async def _execute(self, one: _Running) -> None:
        lease = one.lease
        try:
            report = await self._report(one)
            await self._until_told(report)
        except asyncio.CancelledError:
            with suppress(StorageUnavailable):
                await asyncio.shield(self._do(lambda store: store.give_back(lease, self._clock())))
            raise
        except Exception:
            log.exception("an item of %s could not be executed", lease.job_id)
        finally:
            self._running.pop(lease.name, None)
            self._wake.set()

    async def _report(self, one: _Running) -> Callable[[Any], bool]:
        """What is to be told to the store about an item, once it was executed."""
        lease, clock = one.lease, self._clock
        try:
            call = await self._kinds[lease.kind].call_of(lease)
            answer = await self._ask(call, one.unwanted)
        except StorageUnavailable:
            return lambda store: store.give_back(lease, clock() + AWAY_SECONDS)
        except FlashwebError as error:
            told = msgspec.json.encode({"error": {"code": error.code or "server_error", "message": error.message}})
            return lambda store: store.finish(lease, told, False, clock())
        result, code = answer.encoded(), answer.error_code
        if code in NOT_NOW:
            return lambda store: store.give_back(lease, clock() + NOT_NOW_SECONDS)
        if answer.status in TRY_AGAIN and code not in FINAL:
            return lambda store: store.retry(lease, result, clock())
        return lambda store: store.finish(lease, result, answer.status < 400, clock())

    async def _until_told(self, report: Callable[[Any], bool]) -> None:
        """The answer is there: a store that is away must not cost it, only time."""
        while True:
            try:
                await self._do(report)
                return
            except StorageUnavailable:
                await asyncio.sleep(AWAY_SECONDS)

    # --- beginnings and ends --------------------------------------------------------------------------------------

    async def _take_chore(self) -> bool:
        """One at a time: the queue fills, or a job's files are written, beside the items that run."""
        if self._chores:
            return False
        chore = await self._do(lambda store: store.claim_chore(self._clock(), CHORE_SECONDS))
        if chore is None:
            return False
        task = asyncio.create_task(self._settle(chore))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return True

    async def _settle(self, chore: Chore) -> None:
        job = chore.job
        try:
            kind = self._kinds[job.kind]
            if job.state == JobState.VALIDATING:
                begun = await kind.begin(job)
                meta, payloads, failed = begun.meta, begun.payloads, begun.failed
            else:
                meta, payloads, failed = await kind.end(job), (), False
            mine = await self._do(lambda store: store.settle(chore, meta, payloads, self._clock(), failed))
            if mine and (failed or job.state == JobState.FINALIZING):
                await kind.forget(job.id)
        except StorageUnavailable as error:
            log.warning("%s cannot be %s now (%s); again in a while", job.id, job.state, error.code)
        except Exception:
            log.exception("%s cannot be %s; again in a while", job.id, job.state)
        finally:
            self._wake.set()
