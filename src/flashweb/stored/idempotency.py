"""Answers by their `Idempotency-Key`, for a while: in a SQLite file that the web processes of a server share and that
outlives them, or in this process's memory.

A request that comes first claims its key, with a lease that is renewed for as long as this process lives; the claim has
a nonce, which a later process takes over with the key when the first one died before it could keep its answer. What the
request makes under a name of that nonce is then found, not made again. Bounded in bytes and time: when there is no room
left, the oldest answers of whoever has most of them go. Of keys only digests are stored. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from flashweb.disk import private_folder, storage_error
from flashweb.errors import StorageUnavailable
from flashweb.wal import use_wal

WAY_OUT = "Come back later, or send the request without its Idempotency-Key."
T = TypeVar("T")
LEASE_SECONDS = 15.0
BEAT_SECONDS = 4.0
BUSY_SECONDS = 5.0  # for another process's transaction
ROW_BYTES = 256  # of a row beside its answer
MAX_ANSWER_BYTES = 1 << 20
FREED_SHARE = 0.1  # how much is dropped when there is no room: once in a while much, instead of one each time
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    name BLOB PRIMARY KEY, owner TEXT NOT NULL, nonce BLOB NOT NULL, ends REAL NOT NULL, lease REAL NOT NULL,
    body BLOB, answer BLOB, bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_owner ON answers (owner, ends);
CREATE INDEX IF NOT EXISTS answers_by_end ON answers (ends);
CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
CREATE TRIGGER IF NOT EXISTS answers_in AFTER INSERT ON answers
    BEGIN UPDATE total SET bytes = bytes + new.bytes; END;
CREATE TRIGGER IF NOT EXISTS answers_out AFTER DELETE ON answers
    BEGIN UPDATE total SET bytes = bytes - old.bytes; END;
CREATE TRIGGER IF NOT EXISTS answers_new AFTER UPDATE OF bytes ON answers
    BEGIN UPDATE total SET bytes = bytes + new.bytes - old.bytes; END;
"""


class KeptAnswer(msgspec.Struct, frozen=True, array_like=True):
    """`body_digest`: of the request that it answered; `route`: the pattern of its path."""

    body_digest: bytes
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    route: str = "none"


@dataclass(frozen=True, slots=True)
class Claim:
    """The key is this request's: it is to be answered."""

    name: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Running:
    """Another request has the key and is being answered."""


class IdempotencyStore:
    """`path` None: in memory."""

    def __init__(
        self, path: Path | None, *, max_bytes: int, seconds: float, now: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._now = now
        self._thread = ThreadPoolExecutor(1, "idempotency")
        self._db: sqlite3.Connection | None = None
        self._running: set[bytes] = set()
        self._beating: asyncio.Task[None] | None = None

    async def claim(self, owner: str, place: str, key: str) -> Claim | Running | KeptAnswer:
        """`place`: method and path; a key means something else in another one. Raises StorageUnavailable."""
        told = "\0".join((owner, place, key)).encode()
        name = hashlib.blake2b(told, digest_size=24).digest()
        made: list[Claim] = []

        def work() -> Claim | Running | KeptAnswer:
            found = self._claim(name, owner)
            made.extend([found] if isinstance(found, Claim) else [])
            return found

        try:
            found = await self._run(work)
        except asyncio.CancelledError:
            # Behind the work, which goes on without its request: the next one with the key is a first one.
            self._thread.submit(self._release_all, made)
            raise
        if isinstance(found, Claim):
            self._running.add(name)
            if self._beating is None:
                self._beating = asyncio.create_task(self._beat(), name="idempotency-leases")
        return found

    def _release_all(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self._release(claim)

    async def keep(self, claim: Claim, answer: KeptAnswer) -> None:
        """Raises StorageUnavailable; the claim then ends with its lease."""
        self._running.discard(claim.name)
        await self._run(lambda: self._keep(claim, msgspec.msgpack.encode(answer)))

    async def release(self, claim: Claim) -> None:
        """No answer came that could be given again: the next request with this key is a first one."""
        self._running.discard(claim.name)
        await self._run(lambda: self._release(claim))

    async def close(self) -> None:
        def work() -> None:
            if self._db is not None:
                self._db.close()
                self._db = None

        if self._beating is not None:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating
            self._beating = None
        await asyncio.get_running_loop().run_in_executor(self._thread, work)
        self._thread.shutdown(wait=False)

    async def _beat(self) -> None:
        while self._running:
            await asyncio.sleep(BEAT_SECONDS)
            with suppress(StorageUnavailable):  # logged; the next beat may come in time
                await self._run(self._renew)
        self._beating = None

    # --- on the thread ------------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise storage_error(error, self._path or Path("idempotency keys"), WAY_OUT) from error

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        db = self._opened()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            if self._path is not None:
                private_folder(self._path.parent)
                # SQLite gives the files that it makes beside this one the same mode.
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            db = sqlite3.connect(
                self._path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                if self._path is not None:
                    use_wal(db, BUSY_SECONDS)
                    # What a request makes is found by its claim's nonce, so that must not be younger on the disk.
                    db.execute("PRAGMA synchronous=FULL")
                db.executescript(_SCHEMA)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _claim(self, name: bytes, owner: str) -> Claim | Running | KeptAnswer:
        now = self._now()
        with self._change() as db:
            # Some of those whose time is over, so that a claim never waits for all of them; this key's own in any case.
            db.execute("DELETE FROM answers WHERE name IN (SELECT name FROM answers WHERE ends <= ? LIMIT 100)", (now,))
            db.execute("DELETE FROM answers WHERE name = ? AND ends <= ?", (name, now))
            row = db.execute("SELECT nonce, lease, answer FROM answers WHERE name = ?", (name,)).fetchone()
            if row is None:
                nonce = secrets.token_bytes(16)
                values = (name, owner, nonce, now + self._seconds, now + LEASE_SECONDS, ROW_BYTES)
                db.execute(
                    "INSERT INTO answers (name, owner, nonce, ends, lease, bytes) VALUES (?, ?, ?, ?, ?, ?)", values
                )
                return Claim(name, nonce)
            nonce, lease, answer = row
            if answer is not None:
                return msgspec.msgpack.decode(answer, type=KeptAnswer)
            if lease > now:
                return Running()
            db.execute("UPDATE answers SET lease = ? WHERE name = ?", (now + LEASE_SECONDS, name))
            return Claim(name, nonce)

    def _keep(self, claim: Claim, answer: bytes) -> None:
        with self._change() as db:
            self._make_room(db, len(answer))
            db.execute(
                "UPDATE answers SET answer = ?, bytes = ?, ends = ? WHERE name = ? AND nonce = ? AND answer IS NULL",
                (answer, ROW_BYTES + len(answer), self._now() + self._seconds, claim.name, claim.nonce),
            )

    def _make_room(self, db: sqlite3.Connection, wanted: int) -> None:
        held: int = db.execute("SELECT bytes FROM total").fetchone()[0]
        if held + wanted <= self._max_bytes:
            return
        too_many = held + wanted - int(self._max_bytes * (1 - FREED_SHARE))
        while too_many > 0:
            most = db.execute(
                "SELECT owner FROM answers WHERE answer IS NOT NULL GROUP BY owner ORDER BY SUM(bytes) DESC LIMIT 1"
            ).fetchone()
            if most is None:
                return
            rows = db.execute(
                "SELECT name, bytes FROM answers WHERE owner = ? AND answer IS NOT NULL ORDER BY ends LIMIT 16", most
            ).fetchall()
            for name, size in rows:
                if too_many > 0:
                    db.execute("DELETE FROM answers WHERE name = ?", (name,))
                    too_many -= size

    def _release(self, claim: Claim) -> None:
        with self._change() as db:
            db.execute("DELETE FROM answers WHERE name = ? AND nonce = ? AND answer IS NULL", (claim.name, claim.nonce))

    def _renew(self) -> None:
        until = self._now() + LEASE_SECONDS
        with self._change() as db:
            db.executemany(
                "UPDATE answers SET lease = ? WHERE name = ? AND answer IS NULL",
                [(until, name) for name in list(self._running)],
            )
