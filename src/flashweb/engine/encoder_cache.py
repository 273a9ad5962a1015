"""`EncoderCache`: vision features by picture digest, bounded in bytes, oldest use dropped first.

Entries are pinned while a sequence still has to read them; pinned entries are never dropped, so the bound may be
passed for as long as they are in use: by what the tower's budget allows for sequences that brought pixels, and at most
once more by those that came without, which hold what was here when they came, to their end. Knows nothing of torch:
what it keeps is whatever the runner puts in.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Generic, TypeVar

Features = TypeVar("Features")


class PixelsNeeded(Exception):
    """A picture came without pixels, and its features are not here."""


class EncoderCache(Generic[Features]):
    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self.queries = 0  # pictures looked up
        self.hits = 0
        self._entries: OrderedDict[bytes, tuple[Features, int]] = OrderedDict()  # least recently used first
        self._pins: Counter[bytes] = Counter()
        self._doubted: set[bytes] = set()  # forgotten while pinned: still read by those who hold them, by nobody else
        self._changes: dict[bytes, bool] = {}  # digest -> whether it is here now, since they were asked for

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._entries and digest not in self._doubted

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes) -> Features:
        """Raises KeyError when the features are not here."""
        self._entries.move_to_end(digest)
        return self._entries[digest][0]

    def put(self, digest: bytes, features: Features, num_bytes: int) -> None:
        if digest in self:
            return
        if digest in self._entries:
            self._drop(digest)  # doubted: whoever holds it goes on with these
        self._changes[digest] = True
        self._entries[digest] = (features, num_bytes)
        self.num_bytes += num_bytes
        self._shrink()

    def pin(self, digest: bytes) -> None:
        """Keep this picture's features, now or once they are put, until as many `unpin`s."""
        self._pins[digest] += 1
        if digest in self._entries:
            self._entries.move_to_end(digest)

    def unpin(self, digest: bytes) -> None:
        self._pins[digest] -= 1
        assert self._pins[digest] >= 0
        if self._pins[digest] == 0:
            del self._pins[digest]
            if digest in self._doubted:
                self._drop(digest)
            self._shrink()

    def forget(self, digest: bytes) -> None:
        """Features that may be wrong (NaN) are not kept for the next request; those in use stay with their users."""
        if digest not in self:
            return
        if digest not in self._pins:
            self._drop(digest)
        else:
            self._doubted.add(digest)
            self._changes[digest] = False

    def take_changes(self) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """(added, dropped): digests that can be relied on now, and that no longer can, since the last call."""
        changes, self._changes = self._changes, {}
        added = tuple(digest for digest, is_here in changes.items() if is_here)
        return added, tuple(digest for digest, is_here in changes.items() if not is_here)

    def _drop(self, digest: bytes) -> None:
        self._doubted.discard(digest)
        self._changes[digest] = False
        self.num_bytes -= self._entries.pop(digest)[1]

    def _shrink(self) -> None:
        if self.num_bytes <= self.max_bytes:
            return
        for digest in [d for d in self._entries if d not in self._pins]:
            self._drop(digest)
            if self.num_bytes <= self.max_bytes:
                return

    def check_integrity(self, pinned: Counter[bytes]) -> None:
        """Raises AssertionError unless bytes add up and the pins are those of the living sequences."""
        assert self.num_bytes == sum(size for _, size in self._entries.values())
        assert self._doubted <= self._entries.keys() & self._pins.keys(), "doubted, but nobody holds it"
        assert self._pins == pinned, "pins differ from what the sequences hold"
        loose = sum(size for digest, (_, size) in self._entries.items() if digest not in self._pins)
        assert self.num_bytes <= self.max_bytes or loose == 0, "over the bound with entries nobody uses"
