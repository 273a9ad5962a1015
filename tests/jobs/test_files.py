"""The store of files: what a row says is on the disk, whatever ends the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
    assert await store.copy_to("file-1", target) and not await store.copy_to("file-1", target)
    await uploaded(store, "file-3")  # a commit, before which it must be there
    await store.close()
    assert target.read_bytes() == LINE
    assert not disk.mistakes


async def test_a_file_that_comes_again_under_its_id_is_the_one_there_is(tmp_path: Path) -> None:
    store = FileStore(StorageSettings(data_dir=str(tmp_path), file_quota=1024))
    first, again = [await uploaded(store) for _ in range(2)]
    (found,) = await store.listed("me", None, None, 10, "asc")
    await store.close()
    assert first == again == found.id == "file-1"
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["file-1"]
