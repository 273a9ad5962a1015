"""Draw the pictures of `examples/`: a receipt, a product label, a price tag, in faces that training never uses.

Run `python -m training.examples`; needs the font pack. What they say is written here and in `examples/README.md`.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from training import fonts
from training.draw import Colour

FOLDER = Path(__file__).resolve().parent.parent / "examples"
INK, GREY, RED = (34, 34, 38), (110, 110, 116), (190, 30, 45)


class Canvas:
    """A picture with a few ways to put text on it."""

    def __init__(self, width: int, height: int, paper: Colour) -> None:
        self.image = Image.new("RGB", (width, height), paper)
        self.draw = ImageDraw.Draw(self.image)
        self.width = width

    def text(self, text: str, x: int, y: int, size: int, face: str, colour: Colour = INK, anchor: str = "ls") -> None:
        """Text with its baseline at y; anchor "ls" left, "rs" right, "ms" middle."""
        split = fonts.load("heldout")
        path = next(one.path for one in (*split.latin, *split.cjk) if one.name == face)
        font = ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
        self.draw.text((x, y), text, font=font, fill=colour, anchor=anchor)

    def dashes(self, y: int, margin: int, colour: Colour = GREY) -> None:
        """A dashed line across."""
        for x in range(margin, self.width - margin, 10):
            self.draw.line((x, y, x + 5, y), fill=colour)


RECEIPT = (
    ("Rye bread", "4.20"), ("Whole milk", "2.75"), ("Green tea", "6.90"), ("Apples", "3.48"),
    ("Dark chocolate", "5.25"),
)  # fmt: skip


def receipt() -> Image.Image:
    """An English receipt with five items, total, cash and change."""
    page = Canvas(400, 536, (252, 251, 247))
    page.text("Harbor Grocery", 200, 56, 32, "Roboto-Bold", anchor="ms")
    page.text("14 Mill Lane", 200, 88, 20, "Roboto-Regular", GREY, "ms")
    page.text("2026-03-14 17:42", 200, 116, 20, "Roboto-Regular", GREY, "ms")
    page.dashes(138, 28)
    y = 176
    for name, price in RECEIPT:
        page.text(name, 30, y, 22, "Roboto-Regular")
        page.text(f"${price}", 370, y, 22, "Roboto-Regular", anchor="rs")
        y += 36
    page.dashes(y - 16, 28)
    total = sum(float(price) for _, price in RECEIPT)
    for name, value, face in (
        ("Total", total, "Roboto-Bold"),
        ("Cash", 30.0, "Roboto-Regular"),
        ("Change", 30.0 - total, "Roboto-Regular"),
    ):
        y += 20
        page.text(name, 30, y, 24 if face.endswith("Bold") else 22, face)
        page.text(f"${value:.2f}", 370, y, 24 if face.endswith("Bold") else 22, face, anchor="rs")
        y += 18
    page.text("Thank you!", 200, y + 42, 22, "Roboto-Regular", GREY, "ms")
    return page.image


LABEL = (
    ("净含量", "250克"),
    ("保质期至", "2027年6月30日"),
    ("产地", "云南大理"),
    ("生产批号", "TC20415"),
    ("零售价", "¥39.90"),
)


def label() -> Image.Image:
    """A Chinese product label with five fields."""
    page = Canvas(448, 392, (247, 244, 232))
    page.draw.rectangle((0, 0, 448, 92), fill=(38, 92, 66))
    page.text("高山绿茶", 224, 60, 40, "wqy-zenhei", (250, 250, 240), "ms")
    y = 142
    for name, value in LABEL:
        page.text(f"{name}：{value}", 32, y, 26, "wqy-zenhei", RED if name == "零售价" else INK)
        page.draw.line((32, y + 13, 416, y + 13), fill=(214, 206, 184))
        y += 50
    return page.image


def price_tag() -> Image.Image:
    """A price tag with a new and an old price."""
    page = Canvas(420, 280, (255, 255, 255))
    page.draw.rounded_rectangle((6, 6, 413, 273), radius=14, outline=RED, width=3)
    page.text("Desk lamp", 30, 62, 34, "DejaVuSerif-Bold")
    page.text("Model KT-2048", 30, 98, 20, "DejaVuSerif", GREY)
    page.text("$24.90", 30, 172, 44, "DejaVuSerif-Bold", RED)
    page.text("Was $39.90", 30, 236, 24, "DejaVuSerif", GREY)
    page.draw.line((92, 228, 172, 228), fill=GREY, width=2)
    page.draw.rounded_rectangle((300, 208, 392, 248), radius=8, fill=(250, 210, 40))
    page.text("-38%", 346, 236, 24, "DejaVuSerif-Bold", INK, "ms")
    return page.image


def main() -> None:
    """Write the three files."""
    FOLDER.mkdir(exist_ok=True)
    for name, picture in (("receipt", receipt()), ("label", label()), ("price-tag", price_tag())):
        picture.save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
