"""Starting real servers in tests: a free port, and waiting until one is ready."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
import urllib.request

# Below those that the kernel hands out (32768 and up on Linux): no connection takes one between this look and the
# server's start. Every process of the tests counts through ports of its own.
_WIDTH = 2000
_WORKER = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 8
_FIRST = 15_000 + _WORKER * _WIDTH
_asked = os.getpid() * 37


def free_port() -> int:
    global _asked
    for _ in range(_WIDTH):
        _asked += 1
        port = _FIRST + _asked % _WIDTH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is free")


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
