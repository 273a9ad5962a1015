"""The bounds that such a process puts on itself, and how it is spoken with: frames, each after its length, on the
standard streams. Imports nothing of ours."""

from __future__ import annotations

import math
import resource
import struct
import sys
from pathlib import Path
from typing import BinaryIO

LENGTH = struct.Struct("<I")


def bound_memory(num_bytes: int) -> None:
    """Beyond what the process has taken so far."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + num_bytes, taken + num_bytes))


def bound_time(seconds: float) -> None:
    """From now on; the kernel ends a process that goes on (whoever asked has its own clock, and may be gone)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def open_nothing_more() -> None:
    """From now on no file and no socket can be opened or written: whatever a reader of formats is told to follow."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def read_frame(source: BinaryIO) -> bytes | None:
    """None at the end of the input."""
    start = source.read(LENGTH.size)
    return None if len(start) < LENGTH.size else source.read(LENGTH.unpack(start)[0])
