"""Conversations beyond single questions: turns, two pictures, clips, photographs, prompts, tools, JSON, rules.

`Conversations.group` gives the trainer pages with one conversation per pass, as `drawer.Drawer.group` does; a `Talk`
is one conversation without its distortion, which the held-out sets use too. Which kind comes how often: `SHARES`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from training import clips, facts, pairs, photos, refusals, rules, structured, thoughts, tools, turns
from training.batches import Budget, Use
from training.clip_frames import Board
from training.encoding import Clip, Turn
from training.looks import jpeg, random_look
from training.page import QA, TOKEN, Page
from training.recipe import Wish, compose

# Of all groups of the hardest difficulty; half of it where half of the ramp is done, nothing before.
SHARES = {
    "turns": 0.045, "pair": 0.07, "photo": 0.035, "prompt": 0.025, "small": 0.005, "tool": 0.026, "json": 0.045,
    "rule": 0.022, "clip": 0.04,
}  # fmt: skip
FIRST, FULL = 0.4, 0.6  # difficulty at which conversations begin, and from which their share is whole
THINKING = 0.07  # of the conversations of this module
MAX_ANSWERS = 300  # characters of all answers of a conversation, about its tokens
ENFORCED = 0.2  # of the requests for JSON: the keys come from a grammar, the question does not name them
WITH_PICTURE = 0.12  # of the pages: a photograph stands in a free place, and the page is as readable as before
SMALL_TEXT = 7.0  # px: at most so high, letters can be read by nobody
NEEDS = {  # layouts that questions of this kind are mostly about
    "tool": ("receipt", "invoice", "label", "label", "poster", "menu", "price_tag", "shapes", "lines"),
    "json": ("receipt", "invoice", "label", "poster", "menu", "price_tag", "table", "shapes", "lines", "scatter"),
    "prompt": (
        "receipt", "label", "label", "poster", "poster", "menu", "price_tag", "invoice", "shapes", "lines", "table",
    ),
    "rule": ("receipt", "invoice", "label", "poster", "menu", "price_tag", "shapes", "lines"),
    "turns": (
        "receipt", "receipt", "invoice", "menu", "label", "label", "poster", "table", "lines", "shapes", "shapes",
        "price_tag", "form", "details", "flyer",
    ),
    "pair": (
        "receipt", "receipt", "invoice", "menu", "label", "poster", "price_tag", "lines", "scatter", "shapes", "form",
        "card", "flyer",
    ),
}  # fmt: skip

SYSTEMS = (  # that change nothing; those that do are in training/rules.py
    "You are a helpful assistant.", "你是一个有用的助手。", "你是一个多模态助手，请根据图片回答问题。",
    "Answer from the picture only.", "You are a careful reader of pictures.", "请根据图片内容回答。",
)  # fmt: skip


@dataclass(slots=True)
class Talk:
    """A conversation about pictures: its turns, what is asked (for the distortion), system prompt and tools."""

    turns: list[Turn]
    asked: list[QA]
    system: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    kind: str = ""
    plans: list[Any] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Characters of all answers."""
        return sum(len(turn.answer) + len(turn.thought) for turn in self.turns)


def shown(r: Random, asked: Sequence[QA]) -> list[Turn]:
    """Turns about one picture that the first of them shows."""
    made = [Turn(qa.question, qa.answer) for qa in asked]
    made[0].pictures, made[0].pictures_first = (0,), r.random() < 0.65
    return made


def about_page(r: Random, kind: str, page: Page, heldout: bool, language: str = "") -> Talk | None:
    """A conversation of a kind (turns, prompt, tool, json, rule) about an ordinary page; None where it does not fit."""
    plan = page.plan
    if not facts.ordinary(plan):
        return None
    if kind == "turns":
        asked = turns.converse(r, plan, heldout, language)
        return Talk(shown(r, asked), asked, kind=kind, plans=[plan]) if asked else None
    if kind == "prompt":
        asked = refusals.about_page(r, plan)
        return Talk(shown(r, asked), asked, kind=kind, plans=[plan])
    if kind == "json" and r.random() < ENFORCED:
        spoken = language or plan.language
        question, answer, given = structured.enforced(r, plan, heldout, spoken)
        asked = [QA("json", spoken, question, answer, colours=bool(plan.shapes))]
        made = shown(r, asked)
        made[0].given = given
        return Talk(made, asked, kind="json enforced", plans=[plan])
    if kind == "json":
        system, question, answer, spoken = structured.converse(r, plan, heldout, language)
        asked = [QA("json", spoken, question, answer, colours=bool(plan.shapes))]
        return Talk(shown(r, asked), asked, system, kind=kind, plans=[plan])
    if kind == "rule":
        ruled = rules.converse(r, plan, heldout, language)
        if ruled is None:
            return None
        system, question = rules.placed(r, ruled)
        asked = [QA("rule", ruled.language, question, ruled.answer, colours=bool(plan.shapes))]
        return Talk(shown(r, asked), asked, system, kind=kind, plans=[plan])
    return _with_tools(r, page, heldout, language)


def _with_tools(r: Random, page: Page, heldout: bool, language: str) -> Talk | None:
    spoken = language or (page.plan.language if r.random() < 0.75 else r.choice(("zh", "en")))
    plain = turns.converse(r, page.plan, heldout, spoken)
    offer = tools.converse(r, page.plan, plain[0] if plain else None, heldout, spoken)
    if offer is None:
        return None
    first = offer.turns[0]
    first.pictures, first.pictures_first = (0,), r.random() < 0.65
    return Talk(offer.turns, offer.asked, tools=offer.tools, kind=f"tool {offer.kind}", plans=[page.plan])


def about_photo(r: Random, heldout: bool, language: str = "") -> Talk:
    """A conversation about a picture of the world; a few ask for JSON."""
    if r.random() < 0.08:
        system, question, answer, spoken = structured.converse(r, None, heldout, language)
        asked = [QA("json", spoken, question, answer)]
        return Talk(shown(r, asked), asked, system, kind="photo", plans=[None])
    asked = refusals.about_photo(r, heldout, language)
    return Talk(shown(r, asked), asked, kind="photo", plans=[None])


def about_pair(r: Random, pages: Sequence[Page], same: bool, heldout: bool, language: str = "") -> Talk:
    """A conversation about two pictures of ordinary pages or, without a plan, of the world."""
    a, b = (page.plan for page in pages)
    known = a or b
    language = language or (known.language if known is not None and r.random() < 0.75 else r.choice(("zh", "en")))
    made, asked = pairs.converse(pairs.Pair(r, (a, b), language, heldout, same))
    return Talk(made, asked, kind="pair", plans=[a, b])


def about_clip(r: Random, board: Board, heldout: bool, language: str = "") -> Talk:
    """A conversation about a clip; its last turn has its thought already."""
    language = language or (board.language if r.random() < 0.75 else r.choice(("zh", "en")))
    showing = clips.Showing(r, board, language, heldout)
    made, asked = clips.converse(showing)
    made[-1].thought = clips.thought(showing, thoughts.MAX_THOUGHT)
    return Talk(made, asked, kind="clip")


def think(talk: Talk) -> None:
    """Give the last turn its thought."""
    if talk.kind == "clip":
        return
    last, qa = talk.turns[-1], talk.asked[-1]
    if last.calls:
        zh, name = qa.language == "zh", last.calls[0].name
        last.thought = f"可以用工具{name}。" if zh else f"The tool {name} fits."
    elif len(talk.plans) == 2:
        a, b = (pairs.kind_of(plan, qa.language == "zh") for plan in talk.plans)
        last.thought = f"第一张是{a}，第二张是{b}。" if qa.language == "zh" else f"The first is {a}, the second {b}."
    else:
        last.thought = thoughts.thought(talk.plans[0] if talk.plans else None, qa)


# --- pictures --------------------------------------------------------------------------------------------------------


def photo_page(r: Random, width: int, height: int, split: str) -> Page:
    """A picture of the world as a page without anything to read."""
    own = "train" if split == "train" else "heldout"
    return Page(photos.draw(r, width, height, own), [], [], kind="photo")


def small_page(r: Random, width: int, height: int, wish: Wish) -> Page | None:
    """A page whose letters have become too small to read; None where they have not."""
    page = compose(Random(r.getrandbits(62)), 3 * width, 3 * height, wish)
    if len(page.glyphs) < 12 or max(glyph.size for glyph in page.glyphs) / 3 > SMALL_TEXT:
        return None
    image = Image.fromarray(page.image).resize((width, height), Image.Resampling.LANCZOS)
    return Page(np.array(image), [], [], kind=page.kind)


def add_picture(r: Random, page: Page, split: str) -> None:
    """Put a picture of the world into a free part of an ordinary page, if any; nothing that is asked changes."""
    height, width = page.image.shape[:2]
    taken = page.plan.taken()
    for _ in range(12):
        w, h = r.randint(56, max(57, width // 2)), r.randint(56, max(57, height // 2))
        if w >= width - 4 or h >= height - 4:
            continue
        x, y = r.randint(0, width - w), r.randint(0, height - h)
        if all(x1 <= x - 3 or x0 >= x + w + 3 or y1 <= y - 3 or y0 >= y + h + 3 for x0, y0, x1, y1 in taken):
            page.image = page.image.copy()
            page.image[y : y + h, x : x + w] = photos.draw(r, w, h, "train" if split == "train" else "heldout")
            return


@dataclass(slots=True)
class _Drawn:
    """Pages that are talked about together. `same`: one page twice; `board`: of those that are one clip."""

    pages: list[Page]
    same: bool = False
    board: Board | None = None


class Conversations:
    """Draws groups for the trainer. One per `drawer.Drawer`, whose random state it uses."""

    def __init__(self, r: Random, budget: Budget, split: str) -> None:
        self.r, self.budget, self.split = r, budget, split
        self.heldout = split == "unseen_all"

    def group(self, difficulty: float, strength: float) -> tuple[list[Page], list[Use]] | None:
        """Pages and a conversation per pass, or None: then a plain group is to be drawn."""
        r = self.r
        share = 0.0 if difficulty < FIRST else 0.5 if difficulty < FULL else 1.0
        if r.random() >= share * sum(SHARES.values()):
            return None
        kind = r.choices(tuple(SHARES), tuple(SHARES.values()))[0]
        drawn = self._draw(kind, difficulty)
        if drawn is None:
            return None
        pages = drawn.pages
        talks = [self._talk(kind, drawn) for _ in range(self.budget.passes)]
        made = [talk for talk in talks if talk is not None]
        if not made:
            return None
        return pages, [self._use(talk or made[0], pages, strength) for talk in talks]

    def talk(self, kind: str) -> tuple[list[Page], Talk] | None:
        """Pages with one conversation of a kind of `SHARES`; None where nothing fits them."""
        drawn = self._draw(kind, 1.0)
        talk = None if drawn is None else self._talk(kind, drawn)
        return None if drawn is None or talk is None else (drawn.pages, talk)

    def _sides(self, area: int, low: int = 5) -> tuple[int, int]:
        """Width and height of a page in tokens."""
        most = max(low, min(self.budget.max_side, 20))
        while True:
            w, h = self.r.randint(low, most), self.r.randint(low, most)
            if w * h <= min(area, self.budget.max_area):
                return w, h

    def _page(self, kind: str, difficulty: float, area: int, low: int = 5, layout: str = "") -> Page:
        w, h = self._sides(area, low)
        own = (
            (self.r.choice(NEEDS[kind]),)
            if self.r.random() < 0.85 and not self.heldout
            else tuple(sorted(facts.ORDINARY))
        )
        wish = Wish(self.split, difficulty, 1, kinds=(layout,) if layout else own, unreadable=False)
        page = compose(Random(self.r.getrandbits(62)), w * TOKEN, h * TOKEN, wish)
        assert facts.ordinary(page.plan), page.kind
        if self.r.random() < WITH_PICTURE:
            add_picture(self.r, page, self.split)
        if self.r.random() < 0.1:
            page.image = jpeg(page.image, self.r.randint(35, 90))
        return page

    def _draw(self, kind: str, difficulty: float) -> _Drawn | None:
        r = self.r
        if kind == "clip":
            clip = clips.draw(r, self.budget, self.split)
            return None if clip is None else _Drawn(clip[1], board=clip[0])
        if kind == "pair":
            return self._draw_pair(difficulty)
        if kind == "photo":
            w, h = self._sides(260 if r.random() < 0.8 else 400, 4)
            return _Drawn([photo_page(r, w * TOKEN, h * TOKEN, self.split)])
        if kind == "small":
            for _ in range(8):
                w, h = (r.randint(5, min(11, self.budget.max_side)) for _ in range(2))
                page = small_page(r, w * TOKEN, h * TOKEN, Wish(self.split, difficulty, 1, unreadable=False))
                if page is not None:
                    return _Drawn([page])
            return None
        for _ in range(3):
            page = self._page(kind, difficulty, 300 if r.random() < 0.85 else 400)
            if kind != "prompt" or page.plan.fields or r.random() < 0.5:  # labels with something to ask are rare
                break
        return _Drawn([page])

    def _draw_pair(self, difficulty: float) -> _Drawn:
        r = self.r
        kind = r.random()
        first = self._page("pair", difficulty, 230, 4)
        if kind < 0.11:  # the same page twice, the second in another size of file
            again = Page(first.image.copy(), list(first.glyphs), first.qa, first.fixed_geometry, first.fixed_colours,
                         first.kind, first.decorations, first.plan, first.keep)  # fmt: skip
            return _Drawn([first, again], same=True)
        if kind < 0.22:
            w, h = self._sides(200, 4)
            pages = [first, photo_page(r, w * TOKEN, h * TOKEN, self.split)]
        elif kind < 0.40 and first.plan.rows:  # two different pages of one kind
            pages = [first, self._page("pair", difficulty, 230, 4, first.kind)]
        elif kind < 0.58 and first.plan.total is not None:
            pages = [first, self._page("pair", difficulty, 230, 4)]
            for _ in range(4):
                if pages[1].plan.total is not None:
                    break
                pages[1] = self._page("pair", difficulty, 230, 6)
        else:
            pages = [first, self._page("pair", difficulty, 230, 4)]
        r.shuffle(pages)
        return _Drawn(pages)

    def _talk(self, kind: str, drawn: _Drawn) -> Talk | None:
        r, pages = self.r, drawn.pages
        for _ in range(3):
            if drawn.board is not None:
                talk: Talk | None = about_clip(r, drawn.board, self.heldout)
            elif kind == "pair":
                talk = about_pair(r, pages, drawn.same, self.heldout)
            elif kind == "photo":
                talk = about_photo(r, self.heldout)
            elif kind == "small":
                asked = refusals.about_small_text(r, self.heldout)
                talk = Talk(shown(r, asked), asked, kind=kind, plans=[None])
            else:
                talk = about_page(r, kind, pages[0], self.heldout)
            if talk is not None and talk.length <= MAX_ANSWERS:
                return talk
        return None

    def _use(self, talk: Talk, pages: list[Page], strength: float) -> Use:
        r = self.r
        thinking = r.random() < THINKING
        if thinking:
            think(talk)
        if talk.kind == "clip":
            looks = clips.looks(r, pages, strength, talk.asked)
        else:
            looks = [random_look(r, page, strength, talk.asked) for page in pages]
        system = talk.system or (r.choice(SYSTEMS) if r.random() < 0.05 else "")
        return Use(talk.turns, looks, system, thinking, 1.0, talk.tools)


def chat_messages(talk: Talk) -> list[dict[str, Any]]:
    """The conversation as chat messages with `{"type": "image"}` and `{"type": "video"}` parts, up to what the model is
    to say last."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": talk.system}] if talk.system else []
    for turn in talk.turns:
        parts = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "video" if isinstance(part, Clip) else "image"}
            for part in turn.content
        ]
        messages.append({"role": "user", "content": parts if len(parts) > 1 or not turn.question else turn.question})
        if turn.calls:
            calls = [
                {"type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
                for call in turn.calls
            ]
            messages.append({"role": "assistant", "content": "", "tool_calls": calls})
            messages += [{"role": "tool", "content": result} for result in turn.results]
        if not turn.calls or turn.results:
            messages.append({"role": "assistant", "content": turn.answer})
    return messages[:-1]
