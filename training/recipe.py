"""Draw one page with its questions. First edition: plain lines, so that the trainer can be built against it."""

from __future__ import annotations

import random
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.page import QA, Glyph, Page

WORDS = ("milk", "bread", "coffee", "apple", "soap", "paper", "total", "tea", "rice", "salt")


@lru_cache(64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype("DejaVuSans.ttf", size, layout_engine=ImageFont.Layout.BASIC)


def draw_page(
    rng: np.random.Generator,
    width: int,
    height: int,
    *,
    split: str = "train",
    difficulty: float = 1.0,
    num_qa: int = 2,
) -> Page:
    """One page of width x height pixels (multiples of 28)."""
    r = random.Random(int(rng.integers(2**62)))
    image = Image.new("RGB", (width, height), (250, 250, 250))
    draw = ImageDraw.Draw(image)
    glyphs: list[Glyph] = []
    rows: list[str] = []
    amounts: list[str] = []
    y = 2
    while y + 24 <= height:
        size = r.randint(14, 22)
        text = r.choice(WORDS)
        if r.random() < 0.5:
            price = f"{r.randint(1, 99)}.{r.randint(0, 99):02d}"
            text = f"{text} ${price}"
        if _font(size).getlength(text) > width - 4:
            text, price = text.split()[0][: max(1, width // size)], ""
        if "$" in text:
            amounts.append(price)
        rows.append(text)
        x = 2.0
        for char in text:
            advance = _font(size).getlength(char)
            if char != " ":
                draw.text((x, y), char, font=_font(size), fill=(20, 20, 20))
                x0, y0, x1, y1 = _font(size).getbbox(char)
                glyphs.append(Glyph(char, x + (x0 + x1) / 2, y + (y0 + y1) / 2, size))
            x += advance
        y += size + r.randint(4, 8)
    qa = [
        QA("amounts", "en", "List the amounts.", ", ".join(amounts) or "no amounts"),
        QA("read", "zh", "读出图中所有文字", "\n".join(rows)),
    ]
    return Page(np.asarray(image), glyphs, qa[:num_qa])


def draw_text_only(rng: np.random.Generator, split: str = "train") -> list[QA]:
    """A conversation without a picture."""
    r = random.Random(int(rng.integers(2**62)))
    if r.random() < 0.5:
        return [QA("chat", "zh", "你好", "你好，请给我一张有文字的图片。")]
    return [QA("chat", "en", "hello", "Hello! Please send me a picture with text.")]
