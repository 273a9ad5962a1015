"""The moving window: never more than the limit in any window, in memory that stays bounded, and in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashweb import rate_limit
from flashweb.errors import ConfigError, NotReady
from flashweb.rate_limit import Callers, MemoryLimiter, RedisLimiter, build_limiter
from tests.house import make_settings
from tests.servers import free_port


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def hits(limiter: MemoryLimiter | RedisLimiter, caller: str, times: int) -> list[bool]:
    return [bool((await limiter.hit(caller)).allowed) for _ in range(times)]  # type: ignore[union-attr]


async def test_a_limit_lets_pass_what_it_says_and_tells_what_is_left() -> None:
    clock = Clock()
    limiter = MemoryLimiter("3/minute", clock)
    first = await limiter.hit("a")
    assert (first.allowed, first.limit, first.remaining, first.reset_seconds) == (True, 3, 2, 60)
    clock.now += 10
    assert await hits(limiter, "a", 3) == [True, True, False]
    assert await hits(limiter, "b", 1) == [True]  # somebody else's
    refused = await limiter.hit("a")
    assert (refused.allowed, refused.remaining, refused.reset_seconds) == (False, 0, 50)


async def test_steady_load_over_the_limit_gets_the_limit_and_never_nothing() -> None:
    clock = Clock()
    limiter = MemoryLimiter("10/second", clock)
    passed = 0
    for _ in range(1000):  # 100 a second for ten seconds; a refused request does not push the window on
        clock.now += 0.01
        passed += (await limiter.hit("a")).allowed
    assert 95 <= passed <= 110


@given(st.lists(st.floats(0, 40), max_size=60), st.integers(1, 5))
async def test_no_window_ever_holds_more_than_the_limit(gaps: list[float], limit: int) -> None:
    clock = Clock()
    limiter = MemoryLimiter(f"{limit}/minute", clock)
    passed: list[float] = []
    for gap in gaps:
        clock.now += gap
        decision = await limiter.hit("a")
        in_window = sum(time > clock.now - 60 for time in passed)
        assert decision.allowed == (in_window < limit), "refused although there was room, or let pass without"
        if decision.allowed:
            passed.append(clock.now)
        assert decision.remaining == limit - sum(time > clock.now - 60 for time in passed)


async def test_a_flood_of_callers_costs_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_CALLERS", 100)
    monkeypatch.setattr(rate_limit, "MAX_TIMES", 1050)
    clock = Clock()
    callers = Callers(clock)
    for number in range(1000):
        await callers.acquire_entry(str(number), 10, 60)
        await callers.acquire_entry("steady", 10_000, 60)
    assert len(callers._times) <= 100
    assert callers._num_times == sum(map(len, callers._times.values())) <= 1050
    assert (await callers.get_moving_window("steady", 10_000, 60))[1] == 1000
    clock.now += 61
    assert (await callers.get_moving_window("steady", 10_000, 60))[1] == 0


def test_without_a_rate_there_is_no_limiter_and_a_wrong_redis_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_limiter(make_settings().server) is None
    with pytest.raises(ConfigError, match=r"no redis://") as caught:
        build_limiter(make_settings(server__rate_limit="1/day", server__rate_limit_redis="http://:secret@x").server)
    assert "secret" not in caught.value.message
    monkeypatch.setattr(rate_limit, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"flashweb\[redis\]"):
        RedisLimiter("1/day", "redis://x", "open")


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A server that speaks Redis' protocol, scripts included, on a real socket."""
    fakeredis = pytest.importorskip("fakeredis")
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()


async def test_several_servers_count_together_in_redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "REDIS_SECONDS", 30.0)  # longer than a machine stalls
    one, two = RedisLimiter("4/minute", redis_url, "open"), RedisLimiter("4/minute", redis_url, "open")
    try:
        together = await asyncio.gather(*(limiter.hit("a") for limiter in (one, two) * 5))
        assert sum(decision is not None and decision.allowed for decision in together) == 4
        other = await two.hit("b")
        assert other is not None and (other.allowed, other.remaining) == (True, 3) and 0 < other.reset_seconds <= 60
    finally:
        await one.close()
        await two.close()


async def test_a_redis_that_is_gone_lets_pass_or_refuses_and_is_not_asked_each_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "REDIS_PAUSE_SECONDS", 600.0)  # longer than the test, however busy the machine
    url = f"redis://:secret-word@127.0.0.1:{free_port()}/0"
    generous, careful = RedisLimiter("1/minute", url, "open"), RedisLimiter("1/minute", url, "closed")
    assert [await generous.hit("a") for _ in range(3)] == [None] * 3
    for _ in range(3):
        with pytest.raises(NotReady):
            await careful.hit("a")
    assert len(caplog.records) == 2 and "secret-word" not in caplog.text
