"""Set text in cached bitmaps and put it on a picture. Knows faces, sizes and pixels; no layout and no meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from training.fonts import SIZES, Bitmap, Face, FontPack
from training.page import Glyph

Colour: TypeAlias = tuple[int, int, int]
Pixels: TypeAlias = npt.NDArray[np.uint8]


_STEP = [max((step for step in SIZES if step <= size), default=SIZES[0]) for size in range(SIZES[-1] + 1)]


@dataclass(slots=True, eq=False)
class Type:
    """How text is set: faces tried in order for each character, size in px, hinted or smooth, tracking in px."""

    faces: tuple[Face, ...]
    size: int
    smooth: bool = False
    tracking: float = 0.0

    def sized(self, size: int) -> Type:
        """The same type at another size, or the next smaller one of `fonts.SIZES`."""
        return Type(self.faces, _STEP[min(size, len(_STEP) - 1)], self.smooth, self.tracking)

    @property
    def min_size(self) -> int:
        """Below this the faces are not legible."""
        return max(12 if face.script == "latin" and face.min_size <= 14 else face.min_size for face in self.faces[:2])


@dataclass(slots=True, eq=False)
class Run:
    """A text in bitmaps with the x of every pen; the ink reaches from `left` to `right` and `top` to `bottom`."""

    text: str
    bitmaps: list[Bitmap | None]  # None for a space
    pens: list[int]
    width: float
    left: int
    right: int
    top: int
    bottom: int
    size: int


def shape(text: str, setting: Type) -> Run:
    """Choose a face for every character and lay the characters out from pen 0 on baseline 0.

    A character that no face holds is our mistake: the fallback faces at the end of `faces` cover the charset.
    """
    faces, size, smooth, tracking = setting.faces, setting.size, setting.smooth, setting.tracking
    caches = [face.bitmaps(size, smooth) for face in faces]
    bitmaps: list[Bitmap | None] = []
    pens: list[int] = []
    pen, left, right, top, bottom = 0.0, 10_000, -10_000, 10_000, -10_000
    for char in text:
        index = 0
        while char not in faces[index].chars:
            index += 1
        bitmap = caches[index].get(char) or faces[index].draw(char, size, smooth)
        x = int(pen + 0.5)
        pens.append(x)
        pen += bitmap.advance + tracking
        if not bitmap.width:
            bitmaps.append(None)
            continue
        bitmaps.append(bitmap)
        edge = x + bitmap.left
        left = min(left, edge)
        right = max(right, edge + bitmap.width)
        top = min(top, bitmap.top)
        bottom = max(bottom, bitmap.top + bitmap.height)
    if right < left:
        left, right, top, bottom = 0, int(pen), -size // 2, 0
    return Run(text, bitmaps, pens, pen, left, right, top, bottom, size)


def choose_faces(r: Random, pack: FontPack, language: str) -> tuple[Face, ...]:
    """Faces for a page: often a Latin face before a Chinese one; Latin text nearly always has its own face."""
    cjk = r.choice(pack.cjk)
    fallback = pack.cjk[0]
    if language == "zh" and r.random() < 0.5:
        return (cjk, pack.latin[0], fallback)
    if language == "en":
        cjk = fallback
    return (r.choice(pack.latin), cjk, pack.latin[0], fallback)


def luminance(colour: Sequence[float]) -> float:
    """Rec. 601 luma of an RGB colour, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def ink(image: Pixels, run: Run, x: int, baseline: int, colour: Colour, glyphs: list[Glyph]) -> None:
    """Draw a run with its pen at (x, baseline), wholly inside the picture, and note where its characters are."""
    height, width = run.bottom - run.top, run.right - run.left
    mask = np.zeros((height, width), np.uint8)
    size = run.size
    for char, bitmap, pen in zip(run.text, run.bitmaps, run.pens, strict=True):
        if bitmap is None:
            continue
        column, row = pen + bitmap.left - run.left, bitmap.top - run.top
        spot = mask[row : row + bitmap.height, column : column + bitmap.width]
        np.maximum(spot, bitmap.alpha, out=spot)
        glyphs.append(
            Glyph(char, x + pen + bitmap.left + bitmap.width / 2, baseline + bitmap.top + bitmap.height / 2, size)
        )
    blend(image, mask, x + run.left, baseline + run.top, colour)


def blend(image: Pixels, mask: Pixels, x: int, y: int, colour: Colour, opacity: float = 1.0) -> None:
    """Lay a colour over the picture through an alpha mask uint8 [h, w]; parts outside the picture are dropped."""
    height, width = mask.shape
    x0, y0, x1, y1 = max(0, x), max(0, y), min(image.shape[1], x + width), min(image.shape[0], y + height)
    if x1 <= x0 or y1 <= y0:
        return
    alpha = mask[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.int16)[:, :, None]
    if opacity < 1.0:
        alpha = (alpha * opacity).astype(np.int16)
    spot = image[y0:y1, x0:x1]
    # (colour - spot) * alpha / 255 in int16 would overflow: halve alpha to 7 bits first (error at most one level)
    alpha = (alpha + 1) >> 1
    spot[...] = spot + (((np.array(colour, np.int16) - spot) * alpha + 64) >> 7)


def contrasting(r: Random, background: float, gap: float, saturation: float = 0.5) -> Colour:
    """A random colour whose luma differs from `background` by at least `gap`."""
    for _ in range(8):
        if r.random() < saturation:
            colour = (r.randrange(256), r.randrange(256), r.randrange(256))
        else:
            level = r.randrange(256)
            colour = (level, level, level)
        if abs(luminance(colour) - background) >= gap:
            return colour
    return (0, 0, 0) if background > 127 else (255, 255, 255)
