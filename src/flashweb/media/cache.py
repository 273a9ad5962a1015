"""`PictureCache`: prepared pictures by digest, bounded in bytes, least recent use dropped first; single flight.

Whoever asks first makes the picture, in the thread that asks; whoever asks meanwhile gets the same future. The maker is
a job of a thread pool that cannot be cancelled once it runs: a caller who leaves takes the picture from nobody.
Failures are told to those who wait and not kept. Knows nothing of formats, event loops or engines.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from flashweb.types import PixelPatches


class PictureCache:
    def __init__(self, max_bytes: int) -> None:
        """0 keeps nothing; pictures asked for at the same time are made once all the same."""
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, PixelPatches] = OrderedDict()  # least recently used first
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
                future.set_result(self._entries[digest])
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

    def _put(self, digest: bytes, picture: PixelPatches) -> None:
        if picture.patches.nbytes > self.max_bytes:
            return
        self._entries[digest] = picture
        self.num_bytes += picture.patches.nbytes
        while self.num_bytes > self.max_bytes:
            _, dropped = self._entries.popitem(last=False)
            self.num_bytes -= dropped.patches.nbytes
