"""What the recipe hands to the trainer: one drawn picture, where its characters are, and what can be asked about it.

numpy only; knows neither how a page is drawn nor how it is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

TASKS: tuple[str, ...] = (
    "amounts", "read", "audit", "field", "total", "yesno", "count", "shapes", "colour", "box", "describe", "refuse",
    "chat",
)  # fmt: skip


@dataclass(slots=True)
class Glyph:
    """One drawn character: centre of its ink and font height, both in pixels of the final picture."""

    char: str
    x: float
    y: float
    size: float


@dataclass(slots=True)
class QA:
    """One question and its bare answer; `task` is one of `TASKS`, `language` is "zh" or "en" (the question's)."""

    task: str
    language: str
    question: str
    answer: str


@dataclass(slots=True)
class Page:
    """A picture uint8 [height, width, 3] with its characters and two or so questions in conversation order."""

    image: npt.NDArray[np.uint8]
    glyphs: list[Glyph]
    qa: list[QA]
    fixed_geometry: bool = False  # boxes are asked: no augmentation may move anything
    fixed_colours: bool = False  # colours are asked: no augmentation may change them
    kind: str = "lines"  # layout, for statistics
    decorations: tuple[str, ...] = field(default=())
