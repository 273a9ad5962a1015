"""`--workers N`: this process holds the ports and the engine, N web processes answer.

It accepts connections and hands each to the web process that has the fewest open, so that none is left idle beside a
busy one, and none is lost in the queue of one that has just died. A web process that dies is started again; its
neighbours, the engine and the ports do not notice. What they count for /metrics is in a folder that they share, which
goes when this process does. SIGTERM drains as with one process: the web processes let running requests finish and
refuse new ones, then everything ends with 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.multiprocess import mark_process_dead
from pydantic import SecretStr

from flashweb.engine import EngineConfig
from flashweb.engine.broker import EngineBroker
from flashweb.engine.shared import Places
from flashweb.errors import FlashwebError
from flashweb.hub import resolve_model
from flashweb.observe.metrics import MULTIPROCESS
from flashweb.prompt import PromptProcessor
from flashweb.rate_limit import MemoryLimiter
from flashweb.serve import (
    FORCED_EXIT,
    Bound,
    engine_config,
    listen,
    loop_factory,
    model_name,
    ready_lines,
    spare_collector,
)
from flashweb.settings import Settings

log = logging.getLogger("flashweb.workers")
GOOD_SERVICE_SECONDS = 60.0  # a web process that lived so long may die without counting as one that cannot work
MAX_DEATHS = 5  # in a row
ENDING_SECONDS = 15.0  # after the grace time, before a web process is killed
CONNECTION, UP, READY, CLOSED = b"c", b"u", b"r", b"-"  # what goes over a web process's control line
PLACES_NAME, METRICS_NAME = "places", "metrics"


class WebProcessConfig(msgspec.Struct, frozen=True):
    """What a web process is told, as JSON on its standard input."""

    settings: dict[str, Any]
    folder: str  # the checkpoint
    broker: str  # the socket of the engine's broker
    places: str
    ports: tuple[int, ...]


def run(settings: Settings, bound: Bound) -> int:
    """Serve with several web processes until told to stop; the exit code. Raises ConfigError, CheckpointError."""
    folder = resolve_model(settings.model.model, settings.model.revision)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_Master(settings, bound, folder).live())


@dataclass(eq=False, slots=True)
class _Web:
    """One web process, as this one sees it."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    num_open: int = 0
    is_up: bool = False
    is_ready: bool = False


class _Master:
    def __init__(self, settings: Settings, bound: Bound, folder: Path) -> None:
        self.settings, self.bound, self.folder = settings, bound, folder
        self.has_engine = settings.engine.engine != "echo"
        self.webs: list[_Web] = []
        self.changed = asyncio.Event()
        self.stopping = asyncio.Event()
        self.exit_code = 0
        self._turn = itertools.count()
        self._environ = dict(os.environ)  # of the web processes

    async def live(self) -> int:
        home = Path(tempfile.mkdtemp(prefix="flashweb-"))  # mode 0700
        broker = EngineBroker(self._engine_config(), self._on_hit())
        keeping: list[asyncio.Task[None]] = []
        starting: asyncio.Task[None] | None = None
        try:
            self._on_signals()
            Places.create(home / PLACES_NAME)
            (home / METRICS_NAME).mkdir()
            # One that the operator names is theirs: they may want the counts of a restart before.
            self._environ.setdefault(MULTIPROCESS, str(home / METRICS_NAME))
            told = self._told_to_webs(await broker.listen(home), home / PLACES_NAME)
            if self.has_engine:
                starting = asyncio.create_task(broker.start())
            keeping = [asyncio.create_task(self._keep(told)) for _ in range(self.settings.server.workers)]
            spare_collector()
            await self._announce(starting)
            await self.stopping.wait()
            await self._drain(keeping)
        finally:
            for task in keeping:
                task.cancel()
            for web in self.webs:
                web.process.kill()
                web.process.wait()
            if starting is not None and not starting.done():
                starting.cancel()
            await broker.stop()
            shutil.rmtree(home, ignore_errors=True)
        return self.exit_code

    def _engine_config(self) -> EngineConfig:
        if not self.has_engine:
            return EngineConfig(lazy_load=True)  # never started: each web process has its own echo
        return engine_config(self.settings, self.folder, PromptProcessor(self.folder))

    def _on_hit(self) -> Any:
        server = self.settings.server
        if server.rate_limit is None or server.rate_limit_redis is not None:
            return None
        limiter = MemoryLimiter(server.rate_limit)

        async def hit(caller: str) -> tuple[bool, int, int, float]:
            made = await limiter.hit(caller)
            return made.allowed, made.limit, made.remaining, made.reset_seconds

        return hit

    def _told_to_webs(self, broker: Path, places: Path) -> bytes:
        tree = self.settings.model_dump()
        told = WebProcessConfig(tree, str(self.folder), str(broker), str(places), self.bound.ports)
        return msgspec.json.encode(told, enc_hook=_reveal)

    # --- start ----------------------------------------------------------------------------------------------------

    async def _announce(self, starting: asyncio.Task[None] | None) -> None:
        """The ready line, once every web process can answer. Raises what kept the engine from starting."""
        number, name = self.settings.server.workers, model_name(self.settings.model.model)
        print(f"loading {name}, with {number} web processes", file=sys.stderr, flush=True)
        stopped = asyncio.create_task(self.stopping.wait())
        try:
            while not self.stopping.is_set() and sum(web.is_ready for web in self.webs) < number:
                self.changed.clear()
                changed = asyncio.create_task(self.changed.wait())
                waited = {stopped, changed} | ({starting} if starting and not starting.done() else set())
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if starting is not None and starting.done():
                    starting.result()
        finally:
            stopped.cancel()
        if not self.stopping.is_set():
            loaded = not self.settings.engine.lazy_load
            print(ready_lines(self.settings, self.bound.ports, name, loaded=loaded), file=sys.stderr, flush=True)

    # --- web processes --------------------------------------------------------------------------------------------

    async def _keep(self, told: bytes) -> None:
        """Runs a web process; runs it again when it dies, later each time, until it seems hopeless."""
        loop = asyncio.get_running_loop()
        deaths = 0
        while not self.stopping.is_set():
            began = loop.time()
            web = self._spawn(told)
            while web.process.poll() is None:  # noqa: ASYNC110  (a watcher per process is not worth its weight)
                await asyncio.sleep(0.05)
            self._lose(web)
            if self.stopping.is_set():
                return
            deaths = 1 if loop.time() - began > GOOD_SERVICE_SECONDS else deaths + 1
            code = web.process.returncode
            log.error("web process %d ended with %d; another one is started", web.process.pid, code)
            if deaths > MAX_DEATHS or code in (3, 4):  # a setting or a model that no second try will mend
                self.exit_code = code if code > 0 else 1
                self.stopping.set()
                return
            await asyncio.sleep(0.1 * 2 ** (deaths - 1))

    def _spawn(self, told: bytes) -> _Web:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "flashweb.web_process", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=self._environ,
                start_new_session=True,  # Ctrl-C in the terminal is for this process to handle
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(told)
        ours.setblocking(False)
        web = _Web(process, ours)
        self.webs.append(web)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear, web)
        return web

    def _hear(self, web: _Web) -> None:
        try:
            news = web.control.recv(4096)
        except OSError:
            news = b""
        if not news:  # it is ending; who keeps it looks after the rest
            asyncio.get_running_loop().remove_reader(web.control.fileno())
            web.is_up = web.is_ready = False
        web.num_open -= news.count(CLOSED)
        web.is_up = web.is_up or UP in news
        web.is_ready = web.is_ready or READY in news
        if UP in news:
            self._listen()
        self.changed.set()

    def _lose(self, web: _Web) -> None:
        asyncio.get_running_loop().remove_reader(web.control.fileno())
        web.control.close()
        self.webs.remove(web)
        # What it has counted stays counted; only gauges of living processes go, as prometheus_client asks for.
        mark_process_dead(web.process.pid, self._environ[MULTIPROCESS])  # type: ignore[no-untyped-call]

    # --- connections ----------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """From the first web process on; a second call changes nothing."""
        loop = asyncio.get_running_loop()
        listen(self.bound)
        for listener in self.bound.sockets:
            loop.add_reader(listener.fileno(), self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(64):
            try:
                connection, _ = listener.accept()
            except OSError:  # nobody is left, or no file is: the rest waits in the queue
                return
            with connection:
                self._hand_over(connection)

    def _hand_over(self, connection: socket.socket) -> None:
        """To the web process with the fewest open, in turn among equals. Closed when there is none."""
        turn = next(self._turn)
        up = [web for web in self.webs if web.is_up]
        up = up[turn % len(up) :] + up[: turn % len(up)] if up else []
        for web in sorted(up, key=lambda web: web.num_open):
            try:
                socket.send_fds(web.control, [CONNECTION], [connection.fileno()])
            except OSError:  # it is ending, or does not take what it has
                continue
            web.num_open += 1
            return

    # --- the end --------------------------------------------------------------------------------------------------

    def _on_signals(self) -> None:
        def on_signal() -> None:
            if self.stopping.is_set():
                print("ending at once", file=sys.stderr, flush=True)
                for web in self.webs:
                    web.process.kill()
                os._exit(FORCED_EXIT)  # the engine process ends by itself when its line to us closes
            print(
                "stopping: running requests may finish, new ones are refused; Ctrl-C again ends at once",
                file=sys.stderr,
                flush=True,
            )
            self.stopping.set()

        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, on_signal)

    async def _drain(self, keeping: list[asyncio.Task[None]]) -> None:
        for web in self.webs:
            web.process.send_signal(signal.SIGTERM)
        seconds = self.settings.server.timeout_graceful_shutdown + ENDING_SECONDS
        _, late = await asyncio.wait(keeping, timeout=seconds)
        if late:
            log.warning("%d web processes did not end in time and are killed", len(late))


def _reveal(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    raise FlashwebError(f"a setting of type {type(value).__name__} cannot be handed to a web process")
