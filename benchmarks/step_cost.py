"""What the engine process itself costs per decode step: schedule, batch, commit and the message with the news.

The network is a stub (`stub_model.py`), the rest is the engine's own, on the way it goes on a GPU: steps overlap, the
decoder takes numbers and block tables, tokens are pending for a step. Processor time of the one thread that does all
of it, median over the steps of a round, best and median of the rounds. A GPU's step takes 5 to 8 ms at these sizes.

    .venv/bin/python benchmarks/step_cost.py [--rounds 5] [--save]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from statistics import median
from typing import Any

import msgspec
import numpy as np
from common import machine, write_result
from stub_model import KV_BYTES_PER_TOKEN, StubModel

from flashweb.engine.config import EngineConfig
from flashweb.engine.core import GREEDY, EngineCore
from flashweb.engine.protocol import Submit, Token, Tokens, encode_frame

ROWS = (8, 64, 128, 256)
CONTEXTS = (67, 1438, 8192)  # tokens of a prompt without a picture, with one of 1024 px, and a long one
STEPS = 100
WARM_STEPS = 20
VOCABULARY = 1000


def new_core(most_rows: int, most_tokens: int) -> EngineCore:
    model = StubModel(range(10, 500), VOCABULARY)
    config = EngineConfig(
        max_num_seqs=most_rows,
        max_num_batched_tokens=1 << 20,
        kv_cache_bytes=KV_BYTES_PER_TOKEN * 16 * (most_rows * (most_tokens // 16 + 2)),
        enable_prefix_cache=True,
        overlap=True,
    )
    core = EngineCore(model, config)
    core.runner.decoder = model.new_decoder(most_rows)
    return core


def request(number: int, num_tokens: int, num_out: int) -> Submit:
    token_ids = tuple(np.random.default_rng(number).integers(0, VOCABULARY, num_tokens).tolist())
    positions = np.tile(np.arange(num_tokens, dtype=np.int32), (3, 1)).tobytes()
    return Submit(str(number), token_ids, positions, 0, (), msgspec.structs.replace(GREEDY, max_tokens=num_out))


def step(core: EngineCore) -> bytearray:
    """As the worker does it."""
    return encode_frame(Tokens(tuple(news for news in core.step() if isinstance(news, Token))))


def microseconds_per_step(rows: int, context: int) -> float:
    core = new_core(rows, context + WARM_STEPS + STEPS + 16)
    for number in range(rows):
        core.submit(request(number, context, WARM_STEPS + STEPS + 8))
    for _ in range(WARM_STEPS):
        step(core)
    assert core.scheduler.num_running == rows
    times = []
    for _ in range(STEPS):
        began = time.thread_time()
        step(core)
        times.append(time.thread_time() - began)
    return 1e6 * median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="write results/step_cost.json")
    args = parser.parse_args()
    setup, cells = machine(), [(rows, context) for rows in ROWS for context in CONTEXTS]
    found: dict[tuple[int, int], list[float]] = {cell: [] for cell in cells}
    for _ in range(args.rounds):
        for cell in cells:
            found[cell].append(microseconds_per_step(*cell))
    rows: list[dict[str, Any]] = [
        {"rows": cell[0], "context": cell[1], "us_best": round(min(times)), "us_median": round(median(times))}
        for cell, times in found.items()
    ]
    for row in rows:
        print(f"{row['rows']:>4} rows, {row['context']:>5} tokens: {row['us_best']:>6} us (median {row['us_median']})")
    result = {
        "what": "processor time of the engine process per decode step, stub network",
        "setup": setup,
        "cells": rows,
    }
    write_result("step_cost", result) if args.save else print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
