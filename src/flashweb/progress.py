"""Progress on standard error: a moving line on a terminal, now and then a plain line anywhere else.

Knows nothing of what is being counted. Imports nothing of ours.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TextIO

_WIDTH = 24
_REDRAW_SECONDS = 0.1  # on a terminal
_REPORT_SECONDS = 5.0  # in a log file, where every line stays


def human_bytes(count: float) -> str:
    """1536 -> `1.5 KiB`; three significant digits are all a person reads."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


class ProgressBar:
    """`with ProgressBar("loading", total) as bar: bar.update(done)`; a bar that was never updated stays silent.

    `total` counts bytes when `is_bytes`, else anything; rate and remaining time are shown for bytes.
    """

    def __init__(self, label: str, total: float, *, is_bytes: bool = False, stream: TextIO | None = None) -> None:
        self.label, self.total, self.is_bytes = label, total, is_bytes
        self.stream = sys.stderr if stream is None else stream
        self.moving = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self._started = time.monotonic()
        self._first: float | None = None  # what was already there when we began; it must not count into the rate
        self._shown_at = -_REPORT_SECONDS
        self._shown = ""

    def update(self, done: float) -> None:
        self._first = done if self._first is None else self._first
        now = time.monotonic()
        if now - self._shown_at >= (_REDRAW_SECONDS if self.moving else _REPORT_SECONDS) or done >= self.total:
            self._shown_at = now
            self._show(done, now)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.moving and self._shown:
            self.stream.write("\n")
            self.stream.flush()

    def erase(self) -> None:
        """Take the moving line away again, for bars that only fill a wait."""
        if self.moving and self._shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
        self._shown = ""

    def _show(self, done: float, now: float) -> None:
        text = self._line(done, now)
        if text == self._shown:
            return
        self._shown = text
        self.stream.write(f"\r\x1b[K{text}" if self.moving else f"{text}\n")
        self.stream.flush()

    def _line(self, done: float, now: float) -> str:
        share = min(1.0, done / self.total) if self.total else 1.0
        bar = "█" * round(share * _WIDTH) + "·" * (_WIDTH - round(share * _WIDTH)) if self.moving else ""
        words = [self.label, bar, f"{share:4.0%}"]
        if self.is_bytes:
            words += [f"{human_bytes(done)} of {human_bytes(self.total)}", self._rate(done, now)]
        elif self.total > 1:
            words += [f"{done:.0f} of {self.total:.0f}", self._left(done, now)]
        return "  ".join(word for word in words if word)

    def _rate(self, done: float, now: float) -> str:
        moved, seconds = done - (self._first or 0), now - self._started
        if moved <= 0 or seconds < 0.5:
            return ""
        left = self._left(done, now)
        return f"{human_bytes(moved / seconds)}/s" + (f", {left}" if left else "")

    def _left(self, done: float, now: float) -> str:
        """At the rate so far."""
        moved, seconds = done - (self._first or 0), now - self._started
        left = (self.total - done) * seconds / moved if moved > 0 and seconds >= 0.5 else 0.0
        if left < 1:
            return ""
        minutes, hours = left / 60, left / 3600
        return f"{left:.0f} s left" if left < 120 else f"{minutes:.0f} min left" if hours < 2 else f"{hours:.1f} h left"


class StageBars:
    """One bar after another on the same line, as a start-up goes from stage to stage; `clear()` leaves nothing."""

    def __init__(self, labels: Mapping[str, str], stream: TextIO | None = None) -> None:
        self._labels, self._stream = labels, stream
        self._stage = ""
        self._bar: ProgressBar | None = None

    def show(self, stage: str, share: float) -> None:
        """`share` of `stage` is done, 0 to 1; stages without a label are not shown."""
        if stage not in self._labels:
            return
        if stage != self._stage or self._bar is None:
            self.clear()
            self._stage, self._bar = stage, ProgressBar(self._labels[stage], 1.0, stream=self._stream)
        self._bar.update(share)

    def clear(self) -> None:
        if self._bar is not None:
            self._bar.erase()
            self._bar = None


ENGINE_STAGES: Mapping[str, str] = {
    "import": "starting the engine",
    "weights": "loading the model",
    "memory": "making room for the cache",
    "warmup": "warming up",
}
