"""What the server itself costs per request: CPU time of a real server process with the echo engine behind it.

One request = a picture of 448 x 448 px in a JSON body and 32 tokens streamed back as 32 events, over a real socket on
a kept-open connection. The CPU time is the server process's own (user + system, all threads), read from the kernel
before and after, so the load generator does not count. The kinds of request take turns in several rounds, and the
cheapest round counts, as in timeit: neighbours on the machine make every instruction dearer, nothing makes it cheaper
(the median stands beside it). Reported besides: the same without a picture (what HTTP, JSON, prompt and stream cost)
and the picture's share (decode, resize, cut, hash; worker threads). The row that counts is the JPEG's, the format
photographs come in; unpacking a PNG takes one to two milliseconds more. Last line: JSON.

    python benchmarks/echo_cost.py [--rounds 12] [--requests 60] [--concurrency 1] [--save]
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from typing import Any

from common import free_port, machine, process_cpu_seconds, write_result
from PIL import Image, ImageDraw

LIMIT_MS = 5.0
TOKENS = 32
SIDE = 448


def start_server(port: int, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "flashweb", "serve", "--engine", "echo", "--port", str(port), "--ui-port", "0"]
    server = subprocess.Popen([*command, *flags], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if get(port, "/health/ready") == 200:
                return server
        except OSError:
            pass
        time.sleep(0.05)
    server.kill()
    raise SystemExit("the server did not become ready")


def get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def receipt(seed: int, kind: str) -> bytes:
    """A picture like the ones people send: text on paper, each one different, so that no cache can answer."""
    rng = random.Random(seed)
    picture = Image.new("RGB", (SIDE, SIDE), (250, 248, 240))
    pen = ImageDraw.Draw(picture)
    for line in range(14):
        pen.text((20, 16 + 30 * line), f"ITEM {rng.randrange(10**6):06d}", fill=(20, 20, 30))
        pen.text((330, 16 + 30 * line), f"{rng.randrange(10**5) / 100:8.2f}", fill=(20, 20, 30))
    out = io.BytesIO()
    picture.save(out, kind, quality=90)
    return out.getvalue()


def body(seed: int, kind: str | None, tokens: int = TOKENS) -> bytes:
    content: list[dict[str, Any]] = []
    if kind is not None:
        data = base64.b64encode(receipt(seed, kind)).decode()
        content.append({"type": "image_url", "image_url": {"url": f"data:image/{kind.lower()};base64,{data}"}})
    content.append({"type": "text", "text": f"List every amount on receipt {seed}, in order."})
    message = {"role": "user", "content": content}
    return json.dumps(
        {"messages": [message], "stream": True, "max_tokens": tokens, "ignore_eos": True, "model": "glm-4.6v-flash"}
    ).encode()


def run_load(port: int, bodies: list[bytes], concurrency: int, *, least_events: int = TOKENS + 2) -> float:
    """Send every body once over `concurrency` kept-open connections; the seconds it took."""
    waiting = list(reversed(bodies))
    failures: list[str] = []

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            try:
                payload = waiting.pop()
            except IndexError:
                break
            connection.request("POST", "/v1/chat/completions", payload, {"content-type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
            is_whole = text.endswith("data: [DONE]\n\n") and '"error"' not in text
            if response.status != 200 or not is_whole or text.count("data: ") < least_events:
                failures.append(f"{response.status}: {text[:200]}")
        connection.close()

    started = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"{len(failures)} requests failed, the first: {failures[0]}")
    return time.perf_counter() - started


def one_round(pid: int, port: int, bodies: list[bytes], concurrency: int) -> tuple[float, float]:
    """(ms of CPU per request, requests per second)."""
    before = process_cpu_seconds(pid)
    seconds = run_load(port, bodies, concurrency)
    return (process_cpu_seconds(pid) - before) / len(bodies) * 1000, len(bodies) / seconds


def measure(rounds: int, requests: int, concurrency: int) -> dict[str, dict[str, Any]]:
    port = free_port()
    server = start_server(port)
    kinds = {"jpeg_448": "JPEG", "png_448": "PNG", "text_only": None}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    try:
        for kind in kinds.values():
            run_load(port, [body(-seed - 1, kind) for seed in range(40)], concurrency)
        for turn in range(rounds):
            for name, kind in kinds.items():
                bodies = [body(turn * requests + seed, kind) for seed in range(requests)]
                found[name].append(one_round(server.pid, port, bodies, concurrency))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    return {
        name: {
            "cpu_ms_per_request": round(min(ms for ms, _ in rows), 3),
            "median_ms": round(statistics.median(ms for ms, _ in rows), 3),
            "rounds_ms": [round(ms, 2) for ms, _ in rows],
            "requests_per_second": round(statistics.median(rate for _, rate in rows), 1),
            "body_bytes": len(body(0, kinds[name])),
        }
        for name, rows in found.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=60, help="of each kind in one round")
    parser.add_argument(
        "--concurrency", type=int, default=1, help="more would let the load generator slow the server down"
    )
    parser.add_argument("--save", action="store_true", help="write results/echo_cost.json")
    args = parser.parse_args()
    setup = machine()
    rows = measure(args.rounds, args.requests, args.concurrency)
    cost, base = rows["jpeg_448"]["cpu_ms_per_request"], rows["text_only"]["cpu_ms_per_request"]
    for name, row in rows.items():
        cheapest, median = row["cpu_ms_per_request"], row["median_ms"]
        print(f"{name:<10} {cheapest:5.2f} ms of CPU per request (median {median:5.2f})")
    result = {
        "what": "CPU time of the server process per request: echo engine, 448 px picture, 32 tokens streamed",
        "setup": setup,
        "rounds": args.rounds,
        "requests_per_round": args.requests,
        "concurrency": args.concurrency,
        "rows": rows,
        "picture_share_ms": {
            name: round(rows[name]["cpu_ms_per_request"] - base, 3) for name in ("jpeg_448", "png_448")
        },
        "limit_ms": LIMIT_MS,
        "within_limit": cost <= LIMIT_MS,
    }
    if args.save:
        write_result("echo_cost", result)
    else:
        print(json.dumps(result))
    return 0 if cost <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
