"""Tool calls in the family's form -> JSON arguments, typed by the tool's schema, in pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashweb.output.calls import CallReader, argument_types, as_json
from flashweb.output.tags import NAMES, pieces
from tests.output.test_reply import marked


def tool(name: str = "f", **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "$defs": {"Size": {"type": "integer"}}}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def written(name: str, **arguments: str) -> str:
    lines = [f"<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n" for key, value in arguments.items()]
    return f"<tool_call>{name}\n{''.join(lines)}</tool_call>"


def read(text: str, *tools: dict[str, Any], end: bool = True) -> tuple[list[tuple[str, str]], CallReader]:
    reader = CallReader(tools, new_id=lambda: "id")
    for piece in pieces(marked(text)):
        name = next((name for name in NAMES if marked(name) == piece), None)
        if name == "<tool_call>":
            reader.begin()
        elif name is not None:
            reader.read_tag(name)
        else:
            for character in piece:
                reader.read_text(character)
    if end:
        reader.end()
    calls: list[tuple[str, str]] = []
    for news in reader.take():
        if news.id:
            calls.append((news.name, ""))
        assert news.index == len(calls) - 1
        calls[-1] = calls[-1][0], calls[-1][1] + news.arguments
    return calls, reader


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "12", "12"),
        ({"type": "string"}, ' a "b"\n</x>\\ 茶 \u2028', ' a "b"\n</x>\\ 茶 \u2028'),
        ({"type": "string"}, "", ""),
        ({"type": "integer"}, " 12 ", 12),
        ({"type": "integer"}, "twelve", "twelve"),
        ({"type": "number"}, "1.50", 1.5),
        ({"type": "number"}, "3", 3),
        ({"type": "number"}, "NaN", "NaN"),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "True", "True"),
        ({"type": "array", "items": {}}, '["a", 1,\n{"b": null}]', ["a", 1, {"b": None}]),
        ({"type": "object"}, '{"a": "茶"}', {"a": "茶"}),
        ({"type": "object"}, '{"a": ', '{"a": '),
        ({"type": "array"}, "[" * 5000, "[" * 5000),
        ({"type": ["string", "null"]}, "null", None),
        ({"type": ["string", "null"]}, "5", "5"),
        ({"type": ["string", "null"]}, '"a"', '"a"'),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "5", 5),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "5.5", "5.5"),
        ({"enum": ["1", "2"]}, "1", "1"),
        ({"enum": [1, "a"]}, "1", 1),
        ({"const": 7}, "7", 7),
        ({"$ref": "#/$defs/Size"}, "7", 7),
        ({"allOf": [{"$ref": "#/$defs/Size"}]}, "7", 7),
        ({"$ref": "#/$defs/Nowhere"}, "7", 7),
        ({"$ref": "#"}, "7", 7),
        ({}, "[1]", [1]),
        ({}, "hello", "hello"),
        (True, "1", 1),
    ],
)
def test_a_value_has_the_type_its_schema_gives_it(schema: Any, text: str, value: Any) -> None:
    (call,), reader = read(written("f", a=text), tool(a=schema))
    assert json.loads(call[1]) == {"a": value}
    assert type(json.loads(call[1])["a"]) is type(value)
    assert reader.num_complete == 1


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_survives_as_a_string(key: str, value: str) -> None:
    key = key.strip() or "k"
    (call,), _ = read(written("f", **{key: value}), tool(**{key: {"type": "string"}}))
    assert json.loads(call[1]) == {key: value}


@given(st.text(max_size=30))
def test_any_text_is_valid_json_whatever_the_type(text: str) -> None:
    for types in ("string", "integer", "array"), ("integer",), ():
        json.loads(as_json(text, frozenset(types)))


def test_a_string_streams_as_it_comes() -> None:
    reader = CallReader([tool(a={"type": "string"})], new_id=lambda: "id")
    reader.begin()
    reader.read_text("f")
    assert reader.take() == ()  # half a name is nobody's
    reader.read_text("\n")
    (first,) = reader.take()
    assert (first.id, first.name, first.arguments) == ("id", "f", "")
    for name, text in (("<arg_key>", "a"), ("</arg_key>", "\n"), ("<arg_value>", 'one "')):
        reader.read_tag(name)
        reader.read_text(text)
    assert "".join(piece.arguments for piece in reader.take()) == '{"a": "one \\"'
    reader.read_text("two")
    assert "".join(piece.arguments for piece in reader.take()) == "two"


@pytest.mark.parametrize(
    ("text", "calls", "complete"),
    [
        (written("f"), [("f", "{}")], 1),
        (written("f", a="1", b="2"), [("f", '{"a": "1", "b": 2}')], 1),
        (written("f") + "\n" + written("其他 <b>", x="1"), [("f", "{}"), ("其他 <b>", '{"x": 1}')], 2),
        ("<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value></tool_call>", [("f", '{"a": "1"}')], 1),
        ("<tool_call>\n</tool_call>", [], 0),
        ("<tool_call><arg_key>a</arg_key>\n<arg_value>1</arg_value>\n</tool_call>", [], 0),
        # slips of a model
        ("<tool_call>f\n<arg_key>b<arg_value>1</arg_value>\n</tool_call>", [("f", '{"b": 1}')], 1),
        ("<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</tool_call>", [("f", '{"a": "1"}')], 1),
        ("<tool_call>f\n<arg_key>a</arg_key>\n</tool_call>", [("f", '{"a": null}')], 1),
        ("<tool_call>f\n<arg_key>a</tool_call>", [("f", "{}")], 1),
        ("<tool_call>f\n<arg_key>a</arg_key>\n<arg_key>b</arg_key><arg_value>1</arg_value></tool_call>",
         [("f", '{"a": null, "b": 1}')], 1),
        (written("f", a="<think>x</arg_key>"), [("f", '{"a": "<think>x</arg_key>"}')], 1),  # tokens inside a text
        # the model stopped without the closing tag: complete only where nothing is half
        ("<tool_call>f\n", [("f", "{}")], 1),
        ("<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>", [("f", '{"a": "1"}')], 1),
        ("<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1", [("f", '{"a": "1')], 0),
        ("<tool_call>f\n<arg_key>a</arg_key>\n", [("f", '{"a": ')], 0),
        ("<tool_call>f", [], 0),
    ],
)  # fmt: skip
def test_calls_are_read(text: str, calls: list[tuple[str, str]], complete: int) -> None:
    found, reader = read(text, tool(a={"type": "string"}, b={"type": "integer"}))
    assert found == calls
    assert reader.num_complete == complete and not reader.inside


def test_what_a_limit_cut_off_is_never_closed() -> None:
    text = written("f", a="12", b="3")
    for cut in range(len(marked("<tool_call>")), len(text)):
        if any(text[:cut].endswith(name[:n]) for name in NAMES for n in range(1, len(name))):
            continue  # a control token comes whole
        calls, reader = read(text[:cut], tool(a={"type": "string"}, b={"type": "integer"}), end=False)
        assert reader.num_complete == 0 and reader.inside
        for _, arguments in calls:
            with pytest.raises(ValueError):
                json.loads(arguments)


def test_a_schema_that_refers_in_circles_costs_no_time() -> None:
    many = [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}] * 20
    schema = {
        "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"anyOf": [*many, {"type": "integer"}]}, "B": {"anyOf": [*many, {"type": "null"}]}},
    }
    assert argument_types(schema, "a") == {"integer", "null"}
    loop = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert argument_types(loop, "a") == frozenset()
