"""What a disk answers, and what a caller is told of it: each error as SQLite or the system really raises it."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flashweb import disk
from flashweb.disk import storage_error
from flashweb.errors import StorageBroken, StorageFull, StorageReadOnly, StorageUnavailable


def full(line: sqlite3.Connection, path: Path) -> None:
    line.execute("PRAGMA max_page_count = 1")
    line.execute("INSERT INTO a VALUES (?)", (bytes(100_000),))


def read_only(line: sqlite3.Connection, path: Path) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as other:
        other.execute("INSERT INTO a VALUES (1)")


def damaged(line: sqlite3.Connection, path: Path) -> None:
    line.close()
    path.write_bytes(b"no database" * 1000)
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT * FROM a")


def moved(line: sqlite3.Connection, path: Path) -> None:
    line.execute("SELECT * FROM a").fetchall()
    path.rename(path.with_name("elsewhere"))
    line.execute("INSERT INTO a VALUES (1)")


def busy(line: sqlite3.Connection, path: Path) -> None:
    line.execute("BEGIN IMMEDIATE")
    with closing(sqlite3.connect(path, 0.0)) as other:
        other.execute("BEGIN IMMEDIATE")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (full, StorageFull), (read_only, StorageReadOnly), (damaged, StorageBroken), (moved, StorageBroken),
        (busy, StorageUnavailable),
    ],
)  # fmt: skip
def test_what_sqlite_says_of_its_disk_is_told_apart(
    tmp_path: Path, fault: Callable[[sqlite3.Connection, Path], None], told: type[StorageUnavailable]
) -> None:
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as line:
        line.execute("CREATE TABLE a (b BLOB)")
        with pytest.raises(sqlite3.Error) as caught:
            fault(line, path)
    error = storage_error(caught.value, path, "Do something else.")
    assert type(error) is told
    assert error.message.endswith("Do something else.") and str(tmp_path) not in error.message


def test_what_the_system_says_of_a_disk_is_told_apart() -> None:
    told = {errno.ENOSPC: StorageFull, errno.EROFS: StorageReadOnly, errno.EACCES: StorageReadOnly,
            errno.EIO: StorageBroken}  # fmt: skip
    for number, kind in told.items():
        assert type(storage_error(OSError(number, os.strerror(number)), Path("/secret"))) is kind


def test_a_vague_error_on_a_disk_without_room_is_that_of_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(tmp_path / "no folder" / "a.sqlite")
    path = tmp_path / "a.sqlite"
    assert type(storage_error(caught.value, path)) is StorageBroken
    monkeypatch.setattr(disk, "_ROOM_BYTES", 1 << 80)
    assert type(storage_error(caught.value, path)) is StorageFull
