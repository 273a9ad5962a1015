"""The answers (choices) of one request, side by side, and what the metrics will be told of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from flashweb.observe.work import Work
from flashweb.types import Delta, EngineTimes, FinishReason, SamplingParams, Usage

Piece: TypeAlias = tuple[int, Delta]  # the choice's index, and what is new of it


@dataclass(eq=False, slots=True)
class Watch:
    """What the metrics will be told of one request, or of one choice of it; moments of `time.perf_counter`."""

    began: float
    n: int = 1
    counted: bool = True
    work: Work = field(default_factory=Work)
    first_token: float | None = None
    ended: float = 0.0
    times: EngineTimes | None = None
    finish: FinishReason | None = None
    usage: Usage | None = None  # with `finish`


@dataclass(frozen=True, slots=True)
class _Finished:
    """In the merged queue of several choices: this choice is done, with its error if it had one."""

    error: BaseException | None = None


def nth(params: SamplingParams, index: int) -> SamplingParams:
    """A given seed is advanced by one for each choice, or they would all be alike."""
    return params if params.seed is None or index == 0 else replace(params, seed=params.seed + index)


async def merge(choices: Sequence[AsyncGenerator[Piece, None]]) -> AsyncGenerator[Piece, None]:
    """Several choices side by side; the first error ends them all."""
    queue: asyncio.Queue[Piece | _Finished] = asyncio.Queue(maxsize=4 * len(choices))
    tasks = [asyncio.create_task(_pour(pieces, queue)) for pieces in choices]
    running = len(choices)
    try:
        while running:
            item = await queue.get()
            if not isinstance(item, _Finished):
                yield item
                continue
            running -= 1
            if item.error is not None:
                raise item.error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pour(pieces: AsyncGenerator[Piece, None], queue: asyncio.Queue[Piece | _Finished]) -> None:
    error: Exception | None = None
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                await queue.put(piece)
    except Exception as caught:
        error = caught
    await queue.put(_Finished(error))
