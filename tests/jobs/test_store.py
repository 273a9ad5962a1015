"""Every store of the queue against one simple model of it, step by step, and what a store does when its disk or its
server fails."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from flashweb.errors import StorageFull, StorageUnavailable
from flashweb.jobs.postgres import postgres_store
from flashweb.jobs.records import MAX_ATTEMPTS, Chore, Lease, NewJob, back_off_seconds
from flashweb.jobs.redis_store import redis_store
from flashweb.jobs.sqlite import sqlite_store
from flashweb.jobs.store import LAPSED, Store
from tests.jobs.brokers import Broker, postgres_server, redis_server
from tests.power import Disk

OWNERS = ("", "ada", "bob")
LEASE_SECONDS = 10.0
names = itertools.count(1)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Broker]:
    with postgres_server() as broker:
        yield broker


@pytest.fixture(scope="module")
def redis() -> Iterator[Broker]:
    with redis_server() as broker:
        yield broker


def empty_postgres(url: str) -> Store:
    import psycopg

    with psycopg.connect(url, autocommit=True) as line:
        line.execute("DROP TABLE IF EXISTS jobs, items, turns, endings")
    return postgres_store(url)


def empty_redis(url: str) -> Store:
    import redis as client

    with client.Redis.from_url(url) as line:
        line.flushall()
    return redis_store(url)


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return lambda: sqlite_store(tmp_path / f"{next(names)}" / "jobs.sqlite")
    broker: Broker = request.getfixturevalue(request.param)
    empty = empty_postgres if request.param == "postgres" else empty_redis
    return lambda: empty(broker.url)


# --- the model ----------------------------------------------------------------------------------------------------


@dataclass
class ModelItem:
    payload: bytes
    state: str = "waiting"
    attempts: int = 0
    token: int = 0
    worker: str = ""
    until: float = 0
    ready: float = 0
    result: bytes | None = None


@dataclass
class ModelJob:
    id: str
    owner: str
    has_chores: bool
    expires: float | None
    state: str
    meta: dict[str, Any] = field(default_factory=dict)
    ending: str = "completed"
    items: list[ModelItem] = field(default_factory=list)
    turn: int = 0
    token: int = 0
    chore_until: float = 0
    ended: float | None = None

    def count(self, *states: str) -> int:
        return sum(item.state in states for item in self.items)


class Model:
    """What the queue is to do, with a list of jobs and no thought for speed."""

    def __init__(self) -> None:
        self.jobs: list[ModelJob] = []
        self.turns: dict[str, int] = {}
        self.turn = 0
        self.results: dict[tuple[str, int], bytes] = {}  # of every item that ever had one
        self.endings: dict[str, float] = {}  # job -> when it is to be told that it has ended

    def job(self, id: str) -> ModelJob:
        return next(job for job in self.jobs if job.id == id)

    def move(self, job: ModelJob, state: str, now: float) -> None:
        job.state = state
        if state not in ("in_progress", "finalizing"):
            job.ended = self.endings[job.id] = now
            for item in job.items:
                item.payload = b""

    def forget(self, ids: set[str]) -> None:
        self.jobs = [job for job in self.jobs if job.id not in ids]
        self.endings = {id: at for id, at in self.endings.items() if id not in ids}

    def break_off(self, job: ModelJob, ending: str, now: float) -> None:
        for item in job.items:
            if item.state in ("waiting", "leased"):
                item.state = ending
        job.ending, job.token, job.chore_until = ending, job.token + 1, 0
        self.move(job, "finalizing" if job.has_chores else ending, now)

    def check_end(self, job: ModelJob, now: float) -> None:
        if not job.count("waiting", "leased"):
            self.move(job, "finalizing" if job.has_chores else job.ending, now)

    def fail_attempt(self, job: ModelJob, item: ModelItem, result: bytes, now: float) -> None:
        if item.attempts >= MAX_ATTEMPTS:
            self.set_result(job, item, "dead", result)
            self.check_end(job, now)
        else:
            item.state, item.ready = "waiting", now + back_off_seconds(item.attempts)

    def set_result(self, job: ModelJob, item: ModelItem, state: str, result: bytes) -> None:
        name = job.id, job.items.index(item)
        assert name not in self.results, "one result for each item"
        item.state, item.result = state, result
        self.results[name] = result

    def tick(self, now: float) -> None:
        for job in self.jobs:
            for item in job.items:
                if item.state == "leased" and item.until <= now:
                    self.fail_attempt(job, item, LAPSED, now)
        for job in self.jobs:
            if job.state in ("validating", "in_progress") and job.expires is not None and job.expires <= now:
                self.break_off(job, "expired", now)

    def next_item(self, owner: str, now: float) -> tuple[ModelJob, int] | None:
        mine = [job for job in self.jobs if job.owner == owner and job.state == "in_progress"]
        for job in sorted(mine, key=lambda job: job.turn):
            for seq, item in enumerate(job.items):
                if item.state == "waiting" and item.ready <= now:
                    return job, seq
        return None

    def claim(self, worker: str, limit: int, now: float) -> list[tuple[str, int, int, int]]:
        self.tick(now)
        line = sorted({job.owner for job in self.jobs if job.state == "in_progress" and job.count("waiting")})
        line.sort(key=lambda owner: self.turns.get(owner, 0))
        found: list[tuple[str, int, int, int]] = []
        while line and len(found) < limit:
            owner = line.pop(0)
            next_one = self.next_item(owner, now)
            if next_one is None:
                continue
            job, seq = next_one
            item = job.items[seq]
            self.turn += 1
            job.turn = self.turns[owner] = self.turn
            item.state, item.worker, item.until = "leased", worker, now + LEASE_SECONDS
            item.attempts, item.token = item.attempts + 1, item.token + 1
            found.append((job.id, seq, item.token, item.attempts))
            line.append(owner)
        return found

    def held(self, lease: Lease) -> tuple[ModelJob, ModelItem] | None:
        job = next((job for job in self.jobs if job.id == lease.job_id), None)
        if job is None:
            return None
        item = job.items[lease.seq]
        return (job, item) if item.state == "leased" and item.token == lease.token else None


class StoreMachine(RuleBasedStateMachine):
    new_store: Callable[[], Store]

    def __init__(self) -> None:
        super().__init__()
        self.store, self.model = self.new_store(), Model()
        self.now = 1000.0
        self.leases: list[Lease] = []  # every one there ever was: results may come late
        self.chores: list[Chore] = []
        self.num_jobs = 0

    def teardown(self) -> None:
        self.store.close()

    @rule(
        owner=st.sampled_from(OWNERS), num=st.integers(1, 4), chores=st.booleans(), life=st.sampled_from([None, 30.0])
    )
    def submit(self, owner: str, num: int, chores: bool, life: float | None) -> None:
        self.num_jobs += 1
        expires = None if life is None else self.now + life
        new = NewJob(f"job{self.num_jobs}", "k", owner, {"n": num}, expires, chores)
        payloads = [] if chores else [b"\0payload %d" % seq for seq in range(num)]
        held = sum(job.owner == owner and job.ended is None for job in self.model.jobs)
        assert not self.store.submit(new, payloads, self.now, held)
        assert self.store.submit(new, payloads, self.now, held + 1)
        state = "validating" if chores else "in_progress"
        job = ModelJob(new.id, owner, chores, expires, state, {"n": num}, items=[ModelItem(one) for one in payloads])
        self.model.jobs.append(job)
        assert self.store.submit(new, payloads, self.now, held + 1)  # again, as after a lost answer: nothing changes

    @rule(worker=st.sampled_from(["one", "two"]), limit=st.integers(1, 5))
    def claim(self, worker: str, limit: int) -> None:
        leases = self.store.claim(worker, limit, self.now, LEASE_SECONDS)
        found = [(lease.job_id, lease.seq, lease.token, lease.attempt) for lease in leases]
        assert found == self.model.claim(worker, limit, self.now)
        for lease in leases:
            job = self.model.job(lease.job_id)
            assert (lease.payload, lease.owner, lease.kind) == (job.items[lease.seq].payload, job.owner, "k")
        self.leases += leases

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), ok=st.booleans())
    def finish(self, data: st.DataObject, ok: bool) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        held, result = self.model.held(lease), b"%s\xff%d" % (b"yes" if ok else b"no", lease.token)
        assert self.store.finish(lease, result, ok, self.now) == (held is not None)
        if held is not None:
            self.model.set_result(*held, "done", result)
            self.model.check_end(held[0], self.now)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), how=st.sampled_from(["retry", "give_back"]))
    def leave(self, data: st.DataObject, how: str) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        held = self.model.held(lease)
        if how == "retry":
            assert self.store.retry(lease, b"broken", self.now) == (held is not None)
            if held is not None:
                self.model.fail_attempt(*held, b"broken", self.now)
        else:
            assert self.store.give_back(lease, self.now + 3) == (held is not None)
            if held is not None:
                held[1].state, held[1].attempts, held[1].ready = "waiting", held[1].attempts - 1, self.now + 3

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(self.leases), unique_by=lambda lease: (lease.name, lease.token)))
        lost = self.store.beat(some, self.now + LEASE_SECONDS)
        assert lost == [lease for lease in some if self.model.held(lease) is None]
        for lease in some:
            if (held := self.model.held(lease)) is not None:
                held[1].until = self.now + LEASE_SECONDS

    @rule(worker=st.sampled_from(["one", "two"]))
    def forsake(self, worker: str) -> None:
        mine = [(j, i) for j in self.model.jobs for i in j.items if i.state == "leased" and i.worker == worker]
        assert self.store.forsake(worker, self.now) == len(mine)
        for job in self.model.jobs:
            job.chore_until = 0
        for job, item in mine:
            self.model.fail_attempt(job, item, LAPSED, self.now)

    @rule()
    def claim_chore(self) -> None:
        self.model.tick(self.now)
        chore = self.store.claim_chore(self.now, LEASE_SECONDS)
        due = (
            job for job in self.model.jobs
            if job.has_chores and job.state in ("validating", "finalizing") and job.chore_until <= self.now
        )  # fmt: skip
        job = next(due, None)
        if job is None:
            assert chore is None
            return
        job.token, job.chore_until = job.token + 1, self.now + LEASE_SECONDS
        assert chore is not None and (chore.job.id, chore.job.state, chore.token) == (job.id, job.state, job.token)
        self.chores.append(chore)

    @precondition(lambda self: self.chores)
    @rule(data=st.data(), num=st.integers(0, 3), failed=st.booleans())
    def settle(self, data: st.DataObject, num: int, failed: bool) -> None:
        chore = data.draw(st.sampled_from(self.chores))
        job = next((one for one in self.model.jobs if one.id == chore.job.id), None)
        mine = job is not None and job.token == chore.token and job.state == chore.job.state
        payloads = [b"made %d" % seq for seq in range(num)]
        assert self.store.settle(chore, {"told": "ü"}, payloads, self.now, failed) == mine
        if job is None or not mine:
            return
        job.meta, job.chore_until = {"told": "ü"}, 0
        if job.state == "finalizing":
            self.model.move(job, job.ending, self.now)
        elif failed:
            self.model.move(job, "failed", self.now)
        else:
            job.items = [ModelItem(payload) for payload in payloads]
            self.model.move(job, "in_progress" if payloads else "finalizing", self.now)

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), by=st.sampled_from(OWNERS))
    def cancel(self, data: st.DataObject, by: str) -> None:
        job = data.draw(st.sampled_from(self.model.jobs))
        found = self.store.cancel(job.id, by, self.now)
        if job.owner != by:
            assert found is None
            return
        if job.state in ("validating", "in_progress"):
            self.model.break_off(job, "cancelled", self.now)
        assert found is not None and found.state == job.state

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), by=st.sampled_from(OWNERS))
    def delete(self, data: st.DataObject, by: str) -> None:
        job = data.draw(st.sampled_from(self.model.jobs))
        may = job.owner == by and job.ended is not None
        assert self.store.delete(job.id, by) == may
        if may:
            self.model.forget({job.id})

    @rule(age=st.sampled_from([5.0, 50.0]))
    def purge(self, age: float) -> None:
        old = {job.id for job in self.model.jobs if job.ended is not None and job.ended < self.now - age}
        assert set(self.store.purge(self.now - age)) == old
        self.model.forget(old)
        owners = {job.owner for job in self.model.jobs}
        self.model.turns = {owner: turn for owner, turn in self.model.turns.items() if owner in owners}
        self.model.turn = max(self.model.turns.values(), default=0)

    @rule(limit=st.integers(1, 3), told=st.booleans())
    def claim_endings(self, limit: int, told: bool) -> None:
        jobs, num = self.store.claim_endings(limit, self.now, self.now + LEASE_SECONDS)
        due = sorted(at for at in self.model.endings.values() if at <= self.now)
        assert num == len(self.model.endings) and all(job.has_ended for job in jobs)
        assert [self.model.endings[job.id] for job in jobs] == due[:limit]
        self.model.endings |= {job.id: self.now + LEASE_SECONDS for job in jobs}
        if jobs:
            self.store.settle_endings({job.id: None if told else self.now + 3 for job in jobs} | {"unknown": 1.0})
            for job in jobs:
                self.model.endings[job.id] = self.now + 3
                if told:
                    del self.model.endings[job.id]

    @rule(seconds=st.sampled_from([0.5, 2.0, 11.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def they_agree(self) -> None:
        for owner in OWNERS:
            mine = [job for job in reversed(self.model.jobs) if job.owner == owner]
            listed = self.store.jobs("k", owner, None, 100)
            assert [job.id for job in listed] == [job.id for job in mine]
            for told, job in zip(listed, mine, strict=True):
                assert (told.state, told.ending, told.meta, told.expires) == (
                    job.state, job.ending, job.meta, job.expires,
                )  # fmt: skip
                good = sum(item.state == "done" and (item.result or b"").startswith(b"yes") for item in job.items)
                bad = job.count("done", "dead") - good
                assert (told.total, told.completed, told.failed) == (len(job.items), good, bad)
                assert job.state in told.times or job.state == "cancelling"
                items = self.store.items(job.id, -1, 100)
                assert [(item.seq, item.state, item.payload, item.result) for item in items] == [
                    (seq, item.state, item.payload, item.result) for seq, item in enumerate(job.items)
                ]
                states = [self.store.item_state(job.id, seq) for seq in range(len(items) + 1)]
                assert states == [*(item.state for item in job.items), None]


@pytest.mark.parametrize("effort", ["quick", pytest.param("long", marks=pytest.mark.slow)])
def test_every_store_does_what_the_model_does(new_store: Callable[[], Store], effort: str) -> None:
    machine = type("Machine", (StoreMachine,), {"new_store": staticmethod(new_store)})
    # The quick one is all that CI has time for: each step is some transactions, and as many questions.
    examples, steps = (4, 20) if effort == "quick" else (200, 60)
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))


# --- when the disk or the server fails ----------------------------------------------------------------------------


def test_a_disk_that_is_full_and_one_that_cannot_be_written_are_told_apart(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path / "jobs.sqlite")
    store.submit(NewJob("small", "k", ""), [b"x"], 1.0)
    driver = store._driver
    with driver.reading() as tx:  # as a disk that has no page more
        tx.all("PRAGMA max_page_count = 1")
    with pytest.raises(StorageFull):
        store.submit(NewJob("large", "k", ""), [bytes(1 << 20)], 2.0)
    assert store.get("large", "") is None  # nothing half-written
    job = store.get("small", "")
    assert job is not None and job.total == 1
    store.close()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailable):
        sqlite_store(tmp_path / "file" / "jobs.sqlite")


@pytest.mark.parametrize(("attempts", "how"), [(1, "finish"), (MAX_ATTEMPTS, "retry")])
def test_what_callers_can_have_seen_of_a_job_outlives_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempts: int, how: str
) -> None:
    """Its coming, the one result of a job that ends with it, and its going; an item of many may run again."""
    disk = Disk(monkeypatch)
    store = sqlite_store(tmp_path / "data" / "jobs.sqlite")

    def is_durable(change: Callable[[], Any]) -> bool:
        before = disk.durable_commits
        assert change() is not False
        return disk.durable_commits > before

    assert is_durable(lambda: store.submit(NewJob("one", "request", ""), [b"x"], 0.0))
    for _ in range(attempts - 1):
        (lease,) = store.claim("w", 1, 1e6, 10.0)
        assert store.retry(lease, b"no", 0.0)
    (lease,) = store.claim("w", 1, 1e6, 10.0)
    assert is_durable(
        lambda: store.finish(lease, b"r", True, 2.0) if how == "finish" else store.retry(lease, b"r", 2.0)
    )
    assert is_durable(lambda: store.delete("one", ""))

    store.submit(NewJob("many", "batch", "", has_chores=True), (), 0.0)
    chore = store.claim_chore(1.0, 10.0)
    assert chore is not None
    assert is_durable(lambda: store.settle(chore, {}, [b"x", b"y"], 1.0))
    (lease,) = store.claim("w", 1, 2.0, 10.0)
    assert not is_durable(lambda: store.finish(lease, b"r", True, 3.0))
    assert is_durable(lambda: store.cancel("many", "", 4.0))
    store.close()
