"""What the server itself costs per request: CPU time of a real server process with the echo engine behind it.

One request = a picture of 448 x 448 px in a JSON body and 32 tokens streamed back as 32 events, over a real socket on
a kept-open connection. The CPU time is the server process's own (user + system, all threads), read from the kernel
before and after, so the load generator does not count. Reported besides: the same without a picture (what HTTP, JSON,
prompt and stream cost) and the picture's share (decode, resize, cut, hash; worker threads). Last line: JSON.

    python benchmarks/echo_cost.py [--requests 400] [--concurrency 4]
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

LIMIT_MS = 5.0
TOKENS = 32
SIDE = 448
RESULT = Path(__file__).parent / "results" / "echo_cost.json"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def cpu_seconds(pid: int) -> float:
    """User + system time of the process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    server: subprocess.Popen[bytes], port: int, kind: str | None, requests: int, concurrency: int
) -> dict[str, float]:
    run_load(port, [body(-seed - 1, kind) for seed in range(40)], concurrency)
    bodies = [body(seed, kind) for seed in range(requests)]
    before = cpu_seconds(server.pid)
    seconds = run_load(port, bodies, concurrency)
    spent = cpu_seconds(server.pid) - before
    return {
        "cpu_ms_per_request": round(spent / requests * 1000, 3),
        "requests_per_second": round(requests / seconds, 1),
        "body_bytes": len(bodies[0]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--save", action="store_true", help=f"write {RESULT.name}")
    args = parser.parse_args()
    port = free_port()
    server = start_server(port)
    try:
        rows = {
            name: measure(server, port, kind, args.requests, args.concurrency)
            for name, kind in (("jpeg_448", "JPEG"), ("png_448", "PNG"), ("text_only", None))
        }
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    worst = max(rows["jpeg_448"]["cpu_ms_per_request"], rows["png_448"]["cpu_ms_per_request"])
    base = rows["text_only"]["cpu_ms_per_request"]
    result = {
        "what": "CPU time of the server process per request: echo engine, 448 px picture, 32 tokens streamed",
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "python": platform.python_version()},
        "requests": args.requests,
        "concurrency": args.concurrency,
        "rows": rows,
        "picture_share_ms": {
            name: round(rows[name]["cpu_ms_per_request"] - base, 3) for name in ("jpeg_448", "png_448")
        },
        "limit_ms": LIMIT_MS,
        "within_limit": worst <= LIMIT_MS,
    }
    for name, row in rows.items():
        print(
            f"{name:<10} {row['cpu_ms_per_request']:6.2f} ms CPU/request  {row['requests_per_second']:7.1f} requests/s"
        )
    if args.save:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))
    return 0 if worst <= LIMIT_MS else 1


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
