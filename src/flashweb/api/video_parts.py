"""The parts of a message that are clips -> ours, whatever dialect they are written in; and pictures that are clips."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from typing import TYPE_CHECKING

from flashweb.errors import InvalidRequest
from flashweb.types import ImagePart, Part, VideoPart

if TYPE_CHECKING:
    from flashweb.api import schemas

_HEAD_CHARACTERS = 64  # of base64: enough for any container's beginning
_BOX, _EBML, _RIFF = b"ftyp", b"\x1a\x45\xdf\xa3", b"RIFF"
_STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def video_part(where: str, part: schemas.VideoPart, owner: str | None, max_pixels: int) -> VideoPart:
    """`owner`: whose uploaded file an id means (`caller.owner_of`); None where no file has one. Raises InvalidRequest
    that names the part by its path."""
    link = part.video_url
    given = [
        ("video_url", link if isinstance(link, str) or link is None else link.url),
        ("video", part.video),
        ("url", part.url),
        ("file_id", part.file_id),
    ]
    sources = [(name, value) for name, value in given if value is not None]
    if not sources:
        raise InvalidRequest(
            f"{where} names no clip; give video_url a data: URL, an http(s) URL or bare base64, or give the file_id of "
            "an uploaded file.",
            param=where,
        )
    if len(sources) > 1:
        names = " and as ".join(name for name, _ in sources)
        raise InvalidRequest(f"{where} gives a clip as {names}; give it once.", param=where)
    ((name, value),) = sources
    if name == "file_id" and owner is None:
        raise InvalidRequest(f"{where}: uploaded files have no id here; send the bytes.", param=where)
    inner = None if link is None or isinstance(link, str) else link.max_frames
    return VideoPart(
        url=None if name == "file_id" else value,
        file=(owner or "", value) if name == "file_id" else None,
        max_frames=inner or part.max_frames or 0,
        max_pixels=max_pixels,
        where=where,
    )


def or_clip(part: Part) -> Part:
    """A picture of a request that has no parts of its own for clips: the clip that its bytes are."""
    if not isinstance(part, ImagePart) or not _is_clip(_head(part)):
        return part
    return VideoPart(url=part.url, data=part.data, max_pixels=part.max_pixels)


def _head(part: ImagePart) -> bytes:
    if part.data is not None:
        return part.data[:16]
    start = (part.url or "")[:300].lstrip()
    if start[:5].lower() == "data:":
        start = start.partition(",")[2]
    with suppress(ValueError):
        return b64decode(start[:_HEAD_CHARACTERS], validate=True)
    return b""


def _is_clip(head: bytes) -> bool:
    if head[4:8] == _BOX:
        return head[8:12] not in _STILL_BRANDS
    return head.startswith(_EBML) or (head.startswith(_RIFF) and head[8:12] == b"AVI ")
