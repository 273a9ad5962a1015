"""Bytes -> an upright RGB (or grey) picture of the target size, with every check that a header allows made first.

The bytes decide what a picture is, never a file name or a declared media type. Only the formats in `_SIGNATURES` are
ever handed to a decoder, each by name, so Pillow's other plug-ins (FITS, PDF, TIFF, EPS, ...) cannot be reached.
Error texts are ours: a decoder's own words may hold addresses. Knows nothing of networks, requests or event loops.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image

from flashweb.errors import FlashwebError, InvalidImage, TooLarge, UnsupportedMediaType
from flashweb.media.settings import MediaSettings
from flashweb.video.containers import CLIPS, kind_of

OFFERED = "PNG, JPEG, WebP, GIF, BMP, AVIF or HEIC"

_MAX_JPEG_SCANS = 200  # cameras and tools write about 10

_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}

# What a sender may have meant, for a message that helps; none of these is ever decoded.
_KNOWN_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", 'a PDF document (send it as a part of type "file")'),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"SIMPLE", "a FITS file"),
    (b"%!PS", "a PostScript file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\0\0\x01\0", "an icon file"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"8BPS", "a Photoshop file"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"<!DOCTYPE", "a web page"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"{", "a JSON document"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a picture say, before anything is decoded; sizes are after EXIF orientation."""

    format: str
    height: int
    width: int
    orientation: int  # EXIF, 1..8

    @property
    def num_pixels(self) -> int:
        return self.height * self.width


def sniff(data: bytes | memoryview) -> str:
    """Pillow's name of the format these bytes begin like. Raises InvalidImage or UnsupportedMediaType."""
    head = bytes(data[:64])
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith(b"BM"):
        return "BMP"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[i : i + 4] for i in range(16, min(len(head), int.from_bytes(head[:4])), 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIC_BRANDS:
            return "HEIF"
    if not head:
        raise InvalidImage(f"the picture is empty (0 bytes); send the bytes of a {OFFERED} file", code="invalid_image")
    stripped = head.lstrip()
    for signature, what in _KNOWN_OTHERS:
        if stripped.startswith(signature):
            raise UnsupportedMediaType(f"the bytes are {what}, no picture of a kind read here; send a {OFFERED} file")
    if kind_of(head) in CLIPS:
        what = 'a clip (send it to /v1/chat/completions as a part of type "video_url")'
        raise InvalidImage(f"the bytes are {what}, no picture of a kind read here; send a {OFFERED} file")
    raise InvalidImage(f"the bytes are no picture of a kind read here; send a {OFFERED} file")


def read_header(data: bytes, settings: MediaSettings) -> Header:
    """Check everything the header tells: format, sides, pixels, aspect ratio. Decodes nothing.

    Raises InvalidImage, UnsupportedMediaType, TooLarge.
    """
    _check_before_opening(data, settings)
    with _decoder_errors(None), _opened(data) as image:
        width, height = image.size
        orientation = _orientation(image)
        format = image.format or ""
        if image.info.get("progressive"):
            _check_scans(data)
    if orientation >= 5:
        width, height = height, width
    header = Header(format, height, width, orientation)
    check_size(header, settings)
    return header


def _check_before_opening(data: bytes, settings: MediaSettings) -> None:
    """What must be known before even Pillow's lazy `open` sees the bytes."""
    format = sniff(data)
    if format == "WEBP" and (size := _webp_size(data)):  # opening one allocates its canvas
        check_size(Header("WEBP", size[0], size[1], 1), settings)


def _check_scans(data: bytes) -> None:
    """Every scan of a progressive JPEG walks the whole picture: a few bytes each, seconds of work together."""
    if (num_scans := data.count(b"\xff\xda")) > _MAX_JPEG_SCANS:
        raise InvalidImage(
            f"the JPEG has {num_scans} scans, the limit is {_MAX_JPEG_SCANS}; save it as a baseline JPEG"
        )


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) of a WebP canvas by its first chunk (RFC 9649), None when it cannot be told."""
    if len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[27:30], "little") + 1, int.from_bytes(data[24:27], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(data[28:30], "little") & 0x3FFF, int.from_bytes(data[26:28], "little") & 0x3FFF
    return None


def check_size(header: Header, settings: MediaSettings) -> None:
    """Refuse zero sides, too many pixels and ribbons."""
    height, width = header.height, header.width
    if height < 1 or width < 1:
        raise InvalidImage(f"the picture is {width}x{height} pixels; both sides must be at least 1")
    if header.num_pixels > settings.max_pixels:
        raise TooLarge(
            f"the picture is {width}x{height} = {header.num_pixels:,} pixels, the limit is {settings.max_pixels:,}; "
            "scale it down before sending"
        )
    if max(height, width) > settings.max_aspect_ratio * min(height, width):
        raise TooLarge(
            f"the picture is {width}x{height} pixels, {max(height, width) / min(height, width):.0f}:1, the limit is "
            f"{settings.max_aspect_ratio:g}:1; crop it or cut it into pieces"
        )


def decode(data: bytes, header: Header) -> Image.Image:
    """Decode the first frame, upright, mode RGB or L (grey stays one plane). Raises InvalidImage when truncated."""
    with _decoder_errors(header), _opened(data) as image:
        if image.size != _stored_size(header):
            raise InvalidImage("the picture's header contradicts itself; save it again with another program")
        image.load()
        upright = _upright(image, header.orientation)
        return to_rgb(upright)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB or L. Transparency is laid on white; 16-bit grey keeps its upper 8 bits."""
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep_grey(image)
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """16-bit grey -> 8 bits by its upper byte (Pillow's own conversion clips at 255, which turns scans white)."""
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray((values.clip(0, 65535) >> 8).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return rgba.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba).convert("RGB")


_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _TRANSPOSE.get(orientation)
    return image if method is None else image.transpose(method)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; anything unreadable counts as upright."""
    if image.format == "PNG" and not image.info.keys() & {"exif", "Raw profile type exif"}:
        return 1  # getexif() would decode the whole picture in search of a late chunk
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # a broken EXIF block says nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _stored_size(header: Header) -> tuple[int, int]:
    """(width, height) as stored in the file, before the orientation is applied."""
    return (header.height, header.width) if header.orientation >= 5 else (header.width, header.height)


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open by the format that the bytes show, and by no other."""
    format = sniff(data)
    if format == "HEIF":
        _register_heif()
    with Image.open(io.BytesIO(data), formats=(format,)) as image:
        yield image


def _register_heif() -> None:
    try:
        import pi_heif
    except ImportError:
        raise UnsupportedMediaType(
            "the bytes are a HEIC picture, and this server runs without HEIC support; send JPEG or PNG, or let its "
            "operator install the package pi-heif"
        ) from None
    pi_heif.register_heif_opener()


@contextmanager
def _decoder_errors(header: Header | None) -> Iterator[None]:
    """Turn whatever a decoder raises into our words; its own may hold addresses or paths."""
    try:
        yield
    except FlashwebError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLarge("the picture holds far more pixels than the limit; scale it down before sending") from None
    except MemoryError:
        raise TooLarge("the picture needs more memory than there is; scale it down before sending") from None
    except Exception as error:
        truncated = "truncated" in str(error) or isinstance(error, EOFError)
        what = f"this {header.format} picture" if header else "the picture"
        reason = f"{what} ends too early (truncated)" if truncated else f"{what} is damaged and cannot be decoded"
        raise InvalidImage(f"{reason}; send the complete file") from None
