"""The declared options as data: what they are called in each source, and how a value of one is written."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from flashweb.settings.tree import Settings

ENV_PREFIX = "FLASHWEB_"


@dataclass(frozen=True, slots=True)
class Option:
    section: str
    name: str
    info: FieldInfo

    @property
    def path(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def flag(self) -> str:
        return "MODEL" if self.path == "model.model" else "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def unit(self) -> str:
        extra = self.info.json_schema_extra
        return str(extra.get("unit", "")) if isinstance(extra, dict) else ""

    @property
    def is_bool(self) -> bool:
        return mentions(self.info.annotation, bool)

    @property
    def is_list(self) -> bool:
        return typing.get_origin(self.info.annotation) is tuple

    @property
    def is_secret(self) -> bool:
        return mentions(self.info.annotation, SecretStr)

    @property
    def choices(self) -> tuple[str, ...]:
        annotation = self.info.annotation
        return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()


def options() -> Iterator[Option]:
    """Every option of the tree, section by section, in the order of declaration."""
    for section, section_info in Settings.model_fields.items():
        assert section_info.annotation is not None
        for name, info in section_info.annotation.model_fields.items():
            yield Option(section, name, info)


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing when no known name is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]}?)" if found else ""


def format_value(value: Any) -> str:
    """A value as the TOML file would hold it; secrets are hidden."""
    if isinstance(value, SecretStr):
        return '"**********"'
    if isinstance(value, tuple):
        return "[" + ", ".join(format_value(item) for item in value) + "]"
    if value is None:
        return "(not set)"
    return json.dumps(value, ensure_ascii=False)


def mentions(annotation: Any, wanted: type) -> bool:
    """Whether a declared type is `wanted`, or a union or tuple with it."""
    if annotation is wanted:
        return True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, tuple):
        return wanted in typing.get_args(annotation)
    return False
