"""What holding answers to a schema costs: time per output token of the bundled model at batch 8, with and without.

    python benchmarks/structured_cost.py [--rounds N] [--batch 8]

One engine in this process. The same prompts are answered with as many sampled tokens, freely and as JSON under a schema
with a long string. Rounds take turns, and the ratio is the median over pairs. Counted is decoding alone: steps in which
all of the batch get a token. Beside wall-clock time stands the CPU time of all threads, which a busy machine disturbs
less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the product's engine process: docs/experiments.md

import torch
from common import NANO, machine, write_result

from flashweb.engine.client import to_submit
from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Token
from flashweb.model.glm4v import Glm4v
from flashweb.prompt import PromptProcessor
from flashweb.serve import engine_config
from flashweb.settings import load_settings
from flashweb.types import Chat, Message, SamplingParams, Structure, TextPart

NUM_TOKENS = 96
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string", "minLength": NUM_TOKENS}, "total": {"type": ["string", "null"]}},
    "required": ["title", "total"],
    "additionalProperties": False,
}


def step_seconds(
    core: EngineCore, processor: PromptProcessor, batch: int, structure: Structure | None
) -> tuple[float, float]:
    """(wall clock, CPU of the process): medians over the steps that gave every sequence one token."""
    for index in range(batch):
        chat = Chat((Message("user", (TextPart(f"Write a long text about the number {index}."),)),))
        # Sampled, so that both sides pay for that: greedy free rows are read off the decoder's own maximum.
        params = SamplingParams(
            max_tokens=NUM_TOKENS, temperature=1.0, seed=index, ignore_eos=True, structure=structure
        )
        core.submit(to_submit(str(index), processor.build(chat, []), params))
    seconds: list[tuple[float, float]] = []
    while core.has_work:
        began, busy = time.perf_counter(), time.process_time()
        news = core.step()
        taken = time.perf_counter() - began, time.process_time() - busy
        if len([one for one in news if isinstance(one, Token)]) == batch:
            seconds.append(taken)
    wall, cpu = zip(*seconds[2:], strict=True)
    return statistics.median(wall), statistics.median(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    processor = PromptProcessor(NANO)
    config = engine_config(load_settings({"model.model": str(NANO)}).settings, NANO, processor)
    core = EngineCore(Glm4v.load(str(NANO), num_real_tokens=processor.num_real_tokens), config)
    held = Structure("json_schema", json.dumps(SCHEMA))
    sides: dict[str, Structure | None] = {"free": None, "schema": held}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for number in range(options.rounds + 1):
        for name in sorted(sides, reverse=bool(number % 2)):
            value = step_seconds(core, processor, options.batch, sides[name])
            if number:  # the first round warms up
                found[name].append(value)
    pairs = list(zip(found["schema"], found["free"], strict=True))
    ratios, cpu_ratios = ([held[kind] / free[kind] for held, free in pairs] for kind in (0, 1))
    result: dict[str, Any] = {
        "what": "seconds per decoding step, nano on a CPU; ratio: with a schema / without, the median over pairs",
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "batch": options.batch,
        "tokens": NUM_TOKENS,
        "rounds": options.rounds,
        "free_ms": round(1000 * statistics.median(wall for wall, _ in found["free"]), 3),
        "schema_ms": round(1000 * statistics.median(wall for wall, _ in found["schema"]), 3),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_quartiles": [round(value, 4) for value in statistics.quantiles(ratios, n=4)[::2]],
        "cpu_ratio": round(statistics.median(cpu_ratios), 4),
        "cpu_ratio_quartiles": [round(value, 4) for value in statistics.quantiles(cpu_ratios, n=4)[::2]],
    }
    write_result("structured_cost", result)


if __name__ == "__main__":
    main()
