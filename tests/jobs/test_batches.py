"""What of a batch happens twice when the machine ends between its halves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flashweb.api.background import Background
from flashweb.jobs import JobQueue, NewJob
from flashweb.jobs import batches as batches_module
from flashweb.jobs.batches import KIND, Batches
from flashweb.jobs.files import FileStore
from flashweb.jobs.sqlite import sqlite_store
from flashweb.settings import StorageSettings
from tests.house import ScriptedEngine, make_pipeline


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
