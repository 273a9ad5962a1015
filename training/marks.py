"""Simple drawn things with a name: shapes, the invented brand marks and marks like them, bar codes.

Pillow drawing only, no text.
"""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from training.draw import Colour

Fill: TypeAlias = Colour | int
Draw = ImageDraw.ImageDraw


def polygon(cx: float, cy: float, radius: float, corners: int, turn: float) -> list[tuple[float, float]]:
    return [
        (
            cx + radius * math.sin(turn + 2 * math.pi * k / corners),
            cy - radius * math.cos(turn + 2 * math.pi * k / corners),
        )
        for k in range(corners)
    ]


def star_points(cx: float, cy: float, radius: float) -> list[tuple[float, float]]:
    """Ten corners of a five-pointed star."""
    outer, inner = polygon(cx, cy, radius, 5, 0.0), polygon(cx, cy, radius * 0.42, 5, math.pi / 5)
    return [point for pair in zip(outer, inner, strict=True) for point in pair]


def shape_corners(name: str, cx: float, cy: float, radius: float) -> list[tuple[float, float]]:
    """The corners of what `shape` draws; of round things, points around them."""
    q = radius * 0.86
    match name:
        case "square":
            return [(cx + dx * q, cy + dy * q) for dx in (-1, 1) for dy in (-1, 1)]
        case "cross":
            arm = radius * 0.3
            corners = [(arm, q), (q, arm)]
            return [(cx + dx * x, cy + dy * y) for x, y in corners for dx in (-1, 1) for dy in (-1, 1)]
        case "triangle":
            return polygon(cx, cy + radius * 0.15, radius, 3, 0.0)
        case "diamond":
            return [(cx, cy - radius), (cx + radius * 0.7, cy), (cx, cy + radius), (cx - radius * 0.7, cy)]
        case "hexagon":
            return polygon(cx, cy, radius, 6, math.pi / 6)
        case "star":
            return star_points(cx, cy, radius)
        case _:
            return polygon(cx, cy, radius, 16, 0.0)


def shape(draw: Draw, name: str, cx: float, cy: float, radius: float, colour: Colour, outline: Colour | None) -> None:
    """One of `content.SHAPES`, inside the circle of that radius."""
    q = radius * 0.86
    match name:
        case "circle":
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=colour, outline=outline)
        case "ring":
            thickness = max(3, int(radius * 0.32))
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), outline=colour, width=thickness)
        case "square":
            draw.rectangle((cx - q, cy - q, cx + q, cy + q), fill=colour, outline=outline)
        case "cross":
            arm = radius * 0.3
            draw.rectangle((cx - arm, cy - q, cx + arm, cy + q), fill=colour)
            draw.rectangle((cx - q, cy - arm, cx + q, cy + arm), fill=colour)
        case "triangle":
            draw.polygon(polygon(cx, cy + radius * 0.15, radius, 3, 0.0), fill=colour, outline=outline)
        case "diamond":
            points = [(cx, cy - radius), (cx + radius * 0.7, cy), (cx, cy + radius), (cx - radius * 0.7, cy)]
            draw.polygon(points, fill=colour, outline=outline)
        case "hexagon":
            draw.polygon(polygon(cx, cy, radius, 6, math.pi / 6), fill=colour, outline=outline)
        case "star":
            draw.polygon(star_points(cx, cy, radius), fill=colour, outline=outline)
        case _:
            raise AssertionError(name)


def brand(draw: Draw, name: str, cx: float, cy: float, radius: float, colour: Fill, paper: Fill) -> None:
    """The mark of one of `content.BRANDS` in one colour on `paper`."""
    s = radius
    match name:
        case "NOVA":  # star inside a disc
            draw.ellipse((cx - s, cy - s, cx + s, cy + s), fill=colour)
            draw.polygon(star_points(cx, cy, s * 0.72), fill=paper)
        case "LUMO":  # half sun over two bars
            draw.pieslice((cx - s * 0.8, cy - s, cx + s * 0.8, cy + s * 0.6), 180, 360, fill=colour)
            draw.rectangle((cx - s, cy, cx + s, cy + s * 0.25), fill=colour)
            draw.rectangle((cx - s, cy + s * 0.5, cx + s, cy + s * 0.75), fill=colour)
        case "KITE":  # split diamond with a tail
            draw.polygon([(cx, cy - s), (cx - s * 0.7, cy), (cx, cy + s)], fill=colour)
            draw.line([(cx, cy - s), (cx + s * 0.7, cy), (cx, cy + s)], fill=colour, width=max(2, int(s * 0.16)))
        case "ORBI":  # ring with a dot on it
            width = max(2, int(s * 0.22))
            draw.ellipse((cx - s * 0.85, cy - s * 0.85, cx + s * 0.85, cy + s * 0.85), outline=colour, width=width)
            draw.ellipse((cx + s * 0.25, cy - s, cx + s, cy - s * 0.25), fill=colour)
        case "PEAK":  # two mountains
            draw.polygon(
                [(cx - s, cy + s * 0.7), (cx - s * 0.3, cy - s * 0.8), (cx + s * 0.4, cy + s * 0.7)], fill=colour
            )
            draw.polygon(
                [(cx + s * 0.1, cy + s * 0.7), (cx + s * 0.55, cy - s * 0.2), (cx + s, cy + s * 0.7)], fill=colour
            )
        case "WAVI":  # three waves
            for k in range(3):
                y = cy + s * (0.6 * k - 0.6)
                points = [(cx + s * t / 8, y + s * 0.18 * math.sin(math.pi * t / 4)) for t in range(-8, 9)]
                draw.line(points, fill=colour, width=max(2, int(s * 0.2)))
        case "TRIO":  # three discs
            for k in range(3):
                x, y = polygon(cx, cy + s * 0.1, s * 0.55, 3, 0.0)[k]
                draw.ellipse((x - s * 0.42, y - s * 0.42, x + s * 0.42, y + s * 0.42), fill=colour)
        case "HEXA":  # hexagon ring around a hexagon
            draw.polygon(polygon(cx, cy, s, 6, 0.0), fill=colour)
            draw.polygon(polygon(cx, cy, s * 0.74, 6, 0.0), fill=paper)
            draw.polygon(polygon(cx, cy, s * 0.42, 6, 0.0), fill=colour)
        case _:
            raise AssertionError(name)


DECOYS = ("stop", "moon", "pane", "arrow", "petals", "hill", "badge", "ripples", "gem", "nut", "ball", "dawn")


def decoy(draw: Draw, name: str, cx: float, cy: float, radius: float, colour: Fill, paper: Fill) -> None:
    """A mark that is no brand's, some of them much like one: a single mountain, four discs, a star in a square."""
    s = radius
    width = max(2, int(s * 0.2))
    match name:
        case "stop":
            draw.ellipse((cx - s, cy - s, cx + s, cy + s), fill=colour)
            draw.rectangle((cx - s * 0.6, cy - s * 0.18, cx + s * 0.6, cy + s * 0.18), fill=paper)
        case "moon":
            draw.ellipse((cx - s, cy - s, cx + s, cy + s), fill=colour)
            draw.ellipse((cx - s * 0.4, cy - s * 0.9, cx + s * 1.3, cy + s * 0.8), fill=paper)
        case "pane":
            draw.rectangle((cx - s, cy - s, cx + s, cy + s), fill=colour)
            for dx in (-1, 1):
                for dy in (-1, 1):
                    x, y, q = cx + dx * s * 0.45, cy + dy * s * 0.45, s * 0.3
                    draw.rectangle((x - q, y - q, x + q, y + q), fill=paper)
        case "arrow":
            draw.polygon([(cx - s, cy - s * 0.25), (cx, cy - s * 0.25), (cx, cy - s * 0.8), (cx + s, cy),
                          (cx, cy + s * 0.8), (cx, cy + s * 0.25), (cx - s, cy + s * 0.25)], fill=colour)  # fmt: skip
        case "petals":
            for dx, dy in ((0, -1), (0, 1), (-1, 0), (1, 0)):
                x, y, q = cx + dx * s * 0.55, cy + dy * s * 0.55, s * 0.42
                draw.ellipse((x - q, y - q, x + q, y + q), fill=colour)
        case "hill":
            draw.polygon([(cx - s, cy + s * 0.7), (cx, cy - s * 0.8), (cx + s, cy + s * 0.7)], fill=colour)
        case "badge":
            draw.rectangle((cx - s, cy - s, cx + s, cy + s), fill=colour)
            draw.polygon(star_points(cx, cy, s * 0.8), fill=paper)
        case "ripples":
            for k in range(2):
                y = cy + s * (0.7 * k - 0.35)
                draw.line([(cx - s, y), (cx - s * 0.33, y - s * 0.4), (cx + s * 0.33, y + s * 0.4), (cx + s, y)],
                          fill=colour, width=width)  # fmt: skip
        case "gem":
            draw.polygon([(cx, cy - s), (cx + s * 0.7, cy), (cx, cy + s), (cx - s * 0.7, cy)], fill=colour)
        case "nut":
            draw.polygon(polygon(cx, cy, s, 6, 0.0), fill=colour)
            draw.ellipse((cx - s * 0.45, cy - s * 0.45, cx + s * 0.45, cy + s * 0.45), fill=paper)
        case "ball":
            draw.ellipse((cx - s, cy - s, cx + s, cy + s), outline=colour, width=width)
            draw.line([(cx - s, cy), (cx + s, cy)], fill=colour, width=width)
        case "dawn":
            draw.ellipse((cx - s * 0.6, cy - s, cx + s * 0.6, cy + s * 0.2), fill=colour)
            draw.rectangle((cx - s, cy + s * 0.5, cx + s, cy + s * 0.8), fill=colour)
        case _:
            raise AssertionError(name)


@lru_cache(4096)
def mark_mask(name: str, radius: int, turn: int) -> Image.Image:
    """A brand mark or decoy as alpha, turned by so many degrees; its centre is the picture's."""
    side = 2 * (radius + 6)
    big = Image.new("L", (3 * side, 3 * side))
    (decoy if name in DECOYS else brand)(ImageDraw.Draw(big), name, 1.5 * side, 1.5 * side, 3.0 * radius, 255, 0)
    if turn:
        big = big.rotate(turn, Image.Resampling.BILINEAR)
    return big.reduce(3)


def mark_corners(name: str, x: int, y: int, radius: int, turn: float) -> list[tuple[float, float]]:
    """Points around the ink of a mark: both ends of every third row and of the first and last one."""
    mask = np.asarray(mark_mask(name, radius, round(turn))) > 80
    rows = np.flatnonzero(mask.any(axis=1))
    points = []
    for row in sorted({int(rows[0]), int(rows[-1]), *(int(k) for k in rows[::3])}):
        columns = np.flatnonzero(mask[row])
        for column in (int(columns[0]), int(columns[-1]) + 1):
            points += [(x - radius - 6.0 + column, y - radius - 6.0 + row + end) for end in (0, 1)]
    return points


def bar_code(draw: Draw, r: Random, x0: int, y0: int, x1: int, y1: int, colour: Colour) -> None:
    """Upright bars that encode nothing."""
    x = x0
    while x < x1:
        width = r.choice((1, 1, 2, 3))
        draw.rectangle((x, y0, min(x1, x + width - 1), y1), fill=colour)
        x += width + r.choice((1, 1, 2, 3))
