"""The runner over a real queue, with a clock and answers of the test's own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flashweb.errors import ConfigError, StorageUnavailable
from flashweb.jobs import Item, Job, JobQueue, NewJob, open_queue
from flashweb.jobs import runner as runner_module
from flashweb.jobs.records import MAX_ATTEMPTS
from flashweb.jobs.requests import KIND, Requests, SavedRequest
from flashweb.jobs.runner import Answer, Call, Runner
from flashweb.jobs.sql import SqlStore
from tests.house import make_settings


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDLE_SECONDS", "BUSY_SECONDS", "AWAY_SECONDS"):
        monkeypatch.setattr(runner_module, name, 0.01)
    monkeypatch.setattr(runner_module, "LEASE_SECONDS", 1e9)  # of the fast clock


@dataclass
class World:
    """A queue in a folder, and what the app would answer to each call. The clock runs a thousand times as fast."""

    folder: Path
    answers: list[tuple[int, str | None]] = field(default_factory=list)  # status, error code; the last one stays
    asked: list[Call] = field(default_factory=list)
    num_places: int = 4
    queue: JobQueue = field(init=False)

    def __post_init__(self) -> None:
        self.queue = open_queue(make_settings(storage__data_dir=str(self.folder)).storage)

    def now(self) -> float:
        return time.monotonic() * 1000

    async def ask(self, call: Call, unwanted: asyncio.Event) -> Answer:
        self.asked.append(call)
        status, code = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(0)
        body = {"error": {"code": code, "message": "no"}} if status >= 400 else {"text": "yes"}
        told = json.dumps(body).encode()
        return Answer(status, f"req_{len(self.asked)}", told, "application/json", error_code=code)

    def runner(self) -> Runner:
        return Runner(
            self.queue, {KIND: Requests()}, self.ask, lambda running: self.num_places - running, self.folder,
            clock=self.now,
        )  # fmt: skip

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runner]:
        runner = self.runner()
        runner.start()
        try:
            yield runner
        finally:
            await runner.stop()
            await self.queue.close()

    async def submit(self, id: str = "job") -> None:
        saved = msgspec.msgpack.encode(SavedRequest("/infer", "application/json", b"{}", "ada"))
        now = self.now()
        await self.queue.do(lambda store: store.submit(NewJob(id, KIND, "owner", {"path": "/infer"}), [saved], now))
        self.queue.news.set()

    async def found(self, id: str = "job") -> tuple[Job, Item]:
        job = await self.queue.do(lambda store: store.get(id, "owner"))
        (item,) = await self.queue.do(lambda store: store.items(id, -1, 1))
        assert job is not None
        return job, item

    async def ended(self, id: str = "job") -> tuple[Job, dict[str, Any]]:
        async with asyncio.timeout(20):
            while True:
                job, item = await self.found(id)
                if job.has_ended:
                    return job, json.loads(item.result or b"{}")
                await asyncio.sleep(0.01)


async def test_an_item_is_executed_in_its_owners_name_and_has_its_answer(tmp_path: Path) -> None:
    world = World(tmp_path, [(200, None)])
    async with world.running():
        await world.submit()
        job, result = await world.ended()
    assert (job.completed, job.failed) == (1, 0)
    assert result == {"status_code": 200, "request_id": "req_1", "body": {"text": "yes"}}
    (call,) = world.asked
    assert (call.path, call.owner, call.caller) == ("/infer", "owner", "ada")


async def test_a_server_that_is_full_or_loading_costs_an_item_nothing_but_time(tmp_path: Path) -> None:
    busy = [(503, code) for code in ("server_is_overloaded", "model_not_ready") * MAX_ATTEMPTS]
    busy += [(429, "too_many_jobs")] * MAX_ATTEMPTS  # a request of a batch that hands in a background response
    world = World(tmp_path, [*busy, (200, None)])
    async with world.running():
        await world.submit()
        job, _ = await world.ended()
    assert job.completed == 1 and len(world.asked) == len(busy) + 1


async def test_an_error_of_ours_is_tried_again_and_in_the_end_told(tmp_path: Path) -> None:
    world = World(tmp_path, [(503, "engine_died"), (500, "internal_error")])
    async with world.running():
        await world.submit()
        job, result = await world.ended()
    assert len(world.asked) == MAX_ATTEMPTS
    assert (job.completed, job.failed) == (0, 1)
    assert result["status_code"] == 500 and result["body"]["error"]["code"] == "internal_error"


@pytest.mark.parametrize("status", [400, 404, 413, 500])
async def test_what_would_be_the_same_again_is_not_tried_again(tmp_path: Path, status: int) -> None:
    world = World(tmp_path, [(status, "invalid_answer")])
    async with world.running():
        await world.submit()
        job, _ = await world.ended()
    assert len(world.asked) == 1 and job.failed == 1


async def test_a_queue_that_is_away_costs_no_answer(tmp_path: Path) -> None:
    world = World(tmp_path, [(200, None)])
    real, away = world.queue.do, 0

    async def do(work: Callable[[Any], Any]) -> Any:
        nonlocal away
        if world.asked and away < 5:
            away += 1
            raise StorageUnavailable("gone for a while")
        return await real(work)

    async with world.running():
        await world.submit()
        world.queue.do = do  # type: ignore[method-assign]
        async with asyncio.timeout(20):
            while away < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        job, _ = await world.ended()
        world.queue.do = real  # type: ignore[method-assign]
    assert away == 5 and job.completed == 1 and len(world.asked) == 1


async def test_one_runner_of_a_folder_works_and_another_one_follows_it(tmp_path: Path) -> None:
    first, second = World(tmp_path, [(200, None)]), World(tmp_path, [(200, None)])
    async with second.running():
        async with first.running():
            # The lock is the first one's that finds a queue to work on.
            await first.submit("a")
            await first.ended("a")
            holder, other = (first, second) if first.asked else (second, first)
            await holder.submit("b")
            await holder.ended("b")
            assert len(holder.asked) == 2 and not other.asked
        if holder is first:
            await second.submit("c")
            await second.ended("c")
            assert len(second.asked) == 1


async def test_what_a_dead_runner_had_is_taken_back_though_the_queue_is_away_when_the_next_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, [(200, None)])
    await world.submit()
    dead = world.runner()._worker
    await world.queue.do(lambda store: store.claim(dead, 1, world.now(), 1e9))
    forsake, was_away = SqlStore.forsake, []

    def away_once(*given: Any) -> int:
        if not was_away:
            was_away.append(True)
            raise StorageUnavailable("away")
        return forsake(*given)

    monkeypatch.setattr(SqlStore, "forsake", away_once)
    async with world.running():
        job, _ = await world.ended()
    assert job.completed == 1 and was_away


async def test_nothing_begins_without_a_place_and_a_runner_that_ends_gives_back_what_it_had(tmp_path: Path) -> None:
    world = World(tmp_path, [(200, None)], num_places=0)
    blocked = asyncio.Event()

    async def never(call: Call, unwanted: asyncio.Event) -> Answer:
        blocked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with world.running():
        await world.submit()
        await asyncio.sleep(0.1)
        assert not world.asked
        _, item = await world.found()
        assert item.state == "waiting"
    world.num_places = 1
    quick, world.ask = world.ask, never  # type: ignore[method-assign]
    async with world.running():
        await asyncio.wait_for(blocked.wait(), 10)
    _, item = await world.found()
    assert item.state == "waiting"
    world.ask = quick  # type: ignore[method-assign]
    async with world.running():
        job, _ = await world.ended()
    assert job.completed == 1


def test_an_url_of_no_queue_is_an_error_that_does_not_show_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        open_queue(make_settings(storage__jobs_url="mysql://root:secret@host").storage)
    assert "secret" not in caught.value.message
