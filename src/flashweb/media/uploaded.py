"""What stands for the files that callers have uploaded, wherever those are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from flashweb.errors import ObjectNotFound

# (id, whose, most bytes) -> the bytes of an uploaded file; raises ObjectNotFound and TooLarge.
BytesOf: TypeAlias = Callable[[str, str, int], Awaitable[bytes]]


async def no_files(file_id: str, owner: str, most: int) -> bytes:
    """Where nothing can be uploaded."""
    words = f"There is no file {file_id[:80]!r}; upload it first, or send its bytes."
    raise ObjectNotFound(words, param="file_id", code="file_not_found")
