"""What an answer must match: `response_format`, vLLM's `structured_outputs` and the older `guided_*` -> `Structure`.

Only which of them is meant is decided here. Whether it can be enforced is the pipeline's to find out, before the first
token; the messages then name the field that is noted in the structure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flashweb.api.schemas.chat import ChatRequest
from flashweb.api.schemas.structures import JsonSchemaFormat
from flashweb.errors import InvalidRequest
from flashweb.types import Structure

_NOT_OFFERED = "structured_outputs.structural_tag", "structured_outputs.whitespace_pattern", "guided_whitespace_pattern"
_FIELDS = frozenset(
    {"response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar"}
) | {path.partition(".")[0] for path in _NOT_OFFERED}  # fmt: skip


def to_structure(request: ChatRequest) -> Structure | None:
    """Raises InvalidRequest where there are two, and for what is not offered."""
    if request.model_fields_set.isdisjoint(_FIELDS):
        return None  # nearly always
    for path in _NOT_OFFERED:
        if _at(request, path) is not None:
            raise InvalidRequest(f"{path} is not offered; leave it out.", param=path, code="unsupported_parameter")
    found = list(_found(request))
    if len(found) > 1:
        names = " and ".join(structure.param for structure in found)
        raise InvalidRequest(
            f"{names} were given; an answer can be held to one of them: leave the others out.", param=found[1].param
        )
    return found[0] if found else None


def _found(request: ChatRequest) -> Iterator[Structure]:
    format, outputs = request.response_format, request.structured_outputs
    if format is not None and format.type == "json_object":
        yield Structure("json_object", param="response_format")
    if format is not None and format.type == "json_schema":
        yield _json_schema(format.json_schema)
    if outputs is not None:
        where = "structured_outputs"
        if outputs.json_object:
            yield Structure("json_object", param=f"{where}.json_object")
        yield from _guided(where + ".", outputs.json_, outputs.regex, outputs.choice, outputs.grammar)
    guided = request.guided_json, request.guided_regex, request.guided_choice, request.guided_grammar
    yield from _guided("guided_", *guided)


def _json_schema(format: JsonSchemaFormat | None) -> Structure:
    if format is None:
        raise InvalidRequest(
            "response_format.json_schema is missing; give an object with name and schema.",
            param="response_format.json_schema",
        )
    if format.schema_ is None:
        return Structure("json_object", param="response_format.json_schema")
    return Structure("json_schema", _compact(format.schema_), "response_format.json_schema.schema")


def _guided(
    where: str, schema: dict[str, Any] | str | bool | None, regex: str | None, choice: list[str] | None,
    grammar: str | None,
) -> Iterator[Structure]:  # fmt: skip
    if schema is not None:
        source = schema if isinstance(schema, str) else _compact(schema)
        yield Structure("json_schema", source, f"{where}json")
    if regex is not None:
        yield Structure("regex", regex, f"{where}regex")
    if choice is not None:
        yield Structure("choice", _compact(choice), f"{where}choice")
    if grammar is not None:
        yield Structure("grammar", grammar, f"{where}grammar")


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _at(request: ChatRequest, path: str) -> Any:
    value: Any = request
    for name in path.split("."):
        value = getattr(value, name, None)
    return value
