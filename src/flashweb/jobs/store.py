"""`Store`: what keeps jobs. One method is one transaction; all of them block and are called on a thread (`queue.py`).

The three stores (`sqlite.py`, `postgres.py` over the SQL of `sql.py`, and `redis_store.py`) behave alike: one test
drives each against the same model. They raise StorageUnavailable and its family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from flashweb.jobs.records import Chore, Item, ItemState, Job, Lease, NewJob

# What an item gets whose leases all ran out: whoever executed it has died every time.
LAPSED = b'{"error":{"code":"worker_lost","message":"Whatever executed this request ended before it, each time."}}'


class Store(Protocol):
    # --- for whoever hands in and asks ----------------------------------------------------------------------------

    def submit(self, job: NewJob, payloads: Sequence[bytes], now: float, most: int | None = None) -> bool:
        """Keep a job durably; one with chores has no payloads yet. A second call with the same id changes nothing. When
        the job has ended, its results stay, and its payloads, which nobody needs any more, are empty. False, and
        nothing is kept, where its owner has `most` others that have not ended."""

    def get(self, id: str, owner: str) -> Job | None: ...

    def jobs(self, kind: str, owner: str, after: str | None, limit: int) -> list[Job]:
        """Newest first, from behind the job `after`."""

    def items(self, id: str, after: int, limit: int) -> list[Item]:
        """In their order, from behind `after` (-1: from the first)."""

    def item_state(self, id: str, seq: int) -> ItemState | None:
        """How one stands, without what it holds; None where there is none."""

    def cancel(self, id: str, owner: str, now: float) -> Job | None:
        """No item begins any more, and results of those that run are not taken. A job that has ended stays as it is."""

    def delete(self, id: str, owner: str) -> bool:
        """Forget a job that has ended; False for any other."""

    # --- for whoever executes -------------------------------------------------------------------------------------

    def claim(self, worker: str, limit: int, now: float, seconds: float) -> list[Lease]:
        """Lease up to `limit` items: one owner after another, of each owner one job after another, and in a job in
        order. Leases that ran out and jobs past their time are dealt with first."""

    def beat(self, leases: Sequence[Lease], until: float) -> list[Lease]:
        """Renew; returns those that are lost."""

    def finish(self, lease: Lease, result: bytes, ok: bool, now: float) -> bool:
        """The item's one result, and the progress count with it; False when the lease is lost."""

    def retry(self, lease: Lease, result: bytes, now: float) -> bool:
        """Again, after a while; at the last attempt `result` stays and the item is dead. False as for `finish`."""

    def give_back(self, lease: Lease, ready_at: float) -> bool:
        """As if it had not been claimed, but not before `ready_at`."""

    def forsake(self, worker: str, now: float) -> int:
        """Take back everything a worker of this name had leased, because it is dead; the number of items. Chores too,
        whoever has them: done twice they are taken once."""

    def claim_chore(self, now: float, seconds: float) -> Chore | None:
        """A job that wants to be begun or ended, the oldest first."""

    def settle(
        self, chore: Chore, meta: Mapping[str, Any], payloads: Sequence[bytes], now: float, failed: bool = False
    ) -> bool:
        """The chore is done: a validated job gets its items (or has failed), a finalized one has ended. `meta` replaces
        the job's. False when somebody else has it by now."""

    def purge(self, before: float) -> list[str]:
        """Forget the jobs that ended before then; their ids."""

    # --- for whoever is told of ends ------------------------------------------------------------------------------

    def claim_endings(self, limit: int, now: float, until: float) -> tuple[list[Job], int]:
        """Jobs whose end is still to be told, those that wait for longest first, and how many there are in all. Every
        job is one from the transaction on that ends it. Nobody else gets the returned ones before `until`."""

    def settle_endings(self, ready_at: Mapping[str, float | None]) -> None:
        """When each is to be told (again); None: it has been."""

    def close(self) -> None: ...
