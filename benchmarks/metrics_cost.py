"""What counting for `/metrics` costs: per request in the web process, per token in the engine, and per scrape.

The smallest of several rounds each, as in timeit. Compare with `stream_cost.py` (all that a token costs) and
`echo_cost.py` (all that a request costs), whose differences from one version to the next are smaller than the noise
of a shared machine.

    .venv/bin/python benchmarks/metrics_cost.py [--save]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import timeit
from collections.abc import Callable
from typing import Any

import msgspec
from common import machine, write_result

from flashweb.engine.face import EngineState
from flashweb.engine.protocol import NO_STATS, Started, Tokens, encode_frame
from flashweb.engine.tally import EngineTally
from flashweb.observe.engine_metrics import ServerFacts
from flashweb.observe.metrics import Metrics
from flashweb.types import EngineTimes, FinishReason, SamplingParams, Usage

SEQUENCES = 64


def best_us(work: Callable[[], object], number: int, rounds: int = 15) -> float:
    return 1e6 * min(timeit.repeat(work, number=number, repeat=rounds)) / number


def one_request(metrics: Metrics) -> Callable[[], None]:
    usage, params, times = Usage(300, 128, 16), SamplingParams(), EngineTimes(0.01, 0.2, 0.05)

    def work() -> None:
        metrics.answered(FinishReason.STOP, usage, params, 1, first_token=0.3, whole=2.0, times=times)
        metrics.http("/v1/chat/completions", "POST", 200, 2.0)

    return work


def one_step(tally: EngineTally) -> Callable[[], None]:
    """What `Scheduler.commit` does more than it did, for a step in which all sequences decode."""
    last_at: list[float | None] = [1.0] * SEQUENCES
    ids = (5,)

    def work() -> None:
        now, before = time.monotonic(), {}
        for index in range(SEQUENCES):
            tally.num_answer_tokens += len(ids)
            if (last := last_at[index]) is not None:
                before[last] = before.get(last, 0) + 1
            last_at[index] = now
        tally.add_gaps(now, before)
        tally.step_tokens.add(SEQUENCES)

    return work


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="write results/metrics_cost.json")
    args = parser.parse_args()
    setup = machine()
    metrics, tally = Metrics("flashweb-nano"), EngineTally()
    request, step = best_us(one_request(metrics), 1000), best_us(one_step(tally), 500)
    stats = msgspec.structs.replace(
        NO_STATS,
        accepted_at=tuple(tally.accepted_at),
        inter_token=tally.inter_token.counts(),
        step_tokens=tally.step_tokens.counts(),
    )
    state, facts = EngineState("ready", stats=stats), ServerFacts("", is_ready=True)
    started = tuple(Started(str(number), 0.1, 0.1, 0.1) for number in range(SEQUENCES))
    result: dict[str, Any] = {
        "what": f"cost of counting for /metrics; steps of {SEQUENCES} sequences",
        "setup": setup,
        "web_us_per_request": round(request, 1),
        "engine_us_per_token": round(step / SEQUENCES, 3),
        "start_bytes_per_request": (len(encode_frame(Tokens((), started))) - len(encode_frame(Tokens(()))))
        // SEQUENCES,
        "heartbeat_bytes": len(encode_frame(stats)),
        "scrape_ms": round(best_us(lambda: metrics.exposition(state, facts), 5) / 1000, 2),
        "scrape_bytes": len(metrics.exposition(state, facts)),
    }
    write_result("metrics_cost", result) if args.save else print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
