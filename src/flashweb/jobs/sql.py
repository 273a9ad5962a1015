"""The queue in SQL, the same for SQLite and Postgres: a driver knows how to open a transaction, nothing else differs.

Every transaction here that writes is alone (SQLite's immediate transactions, an advisory lock in Postgres), so what is
read in it is still true when it is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from flashweb.jobs.records import (
    MAX_ATTEMPTS,
    Chore,
    Item,
    ItemState,
    Job,
    JobState,
    Lease,
    NewJob,
    back_off_seconds,
)
from flashweb.jobs.store import LAPSED

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS jobs (
        id TEXT PRIMARY KEY, ordinal BIGINT NOT NULL, kind TEXT NOT NULL, owner TEXT NOT NULL, state TEXT NOT NULL,
        ending TEXT NOT NULL, has_chores INTEGER NOT NULL, created DOUBLE PRECISION NOT NULL, expires DOUBLE PRECISION,
        ended DOUBLE PRECISION, times TEXT NOT NULL, meta TEXT NOT NULL, total INTEGER NOT NULL DEFAULT 0,
        completed INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, waiting INTEGER NOT NULL DEFAULT 0,
        open INTEGER NOT NULL DEFAULT 0, turn BIGINT NOT NULL DEFAULT 0, token INTEGER NOT NULL DEFAULT 0,
        chore_until DOUBLE PRECISION NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS jobs_listed ON jobs (owner, kind, ordinal)",
    "CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state)",
    "CREATE INDEX IF NOT EXISTS jobs_open ON jobs (owner) WHERE ended IS NULL",
    """CREATE TABLE IF NOT EXISTS items (
        job_id TEXT NOT NULL, seq INTEGER NOT NULL, state TEXT NOT NULL, payload {blob} NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, token INTEGER NOT NULL DEFAULT 0, worker TEXT,
        lease_until DOUBLE PRECISION NOT NULL DEFAULT 0, ready_at DOUBLE PRECISION NOT NULL DEFAULT 0, result {blob},
        PRIMARY KEY (job_id, seq))""",
    "CREATE INDEX IF NOT EXISTS items_waiting ON items (job_id, seq) WHERE state = 'waiting'",
    "CREATE INDEX IF NOT EXISTS items_leased ON items (lease_until) WHERE state = 'leased'",
    "CREATE TABLE IF NOT EXISTS turns (owner TEXT PRIMARY KEY, turn BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS endings (job_id TEXT PRIMARY KEY, ready_at DOUBLE PRECISION NOT NULL)",
)
_JOB = "id, kind, owner, state, ending, created, expires, times, meta, total, completed, failed"
_MINE = "WHERE job_id = ? AND seq = ? AND token = ? AND state = 'leased'"


class Transaction(Protocol):
    """Statements with `?` for values."""

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]: ...

    def run(self, sql: str, *values: Any) -> int:
        """The number of rows it changed."""

    def many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None: ...


class Driver(Protocol):
    def reading(self) -> AbstractContextManager[Transaction]: ...

    def writing(self, *, durable: bool = False) -> AbstractContextManager[Transaction]:
        """`durable`: on the disk when it returns, not only safe from a crash of this process."""

    def close(self) -> None: ...


class SqlStore:
    """A `Store`; see there for what each method promises."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def close(self) -> None:
        self._driver.close()

    # --- for whoever hands in and asks ----------------------------------------------------------------------------

    def submit(self, job: NewJob, payloads: Sequence[bytes], now: float, most: int | None = None) -> bool:
        state = JobState.VALIDATING if job.has_chores else JobState.IN_PROGRESS
        with self._driver.writing(durable=True) as tx:
            if most is not None and not self._has_room(tx, job, most):
                return False
            ((ordinal,),) = tx.all("SELECT COALESCE(MAX(ordinal), 0) + 1 FROM jobs")
            new = tx.run(
                "INSERT INTO jobs (id, ordinal, kind, owner, state, ending, has_chores, created, expires, times, meta) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                *(job.id, ordinal, job.kind, job.owner, state, JobState.COMPLETED, int(job.has_chores), now),
                *(job.expires, json.dumps({state: now}), json.dumps(dict(job.meta))),
            )
            if new and not job.has_chores:
                self._add_items(tx, job.id, payloads)
        return True

    def get(self, id: str, owner: str) -> Job | None:
        with self._driver.reading() as tx:
            return self._job(tx, id, owner)

    def jobs(self, kind: str, owner: str, after: str | None, limit: int) -> list[Job]:
        behind = "" if after is None else "AND ordinal < (SELECT ordinal FROM jobs WHERE id = ?) "
        values = (kind, owner, *(() if after is None else (after,)), limit)
        with self._driver.reading() as tx:
            rows = tx.all(
                f"SELECT {_JOB} FROM jobs WHERE kind = ? AND owner = ? {behind}ORDER BY ordinal DESC LIMIT ?", *values
            )
        return [_job_of(row) for row in rows]

    def items(self, id: str, after: int, limit: int) -> list[Item]:
        with self._driver.reading() as tx:
            rows = tx.all(
                "SELECT seq, state, payload, result FROM items WHERE job_id = ? AND seq > ? ORDER BY seq LIMIT ?",
                *(id, after, limit),
            )
        return [Item(seq, ItemState(state), bytes(given), made and bytes(made)) for seq, state, given, made in rows]

    def item_state(self, id: str, seq: int) -> ItemState | None:
        with self._driver.reading() as tx:
            rows = tx.all("SELECT state FROM items WHERE job_id = ? AND seq = ?", id, seq)
        return ItemState(rows[0][0]) if rows else None

    def cancel(self, id: str, owner: str, now: float) -> Job | None:
        with self._driver.writing(durable=True) as tx:
            job = self._job(tx, id, owner)
            if job is None or job.state not in (JobState.VALIDATING, JobState.IN_PROGRESS):
                return job
            self._note_time(tx, id, "cancelling", now)
            self._break_off(tx, id, JobState.CANCELLED, now)
            return self._job(tx, id, owner)

    def delete(self, id: str, owner: str) -> bool:
        with self._driver.writing(durable=True) as tx:
            found = tx.run("DELETE FROM jobs WHERE id = ? AND owner = ? AND ended IS NOT NULL", id, owner)
            if found:
                tx.run("DELETE FROM items WHERE job_id = ?", id)
                tx.run("DELETE FROM endings WHERE job_id = ?", id)
            return bool(found)

    # --- for whoever executes -------------------------------------------------------------------------------------

    def claim(self, worker: str, limit: int, now: float, seconds: float) -> list[Lease]:
        leases: list[Lease] = []
        with self._driver.writing() as tx:
            self._tick(tx, now)
            owners = tx.all(
                "SELECT DISTINCT j.owner, COALESCE(t.turn, 0) FROM jobs j LEFT JOIN turns t ON t.owner = j.owner "
                "WHERE j.state = 'in_progress' AND j.waiting > 0 ORDER BY 2, 1"
            )
            line = [owner for owner, _ in owners]
            while line and len(leases) < limit:
                owner = line.pop(0)
                lease = self._claim_of(tx, owner, worker, now, now + seconds)
                if lease is not None:
                    leases.append(lease)
                    line.append(owner)
        return leases

    def _claim_of(self, tx: Transaction, owner: str, worker: str, now: float, until: float) -> Lease | None:
        waiting = tx.all(
            "SELECT id, kind FROM jobs WHERE owner = ? AND state = 'in_progress' AND waiting > 0 "
            "ORDER BY turn, ordinal",
            owner,
        )
        for job_id, kind in waiting:
            found = tx.all(
                "SELECT seq, token, attempts, payload FROM items "
                "WHERE job_id = ? AND state = 'waiting' AND ready_at <= ? ORDER BY seq LIMIT 1",
                *(job_id, now),
            )
            for seq, token, attempts, payload in found:
                tx.run(
                    "UPDATE items SET state = 'leased', token = token + 1, attempts = attempts + 1, worker = ?, "
                    "lease_until = ? WHERE job_id = ? AND seq = ?",
                    *(worker, until, job_id, seq),
                )
                ((turn,),) = tx.all("SELECT COALESCE(MAX(turn), 0) + 1 FROM turns")
                tx.run(
                    "INSERT INTO turns (owner, turn) VALUES (?, ?) "
                    "ON CONFLICT (owner) DO UPDATE SET turn = excluded.turn",
                    *(owner, turn),
                )
                tx.run("UPDATE jobs SET waiting = waiting - 1, turn = ? WHERE id = ?", turn, job_id)
                return Lease(job_id, seq, token + 1, attempts + 1, kind, owner, bytes(payload))
        return None

    def beat(self, leases: Sequence[Lease], until: float) -> list[Lease]:
        with self._driver.writing() as tx:
            return [lease for lease in leases if not self._touch(tx, lease, "lease_until = ?", until)]

    def finish(self, lease: Lease, result: bytes, ok: bool, now: float) -> bool:
        with self._driver.writing(durable=self._is_all(lease)) as tx:
            mine = self._touch(tx, lease, "state = 'done', worker = NULL, result = ?", result)
            if mine:
                self._count(tx, lease.job_id, ok, now)
            return mine

    def retry(self, lease: Lease, result: bytes, now: float) -> bool:
        with self._driver.writing(durable=self._is_all(lease)) as tx:
            return self._again_or_dead(tx, lease.job_id, lease.seq, lease.token, lease.attempt, result, now)

    def give_back(self, lease: Lease, ready_at: float) -> bool:
        with self._driver.writing() as tx:
            set_to = "state = 'waiting', worker = NULL, attempts = attempts - 1, ready_at = ?"
            mine = self._touch(tx, lease, set_to, ready_at)
            if mine:
                tx.run("UPDATE jobs SET waiting = waiting + 1 WHERE id = ?", lease.job_id)
            return mine

    def forsake(self, worker: str, now: float) -> int:
        with self._driver.writing() as tx:
            tx.run("UPDATE jobs SET chore_until = 0 WHERE chore_until > 0")
            return self._lapse(tx, "worker = ?", worker, now)

    def claim_chore(self, now: float, seconds: float) -> Chore | None:
        with self._driver.writing() as tx:
            self._tick(tx, now)
            found = tx.all(
                "SELECT id, owner, token FROM jobs WHERE has_chores = 1 AND state IN ('validating', 'finalizing') "
                "AND chore_until <= ? ORDER BY ordinal LIMIT 1",
                now,
            )
            for id, owner, token in found:
                tx.run("UPDATE jobs SET token = ?, chore_until = ? WHERE id = ?", token + 1, now + seconds, id)
                job = self._job(tx, id, owner)
                assert job is not None
                return Chore(job, token + 1)
        return None

    def settle(
        self, chore: Chore, meta: Mapping[str, Any], payloads: Sequence[bytes], now: float, failed: bool = False
    ) -> bool:
        id, job = chore.job.id, chore.job
        with self._driver.writing(durable=True) as tx:
            mine = tx.run(
                "UPDATE jobs SET meta = ?, chore_until = 0 WHERE id = ? AND token = ? AND state = ?",
                *(json.dumps(dict(meta)), id, chore.token, job.state),
            )
            if not mine:
                return False
            if job.state == JobState.FINALIZING:
                self._move(tx, id, job.ending, now)
            elif failed:
                self._move(tx, id, JobState.FAILED, now)
            else:
                self._add_items(tx, id, payloads)
                self._move(tx, id, JobState.IN_PROGRESS if payloads else JobState.FINALIZING, now)
            return True

    def purge(self, before: float) -> list[str]:
        with self._driver.writing() as tx:
            ids = [id for (id,) in tx.all("SELECT id FROM jobs WHERE ended < ?", before)]
            tx.many("DELETE FROM items WHERE job_id = ?", [(id,) for id in ids])
            tx.many("DELETE FROM endings WHERE job_id = ?", [(id,) for id in ids])
            tx.many("DELETE FROM jobs WHERE id = ?", [(id,) for id in ids])
            tx.run("DELETE FROM turns WHERE owner NOT IN (SELECT owner FROM jobs)")
        return ids

    def claim_endings(self, limit: int, now: float, until: float) -> tuple[list[Job], int]:
        with self._driver.writing() as tx:
            ((num,),) = tx.all("SELECT COUNT(*) FROM endings")
            found = num and tx.all(
                f"SELECT {_JOB} FROM jobs JOIN endings ON job_id = id WHERE ready_at <= ? ORDER BY ready_at LIMIT ?",
                *(now, limit),
            )
            jobs = [_job_of(row) for row in found or ()]
            tx.many("UPDATE endings SET ready_at = ? WHERE job_id = ?", [(until, job.id) for job in jobs])
        return jobs, num

    def settle_endings(self, ready_at: Mapping[str, float | None]) -> None:
        later = [(at, id) for id, at in ready_at.items() if at is not None]
        with self._driver.writing() as tx:
            tx.many("UPDATE endings SET ready_at = ? WHERE job_id = ?", later)
            tx.many("DELETE FROM endings WHERE job_id = ?", [(id,) for id, at in ready_at.items() if at is None])

    def _is_all(self, lease: Lease) -> bool:
        """Whether the item is a whole job: its caller sees the result at once, and no chore writes it down after."""
        with self._driver.reading() as tx:
            return bool(tx.all("SELECT 1 FROM jobs WHERE id = ? AND has_chores = 0", lease.job_id))

    # --- inside a transaction -------------------------------------------------------------------------------------

    def _has_room(self, tx: Transaction, job: NewJob, most: int) -> bool:
        ((others,),) = tx.all("SELECT COUNT(*) FROM jobs WHERE owner = ? AND ended IS NULL", job.owner)
        return others < most or bool(tx.all("SELECT 1 FROM jobs WHERE id = ?", job.id))

    def _job(self, tx: Transaction, id: str, owner: str) -> Job | None:
        rows = tx.all(f"SELECT {_JOB} FROM jobs WHERE id = ? AND owner = ?", id, owner)
        return _job_of(rows[0]) if rows else None

    def _add_items(self, tx: Transaction, id: str, payloads: Sequence[bytes]) -> None:
        tx.many(
            "INSERT INTO items (job_id, seq, state, payload) VALUES (?, ?, 'waiting', ?)",
            ((id, seq, payload) for seq, payload in enumerate(payloads)),
        )
        num = len(payloads)
        tx.run("UPDATE jobs SET total = ?, waiting = ?, open = ? WHERE id = ?", num, num, num, id)

    def _touch(self, tx: Transaction, lease: Lease, set_to: str, value: Any) -> bool:
        return bool(tx.run(f"UPDATE items SET {set_to} {_MINE}", value, lease.job_id, lease.seq, lease.token))

    def _again_or_dead(
        self, tx: Transaction, job_id: str, seq: int, token: int, attempt: int, result: bytes, now: float
    ) -> bool:
        if attempt >= MAX_ATTEMPTS:
            mine = tx.run(
                f"UPDATE items SET state = 'dead', worker = NULL, result = ? {_MINE}", result, job_id, seq, token
            )
            if mine:
                self._count(tx, job_id, False, now)
            return bool(mine)
        ready_at = now + back_off_seconds(attempt)
        mine = tx.run(
            f"UPDATE items SET state = 'waiting', worker = NULL, ready_at = ? {_MINE}", ready_at, job_id, seq, token
        )
        if mine:
            tx.run("UPDATE jobs SET waiting = waiting + 1 WHERE id = ?", job_id)
        return bool(mine)

    def _count(self, tx: Transaction, job_id: str, ok: bool, now: float) -> None:
        """One more item has its result; with the last one the job is at its end."""
        count = "completed" if ok else "failed"
        tx.run(f"UPDATE jobs SET {count} = {count} + 1, open = open - 1 WHERE id = ?", job_id)
        for has_chores, ending in tx.all("SELECT has_chores, ending FROM jobs WHERE id = ? AND open = 0", job_id):
            self._move(tx, job_id, JobState.FINALIZING if has_chores else JobState(ending), now)

    def _break_off(self, tx: Transaction, id: str, ending: JobState, now: float) -> None:
        tx.run(
            "UPDATE items SET state = ?, worker = NULL WHERE job_id = ? AND state IN ('waiting', 'leased')", ending, id
        )
        # The token too: whoever was validating it must not add items any more.
        tx.run(
            "UPDATE jobs SET ending = ?, waiting = 0, open = 0, token = token + 1, chore_until = 0 WHERE id = ?",
            ending,
            id,
        )
        ((has_chores,),) = tx.all("SELECT has_chores FROM jobs WHERE id = ?", id)
        self._move(tx, id, JobState.FINALIZING if has_chores else ending, now)

    def _move(self, tx: Transaction, id: str, state: JobState, now: float) -> None:
        self._note_time(tx, id, state, now)
        ended = None if state in (JobState.IN_PROGRESS, JobState.FINALIZING) else now
        tx.run("UPDATE jobs SET state = ?, ended = ? WHERE id = ?", state, ended, id)
        if ended is not None:
            tx.run("UPDATE items SET payload = ? WHERE job_id = ?", b"", id)
            tx.run("INSERT INTO endings (job_id, ready_at) VALUES (?, ?) ON CONFLICT (job_id) DO NOTHING", id, now)

    def _note_time(self, tx: Transaction, id: str, name: str, now: float) -> None:
        ((times,),) = tx.all("SELECT times FROM jobs WHERE id = ?", id)
        tx.run("UPDATE jobs SET times = ? WHERE id = ?", json.dumps({**json.loads(times), name: now}), id)

    def _tick(self, tx: Transaction, now: float) -> None:
        self._lapse(tx, "lease_until <= ?", now, now)
        late = tx.all("SELECT id FROM jobs WHERE state IN ('validating', 'in_progress') AND expires <= ?", now)
        for (id,) in late:
            self._break_off(tx, id, JobState.EXPIRED, now)

    def _lapse(self, tx: Transaction, where: str, value: Any, now: float) -> int:
        lapsed = tx.all(f"SELECT job_id, seq, token, attempts FROM items WHERE state = 'leased' AND {where}", value)
        for job_id, seq, token, attempts in lapsed:
            self._again_or_dead(tx, job_id, seq, token, attempts, LAPSED, now)
        return len(lapsed)


def _job_of(row: tuple[Any, ...]) -> Job:
    id, kind, owner, state, ending, created, expires, times, meta, total, completed, failed = row
    return Job(
        id, kind, owner, JobState(state), JobState(ending), created, expires, json.loads(times), json.loads(meta),
        total, completed, failed,
    )  # fmt: skip
