"""What a request with a picture costs the host: the web process in all, its event loop's thread, the engine process.

Everything is real but the network (`stub_server.py`): base64 JPEGs over sockets, decoded and resized in the picture
threads, sent to the engine process. Eight tokens are answered. Processor time per request, from the kernel's books;
the event loop's share is what one web process can never spread over more cores, the rest goes to the other threads,
one per core. The load generator runs in this process and is not counted. With `--shared` 64 clients send one and the
same picture again and again: what a request costs whose picture is known.

    .venv/bin/python benchmarks/picture_cost.py [--rounds 5] [--shared] [--save]
"""

from __future__ import annotations

import argparse
import json
import sys

import psutil
from common import best_and_median, machine, process_cpu_seconds, running_stub, thread_cpu_seconds, write_result

from flashweb.cli.bench import run_quickly
from flashweb.cli.client import ChatServer
from flashweb.cli.load import Load, run_load

SIDES = (448, 1024)
CLIENTS, REQUESTS, TOKENS = 4, 24, 8
SHARED_CLIENTS, SHARED_REQUESTS = 64, 256
LIMIT_MS, LOOP_LIMIT_MS = 60.0, 8.0  # of a 1024 px picture: 25 requests/s take 1.5 of 16 cores, a fifth of the loop


async def measure(url: str, web: int, rounds: int, shared: bool) -> dict[int, list[dict[str, float]]]:
    engine = next(child.pid for child in psutil.Process(web).children() if "--as-engine" in child.cmdline())
    found: dict[int, list[dict[str, float]]] = {side: [] for side in SIDES}
    async with ChatServer(url) as server:
        for turn in range(-1, rounds):
            for side, rows in found.items():
                load = Load("glm-4.6v-flash", side, tokens=TOKENS, seed=1 if shared else turn + 2, shared=shared)
                row = await one_round(server, load, web, engine)
                rows += [row] if turn >= 0 else []
    return found


async def one_round(server: ChatServer, load: Load, web: int, engine: int) -> dict[str, float]:
    before = process_cpu_seconds(web), thread_cpu_seconds(web, web), process_cpu_seconds(engine)
    clients, requests = (SHARED_CLIENTS, SHARED_REQUESTS) if load.shared else (CLIENTS, REQUESTS)
    row = await run_load(server, load, clients, requests)
    assert not row["errors"], row
    after = process_cpu_seconds(web), thread_cpu_seconds(web, web), process_cpu_seconds(engine)
    names = ("web_ms", "loop_ms", "engine_ms")
    spent = {name: 1e3 * (b - a) / requests for name, a, b in zip(names, before, after, strict=True)}
    return spent | {name: row[name] for name in ("first_token_ms_p50", "first_token_ms_p95", "requests_per_s")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--resize", choices=["exact", "fast"], default="exact", help="fast: its processes not counted")
    parser.add_argument("--shared", action="store_true", help="one picture for all requests, 64 clients")
    parser.add_argument(
        "--save", action="store_true", help="write results/picture_cost.json, or picture_cost_shared.json"
    )
    args = parser.parse_args()
    setup = machine()
    flags = ["--max-num-seqs", str(2 * SHARED_CLIENTS)] if args.shared else []
    with running_stub(1, *flags, "--media-resize", args.resize) as (url, web):
        found = run_quickly(measure(url, web, args.rounds, args.shared))
    rows = {str(side): best_and_median(measured, "ms") for side, measured in found.items()}
    for side, row in rows.items():
        print(side, "px:", row)
    result = {
        "what": f"processor time of the host per request with a JPEG, {TOKENS} tokens, "
        + (f"{SHARED_CLIENTS} clients, one picture for all" if args.shared else f"{CLIENTS} clients"),
        "setup": setup,
        "rounds": args.rounds,
        "resize": args.resize,
        "sides": rows,
    }
    name = "picture_cost_shared" if args.shared else "picture_cost"
    write_result(name, result) if args.save else print(json.dumps(result))
    return int(rows["1024"]["web_ms_best"] > LIMIT_MS or rows["1024"]["loop_ms_best"] > LOOP_LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
