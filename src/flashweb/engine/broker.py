"""`EngineBroker`: one engine for several web processes. Owns and supervises the engine process as `EngineClient` does,
and passes the messages of the web processes, which connect to its socket, on to it and back.

Frames of requests are passed on as they came; the news of a step is sorted by whose request it is about. A web process
that goes away has its requests aborted; the engine and the neighbours notice nothing else of it. Also counts what
can only be counted in one place, for whoever asks (`on_hit`), and carries questions from one web process to the others.
Never imports torch.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias, cast

import msgspec

from flashweb.engine.client import EngineClient
from flashweb.engine.config import EngineConfig
from flashweb.engine.face import EnginePhase
from flashweb.engine.process import listen
from flashweb.engine.protocol import (
    Abort,
    Encoded,
    Failed,
    FrameError,
    FrameReader,
    FromEngine,
    NeedPixels,
    Started,
    Submit,
    Token,
    Tokens,
    encode_frame,
)

logger = logging.getLogger(__name__)
SOCKET_NAME = "engine.sock"
TELL_SECONDS = 0.05  # how soon the web processes hear of a change of the engine's state
MAX_UNREAD_BYTES = 64 << 20  # of news that a web process has not taken; one that reads so little hangs
MAX_WEB_PROCESSES = 1024


class _Message(msgspec.Struct, frozen=True, tag_field="kind", array_like=True):
    pass


class Welcome(_Message, frozen=True, tag="welcome"):
    place: int  # of this web process among those there are now, from 0
    prefix: str  # of its requests' ids; nobody had it before


class State(_Message, frozen=True, tag="state"):
    phase: EnginePhase
    stage: str
    progress: float
    error: str
    was_ready: bool
    gave_up: bool
    num_restarts: int


class Lost(_Message, frozen=True, tag="lost"):
    """The engine is gone, and with it every request that it held."""

    reason: str


class Wake(_Message, frozen=True, tag="wake"):
    """A first request has come: load the model, if that was left for later."""


class Hit(_Message, frozen=True, tag="hit"):
    number: int  # of the question
    caller: str


class Decided(_Message, frozen=True, tag="decided"):
    number: int
    answer: tuple[bool, int, int, float]


class Ask(_Message, frozen=True, tag="ask"):
    """A question to all other web processes."""

    number: int
    text: bytes


class Asked(_Message, frozen=True, tag="asked"):
    """The same, on its way to one of them."""

    number: int
    text: bytes
    asker: str  # prefix of who wants to know


class Told(_Message, frozen=True, tag="told"):
    """An answer, to the broker and from there to the asker."""

    number: int
    text: bytes
    asker: str


class Expect(_Message, frozen=True, tag="expect"):
    """How many answers there will be, if nobody hangs or dies."""

    number: int
    answers: int


ToBroker: TypeAlias = Submit | Abort | Wake | Hit | Ask | Told
FromBroker: TypeAlias = FromEngine | Welcome | State | Lost | Decided | Asked | Told | Expect
OnHit: TypeAlias = Callable[[str], Awaitable[tuple[bool, int, int, float]]]


class EngineBroker(EngineClient):
    def __init__(self, config: EngineConfig, on_hit: OnHit | None = None) -> None:
        super().__init__(config)
        self.on_hit = on_hit
        self._links: dict[str, _Link] = {}
        self._prefixes = (f"{number}." for number in itertools.count())
        self._server: asyncio.Server | None = None
        self._telling: asyncio.Task[None] | None = None
        self._told: State | None = None

    async def listen(self, folder: Path) -> Path:
        """Let web processes of this user connect, in a folder that only they can enter; the socket's path."""
        path = folder / SOCKET_NAME
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Link(self), sock=listen(path))
        self._telling = asyncio.create_task(self._tell_forever())
        return path

    async def stop(self) -> None:
        await super().stop()
        if self._server is not None:
            self._server.close()
        if self._telling is not None:
            self._telling.cancel()
        for link in list(self._links.values()):
            link.close()

    # --- web processes come and go --------------------------------------------------------------------------------

    def welcome(self, link: _Link) -> None:
        link.prefix = next(self._prefixes)
        taken = {other.place for other in self._links.values()}
        link.place = next(place for place in range(MAX_WEB_PROCESSES) if place not in taken)
        self._links[link.prefix] = link
        link.send(Welcome(link.place, link.prefix))
        if self._ready is not None:
            link.send(self._ready)
            link.send(Encoded(tuple(self._encoded), ()))
        link.send(self._state())

    def farewell(self, link: _Link) -> None:
        self._links.pop(link.prefix, None)
        if self._connection is not None:
            for request_id in link.requests:
                self._connection.send(Abort(request_id))
        link.requests.clear()

    # --- from a web process ---------------------------------------------------------------------------------------

    def take(self, link: _Link, frame: bytes, message: ToBroker) -> None:
        connection = self._connection
        if isinstance(message, Submit):
            if connection is None or self._ready is None:
                link.send(Failed(message.request_id, "engine_died", "the engine is not there; try again shortly"))
                return
            link.requests.add(message.request_id)
            connection.write(bytearray(len(frame).to_bytes(4, "little")))
            connection.write(cast(bytearray, frame))
            if not connection.is_writable:
                link.pause_until(connection.drained())
        elif isinstance(message, Abort):
            if message.request_id in link.requests and connection is not None:
                link.requests.discard(message.request_id)
                connection.send(message)
        elif isinstance(message, Wake):
            if self.config.lazy_load and not self._gave_up:
                self._begin()
        elif isinstance(message, Ask):
            others = [other for other in self._links.values() if other is not link]
            for other in others:
                other.send(Asked(message.number, message.text, link.prefix))
            link.send(Expect(message.number, len(others)))
        elif isinstance(message, Told):
            asker = self._links.get(message.asker)
            if asker is not None:
                asker.send(message)
        else:
            link.decide(message, self.on_hit)

    # --- from the engine ------------------------------------------------------------------------------------------

    def _on_message(self, message: FromEngine) -> None:
        super()._on_message(message)
        if isinstance(message, Tokens):
            self._pass_on(message)
        elif isinstance(message, Failed | NeedPixels):
            link = self._links.get(_prefix(message.request_id))
            if link is not None:
                link.requests.discard(message.request_id)
                link.send(message)
        else:
            self._broadcast(message)

    def _pass_on(self, news: Tokens) -> None:
        tokens: dict[str, list[Token]] = {}
        started: dict[str, list[Started]] = {}
        for token in news.tokens:
            tokens.setdefault(_prefix(token.request_id), []).append(token)
        for start in news.started:
            started.setdefault(_prefix(start.request_id), []).append(start)
        for prefix in tokens | started:
            link, theirs = self._links.get(prefix), tokens.get(prefix, [])
            if link is not None:  # else it went away and the news crossed the line
                link.requests.difference_update(token.request_id for token in theirs if token.finish is not None)
                link.send(Tokens(tuple(theirs), tuple(started.get(prefix, ()))))

    def _fail_streams(self, reason: str) -> None:
        super()._fail_streams(reason)
        for link in self._links.values():
            link.requests.clear()
        self._broadcast(Lost(reason))

    def _broadcast(self, message: FromBroker) -> None:
        for link in list(self._links.values()):
            link.send(message)

    def _state(self) -> State:
        now = self.state
        return State(
            now.phase, now.stage, now.progress, now.error, now.was_ready, now.gave_up, now.num_restarts
        )  # fmt: skip

    async def _tell_forever(self) -> None:
        while True:
            state = self._state()
            if state != self._told:
                self._told = state
                self._broadcast(state)
            await asyncio.sleep(TELL_SECONDS)


class _Link(asyncio.Protocol):
    """The broker's end of a web process's line."""

    def __init__(self, broker: EngineBroker) -> None:
        self.prefix = ""
        self.place = 0
        self.requests: set[str] = set()
        self._broker = broker
        self._reader = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(ToBroker)
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._broker.welcome(self)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                self._broker.take(self, frame, self._decoder.decode(frame))
        except (FrameError, msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.error("a web process sent what is no message: %s", error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._broker.farewell(self)

    def send(self, message: FromBroker) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(encode_frame(message))  # type: ignore[arg-type]
        if transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            logger.error("a web process does not read its news; its line is closed")
            transport.abort()

    def decide(self, hit: Hit, on_hit: OnHit | None) -> None:
        async def answer() -> None:
            assert on_hit is not None, "a web process asks although nobody counts"
            self.send(Decided(hit.number, await on_hit(hit.caller)))

        self._run(answer())

    def pause_until(self, done: Awaitable[None]) -> None:
        """Read no more requests until the engine has taken enough of those there are."""

        async def resume() -> None:
            await done
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()
        self._run(resume())

    def _run(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _prefix(request_id: str) -> str:
    return request_id.partition(".")[0] + "."
