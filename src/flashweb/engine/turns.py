"""Whose turn a step is where background work (batches, jobs) runs beside callers. Pure: told the time, reads no clock.

    nobody else here     everything, at full size; on an accelerator, a little at a time while a caller was here lately
    callers beside it    callers; on an accelerator also background rows that decode, and a little of background prompts
    a prompt of theirs   callers alone, so that its first token comes as if nothing else were there
    held up for long     the share: one step in which a little of background prompts stands in the place of callers'

What the share promises is time: a step's worth, a tenth of all. It is no promise of a place or of blocks, which
callers take.
"""

from __future__ import annotations

from enum import Enum

LATELY_SECONDS = 2.0  # a step under way on an accelerator cannot be left: the next caller finds it small
HELD_UP = 9.0  # times as long as its last step took, then the next is due: background work has a tenth at the least


class Turn(Enum):
    EVERYBODY = "everybody"
    CALLERS = "callers"  # background sequences are left as they are
    BESIDE = "beside"  # whoever decodes, and of background prompts and pictures no more than `Limits` allows


class Share:
    """When background work is due, by the time that its steps took: told of each its beginning and its end."""

    def __init__(self) -> None:
        self._due_at = float("-inf")
        self._num_under_way = 0

    def is_due(self, now: float) -> bool:
        return self._num_under_way == 0 and now >= self._due_at

    def begin(self) -> None:
        self._num_under_way += 1

    def end(self, now: float, seconds: float) -> None:
        """The oldest step begun is over; `seconds`: what it took, of `now`."""
        self._num_under_way -= 1
        self._due_at = now + HELD_UP * seconds
