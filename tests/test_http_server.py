"""What the HTTP server puts on the wire for a streamed body, byte by byte."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

from flashweb.http_server import Server, StreamedPieces, server_of

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


@pytest.fixture(params=["ours", "uvicorn's"])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    server = server_of(app)
    if request.param != "ours":
        server = Server(uvicorn.Config(app, http="h11", log_config=None, server_header=False))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield int(listener.getsockname()[1])
        server.should_exit = True
        await serving


async def exchange(port: int, head: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}".encode())
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def chunked(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"


async def test_pieces_of_a_stream_are_chunks_however_they_were_framed(port: int) -> None:
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


async def test_two_streams_on_one_connection_follow_each_other(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(chunked(PIECES))) == chunked(PIECES)
    writer.close()


class Line:
    """In place of a connection's transport: what was written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


async def test_a_piece_waits_for_a_client_that_does_not_read_and_is_dropped_once_it_left() -> None:
    import h11
    from uvicorn.protocols.http.flow_control import FlowControl

    conn = h11.Connection(h11.SERVER)
    conn.receive_data(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    assert isinstance(conn.next_event(), h11.Request)
    line = Line()
    cycle = object.__new__(RequestResponseCycle)
    cycle.conn, cycle.transport, cycle.flow = conn, line, FlowControl(line)  # type: ignore[assignment,arg-type]
    cycle.disconnected = cycle.response_started = cycle.response_complete = cycle.access_log = False
    cycle.default_headers = []
    cycle.scope = {"type": "http", "method": "POST", "http_version": "1.1", "headers": []}  # type: ignore[typeddict-item]
    sends: list[Send] = []

    async def keep(scope: Scope, receive: Receive, send: Send) -> None:
        sends.append(send)

    async def nothing() -> Message:
        raise AssertionError("not asked")

    await StreamedPieces(keep)(cycle.scope, nothing, cycle.send)  # type: ignore[arg-type]
    (send,) = sends
    await send({"type": "http.response.start", "status": 200, "headers": []})
    piece = {"type": "http.response.body", "body": b"token", "more_body": True}
    cycle.flow.pause_writing()
    sending = asyncio.create_task(send(piece))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    assert not sending.done() and len(line.written) == 1
    cycle.flow.resume_writing()
    await sending
    assert line.written[1:] == [b"5\r\ntoken\r\n"]
    cycle.disconnected = True
    await send(piece)
    assert len(line.written) == 2
