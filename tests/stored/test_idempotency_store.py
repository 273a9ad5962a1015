"""Where answers are kept by their Idempotency-Key: one claim a key, shared and lasting, bounded."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from flashweb.errors import StorageUnavailable
from flashweb.stored import idempotency
from flashweb.stored.idempotency import LEASE_SECONDS, Claim, IdempotencyStore, KeptAnswer, Running
from tests.power import Disk

PLACE = "POST /v1/batches"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def store_in(folder: Path | None, clock: Clock, *, max_bytes: int = 1 << 20) -> IdempotencyStore:
    path = None if folder is None else folder / "data" / "idempotency.sqlite"
    return IdempotencyStore(path, max_bytes=max_bytes, seconds=3600, now=clock)


def answer(body: bytes = b"{}") -> KeptAnswer:
    return KeptAnswer(b"d" * 32, 200, [(b"content-type", b"application/json")], body, "/v1/batches")


async def first(store: IdempotencyStore, key: str = "k", owner: str = "me") -> Claim:
    found = await store.claim(owner, PLACE, key)
    assert isinstance(found, Claim)
    return found


async def kept(store: IdempotencyStore, key: str, owner: str = "me", body: bytes = b"{}") -> None:
    await store.keep(await first(store, key, owner), answer(body))


async def test_a_claim_that_its_request_no_longer_waits_for_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_in(tmp_path, Clock())
    begun, may_go_on, claim = threading.Event(), threading.Event(), store._claim

    def slowly(name: bytes, owner: str) -> Any:
        begun.set()
        may_go_on.wait(60)
        return claim(name, owner)

    monkeypatch.setattr(store, "_claim", slowly)
    asking = asyncio.create_task(store.claim("me", PLACE, "k"))
    await asyncio.to_thread(begun.wait, 60)
    asking.cancel()
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert isinstance(await store.claim("me", PLACE, "k"), Claim)
    await store.close()


@pytest.mark.parametrize("on_disk", [True, False])
async def test_a_key_is_claimed_once_and_then_has_its_answer_for_its_time(tmp_path: Path, on_disk: bool) -> None:
    clock = Clock()
    store = store_in(tmp_path if on_disk else None, clock)
    claims = await asyncio.gather(*(store.claim("me", PLACE, "k") for _ in range(8)))
    assert sorted(type(one).__name__ for one in claims) == ["Claim"] + ["Running"] * 7
    (claim,) = (one for one in claims if isinstance(one, Claim))
    for other in (("you", PLACE, "k"), ("me", "POST /v1/files", "k"), ("me", PLACE, "other")):
        assert isinstance(await store.claim(*other), Claim)
    await store.keep(claim, answer(b"[1]"))
    assert await store.claim("me", PLACE, "k") == answer(b"[1]")
    clock.now += 3601
    assert isinstance(await store.claim("me", PLACE, "k"), Claim)
    await store.close()


async def test_a_key_whose_time_is_over_is_free_however_many_others_are(tmp_path: Path) -> None:
    clock = Clock()
    store = store_in(None, clock)
    for number in range(120):
        clock.now += 1
        await kept(store, f"{number}")
    clock.now += 3601
    assert isinstance(await store.claim("me", PLACE, "119"), Claim)
    await store.close()


async def test_a_key_without_an_answer_is_free_again(tmp_path: Path) -> None:
    store = store_in(tmp_path, Clock())
    claim = await first(store)
    await store.release(claim)
    again = await first(store)
    assert again.nonce != claim.nonce, "another request, whatever it makes is its own"
    await store.close()


async def test_processes_share_keys_and_answers_and_a_restart_finds_them(tmp_path: Path) -> None:
    clock = Clock()
    one, two = store_in(tmp_path, clock), store_in(tmp_path, clock)
    claim = await first(one)
    assert isinstance(await two.claim("me", PLACE, "k"), Running)
    await one.keep(claim, answer())
    assert await two.claim("me", PLACE, "k") == answer()
    await one.close()
    await two.close()
    three = store_in(tmp_path, clock)
    assert await three.claim("me", PLACE, "k") == answer()
    await three.close()
    (file,) = (tmp_path / "data").glob("*.sqlite")
    assert file.stat().st_mode & 0o777 == 0o600 and b"me\0" not in file.read_bytes()


async def test_who_comes_after_a_death_takes_the_key_over_with_its_nonce(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    dead, next_one = store_in(tmp_path, clock), store_in(tmp_path, clock)
    claim = await first(dead)
    clock.now += LEASE_SECONDS - 1
    assert isinstance(await next_one.claim("me", PLACE, "k"), Running)
    clock.now += 2
    assert await next_one.claim("me", PLACE, "k") == claim
    await dead.close()
    await next_one.close()
    # One that lives renews what it has, however long it takes.
    monkeypatch.setattr(idempotency, "BEAT_SECONDS", 0.01)
    alive, other = store_in(tmp_path, clock), store_in(tmp_path, clock)
    await first(alive, "long")
    for _ in range(5):
        clock.now += LEASE_SECONDS - 1
        await asyncio.sleep(0.1)
        assert isinstance(await other.claim("me", PLACE, "long"), Running)
    await alive.close()
    await other.close()


async def test_room_is_made_by_who_has_most_and_a_flood_costs_its_owner_alone(tmp_path: Path) -> None:
    clock = Clock()
    store = store_in(tmp_path, clock, max_bytes=100_000)
    await kept(store, "mine", "quiet")
    for number in range(300):
        clock.now += 1
        await kept(store, f"{number}", "loud", bytes(1000))
    assert await store.claim("quiet", PLACE, "mine") == answer()
    assert isinstance(await store.claim("loud", PLACE, "0"), Claim)
    assert isinstance(await store.claim("loud", PLACE, "299"), KeptAnswer)
    (held,) = store._opened().execute("SELECT bytes FROM total").fetchone()
    assert 80_000 < held <= 100_000
    await store.close()


async def test_a_disk_that_cannot_be_used_is_told_and_comes_back(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "data").write_text("no folder")
    store = store_in(tmp_path, Clock())
    with pytest.raises(StorageUnavailable, match="Idempotency-Key"):
        await store.claim("me", PLACE, "k")
    assert "cannot use" in caplog.text
    (tmp_path / "data").unlink()
    assert isinstance(await store.claim("me", PLACE, "k"), Claim)
    await store.close()


async def test_a_claim_and_an_answer_outlive_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    store = store_in(tmp_path, Clock())
    claim = await first(store)
    assert disk.durable_commits == 1
    await store.keep(claim, answer())
    assert disk.durable_commits == 2
    await store.close()
