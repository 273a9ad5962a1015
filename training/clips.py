"""Conversations about a clip: when something appears, what is written at a second, which amounts, what happens.

`clip_frames` draws the pictures and says what they show when (`Board`); the answers are read off that. The model knows
of a clip's time what the prompt tells it: the second of each picture. So "appears" is the second of the first picture
that shows a thing, "to" that of the last one, "disappears" that of the first one without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt

from training import content, facts
from training.batches import Budget
from training.clip_frames import MOST_PICTURES, Board, Thing, random_clip
from training.clip_phrases import say
from training.encoding import Clip, Turn
from training.looks import Look, random_look
from training.page import QA, TOKEN, Page
from training.phrases import NONE, phrase

MAX_ANSWER = 160  # characters of one answer
MOST_TOKENS, ROOM_FOR_TEXT = 960, 420  # of all pictures; of a row's tokens, for the rest of the conversation
LEAST, LEAST_SEEN = 74, 36  # tokens of a picture mostly (57,344 px) and at least
HANDHELD = 0.1  # of the clips: every picture is distorted in its own way; all others are seen by one camera
BARE = 0.4  # of the names of texts: asked as people type them, without quotes; held-out questions all have them
_ABSENT = {"zh": "没有出现", "en": "it does not appear"}
_STAYS = {"zh": "到最后都在", "en": "it stays to the end"}
_BLANK = {"zh": "空白", "en": "nothing"}


@dataclass(slots=True)
class Showing:
    """A clip that is asked about in one language."""

    r: Random
    board: Board
    language: str
    heldout: bool

    @property
    def zh(self) -> bool:
        return self.language == "zh"

    def ask(self, name: str, task: str, answer: str, *words: str) -> QA:
        """A phrasing of `CLIPS` with its answer."""
        question = say(self.r, name, self.language, self.heldout).format(*words)
        coloured = any(thing.shape is not None for thing in self.board.things)
        return QA(task, self.language, question[:1].upper() + question[1:], answer, colours=coloured)

    def second(self, picture: int) -> str:
        """第20秒, 20 s: when a picture is."""
        number = f"{self.board.seconds[picture]:g}"
        return f"第{number}秒" if self.zh else f"{number} s"

    def span(self, first: int, last: int) -> str:
        """第20到28秒, 20 to 28 s; one second where it is one picture."""
        if first == last:
            return self.second(first)
        a, b = (f"{self.board.seconds[picture]:g}" for picture in (first, last))
        return f"第{a}到{b}秒" if self.zh else f"{a} to {b} s"

    def called(self, thing: Thing) -> str:
        """What a question calls a thing: a text in quotes mostly."""
        name = thing.zh if self.zh else thing.en
        if thing.quoted:
            return self.typed(name)
        return name if self.zh or thing.shape is None else f"the {name}"

    def typed(self, text: str) -> str:
        if not self.heldout and self.r.random() < BARE:
            return text
        return f"“{text}”" if self.zh else f'"{text}"'

    def named(self) -> Thing | None:
        """One of the things that a name can be asked for: it is there once, and no other text holds its own."""
        names = [thing.zh for thing in self.board.things]
        known = [
            thing
            for k, thing in enumerate(self.board.things)
            if not any(thing.zh in (name, other.text) or thing.zh in other.text
                       for j, (name, other) in enumerate(zip(names, self.board.things, strict=True)) if j != k)
            and (thing.quoted or thing.shape is not None)
        ]  # fmt: skip
        moving = [thing for thing in known if thing.last - thing.first < self.board.num_pictures - 1]
        return self.r.choice(moving or known) if known else None

    def state(self, picture: int) -> str:
        """What a picture shows, in a few words."""
        shown = [thing.zh if self.zh else thing.en for thing in self.board.at(picture)]
        return ("，" if self.zh else ", ").join(shown) or _BLANK[self.language]


def _absent(s: Showing) -> str:
    """The name of something that the clip does not show."""
    r, text = s.r, "\n".join(thing.text for thing in s.board.things)
    while True:
        if any(thing.amounts for thing in s.board.things) or r.random() < 0.5:
            name = content.price(r, content.notation(r, s.language)).text
        else:
            name = content.alphanumeric(r)
        if name not in text:
            return s.typed(name)


def _when(s: Showing) -> QA | None:
    thing = s.named()
    if thing is None or s.r.random() < 0.1:
        return s.ask("when", "clip", _ABSENT[s.language], _absent(s))
    return s.ask("when", "clip", s.second(thing.first), s.called(thing))


def _range(s: Showing) -> QA | None:
    thing = s.named()
    if thing is None or s.r.random() < 0.06:
        return s.ask("range", "clip", _ABSENT[s.language], _absent(s))
    return s.ask("range", "clip", s.span(thing.first, thing.last), s.called(thing))


def _gone(s: Showing) -> QA | None:
    thing = s.named()
    if thing is None:
        return None
    stays = thing.last == s.board.num_pictures - 1
    if stays and s.r.random() < 0.6:
        return None
    return s.ask("gone", "clip", _STAYS[s.language] if stays else s.second(thing.last + 1), s.called(thing))


def _amount_when(s: Showing) -> QA | None:
    runs = list[list[int]]()
    for k in range(s.board.num_pictures):
        if s.board.amounts(k):
            if runs and runs[-1][1] == k - 1:
                runs[-1][1] = k
            else:
                runs.append([k, k])
    if len(runs) > 3:
        return None
    answer = ("，" if s.zh else ", ").join(s.span(first, last) for first, last in runs)
    return s.ask("amount_when", "clip", answer or NONE["amounts"][s.language])


def _asked_second(s: Showing) -> tuple[int, str]:
    """A picture and a second at which what it shows is to be seen: mostly its own, else one between it and the next
    where both show the same."""
    r, seconds = s.r, s.board.seconds
    busy = [k for k in range(len(seconds)) if s.board.text(k)]
    k = r.choice(busy) if busy and r.random() < 0.8 else r.randrange(len(seconds))
    if r.random() < 0.25 and k + 1 < len(seconds) and s.board.at(k) == s.board.at(k + 1):
        between = range(int(seconds[k]) + 1, int(np.ceil(seconds[k + 1])))
        if between:
            return k, str(r.choice(between))
    return k, f"{seconds[k]:g}"


def _at(s: Showing) -> QA | None:
    k, second = _asked_second(s)
    text = s.board.text(k)
    return s.ask("at", "read", text or NONE["read"][s.language], second) if len(text) <= MAX_ANSWER else None


def _at_amount(s: Showing) -> QA | None:
    k, second = _asked_second(s)
    answer = ", ".join(s.board.amounts(k)) or NONE["amounts"][s.language]
    return s.ask("at_amount", "amounts", answer, second)


def _amounts(s: Showing) -> QA | None:
    answer = ", ".join(s.board.all_amounts()) or NONE["amounts"][s.language]
    if s.r.random() < 0.3:  # as of a page
        return QA("amounts", s.language, phrase(s.r, "amounts", s.language, s.heldout), answer)
    return s.ask("amounts", "amounts", answer)


def story(s: Showing) -> str:
    """What is shown from when on: 0秒：空白；20秒：¥8.50."""
    told = list[str]()
    for k, seconds in enumerate(s.board.seconds):
        if k == 0 or s.board.at(k) != s.board.at(k - 1):
            told.append(f"{seconds:g}秒：{s.state(k)}" if s.zh else f"{seconds:g} s: {s.state(k)}")
    return ("；" if s.zh else "; ").join(told)


def _describe(s: Showing) -> QA | None:
    return s.ask("describe", "describe", story(s))


def _count(s: Showing) -> QA | None:
    number = len(s.board.all_amounts())
    return s.ask("count", "count", str(number)) if number <= MOST_PICTURES else None


def _has(s: Showing) -> QA | None:
    return s.ask("has", "yesno", facts.yes(bool(s.board.all_amounts()), s.zh))


QUESTIONS: tuple[tuple[Callable[[Showing], QA | None], float], ...] = (
    (_when, 9), (_range, 5), (_gone, 3), (_amount_when, 6), (_at, 7), (_at_amount, 4), (_amounts, 5), (_describe, 5),
    (_count, 2), (_has, 2.5),
)  # fmt: skip


def question(s: Showing) -> QA:
    """One question about the clip; the plainest where nothing else fits."""
    for _ in range(8):
        found = s.r.choices([ask for ask, _ in QUESTIONS], [weight for _, weight in QUESTIONS])[0](s)
        if found is not None and len(found.answer) <= MAX_ANSWER:
            return found
    found = _has(s)
    assert found is not None
    return found


def converse(s: Showing) -> tuple[list[Turn], list[QA]]:
    """A conversation that shows the clip in its first turn, before or after the question; some ask once more."""
    asked = [question(s)]
    if s.r.random() < 0.4:
        more = question(s)
        if more.question != asked[0].question and len(more.answer) + len(asked[0].answer) <= 1.4 * MAX_ANSWER:
            asked.append(more)
    clip = Clip(tuple(range(s.board.num_pictures)), s.board.seconds)
    turns = [Turn(qa.question, qa.answer) for qa in asked]
    first = turns[0].question
    turns[0].parts = (clip, first) if s.r.random() < 0.75 else (first, clip)
    return turns, asked


def thought(s: Showing, most: int) -> str:
    """What is shown from when on, where that is short enough to be thought."""
    text = story(s)
    return text if len(text) <= most else ""


# --- pictures --------------------------------------------------------------------------------------------------------


def draw(r: Random, budget: Budget, split: str) -> tuple[Board, list[Page]] | None:
    """A clip of two to eight pictures; None where so small a budget has no room for one."""
    most = min(MOST_TOKENS, budget.visual // 2, budget.max_row - ROOM_FOR_TEXT)
    pictures = r.choices(range(2, MOST_PICTURES + 1), (2, 3, 4, 4, 4, 4, 5))[0]
    sides = _sides(r, budget, min(most // pictures, budget.max_area))
    return None if sides is None else random_clip(r, sides[0] * TOKEN, sides[1] * TOKEN, pictures, split)


def _sides(r: Random, budget: Budget, most: int) -> tuple[int, int] | None:
    """Width and height of the pictures in tokens."""
    least = LEAST if r.random() < 0.75 else LEAST_SEEN
    least, most = min(least, most), min(most, r.choice((110, 150, 260)))
    sides = range(5, min(budget.max_side, 20) + 1)
    known = [(w, h) for w in sides for h in sides if least <= w * h <= most and h <= 1.6 * w and w <= 2.4 * h]
    return r.choice(known) if known else None


def looks(
    r: Random, pages: Sequence[Page], strength: float, asked: Sequence[QA]
) -> list[tuple[Look, npt.NDArray[np.float64]]]:
    """A distortion of each picture of a clip: the same of all, which leaves all of them legible, mostly."""
    if r.random() < HANDHELD:
        return [random_look(r, page, strength, asked) for page in pages]
    glyphs = [glyph for page in pages for glyph in page.glyphs]
    keep = tuple(point for page in pages for point in page.keep)
    one = random_look(r, Page(pages[0].image, glyphs, [], keep=keep), strength, asked)
    return [one] * len(pages)
