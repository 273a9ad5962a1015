"""`PageCache`: what is known of documents and their drawn pages, bounded in bytes, least recent use dropped first.
Knows nothing of what it keeps. Used from the event loop alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

_ENTRY_BYTES = 512  # of the key and the table, so that many small entries are bounded too


class PageCache:
    def __init__(self, max_bytes: int) -> None:
        """0 keeps nothing."""
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()  # least recently used first

    def find(self, key: Hashable) -> Any | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def keep(self, key: Hashable, value: Any, num_bytes: int = 0) -> None:
        """`num_bytes` beyond those of a small entry. What is larger than the whole bound is not kept."""
        size = num_bytes + _ENTRY_BYTES
        if key in self._entries or size > self.max_bytes:
            return
        self._entries[key] = value, size
        self.num_bytes += size
        while self.num_bytes > self.max_bytes:
            self.num_bytes -= self._entries.popitem(last=False)[1][1]
