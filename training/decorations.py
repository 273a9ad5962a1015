"""Everything on a page besides its text: papers, frames, rules, bands, leaders, banners, badges, stamps, patches.

A decoration is a function of a `Scene` that draws with Pillow before the text is inked (strokes over text come after),
listed in `TRAIN` or `HELDOUT` with a weight. Text colours are chosen later, from the pixels that then lie behind the
text, so no decoration has to think of legibility beyond being of one brightness behind one row.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training import marks
from training.draw import Colour, Pixels, contrasting, luminance
from training.layouts.plan import Box, Piece, Plan, Row

# --- papers ---------------------------------------------------------------------------------------------------------


@lru_cache(1)
def _noise() -> Pixels:
    """A large field of grain, made once, of which pages take random windows."""
    generator = np.random.default_rng(7)
    fine = generator.integers(0, 256, (1024, 1024), np.uint8)
    coarse = Image.fromarray(generator.integers(0, 256, (128, 128), np.uint8)).resize(
        (1024, 1024), Image.Resampling.BICUBIC
    )
    field: Pixels = ((fine.astype(np.uint16) + np.asarray(coarse)) >> 1).astype(np.uint8)
    return field


def _noise_window(r: Random, width: int, height: int) -> Pixels:
    """A window of the grain, which repeats where a page is larger than it."""
    y, x = r.randrange(max(1, 1024 - height)), r.randrange(max(1, 1024 - width))
    if height <= 1024 and width <= 1024:
        return _noise()[y : y + height, x : x + width]
    rows, columns = (np.arange(height) + y) % 1024, (np.arange(width) + x) % 1024
    return np.ascontiguousarray(_noise()[rows][:, columns])


def paper_colour(r: Random) -> Colour:
    """Mostly light, sometimes dark or of middle brightness."""
    kind = r.random()
    if kind < 0.30:
        level = r.randint(235, 255)
        return (level, level, level)
    if kind < 0.74:
        return (r.randint(205, 255), r.randint(205, 255), r.randint(190, 255))
    if kind < 0.88:
        return (r.randint(0, 70), r.randint(0, 70), r.randint(0, 80))
    return (r.randint(40, 240), r.randint(40, 240), r.randint(40, 240))


def paper(r: Random, width: int, height: int, colour: Colour, plain: bool) -> Image.Image:
    """A background around one colour."""
    kind = 0.0 if plain else r.random()
    if 0.5 <= kind < 0.72:
        return _blotches(r, width, height, colour, 2 if r.random() < 0.6 else 5)
    if 0.72 <= kind < 0.90:
        return _grain(r, width, height, colour)
    image = Image.new("RGB", (width, height), colour)
    if kind >= 0.90:
        _ruled(r, image, colour)
    return image


def _blotches(r: Random, width: int, height: int, colour: Colour, cells: int) -> Image.Image:
    """Colours that run into each other: a gradient (2 cells) or clouds."""
    spread = r.randint(8, 32)
    small = Image.new("RGB", (cells, cells))
    small.putdata(
        [tuple(min(255, max(0, c + r.randint(-spread, spread))) for c in colour) for _ in range(cells * cells)]
    )
    return small.resize((width, height), Image.Resampling.BILINEAR)


def _grain(r: Random, width: int, height: int, colour: Colour) -> Image.Image:
    """The colour darkened by grain of up to an eighth of the range (up to black, where the colour is dark)."""
    window, depth = _noise_window(r, width, height), r.choice((8, 16, 16, 32))
    grain = Image.fromarray(window)
    return Image.merge("RGB", [grain.point([max(0, c - k * depth // 256) for k in range(256)]) for c in colour])


def _ruled(r: Random, image: Image.Image, colour: Colour) -> None:
    """Faint lines across, or squares."""
    step = r.randint(9, 40)
    shade = 14 if luminance(colour) < 60 else -r.randint(8, 26)
    line = tuple(min(255, max(0, c + shade)) for c in colour)
    draw = ImageDraw.Draw(image)
    for y in range(r.randrange(step), image.height, step):
        draw.line((0, y, image.width, y), fill=line)
    if r.random() < 0.5:
        for x in range(r.randrange(step), image.width, step):
            draw.line((x, 0, x, image.height), fill=line)


# --- the scene and its helpers ---------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Scene:
    """A page while it is being decorated."""

    r: Random
    plan: Plan
    image: Image.Image
    draw: ImageDraw.ImageDraw
    paper: Colour

    def accent(self, gap: float = 40.0) -> Colour:
        """A colour that can be seen on the paper."""
        return contrasting(self.r, luminance(self.paper), gap, 0.75)

    def faint(self) -> Colour:
        """A colour a little off the paper's."""
        dark = luminance(self.paper) < 90
        return tuple(
            min(255, max(0, c + (self.r.randint(12, 50) if dark else -self.r.randint(10, 48)))) for c in self.paper
        )  # type: ignore[return-value]

    def any_row(self) -> Row:
        return self.r.choice(self.plan.rows)

    def band(self, row: Row, pad: int) -> tuple[int, int]:
        """Top and bottom of a strip behind a row that stays off its neighbours' ink."""
        above = [other.box[3] for other in self.plan.rows if other.bottom <= row.top + 2 and other is not row]
        below = [other.box[1] for other in self.plan.rows if other.top >= row.bottom - 2 and other is not row]
        box = row.box
        return (
            max(0, max(box[1] - pad, max(above, default=-1) + 1)),
            min(self.plan.height - 1, min(box[3] + pad, min(below, default=self.plan.height) - 1)),
        )

    def free_box(self, width: int, height: int, taken: list[Box], tries: int = 8) -> Box | None:
        """A random place for something loose, clear of everything."""
        if width + 2 >= self.plan.width or height + 2 >= self.plan.height:
            return None
        for _ in range(tries):
            x, y = self.r.randrange(self.plan.width - width), self.r.randrange(self.plan.height - height)
            if all(x + width + 3 < b[0] or x > b[2] + 3 or y + height + 3 < b[1] or y > b[3] + 3 for b in taken):
                return (x, y, x + width, y + height)
        return None


def _content_box(plan: Plan) -> Box:
    boxes = plan.taken() or [(2, 2, plan.width - 2, plan.height - 2)]
    return (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))


def dashed(
    draw: ImageDraw.ImageDraw, x0: int, y: int, x1: int, colour: Colour, on: int, off: int, width: int = 1
) -> None:
    """A horizontal dashed or dotted line."""
    for x in range(x0, x1 - on + 1, on + off):
        draw.rectangle((x, y, x + on - 1, y + width - 1), fill=colour)


def dashed_down(
    draw: ImageDraw.ImageDraw, x: int, y0: int, y1: int, colour: Colour, on: int, off: int, width: int = 1
) -> None:
    """A vertical dashed or dotted line."""
    for y in range(y0, y1 - on + 1, on + off):
        draw.rectangle((x, y, x + width - 1, y + on - 1), fill=colour)


# --- trained decorations: each returns False when it found nothing to do ---------------------------------------------


def frame(scene: Scene) -> bool:
    """A border around the page or the text: single, double, rounded or dashed."""
    r, draw, plan = scene.r, scene.draw, scene.plan
    x0, y0, x1, y1 = _content_box(plan)
    if r.random() < 0.5:
        pad = r.randint(0, 3)
        x0, y0, x1, y1 = pad, pad, plan.width - 1 - pad, plan.height - 1 - pad
    else:
        pad = r.randint(3, 9)
        x0, y0, x1, y1 = (
            max(0, x0 - pad),
            max(0, y0 - pad),
            min(plan.width - 1, x1 + pad),
            min(plan.height - 1, y1 + pad),
        )
    if x1 - x0 < 12 or y1 - y0 < 12:
        return False
    colour, kind = scene.accent(30), r.randrange(4)
    if kind == 0:
        draw.rectangle((x0, y0, x1, y1), outline=colour, width=r.choice((1, 1, 2, 3)))
    elif kind == 1:
        draw.rectangle((x0, y0, x1, y1), outline=colour)
        draw.rectangle((x0 + 2, y0 + 2, x1 - 2, y1 - 2), outline=colour)
    elif kind == 2:
        draw.rounded_rectangle((x0, y0, x1, y1), radius=r.randint(3, 12), outline=colour, width=r.choice((1, 2, 2, 3)))
    else:
        on, off, width = r.choice(((1, 2, 1), (2, 2, 1), (4, 3, 1), (6, 4, 2)))
        for y in (y0, y1):
            dashed(draw, x0, y, x1, colour, on, off, width)
        for x in (x0, x1):
            dashed_down(draw, x, y0, y1, colour, on, off, width)
    return True


def rules(scene: Scene) -> bool:
    """Lines between some or all rows, whole, dashed or doubled."""
    r, draw, plan = scene.r, scene.draw, scene.plan
    if len(plan.rows) < 2:
        return False
    every, colour = r.random() < 0.5, scene.accent(30)
    box = _content_box(plan)
    x0, x1 = (box[0], box[2]) if r.random() < 0.6 else (r.randint(0, 4), plan.width - 1 - r.randint(0, 4))
    on, off = r.choice(((1, 1), (1, 2), (3, 2), (5, 3)))
    kind, width = r.randrange(4), r.choice((1, 1, 2))
    for above, below in zip(plan.rows, plan.rows[1:], strict=False):
        top, bottom = above.box[3], below.box[1]
        if bottom - top < 3 or not (every or r.random() < 0.3):
            continue
        y = r.randint(top + 1, max(top + 1, bottom - 1 - width))
        if kind == 0:
            dashed(draw, x0, y, x1, colour, on, off)
        elif kind == 1 and bottom - top > 5:
            draw.line((x0, y, x1, y), fill=colour)
            draw.line((x0, min(bottom - 1, y + 2), x1, min(bottom - 1, y + 2)), fill=colour)
        else:
            draw.rectangle((x0, y, x1, y + width - 1), fill=colour)
    return True


def zebra(scene: Scene) -> bool:
    """Every other row on a band of its own."""
    r, plan = scene.r, scene.plan
    if len(plan.rows) < 2:
        return False
    colour = scene.faint() if r.random() < 0.7 else scene.accent(60)
    full = r.random() < 0.6
    for row in plan.rows[r.randrange(2) :: 2]:
        top, bottom = scene.band(row, r.randint(2, 5))
        x0, x1 = (0, plan.width) if full else (max(0, row.box[0] - 4), min(plan.width, row.box[2] + 4))
        scene.draw.rectangle((x0, top, x1, bottom), fill=colour)
    return True


def banner(scene: Scene) -> bool:
    """A bar of full colour behind one row or several."""
    r, plan = scene.r, scene.plan
    if not plan.rows:
        return False
    many = r.random() < 0.35
    for row in plan.rows if many else r.sample(plan.rows, min(len(plan.rows), r.randint(1, 2))):
        top, bottom = scene.band(row, r.randint(2, 7))
        box, pad = row.box, r.randint(3, 14)
        x0, x1 = (0, plan.width) if r.random() < 0.4 else (max(0, box[0] - pad), min(plan.width - 1, box[2] + pad))
        colour = scene.accent(25)
        if r.random() < 0.3:
            scene.draw.rounded_rectangle((x0, top, x1, bottom), radius=min(8, (bottom - top) // 2), fill=colour)
        else:
            scene.draw.rectangle((x0, top, x1, bottom), fill=colour)
    return True


def badge(scene: Scene) -> bool:
    """A pill, box or disc behind single pieces, such as a price."""
    r, plan = scene.r, scene.plan
    pieces = [piece for row in plan.rows for piece in row.pieces]
    if not pieces:
        return False
    for piece in r.sample(pieces, min(len(pieces), r.randint(1, 3))):
        row = next(row for row in plan.rows if piece in row.pieces)
        top, bottom = scene.band(row, r.randint(2, 6))
        x0, x1 = _piece_span(scene, row, piece, r.randint(3, 10))
        _plate(scene, (x0, top, x1, bottom))
    return True


def _piece_span(scene: Scene, row: Row, piece: Piece, pad: int) -> tuple[int, int]:
    """Left and right of a plate behind a piece that stays off its neighbours in the row."""
    box = piece.box
    others = [other.box for other in row.pieces if other is not piece]
    left = max([other[2] + 1 for other in others if other[2] <= box[0]], default=0)
    right = min([other[0] - 1 for other in others if other[0] >= box[2]], default=scene.plan.width - 1)
    return max(left, box[0] - pad), min(right, box[2] + pad)


def _plate(scene: Scene, box: Box) -> None:
    r, draw = scene.r, scene.draw
    fill = scene.accent(25) if r.random() < 0.7 else None
    outline = scene.accent(40) if fill is None or r.random() < 0.3 else None
    radius = (box[3] - box[1]) // 2 if r.random() < 0.5 else r.choice((0, 0, 4))
    if box[2] - box[0] < 4 or box[3] - box[1] < 4:
        return
    draw.rounded_rectangle(
        box, radius=min(radius, (box[2] - box[0]) // 2), fill=fill, outline=outline, width=r.choice((1, 2))
    )


def leaders(scene: Scene) -> bool:
    """Dots, dashes or a line from each name to its price."""
    r, found = scene.r, False
    colour = scene.accent(r.choice((30, 60)))
    on, off = r.choice(((1, 2), (1, 3), (1, 4), (2, 2), (2, 4), (3, 3), (5, 3), (400, 0)))
    width, lift = r.choice((1, 1, 2)), r.choice((0, 0, 0, 1))
    for row in scene.plan.rows:
        for left, right in zip(row.pieces, row.pieces[1:], strict=False):
            x0, x1 = left.box[2] + r.randint(2, 5), right.box[0] - r.randint(2, 4)
            y = left.baseline - width - (lift * left.run.size // 4)
            if x1 - x0 >= 6:
                dashed(scene.draw, x0, y, x1, colour, min(on, x1 - x0), off, width)
                found = True
    return found


def underline(scene: Scene) -> bool:
    """A stroke under some pieces."""
    r, plan = scene.r, scene.plan
    if not plan.rows:
        return False
    colour, many = scene.accent(50), r.random() < 0.3
    for row in plan.rows if many else [scene.any_row()]:
        y = min(scene.band(row, 4)[1], row.box[3] + r.randint(1, 3))
        if y > row.box[3]:
            scene.draw.rectangle((row.box[0], y, row.box[2], y + r.randint(0, 1)), fill=colour)
    return True


def highlight(scene: Scene) -> bool:
    """A marker's stroke behind part of a row; near the paper in brightness, so the text shows on both."""
    r, plan = scene.r, scene.plan
    if not plan.rows:
        return False
    base = luminance(scene.paper)
    for row in r.sample(plan.rows, min(len(plan.rows), r.randint(1, 3))):
        top, bottom = scene.band(row, r.randint(0, 3))
        for _ in range(6):
            colour = (r.randrange(256), r.randrange(256), r.randrange(256))
            if abs(luminance(colour) - base) < 40:
                x0, y0, x1, y1 = row.box
                left = r.randint(x0, x1)
                scene.draw.rectangle((left, max(top, y0), r.randint(left, x1 + 4), min(bottom, y1 + 2)), fill=colour)
                break
    return True


def grid(scene: Scene) -> bool:
    """The lines of a table: between rows, and between columns where the layout has them."""
    r, plan, draw = scene.r, scene.plan, scene.draw
    rows = [row for row in plan.rows if len(row.pieces) > 1] if plan.columns else plan.rows
    if len(rows) < 2:
        return False
    colour, width = scene.accent(30), r.choice((1, 1, 1, 2))
    x0, x1 = max(0, _content_box(plan)[0] - 4), min(plan.width - 1, _content_box(plan)[2] + 4)
    edges = [max(0, rows[0].box[1] - 3)]
    for above, below in zip(rows, rows[1:], strict=False):
        edges.append((above.box[3] + below.box[1]) // 2)
    edges.append(min(plan.height - 1, rows[-1].box[3] + 3))
    for y in edges:
        draw.rectangle((x0, y, x1, y + width - 1), fill=colour)
    for x in [x0, *plan.columns, x1] if r.random() < 0.8 else []:
        if all(not (piece.box[0] - 1 <= x <= piece.box[2] + 1) for row in rows for piece in row.pieces):
            draw.rectangle((x, edges[0], x + width - 1, edges[-1]), fill=colour)
    return True


def boxed_rows(scene: Scene) -> bool:
    """Each row, or one, inside an outlined box."""
    r, plan = scene.r, scene.plan
    if not plan.rows:
        return False
    colour = scene.accent(40)
    for row in plan.rows if r.random() < 0.4 else [scene.any_row()]:
        top, bottom = scene.band(row, r.randint(3, 6))
        box = row.box
        scene.draw.rectangle((max(0, box[0] - 5), top, min(plan.width - 1, box[2] + 5), bottom), outline=colour)
    return True


def stamp(scene: Scene) -> bool:
    """A round or square seal without letters in a thin colour; may lie behind text."""
    r, plan, draw = scene.r, scene.plan, scene.draw
    radius = r.randint(16, max(17, min(48, min(plan.width, plan.height) // 4)))
    x, y = r.randrange(plan.width), r.randrange(plan.height)
    base = scene.paper
    red = r.choice(((220, 40, 40), (200, 30, 90), (40, 60, 200)))
    mix = r.uniform(0.25, 0.45)
    colour: Colour = tuple(int(b + (c - b) * mix) for b, c in zip(base, red, strict=True))  # type: ignore[assignment]
    width = r.choice((1, 2, 3))
    if r.random() < 0.7:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=width)
        if r.random() < 0.5:
            inner = radius - 4
            draw.ellipse((x - inner, y - inner, x + inner, y + inner), outline=colour)
        draw.polygon(marks.star_points(x, y, radius * 0.4), fill=colour)
    else:
        draw.rectangle((x - radius, y - radius // 2, x + radius, y + radius // 2), outline=colour, width=width)
    return True


def patch(scene: Scene) -> bool:
    """Pictures beside the text: noise, gradients, clutter of simple things."""
    r, plan = scene.r, scene.plan
    taken, found = plan.taken(), False
    for _ in range(r.randint(1, 3)):
        width, height = r.randint(18, max(20, plan.width // 2)), r.randint(18, max(20, plan.height // 3))
        box = scene.free_box(width, height, taken)
        if box is None:
            continue
        scene.image.paste(_picture(r, width, height), box[:2])
        taken.append(box)
        found = True
    return found


def _picture(r: Random, width: int, height: int) -> Image.Image:
    kind = r.random()
    if kind < 0.35:
        tile = Image.fromarray(_noise_window(r, width, height))
        tones = [(r.randrange(256), r.randrange(256), r.randrange(256)) for _ in range(2)]
        return Image.merge(
            "RGB", [tile.point([a + (b - a) * k // 255 for k in range(256)]) for a, b in zip(*tones, strict=True)]
        )
    cells = r.randint(2, 6)
    small = np.array([[[r.randrange(256) for _ in range(3)] for _ in range(cells)] for _ in range(cells)], np.uint8)
    picture = Image.fromarray(small).resize(
        (width, height), r.choice((Image.Resampling.BILINEAR, Image.Resampling.NEAREST))
    )
    draw = ImageDraw.Draw(picture)
    for _ in range(r.randint(0, 5)):
        x, y, s = r.randrange(width), r.randrange(height), r.randint(4, 20)
        colour = (r.randrange(256), r.randrange(256), r.randrange(256))
        (draw.ellipse if r.random() < 0.5 else draw.rectangle)((x, y, x + s, y + s), fill=colour)
    return picture


def clutter(scene: Scene) -> bool:
    """Small shapes in empty places."""
    r, plan = scene.r, scene.plan
    if plan.kind == "shapes":
        return False
    taken, found = plan.taken(), False
    names = ("circle", "square", "triangle", "star", "diamond", "ring")
    for _ in range(r.randint(1, 6)):
        radius = r.randint(4, 16)
        box = scene.free_box(2 * radius, 2 * radius, taken, 4)
        if box is not None:
            marks.shape(scene.draw, r.choice(names), box[0] + radius, box[1] + radius, radius, scene.accent(30), None)
            taken.append(box)
            found = True
    return found


def bullets(scene: Scene) -> bool:
    """A dot, square or tick before each row."""
    r, colour = scene.r, scene.accent(50)
    kind, size, found = r.choice(("ellipse", "rectangle")), r.randint(2, 4), False
    for row in scene.plan.rows:
        x = row.box[0] - 3 * size
        if x >= 1 and row.role not in ("title",):
            y = row.pieces[0].baseline - row.pieces[0].run.size // 3
            getattr(scene.draw, kind)((x - size, y - size, x + size, y + size), fill=colour)
            found = True
    return found


def header(scene: Scene) -> bool:
    """A block of colour from the top edge down behind the first row or two, or up from the foot."""
    r, plan = scene.r, scene.plan
    if len(plan.rows) < 2:
        return False
    if r.random() < 0.7:
        last = plan.rows[0 if r.random() < 0.7 else 1]
        box = (0, 0, plan.width, scene.band(last, r.randint(3, 8))[1])
    else:
        box = (0, scene.band(plan.rows[-1], r.randint(3, 8))[0], plan.width, plan.height)
    scene.draw.rectangle(box, fill=scene.accent(40))
    return True


def side_stripe(scene: Scene) -> bool:
    """A stripe of colour along one side, clear of text."""
    r, plan = scene.r, scene.plan
    x0, _, x1, _ = _content_box(plan)
    left, right = x0 - 3, plan.width - x1 - 3
    if max(left, right) < 3:
        return False
    if left >= right:
        scene.draw.rectangle((0, 0, r.randint(2, max(2, left)), plan.height), fill=scene.accent(30))
    else:
        scene.draw.rectangle(
            (plan.width - r.randint(2, max(2, right)), 0, plan.width, plan.height), fill=scene.accent(30)
        )
    return True


def desk(scene: Scene) -> bool:
    """The page as a sheet on something darker or lighter, with torn or straight edges."""
    r, plan, draw = scene.r, scene.plan, scene.draw
    box = _content_box(plan)
    x0, y0 = max(0, box[0] - r.randint(3, 12)), max(0, box[1] - r.randint(3, 12))
    x1, y1 = min(plan.width - 1, box[2] + r.randint(3, 12)), min(plan.height - 1, box[3] + r.randint(3, 12))
    colour = scene.accent(40)
    for strip in (
        (0, 0, plan.width, y0),
        (0, y1, plan.width, plan.height),
        (0, 0, x0, plan.height),
        (x1, 0, plan.width, plan.height),
    ):
        if strip[2] > strip[0] and strip[3] > strip[1]:
            draw.rectangle(strip, fill=colour)
    if r.random() < 0.4:
        for x in range(x0, x1, 8):
            draw.polygon([(x, y1), (x + 4, max(0, y1 - 3)), (x + 8, y1)], fill=colour)
    return True


def loose_bar_code(scene: Scene) -> bool:
    """A bar code in an empty place."""
    r = scene.r
    box = scene.free_box(r.randint(40, 120), r.randint(14, 36), scene.plan.taken())
    if box is None:
        return False
    scene.draw.rectangle((box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2), fill=(255, 255, 255))
    marks.bar_code(scene.draw, r, *box, (15, 15, 15))
    return True


def strike_through(scene: Scene) -> bool:
    """Mark some pieces to be struck out; the stroke itself is drawn over the text."""
    pieces = [piece for row in scene.plan.rows for piece in row.pieces if piece.content.amounts]
    for piece in scene.r.sample(pieces, min(len(pieces), scene.r.randint(1, 2))):
        piece.strike = True
    return bool(pieces)


def split_paper(scene: Scene) -> bool:
    """Two halves of the page in different colours, parted between rows."""
    r, plan = scene.r, scene.plan
    gaps = [(a.box[3], b.box[1]) for a, b in zip(plan.rows, plan.rows[1:], strict=False) if b.box[1] - a.box[3] > 1]
    if not gaps:
        return False
    top, bottom = r.choice(gaps)
    scene.draw.rectangle((0, (top + bottom) // 2, plan.width, plan.height), fill=scene.accent(25))
    return True


# --- held-out decorations: never on a training page ------------------------------------------------------------------


def brackets(scene: Scene) -> bool:
    """Corner brackets around the text."""
    r, draw, plan = scene.r, scene.draw, scene.plan
    box = _content_box(plan)
    pad, arm, width = r.randint(3, 7), r.randint(10, 24), r.choice((1, 2, 3))
    x0, y0, x1, y1 = (
        max(0, box[0] - pad),
        max(0, box[1] - pad),
        min(plan.width - 1, box[2] + pad),
        min(plan.height - 1, box[3] + pad),
    )
    colour = scene.accent(50)
    for x, dx in ((x0, 1), (x1, -1)):
        for y, dy in ((y0, 1), (y1, -1)):
            draw.line((x, y, x + dx * arm, y), fill=colour, width=width)
            draw.line((x, y, x, y + dy * arm), fill=colour, width=width)
    return True


def hatching(scene: Scene) -> bool:
    """Slanted lines across the page, faint, behind everything."""
    r, plan = scene.r, scene.plan
    colour, step = scene.faint(), r.randint(9, 22)
    for x in range(-plan.height, plan.width, step):
        scene.draw.line((x, plan.height, x + plan.height, 0), fill=colour, width=r.choice((1, 1, 2)))
    return True


def wave_rules(scene: Scene) -> bool:
    """Wavy lines between rows."""
    r, plan = scene.r, scene.plan
    colour, found = scene.accent(40), False
    for above, below in zip(plan.rows, plan.rows[1:], strict=False):
        gap = below.box[1] - above.box[3]
        if gap >= 5 and r.random() < 0.7:
            y = (above.box[3] + below.box[1]) / 2
            points = [(x, y + min(2.5, gap / 3) * math.sin(x / 4)) for x in range(3, plan.width - 3, 2)]
            scene.draw.line(points, fill=colour, width=1)
            found = True
    return found


def ribbon(scene: Scene) -> bool:
    """A banner with notched ends behind a row."""
    r, plan = scene.r, scene.plan
    if not plan.rows:
        return False
    row = scene.any_row()
    top, bottom = scene.band(row, r.randint(3, 6))
    x0, x1, notch = max(0, row.box[0] - 14), min(plan.width - 1, row.box[2] + 14), 8
    middle = (top + bottom) // 2
    points = [(x0, top), (x1, top), (x1 - notch, middle), (x1, bottom), (x0, bottom), (x0 + notch, middle)]
    scene.draw.polygon(points, fill=scene.accent(50))
    return True


# --- grounds for pages of shapes: marks that are none of the shapes --------------------------------------------------


def graph_paper(scene: Scene) -> bool:
    """Straight lines both ways, or one way only, faint."""
    r, plan, colour = scene.r, scene.plan, scene.faint()
    step, ways = r.randint(10, 44), r.choice(("both", "both", "across", "down"))
    for x in range(r.randint(0, step), plan.width, step) if ways != "across" else ():
        scene.draw.line((x, 0, x, plan.height), fill=colour, width=1)
    for y in range(r.randint(0, step), plan.height, step) if ways != "down" else ():
        scene.draw.line((0, y, plan.width, y), fill=colour, width=1)
    return True


def dot_grid(scene: Scene) -> bool:
    """Small dots in rows, too small for circles."""
    r, plan, colour = scene.r, scene.plan, scene.faint()
    step, size = r.randint(9, 30), r.choice((1, 1, 2))
    for y in range(r.randint(2, step), plan.height, step):
        for x in range(r.randint(2, step), plan.width, step):
            scene.draw.rectangle((x, y, x + size, y + size), fill=colour)
    return True


def edge_ticks(scene: Scene) -> bool:
    """A ruler's ticks along one side."""
    r, plan, colour = scene.r, scene.plan, scene.accent(40)
    step, length, side = r.randint(8, 30), r.randint(4, 12), r.randrange(4)
    for k, at in enumerate(range(r.randint(0, step), plan.width if side < 2 else plan.height, step)):
        far = length if k % 5 else int(1.6 * length)
        if side < 2:
            y = 0 if side == 0 else plan.height - 1 - far
            scene.draw.line((at, y, at, y + far), fill=colour, width=1)
        else:
            x = 0 if side == 2 else plan.width - 1 - far
            scene.draw.line((x, at, x + far, at), fill=colour, width=1)
    return True


def panel(scene: Scene) -> bool:
    """A part of the page in another tint, round or square at its corners, with or without an outline."""
    r, plan = scene.r, scene.plan
    wide, high = int(plan.width * r.uniform(0.3, 0.9)), int(plan.height * r.uniform(0.3, 0.9))
    x, y = r.randint(0, plan.width - wide), r.randint(0, plan.height - high)
    outline = scene.accent(40) if r.random() < 0.5 else None
    scene.draw.rounded_rectangle(
        (x, y, x + wide - 1, y + high - 1), radius=r.choice((0, 6, 14)), fill=scene.faint(), outline=outline
    )
    return True


def loose_lines(scene: Scene) -> bool:
    """One to four straight lines somewhere, across or down, whole or in part."""
    r, plan = scene.r, scene.plan
    for _ in range(r.randint(1, 4)):
        colour, width = scene.accent(40), r.choice((1, 1, 2, 3))
        x0, x1 = sorted((r.randint(0, plan.width), r.randint(0, plan.width)))
        y0, y1 = sorted((r.randint(0, plan.height), r.randint(0, plan.height)))
        line = (x0, y0, x1, y0) if r.random() < 0.5 else (x0, y0, x0, y1)
        scene.draw.line(line, fill=colour, width=width)
    return True


# What pages of shapes and coloured text may have in training, beside "frame" and "side_stripe".
GROUNDS: dict[str, Callable[[Scene], bool]] = {
    "panel": panel, "graph_paper": graph_paper, "dot_grid": dot_grid, "loose_lines": loose_lines,
    "edge_ticks": edge_ticks,
}  # fmt: skip
TRAIN: dict[str, tuple[Callable[[Scene], bool], float]] = {
    "desk": (desk, 4), "split_paper": (split_paper, 3), "header": (header, 6), "zebra": (zebra, 9),
    "frame": (frame, 12),
    "stamp": (stamp, 5), "banner": (banner, 11), "boxed_rows": (boxed_rows, 5), "grid": (grid, 9), "rules": (rules, 11),
    "badge": (badge, 9), "highlight": (highlight, 5), "leaders": (leaders, 14), "underline": (underline, 5),
    "patch": (patch, 8), "clutter": (clutter, 6), "bullets": (bullets, 4), "side_stripe": (side_stripe, 4),
    "loose_bar_code": (loose_bar_code, 3), "strike_through": (strike_through, 4),
}  # fmt: skip  # order = order of drawing: grounds first, then bands, lines, small things
HELDOUT: dict[str, tuple[Callable[[Scene], bool], float]] = {
    "hatching": (hatching, 1), "ribbon": (ribbon, 1), "wave_rules": (wave_rules, 1), "brackets": (brackets, 1),
}  # fmt: skip


def decorate(scene: Scene, names: list[str]) -> tuple[str, ...]:
    """Draw the named decorations in the order of the tables; gives those that found something to do."""
    table = GROUNDS | {name: draw for name, (draw, _) in (TRAIN | HELDOUT).items()}
    return tuple(name for name in table if name in names and table[name](scene))


# --- what happens to the finished picture ----------------------------------------------------------------------------


def jpeg(image: Pixels, quality: int) -> Pixels:
    """Through JPEG and back."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def crease(r: Random, image: Pixels) -> None:
    """A fold across or down the page: lighter on one side, darker on the other, both fading; in place."""
    across = r.random() < 0.5
    length = image.shape[0 if across else 1]
    at, reach = r.randint(length // 5, length - 1 - length // 5), r.randint(5, 24)
    low, high = max(0, at - reach), min(length, at + reach)
    offset = np.arange(low, high) - at + 0.5
    depth = r.uniform(0.08, 0.3) * r.choice((-1, 1))
    factor = 1 - depth * np.sign(offset) * np.exp(-np.abs(offset) / (0.4 * reach))
    band = image[low:high] if across else image[:, low:high]
    shape = (-1, 1, 1) if across else (1, -1, 1)
    band[...] = np.clip(band * factor.astype(np.float32).reshape(shape), 0, 255).astype(np.uint8)


def soften(image: Pixels, radius: float) -> Pixels:
    """A slight blur."""
    return np.array(Image.fromarray(image).filter(ImageFilter.BoxBlur(radius)))


def smear(image: Pixels, factor: int) -> Pixels:
    """Blur beyond all reading: shrink by `factor` and enlarge again."""
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((max(1, width // factor), max(1, height // factor)), Image.Resampling.BOX)
    return np.array(small.resize((width, height), Image.Resampling.BILINEAR))
