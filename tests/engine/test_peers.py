"""Questions from one web process to the others, through the broker: a real socket, no engine behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flashweb.engine import EngineConfig, shared
from flashweb.engine.broker import EngineBroker
from flashweb.engine.shared import ANSWER_SECONDS, SharedEngine

LAZY = EngineConfig(lazy_load=True)


@asynccontextmanager
async def joined(folder: Path, number: int) -> AsyncIterator[list[SharedEngine]]:
    """So many web processes' lines to one broker."""
    broker = EngineBroker(LAZY)
    path = await broker.listen(folder)
    links = [SharedEngine(LAZY, path) for _ in range(number)]
    try:
        for link in links:
            await link.connect()
        yield links
    finally:
        for link in links:
            await link.stop()
        await broker.stop()


async def test_a_question_is_answered_by_every_other_web_process_and_not_by_the_asker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "ANSWER_SECONDS", 60.0)  # longer than a machine stalls
    async with joined(tmp_path, 3) as links:
        for number, link in enumerate(links):
            link.answer_with(lambda text, number=number: text + str(number).encode())  # type: ignore[misc]
        asked = await asyncio.gather(*(link.ask(b"who? ") for link in links))
    assert [sorted(answers) for answers in asked] == [
        [b"who? 1", b"who? 2"],
        [b"who? 0", b"who? 2"],
        [b"who? 0", b"who? 1"],
    ]


async def test_one_alone_is_told_at_once_that_nobody_else_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with joined(tmp_path, 1) as (link,):
        monkeypatch.setattr(shared, "ANSWER_SECONDS", 600.0)
        assert await asyncio.wait_for(link.ask(b"who?"), 60) == []
    assert await link.ask(b"who?") == [], "nor when the line is gone"


async def test_who_does_not_answer_is_left_out_in_time(tmp_path: Path) -> None:
    async with joined(tmp_path, 3) as (asker, silent, other):
        assert silent.place == 1  # connected, and never says what it would answer
        other.answer_with(lambda text: b"here")
        for _ in range(5):  # while the machine stalls nobody answers in time
            started = time.monotonic()
            answers = await asker.ask(b"who?")
            assert ANSWER_SECONDS / 2 < time.monotonic() - started < ANSWER_SECONDS * 20
            assert not asker._gatherings
            if answers:
                break
        assert answers == [b"here"]
