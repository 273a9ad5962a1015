"""Held-out pages: bigger random sets for the trainer, and the fixed sets that ship inside `flashweb.evaluate`.

`python -m training.heldout --sets NAME,...` writes these fixed sets again: the same pictures with the same fonts while
the recipe is what it was when they were drawn, so a set is written once and then left alone. All sets use held-out
fonts; "amounts-unseen" and the `UNSEEN` ones also layouts, decorations and phrasings that training never draws. Glyphs
are at least 14 px (Latin) and 18 px (hanzi) high, as the targets are defined. "robust" is pages of other fixed sets
after wear.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from training.draw import Pixels
from training.page import Page
from training.recipe import Wish, compose
from training.words import BARRED_ENGLISH, BARRED_HANZI

FOLDER = Path(__file__).resolve().parent.parent / "src" / "flashweb" / "evaluate" / "heldout"
SEED = 20_261_121
MAX_BYTES = 26_000  # of one shipped page, lossless: papers of more grain are left to the random sets
MIN_LATIN, MIN_HANZI = 14, 18


@dataclass(frozen=True, slots=True)
class Kind:
    """One set: how its pages are wished for, which of them count, and how many are shipped."""

    wish: Wish
    count: int
    keep: Callable[[Page], bool] = lambda page: True


def _few_amounts(page: Page) -> bool:
    return page.qa[0].answer.count(",") < 14


_TOUCHING = frozenset(
    "frame zebra banner badge leaders grid rules boxed_rows header highlight underline strike_through".split()
)
_DENSE = ("lines", "scatter", "poster", "receipt", "menu", "price_tag", "table", "invoice", "label")


def _middling(page: Page) -> bool:
    """Not larger than the shipped sets can afford, and with more than a word to answer."""
    return max(page.image.shape) <= 620 and len(page.qa[0].answer) > 12


def _lists_boxes(page: Page) -> bool:
    """The box of every amount, not of one thing."""
    return re.match(r"[\d.]+ \[", page.qa[0].answer) is not None


def _wish(split: str, task: str, decorated: bool | None, kinds: tuple[str, ...] = _DENSE) -> Wish:
    return Wish(split, 1.0, 1, decorated, kinds, (task,), None, False)


_UNSEEN_TEXT, _UNSEEN_FIGURES = ("ticket", "coupon", "statement"), ("arc", "signboard")
KINDS: dict[str, Kind] = {
    "amounts-plain": Kind(_wish("unseen_fonts", "amounts", False), 60, _few_amounts),
    "amounts-decorated": Kind(
        _wish("unseen_fonts", "amounts", True),
        60,
        lambda page: _few_amounts(page) and bool(_TOUCHING & {*page.decorations}),
    ),
    "amounts-unseen": Kind(_wish("unseen_all", "amounts", True, _UNSEEN_TEXT), 30, _few_amounts),
    "reading": Kind(_wish("unseen_fonts", "read", None), 40, lambda page: 4 < len(page.qa[0].answer) < 200),
    "audit": Kind(
        _wish("unseen_fonts", "audit", None, ("poster", "label", "price_tag")),
        30,
        lambda page: page.qa[0].answer.startswith("{"),
    ),
    "boxes": Kind(_wish("unseen_fonts", "box", None), 30),
    "colours": Kind(_wish("unseen_all", "colour", None, _UNSEEN_FIGURES), 40),
    "counts": Kind(_wish("unseen_all", "count", None, ("arc",)), 50),
    "yesno": Kind(_wish("unseen_all", "yesno", None, (*_UNSEEN_TEXT, *_UNSEEN_FIGURES)), 50),
    "fields": Kind(_wish("unseen_all", "field", None, _UNSEEN_TEXT), 50),
    "amounts-boxes": Kind(_wish("unseen_all", "box", None, _UNSEEN_TEXT), 30, _lists_boxes),
    "marking": Kind(_wish("unseen_all", "marking", None, ("worksheet",)), 40, _middling),
    "contract": Kind(_wish("unseen_all", "contract", None, ("contract",)), 40, _middling),
    "inspection": Kind(_wish("unseen_all", "inspection", None, ("inspection",)), 40, _middling),
}

UNSEEN = ("colours", "counts", "yesno", "fields", "amounts-boxes")
SMALL_BYTES = 11_000  # of one page of the `UNSEEN` sets


def sample(kind: str, n: int, seed: int, *, max_bytes: int | None = None) -> list[Page]:
    """`n` pages of one of `KINDS` with one question each, 200 to 700 px; one in six amounts pages has no amount,
    yes and no take turns.
    """
    r, pages = Random(f"{kind} {seed}"), list[Page]()
    wanted = KINDS[kind]
    while len(pages) < n:
        page = compose(Random(r.getrandbits(62)), *_sides(r), wanted.wish)
        if page.qa[0].task != wanted.wish.tasks[0] or not wanted.keep(page) or not _legible(page):
            continue
        if wanted.wish.tasks == ("amounts",) and (len(pages) % 6 == 5) != (
            page.qa[0].answer in ("没有金额", "no amounts")
        ):
            continue
        if wanted.wish.tasks == ("yesno",) and (page.qa[0].answer in ("是", "yes")) != (len(pages) % 2 == 0):
            continue
        if max_bytes is None or len(lossless(page)) <= max_bytes:
            pages.append(page)
    return pages


def _sides(r: Random) -> tuple[int, int]:
    """Any width and height of 200 to 700 px, small ones more often, not more than 0.3 megapixels."""
    while True:
        width, height = (int(200 + 500 * r.random() ** 1.8) for _ in range(2))
        if width * height <= 300_000:
            return width, height


def _legible(page: Page) -> bool:
    """Large enough, and without words that nobody wants in a test picture."""
    if any(glyph.size < (MIN_HANZI if glyph.char >= "一" else MIN_LATIN) for glyph in page.glyphs):
        return False
    drawn = "".join(glyph.char for glyph in page.glyphs).lower()
    return not BARRED_HANZI.intersection(drawn) and not any(word in drawn for word in BARRED_ENGLISH if len(word) > 3)


def encode(image: Pixels) -> bytes:
    """A shipped picture: WebP, lossless where that is not larger by a quarter than quality 75."""
    exact, close = webp(image, lossless=True, quality=100, method=6), webp(image, quality=75, method=6)
    return close if 5 * len(close) <= 4 * len(exact) else exact


def lossless(page: Page) -> bytes:
    """WebP without the search for the smallest: its size is what small pages are chosen by."""
    return webp(page.image, lossless=True, quality=75, method=3)


def webp(image: Pixels, **how: Any) -> bytes:
    """The picture as Pillow writes it."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", **how)
    return buffer.getvalue()


# --- wear ------------------------------------------------------------------------------------------------------------

ROBUST = "robust"


# The pages, chosen once among those that compress well.
_SOURCES = {
    "amounts-unseen": (1, 9, 11, 14, 16, 19, 27, 29),
    "amounts-decorated": (0, 2, 5, 6, 7, 9, 10),
    "reading": (2, 4, 8, 9, 10, 11, 13, 14, 15, 17, 20, 21, 22, 23, 24),
}
# The kinds of wear, each by the page's place in the list above.
_WEAR: dict[str, tuple[str, ...]] = {
    "jpeg": ("jpeg 40",),
    "turned": ("turned -5 white", "turned 5 white", "turned -5 table", "turned 5 table"),
    "scaled": ("scaled 1.3", "scaled 0.7"),
}


def worn_rows() -> Iterator[dict[str, Any]]:
    """Those of "robust": fifteen pages of amounts, fifteen of reading, after each kind of wear. What they do not say is
    as in the row of their source; `flashweb.evaluate.wear` makes the worn copy of its picture when that is read.
    """
    sources = [f"{name}-{index:03d}" for name, chosen in _SOURCES.items() for index in chosen]
    for kind, wears in _WEAR.items():
        for index, source in enumerate(sources):
            wear = wears[index % len(wears)]
            yield {"name": f"robust-{kind}-{index:03d}", "set": ROBUST, "source": source, "wear": wear}


def _drawn_cases(name: str, seed: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The rows and pictures of one of `KINDS`."""
    pages = sample(name, KINDS[name].count, seed, max_bytes=SMALL_BYTES if name in UNSEEN else MAX_BYTES)
    for index, page in enumerate(pages):
        qa, case = page.qa[0], f"{name}-{index:03d}"
        row: dict[str, Any] = {"name": case, "set": name, "task": qa.task, "language": qa.language}
        row |= {"question": qa.question, "answer": qa.answer, "picture": f"{case}.webp"}
        row |= {"layout": page.kind, "decorations": list(page.decorations)}
        yield row, encode(page.image)


def table_of(rows: Iterable[dict[str, Any]]) -> str:
    """The text of `cases.jsonl`."""
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)


def write(sets: Collection[str], folder: Path = FOLDER, seed: int = SEED) -> int:
    """Write the named fixed sets, the others stay as they are; gives the bytes written."""
    folder.mkdir(parents=True, exist_ok=True)
    size, table = 0, folder / "cases.jsonl"
    before = table.read_text("utf-8").splitlines() if table.is_file() else []
    rows = [row for row in map(json.loads, before) if row["set"] not in sets]
    for name in sets:
        if name == ROBUST:
            rows += worn_rows()
            continue
        for row, data in _drawn_cases(name, seed):
            (folder / row["picture"]).write_bytes(data)
            size += len(data)
            rows.append(row)
    table.write_text(table_of(rows), "utf-8")
    return size


def main() -> int:
    """Command line: write fixed sets."""
    parser = argparse.ArgumentParser(prog="python -m training.heldout", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--seed", type=int, default=SEED)
    names = ", ".join((*KINDS, ROBUST))
    parser.add_argument("--sets", required=True, metavar="NAME,...", help=f"write these, keep the others: {names}")
    arguments = parser.parse_args()
    print(f"{write(arguments.sets.split(','), arguments.out, arguments.seed) / 2**20:.2f} MiB in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
