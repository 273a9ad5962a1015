"""What a clip is by its bytes, whether all of it is there, whether it is encrypted: told before any decoder sees it.

Formats: ISO/IEC 14496-12 (boxes; MP4, QuickTime), RFC 8794 (EBML; Matroska, WebM), Microsoft's RIFF (AVI, WebP). Plain
functions; knows nothing of codecs.
"""

from __future__ import annotations

from collections.abc import Iterator

CLIPS = {"mov": "MP4 or QuickTime", "matroska": "WebM or Matroska", "avi": "AVI"}
ANIMATIONS = {"gif": "GIF", "webp": "WebP", "png": "PNG"}
OFFERED = "MP4, QuickTime, WebM, Matroska or AVI clip, or an animated GIF, WebP or PNG"

# Boxes that a file may begin with, where QuickTime's has no `ftyp`.
_FIRST_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_MAX_BOXES = 10_000


def kind_of(data: bytes) -> str | None:
    """A key of `CLIPS` or `ANIMATIONS`; None for anything else."""
    head = data[:64]
    if head[4:8] == b"ftyp":
        return None if head[8:12] in _STILL_BRANDS else "mov"
    if head[4:8] in _FIRST_BOXES:
        return "mov"
    if head.startswith(_EBML):
        return "matroska"
    if head.startswith(b"RIFF"):
        return {b"AVI ": "avi", b"WEBP": "webp"}.get(head[8:12])
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "png" if head.startswith(b"\x89PNG\r\n\x1a\n") else None


def is_whole(data: bytes, kind: str) -> bool:
    """False where the file's own sizes say that it was longer."""
    match kind:
        case "mov":
            boxes = list(_boxes(data, 0, len(data)))
            return bool(boxes) and all(end <= len(data) for _, _, end in boxes) and _has(boxes, b"moov")
        case "matroska":
            return _matroska_end(data) <= len(data)
        case "avi" | "webp":
            return int.from_bytes(data[4:8], "little") + 8 <= len(data)
    return True


def is_encrypted(data: bytes, kind: str) -> bool:
    """By ISO/IEC 23001-7, in an MP4 file: a track whose samples are of the kind `encv`."""
    return kind == "mov" and any(name == b"encv" for name in _sample_kinds(data))


def _has(boxes: list[tuple[bytes, int, int]], name: bytes) -> bool:
    return any(found == name for found, _, _ in boxes)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its content begins, where it ends) of each box in a row."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size, name, header = int.from_bytes(data[start : start + 4]), data[start + 4 : start + 8], 8
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16]), 16
        elif size == 0:  # to the end
            size = end - start
        if size < header:
            return
        yield name, start + header, start + size
        start += size


def _sample_kinds(data: bytes) -> Iterator[bytes]:
    spans = [(0, len(data))]
    for name in _PATH:
        spans = [(begin, end) for span in spans for found, begin, end in _boxes(data, *span) if found == name]
    for begin, end in spans:
        yield from (name for name, _, _ in _boxes(data, begin + 8, min(end, len(data))))


def _matroska_end(data: bytes) -> int:
    """Where the segment ends, by its own size; 0 where it does not say."""
    size, at = _ebml_size(data, 4)
    at += size
    if data[at : at + 4] != _SEGMENT:
        return 0
    size, at = _ebml_size(data, at + 4)
    return at + size


def _ebml_size(data: bytes, at: int) -> tuple[int, int]:
    """(an element's size, where it begins); 0 for one that is not known."""
    first = data[at] if at < len(data) else 0
    if not first:
        return 0, at
    length = 9 - first.bit_length()
    value = int.from_bytes(data[at : at + length]) & ((1 << 7 * length) - 1)
    return (0 if value == (1 << 7 * length) - 1 else value), at + length
