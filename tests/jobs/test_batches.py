"""What of a batch happens twice when the machine ends between its halves."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flashweb.api.background import Background
from flashweb.jobs import JobQueue, NewJob
from flashweb.jobs import batches as batches_module
from flashweb.jobs.batches import KIND, Batches
from flashweb.jobs.files import LEFT_OVER_SECONDS, FileStore
from flashweb.jobs.sql import SqlStore
from flashweb.jobs.sqlite import sqlite_store
from flashweb.settings import StorageSettings
from tests.house import ScriptedEngine, make_pipeline, open_house


async def test_a_batch_that_is_begun_or_ended_twice_says_the_same_and_then_lets_its_input_go(tmp_path: Path) -> None:
    queue = JobQueue(lambda: sqlite_store(tmp_path / "jobs.sqlite"), max_waiting=10)
    files = FileStore(StorageSettings(data_dir=str(tmp_path)))
    batches = Batches(queue, files, tmp_path / "batches", max_body_bytes=1024, keep_seconds=60.0)
    new = NewJob("batch_1", KIND, "me", {"endpoint": "/v1/chat/completions", "caller": None}, has_chores=True)
    path = batches.input_path(new.id)
    path.parent.mkdir()
    path.write_text("no json\n")
    await queue.do(lambda store: store.submit(new, (), 1.0))
    job = await queue.do(lambda store: store.get(new.id, "me"))
    assert job is not None
    begun = [await batches.begin(job) for _ in range(2)]
    assert begun[0] == begun[1] and begun[0].failed
    assert begun[0].meta["errors"][0]["code"] == "invalid_json_line"
    ended = [await batches.end(job) for _ in range(2)]
    assert ended[0] == ended[1]
    assert path.exists()
    for _ in range(2):
        await batches.forget(job.id)
    assert not path.exists()
    await files.close()
    await queue.close()


async def test_a_server_that_stops_while_a_batchs_files_are_written_leaves_no_queue_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "PAGE", 1)  # many looks into the queue
    pipeline = make_pipeline(ScriptedEngine(), storage__data_dir=str(tmp_path))
    background = Background(pipeline.settings, pipeline)
    new = NewJob("batch_1", KIND, "me", {"endpoint": "/v1/chat/completions", "caller": None}, has_chores=True)

    def answered(store: Any) -> Any:
        store.submit(new, (), 1.0)
        places = [{"at": 0, "size": 0, "custom_id": f"{number}", "caller": None} for number in range(200)]
        store.settle(store.claim_chore(1.0, 60.0), new.meta, list(map(msgspec.json.encode, places)), 1.0)
        for lease in store.claim("worker", 200, 1.0, 60.0):
            store.finish(lease, b'{"status_code": 200, "body": {}}', True, 1.0)
        return store.get(new.id, "me")

    ending = asyncio.create_task(background.batches.end(await background.queue.do(answered)))
    async with asyncio.timeout(20):
        while not list(tmp_path.glob("files/incoming-*")):  # noqa: ASYNC110
            await asyncio.sleep(0)
    ending.cancel()
    await background.stop()
    assert background.queue._store is None
    assert len(list(tmp_path.glob("files/file-*"))) == 1, "what had begun is whole"


async def test_a_copy_that_a_death_of_the_server_has_left_without_a_batch_is_let_go(tmp_path: Path) -> None:
    now = 1e9
    queue = JobQueue(lambda: sqlite_store(tmp_path / "jobs.sqlite"), max_waiting=10)
    files = FileStore(StorageSettings(data_dir=str(tmp_path)), lambda: now)
    batches = Batches(queue, files, tmp_path / "batches", max_body_bytes=1024, keep_seconds=60.0)
    await files.keep_own("file-1", "me", "in.jsonl", [b"{}"], None)
    waiting, cancelled = (NewJob(f"batch_{name}", KIND, "me") for name in ("waiting", "cancelled"))
    for new in (waiting, cancelled):
        await batches.hand_in(new, "file-1", now)
    await files.copy_to("file-1", "me", batches.input_path("batch_none"))  # its process died here
    await queue.do(lambda store: store.cancel("batch_cancelled", "me", now))  # and another one here
    await batches.sweep()
    assert len(list((tmp_path / "batches").iterdir())) == 3, "what may be on its way is left alone"
    now += LEFT_OVER_SECONDS + 1
    await batches.sweep()
    assert list((tmp_path / "batches").iterdir()) == [batches.input_path("batch_waiting")]
    await files.close()
    await queue.close()


@pytest.mark.parametrize("where", [(FileStore, "_copy_to"), (SqlStore, "submit")])
async def test_a_batch_whose_caller_goes_away_meanwhile_has_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[type, str]
) -> None:
    begun, goes_on, work = threading.Event(), threading.Event(), getattr(*where)

    def slow(*given: Any) -> Any:
        begun.set()
        goes_on.wait(10)
        return work(*given)

    async with open_house(ScriptedEngine(), storage__data_dir=str(tmp_path)) as house:
        form = {"files": {"file": ("in.jsonl", b"{}")}, "data": {"purpose": "batch"}}
        file = (await house.client.post("/v1/files", **form)).json()["id"]  # type: ignore[arg-type]
        body = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        monkeypatch.setattr(*where, slow)
        caller = asyncio.create_task(house.post(body, "/v1/batches"))
        await asyncio.to_thread(begun.wait, 10)
        caller.cancel()
        asyncio.get_running_loop().call_later(0.1, goes_on.set)
        await asyncio.wait({caller})
        listed = (await house.client.get("/v1/batches")).json()["data"]
    copies = [path.stem for path in (tmp_path / "batches").iterdir()]
    assert caller.cancelled() and copies == [batch["id"] for batch in listed] != []
