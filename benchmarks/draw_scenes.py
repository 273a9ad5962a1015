"""How long a training page of each scene, and a clip, takes to draw: CPU milliseconds on one core, glyphs cached.

    PYTHONPATH=. .venv/bin/python benchmarks/draw_scenes.py [--pages 300] [--save]

Needs the font pack (training/README.md). Drawing processes feed the GPU, so the mean has to stay below 8 ms.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from random import Random

from common import machine, write_result

from training import clips, scenes
from training.batches import Budget
from training.conversations import about_clip
from training.page import TOKEN
from training.recipe import Wish

WARM_UP = 1200  # pages before the clock starts: a worker draws millions
SIDES = {"contract": (14, 26)}  # tokens of 28 px; the others 8 to 22


def milliseconds(kind: str, pages: int) -> dict[str, float]:
    """Mean, median and 90th percentile of the CPU time of one page with four questions."""
    r, times = Random(1), list[float]()
    low, high = SIDES.get(kind, (8, 22))
    for index in range(WARM_UP + pages):
        width, height = 28 * r.randint(low, high), 28 * r.randint(low, high)
        began = time.process_time()
        page = scenes.compose(Random(r.getrandbits(62)), width, height, Wish("train", 1.0, 4, None, (kind,)))
        if page is not None and index >= WARM_UP:
            times.append(1000 * (time.process_time() - began))
    return _summary(times)


def clip_milliseconds(number: int) -> dict[str, float]:
    """The same of a clip with a conversation for each pass, and the mean numbers of its pictures and tokens."""
    r, budget, times, pictures, tokens = Random(1), Budget(), list[float](), list[int](), list[int]()
    for index in range(WARM_UP // 4 + number):
        began = time.process_time()
        drawn = clips.draw(r, budget, "train")
        assert drawn is not None
        for _ in range(budget.passes):
            about_clip(r, drawn[0], False)
        if index >= WARM_UP // 4:
            times.append(1000 * (time.process_time() - began))
            pictures.append(len(drawn[1]))
            tokens.append(sum(page.image.shape[0] * page.image.shape[1] // TOKEN**2 for page in drawn[1]))
    means = {"pictures": round(sum(pictures) / number, 2), "tokens": round(sum(tokens) / number, 1)}
    return _summary(times) | means


def _summary(times: list[float]) -> dict[str, float]:
    times.sort()
    return {
        "mean": round(sum(times) / len(times), 2),
        "median": round(times[len(times) // 2], 2),
        "p90": round(times[len(times) * 9 // 10], 2),
    }


def main() -> int:
    """Command line: print the table, and keep it with --save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--save", action="store_true", help="write results/draw_scenes.json")
    arguments = parser.parse_args()
    setup = machine()
    table = {kind: milliseconds(kind, arguments.pages) for kind in scenes.SCENES}
    table["clip"] = clip_milliseconds(arguments.pages)
    print(json.dumps(table, indent=1))
    if arguments.save:
        what = (__doc__ or "").partition("\n")[0]
        write_result("draw_scenes", {"what": what, "setup": setup, "pages": arguments.pages, "scenes": table})
    return 0


if __name__ == "__main__":
    sys.exit(main())
