"""A grammar must not take too little either: schemas made for a document that they fit, and the document is taken."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.structured.test_schema import matcher, takes

TEXT = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FFFF, exclude_categories=["Cs"], exclude_characters="\x7f"),
    max_size=6,
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.integers(-4000, 4000).map(lambda n: n + 0.25), TEXT
)
DOCUMENTS = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3), max_leaves=8
)  # fmt: skip
OTHERS = st.sampled_from(
    [{"type": "null"}, {"type": "string", "maxLength": 2}, {"const": 77}, {"type": "array", "maxItems": 0}]
)


@st.composite
def schema_for(draw: st.DrawFn, document: Any) -> Any:
    way = draw(st.integers(0, 9))
    if way == 0:
        return {"anyOf": draw(st.permutations([draw(schema_for(document)), draw(OTHERS)]))}
    if way == 1:
        return {"enum": draw(st.permutations([document, *draw(st.lists(SCALARS, max_size=2))]))}
    if way == 2:
        return True
    return draw(_plain(document))


@st.composite
def _plain(draw: st.DrawFn, document: Any) -> Any:
    slack = draw(st.integers(0, 3))
    match document:
        case None:
            return {"type": draw(st.sampled_from(["null", ["string", "null"]]))}
        case bool():
            return {"type": "boolean"}
        case int():
            bounds = {"minimum": document - slack, "exclusiveMaximum": document + slack + 1}
            divisor = {"multipleOf": draw(st.sampled_from([n for n in range(1, 12) if document % n == 0]))}
            return {
                "type": draw(st.sampled_from(["integer", "number"])),
                **draw(st.sampled_from([bounds, divisor, {}])),
            }
        case float():
            return {"type": "number", "exclusiveMinimum": document - slack - 0.5, "maximum": document + slack}
        case str():
            return {"type": "string", "minLength": max(0, len(document) - slack), "maxLength": len(document) + slack}
        case list():
            each = [draw(schema_for(one)) for one in document]
            if each and draw(st.booleans()):
                return {"type": "array", "prefixItems": each, "items": draw(st.booleans())}
            return {"type": "array", "items": {"anyOf": each} if each else False, "minItems": max(0, len(each) - slack)}
    properties = {name: draw(schema_for(value)) for name, value in document.items()}
    required = [name for name in properties if draw(st.booleans())]
    closed = draw(st.booleans())
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": not closed}


def check_taken(document: Any, schema: Any) -> None:
    jsonschema.validate(document, schema)
    assert takes(matcher(schema), json.dumps(document, ensure_ascii=False)), schema


CASES = DOCUMENTS.flatmap(lambda document: st.tuples(st.just(document), schema_for(document)))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(CASES)
def test_a_document_is_taken_under_a_schema_made_for_it(case: tuple[Any, Any]) -> None:
    check_taken(*case)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(CASES)
def test_many_documents_are_taken_under_schemas_made_for_them(case: tuple[Any, Any]) -> None:
    check_taken(*case)
