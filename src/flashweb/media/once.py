"""`Once`: what is kept, or made once for all who ask for it meanwhile. Used from the event loop alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from flashweb.media.page_cache import PageCache

_T = TypeVar("_T")


def _no_bytes(made: object) -> int:
    return len(made) if isinstance(made, bytes) else 0


class Once:
    def __init__(self, cache: PageCache, num_bytes: Callable[[Any], int] = _no_bytes) -> None:
        """`num_bytes`: of what was made, beyond those of a small entry."""
        self._cache = cache
        self._num_bytes = num_bytes
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def __call__(self, key: Hashable, make: Callable[[], Awaitable[_T]]) -> _T:
        """What is kept under the key, or made now; who leaves takes it from nobody."""
        kept = self._cache.find(key)
        if kept is not None:
            found: _T = kept
            return found
        task = self._under_way.get(key)
        if task is None:

            async def make_and_keep() -> _T:
                made = await make()
                self._cache.keep(key, made, self._num_bytes(made))
                return made

            task = self._under_way[key] = asyncio.create_task(make_and_keep())
            task.add_done_callback(lambda done: self._forget(key, done))
        result: _T = await asyncio.shield(task)
        return result

    async def close(self) -> None:
        """End what is being made. Idempotent."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # perhaps nobody waits for it any more
