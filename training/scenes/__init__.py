"""Pages of the business scenes that are drawn as a whole: worksheets to mark, contracts to review, parts to inspect.

`recipe.compose` draws one instead of a text layout with the probability below. To add one, write a function
`(Desk) -> Page | None` and list it here with its task in `training.page.TASKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from training import decorations
from training.page import QA, Page
from training.phrases import UNREADABLE
from training.scenes import contract, inspection, worksheet
from training.scenes.canvas import Desk

if TYPE_CHECKING:
    from training.recipe import Wish


@dataclass(frozen=True, slots=True)
class Scene:
    """How a page is drawn, how often at full difficulty where it fits, the smallest sides in px, share of Chinese."""

    draw: Callable[[Desk], Page | None]
    chance: float
    min_width: int
    min_height: int
    chinese: float


SCENES: dict[str, Scene] = {
    "worksheet": Scene(worksheet.draw, 0.17, 224, 196, 0.6),
    "contract": Scene(contract.draw, 0.34, 392, 392, 0.75),
    "inspection": Scene(inspection.draw, 0.16, 224, 224, 0.5),
}
_EASIEST, _RAMP = 0.4, 0.4  # none below this difficulty, all at the sum
_UNREADABLE = 0.015


def compose(r: Random, width: int, height: int, wish: Wish) -> Page | None:
    """A scene's page if the wish names one or chance wants one, else None; a wish for other things leaves no chance."""
    named = [name for name in wish.kinds if name in SCENES]
    if (wish.kinds or wish.tasks or wish.unreadable) and not named:
        return None
    fits = [name for name, one in SCENES.items() if width >= one.min_width and height >= one.min_height]
    if named:
        fits = [name for name in fits if name in named]
        name = r.choice(fits) if fits else None
    else:
        name = _by_chance(r, fits, min(1.0, max(0.0, (wish.difficulty - _EASIEST) / _RAMP)))
    if name is None:
        return None
    language = wish.language or ("zh" if r.random() < SCENES[name].chinese else "en")
    page = SCENES[name].draw(Desk(r, width, height, wish, language))
    if page is not None and page.glyphs and not named and wish.difficulty > 0.7 and r.random() < _UNREADABLE:
        return _smeared(page)
    return page


def _smeared(page: Page) -> Page:
    """The page blurred beyond reading, and the honest answer to everything."""
    image = decorations.smear(page.image, max(6, round(max(glyph.size for glyph in page.glyphs) / 2)))
    qa = [QA("refuse", qa.language, qa.question, UNREADABLE[qa.language]) for qa in page.qa if qa.task != "describe"]
    return Page(image, [], qa, kind=page.kind) if qa else page


def _by_chance(r: Random, fits: list[str], share: float) -> str | None:
    if not fits or share == 0:
        return None
    at = r.random()
    for name in fits:
        at -= SCENES[name].chance * share
        if at < 0:
            return name
    return None
