"""The queue in a SQLite file, write-ahead logged, which several processes of one machine may share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flashweb.disk import private_folder, storage_error
from flashweb.errors import StorageBroken
from flashweb.jobs.sql import SCHEMA, SqlStore, Transaction
from flashweb.wal import use_wal

BUSY_SECONDS = 10.0  # for another process's transaction to end


def sqlite_store(path: Path) -> SqlStore:
    """Opens the file, and makes it where there is none (mode 0600). Raises StorageUnavailable and its family."""
    driver = SqliteDriver(path)
    with driver.writing(durable=True) as tx:
        for statement in SCHEMA:
            tx.run(statement.format(blob="BLOB"))
    return SqlStore(driver)


class SqliteDriver:
    """Used by one thread at a time. After an error of a broken file the next transaction opens it anew: another one
    may be in its place by then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._told(), self._between(self._opened(), "BEGIN") as tx:
            yield tx

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Transaction]:
        with self._told():
            line = self._opened()
            # NORMAL survives the death of this process, FULL also that of the machine. What a machine's death may
            # undo of the others is a lease or a result: its item runs again.
            line.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            with self._between(line, "BEGIN IMMEDIATE") as tx:
                yield tx

    def _opened(self) -> sqlite3.Connection:
        if self._line is None:
            private_folder(self._path.parent)
            self._path.touch(mode=0o600)
            # Transactions are begun by hand, below.
            line = sqlite3.connect(self._path, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                use_wal(line, BUSY_SECONDS)
            except BaseException:
                line.close()
                raise
            self._line = line
        return self._line

    @contextmanager
    def _between(self, line: sqlite3.Connection, begin: str) -> Iterator[Transaction]:
        line.execute(begin)
        try:
            yield _SqliteTransaction(line)
            line.execute("COMMIT")
        except BaseException:
            if line.in_transaction:
                line.execute("ROLLBACK")
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            told = storage_error(error, self._path)
            if isinstance(told, StorageBroken):
                self.close()
            raise told from error


class _SqliteTransaction:
    def __init__(self, line: sqlite3.Connection) -> None:
        self._line = line

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._line.execute(sql, values).fetchall()

    def run(self, sql: str, *values: Any) -> int:
        return self._line.execute(sql, values).rowcount

    def many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._line.executemany(sql, rows)
