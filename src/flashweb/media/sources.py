"""What the caller sent, when it holds the picture itself: raw bytes, `data:` URLs and bare base64.

The size is known from the text's length, so the limit is checked before anything is decoded; the text is scanned and
decoded once. Knows nothing of picture formats or networks.
"""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote_to_bytes

import msgspec

from flashweb.errors import InvalidImage, InvalidImageUrl, TooLarge
from flashweb.media.settings import MediaSettings
from flashweb.types import ImagePart

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]*:")
_DATA_HEADER = re.compile(r"data:([^,]{0,256}),", re.IGNORECASE | re.ASCII)
_PIECE_CHARACTERS = 1 << 18

_HINTS = {
    "blob": "a blob: URL exists only inside the browser that made it; send the bytes as a data: URL",
    "file": "files of this machine are never read for a caller; send the bytes as a data: URL",
}


def read_inline(part: ImagePart, settings: MediaSettings) -> bytes | None:
    """The picture's bytes when the part carries them, None when it names an http(s) URL to be fetched.

    Raises InvalidImageUrl for sources nobody here reads, InvalidImage for broken base64, TooLarge.
    """
    if part.data is not None:
        return _within(part.data, settings.max_raw_bytes)
    url = part.url
    assert url is not None
    start = url[:64].lstrip()
    scheme = _SCHEME.match(start)
    if scheme is None:
        return _bare_base64(url, settings)
    name = scheme.group()[:-1].lower()
    if name == "data":
        return _data_url(url, settings)
    if name in ("http", "https"):
        return None
    reason = _HINTS.get(name, f"{name}: URLs are not read; use an http(s) URL or send the bytes as a data: URL")
    raise InvalidImageUrl(f"the picture's URL {shown(url)} cannot be used: {reason}", param="image_url")


def shown(url: str) -> str:
    """A URL short enough for a message, without line breaks."""
    text = url if len(url) <= 80 else url[:77] + "..."
    return repr(text)


def _within(data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise TooLarge(f"the picture has {len(data):,} bytes, the limit is {limit:,}; scale it down or compress it")
    return data


def _data_url(url: str, settings: MediaSettings) -> bytes:
    header = _DATA_HEADER.match(url.lstrip()[:300])
    if header is None:
        raise InvalidImageUrl(
            f"the data: URL {shown(url)} has no comma after its media type; write data:image/png;base64,...",
            param="image_url",
        )
    start = len(url) - len(url.lstrip()) + header.end()
    if header[1].lower().rstrip().endswith(";base64") or header[1].lower() == "base64":
        return _decode_base64(url, start, settings)
    if len(url) - start > 3 * settings.max_image_bytes:
        raise TooLarge(
            f"the picture has over {settings.max_image_bytes:,} bytes, the limit; scale it down or compress it"
        )
    return _within(unquote_to_bytes(url[start:]), settings.max_image_bytes)


def _bare_base64(text: str, settings: MediaSettings) -> bytes:
    # A relative path such as "/pictures/a.png" or "a.png" is also letters and slashes; the dot gives it away.
    if not text.strip():
        raise InvalidImageUrl("the picture's URL is empty; use an http(s) URL or send a data: URL", param="image_url")
    if text.lstrip().startswith(("./", "../", "//", "\\")) or "." in text[:256]:
        raise InvalidImageUrl(
            f"the picture's URL {shown(text)} cannot be used: relative addresses lead nowhere on a server; use a whole "
            "http(s) URL or send the bytes as a data: URL",
            param="image_url",
        )
    return _decode_base64(text, 0, settings)


def _decode_base64(text: str, start: int, settings: MediaSettings) -> bytes:
    """Strict base64 (both alphabets, padding optional, line breaks allowed) of text[start:]."""
    limit = settings.max_image_bytes
    num_characters = len(text) - start
    # 4 characters hold 3 bytes; 4 % more allows line breaks every 76 characters.
    if num_characters > limit // 3 * 4 * 1.04 + 16:
        raise TooLarge(
            f"the picture has about {num_characters // 4 * 3:,} bytes, the limit is {limit:,}; scale it down or "
            "compress it"
        )
    for decode in (_decode_as_sent, _decode_tidied):
        try:
            return _within(decode(text, start), limit)
        except ValueError:  # binascii.Error, msgspec.ValidationError, and text that is not ASCII
            continue
    raise _bad_base64(text)


def _decode_as_sent(text: str, start: int) -> bytes:
    """What well-behaved clients send: nothing but padded base64. In pieces, so that other threads get their turn.

    msgspec's decoder is as strict as binascii's strict mode, and four times as fast.
    """
    pieces = []
    for at in range(start, len(text), _PIECE_CHARACTERS):
        piece = msgspec.convert(text[at : at + _PIECE_CHARACTERS], bytes)
        if len(piece) != _PIECE_CHARACTERS // 4 * 3 and at + _PIECE_CHARACTERS < len(text):
            raise ValueError("padding in the middle")
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _decode_tidied(text: str, start: int) -> bytes:
    """Without white space and percent signs, in the standard alphabet, padded."""
    encoded = text[start:].encode("ascii")
    if b"%" in encoded:
        encoded = unquote_to_bytes(encoded)
    tidy = encoded.translate(bytes.maketrans(b"-_", b"+/"), b" \t\r\n\f\v").rstrip(b"=")
    return binascii.a2b_base64(tidy + b"=" * (-len(tidy) % 4), strict_mode=True)


def _bad_base64(text: str) -> InvalidImage:
    return InvalidImage(
        f"the picture {shown(text)} is neither a URL nor valid base64; encode the file's bytes as base64 or send a "
        "data: URL",
        param="image_url",
    )
