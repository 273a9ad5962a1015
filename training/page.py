"""What the recipe hands to the trainer: one drawn picture, where its characters are, and what can be asked about it.

numpy only; knows neither how a page is drawn nor how it is learnt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

TASKS: tuple[str, ...] = (
    "amounts", "read", "audit", "field", "total", "yesno", "count", "shapes", "colour", "box", "describe", "refuse",
    "chat", "position", "two", "prompt", "json", "rule", "tool",
    "marking", "contract", "inspection", "clip",
)  # fmt: skip
TOKEN = 28  # pixels of a visual token's side (four patches of 14 x 14, merged)
Outline: TypeAlias = tuple[tuple[float, float], ...]  # points around something, in fractions of the page's sides


@dataclass(slots=True)
class Glyph:
    """One drawn character: centre of its ink and font height, both in pixels of the final picture."""

    char: str
    x: float
    y: float
    size: float


# What the reading head is asked at a visual token of 28 x 28 px: the character at one of 2 x 4 places, the thing, its
# colour.
CELL_ROWS, CELL_COLUMNS = 2, 4
FIGURE, COLOUR = CELL_ROWS * CELL_COLUMNS, CELL_ROWS * CELL_COLUMNS + 1
NUM_CELLS = COLOUR + 1
NOTHING = "无"  # the word of a place where there is nothing to name


@dataclass(slots=True)
class Sight:
    """What stands at a point besides characters, in one character: 星 for a star, 红 for its colour, 划 for a scratch.

    The reading head learns these as it learns characters, so that the tower knows things and colours before a question
    about them is learnt. `x`, `y` in pixels of the final picture.
    """

    word: str
    x: float
    y: float
    cell: int = FIGURE  # or COLOUR


@dataclass(slots=True)
class QA:
    """One question and its bare answer; `task` is one of `TASKS`, `language` is "zh" or "en" (the question's).

    `outlines` belong to the boxes of the answer, one each in order (of a count in any): with them the answer can follow
    a distortion of the page (`moved`). `colours`: the answer names colours or depends on them, so they may change a
    little only.
    """

    task: str
    language: str
    question: str
    answer: str
    outlines: tuple[Outline, ...] = ()
    colours: bool = False


@dataclass(slots=True)
class Page:
    """A picture uint8 [height, width, 3] with its characters and two or so questions in conversation order."""

    image: npt.NDArray[np.uint8]
    glyphs: list[Glyph]
    qa: list[QA]
    fixed_geometry: bool = False  # places are asked without outlines: no augmentation may move anything
    fixed_colours: bool = False  # colours are asked without `QA.colours`: no augmentation may change them
    kind: str = "lines"  # layout, for statistics
    decorations: tuple[str, ...] = field(default=())
    plan: Any = None  # the facts (`training.layouts.plan.Plan`), for conversations; None when nothing can be read
    keep: Outline = ()  # points besides the characters that have to stay inside the picture, such as shapes
    sights: list[Sight] = field(default_factory=list)


QUESTIONS_EACH = 3  # of a page, in one conversation at most: more questions cost little beside the picture
BOX = re.compile(r"\[\d+,\d+,\d+,\d+\]")


def box_text(points: Sequence[tuple[float, float]]) -> str:
    """The box around points in fractions of the sides, as `[x1,y1,x2,y2]` of 0 to 999."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    corners = (min(xs), min(ys), max(xs), max(ys))
    return "[" + ",".join(str(max(0, min(999, round(1000 * value)))) for value in corners) + "]"


def counted(boxes: Iterable[str]) -> str:
    """The answer of a count: the boxes of what is counted, column by column from the left, and how many they are.

    What stands nearly below another shares its column, so that the order can be seen on a page that leans a little.
    """
    left = sorted((tuple(map(int, re.findall(r"\d+", box))) for box in boxes), key=lambda b: b[0] + b[2])
    columns: list[list[tuple[int, ...]]] = []
    for box in left:
        first = columns[-1][0] if columns else None
        if first is not None and box[0] + box[2] - first[0] - first[2] < 0.7 * min(
            box[2] - box[0], first[2] - first[0]
        ):
            columns[-1].append(box)
        else:
            columns.append([box])
    ordered = [box for column in columns for box in sorted(column, key=lambda b: b[1] + b[3])]
    shown = ", ".join(f"[{x1},{y1},{x2},{y2}]" for x1, y1, x2, y2 in ordered)
    return f"{shown}: {len(ordered)}" if ordered else "0"


def _counted_anew(line: str, boxes: Iterator[str]) -> str:
    """The line with as many of the boxes as it has, in the order that they now have."""
    number = len(BOX.findall(line))
    return line[: line.index("[")] + counted(islice(boxes, number)) if number else line


def moved(qa: QA, forward: npt.NDArray[np.float64], width: int, height: int) -> QA:
    """The question with every box of its answer where the map `forward` (pixels, drawn -> shown) puts its outline."""
    if not qa.outlines or np.array_equal(forward, np.eye(3)):
        return qa
    boxes = []
    for outline in qa.outlines:
        shown = np.array([(x * width, y * height, 1.0) for x, y in outline]) @ forward.T
        shown = shown[:, :2] / shown[:, 2:]
        boxes.append(box_text([(x / width, y / height) for x, y in shown.tolist()]))
    assert len(BOX.findall(qa.answer)) == len(boxes), qa
    left = iter(boxes)
    if qa.task == "count":
        return replace(qa, answer="\n".join(_counted_anew(line, left) for line in qa.answer.splitlines()))
    return replace(qa, answer=BOX.sub(lambda _: next(left), qa.answer))
