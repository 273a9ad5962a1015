"""`NamedPictures`: picture files under the names their callers gave them, bounded in bytes, least recent use dropped
first.

A name is (whose, uuid), so that nobody reaches a picture of another caller, whatever uuid he guesses. In memory only.
Knows nothing of formats; whoever takes a file from here checks it like any other. Used from the event loop alone.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

from flashweb.errors import ImageNotFound

Name: TypeAlias = tuple[str, str]

_ENTRY_BYTES = 512  # of the names and the table, so that tiny pictures cannot fill the memory with entries


class NamedPictures:
    def __init__(self, max_bytes: int) -> None:
        """0 keeps nothing."""
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._files: OrderedDict[Name, bytes] = OrderedDict()  # least recently used first

    def keep(self, name: Name, file: bytes) -> None:
        """From now on this is the picture of that name, unless it is larger than the whole bound."""
        self._drop(name)
        if len(file) + _ENTRY_BYTES > self.max_bytes:
            return
        self._files[name] = file
        self.num_bytes += len(file) + _ENTRY_BYTES
        while self.num_bytes > self.max_bytes:
            self._drop(next(iter(self._files)))

    def find(self, name: Name) -> bytes:
        """Raises ImageNotFound when nothing is kept under that name, or not any more."""
        file = self._files.get(name)
        if file is None:
            raise ImageNotFound(
                f"No picture is kept under the uuid {name[1][:80]!r} for this key: it was never sent, or it has made "
                "room for newer ones (--media-uuid-memory). Send the picture again, with the uuid beside it.",
                param="uuid",
            )
        self._files.move_to_end(name)
        return file

    def _drop(self, name: Name) -> None:
        file = self._files.pop(name, None)
        if file is not None:
            self.num_bytes -= len(file) + _ENTRY_BYTES
