"""Where whole answers are kept, as bytes under a digest: in this process, or in Redis for several of them.

Both are bounded in entries, bytes and age. What is lost here is computed again, so nothing here ever fails a request: a
Redis that does not answer is a store that has nothing. Knows nothing of tokens.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from importlib.resources import files
from importlib.util import find_spec
from typing import Protocol

from flashweb.errors import ConfigError
from flashweb.settings import ResultSettings

log = logging.getLogger("flashweb.results")
ENTRY_BYTES = 256  # of an entry in memory beside its bytes: digest, tuple, the dictionary's share
LARGEST_SHARE = 8  # an entry may take this part of all there is, or one answer would drop all others
REDIS_SECONDS = 0.5  # for one question to Redis; past that the engine answers
REDIS_PAUSE_SECONDS = 2.0  # after a failure, before it is asked again
PREFIX = "flashweb:results:"


class ResultStore(Protocol):
    async def get(self, key: bytes) -> bytes | None: ...

    async def put(self, key: bytes, value: bytes) -> None: ...

    async def close(self) -> None: ...


def build_store(settings: ResultSettings, told: Callable[[int], None]) -> ResultStore:
    """`told`: hears how many bytes this process holds, whenever that changes. Raises ConfigError."""
    bounds = settings.result_cache_entries, settings.result_cache, settings.result_cache_seconds
    if settings.result_cache_redis is None:
        return MemoryResults(*bounds, told=told)
    return RedisResults(settings.result_cache_redis.get_secret_value(), *bounds)


class MemoryResults:
    """Of too many entries, or too many bytes, those unused for longest are dropped."""

    def __init__(
        self,
        max_entries: int,
        max_bytes: int,
        seconds: float,
        *,
        told: Callable[[int], None] = lambda num_bytes: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._told = told
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()  # until when, what; oldest use first
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: bytes) -> bytes | None:
        found = self._kept.get(key)
        if found is None:
            return None
        if found[0] <= self._clock():
            self._drop(key)
            self._told(self.num_bytes)
            return None
        self._kept.move_to_end(key)
        return found[1]

    async def put(self, key: bytes, value: bytes) -> None:
        self._drop(key)
        size = len(value) + ENTRY_BYTES
        if size <= self._max_bytes // LARGEST_SHARE:
            while self._kept and (len(self._kept) >= self._max_entries or self.num_bytes + size > self._max_bytes):
                self._drop(next(iter(self._kept)))
            self._kept[key] = self._clock() + self._seconds, value
            self.num_bytes += size
        self._told(self.num_bytes)

    def _drop(self, key: bytes) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.num_bytes -= len(found[1]) + ENTRY_BYTES

    async def close(self) -> None:
        pass


class RedisResults:
    """Bounded in one atomic script (`results.lua`), which drops what ends soonest. Connects with its first use."""

    def __init__(self, url: str, max_entries: int, max_bytes: int, seconds: float) -> None:
        if find_spec("redis") is None:
            raise ConfigError("--result-cache-redis needs the redis client: pip install 'flashweb[redis]'")
        import redis
        import redis.asyncio

        self._failures = (redis.RedisError, OSError, TimeoutError)
        try:
            self._line = redis.asyncio.Redis.from_url(
                url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
            )
        except ValueError:
            raise ConfigError("--result-cache-redis is no URL the redis client can read") from None
        source = (files("flashweb.pipeline") / "results.lua").read_text(encoding="utf-8")
        self._put = self._line.register_script(source)
        self._bounds = max_entries, max_bytes, seconds
        self._asked_again = 0.0

    async def get(self, key: bytes) -> bytes | None:
        if time.monotonic() < self._asked_again:
            return None
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                found = await self._line.get(PREFIX + key.hex())
        except self._failures as error:
            self._failed(error)
            return None
        return found if isinstance(found, bytes) else None

    async def put(self, key: bytes, value: bytes) -> None:
        max_entries, max_bytes, seconds = self._bounds
        if len(value) > max_bytes // LARGEST_SHARE or time.monotonic() < self._asked_again:
            return
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                args: list[str | bytes | float] = [key.hex(), value, max_entries, max_bytes, seconds, time.time()]
                await self._put(keys=[PREFIX], args=args)
        except self._failures as error:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        # Its text may hold the URL, and with it a password.
        self._asked_again = time.monotonic() + REDIS_PAUSE_SECONDS
        log.warning("Redis does not answer (%s): answers are computed until it does", type(error).__name__)

    async def close(self) -> None:
        await self._line.aclose()
