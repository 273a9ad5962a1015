"""The grammar of forced calls, as llguidance reads it: what a model may write, and that the reader gets it back."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pytest

from flashweb.output import call_grammar
from tests.house import NANO, encode
from tests.output.test_calls import read

llguidance = pytest.importorskip("llguidance")

PRICE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_price",
        "parameters": {
            "type": "object",
            "properties": {
                "item": {"type": "string"},
                "count": {"type": "integer", "minimum": 1},
                "tags": {"type": "array", "items": {"type": "string"}},
                "unit": {"enum": ["kg", "piece", 3]},
                "size": {"$ref": "#/$defs/Size"},
                "code": {"type": "string", "minLength": 2, "maxLength": 3},
                "note": {"type": ["string", "null"]},
                "any": {},
            },
            "required": ["item"],
            "$defs": {"Size": {"type": "object", "properties": {"w": {"type": "number"}}, "required": ["w"]}},
        },
    },
}
NOW: dict[str, Any] = {"type": "function", "function": {"name": '现在 "几点" <b>'}}
FREE: dict[str, Any] = {"type": "function", "function": {"name": "free", "parameters": {"type": "object"}}}
# How everybody writes a function without arguments, though JSON Schema would let it have any.
DICE: dict[str, Any] = {
    "type": "function",
    "function": {"name": "dice", "parameters": {"type": "object", "properties": {}}},
}
OPEN: dict[str, Any] = {
    "type": "function",
    "function": {"name": "open", "parameters": {"type": "object", "properties": {}, "additionalProperties": True}},
}
TOOLS = (PRICE, NOW, FREE, DICE, OPEN)


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    return llguidance.LLTokenizer((NANO / "tokenizer.json").read_text(encoding="utf-8"))


def accepts(answer: str, *, parallel: bool = False, tools: tuple[dict[str, Any], ...] = TOOLS) -> bool:
    matcher = llguidance.LLMatcher(tokenizer(), call_grammar(tools, parallel=parallel))
    assert not matcher.get_error()
    ids = encode(answer)
    return matcher.validate_tokens(ids) == len(ids) and matcher.consume_tokens(ids) and matcher.is_accepting()


def call(name: str, **arguments: str) -> str:
    lines = [f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n" for key, value in arguments.items()]
    return f"<tool_call>{name}\n{''.join(lines)}</tool_call>"


GOOD = {
    "one argument": call("get_price", item="tea"),
    "behind a thought": "\n" + call("get_price", item="tea"),
    "tricky text": call("get_price", item='茶 "</arg>" {\n\n} < |user|>'),
    "empty text": call("get_price", item=""),
    "all arguments": call(
        "get_price",
        item="a",
        count="12",
        tags='["a", "茶"]',
        unit="kg",
        size='{"w": 1.5}',
        code="ab",
        note="n",
        any="[1]",
    ),
    "a number among texts": call("get_price", item="a", unit="3"),
    "no parameters": call(NOW["function"]["name"]),
    "no properties": call("dice"),
    "free arguments": call("free", x="1", 键="[]"),
    "arguments beside no properties": call("open", x="1"),
}
BAD = {
    "text": "hello",
    "text before": "Let me see.\n" + call("get_price", item="tea"),
    "another name": call("get_prices", item="tea"),
    "half a name": call("get", item="tea"),
    "a required argument is missing": call("get_price"),
    "an unknown argument": call("get_price", item="tea", colour="red"),
    "a fraction for an integer": call("get_price", item="a", count="1.5"),
    "below the minimum": call("get_price", item="a", count="0"),
    "a text for an integer": call("get_price", item="a", count="two"),
    "not in the enum": call("get_price", item="a", unit="t"),
    "an array of numbers": call("get_price", item="a", tags="[1]"),
    "a wrong object": call("get_price", item="a", size='{"h": 1}'),
    "too long": call("get_price", item="a", code="abcd"),
    "too short": call("get_price", item="a", code="a"),
    "arguments where there are none": call(NOW["function"]["name"], x="1"),
    "arguments where there are no properties": call("dice", sides="6"),
    "no end": call("get_price", item="tea").removesuffix("</tool_call>"),
    "two calls": "\n".join(2 * [call("get_price", item="tea")]),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_call_that_fits_is_accepted_and_read_back(name: str) -> None:
    assert accepts(GOOD[name])
    (found,), reader = read(GOOD[name], *TOOLS)
    assert reader.num_complete == 1
    json.loads(found[1])


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_fitting_call_is_refused(name: str) -> None:
    assert not accepts(BAD[name])


def test_several_calls_are_accepted_where_they_may_be() -> None:
    assert accepts(BAD["two calls"], parallel=True)
    assert not accepts(BAD["two calls"].replace("\n<tool_call>", "<tool_call>"), parallel=True)


def test_the_tags_must_be_the_control_tokens() -> None:
    matcher = llguidance.LLMatcher(tokenizer(), call_grammar(TOOLS, parallel=False))
    from tests.house import processor

    assert matcher.validate_tokens(processor().tokenizer.encode(GOOD["one argument"])) == 0


def test_the_end_is_all_that_may_follow_a_single_call() -> None:
    matcher = llguidance.LLMatcher(tokenizer(), call_grammar(TOOLS, parallel=False))
    assert matcher.consume_tokens(encode(GOOD["one argument"]))
    assert matcher.is_stopped()


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "boolean"}, "true", "True"),
        ({"type": "null"}, "null", "none"),
        ({"type": "number"}, "-1.5e3", "x"),
        ({"const": "yes"}, "yes", "no"),
        ({"const": {"a": 1}}, '{"a": 1}', '{"a":1}'),
        ({"enum": ["", "a"]}, "", "b"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "null", "x"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, '{"k": 1, "l": 2}', '{"k": "1"}'),
        ({"type": "array", "maxItems": 1}, "[{}]", "[1, 2]"),
        ({"enum": ['a "quoted"\nline', "\\d"]}, "\\d", "1"),
    ],
)
def test_a_value_follows_its_schema(schema: dict[str, Any], good: str, bad: str) -> None:
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": schema}}},
    }
    assert accepts(call("f", a=good), tools=(tool,))
    assert not accepts(call("f", a=bad), tools=(tool,))


def test_tools_whose_grammar_is_out_of_proportion_are_refused() -> None:
    schema = {
        "properties": {f"a{i}": {"type": "array", "items": {"$ref": "#/$defs/A"}} for i in range(200)},
        "$defs": {"A": {"enum": ["x" * 20_000]}},
    }
    with pytest.raises(ValueError, match="longer than"):
        call_grammar([{"type": "function", "function": {"name": "f", "parameters": schema}}], parallel=False)
