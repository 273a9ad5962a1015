"""The schema of a call's argument -> rules of llguidance's Lark for its value: strings as plain text, the rest as JSON.

Plain text knows no quotes, so whatever says something of strings becomes an expression over all of the text; several of
them are intersected. Where text and JSON are both possible, they are alternatives. What is left out of all that is told
(`Loose`), and it is the caller's to decide whether that will do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flashweb.output.calls import resolve
from flashweb.structured.patterns import FORMATS, whole
from flashweb.structured.schema import ANNOTATIONS, TYPES

# As the template's `tojson` writes values, which is what the model has learnt.
_JSON_STYLE = {
    "item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False, "json_allowed_escapes": 'nrbtf\\"',
}  # fmt: skip
_DEFINITIONS = ("$defs", "definitions")
_OF_TEXT = ("minLength", "maxLength", "pattern", "format")
_NO_CONSTRAINT = ANNOTATIONS | {"type", "$ref", *_DEFINITIONS}
_SLASH = re.compile(r"\\.|/", re.DOTALL)
MAX_DEPTH = 8  # of alternatives within alternatives


@dataclass(frozen=True, slots=True)
class Loose:
    """A keyword that the value is not held to."""

    keyword: str
    where: str
    why: str = "cannot be enforced for a text among the arguments of a call"


def value_rules(
    argument: str, where: str, schema: Any, root: Mapping[str, Any], leave_out: Callable[[Loose], None]
) -> Iterator[str]:
    """The rule `{argument}_value` and those it needs. `schema` has been checked (`structured.schema`), and is found in
    `root` at `where`; `leave_out` is told of what is not enforced, and may raise."""
    alternatives = list(dict.fromkeys(_Alternatives(root, leave_out).of(schema, where, 0)))
    if None in alternatives:
        alternatives = [None]  # any text: whatever else there is is among them
    names: list[str] = []
    for index, one in enumerate(alternatives):
        if isinstance(one, tuple):
            names.append(f"{argument.upper()}_TEXT_{index}")
            yield f"{names[-1]}: {' & '.join(f'/{_in_lark(expression)}/' for expression in one)}"
        else:
            names.append("TEXT" if one is None else one)
    yield f"{argument}_value: {' | '.join(names)}"


# A right side as it stands, expressions that a text must match all of, or None: any text.
_Alternative = str | tuple[str, ...] | None


class _Alternatives:
    def __init__(self, root: Mapping[str, Any], leave_out: Callable[[Loose], None]) -> None:
        self._root = root
        self._leave_out = leave_out

    def of(self, schema: Any, where: str, depth: int) -> Iterator[_Alternative]:
        while isinstance(schema, Mapping) and "$ref" in schema and set(schema) - _NO_CONSTRAINT == set():
            schema, where, depth = resolve(schema, self._root), str(schema["$ref"]), depth + 1
            if depth > MAX_DEPTH:
                break
        if not isinstance(schema, Mapping):
            yield None
        elif "enum" in schema or "const" in schema:
            yield from self._choices(schema, where)
        elif "string" not in (types := self._types(schema)):
            yield self._json(schema)
        elif branches := self._branches(schema, where, depth):
            for keyword, index, below in branches:
                yield from self.of(below, f"{where}/{keyword}/{index}", depth + 1)
        else:
            yield from self._flat(schema, where, types)

    def _choices(self, schema: Mapping[str, Any], where: str) -> Iterator[str]:
        choices = schema["enum"] if "enum" in schema else [schema["const"]]
        if "enum" in schema and "const" in schema:
            choices = [one for one in choices if _same(one, schema["const"])]
        types = self._types({"type": schema.get("type", list(TYPES))})
        choices = [one for one in choices if _has_type(one, types)]
        if not choices:
            raise ValueError(f"no value fits the schema at {where}")
        for keyword in schema.keys() - _NO_CONSTRAINT - {"enum", "const"}:
            self._leave_out(Loose(keyword, where, "cannot be enforced beside enum or const in a call"))
        for one in choices:
            yield _literal(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False))

    @staticmethod
    def _types(schema: Mapping[str, Any]) -> frozenset[str]:
        """Of a level itself, all where it does not tell."""
        given = schema.get("type", list(TYPES))
        return frozenset([given] if isinstance(given, str) else given)

    def _branches(self, schema: Mapping[str, Any], where: str, depth: int) -> list[tuple[str, int, Any]]:
        """The branches of the one `anyOf` or `oneOf` that is all there is at a level."""
        if depth > MAX_DEPTH:
            return []
        said = schema.keys() - ANNOTATIONS - set(_DEFINITIONS)
        for keyword in ("anyOf", "oneOf"):
            if said == {keyword}:
                branches = [(keyword, index, below) for index, below in enumerate(schema[keyword])]
                if keyword == "oneOf" and len([one for _, _, one in branches if self._may_be_text(one)]) > 1:
                    self._leave_out(Loose("oneOf", where, "has more than one branch of text"))
                return branches
            if said == {"allOf"} and len(schema["allOf"]) == 1:
                return [("allOf", 0, schema["allOf"][0])]
        return []

    def _may_be_text(self, schema: Any) -> bool:
        schema = resolve(schema, self._root)
        return "string" in self._types(schema) and "const" not in schema and "enum" not in schema

    def _flat(self, schema: Mapping[str, Any], where: str, types: frozenset[str]) -> Iterator[_Alternative]:
        """Text, and beside it JSON of the other types."""
        expressions = self._expressions(schema, where)
        others = types - {"string"}
        more = schema.keys() - _NO_CONSTRAINT - set(_OF_TEXT)
        if others and (more or expressions) and schema.keys() & {"$ref", "allOf", "anyOf", "oneOf"}:
            others = frozenset()
        for keyword in more:
            if others or keyword in ("$ref", "allOf", "anyOf", "oneOf"):
                # A text that reads as JSON of another type is taken for that, and could be any.
                self._leave_out(Loose(keyword, where))
        if "$ref" in schema:
            self._leave_out(Loose("$ref", where))
        if not expressions:
            yield None
            return
        yield tuple(expressions)
        if others:
            kept = {key: value for key, value in schema.items() if key not in _OF_TEXT}
            yield self._json({**kept, "type": sorted(others)})

    def _expressions(self, schema: Mapping[str, Any], where: str) -> list[str]:
        found: list[str] = []
        least, most = schema.get("minLength", 0), schema.get("maxLength", "")
        if least or most != "":
            found.append(f"(?s:.{{{least},{most}}})")
        if "format" in schema:
            found.append(FORMATS[schema["format"]])
        if "pattern" in schema:
            try:
                found.append(whole(schema["pattern"]))
            except ValueError as error:
                self._leave_out(Loose("pattern", where, str(error)))
        return found

    def _json(self, schema: Mapping[str, Any]) -> str:
        alone = json.dumps(schema, ensure_ascii=False)
        definitions = {name: self._root[name] for name in _DEFINITIONS if name in self._root and "$ref" in alone}
        return "%json " + json.dumps({**definitions, **schema, "x-guidance": _JSON_STYLE}, ensure_ascii=False)


def _has_type(value: Any, types: frozenset[str]) -> bool:
    match value:
        case None:
            return "null" in types
        case bool():
            return "boolean" in types
        case int():
            return bool(types & {"integer", "number"})
        case float():
            return "number" in types or ("integer" in types and value.is_integer())
        case str():
            return "string" in types
        case list():
            return "array" in types
    return "object" in types


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _in_lark(expression: str) -> str:
    """Between slashes, on one line."""
    escaped = _SLASH.sub(lambda found: "\\/" if found.group() in ("/", "\\/") else found.group(), expression)
    return escaped.replace("\n", "\\n").replace("\r", "\\r")


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
