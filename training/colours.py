"""When two colours can be told apart: distances in CIELAB (1976). Knows the named colours of `content.COLOURS`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from random import Random

from training.content import COLOURS
from training.draw import Colour, luminance
from training.layouts.plan import Plan

SHAPE_GAP, TEXT_GAP, TEXT_LUMA_GAP = 34.0, 45.0, 72.0  # least distance of a shape and of text from the paper


@lru_cache(65_536)
def lab(colour: Colour) -> tuple[float, float, float]:
    """CIE L*a*b* of an sRGB colour (IEC 61966-2-1, D65 white)."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)]
    r, g, b = linear
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def distance(a: Colour, b: Colour) -> float:
    """Euclidean in CIELAB; about 2 is the least that an eye sees side by side."""
    return math.dist(lab(a), lab(b))


def nearest(colour: Colour, names: Sequence[str] = tuple(COLOURS)) -> str:
    """The named colour that is closest."""
    return min(names, key=lambda name: distance(colour, COLOURS[name][1]))


def visible(name: str, paper: Colour, text: bool) -> bool:
    """Whether a named colour stands off the paper enough to be named, as a shape or as text."""
    colour = COLOURS[name][1]
    if text and abs(luminance(colour) - luminance(paper)) < TEXT_LUMA_GAP:
        return False
    return distance(colour, paper) >= (TEXT_GAP if text else SHAPE_GAP)


def paper_for_colours(r: Random) -> Colour:
    """White, light and tinted, dark, or of middle brightness."""
    kind = r.random()
    if kind < 0.40:
        level = r.randint(232, 255)
        return (level, level, level)
    if kind < 0.76:
        return (r.randint(205, 255), r.randint(205, 255), r.randint(195, 255))
    if kind < 0.88:
        return (r.randint(0, 60), r.randint(0, 60), r.randint(0, 70))
    return (r.randint(90, 220), r.randint(90, 220), r.randint(90, 220))


def fit_colours(r: Random, plan: Plan, paper: Colour) -> None:
    """Rename, before anything is drawn, the colours that could not be told from the paper; one name by one other."""
    for_shapes, for_text = (_replacements(r, paper, text) for text in (False, True))
    for shape in plan.shapes:
        shape.colour = for_shapes[shape.colour]
    for piece in plan.pieces:
        if piece.colour_name is not None:
            piece.colour_name = for_text[piece.colour_name]


def _replacements(r: Random, paper: Colour, text: bool) -> dict[str, str]:
    kept = [name for name in COLOURS if visible(name, paper, text)]
    kept = kept or ["black" if luminance(paper) > 127 else "white"]
    return {name: name if name in kept else r.choice(kept) for name in COLOURS}
