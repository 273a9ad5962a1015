"""Structures are tried where they can do no harm: in time, within memory, once."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from flashweb.errors import InvalidRequest
from flashweb.structured.trial import Trials
from flashweb.types import Structure
from tests.house import NANO, processor


def schema(value: Any) -> Structure:
    return Structure("json_schema", json.dumps(value), "response_format.json_schema.schema")


def trials(**options: Any) -> Trials:
    return Trials(NANO, processor().eos_token_ids, **options)


async def test_a_structure_is_tried_once_however_many_ask_and_a_refusal_is_remembered_too() -> None:
    house = trials()
    try:
        good, bad = schema({"type": "integer"}), schema({"not": {}})
        results = await asyncio.gather(*(house.check(s) for s in (good, bad) * 5), return_exceptions=True)
        assert [type(r) for r in results] == [type(None), InvalidRequest] * 5
        assert house.num_tried == 2
        with pytest.raises(InvalidRequest) as caught:
            await house.check(bad)
        assert house.num_tried == 2 and house.num_killed == 0
        assert caught.value.param == "response_format.json_schema.schema"
        assert caught.value.message.startswith('response_format.json_schema.schema: the keyword "not" at #')
    finally:
        await house.close()


async def test_what_takes_too_long_is_refused_in_time_and_the_next_one_is_served() -> None:
    house = trials()
    try:
        await house.check(schema({"type": "null"}))  # the process is there
        house._trial_seconds = 0.5
        long = {"anyOf": [{"type": "object", "properties": {f"p{i}_{j}": {} for j in range(1000)}} for i in range(4)]}
        began = time.monotonic()
        with pytest.raises(InvalidRequest, match="more than 0.5 s to compile"):
            await house.check(schema(long))
        assert time.monotonic() - began < 5 and house.num_killed == 1
        house._trial_seconds = 60.0
        await house.check(schema({"type": "boolean"}))
    finally:
        await house.close()


async def test_a_caller_who_leaves_does_not_take_the_answer_from_the_others() -> None:
    house = trials()
    try:
        structure = schema({"type": "string", "maxLength": 7})
        leaver = asyncio.create_task(house.check(structure))
        await asyncio.sleep(0)
        other = asyncio.create_task(house.check(structure))
        await asyncio.sleep(0)
        leaver.cancel()
        await other
        assert house.num_tried == 1
    finally:
        await house.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "structure",
    [
        schema({"type": "object", "properties": {f"a{i}": {"type": "object", "properties": {f"b{j}": {} for j in range(70)}} for i in range(70)}}),
        schema({"allOf": [{"anyOf": [{"type": "object", "properties": {f"k{i}": {"const": j}}} for j in range(4)]} for i in range(12)]}),
        schema({"type": "string", "pattern": "((a{1,100}){1,100}){1,100}"}),
        schema({"type": "string", "pattern": "[ab]*a[ab]{200000}"}),
        schema({"enum": ["x" * 20 + str(i) for i in range(10_000)]}),
        schema({"type": "array", "minItems": 1_000_000, "items": {"type": "array", "minItems": 1_000_000}}),
        schema({"$defs": {**{f"n{i}": {"allOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 2} for i in range(30)}, "n30": {"type": "object"}}, "$ref": "#/$defs/n0"}),
        schema({"type": "object", "patternProperties": {f"^{c}.*(a|b)*{c}{{50}}": {} for c in "abcdefghij"}}),
        Structure("regex", "(a*)*" * 20_000),
        Structure("regex", "(x{1,1000}){1,1000}"),
        Structure("choice", json.dumps([f"{i}" * 20 for i in range(10_000)])),
        Structure("grammar", "start: " + " ".join(f"r{i}" for i in range(5000)) + "\n" + "\n".join(f"r{i}: r{(i + 1) % 5000} | \"a\"" for i in range(5000))),
        Structure("json_schema", '{"items":' * 20_000 + "{}" + "}" * 20_000),
    ],
    ids=lambda s: f"{s.kind}-{len(s.source)}",
)  # fmt: skip
async def test_a_malicious_structure_is_judged_in_time_and_the_house_lives_on(structure: Structure) -> None:
    house = trials()
    try:
        await house.check(schema({"type": "null"}))
        began = time.monotonic()
        try:
            await house.check(structure)
        except InvalidRequest as error:
            assert "larger" not in error.message
        assert time.monotonic() - began < 5
        await house.check(schema({"type": "boolean"}))
    finally:
        await house.close()
