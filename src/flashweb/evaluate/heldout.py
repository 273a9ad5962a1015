"""The held-out sets that come with the package: pictures in fonts (and partly layouts, decorations, phrasings) that
training never draws. Made once by `python -m training.heldout`; see `training/README.md` for how.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "heldout"
SETS: tuple[str, ...] = ("amounts-plain", "amounts-decorated", "amounts-unseen", "reading", "audit", "boxes")


@dataclass(frozen=True, slots=True)
class Case:
    """One picture and one question. `task` chooses the scoring rule, `language` is the question's."""

    name: str
    set: str
    task: str
    language: str
    question: str
    answer: str
    picture: Path

    def picture_bytes(self) -> bytes:
        """The picture's file (lossless WebP)."""
        return self.picture.read_bytes()


def load(sets: Iterable[str] = SETS, folder: Path = FOLDER) -> list[Case]:
    """The cases of the named sets, in the file's order. ValueError for a set that does not exist."""
    wanted = frozenset(sets)
    unknown = wanted - frozenset(SETS)
    if unknown:
        raise ValueError(f"unknown held-out set {', '.join(sorted(unknown))}: choose from {', '.join(SETS)}")
    with (folder / "cases.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Case(
            row["name"],
            row["set"],
            row["task"],
            row["language"],
            row["question"],
            row["answer"],
            folder / row["picture"],
        )
        for row in rows
        if row["set"] in wanted
    ]
