"""Text among the arguments of a forced call is held to what its schema says of strings; what cannot be is told."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from flashweb.errors import InvalidRequest
from flashweb.output import call_grammar
from flashweb.output.calls import as_json
from flashweb.structured.schema import FORMATS
from tests.output.test_call_grammar import accepts, call
from tests.output.test_calls import read


def tool(schema: Any, *, strict: bool = False, **parameters: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"a": schema}, **parameters}
    return {"type": "function", "function": {"name": "f", "parameters": parameters, "strict": strict}}


DATE_OR_NOTHING = {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None, "title": "Day"}
# what it is -> schema, texts that fit, texts that do not
CASES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "pattern": ({"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"}, ["AB-1"], ["ab-1", "AB-", " AB-1", "AB-1\n"]),
    "pattern found anywhere": ({"type": "string", "pattern": "b+"}, ["abc", "b", "a\nb"], ["", "ac"]),
    "pattern of alternatives": ({"type": "string", "pattern": "^a$|^bc$"}, ["a", "bc"], ["abc", "b", ""]),
    "pattern at one end": ({"type": "string", "pattern": "^a|b$"}, ["a", "ax", "xb"], ["xa", "bx"]),
    "pattern with a slash": ({"type": "string", "pattern": r"^/a\/b\\/$"}, ["/a/b\\/"], ["a/b", "/a/b/"]),
    "pattern with a dollar": ({"type": "string", "pattern": r"^\d+\$"}, ["12$", "1$ more"], ["12", "$"]),
    "pattern with a class": ({"type": "string", "pattern": r"^[\w.-]+$"}, ["a_1.b-c"], ["a b", "图"]),
    "pattern and length": ({"type": "string", "pattern": "^a*$", "minLength": 2, "maxLength": 3}, ["aa", "aaa"],
                           ["a", "aaaa", "bb"]),
    "format": ({"type": "string", "format": "date"}, ["2024-02-28"], ["2024-13-01", "today", '"2024-02-28"', ""]),
    "format and pattern": ({"type": "string", "format": "date", "pattern": "^2024"}, ["2024-02-28"], ["2023-02-28"]),
    "format or null": (DATE_OR_NOTHING, ["2024-02-28", "null"], ["none", "tomorrow", ""]),
    "a list of types": ({"type": ["string", "integer"], "pattern": "^[a-c]+$"}, ["abc", "12"], ["d", "1.5", "null"]),
    "no type": ({"pattern": "^x"}, ["x1", "12", "[1]", "null", '{"k": 1}'], ["y", ""]),
    "branches": ({"anyOf": [{"type": "string", "maxLength": 1}, {"type": "integer", "minimum": 5}]}, ["x", "7", "3"],
                 ["xy", "12x"]),  # "3" is a text of one character before it is a number
    "one branch": ({"oneOf": [{"type": "string", "pattern": "^k"}, {"type": "boolean"}]}, ["k", "true"], ["x", "1"]),
    "a branch of any text": ({"anyOf": [{"type": "string"}, {"type": "string", "maxLength": 1}]}, ["long", ""], []),
    "a reference": ({"$ref": "#/$defs/Code"}, ["C1"], ["c1", "C"]),
    "a reference in a branch": ({"anyOf": [{"$ref": "#/$defs/Code"}, {"type": "null"}]}, ["C1", "null"], ["c1"]),
    "all of one": ({"allOf": [{"$ref": "#/$defs/Code"}]}, ["C1"], ["c1"]),
    "enum of a type": ({"type": "string", "enum": ["a", "b", 1]}, ["a", "b"], ["1", "c"]),
    "in an array": ({"type": "array", "items": {"type": "string", "pattern": "^a+$"}}, ['["a", "aa"]', "[]"],
                    ['["b"]']),
}  # fmt: skip
DEFS = {"$defs": {"Code": {"type": "string", "pattern": "^C[0-9]$"}}}


@pytest.mark.parametrize("name", CASES)
def test_a_text_fits_its_schema_or_is_not_written(name: str) -> None:
    schema, good, bad = CASES[name]
    offered = (tool(schema, strict=True, **DEFS),)
    for text in good:
        assert accepts(call("f", a=text), tools=offered), text
        (found,), _ = read(call("f", a=text), *offered)
        if name != "branches":
            jsonschema.validate(json.loads(found[1]), offered[0]["function"]["parameters"])
    for text in bad:
        assert not accepts(call("f", a=text), tools=offered), text


SAMPLES = {
    "date-time": ("2024-02-28T10:00:00Z", "2024-02-28 10:00"), "time": ("10:00:00+01:00", "25:00:00Z"),
    "date": ("2024-02-29", "2024-02-30"), "duration": ("P1DT2H", "P"), "email": ("a.b@example.com", "a@"),
    "hostname": ("example.com", "-a.b"), "ipv4": ("10.0.0.1", "10.0.0.256"), "ipv6": ("fe80::1", "1::2::3"),
    "uuid": ("123e4567-e89b-12d3-a456-426614174000", "123e4567"), "uri": ("https://a.b/c?d=e#f", "no uri"),
}  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_enforced_in_a_text_too(format: str) -> None:
    offered = (tool({"type": "string", "format": format}, strict=True),)
    good, bad = SAMPLES[format]
    assert accepts(call("f", a=good), tools=offered)
    assert not accepts(call("f", a=bad), tools=offered)


# (schema of the argument, further keywords of the parameters, the keyword that a call cannot be held to)
LOOSE: list[tuple[Any, dict[str, Any], str]] = [
    ({"type": "string", "pattern": "^(?!x)a"}, {}, "pattern"),
    ({"type": "string", "pattern": r"(a)\1"}, {}, "pattern"),
    ({"type": "string", "pattern": "("}, {}, "pattern"),
    ({"type": "string", "format": "int32"}, {}, "format"),
    ({"type": ["string", "integer"], "minimum": 3}, {}, "minimum"),
    ({"allOf": [{"minLength": 1}, {"maxLength": 3}]}, {}, "allOf"),
    ({"oneOf": [{"type": "string", "maxLength": 1}, {"type": "string", "minLength": 3}]}, {}, "oneOf"),
    ({"type": "string", "anyOf": [{"maxLength": 1}]}, {}, "anyOf"),
    ({"enum": ["a", "bc"], "minLength": 2}, {}, "minLength"),
    ({"type": "string"}, {"minProperties": 1}, "minProperties"),
    ({"type": "string"}, {"required": ["z"]}, "required"),
    ({"type": "string"}, {"anyOf": [{"required": ["a"]}]}, "anyOf"),
]


@pytest.mark.parametrize(("schema", "more", "keyword"), LOOSE, ids=lambda value: str(value)[:40])
def test_what_a_call_cannot_be_held_to_is_refused_by_name_where_it_is_to_be_strict(
    schema: Any, more: dict[str, Any], keyword: str
) -> None:
    with pytest.raises(InvalidRequest, match=f'the keyword "{keyword}" at #'):
        call_grammar([tool(schema, strict=True, **more)], parallel=False)
    assert accepts(call("f", a="a"), tools=(tool(schema, **more),)), "held to the rest"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "place",
    [
        {"uniqueItems": True}, {"type": "array", "items": {"not": {}}}, {"anyOf": [{"if": {}}, {"type": "null"}]},
        {"$ref": "#/$defs/Odd"}, {"type": "object", "properties": {"k": {"contains": {}}}},
    ],
    ids=lambda place: str(place)[:40],
)  # fmt: skip
def test_a_keyword_that_nobody_enforces_is_refused_by_name_wherever_it_stands(place: Any, strict: bool) -> None:
    with pytest.raises(InvalidRequest, match=r'the keyword "(uniqueItems|not|if|propertyNames|contains)" at #/'):
        call_grammar([tool(place, strict=strict, **{"$defs": {"Odd": {"propertyNames": {}}}})], parallel=False)


def test_a_property_that_must_not_be_there_is_not_written() -> None:
    offered = (tool({"type": "string"}, properties={"a": {"type": "string"}, "b": False}),)
    assert accepts(call("f", a="x"), tools=offered)
    assert not accepts(call("f", b="x"), tools=offered)


def test_a_property_called_format_is_a_property() -> None:
    offered = (tool({}, properties={"format": {"type": "string", "enum": ["png"]}}),)
    assert accepts(call("f", format="png"), tools=offered)
    assert not accepts(call("f", format="gif"), tools=offered)


def test_json_beside_text_is_read_as_the_grammar_means_it() -> None:
    assert as_json("null", frozenset({"string", "null"})) == "null"
    assert as_json("2024-02-28", frozenset({"string", "null"})) == '"2024-02-28"'
