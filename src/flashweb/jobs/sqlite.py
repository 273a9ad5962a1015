"""The queue in a SQLite file, write-ahead logged, which several processes of one machine may share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flashweb.disk import private_folder, storage_error
from flashweb.jobs.sql import SCHEMA, SqlStore, Transaction
from flashweb.wal import use_wal

BUSY_SECONDS = 10.0  # for another process's transaction to end


def sqlite_store(path: Path) -> SqlStore:
    """Opens the file, and makes it where there is none (mode 0600). Raises StorageUnavailable and its family."""
    driver = SqliteDriver(path)
    try:
        with driver.writing(durable=True) as tx:
            for statement in SCHEMA:
                tx.run(statement.format(blob="BLOB"))
    except BaseException:
        driver.close()
        raise
    return SqlStore(driver)


class SqliteDriver:
    """Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._told():
            private_folder(path.parent)
            path.touch(mode=0o600)
            # Transactions are begun by hand, below.
            self._line = sqlite3.connect(path, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                use_wal(self._line, BUSY_SECONDS)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        self._line.close()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._told(), self._between("BEGIN"):
            yield _SqliteTransaction(self._line)

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Transaction]:
        with self._told():
            # NORMAL survives the death of this process, FULL also that of the machine. What a machine's death may
            # undo of the others is a lease, or the result of one of many items: it runs again.
            self._line.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            with self._between("BEGIN IMMEDIATE"):
                yield _SqliteTransaction(self._line)

    @contextmanager
    def _between(self, begin: str) -> Iterator[None]:
        self._line.execute(begin)
        try:
            yield
            self._line.execute("COMMIT")
        except BaseException:
            if self._line.in_transaction:
                self._line.execute("ROLLBACK")
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise storage_error(error, self._path) from error


class _SqliteTransaction:
    def __init__(self, line: sqlite3.Connection) -> None:
        self._line = line

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._line.execute(sql, values).fetchall()

    def run(self, sql: str, *values: Any) -> int:
        return self._line.execute(sql, values).rowcount

    def many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._line.executemany(sql, rows)
