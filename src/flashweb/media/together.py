"""`all_of`: several jobs of one request at once. Knows nothing of what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

_T = TypeVar("_T")


async def all_of(jobs: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Results in order; the first failure cancels the rest and is raised by itself, not in a group."""
    if len(jobs) == 1:
        return [await jobs[0]]
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
