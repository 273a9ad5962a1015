"""`PictureCache`: prepared pictures by digest, bounded in bytes, least recent use dropped first; single flight.

Whoever asks first makes the picture, in the thread that asks; whoever asks meanwhile gets the same future. The maker is
a job of a thread pool that cannot be cancelled once it runs: a caller who leaves takes the picture from nobody.
Failures are told to those who wait and not kept. Knows nothing of formats, event loops or engines.

A picture may also be found by the very text it was sent as (base64 mostly), whole texts compared and nothing hashed:
comparing costs a tenth of decoding, and no two pictures can be taken for each other.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeAlias

from flashweb.types import PixelPatches

_Mark: TypeAlias = tuple[int, str, str]


@dataclass(slots=True)
class Kept:
    """A prepared picture, and what it was sent as the last time: "" when that is not known or no text."""

    picture: PixelPatches
    text: str = ""
    num_file_bytes: int = 0  # of what the text holds
    file_hash: str = ""  # its MD5, where somebody wants it

    @property
    def num_bytes(self) -> int:
        return self.picture.patches.nbytes + len(self.text)


class PictureCache:
    def __init__(self, max_bytes: int) -> None:
        """0 keeps nothing; pictures asked for at the same time are made once all the same."""
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, Kept] = OrderedDict()  # least recently used first
        self._digests: dict[_Mark, bytes] = {}  # of pictures whose text is kept
        self._under_way: dict[bytes, Future[PixelPatches]] = {}

    def get(self, digest: bytes, make: Callable[[], PixelPatches]) -> Future[PixelPatches]:
        """The picture of this digest: done, failed, or being made in another thread. Waits for no other thread.

        `make` is called here, before this returns, when nobody has the picture. Its patches are shared from then on
        and become read-only.
        """
        with self._lock:
            if digest in self._under_way:
                return self._under_way[digest]
            future: Future[PixelPatches] = Future()
            future.set_running_or_notify_cancel()  # one of several who wait must not cancel it for the others
            if digest in self._entries:
                self._entries.move_to_end(digest)
                future.set_result(self._entries[digest].picture)
                return future
            self._under_way[digest] = future
        try:
            picture = make()
        except BaseException as error:
            with self._lock:
                del self._under_way[digest]
            future.set_exception(error)
            return future
        picture.patches.flags.writeable = False
        with self._lock:
            del self._under_way[digest]
            self._put(digest, picture)
        future.set_result(picture)
        return future

    def find(self, text: str) -> Kept | None:
        """The picture that was sent as exactly this text and is still here."""
        with self._lock:
            digest = self._digests.get(_mark(text))
            if digest is None or self._entries[digest].text != text:
                return None
            self._entries.move_to_end(digest)
            return self._entries[digest]

    def remember(self, text: str, num_file_bytes: int, digest: bytes, file_hash: str = "") -> None:
        """The picture of this digest, if it is still here, was sent as `text`, which holds a file of so many bytes.

        The text counts against the bound. Of several texts for one picture the last is kept, of several pictures
        whose texts differ only between what `_mark` looks at the last is found.
        """
        with self._lock:
            kept = self._entries.get(digest)
            if kept is None or not text.isascii():  # an ASCII text has a byte per character
                return
            if kept.picture.patches.nbytes + len(text) > self.max_bytes:
                return
            self._forget_text(digest, kept)
            self.num_bytes += len(text)
            kept.text, kept.num_file_bytes, kept.file_hash = text, num_file_bytes, file_hash
            self._digests[_mark(text)] = digest
            self._entries.move_to_end(digest)
            self._shrink()

    def _put(self, digest: bytes, picture: PixelPatches) -> None:
        if picture.patches.nbytes > self.max_bytes:
            return
        self._entries[digest] = Kept(picture)
        self.num_bytes += picture.patches.nbytes
        self._shrink()

    def _shrink(self) -> None:
        while self.num_bytes > self.max_bytes:
            digest, dropped = self._entries.popitem(last=False)
            self._forget_text(digest, dropped)
            self.num_bytes -= dropped.num_bytes

    def _forget_text(self, digest: bytes, kept: Kept) -> None:
        if not kept.text:
            return
        if self._digests.get(_mark(kept.text)) == digest:
            del self._digests[_mark(kept.text)]
        self.num_bytes -= len(kept.text)
        kept.text = ""


def _mark(text: str) -> _Mark:
    """What tells most pictures apart at a glance; a match is compared in full."""
    middle = len(text) // 2
    return len(text), text[middle : middle + 64], text[-64:]
