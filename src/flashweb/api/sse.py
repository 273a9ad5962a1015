"""Server-sent events: framing, keep-alive comments, errors inside a started stream, and the client's leaving.

A stream starts (status and headers go out) with its first event, or with the first keep-alive comment; an error
before that is an ordinary HTTP error, one after it is an `error` event followed by `[DONE]`. Knows nothing of chats.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing, suppress
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from flashweb.api.error_handlers import error_body, error_response

T = TypeVar("T")
# Where the outermost layer leaves the server's own `send`. The layers act on the start of a response; the pieces of a
# stream, one per token, need not go through nine functions each.
DIRECT_SEND = "flashweb.direct_send"
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
encode = msgspec.json.Encoder().encode


class ClientGone(Exception):
    """The other end closed the connection; nobody is left to answer."""


def event(data: Any) -> bytes:
    return b"data: " + encode(data) + b"\n\n"


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
    `on_end` is called once the response is over, however it ends; `last_words` are an error's in a begun stream."""

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        headers: Mapping[str, str],
        keep_alive_seconds: float,
        send_timeout_seconds: float,
        on_end: Callable[[], None] = lambda: None,
        last_words: Callable[[Exception], bytes] = lambda error: event(error_body(error)) + DONE,
    ) -> None:
        super().__init__(None, 200, headers, media_type="text/event-stream")
        self.headers["cache-control"] = "no-cache"
        self.headers["x-accel-buffering"] = "no"
        if "content-length" in self.headers:
            del self.headers["content-length"]
        self._events = events
        self._on_end = on_end
        self._last_words = last_words
        self._keep_alive_seconds = keep_alive_seconds
        self._send_timeout_seconds = send_timeout_seconds
        self._send_piece: Send
        self._started = False
        self._is_sending = False
        self._last_sent = 0.0
        self._clock = asyncio.get_running_loop().time  # kept: asking for the running loop is a system call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._send_piece = scope.get(DIRECT_SEND, send)
            with suppress(ClientGone):
                await until_gone(receive, self._run(scope, receive, send))
        finally:
            try:
                await self._events.aclose()
            finally:
                self._on_end()

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        ticking = asyncio.create_task(self._keep_alive(send, asyncio.current_task()))
        try:
            await self._pump(send)
        except Exception as error:
            if not self._started:
                await error_response(error)(scope, receive, send)
                return
            await self._write(send, self._last_words(error))
        finally:
            await _end(ticking)
        await self._send_piece({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            async for chunk in events:
                await self._write(send, chunk)

    async def _keep_alive(self, send: Send, pump: asyncio.Task[Any] | None) -> None:
        """Fill silences with comments, and end the pump when its client has read nothing for too long (a watch
        beside the pump costs less than a time limit around every piece)."""
        self._last_sent = self._clock()
        while True:
            await asyncio.sleep(min(self._keep_alive_seconds, self._send_timeout_seconds) / 4)
            silence = self._clock() - self._last_sent
            if self._is_sending and silence >= self._send_timeout_seconds:
                assert pump is not None
                pump.cancel()
                return
            if not self._is_sending and silence >= self._keep_alive_seconds:
                await self._write(send, KEEP_ALIVE)

    async def _write(self, send: Send, chunk: bytes) -> None:
        self._last_sent = self._clock()
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._is_sending = True
        await self._send_piece({"type": "http.response.body", "body": chunk, "more_body": True})
        self._is_sending = False
