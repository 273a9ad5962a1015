"""How long from `flashweb serve` to ready (warmed up with a real picture), with the bundled model.

Five starts after one that fills the file cache. Goal: <= 5 s on two cores. `cpu_seconds` is what all processes of the
server worked until then: it tells a slow start from a busy machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from common import NANO, flashweb_command, free_port, machine, running, tree_cpu_seconds, tree_memory_mib, write_result

GOAL_SECONDS = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    args = parser.parse_args()
    result = {"what": "seconds from `flashweb serve` to /health/ready 200", "setup": machine()}
    one_start()
    starts = [one_start() for _ in range(args.starts)]
    seconds = [start[0] for start in starts]
    write_result("start_time", result | {
        "model_bytes": (NANO / "model.safetensors").stat().st_size,
        "seconds": [round(s, 2) for s in seconds],
        "median_seconds": round(statistics.median(seconds), 2),
        "median_cpu_seconds": round(statistics.median(start[1] for start in starts), 2),
        "memory_mib": starts[-1][2],
        "goal_seconds": GOAL_SECONDS,
        "met": statistics.median(seconds) <= GOAL_SECONDS,
    })  # fmt: skip


def one_start() -> tuple[float, float, float]:
    """(seconds to ready, CPU seconds of all its processes until then, MiB of them)."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        url, log = f"http://127.0.0.1:{port}", Path(folder) / "log"
        with running(flashweb_command(port), url, log, "/health/ready") as (pid, seconds):
            return seconds, tree_cpu_seconds(pid), tree_memory_mib(pid)


if __name__ == "__main__":
    main()
