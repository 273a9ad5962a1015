"""Pages of coloured shapes, alone or beside text, lines of coloured text, and pages with nothing to read."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import TypeAlias

from training import content
from training.content import Text
from training.layouts.plan import Box, Cell, Plan, Shape, Sheet, Stack, settle
from training.layouts.text import random_text, room_for


def shapes(sheet: Sheet) -> Plan:
    """One to twelve shapes of one to five kinds, sometimes with a caption above, below or anywhere."""
    r, plan = sheet.r, sheet.plan("shapes")
    stack = Stack(sheet, plan)
    x0, y0, x1, y1 = stack.x0, stack.y, stack.x1, stack.y1
    if r.random() < 0.3:
        where = r.choice(("above", "above", "below", "anywhere"))
        foot = y1 - int(1.5 * sheet.type.size)
        if where == "below":
            stack.y = max(y0, foot)
        elif where == "anywhere":
            stack.y = r.randint(y0, max(y0, foot))
        text = content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, 4)
        row = stack.add(Cell(Text(text), r.choice("lc")))
        if row is not None and where != "anywhere":
            y0, y1 = (stack.y, y1) if where == "above" else (y0, row.top - 2)
    if not place_shapes(sheet, plan, (x0, y0, x1, y1)):
        plan.kind = "lines"
    return plan


# Where shapes stand, and how often. Places are never on one slanted line or evenly on an open arc: that is held out.
_WAYS = {
    "grid": 14, "row": 7, "free": 26, "far": 14, "clusters": 10, "close": 9, "around": 8, "two rows": 7, "columns": 6,
    "walk": 7, "wave": 6, "zigzag": 6, "ring": 6,
}  # fmt: skip
_SMALLEST = 9.0  # px: radius
_MOST = 12


def place_shapes(sheet: Sheet, plan: Plan, area: Box, most: int = _MOST) -> bool:
    """Fill an area with shapes that do not touch each other or the text."""
    r = sheet.r
    x0, y0, x1, y1 = area
    if y1 - y0 < 28 or x1 - x0 < 28:
        return False
    way = r.choices(tuple(_WAYS), tuple(_WAYS.values()))[0]
    kinds, count = choose_kinds(sheet), r.randint(1, most)
    if way in ("grid", "row") and not plan.rows:
        _in_cells(sheet, plan, area, kinds, count, way == "row")
        return True
    room = _Room(plan, area)
    radii = _radii(sheet, area, count)
    propose = _proposer(r, area, way, count, radii[0], room)
    for index, radius in enumerate(radii):
        name, colour = r.choice(kinds)
        for attempt in range(9):
            if attempt in (4, 7):
                radius = max(_SMALLEST, 0.7 * radius)
            x, y = propose(index, radius) if attempt < 6 else (r.uniform(x0, x1), r.uniform(y0, y1))
            one = Shape(name, colour, round(x, 1), round(y, 1), round(radius, 1))
            if room.free(one):
                plan.shapes.append(one)
                break
    return bool(plan.shapes)


def _in_cells(sheet: Sheet, plan: Plan, area: Box, kinds: list[tuple[str, str]], count: int, in_a_row: bool) -> None:
    """Shapes in free cells of a grid, or in one row."""
    r = sheet.r
    x0, y0, x1, y1 = area
    width, height = x1 - x0, y1 - y0
    pitch = r.choice((38, 46, 56, 70, 90))
    columns = max(1, min(9 if in_a_row else 5, width // pitch))
    rows = 1 if in_a_row else max(1, min(5, height // pitch))
    cells = [(i, j) for j in range(rows) for i in range(columns)]
    wide, high = width / columns, height / rows
    cell = min(wide, high, 170.0)
    sizes = r.choice(("alike", "varied", "varied", "one large"))
    for index, (i, j) in enumerate(r.sample(cells, min(len(cells), count))):
        share = r.uniform(0.33, 0.44)
        if sizes == "varied" or (sizes == "one large" and index):
            share = r.uniform(0.18, 0.45 if sizes == "varied" else 0.28)
        radius = max(_SMALLEST, cell * share)
        free_x, free_y = wide / 2 - radius - 2, high / 2 - radius - 2
        drift = 0.25 * radius if in_a_row else 40.0
        x = x0 + wide * (i + 0.5) + r.uniform(-1, 1) * max(0.0, min(free_x, 40.0))
        y = y0 + high * (j + 0.5) + r.uniform(-1, 1) * max(0.0, min(free_y, drift))
        name, colour = r.choice(kinds)
        plan.shapes.append(Shape(name, colour, x, y, radius))


_REACH = {"square": 1.22, "triangle": 1.09}  # how far corners lie from the centre, in radii; at most 1 of the others


class _Room:
    """Which places of an area are free: off the text, and off the shapes that stand there, if only by a little."""

    def __init__(self, plan: Plan, area: Box) -> None:
        self.plan, self.area = plan, area
        self.gap = 3.0
        self.texts = [row.box for row in plan.rows]

    def free(self, one: Shape) -> bool:
        x0, y0, x1, y1 = self.area
        x, y, q = one.x, one.y, one.radius
        if not (x0 + q <= x <= x1 - q and y0 + q <= y <= y1 - q):
            return False
        q += self.gap + 1
        if any(x + q > b[0] and x - q < b[2] and y + q > b[1] and y - q < b[3] for b in self.texts):
            return False
        return all(self._apart(one, other) for other in self.plan.shapes)

    def _apart(self, one: Shape, other: Shape) -> bool:
        dx, dy, gap = abs(one.x - other.x), abs(one.y - other.y), self.gap
        if max(dx, dy) > one.radius + other.radius + gap:
            return True
        reach = _REACH.get(one.name, 1.0) * one.radius + _REACH.get(other.name, 1.0) * other.radius
        return dx * dx + dy * dy > (reach + gap) ** 2


def _radii(sheet: Sheet, area: Box, count: int) -> list[float]:
    """From tiny to as large as so many shapes can be; alike, varied, or one of them large."""
    r = sheet.r
    width, height = area[2] - area[0], area[3] - area[1]
    largest = max(_SMALLEST, min(0.4 * min(width, height), 90.0, (0.13 * width * height / count) ** 0.5))
    base = _SMALLEST * (largest / _SMALLEST) ** r.choice((r.random(), r.random() ** 0.5))
    sizes = r.choice(("alike", "alike", "varied", "varied", "one large"))
    if sizes == "one large":
        return [largest, *(max(_SMALLEST, 0.5 * base * r.uniform(0.8, 1.1)) for _ in range(count - 1))]
    low = 0.9 if sizes == "alike" else 0.45
    return [min(largest, max(_SMALLEST, base * r.uniform(low, 1.1))) for _ in range(count)]


Place: TypeAlias = tuple[float, float]


def _proposer(r: Random, area: Box, way: str, count: int, base: float, room: _Room) -> Callable[[int, float], Place]:
    """A function (number of the shape, radius) -> a place to try."""
    x0, y0, x1, y1 = area
    width, height, shapes = x1 - x0, y1 - y0, room.plan.shapes

    def anywhere(_: int, q: float) -> Place:
        return r.uniform(x0 + q, max(x0 + q, x1 - q)), r.uniform(y0 + q, max(y0 + q, y1 - q))

    def beside(_: int, q: float) -> Place:
        """Close to one that stands there."""
        if not shapes:
            return anywhere(0, q)
        other, turn = r.choice(shapes), r.uniform(0, 2 * math.pi)
        far = 1.25 * (other.radius + q) + r.uniform(3, 10)
        return other.x + far * math.cos(turn), other.y + far * math.sin(turn)

    def walk(_: int, q: float) -> Place:
        """A step of any length in any direction from the last one."""
        if not shapes:
            return anywhere(0, q)
        last, turn = shapes[-1], r.uniform(0, 2 * math.pi)
        far = 1.25 * (last.radius + q) + 4 + r.random() ** 2 * 0.6 * max(width, height)
        return last.x + far * math.cos(turn), last.y + far * math.sin(turn)

    if way == "far":

        def far_off(k: int, q: float) -> Place:
            tried = [anywhere(k, q) for _ in range(6)]
            return max(tried, key=lambda at: min([math.dist(at, (s.x, s.y)) for s in shapes], default=0.0))

        return far_off
    if way == "close":
        room.gap = r.choice((2.0, 2.5, 3.0))
        return lambda k, q: beside(k, q) if r.random() < 0.8 else anywhere(k, q)
    if way == "walk":
        return walk
    if way == "clusters":
        centres = [anywhere(0, base) for _ in range(r.randint(1, 3))]
        spread = r.uniform(0.1, 0.22) * (width + height) / 2

        def cluster(k: int, _: float) -> Place:
            x, y = centres[k % len(centres)]
            return r.gauss(x, spread), r.gauss(y, spread)

        return cluster
    if way == "around":
        x, y, flat = r.uniform(0.4, 0.6), r.uniform(0.4, 0.6), r.uniform(0.5, 1.0)

        def around(_: int, q: float) -> Place:
            turn, far = r.uniform(0, 2 * math.pi), r.uniform(0.6, 1.0)
            return (
                x0 + x * width + far * (0.46 * width - q) * math.cos(turn),
                y0 + y * height + far * flat * (0.46 * height - q) * math.sin(turn),
            )

        return around
    if way in ("wave", "zigzag", "ring"):
        return _along_a_curve(r, area, way, count)
    if way in ("two rows", "columns"):
        lines = 2 if way == "two rows" else r.randint(1, 3)
        share, drift = r.uniform(0.25, 0.75), r.uniform(0.02, 0.12)
        jobs = [k % lines if lines == 3 else int(r.random() > share) for k in range(count)]
        at = sorted(r.sample((0.16, 0.3, 0.42, 0.58, 0.7, 0.84), lines))

        def line(k: int, q: float) -> Place:
            across = at[min(jobs[k], lines - 1)] + r.uniform(-drift, drift)
            if way == "two rows":
                return r.uniform(x0 + q, max(x0 + q, x1 - q)), y0 + across * height
            return x0 + across * width, r.uniform(y0 + q, max(y0 + q, y1 - q))

        return line
    return anywhere


def _along_a_curve(r: Random, area: Box, way: str, count: int) -> Callable[[int, float], Place]:
    """Evenly along a wave of a period or more, up and down by turns, or all around a ring; across or down the page."""
    x0, y0, x1, y1 = area
    width, height = x1 - x0, y1 - y0
    high, middle, start = r.uniform(0.12, 0.4), r.uniform(0.42, 0.58), r.random()
    periods, upright, drift = r.uniform(1.0, 2.0), r.random() < 0.4, r.uniform(0.0, 0.03)

    def place(k: int, q: float) -> Place:
        along = (k + 0.5) / count
        if way == "ring":
            turn = 2 * math.pi * (start + k / count)
            u, v = 0.5 + 0.42 * math.cos(turn), middle + max(0.2, high) * math.sin(turn)
        elif way == "wave":
            u, v = along, middle + high * math.sin(2 * math.pi * (start + periods * along))
        else:
            u, v = along, middle + (high if k % 2 else -high)
        u, v = u + r.uniform(-drift, drift), v + r.uniform(-drift, drift)
        if upright:
            u, v = v, u
        return x0 + q + u * max(0.0, width - 2 * q), y0 + q + v * max(0.0, height - 2 * q)

    return place


def choose_kinds(sheet: Sheet) -> list[tuple[str, str]]:
    """The shapes and colours of one page: any, one shape in several colours, or several shapes in one colour."""
    r = sheet.r
    kinds = [(r.choice(tuple(content.SHAPES)), r.choice(tuple(content.COLOURS))) for _ in range(r.randint(1, 5))]
    mode = r.random()
    if mode < 0.08:  # all the same
        return kinds[:1]
    if mode < 0.25:
        return [(kinds[0][0], colour) for _, colour in kinds]
    if mode < 0.40:
        return [(name, kinds[0][1]) for name, _ in kinds]
    if mode < 0.60:  # the same shapes and colours in all combinations
        return [(name, colour) for name, _ in kinds[:2] for _, colour in kinds[:2]]
    return kinds


def figures(sheet: Sheet) -> Plan:
    """Lines of text with shapes beside them, below or above, or words here and there and shapes in between."""
    r, plan = sheet.r, sheet.plan("figures")
    m = sheet.margin
    x0, y0, x1, y1 = m, m, sheet.width - m, sheet.height - m
    if r.random() < 0.4:
        return _among_words(sheet, plan)
    share = r.uniform(0.35, 0.6)
    if r.random() < 0.5 and sheet.width >= 224:
        middle = x0 + int((x1 - x0) * share)
        text, drawn = ((x0, y0, middle - 6, y1), (middle + 6, y0, x1, y1))
        if r.random() < 0.5:
            text, drawn = (x0 + x1 - middle + 6, y0, x1, y1), (x0, y0, x0 + x1 - middle - 6, y1)
    else:
        middle = y0 + int((y1 - y0) * share)
        text, drawn = (x0, y0, x1, middle - 4), (x0, middle + 4, x1, y1)
        if r.random() < 0.4:
            text, drawn = (x0, y0 + y1 - middle + 4, x1, y1), (x0, y0, x1, y0 + y1 - middle - 4)
    stack = Stack(sheet, plan, text)
    for _ in range(r.randint(1, 6)):
        if stack.left < sheet.type.size:
            break
        stack.add(Cell(random_text(sheet, max(2, int(room_for(sheet) * share)), r.random() < 0.5), r.choice("lllc")))
    settle(plan, r, stack.y1)
    return _named(plan, place_shapes(sheet, plan, drawn, 9))


def _among_words(sheet: Sheet, plan: Plan) -> Plan:
    """Short texts at any place of the page, shapes at any place that is left."""
    r, stack = sheet.r, Stack(sheet, plan)
    wide = stack.x1 - stack.x0
    for _ in range(r.randint(1, 4)):
        stack.skip(r.randint(0, max(0, min(stack.left - 2 * sheet.type.size, (stack.y1 - sheet.margin) // 2))))
        room = int(wide * r.uniform(0.3, 0.7))
        text = random_text(sheet, r.randint(2, 6), r.random() < 0.5)
        if stack.add(Cell(text, "l", at=stack.x0 + r.randint(0, wide - room), width=room)) is None:
            break
    return _named(plan, place_shapes(sheet, plan, (sheet.margin, sheet.margin, stack.x1, stack.y1), 10))


def _named(plan: Plan, placed: bool) -> Plan:
    """The page's kind by what fitted on it."""
    plan.kind = "lines" if not placed else plan.kind if plan.rows else "shapes"
    return plan


def coloured(sheet: Sheet) -> Plan:
    """Short lines, each in a colour that has a name."""
    r, plan = sheet.r, sheet.plan("coloured")
    stack = Stack(sheet, plan)
    names = r.sample(tuple(content.COLOURS), r.randint(2, 5))
    setting = sheet.type.sized(max(sheet.type.size, r.choice((18, 20, 22, 24, 28))))
    align = r.choice("lcr")
    for _ in range(r.randint(1, 7)):
        if stack.left < setting.size:
            break
        length = r.randint(2, max(3, min(8, room_for(sheet) - 2)))
        text = Text(content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, length))
        row = stack.add(Cell(text, align, type=setting))
        if row is not None:
            row.pieces[0].colour_name = r.choice(names)
    settle(plan, r, stack.y1)
    return plan


def blank(sheet: Sheet) -> Plan:
    """Nothing to read; the background and decorations are all there is."""
    return sheet.plan("blank")
