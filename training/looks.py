"""How a page is distorted: JPEG and resampling when it is drawn, and the random `Look` that the device applies later.

Text stays legible and answers about places and colours stay true; `training/augment.py` carries a look out.
"""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.page import QA, TOKEN, Page

LOOK = 30  # floats that say how one picture is distorted, see `Look`
SMALLEST_HANZI, SMALLEST_LATIN = 12.0, 9.5  # px that distortion may leave
# Tasks whose answers a moved or recoloured picture would make untrue.
PLACE_TASKS = frozenset({"box"})
COLOUR_TASKS = frozenset({"colour", "shapes", "count", "describe", "yesno"})


@dataclass(slots=True)
class Look:
    """How one picture is distorted on the device; see `training/augment.py` for the use of each number."""

    inverse: npt.NDArray[np.float64] = field(default_factory=lambda: np.eye(3))  # drawn <- shown, pixels
    blur: float = 0.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    noise: float = 0.0
    fill: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # colour outside the page and its opacity
    light: tuple[float, float] = (0.0, 0.0)  # how much brighter the right and the lower edge are than the other one
    vignette: float = 0.0  # how much darker the corners are
    shadow: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # its soft edge a u + b v + c = 0 (sides), depth
    motion: tuple[float, float] = (0.0, 0.0)  # half the way the picture moved while it was taken, pixels

    def keeps_colours(self) -> bool:
        """Whether named colours are still themselves."""
        bright = min(self.gain) + min(self.bias) > 0.8 and max(self.gain) - min(self.gain) < 0.08
        return bright and self.vignette < 0.2 and self.shadow[3] < 0.25 and max(map(abs, self.light)) < 0.2

    def row(self) -> list[float]:
        flat = (self.inverse / self.inverse[2, 2]).ravel().tolist()
        light = (*self.light, self.vignette, *self.shadow, *self.motion)
        return [*flat[:8], self.blur, self.noise, *self.gain, *self.bias, *self.fill, *light, 0.0]


def random_look(
    rng: random.Random, page: Page, strength: float, asked: Sequence[QA] = ()
) -> tuple[Look, npt.NDArray[np.float64]]:
    """A distortion of growing `strength` (0..1) and the forward map drawn -> shown.

    Text and shapes stay inside the picture, glyphs are not shrunk beyond `legibility`. Where the questions `asked` are
    about places, nothing moves unless their answers can (`QA.outlines`); where they are about colours, these change by
    little (`QA.colours`) or not at all.
    """
    look, forward = Look(), np.eye(3)
    height, width = page.image.shape[:2]
    tasks = {qa.task for qa in asked}
    fixed_geometry = page.fixed_geometry and bool(tasks & PLACE_TASKS)
    fixed_colours = page.fixed_colours and bool(tasks & COLOUR_TASKS)
    share = 0.0 if fixed_colours else 0.25 if any(qa.colours for qa in asked) else 1.0  # of all change to colours
    if not fixed_geometry and (page.glyphs or page.keep) and rng.random() < 0.5 * strength:
        forward = _random_map(rng, page, width, height)
        look.inverse = np.linalg.inv(forward)
        if rng.random() < 0.5:
            look.fill = (rng.random(), rng.random(), rng.random(), 1.0)
    smallest = min((g.size for g in page.glyphs), default=20.0)
    if rng.random() < 0.4 * strength:
        look.blur = rng.random() * min(1.3, max(0.0, (smallest - 8) / 10))
    if rng.random() < 0.06 * strength and smallest >= 14:
        way, angle = rng.uniform(0.3, min(2.0, (smallest - 8) / 7)), rng.uniform(0, np.pi)
        look.motion = (way * np.cos(angle), way * np.sin(angle))
    if share and rng.random() < 0.5 * strength:
        gain, bias = 1 + share * rng.uniform(-0.45, 0.15), share * rng.uniform(-0.12, 0.12)
        tint = [share * rng.uniform(-0.1, 0.1) if rng.random() < 0.4 else 0.0 for _ in range(3)]
        look.gain = (gain + tint[0], gain + tint[1], gain + tint[2])
        look.bias = (bias, bias, bias)
    if share and rng.random() < 0.25 * strength:
        _light(rng, look, share)
    if rng.random() < 0.35 * strength:
        look.noise = rng.random() ** 2 * 0.09
    return look, forward


def _light(rng: random.Random, look: Look, share: float) -> None:
    """As a telephone takes it: brighter on one side, darker corners, the edge of a shadow."""
    look.light = (share * rng.uniform(-0.4, 0.4), share * rng.uniform(-0.4, 0.4))
    if rng.random() < 0.5:
        look.vignette = share * rng.uniform(0.1, 0.4)
    if rng.random() < 0.5:
        angle, steep = rng.uniform(0, 2 * np.pi), 60 ** rng.uniform(0.3, 1.0)
        edge = steep * rng.uniform(-0.35, 0.35)
        look.shadow = (steep * np.cos(angle), steep * np.sin(angle), edge, share * rng.uniform(0.15, 0.5))


def legibility(page: Page) -> float:
    """How often larger the smallest glyph is than it must be; 2 without glyphs."""
    sizes = (g.size / (SMALLEST_HANZI if g.char >= "\u2e80" else SMALLEST_LATIN) for g in page.glyphs)
    return min(sizes, default=2.0)


def _random_map(rng: random.Random, page: Page, width: int, height: int) -> npt.NDArray[np.float64]:
    angle = np.deg2rad(rng.triangular(-9, 9, 0))
    shear, tilt = rng.uniform(-0.06, 0.06), rng.random() < 0.4
    cos, sin = np.cos(angle), np.sin(angle)
    centre = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1.0]])
    turn = np.array([[cos, -sin + shear, 0], [sin, cos, 0], [0, 0, 1.0]])
    if tilt:
        turn[2, :2] = rng.uniform(-0.18, 0.18) / max(width, height), rng.uniform(-0.18, 0.18) / max(width, height)
    moved = turn @ centre
    xs = np.array([[g.x + dx * g.size * 0.6, g.y + dy * g.size * 0.6, 1.0] for g in page.glyphs for dx, dy in
                   ((-1, -1), (1, 1))] + [[x * width, y * height, 1.0] for x, y in page.keep])  # fmt: skip
    out = xs @ moved.T
    out = out[:, :2] / out[:, 2:]
    low, high = out.min(0), out.max(0)
    room_to_shrink = legibility(page)
    scale = float(min(1.0, (width - 2) / (high[0] - low[0]), (height - 2) / (high[1] - low[1])))
    if scale * room_to_shrink < 1:
        return np.eye(3)
    if rng.random() < 0.6:
        scale *= rng.uniform(max(0.65, min(1.0, 1 / (scale * room_to_shrink))), 1.0)
    room = np.maximum(np.array([width, height]) - (high - low) * scale, 0)
    # stay near where it was: at most a quarter of the free room away from the centred place, mostly
    corner = room * np.array([rng.triangular(0, 1, 0.5), rng.triangular(0, 1, 0.5)])
    place = np.array([[scale, 0, corner[0] - low[0] * scale], [0, scale, corner[1] - low[1] * scale], [0, 0, 1.0]])
    return np.asarray(place @ moved)


def jpeg(image: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def resize(page: Page, width: int, height: int, max_area: int) -> None:
    """Resample a page as serving does with pictures of any size; left as it is where glyphs would become illegible."""
    drawn_height, drawn_width = page.image.shape[:2]
    x, y = width / drawn_width, height / drawn_height
    if legibility(page) * min(x, y) < 1 and drawn_width * drawn_height <= max_area * TOKEN * TOKEN:
        return
    image = Image.fromarray(page.image).resize((width, height), Image.Resampling.BICUBIC)
    page.image = np.asarray(image)
    for glyph in page.glyphs:
        glyph.x, glyph.y, glyph.size = glyph.x * x, glyph.y * y, glyph.size * min(x, y)
    for sight in page.sights:
        sight.x, sight.y = sight.x * x, sight.y * y
