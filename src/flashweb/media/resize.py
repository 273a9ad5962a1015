"""One bicubic resize, exactly Pillow's pixels, on two or four cores when the picture is large and they are free.

Pillow releases the interpreter lock while it resamples, so vertical strips of the target (halves, quarters) can be made
at the same time, each by one ordinary `resize(..., box=strip)`. That gives the same pixels as the whole only when

- Pillow's 32-bit floats hold the edges of the strips in the source: they do for halves and quarters of whole numbers;
- Pillow takes its two passes in the same order for the strips as for the whole. It makes every row shorter first,
  but (since version 13, `ImagingResampleInner`) every column first when the height shrinks by more than twice what
  the width shrinks; such pictures are not split;
- the filter weights of the strips come out the same. They are computed from other floating-point expressions
  and then rounded to 22 bits; for up to a few per cent of all widths one of them rounds differently. `weights_agree`
  repeats Pillow's arithmetic, in its order of operations, and tells.

Both are also tried out once per process on a small picture (`strips_work_here`), should Pillow change one day.
"""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_BICUBIC = Image.Resampling.BICUBIC
_SUPPORT = 2.0  # of the bicubic filter, in target pixels
_WEIGHT_BITS = 22  # Pillow's PRECISION_BITS for 8-bit channels
_SPLIT_FROM_PIXELS = 400_000  # source + target, for two strips; below, a second thread costs what it saves


@dataclass(frozen=True, slots=True)
class Piece:
    """A vertical strip of the target, in target pixels, and the strip of the source it is made from."""

    left: int
    width: int
    box: tuple[float, float, float, float]


def pieces(image: Image.Image, height: int, width: int, *, most: int) -> list[Piece]:
    """The target as one piece, or as two or four when that gives the same pixels and is worth the threads; never more
    than `most`."""
    for count in (4, 2):
        if count <= most and _worth_splitting(image, height, width, count):
            return _strips(image, width, count)
    return _strips(image, width, 1)


def resize_piece(image: Image.Image, height: int, piece: Piece) -> Image.Image:
    """One strip of an RGB or L picture resized to `height`: bicubic with antialiasing."""
    assert image.mode in ("RGB", "L")
    if image.size == (piece.width, height) and piece.box == (0.0, 0.0, float(image.width), float(image.height)):
        return image  # Pillow would copy it
    return image.resize((piece.width, height), _BICUBIC, box=piece.box)


def columns_may_go_first(source: tuple[int, int], height: int, width: int) -> bool:
    """Pillow 13's condition for making the vertical pass first; older ones never do. `source` is (width, height)."""
    return source[1] > height and source[1] - height > 2 * (source[0] - width)


@lru_cache(maxsize=1)
def columns_go_first_here() -> bool:
    """Whether this Pillow has that condition: tried on a small picture."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 40), dtype=np.uint8))
    columns_first = image.resize((40, 28), _BICUBIC).resize((56, 28), _BICUBIC)
    return image.resize((56, 28), _BICUBIC).tobytes() == columns_first.tobytes()


def _strips(image: Image.Image, width: int, count: int) -> list[Piece]:
    size, step = width // count, image.width / count
    return [Piece(i * size, size, (i * step, 0, (i + 1) * step, image.height)) for i in range(count)]


def _worth_splitting(image: Image.Image, height: int, width: int, count: int) -> bool:
    if 2 * (image.width * image.height + width * height) < count * _SPLIT_FROM_PIXELS:
        return False
    if image.size == (width, height):
        return False
    if columns_may_go_first(image.size, height, width) or width % 28:
        return False
    return strips_work_here() and weights_agree(image.width, width, count)


@lru_cache(maxsize=4096)
def weights_agree(source: int, target: int, count: int) -> bool:
    """Whether the filter weights of `source` -> `target` pixels are the same made in `count` strips as made at once."""
    whole = _weights(source, 0.0, float(source), target)
    step = source / count
    strips = [_weights(source, i * step, (i + 1) * step, target // count) for i in range(count)]
    return all(np.array_equal(a, np.concatenate(b)) for a, b in zip(whole, zip(*strips, strict=True), strict=True))


def _weights(source: int, start: float, end: float, target: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc` for its bicubic filter.

    Returns (first source pixel [target], weights [target, taps]); weights behind the last tap are 0.
    """
    scale = (end - start) / target
    stretch = max(scale, 1.0)
    support = _SUPPORT * stretch
    center = start + (np.arange(target) + 0.5) * scale
    first = np.maximum((center - support + 0.5).astype(np.int64), 0)
    last = np.minimum((center + support + 0.5).astype(np.int64), source)
    taps = math.ceil(support) * 2 + 1
    weights = np.zeros((taps, target))
    total = np.zeros(target)
    for tap in range(taps):
        weight = np.where(first + tap < last, _bicubic((tap + first - center + 0.5) * (1.0 / stretch)), 0.0)
        weights[tap] = weight
        total += weight
    weights /= np.where(total != 0.0, total, 1.0)
    scaled = weights * (1 << _WEIGHT_BITS)
    return first, np.where(scaled < 0, scaled - 0.5, scaled + 0.5).astype(np.int64).T


def _bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


@lru_cache(maxsize=1)
def strips_work_here() -> bool:
    """Whether this Pillow on this machine gives the same pixels in strips: tried on a small picture.

    Other processors may fuse multiplication and addition, which `weights_agree` does not repeat.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    pixels = np.random.default_rng(0).integers(0, 256, (61, 90, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    for height, width in ((56, 84), (84, 112), (84, 56)):  # columns never first for these
        whole = np.asarray(image.resize((width, height), _BICUBIC))
        for count in (2, 4):
            if not weights_agree(image.width, width, count):
                return False
            strips = [np.asarray(resize_piece(image, height, piece)) for piece in _strips(image, width, count)]
            if not np.array_equal(whole, np.concatenate(strips, axis=1)):
                return False
    return True
