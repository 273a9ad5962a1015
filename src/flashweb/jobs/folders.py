"""Folders and files of our own, readable by nobody else, and the words for a disk that does not take them."""

from __future__ import annotations

import errno
import logging
import sqlite3
from pathlib import Path

from flashweb.errors import StorageFull, StorageUnavailable

log = logging.getLogger("flashweb.jobs")
_FULL = {errno.ENOSPC, errno.EDQUOT}


def private_folder(path: Path) -> Path:
    """The folder, made with mode 0700 where it is not there. Raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def storage_error(error: Exception, path: Path) -> StorageUnavailable:
    """What a caller is told of a disk's error. The log gets the path and the error, the caller neither."""
    log.error("cannot use %s: %s", path, error)
    number = getattr(error, "errno", None)
    is_full = number in _FULL or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if is_full:
        return StorageFull(
            "The disk of this server is full: nothing was kept of this request. Delete files that are no longer needed "
            "(DELETE /v1/files/{id}), or have its operator make room in --data-dir."
        )
    return StorageUnavailable(
        "This server cannot write to its storage: nothing was kept of this request. Its operator finds the reason in "
        "the log (a read-only disk, or rights on --data-dir)."
    )
