"""Which JSON Schemas can be enforced: everything else is refused here, by the name of the keyword.

The judge is draft 2020-12. `check_schema` gives back the schema as llguidance is to see it: annotations left out, a
level's own keywords before those that combine schemas (llguidance reads them in the order they stand), and nothing it
would take to mean something else. Whether the rest is satisfiable and small enough is known after the compiler.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from flashweb.errors import InvalidRequest
from flashweb.structured.patterns import beyond, searched

TYPES = ("string", "number", "integer", "boolean", "null", "object", "array")
FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
MAX_NODES = 5000  # subschemas
MAX_PROPERTIES = 1000  # of one object: the compiler's time grows with the square
MAX_ENUM = 10_000
MAX_INTEGER = 1 << 53  # beyond, clients differ in what they read
MAX_NUMBER_LENGTH = 1_000_000  # for minLength, maxItems, ...

# In the order in which a level is handed on.
KEYWORDS = (
    "type", "enum", "const",
    "minLength", "maxLength", "pattern", "format",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "prefixItems", "items", "minItems", "maxItems",
    "properties", "required", "patternProperties", "additionalProperties", "minProperties", "maxProperties",
    "$defs", "definitions", "$ref", "allOf", "anyOf", "oneOf",
)  # fmt: skip
# They say nothing about what is valid.
ANNOTATIONS = frozenset((
    "title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "$schema",
    "$comment", "$id", "id", "contentEncoding", "contentMediaType", "discriminator", "propertyOrdering",
))  # fmt: skip
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_SCHEMAS_BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
_LISTS_OF_SCHEMAS = ("prefixItems", "allOf", "anyOf", "oneOf")
# JSON writes these only as \uXXXX, which the grammar leaves out: half of a surrogate pair is no text.
_UNWRITABLE = re.compile("[\x00-\x07\x0b\x0e-\x1f\x7f\ud800-\udfff]")


def check_schema(schema: Any) -> dict[str, Any]:
    """The schema to compile. Raises InvalidRequest that names the keyword and its place."""
    checked = _Check(schema).schema(schema, "#")
    return checked if isinstance(checked, dict) else _any_or_nothing(checked)


def refusal(keyword: str, where: str, why: str) -> InvalidRequest:
    return InvalidRequest(f'the keyword "{keyword}" at {where} {why}')


def _any_or_nothing(allowed: bool) -> dict[str, Any]:
    if not allowed:
        raise InvalidRequest("the schema is false, which no answer satisfies; give an object")
    return {}


class _Check:
    """One schema document, walked once."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._num_nodes = 0

    def schema(self, schema: Any, where: str) -> dict[str, Any] | bool:
        self._num_nodes += 1
        if self._num_nodes > MAX_NODES:
            raise InvalidRequest(f"the schema has more than {MAX_NODES} subschemas; that is the limit")
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise InvalidRequest(f"the schema at {where} must be an object, got {_kind(schema)}")
        for keyword in schema:
            self._known(keyword, schema[keyword], where)
        present = [keyword for keyword in KEYWORDS if keyword in schema]
        checked = {keyword: self._value(keyword, schema[keyword], where) for keyword in present}
        _properties_count(checked, where)
        return checked

    def _known(self, keyword: str, value: Any, where: str) -> None:
        known = keyword in KEYWORDS or keyword in ANNOTATIONS or keyword.startswith("x-")
        if keyword == "$id" and where != "#":
            raise refusal("$id", where, "starts a document of its own, which is not offered; leave it out")
        if not known and not (keyword == "nullable" and value is False):
            raise refusal(keyword[:80], where, "cannot be enforced; leave it out, or say the same with others")

    def _value(self, keyword: str, value: Any, where: str) -> Any:
        if keyword in _SCHEMAS_BY_NAME:
            return self._by_name(keyword, value, where)
        if keyword in _LISTS_OF_SCHEMAS:
            return self._list(keyword, value, where)
        if keyword in ("items", "additionalProperties"):
            if isinstance(value, list):
                raise refusal(keyword, where, "is a list, as in older drafts; use prefixItems")
            return self.schema(value, f"{where}/{keyword}")
        if keyword in _COUNTS:
            return _count(keyword, value, where)
        return _CHECKS[keyword](self, value, where) if keyword in _CHECKS else _number(keyword, value, where)

    def _by_name(self, keyword: str, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise refusal(keyword, where, f"must be an object, got {_kind(value)}")
        if len(value) > MAX_PROPERTIES:
            raise refusal(keyword, where, f"has {len(value)} entries; the limit is {MAX_PROPERTIES}")
        if keyword == "properties":
            for name in value:
                _writable(name, "properties", where)
        checked = {name: self.schema(below, f"{where}/{keyword}/{name}") for name, below in value.items()}
        if keyword != "patternProperties":
            return checked
        for name in checked:
            if reason := beyond(name):
                raise refusal(keyword, where, reason)
        return {searched(name): below for name, below in checked.items()}

    def _list(self, keyword: str, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or not value:
            raise refusal(keyword, where, f"must be a list with at least one schema, got {_kind(value)}")
        return [self.schema(below, f"{where}/{keyword}/{index}") for index, below in enumerate(value)]

    def ref(self, value: Any, where: str) -> str:
        seen: list[Any] = []
        while True:  # along references that lead to nothing but references
            if not isinstance(value, str) or not (value == "#" or value.startswith("#/")):
                raise refusal("$ref", where, f"is {_shown(value)}; only references into the schema itself are followed")
            if value in seen:
                raise refusal("$ref", where, f"leads from {_shown(value)} back to itself")
            seen.append(value)
            target = _resolve(self._root, value, where)
            if not (isinstance(target, dict) and set(target) - ANNOTATIONS <= {"$ref", "$defs", "definitions"}):
                break
            if "$ref" not in target:
                break
            value = target["$ref"]
        return str(seen[0])


def _resolve(root: Any, pointer: str, where: str) -> Any:
    target = root
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and name.isdecimal() and int(name) < len(target):
            target = target[int(name)]
        elif isinstance(target, Mapping) and name in target:
            target = target[name]
        else:
            raise refusal("$ref", where, f"is {_shown(pointer)}, and there is nothing at that place")
    return target


def _type(check: _Check, value: Any, where: str) -> Any:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if name not in TYPES:
            raise refusal("type", where, f"names {_shown(name)}; it can be {', '.join(TYPES)}")
    if not names:
        raise refusal("type", where, "is an empty list")
    return value


def _enum(check: _Check, value: Any, where: str) -> Any:
    if not isinstance(value, list) or not value:
        raise refusal("enum", where, f"must be a list with at least one value, got {_kind(value)}")
    if len(value) > MAX_ENUM:
        raise refusal("enum", where, f"has {len(value)} values; the limit is {MAX_ENUM}")
    _writable(value, "enum", where)
    return value


def _const(check: _Check, value: Any, where: str) -> Any:
    _writable(value, "const", where)
    return value


def _required(check: _Check, value: Any, where: str) -> Any:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise refusal("required", where, f"must be a list of names, got {_kind(value)}")
    if len(value) > MAX_PROPERTIES:
        raise refusal("required", where, f"has {len(value)} names; the limit is {MAX_PROPERTIES}")
    _writable(value, "required", where)
    return list(dict.fromkeys(value))


def _pattern(check: _Check, value: Any, where: str) -> Any:
    if not isinstance(value, str):
        raise refusal("pattern", where, f"must be a regular expression, got {_kind(value)}")
    if reason := beyond(value):
        raise refusal("pattern", where, reason)
    return searched(value)


def _format(check: _Check, value: Any, where: str) -> Any:
    if value not in FORMATS:
        raise refusal("format", where, f"is {_shown(value)}; enforced are {', '.join(FORMATS)}")
    return value


_CHECKS: dict[str, Callable[[_Check, Any, str], Any]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "pattern": _pattern,
    "format": _format,
    "$ref": _Check.ref,
}


def _count(keyword: str, value: Any, where: str) -> int:
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    if not is_whole or not 0 <= value <= MAX_NUMBER_LENGTH:
        raise refusal(keyword, where, f"is {_shown(value)}; it must be a whole number from 0 to {MAX_NUMBER_LENGTH}")
    return int(value)


def _number(keyword: str, value: Any, where: str) -> Any:
    assert keyword in _NUMBERS, keyword
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal(keyword, where, f"is {_shown(value)}; it must be a number")
    if keyword == "multipleOf" and value <= 0:
        raise refusal(keyword, where, f"is {value}; it must be above 0")
    if not abs(value) <= 1e15:
        raise refusal(keyword, where, f"is {_shown(value)}; bounds up to 1e15 are enforced")
    return value


def _properties_count(checked: dict[str, Any], where: str) -> None:
    """A grammar cannot tell whether further keys are different from each other, so it can only count those that are
    fixed, and one."""
    least = checked.get("minProperties", 0)
    if least and least <= len(checked.get("required", ())):
        del checked["minProperties"]
    elif least > 1:
        raise refusal("minProperties", where, f"is {least}; beyond 1 it is enforced only by `required` properties")


def _writable(value: Any, keyword: str, where: str) -> None:
    if isinstance(value, int | float) and not abs(value) <= MAX_INTEGER:  # NaN is not either
        raise refusal(keyword, where, f"holds {_shown(value)}; numbers up to 2^53 are enforced")
    if isinstance(value, str):
        if _UNWRITABLE.search(value):
            raise refusal(keyword, where, "holds a control character, which an answer cannot write")
    elif isinstance(value, list | dict):
        for below in value if isinstance(value, list) else (*value, *value.values()):
            _writable(below, keyword, where)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    return f"a list of {len(value)}" if isinstance(value, list) else _shown(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
