"""What a layout gives back: text at its place, row by row, and the facts that questions are about.

A layout measures with real bitmaps, so nothing planned can later stick out of the picture. Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from training.content import Text
from training.draw import Colour, Run, Type, shape
from training.words import Words

Box: TypeAlias = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, ends exclusive


@dataclass(slots=True, eq=False)
class Piece:
    """One run of text: its pen start on the baseline, its meaning and its looks."""

    content: Text
    run: Run
    x: int
    baseline: int
    role: str = "text"
    colour: Colour | None = None  # None: chosen when the background is known
    strike: bool = False
    colour_name: str | None = None  # a name from `content.COLOURS`, where the page is about colours

    @property
    def box(self) -> Box:
        """Box of the ink."""
        run = self.run
        return (self.x + run.left, self.baseline + run.top, self.x + run.right, self.baseline + run.bottom)

    def span_box(self, start: int, end: int) -> Box:
        """Box of the ink of characters start..end."""
        boxes = [
            (
                self.x + pen + b.left,
                self.baseline + b.top,
                self.x + pen + b.left + b.width,
                self.baseline + b.top + b.height,
            )
            for b, pen in zip(self.run.bitmaps[start:end], self.run.pens[start:end], strict=True)
            if b is not None
        ]
        return union(boxes)


def union(boxes: Sequence[Box]) -> Box:
    """Smallest box around all."""
    return (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))


@dataclass(slots=True, eq=False)
class Row:
    """Pieces on one baseline, left to right; `top` and `bottom` include the type's usual ascent and descent."""

    pieces: list[Piece]
    top: int
    bottom: int
    role: str = "line"

    @property
    def text(self) -> str:
        """The row as it is read: columns parted by one space."""
        return " ".join(piece.content.text for piece in self.pieces)

    @property
    def box(self) -> Box:
        """Box of the ink of all pieces."""
        return union([piece.box for piece in self.pieces])


@dataclass(slots=True, eq=False)
class Shape:
    """A drawn shape: names from `content.SHAPES` and `content.COLOURS`."""

    name: str
    colour: str
    x: float
    y: float
    radius: float


@dataclass(slots=True, eq=False)
class Plan:
    """A whole page before drawing."""

    width: int
    height: int
    kind: str
    language: str
    rows: list[Row] = field(default_factory=list)
    items: list[tuple[str, str]] = field(default_factory=list)  # name as drawn, amount's answer form
    fields: list[tuple[str, str, str]] = field(default_factory=list)  # field key, label as drawn, value as drawn
    total: str | None = None
    columns: list[int] = field(default_factory=list)  # x of the lines between table columns
    shapes: list[Shape] = field(default_factory=list)
    brand: str | None = None
    brand_place: tuple[int, int, int] | None = None  # centre x, centre y, radius
    brand_turn: float = 0.0  # degrees
    decoy: str = ""  # a drawn mark that is no brand's, from `marks.DECOYS`
    decoy_place: tuple[int, int, int] | None = None
    sums: list[tuple[str, str]] = field(default_factory=list)  # named amounts besides items and total, e.g. change
    cells: list[tuple[str, str, str, Piece]] = field(default_factory=list)  # row's name, column's head, value, where
    bar_code: Box | None = None
    caption: str = ""  # what heads the page, for descriptions
    rules: list[tuple[Box, str]] = field(default_factory=list)  # drawn below the text: "line", "dots", "box", ...
    value_pieces: dict[str, Piece] = field(default_factory=dict)  # of a field's or item's name, where not in its row

    @property
    def pieces(self) -> list[Piece]:
        """Every piece in reading order."""
        return [piece for row in self.rows for piece in row.pieces]

    @property
    def about_colours(self) -> bool:
        """Whether something on the page is in a colour that can be asked for."""
        return bool(self.shapes) or any(piece.colour_name for piece in self.pieces)

    @property
    def text(self) -> str:
        """Everything in reading order, a line a row."""
        return "\n".join(row.text for row in self.rows)

    @property
    def amounts(self) -> list[str]:
        """Answer forms in reading order."""
        return [amount.value for piece in self.pieces for amount in piece.content.amounts]

    def taken(self) -> list[Box]:
        """Boxes that nothing loose may cover."""
        boxes = [row.box for row in self.rows]
        if self.brand_place is not None:
            x, y, radius = self.brand_place
            boxes.append((x - radius, y - radius, x + radius, y + radius))
        if self.decoy_place is not None:
            x, y, radius = self.decoy_place
            boxes.append((x - radius, y - radius, x + radius, y + radius))
        if self.bar_code is not None:
            boxes.append(self.bar_code)
        boxes += [
            (int(s.x - s.radius), int(s.y - s.radius), int(s.x + s.radius), int(s.y + s.radius)) for s in self.shapes
        ]
        return boxes


@dataclass(slots=True, eq=False)
class Sheet:
    """What a layout may know: the paper's size, the type, the words and how hard the page may be."""

    r: Random
    width: int
    height: int
    language: str
    type: Type
    other_types: tuple[Type, ...]  # further types for headings and mixed pages
    vocabulary: Words
    num_hanzi: int
    signs: tuple[str, str]
    margin: int
    gap: int

    def plan(self, kind: str) -> Plan:
        """An empty plan of this sheet."""
        return Plan(self.width, self.height, kind, self.language)

    def heading(self, scale: float = 1.3) -> Type:
        """A larger type, sometimes of another face."""
        kind = self.r.choice(self.other_types) if self.other_types and self.r.random() < 0.5 else self.type
        return kind.sized(min(44, max(kind.min_size, int(self.type.size * scale))))

    def price_signs(self, bare: float = 0.4) -> tuple[str, str]:
        """The page's notation, or none where a price column makes bare numbers amounts."""
        return ("", "") if self.r.random() < bare else self.signs


def fit(content: Text, setting: Type, max_width: int, cut: bool = True) -> tuple[Text, Run] | None:
    """Set a text within a width: smaller down to three quarters, then cut short (never inside an amount), else None."""
    if max_width <= 4 or not content.text:
        return None
    run = shape(content.text, setting)
    if run.right - run.left <= max_width:
        return content, run
    smaller = max(setting.min_size, int(setting.size * 0.75), int(setting.size * max_width / (run.right - run.left)))
    if smaller < setting.size:
        setting = setting.sized(smaller)
        run = shape(content.text, setting)
        if run.right - run.left <= max_width:
            return content, run
    keep = sum(pen <= max_width for pen in run.pens)
    floor = max((amount.end for amount in content.amounts), default=1)
    while cut and keep > floor:
        keep -= 1
        text = content.text[:keep].rstrip(" ,.:;#(-，。：、（“")
        if len(text) < floor or not text:
            return None
        run = shape(text, setting)
        if run.right - run.left <= max_width:
            return Text(text, content.amounts), run
        keep = min(keep, len(text))
    return None


@dataclass(slots=True, eq=False)
class Cell:
    """A piece to place: aligned "l", "r" or "c" at `at` (None: the stack's edge or middle), at most `width` wide."""

    content: Text
    align: str = "l"
    at: int | None = None
    width: int | None = None
    type: Type | None = None
    role: str = "text"
    strike: bool = False
    cut: bool = True


class Stack:
    """Adds rows from the top of an area until one no longer fits."""

    def __init__(self, sheet: Sheet, plan: Plan, area: Box | None = None) -> None:
        margin = sheet.margin
        self.sheet, self.plan = sheet, plan
        self.x0, self.y, self.x1, self.y1 = area or (margin, margin, sheet.width - margin, sheet.height - margin)

    def add(self, *cells: Cell, role: str = "line", gap: int | None = None) -> Row | None:
        """Place cells on one baseline; None and no change when the row does not fit in width or height."""
        pieces: list[Piece] = []
        for cell in cells:
            setting = cell.type or self.sheet.type
            fitted = fit(cell.content, setting, min(cell.width or 10_000, self.x1 - self.x0), cell.cut)
            if fitted is None:
                return None
            content, run = fitted
            pieces.append(Piece(content, run, self._pen(cell, run), 0, cell.role, strike=cell.strike))
        size = max(piece.run.size for piece in pieces)
        ascent = max([int(size * 0.72), *(-piece.run.top for piece in pieces)])
        descent = max([int(size * 0.12), *(piece.run.bottom for piece in pieces)])
        if self.y + ascent + descent > self.y1:
            return None
        for piece in pieces:
            piece.baseline = self.y + ascent
        row = Row(sorted(pieces, key=lambda piece: piece.box[0]), self.y, self.y + ascent + descent, role)
        if any(a.box[2] + 2 > b.box[0] for a, b in zip(row.pieces, row.pieces[1:], strict=False)):
            return None
        self.plan.rows.append(row)
        self.y = row.bottom + (self.sheet.gap if gap is None else gap)
        return row

    def _pen(self, cell: Cell, run: Run) -> int:
        if cell.align == "l":
            return (self.x0 if cell.at is None else cell.at) - run.left
        if cell.align == "r":
            return (self.x1 if cell.at is None else cell.at) - run.right
        middle = (self.x0 + self.x1) // 2 if cell.at is None else cell.at
        x = middle - (run.left + run.right) // 2
        return max(self.x0 - run.left, min(x, self.x1 - run.right))

    def skip(self, pixels: int) -> None:
        """Leave empty space."""
        self.y += pixels

    @property
    def left(self) -> int:
        """Height that is left."""
        return self.y1 - self.y

    def pair(self, label: Text, value: Text, role: str = "item", **looks: Any) -> Row | None:
        """A label at the left edge and a value at the right edge."""
        setting = looks.get("type") or self.sheet.type
        fitted = fit(value, setting, int((self.x1 - self.x0) * 0.62), False)
        if fitted is None:
            return None
        room = self.x1 - self.x0 - (fitted[1].right - fitted[1].left) - max(6, setting.size // 2)
        return self.add(
            Cell(label, "l", width=room, **looks), Cell(value, "r", cut=False, role="value", **looks), role=role
        )


def settle(plan: Plan, r: Random, bottom: int) -> None:
    """Move the whole page down by a random share of the height left below it."""
    if not plan.rows:
        return
    low = max(row.bottom for row in plan.rows)
    if plan.bar_code is not None:
        low = max(low, plan.bar_code[3])
    low = max([low, *(y1 for (_, _, _, y1), _ in plan.rules)])
    slack = bottom - low
    if slack <= 1:
        return
    shift = int(slack * r.choice((0.0, 0.5, r.random())))
    for row in plan.rows:
        row.top += shift
        row.bottom += shift
        for piece in row.pieces:
            piece.baseline += shift
    plan.rules = [((x0, y0 + shift, x1, y1 + shift), kind) for (x0, y0, x1, y1), kind in plan.rules]
    if plan.brand_place is not None:
        x, y, radius = plan.brand_place
        plan.brand_place = (x, y + shift, radius)
    if plan.decoy_place is not None:
        x, y, radius = plan.decoy_place
        plan.decoy_place = (x, y + shift, radius)
    if plan.bar_code is not None:
        x0, y0, x1, y1 = plan.bar_code
        plan.bar_code = (x0, y0 + shift, x1, y1 + shift)
