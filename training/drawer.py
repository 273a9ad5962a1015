"""Draw groups of pages and decide what each pass of a batch asks about them and how it distorts them.

One `Drawer` has all random state: the same seed and the same fonts give the same groups. Knows no batch and no process.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from training import recipe
from training.batches import Budget, Use
from training.conversations import SYSTEMS, Conversations
from training.encoding import Turn
from training.looks import Look, jpeg, random_look, resize
from training.page import QA, QUESTIONS_EACH, TOKEN, Page, moved
from training.refusals import open_chat
from training.scenes import worksheet
from training.thoughts import thought

LARGEST_DRAWN = 36  # tokens: the recipe's papers end at 1,024 px
ORDINALS = {
    "zh": (("第一张图：", "第二张图："), ("在第一张图中，", "在第二张图中，")),
    "en": (("In the first picture: ", "In the second picture: "), ("First image: ", "Second image: ")),
}


def random_grid(rng: random.Random, difficulty: float, budget: Budget) -> tuple[int, int]:
    """(height, width) in visual tokens: one-row lines first, then up to 16 x 16, later larger pages too."""
    if rng.random() > difficulty * 1.25 or rng.random() < 0.04:
        return 1, rng.randint(3, 16)
    kind = rng.random()
    if kind < 0.62 or difficulty < 0.75:
        side = min(budget.max_side, 2 + round(14 * min(1.0, difficulty * 1.3)))
        return rng.randint(2, side), rng.randint(2, side)
    low, high, area = (12, 22, 400) if kind < 0.9 else (13, budget.max_side, budget.max_area)
    low = min(low, budget.max_side)
    while True:
        h, w = rng.randint(low, budget.max_side), rng.randint(low, budget.max_side)
        if max(h, w) <= high and h * w <= min(area, budget.max_area):
            return h, w


class Drawer:
    """Draws groups of pages and decides what each pass asks. One per worker process."""

    def __init__(self, budget: Budget, seed: int, split: str = "train") -> None:
        self.budget, self.split = budget, split
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(seed)
        self.conversations = Conversations(self.random, budget, split)

    def page(self, difficulty: float) -> Page:
        h, w = random_grid(self.random, difficulty, self.budget)
        drawn_h, drawn_w = h, w
        if self.random.random() < 0.25 * difficulty:
            factor = 2 ** self.random.uniform(-0.5, 1.0)
            drawn_h, drawn_w = (min(LARGEST_DRAWN, max(1, round(side / factor))) for side in (h, w))
        page = recipe.draw_page(
            self.numpy, drawn_w * TOKEN, drawn_h * TOKEN, split=self.split, difficulty=difficulty,
            num_qa=QUESTIONS_EACH * self.budget.passes,
        )  # fmt: skip
        quality = self.random.randint(30, 80) if self.random.random() < 0.14 * difficulty else 0
        early = self.random.random() < 0.5  # a photograph is compressed first and resampled by serving
        if quality and early:
            page.image = jpeg(page.image, quality)
        if (drawn_h, drawn_w) != (h, w):
            resize(page, w * TOKEN, h * TOKEN, self.budget.max_area)
        if quality and not early:
            page.image = jpeg(page.image, quality)
        return page

    def group(self, difficulty: float, strength: float) -> tuple[list[Page], list[Use]]:
        """Pages shown together (nearly always one) and a conversation about them for each pass."""
        r = self.random
        if r.random() < 0.02 + 0.05 * difficulty:
            return [], [self._text_only() for _ in range(self.budget.passes)]
        talked = self.conversations.group(difficulty, strength)
        if talked is not None:
            return talked
        pages = [self.page(difficulty)]
        if difficulty > 0.6 and r.random() < 0.015 and pages[0].image.size < 300 * 300 * 3:
            pages.append(self.page(difficulty))
        return pages, [self._use(pages, strength, p) for p in range(self.budget.passes)]

    def _text_only(self) -> Use:
        asked = recipe.draw_text_only(self.numpy, self.split)
        if self.random.random() < 0.7:
            asked = [worksheet.typed(self.random)]
        elif self.random.random() < 0.4:
            asked = [open_chat(self.random, self.split == "unseen_all")]
        return self._dress(Use([Turn(qa.question, qa.answer) for qa in asked], []), None, asked[-1])

    def _dress(self, use: Use, page: Page | None, last: QA | None) -> Use:
        """Some with a system message, some with thinking on, where the last answer comes after a thought."""
        r = self.random
        use.thinking = r.random() < 0.05
        if use.thinking and last is not None and (page is None or page.plan is not None):
            use.turns[-1].thought = thought(page.plan if page is not None else None, last)
        use.system = r.choice(SYSTEMS) if r.random() < 0.05 else ""
        return use

    def _use(self, pages: list[Page], strength: float, p: int) -> Use:
        r = self.random
        if len(pages) == 2:
            looks = [random_look(r, page, strength, page.qa) for page in pages]
            seen = [_seen(page, look) for page, look in zip(pages, looks, strict=True)]
            return self._dress(Use(self._two_picture_turns(seen), looks), None, None)
        qa = pick_questions(r, pages[0].qa, p, self.budget.passes)
        looks = [random_look(r, pages[0], strength, qa)]
        turns = [Turn(item.question, item.answer) for item in _seen(replace(pages[0], qa=qa), looks[0]).qa]
        turns[0].pictures, turns[0].pictures_first = (0,), r.random() < 0.6
        return self._dress(Use(turns, looks), pages[0], qa[-1])

    def _two_picture_turns(self, pages: list[Page]) -> list[Turn]:
        r = self.random
        asked = [r.choice(page.qa) for page in pages]
        if r.random() < 0.5:  # one picture each turn
            return [Turn(qa.question, qa.answer, (i,), r.random() < 0.6) for i, qa in enumerate(asked)]
        which = r.randrange(2)
        qa = asked[which]
        prefix = r.choice(ORDINALS[qa.language])[which]
        return [Turn(prefix + qa.question, qa.answer, (0, 1), r.random() < 0.8)]


def _seen(page: Page, look: tuple[Look, npt.NDArray[np.float64]]) -> Page:
    """The page with answers about places as they are after the distortion."""
    height, width = page.image.shape[:2]
    return replace(page, qa=[moved(qa, look[1], width, height) for qa in page.qa])


def pick_questions(rng: random.Random, qa: Sequence[QA], p: int, passes: int) -> list[QA]:
    """Up to `QUESTIONS_EACH` questions for pass `p` in random order; other passes get others while there are enough."""
    if not qa:
        raise ValueError("a page without questions")
    share = [qa[i] for i in range(len(qa)) if i % passes == p] or [qa[p % len(qa)]]
    chosen = share[: rng.choices((1, 2, QUESTIONS_EACH), (15, 25, 60))[0]]
    return rng.sample(chosen, len(chosen))
