"""The large texts of stored input, pictures and files as data: URLs or base64, each kept once under its digest.

In a stored item such a text is replaced by `{"kept": digest, "head": ...}`. Only texts are ever replaced, in items
whose fields were checked to be texts, so that no caller can write such an object into an item of its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flashweb.disk import private_folder, sync, sync_folder

FIELDS = frozenset({"image_url", "url", "image", "base64", "data", "file_data"})
MIN_CHARS = 512  # shorter ones are no trouble where they are
Kept = dict[str, bytes]


def taken_out(value: Any, kept: Kept) -> Any:
    """The same JSON value with its large texts replaced; their bytes are put into `kept`, by digest."""
    if isinstance(value, list):
        return [taken_out(one, kept) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: _taken(name, one, kept) for name, one in value.items()}


def _taken(name: str, value: Any, kept: Kept) -> Any:
    if name not in FIELDS or not isinstance(value, str):
        return taken_out(value, kept)
    if len(value) < MIN_CHARS or value.startswith(("http://", "https://")):
        return value
    head, comma, text = value.partition(",") if value.startswith("data:") else ("", "", value)
    data = _decoded(text)
    if data is None:  # written in another way than ours: as it is, so that it comes back as it came
        head, comma, data = "", "text", value.encode()
    digest = hashlib.sha256(data).hexdigest()
    kept[digest] = data
    return {"kept": digest, "head": head + comma}


def _decoded(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def put_back(value: Any, read: Callable[[str], bytes]) -> Any:
    """The opposite of `taken_out`."""
    if isinstance(value, list):
        return [put_back(one, read) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"kept", "head"}:
        data = read(value["kept"])
        return data.decode() if value["head"] == "text" else value["head"] + base64.b64encode(data).decode()
    return {name: put_back(one, read) for name, one in value.items()}


def left_out(value: Any) -> Any:
    """The same with null where a large text was."""
    if isinstance(value, list):
        return [left_out(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"kept", "head"}:
        return None
    return {name: left_out(one) for name, one in value.items()}


class Folder:
    """Files named by the digest of their bytes, mode 0600."""

    def __init__(self, path: Path) -> None:
        self._path = private_folder(path)

    def write(self, digest: str, data: bytes) -> None:
        """To last once `sync` was called. Raises OSError, and leaves nothing then."""
        path = self._path / digest
        beside = path.with_suffix(".new")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
                sync(file)
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise

    def sync(self) -> None:
        sync_folder(self._path)

    def read(self, digest: str) -> bytes:
        return (self._path / digest).read_bytes()

    def remove(self, digest: str) -> None:
        (self._path / digest).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[str]:
        return (path.name for path in self._path.iterdir())
