"""How every model here reads: numbers are strict (true is no number, "1" is no number), NaN and infinity are refused,
fields that nobody here knows are ignored and never passed on.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_NAME_CHARS = 256
MAX_TOKENS = 1 << 20  # far above any context; keeps absurd integers out of the arithmetic


def _whole(value: Any) -> Any:
    """5.0 is an integer in JSON Schema's eyes, and the only way some languages write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)  # after the bounds in an annotation, or the description loses these
TokenCount = Annotated[int, Field(ge=1, le=MAX_TOKENS), WHOLE]
ThinkingBudget = Annotated[int, Field(ge=0, le=MAX_TOKENS), WHOLE]
TokenId = Annotated[int, Field(ge=0, lt=1 << 24), WHOLE]
_MetadataKey = Annotated[str, Field(max_length=64)]
Metadata = Annotated[dict[_MetadataKey, Annotated[str, Field(max_length=512)]], Field(max_length=16)]


class Wire(BaseModel):
    """What comes in."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)
