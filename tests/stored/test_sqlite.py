"""The store of responses: whose they are, what is kept of them and for how long, and runs that change hands."""

from __future__ import annotations

import asyncio
import base64
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flashweb.errors import ResponseNotFound, StorageUnavailable
from flashweb.stored import SqliteResponses, StoredResponse
from tests.power import Disk

MIB = 1 << 20
DAY = 86400.0
PICTURE = base64.b64decode("png/") * 1000  # a test that looks for "png" in the whole URL finds more than its head
BASE64 = base64.b64encode(PICTURE).decode()
URL = f"data:image/png;base64,{BASE64}"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteResponses]:
    made = SqliteResponses(tmp_path / "data", max_bytes=MIB, days=30, now=clock)
    yield made
    await made.close()


def response(id: str, *, owner: str = "me", status: str = "completed", url: str = URL, **more: Any) -> StoredResponse:
    content = [{"type": "input_text", "text": "what is it?"}, {"type": "input_image", "image_url": url}]
    items = [{"type": "message", "id": f"msg_{id}", "role": "user", "content": content}]
    return StoredResponse(id, owner, {"id": id, "status": status, "output": []}, items, **more)


def pictures(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "data" / "response-files").iterdir())


async def test_a_response_comes_back_as_it_was_and_only_to_its_owner(store: SqliteResponses) -> None:
    given = response("a")
    existed = store.exists
    await store.put(given)
    assert (existed, store.exists) == (False, True)
    assert await store.get("a", "me", whole=True) == given
    left_out = await store.get("a", "me")
    assert left_out.items[0]["content"][1] == {"type": "input_image", "image_url": None}
    for id, owner in (("a", "you"), ("b", "me"), ("", "")):
        with pytest.raises(ResponseNotFound):
            await store.get(id, owner)
        with pytest.raises(ResponseNotFound):
            await store.conversation(id, owner)
        with pytest.raises(ResponseNotFound):
            await store.delete(id, owner)
        with pytest.raises(ResponseNotFound):
            await store.cancel(id, owner)
        with pytest.raises(ResponseNotFound):
            await store.events(id, owner, -1)
    assert (await store.get("a", "me")).body["id"] == "a"


async def test_a_picture_is_kept_once_and_goes_with_the_last_response_that_has_it(
    store: SqliteResponses, tmp_path: Path
) -> None:
    await store.put(response("a"))
    await store.put(response("b", owner="you", url=f"data:image/jpeg;base64,{BASE64}"))
    (file,) = pictures(tmp_path)
    assert file.read_bytes() == PICTURE
    assert (await store.get("b", "you", whole=True)).items[0]["content"][1]["image_url"].startswith("data:image/jpeg;")
    await store.delete("a", "me")
    assert pictures(tmp_path) == [file]
    await store.delete("b", "you")
    assert pictures(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["x" * 2001, "data:image/png;base64," + "x" * 2001, "http://a.example/" + "x" * 2000, URL + "\n"]
)
async def test_texts_that_are_no_base64_of_ours_come_back_as_they_came(store: SqliteResponses, text: str) -> None:
    await store.put(response("a", url=text))
    assert (await store.get("a", "me", whole=True)).items[0]["content"][1]["image_url"] == text


async def test_everything_is_for_the_servers_own_user_alone(store: SqliteResponses, tmp_path: Path) -> None:
    await store.put(response("a"))
    for path in (tmp_path / "data").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


async def test_a_conversation_is_everything_it_continues_and_its_use_keeps_all_of_it(
    store: SqliteResponses, clock: Clock
) -> None:
    await store.put(response("a"))
    await store.put(response("b", previous="a"))
    clock.now += 20 * DAY
    turns = await store.conversation("b", "me")
    assert [turn.id for turn in turns] == ["a", "b"] and turns[0].items[0]["content"][1]["image_url"] == URL
    clock.now += 20 * DAY
    assert len(await store.conversation("b", "me")) == 2
    await store.delete("a", "me")
    with pytest.raises(ResponseNotFound, match="'a'"):
        await store.conversation("b", "me")


async def test_what_nobody_used_for_its_days_is_gone(store: SqliteResponses, clock: Clock, tmp_path: Path) -> None:
    await store.put(response("a"))
    clock.now += 30 * DAY + 1
    with pytest.raises(ResponseNotFound):
        await store.get("a", "me")
    await store.put(response("b", url="http://a.example/1.png"))
    assert pictures(tmp_path) == []  # its file too, with the next one that is kept


async def test_the_oldest_make_room_with_their_pictures_but_nothing_that_runs(
    store: SqliteResponses, clock: Clock, tmp_path: Path
) -> None:
    def large(id: str, **more: Any) -> StoredResponse:
        return response(id, url=base64.b64encode(os.urandom(300_000)).decode(), **more)

    for id, status in (("a", "queued"), ("b", "completed"), ("c", "completed")):
        clock.now += 1
        await store.put(large(id, status=status))
    clock.now += 1
    await store.conversation("b", "me")  # now c is the oldest
    await store.put(large("d"))
    kept = [id for id in "abcd" if await found(store, id)]
    assert kept == ["a", "b", "d"] and len(pictures(tmp_path)) == 3
    with pytest.raises(StorageUnavailable, match="responses-size"):
        await store.put(response("e", url=base64.b64encode(os.urandom(MIB)).decode()))
    assert [id for id in "abcd" if await found(store, id)] == kept, "a refusal has dropped something"
    assert len(pictures(tmp_path)) == 3


async def found(store: SqliteResponses, id: str) -> bool:
    try:
        return bool(await store.get(id, "me"))
    except ResponseNotFound:
        return False


async def test_a_run_begins_anew_and_an_earlier_one_is_not_heard_any_more(store: SqliteResponses) -> None:
    await store.put(response("a", status="queued", request={"model": "m"}))
    assert await store.running() == [("a", "me", 0)]
    begun = await store.begin("a", 3)
    assert begun is not None and begun.request == {"model": "m"} and begun.run == 3
    assert begun.items[0]["content"][1]["image_url"] == URL
    assert await store.add_events("a", 3, 0, [b"0", b"1"], {"id": "a", "status": "in_progress"})
    assert await store.add_events("a", 3, 2, [b"2"])
    assert (await store.get("a", "me")).status == "in_progress"
    assert await store.events("a", "me", 0) == ([b"1", b"2"], True, 3)
    assert await store.begin("a", 3) is None and await store.begin("a", 2) is None
    assert await store.begin("a", 4) is not None
    assert await store.events("a", "me", -1) == ([], True, 4)
    assert not await store.add_events("a", 3, 3, [b"3"])
    assert not await store.finish("a", 3, 3, [b"3"], {"id": "a", "status": "completed"})
    assert await store.running() == [("a", "me", 4)]
    assert await store.finish("a", 4, 0, [b"0"], {"id": "a", "status": "completed"})
    assert await store.events("a", "me", -1) == ([b"0"], False, 4)
    assert await store.running() == []
    assert await store.begin("a", 5) is None, "an end is final"
    assert not await store.finish("a", 4, 1, [b"1"], {"id": "a", "status": "failed"})


async def test_runs_are_numbered_anew_where_the_numbers_were_lost(store: SqliteResponses) -> None:
    await store.put(response("a", status="queued", request={}))
    assert await store.begin("a", 7) is not None
    await store.reset("a", 6)  # somebody else has done it meanwhile
    assert await store.begin("a", 1) is None
    await store.reset("a", 7)
    assert await store.begin("a", 1) is not None
    assert not await store.add_events("a", 7, 0, [b"0"])


async def test_a_cancelled_response_takes_no_more_news(store: SqliteResponses) -> None:
    await store.put(response("a", status="queued", request={}))
    await store.begin("a", 1)
    assert (await store.cancel("a", "me")).status == "cancelled"
    assert not await store.add_events("a", 1, 0, [b"0"], {"status": "in_progress"})
    assert not await store.finish("a", 1, 0, [b"0"], {"status": "completed"})
    assert await store.begin("a", 2) is None
    assert (await store.get("a", "me")).status == "cancelled"
    await store.put(response("b"))
    assert (await store.cancel("b", "me")).status == "completed"


async def test_two_processes_share_one_file(store: SqliteResponses, tmp_path: Path, clock: Clock) -> None:
    other = SqliteResponses(tmp_path / "data", max_bytes=MIB, days=30, now=clock)
    await asyncio.gather(*(one.put(response(f"{name}{i}")) for i in range(10) for name, one in
                           (("a", store), ("b", other))))  # fmt: skip
    assert (await other.get("a9", "me")).id == "a9" and (await store.get("b9", "me")).id == "b9"
    assert len(pictures(tmp_path)) == 1
    await other.close()


async def test_files_of_a_crash_are_swept_at_the_next_start(store: SqliteResponses, tmp_path: Path) -> None:
    await store.put(response("a"))
    (tmp_path / "data" / "response-files" / ("0" * 64)).write_bytes(b"orphan")
    (tmp_path / "data" / "response-files" / "half.new").write_bytes(b"half")
    other = SqliteResponses(tmp_path / "data", max_bytes=MIB, days=30)
    assert await other.running() == []  # whatever opens it
    assert len(pictures(tmp_path)) == 1
    await other.close()


async def test_a_folder_that_cannot_be_written_is_a_clear_error_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    store = SqliteResponses(tmp_path / "data", max_bytes=MIB, days=30)
    with pytest.raises(StorageUnavailable, match="store: false"):
        await store.put(response("a"))
    (tmp_path / "data").unlink()
    await store.put(response("a"))
    await store.close()


async def test_a_full_disk_leaves_what_there_was(store: SqliteResponses, tmp_path: Path) -> None:
    await store.put(response("a"))
    assert store._db is not None
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageUnavailable):
        for i in range(100):
            await store.put(response(f"b{i}", url="http://a.example/" + "x" * 4000))
    assert (await store.get("a", "me")).id == "a"
    store._db.execute("PRAGMA max_page_count = 100000")
    await store.put(response("c"))
    (total,) = store._db.execute("SELECT bytes FROM total").fetchone()
    rows = sqlite3.connect(tmp_path / "data" / "responses.sqlite")
    (sums,) = rows.execute("SELECT (SELECT sum(bytes) FROM responses) + (SELECT sum(bytes) FROM files)").fetchone()
    rows.close()
    assert total == sums


async def test_a_response_is_not_on_the_disk_before_its_pictures(
    store: SqliteResponses, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    await store.put(response("a"))
    assert disk.named and not disk.mistakes


@pytest.mark.parametrize("change", ["put", "cancel", "delete"])
async def test_what_callers_were_told_of_a_background_response_outlives_the_machine(
    store: SqliteResponses, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    disk = Disk(monkeypatch)
    queued = response("a", status="queued")
    await store.put(queued)
    before = disk.durable_commits
    if change == "put":
        assert before
    else:
        await (store.cancel("a", "me") if change == "cancel" else store.delete("a", "me"))
        assert disk.durable_commits > before
