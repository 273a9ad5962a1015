"""`SqliteResponses`: responses in one SQLite file (WAL), which several processes may share, with pictures beside it.

Every statement runs on the store's one thread, so that the event loop never waits for the disk; every change is one
immediate transaction, the files of pictures included, so that no other process sees half of it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from flashweb.disk import private_folder, storage_error
from flashweb.errors import ResponseNotFound, StorageBroken, StorageFull
from flashweb.stored.pictures import Folder, Kept, left_out, put_back, taken_out
from flashweb.stored.responses import RUNNING, StoredResponse
from flashweb.wal import use_wal

T = TypeVar("T")
MAX_CHAIN = 1024  # responses of one conversation
WAY_OUT = "Send store: false for an answer that is not kept, or come back later."
BUSY_SECONDS = 10.0  # for another process's transaction
_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, previous TEXT, status TEXT NOT NULL, body BLOB NOT NULL,
    items BLOB NOT NULL, request BLOB, used REAL NOT NULL, bytes INTEGER NOT NULL,
    run INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS responses_by_use ON responses (used);
CREATE INDEX IF NOT EXISTS responses_running ON responses (status) WHERE status IN ('queued', 'in_progress');
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
_COLUMNS = "id, owner, body, items, previous, request, run"
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
            with self._change(durable=True) as db:
                self._row(id, owner)
                self._remove(db, id)

        await self._run(work)

    async def cancel(self, id: str, owner: str) -> StoredResponse:
        def work() -> StoredResponse:
            with self._change(durable=True) as db:
                found = self._read(self._row(id, owner))
                if found.is_running:
                    found.body["status"] = "cancelled"
                    db.execute(
                        "UPDATE responses SET status = 'cancelled', body = ? WHERE id = ?", (_encode(found.body), id)
                    )
                return found

        return await self._run(work)

    async def running(self) -> list[tuple[str, str, int]]:
        def work() -> list[tuple[str, str, int]]:
            return self._opened().execute(
                "SELECT id, owner, run FROM responses WHERE status IN ('queued', 'in_progress')"
            ).fetchall()  # fmt: skip

        return await self._run(work)

    async def begin(self, id: str, run: int) -> StoredResponse | None:
        def work() -> StoredResponse | None:
            with self._change() as db:
                mine = db.execute(
                    "UPDATE responses SET run = ?, bytes = length(body) + length(items) + ifnull(length(request), 0) "
                    "WHERE id = ? AND run < ? AND status IN (?, ?)",
                    (run, id, run, *RUNNING),
                ).rowcount
                if not mine:
                    return None
                db.execute("DELETE FROM events WHERE response = ?", (id,))
                row = db.execute(f"SELECT {_COLUMNS} FROM responses WHERE id = ?", (id,)).fetchone()
                return self._read(row, whole=True)

        return await self._run(work)

    async def reset(self, id: str, run: int) -> None:
        def work() -> None:
            with self._change() as db:
                db.execute("UPDATE responses SET run = 0 WHERE id = ? AND run = ?", (id, run))

        await self._run(work)

    async def add_events(
        self, id: str, run: int, first: int, events: Sequence[bytes], body: dict[str, Any] | None = None
    ) -> bool:
        return await self._run(lambda: self._add(id, run, first, events, body))

    async def finish(self, id: str, run: int, first: int, events: Sequence[bytes], body: dict[str, Any]) -> bool:
        return await self._run(lambda: self._add(id, run, first, events, body, durable=True))

    async def events(self, id: str, owner: str, after: int) -> tuple[list[bytes], bool, int]:
        def work() -> tuple[list[bytes], bool, int]:
            found = self._read(self._row(id, owner))  # before the events: the last ones come with the end
            rows = self._opened().execute(
                "SELECT data FROM events WHERE response = ? AND number > ? ORDER BY number", (id, after)
            )
            return [bytes(data) for (data,) in rows], found.is_running, found.run

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
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    # --- on the thread ------------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._told, work)

    def _told(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            told = storage_error(error, self._path, WAY_OUT)
            if isinstance(told, StorageBroken):
                self._close()  # the next use opens it anew: another file may be in its place by then
            raise told from error

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            private_folder(self._folder)
            self._files = Folder(self._folder / "response-files")
            # SQLite gives the files that it makes beside this one the same mode.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            db = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                use_wal(db, BUSY_SECONDS)
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
    def _change(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """`durable`: safe from the death of the machine too when it returns, not only from that of this process."""
        db = self._opened()
        db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
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
        with self._change(durable=response.is_running) as db:
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
            if kept:
                self._files.sync()  # whenever this row gets to the disk, it finds them there

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
                raise StorageFull(
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

    def _add(
        self,
        id: str,
        run: int,
        first: int,
        events: Sequence[bytes],
        body: dict[str, Any] | None,
        *,
        durable: bool = False,
    ) -> bool:
        with self._change(durable=durable) as db:
            size, of_run = sum(map(len, events)), (id, run, *RUNNING)
            where = "WHERE id = ? AND run = ? AND status IN (?, ?)"
            if not db.execute(f"UPDATE responses SET bytes = bytes + ? {where}", (size, *of_run)).rowcount:
                return False
            rows = [(id, number, data) for number, data in enumerate(events, first)]
            db.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", rows)
            if body is not None:
                encoded = _encode(body)
                db.execute(
                    f"UPDATE responses SET status = ?, body = ?, bytes = bytes - length(body) + ? {where}",
                    (body["status"], encoded, len(encoded), *of_run),
                )
            return True

    def _row(self, id: str, owner: str) -> Any:
        row = self._opened().execute(
            f"SELECT {_COLUMNS} FROM responses WHERE id = ? AND owner = ? AND used >= ?",
            (id, owner, self._now() - self._keep_seconds),
        ).fetchone()  # fmt: skip
        if row is None:
            raise ResponseNotFound(f"Response with id {id[:80]!r} not found.")
        return row

    def _read(self, row: Any, *, whole: bool = False) -> StoredResponse:
        id, owner, body, items, previous, request, run = row
        found = _decode(items)
        found = put_back(found, self._files.read) if whole else left_out(found)
        return StoredResponse(
            id, owner, _decode(body), found, previous, None if request is None else _decode(request), run
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
