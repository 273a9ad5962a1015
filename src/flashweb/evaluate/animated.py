"""Pictures and their seconds as one clip that a server shows the model again as exactly these pictures.

The clip is an animated PNG (W3C PNG, third edition, 11.3.7): lossless, and every frame stands in it whole, also one
that is like the frame before, which the writers of animations leave out. Each picture stands in it twice, since the
model's tower sees two frames as one picture; the family's rule of sampling takes all frames of a clip that has fewer
than it wants (`flashweb.media.frame_sampling`), so the times of the prompt are the given seconds.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image

from flashweb.evaluate.wear import Worn

SHORTEST, LONGEST = 0.1, 120.0  # seconds between two pictures; what a frame's header can say
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def check_seconds(seconds: Sequence[float], num_pictures: int) -> None:
    """Raises ValueError for seconds that are not one of each picture, rising from 0, and for more pictures than the
    rule of sampling takes of so short a clip."""
    if len(seconds) != num_pictures or seconds[0] != 0:
        raise ValueError(f"{num_pictures} pictures and {list(seconds)} seconds: give one of each, the first is 0")
    if not all(SHORTEST <= after - before <= LONGEST for before, after in pairwise(seconds)):
        raise ValueError(f"seconds {list(seconds)}: each has to be {SHORTEST} to {LONGEST:g} s after the one before")
    duration = seconds[-1] + _last(seconds)
    wanted = duration * (6 if duration <= 30 else 2 if duration <= 300 else 1)
    if 2 * num_pictures >= int(wanted):
        raise ValueError(f"{num_pictures} pictures in {duration:g} s are too many: a server would take others")


def _last(seconds: Sequence[float]) -> float:
    """For how long the last picture is shown: as long as the one before, a single one for 2 s."""
    return seconds[-1] - seconds[-2] if len(seconds) > 1 else 2.0


def animated_png(pictures: Sequence[Path | Worn], seconds: Sequence[float]) -> bytes:
    """The clip. Raises what `check_seconds` does, ValueError where sizes differ, OSError for what is no picture."""
    check_seconds(seconds, len(pictures))
    shown = [_opened(picture) for picture in pictures]
    if len({picture.size for picture in shown}) > 1:
        raise ValueError(f"the pictures of a clip have sizes {sorted({picture.size for picture in shown})}")
    starts = [round(1000 * second) for second in seconds]
    ends = [*starts[1:], starts[-1] + round(1000 * _last(seconds))]
    width, height = shown[0].size
    chunks = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    chunks.append(_chunk(b"acTL", struct.pack(">II", 2 * len(shown), 0)))
    number = 0  # of the chunks that belong to the animation
    for picture, begin, end in zip(shown, starts, ends, strict=True):
        data, half = _image_data(picture), (end - begin) // 2
        for milliseconds in (half, end - begin - half):
            control = (number, width, height, 0, 0, milliseconds, 1000, 0, 0)
            chunks.append(_chunk(b"fcTL", struct.pack(">IIIIIHHBB", *control)))
            number += 1
            if number == 1:  # the first frame is what a reader of still pictures sees
                chunks.append(_chunk(b"IDAT", data))
            else:
                chunks.append(_chunk(b"fdAT", struct.pack(">I", number) + data))
                number += 1
    return b"".join((_SIGNATURE, *chunks, _chunk(b"IEND", b"")))


def _opened(file: Path | Worn) -> Image.Image:
    with Image.open(io.BytesIO(file.read_bytes())) as picture:
        return picture.convert("RGB")


def _image_data(picture: Image.Image) -> bytes:
    """What the IDAT chunks of the picture's own PNG hold."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    data, at, found = file.getvalue(), len(_SIGNATURE), b""
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"IDAT":
            found += data[at + 8 : at + 8 + length]
        at += 12 + length
    return found


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
