"""Tools -> the grammar of calls to them, in llguidance's dialect of Lark.

The same form that `calls.py` reads: control tokens (`<tool_call>`) around plain text, strings as they are,
other values as JSON with the separators of the template. Arguments come in the order of the schema's properties, the
required ones always. A schema's keywords are those of structured answers, and any other is refused by its name. What
is not JSON but text is held to `enum`, `const`, `minLength`, `maxLength`, `pattern` and `format` (`text_values.py`);
where the form of a call leaves something out, a tool with `strict` is refused and others are held to the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flashweb.errors import InvalidRequest
from flashweb.output.text_values import Loose, value_rules
from flashweb.structured.patterns import beyond
from flashweb.structured.schema import FORMATS, check_schema, refusal

MAX_CHARS = 1 << 20
# What a call's form says of the arguments as a whole: which there are, and which are required.
_OF_ARGUMENTS = {"type", "properties", "required", "additionalProperties", "$defs", "definitions"}


def call_grammar(tools: Sequence[Mapping[str, Any]], *, parallel: bool) -> str:
    """The Lark source of one call, or with `parallel` of one or more, a line each. Raises ValueError where it would be
    out of proportion (definitions are repeated for every argument that uses some), InvalidRequest that names the
    keyword which cannot be enforced and its place."""
    rules = [
        # Behind a thought the answer begins on a new line.
        'start: "\\n"? call' + (' ("\\n" call)*' if parallel else ""),
        "call: " + " | ".join(f"call_{index}" for index in range(len(tools))),
    ]
    size = 0
    for index, tool in enumerate(tools):
        for rule in _named(f"call_{index}", tool["function"]):
            size += len(rule)
            if size > MAX_CHARS:
                raise ValueError(f"the grammar of these tools is longer than {MAX_CHARS} characters")
            rules.append(rule)
    rules += ["KEY: /[^\\n]+/", "TEXT: /(?s:.*)/"]
    return "\n".join(rules) + "\n"


def _named(rule: str, function: Mapping[str, Any]) -> Iterator[str]:
    """The rules of its calls, with its name on what is wrong with its parameters."""
    try:
        yield from _call_rules(rule, function)
    except InvalidRequest as error:
        raise InvalidRequest(f"parameters of {function['name'][:80]!r}: {error.message}") from None


def _call_rules(rule: str, function: Mapping[str, Any]) -> Iterator[str]:
    strict = function.get("strict") is True
    given = function.get("parameters") or {}
    schema = check_schema(given if strict else _loosened(given))

    def leave_out(loose: Loose) -> None:
        if strict:
            raise refusal(loose.keyword, loose.where, f"{loose.why}; leave it out, or `strict`")

    for keyword in sorted(schema.keys() - _OF_ARGUMENTS):
        leave_out(Loose(keyword, "#", "cannot be enforced for the arguments of a call as a whole"))
    properties = schema.get("properties") or {}
    required = schema.get("required") or ()
    parts = [f"<tool_call> {_literal(function['name'] + chr(10))}"]
    for index, key in enumerate(properties):
        if properties[key] is False:
            continue  # it must not be there
        argument = f"{rule}_{index}"
        parts.append(argument if key in required else f"{argument}?")
        yield _argument(argument, _literal(key), f"{argument}_value")
        yield from value_rules(argument, f"#/properties/{key}", properties[key], schema, leave_out)
    for key in required:
        if key not in properties or properties[key] is False:
            leave_out(Loose("required", "#", f"names {key[:80]!r}, which is not among the properties"))
    if not properties and _takes_any(given):
        parts.append(f"{rule}_any*")
        yield _argument(f"{rule}_any", "KEY", "TEXT")
    yield f"{rule}: {' '.join(parts)} </tool_call>"


def _takes_any(schema: Mapping[str, Any]) -> bool:
    """Whether arguments without a name in the schema may be written. JSON Schema would allow them beside
    `properties: {}` too, but that is how everybody writes a function without arguments."""
    return bool(schema) and bool(schema.get("additionalProperties", "properties" not in schema))


def _argument(rule: str, key: str, value: str) -> str:
    return f'{rule}: <arg_key> {key} </arg_key> "\\n" <arg_value> {value} </arg_value> "\\n"'


def _loosened(schema: Any) -> Any:
    """Where nothing strict was asked for, formats that nobody here knows, as `int32`, and patterns beyond the compiler
    are notes to the reader."""
    if isinstance(schema, list):
        return [_loosened(below) for below in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: value for key, value in schema.items() if not _is_note(key, value)}
    return {key: value if key in ("enum", "const") else _loosened(value) for key, value in kept.items()}


def _is_note(key: str, value: Any) -> bool:
    if not isinstance(value, str):
        return False  # a property of that name
    return (key == "format" and value not in FORMATS) or (key == "pattern" and beyond(value) != "")


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
