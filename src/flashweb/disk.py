"""Folders of our own, readable by nobody else, what makes files last, and the one translation of what a disk answers to
what a caller is told.

Every store goes through it: jobs, files, responses. The log gets the path and the error, the caller neither.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
from pathlib import Path
from typing import IO

from flashweb.errors import StorageBroken, StorageFull, StorageReadOnly, StorageUnavailable

log = logging.getLogger("flashweb.disk")
WAY_OUT = "Come back later."
_FULL = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_READ_ONLY_CODES = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
_BUSY_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# What SQLite says when it cannot grow the files beside the database, whatever the reason: one has to look.
_VAGUE_CODES = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
_ROOM_BYTES = 64 << 10  # the index of its write-ahead log alone takes half of it


def private_folder(path: Path) -> Path:
    """The folder, made with mode 0700 where it is not there, to last. Raises OSError."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)
    return path


def sync(opened: IO[bytes]) -> None:
    """What was written outlives the machine. The file's name is its folder's matter. Raises OSError."""
    opened.flush()
    os.fsync(opened.fileno())


def sync_folder(path: Path) -> None:
    """The names in it are on the disk, and those that are gone are gone. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(error: Exception, path: Path, way_out: str = WAY_OUT) -> StorageUnavailable:
    """What a caller is told of an OSError or a sqlite3.Error about `path`: StorageFull, StorageReadOnly, StorageBroken,
    or StorageUnavailable where another process only took too long. `way_out` ends the message."""
    log.error("cannot use %s: %s", path, error)
    number = getattr(error, "errno", None)
    code = getattr(error, "sqlite_errorcode", -1) & 0xFF  # without what it says more exactly
    if number in _FULL or code == sqlite3.SQLITE_FULL or (code in _VAGUE_CODES and _has_no_room(path)):
        return StorageFull(
            "The disk of this server is full: nothing was kept of this request. Delete files that are no longer needed "
            f"(DELETE /v1/files/{{id}}), or have its operator make room in --data-dir. {way_out}"
        )
    was_moved = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_DBMOVED
    if number in _READ_ONLY or (code in _READ_ONLY_CODES and not was_moved):
        return StorageReadOnly(
            "This server may not write to its storage: nothing was kept of this request. Its operator finds the reason "
            f"in the log (a read-only disk, or rights on --data-dir). {way_out}"
        )
    if code in _BUSY_CODES:
        return StorageUnavailable(f"This server's storage is busy: nothing was kept of this request. {way_out}")
    return StorageBroken(
        "This server's storage is broken: nothing was kept of this request. Its operator finds the reason in the log "
        f"(a damaged file or disk, or something else in the place of --data-dir). {way_out}"
    )


def _has_no_room(path: Path) -> bool:
    for folder in (path, *path.parents):
        if folder.is_dir():
            return shutil.disk_usage(folder).free < _ROOM_BYTES
    return False
