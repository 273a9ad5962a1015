"""Private servers for the tests of the queue: real Postgres and real Redis, on free ports, in temporary folders."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import free_port


@dataclass
class Broker:
    """`url` of a server that can be stopped and started again with what it had."""

    url: str
    command: list[str]
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"{self.command[0]} ended with {self.process.returncode}"
            if self._answers():
                return
            time.sleep(0.02)
        raise AssertionError(f"{self.command[0]} never listened")

    def _answers(self) -> bool:
        if self.url.startswith("postgresql"):  # it listens before it takes anybody
            import psycopg

            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError:
                return False
            return True
        with socket.socket() as probe:  # Redis listens while it still reads what it had
            probe.settimeout(5)
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # Postgres: at once, but with what it had
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            self.process = None


def _program(name: str) -> str:
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def postgres_server() -> Iterator[Broker]:
    """Runs as the user nobody where the test runs as root, as Postgres wants it."""
    pytest.importorskip("psycopg")
    initdb, postgres = _program("initdb"), _program("postgres")
    folder, port = Path(tempfile.mkdtemp(prefix="flashweb-pg-")), free_port()
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    if as_nobody:
        if shutil.which("setpriv") is None:
            pytest.skip("Postgres does not run as root, and there is no setpriv")
        os.chown(folder, 65534, 65534)
    try:
        made = [*as_nobody, initdb, "-D", str(folder / "db"), "-U", "jobs", "-A", "trust", "--no-sync", "--locale=C"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder)
        command = [
            *as_nobody, postgres, "-D", str(folder / "db"), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder),
            "-c", "shared_buffers=16MB",
        ]  # fmt: skip
        broker = Broker(f"postgresql://jobs@127.0.0.1:{port}/postgres", command, port)
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_server() -> Iterator[Broker]:
    """With an append-only file, as a queue wants it."""
    pytest.importorskip("redis")
    program, port = _program("redis-server"), free_port()
    folder = Path(tempfile.mkdtemp(prefix="flashweb-redis-"))
    command = [
        program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes", "--save", "",
    ]  # fmt: skip
    broker = Broker(f"redis://127.0.0.1:{port}/0", command, port)
    try:
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
