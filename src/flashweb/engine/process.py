"""The engine's process: how it is started, in which environment, and how its end is told. Never imports torch.

Knows nothing of what goes over the line to it (`client.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec

from flashweb.engine.config import EngineConfig

# glibc: keep the memory of one step for the next (the tower's large intermediates would otherwise be given back and
# fetched again, up to 9,000 page faults per picture), in huge pages where the system offers them on request.
MALLOC_TUNABLES = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=67108864:glibc.malloc.trim_threshold=268435456"


async def ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process ends by itself in time. Looks now and then: a watcher per process is not worth its weight."""
    deadline = asyncio.get_running_loop().time() + seconds
    while process.poll() is None:
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def listen(path: Path) -> socket.socket:
    """A socket for the engine to connect to, mode 0600."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    os.chmod(path, 0o600)
    listener.listen(1)
    listener.setblocking(False)
    return listener


def environment() -> dict[str, str]:
    """Ours, with OpenMP's threads asleep while they wait for each other and memory kept for the next step, unless the
    operator wants otherwise.

    By default libgomp lets them spin for about a millisecond. On an idle machine that is worth up to 20 %; where
    anything else wants the cores (this server's own web process, a neighbour), it makes a step ten times slower and
    more, because the thread that the others spin for is the one that cannot run (docs/experiments.md).
    """
    environment = dict(os.environ)
    if "GOMP_SPINCOUNT" not in environment:
        environment.setdefault("OMP_WAIT_POLICY", "passive")
    if not any(name.startswith("MALLOC_") for name in environment):
        environment.setdefault("GLIBC_TUNABLES", MALLOC_TUNABLES)
    return environment


def spawn(path: Path, config: EngineConfig) -> subprocess.Popen[bytes]:
    """Starts the engine process, in a session of its own: Ctrl-C in the terminal is for the web side to handle."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flashweb.engine.worker", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env=environment(),
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(msgspec.json.encode(config))
    return process


def describe_exit(returncode: int | None) -> str:
    if returncode is None:
        return "it did not start"
    if returncode < 0:
        try:
            return f"killed by {signal.Signals(-returncode).name}"
        except ValueError:  # real-time signals have no names
            return f"killed by signal {-returncode}"
    return f"exit code {returncode}"
