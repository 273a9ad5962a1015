"""The queue in Redis (`--jobs-url redis://...`), which several servers may share. Needs the extra `redis`.

How durable it is, is the server's choice: it needs `appendonly yes` and must not evict (`maxmemory-policy
noeviction`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from flashweb.errors import ConfigError, StorageBroken, StorageFull, StorageReadOnly, StorageUnavailable
from flashweb.jobs.records import (
    MAX_ATTEMPTS,
    MAX_BACK_OFF_SECONDS,
    Chore,
    Item,
    ItemState,
    Job,
    JobState,
    Lease,
    NewJob,
)
from flashweb.jobs.store import LAPSED

log = logging.getLogger("flashweb.jobs")
PREFIX = "flashweb:jobs:"
SECONDS = 30.0  # for one operation; the largest batch takes a few
_RULES = (LAPSED, MAX_ATTEMPTS, MAX_BACK_OFF_SECONDS)


def redis_store(url: str) -> RedisStore:
    """Connects with its first use. Raises ConfigError."""
    return RedisStore(url)


class RedisStore:
    """A `Store`; see there for what each method promises, and `queue.lua` for how."""

    def __init__(self, url: str) -> None:
        import redis

        try:
            self._line = redis.Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=5.0)
        except ValueError:
            raise ConfigError("--jobs-url is no URL the redis client can read") from None
        source = (files("flashweb.jobs") / "queue.lua").read_text(encoding="utf-8")
        self._script = self._line.register_script(source)

    def close(self) -> None:
        self._line.close()

    def _do(self, operation: str, *values: Any) -> Any:
        import redis

        try:
            return self._script(args=[PREFIX, operation, *values])
        except redis.RedisError as error:
            # Its text may hold the URL, and with it a password.
            log.error("Redis does not take the queue's operation %s: %s", operation, type(error).__name__)
            if isinstance(error, redis.exceptions.OutOfMemoryError):
                raise StorageFull(
                    "The Redis server of this server's jobs is full; its operator must make room."
                ) from None
            if isinstance(error, redis.exceptions.ReadOnlyError):
                raise StorageReadOnly(
                    "The Redis server of this server's jobs is a replica; it takes no jobs."
                ) from None
            if str(error).startswith("MISCONF"):  # it cannot write its own file
                raise StorageBroken("The disk of this server's Redis does not do its part; come back later.") from None
            raise StorageUnavailable(
                "The Redis server of this server's jobs does not answer; come back later."
            ) from None

    # --- for whoever hands in and asks ----------------------------------------------------------------------------

    def submit(self, job: NewJob, payloads: Sequence[bytes], now: float, most: int | None = None) -> bool:
        state = JobState.VALIDATING if job.has_chores else JobState.IN_PROGRESS
        expires = "" if job.expires is None else job.expires
        told = (job.id, job.kind, job.owner, state.value, int(job.has_chores), expires, json.dumps(dict(job.meta)), now)
        return bool(self._do("submit", *told, "" if most is None else most, *payloads))

    def get(self, id: str, owner: str) -> Job | None:
        return _job_or_none(self._do("get", id, owner))

    def jobs(self, kind: str, owner: str, after: str | None, limit: int) -> list[Job]:
        return [_job_of(found) for found in self._do("jobs", kind, owner, after or "", limit)]

    def items(self, id: str, after: int, limit: int) -> list[Item]:
        found = self._do("items", id, after, limit)
        return [Item(seq, ItemState(state.decode()), given, made) for seq, state, given, made in found]

    def item_state(self, id: str, seq: int) -> ItemState | None:
        found = self._do("item_state", id, seq)
        return None if found is None else ItemState(found.decode())

    def cancel(self, id: str, owner: str, now: float) -> Job | None:
        return _job_or_none(self._do("cancel", id, owner, now))

    def delete(self, id: str, owner: str) -> bool:
        return bool(self._do("delete", id, owner))

    # --- for whoever executes -------------------------------------------------------------------------------------

    def claim(self, worker: str, limit: int, now: float, seconds: float) -> list[Lease]:
        found = self._do("claim", worker, limit, now, now + seconds, *_RULES)
        return [
            Lease(id.decode(), int(seq), token, attempt, kind.decode(), owner.decode(), payload)
            for id, seq, token, attempt, kind, owner, payload in found
        ]

    def beat(self, leases: Sequence[Lease], until: float) -> list[Lease]:
        named = [value for lease in leases for value in (lease.job_id, lease.seq, lease.token)]
        return [leases[index] for index in self._do("beat", until, *named)]

    def finish(self, lease: Lease, result: bytes, ok: bool, now: float) -> bool:
        return bool(self._do("finish", lease.job_id, lease.seq, lease.token, result, int(ok), now))

    def retry(self, lease: Lease, result: bytes, now: float) -> bool:
        rules = (MAX_ATTEMPTS, MAX_BACK_OFF_SECONDS)
        return bool(self._do("retry", lease.job_id, lease.seq, lease.token, result, now, *rules))

    def give_back(self, lease: Lease, ready_at: float) -> bool:
        return bool(self._do("give_back", lease.job_id, lease.seq, lease.token, ready_at))

    def forsake(self, worker: str, now: float) -> int:
        return int(self._do("forsake", worker, now, *_RULES))

    def claim_chore(self, now: float, seconds: float) -> Chore | None:
        found = self._do("claim_chore", now, now + seconds, *_RULES)
        return None if found is None else Chore(_job_of(found[1]), int(found[0]))

    def settle(
        self, chore: Chore, meta: Mapping[str, Any], payloads: Sequence[bytes], now: float, failed: bool = False
    ) -> bool:
        job = chore.job
        told = (job.id, chore.token, job.state.value, json.dumps(dict(meta)), int(failed), now)
        return bool(self._do("settle", *told, *payloads))

    def purge(self, before: float) -> list[str]:
        return [id.decode() for id in self._do("purge", before)]

    def claim_endings(self, limit: int, now: float, until: float) -> tuple[list[Job], int]:
        num, found = self._do("claim_endings", limit, now, until)
        return [_job_of(pairs) for pairs in found], int(num)

    def settle_endings(self, ready_at: Mapping[str, float | None]) -> None:
        self._do("settle_endings", *(one for id, at in ready_at.items() for one in (id, "" if at is None else at)))


def _job_or_none(found: list[bytes] | None) -> Job | None:
    return None if found is None else _job_of(found)


def _job_of(pairs: list[bytes]) -> Job:
    """Of what HGETALL gives in a script: names and values in turn."""
    found = {name.decode(): value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
    text = {name: value.decode() for name, value in found.items() if name != "meta"}
    return Job(
        id=text["id"],
        kind=text["kind"],
        owner=text["owner"],
        state=JobState(text["state"]),
        ending=JobState(text["ending"]),
        created=float(text["created"]),
        expires=float(text["expires"]) if text["expires"] else None,
        times={name.removeprefix("time:"): float(at) for name, at in text.items() if name.startswith("time:")},
        meta=json.loads(found["meta"]),
        total=int(text["total"]),
        completed=int(text["completed"]),
        failed=int(text["failed"]),
    )
