"""Drawn workpieces, whole or with something missing, and the defects on their surface. Masks and colours only.

A piece is a list of polygons in its own coordinates (about -1 to 1), so that any turn, tilt and size is one matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.draw import Colour, Pixels

Point = tuple[float, float]
Polygon = list[Point]
FloatBox = tuple[float, float, float, float]


@dataclass(slots=True, eq=False)
class Piece:
    """What to draw, in order: ("body" | "hole" | "tone", polygon, shade); shade -1 to 1: darker to lighter."""

    parts: list[tuple[str, Polygon, float]] = field(default_factory=list)
    missing: list[Polygon] = field(default_factory=list)  # where something should be
    counted: str = ""  # the part that may be counted or missing: "hole", "tooth", ...
    count: int = 0  # how many of them are there

    def body(self, polygon: Polygon, shade: float = 0.0) -> None:
        self.parts.append(("body", polygon, shade))

    def hole(self, polygon: Polygon) -> None:
        self.parts.append(("hole", polygon, 0.0))

    def tone(self, polygon: Polygon, shade: float) -> None:
        self.parts.append(("tone", polygon, shade))


def circle(x: float, y: float, radius: float, corners: int = 28) -> Polygon:
    """A circle as a polygon."""
    step = 2 * math.pi / corners
    return [(x + radius * math.cos(k * step), y + radius * math.sin(k * step)) for k in range(corners)]


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _bored(piece: Piece, x: float, y: float, radius: float) -> None:
    """A hole with a rim."""
    piece.tone(circle(x, y, radius * 1.28), -0.25)
    piece.hole(circle(x, y, radius))


def _absent(r: Random, count: int, missing: int) -> set[int]:
    return set(r.sample(range(count), missing))


# --- the pieces: (r, number of missing parts) -> Piece ----------------------------------------------------------------


def gear(r: Random, missing: int) -> Piece:
    """A toothed wheel with a bore."""
    count = r.randint(8, 14)
    gone, root, points = _absent(r, count, missing), r.uniform(0.74, 0.8), Polygon()
    piece = Piece(counted="tooth", count=count - missing)
    for k in range(count):
        a, w = 2 * math.pi * k / count, 2 * math.pi / count
        corners = ((-0.5, root), (-0.27, root), (-0.16, 1.0), (0.16, 1.0), (0.27, root))
        for at, reach in corners:
            reach = root if k in gone else reach
            points.append((reach * math.cos(a + at * w), reach * math.sin(a + at * w)))
        if k in gone:
            middle = (root + 1) / 2
            piece.missing.append(circle(middle * math.cos(a), middle * math.sin(a), (1 - root) * 0.7, 12))
    piece.body(points)
    piece.tone(circle(0, 0, root * 0.86), 0.12)
    if r.random() < 0.5:
        piece.tone(circle(0, 0, 0.42), -0.12)
    _bored(piece, 0, 0, r.uniform(0.18, 0.28))
    return piece


def plate(r: Random, missing: int) -> Piece:
    """A plate with a grid of holes."""
    columns, rows = r.choice(((3, 2), (4, 2), (3, 3), (2, 2), (4, 3)))
    missing = min(missing, columns * rows - 3)
    gone = _absent(r, columns * rows, missing)
    wide, high = 1.0, min(0.95, rows / columns + r.uniform(0, 0.2))
    piece = Piece(counted="hole", count=columns * rows - missing)
    piece.body(rectangle(-wide, -high, wide, high))
    piece.tone(rectangle(-wide + 0.06, -high + 0.06, wide - 0.06, high - 0.06), 0.1)
    _grid_of_holes(piece, columns, rows, wide, high, gone, min(wide / columns, high / rows) * r.uniform(0.34, 0.5))
    return piece


def _grid_of_holes(
    piece: Piece, columns: int, rows: int, wide: float, high: float, gone: set[int], radius: float
) -> None:
    for k in range(columns * rows):
        x, y = wide * (2 * (k % columns + 0.5) / columns - 1), high * (2 * (k // columns + 0.5) / rows - 1)
        if k in gone:
            piece.missing.append(circle(x, y, radius * 1.28))
        else:
            _bored(piece, x, y, radius)


def flange(r: Random, missing: int) -> Piece:
    """A disc with a bore and a ring of holes."""
    count = r.randint(4, 8)
    gone = _absent(r, count, missing)
    piece = Piece(counted="hole", count=count - missing)
    piece.body(circle(0, 0, 1, 48))
    piece.tone(circle(0, 0, 0.94, 48), 0.1)
    piece.tone(circle(0, 0, 0.5, 36), -0.15)
    piece.hole(circle(0, 0, 0.36, 36))
    for k in range(count):
        a, radius = 2 * math.pi * k / count, 0.115
        x, y = 0.72 * math.cos(a), 0.72 * math.sin(a)
        if k in gone:
            piece.missing.append(circle(x, y, radius * 1.28))
        else:
            _bored(piece, x, y, radius)
    return piece


def bolt(r: Random, missing: int) -> Piece:
    """A hexagon bolt from the side; a broken one ends in a jagged edge."""
    piece, half = Piece(counted="" if not missing else "tip"), r.uniform(0.2, 0.28)
    end = 1.0 if not missing else r.uniform(0.2, 0.5)
    tip: Polygon = [(end, -half * 0.7), (end, half * 0.7), (end - 0.08, half)]
    if missing:
        tip = [
            (end, -half),
            (end - 0.14, -half * 0.45),
            (end + 0.05, -half * 0.1),
            (end - 0.12, half * 0.35),
            (end + 0.02, half),
        ]
        piece.missing.append(rectangle(end - 0.1, -half, end + 0.3, half))
    piece.body([(-0.62, half), (-0.62, -half), *([(end - 0.08, -half)] if not missing else []), *tip], -0.08)
    x = -0.1
    while x < end - 0.16:
        piece.tone([(x, -half), (x + 0.045, -half), (x + 0.095, half), (x + 0.05, half)], -0.4)
        x += 0.11
    wide = half * 1.9
    piece.body(
        [(-1.0, -wide * 0.85), (-0.94, -wide), (-0.62, -wide), (-0.62, wide), (-0.94, wide), (-1.0, wide * 0.85)], 0.05
    )
    piece.tone(rectangle(-0.98, -wide * 0.4, -0.62, wide * 0.4), 0.2)
    return piece


def nut(r: Random, missing: int) -> Piece:
    """A hexagon nut; with a corner broken off when something is missing."""
    piece, corners = Piece(), [(math.cos(math.pi * k / 3), math.sin(math.pi * k / 3)) for k in range(6)]
    broken, points = (r.randrange(6) if missing else -1), Polygon()
    for k, (x, y) in enumerate(corners):
        if k != broken:
            points.append((x, y))
            continue
        before, after = corners[k - 1], corners[(k + 1) % 6]
        for t, towards, inward in (
            (0.52, before, 1.0),
            (0.3, before, 0.72),
            (0.1, before, 0.66),
            (0.25, after, 0.76),
            (0.5, after, 1.0),
        ):
            points.append(((x + (towards[0] - x) * t) * inward, (y + (towards[1] - y) * t) * inward))
        piece.missing.append(circle(x * 0.88, y * 0.88, 0.2))
    piece.body(points)
    piece.tone(circle(0, 0, 0.8, 36) if not missing else circle(0, 0, 0.66, 36), 0.12)
    piece.tone(circle(0, 0, 0.55, 36), -0.3)
    piece.hole(circle(0, 0, 0.45, 36))
    return piece


def bracket(r: Random, missing: int) -> Piece:
    """An angle with two holes in each arm."""
    arm, gone = r.uniform(0.42, 0.52), _absent(r, 4, min(missing, 2))
    piece = Piece(counted="hole", count=4 - len(gone))
    low = -0.9
    piece.body([(low, low), (low + arm, low), (low + arm, 0.9 - arm), (0.95, 0.9 - arm), (0.95, 0.9), (low, 0.9)])
    piece.tone([(low + 0.06, low + 0.06), (low + arm - 0.06, low + 0.06), (low + arm - 0.06, 0.9 - arm + 0.06),
                (0.89, 0.9 - arm + 0.06), (0.89, 0.84), (low + 0.06, 0.84)], 0.1)  # fmt: skip
    middle, radius = low + arm / 2, arm * 0.26
    places = [(middle, -0.62), (middle, -0.05), (0.1, 0.9 - arm / 2), (0.67, 0.9 - arm / 2)]
    for k, (x, y) in enumerate(places):
        if k in gone:
            piece.missing.append(circle(x, y, radius * 1.28))
        else:
            _bored(piece, x, y, radius)
    return piece


def bottle(r: Random, missing: int) -> Piece:
    """A bottle with a label; without its cap when something is missing."""
    half, neck, shoulder = r.uniform(0.34, 0.44), r.uniform(0.12, 0.16), r.uniform(-0.42, -0.3)
    piece = Piece()
    piece.body([(-neck, -0.78), (neck, -0.78), (neck, shoulder - 0.15), (half, shoulder + 0.1), (half, 0.96),
                (half - 0.06, 1.0), (-half + 0.06, 1.0), (-half, 0.96), (-half, shoulder + 0.1),
                (-neck, shoulder - 0.15)])  # fmt: skip
    piece.tone(rectangle(-half * 0.75, shoulder + 0.15, -half * 0.5, 0.92), 0.3)
    piece.tone(rectangle(-half, 0.1, half, 0.62), 0.35)
    cap = rectangle(-neck - 0.05, -1.0, neck + 0.05, -0.76)
    if missing:
        piece.missing.append(cap)
        piece.tone(rectangle(-neck, -0.78, neck, -0.73), -0.5)
    else:
        piece.body(cap, -0.55)
    return piece


def board(r: Random, missing: int) -> Piece:
    """A circuit board with components on their pads; bare pads where one is missing."""
    columns, rows = r.choice(((3, 2), (3, 3), (4, 2), (4, 3)))
    gone = _absent(r, columns * rows, missing)
    high = r.uniform(0.6, 0.8)
    piece = Piece(counted="component", count=columns * rows - missing)
    piece.body(rectangle(-1, -high, 1, high), -0.15)
    piece.tone(rectangle(-0.96, -high + 0.04, 0.96, high - 0.04), 0.0)
    for k in range(columns * rows):
        x, y = 0.9 * (2 * (k % columns + 0.5) / columns - 1), (high - 0.06) * (2 * (k // columns + 0.5) / rows - 1)
        w, h = 0.58 / columns, (high - 0.06) * 0.6 / rows
        for dx in (-w - 0.045, w + 0.045):
            for dy in (-0.55, 0.0, 0.55):
                piece.tone(rectangle(x + dx - 0.035, y + dy * h - 0.025, x + dx + 0.035, y + dy * h + 0.025), 0.75)
        if k in gone:
            piece.missing.append(rectangle(x - w, y - h, x + w, y + h))
        else:
            piece.tone(rectangle(x - w, y - h, x + w, y + h), -0.75)
            piece.tone(circle(x - w * 0.65, y - h * 0.55, 0.025, 8), -0.2)
    return piece


def fan(r: Random, missing: int) -> Piece:
    """A hub with broad slanted blades."""
    count = r.randint(4, 9)
    gone = _absent(r, count, missing)
    piece, lean = Piece(counted="blade", count=count - missing), r.uniform(0.15, 0.45)
    width = r.uniform(0.5, 0.68) * 2 * math.pi / count

    def at(radius: float, angle: float) -> Point:
        return (radius * math.cos(angle), radius * math.sin(angle))

    for k in range(count):
        a = 2 * math.pi * k / count
        if k in gone:
            x, y = at(0.62, a + lean / 2)
            piece.missing.append(circle(x, y, 0.26, 12))
            continue
        inner = [at(0.26, a - width * 0.35), at(0.26, a + width * 0.35)]
        piece.body([*inner, at(0.7, a + lean * 0.7 + width * 0.5), at(1.0, a + lean + width * 0.4),
                    at(1.0, a + lean - width * 0.4), at(0.62, a + lean * 0.5 - width * 0.45)], 0.06)  # fmt: skip
    piece.body(circle(0, 0, 0.34), -0.05)
    piece.tone(circle(0, 0, 0.26), 0.12)
    _bored(piece, 0, 0, r.uniform(0.08, 0.13))
    return piece


def grille(r: Random, missing: int) -> Piece:
    """A frame with parallel bars."""
    count = r.randint(5, 9)
    gone = _absent(r, count, missing)
    high, rim = r.uniform(0.6, 0.9), r.uniform(0.1, 0.16)
    piece = Piece(counted="bar", count=count - missing)
    piece.body(rectangle(-1, -high, 1, high))
    piece.hole(rectangle(-1 + rim, -high + rim, 1 - rim, high - rim))
    pitch = 2 * (1 - rim) / (count + 1)
    half = pitch * r.uniform(0.2, 0.3)
    for k in range(count):
        x = -1 + rim + pitch * (k + 1)
        bar = rectangle(x - half, -high + rim * 0.8, x + half, high - rim * 0.8)
        if k in gone:
            piece.missing.append(bar)
        else:
            piece.body(bar, 0.08)
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        piece.tone(circle(x * (1 - rim / 2), y * (high - rim / 2), rim * 0.24, 12), -0.5)
    return piece


def rack(r: Random, missing: int) -> Piece:
    """A straight bar with a row of teeth."""
    count = r.randint(6, 12)
    gone = {k + 1 for k in _absent(r, count - 2, missing)}  # one that misses at an end could not be told
    root, tip = 0.05, -r.uniform(0.25, 0.4)
    piece, pitch = Piece(counted="tooth", count=count - missing), 2.0 / count
    points: Polygon = [(-1.0, 0.5), (-1.0, root)]
    for k in range(count):
        x = -1 + pitch * (k + 0.5)
        if k in gone:
            piece.missing.append(rectangle(x - pitch * 0.4, tip, x + pitch * 0.4, root))
        else:
            points += [
                (x - pitch * 0.36, root),
                (x - pitch * 0.2, tip),
                (x + pitch * 0.2, tip),
                (x + pitch * 0.36, root),
            ]
    piece.body([*points, (1.0, root), (1.0, 0.5)])
    piece.tone(rectangle(-0.95, 0.12, 0.95, 0.44), 0.12)
    for x in (-0.7, 0.7):
        _bored(piece, x, 0.28, 0.08)
    return piece


def wheel(r: Random, missing: int) -> Piece:
    """A rim with spokes and a hub (held out of training)."""
    count = r.randint(5, 8)
    gone = _absent(r, count, missing)
    piece = Piece(counted="spoke", count=count - missing)
    piece.body(circle(0, 0, 1, 48))
    piece.tone(circle(0, 0, 0.94, 48), 0.1)
    piece.hole(circle(0, 0, 0.74, 40))
    for k in range(count):
        a, w = 2 * math.pi * k / count, 0.075
        ux, uy = math.cos(a), math.sin(a)
        spoke = [(0.1 * ux - w * uy, 0.1 * uy + w * ux), (0.8 * ux - w * uy, 0.8 * uy + w * ux),
                 (0.8 * ux + w * uy, 0.8 * uy - w * ux), (0.1 * ux + w * uy, 0.1 * uy - w * ux)]  # fmt: skip
        if k in gone:
            piece.missing.append(circle(0.5 * ux, 0.5 * uy, 0.2, 12))
        else:
            piece.body(spoke)
    piece.body(circle(0, 0, 0.26), 0.08)
    _bored(piece, 0, 0, 0.1)
    return piece


PIECES: dict[str, Callable[[Random, int], Piece]] = {
    "gear": gear, "plate": plate, "flange": flange, "bolt": bolt, "nut": nut, "bracket": bracket, "bottle": bottle,
    "board": board, "fan": fan, "grille": grille, "rack": rack,
}  # fmt: skip
HELDOUT_PIECES: dict[str, Callable[[Random, int], Piece]] = {"wheel": wheel}


# --- drawing ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Drawn:
    """A piece in pixels: colours float32 [h, w, 3], cover float32 [h, w] (0 outside and in holes), where parts miss."""

    colours: np.ndarray
    cover: np.ndarray
    missing: list[FloatBox]


def shaded(colour: Colour, shade: float) -> Colour:
    """The colour darkened (-1) or lightened (1)."""
    if shade < 0:
        return (int(colour[0] * (1 + shade)), int(colour[1] * (1 + shade)), int(colour[2] * (1 + shade)))
    return tuple(int(c + (255 - c) * shade * 0.8) for c in colour)  # type: ignore[return-value]


def render(r: Random, piece: Piece, side: int, turn: float, tilt: float, colour: Colour) -> Drawn:
    """Draw the piece into a square of `side` px; `tilt` (0.6 to 1) squeezes it as an oblique view does."""
    scale = 2 if side < 330 else 1
    full, reach = side * scale, side * scale / 2 * 0.96
    cos, sin, lean = math.cos(turn), math.sin(turn), r.uniform(0, math.pi)
    lx, ly = math.cos(lean), math.sin(lean)

    extent = max(math.hypot(x, y) for kind, polygon, _ in piece.parts if kind == "body" for x, y in polygon)

    def place(polygon: Polygon) -> list[Point]:
        out = []
        for x, y in polygon:
            u, v = x * cos - y * sin, x * sin + y * cos
            along = (u * lx + v * ly) * (tilt - 1)
            out.append((full / 2 + (u + along * lx) * reach / extent, full / 2 + (v + along * ly) * reach / extent))
        return out

    image, cover = Image.new("RGB", (full, full), colour), Image.new("L", (full, full))
    paint, mask = ImageDraw.Draw(image), ImageDraw.Draw(cover)
    dark = shaded(colour, -0.45)
    for kind, polygon, shade in piece.parts:
        points = place(polygon)
        if kind == "hole":
            mask.polygon(points, fill=0)
            continue
        paint.polygon(points, fill=shaded(colour, shade))
        if kind == "body":
            mask.polygon(points, fill=255)
            paint.line([*points, points[0]], fill=dark, width=scale)
    if scale > 1:
        image, cover = image.reduce(scale), cover.reduce(scale)
    missing = []
    for polygon in piece.missing:
        xs, ys = zip(*((x / scale, y / scale) for x, y in place(polygon)), strict=True)
        missing.append((min(xs), min(ys), max(xs), max(ys)))
    colours = np.asarray(image, np.float32)
    light = np.linspace(r.uniform(0.84, 0.95), r.uniform(1.02, 1.1), side, dtype=np.float32)
    shape = (1, side, 1) if r.random() < 0.5 else (side, 1, 1)
    colours = colours * light[:: r.choice((-1, 1))].reshape(shape)
    return Drawn(colours, np.asarray(cover, np.float32) / 255, missing)


# --- defects: each draws on the piece and gives its box, or None when there was no room -------------------------------


def _inside(r: Random, drawn: Drawn, reach: int) -> tuple[int, int] | None:
    """A random point whose whole neighbourhood of `reach` px lies on the piece."""
    step = 4
    small = drawn.cover[::step, ::step] > 0.98
    for _ in range(max(1, reach // step)):
        inner = small.copy()
        inner[1:] &= small[:-1]
        inner[:-1] &= small[1:]
        inner[:, 1:] &= small[:, :-1]
        inner[:, :-1] &= small[:, 1:]
        inner[0], inner[-1], inner[:, 0], inner[:, -1] = False, False, False, False
        small = inner
    found = np.argwhere(small)
    if not len(found):
        return None
    y, x = found[r.randrange(len(found))]
    return int(x) * step, int(y) * step


def _apply(drawn: Drawn, mask: Image.Image, colour: Colour, opacity: float) -> FloatBox | None:
    """Colour the piece under the mask; the box of what shows."""
    alpha = np.asarray(mask, np.float32) / 255 * drawn.cover
    ys, xs = np.nonzero(alpha > 0.3)
    if len(xs) < max(12, 0.6 * np.count_nonzero(np.asarray(mask) > 76)):
        return None  # most of it would lie beside the piece
    y0, y1, x0, x1 = int(ys.min()), int(ys.max()) + 1, int(xs.min()), int(xs.max()) + 1
    spot = drawn.colours[y0:y1, x0:x1]
    spot += (np.array(colour, np.float32) - spot) * (alpha[y0:y1, x0:x1, None] * opacity)
    return (x0, y0, x1, y1)


def _level(drawn: Drawn, x: int, y: int) -> float:
    return float(drawn.colours[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].mean())


def scratch(r: Random, drawn: Drawn) -> FloatBox | None:
    """One to three thin, nearly straight parallel lines, much lighter or darker than the surface."""
    side = drawn.cover.shape[0]
    at = _inside(r, drawn, max(4, side // 40))
    if at is None:
        return None
    x, y = at
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    angle, length = r.uniform(0, math.pi), side * r.uniform(0.18, 0.36)
    ux, uy = math.cos(angle), math.sin(angle)
    bend = r.uniform(-0.06, 0.06) * length
    for k in range(r.choice((1, 1, 2, 3))):
        off = k * side * 0.022
        points = [
            (
                x + ux * t * length / 2 - uy * (off + bend * (1 - t * t)),
                y + uy * t * length / 2 + ux * (off + bend * (1 - t * t)),
            )
            for t in (-1.0, -0.5, 0.0, 0.5, 1.0)
        ]
        draw.line(points, fill=255, width=max(2, round(side * 0.009)))
    light = _level(drawn, x, y) < 130 or r.random() < 0.25 and _level(drawn, x, y) < 175
    return _apply(drawn, mask, (248, 248, 250) if light else (35, 35, 40), 0.9)


def crack(r: Random, drawn: Drawn) -> FloatBox | None:
    """A dark jagged line that forks, wider than a scratch."""
    side = drawn.cover.shape[0]
    at = _inside(r, drawn, max(4, side // 40))
    if at is None:
        return None
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    angle, step, width = r.uniform(0, 2 * math.pi), side * r.uniform(0.03, 0.045), max(3, round(side * 0.012))
    ends = [(float(at[0]), float(at[1]), angle)]
    for k in range(r.randint(7, 10)):
        x, y, heading = ends[-1] if k != 4 else ends[2]
        if k == 4:
            heading += r.choice((-1, 1)) * 0.9
        heading += r.choice((-1, 1)) * r.uniform(0.45, 1.0)
        nx, ny = x + step * math.cos(heading), y + step * math.sin(heading)
        draw.line((x, y, nx, ny), fill=255, width=width)
        drift = heading + (angle - heading) * 0.8
        ends.append((nx, ny, drift))
    dark = _level(drawn, *at) > 75
    return _apply(drawn, mask, (12, 10, 12) if dark else (225, 225, 225), 0.97)


def dent(r: Random, drawn: Drawn) -> FloatBox | None:
    """A round hollow: dark on one side, light on the other."""
    side = drawn.cover.shape[0]
    radius = round(side * r.uniform(0.045, 0.07))
    at = _inside(r, drawn, max(4, radius // 2)) or _inside(r, drawn, 4)
    if at is None:
        return None
    x, y = at
    ys, xs = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32) / radius
    distance = np.sqrt(xs * xs + ys * ys)
    lean = r.uniform(-2.6, -0.5)
    slope = (xs * math.cos(lean) + ys * math.sin(lean)) * np.clip(1.25 - distance, 0, 0.5) * 2.4 * (distance <= 1)
    x0, y0, x1, y1 = max(0, x - radius), max(0, y - radius), min(side, x + radius + 1), min(side, y + radius + 1)
    part = slope[y0 - y + radius : y1 - y + radius, x0 - x + radius : x1 - x + radius]
    spot, cover = drawn.colours[y0:y1, x0:x1], drawn.cover[y0:y1, x0:x1]
    shade = part * cover
    lighter = (255 - spot) * np.minimum(1, np.maximum(0, -shade * 1.1))[..., None]
    spot += lighter - spot * np.minimum(0.9, np.maximum(0, shade * 1.1))[..., None]
    return (x0, y0, x1, y1)


def stain(r: Random, drawn: Drawn) -> FloatBox | None:
    """An irregular flat blot of oil, rust-brown or ink."""
    side = drawn.cover.shape[0]
    at = _inside(r, drawn, max(4, side // 30)) or _inside(r, drawn, 4)
    if at is None:
        return None
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    reach = side * r.uniform(0.05, 0.08)
    for _ in range(r.randint(5, 9)):
        x, y = at[0] + r.uniform(-1, 1) * reach, at[1] + r.uniform(-1, 1) * reach * 0.8
        radius = reach * r.uniform(0.3, 0.65)
        draw.ellipse((x - radius, y - radius * r.uniform(0.7, 1), x + radius, y + radius), fill=255)
    box = mask.getbbox()
    assert box is not None
    soft = (max(0, box[0] - 4), max(0, box[1] - 4), min(side, box[2] + 4), min(side, box[3] + 4))
    mask.paste(mask.crop(soft).filter(ImageFilter.BoxBlur(1)), soft[:2])
    level = _level(drawn, *at)
    dark = ((92, 56, 20), (48, 40, 18), (40, 30, 60), (110, 40, 10))
    light = ((205, 190, 110), (170, 200, 90), (215, 160, 120))
    return _apply(drawn, mask, r.choice(dark if level > 115 else light), r.uniform(0.72, 0.9))


DEFECTS: dict[str, Callable[[Random, Drawn], FloatBox | None]] = {
    "crack": crack, "dent": dent, "scratch": scratch, "stain": stain,
}  # fmt: skip


# --- backgrounds ------------------------------------------------------------------------------------------------------


def background(r: Random, width: int, height: int, colour: Colour, heldout: bool) -> Pixels:
    """What the piece lies on: a plain table, a lit one, planks, a conveyor; held out: a dotted mat, tiles."""
    kind = r.choice(("dots", "tiles")) if heldout else r.choice(("plain", "lit", "lit", "planks", "belt"))
    image = Image.new("RGB", (width, height), colour)
    draw = ImageDraw.Draw(image)
    off = shaded(colour, r.choice((-0.10, 0.12)))
    if kind == "lit":
        small = Image.new("RGB", (3, 3))
        small.putdata([shaded(colour, r.uniform(-0.16, 0.14)) for _ in range(9)])
        image = small.resize((width, height), Image.Resampling.BILINEAR)
    elif kind == "planks":
        step = r.randint(28, 70)
        for k, y in enumerate(range(0, height, step)):
            draw.rectangle((0, y, width, y + step), fill=shaded(colour, r.uniform(-0.1, 0.08) if k else 0.0))
            draw.line((0, y, width, y), fill=shaded(colour, -0.2))
    elif kind == "belt":
        step = r.randint(14, 40)
        for x in range(-height, width, step):
            draw.line((x, 0, x + height // 4, height), fill=off, width=r.choice((1, 2)))
    elif kind == "dots":
        step = r.randint(14, 26)
        for y in range(step // 2, height, step):
            for x in range(step // 2, width, step):
                draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=off)
    elif kind == "tiles":
        step = r.randint(36, 80)
        for x in range(0, width, step):
            draw.line((x, 0, x, height), fill=off, width=2)
        for y in range(0, height, step):
            draw.line((0, y, width, y), fill=off, width=2)
    return np.array(image)
