"""The list of requests and the sums by key: bounded, and right."""

from __future__ import annotations

import time

import pytest

from flashweb.observe.ledger import MAX_DAYS, MAX_KEYS, MAX_PATH_CHARS, MAX_RECENT, OTHERS, Ledger, Record
from flashweb.observe.work import Work
from flashweb.types import Usage


def record(id: str, key: str | None = None, status: int = 200, path: str = "/v1") -> Record:
    return Record(id, "POST", path, Work(picture_sizes=((1, 1),)), key=key, status=status, usage=Usage(5, 2))


def test_requests_are_listed_newest_first_and_the_oldest_are_forgotten() -> None:
    ledger = Ledger()
    for number in range(MAX_RECENT + 5):
        made = record(str(number), path="/" + "x" * 1000)
        ledger.begin(made)
        ledger.end(made)
    ledger.begin(record("running"))
    listed = [one.id for one in ledger.newest_first()]
    assert listed[:2] == ["running", str(MAX_RECENT + 4)]
    assert len(listed) == MAX_RECENT + 1 and listed[-1] == "5"
    assert ledger.num_running == 1
    assert all(len(one.path) <= MAX_PATH_CHARS for one in ledger.newest_first())


def test_usage_is_summed_by_key_and_keys_without_end_are_one() -> None:
    ledger = Ledger()
    made = [record("a"), record("b", status=499), record("c", "shop")]
    made += [record(str(number), f"key-{number}") for number in range(MAX_KEYS + 10)]
    for one in made:
        ledger.begin(one)
        ledger.end(one)
    nobody = ledger.usage[None]
    assert (nobody.requests, nobody.errors, nobody.pictures) == (2, 1, 2)
    assert (nobody.prompt_tokens, nobody.completion_tokens) == (10, 4)
    assert ledger.usage["shop"].requests == 1
    assert len(ledger.usage) == MAX_KEYS + 1 and ledger.usage[OTHERS].requests == 12


def test_usage_is_summed_by_day_too_and_old_days_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    for day in range(MAX_DAYS + 2):
        today = time.struct_time((2026, 1 + day // 28, 1 + day % 28, *6 * [0]))
        monkeypatch.setattr(time, "gmtime", lambda today=today: today)
        for one in (record(f"a{day}"), record(f"b{day}", "shop", status=500)):
            ledger.begin(one)
            ledger.end(one)
    assert len(ledger.days) == MAX_DAYS
    assert list(ledger.days)[0] == "2026-01-03" and list(ledger.days)[-1] == "2026-02-05"
    last = ledger.days["2026-02-05"]
    assert (last[None].requests, last[None].errors, last["shop"].errors) == (1, 0, 1)
    assert ledger.usage["shop"].requests == MAX_DAYS + 2


def test_only_what_runs_can_be_ended() -> None:
    ledger = Ledger()
    made = record("a")
    asked: list[bool] = []
    ledger.begin(made)
    assert not ledger.cancel("b") and not ledger.cancel("a")  # not inside the pipeline
    made.work.cancel = lambda: asked.append(True) or True  # type: ignore[func-returns-value]
    assert ledger.cancel("a") and asked
    ledger.end(made)
    assert not ledger.cancel("a")
