"""Held-out clips as a folder of cases: `python -m training.heldout_clips FOLDER`, then `flashweb eval --cases FOLDER`.

None are shipped: a clip is up to eight pictures. Faces are those that training never uses, every second case has
held-out phrasings, both languages take turns; the same number and seed give the same cases.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from training import clips, conversations
from training.batches import Budget
from training.clip_frames import Board
from training.conversations import Talk
from training.heldout import SEED, lossless, table_of
from training.page import Page

COUNT = 60
SPLIT = "unseen_fonts"


def sample(number: int, seed: int = SEED) -> Iterator[tuple[Board, list[Page], Talk]]:
    """So many clips with a conversation each."""
    for index in range(number):
        r = Random(f"clips {seed} {index}")
        drawn = clips.draw(r, Budget(), SPLIT)
        assert drawn is not None, "the usual budget has room for a clip"
        board, pages = drawn
        yield board, pages, conversations.about_clip(r, board, index % 2 == 1, ("zh", "en")[index // 2 % 2])


def write(folder: Path, number: int = COUNT, seed: int = SEED) -> int:
    """Write the cases and their pictures (lossless WebP, one file of pictures that are alike); gives their bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, sizes = list[dict[str, Any]](), dict[str, int]()
    for index, (board, pages, talk) in enumerate(sample(number, seed)):
        files = []
        for page in pages:
            data = lossless(page)
            files.append(f"{hashlib.sha256(data).hexdigest()[:16]}.webp")
            (folder / files[-1]).write_bytes(data)
            sizes[files[-1]] = len(data)
        rows.append(row(board, talk, files, f"clip-{index:03d}"))
    (folder / "cases.jsonl").write_text(table_of(rows), "utf-8")
    return sum(sizes.values())


def row(board: Board, talk: Talk, files: list[str], name: str) -> dict[str, Any]:
    """The case as `flashweb.evaluate.heldout.load_folder` reads it."""
    qa = talk.asked[-1]
    return {
        "name": name,
        "task": qa.task,
        "language": qa.language,
        "question": qa.question,
        "answer": talk.turns[-1].answer,
        "pictures": files,
        "seconds": list(board.seconds),
        "messages": conversations.chat_messages(talk),
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.heldout_clips", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    size = write(arguments.folder, arguments.number, arguments.seed)
    print(f"{arguments.number} cases, {size / 2**20:.2f} MiB of pictures in {arguments.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
