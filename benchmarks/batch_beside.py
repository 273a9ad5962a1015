"""What a batch costs the callers beside it, and what a batch loses against a closed loop; the bundled model, ratios.

    .venv/bin/python benchmarks/batch_beside.py [--rounds 3] [--requests 300] [--save]

First tokens: one caller at a time with pictures of its own, on the idle server and while a batch of pictures runs, in
turns. Throughput: the same number of requests as one batch with nobody else there, from handing it in to its output
file, and as a closed loop of as many clients as the runner keeps in flight. One server for all, no access log. Busy
machines: compare the ratios, each of two neighbouring measurements, by their median.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from common import flashweb_command, free_port, machine, running, write_result

from flashweb.cli.bench import run_quickly
from flashweb.cli.client import ChatServer
from flashweb.cli.load import Load, request_body, run_load

LOAD = Load("flashweb-nano", side=448, tokens=32)
PLACES = 10  # that the runner keeps full: the engine's 8 on a CPU and a quarter more
CALLS = 8  # of the one caller, a measurement


class Shop:
    def __init__(self, url: str) -> None:
        self.url = url
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
            time.sleep(0.05)

    def first_tokens(self) -> float:
        """p95 in milliseconds."""

        async def measure() -> dict[str, Any]:
            async with ChatServer(self.url) as chat:
                return await run_load(chat, self.load(), 1, CALLS)

        row = run_quickly(measure())
        assert not row["errors"], row["first_error"]
        return float(row["first_token_ms_p95"])

    def closed_loop(self, count: int) -> float:
        """Requests a second."""

        async def measure() -> dict[str, Any]:
            async with ChatServer(self.url) as chat:
                return await run_load(chat, self.load(), PLACES, count)

        row = run_quickly(measure())
        assert not row["errors"], row["first_error"]
        return float(row["requests_per_s"])

    def batch_alone(self, count: int) -> float:
        lines = self.lines(count)
        began = time.perf_counter()
        self.wait(self.hand_in(lines), "completed")
        return count / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=300, help="of each batch whose time is taken")
    parser.add_argument("--save", action="store_true", help="keep the result as results/batch_beside.json")
    args = parser.parse_args()
    setup = machine()
    idle, beside, batches, loops = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = flashweb_command(port, "--no-access-log", "--data-dir", f"{folder}/data")
        with running(command, url, Path(folder) / "log", "/health/ready"):
            shop = Shop(url)
            shop.closed_loop(20)
            for _ in range(args.rounds):
                idle.append(shop.first_tokens())
                batch = shop.hand_in(shop.lines(500))
                shop.wait(batch, "in_progress", completed=10)
                beside.append(shop.first_tokens())
                assert shop.counts(batch)[0] == "in_progress", "the batch was over before the caller was"
                shop.http.post(f"/v1/batches/{batch}/cancel").raise_for_status()
                shop.wait(batch, "cancelled")
                loops.append(shop.closed_loop(args.requests))
                batches.append(shop.batch_alone(args.requests))
    result = {
        "what": "a caller's first token beside a batch of 500 pictures against an idle server (p95), and a batch's "
        "requests/s alone against a closed loop's",
        "setup": setup,
        "requests": args.requests,
        "idle_first_token_ms_p95": [round(one, 1) for one in idle],
        "beside_first_token_ms_p95": [round(one, 1) for one in beside],
        "first_token_ratio": round(median(b / i for b, i in zip(beside, idle, strict=True)), 3),
        "loop_requests_per_s": [round(one, 2) for one in loops],
        "batch_requests_per_s": [round(one, 2) for one in batches],
        "throughput_ratio": round(median(b / loop for b, loop in zip(batches, loops, strict=True)), 3),
    }
    if args.save:
        write_result("batch_beside", result)
    else:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
