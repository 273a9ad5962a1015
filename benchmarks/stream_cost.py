"""What one streamed token costs the web process and the engine process.

Everything is real but the network (`stub_server.py`): clients over sockets, the web process, the line to the engine
process, its scheduler. A step brings every stream a token and takes 25 ms, four times what a GPU needs: a small
machine, with the load generator on it too, must keep up, because tokens that come together are sent together and
cost less. `gap_ms_p50` near a step tells that each was an event of its own.

Processor time is the processes' own, all their threads, from the kernel's books; requests are in it (parsing,
admission, prompt: as much as some ten tokens). The load generator runs in this process and is not counted.

    .venv/bin/python benchmarks/stream_cost.py [--rounds 5] [--save]
"""

from __future__ import annotations

import argparse
import json
import sys

import psutil
from common import best_and_median, machine, process_cpu_seconds, running_stub, write_result

from flashweb.cli.bench import run_quickly
from flashweb.cli.client import ChatServer
from flashweb.cli.load import Load, run_load

CLIENTS = (64, 128)
TOKENS, REQUESTS_EACH = 128, 2
STEP_MS = 25.0
LIMIT_US = 100.0


async def measure(url: str, web: int, rounds: int) -> dict[int, list[dict[str, float]]]:
    engine = psutil.Process(web).children()[0].pid
    found: dict[int, list[dict[str, float]]] = {clients: [] for clients in CLIENTS}
    async with ChatServer(url) as server:
        load = Load("glm-4.6v-flash", side=0, tokens=TOKENS)
        await run_load(server, load, max(CLIENTS), max(CLIENTS))
        for _ in range(rounds):
            for clients, rows in found.items():
                rows.append(await one_round(server, load, clients, web, engine))
    return found


async def one_round(server: ChatServer, load: Load, clients: int, web: int, engine: int) -> dict[str, float]:
    before = process_cpu_seconds(web), process_cpu_seconds(engine)
    row = await run_load(server, load, clients, clients * REQUESTS_EACH)
    assert not row["errors"], row
    tokens = row["requests"] * load.tokens
    return {
        "web_us_per_token": 1e6 * (process_cpu_seconds(web) - before[0]) / tokens,
        "engine_us_per_token": 1e6 * (process_cpu_seconds(engine) - before[1]) / tokens,
        "tokens_per_s": row["output_tokens_per_s"],
        "gap_ms_p50": row["gap_ms_p50"],
        "client_us_per_token": 1e6 * row["client_cpu"] / row["output_tokens_per_s"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="write results/stream_cost.json")
    args = parser.parse_args()
    setup = machine()
    with running_stub(STEP_MS, "--max-num-seqs", str(max(CLIENTS))) as (url, web):
        found = run_quickly(measure(url, web, args.rounds))
    rows = {str(clients): best_and_median(measured, "us") for clients, measured in found.items()}
    for clients, row in rows.items():
        print(clients, "clients:", row)
    result = {
        "what": f"processor time per streamed token: {TOKENS} tokens an answer, text only, a step every {STEP_MS:g} ms",
        "setup": setup,
        "rounds": args.rounds,
        "clients": rows,
    }
    write_result("stream_cost", result) if args.save else print(json.dumps(result))
    return int(max(row["web_us_per_token_best"] for row in rows.values()) > LIMIT_US)


if __name__ == "__main__":
    sys.exit(main())
