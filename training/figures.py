"""Questions about drawn shapes and coloured text: how many, which colour, where, is it so. True by the plan alone.

Places are asked only where they stay true when the page is turned by a few degrees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import TYPE_CHECKING

from training import content, marks
from training.layouts.plan import Plan, Shape
from training.page import QA, Outline, box_text, counted

if TYPE_CHECKING:
    from training.tasks import Asker

_TURN = 0.2  # how far a page may lean: a shape is left of another when it is so on a page turned by 11 degrees
_SIDES = {
    "left": ("左边", "left of"), "right": ("右边", "right of"), "above": ("上面", "above"), "below": ("下面", "below"),
}  # fmt: skip
_OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
_EXTREMES = {
    "left": ("最左边的", "farthest to the left"), "right": ("最右边的", "farthest to the right"),
    "above": ("最上面的", "at the top"), "below": ("最下面的", "at the bottom"),
}  # fmt: skip
_CORNERS = {
    (0, 0): ("左上角的", "in the top left corner"), (1, 0): ("右上角的", "in the top right corner"),
    (0, 1): ("左下角的", "in the bottom left corner"), (1, 1): ("右下角的", "in the bottom right corner"),
}  # fmt: skip
_ORDINALS = (("一", "first"), ("二", "second"), ("三", "third"), ("四", "fourth"), ("五", "fifth"), ("六", "sixth"))
_SAME = ("一样多", "the same")


# --- names -----------------------------------------------------------------------------------------------------------


def name_of(zh: bool, shape: str | None, colour: str | None, plural: bool = False) -> str:
    """ "红色圆形", "red circles", "红色的图形", "shapes": a kind of shape in a colour; None for any."""
    if zh:
        tint = content.COLOURS[colour][0] if colour else ""
        return tint + content.SHAPES[shape] if shape else tint + ("的图形" if tint else "图形")
    noun = (content.SHAPES_PLURAL[shape] if plural else shape) if shape else "shapes" if plural else "shape"
    return f"{colour} {noun}" if colour else noun


def colour_word(a: Asker, colour: str) -> str:
    """The colour's name in the question's language."""
    return content.COLOURS[colour][0] if a.zh else colour


def _full(a: Asker, shape: Shape) -> str:
    return name_of(a.zh, shape.name, shape.colour)


def which(plan: Plan, shape: str | None, colour: str | None) -> list[Shape]:
    """The shapes of a kind and colour; None takes any."""
    return [s for s in plan.shapes if shape in (None, s.name) and colour in (None, s.colour)]


def count(plan: Plan, shape: str | None, colour: str | None) -> int:
    """How many shapes there are of a kind and colour; None counts any."""
    return len(which(plan, shape, colour))


def outline_of_shape(plan: Plan, shape: Shape) -> Outline:
    """The corners of a drawn shape (see `marks.shape`), or points around it."""
    corners = marks.shape_corners(shape.name, shape.x, shape.y, shape.radius)
    return tuple((x / plan.width, y / plan.height) for x, y in corners)


def shape_list(plan: Plan, zh: bool) -> str:
    """All shapes with colour and number, in the order of `content.SHAPES` and then `content.COLOURS`."""
    parts = []
    for name in content.SHAPES:
        for colour in content.COLOURS:
            number = count(plan, name, colour)
            if number and zh:
                parts.append(f"{number}个{content.COLOURS[colour][0]}{content.SHAPES[name]}")
            elif number:
                parts.append(f"{number} {name_of(False, name, colour, number > 1)}")
    return ("，" if zh else ", ").join(parts)


def unique(plan: Plan) -> list[Shape]:
    """Shapes that kind and colour tell from all others."""
    return [shape for shape in plan.shapes if count(plan, shape.name, shape.colour) == 1]


def coloured_texts(plan: Plan) -> list[tuple[str, str]]:
    """(text, colour) of the lines in a named colour whose text stands there once."""
    texts = [(piece.content.text, piece.colour_name) for piece in plan.pieces if piece.colour_name]
    return [(text, colour) for text, colour in texts if plan.text.count(text) == 1]


# --- places ----------------------------------------------------------------------------------------------------------


def clearly(side: str, a: Shape, b: Shape) -> bool:
    """Whether `a` lies on that side of `b`, by enough that turning the page by a few degrees does not change it."""
    along, across = b.x - a.x, abs(b.y - a.y)
    if side in ("above", "below"):
        along, across = b.y - a.y, abs(b.x - a.x)
    if side in ("right", "below"):
        along = -along
    return along > _TURN * across + 0.35 * (a.radius + b.radius)


def extreme(plan: Plan, side: str) -> Shape | None:
    """The one shape that lies clearly on that side of all others."""
    for shape in plan.shapes:
        if len(plan.shapes) > 1 and all(other is shape or clearly(side, shape, other) for other in plan.shapes):
            return shape
    return None


def in_corner(plan: Plan, right: int, low: int) -> Shape | None:
    """The one shape in a corner of the page; none other may be near it."""

    def offsets(shape: Shape) -> tuple[float, float]:
        x, y = shape.x / plan.width, shape.y / plan.height
        return (1 - x if right else x), (1 - y if low else y)

    near = [shape for shape in plan.shapes if max(offsets(shape)) < 0.45]
    return near[0] if len(near) == 1 and max(offsets(near[0])) < 0.33 else None


def by_size(plan: Plan, largest: bool) -> Shape | None:
    """The largest or smallest shape, if it is so by a third."""
    if len(plan.shapes) < 2:
        return None
    ordered = sorted(plan.shapes, key=lambda shape: -shape.radius if largest else shape.radius)
    big, small = (ordered[0], ordered[1]) if largest else (ordered[1], ordered[0])
    return ordered[0] if big.radius > 1.34 * small.radius else None


def row_of(plan: Plan) -> list[Shape]:
    """All shapes from left to right when they stand in one row, else none."""
    shapes = sorted(plan.shapes, key=lambda shape: shape.x)
    if not 2 < len(shapes) <= 7 or not all(clearly("left", a, b) for a, b in zip(shapes, shapes[1:], strict=False)):
        return []
    low, high = min(s.y for s in shapes), max(s.y for s in shapes)
    return shapes if high - low < 0.7 * min(s.radius for s in shapes) + 6 else []


def described_places(plan: Plan) -> list[tuple[tuple[str, str], Shape]]:
    """Every true way to say which shape by its place or size: ((Chinese, English), the shape)."""
    found = [(names, extreme(plan, side)) for side, names in _EXTREMES.items()]
    found += [(names, in_corner(plan, right, low)) for (right, low), names in _CORNERS.items()]
    found += [(("最大的", "the largest"), by_size(plan, True)), (("最小的", "the smallest"), by_size(plan, False))]
    row = row_of(plan)
    for k, (zh, en) in enumerate(_ORDINALS[: len(row)]):
        found.append(((f"从左数第{zh}个", f"{en} from the left"), row[k]))
        found.append(((f"从右数第{zh}个", f"{en} from the right"), row[-1 - k]))
    return [(names, shape) for names, shape in found if shape is not None]


def position(a: Asker) -> QA | None:
    """Which shape is in the corner, the largest, third from the left, right of another."""
    choices = described_places(a.plan)
    row = row_of(a.plan)
    single = {id(shape) for shape in unique(a.plan)}
    for left, right in zip(row, row[1:], strict=False):
        if id(left) in single:
            names = (f"{name_of(True, left.name, left.colour)}右边紧挨着的", f"next to the {_en(left)}, on its right")
            choices.append((names, right))
        if id(right) in single:
            names = (f"{name_of(True, right.name, right.colour)}左边紧挨着的", f"next to the {_en(right)}, on its left")
            choices.append((names, left))
    if not choices:
        return None
    names, shape = a.r.choice(choices)
    return a.coloured("position", "which_shape", _full(a, shape), names[0 if a.zh else 1])


def _en(shape: Shape) -> str:
    return name_of(False, shape.name, shape.colour)


# --- counts and comparisons ------------------------------------------------------------------------------------------


def _what(a: Asker) -> tuple[str | None, str | None]:
    """A kind, a colour, both, or any; sometimes what is not there."""
    shape = a.r.choice(a.plan.shapes)
    kind = a.r.random()
    if kind < 0.22:
        return (None, None)
    if kind < 0.30 and a.r.random() < 0.6:
        return (a.r.choice(tuple(content.SHAPES)), None)
    if kind < 0.50:
        return (shape.name, None)
    if kind < 0.70:
        return (None, shape.colour)
    if kind < 0.91:
        return (shape.name, shape.colour)
    if kind < 0.95:
        return (a.r.choice(a.plan.shapes).name, shape.colour)
    return (shape.name, a.r.choice(tuple(content.COLOURS)))


def count_shapes(a: Asker) -> QA:
    """By kind, by colour, by both, or all; higher numbers more often than they would come by themselves.

    The answer shows what it counts, a box each, and then says how many: at once, a small network is often off by one.
    """
    what = _what(a)
    if a.r.random() < 0.55:
        what = max(what, _what(a), key=lambda one: count(a.plan, *one))
    outlines = tuple(outline_of_shape(a.plan, shape) for shape in which(a.plan, *what))
    qa = a.coloured("count", "count_shapes", counted(map(box_text, outlines)), name_of(a.zh, *what, plural=True))
    qa.outlines = outlines
    return qa


def compare(a: Asker) -> QA | None:
    """Which of two kinds, of two colours, or of two kinds of one colour there are more of; often as many.

    Counts both, a line each, before it says which.
    """
    plan, mode = a.plan, a.r.random()
    whats: list[tuple[str | None, str | None]]
    if mode < 0.4:
        whats = [(None, colour) for colour in sorted({shape.colour for shape in plan.shapes})]
    elif mode < 0.85:
        whats = [(name, None) for name in sorted({shape.name for shape in plan.shapes})]
    else:
        whats = list(kinds_of(plan))
    if len(whats) < 2:
        return None
    pairs = list(permutations(whats, 2))
    equal = [pair for pair in pairs if count(plan, *pair[0]) == count(plan, *pair[1])]
    one, other = a.r.choice(equal if equal and a.r.random() < 0.3 else pairs)
    outlines = [[outline_of_shape(plan, shape) for shape in which(plan, *what)] for what in (one, other)]
    numbers = [len(places) for places in outlines]
    names = [name_of(a.zh, *what, plural=True) for what in (one, other)]
    answer = _SAME[0 if a.zh else 1] if numbers[0] == numbers[1] else names[numbers.index(max(numbers))]
    shown = [f"{name} {counted(map(box_text, places))}" for name, places in zip(names, outlines, strict=True)]
    qa = a.coloured("count", "compare_shapes", "\n".join([*shown, answer]), *names)
    qa.outlines = tuple(outline for places in outlines for outline in places)
    return qa


# --- colours ---------------------------------------------------------------------------------------------------------


def colour(a: Asker) -> QA | None:
    """The colour of a shape told from the others by kind or place, or of a line of text; the line of a colour."""
    texts = coloured_texts(a.plan)
    if texts:
        text, named = a.r.choice(texts)
        if a.r.random() < 0.3 and sum(piece.colour_name == named for piece in a.plan.pieces) == 1:
            return a.coloured("colour", "text_in_colour", text, colour_word(a, named))
        return a.coloured("colour", "text_colour", colour_word(a, named), text)
    single = [(_noun(a, s), s) for s in a.plan.shapes if count(a.plan, s.name, None) == 1]
    if len({shape.name for shape in a.plan.shapes}) > 1 and a.r.random() < 0.35:
        single = [(_placed(a, names), shape) for names, shape in described_places(a.plan)] or single
    if not single:
        return None
    noun, shape = a.r.choice(single)
    return a.coloured("colour", "colour", colour_word(a, shape.colour), noun)


def _noun(a: Asker, shape: Shape) -> str:
    return name_of(a.zh, shape.name, None)


def _placed(a: Asker, names: tuple[str, str]) -> str:
    if a.zh:
        return names[0] + "图形"
    return f"{names[1].removeprefix('the ')} shape" if names[1].startswith("the ") else f"shape {names[1]}"


# --- yes or no -------------------------------------------------------------------------------------------------------


def is_it_so(a: Asker) -> QA | None:
    """A statement about shapes or coloured text, true or false by even chance."""
    truth = a.r.random() < 0.5
    if coloured_texts(a.plan):
        return _text_is(a, truth)
    makers: list[Callable[[Asker, bool], QA | None]] = [
        _has,
        _has,
        _has,
        _number_is,
        _colour_is,
        _side,
        _side,
        _all_are,
    ]
    a.r.shuffle(makers)  # the next one keeps the truth where one has nothing to say: else there would be more "no"
    return next((qa for make in makers if (qa := make(a, truth)) is not None), None)


def _other(a: Asker, names: Sequence[str], but: Sequence[str]) -> str:
    return a.r.choice([name for name in names if name not in but])


def _has(a: Asker, truth: bool) -> QA:
    """A kind, a colour, or both; what is not there shares the kind or the colour with what is."""
    shapes, colours = {s.name for s in a.plan.shapes}, {s.colour for s in a.plan.shapes}
    some, kind = a.r.choice(a.plan.shapes), a.r.random()
    if kind < 0.3:
        what = (some.name if truth else _other(a, tuple(content.SHAPES), sorted(shapes)), None)
    elif kind < 0.5:
        what = (None, some.colour if truth else _other(a, tuple(content.COLOURS), sorted(colours)))
    elif truth:
        what = (some.name, some.colour)
    else:
        here = sorted((n, c) for n in shapes for c in colours if not count(a.plan, n, c))
        if here and a.r.random() < 0.6:  # both are there, but not together
            what = a.r.choice(here)
        elif a.r.random() < 0.5:
            what = (some.name, _other(a, tuple(content.COLOURS), sorted(colours)))
        else:
            what = (_other(a, tuple(content.SHAPES), sorted(shapes)), some.colour)
    assert bool(count(a.plan, *what)) == truth
    return a.coloured("yesno", "has_shape", a.yes(truth), name_of(a.zh, *what))


def _number_is(a: Asker, truth: bool) -> QA | None:
    some = a.r.choice(a.plan.shapes)
    what = a.r.choice(((None, None), (some.name, None), (None, some.colour), (some.name, some.colour)))
    number = count(a.plan, *what)
    said = number if truth else number + a.r.choice((-2, -1, -1, 1, 1, 2))
    if said < 2:
        return None
    return a.coloured("yesno", "count_is", a.yes(truth), str(said), name_of(a.zh, *what, plural=True))


def _colour_is(a: Asker, truth: bool) -> QA | None:
    single = [shape for shape in a.plan.shapes if count(a.plan, shape.name, None) == 1]
    if not single:
        return None
    shape = a.r.choice(single)
    said = shape.colour
    if not truth:
        here = sorted({s.colour for s in a.plan.shapes} - {said})
        said = a.r.choice(here) if here and a.r.random() < 0.5 else _other(a, tuple(content.COLOURS), (said,))
    return a.coloured("yesno", "colour_is", a.yes(truth), _noun(a, shape), colour_word(a, said))


def _side(a: Asker, truth: bool) -> QA | None:
    pairs = [
        (one, other, side)
        for one, other in permutations(unique(a.plan), 2)
        for side in _SIDES
        if clearly(side, one, other)
    ]
    if not pairs:
        return None
    one, other, side = a.r.choice(pairs)
    said = side if truth else _OPPOSITE[side]
    words = (_full(a, one), _full(a, other), _SIDES[said][0 if a.zh else 1])
    return a.coloured("yesno", "side_of", a.yes(truth), *words)


def _all_are(a: Asker, truth: bool) -> QA | None:
    colours = sorted({shape.colour for shape in a.plan.shapes})
    if len(a.plan.shapes) < 2 or truth != (len(colours) == 1):
        return None
    return a.coloured("yesno", "all_colour", a.yes(truth), colour_word(a, a.r.choice(colours)))


def _text_is(a: Asker, truth: bool) -> QA:
    text, named = a.r.choice(coloured_texts(a.plan))
    said = named
    if not truth:
        here = sorted({c for _, c in coloured_texts(a.plan)} - {named})
        said = a.r.choice(here) if here and a.r.random() < 0.6 else _other(a, tuple(content.COLOURS), (named,))
    return a.coloured("yesno", "text_colour_is", a.yes(truth), text, colour_word(a, said))


def kinds_of(plan: Plan) -> Counter[tuple[str, str]]:
    """Shapes by kind and colour."""
    return Counter((shape.name, shape.colour) for shape in plan.shapes)
