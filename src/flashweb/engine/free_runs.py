"""`FreeRuns`: which blocks are free, kept as maximal runs of neighbours.

Attention on the CPU reads a sequence's keys as one view when its blocks lie side by side, and has to copy them when
they do not. So a sequence gets a run, with some free blocks behind it promised to its growth; the promise is kept
as long as free blocks last elsewhere and broken afterwards. Every operation costs O(1), except `place`, which
looks at a bounded number of runs. Knows nothing of sequences or caching.
"""

from __future__ import annotations

from itertools import islice

MAX_LOOKED_AT = 128  # runs that `place` compares before it takes the best so far


class FreeRuns:
    def __init__(self, num_blocks: int) -> None:
        self._length = {0: num_blocks} if num_blocks else {}  # first block of a run -> its length
        self._start = {num_blocks: 0} if num_blocks else {}  # one past a run's last block -> its first
        self._promised: dict[int, int] = {}  # first block -> how many leading ones the left neighbour's owner may want
        self.num_free = num_blocks

    def add(self, block: int) -> int:
        """Takes a block back; the length of the run it now lies in."""
        self.num_free += 1
        start = self._start.pop(block, block)
        left = self._length.get(start, 0)
        right = self._length.pop(block + 1, 0)
        self._promised.pop(block + 1, None)  # promised to the owner of the block that just became free
        length = left + 1 + right
        self._length[start] = length
        self._start[start + length] = start
        return length

    def next_to(self, block: int) -> int:
        """How many free blocks follow `block` directly."""
        return self._length.get(block + 1, 0)

    def is_promised(self, block: int) -> bool:
        """Whether the free blocks right behind `block` are kept for somebody's growth."""
        return self._promised.get(block + 1, 0) > 0

    def take_next_to(self, block: int, count: int = 1) -> list[int]:
        """The `count` free blocks right behind `block`, whose owner is asking; its promise shrinks by as many."""
        start = block + 1
        left = self._promised.get(start, 0) - count
        taken = self._cut(start, 0, count)
        if left > 0 and start + count in self._length:
            self._promised[start + count] = min(left, self._length[start + count])
        return taken

    def give_up_promise(self, block: int) -> None:
        """The owner of `block`, the last of its table, needs no more."""
        self._promised.pop(block + 1, None)

    def place(self, count: int, growth: int) -> list[int]:
        """`count` neighbouring blocks, with `growth` promised behind them if some run has room for both; else []."""
        best, best_room = -1, 0
        wanted = count + growth
        for start, length in islice(self._length.items(), MAX_LOOKED_AT):
            room = length - self._promised.get(start, 0)
            # Smallest run that holds the growth as well; failing that, the largest.
            better = (wanted <= room < best_room or best_room < wanted <= room) if room >= wanted else room > best_room
            if room >= count and better:
                best, best_room = start, room
        if best < 0:
            return []
        taken = self._cut(best, self._promised.get(best, 0), count)
        behind = taken[-1] + 1
        if growth and behind in self._length:
            self._promised[behind] = min(growth, self._length[behind])
        return taken

    def take_scattered(self, count: int) -> list[int]:
        """Any `count` free blocks, in as few pieces as a quick look finds; promises are broken last, from their end."""
        assert count <= self.num_free, f"{count} blocks wanted, {self.num_free} free"
        taken: list[int] = []
        while len(taken) < count:
            missing = count - len(taken)
            runs = islice(self._length.items(), MAX_LOOKED_AT)
            start, length = max(runs, key=lambda run: run[1] - self._promised.get(run[0], 0))
            kept = self._promised.get(start, 0)
            if length > kept:
                taken += self._cut(start, kept, min(missing, length - kept))
            else:
                piece = min(missing, length)
                taken += self._cut(start, length - piece, piece)
        return taken

    def _cut(self, start: int, offset: int, count: int) -> list[int]:
        """Removes [start + offset, + count) from the run at `start`; what is left stays as one or two runs."""
        length = self._length.pop(start)
        del self._start[start + length]
        promised = self._promised.pop(start, 0)
        assert offset >= 0 and count > 0 and offset + count <= length
        self.num_free -= count
        if offset:
            self._length[start] = offset
            self._start[start + offset] = start
            if promised:
                self._promised[start] = min(promised, offset)
        rest = length - offset - count
        if rest:
            behind = start + offset + count
            self._length[behind] = rest
            self._start[behind + rest] = behind
        return list(range(start + offset, start + offset + count))

    def blocks(self) -> set[int]:
        return {b for start, length in self._length.items() for b in range(start, start + length)}

    def check_integrity(self) -> None:
        """Raises AssertionError unless the runs are disjoint, maximal and counted."""
        assert sum(self._length.values()) == self.num_free == len(self.blocks())
        assert self._start == {start + length: start for start, length in self._length.items()}
        assert all(start not in self._start for start in self._length), "two runs touch"
        assert all(0 < kept <= self._length[start] for start, kept in self._promised.items())
