"""Held-out conversations: the fixed sets that ship inside `flashweb.evaluate`, and bigger random ones.

`python -m training.heldout_talks` replaces these sets in `cases.jsonl` and leaves all others as they are. Pages use
held-out fonts, every second conversation held-out phrasings; photographs are those that training never sees. Only
photographs whose licence allows it are shipped; `PHOTOGRAPHS.md` beside them names their sources.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from flashweb.evaluate.heldout import Case
from training import conversations, photos, refusals, turns
from training.conversations import Talk
from training.draw import Pixels
from training.encoding import call_text
from training.heldout import FOLDER, SEED, _legible, encode, lossless, table_of, webp
from training.page import QA, Page
from training.recipe import Wish, compose

MAX_BYTES = 13_000  # of one page
PHOTO_QUALITY = 72


@dataclass(slots=True)
class Held:
    """A conversation with its pictures; `photographs` says which of them are such and where they come from."""

    talk: Talk
    pictures: list[Pixels]
    photographs: dict[int, str] = field(default_factory=dict)
    thinking: bool = False

    @property
    def task(self) -> str:
        """The scoring rule."""
        return "tool" if self.talk.kind.startswith("tool") else self.talk.asked[-1].task

    @property
    def answer(self) -> str:
        """What the model is to say last."""
        last = self.talk.turns[-1]
        return "\n".join(map(call_text, last.calls)) if last.calls and not last.results else last.answer


# --- pictures --------------------------------------------------------------------------------------------------------


def _page(r: Random, kind: str, low: int = 220, high: int = 430) -> Page:
    """A legible page of a layout in held-out fonts that does not take much space."""
    while True:
        wish = Wish("unseen_fonts", 1.0, 1, kinds=(kind,), unreadable=False)
        page = compose(Random(r.getrandbits(62)), r.randint(low, high), r.randint(low, high), wish)
        if page.plan is not None and page.plan.kind == kind and _legible(page) and len(lossless(page)) <= MAX_BYTES:
            return page


def _photo(r: Random) -> tuple[Pixels, str]:
    """A crop of a held-out photograph that may be shipped, or a painted scene without a pack."""
    known = [photo for photo in photos.pack("heldout") if not photo.cutout]
    width, height = r.randint(240, 340), r.randint(240, 340)
    if not known or r.random() < 0.12:
        return np.asarray(photos.scene(r, width, height)), "painted by training/photos.py"
    chosen = r.choice(known)
    return photos.crop(r, chosen, width, height), f"{chosen.name.rsplit('-', 1)[0]} ({chosen.licence})"


# --- the sets --------------------------------------------------------------------------------------------------------


def _about(r: Random, kind: str, index: int, wanted: Callable[[Talk], bool] = lambda talk: True) -> Held:
    """A conversation of one kind about one page."""
    heldout, language = index % 2 == 1, ("zh", "en")[index // 2 % 2]
    while True:
        page = _page(r, r.choice(conversations.NEEDS[kind]))
        talk = conversations.about_page(r, kind, page, heldout, language)
        if talk is not None and talk.length <= 240 and wanted(talk):
            return Held(talk, [page.image])


def _turns(r: Random, index: int) -> Held:
    return _about(r, "turns", index)


def _json(r: Random, index: int) -> Held:
    return _about(r, "json", index, lambda talk: talk.kind == "json")


def _rules(r: Random, index: int) -> Held:
    return _about(r, "rule", index)


_TOOL_KINDS = ("call", "call", "result", "call", "other", "call", "nothing")


def _tools(r: Random, index: int) -> Held:
    wanted = f"tool {_TOOL_KINDS[index % len(_TOOL_KINDS)]}"
    return _about(r, "tool", index, lambda talk: talk.kind == wanted)


def _thinking(r: Random, index: int) -> Held:
    held = _about(r, "turns", index)
    held.talk.turns, held.talk.asked, held.thinking = held.talk.turns[:1], held.talk.asked[:1], True
    return held


def _pairs(r: Random, index: int) -> Held:
    heldout, language = index % 2 == 1, ("zh", "en")[index // 2 % 2]
    kinds = conversations.NEEDS["pair"]
    pages, photographs = [_page(r, r.choice(kinds), 200, 340) for _ in range(2)], {}
    same = index % 13 == 12
    if index % 5 == 4:
        pages = [_page(r, "receipt", 220, 340) for _ in range(2)]
    if same:
        pages[1] = pages[0]
    elif index % 8 == 7:
        at = r.randrange(2)
        image, photographs[at] = _photo(r)
        pages[at] = Page(image, [], [], kind="photo")
    while True:
        talk = conversations.about_pair(r, pages, same, heldout, language)
        if talk.length <= 240:
            return Held(talk, [page.image for page in pages], photographs)


def _refusals(r: Random, index: int) -> Held:
    """Half of them can only be declined, the others are like questions about pages that can be read, or closed ones."""
    heldout, language, kind = index % 4 > 1, ("zh", "en")[index // 2 % 2], index % 8
    if kind in (0, 2, 4):
        image, source = _photo(r)
        known = refusals.GENERAL[language] if kind != 4 else refusals.WHAT[language]
        question = r.choice(known[-2:] if heldout and kind != 4 else known)
        asked = [QA("refuse", language, question, refusals.OUTSIDE[language])]
        return Held(Talk(conversations.shown(r, asked), asked, kind="photo"), [image], {0: source})
    if kind == 6:
        while True:
            wish = Wish(
                "unseen_fonts", 1.0, 1, kinds=("receipt", "label", "lines", "paragraph", "menu"), unreadable=False
            )
            page = conversations.small_page(r, r.randint(220, 330), r.randint(220, 330), wish)
            if page is not None and len(lossless(page)) <= MAX_BYTES:
                asked = refusals.about_small_text(r, heldout)
                return Held(Talk(conversations.shown(r, asked), asked, kind="small"), [page.image])
    if kind in (1, 5):
        while True:
            page = _page(r, r.choice(conversations.NEEDS["prompt"]))
            asked = [QA("describe", language, r.choice(refusals.WHAT[language]), "")]
            found = turns.Teller(r, page.plan, language, heldout).fact("describe")
            assert found is not None
            asked[0].answer = found.answer
            return Held(Talk(conversations.shown(r, asked), asked, kind="page"), [page.image])
    if kind == 3:
        image, source = _photo(r)
        asked = [refusals.closed_about_photo(r, language, heldout)]
        return Held(Talk(conversations.shown(r, asked), asked, kind="photo"), [image], {0: source})
    held = _about(r, "turns", index)
    held.talk.turns, held.talk.asked = held.talk.turns[:1], held.talk.asked[:1]
    return held


# A prompt and the layout of the page it is put to; "photo" for a photograph.
_PROMPT_CASES: tuple[tuple[str, str], ...] = (
    ("what_zh", "receipt"), ("what_zh", "photo"), ("amounts", "receipt"), ("amounts", "menu"), ("amounts", "photo"),
    ("expiry", "label"), ("expiry", "label"), ("expiry", "receipt"), ("clothes", "photo"), ("clothes", "receipt"),
    ("audit", "poster"), ("audit", "price_tag"), ("audit", "photo"), ("auditor", "poster"), ("auditor", "photo"),
    ("describe_zh", "menu"), ("describe_zh", "shapes"), ("describe_zh", "photo"), ("what_en", "receipt"),
    ("what_en", "label"),
    ("what_en", "photo"), ("bag", "poster"), ("bag", "photo"), ("people", "photo"), ("people", "poster"),
    ("translate", "lines"), ("translate", "poster"), ("translate", "photo"), ("points", "poster"), ("points", "label"),
    ("points", "receipt"), ("device", "label"), ("device", "label"), ("device", "photo"), ("marking", "receipt"),
    ("marking", "photo"), ("contract", "lines"), ("contract", "photo"), ("inspection", "receipt"),
    ("inspection", "photo"),
)  # fmt: skip


def _prompts(r: Random, index: int) -> Held:
    """One of the sources' prompts, word for word."""
    name, kind = _PROMPT_CASES[index % len(_PROMPT_CASES)]
    if kind == "photo":
        image, source = _photo(r)
        asked = [refusals.prompt_qa(name, None)]
        return Held(Talk(conversations.shown(r, asked), asked, kind="photo"), [image], {0: source})
    while True:
        page = _page(r, kind)
        if _fits(name, page, index):
            asked = [refusals.prompt_qa(name, page.plan)]
            return Held(Talk(conversations.shown(r, asked), asked, kind=kind), [page.image])


def _fits(name: str, page: Page, index: int) -> bool:
    """Whether the page has what the prompt asks about."""
    plan = page.plan
    keys = {key for key, _, _ in plan.fields}
    if name == "expiry" and plan.kind == "label":
        return bool(keys & {"expiry", "life"})
    if name == "device":
        return "battery" in keys if index % 2 else bool(keys & {"battery", "power"})
    if name == "bag" or (name == "points" and plan.kind == "poster"):
        return plan.brand is not None
    return len(plan.text) < 160 and (name != "amounts" or bool(plan.amounts))


TALKS: dict[str, tuple[int, Callable[[Random, int], Held]]] = {
    "turns": (26, _turns), "two-pictures": (26, _pairs), "refusals": (64, _refusals), "json": (26, _json),
    "rules": (20, _rules), "tools": (28, _tools), "thinking": (26, _thinking), "prompts": (40, _prompts),
}  # fmt: skip


def sample(name: str, n: int, seed: int) -> Iterator[Held]:
    """`n` conversations of one of `TALKS`; the same seed gives the same ones."""
    for index in range(n):
        yield TALKS[name][1](Random(f"{name} {seed} {index}"), index)


def row(held: Held, name: str, files: list[str]) -> dict[str, Any]:
    """The case as `flashweb.evaluate.heldout` reads it."""
    talk, qa = held.talk, held.talk.asked[-1]
    found: dict[str, Any] = {
        "name": name, "set": name.rsplit("-", 1)[0], "task": held.task, "language": qa.language,
        "question": qa.question, "answer": held.answer, "pictures": files,
        "messages": conversations.chat_messages(talk),
    }  # fmt: skip
    if talk.tools:
        found["tools"] = list(talk.tools)
    if held.thinking:
        found["thinking"] = True
    return found


def case(held: Held, name: str) -> Case:
    """The same as a case without files."""
    found = row(held, name, [])
    return Case(
        name=found["name"],
        set=found["set"],
        task=found["task"],
        language=found["language"],
        question=found["question"],
        answer=found["answer"],
        picture=Path(),
        messages=tuple(found["messages"]),
        tools=held.talk.tools,
        thinking=held.thinking,
    )


def _encoded(image: Pixels, photograph: bool) -> bytes:
    return webp(image, quality=PHOTO_QUALITY, method=5) if photograph else encode(image)


def write(folder: Path = FOLDER, seed: int = SEED, only: tuple[str, ...] = tuple(TALKS)) -> int:
    """Write these sets again, behind all others; gives the bytes of their pictures."""
    size, rows, sources = 0, list[dict[str, Any]](), dict[str, str]()
    folder.mkdir(parents=True, exist_ok=True)
    for name in only:
        for old in folder.glob(f"{name}-[0-9]*.webp"):
            old.unlink()
        for index, held in enumerate(sample(name, TALKS[name][0], seed)):
            files = []
            for at, image in enumerate(held.pictures):
                files.append(f"{name}-{index:03d}{'ab'[at] if len(held.pictures) > 1 else ''}.webp")
                data = _encoded(image, at in held.photographs)
                (folder / files[-1]).write_bytes(data)
                size += len(data)
                if at in held.photographs:
                    sources[files[-1]] = held.photographs[at]
            rows.append(row(held, f"{name}-{index:03d}", files))
    path = folder / "cases.jsonl"
    before = map(json.loads, path.read_text("utf-8").split("\n")[:-1]) if path.exists() else ()
    path.write_text(table_of([*(row for row in before if row["set"] not in only), *rows]), "utf-8")
    _write_sources(folder / "PHOTOGRAPHS.md", sources)
    return size


def _write_sources(path: Path, sources: dict[str, str]) -> None:
    """Name the photographs' sources and licences."""
    head = (
        "# Photographs of the held-out sets\n\nCropped and scaled from photographs of Debian packages and of "
        "scikit-image; file names of lomiri-wallpapers hold the photographers' names. china.jpg and flower.jpg: see "
        "the README of scikit-learn's `datasets/images` (CC-BY-2.0). chelsea, coffee: Stefan van der Walt, Rachel "
        "Michetti (CC0-1.0).\n\n| picture | from |\n|---|---|\n"
    )
    path.write_text(head + "".join(f"| {file} | {source} |\n" for file, source in sorted(sources.items())), "utf-8")


def main() -> int:
    """Command line: write the sets."""
    parser = argparse.ArgumentParser(prog="python -m training.heldout_talks", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", choices=TALKS, nargs="+", default=tuple(TALKS))
    arguments = parser.parse_args()
    size = write(arguments.out, arguments.seed, tuple(arguments.only))
    print(f"{size / 2**20:.2f} MiB of pictures in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
