"""`SharedEngine`: the face, in one of several web processes, of an engine that an `EngineBroker` holds for them all.

A request goes the way it goes in `EngineClient`; only the other end of the line is the broker, which also tells what
state the engine is in. Never imports torch.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from flashweb.engine.broker import (
    MAX_WEB_PROCESSES,
    Ask,
    Asked,
    Decided,
    Expect,
    FromBroker,
    Hit,
    Lost,
    State,
    Told,
    Wake,
    Welcome,
)
from flashweb.engine.client import EngineClient
from flashweb.engine.config import EngineConfig
from flashweb.engine.connection import Connection
from flashweb.engine.protocol import NO_STATS, Failed, Ready
from flashweb.errors import EngineDied

GONE = "the process that holds the engine is gone"
ANSWER_SECONDS = 1.0  # that another web process has for a question


@dataclass(slots=True)
class _Gathering:
    """Answers as they come."""

    complete: asyncio.Event = field(default_factory=asyncio.Event)
    expected: int | None = None
    answers: list[bytes] = field(default_factory=list)

    def look(self) -> None:
        if self.expected is not None and len(self.answers) >= self.expected:
            self.complete.set()


class SharedEngine(EngineClient):
    def __init__(self, config: EngineConfig, path: Path) -> None:
        super().__init__(config)
        self.place = 0
        self._path = path
        self._linked = asyncio.Event()
        self._questions: dict[int, asyncio.Future[tuple[bool, int, int, float]]] = {}
        self._question_numbers = itertools.count(1)
        self._gatherings: dict[int, _Gathering] = {}
        self._answer: Callable[[bytes], bytes] | None = None

    async def start(self) -> None:
        """Connects, and returns when the engine is ready; at once with `lazy_load`. Raises EngineDied."""
        await self.connect()
        if not self.config.lazy_load:
            await self._until_settled()

    async def connect(self) -> None:
        """Connects to the broker; the engine may still be loading. Raises EngineDied. Idempotent."""
        if self._supervisor is None:
            self._phase = "loading"
            self._supervisor = asyncio.create_task(self._supervise(), name="engine-link")
        await self._linked.wait()
        if self._connection is None:
            raise EngineDied(GONE)

    async def stop(self) -> None:
        """Leaves the engine to the others. Idempotent."""
        self._stopping = True
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervisor
        self._phase = "stopped"
        self._fail_streams("the server was stopped while it served this request")
        self._settled.set()

    async def hit(self, caller: str) -> tuple[bool, int, int, float]:
        """Have a request counted where all web processes are counted together. Raises EngineDied."""
        if self._connection is None:
            raise EngineDied(GONE)
        number = next(self._question_numbers)
        answer = self._questions[number] = asyncio.get_running_loop().create_future()
        try:
            self._connection.send(Hit(number, caller))  # type: ignore[arg-type]
            decided: tuple[bool, int, int, float] = await answer
            return decided
        finally:
            del self._questions[number]

    def answer_with(self, answer: Callable[[bytes], bytes]) -> None:
        """What this web process says to a question of one of the others."""
        self._answer = answer

    async def ask(self, question: bytes) -> list[bytes]:
        """The answers of all other web processes that answer in time."""
        if self._connection is None:
            return []
        number = next(self._question_numbers)
        gathering = self._gatherings[number] = _Gathering()
        try:
            self._connection.send(Ask(number, question))  # type: ignore[arg-type]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await gathering.complete.wait()
            return gathering.answers
        finally:
            del self._gatherings[number]

    async def _supervise(self) -> None:
        """The line's life: from connecting until it closes."""
        connection = _Line(self._on_message)
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: connection, str(self._path))
            self._connection = connection
            await connection.closed.wait()
        except OSError:
            pass
        finally:
            connection.close()
            self._connection, self._ready, self._stats = None, None, NO_STATS
            self._phase, self._error, self._gave_up = "dead", GONE, True
            self._fail_streams(GONE)
            for answer in self._questions.values():
                if not answer.done():
                    answer.set_exception(EngineDied(GONE))
            self._linked.set()
            self._settled.set()

    async def _until_connected(self) -> Connection:
        if self.config.lazy_load and self._connection is not None and self._phase in ("off", "dead"):
            self._settled.clear()
            self._connection.send(Wake())  # type: ignore[arg-type]
            await self._until_settled()
        return await super()._until_connected()

    def _on_message(self, message: FromBroker) -> None:
        if isinstance(message, Welcome):
            self.place, self._wire_prefix = message.place, message.prefix
            self._linked.set()
        elif isinstance(message, State):
            self._take_state(message)
        elif isinstance(message, Lost):
            self._ready, self._stats, self._encoded = None, NO_STATS, set()
            self._fail_streams(message.reason)
        elif isinstance(message, Decided):
            answer = self._questions.get(message.number)
            if answer is not None and not answer.done():
                answer.set_result(message.answer)
        elif isinstance(message, Asked):
            if self._answer is not None and self._connection is not None:
                told = Told(message.number, self._answer(message.text), message.asker)
                self._connection.send(told)  # type: ignore[arg-type]
        elif isinstance(message, Told | Expect):
            self._gather(message)
        elif isinstance(message, Ready):  # without the words for the log: the process above has written them
            self._ready, self._was_ready, self._phase, self._error = message, True, "ready", ""
            self._settled.set()
        elif isinstance(message, Failed) and message.code == "engine_died":
            stream = self._streams.get(message.request_id)
            if stream is not None:
                stream.fail(EngineDied(message.message, retry_after_seconds=2.0))
        else:
            super()._on_message(message)

    def _gather(self, message: Told | Expect) -> None:
        gathering = self._gatherings.get(message.number)
        if gathering is None:  # too late
            return
        if isinstance(message, Expect):
            gathering.expected = message.answers
        else:
            gathering.answers.append(message.text)
        gathering.look()

    def _take_state(self, state: State) -> None:
        self._phase, self._stage, self._progress, self._error = state.phase, state.stage, state.progress, state.error
        self._was_ready, self._gave_up, self._num_restarts = state.was_ready, state.gave_up, state.num_restarts
        if state.phase == "ready" or state.gave_up or (state.phase == "dead" and not state.was_ready):
            self._settled.set()


class _Line(Connection):
    """The web process's end of its line to the broker."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._decoder = msgspec.msgpack.Decoder(FromBroker)


@dataclass(frozen=True, slots=True)
class Places:
    """How many requests are inside each web process, in memory that all of them see: a cap on their sum holds
    although each admits for itself, because each counts itself in before it looks at the sum."""

    view: memoryview

    @classmethod
    def of_file(cls, path: Path) -> Places:
        """Of a file that `create` made."""
        with path.open("r+b") as file:
            return cls(memoryview(mmap.mmap(file.fileno(), 0)).cast("I"))

    @staticmethod
    def create(path: Path) -> None:
        path.write_bytes(bytes(4 * MAX_WEB_PROCESSES))
        path.chmod(0o600)

    def clear(self, place: int) -> None:
        self.view[place] = 0

    def teller(self, place: int) -> Callable[[int], int]:
        """For one web process: takes how many are inside it, returns how many are inside the others."""
        view = self.view

        def tell(inside: int) -> int:
            view[place] = inside
            return sum(view) - inside

        return tell
