"""`EncoderCache`: vision features by picture digest, bounded in bytes, oldest use dropped first.

Entries are pinned while a sequence still has to read them; pinned entries are never dropped, so the bound may be
passed for as long as they are in use (the tower's budget per step bounds by how much). Knows nothing of torch: what
it keeps is whatever the runner puts in.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Generic, TypeVar

Features = TypeVar("Features")


class EncoderCache(Generic[Features]):
    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self.queries = 0  # pictures looked up
        self.hits = 0
        self._entries: OrderedDict[bytes, tuple[Features, int]] = OrderedDict()  # least recently used first
        self._pins: Counter[bytes] = Counter()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes) -> Features:
        """Raises KeyError when the features are not here."""
        self._entries.move_to_end(digest)
        return self._entries[digest][0]

    def put(self, digest: bytes, features: Features, num_bytes: int) -> None:
        if digest in self._entries:
            return
        self._entries[digest] = (features, num_bytes)
        self.num_bytes += num_bytes
        self._shrink()

    def pin(self, digest: bytes) -> None:
        """Keep this picture's features, now or once they are put, until as many `unpin`s."""
        self._pins[digest] += 1

    def unpin(self, digest: bytes) -> None:
        self._pins[digest] -= 1
        assert self._pins[digest] >= 0
        if self._pins[digest] == 0:
            del self._pins[digest]
            self._shrink()

    def forget(self, digest: bytes) -> None:
        """Features that may be wrong (NaN) are not kept for the next request; those in use stay with their users."""
        if digest in self._entries and digest not in self._pins:
            self._drop(digest)

    def _drop(self, digest: bytes) -> None:
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
        assert self._pins == pinned, "pins differ from what the sequences hold"
        loose = sum(size for digest, (_, size) in self._entries.items() if digest not in self._pins)
        assert self.num_bytes <= self.max_bytes or loose == 0, "over the bound with entries nobody uses"
