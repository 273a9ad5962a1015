"""`keep_picture_memory`: glibc is to keep what pictures of usual size need for the next one. Knows nothing of pictures.

By default glibc gives memory back to the kernel as soon as a picture is done, and fetches it page by page for the
next: 400 page faults for one of 448 px, a seventh of all that its request costs (docs/experiments.md).
"""

from __future__ import annotations

import contextlib
import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 16 << 20  # at most, for each of malloc's arenas: about one per thread that prepares pictures
_OWN_MAPPING_FROM_BYTES = 8 << 20  # larger pieces always go back at once


def keep_picture_memory() -> None:
    """For the whole process; no effect without glibc, nor where the operator has set glibc's own variables."""
    if os.environ.keys() & {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"}:
        return
    with contextlib.suppress(OSError, AttributeError):  # other systems; musl has no mallopt
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING_FROM_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
