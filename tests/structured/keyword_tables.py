"""keyword -> (schema, documents that are valid, documents that are not): what each keyword does alone, at its edges, and
beside others. Documents have their properties in the order of the schema's."""

from __future__ import annotations

from typing import Any

S, W, N, B = ({"type": name} for name in ("string", "integer", "number", "boolean"))
Row = tuple[dict[str, Any], list[Any], list[Any]]


def obj(closed: bool = True, required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }
    return {**schema, "additionalProperties": False} if closed else schema


TABLES: dict[str, list[Row]] = {
    "type": [
        ({"type": "string"}, ["", "a", "图片😀", 'q"uo\\te', "tab\there", "a/b"], [1, None, True, [], {}]),
        ({"type": "number"}, [0, -1, 1.5, 0.001, -20.25, 123456789], ["1", None, True]),
        ({"type": "integer"}, [0, -7, 10**12], [1.5, "1", False]),
        ({"type": "boolean"}, [True, False], [0, 1, "true", None]),
        ({"type": "null"}, [None], [0, "", False, "null", []]),
        ({"type": "array"}, [[], [1, "a", None, [[]], {"k": []}]], [{}, "[]", 1]),
        ({"type": "object"}, [{}, {"a": 1, "": {"b": [None]}}], [[], "{}", None]),
        ({"type": ["object", "array", "null"]}, [{}, [], None, {"a": [1]}], [1, "x", True]),
    ],
    "enum": [
        ({"enum": ["a", "ab", "abc"]}, ["a", "ab", "abc"], ["", "abcd", "b"]),
        ({"enum": [1, 10, 1.5, -2]}, [1, 10, 1.5, -2], [0, 100, 2, 1.25]),
        ({"enum": [[], [1, 2], {"a": {"b": None}}, "图", True]}, [[], [1, 2], {"a": {"b": None}}, "图", True], [[1], {}, False]),
        ({"type": "string", "enum": ["a", 1, None]}, ["a"], [1, None, "b"]),
        ({"enum": ["a", "bb", "ccc"], "minLength": 2}, ["bb", "ccc"], ["a", "dd"]),
        ({"enum": ['q"', "back\\slash", "new\nline", "sl/ash"]}, ['q"', "back\\slash", "new\nline", "sl/ash"], ["q", "n"]),
    ],
    "const": [
        ({"const": "x"}, ["x"], ["", "xx", "y"]),
        ({"const": None}, [None], [0, "", False]),
        ({"const": 3.25}, [3.25], [3, 3.5, "3.25"]),
        ({"const": [1, {"a": [True]}]}, [[1, {"a": [True]}]], [[1], [1, {"a": [False]}], {}]),
        (obj(kind={"const": "k"}, v=W), [{"kind": "k", "v": 1}], [{"kind": "l", "v": 1}, {"v": 1}]),
    ],
    "minLength": [
        ({**S, "minLength": 0}, ["", "a"], [1]),
        ({**S, "minLength": 3}, ["abc", "图片的", "😀😀😀", "a\"c"], ["", "ab", "图片", "😀😀"]),
        ({"minLength": 2}, ["ab", 1, None, [], {}], ["a", ""]),
        ({"type": ["string", "null"], "minLength": 1}, ["a", None], ["", 1]),
    ],
    "maxLength": [
        ({**S, "maxLength": 0}, [""], ["a", "图"]),
        ({**S, "maxLength": 3}, ["", "abc", "图片的", "\n\n\n"], ["abcd", "图片的的"]),
        ({**S, "minLength": 2, "maxLength": 2}, ["ab", "😀a"], ["a", "abc", ""]),
        ({"maxLength": 1}, ["a", 12, [1, 2]], ["ab"]),
    ],
    "pattern": [
        ({**S, "pattern": "b"}, ["b", "abc", "bb"], ["", "ac"]),
        ({**S, "pattern": "^a|b$"}, ["a", "ax", "xb", "b"], ["xa", "bx", ""]),
        ({**S, "pattern": "^a$|^bc$"}, ["a", "bc"], ["abc", "b", "c"]),
        ({**S, "pattern": r"^\$\d+\.\d{2}$"}, ["$1.50", "$100.00"], ["1.50", "$1.5", "$x.00"]),
        ({**S, "pattern": r"\$$"}, ["1$", "$"], ["$1", ""]),
        ({**S, "pattern": "^[\u4e00-\u9fa5]{2,4}$"}, ["图片", "中文字的"], ["图", "ab", "中文字的的"]),
        ({**S, "pattern": "^(a|b(c|d)+)?$"}, ["", "a", "bcd"], ["b", "ac", "abc"]),
        ({**S, "pattern": r"^[\w.-]+@[\w-]+\.[a-z]{2,3}$"}, ["a.b@c-d.com", "_@x.io"], ["a@b", "@b.com", "a b@c.de"]),
        ({**S, "pattern": "^.{3}$"}, ["abc", "图片的"], ["ab", "abcd"]),
        ({**S, "pattern": '^"\\\\$'}, ['"\\'], ['"', "\\"]),
        ({**S, "pattern": ""}, ["", "anything"], [1]),
        ({"pattern": "^x"}, ["x", 1, None, []], ["a"]),
    ],
    "format": [
        ({**S, "format": "date"}, ["2024-02-29", "1999-12-31"], ["2024-02-30", "2024-00-10", "24-01-01"]),
        ({**S, "format": "ipv4"}, ["0.0.0.0", "255.255.255.255"], ["256.0.0.1", "1.2.3", "1.2.3.4.5"]),
        ({**S, "format": "ipv6"}, ["::", "::1", "1:2:3:4:5:6:7:8"], ["1:2", "12345::", ":::"]),
        ({**S, "format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000", "x"]),
        ({"type": ["string", "null"], "format": "date"}, ["2024-01-01", None], ["x", 1]),
    ],
    "minimum": [
        ({**W, "minimum": 0}, [0, 1, 99, 10**6], [-1, -100]),
        ({**W, "minimum": -5}, [-5, 0, 7], [-6, -50]),
        ({**N, "minimum": 1.5}, [1.5, 1.75, 2, 100], [1.25, 1, 0, -2]),
        ({**W, "minimum": 2.5}, [3, 4], [2, 0]),
        ({"minimum": 3}, [3, "a", None, []], [2, -3]),
    ],
    "maximum": [
        ({**W, "maximum": 100}, [100, 99, 0, -1000], [101, 1000]),
        ({**N, "maximum": -0.5}, [-0.5, -1, -100.25], [-0.25, 0, 1]),
        ({**W, "minimum": 7, "maximum": 7}, [7], [6, 8, 70]),
        ({**W, "minimum": -12, "maximum": 345}, [-12, -9, 0, 99, 345], [-13, 346, 999]),
    ],
    "exclusiveMinimum": [
        ({**N, "exclusiveMinimum": 0}, [0.5, 1, 0.001], [0, -0.5]),
        ({**W, "exclusiveMinimum": -1}, [0, 5], [-1, -2]),
    ],
    "exclusiveMaximum": [
        ({**N, "exclusiveMaximum": 1}, [0.5, 0.999, -3], [1, 1.5]),
        ({**W, "exclusiveMinimum": 0, "exclusiveMaximum": 3}, [1, 2], [0, 3, 30]),
    ],
    "multipleOf": [
        ({**W, "multipleOf": 7}, [0, 7, 700, -14], [1, 8, 71]),
        ({**W, "multipleOf": 10, "minimum": 10, "maximum": 90}, [10, 90], [0, 100, 15]),
        ({**N, "multipleOf": 0.5}, [0, 1.5, 2, 10.5], [0.25, 1.1]),
    ],
    "prefixItems": [
        ({"type": "array", "prefixItems": [S, W]}, [[], ["a"], ["a", 1], ["a", 1, None]], [[1], ["a", "b"]]),
        ({"type": "array", "prefixItems": [S, W], "items": B, "minItems": 2}, [["a", 1], ["a", 1, True]], [["a"], ["a", 1, 2]]),
        ({"type": "array", "prefixItems": [{"const": "x"}], "items": False, "minItems": 1}, [["x"]], [[], ["y"], ["x", 1]]),
    ],
    "items": [
        ({"type": "array", "items": W}, [[], [1], [1, 2, 3]], [["a"], [1, "b"], [None]]),
        ({"type": "array", "items": {"type": "array", "items": S}}, [[], [[]], [["a"], ["b", "c"]]], [["a"], [[1]]]),
        ({"type": "array", "items": obj(a=W)}, [[{"a": 1}, {"a": 2}]], [[{}], [{"a": "x"}], [1]]),
        ({"type": "array", "items": False}, [[]], [[1], [None]]),
        ({"items": W}, [[1], "a", {}], [["a"]]),
    ],
    "minItems": [
        ({"type": "array", "minItems": 1}, [[1], ["a", None]], [[]]),
        ({"type": "array", "items": W, "minItems": 3}, [[1, 2, 3], [1, 2, 3, 4]], [[], [1, 2]]),
    ],
    "maxItems": [
        ({"type": "array", "maxItems": 0}, [[]], [[1]]),
        ({"type": "array", "items": S, "minItems": 1, "maxItems": 3}, [["a"], ["a", "b", "c"]], [[], ["a", "b", "c", "d"]]),
    ],
    "properties": [
        (obj(a=W, b=S), [{"a": 1, "b": "x"}], [{"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": "x", "c": 0}]),
        (obj(required=[], a=W, b=S), [{}, {"a": 1}, {"b": "x"}, {"a": 1, "b": ""}], [{"c": 1}, {"a": ""}]),
        (obj(outer=obj(inner=obj(leaf=B))), [{"outer": {"inner": {"leaf": True}}}], [{"outer": {"inner": {}}}, {"outer": None}]),
        (obj(**{"名 字": S, 'q"': W, "a/b~c": B}), [{"名 字": "x", 'q"': 1, "a/b~c": True}], [{"名 字": 1, 'q"': 1, "a/b~c": True}]),
        ({"properties": {"a": W}}, [{"a": 1}, {"b": 2}, 5, "x"], [{"a": "x"}]),
    ],
    "required": [
        ({"type": "object", "required": ["z"]}, [{"z": None}, {"z": 1, "a": 2}], [{}, {"a": 1}]),
        (obj(required=["b"], a=W, b=W, c=W), [{"b": 1}, {"a": 1, "b": 2}, {"b": 1, "c": 2}], [{}, {"a": 1, "c": 2}]),
        (obj(required=[], a=W), [{}, {"a": 1}], [{"b": 1}]),
    ],
    "patternProperties": [
        ({"type": "object", "patternProperties": {"^Q[0-9]+$": obj(s=S)}, "additionalProperties": False},
         [{}, {"Q1": {"s": "a"}, "Q22": {"s": ""}}], [{"Q": {"s": "a"}}, {"Q1": {}}, {"x": 1}]),
        ({"type": "object", "properties": {"n": W}, "required": ["n"], "patternProperties": {"^x_": S}, "additionalProperties": B},
         [{"n": 1}, {"n": 1, "x_a": "s", "other": True}], [{"x_a": "s"}, {"n": 1, "x_a": 2}, {"n": 1, "other": 3}]),
        ({"type": "object", "patternProperties": {"^a|b$": W}, "additionalProperties": S},
         [{"ax": 1, "xb": 2, "xx": "s"}], [{"ax": "s"}, {"xb": "s"}, {"xx": 1}]),
    ],
    "additionalProperties": [
        ({"type": "object", "additionalProperties": W}, [{}, {"a": 1, "b": 2}], [{"a": "x"}]),
        ({"type": "object", "additionalProperties": False}, [{}], [{"a": 1}]),
        (obj(False, a=W), [{"a": 1}, {"a": 1, "b": [None]}], [{"b": 1}]),
        ({"type": "object", "properties": {"a": W}, "additionalProperties": {"type": "array", "items": S}},
         [{"a": 1, "b": ["x"]}], [{"a": 1, "b": [1]}, {"a": [], "b": []}]),
    ],
    "minProperties": [
        ({"type": "object", "minProperties": 1}, [{"a": 1}], [{}]),
        ({**obj(a=W, b=W), "minProperties": 2}, [{"a": 1, "b": 2}], [{"a": 1}]),
        ({**obj(required=[], a=W, b=W), "minProperties": 1}, [{"a": 1}, {"b": 1}, {"a": 1, "b": 2}], [{}]),
    ],
    "maxProperties": [
        ({"type": "object", "additionalProperties": W, "maxProperties": 0}, [{}], [{"a": 1}]),
        ({"type": "object", "additionalProperties": W, "maxProperties": 2}, [{}, {"a": 1}, {"a": 1, "b": 2}], [{"a": 1, "b": 2, "c": 3}]),
    ],
    "$defs": [
        ({"$defs": {"a": S, "b": {"type": "array", "items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/b"}, [[], ["x"]], [[1], "x"]),
    ],
    "definitions": [
        ({"definitions": {"P": obj(x=W)}, "type": "array", "items": {"$ref": "#/definitions/P"}}, [[{"x": 1}]], [[{}], [1]]),
    ],
    "$ref": [
        ({"$defs": {"T": obj(v=W, kids={"type": "array", "items": {"$ref": "#/$defs/T"}})}, "$ref": "#/$defs/T"},
         [{"v": 1, "kids": []}, {"v": 1, "kids": [{"v": 2, "kids": []}]}], [{"v": 1}, {"v": 1, "kids": [1]}]),
        ({"type": "object", "properties": {"a": W, "b": {"$ref": "#/properties/a"}}, "required": ["a", "b"], "additionalProperties": False},
         [{"a": 1, "b": 2}], [{"a": 1, "b": "x"}]),
        ({"$defs": {"a/b": S, "c~d": W}, "type": "array", "prefixItems": [{"$ref": "#/$defs/a~1b"}, {"$ref": "#/$defs/c~0d"}], "items": False},
         [["x", 1]], [[1, "x"]]),
        ({"$defs": {"L": {"anyOf": [{"type": "null"}, obj(next={"$ref": "#/$defs/L"})]}}, "$ref": "#/$defs/L"},
         [None, {"next": {"next": None}}], [{"next": 1}, {}]),
    ],
    "allOf": [
        ({"allOf": [S, {"minLength": 1}, {"maxLength": 2}]}, ["a", "ab"], ["", "abc", 1]),
        ({"allOf": [obj(False, a=W), obj(False, b=S)]}, [{"a": 1, "b": "x"}], [{"a": 1}, {"b": "x"}, {"a": "x", "b": "x"}]),
        ({**W, "allOf": [{"minimum": 3}, {"maximum": 5}]}, [3, 5], [2, 6]),
        ({"$defs": {"base": obj(False, id=W)}, "allOf": [{"$ref": "#/$defs/base"}], "properties": {"n": S}, "required": ["n"]},
         [{"n": "x", "id": 1}], [{"id": 1}, {"n": "x"}]),
    ],
    "anyOf": [
        ({"anyOf": [S, {"type": "null"}]}, ["a", None], [1, []]),
        ({"anyOf": [obj(k={"const": "a"}, x=W), obj(k={"const": "b"}, y=S)]},
         [{"k": "a", "x": 1}, {"k": "b", "y": "s"}], [{"k": "a", "y": "s"}, {"k": "c"}]),
        ({"type": "array", "items": {"anyOf": [W, {"enum": ["x"]}]}}, [[1, "x", 2]], [["y"], [1.5]]),
        ({"anyOf": [{"minimum": 5}, {"multipleOf": 2}], "type": "integer"}, [5, 7, 2, 8], [1, 3]),
    ],
    "oneOf": [
        ({"oneOf": [W, S]}, [1, "a"], [None, 1.5]),
        ({"oneOf": [obj(t={"const": 1}, v=S), obj(t={"const": 2}, v=W)]}, [{"t": 1, "v": "x"}, {"t": 2, "v": 3}],
         [{"t": 1, "v": 3}, {"t": 3, "v": 3}]),
        ({"oneOf": [{"const": "a"}, {"const": "b"}]}, ["a", "b"], ["c"]),
    ],
}  # fmt: skip
