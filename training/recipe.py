"""Draw one page with its questions: choose paper, type, layout and decorations, ink the text, ask.

`difficulty` runs from one short line of frequent characters on plain paper (0) to everything (1). The splits other than
"train" use fonts, decorations, layouts or phrasings that training never draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import ImageDraw

from training import colours, content, decorations, fonts, layouts, marks, scenes, tasks, words
from training.charset import HANZI
from training.draw import Colour, Pixels, Type, choose_faces, contrasting, ink, luminance
from training.layouts.plan import Box, Plan, Sheet
from training.page import COLOUR, NOTHING, QA, Glyph, Page, Sight

SPLITS = ("train", "unseen_fonts", "unseen_decorations", "unseen_layouts", "unseen_all")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller may fix about a page; None leaves it to chance."""

    split: str = "train"
    difficulty: float = 1.0
    num_qa: int = 2
    decorated: bool | None = None
    kinds: tuple[str, ...] = ()  # layouts
    tasks: tuple[str, ...] = ()
    language: str | None = None
    unreadable: bool | None = None


def draw_page(
    rng: np.random.Generator,
    width: int,
    height: int,
    *,
    split: str = "train",
    difficulty: float = 1.0,
    num_qa: int = 2,
) -> Page:
    """One page of width x height pixels with `num_qa` questions; the same rng state gives the same page."""
    return compose(Random(int(rng.integers(2**62))), width, height, Wish(split, difficulty, num_qa))


def draw_text_only(rng: np.random.Generator, split: str = "train") -> list[QA]:
    """A conversation without a picture: greetings, and open questions that are declined."""
    assert split in SPLITS, split
    return tasks.chat(Random(int(rng.integers(2**62))), words.load())


def compose(r: Random, width: int, height: int, wish: Wish) -> Page:
    """A page as wished."""
    assert wish.split in SPLITS, wish.split
    scene = scenes.compose(r, width, height, wish)
    if scene is not None:
        return scene
    plan = _plan(r, width, height, wish)
    plain = _chance(r, wish.decorated, 0.6 * min(1.0, max(0.0, (wish.difficulty - 0.15) / 0.5))) is False
    if wish.difficulty > 0.5:
        _loose_marks(r, plan)
    image, names = _ground(r, plan, plain, wish)
    glyphs = _ink_all(r, image, plan, wish)
    unreadable = bool(plan.rows) and _chance(r, wish.unreadable, 0.012 if wish.difficulty > 0.7 else 0.0)
    if unreadable:
        image = decorations.smear(image, max(6, max(piece.run.size for piece in plan.pieces) // 2))
        return Page(image, [], tasks.ask_unreadable(r, wish.num_qa), kind=plan.kind, decorations=names)
    image = _finish(r, image, plain, wish)
    qa = tasks.ask(r, plan, words.load(), wish.num_qa, wish.split == "unseen_all", wish.difficulty, wish.tasks)
    return Page(
        image,
        glyphs,
        qa,
        kind=plan.kind,
        decorations=names,
        sights=_sights(r, plan, glyphs),
        keep=_keep(plan),
        plan=plan,
    )


def _chance(r: Random, wished: bool | None, probability: float) -> bool:
    return r.random() < probability if wished is None else wished


# --- plan ------------------------------------------------------------------------------------------------------------


def _plan(r: Random, width: int, height: int, wish: Wish) -> Plan:
    table = layouts.HELDOUT if wish.split in ("unseen_layouts", "unseen_all") else layouts.TRAIN
    names = [
        name
        for name, (_, _, w, h) in table.items()
        if width >= w and height >= h and (not wish.kinds or name in wish.kinds)
    ]
    if wish.difficulty < 0.1 or not names:
        table, names = layouts.TRAIN, ["lines"]
    elif wish.difficulty < 0.3:
        names = [name for name in names if name in ("lines", "scatter", "receipt", "shapes")] or names
    for _ in range(4):
        name = r.choices(names, [table[name][1] for name in names])[0]
        plan = table[name][0](_sheet(r, width, height, wish))
        if plan.rows or plan.shapes or name == "blank":
            return _first_line(plan) if wish.difficulty < 0.1 else plan
    return layouts.TRAIN["lines"][0](_sheet(r, width, height, wish, smallest=True))


def _loose_marks(r: Random, plan: Plan) -> None:
    """A brand mark, or a mark that is none, somewhere free on pages that have neither, mostly in a corner."""
    if plan.about_colours or plan.brand or plan.decoy or min(plan.width, plan.height) < 112:
        return
    if r.random() > 0.11:
        return
    radius = r.randint(8, 20)
    taken = [(b[0] - 4, b[1] - 4, b[2] + 4, b[3] + 4) for b in plan.taken()]
    low, right, left = plan.height - radius - 5, plan.width - radius - 5, radius + 5
    places = [(x, y) for x in (left, right) for y in (left, low)]
    r.shuffle(places)
    places += [(r.randint(left, right), r.randint(left, low)) for _ in range(4)]
    for x, y in places:
        reach = radius + 4
        if all(x + reach < b[0] or x - reach > b[2] or y + reach < b[1] or y - reach > b[3] for b in taken):
            if r.random() < 0.6:
                plan.brand, plan.brand_place = r.choice(content.BRANDS), (x, y, radius)
                plan.brand_turn = round(r.uniform(-10, 10)) if r.random() < 0.5 else 0
            else:
                plan.decoy, plan.decoy_place = r.choice(marks.DECOYS), (x, y, radius)
            return


def _keep(plan: Plan) -> tuple[tuple[float, float], ...]:
    """Corners of the drawn things that no distortion may push off the picture."""
    circles = [(s.x, s.y, s.radius) for s in plan.shapes]
    circles += [place for place in (plan.brand_place, plan.decoy_place) if place is not None]
    corners = [(x + dx * q, y + dy * q) for x, y, q in circles for dx, dy in ((-1, -1), (1, 1), (-1, 1), (1, -1))]
    return tuple((x / plan.width, y / plan.height) for x, y in corners)


def _sights(r: Random, plan: Plan, glyphs: list[Glyph]) -> list[Sight]:
    """Shapes and their colours, the colour of text in a named one, and places with neither."""
    if not plan.about_colours:
        return []
    found = [Sight(NOTHING, r.uniform(0, plan.width), r.uniform(0, plan.height)) for _ in range(4 + len(plan.shapes))]
    near = [(s.x, s.y, s.radius + 20) for s in plan.shapes]
    found = [one for one in found if all(abs(one.x - x) > q or abs(one.y - y) > q for x, y, q in near)]
    for shape in plan.shapes:
        found.append(Sight(content.SHAPE_WORDS[shape.name], shape.x, shape.y))
        found.append(Sight(content.COLOURS[shape.colour][0][0], shape.x, shape.y, COLOUR))
    named = [(piece.box, content.COLOURS[piece.colour_name][0][0]) for piece in plan.pieces if piece.colour_name]
    for (x0, y0, x1, y1), colour in named:
        found += [Sight(colour, g.x, g.y, COLOUR) for g in glyphs if x0 <= g.x < x1 and y0 <= g.y < y1]
    return found


def _first_line(plan: Plan) -> Plan:
    """The easiest pages hold one line."""
    plan.rows = plan.rows[:1]
    return plan


def _sheet(r: Random, width: int, height: int, wish: Wish, smallest: bool = False) -> Sheet:
    language = wish.language or ("zh" if r.random() < 0.55 else "en")
    pack = fonts.load("heldout" if wish.split in ("unseen_fonts", "unseen_all") else "train")
    size = _size(r, width, height, language, wish.difficulty, smallest)
    smooth, tracking = r.random() < 0.4, r.choice((0, 0, 0, 0, 0, 0.5, 1, 2)) if wish.difficulty > 0.3 else 0
    kinds = [Type(choose_faces(r, pack, language), size, smooth, tracking) for _ in range(3)]
    kinds = [kind.sized(max(kind.min_size, size)) if height > 40 else kind.sized(size) for kind in kinds]
    margin = r.randint(1, 3) if min(width, height) < 84 else r.choice((2, r.randint(4, 10), r.randint(8, 24)))
    return Sheet(
        r=r,
        width=width,
        height=height,
        language=language,
        type=kinds[0],
        other_types=tuple(kinds[1:]),
        vocabulary=words.load(),
        num_hanzi=int(150 + (len(HANZI) - 150) * min(1.0, wish.difficulty / 0.5) ** 2),
        signs=content.notation(r, language),
        margin=margin,
        gap=int(size * r.choice((0.2, 0.35, 0.5, 0.8, 1.2))) + 1,
    )


def _size(r: Random, width: int, height: int, language: str, difficulty: float, smallest: bool) -> int:
    """Glyph height in px: 14 to 24 mostly, larger on large pages, never too large for the page."""
    most = min(22, height - 6) if height <= 40 else max(14, min(40, height // 4, width // 4))
    if smallest:
        return min(14, most)
    if difficulty < 0.2:
        return r.randint(14, min(22, most))
    least = 14 if language == "zh" or r.random() < 0.85 else 12
    kind = r.random()
    size = (
        r.randint(least, 18)
        if kind < 0.28
        else r.randint(16, 24)
        if kind < 0.72
        else r.randint(18, 30)
        if kind < 0.90
        else r.randint(24, 40)
    )
    if max(width, height) > 448 and r.random() < 0.5:
        size = int(size * r.uniform(1.1, 1.7))
    return max(least, min(size, most))


# --- ground and text -------------------------------------------------------------------------------------------------


def _ground(r: Random, plan: Plan, plain: bool, wish: Wish) -> tuple[Pixels, tuple[str, ...]]:
    """Paper, decorations and drawn things: everything that lies below the text."""
    colour = (
        (colours.paper_for_colours(r) if plan.about_colours else decorations.paper_colour(r))
        if wish.difficulty > 0.15
        else r.choice(((255, 255, 255), (250, 250, 245), (240, 240, 240)))
    )
    if plan.about_colours:
        colours.fit_colours(r, plan, colour)
    image = decorations.paper(r, plan.width, plan.height, colour, plain and r.random() < 0.5 or wish.difficulty < 0.15)
    things = (plan.shapes, plan.brand_place, plan.decoy_place, plan.bar_code, plan.rules)
    if plain and not any(things):
        return np.array(image), ()
    scene = decorations.Scene(r, plan, image, ImageDraw.Draw(image), colour)
    names = () if plain else decorations.decorate(scene, _choose_decorations(r, plan, wish))
    _draw_things(scene)
    return np.array(image), names


def _choose_decorations(r: Random, plan: Plan, wish: Wish) -> list[str]:
    count = r.choices((1, 2, 3, 4), (30, 35, 25, 10))[0]
    if plan.about_colours:
        unseen = wish.split in ("unseen_decorations", "unseen_all")
        if unseen:
            return r.sample(("brackets", "hatching"), 1) if r.random() < 0.5 else []
        grounds = ("frame", "side_stripe", *decorations.GROUNDS)
        return r.sample(grounds, r.choice((1, 1, 1, 2))) if r.random() < 0.7 else []
    names = list(decorations.TRAIN)
    weights = [decorations.TRAIN[name][1] for name in names]
    if plan.items:
        weights[names.index("leaders")] *= 2
    if plan.columns:
        weights[names.index("grid")] *= 5
    chosen = set(r.choices(names, weights, k=count))
    if wish.split in ("unseen_decorations", "unseen_all"):
        kept = sorted(chosen)[:1] if r.random() < 0.4 else []
        return sorted({*kept, *r.sample(tuple(decorations.HELDOUT), r.choice((1, 1, 2)))})
    return sorted(chosen)


def _draw_things(scene: decorations.Scene) -> None:
    """What the layout itself holds besides text: rules, shapes, the brand mark, the bar code."""
    r, plan, draw = scene.r, scene.plan, scene.draw
    if plan.rules:
        _draw_rules(scene)
    for shape in plan.shapes:
        fill = vary(r, content.COLOURS[shape.colour][1])
        marks.shape(draw, shape.name, shape.x, shape.y, shape.radius, fill, None)
    if plan.brand_place is not None and plan.brand is not None:
        _draw_mark(scene, plan.brand, plan.brand_place, round(plan.brand_turn))
    if plan.decoy_place is not None:
        _draw_mark(scene, plan.decoy, plan.decoy_place, round(r.uniform(-10, 10)) if r.random() < 0.3 else 0)
    if plan.bar_code is not None:
        x0, y0, x1, y1 = plan.bar_code
        draw.rectangle((x0 - 3, y0 - 2, x1 + 3, y1 + 2), fill=(255, 255, 255))
        marks.bar_code(draw, r, x0, y0, x1, y1, (15, 15, 15))


def _draw_rules(scene: decorations.Scene) -> None:
    """The lines, boxes and plates of forms, all in one colour."""
    r, draw = scene.r, scene.draw
    colour, plate, width = scene.accent(r.choice((30, 60))), scene.faint(), r.choice((1, 1, 2))
    for box, kind in scene.plan.rules:
        x0, y0, x1, y1 = box
        if x1 <= x0 or y1 <= y0:
            continue
        if kind == "dots":
            decorations.dashed(draw, x0, y0, x1, colour, 1, 2)
        elif kind == "line":
            draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)
        elif kind == "plate":
            draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), fill=plate)
        else:
            draw.rounded_rectangle(box, radius=5 if kind == "round" else 0, outline=colour, width=width)


def _draw_mark(scene: decorations.Scene, name: str, place: tuple[int, int, int], turn: int) -> None:
    """A brand mark or a decoy, sometimes on a ground of its own colour."""
    r = scene.r
    x, y, radius = place
    paper = _pixel(scene, x, y)
    if r.random() < 0.4:
        white_or_dark = r.random() < 0.4
        paper = (
            r.choice(((255, 255, 255), (20, 20, 30))) if white_or_dark else contrasting(r, luminance(paper), 20, 1.0)
        )
        box = (x - radius - 3, y - radius - 3, x + radius + 3, y + radius + 3)
        scene.draw.rounded_rectangle(box, radius=r.choice((0, 0, 4)), fill=paper)
    mask = marks.mark_mask(name, radius, turn)
    colour = contrasting(r, luminance(paper), 80, 0.8)
    scene.image.paste(colour, (x - mask.width // 2, y - mask.height // 2), mask)


def _pixel(scene: decorations.Scene, x: int, y: int) -> Colour:
    colour = scene.image.getpixel((x, y))
    assert isinstance(colour, tuple)
    return (colour[0], colour[1], colour[2])


def vary(r: Random, colour: Colour) -> Colour:
    """The same colour by name, a little off; what is neutral stays so."""
    shift, spread = (r.randint(-10, 10), 3) if max(colour) - min(colour) < 10 else (0, 12)
    return tuple(min(255, max(0, c + shift + r.randint(-spread, spread))) for c in colour)  # type: ignore[return-value]


_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def _brightness(image: Pixels, box: Box) -> tuple[float, float]:
    """Darkest and lightest luma behind a box, on every third pixel or so."""
    x0, y0, x1, y1 = box
    luma = image[max(0, y0) : y1 : 2, max(0, x0) : x1 : 3] @ _LUMA
    return float(luma.min()), float(luma.max())


def _ink_all(r: Random, image: Pixels, plan: Plan, wish: Wish) -> list[Glyph]:
    """Choose colours that can be read where the text lies, and draw all of it."""
    glyphs: list[Glyph] = []
    gap = 110.0 if r.random() < 0.5 else 75.0 if r.random() < 0.85 or wish.difficulty < 0.7 else 48.0
    saturation, mode = r.choice((0.0, 0.3, 1.0)), r.random()
    page_colour: Colour | None = None
    for row in plan.rows:
        for piece in row.pieces:
            low, high = _brightness(image, piece.box)
            if piece.colour_name:
                ink(image, piece.run, piece.x, piece.baseline, vary(r, content.COLOURS[piece.colour_name][1]), glyphs)
                continue
            keep = page_colour if mode < 0.6 or (mode < 0.85 and piece is not row.pieces[0]) else None
            colour = _legible(r, image, piece.box, low, high, gap, saturation, keep)
            page_colour = keep or colour
            ink(image, piece.run, piece.x, piece.baseline, colour, glyphs)
            if piece.strike:
                _strike(r, image, piece.box, piece.baseline - int(piece.run.size * 0.32), colour)
    return glyphs


def _legible(
    r: Random, image: Pixels, box: Box, low: float, high: float, gap: float, saturation: float, keep: Colour | None
) -> Colour:
    """A colour that stands off everything between `low` and `high`; lays a plate when there is none."""
    if low < gap and high > 255 - gap:
        level = 250 if r.random() < 0.7 else 10
        x0, y0, x1, y1 = box
        image[max(0, y0 - 2) : y1 + 2, max(0, x0 - 3) : x1 + 3] = level
        low = high = float(level)
    if keep is not None and (luminance(keep) >= high + gap or luminance(keep) <= low - gap):
        return keep
    middle = (low + high) / 2
    colour = contrasting(r, middle, gap + (high - low) / 2, saturation)
    if low - gap < luminance(colour) < high + gap:
        return (0, 0, 0) if low >= gap else (255, 255, 255)
    return colour


def _strike(r: Random, image: Pixels, box: Box, y: int, colour: Colour) -> None:
    """A stroke over the text."""
    thickness = 1 if box[3] - box[1] < 20 else r.choice((1, 2))
    shade = colour if r.random() < 0.6 else r.choice(((220, 30, 30), (40, 40, 40)))
    image[max(0, y) : y + thickness, max(0, box[0] - 2) : box[2] + 2] = shade


def _finish(r: Random, image: Pixels, plain: bool, wish: Wish) -> Pixels:
    """Light damage to some pages: a fold, JPEG, a slight blur."""
    kind = r.random()
    if wish.difficulty > 0.5 and r.random() < 0.05:
        decorations.crease(r, image)
    if wish.difficulty < 0.5 or kind > (0.06 if plain else 0.12):
        return image
    if kind < 0.03:
        return decorations.soften(image, r.uniform(0.3, 0.6))
    return decorations.jpeg(image, r.randint(35, 90))
