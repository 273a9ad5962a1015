"""What background work costs a caller inside the engine, in processor time of one thread: for machines too busy for the
clock of `batch_beside.py`, which measures the whole server.

    .venv/bin/python benchmarks/engine_beside.py [--rounds 3] [--calls 10] [--requests 24] [--save]

`EngineCore` with the bundled model in this process, 448 px pictures, 32 tokens an answer. A caller comes at a random
moment, also in the middle of a step, and is taken up when the step is over or left, as `worker.py` does it; in turns
with nothing else there and beside as many background requests as the engine holds and four more. Then the same requests
as background work and as callers', as a closed loop: what a tower that can be left costs, and waiting for nobody.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import msgspec
import torch
from batch_beside import Calls
from common import NANO, machine, write_result
from offline import Requests

from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Submit, Token
from flashweb.model.glm4v import Glm4v

TOKENS = 32
PAUSE_SECONDS = 1.2  # of processor time: about what an answer takes
PLACES = 20


@dataclass(slots=True)
class Seen(Calls):
    """The same of processor time, and the longest pause between two tokens of an answer."""

    longest_gap: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        return {**Calls.summary(self), "longest_gap_ms_p50": round(median(self.longest_gap), 1)}


class Bench:
    def __init__(self) -> None:
        torch.set_num_threads(1)
        config = EngineConfig(model=str(NANO))
        self.core = EngineCore(Glm4v.load(NANO), config)
        self.core.scheduler._clock = time.thread_time
        self.core.warm_up()
        self._requests = Requests(self.core.rules.vocab_size)
        self._pauses = random.Random(0)
        self._jobs: set[str] = set()

    def request(self, background: bool) -> Submit:
        made = self._requests.make(self._requests.count, TOKENS)
        return msgspec.structs.replace(made, sampling=msgspec.structs.replace(made.sampling, background=background))

    def call(self, seen: Seen, jobs: Iterator[Submit]) -> None:
        """One caller, from its coming at a random moment to its last token."""
        message = self.request(background=False)
        comes_at = time.thread_time() + self._pauses.uniform(0, PAUSE_SECONDS)
        stamps: list[float] = []
        is_inside = False
        while len(stamps) < TOKENS:
            self._fill(jobs)
            now = time.thread_time()
            if not is_inside and (now >= comes_at or not self.core.has_work):
                comes_at, is_inside = min(comes_at, now), True
                self.core.submit(message)
            is_outside = not is_inside
            news = self.core.step(lambda: is_outside and time.thread_time() >= comes_at)  # noqa: B023 - read at once
            now = time.thread_time()
            for one in news:
                assert isinstance(one, Token)
                if one.request_id == message.request_id:
                    stamps += [now] * len(one.token_ids)
                elif one.finish:
                    self._jobs.remove(one.request_id)
        gaps = [b - a for a, b in zip(stamps, stamps[1:], strict=False)]
        seen.first_token.append(1e3 * (stamps[0] - comes_at))
        seen.per_token.append(1e3 * sum(gaps) / len(gaps))
        seen.longest_gap.append(1e3 * max(gaps))

    def _fill(self, jobs: Iterator[Submit]) -> None:
        while len(self._jobs) < PLACES and (job := next(jobs, None)) is not None:
            self.core.submit(job)
            self._jobs.add(job.request_id)

    def endless(self) -> Iterator[Submit]:
        while True:
            yield self.request(background=True)

    def clear(self) -> None:
        self.core.scheduler.abort_all()
        self._jobs.clear()

    def seconds_for(self, count: int, background: bool) -> float:
        """A closed loop's processor time a request."""
        messages = iter([self.request(background) for _ in range(count)])
        began = time.thread_time()
        self._fill(messages)
        while self.core.has_work:
            for one in self.core.step(lambda: False):
                if isinstance(one, Token) and one.finish:
                    self._jobs.remove(one.request_id)
            self._fill(messages)
        return (time.thread_time() - began) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=10, help="of the caller in a round, alone and beside")
    parser.add_argument("--requests", type=int, default=24, help="of each closed loop")
    parser.add_argument("--save", action="store_true", help="keep the result as results/engine_beside.json")
    args = parser.parse_args()
    setup, bench, idle, beside = machine(), Bench(), Seen(), Seen()
    as_callers, as_jobs = [], []
    for _ in range(args.rounds):
        for _ in range(args.calls):
            bench.call(idle, iter(()))
        jobs = bench.endless()
        for _ in range(args.calls):
            bench.call(beside, jobs)
        bench.clear()
        as_callers.append(bench.seconds_for(args.requests, background=False))
        as_jobs.append(bench.seconds_for(args.requests, background=True))
    alone, busy = idle.summary(), beside.summary()
    result = {
        "what": "a caller beside background work inside the engine, processor time of one thread",
        "setup": setup,
        "idle": alone,
        "beside": busy,
        **{f"{name}_ratio": round(busy[name] / alone[name], 3) for name in alone if name != "calls"},
        "seconds_per_request": {"callers": round(median(as_callers), 3), "background": round(median(as_jobs), 3)},
        "throughput_ratio": round(median(c / j for c, j in zip(as_callers, as_jobs, strict=True)), 3),
    }
    if args.save:
        write_result("engine_beside", result)
    else:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
