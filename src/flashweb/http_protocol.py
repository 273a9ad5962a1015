"""One HTTP/1.1 connection: uvicorn's protocol over httptools (llhttp, in C), with what llhttp leaves open closed here.

llhttp alone takes heads of any size, and is laxer than RFC 9112 in places where two servers in a row may come to
disagree about where a request ends. So it is fed piecewise: a head whole, once its last byte is there, within a bound
and after a look at it, then exactly the body that the head announced. Knows nothing of the app.
"""

from __future__ import annotations

import re

import httptools
from starlette.types import Message, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD_BYTES = 64 * 1024
MAX_AHEAD_BYTES = 1024 * 1024
MAX_LENGTH_DIGITS = 20

# llhttp also takes several spaces here, RTSP and ICE for HTTP, HTTP/0.9 and 2.0; and after CONNECT it parses no more.
_REQUEST_LINE = re.compile(rb"(?!CONNECT )[A-Z-]+ [!-~]+ HTTP/1\.[01]\r\n")
# Bare line feeds too, so that a head written with them is refused now, by llhttp, instead of being waited for.
_BLANK_LINE = re.compile(rb"\n\r?\n")
_UPGRADE = re.compile(rb"(?i)(?<=\n)upgrade(?=:)")
_SPACE = b" \t"


class BadRequest(Exception):
    """What was sent is not a request that we read; the connection ends."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's connection over httptools, bounded and strict.

    At most 64 KiB of a head are taken, and as much of a body's framing (sizes and extensions of chunks, trailers)
    without a byte of the body. Requests sent ahead of the answer to an earlier one wait unparsed.
    """

    _held: bytes | bytearray = b""  # of a head: what came of it so far; or what was sent ahead
    _body_left = 0
    _is_chunked = False
    _has_head = False
    _framing_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._take(data)

    def _take(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        try:
            while data:
                if self._body_left:
                    data = self._take_body(data)
                elif self._is_chunked:
                    data = self._take_chunks(data)
                else:
                    data = self._take_head(data)
        except (BadRequest, httptools.HttpParserError, httptools.HttpParserUpgrade):
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)

    def _take_head(self, data: bytes | bytearray) -> bytes:
        """Hand on a head if it is complete; what follows it."""
        searched = len(self._held)
        if searched:
            # A bytearray, or a client that sends byte by byte would have everything copied each time.
            held = self._held if isinstance(self._held, bytearray) else bytearray(self._held)
            held += data
            data = self._held = held
        if self.cycle is not None and not self.cycle.response_complete:
            # Sent ahead of the answer before it. Reading goes on whenever the app looks for the client's leaving, so
            # there is a bound; beyond it, and where the answer ends the connection anyway, the rest is dropped.
            self.cycle.keep_alive = self.cycle.keep_alive and len(data) <= MAX_AHEAD_BYTES
            self._held = data if self.cycle.keep_alive else b""
            self.flow.pause_reading()
            return b""
        blank = _BLANK_LINE.search(data, max(0, searched - 2))
        end = blank.end() if blank else len(data)
        # The first byte tells what can become no request: an empty line, TLS.
        if end > MAX_HEAD_BYTES or data[0] <= 0x20:
            raise BadRequest
        if not blank:
            self._held = data
            return b""
        head, rest, self._held = bytes(data[:end]), bytes(data[end:]), b""
        if not _REQUEST_LINE.match(head):
            raise BadRequest
        if b"\nupgrade:" in head.lower():
            # We never switch protocols, which a server may decline to do, but llhttp would: it then takes the body for
            # the other protocol's, and what came of it later for a request. Java's client asks for h2c by default.
            head = _UPGRADE.sub(b"x-declined-upgrade", head)
        self._has_head = False
        self.parser.feed_data(head)
        if not self._has_head:
            raise BadRequest
        return rest

    def _take_body(self, data: bytes) -> bytes:
        part = data[: self._body_left]
        self._body_left -= len(part)
        self.parser.feed_data(part)
        return data[len(part) :]

    def _take_chunks(self, data: bytes) -> bytes:
        """As above, where only llhttp knows where the end is: never beyond an empty line, which every end is."""
        start = 0
        while self._is_chunked and start < len(data):
            # An empty line that began with the data before these ends within the first three bytes: one by one.
            found = start - 3 if start < 3 else data.find(b"\r\n\r\n", start - 3)
            end = len(data) if start >= 3 and found < 0 else found + 4
            self._framing_bytes += end - start
            self.parser.feed_data(data[start:end])
            start = end
        if self._framing_bytes > MAX_HEAD_BYTES:
            raise BadRequest
        return data[start:]

    def send_400_response(self, msg: str) -> None:
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # nothing that the app still sends may follow this
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        super().send_400_response(msg)

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head:
            return  # a trailer: nobody asks for one, and it must not pass for a header
        super().on_header(name, value.rstrip(_SPACE))

    def on_headers_complete(self) -> None:
        self._has_head = True
        hosts, length, coding = 0, None, None
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                length = value
            elif name == b"transfer-encoding":
                if coding is not None:
                    raise BadRequest
                coding = value.lower()
        version = self.parser.get_http_version()
        if hosts > 1 or (hosts == 0 and version == "1.1") or coding not in (None, b"chunked"):
            raise BadRequest
        if length is not None:
            if len(length) > MAX_LENGTH_DIGITS:
                raise BadRequest
            self._body_left = int(length)
        self._is_chunked, self._framing_bytes = coding is not None, 0
        if version == "1.0":
            self.expect_100_continue = False
        super().on_headers_complete()
        self.cycle.transport = _HeadWithBody(self.cycle)  # type: ignore[assignment]
        if version == "1.0":
            self.cycle.send = _unframed(self.cycle)  # type: ignore[method-assign, assignment]
        self._unset_keepalive_if_required()

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_chunked = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._held:
            held, self._held = self._held, b""
            self._take(bytes(held))


class _HeadWithBody:
    """Stands before the connection until an answer's head is out: holds that back for the first piece of the body, so
    that both are one write. A write is a system call, the dearest thing that a short answer does."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._head = b""

    def write(self, data: bytes) -> None:
        if not self._cycle.response_started:
            self._transport.write(data)  # 100 Continue
        elif not self._head and self._cycle.scope["method"] != "HEAD":
            self._head = data
        else:
            self._transport.write(self._head + data)
            self._cycle.transport = self._transport

    def close(self) -> None:
        if self._head:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


def _unframed(cycle: RequestResponseCycle) -> Send:
    """The cycle's `send` for HTTP/1.0, which knows no chunks: a body of unknown length ends with the connection."""
    send_on = cycle.send
    cycle.chunked_encoding = False

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            cycle.expected_content_length = len(message.get("body", b""))  # what uvicorn holds its length against
        await send_on(message)  # type: ignore[arg-type]

    return send
