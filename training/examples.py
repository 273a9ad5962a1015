"""Draw the pictures of `examples/`, one for each business scene and more, in faces that training never uses.

    python -m training.examples             # what is drawn here by hand: receipt, label, price tag, menu, poster, ...
    python -m training.examples --scenes    # also worksheet, contract, part, shapes: others when the recipe changed

Needs the font pack. `examples/cases.jsonl` holds what is asked about them and the true answers; `--scenes` writes its
rows about the pictures that it draws.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

from training import fonts, marks, photos, recipe
from training.draw import Colour
from training.page import QA
from training.refusals import PROMPTS

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


MENU = (("牛肉面", "¥18.00"), ("豆浆", "¥4.50"), ("炒青菜", "¥16.00"), ("合计", "¥38.50"))


def menu() -> Image.Image:
    """A Chinese price list with its total."""
    page = Canvas(392, 336, (252, 251, 247))
    page.text("山城小面", 24, 44, 26, "wqy-zenhei")
    for (name, price), y in zip(MENU, (128, 170, 212, 296), strict=True):
        page.text(name, 24, y, 26, "wqy-zenhei")
        page.text(price, 368, y, 26, "wqy-zenhei", anchor="rs")
    return page.image


def poster() -> Image.Image:
    """A product's main picture: a brand mark, a price, the old one, and a word that advertising may not use."""
    page = Canvas(448, 448, (255, 246, 226))
    page.draw.rectangle((0, 312, 448, 448), fill=(196, 40, 46))
    mask = marks.mark_mask("NOVA", 30, 0)
    page.image.paste((30, 60, 140), (30, 28), mask)
    page.text("旅行背包", 224, 170, 52, "wqy-zenhei", anchor="ms")
    page.text("同类最便宜", 224, 232, 34, "wqy-zenhei", RED, "ms")
    page.text("四十升大容量", 224, 282, 26, "wqy-zenhei", GREY, "ms")
    page.text("¥129.00", 40, 392, 54, "Roboto-Bold", (255, 240, 200))
    page.text("原价¥199.00", 412, 390, 26, "wqy-zenhei", (255, 220, 200), "rs")
    return page.image


DEVICE = (
    ("电池容量", "10000mAh"),
    ("型号", "PB-210"),
    ("生产日期", "2026-03-18"),
    ("产地", "广东广州"),
    ("售价", "¥99.00"),
)


def device() -> Image.Image:
    """A Chinese label of a power bank that says nothing about charging without a cable."""
    page = Canvas(448, 364, (236, 240, 244))
    page.draw.rounded_rectangle((10, 10, 437, 353), radius=16, outline=(70, 84, 100), width=3)
    page.text("移动电源", 224, 68, 36, "wqy-zenhei", anchor="ms")
    for (name, value), y in zip(DEVICE, range(124, 400, 50), strict=False):
        page.text(f"{name}：{value}", 36, y, 26, "wqy-zenhei")
    return page.image


def landscape() -> Image.Image:
    """Painted hills without anything to read: what the model cannot judge."""
    return photos.scene(Random(HILLS), 420, 308)


HILLS = 8
DRAWN = {
    "receipt": receipt, "label": label, "price-tag": price_tag, "menu-zh": menu, "poster": poster, "device": device,
    "landscape": landscape,
}  # fmt: skip

# Pages of the recipe: seed, size, wish, and which of its questions in which words; None: any question of the task.
SCENES: dict[str, tuple[str, tuple[int, int], recipe.Wish, tuple[tuple[str, str | None], ...]]] = {
    "worksheet": (
        "worksheet3", (560, 448), recipe.Wish("unseen_fonts", 1.0, 60, True, ("worksheet",), language="zh"),
        (("marking", "请把这页作业批改一下，用JSON回答"), ("marking", PROMPTS["marking"])),
    ),
    "contract": (
        "contract4", (588, 700), recipe.Wish("unseen_fonts", 1.0, 60, True, ("contract",), language="zh"),
        (("contract", "请审查这份合同，用JSON回答"), ("contract", PROMPTS["contract"])),
    ),
    "part": (
        "part100", (448, 448), recipe.Wish("unseen_fonts", 1.0, 60, None, ("inspection",), language="zh"),
        (("inspection", PROMPTS["inspection"]),),
    ),
    "shapes": (
        "shapes110", (448, 336), recipe.Wish("unseen_fonts", 1.0, 60, False, ("shapes",), language="en"),
        (("count", None), ("box", None), ("colour", None)),
    ),
}  # fmt: skip


def scene_cases(name: str) -> tuple[Image.Image, list[dict[str, str]]]:
    """A page of the recipe and the rows that are asked about it."""
    seed, size, wish, wanted = SCENES[name]
    page = recipe.compose(Random(seed), *size, wish)
    rows = []
    for task, words in wanted:
        found = next((qa for qa in page.qa if fits(qa, task, words or "", wish.language or "zh")), None)
        if found is None:
            raise SystemExit(f"{name}: its page asks nothing like {task} {words!r}; give it another seed")
        rows.append({
            "picture": f"{name}.png", "task": task, "language": found.language, "question": words or found.question,
            "answer": found.answer,
        })  # fmt: skip
    return Image.fromarray(page.image), rows


def fits(qa: QA, task: str, words: str, language: str) -> bool:
    """Whether a page's question has the task, and an answer in the form that the words ask for."""
    if (qa.task, qa.language) != (task, language) or (task in ("marking", "contract") and len(qa.answer) < 60):
        return False
    boxed = words != PROMPTS["marking"] or "[" in qa.answer
    return qa.answer.startswith("{") == ("JSON" in words) and boxed


def main() -> None:
    """Write the pictures, and the rows about the scenes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", action="store_true", help="draw the recipe's pages anew and replace their rows")
    args = parser.parse_args()
    for name, draw in DRAWN.items():
        draw().save(FOLDER / f"{name}.png", optimize=True)
    if not args.scenes:
        return
    cases = FOLDER / "cases.jsonl"
    rows = [json.loads(line) for line in cases.read_text("utf-8").splitlines()]
    rows = [row for row in rows if row["picture"].removesuffix(".png") not in SCENES]
    for name in SCENES:
        picture, asked = scene_cases(name)
        picture.save(FOLDER / f"{name}.png", optimize=True)
        rows += asked
    cases.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main()
