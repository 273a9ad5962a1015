"""`SqliteResponses`: responses in one SQLite file (WAL), which several processes may share, with pictures beside it.

Every statement runs on the store's one thread, so that the event loop never waits for the disk; every change is one
immediate transaction, the files of pictures included, so that no other process sees half of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from flashweb.errors import ResponseNotFound, StorageUnavailable
from flashweb.stored.pictures import Folder, Kept, left_out, put_back, taken_out
from flashweb.stored.responses import RUNNING, StoredResponse
from flashweb.wal import use_wal

T = TypeVar("T")
MAX_CHAIN = 1024  # responses of one conversation
log = logging.getLogger("flashweb.stored")
BUSY_SECONDS = 10.0  # for another process's transaction
_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, previous TEXT, status TEXT NOT NULL, body BLOB NOT NULL,
    items BLOB NOT NULL, request BLOB, used REAL NOT NULL, bytes INTEGER NOT NULL,
    lease REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS responses_by_use ON responses (used);
CREATE INDEX IF NOT EXISTS responses_running ON responses (lease) WHERE status IN ('queued', 'in_progress');
CREATE TABLE IF NOT EXISTS events (
    response TEXT, number INTEGER, data BLOB, PRIMARY KEY (response, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uses (response TEXT, digest TEXT, PRIMARY KEY (response, digest)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uses_by_digest ON uses (digest);
CREATE TABLE IF NOT EXISTS files (digest TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
CREATE TABLE IF NOT EXISTS endings (
    response TEXT PRIMARY KEY, owner TEXT NOT NULL, status TEXT NOT NULL, ended REAL NOT NULL, ready REAL NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS responses_ended AFTER UPDATE OF status ON responses
    WHEN old.status IN ('queued', 'in_progress') AND new.status NOT IN ('queued', 'in_progress')
    BEGIN INSERT OR IGNORE INTO endings VALUES (new.id, new.owner, new.status, strftime('%s', 'now'), 0); END;
CREATE TRIGGER IF NOT EXISTS responses_gone AFTER DELETE ON responses
    BEGIN DELETE FROM endings WHERE response = old.id; END;
"""
for _table in ("responses", "files"):
    _SCHEMA += f"""
CREATE TRIGGER IF NOT EXISTS {_table}_in AFTER INSERT ON {_table}
    BEGIN UPDATE total SET bytes = bytes + new.bytes; END;
CREATE TRIGGER IF NOT EXISTS {_table}_out AFTER DELETE ON {_table}
    BEGIN UPDATE total SET bytes = bytes - old.bytes; END;
CREATE TRIGGER IF NOT EXISTS {_table}_new AFTER UPDATE OF bytes ON {_table}
    BEGIN UPDATE total SET bytes = bytes + new.bytes - old.bytes; END;
"""
_COLUMNS = "id, owner, body, items, previous, request, attempts"
_encode = msgspec.json.encode
_decode = msgspec.json.decode


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Whole or not at all, and nobody else writes meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


class SqliteResponses:
    """`max_bytes`: of all responses and pictures together; `days`: how long an unused response is kept."""

    def __init__(self, folder: Path, *, max_bytes: int, days: float, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._keep_seconds = days * 86400
        self._now = now
        self._thread = ThreadPoolExecutor(1, "responses")
        self._db: sqlite3.Connection | None = None
        self._files: Folder
        self._doomed: list[str] = []  # files without a row, once the transaction has ended well

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored here."""
        return self._path.exists()

    @property
    def _path(self) -> Path:
        return self._folder / "responses.sqlite"

    async def put(self, response: StoredResponse) -> None:
        await self._run(lambda: self._put(response))

    async def get(self, id: str, owner: str, *, whole: bool = False) -> StoredResponse:
        return await self._run(lambda: self._read(self._row(id, owner), whole=whole))

    async def conversation(self, id: str, owner: str) -> list[StoredResponse]:
        return await self._run(lambda: self._conversation(id, owner))

    async def delete(self, id: str, owner: str) -> None:
        def work() -> None:
            with self._change() as db:
                self._row(id, owner)
                self._remove(db, id)

        await self._run(work)

    async def cancel(self, id: str, owner: str) -> StoredResponse:
        def work() -> StoredResponse:
            with self._change() as db:
                found = self._read(self._row(id, owner))
                if found.is_running:
                    found.body["status"] = "cancelled"
                    db.execute(
                        "UPDATE responses SET status = 'cancelled', body = ? WHERE id = ?", (_encode(found.body), id)
                    )
                return found

        return await self._run(work)

    async def claim(self, seconds: float) -> StoredResponse | None:
        def work() -> StoredResponse | None:
            now = self._now()
            with self._change() as db:
                row = db.execute(
                    f"SELECT {_COLUMNS} FROM responses WHERE status IN (?, ?) AND lease < ? ORDER BY used LIMIT 1",
                    (*RUNNING, now),
                ).fetchone()
                if row is None:
                    return None
                db.execute("DELETE FROM events WHERE response = ?", (row[0],))
                db.execute(
                    "UPDATE responses SET lease = ?, attempts = attempts + 1, "
                    "bytes = length(body) + length(items) + ifnull(length(request), 0) WHERE id = ?",
                    (now + seconds, row[0]),
                )
                return self._read((*row[:-1], row[-1] + 1), whole=True)

        return await self._run(work)

    async def begin(self, id: str, body: dict[str, Any]) -> bool:
        return await self._run(lambda: self._change_running(id, body, 0, ()))

    async def finish(self, id: str, body: dict[str, Any], first: int, events: Sequence[bytes]) -> bool:
        return await self._run(lambda: self._change_running(id, body, first, events))

    async def add_events(self, id: str, first: int, events: Sequence[bytes], seconds: float) -> bool:
        def work() -> bool:
            with self._change() as db:
                until = self._now() + seconds
                changed = db.execute(
                    "UPDATE responses SET lease = ?, bytes = bytes + ? WHERE id = ? AND status IN (?, ?)",
                    (until, sum(map(len, events)), id, *RUNNING),
                )
                if changed.rowcount:
                    self._append(db, id, first, events)
                return bool(changed.rowcount)

        return await self._run(work)

    async def release(self, id: str, *, counts: bool) -> None:
        def work() -> None:
            with self._change() as db:
                db.execute(
                    "UPDATE responses SET lease = 0, attempts = attempts - ? WHERE id = ?", (0 if counts else 1, id)
                )

        await self._run(work)

    async def events(self, id: str, owner: str, after: int) -> tuple[list[bytes], bool]:
        def work() -> tuple[list[bytes], bool]:
            more = self._read(self._row(id, owner)).is_running  # before the events: the last ones come with the end
            rows = self._opened().execute(
                "SELECT data FROM events WHERE response = ? AND number > ? ORDER BY number", (id, after)
            )
            return [bytes(data) for (data,) in rows], more

        return await self._run(work)

    async def claim_endings(
        self, limit: int, now: float, until: float
    ) -> tuple[list[tuple[str, str, str, float]], int]:
        def work() -> tuple[list[tuple[str, str, str, float]], int]:
            with self._change() as db:
                (num,) = db.execute("SELECT COUNT(*) FROM endings").fetchone()
                found = db.execute(
                    "SELECT response, owner, status, ended FROM endings WHERE ready <= ? ORDER BY ready LIMIT ?",
                    (now, limit),
                ).fetchall()
                db.executemany("UPDATE endings SET ready = ? WHERE response = ?", [(until, row[0]) for row in found])
                return found, num

        return await self._run(work)

    async def settle_endings(self, ready_at: Mapping[str, float | None]) -> None:
        def work() -> None:
            with self._change() as db:
                for id, at in ready_at.items():
                    if at is None:
                        db.execute("DELETE FROM endings WHERE response = ?", (id,))
                    else:
                        db.execute("UPDATE endings SET ready = ? WHERE response = ?", (at, id))

        await self._run(work)

    async def close(self) -> None:
        def work() -> None:
            if self._db is not None:
                self._db.close()
                self._db = None

        await asyncio.get_running_loop().run_in_executor(self._thread, work)
        self._thread.shutdown(wait=False)

    # --- on the thread ------------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            log.error("cannot use %s: %s", self._path, error)
            raise StorageUnavailable(
                "The server's storage did not do its part (full, read-only or broken; the log has the reason). Send "
                "store: false for an answer that is not kept, or come back later.",
                retry_after_seconds=5.0,
            ) from error

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._files = Folder(self._folder / "response-files")
            # SQLite gives the files that it makes beside this one the same mode.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            db = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                use_wal(db, BUSY_SECONDS)
                db.execute("PRAGMA synchronous = NORMAL")
                db.executescript(_SCHEMA)
                self._db = db
                self._sweep()
            except BaseException:
                self._db = None
                db.close()
                raise
        return self._db

    def _sweep(self) -> None:
        """Files of a transaction that a crash kept from ending are nobody's."""
        with self._change() as db:
            known = {digest for (digest,) in db.execute("SELECT digest FROM files")}
            for name in set(self._files) - known:
                self._files.remove(name)

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        db = self._opened()
        self._doomed.clear()
        with _transaction(db):
            yield db
        if self._doomed:  # a second one: a row that came back meanwhile keeps its file, a rollback would not
            with _transaction(db):
                for digest in self._doomed:
                    if db.execute("SELECT 1 FROM files WHERE digest = ?", (digest,)).fetchone() is None:
                        self._files.remove(digest)

    def _put(self, response: StoredResponse) -> None:
        kept: Kept = {}
        items = _encode(taken_out(response.items, kept))
        body = _encode(response.body)
        request = None if response.request is None else _encode(response.request)
        size = len(body) + len(items) + len(request or b"")
        with self._change() as db:
            self._remove(db, response.id)
            self._make_room(db, size + sum(map(len, kept.values())))
            row = (response.id, response.owner, response.previous, response.status, body, items, request)
            db.execute(
                "INSERT INTO responses (id, owner, previous, status, body, items, request, used, bytes) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, self._now(), size),
            )
            for digest, data in kept.items():
                if db.execute("INSERT OR IGNORE INTO files VALUES (?, ?)", (digest, len(data))).rowcount:
                    self._files.write(digest, data)
                db.execute("INSERT INTO uses VALUES (?, ?)", (response.id, digest))

    def _make_room(self, db: sqlite3.Connection, wanted: int) -> None:
        """Drop what is too old, then the oldest that is not running, until `wanted` bytes fit."""
        old = db.execute("SELECT id FROM responses WHERE used < ? LIMIT 100", (self._now() - self._keep_seconds,))
        for (id,) in old.fetchall():
            self._remove(db, id)
        while db.execute("SELECT bytes FROM total").fetchone()[0] + wanted > self._max_bytes:
            oldest = db.execute(
                "SELECT id FROM responses WHERE status NOT IN (?, ?) ORDER BY used LIMIT 1", RUNNING
            ).fetchone()
            if oldest is None:
                raise StorageUnavailable(
                    f"The server keeps at most {self._max_bytes} bytes of responses, and this one does not fit; send "
                    "store: false, or start the server with a larger --responses-size.",
                    retry_after_seconds=30.0,
                )
            self._remove(db, oldest[0])

    def _remove(self, db: sqlite3.Connection, id: str) -> None:
        used = db.execute("SELECT digest FROM uses WHERE response = ?", (id,)).fetchall()
        for table, column in (("responses", "id"), ("events", "response"), ("uses", "response")):
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (id,))
        for (digest,) in used:
            if db.execute("SELECT 1 FROM uses WHERE digest = ? LIMIT 1", (digest,)).fetchone() is None:
                db.execute("DELETE FROM files WHERE digest = ?", (digest,))
                self._doomed.append(digest)

    def _change_running(self, id: str, body: dict[str, Any], first: int, events: Sequence[bytes]) -> bool:
        encoded = _encode(body)
        size = len(encoded) + sum(map(len, events))
        with self._change() as db:
            changed = db.execute(
                "UPDATE responses SET status = ?, body = ?, bytes = bytes - length(body) + ? "
                "WHERE id = ? AND status IN (?, ?)",
                (body["status"], encoded, size, id, *RUNNING),
            )
            if changed.rowcount:
                self._append(db, id, first, events)
            return bool(changed.rowcount)

    def _append(self, db: sqlite3.Connection, id: str, first: int, events: Sequence[bytes]) -> None:
        rows = [(id, number, data) for number, data in enumerate(events, first)]
        db.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", rows)

    def _row(self, id: str, owner: str) -> Any:
        row = self._opened().execute(
            f"SELECT {_COLUMNS} FROM responses WHERE id = ? AND owner = ? AND used >= ?",
            (id, owner, self._now() - self._keep_seconds),
        ).fetchone()  # fmt: skip
        if row is None:
            raise ResponseNotFound(f"Response with id {id[:80]!r} not found.")
        return row

    def _read(self, row: Any, *, whole: bool = False) -> StoredResponse:
        id, owner, body, items, previous, request, attempts = row
        found = _decode(items)
        found = put_back(found, self._files.read) if whole else left_out(found)
        return StoredResponse(
            id, owner, _decode(body), found, previous, None if request is None else _decode(request), attempts
        )

    def _conversation(self, id: str, owner: str) -> list[StoredResponse]:
        turns: list[StoredResponse] = []
        with self._change() as db:
            wanted: str | None = id
            while wanted is not None and len(turns) < MAX_CHAIN:
                turns.append(self._read(self._row(wanted, owner), whole=True))
                db.execute("UPDATE responses SET used = ? WHERE id = ?", (self._now(), wanted))
                wanted = turns[-1].previous
        return turns[::-1]
