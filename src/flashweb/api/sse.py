"""Server-sent events: framing, keep-alive comments, errors inside a started stream, and the client's leaving.

A stream starts (status and headers go out) with its first event, or with the first keep-alive comment; an error
before that is an ordinary HTTP error, one after it is an `error` event followed by `[DONE]` (Anthropic's paths know no
`[DONE]`). Knows nothing of chats.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from flashweb.api.error_handlers import error_body, error_response, error_status
from flashweb.api.error_shapes import MESSAGES_PATHS, anthropic_shape, request_id_of
from flashweb.api.exchange import exchange_of

T = TypeVar("T")
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
encode = msgspec.json.Encoder().encode


class ClientGone(Exception):
    """The other end closed the connection; nobody is left to answer."""


def event(data: Any) -> bytes:
    return b"data: " + encode(data) + b"\n\n"


def named_event(data: dict[str, Any]) -> bytes:
    """An event whose name is the `type` of its data, as Anthropic's clients need it."""
    name: str = data["type"]
    return b"event: " + name.encode() + b"\ndata: " + encode(data) + b"\n\n"


def error_event(scope: Scope, error: Exception) -> bytes:
    """The end of a stream that has begun and cannot go on, in the form that its path's callers know."""
    last_words = exchange_of(scope).last_words
    if last_words is not None:
        return last_words(error)
    body = error_body(error)
    if scope["path"] not in MESSAGES_PATHS:
        return event(body) + DONE
    return named_event(anthropic_shape(request_id_of(scope), error_status(error), body)[1])


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has closed the connection. Call it only after the body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def until_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; when the client leaves first, the work is cancelled and ClientGone raised (also when the
    work was cancelled from elsewhere while it waited for a client that reads nothing)."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(wait_for_disconnect(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done() or working.cancelled():
            raise ClientGone
        return working.result()
    finally:
        await _end(working, leaving)


async def _end(*tasks: asyncio.Future[Any]) -> None:
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    for task in running:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody reports it as lost


class EventStream(Response):
    """A response over an async generator of ready-framed events; closing the generator ends the work behind it.

    The event that ends in `DONE` is the last, and goes out together with the end of the response. `on_end` is called
    once that is over, however it ends; `keep_alive` fills its silences, `last_words` are an error's in a
    begun stream (by default those of the path's callers).
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        headers: Mapping[str, str],
        keep_alive_seconds: float,
        send_timeout_seconds: float,
        on_end: Callable[[], None] = lambda: None,
        keep_alive: bytes = KEEP_ALIVE,
        last_words: Callable[[Exception], bytes] | None = None,
    ) -> None:
        self.status_code, self.background = 200, None
        # Not by the base class, which would add a length and look for each name several times.
        self.raw_headers = [*_HEADERS, *((name.encode(), value.encode()) for name, value in headers.items())]
        self._events = events
        self._on_end = on_end
        self._silence_filler = keep_alive
        self._last_words = last_words
        self._keep_alive_seconds = keep_alive_seconds
        self._send_timeout_seconds = send_timeout_seconds
        self._send_piece: Send
        self._started = False
        self._is_sending = False
        self._is_over = False
        self._last_sent = 0.0
        self._loop = asyncio.get_running_loop()  # kept: asking for the running loop is a system call
        self._pumping: asyncio.Task[None] | None = None
        self._next_look: asyncio.TimerHandle | None = None
        self._comment: asyncio.Task[None] | None = None  # on its way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            exchange = exchange_of(scope)
            self._send_piece, exchange.last_words = exchange.direct_send, self._last_words
            with suppress(ClientGone):
                await until_gone(receive, self._run(scope, receive, send))
        finally:
            try:
                await self._events.aclose()
            finally:
                self._on_end()

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._last_sent, self._pumping = self._loop.time(), asyncio.current_task()
        self._look_later(send)
        try:
            await self._pump(send)
            if not self._is_over:
                await self._write(send, b"", is_last=True)
        except Exception as error:
            if not self._started:
                await error_response(error)(scope, receive, send)
                return
            await self._write(send, error_event(scope, error), is_last=True)
        finally:
            if self._next_look is not None:
                self._next_look.cancel()
            if self._comment is not None:
                await _end(self._comment)

    async def _pump(self, send: Send) -> None:
        async for chunk in self._events:
            is_last = chunk.endswith(DONE)
            if is_last:
                await self._events.aclose()  # the work is over before its caller hears so, and may come again
            await self._write(send, chunk, is_last=is_last)

    def _look_later(self, send: Send) -> None:
        seconds = min(self._keep_alive_seconds, self._send_timeout_seconds) / 4
        self._next_look = self._loop.call_later(seconds, self._look, send)

    def _look(self, send: Send) -> None:
        """Fill silences with comments, and end the pump when its client has read nothing for too long (a watch
        beside the pump costs less than a time limit around every piece)."""
        silence = self._loop.time() - self._last_sent
        if self._is_sending and silence >= self._send_timeout_seconds:
            assert self._pumping is not None
            self._pumping.cancel()
            return
        if not self._is_sending and silence >= self._keep_alive_seconds:
            self._comment = self._loop.create_task(self._write(send, self._silence_filler))
        self._look_later(send)

    async def _write(self, send: Send, chunk: bytes, *, is_last: bool = False) -> None:
        self._last_sent = self._loop.time()
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._is_sending, self._is_over = True, is_last
        await self._send_piece({"type": "http.response.body", "body": chunk, "more_body": not is_last})
        self._is_sending = False
