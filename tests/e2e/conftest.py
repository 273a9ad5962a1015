"""Real servers: as a process of their own (`start`), or on a real socket inside the test's event loop (`listen`)."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flashweb.http_server import server_of
from flashweb.pipeline import Pipeline
from flashweb.serve import bind
from tests.house import make_app
from tests.servers import free_port, wait_until_ready


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, words: str, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < deadline, f"{words!r} never came in {self.text!r}"
            time.sleep(0.02)


Start = Callable[..., Running]
Listen = Callable[[Pipeline], AbstractAsyncContextManager[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`flashweb serve` with the given flags, ready unless told not to wait; ended with the test."""
    started: list[Running] = []

    def go(*flags: str, port: int | None = None, wait: bool = True) -> Running:
        port = port or free_port()
        log = tmp_path / f"serve-{len(started)}.log"
        command = [sys.executable, "-m", "flashweb", "serve", "--port", str(port), "--ui-port", "0", *flags]
        with log.open("wb") as out:
            process = subprocess.Popen(command, stderr=out, stdin=subprocess.DEVNULL, cwd=tmp_path)
        running = Running(process, port, log)
        started.append(running)
        if wait:
            wait_until_ready(running.url, process)
        return running

    yield go
    for running in started:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGKILL)
        running.process.wait(10)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def pictures() -> Iterator[str]:
    """Address of a web server with the example pictures."""
    folder = Path(__file__).resolve().parents[2] / "examples"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def serving(*flags: str) -> Iterator[str]:
    """URL of a server that several tests share; it is not looked into."""
    port = free_port()
    command = [sys.executable, "-m", "flashweb", "serve", "--port", str(port), "--ui-port", "0", *flags]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def nano(pictures: str) -> Iterator[str]:
    """The bundled model as the samples need it: open to other machines and any page, and it may fetch our pictures."""
    with serving("--host", "0.0.0.0", "--cors-allowed-origins", "*", "--media-allow-hosts", pictures) as url:
        yield url


@pytest.fixture
def listen() -> Listen:
    """The app over a pipeline of the test's own, on a real socket in this event loop."""

    @asynccontextmanager
    async def go(pipeline: Pipeline) -> AsyncIterator[str]:
        opened = bind("127.0.0.1", 0)
        server = server_of(make_app(pipeline))
        serving = asyncio.create_task(server.serve(sockets=[opened]))
        await asyncio.wait_for(pipeline.wait_ready(), 60)
        try:
            yield f"http://127.0.0.1:{opened.getsockname()[1]}"
        finally:
            await pipeline.drain(0)
            server.should_exit = True
            await serving

    return go
