"""Schemas nobody would write: any keywords beside any others, with values of the right kind and now and then not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from flashweb.structured.schema import FORMATS, TYPES

PATTERNS = (
    "", "^$", "a|b", "^a|b$", "^a$|^bc$", r"^\d+$", "[^a]*", "^(a|b)*c$", r"^\S+$", r"\w{2,}", ".", "^.*$", r"\p{L}+",
    "(?i)abc", "[\u4e00-\u9fa5]+", "x{0}", r"^\$\d+\.\d{2}$", r"a\$", "(", r"(a)\1", "^(?!a)", r"\bfoo\b", "^[\"\\\\]+$", "[\\n\\t]",
)  # fmt: skip
NAMES = ("a", "b", "名", 'q"', "a/b~", "")
names = st.sampled_from(NAMES)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-1000, 1000), st.sampled_from([0.5, -1.25, 1e300, 12.0]), st.text(max_size=4)
)
values = st.recursive(scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(names, below, max_size=2))
counts = st.one_of(st.integers(0, 5), st.sampled_from([2.0, 1000, -1, "2"]))
numbers = st.one_of(st.integers(-100, 100), st.sampled_from([0.5, -2.25, 1e14, 0, 1e16]))
references = st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/items", "#/anyOf/0", "http://x"])
REFUSED = ("not", "if", "uniqueItems", "contains", "propertyNames", "unevaluatedItems", "dependentRequired")


def _level(below: Any) -> Any:
    by_name = st.dictionaries(names, below, max_size=3)
    listed = st.lists(below, min_size=1, max_size=3)
    keywords: dict[str, Any] = {
        "type": st.one_of(
            st.sampled_from(TYPES), st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True)
        ),
        "enum": st.lists(values, min_size=1, max_size=4),
        "const": values,
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), counts),
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), numbers),
        "multipleOf": st.sampled_from([1, 2, 3, 7, 0.5, 0.25, 0, 1000]),
        "pattern": st.sampled_from(PATTERNS),
        "format": st.sampled_from((*FORMATS, "regex")),
        "prefixItems": listed,
        "items": below,
        "properties": by_name,
        "required": st.lists(names, max_size=3, unique=True),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "^b", "名$", "^x-", "^[a-b]$"]), below, max_size=2),
        "additionalProperties": below,
        "$ref": references,
        **dict.fromkeys(("allOf", "anyOf", "oneOf"), listed),
        "$defs": st.fixed_dictionaries({}, optional={"a": below, "b": below}),
    }
    refused = st.sampled_from(REFUSED).map(lambda name: {name: True})
    chosen = st.lists(st.sampled_from(sorted(keywords)), min_size=1, max_size=5, unique=True)
    level = chosen.flatmap(lambda found: st.fixed_dictionaries({name: keywords[name] for name in found}))
    return st.integers(0, 99).flatmap(lambda number: refused if number == 99 else level)


strange_schemas = st.recursive(st.booleans() | st.just({}), _level, max_leaves=8)
