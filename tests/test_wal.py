from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from flashweb.wal import use_wal


def test_a_file_that_another_process_has_locked_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "a.db", 0.0, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.1, holder.execute, ["ROLLBACK"]).start()
    line = sqlite3.connect(tmp_path / "a.db", 0.0, isolation_level=None)  # as SQLite does here: no waiting of its own
    use_wal(line, 10.0)
    assert line.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    line.close()
    holder.close()


def test_a_file_that_stays_locked_is_an_error_in_the_end(tmp_path: Path) -> None:
    holder, other = (sqlite3.connect(tmp_path / "a.db", 0.0, isolation_level=None) for _ in range(2))
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        use_wal(other, 0.05)
    holder.close()
    other.close()
