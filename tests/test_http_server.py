"""The HTTP server on a socket, byte by byte: what it puts on the wire, what it refuses, and how much it takes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from flashweb.http_protocol import BoundedHttp
from flashweb.http_server import server_of
from tests.house import until

PIECES = [b"data: one\n\n", b"", "data: 两\n\n".encode() * 40, b"data: [DONE]\n\n"]
HEADERS = {"/length": [(b"content-length", str(sum(map(len, PIECES))).encode())]}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"].partition(".")[2]
            await send({"type": f"lifespan.{kind}.complete"})
            if kind == "shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    status = 400 if scope["path"] == "/error" else 200
    await send({"type": "http.response.start", "status": status, "headers": HEADERS.get(scope["path"], [])})
    for piece in PIECES:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[int]:
    server = server_of(app)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield int(listener.getsockname()[1])
        server.should_exit = True
        await task


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(app) as port:
        yield port


async def exchange(port: int, head: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}".encode())
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def chunked(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"


async def test_pieces_of_a_stream_are_chunks(port: int) -> None:
    for path in ("/", "/error"):
        head, _, body = (await exchange(port, f"POST {path} HTTP/1.1")).partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head.lower()
        assert body == chunked(PIECES)


async def test_an_old_client_gets_the_bare_body_and_the_end_of_the_connection(port: int) -> None:
    head, _, body = (await exchange(port, "POST / HTTP/1.0")).partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower() and b"chunked" not in head.lower()
    assert body == b"".join(PIECES)


async def test_a_body_of_declared_length_is_not_cut_into_chunks(port: int) -> None:
    head, _, body = (await exchange(port, "POST /length HTTP/1.1")).partition(b"\r\n\r\n")
    assert b"content-length" in head.lower() and b"chunked" not in head.lower()
    assert body == b"".join(PIECES)


async def test_head_gets_no_body(port: int) -> None:
    _, _, body = (await exchange(port, "HEAD / HTTP/1.1")).partition(b"\r\n\r\n")
    assert body == b""


@asynccontextmanager
async def answering_in_two_steps(*, fails: bool) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.Event]]:
    """A client whose answer's head has been made, and an event that lets the body come, or the app fail."""
    has_head, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        has_head.set()
        await goes_on.wait()
        if fails:
            raise RuntimeError("between head and body")
        await send({"type": "http.response.body", "body": b"all", "more_body": False})

    async with serving(slow) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await has_head.wait()
        yield reader, goes_on
        writer.close()


async def test_a_head_waits_for_the_first_piece_of_its_body() -> None:
    async with answering_in_two_steps(fails=False) as (reader, goes_on):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        goes_on.set()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await reader.readuntil(b"0\r\n\r\n") == chunked([b"all"])


async def test_a_head_is_not_lost_when_no_body_comes() -> None:
    async with answering_in_two_steps(fails=True) as (reader, goes_on):
        goes_on.set()
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200")


async def test_two_streams_on_one_connection_follow_each_other(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(chunked(PIECES))) == chunked(PIECES)
    writer.close()


async def test_a_stream_waits_for_a_client_that_does_not_read_and_ends_once_it_left() -> None:
    sent = 0
    ended = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        leaving = asyncio.create_task(receive())  # type: ignore[arg-type]
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent += 1
            await asyncio.sleep(0)
        assert (await leaving)["type"] == "http.disconnect"
        ended.set()

    async with serving(endless) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 1000
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), 10)


class Recorder:
    """An app that answers every request, and keeps what it was asked: method, path, body."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hosts: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        self.asked.append(f"{scope['method']} {scope['path']} {body.decode()}".strip())
        self.hosts += [value for name, value in scope["headers"] if name == b"host"]
        await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})


async def talk(port: int, *steps: bytes | asyncio.Event, patience: float = 20.0) -> tuple[list[int], bool]:
    """Send the pieces, each read by the server on its own, and wait for the events between them; (statuses of the
    answers, whether the server closed within that patience)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for step in steps:
        if isinstance(step, asyncio.Event):
            await asyncio.wait_for(step.wait(), 20)
        else:
            writer.write(step)
            await asyncio.sleep(0.01)
    answer, is_closed = b"", False
    try:
        while not is_closed:
            piece = await asyncio.wait_for(reader.read(65536), patience)
            answer, is_closed = answer + piece, not piece
    except TimeoutError:
        pass
    except ConnectionError:
        is_closed = True
    writer.close()
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answer)], is_closed


GET = b"GET /a HTTP/1.1\r\nhost: x\r\n"
POST = b"POST /a HTTP/1.1\r\nhost: x\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n"

REFUSED = {
    "a length and chunks": POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunks and a length": POST + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n" + NEXT,
    "two lengths": POST + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}" + NEXT,
    "a list of lengths": POST + b"content-length: 2, 3\r\n\r\n{}" + NEXT,
    "a length with a plus": POST + b"content-length: +2\r\n\r\n{}",
    "a length below zero": POST + b"content-length: -2\r\n\r\n{}",
    "a length in hex": POST + b"content-length: 0x2\r\n\r\n{}",
    "a length of two words": POST + b"content-length: 1 2\r\n\r\n{}",
    "an underscore in a length": POST + b"content-length: 1_0\r\n\r\n{}",
    "an empty length": POST + b"content-length: \r\n\r\n" + NEXT,
    "a length beyond 64 bits": POST + b"content-length: 99999999999999999999999\r\n\r\n{}",
    "a length of many zeros": POST + b"content-length: " + b"0" * 25 + b"2\r\n\r\n{}",
    "chunked, identity": POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n" + NEXT,
    "gzip, chunked": POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "identity": POST + b"transfer-encoding: identity\r\n\r\n" + NEXT,
    "xchunked": POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n" + NEXT,
    "chunked in quotes": POST + b'transfer-encoding: "chunked"\r\n\r\n0\r\n\r\n' + NEXT,
    "a vertical tab before chunked": POST + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + NEXT,
    "no coding named": POST + b"transfer-encoding: \r\n\r\n" + NEXT,
    "chunked twice": POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "two codings": POST + b"transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "a folded line": GET + b"x: a\r\n b\r\n\r\n",
    "a folded coding": POST + b"transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "a fold before every header": b"GET /a HTTP/1.1\r\n host: x\r\n\r\n",
    "bare line feeds": b"GET /a HTTP/1.1\nhost: x\n\n",
    "one bare line feed": b"GET /a HTTP/1.1\r\nhost: x\nx: y\r\n\r\n",
    "a bare line feed as the empty line": GET + b"\n",
    "a bare carriage return in a value": b"GET /a HTTP/1.1\r\nhost: x\rx: y\r\n\r\n",
    "a bare carriage return in a name": GET + b"x\ry: z\r\n\r\n",
    "a space before the colon": b"GET /a HTTP/1.1\r\nhost : x\r\n\r\n",
    "a space before the colon of the coding": POST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n" + NEXT,
    "a tab before the colon of the length": POST + b"content-length\t: 2\r\n\r\n{}",
    "a line without a colon": GET + b"junk\r\n\r\n",
    "a header without a name": GET + b": v\r\n\r\n",
    "a space in a name": GET + b"x y: b\r\n\r\n",
    "brackets in a name": GET + b"x(y): b\r\n\r\n",
    "a name beyond ASCII": GET + b"x\xc3: b\r\n\r\n",
    "NUL in a name": GET + b"x\0: b\r\n\r\n",
    "NUL in a value": GET + b"x: a\0b\r\n\r\n",
    "a form feed in a value": GET + b"x: a\x0cb\r\n\r\n",
    "no host": b"GET /a HTTP/1.1\r\nx: y\r\n\r\n",
    "two hosts": GET + b"host: x\r\n\r\n",
    "two hosts in HTTP/1.0": b"GET /a HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n",
    "no version": b"GET /a\r\n\r\n",
    "HTTP/0.9": b"GET /a HTTP/0.9\r\nhost: x\r\n\r\n",
    "HTTP/2.0": b"GET /a HTTP/2.0\r\nhost: x\r\n\r\n",
    "HTTP/2's first words": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.10": b"GET /a HTTP/1.10\r\nhost: x\r\n\r\n",
    "http in small letters": b"GET /a http/1.1\r\nhost: x\r\n\r\n",
    "another protocol": b"OPTIONS /a RTSP/1.0\r\nhost: x\r\n\r\n",
    "a third protocol": b"SOURCE /a ICE/1.0\r\nhost: x\r\n\r\n",
    "two spaces after the method": b"GET  /a HTTP/1.1\r\nhost: x\r\n\r\n",
    "two spaces after the path": b"GET /a  HTTP/1.1\r\nhost: x\r\n\r\n",
    "a space after the version": b"GET /a HTTP/1.1 \r\nhost: x\r\n\r\n",
    "tabs for spaces": b"GET\t/a\tHTTP/1.1\r\nhost: x\r\n\r\n",
    "a space in the path": b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
    "NUL in the path": b"GET /a\0 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a path beyond ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a space before the method": b" GET /a HTTP/1.1\r\nhost: x\r\n\r\n",
    "an empty line first": b"\r\n" + NEXT,
    "a tunnel": b"CONNECT other:443 HTTP/1.1\r\nhost: x\r\n\r\n" + NEXT,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
    "a chunk beyond 64 bits": CHUNKED + b"fffffffffffffffffffff\r\n{}",
    "a chunk below zero": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n" + NEXT,
    "a chunk's size with 0x": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n" + NEXT,
    "an underscore in a chunk's size": CHUNKED + b"1_0\r\n{}\r\n0\r\n\r\n" + NEXT,
    "a space before a chunk's size": CHUNKED + b" 2\r\n{}\r\n0\r\n\r\n" + NEXT,
    "a chunk without a size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n" + NEXT,
    "a bare line feed after a chunk's size": CHUNKED + b"2\n{}\r\n0\r\n\r\n" + NEXT,
    "a bare carriage return after a chunk's size": CHUNKED + b"2\r{}\r\n0\r\n\r\n" + NEXT,
    "a bare line feed in a chunk's extension": CHUNKED + b"2;a\nb\r\n{}\r\n0\r\n\r\n" + NEXT,
    "a chunk longer than it says": CHUNKED + b"2\r\n{}xx\r\n0\r\n\r\n" + NEXT,
    "no end of a chunk": CHUNKED + b"2\r\n{}0\r\n\r\n" + NEXT,
    "bare line feeds after the last chunk": CHUNKED + b"2\r\n{}\r\n0\n\n" + NEXT,
    "a trailer without a colon": CHUNKED + b"2\r\n{}\r\n0\r\nbad line\r\n\r\n" + NEXT,
    "NUL in a trailer": CHUNKED + b"2\r\n{}\r\n0\r\na: \0\r\n\r\n" + NEXT,
}


@pytest.mark.parametrize("kept_back", [0, 1])
async def test_what_two_servers_may_read_differently_is_refused_and_ends_the_connection(kept_back: int) -> None:
    recorder = Recorder()
    async with serving(recorder) as port:
        cases = [[sent[: len(sent) - kept_back], sent[len(sent) - kept_back :]] for sent in REFUSED.values()]
        found = await asyncio.gather(*(talk(port, *pieces) for pieces in cases))
    assert dict(zip(REFUSED, found, strict=True)) == dict.fromkeys(REFUSED, ([400], True))
    assert recorder.asked == []


SWITCH = b"connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
ASKED = NEXT.decode().strip()
READ = {
    "a body": (POST + b"content-length: 2\r\n\r\n{}", ["POST /a {}"]),
    "spaces around values": (POST + b"x: \t y \t\r\ncontent-length:  2 \r\n\r\n{}" + NEXT, ["POST /a {}", "GET /next"]),
    "a POST without a body": (POST + b"\r\n" + NEXT, ["POST /a", "GET /next"]),
    "an empty body": (POST + b"content-length: 0\r\n\r\n" + NEXT, ["POST /a", "GET /next"]),
    "chunks": (CHUNKED + b"2\r\n{}\r\n1;a=b\r\n!\r\n0\r\n\r\n" + NEXT, ["POST /a {}!", "GET /next"]),
    "chunks that hold empty lines": (
        CHUNKED + b"8\r\n\r\n\r\n\r\n\r\n\r\n4\r\n\r\n\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + NEXT,
        ["POST /a " + "\r\n" * 6 + "{}", "GET /next"],
    ),
    "no chunk": (CHUNKED + b"0\r\n\r\n" + NEXT, ["POST /a", "GET /next"]),
    "CHUNKED": (POST + b"Transfer-Encoding: CHUNKED\r\n\r\n2\r\n{}\r\n0\r\n\r\n", ["POST /a {}"]),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nx: y\r\nhost: z\r\n\r\n" + NEXT, ["POST /a {}", "GET /next"]),
    "four at once": (NEXT * 4, ["GET /next"] * 4),
    "another protocol wished for": (POST + SWITCH + b"content-length: 2\r\n\r\n{}" + NEXT, ["POST /a {}", "GET /next"]),
    "the same with chunks": (
        POST + SWITCH + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + NEXT,
        ["POST /a {}", "GET /next"],
    ),
    "a WebSocket wished for": (
        GET + b"connection: upgrade\r\nUPGRADE: websocket\r\n\r\n" + NEXT,
        ["GET /a", "GET /next"],
    ),
    "a body that looks like a request": (POST + b"content-length: %d\r\n\r\n" % len(NEXT) + NEXT, [f"POST /a {ASKED}"]),
    "a body of a wish that looks like one": (
        POST + SWITCH + b"content-length: %d\r\n\r\n" % len(NEXT) + NEXT,
        [f"POST /a {ASKED}"],
    ),
    "a head of nearly 64 KiB": (GET + b"x: " + b"a" * 65000 + b"\r\n\r\n" + NEXT, ["GET /a", "GET /next"]),
}


@pytest.mark.parametrize("step", [1 << 20, 7, 1])
async def test_a_request_is_read_whole_however_it_was_cut(step: int) -> None:
    recorders = {name: Recorder() for name in READ}
    found = await asyncio.gather(*(cut(recorders[name], READ[name][0], step, len(READ[name][1])) for name in READ))
    assert {name: recorder.asked for name, recorder in recorders.items()} == {
        name: row[1] for name, row in READ.items()
    }
    assert dict(zip(READ, found, strict=True)) == {name: [200] * len(asked) for name, (_, asked) in READ.items()}
    assert {value for recorder in recorders.values() for value in recorder.hosts} == {b"x"}


async def cut(app: ASGIApp, sent: bytes, step: int, num_answers: int) -> list[int]:
    """Statuses of the answers to what comes in steps, as the network may cut it, without its waits.

    Waits as long as it takes for `num_answers`, and a little for one too many.
    """
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
    config.load()
    config.loaded_app = app
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    made: list[BoundedHttp] = []

    def make() -> BoundedHttp:
        made.append(BoundedHttp(config, ServerState(), {}, loop))
        return made[0]

    answered, all_came = b"", asyncio.Event()

    async def read() -> None:
        nonlocal answered
        while piece := await loop.sock_recv(ours, 1 << 16):
            answered += piece
            if len(statuses()) >= num_answers:
                all_came.set()

    def statuses() -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answered)]

    ours.setblocking(False)
    reader = asyncio.create_task(read())
    transport, protocol = await loop.create_connection(make, sock=theirs)
    for start in range(0, len(sent), step):
        protocol.data_received(sent[start : start + step])
        if start % 1024 == 0:
            await asyncio.sleep(0)
    await asyncio.wait_for(all_came.wait(), 20)
    await asyncio.sleep(0.05)
    transport.close()
    with ours:
        await reader
    return statuses()


@pytest.mark.parametrize("end", [b"connection: close\r\n\r\n", b"connection: keep-alive, Close\r\n\r\n"])
async def test_nothing_is_read_after_a_request_that_ends_the_connection(end: bytes) -> None:
    recorder = Recorder()
    async with serving(recorder) as port:
        assert await talk(port, GET + end + NEXT) == ([200], True)
        assert await talk(port, b"GET /a HTTP/1.0\r\n\r\n" + NEXT) == ([200], True)
    assert recorder.asked == ["GET /a"] * 2


async def test_a_bad_request_after_a_good_one_is_refused_after_its_answer() -> None:
    recorder = Recorder()
    async with serving(recorder) as port:
        assert await talk(port, NEXT + b"GET /bad HTTP/1.1\r\n\r\n" + NEXT) == ([200, 400], True)
    assert recorder.asked == ["GET /next"]


BEFORE_BODY = CHUNKED + b"1\r\n{\r\n"
ENDLESS = {
    "a path": (b"GET /", b"a"),
    "a header's name": (GET, b"a"),
    "a header's value": (GET + b"x: ", b"a"),
    "headers": (GET, b"a: b\r\n"),
    "a chunk's extension": (BEFORE_BODY + b"1;", b"a"),
    "zeros before a chunk's size": (BEFORE_BODY, b"0"),
    "a trailer's value": (BEFORE_BODY + b"0\r\nx: ", b"a"),
    "trailers": (BEFORE_BODY + b"0\r\n", b"a: b\r\n"),
}


@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS)
async def test_what_never_ends_is_cut_off_at_64_kib(start: bytes, more: bytes) -> None:
    recorder = Recorder()
    async with serving(recorder) as port:
        statuses, is_closed = await talk(port, start, *[more * (8192 // len(more))] * 7, patience=0.15)
        assert (statuses, is_closed) == ([], False)  # 56 KiB: it might still end
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        taken = 0
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof() and taken < 1 << 22:
                writer.write(more * (8192 // len(more)))
                taken += 8192
                await writer.drain()
                await asyncio.sleep(0.002)
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        assert 1 << 16 <= taken < 1 << 18
        writer.close()
    assert recorder.asked == []


async def test_a_head_over_64_kib_is_refused_even_if_it_comes_at_once() -> None:
    async with serving(Recorder()) as port:
        assert await talk(port, GET + b"x: " + b"a" * 65536 + b"\r\n\r\n") == ([400], True)
        assert await talk(port, GET + b"a: b\r\n" * 11000 + b"\r\n") == ([400], True)


async def test_requests_sent_ahead_wait_unparsed_and_in_bounds() -> None:
    gate = asyncio.Event()
    asked = looks = 0

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal asked, looks
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        asked += 1
        while not gate.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(receive(), 0.001)  # looks for the client's leaving, again and again
            looks += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async with serving(slow) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(NEXT * 150_000)
        await until(lambda: looks > 200)  # each has a little more of it read
        assert asked == 1
        gate.set()
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), 20)
        writer.transport.abort()  # it has more to send than anybody takes
    assert answer.count(b"HTTP/1.1 200") <= 1 and asked == 1


async def test_an_answer_under_way_is_not_followed_by_a_refusal_of_the_body() -> None:
    has_begun = asyncio.Event()

    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            await send({"type": "http.response.body", "body": b"piece", "more_body": True})
            has_begun.set()

    async with serving(early) as port:
        assert await talk(port, CHUNKED + b"2\r\n{}\r\n", has_begun, b"junk\r\n\r\n") == ([200], True)


def test_uvicorns_own_choice_of_a_parser_is_ours_under_gunicorn() -> None:
    code = (
        "import flashweb.asgi, uvicorn; from flashweb.http_protocol import BoundedHttp; "
        "config = uvicorn.Config(flashweb.asgi.app); config.load(); assert config.http_protocol_class is BoundedHttp"
    )
    environment = os.environ | {"FLASHWEB_ENGINE": "echo"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
