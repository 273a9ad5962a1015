"""What holding answers to a schema costs: time per output token of the bundled model at batch 8, with and without.

    python benchmarks/structured_cost.py [--rounds N] [--batch 8]

Two engines over one copy of the weights in this process, one with free answers and one with JSON under a schema; same
prompts, as many tokens. They take turns step by step, so whatever else the machine does falls on both: compared is each
step with the one beside it, and the ratio is the median over those pairs. Counted is decoding alone, without drafts:
steps in which each of the batch gets one token. Beside wall-clock time stands the CPU time of all threads. Greedy is
what this model, and every scene, does unless a request asks for something else.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from itertools import product
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the product's engine process: docs/experiments.md

import torch
from common import NANO, machine, write_result

from flashweb.engine.core import EngineCore
from flashweb.engine.submit import to_submit
from flashweb.model.glm4v import Glm4v
from flashweb.prompt import PromptProcessor
from flashweb.serve import engine_config
from flashweb.settings import load_settings
from flashweb.types import Chat, Message, SamplingParams, Structure, TextPart

NUM_TOKENS = 96
TEXT = {"type": "string"}
# All of them hold for more tokens than are asked for, whatever is drawn.
SCHEMAS: dict[str, dict[str, Any]] = {
    "records": {
        "type": "array",
        "minItems": 100,
        "items": {
            "type": "object",
            "properties": {"name": TEXT, "price": {"type": "number"}, "unit": {"enum": ["piece", "kg", "l"]},
                           "offer": {"type": ["boolean", "null"]}},
            "required": ["name", "price", "unit", "offer"],
            "additionalProperties": False,
        },
    },
    "texts": {"type": "object", "properties": {"texts": {"type": "array", "items": TEXT, "minItems": 100}},
              "required": ["texts"], "additionalProperties": False},
    # Every character is another state of the grammar: no mask is the one before.
    "counted text": {"type": "string", "minLength": 200, "maxLength": 4000},
}  # fmt: skip
Times = tuple[float, float]  # wall clock, CPU of the process


def submit(
    core: EngineCore, processor: PromptProcessor, batch: int, temperature: float, structure: Structure | None
) -> None:
    for index in range(batch):
        chat = Chat((Message("user", (TextPart(f"Write a long text about the number {index}."),)),))
        params = SamplingParams(
            max_tokens=NUM_TOKENS, temperature=temperature, seed=index, ignore_eos=True, structure=structure
        )
        core.submit(to_submit(str(index), processor.build(chat, []), params))


def step(core: EngineCore, batch: int) -> Times | None:
    """None for a step that gave not every sequence one token."""
    began, busy = time.perf_counter(), time.process_time()
    news = core.step()
    taken = time.perf_counter() - began, time.process_time() - busy
    tokens = [len(getattr(one, "token_ids", ())) for one in news]
    return taken if tokens == [1] * batch else None


def pairs_of(free: EngineCore, held: EngineCore, batch: int) -> list[tuple[Times, Times]]:
    """(free, held) of neighbouring steps, in turns as to which comes first."""
    pairs: list[tuple[Times, Times]] = []
    while free.has_work and held.has_work:
        order = (free, held) if len(pairs) % 2 else (held, free)
        first, second = (step(core, batch) for core in order)
        if first and second:
            pairs.append((first, second) if order[0] is free else (second, first))
    assert not free.has_work and not held.has_work, "answers of different lengths cannot be compared"
    return pairs[2:]


def ratio_of(pairs: list[tuple[Times, Times]], kind: int) -> dict[str, Any]:
    ratios = [held[kind] / free[kind] for free, held in pairs]
    low, _, high = statistics.quantiles(ratios, n=4)
    return {"ratio": round(statistics.median(ratios), 4), "quartiles": [round(low, 4), round(high, 4)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    processor = PromptProcessor(NANO)
    given = {"model.model": str(NANO), "engine.speculation": "off"}
    config = engine_config(load_settings(given).settings, NANO, processor)
    model = Glm4v.load(str(NANO), num_real_tokens=processor.num_real_tokens)
    free, held = EngineCore(model, config), EngineCore(model, config)
    result: dict[str, Any] = {
        "what": "time per decoding step, nano on a CPU; ratio: with a schema / without, the median over pairs of "
        "neighbouring steps",
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "batch": options.batch,
        "tokens": NUM_TOKENS,
        "rounds": options.rounds,
    }
    for (schema, source), temperature in product(SCHEMAS.items(), (1.0, 0.0)):
        held_to = Structure("json_schema", json.dumps(source))
        pairs: list[tuple[Times, Times]] = []
        for number in range(options.rounds + 1):
            submit(free, processor, options.batch, temperature, None)
            submit(held, processor, options.batch, temperature, held_to)
            found = pairs_of(free, held, options.batch)
            pairs += found if number else []  # the first round warms up
        result[f"{schema}, {'sampled' if temperature else 'greedy'}"] = {
            "pairs": len(pairs),
            "free_ms": round(1000 * statistics.median(free[0] for free, _ in pairs), 3),
            "schema_ms": round(1000 * statistics.median(held[0] for _, held in pairs), 3),
            **ratio_of(pairs, 0),
            "cpu": ratio_of(pairs, 1),
        }
    write_result("structured_cost", result)


if __name__ == "__main__":
    main()
