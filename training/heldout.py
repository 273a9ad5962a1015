"""Held-out pages: bigger random sets for the trainer, and the fixed sets that ship inside `flashweb.evaluate`.

`python -m training.heldout` writes the fixed sets again (same seed, same fonts, same pictures). All sets use held-out
fonts; "amounts-unseen" also layouts, decorations and phrasings that training never draws. Glyphs are at least 14 px
(Latin) and 18 px (hanzi) high, as the targets are defined.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image

from training.page import Page
from training.recipe import Wish, compose
from training.words import BARRED_ENGLISH, BARRED_HANZI

FOLDER = Path(__file__).resolve().parent.parent / "src" / "flashweb" / "evaluate" / "heldout"
SEED = 20_261_121
MAX_BYTES = 26_000  # of one shipped picture: grainy papers do not compress and are left to the random sets
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


def _wish(split: str, task: str, decorated: bool | None, kinds: tuple[str, ...] = _DENSE) -> Wish:
    return Wish(split, 1.0, 1, decorated, kinds, (task,), None, False)


KINDS: dict[str, Kind] = {
    "amounts-plain": Kind(_wish("unseen_fonts", "amounts", False), 60, _few_amounts),
    "amounts-decorated": Kind(
        _wish("unseen_fonts", "amounts", True),
        60,
        lambda page: _few_amounts(page) and bool(_TOUCHING & {*page.decorations}),
    ),
    "amounts-unseen": Kind(_wish("unseen_all", "amounts", True, ()), 30, _few_amounts),
    "reading": Kind(_wish("unseen_fonts", "read", None), 40, lambda page: 4 < len(page.qa[0].answer) < 200),
    "audit": Kind(
        _wish("unseen_fonts", "audit", None, ("poster", "label", "price_tag")),
        30,
        lambda page: page.qa[0].answer.startswith("{"),
    ),
    "boxes": Kind(_wish("unseen_fonts", "box", None), 30),
    "marking": Kind(_wish("unseen_all", "marking", None, ("worksheet",)), 40, _middling),
    "contract": Kind(_wish("unseen_all", "contract", None, ("contract",)), 40, _middling),
    "inspection": Kind(_wish("unseen_all", "inspection", None, ("inspection",)), 40, _middling),
}


def sample(kind: str, n: int, seed: int, *, max_bytes: int | None = None) -> list[Page]:
    """`n` pages of one of `KINDS` with one question each, 200 to 700 px; one in six amounts pages has no amount."""
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
        if max_bytes is None or len(encode(page)) <= max_bytes:
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


def encode(page: Page) -> bytes:
    """The picture as lossless WebP."""
    buffer = io.BytesIO()
    Image.fromarray(page.image).save(buffer, "WEBP", lossless=True, quality=75, method=3)
    return buffer.getvalue()


def write(folder: Path = FOLDER, seed: int = SEED, sets: Collection[str] = tuple(KINDS)) -> int:
    """Write the named fixed sets, the others stay as they are; gives the bytes written."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "cases.jsonl"
    before = table.read_text("utf-8").splitlines() if table.is_file() else []
    rows, size = [row for row in before if json.loads(row)["set"] not in sets], 0
    for name in sets:
        kind = KINDS[name]
        for old in folder.glob(f"{name}-[0-9]*.webp"):
            old.unlink()
        for index, page in enumerate(sample(name, kind.count, seed, max_bytes=MAX_BYTES)):
            qa, picture, data = page.qa[0], f"{name}-{index:03d}.webp", encode(page)
            (folder / picture).write_bytes(data)
            size += len(data)
            row: dict[str, object] = {
                "name": f"{name}-{index:03d}",
                "set": name,
                "task": qa.task,
                "language": qa.language,
            }
            row |= {"question": qa.question, "answer": qa.answer, "picture": picture}
            row |= {"layout": page.kind, "decorations": list(page.decorations)}
            rows.append(json.dumps(row, ensure_ascii=False))
    table.write_text("\n".join(rows) + "\n", "utf-8")
    return size


def main() -> int:
    """Command line: write the fixed sets."""
    parser = argparse.ArgumentParser(prog="python -m training.heldout", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--sets", default=",".join(KINDS), metavar="NAME,...", help="write these, keep the others")
    arguments = parser.parse_args()
    print(f"{write(arguments.out, arguments.seed, arguments.sets.split(',')) / 2**20:.2f} MiB in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
