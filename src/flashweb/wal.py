"""A SQLite file in WAL mode, whoever else opens it at the same moment."""

from __future__ import annotations

import sqlite3
import time

_PAUSE_SECONDS = 0.01
_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def use_wal(line: sqlite3.Connection, seconds: float) -> None:
    """Switches the file to WAL, trying for `seconds`: while another process switches it, SQLite says "database is
    locked" at once, whatever the connection's own time limit. Raises sqlite3.OperationalError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            line.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY_CODES or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
