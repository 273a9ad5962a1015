"""`CallReader`: the marked text of tool calls -> OpenAI's `tool_calls`, piece by piece.

The family writes a call as control tokens around plain text, strings as they are and other values as JSON:

    <tool_call>name
    <arg_key>key</arg_key>
    <arg_value>value</arg_value>
    </tool_call>

Whether a value is a string or JSON is told by the tool's schema. What is not readable as the JSON that the schema
wants stays a string. A string's value is passed on as it comes; the pieces of a call's `arguments` are one JSON object
once the call is complete, and never before. Knows nothing of requests; calls of tools that nobody offered are
read like others, it is the caller who decides what to run.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from flashweb.output import tags
from flashweb.types import ToolCallPiece

MAX_REFS = 8  # of a schema, one pointing to the next
_ANYTHING: frozenset[str] = frozenset()


def new_call_id() -> str:
    return f"call_{secrets.token_hex(12)}"


class CallReader:
    """Reads the calls of one answer. `tools` are OpenAI's tool objects; `new_id` makes the ids."""

    def __init__(self, tools: Sequence[Mapping[str, Any]], new_id: Callable[[], str] = new_call_id) -> None:
        self._schemas = {tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in tools}
        self._types_of: dict[tuple[str, str], frozenset[str]] = {}
        self._new_id = new_id
        self._where: Literal["outside", "name", "nameless", "between", "key", "value"] = "outside"
        self._text = ""  # read of the name, the key or a value that has to be whole before it can be passed on
        self._name = ""
        self._types = _ANYTHING  # of the value being read
        self._num_arguments = 0
        self._has_key = False  # a key has been passed on whose value has not come
        self._in_string = False  # a string's opening quote has been sent
        self._pieces: list[ToolCallPiece] = []
        self.num_complete = 0
        self.num_begun = 0  # of which at least the name has been passed on

    @property
    def inside(self) -> bool:
        """Whether a call has begun that has not ended."""
        return self._where != "outside"

    def take(self) -> tuple[ToolCallPiece, ...]:
        """What is new since the last time."""
        taken, self._pieces = tuple(self._pieces), []
        return taken

    def begin(self) -> None:
        """`<tool_call>` has come. A call before it that has no end is as finished as it can get."""
        self.end()
        self._where, self._text, self._name, self._num_arguments = "name", "", "", 0

    def read_text(self, text: str) -> None:
        match self._where:
            case "name":
                name, newline, rest = (self._text + text).lstrip().partition("\n")
                self._text = name
                if newline:
                    self._begin_arguments()
                    self.read_text(rest)
            case "value" if self._types == {"string"}:
                self._send_string(text)
            case "key" | "value":
                self._text += text
            case _:
                pass  # line breaks between the parts

    def read_tag(self, name: str) -> None:
        """A control token other than `<tool_call>`. One that has no business in a value is part of its text: models
        copy what was said to them, and some tokenizers turn the spelled-out tag into the token."""
        match self._where, name:
            case "value", tags.END_VALUE:
                self._end_value()
            case _, tags.END_CALL:
                if self._where == "value":
                    self._end_value()
                elif self._where == "name" and self._text.strip():
                    self._begin_arguments()
                self._close()
            case "name", tags.KEY if self._text.strip():
                self._begin_arguments()
                self._where = "key"
            case "name", tags.KEY:
                self._where = "nameless"
            case "between", tags.KEY:
                self._fill_in()
                self._where = "key"
            case "key", (tags.END_KEY | tags.VALUE):
                self._end_key()
                self._where = "value" if name == tags.VALUE else "between"
            case "between", tags.VALUE if self._has_key:
                self._where = "value"
            case (("value" | "key"), _):
                self.read_text(name)
            case _:
                pass

    def end(self) -> None:
        """The model ended its answer: a call that lacks only its closing tag is complete, one that breaks off inside
        of a name, key or value is not."""
        if self._where == "between" and not self._has_key:
            self._close()
        self._where = "outside"

    def _begin_arguments(self) -> None:
        self._name, self._text, self._where = self._text.strip(), "", "between"
        self._has_key = False
        self._pieces.append(ToolCallPiece(self.num_begun, self._new_id(), self._name))
        self.num_begun += 1

    def _end_key(self) -> None:
        key, self._text = self._text.strip(), ""
        if (self._name, key) not in self._types_of:
            self._types_of[self._name, key] = argument_types(self._schemas.get(self._name, {}), key)
        self._types = self._types_of[self._name, key]
        self._send(("{" if self._num_arguments == 0 else ", ") + _json(key) + ": ")
        self._num_arguments += 1
        self._has_key, self._in_string = True, False

    def _end_value(self) -> None:
        if self._types == {"string"}:
            self._send_string("")
            self._send('"')
        else:
            self._send(as_json(self._text, self._types))
        self._has_key, self._text, self._where = False, "", "between"

    def _send_string(self, text: str) -> None:
        opening = "" if self._in_string else '"'
        self._in_string = True
        if opening or text:
            self._send(opening + _json(text)[1:-1])

    def _close(self) -> None:
        if self._where in ("between", "key"):  # a key without its end is dropped
            self._fill_in()
            self._send("}" if self._num_arguments else "{}")
            self.num_complete += 1
        self._where = "outside"

    def _fill_in(self) -> None:
        """A key that got no value has null."""
        if self._has_key:
            self._send("null")
        self._has_key, self._text = False, ""

    def _send(self, arguments: str) -> None:
        self._pieces.append(ToolCallPiece(self.num_begun - 1, arguments=arguments))


def argument_types(schema: Mapping[str, Any], key: str) -> frozenset[str]:
    """JSON Schema's names of the types that an argument may have; none where the schema does not tell."""
    properties = resolve(schema, schema).get("properties")
    found = properties.get(key) if isinstance(properties, Mapping) else None
    return _types_of(found, schema) if found is not None else _ANYTHING


def as_json(text: str, types: frozenset[str]) -> str:
    """A value as the model wrote it -> JSON. Text that is not one of the other types it may have is a string."""
    if types != {"string"}:
        written = text.strip()
        try:
            kind = _type_of(json.loads(written, parse_constant=_refuse))
        except (ValueError, RecursionError):
            kind = "string"
        # A string is written without quotes; so what has some and may be a string has them as part of it.
        fits = kind in types or (kind == "integer" and "number" in types) or "string" not in types
        if kind != "string" and fits:
            return written
    return _json(text)


def _types_of(schema: Any, root: Mapping[str, Any], seen: set[int] | None = None) -> frozenset[str]:
    """`seen`: schemas looked at on the way, by identity: references may lead in circles."""
    schema, seen = resolve(schema, root), set() if seen is None else seen
    seen.add(id(schema))
    if "enum" in schema and isinstance(schema["enum"], list):
        return frozenset(_type_of(value) for value in schema["enum"])
    if "const" in schema:
        return frozenset({_type_of(schema["const"])})
    kind = schema.get("type")
    if isinstance(kind, str):
        return frozenset({kind})
    if isinstance(kind, list):
        return frozenset(one for one in kind if isinstance(one, str))
    for name in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(name)
        if isinstance(branches, list):
            known = [_types_of(one, root, seen) for one in branches if id(resolve(one, root)) not in seen]
            if name == "allOf":
                return next((types for types in known if types), _ANYTHING)
            return frozenset().union(*known) if known and all(known) else _ANYTHING
    return _ANYTHING


def resolve(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema behind `$ref`s into the same document; an empty one where there is none."""
    for _ in range(MAX_REFS):
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(reference, str):
            break
        schema = root
        for step in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
            schema = schema.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(schema, Mapping) else None
    return schema if isinstance(schema, Mapping) else {}


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
