"""Files of ours as browsers want them: known types, packed with gzip, an ETag, and how long they may be kept.

Text is stored packed (`index.html.gz`), is asked for without the `.gz`, sent as it lies there, and unpacked for the few
who do not take gzip. What is stored unpacked (fonts, pictures) is sent so: it is packed in its own way.

A folder is listed and read when the app is made, so no path is ever made from a request, and a folder that is built
anew under a running server changes nothing until the next start: an index.html never names files that are gone.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".woff2": "font/woff2",
    ".webp": "image/webp",
    ".png": "image/png",
}
PACKED = ".gz"
KEPT_FOR_A_YEAR = "public, max-age=31536000, immutable"  # names that say what is in the file
ASKED_AGAIN = "no-cache"  # kept, and asked for by its ETag each time
NOT_MODIFIED = 304


class StaticFile:
    def __init__(self, suffix: str, stored: bytes, lifetime: str, *, packed: bool) -> None:
        self._stored = stored
        self._packed = packed
        self._media_type = TYPES[suffix]
        self._lifetime = lifetime
        self._tag = hashlib.sha256(stored).hexdigest()[:32]
        self._plain: bytes | None = None if packed else stored

    async def answer(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """The file, packed for who takes that, or 304 for who has it. Another site cannot show or read it."""
        tag = self._tag
        more: dict[str, str] = {}
        gzipped = self._packed and takes_gzip(request.headers.get("accept-encoding", ""))
        if self._packed:
            more["vary"] = "Accept-Encoding"
        if gzipped:
            # Another representation, so another tag; a cache must not confuse the two.
            tag, more["content-encoding"] = f"{tag}-gz", "gzip"
        more |= {"etag": f'"{tag}"', "cache-control": self._lifetime, "cross-origin-resource-policy": "same-origin"}
        more |= headers or {}
        if names_tag(request.headers.get("if-none-match", ""), tag):
            more.pop("content-encoding", None)
            return Response(status_code=NOT_MODIFIED, headers=more)
        return Response(self._stored if gzipped else await self._unpacked(), media_type=self._media_type, headers=more)

    async def _unpacked(self) -> bytes:
        """Once, at the first request for it, on a thread: streams get their tokens meanwhile."""
        if self._plain is None:
            self._plain = await asyncio.to_thread(gzip.decompress, self._stored)
        return self._plain


@cache
def read_folder(folder: Path, lifetime: str) -> Mapping[str, StaticFile]:
    """The folder's files of known types by name, its subfolders left out; nothing where there is no folder."""
    found: dict[str, StaticFile] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name = path.name.removesuffix(PACKED)
        suffix = Path(name).suffix
        if suffix in TYPES and path.is_file():
            found[name] = StaticFile(suffix, path.read_bytes(), lifetime, packed=name != path.name)
    return found


def takes_gzip(accepted: str) -> bool:
    """Of an Accept-Encoding header; the coding's own entry counts before `*`."""
    weights: dict[str, bool] = {}
    for entry in accepted.lower().split(","):
        coding, _, parameters = entry.partition(";")
        weight = parameters.replace(" ", "").removeprefix("q=")
        weights[coding.strip()] = weight.strip("0.") != "" or not parameters
    return weights.get("gzip", weights.get("*", False))


def names_tag(given: str, tag: str) -> bool:
    """Whether an If-None-Match header names it; weak tags are as good here (RFC 9110, 13.1.2)."""
    tags = [one.strip().removeprefix("W/") for one in given.split(",")]
    return f'"{tag}"' in tags or "*" in tags
