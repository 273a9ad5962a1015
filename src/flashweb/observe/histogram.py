"""`Observed`: a Prometheus histogram that is told of a dozen values per request, and looks at them when somebody asks.

The library walks through the edges and takes two locks for every value. Here a value is put aside, and many are sorted
into the buckets at once, by bisection and with one addition to each bucket.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque

from prometheus_client import Histogram


class Observed:
    """One series of a histogram. `observe` may be called from any thread, `settle` too."""

    def __init__(self, series: Histogram) -> None:
        self._series = series
        self._waiting: deque[float] = deque()
        self.observe = self._waiting.append

    def settle(self) -> None:
        """Put what waits into the buckets."""
        edges, total = self._series._upper_bounds, 0.0
        found: Counter[int] = Counter()
        while self._waiting:
            try:
                value = self._waiting.popleft()
            except IndexError:  # somebody else settles too
                break
            found[bisect_left(edges, value)] += 1
            total += value
        for index, count in found.items():
            self._series._buckets[index].inc(count)
        if found:
            self._series._sum.inc(total)
