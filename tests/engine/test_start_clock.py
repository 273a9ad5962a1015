"""Where a start's seconds go."""

from __future__ import annotations

import subprocess
import sys
import time

from flashweb.engine.start_clock import StartClock, in_words


def test_every_stage_lasts_from_the_end_of_the_one_before_it() -> None:
    began = time.monotonic()
    clock = StartClock(began - 5.0)
    clock.done("imports")
    time.sleep(0.05)
    clock.done("weights")
    (first, imports), (second, weights) = clock.stages
    assert (first, second) == ("imports", "weights")
    assert imports >= 5.0 and weights >= 0.05
    assert imports + weights <= time.monotonic() - began + 5.0


def test_a_process_knows_when_it_began() -> None:
    code = (
        "import time; time.sleep(0.3); from flashweb.engine.start_clock import process_start as p; "
        "print(time.monotonic() - p())"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.3 <= float(done.stdout) <= time.monotonic() - began + 0.02


def test_the_stages_are_told_in_one_line() -> None:
    assert in_words([("imports", 1.24), ("weights", 0.41)]) == "1.6 s: imports 1.2, weights 0.4"
