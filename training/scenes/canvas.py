"""What the scenes' pages share: type for a split, ink that can be read, conversations of long and short answers.

Knows how no scene is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from training import decorations, fonts
from training.draw import Colour, Pixels, Run, Type, choose_faces, ink, luminance
from training.layouts.plan import Box, Plan
from training.page import QA, QUESTIONS_EACH, Glyph, Outline, Sight, box_text
from training.scenes import absent
from training.scenes.phrases import phrase

if TYPE_CHECKING:
    from training.recipe import Wish

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FIXED = ("desk", "split_paper", "header", "zebra", "frame", "rules", "side_stripe", "highlight")  # never over the text
_FIXED_HELDOUT = ("hatching", "wave_rules", "brackets")


@dataclass(slots=True, eq=False)
class Desk:
    """One page in the making: what was wished for and the choices that hold for all of it."""

    r: Random
    width: int
    height: int
    wish: Wish
    language: str  # of the page
    glyphs: list[Glyph] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)

    @property
    def zh(self) -> bool:
        return self.language == "zh"

    @property
    def unseen_layout(self) -> bool:
        return self.wish.split in ("unseen_layouts", "unseen_all")

    @property
    def unseen_decoration(self) -> bool:
        return self.wish.split in ("unseen_decorations", "unseen_all")

    @property
    def heldout_phrases(self) -> bool:
        return self.wish.split == "unseen_all"

    def type(self, size: int, language: str | None = None) -> Type:
        """A type of this split at a size."""
        pack = fonts.load("heldout" if self.wish.split in ("unseen_fonts", "unseen_all") else "train")
        kind = Type(choose_faces(self.r, pack, language or self.language), size, self.r.random() < 0.4)
        return kind.sized(max(kind.min_size, size))

    def ground(self, plan: Plan, colour: Colour, exclude: tuple[str, ...] = ()) -> tuple[Image.Image, tuple[str, ...]]:
        """Paper with decorations that suit a page of text, below the text."""
        r, wished = self.r, self.wish.decorated
        plain = not (r.random() < 0.5 if wished is None else wished)
        image = decorations.paper(r, self.width, self.height, colour, plain and r.random() < 0.5)
        if plain:
            return image, ()
        names = [name for name in r.sample(_FIXED, r.choice((1, 1, 2, 2, 3))) if name not in exclude]
        if self.unseen_decoration:
            names = r.sample(_FIXED_HELDOUT, r.choice((1, 2)))
        scene = decorations.Scene(r, plan, image, ImageDraw.Draw(image), colour)
        return image, decorations.decorate(scene, names)

    def box_text(self, box: Box) -> str:
        """A pixel box as `[x1,y1,x2,y2]` of 0 to 999."""
        return box_text(outline(box, self.width, self.height))

    def keep(self, boxes: Sequence[Box]) -> Outline:
        """Points that no distortion may push off the picture."""
        return tuple(point for box in boxes for point in outline(box, self.width, self.height))

    def put(self, image: Pixels, run: Run, x: int, baseline: int, colour: Colour) -> None:
        """Ink a run in the colour, or in black, white or on a plate where it could not be read."""
        box = (x + run.left, baseline + run.top, x + run.right, baseline + run.bottom)
        ink(image, run, x, baseline, readable(image, box, colour), self.glyphs)


def light_paper(r: Random) -> Colour:
    """A paper that dark ink can be read on."""
    if r.random() < 0.45:
        level = r.randint(236, 255)
        return (level, level, level)
    return (r.randint(215, 255), r.randint(215, 255), r.randint(200, 255))


def readable(image: Pixels, box: Box, colour: Colour, gap: float = 75.0) -> Colour:
    """The colour if it stands off everything behind the box, else black or white; lays a plate when neither does."""
    x0, y0, x1, y1 = max(0, box[0]), max(0, box[1]), box[2], box[3]
    luma = image[y0:y1:2, x0:x1:2] @ _LUMA
    low, high = (float(luma.min()), float(luma.max())) if luma.size else (255.0, 255.0)
    if luminance(colour) <= low - gap or luminance(colour) >= high + gap:
        return colour
    if low >= gap:
        return (0, 0, 0)
    if high <= 255 - gap:
        return (255, 255, 255)
    image[max(0, y0 - 2) : y1 + 2, max(0, x0 - 3) : x1 + 3] = 250
    return colour if luminance(colour) < 250 - gap else (0, 0, 0)


def dark_ink(r: Random) -> Colour:
    """The colour of printed text on light paper."""
    if r.random() < 0.7:
        level = r.randint(0, 60)
        return (level, level, level)
    return (r.randint(0, 70), r.randint(0, 70), r.randint(0, 110))


def outline(box: Box, width: int, height: int) -> Outline:
    """The corners of a pixel box in fractions of the picture's sides."""
    x0, y0, x1, y1 = box[0] / width, box[1] / height, box[2] / width, box[3] / height
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def clipped(box: Box, width: int, height: int) -> Box:
    """The part of a box inside the picture."""
    return (max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3]))


@dataclass(slots=True, eq=False)
class Asker:
    """Makes questions of one page; the language of each is mostly the page's."""

    desk: Desk
    language: str

    def ask(self, task: str, name: str, answer: str, *words: str, boxes: Sequence[Box] = ()) -> QA:
        """A question in one of the phrasings of `name`; `boxes` in pixels are those of the answer in order."""
        text = phrase(self.desk.r, name, self.language, self.desk.heldout_phrases)
        outlines = tuple(outline(box, self.desk.width, self.desk.height) for box in boxes)
        return QA(task, self.language, text.format(*words) if words else text, answer, outlines)

    def ask_place(self, name: str, box: Box, *words: str) -> QA:
        """Where something is."""
        return self.ask("box", name, self.desk.box_text(box), *words, boxes=[box])

    def yes(self, truth: bool) -> str:
        return ("是" if truth else "否") if self.language == "zh" else ("yes" if truth else "no")

    @property
    def zh(self) -> bool:
        return self.language == "zh"


Maker = Callable[[Asker], QA | None]


_ABSENT = 0.04  # of the short questions


def converse(
    desk: Desk, here: str, long: Sequence[tuple[Maker, float]], short: Sequence[tuple[Maker, float]]
) -> list[QA]:
    """`wish.num_qa` different questions; every (num / QUESTIONS_EACH)th from one on forms a conversation with at
    most one long answer.

    `here` is the scene's name: a few questions belong to another one.
    """
    r, num = desk.r, desk.wish.num_qa
    tasks = desk.wish.tasks
    conversations, found = max(1, -(-num // QUESTIONS_EACH)), list[QA]()
    for _ in range(20 * num):
        if len(found) == num:
            break
        first = len(found) < conversations
        table = long if (first and r.random() < 0.85) or tasks else short
        asker = Asker(desk, desk.language if r.random() < 0.75 else r.choice(("zh", "en")))
        if table is short and r.random() < _ABSENT:
            qa: QA | None = absent.ask(r, here, asker.language, desk.heldout_phrases)
        else:
            qa = r.choices([maker for maker, _ in table], [weight for _, weight in table])[0](asker)
        if qa is not None and all(qa.question != other.question for other in found):
            found.append(qa)
    return found
