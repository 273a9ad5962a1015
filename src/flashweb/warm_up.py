"""A picture for the first request: big enough that the tower, the resize and the caches run at a real size.

Drawn with the standard library alone, so that the web process needs no picture library for it.
"""

from __future__ import annotations

import struct
import zlib

WIDTH, HEIGHT = 448, 336


def warm_up_picture() -> bytes:
    """A PNG of WIDTH x HEIGHT: rows of dark dashes on a light slope, the same bytes every time."""
    rows = b"".join(b"\0" + _row(y) for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)  # 8-bit grey, no interlace
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _row(y: int) -> bytes:
    if y % 48 > 40:
        return (b"\x14" * 21 + b"\xe6" * 7) * (WIDTH // 28)
    return bytes(range(200 + y % 32, 200 + y % 32 + 16)) * (WIDTH // 16)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
