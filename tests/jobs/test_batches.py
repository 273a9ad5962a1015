"""What of a batch happens twice when the machine ends between its halves."""

from __future__ import annotations

from pathlib import Path

from flashweb.jobs import JobQueue, NewJob
from flashweb.jobs.batches import KIND, Batches
from flashweb.jobs.files import FileStore
from flashweb.jobs.sqlite import sqlite_store
from flashweb.settings import StorageSettings


async def test_a_batch_that_is_begun_or_ended_twice_says_the_same_and_then_lets_its_input_go(tmp_path: Path) -> None:
    queue = JobQueue(lambda: sqlite_store(tmp_path / "jobs.sqlite"))
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
