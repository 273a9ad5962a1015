"""What the result cache and an Idempotency-Key cost the web process per chat: CPU time, in turns in one run.

The echo engine, a whole answer of some 20 tokens, over one kept-open connection; `off` is the default server, `miss`
and `hit` one with --result-cache, `key` the default one with a new key in each request, `again` the same keys once
more. The cheapest round counts; ratios are to `off`. `--before SRC`: another checkout's src beside it.

    python benchmarks/cache_cost.py [--rounds 12] [--before SRC] [--save]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import statistics
import sys

from common import free_port, machine, process_cpu_seconds, write_result
from echo_cost import start_server

REQUESTS = 300  # of each kind in one round


def send(port: int, first: int, name: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in range(first, first + REQUESTS):
        said = [{"role": "user", "content": f"List every amount on receipt {number}, in order."}]
        body = json.dumps({"messages": said, "max_tokens": 200, "temperature": 0}).encode()
        headers = {"content-type": "application/json"}
        if name in ("key", "again"):
            headers["idempotency-key"] = f"{os.getpid()}-{number}"
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        told = answer.headers.get("x-flashweb-cache"), answer.headers.get("idempotent-replayed")
        wanted = {"miss": ("miss", None), "hit": ("hit", None), "again": (None, "true")}.get(name, (None, None))
        if answer.status != 200 or told != wanted:
            raise SystemExit(f"{name}: {answer.status} {told} {text[:200]!r}")
    connection.close()


def measure(rounds: int, before: str | None) -> dict[str, list[float]]:
    """Microseconds of CPU per request, by kind and round."""
    flags = {"off": (), "on": ("--result-cache", "64MiB"), **({"before": ()} if before else {})}
    own = os.environ.get("PYTHONPATH", "")
    servers = {}
    for name, more in flags.items():
        os.environ["PYTHONPATH"] = before if name == "before" and before else own
        port = free_port()
        servers[name] = start_server(port, *more), port
    kinds = {"off": "off", "miss": "on", "hit": "on", "key": "off", "again": "off"}
    kinds |= {"before": "before"} if before else {}
    found: dict[str, list[float]] = {name: [] for name in kinds}
    try:
        for turn in range(-1, rounds):  # the first warms up
            for name, which in kinds.items():
                server, port = servers[which]
                spent = process_cpu_seconds(server.pid)
                send(port, (turn + 1) * REQUESTS, name)
                found[name].append(1e6 * (process_cpu_seconds(server.pid) - spent) / REQUESTS)
    finally:
        for server, _ in servers.values():
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    return {name: spent[1:] for name, spent in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--before", help="src folder of another checkout")
    parser.add_argument("--save", action="store_true", help="write results/cache_cost.json")
    args = parser.parse_args()
    setup, found = machine(), measure(args.rounds, args.before)
    rows = {
        name: {
            "cpu_us": round(min(spent)),
            "median_us": round(statistics.median(spent)),
            "ratio": round(min(spent) / min(found["off"]), 3),
            "median_ratio": round(statistics.median(a / b for a, b in zip(spent, found["off"], strict=True)), 3),
        }
        for name, spent in found.items()
    }
    for name, row in rows.items():
        print(name, row)
    result = {"what": "CPU time of the web process per chat", "setup": setup, "rounds": args.rounds, "rows": rows}
    write_result("cache_cost", result) if args.save else print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
