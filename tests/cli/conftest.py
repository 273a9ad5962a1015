"""A real server with the echo engine, started once for all tests of the command line."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            with urllib.request.urlopen(url + "/health/ready", timeout=2) as response:
                if response.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server was not ready in time")


@pytest.fixture(scope="session")
def echo_server() -> Iterator[str]:
    """URL of a server whose engine repeats the question's own words."""
    port = free_port()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FLASHWEB_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "flashweb", "serve", "--engine", "echo", "--port", str(port), "--ui-port", "0"],
        env=environ,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def flashweb(tmp_path: Path) -> Run:
    """Run the command in a folder of its own: `flashweb("chat", "a.png", "what?", input=b"...")`."""

    def run(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("FLASHWEB_")}
        environ |= options.pop("env", {})  # type: ignore[arg-type, operator]
        command = [sys.executable, "-m", "flashweb", *args]
        options = {"stdin": subprocess.DEVNULL} | options if "input" not in options else options
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=90, **options)  # type: ignore[call-overload]
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 180, 90)).save(out, "PNG")
    path = tmp_path / "receipt.png"
    path.write_bytes(out.getvalue())
    return path
