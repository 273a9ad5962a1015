"""Simple drawn things with a name: shapes, the invented brand marks, bar codes. Pillow drawing only, no text."""

from __future__ import annotations

import math
from random import Random

from PIL import ImageDraw

from training.draw import Colour

Draw = ImageDraw.ImageDraw


def _polygon(cx: float, cy: float, radius: float, corners: int, turn: float) -> list[tuple[float, float]]:
    return [
        (
            cx + radius * math.sin(turn + 2 * math.pi * k / corners),
            cy - radius * math.cos(turn + 2 * math.pi * k / corners),
        )
        for k in range(corners)
    ]


def star_points(cx: float, cy: float, radius: float) -> list[tuple[float, float]]:
    """Ten corners of a five-pointed star."""
    outer, inner = _polygon(cx, cy, radius, 5, 0.0), _polygon(cx, cy, radius * 0.42, 5, math.pi / 5)
    return [point for pair in zip(outer, inner, strict=True) for point in pair]


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
            draw.polygon(_polygon(cx, cy + radius * 0.15, radius, 3, 0.0), fill=colour, outline=outline)
        case "diamond":
            points = [(cx, cy - radius), (cx + radius * 0.7, cy), (cx, cy + radius), (cx - radius * 0.7, cy)]
            draw.polygon(points, fill=colour, outline=outline)
        case "hexagon":
            draw.polygon(_polygon(cx, cy, radius, 6, math.pi / 6), fill=colour, outline=outline)
        case "star":
            draw.polygon(star_points(cx, cy, radius), fill=colour, outline=outline)
        case _:
            raise AssertionError(name)


def brand(draw: Draw, name: str, cx: float, cy: float, radius: float, colour: Colour, paper: Colour) -> None:
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
                x, y = _polygon(cx, cy + s * 0.1, s * 0.55, 3, 0.0)[k]
                draw.ellipse((x - s * 0.42, y - s * 0.42, x + s * 0.42, y + s * 0.42), fill=colour)
        case "HEXA":  # hexagon ring around a hexagon
            draw.polygon(_polygon(cx, cy, s, 6, 0.0), fill=colour)
            draw.polygon(_polygon(cx, cy, s * 0.74, 6, 0.0), fill=paper)
            draw.polygon(_polygon(cx, cy, s * 0.42, 6, 0.0), fill=colour)
        case _:
            raise AssertionError(name)


def bar_code(draw: Draw, r: Random, x0: int, y0: int, x1: int, y1: int, colour: Colour) -> None:
    """Upright bars that encode nothing."""
    x = x0
    while x < x1:
        width = r.choice((1, 1, 2, 3))
        draw.rectangle((x, y0, min(x1, x + width - 1), y1), fill=colour)
        x += width + r.choice((1, 1, 2, 3))
