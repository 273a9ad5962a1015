"""What a batch costs the callers beside it, and what a batch loses against a closed loop; the bundled model, ratios.

    .venv/bin/python benchmarks/batch_beside.py [--rounds 3] [--calls 12] [--requests 500] [--save]

Callers: one at a time with pictures of its own and a pause of up to PAUSE_SECONDS before each call, so that it comes at
any moment of a step; on the idle server and while a batch of pictures runs, in turns. Throughput: the same number of
requests as one batch with nobody else there, from handing it in to its output file, and as a closed loop of as many
clients as the runner keeps in flight; and the server's processor time a request in both, which others' load changes
less. One server for all, no access log. Busy machines: compare the ratios of neighbouring measurements, by their
median; the percentiles are those of all rounds' calls together. `engine_beside.py` measures the engine alone, whatever
else runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from common import flashweb_command, free_port, machine, running, tree_cpu_seconds, write_result

from flashweb.cli.bench import run_quickly
from flashweb.cli.client import ChatServer
from flashweb.cli.load import Load, percentile, request_body, request_bytes, run_load
from flashweb.cli.stream_client import StreamClient

LOAD = Load("flashweb-nano", side=448, tokens=32)
PLACES = 20  # that the runner keeps full: the engine's 16 on a CPU and a quarter more
PAUSE_SECONDS = 0.6  # about what an answer takes


@dataclass(slots=True)
class Calls:
    """What a caller saw, in milliseconds: by answer its first token, and its mean time from one token to the next."""

    first_token: list[float] = field(default_factory=list)
    per_token: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        return {
            "calls": len(self.first_token),
            "first_token_ms_p50": round(median(self.first_token), 1),
            "first_token_ms_p95": round(percentile(self.first_token, 0.95), 1),
            "per_token_ms_p50": round(median(self.per_token), 2),
            "per_token_ms_p95": round(percentile(self.per_token, 0.95), 2),
        }


class Shop:
    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid
        self.http = httpx.Client(base_url=url, timeout=120)
        self._seed = 1

    def load(self) -> Load:
        """Pictures that nobody has seen."""
        self._seed += 1
        return replace(LOAD, seed=self._seed)

    def lines(self, count: int) -> bytes:
        load = self.load()
        bodies = [{k: v for k, v in request_body(load, n).items() if k != "stream_options"} for n in range(count)]
        whole = [
            {"custom_id": f"r{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
            for n, body in enumerate(bodies)
        ]
        return b"".join(json.dumps(line).encode() + b"\n" for line in whole)

    def hand_in(self, lines: bytes) -> str:
        file = self.http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", lines)})
        asked = {"input_file_id": file.raise_for_status().json()["id"], "endpoint": "/v1/chat/completions"}
        batch = self.http.post("/v1/batches", json={**asked, "completion_window": "24h"})
        return str(batch.raise_for_status().json()["id"])

    def counts(self, batch: str) -> tuple[str, int]:
        told: dict[str, Any] = self.http.get(f"/v1/batches/{batch}").raise_for_status().json()
        return told["status"], told["request_counts"]["completed"]

    def wait(self, batch: str, *states: str, completed: int = 0) -> None:
        while True:
            state, done = self.counts(batch)
            if state in states and done >= completed:
                return
            if state in ("failed", "expired"):
                raise SystemExit(f"the batch {state}")
            time.sleep(0.5)  # 20 times a second it would be a tenth of the server's work

    def calls(self, count: int) -> Calls:
        bodies = request_bytes(self.load(), count)
        pauses = random.Random(len(bodies))

        async def measure() -> Calls:
            seen, line = Calls(), StreamClient(self.url)
            for body in bodies:
                await asyncio.sleep(pauses.uniform(0, PAUSE_SECONDS))
                streamed = await line.post(body)
                stamps = streamed.stamps
                seen.first_token.append(1e3 * (stamps[0] - streamed.started))
                seen.per_token.append(1e3 * (stamps[-1] - stamps[0]) / (LOAD.tokens - 1))
            line.close()
            return seen

        return asyncio.run(measure())

    def closed_loop(self, count: int) -> tuple[float, float]:
        """Requests a second, and processor seconds a request."""
        spent = tree_cpu_seconds(self.pid)

        async def measure() -> dict[str, Any]:
            async with ChatServer(self.url) as chat:
                return await run_load(chat, self.load(), PLACES, count)

        row = run_quickly(measure())
        assert not row["errors"], row["first_error"]
        return float(row["requests_per_s"]), (tree_cpu_seconds(self.pid) - spent) / count

    def batch_alone(self, count: int) -> tuple[float, float]:
        lines = self.lines(count)
        spent, began = tree_cpu_seconds(self.pid), time.perf_counter()
        self.wait(self.hand_in(lines), "completed")
        return count / (time.perf_counter() - began), (tree_cpu_seconds(self.pid) - spent) / count


def ratios(beside: Sequence[Calls], idle: Sequence[Calls], figure: str) -> dict[str, Any]:
    """Of a figure of every round, and of all calls together."""
    pairs = [(b.summary()[figure], i.summary()[figure]) for b, i in zip(beside, idle, strict=True)]
    all_calls = together(beside).summary()[figure] / together(idle).summary()[figure]
    rounds = [round(b / i, 3) for b, i in pairs]
    return {
        "together": round(all_calls, 3),
        "nine_of_ten_draws": drawn_again(together(beside), together(idle), figure),
        "median_of_rounds": round(median(rounds), 3),
        "rounds": rounds,
    }


def drawn_again(beside: Calls, idle: Calls, figure: str, draws: int = 1000) -> tuple[float, float]:
    """Between which ratios nine of ten lie when as many calls are drawn from those that were made (bootstrap)."""
    rng = random.Random(draws)
    found = sorted(
        resampled(rng, beside).summary()[figure] / resampled(rng, idle).summary()[figure] for _ in range(draws)
    )
    return round(found[draws // 20], 3), round(found[-draws // 20], 3)


def resampled(rng: random.Random, calls: Calls) -> Calls:
    kept = rng.choices(range(len(calls.first_token)), k=len(calls.first_token))
    return Calls([calls.first_token[n] for n in kept], [calls.per_token[n] for n in kept])


def together(rounds: Sequence[Calls]) -> Calls:
    return Calls([one for r in rounds for one in r.first_token], [one for r in rounds for one in r.per_token])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=12, help="of the caller in a round, idle and beside a batch")
    parser.add_argument("--requests", type=int, default=500, help="of each batch whose time is taken; 0: none is")
    parser.add_argument("--save", action="store_true", help="keep the result as results/batch_beside.json")
    args = parser.parse_args()
    setup = machine()
    idle: list[Calls] = []
    beside: list[Calls] = []
    batches, loops, loads = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = flashweb_command(port, "--no-access-log", "--data-dir", f"{folder}/data")
        with running(command, url, Path(folder) / "log", "/health/ready") as (pid, _):
            shop = Shop(url, pid)
            shop.closed_loop(PLACES)
            lines = shop.lines(500)  # made while nothing is measured
            for _ in range(args.rounds):
                loads.append(round(os.getloadavg()[0], 1))
                idle.append(shop.calls(args.calls))
                batch = shop.hand_in(lines)
                shop.wait(batch, "in_progress", completed=3)
                beside.append(shop.calls(args.calls))
                state, done = shop.counts(batch)
                assert state == "in_progress", "the batch was over before the caller was"
                print(f"{beside[-1].summary()}, idle {idle[-1].summary()}, {done} done", file=sys.stderr)
                shop.http.post(f"/v1/batches/{batch}/cancel").raise_for_status()
                shop.wait(batch, "cancelled")
                lines = shop.lines(500)
                if args.requests:
                    loops.append(shop.closed_loop(args.requests))
                    batches.append(shop.batch_alone(args.requests))
    result = {
        "what": "a caller's first token and its time per token beside a batch of 500 pictures against an idle server, "
        "and a batch's requests/s with nobody else against a closed loop's",
        "setup": setup,
        "load_by_round": loads,
        "idle": together(idle).summary(),
        "beside": together(beside).summary(),
        "first_token_p95_ratio": ratios(beside, idle, "first_token_ms_p95"),
        "first_token_p50_ratio": ratios(beside, idle, "first_token_ms_p50"),
        "per_token_p50_ratio": ratios(beside, idle, "per_token_ms_p50"),
        "per_token_p95_ratio": ratios(beside, idle, "per_token_ms_p95"),
    }
    if args.requests:
        result |= {
            "requests": args.requests,
            "loop_requests_per_s": [round(one, 2) for one, _ in loops],
            "batch_requests_per_s": [round(one, 2) for one, _ in batches],
            "throughput_ratio": round(median(b[0] / loop[0] for b, loop in zip(batches, loops, strict=True)), 3),
            "loop_cpu_seconds": [round(one, 3) for _, one in loops],
            "batch_cpu_seconds": [round(one, 3) for _, one in batches],
            "cpu_ratio": round(median(b[1] / loop[1] for b, loop in zip(batches, loops, strict=True)), 3),
        }
    if args.save:
        write_result("batch_beside", result)
    else:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
