"""`JobQueue`: the store, off the event loop. Opened with its first use: a server that nobody hands a job makes no
files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TypeVar

from flashweb.errors import ConfigError, RateLimited, StorageBroken
from flashweb.jobs.records import NewJob
from flashweb.jobs.sqlite import sqlite_store
from flashweb.jobs.store import Store
from flashweb.settings import StorageSettings

T = TypeVar("T")
SQLITE_NAME = "jobs.sqlite"
RETRY_SECONDS = 10.0  # after which one who has too many jobs may look again: a guess at when one of them ends


class JobQueue:
    """`await queue.do(lambda store: store.get(id, owner))`. One thread, so that a store needs no locks of its own."""

    def __init__(
        self, open_store: Callable[[], Store], *, max_waiting: int, is_there: Callable[[], bool] = lambda: True
    ) -> None:
        self._open = open_store
        self._max_waiting = max_waiting
        self._is_there = is_there
        self._store: Store | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flashweb-jobs")
        self.news = asyncio.Event()  # set when something was handed in here, for a runner in the same process

    async def do(self, work: Callable[[Store], T]) -> T:
        """Raises StorageUnavailable and its family besides what `work` raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    async def hand_in(self, job: NewJob, payloads: Sequence[bytes], now: float) -> None:
        """The way of everything that callers hand in, whatever its kind: what one of them has waiting is bounded.
        Raises RateLimited."""
        if not await self.do(lambda store: store.submit(job, payloads, now, self._max_waiting)):
            raise RateLimited(
                f"You have {self._max_waiting:,} jobs that wait or run, the limit; let some end or cancel them, put "
                "many requests into one batch, or start the server with a larger --max-waiting-jobs.",
                retry_after_seconds=RETRY_SECONDS,
                code="too_many_jobs",
            )
        self.news.set()

    async def is_there(self) -> bool:
        """Whether anything may be in it; asked by the runner, which must not make an empty one."""
        if self._store is not None:
            return True
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._is_there)

    async def close(self) -> None:
        """Idempotent; a later use opens it again."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)

    def _do(self, work: Callable[[Store], T]) -> T:
        try:
            if self._store is None:
                self._store = self._open()
            return work(self._store)
        except StorageBroken:
            self._close()  # the next use opens it anew: another file may be in its place by then
            raise

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def open_queue(storage: StorageSettings) -> JobQueue:
    """The queue by the settings; connects with its first use. Raises ConfigError."""
    most = storage.max_waiting_jobs
    if storage.jobs_url is None:
        path = storage.folder / SQLITE_NAME
        return JobQueue(lambda: sqlite_store(path), max_waiting=most, is_there=path.exists)
    url = storage.jobs_url.get_secret_value()
    if url.startswith(("postgresql://", "postgres://")):
        from flashweb.jobs.postgres import postgres_store

        _need("psycopg", "postgres")
        return JobQueue(lambda: postgres_store(url), max_waiting=most)
    if url.startswith(("redis://", "rediss://", "redis+unix://", "unix://")):
        from flashweb.jobs.redis_store import redis_store

        _need("redis", "redis")
        return JobQueue(lambda: redis_store(url), max_waiting=most)
    raise ConfigError("--jobs-url is neither a postgresql:// nor a redis:// URL")


def _need(module: str, extra: str) -> None:
    if find_spec(module) is None:
        raise ConfigError(f"--jobs-url needs {module}: pip install 'flashweb[{extra}]'")
