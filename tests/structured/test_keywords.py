"""Every keyword that docs/api.md claims, in many schemas: documents that are valid are taken, others are not; and every
keyword that is not honoured is refused by its name, wherever it stands."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from flashweb.errors import InvalidRequest
from flashweb.structured.schema import KEYWORDS
from tests.structured.keyword_tables import TABLES
from tests.structured.test_schema import REFUSED, matcher, takes

ROWS = [(keyword, *row) for keyword, rows in TABLES.items() for row in rows]


def test_there_is_a_table_for_each_keyword_that_is_claimed() -> None:
    assert set(TABLES) == set(KEYWORDS)


@pytest.mark.parametrize(("keyword", "schema", "valid", "invalid"), ROWS, ids=lambda value: str(value)[:40])
def test_documents_are_taken_as_the_judge_takes_them(
    keyword: str, schema: dict[str, Any], valid: list[Any], invalid: list[Any]
) -> None:
    compiled = matcher(schema)
    judge = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for document in valid:
        assert judge.is_valid(document), "the case itself"
        assert takes(compiled, json.dumps(document, ensure_ascii=False)), document
    for document in invalid:
        assert not judge.is_valid(document), "the case itself"
        assert not takes(compiled, json.dumps(document, ensure_ascii=False)), document


def nested(inner: dict[str, Any]) -> dict[str, tuple[dict[str, Any], str]]:
    """Where a schema can stand -> a schema with it there, and the place."""
    return {
        "at the top": (inner, "#"),
        "in a definition": ({"$defs": {"a": inner}, "type": "array", "items": {"$ref": "#/$defs/a"}}, "#/$defs/a"),
        "in items": ({"type": "array", "items": inner}, "#/items"),
        "in a branch": ({"anyOf": [{"type": "null"}, {"type": "array", "items": inner}]}, "#/anyOf/1/items"),
        "in further properties": ({"type": "object", "additionalProperties": inner}, "#/additionalProperties"),
        "in a tuple": ({"type": "array", "prefixItems": [inner]}, "#/prefixItems/0"),
    }


@pytest.mark.parametrize("place", nested({}))
@pytest.mark.parametrize("keyword", REFUSED)
def test_a_keyword_that_is_not_honoured_is_named_wherever_it_stands(keyword: str, place: str) -> None:
    schema, where = nested({"type": ["object", "array"], keyword: {}})[place]
    with pytest.raises(InvalidRequest) as caught:
        matcher(schema)
    assert f'the keyword "{keyword}" at {where} ' in caught.value.message


NUMBERS = [0.1, 1e-7, 5e-324, 123.456, -0.0, 2**53, -(2**53), 1.5e10, 1e15]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_of_an_enum_is_written_so_that_it_reads_back(number: float) -> None:
    text = matcher({"const": number}).compute_ff_bytes().decode()  # all there is to write
    assert json.loads(text) == number


@pytest.mark.parametrize("number", [1e300, float("inf"), float("nan"), 2**53 + 2])
def test_a_number_that_would_not_read_back_is_refused(number: float) -> None:
    with pytest.raises(InvalidRequest, match='"enum"'):
        matcher({"enum": [number]})
    with pytest.raises(InvalidRequest, match='"maximum"'):
        matcher({"maximum": number})
