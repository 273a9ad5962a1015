"""Draw the pictures of a clip: one ground, on which texts and shapes appear and disappear, or pages after each other.

A `Board` says what is shown when; the pages are drawn from it, so that what it says of them is true. Each page is one
picture of the tower, which serving makes of two frames: what comes or goes between these two is drawn half.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from training import colours, content, decorations, facts, fonts, marks, words
from training.charset import HANZI
from training.content import Text
from training.draw import Colour, Pixels, Run, Type, choose_faces, contrasting, ink, luminance
from training.layouts.plan import fit
from training.looks import jpeg
from training.page import COLOUR, NOTHING, Page, Sight
from training.recipe import Wish, compose, vary

MOST_PICTURES = 8
PAGES = ("receipt", "price_tag", "label", "menu", "poster", "lines")  # layouts that a clip leafs through
_EDGE, _INK_GAP = 8, 110.0  # px left free around; luma between text and paper, half of it where it is drawn half


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a thing stands and how: the pen of a text's run, or the middle of a shape with its radius, in pixels."""

    x: int
    y: int
    colour: Colour
    run: Run | None = None
    radius: int = 0


@dataclass(slots=True, eq=False)
class Thing:
    """What is shown from picture `first` to picture `last`: its names in both languages, text, amounts (answer form).

    `begins` and `ends`: it is drawn half in the first or in the last of them.
    """

    first: int
    last: int
    zh: str
    en: str
    text: str = ""
    amounts: tuple[str, ...] = ()
    quoted: bool = True  # its name is what is written
    ink: Text | None = None
    shape: tuple[str, str] | None = None  # name, colour
    spot: Spot | None = None
    begins: bool = False
    ends: bool = False

    def shown(self, picture: int) -> bool:
        return self.first <= picture <= self.last

    def half(self, picture: int) -> bool:
        return (self.begins and picture == self.first) or (self.ends and picture == self.last)


@dataclass(slots=True)
class Board:
    """What a clip shows when. `seconds`: of each picture, rising from 0; `things` in reading order."""

    seconds: tuple[float, ...]
    language: str
    things: list[Thing] = field(default_factory=list)

    @property
    def num_pictures(self) -> int:
        return len(self.seconds)

    def at(self, picture: int) -> list[Thing]:
        """What a picture shows, in reading order."""
        return [thing for thing in self.things if thing.shown(picture)]

    def text(self, picture: int) -> str:
        """All that is written there, a line each."""
        return "\n".join(thing.text for thing in self.at(picture) if thing.text)

    def amounts(self, picture: int) -> list[str]:
        """Answer forms in reading order."""
        return [value for thing in self.at(picture) for value in thing.amounts]

    def all_amounts(self) -> list[str]:
        """Each of the clip's amounts once, in the order in which they appear."""
        return list(dict.fromkeys(value for k in range(self.num_pictures) for value in self.amounts(k)))


# --- when ------------------------------------------------------------------------------------------------------------


def sampled(seconds: int, pictures: int) -> tuple[float, ...]:
    """The seconds of a clip's pictures where a caller bounds their number (`max_frames` of twice as many): GLM-4.6V's
    rule takes 6 frames a second up to 30 s and 2 up to 300 s, and of these the bound takes some evenly."""
    rate = 6 if seconds <= 30 else 2
    places = np.linspace(0, seconds * rate - 1, 2 * pictures, dtype=int).tolist()
    return tuple(round(place / rate, 1) for place in places[::2])


def random_seconds(r: Random, pictures: int) -> tuple[float, ...]:
    """Seconds that grow by 1 to 15 each, evenly or not, or as serving samples a clip."""
    kind = r.random()
    if kind < 0.42:
        return sampled(r.randint(2 * pictures, min(15 * pictures, 120)), pictures)
    if kind < 0.60:
        gaps = [1] * pictures
    elif kind < 0.78:
        gaps = [r.randint(1, 15)] * pictures
    else:
        gaps = [r.randint(1, 15) for _ in range(pictures)]
    return tuple(float(sum(gaps[:k])) for k in range(pictures))


# --- what ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Maker:
    """Makes the things of one clip."""

    r: Random
    language: str
    signs: tuple[str, str]

    def amount(self) -> Thing:
        r, text = self.r, content.price(self.r, self.signs)
        if r.random() < 0.35:
            joint = r.choice(("：", " ") if self.language == "zh" else (": ", " "))
            text = Text(content.item(r, self.language, words.load(), len(HANZI)) + joint) + text
        return self._written(text)

    def words(self) -> Thing:
        r = self.r
        if r.random() < 0.15:
            return self._written(Text(content.alphanumeric(r)))
        return self._written(Text(content.words(r, self.language, words.load(), len(HANZI), r.randint(2, 8))))

    def shape(self, paper: Colour) -> Thing:
        known = [name for name in content.COLOURS if colours.visible(name, paper, False)]
        name, colour = self.r.choice(tuple(content.SHAPES)), self.r.choice(known or ["black"])
        said = content.COLOURS[colour][0] + content.SHAPES[name]
        return Thing(0, 0, said, f"{colour} {name}", quoted=False, shape=(name, colour))

    def page(self, page: Page) -> Thing:
        plan = page.plan
        zh, en = (facts.kind_name(plan, chinese) for chinese in (True, False))
        return Thing(0, 0, zh, en, plan.text, tuple(plan.amounts), False)

    def _written(self, text: Text) -> Thing:
        return Thing(0, 0, text.text, text.text, text.text, tuple(a.value for a in text.amounts), ink=text)

    def any(self, paper: Colour, amounts: float) -> Thing:
        kind = self.r.random()
        return self.amount() if kind < amounts else self.words() if kind < (1 + amounts) / 2 else self.shape(paper)


def random_clip(r: Random, width: int, height: int, pictures: int, split: str) -> tuple[Board, list[Page]]:
    """A clip of so many pictures of width x height px: what it shows, and its pages."""
    language = "zh" if r.random() < 0.55 else "en"
    board = Board(random_seconds(r, pictures), language)
    make = _Maker(r, language, content.notation(r, language))
    kind = r.random()
    if kind < 0.18:
        pages = _leaf(make, board, width, height, split)
    else:
        stage = Stage(r, width, height, language, split)
        amounts = 0.0 if r.random() < 0.12 else 0.62
        if kind < 0.62:
            _appear(make, board, stage, amounts)
        else:
            _replace(make, board, stage, amounts)
        pages = [stage.picture(board, k) for k in range(pictures)]
    if r.random() < 0.12:
        quality = r.randint(35, 90)
        for page in pages:
            page.image = jpeg(page.image, quality)
    return board, pages


def _appear(make: _Maker, board: Board, stage: Stage, amounts: float) -> None:
    """One ground with one or two things, each there for a while, perhaps beside a text that is always there."""
    r, n = make.r, board.num_pictures
    things = [make.any(stage.paper_colour, amounts) for _ in range(r.choice((1, 1, 1, 2, 2)))]
    for thing in things:
        thing.first, thing.last = sorted((r.randrange(n), r.randrange(n)))
        if thing.last - thing.first == n - 1 and r.random() < 0.8:  # always there tells nothing
            thing.first = r.randrange(1, n)
        if r.random() < 0.3:
            half = r.choice(("begins", "ends", "both"))
            thing.begins = half != "ends" and thing.first < thing.last
            thing.ends = half != "begins" and (thing.first < thing.last or thing.shape is None)
            if thing.shape is not None and thing.last - thing.first < 2:  # one picture at least has its colour
                thing.ends = thing.ends and not thing.begins
    if r.random() < 0.4:
        always = make.words() if r.random() < 0.8 else make.amount()
        always.last = n - 1
        things.append(always)
    r.shuffle(things)
    board.things = stage.place(things, len(things))


def _replace(make: _Maker, board: Board, stage: Stage, amounts: float) -> None:
    """One thing after the other on the same ground, with nothing in between at times; one may come back."""
    r = make.r
    things, before = list[Thing](), None
    for first, last in _runs(r, board.num_pictures, r.choice((2, 3, 3, 4, board.num_pictures))):
        if before is not None and r.random() < 0.3:
            before = None
            continue
        again = r.choice(things) if len(things) > 1 and r.random() < 0.15 else None
        new = make.any(stage.paper_colour, amounts) if again is None else replace(again)
        if before is not None and new.zh == before.zh:  # no second red circle behind the first one
            before = None
            continue
        new.first, new.last, before = first, last, new
        things.append(new)
    board.things = stage.place(things, 1)


def _leaf(make: _Maker, board: Board, width: int, height: int, split: str) -> list[Page]:
    """Pages of a few layouts one after the other, each for a while."""
    r, n = make.r, board.num_pictures
    pages: list[Page] = []
    for first, last in _runs(r, n, r.choice((1, 2, 2, 3))):
        kind = r.choice((*PAGES, "blank"))
        wish = Wish(split, 1.0, 1, kinds=(kind,), language=board.language, unreadable=False)
        page = compose(Random(r.getrandbits(62)), width, height, wish)
        if not facts.ordinary(page.plan) or (split == "unseen_all" and kind == "blank"):
            page = Page(np.array(decorations.paper(r, width, height, decorations.paper_colour(r), True)), [], [])
        elif page.plan.text:
            thing = make.page(page)
            thing.first, thing.last = first, last
            board.things.append(thing)
        elif page.plan.shapes:
            page = Page(np.full((height, width, 3), 255, np.uint8), [], [])
        pages += [_copy(page) for _ in range(first, last + 1)]
    return pages


def _copy(page: Page) -> Page:
    return Page(page.image.copy(), page.glyphs, [], kind="clip", keep=page.keep, sights=page.sights)


def _runs(r: Random, pictures: int, number: int) -> list[tuple[int, int]]:
    """Cut the pictures into so many runs, (first, last) each."""
    cuts = sorted(r.sample(range(1, pictures), min(number, pictures) - 1))
    return [(a, b - 1) for a, b in zip([0, *cuts], [*cuts, pictures], strict=True)]


# --- drawing ---------------------------------------------------------------------------------------------------------


class Stage:
    """The ground of a clip, and where each thing stands on it."""

    def __init__(self, r: Random, width: int, height: int, language: str, split: str) -> None:
        self.r, self.width, self.height = r, width, height
        self.paper_colour = colours.paper_for_colours(r) if r.random() < 0.8 else decorations.paper_colour(r)
        paper = decorations.paper(r, width, height, self.paper_colour, r.random() < 0.6)
        if r.random() < 0.25:
            line = contrasting(r, luminance(self.paper_colour), 30)
            ImageDraw.Draw(paper).rectangle((2, 2, width - 3, height - 3), outline=line, width=r.choice((1, 2, 3)))
        self.paper = np.array(paper)
        pack = fonts.load("heldout" if split in ("unseen_fonts", "unseen_all") else "train")
        self.faces, self.smooth = choose_faces(r, pack, language), r.random() < 0.5

    def place(self, things: list[Thing], bands: int) -> list[Thing]:
        """Give each thing its place, in its band of the ground or, with one band, all in the same; those that have no
        room are left out."""
        placed: list[Thing] = []
        for index, thing in enumerate(things):
            band = index % bands if bands > 1 else 0
            tall = (self.height - 2 * _EDGE) // bands
            if self._place(thing, _EDGE + band * tall, tall):
                placed.append(thing)
        return placed

    def _place(self, thing: Thing, top: int, tall: int) -> bool:
        """Choose the thing's spot between `top` and `top + tall`; False where it is too large."""
        r = self.r
        if thing.shape is not None:
            radius = r.randint(14, max(14, min(44, tall // 2 - 3, self.width // 2 - _EDGE - 2)))
            x = r.randint(_EDGE + radius, self.width - _EDGE - radius)
            y = r.randint(top + radius, max(top + radius, top + tall - radius))
            thing.spot = Spot(x, y, vary(r, content.COLOURS[thing.shape[1]][1]), radius=radius)
            return True
        assert thing.ink is not None
        size = max(16, min(r.choice((16, 18, 20, 22, 24, 26, 28, 32, 36, 40)), tall - 12))
        setting = Type(self.faces, 0, self.smooth)
        fitted = fit(thing.ink, setting.sized(max(size, setting.min_size)), self.width - 2 * _EDGE, False)
        if fitted is None:
            return False
        run = fitted[1]
        low, high = top - run.top, top + tall - run.bottom - 2
        if high < low:
            return False
        x = r.randint(_EDGE, self.width - _EDGE - (run.right - run.left)) - run.left
        colour = contrasting(r, luminance(self.paper_colour), _INK_GAP, r.choice((0.0, 0.3, 1.0)))
        thing.spot = Spot(x, r.randint(low, high), colour, run)
        return True

    def picture(self, board: Board, index: int) -> Page:
        """One of the clip's pictures: the mean of its two frames."""
        shown = board.at(index)
        page = Page(self.paper.copy(), [], [], kind="clip")
        for thing in shown:
            self._draw(page, thing, named=not thing.half(index))
        if any(thing.half(index) for thing in shown):
            other = Page(self.paper.copy(), [], [])
            for thing in shown:
                if not thing.half(index):
                    self._draw(other, thing)
            page.image = _mean(page.image, other.image)
        if not shown:
            page.sights = [Sight(NOTHING, self.r.uniform(0, self.width), self.r.uniform(0, self.height))]
        return page

    def _draw(self, page: Page, thing: Thing, named: bool = True) -> None:
        """`named`: a shape is drawn whole and has its colour."""
        spot = thing.spot
        assert spot is not None
        if spot.run is not None:
            ink(page.image, spot.run, spot.x, spot.y, spot.colour, page.glyphs)
            return
        assert thing.shape is not None
        name, colour = thing.shape
        x, y, q = spot.x, spot.y, spot.radius
        picture = Image.fromarray(page.image)
        marks.shape(ImageDraw.Draw(picture), name, x, y, q, spot.colour, None)
        page.image = np.array(picture)
        corners = ((x + dx * q, y + dy * q) for dx, dy in ((-1, -1), (1, 1), (-1, 1), (1, -1)))
        page.keep += tuple((cx / self.width, cy / self.height) for cx, cy in corners)
        page.sights.append(Sight(content.SHAPE_WORDS[name], x, y))
        if named:
            page.sights.append(Sight(content.COLOURS[colour][0][0], x, y, COLOUR))


def _mean(a: Pixels, b: Pixels) -> Pixels:
    return ((a.astype(np.uint16) + b) >> 1).astype(np.uint8)
