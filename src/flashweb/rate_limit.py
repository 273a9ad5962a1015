"""How often a caller may come: a moving window of requests per caller, counted in memory or in Redis.

The window moves with every request, so that steady load over the limit gets the limit and no more, and no less: there
is no edge at which everybody begins anew. The counting is that of the library `limits`; the memory it counts in is
ours, because it has to be bounded however many addresses come. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

from limits import RateLimitItem, parse
from limits.aio.storage import MovingWindowSupport, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter

from flashweb.errors import ConfigError, NotReady
from flashweb.settings import ServerSettings

log = logging.getLogger("flashweb.rate_limit")
MAX_CALLERS = 50_000  # of the latest; whoever has more addresses than this is not held by a limit per address anyway
MAX_TIMES = 1_000_000  # of all callers together, about 32 bytes each
REDIS_SECONDS = 0.5  # for one question to Redis; past that it counts as gone
REDIS_PAUSE_SECONDS = 1.0  # after a failure, before it is asked again


@dataclass(frozen=True, slots=True)
class Decision:
    """What one request met: whether it may pass, and what is left of `limit` afterwards."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float  # until one more request is possible than now


class RateLimiter(Protocol):
    async def hit(self, caller: str) -> Decision | None:
        """Count one request. None when nothing was counted (Redis is away and lets pass). Raises NotReady."""

    async def close(self) -> None: ...


def build_limiter(server: ServerSettings) -> RateLimiter | None:
    """The limiter of one process by the settings; None without a limit. Raises ConfigError."""
    if server.rate_limit is None:
        return None
    if server.rate_limit_redis is None:
        return MemoryLimiter(server.rate_limit)
    return RedisLimiter(server.rate_limit, server.rate_limit_redis.get_secret_value(), server.rate_limit_fallback)


class MemoryLimiter:
    def __init__(self, rate: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._item = parse(rate)
        self._clock = clock
        self._window = MovingWindowRateLimiter(Callers(clock))

    async def hit(self, caller: str) -> Decision:
        return await _hit(self._window, self._item, caller, self._clock)

    async def close(self) -> None:
        pass


class RedisLimiter:
    """Counts where several servers look, each request in one atomic script of `limits`.

    While Redis is away, `fallback` decides: "open" lets everybody pass, uncounted; "closed" refuses with NotReady.
    """

    def __init__(self, rate: str, url: str, fallback: str) -> None:
        if find_spec("redis") is None:
            raise ConfigError("--rate-limit-redis needs the redis client: pip install 'flashweb[redis]'")
        if not url.startswith(("redis://", "rediss://", "redis+unix://")):
            raise ConfigError("--rate-limit-redis is no redis://, rediss:// or redis+unix:// URL")
        self._item = parse(rate)
        try:
            self._storage = RedisStorage(
                f"async+{url}",
                implementation="redispy",
                key_prefix="flashweb",
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
            )
        except ValueError:
            raise ConfigError("--rate-limit-redis is no URL the redis client can read") from None
        self._window = MovingWindowRateLimiter(self._storage)
        self._fallback = fallback
        self._asked_again = 0.0

    async def hit(self, caller: str) -> Decision | None:
        now = time.monotonic()
        if now >= self._asked_again:
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    return await _hit(self._window, self._item, caller, time.time)
            except (OSError, TimeoutError, self._redis_error) as error:
                # Its text may hold the URL, and with it a password.
                self._asked_again = now + REDIS_PAUSE_SECONDS
                words = "every request passes" if self._fallback == "open" else "requests are refused"
                log.warning("Redis does not answer (%s): %s until it does", type(error).__name__, words)
        if self._fallback == "open":
            return None
        raise NotReady("The server cannot count requests at the moment; come back after the time in Retry-After.")

    @property
    def _redis_error(self) -> type[Exception]:
        import redis  # an extra; it is there, or __init__ would have refused

        return redis.RedisError

    async def close(self) -> None:
        await self._storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]


async def _hit(
    window: MovingWindowRateLimiter, item: RateLimitItem, caller: str, clock: Callable[[], float]
) -> Decision:
    allowed = await window.hit(item, caller)
    reset_at, remaining = await window.get_window_stats(item, caller)
    return Decision(allowed, item.amount, max(0, remaining), max(0.0, reset_at - clock()))


NO_COUNTERS = "requests are counted in a moving window here, not in counters"


class Callers(Storage, MovingWindowSupport):
    """Times of recent requests per caller. Bounded: of too many callers the ones that stayed away longest are
    forgotten, so that a flood of addresses costs them nothing but their history."""

    STORAGE_SCHEME = None  # not to be had by URL

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._num_times = 0

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        now = self._clock()
        times = self._times.setdefault(key, deque())
        self._times.move_to_end(key)
        while times and times[0] <= now - expiry:
            times.popleft()
            self._num_times -= 1
        if len(times) + amount > limit:
            return False
        times.extend([now] * amount)
        self._num_times += amount
        while len(self._times) > MAX_CALLERS or (self._num_times > MAX_TIMES and len(self._times) > 1):
            self._num_times -= len(self._times.popitem(last=False)[1])
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """(time of the oldest request in the window, number of them)."""
        now = self._clock()
        times = self._times.get(key, ())
        begin = bisect_right(times, now - expiry)
        return (times[begin], len(times) - begin) if begin < len(times) else (now, 0)

    async def clear_moving_window(self, key: str) -> None:
        await self.clear(key)

    async def clear(self, key: str) -> None:
        self._num_times -= len(self._times.pop(key, ()))

    async def reset(self) -> int | None:
        count, self._num_times = len(self._times), 0
        self._times.clear()
        return count

    async def check(self) -> bool:
        return True

    # Counters are for fixed windows: the library wants every storage to have them, a moving window never asks.

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise TypeError(NO_COUNTERS)

    async def get(self, key: str) -> int:
        raise TypeError(NO_COUNTERS)

    async def get_expiry(self, key: str) -> float:
        raise TypeError(NO_COUNTERS)

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError
