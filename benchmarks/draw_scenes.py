"""How long a training page of each scene takes to draw: CPU milliseconds a page on one core, glyphs cached.

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

from training import scenes
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
    print(json.dumps(table, indent=1))
    if arguments.save:
        what = (__doc__ or "").partition("\n")[0]
        write_result("draw_scenes", {"what": what, "setup": setup, "pages": arguments.pages, "scenes": table})
    return 0


if __name__ == "__main__":
    sys.exit(main())
