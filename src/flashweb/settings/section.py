"""How an option is declared: its default, its help and its unit, in a section that is a frozen pydantic model."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)
_SIZE_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(value: Any) -> Any:
    """`10MiB`, `10MB`, `10m` -> 10 * 1024**2 (every unit is a power of 1024, as nginx and Docker read them)."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is no size; write a number with an optional unit, such as 4k, 10MiB or 2GiB")
    return int(float(match[1]) * 1024 ** _SIZE_POWERS[match[2].lower()])


Size = Annotated[int, BeforeValidator(parse_size)]


def option(default: Any, help: str, *, unit: str = "", **constraints: Any) -> Any:
    """One declared option; `unit` is what a bare number means."""
    return Field(default, description=help, json_schema_extra={"unit": unit}, **constraints)


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
