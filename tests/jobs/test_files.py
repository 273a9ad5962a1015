"""The store of files: what a row says is on the disk, whatever ends the machine."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from flashweb.errors import StorageFull, TooLarge
from flashweb.jobs.files import FileStore
from flashweb.settings import StorageSettings
from tests.power import Disk

LINE = b'{"a": 1}\n'


async def uploaded(store: FileStore, id: str = "file-1") -> str:
    async with await store.receive("me") as incoming:
        incoming.take(LINE)
        return (await incoming.finish("batch", "in.jsonl", None, id)).id


async def test_a_row_is_written_when_its_file_is_whole_and_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    store = FileStore(StorageSettings(data_dir=str(tmp_path / "data")))
    await uploaded(store)
    await store.keep_own("file-2", "me", "out.jsonl", [b"{}"], None)
    await store.close()
    assert disk.named == ["file-1", "file-2"] and disk.durable_commits >= 2
    assert not disk.mistakes


@pytest.mark.parametrize("has_links", [True, False])
async def test_a_second_name_for_a_file_is_on_the_disk_when_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    store = FileStore(StorageSettings(data_dir=str(tmp_path / "data")))
    await uploaded(store)
    if not has_links:

        def no_link(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "link", no_link)
    disk = Disk(monkeypatch)
    target = tmp_path / "data" / "batches" / "batch_1.jsonl"
    made = [await store.copy_to("file-1", "me", target) for _ in range(2)]
    await uploaded(store, "file-3")  # a commit, before which it must be there
    await store.close()
    assert made == [True, False] and target.read_bytes() == LINE
    assert not disk.mistakes


async def test_a_file_that_comes_again_under_its_id_is_the_one_there_is(tmp_path: Path) -> None:
    store = FileStore(StorageSettings(data_dir=str(tmp_path), file_quota=1024))
    first, again = [await uploaded(store) for _ in range(2)]
    (found,) = await store.listed("me", None, None, 10, "asc")
    await store.close()
    assert first == again == found.id == "file-1"
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["file-1"]


async def test_a_file_whose_time_is_over_takes_no_room_in_its_owners_quota(tmp_path: Path) -> None:
    now = 1000.0
    store = FileStore(StorageSettings(data_dir=str(tmp_path), file_quota=1024), lambda: now)

    async def upload(id: str) -> None:
        async with await store.receive("me") as incoming:
            incoming.take(bytes(1000))
            await incoming.finish("user_data", "a", 60.0, id)

    await upload("file-1")
    with pytest.raises(TooLarge, match="1,024 bytes together"):
        await upload("file-2")
    now += 60
    await upload("file-3")
    await store.close()


async def test_a_copy_takes_its_owners_room_once_the_file_is_deleted_and_until_it_is_dropped(tmp_path: Path) -> None:
    store = FileStore(StorageSettings(data_dir=str(tmp_path), file_quota=1024))

    async def upload(size: int, id: str, owner: str = "me") -> None:
        async with await store.receive(owner) as incoming:
            incoming.take(bytes(size))
            await incoming.finish("user_data", "a", None, id)

    paths = [tmp_path / "batches" / f"batch_{number}.jsonl" for number in range(2)]
    await upload(600, "file-1")
    for path in paths:
        await store.copy_to("file-1", "me", path)
    await upload(400, "file-2")  # while the file is there, its bytes are there once
    await store.delete("file-2", "me")
    await store.delete("file-1", "me")
    with pytest.raises(TooLarge, match="batches that have not ended"):
        await upload(600, "file-3")
    await upload(400, "file-4")  # two copies of a file are two names of the same bytes
    await upload(600, "file-5", owner="somebody else")
    for path in paths:
        await store.drop_copy(path)
    await upload(600, "file-6")
    await store.close()
    assert not list((tmp_path / "batches").iterdir())


async def test_a_copy_that_does_not_fit_on_the_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(StorageSettings(data_dir=str(tmp_path)))
    await uploaded(store)

    def no_link(*_: object) -> None:
        raise PermissionError

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr(shutil, "copyfileobj", no_room)
    with pytest.raises(StorageFull):
        await store.copy_to("file-1", "me", tmp_path / "batches" / "batch_1.jsonl")
    await store.delete("file-1", "me")
    assert await store._do(lambda: store._used("me")) == 0
    await store.close()
    assert not list((tmp_path / "files").iterdir())
    assert not list((tmp_path / "batches").iterdir())


async def test_an_upload_that_is_cancelled_while_its_first_bytes_are_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(StorageSettings(data_dir=str(tmp_path)))
    begun, goes_on, temporary = threading.Event(), threading.Event(), store._temporary

    def slow() -> Any:
        begun.set()
        goes_on.wait(10)
        return temporary()

    monkeypatch.setattr(store, "_temporary", slow)
    upload = asyncio.create_task(uploaded(store))
    await asyncio.to_thread(begun.wait, 10)
    upload.cancel()
    asyncio.get_running_loop().call_later(0.1, goes_on.set)
    with pytest.raises(asyncio.CancelledError):
        await upload
    await asyncio.sleep(0.3)
    await store.close()
    assert not list((tmp_path / "files").iterdir())
