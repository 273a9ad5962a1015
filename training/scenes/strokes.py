"""Things drawn with a pen or a stamp: digits by hand, signatures, seals. Alpha masks only; knows no page."""

from __future__ import annotations

import math
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training import marks
from training.draw import Pixels, Type, shape

# Strokes in a box of width 0..1 (right) and height 0..1 (down); several shapes for some.
_STROKES: dict[str, tuple[tuple[tuple[tuple[float, float], ...], ...], ...]] = {
    "0": ((((0.5, 0), (0.1, 0.25), (0.08, 0.7), (0.45, 1), (0.85, 0.75), (0.9, 0.3), (0.5, 0)),),),
    "1": ((((0.5, 0), (0.5, 1)),), (((0.3, 0.2), (0.55, 0), (0.5, 1)),)),
    "2": ((((0.1, 0.22), (0.4, 0), (0.8, 0.15), (0.75, 0.45), (0.1, 1), (0.95, 0.97)),),),
    "3": ((((0.12, 0.08), (0.6, 0), (0.82, 0.22), (0.4, 0.47), (0.88, 0.68), (0.6, 1), (0.1, 0.92)),),),
    "4": (
        (((0.5, 0), (0.05, 0.65), (0.95, 0.65)), ((0.68, 0.3), (0.66, 1))),
        (((0.6, 1), (0.65, 0), (0.05, 0.68), (0.95, 0.66)),),
    ),
    "5": ((((0.85, 0.02), (0.25, 0.02), (0.2, 0.42), (0.65, 0.4), (0.9, 0.7), (0.55, 1), (0.1, 0.92)),),),
    "6": ((((0.75, 0), (0.25, 0.4), (0.1, 0.78), (0.45, 1), (0.85, 0.75), (0.55, 0.5), (0.15, 0.72)),),),
    "7": ((((0.08, 0.04), (0.9, 0.02), (0.4, 1)),),),
    "8": (
        (((0.5, 0.47), (0.15, 0.2), (0.5, 0), (0.85, 0.2), (0.5, 0.47), (0.1, 0.78), (0.5, 1), (0.9, 0.76),
          (0.5, 0.47)),),
    ),
    "9": ((((0.82, 0.28), (0.5, 0.5), (0.15, 0.28), (0.45, 0), (0.82, 0.2), (0.8, 0.6), (0.6, 1)),),),
    ".": ((((0.3, 0.94), (0.42, 0.99)),),),
    "=": ((((0.05, 0.42), (0.95, 0.4)), ((0.05, 0.66), (0.95, 0.64))),),
    "x": ((((0.12, 0.35), (0.85, 1)), ((0.85, 0.35), (0.1, 1))),),
    "y": ((((0.1, 0.35), (0.48, 0.78)), ((0.88, 0.35), (0.2, 1.25))),),
}  # fmt: skip
HAND_CHARACTERS = frozenset(_STROKES)


def _curve(points: list[tuple[float, float]], steps: int = 5) -> list[tuple[float, float]]:
    """A smooth line through all points (Catmull-Rom)."""
    if len(points) < 3:
        return points
    padded = [points[0], *points, points[-1]]
    out = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for k in range(steps):
            t = k / steps
            out.append(tuple(
                0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)
                for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
            ))  # fmt: skip
    return [*out, points[-1]]  # type: ignore[list-item]


def _draw_lines(lines: list[list[tuple[float, float]]], width: int, height: int, pen: float, scale: int = 2) -> Pixels:
    """Lines in pixels as an alpha mask [height, width], smooth by drawing larger."""
    image = Image.new("L", (width * scale, height * scale))
    draw = ImageDraw.Draw(image)
    thickness = max(1, round(pen * scale))
    for line in lines:
        draw.line([(x * scale, y * scale) for x, y in line], fill=255, width=thickness, joint="curve")
    return np.array(image.reduce(scale))


def hand_character(r: Random, char: str, width: float, height: int, pen: float, slant: float) -> Pixels:
    """Mask of a hand-drawn character in a box of width x height px, with a margin of 3 px around."""
    wobble = 0.05
    lines = []
    for stroke in r.choice(_STROKES[char]):
        points = [(x + r.uniform(-wobble, wobble), y + r.uniform(-wobble, wobble)) for x, y in stroke]
        lines.append([(3 + x * width + slant * (1 - y) * height, 3 + y * height) for x, y in _curve(points)])
    pen *= 1.7 if char == "." else 1.0
    full_width = int(width + abs(slant) * height) + 7
    return _draw_lines(lines, full_width, int(height * (1.3 if char == "y" else 1.0)) + 7, pen)


def signature(r: Random, width: int, height: int, pen: float) -> Pixels:
    """A scribble that fills about `width` x `height` px: loops that run to the right, perhaps a flourish below."""
    lines: list[list[tuple[float, float]]] = []
    x, last = 2.0, width - 4.0
    for k in range(r.randint(1, 3)):
        points: list[tuple[float, float]] = []
        step, high = width / r.uniform(9, 16), r.random() < 0.5
        end = min(last, x + width * (r.uniform(0.6, 0.95) if k == 0 else r.uniform(0.3, 0.7)))
        while x < end or len(points) < 4:
            reach = r.uniform(0.05, 0.35) if high else r.uniform(0.55, 0.9)
            points.append((x + r.uniform(-step, step) * 0.6, height * reach))
            x, high = x + step, not high if r.random() < 0.85 else high
        lines.append(_curve(points))
        x = max(2.0, x - width * r.uniform(0, 0.15))
        if x > width * 0.7:
            break
    if r.random() < 0.5:
        lines.append(_curve([(width * r.uniform(0.02, 0.3), height * 0.9),
                             (width * 0.5, height * r.uniform(0.75, 0.95)),
                             (width * r.uniform(0.75, 0.97), height * r.uniform(0.6, 0.9))]))  # fmt: skip
    inside = [[(min(last, max(2.0, px)), min(height - 3.0, max(2.0, py))) for px, py in line] for line in lines]
    return _draw_lines(inside, width, height, pen)


def seal(r: Random, text: str, setting: Type, radius: int, square: bool) -> Pixels:
    """A seal of 2 * radius px: round with the text above a star, or square with the text in two or three columns."""
    image = Image.new("L", (2 * radius, 2 * radius))
    draw = ImageDraw.Draw(image)
    edge = max(2, radius // 16)
    glyphs = [Image.fromarray(bitmap.alpha) for bitmap in shape(text, setting).bitmaps if bitmap is not None]
    if square:
        draw.rectangle((1, 1, 2 * radius - 2, 2 * radius - 2), outline=255, width=edge)
        columns = 2 if len(glyphs) <= 4 else 3
        rows = -(-len(glyphs) // columns)
        for k, glyph in enumerate(glyphs):  # columns run from the right, as on a name seal
            column, row = columns - 1 - k // rows, k % rows
            cell_x, cell_y = (2 * radius - 10) / columns, (2 * radius - 10) / rows
            _paste(image, glyph, 5 + cell_x * (column + 0.5), 5 + cell_y * (row + 0.5))
        return np.array(image)
    draw.ellipse((1, 1, 2 * radius - 2, 2 * radius - 2), outline=255, width=edge)
    draw.polygon(marks.star_points(radius, radius * 1.04, radius * 0.32), fill=255)
    span = min(math.radians(270), (len(glyphs) - 1) * setting.size * 1.25 / (radius * 0.72))
    for k, glyph in enumerate(glyphs):
        angle = -span / 2 + span * k / max(1, len(glyphs) - 1)
        turned = glyph.rotate(-math.degrees(angle), Image.Resampling.BILINEAR, expand=True)
        reach = radius * 0.74
        _paste(image, turned, radius + reach * math.sin(angle), radius - reach * math.cos(angle))
    return np.array(image)


def _paste(image: Image.Image, glyph: Image.Image, x: float, y: float) -> None:
    image.paste(255, (round(x - glyph.width / 2), round(y - glyph.height / 2)), glyph)


def spoil(r: Random, mask: Pixels) -> Pixels:
    """A seal beyond reading: pressed twice while sliding, smeared, or eaten away and smeared."""
    side = mask.shape[0]
    kind = r.randrange(3)
    image = Image.fromarray(mask)
    if kind == 0:
        total, count = np.zeros(mask.shape, np.uint16), 9
        dx, dy = r.uniform(0.10, 0.2) * r.choice((-1, 1)) * side, r.uniform(0.06, 0.2) * r.choice((-1, 1)) * side
        for k in range(count):
            t = k / (count - 1) - 0.5
            total += np.array(image.rotate(0, translate=(round(dx * t), round(dy * t))))
        slid: Pixels = np.minimum(255, total // (count // 2)).astype(np.uint8)
        return slid
    factor = max(5, side // r.randint(9, 13))
    small = image.resize((max(2, side // factor),) * 2, Image.Resampling.BOX)
    smooth = np.array(small.resize(mask.shape[::-1], Image.Resampling.BICUBIC), np.float32) * 1.5
    if kind == 2:
        cells = np.array([[r.choice((0, 0, 255)) for _ in range(6)] for _ in range(6)], np.uint8)
        holes = Image.fromarray(cells).resize(mask.shape[::-1], Image.Resampling.BICUBIC)
        smooth = smooth * (0.25 + 0.75 * np.array(holes, np.float32) / 255)
        soft = np.array(image.filter(ImageFilter.BoxBlur(max(3, side // 26))), np.float32)
        smooth = np.maximum(smooth, soft * 0.5)
    smeared: Pixels = np.clip(smooth, 0, 255).astype(np.uint8)
    return smeared
