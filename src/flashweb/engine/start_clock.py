"""Where the seconds of a start go: consecutive stages, each from the end of the one before it.

    clock = StartClock(process_start())
    ...; clock.done("imports")
    ...; clock.done("weights")

Travels to the web side in `Ready`. Imports no torch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

Stages = tuple[tuple[str, float], ...]
OLDEST_SECONDS = 60.0  # some sandboxes give processes no time of birth: one that seems older is not believed


class StartClock:
    def __init__(self, began: float | None = None) -> None:
        """`began`: a moment of `time.monotonic`; None is now."""
        self._before = time.monotonic() if began is None else began
        self._stages: list[tuple[str, float]] = []

    def done(self, name: str) -> None:
        """A stage ends, the next one begins."""
        now = time.monotonic()
        self._stages.append((name, now - self._before))
        self._before = now

    @property
    def stages(self) -> Stages:
        return tuple(self._stages)


def process_start() -> float:
    """When this process began, as a moment of `time.monotonic`, to a hundredth of a second; now where that cannot be
    told."""
    try:
        with open("/proc/self/stat", encoding="utf-8") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])  # field 22 of proc(5): after boot
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        age = 0.0
    return time.monotonic() - (age if 0.0 < age < OLDEST_SECONDS else 0.0)


def in_words(stages: Iterable[tuple[str, float]]) -> str:
    """ "2.5 s: imports 1.2, weights 0.4, ..."."""
    stages = tuple(stages)
    return f"{sum(seconds for _, seconds in stages):.1f} s: " + ", ".join(
        f"{name} {seconds:.1f}" for name, seconds in stages
    )
