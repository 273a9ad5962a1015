"""What stands for the files that callers have uploaded, wherever those are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

# (id, whose, most bytes) -> the bytes of an uploaded file; raises ObjectNotFound and TooLarge.
BytesOf: TypeAlias = Callable[[str, str, int], Awaitable[bytes]]
