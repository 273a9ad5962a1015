"""Each keyword that is claimed: what the grammar takes is valid, what is not valid it does not take. The judge is the
`jsonschema` package; the tokens are the bundled model's."""

from __future__ import annotations

import contextlib
import json
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import llguidance
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flashweb.errors import InvalidRequest
from flashweb.structured.grammar import compile_structure, rehearse
from flashweb.structured.schema import ANNOTATIONS, FORMATS, KEYWORDS, check_schema
from flashweb.structured.vocabulary import Vocabulary
from flashweb.types import Structure
from tests.house import processor
from tests.structured.strange_schemas import strange_schemas

# keyword -> schema, values that are valid, values that are not
CASES: dict[str, tuple[dict[str, Any], list[Any], list[Any]]] = {
    "type": ({"type": ["integer", "null"]}, [1, -3, None], ["1", 1.5, True, []]),
    "enum": ({"enum": ["a", 1, None, {"b": [2]}]}, ["a", 1, None, {"b": [2]}], ["b", 2, {}, "a "]),
    "const": ({"const": {"k": "v"}}, [{"k": "v"}], [{}, "v", {"k": "w"}]),
    "minLength": ({"type": "string", "minLength": 2}, ["ab", "图片", "abc"], ["", "a", "图"]),
    "maxLength": ({"type": "string", "maxLength": 2}, ["", "ab", "图片", "😀😀"], ["abc", "图片的"]),
    "pattern": ({"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"}, ["AB-1", "XY-99"], ["ab-1", "AB-", " AB-1", "AB-1 "]),
    "format": ({"type": "string", "format": "date"}, ["2024-02-28"], ["2024-13-01", "today", ""]),
    "minimum": ({"type": "integer", "minimum": 10}, [10, 999], [9, -10, 0]),
    "maximum": ({"type": "number", "maximum": 2.5}, [2.5, -7, 0], [2.6, 3, 100]),
    "exclusiveMinimum": ({"type": "integer", "exclusiveMinimum": 3}, [4, 40], [3, 2]),
    "exclusiveMaximum": ({"type": "integer", "exclusiveMaximum": 3}, [2, -4], [3, 30]),
    "multipleOf": ({"type": "integer", "multipleOf": 5}, [0, 5, 20], [1, 7, 51]),
    "prefixItems": ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
                    [["a", 1], ["a"], []], [[1], ["a", "b"], ["a", 1, 2]]),
    "items": ({"type": "array", "items": {"type": "boolean"}}, [[], [True, False]], [[1], ["a"], {}]),
    "minItems": ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [[1, 2], [1, 2, 3]], [[], [1]]),
    "maxItems": ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, [[], [1, 2]], [[1, 2, 3]]),
    "properties": ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}},
                   [{}, {"a": 1}, {"a": 1, "b": "x", "c": []}], [{"a": "1"}, {"b": 2}, {"a": 1, "b": None}]),
    "required": ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]},
                 [{"b": 1}, {"a": 1, "b": 2}], [{}, {"a": 1}]),
    "patternProperties": ({"type": "object", "patternProperties": {"^n_": {"type": "integer"}},
                           "additionalProperties": False}, [{}, {"n_a": 1}], [{"n_a": "1"}, {"a": 1}]),
    "additionalProperties": ({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "null"}},
                             [{"a": 1}, {"a": 1, "z": None}], [{"z": 1}, {"a": 1, "z": "x"}]),
    "minProperties": ({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1},
                      [{"a": 1}, {"a": 1, "b": 2}], [{}]),
    "maxProperties": ({"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 1},
                      [{}, {"a": 1}], [{"a": 1, "b": 2}]),
    "$defs": ({"$defs": {"n": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/n"}},
              [[], [1, 2]], [["a"], 1]),
    "definitions": ({"definitions": {"n": {"type": "integer"}}, "$ref": "#/definitions/n"}, [1], ["a", None]),
    "$ref": ({"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
              "required": ["next"], "additionalProperties": False},
             [{"next": None}, {"next": {"next": None}}], [{}, {"next": 1}, {"next": {}}]),
    "allOf": ({"allOf": [{"type": "string", "minLength": 2}, {"maxLength": 3}]}, ["ab", "abc"], ["a", "abcd", 1]),
    "anyOf": ({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]}, [1, "a"], ["ab", None, 1.5]),
    "oneOf": ({"oneOf": [{"type": "integer"}, {"type": "boolean"}]}, [1, True], ["a", None]),
}  # fmt: skip
REFUSED = (
    "not", "if", "then", "else", "uniqueItems", "contains", "minContains", "maxContains", "propertyNames",
    "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties", "unevaluatedItems",
    "additionalItems", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "minLenght",
)  # fmt: skip


@cache
def vocabulary() -> Vocabulary:
    return Vocabulary(processor().tokenizer, processor().eos_token_ids)


def matcher(schema: Any) -> llguidance.LLMatcher:
    return compile_structure(Structure("json_schema", json.dumps(schema, ensure_ascii=False)), vocabulary())


def takes(compiled: llguidance.LLMatcher, text: str) -> bool:
    copy, ids = compiled.deep_copy(), processor().tokenizer.encode(text)
    return bool(copy.try_consume_tokens(ids) == len(ids) and copy.is_accepting())


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_claimed_keyword_takes_what_is_valid_and_nothing_else(keyword: str) -> None:
    schema, valid, invalid = CASES[keyword]
    compiled = matcher(schema)
    judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for value in valid:
        assert judge.is_valid(value), "the case itself"
        for options in ({}, {"separators": (",", ":")}, {"indent": 2}, {"indent": 4}):
            assert takes(compiled, json.dumps(value, ensure_ascii=False, **options)), value
    for value in invalid:
        assert not judge.is_valid(value), "the case itself"
        assert not takes(compiled, json.dumps(value, ensure_ascii=False)), value


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_enforced(format: str) -> None:
    good = {
        "date-time": "2024-02-28T10:00:00Z", "time": "10:00:00Z", "date": "2024-02-28", "duration": "P1DT2H",
        "email": "a@example.com", "hostname": "example.com", "ipv4": "10.0.0.1", "ipv6": "::1",
        "uuid": "123e4567-e89b-12d3-a456-426614174000", "uri": "https://example.com/a?b=c",
    }  # fmt: skip
    compiled = matcher({"type": "string", "format": format})
    assert takes(compiled, json.dumps(good[format]))
    assert not takes(compiled, '"this is none of them"') and not takes(compiled, '""')


@pytest.mark.parametrize("keyword", REFUSED)
def test_a_keyword_that_cannot_be_enforced_is_refused_by_name_and_place(keyword: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_schema({"type": "object", "properties": {"a": {keyword: {}}}})
    assert f'the keyword "{keyword}" at #/properties/a' in caught.value.message


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"type": "strin"}, "type"), ({"type": []}, "type"), ({"enum": []}, "enum"), ({"enum": ["\x01"]}, "enum"), ({"enum": ["\x7f"]}, "enum"), ({"enum": [1 << 60]}, "enum"),
        ({"const": "\x00"}, "const"), ({"minLength": -1}, "minLength"), ({"maxLength": 1.5}, "maxLength"),
        ({"maxItems": 10**9}, "maxItems"), ({"minimum": "1"}, "minimum"), ({"multipleOf": 0}, "multipleOf"),
        ({"exclusiveMinimum": True, "minimum": 1}, "exclusiveMinimum"), ({"items": [{}]}, "items"),
        ({"pattern": 1}, "pattern"), ({"type": "string", "pattern": "(?=a)b"}, "pattern"),
        ({"type": "string", "pattern": r"(a)\1"}, "pattern"), ({"format": "regex"}, "format"),
        ({"$ref": "http://example.com/s"}, "$ref"), ({"$ref": "#/$defs/none"}, "$ref"), ({"$ref": "#"}, "$ref"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "$ref"),
        ({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, "$ref"),
        ({"type": "object", "minProperties": 2}, "minProperties"), ({"required": "a"}, "required"),
        ({"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}, "oneOf"), ({"anyOf": []}, "anyOf"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "maximum"), ({"nullable": True}, "nullable"),
        ({"type": "object", "patternProperties": {"^a": {}, "b$": {"type": "null"}}}, "patternProperties"),
        ({"type": "object", "properties": {f"p{i}": {} for i in range(1001)}}, "properties"),
        ({"enum": list(range(10_001))}, "enum"), ({"properties": []}, "properties"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_enforced_is_refused_with_its_keyword(schema: Any, keyword: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        matcher(schema)
    assert f'"{keyword}"' in caught.value.message


def test_annotations_and_extensions_change_nothing() -> None:
    schema = {"type": "integer", **dict.fromkeys(ANNOTATIONS - {"$id"}, "x"), "x-guidance": {"lenient": True}}
    assert check_schema(schema) == {"type": "integer"}
    assert check_schema({"$id": "http://example.com/s", "nullable": False}) == {}


def test_white_space_is_bounded_and_never_at_the_ends() -> None:
    compiled = matcher({"type": "array", "items": {"type": "integer"}})
    assert takes(compiled, "[1, 2]") and takes(compiled, "[\n  1,\n  2\n]")
    for text in (" [1]", "[1] ", "[  1]", "[\n\n1]", "[\n" + 65 * " " + "1]", "[\t1]", "```json"):
        assert not takes(compiled, text), text


def test_no_control_token_and_no_half_surrogate_is_ever_allowed_inside_a_string() -> None:
    compiled = matcher({"type": "string"})
    compiled.consume_tokens(processor().tokenizer.encode('"a'))
    bits = np.unpackbits(np.frombuffer(compiled.compute_bitmask(), np.uint8), bitorder="little")
    assert not any(bits[id] for id in processor().tokenizer.control_names)
    assert not takes(matcher({"type": "string"}), r'"\ud800"')


def sampled(compiled: llguidance.LLMatcher, seed: int, most: int = 400) -> str | None:
    """A random walk over what is allowed, most of it as a careless model would go; None where it came to no end."""
    rng, walker = random.Random(seed), compiled.deep_copy()
    closing = processor().tokenizer.encode('"}],')
    ids: list[int] = []
    for step in range(most):
        bits = np.unpackbits(np.frombuffer(walker.compute_bitmask(), np.uint8), bitorder="little")
        choices = np.flatnonzero(bits).tolist()
        assert choices and not walker.is_error(), walker.get_error()
        near_end = [id for id in choices if id in closing or id in processor().eos_token_ids]
        token = rng.choice(near_end if near_end and rng.random() < 0.2 + step / 100 else choices)
        if token in processor().eos_token_ids:
            break
        ids.append(token)
        walker.consume_token(token)
        if walker.is_stopped():
            break
    else:
        return None
    return processor().tokenizer.decode(ids)


names = st.sampled_from(["a", "b", "名", 'q"', "long name"])
leaves = st.one_of(
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": st.integers(0, 2), "maxLength": st.integers(2, 5)}),
    st.builds(lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span}, st.integers(-50, 50), st.integers(0, 200)),
    st.fixed_dictionaries({"type": st.just("integer"), "multipleOf": st.integers(1, 9), "minimum": st.just(0), "maximum": st.just(999)}),
    st.builds(lambda low: {"type": "number", "minimum": low, "exclusiveMaximum": low + 9.5}, st.integers(-20, 20)),
    st.just({"type": "boolean"}), st.just({"type": ["null", "boolean"]}), st.just({"const": "图"}),
    st.lists(st.one_of(st.integers(-(10**6), 10**6), st.text("ab\n\"\\图", max_size=3), st.none()), min_size=1, max_size=4).map(lambda v: {"enum": v}),
    st.sampled_from(["^a+b?$", "[0-9]{2}", "^(x|yz)$"]).map(lambda p: {"type": "string", "pattern": p, "maxLength": 6}),
    st.sampled_from(["uuid", "ipv4"]).map(lambda f: {"type": "string", "format": f}),
)  # fmt: skip


def objects(below: Any) -> Any:
    return st.builds(
        lambda properties, extra, least: {
            "type": "object", "properties": properties, "required": list(properties)[:least], "additionalProperties": extra,
        },
        st.dictionaries(names, below, max_size=3), st.one_of(st.just(False), below), st.integers(0, 3),
    )  # fmt: skip


schemas = st.recursive(
    leaves,
    lambda below: st.one_of(
        objects(below),
        st.builds(lambda items, low: {"type": "array", "items": items, "minItems": low, "maxItems": low + 2}, below, st.integers(0, 2)),
        st.lists(below, min_size=1, max_size=3).map(lambda found: {"anyOf": found}),
        st.builds(lambda first, rest: {"type": "array", "prefixItems": first, "items": rest, "maxItems": 3}, st.lists(below, min_size=1, max_size=2), below),
    ),
    max_leaves=5,
)  # fmt: skip


def check_walks(schema: Any, seed: int) -> None:
    compiled = matcher(schema)
    judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for index in range(2):
        text = sampled(compiled, seed + index)
        if text is not None:
            judge.validate(json.loads(text))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas, st.integers(0, 1 << 30))
def test_whatever_is_sampled_under_a_generated_schema_is_valid(schema: Any, seed: int) -> None:
    check_walks(schema, seed)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas, st.integers(0, 1 << 30))
def test_whatever_is_sampled_under_many_generated_schemas_is_valid(schema: Any, seed: int) -> None:
    check_walks(schema, seed)


def check_refused_or_enforced(schema: Any, seed: int) -> None:
    try:
        compiled = matcher(schema)
    except InvalidRequest as error:
        assert "keyword" in error.message or "schema" in error.message
        return
    rehearse(compiled)
    text = sampled(compiled, seed)
    if text is not None:
        with contextlib.suppress(re.error):  # the judge does not know \\p
            jsonschema.Draft202012Validator(schema).validate(json.loads(text))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(strange_schemas, st.integers(0, 1 << 30))
def test_any_schema_is_refused_by_name_or_enforced(schema: Any, seed: int) -> None:
    check_refused_or_enforced(schema, seed)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(strange_schemas, st.integers(0, 1 << 30))
def test_any_of_many_schemas_is_refused_by_name_or_enforced(schema: Any, seed: int) -> None:
    check_refused_or_enforced(schema, seed)


def test_the_documents_list_of_keywords_is_the_list() -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    line = text.partition("Enforced keywords of JSON Schema")[2].partition("\n\n")[0]
    assert set(line.replace("`", " ").replace(",", " ").split()) >= set(KEYWORDS)
    formats = text.partition("Formats:")[2].partition("\n\n")[0]
    assert all(f"`{format}`" in formats for format in FORMATS)
