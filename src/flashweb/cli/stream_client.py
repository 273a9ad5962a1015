"""One kept-open connection that streams chat completions, as cheap as Python allows: the load generator's.

A general HTTP client takes 30 µs for every event of a stream, this one 10 (docs/experiments.md). It knows only what
such an answer needs (HTTP/1.1, chunked or counted or until the end, keep-alive, TLS by URL) and of each event only what
is timed: does it bring something, how many tokens were counted, is it an error. Knows nothing of loads.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from array import array
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from flashweb import __version__
from flashweb.cli.client import ServerError, ServerUnreachable

MAX_HEAD = 1 << 16
MAX_LINE = 1 << 24


class _Choice(msgspec.Struct):
    delta: dict[str, Any] | None = None


class _Chunk(msgspec.Struct):
    """What is read of an event; msgspec skips the rest without making objects of it."""

    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


@dataclass(slots=True)
class Streamed:
    """One answer as the client saw it; times of `time.perf_counter`, in seconds."""

    started: float  # before connecting (when need be) and sending
    ended: float = 0.0  # the whole response had been read
    stamps: array[float] = field(default_factory=lambda: array("d"))  # of every event that brought something
    usage: dict[str, Any] = field(default_factory=dict)


class StreamClient:
    """`streamed = await client.post(body)`: one request after the other; `close()` in the end."""

    def __init__(self, url: str, key: str | None = None, *, timeout_seconds: float = 600.0) -> None:
        """`url` without `/v1`, as `client.base_url` makes it."""
        split = urlsplit(url)
        assert split.hostname, f"{url} is checked where it is read"
        self.url = url
        self._is_tls = split.scheme == "https"
        self._host, self._port = split.hostname, split.port or (443 if self._is_tls else 80)
        key_line = f"authorization: Bearer {key}\r\n" if key else ""
        self._head = (
            f"POST {split.path}/v1/chat/completions HTTP/1.1\r\nhost: {split.netloc.rpartition('@')[2]}\r\n"
            f"user-agent: flashweb/{__version__}\r\n{key_line}accept: text/event-stream\r\n"
            "content-type: application/json\r\ncontent-length: "
        ).encode()
        self._timeout_seconds = timeout_seconds
        self._connection: _Connection | None = None

    async def post(self, body: bytes) -> Streamed:
        """Raises ServerError when the server says no, ServerUnreachable when nobody answers or the line breaks."""
        streamed = Streamed(time.perf_counter())
        request = b"".join((self._head, str(len(body)).encode(), b"\r\n\r\n", body))
        try:
            async with asyncio.timeout(self._timeout_seconds):
                reused = self._connection
                if reused is not None and reused.is_free:
                    try:
                        return await reused.ask(request, streamed)
                    except _NotEvenBegun:
                        pass  # closed as idle while the request was on its way
                self._connection = await self._connect()
                return await self._connection.ask(request, streamed)
        except _NotEvenBegun as error:
            raise self._unreachable("the connection was closed without an answer") from error
        except TimeoutError as error:
            raise self._unreachable(f"not done after {self._timeout_seconds:g} s") from error
        except OSError as error:
            raise self._unreachable(str(error) or type(error).__name__) from error
        finally:
            if self._connection is not None and not self._connection.is_free:
                self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.hang_up()
            self._connection = None

    async def _connect(self) -> _Connection:
        context = ssl.create_default_context() if self._is_tls else None
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=context)
        return connection

    def _unreachable(self, why: str) -> ServerUnreachable:
        return ServerUnreachable(f"no answer from {self.url} ({why})")


class _NotEvenBegun(Exception):
    """The line was closed before a byte of the answer came."""


class _Connection(asyncio.Protocol):
    """Reads one response at a time: head, then a body in one of three framings, then lines of events."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Streamed] | None = None
        self._reset()

    def _reset(self) -> None:
        self._rest = b""  # bytes that are not enough to go on with
        self._line = b""  # the beginning of a line
        self._status = 0  # 0: the head is not complete
        self._is_chunked = False
        self._left = 0  # bytes of the piece or of the counted body that are missing, -1: until the line is closed
        self._in_trailer = False
        self._keep = True
        self._refusal = b""  # body of an answer that is no stream

    # --- what the client does ---------------------------------------------------------------------------------------

    @property
    def is_free(self) -> bool:
        return self._transport is not None and self._answer is None and self._keep

    async def ask(self, request: bytes, streamed: Streamed) -> Streamed:
        transport = self._transport
        if transport is None or transport.is_closing():
            raise _NotEvenBegun
        self._reset()
        self._streamed = streamed
        self._answer = asyncio.get_running_loop().create_future()
        transport.write(request)
        try:
            return await self._answer
        finally:
            if not self._answer.done() or self._answer.cancelled():
                self._keep = False  # somebody gave up: what still comes would be taken for the next answer
            self._answer = None

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- what the loop calls ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self._keep = False  # nobody asked
            return
        try:
            self._received(data, time.perf_counter())
        except (ServerError, ServerUnreachable) as error:
            self._fail(error)
        except (ValueError, IndexError, msgspec.DecodeError) as error:
            self._fail(ServerError(f"what came is no stream of chat completion chunks: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is None or self._answer.done():
            return
        if exc is None and self._status and self._left == -1:
            self._end()
        elif self._status or self._rest:
            self._fail(ServerUnreachable(f"the line broke in the middle of an answer ({exc or 'closed'})"))
        else:
            self._fail(_NotEvenBegun())

    # --- HTTP -------------------------------------------------------------------------------------------------------

    def _received(self, data: bytes, now: float) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        if not self._status:
            head, separator, data = data.partition(b"\r\n\r\n")
            if not separator:
                if len(head) > MAX_HEAD:
                    raise ServerError(f"the answer's head is longer than {MAX_HEAD} bytes")
                self._rest = head
                return
            self._read_head(head)
            if not self._status:  # an interim answer such as 100 Continue
                self._received(data, now)
                return
        if self._is_chunked:
            self._read_pieces(data, now)
        elif self._left == -1:
            self._read_events(data, now)
        else:
            self._left -= len(data)
            self._read_events(data, now)
            if self._left <= 0:
                self._end()

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        if not first.startswith(b"HTTP/1."):
            raise ServerError(f"the answer begins with {first[:40]!r}, not as HTTP/1.1 does")
        fields = {name.strip().lower(): value.strip().lower() for name, _, value in (x.partition(b":") for x in lines)}
        status = int(first.split(None, 2)[1])
        self._status = status if status >= 200 else 0
        self._is_chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        self._keep = fields.get(b"connection", b"") != b"close" and first.startswith(b"HTTP/1.1")
        self._left = 0 if self._is_chunked else int(fields.get(b"content-length", b"-1"))
        if self._left == -1:
            self._keep = False

    def _read_pieces(self, data: bytes, now: float) -> None:
        """Chunked framing (RFC 9112, section 7.1); `_left` counts a piece with the line end behind it."""
        at = 0
        while True:
            if not self._left:
                end = data.find(b"\r\n", at)
                if end < 0:
                    break
                if self._in_trailer:
                    if end == at:
                        self._end()
                        return
                    at = end + 2
                    continue
                size = int(data[at:end].partition(b";")[0], 16)
                at = end + 2
                if not size:
                    self._in_trailer = True
                    continue
                self._left = size + 2
            if len(data) - at < self._left:
                break
            self._read_events(data[at : at + self._left - 2], now)
            at += self._left
            self._left = 0
        self._rest = data[at:]

    def _end(self) -> None:
        assert self._answer is not None
        self._streamed.ended = time.perf_counter()
        if self._status != 200:
            self._fail(ServerError(_refusal_words(self._status, self._refusal), self._status))
        else:
            self._answer.set_result(self._streamed)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, ServerError) or error.status is None:
            self._keep = False  # the rest of the answer is still on its way
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # --- events -----------------------------------------------------------------------------------------------------

    def _read_events(self, data: bytes, now: float) -> None:
        if self._status != 200:
            self._refusal += data
            return
        lines = data.split(b"\n")
        if self._line:
            lines[0] = self._line + lines[0]
        self._line = lines.pop()
        if len(self._line) > MAX_LINE:
            raise ServerError(f"a line of the stream is longer than {MAX_LINE} bytes")
        for line in lines:
            if line.startswith(b"data:") and not line.startswith((b"data: [DONE]", b"data:[DONE]")):
                self._read_event(line[5:], now)

    def _read_event(self, event: bytes, now: float) -> None:
        chunk = _decode_chunk(event)
        if chunk.error:
            raise ServerError(_words(chunk.error))
        if chunk.usage:
            self._streamed.usage = chunk.usage
        for choice in chunk.choices or ():
            delta = choice.delta
            if delta and any(value for name, value in delta.items() if name != "role"):
                self._streamed.stamps.append(now)


def _refusal_words(status: int, body: bytes) -> str:
    try:
        document = msgspec.json.decode(body)
        words = _words(document.get("error", document.get("detail", document)))
    except (msgspec.DecodeError, AttributeError):
        words = body[:200].decode(errors="replace")
    return f"the server answered with status {status}: {words}"


def _words(error: Any) -> str:
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)
