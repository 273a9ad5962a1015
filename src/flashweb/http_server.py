"""uvicorn around our app: everything HTTP that `serve.py` starts, in one module, so that it can be imported while the
engine process is already loading. Knows nothing of signals, models or when to stop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import h11
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

from flashweb.api import create_app, own_origins
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline
from flashweb.settings import Settings


class Server(uvicorn.Server):
    """uvicorn's server without its own signal handling: draining needs the listener open while we say 503."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def build_server(settings: Settings, pipeline: Pipeline, names: ModelNames, ports: Sequence[int]) -> Server:
    app = create_app(settings, pipeline, names, own_origins=own_origins(settings.server.host, ports))
    return server_of(app)


class StreamedPieces:
    """Writes the pieces of a streamed body straight to the connection, framed here (RFC 9112, section 7.1).

    A stream has a piece per token, and taking each through h11 costs more than making it. Everything else (heads, the
    end of a body, bodies of known length, HTTP/1.0, errors) goes h11's way; flow control is the server's in both.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = getattr(send, "__self__", None)
        if isinstance(cycle, RequestResponseCycle) and scope["method"] == "POST" and scope["http_version"] == "1.1":
            send = _framing(cycle)
        await self.app(scope, receive, send)


def _framing(cycle: RequestResponseCycle) -> Send:
    """The server's `send`, with a shorter way for what `StreamedPieces` says."""
    is_chunked = False

    async def send(message: Message) -> None:
        nonlocal is_chunked
        piece = message.get("body")
        if not (is_chunked and piece and message.get("more_body") and cycle.conn.our_state is h11.SEND_BODY):
            await cycle.send(message)  # type: ignore[arg-type]
            if message["type"] == "http.response.start":
                is_chunked = message["status"] == 200 and not _says_its_framing(message)
            return
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if not cycle.disconnected:
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    return send


def _says_its_framing(start: Message) -> bool:
    return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in start["headers"])


def server_of(app: ASGIApp) -> Server:
    config = uvicorn.Config(
        StreamedPieces(app),
        # h11 bounds a request's head at 64 KiB; httptools, uvicorn's faster choice, takes heads of any size.
        http="h11",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )
    return Server(config)
