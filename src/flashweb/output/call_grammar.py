"""Tools -> the grammar of calls to them, in llguidance's dialect of Lark.

The same form that `calls.py` reads: control tokens (`<tool_call>`) around plain text, strings as they are,
other values as JSON with the separators of the template. Arguments come in the order of the schema's properties, the
required ones always. Enforced are names, required arguments and types (of text: enum, const, minLength, maxLength; of
everything else all that llguidance's JSON Schema knows); a text's `pattern` and `format` are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flashweb.output.calls import argument_types, resolve

# As the template's `tojson` writes values, which is what the model has learnt.
_JSON_STYLE = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
MAX_CHARS = 1 << 20
_DEFINITIONS = ("$defs", "definitions")


def call_grammar(tools: Sequence[Mapping[str, Any]], *, parallel: bool) -> str:
    """The Lark source of one call, or with `parallel` of one or more, a line each. Raises ValueError where it would be
    out of proportion: definitions are repeated for every argument that uses some."""
    rules = [
        # Behind a thought the answer begins on a new line.
        'start: "\\n"? call' + (' ("\\n" call)*' if parallel else ""),
        "call: " + " | ".join(f"call_{index}" for index in range(len(tools))),
    ]
    size = 0
    for index, tool in enumerate(tools):
        for rule in _call_rules(f"call_{index}", tool["function"]):
            size += len(rule)
            if size > MAX_CHARS:
                raise ValueError(f"the grammar of these tools is longer than {MAX_CHARS} characters")
            rules.append(rule)
    rules += ["KEY: /[^\\n]+/", "TEXT: /(?s:.*)/"]
    return "\n".join(rules) + "\n"


def _call_rules(rule: str, function: Mapping[str, Any]) -> Iterator[str]:
    schema = function.get("parameters") or {}
    properties = schema.get("properties") or {}
    required = schema.get("required") or ()
    parts = [f"<tool_call> {_literal(function['name'] + chr(10))}"]
    for index, key in enumerate(properties):
        argument = f"{rule}_{index}"
        parts.append(argument if key in required else f"{argument}?")
        yield _argument(argument, _literal(key), f"{argument}_value")
        yield f"{argument}_value: {_value(key, properties[key], schema)}"
    if not properties and _takes_any(schema):
        parts.append(f"{rule}_any*")
        yield _argument(f"{rule}_any", "KEY", "TEXT")
    yield f"{rule}: {' '.join(parts)} </tool_call>"


def _takes_any(schema: Mapping[str, Any]) -> bool:
    """Whether arguments without a name in the schema may be written. JSON Schema would allow them beside
    `properties: {}` too, but that is how everybody writes a function without arguments."""
    return bool(schema) and bool(schema.get("additionalProperties", "properties" not in schema))


def _argument(rule: str, key: str, value: str) -> str:
    return f'{rule}: <arg_key> {key} </arg_key> "\\n" <arg_value> {value} </arg_value> "\\n"'


def _value(key: str, schema: Any, root: Mapping[str, Any]) -> str:
    """The right side of a rule for one argument. What may be any text may be anything."""
    schema = resolve(schema, root)
    choices = schema["enum"] if isinstance(schema.get("enum"), list) else [schema["const"]] if "const" in schema else []
    if choices:
        return " | ".join(_literal(one if isinstance(one, str) else _written(one)) for one in choices)
    types = argument_types(root, key)
    if not types or "string" in types:
        return _text(schema) if types == {"string"} else "TEXT"
    alone = json.dumps(schema, ensure_ascii=False)
    definitions = {name: root[name] for name in _DEFINITIONS if name in root and "$ref" in alone}
    return "%json " + json.dumps({**definitions, **schema, "x-guidance": _JSON_STYLE}, ensure_ascii=False)


def _text(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minLength"), schema.get("maxLength")
    if type(least) is not int and type(most) is not int:
        return "TEXT"
    return f"/(?s:.{{{least if type(least) is int else 0},{most if type(most) is int else ''}}})/"


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
