"""The queue in Postgres (`--jobs-url postgresql://...`), which several servers may share; the extra `postgres`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

from flashweb.errors import StorageBroken, StorageFull, StorageReadOnly, StorageUnavailable
from flashweb.jobs.sql import SCHEMA, SqlStore, Transaction

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger("flashweb.jobs")
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30
# Held by every transaction that writes, so that they follow each other: any number will do that nobody else takes.
LOCK = 0x666C6A6F
# Its own words (SQLSTATE) for what a disk of ours would answer.
_TOLD: dict[str | None, tuple[type[StorageUnavailable], str]] = {
    "53100": (StorageFull, "The disk of this server's database is full; its operator must make room."),
    "25006": (StorageReadOnly, "The database of this server's jobs may not be written; come back later."),
    **dict.fromkeys(
        ("58030", "XX001", "XX002"),
        (StorageBroken, "The database of this server's jobs is damaged; its operator finds the reason in its log."),
    ),
}
_AWAY = (StorageUnavailable, "The database of this server's jobs does not answer; come back later.")


def postgres_store(url: str) -> SqlStore:
    """Connects, and makes the tables where they are missing. Raises StorageUnavailable and its family."""
    driver = PostgresDriver(url)
    with driver.writing(durable=True) as tx:
        for statement in SCHEMA:
            tx.run(statement.format(blob="BYTEA"))
    return SqlStore(driver)


class PostgresDriver:
    """One connection, used by one thread at a time; a broken one is replaced at the next transaction."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._line: psycopg.Connection[tuple[Any, ...]] | None = None

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._transaction("SELECT 1") as tx:
            yield tx

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Transaction]:
        with self._transaction(f"SELECT pg_advisory_xact_lock({LOCK})") as tx:
            if not durable:  # a lease or a result that the machine's death undoes: the item runs again
                tx.all("SELECT set_config('synchronous_commit', 'off', true)")
            yield tx

    @contextmanager
    def _transaction(self, first: str) -> Iterator[_PostgresTransaction]:
        import psycopg

        try:
            line = self._begun(first)
            try:
                yield _PostgresTransaction(line)
                line.commit()
            except BaseException:
                if not line.broken:
                    line.rollback()
                raise
        except psycopg.Error as error:
            # Its text may hold the URL's parts.
            log.error("Postgres does not take the queue's transaction: %s (%s)", type(error).__name__, error.sqlstate)
            kind, words = _TOLD.get(error.sqlstate, _AWAY)
            raise kind(words) from None

    def _begun(self, first: str) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection with a transaction begun; a new one where the old one turns out to be broken."""
        import psycopg

        if self._line is not None:
            try:
                self._line.execute(first)
                return self._line
            except psycopg.OperationalError:
                self.close()
        self._line = psycopg.connect(
            self._url,
            connect_timeout=CONNECT_SECONDS,
            client_encoding="utf8",
            options=f"-c statement_timeout={STATEMENT_SECONDS}s",
        )
        self._line.execute(first)
        return self._line


class _PostgresTransaction:
    def __init__(self, line: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._line = line

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._line.execute(_ours(sql), _plain(values)).fetchall()

    def run(self, sql: str, *values: Any) -> int:
        return self._line.execute(_ours(sql), _plain(values)).rowcount

    def many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._line.cursor() as cursor:
            cursor.executemany(_ours(sql), rows)


def _ours(sql: str) -> Any:
    return sql.replace("?", "%s")


def _plain(values: tuple[Any, ...]) -> list[Any]:
    """psycopg takes an enumeration's member for one of the database's own."""
    return [value.value if isinstance(value, Enum) else value for value in values]
