"""A native library that breaks down: in the process that tries structures it costs the one request, in the engine the
one answer."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from flashweb.engine.constraint import MaskWanted, fill_rows
from flashweb.engine.protocol import Failed, Token
from flashweb.errors import InvalidRequest
from flashweb.structured.trial import STACK_BYTES, Trials
from flashweb.types import Structure
from tests.engine.fake_vocabulary import fake_grammars
from tests.engine.test_constraint import LISTS, ask, check, structured_core
from tests.house import NANO, open_house, processor

# The real process, with a compiler that breaks in the way that a schema's `title` tells.
BREAKS = """
import os, sys
import flashweb.structured.grammar as grammar
from flashweb.structured.trial import main

compile_structure = grammar.compile_structure

def broken(structure, vocabulary):
    if "abort" in structure.source:
        os.abort()
    if "overflow" in structure.source:
        import ctypes
        ctypes.string_at(0)
    if "killed once" in structure.source and not os.path.exists(flag := structure.source.split(":")[-2]):
        open(flag, "w").close()
        os.kill(os.getpid(), 9)
    if "panic" in structure.source:
        raise type("PanicException", (BaseException,), {})("index out of bounds")
    return compile_structure(structure, vocabulary)

grammar.compile_structure = broken
main(*sys.argv[1:])
"""


def schema(**keywords: Any) -> Structure:
    return Structure("json_schema", json.dumps(keywords), "response_format.json_schema.schema")


def breakable(house: Trials) -> Trials:
    house._command = [sys.executable, "-c", BREAKS, *house._command[3:]]
    return house


@pytest.mark.slow
async def test_a_structure_that_brings_down_the_compiler_is_refused_and_the_next_is_tried_in_a_new_process() -> None:
    house = breakable(Trials(NANO, processor().eos_token_ids))
    try:
        for number, way in enumerate(("abort", "overflow"), 1):
            with pytest.raises(InvalidRequest, match="breaks the compiler of grammars"):
                await house.check(schema(type="string", title=way))
            assert house.num_killed == number
            await house.check(schema(type="string", maxLength=number))
        with pytest.raises(InvalidRequest, match="breaks the compiler of grammars"):
            await house.check(schema(type="string", title="panic"))
        assert house.num_killed == 2, "a panic can be told, and the process goes on"
        with pytest.raises(InvalidRequest):
            await house.check(schema(type="string", title="abort"))
        assert house.num_killed == 2, "what broke it once is not tried again"
    finally:
        await house.close()


@pytest.mark.slow
async def test_a_process_that_the_system_took_away_says_nothing_about_the_structure(tmp_path: Path) -> None:
    house = breakable(Trials(NANO, processor().eos_token_ids))
    try:
        await house.check(schema(type="null", title=f"killed once:{tmp_path / 'flag'}:"))
        assert (house.num_tried, house.num_killed) == (2, 1)
    finally:
        await house.close()


async def test_over_http_the_crash_is_one_400_and_neighbours_and_later_requests_are_answered() -> None:
    def held(title: str) -> dict[str, Any]:
        schema = {"type": "object", "title": title}
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}

    async with open_house() as house:
        breakable(house.pipeline._trials)
        # By turns: the crash comes while the others wait for their own trial.
        wanted = (held("one"), held("abort"), {}, held("two"))
        one, broken, free, two = await asyncio.gather(*(house.chat("hello", **parameters) for parameters in wanted))
        assert [response.status_code for response in (one, broken, free, two)] == [200, 400, 200, 200]
        assert broken.json()["error"]["param"] == "response_format.json_schema.schema"


class Panic(BaseException):
    """As pyo3 makes them of a panic: no Exception."""


Panic.__name__ = "PanicException"


class Patched:
    """A matcher with one method of ours; the rest is the real one's."""

    def __init__(self, matcher: Any, name: str, call: Any) -> None:
        self._matcher, self._name, self._call = matcher, name, call

    def __getattr__(self, name: str) -> Any:
        return self._call if name == self._name else getattr(self._matcher, name)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("name", ["unsafe_compute_mask_ptr", "consume_token", "validate_tokens"])
def test_a_panic_in_the_engine_fails_its_own_request_and_no_other(name: str, overlap: bool) -> None:
    core = structured_core(overlap=overlap)
    core.submit(ask("breaks", 1, temperature=0.0 if name == "validate_tokens" else 1.0))
    core.submit(ask("well", 2))
    (sequence,) = [seq for seq in core.scheduler._sequences.values() if seq.request_id == "breaks"]
    constraint = sequence.constraint
    assert constraint is not None
    matcher, num_calls = constraint._matcher, 0

    def broken(*arguments: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        if num_calls > 2:
            raise Panic("index out of bounds")
        return getattr(matcher, name)(*arguments)

    constraint._matcher = Patched(matcher, name, broken)  # type: ignore[assignment]
    news = []
    while core.has_work:
        news += core.step()
        core.check_integrity()
    (failed,) = [one for one in news if isinstance(one, Failed)]
    assert failed.request_id == "breaks" and "PanicException" in failed.message
    check([id for one in news if isinstance(one, Token) and one.request_id == "well" for id in one.token_ids])


def test_an_order_to_stop_is_not_taken_for_a_panic() -> None:
    constraint = fake_grammars().constraint(LISTS)

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    constraint._matcher = Patched(constraint._matcher, "unsafe_compute_mask_ptr", interrupted)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        fill_rows([MaskWanted(constraint)])


def test_what_is_tried_has_a_fraction_of_the_stack_that_the_engine_has() -> None:
    from flashweb.engine.worker import STACK_BYTES as ENGINES

    assert ENGINES >= 4 * STACK_BYTES
