"""`Life`: the engine's start, and a first real picture through every stage after each start of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from flashweb.engine import Engine
from flashweb.errors import FlashwebError, InvalidRequest, TooLarge
from flashweb.types import Chat, ImagePart, Message, SamplingParams, TextPart
from flashweb.warm_up import warm_up_picture

log = logging.getLogger("flashweb.pipeline")


class Life:
    """`answer` sends a chat through the whole house, counted nowhere."""

    def __init__(self, engine: Engine, lazy: bool, answer: Callable[[Chat, SamplingParams], Awaitable[None]]) -> None:
        self.warmed_restarts = -1  # the engine's restart count when it was last warmed
        self.start_error: BaseException | None = None
        self._engine = engine
        self._lazy = lazy
        self._answer = answer
        self._warm_up_seconds = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def start_seconds(self) -> tuple[tuple[str, float], ...]:
        """The stages of the last start and the seconds of each: the engine's own, then the first picture's way."""
        state = self._engine.state
        own = (("first answer", self._warm_up_seconds),) if self.warmed_restarts == state.num_restarts else ()
        return state.start_seconds + own

    def start(self) -> None:
        """Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._live(), name="pipeline-life")

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _live(self) -> None:
        try:
            await self._engine.start()
        except BaseException as error:
            self.start_error = error
            if not isinstance(error, FlashwebError):
                raise
            return
        while True:
            try:
                await self._warm_up_when_new()
            except Exception:
                log.exception("the warm-up failed; trying again")
                await asyncio.sleep(5)
            await asyncio.sleep(0.25)

    async def _warm_up_when_new(self) -> None:
        state = self._engine.state
        if state.phase != "ready" or state.num_restarts == self.warmed_restarts:
            return
        began = time.perf_counter()
        if self._lazy or await self._warm_up():
            self._warm_up_seconds = time.perf_counter() - began
            self.warmed_restarts = state.num_restarts

    async def _warm_up(self) -> bool:
        """False when the engine went away meanwhile; it will be new again."""
        picture, text = ImagePart(data=warm_up_picture()), TextPart("What is in this picture?")
        for parts in ((picture, text), (text,)):
            try:
                await self._answer(Chat((Message("user", parts),)), SamplingParams(max_tokens=2, ignore_eos=True))
                return True
            except (InvalidRequest, TooLarge) as error:
                # The operator's settings leave no room for it: a tiny context, no pictures at all.
                log.warning("this could not be part of the warm-up: %s", error.message)
            except FlashwebError:
                return False
        return True
