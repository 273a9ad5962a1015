"""Which numbers of patches of large pictures have a captured graph, when they come to have one, and which goes.

Knows nothing of towers or CUDA: recording is the caller's.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable

logger = logging.getLogger(__name__)

Replay = Callable[[], object]

MAX_GRAPHS = 4
# A graph spares the host nearly all of a large picture's launches, 7 to 14 ms, and the device nothing (H200); recording
# one takes as long as two or three such pictures (30 to 60 ms), and everybody waits. So a number that comes again has
# one while there is room. In another's place it must have come often enough for the exchange to pay: pictures of ever
# new sizes would otherwise be recorded one after the other.
RECORD_AT, REPLACE_AT = 2, 8
MAX_COUNTED = 64  # numbers without a graph that are remembered


class LargeGraphs:
    def __init__(self, record: Callable[[int], Replay], least: int, most: int) -> None:
        """`record(patches)` makes a graph, or raises RuntimeError; numbers below `least` or above `most` have none."""
        self._record = record
        self._least, self._most = least, most
        self._graphs: OrderedDict[int, Replay] = OrderedDict()  # used last at the end, as in `_times`
        self._times: OrderedDict[int, int] = OrderedDict()

    @property
    def recorded(self) -> list[int]:
        """Numbers of patches that have a graph, the one used last at the end."""
        return list(self._graphs)

    def replay_for(self, num_patches: int) -> Replay | None:
        """The graph for a picture that is to be encoded now, recorded if it is time for that; None: there is none."""
        if not self._least <= num_patches <= self._most:
            return None
        if num_patches in self._graphs:
            self._graphs.move_to_end(num_patches)
            return self._graphs[num_patches]
        times = self._times.pop(num_patches, 0) + 1
        if times >= (RECORD_AT if len(self._graphs) < MAX_GRAPHS else REPLACE_AT):
            return self.record(num_patches)
        self._times[num_patches] = times
        if len(self._times) > MAX_COUNTED:
            self._times.popitem(last=False)
        return None

    def record(self, num_patches: int) -> Replay | None:
        """Makes a graph now. Where that fails, a line in the log says so, and from then on no other is tried."""
        try:
            replay = self._record(num_patches)
        except RuntimeError as error:  # out of memory too
            reason = str(error).partition("\n")[0]  # torch adds a page
            logger.warning("large pictures are encoded without new CUDA graphs, which is slower: %s", reason)
            self._most = 0
            return None
        self._graphs[num_patches] = replay
        if len(self._graphs) > MAX_GRAPHS:
            # Nothing launched before is under way any more: recording has waited for the device.
            self._graphs.popitem(last=False)
        return replay
