"""The parts of a message that are clips -> ours, whatever dialect they are written in; and pictures that are clips."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING

from flashweb.errors import InvalidRequest
from flashweb.types import ImagePart, Part, VideoPart

if TYPE_CHECKING:
    from flashweb.api.schemas import parts as wire

# What clips begin like, as bytes and as base64; pictures may begin with the same box, and say so by its brand.
_BOX, _EBML, _AVI = b"ftyp", b"\x1a\x45\xdf\xa3", re.compile(rb"RIFF.{4}AVI ", re.DOTALL)
_STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_STILL_ENDS = "|".join(b64encode(brand[1:]).decode() for brand in _STILL_BRANDS)
_IN_BASE64 = re.compile(rf"AAAA..Z0eX..(?!{_STILL_ENDS})|GkXfo|UklGR.{{7}}Vkkg")


def video_part(where: str, part: wire.VideoPart, owner: str | None, max_pixels: int) -> VideoPart:
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
    if not isinstance(part, ImagePart):
        return part
    if not (_is_clip(part.data) if part.data is not None else _says_clip(part.url)):
        return part
    return VideoPart(url=part.url, data=part.data, max_pixels=part.max_pixels)


def _is_clip(data: bytes) -> bool:
    if data[4:8] == _BOX:
        return data[8:12] not in _STILL_BRANDS
    return data.startswith(_EBML) or _AVI.match(data) is not None


def _says_clip(url: str | None) -> bool:
    start = (url or "")[:300].lstrip()
    if start[:5].lower() == "data:":
        start = start.partition(",")[2].lstrip()
    return _IN_BASE64.match(start) is not None
