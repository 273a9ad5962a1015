"""Draws `menu-zh.png` beside this file, with a font that the bundled model's training holds back.

The other example pictures come from `python -m training.examples`.

    .venv/bin/python examples/draw.py FOLDER_WITH_FONTS

The folder is the one `python -m training.fonts` makes. The picture is checked in; run this only to change it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
HANZI = "wqy-zenhei.ttf"
PAPER, INK = (252, 251, 247), (28, 28, 32)

LABEL = (
    ("山城小面", ""),
    ("", ""),
    ("牛肉面", "¥18.00"),
    ("豆浆", "¥4.50"),
    ("炒青菜", "¥16.00"),
    ("", ""),
    ("合计", "¥38.50"),
)


def draw(lines: tuple[tuple[str, str], ...], font: ImageFont.FreeTypeFont, size: tuple[int, int]) -> Image.Image:
    """Left column, right column, one line each; nothing beside the text."""
    page = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(page)
    step = (size[1] - 40) / len(lines)
    for number, (left, right) in enumerate(lines):
        y = 20 + number * step
        pen.text((24, y), left, INK, font)
        pen.text((size[0] - 24 - font.getlength(right), y), right, INK, font)
    return page


def main(fonts: Path) -> None:
    draw(LABEL, ImageFont.truetype(fonts / HANZI, 26), (392, 336)).save(HERE / "menu-zh.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
