"""Disks that are full, read-only or broken, and queues that are away and come back, under the whole app: what a caller
is told who hands in or asks, and that what was under way is answered in the end, once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import flashweb.jobs.sqlite
import flashweb.stored.sqlite
from flashweb.api.responses import routes, runs
from flashweb.jobs import runner
from tests.api.test_responses_background import has, server, submit, until
from tests.house import ScriptedEngine, user
from tests.jobs.brokers import Broker, postgres_server, redis_server

WORDS = {"messages": user("say a")}
REAL_CONNECT = sqlite3.connect
NONE = dict.fromkeys(("response", "scene", "file"))
LINE = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": WORDS}


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, seconds in (
        (runner, "IDLE_SECONDS", 0.02), (runner, "BEAT_SECONDS", 0.05), (runner, "AWAY_SECONDS", 0.05),
        (runner, "NOT_NOW_SECONDS", 0.05), (runs, "AWAY_SECONDS", 0.05),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, seconds)


class Shop:
    """A server with a response and a batch of one request under way, both held up by the engine."""

    def __init__(self, client: httpx.AsyncClient, engine: ScriptedEngine) -> None:
        self.client = client
        self.engine = engine
        self.response = self.batch = ""

    @property
    def num_asked(self) -> int:
        return sum(not params.ignore_eos for _, params, _ in self.engine.asked)

    async def begin(self) -> None:
        assert self.engine.gate is not None
        self.engine.gate.clear()  # the warm-up is over
        self.response, self.batch = await submit(self.client), await self.new_batch()
        await wait_for(lambda: self.engine.num_running == 2)
        await until(self.client, self.response, has("in_progress"))

    async def new_batch(self) -> str:
        sent = await self.client.post("/v1/files", data={"purpose": "batch"}, files={"file": json.dumps(LINE).encode()})
        asked = {"input_file_id": sent.json()["id"], "endpoint": LINE["url"]}
        made = await self.client.post("/v1/batches", json=asked)
        assert made.status_code == 200, made.text
        return str(made.json()["id"])

    async def refused(self) -> dict[str, str | None]:
        """What is told to those who hand in something now, by what it is; None for what was taken."""
        answers = {
            "response": await self.client.post("/v1/responses", json={"input": "x", "background": True}),
            "scene": await self.client.post("/api/scenes/ocr?async=true", json={"image": "", "prompt": "x"}),
            "file": await self.client.post("/v1/files", data={"purpose": "user_data"}, files={"file": b"words"}),
        }
        for answer in answers.values():
            assert answer.status_code in (200, 202) or (answer.status_code == 503 and "retry-after" in answer.headers)
        return {
            name: answer.json()["error"]["code"] if answer.status_code == 503 else None
            for name, answer in answers.items()
        }

    async def let_go(self) -> None:
        """The engine answers what is under way, while nothing can be written."""
        assert self.engine.gate is not None
        self.engine.gate.set()
        await wait_for(lambda: self.engine.num_running == 0)
        await asyncio.sleep(0.2)

    async def check_answered_once(self) -> None:
        body = await until(self.client, self.response, has("completed"))
        assert body["output"][0]["content"][0]["text"] == "words"
        async with asyncio.timeout(60):
            path = f"/v1/batches/{self.batch}"
            while (told := (await self.client.get(path)).json())["status"] != "completed":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert told["request_counts"] == {"total": 1, "completed": 1, "failed": 0}


async def wait_for(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def open_shop(folder: Path, **given: Any) -> AsyncIterator[Shop]:
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine("words", gate=gate, max_num_seqs=4)
    async with server(folder, engine, **given) as client:
        yield Shop(client, engine)


# --- the disk -----------------------------------------------------------------------------------------------------


class Disk:
    """Under every SQLite file of the server: with a `fault`, nothing can be written any more."""

    def __init__(self) -> None:
        self.fault: tuple[str, int] | None = None

    def connect(self, *given: Any, **options: Any) -> sqlite3.Connection:
        disk = self

        class Line(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:  # type: ignore[override]
                if disk.fault is not None and sql == "BEGIN IMMEDIATE":
                    error = sqlite3.OperationalError(disk.fault[0])
                    error.sqlite_errorcode = disk.fault[1]
                    raise error
                return super().execute(sql, *values)

        return REAL_CONNECT(*given, factory=Line, **options)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        ("database or disk is full", sqlite3.SQLITE_FULL, "storage_full"),
        ("attempt to write a readonly database", sqlite3.SQLITE_READONLY, "storage_read_only"),
        ("disk I/O error", sqlite3.SQLITE_IOERR_WRITE, "storage_broken"),
    ],
)
async def test_what_was_under_way_when_the_disk_failed_is_answered_once_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, number: int, code: str
) -> None:
    disk = Disk()
    for module in (flashweb.jobs.sqlite, flashweb.stored.sqlite):
        monkeypatch.setattr(module.sqlite3, "connect", disk.connect)
    async with open_shop(tmp_path) as shop:
        await shop.begin()
        disk.fault = words, number
        assert await shop.refused() == {"response": code, "scene": code, "file": code}
        assert (await shop.client.post(f"/v1/responses/{shop.response}/cancel")).status_code == 503
        if code != "storage_broken":  # then the file was closed, to be opened anew
            assert (await shop.client.get(f"/v1/responses/{shop.response}")).json()["status"] == "in_progress"
            assert (await shop.client.get(f"/v1/batches/{shop.batch}")).json()["status"] == "in_progress"
        await shop.let_go()
        assert (await shop.client.post("/v1/chat/completions", json=WORDS)).status_code == 200
        disk.fault = None
        await shop.check_answered_once()
        assert shop.num_asked == 3, "something was answered twice"
        assert await shop.refused() == NONE


async def test_a_damaged_queue_is_told_and_once_it_was_removed_everything_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MEND_SECONDS", 0.05)
    async with open_shop(tmp_path) as shop:
        await shop.begin()
    (tmp_path / "jobs.sqlite").write_bytes(b"no database " * 1000)
    async with open_shop(tmp_path) as again:
        broken = "storage_broken"
        assert await again.refused() == {"response": broken, "scene": broken, "file": None}
        assert (await again.client.get(f"/v1/responses/{shop.response}")).json()["status"] == "in_progress"
        assert (await again.client.get(f"/v1/batches/{shop.batch}")).status_code == 503
        (tmp_path / "jobs.sqlite").unlink()
        await until(again.client, shop.response, has("completed"))  # it was kept beside the queue
        assert await again.refused() == NONE
        await again.new_batch()


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """One of a megabyte, where the test may mount one."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("no rights to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_real_disk_that_is_read_only_and_then_full_loses_nothing_and_is_used_as_soon_as_it_can_be(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk") as folder:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        async with open_shop(folder) as shop:
            assert set((await shop.refused()).values()) == {"storage_read_only"}
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
            await shop.begin()
            with (folder / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
                while True:
                    file.write(bytes(4096))
            full = await shop.refused()
            assert full["file"] == "storage_full" and set(full.values()) <= {"storage_full", None}
            await shop.let_go()
            (folder / "filler").unlink()
            await shop.check_answered_once()
            assert await shop.refused() == NONE


# --- the queue's server -------------------------------------------------------------------------------------------


@pytest.fixture(params=["redis", pytest.param("postgres", marks=pytest.mark.slow)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    with postgres_server() if request.param == "postgres" else redis_server() as started:
        yield started


async def test_a_queue_that_is_away_for_longer_than_a_lease_costs_no_answer_and_none_comes_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broker: Broker
) -> None:
    monkeypatch.setattr(runner, "LEASE_SECONDS", 0.5)
    async with open_shop(tmp_path, storage__jobs_url=broker.url) as shop:
        await shop.begin()
        await asyncio.to_thread(broker.stop)
        away = "storage_unavailable"
        assert await shop.refused() == {"response": away, "scene": away, "file": None}
        assert (await shop.client.get(f"/v1/responses/{shop.response}")).json()["status"] == "in_progress"
        polled = await shop.client.get(f"/v1/batches/{shop.batch}")
        assert (polled.status_code, polled.json()["error"]["code"]) == (503, away)
        await shop.let_go()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(broker.start)
        await shop.check_answered_once()
        assert shop.num_asked == 2
        await submit(shop.client)
