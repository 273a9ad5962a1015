"""One of several web processes: `python -m flashweb.web_process FD`, started by `workers.py`.

Answers the connections that come over the control line (descriptor FD), with the engine that the broker holds. SIGTERM
drains; the closing of the control line, when the process above dies, ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from flashweb.engine import EchoEngine, Engine, EngineConfig
from flashweb.engine.shared import Places, SharedEngine
from flashweb.errors import FlashwebError
from flashweb.http_protocol import BoundedHttp
from flashweb.http_server import Server, build_server
from flashweb.observe import configure_logging
from flashweb.prompt import PromptProcessor
from flashweb.rate_limit import Decision, build_limiter
from flashweb.serve import build_engine, build_pipeline, engine_config, loop_factory, spare_collector
from flashweb.settings import Settings
from flashweb.workers import CLOSED, READY, UP, WebProcessConfig


class SharedLimiter:
    """Counts where all web processes are counted together."""

    def __init__(self, link: SharedEngine) -> None:
        self._link = link

    async def hit(self, caller: str) -> Decision:
        return Decision(*await self._link.hit(caller))

    async def close(self) -> None:
        pass


class Connections:
    """Takes connections from the control line and answers them; tells when one has closed."""

    def __init__(self, control: socket.socket, server: Server, on_master_gone: Callable[[], None]) -> None:
        self._control = control
        self._server = server
        self._on_master_gone = on_master_gone
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[Any]] = set()

    def begin(self) -> None:
        self._control.setblocking(False)
        self._loop.add_reader(self._control.fileno(), self._take)

    def tell(self, news: bytes) -> None:
        with contextlib.suppress(OSError):
            self._control.send(news)

    def _take(self) -> None:
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                self._loop.remove_reader(self._control.fileno())
                self._on_master_gone()
                return
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                connection.setblocking(False)
                task = asyncio.ensure_future(self._loop.connect_accepted_socket(self._protocol, connection))
                self._opening.add(task)
                task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[Any]) -> None:
        self._opening.discard(task)
        if not task.cancelled() and task.exception() is not None:  # it was closed before it was ours
            self.tell(CLOSED)

    def _protocol(self) -> asyncio.Protocol:
        server = self._server
        return _Told(
            config=server.config,
            server_state=server.server_state,
            app_state=server.lifespan.state,
            _loop=self._loop,
            on_closed=partial(self.tell, CLOSED),
        )


class _Told(BoundedHttp):
    """A connection that tells when it has closed."""

    def __init__(self, *, on_closed: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self._on_closed = on_closed

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._on_closed()


async def live(settings: Settings, told: WebProcessConfig, control: socket.socket) -> int:
    """From the start to the end of the drain; the exit code."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    is_echo = settings.engine.engine == "echo"
    links: list[SharedEngine] = []

    def engine_of(settings: Settings, folder: Path, processor: PromptProcessor) -> Engine:
        config = EngineConfig(lazy_load=True) if is_echo else engine_config(settings, folder, processor)
        links.append(SharedEngine(config, Path(told.broker)))
        return build_engine(settings, folder, processor) if is_echo else links[0]

    pipeline, names = build_pipeline(settings, engine_of, Path(told.folder))
    (link,) = links
    assert is_echo == isinstance(pipeline.engine, EchoEngine)
    await link.connect()
    places = Places.of_file(Path(told.places))
    pipeline.door.tell_inside = places.teller(link.place)
    pipeline.door.tell_inside(0)  # whoever had this place before may have died with requests in it
    server = settings.server
    limiter = SharedLimiter(link) if server.rate_limit and not server.rate_limit_redis else build_limiter(server)
    web = build_server(settings, pipeline, names, told.ports, limiter, link)
    spare_collector()
    serving = asyncio.create_task(web.serve(sockets=[]))
    while not web.started and not serving.done():  # noqa: ASYNC110  (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    connections = Connections(control, web, partial(os._exit, 1))
    connections.begin()
    connections.tell(UP)
    ready = asyncio.create_task(pipeline.wait_ready())
    ready.add_done_callback(
        lambda task: connections.tell(READY) if not (task.cancelled() or task.exception()) else None
    )
    await stopping.wait()
    ready.cancel()
    await pipeline.drain(server.timeout_graceful_shutdown)
    web.should_exit = True
    await serving
    await link.stop()
    return 0


def main(descriptor: int) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=WebProcessConfig)
    settings = Settings.model_validate(told.settings)
    configure_logging(settings.log)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(live(settings, told, socket.socket(fileno=descriptor)))
    except FlashwebError as error:
        print(f"flashweb: {error.message}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
