"""Times every GPU kernel at the real model's shapes, inside a CUDA graph, beside what the card's memory allows.

    python benchmarks/kernels.py [--only add_norm,paged_decode] [--bandwidth GB/s] [--json FILE]

A graph holds many launches, one after the other; the figure is the median of several replays, per launch, so that the
gap between two kernels of a graph is in it. Cases come from the modules `kernel_cases_*.py`.
A case that fails says so in its row, and the others are still measured.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import triton
from common import as_text, machine, packed
from kernel_cases import LAUNCHES, Case

# Read-only bandwidth measured with library kernels, GB/s. Of other cards a copy is timed.
BANDWIDTH = {"NVIDIA H200": 4460.0}
REPLAYS = 15


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="names that a case must begin with, separated by commas")
    parser.add_argument("--bandwidth", type=float, help="the card's bandwidth in GB/s, instead of the known one")
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(2, "there is no CUDA device\n")
    limit = arguments.bandwidth or BANDWIDTH.get(torch.cuda.get_device_name()) or copy_bandwidth()
    print(f"{'':44} {'us':>9} {'GB/s':>7} {'of limit':>8} {'TFLOP/s':>8}")
    rows = []
    for case in all_cases():
        if case.name.startswith(tuple(arguments.only.split(","))):
            rows.append(measured(case, limit))
            print(in_words(rows[-1]), flush=True)
    result = {**setup(), "limit_gb_per_s": round(limit), "launches_per_graph": LAUNCHES, "rows": rows}
    if arguments.json:
        arguments.json.write_text(as_text(packed(result)) + "\n", encoding="utf-8")
    return int(any("error" in row for row in rows) or not rows)


def all_cases() -> Iterator[Case]:
    for path in sorted(Path(__file__).parent.glob("kernel_cases_*.py")):
        yield from importlib.import_module(path.stem).cases()


def measured(case: Case, limit: float) -> dict[str, Any]:
    try:
        launch, num_bytes, flops = case.prepare()
        seconds = seconds_per_launch(launch)
    except Exception as e:  # the other cases are worth their figures
        return {"name": case.name, "error": f"{type(e).__name__}: {e}"[:300]}
    finally:
        launch = None  # its memory
        gc.collect()
        torch.cuda.empty_cache()
    return {
        "name": case.name,
        "us": round(seconds * 1e6, 2),
        "gb_per_s": round(num_bytes / seconds / 1e9, 1),
        "limit_us": round(num_bytes / limit / 1e3, 2),
        "tflop_per_s": round(flops / seconds / 1e12, 1),
    }


def seconds_per_launch(launch: Callable[[], object]) -> float:
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):  # compiles, and fills what the first launch fills
            launch()
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(LAUNCHES):
            launch()
    graph.replay()
    times = []
    for _ in range(REPLAYS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3 / LAUNCHES)
    return statistics.median(times)


def copy_bandwidth() -> float:
    """GB/s of a copy within the card's memory, reading and writing counted."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds_per_launch(lambda: target.copy_(source)) / 1e9


def setup() -> dict[str, Any]:
    return {
        **machine(),
        "device": torch.cuda.get_device_name(),
        "capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "cuda": torch.version.cuda,
        "triton": triton.__version__,
    }


def in_words(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{row['name']:44} {row['error'].splitlines()[0]}"
    share = row["limit_us"] / row["us"]
    return f"{row['name']:44} {row['us']:9.2f} {row['gb_per_s']:7.0f} {share:8.0%} {row['tflop_per_s']:8.1f}"


if __name__ == "__main__":
    sys.exit(main())
