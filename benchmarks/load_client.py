"""How many pieces of streams the load generator can read: it must never be what is measured.

128 clients read answers of 128 tokens, one event each, from a server with the echo engine. `events_per_s` is what came
(the server's doing: it has one process too), `client_us_per_event` the load generator's own processor time for each,
requests and all, and `events_per_core_s` what follows from it for one core.

    .venv/bin/python benchmarks/load_client.py [--save]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from common import flashweb_command, free_port, machine, running, write_result

from flashweb.cli.bench import run_quickly
from flashweb.cli.client import ChatServer
from flashweb.cli.load import Load, run_load

CLIENTS, TOKENS, REQUESTS, ROUNDS = 128, 128, 512, 5
WANTED_PER_S = 10_000  # what the fastest row of docs/performance.md is to reach


async def measure(url: str) -> list[dict[str, Any]]:
    async with ChatServer(url) as server:
        load = Load("glm-4.6v-flash", side=0, tokens=TOKENS)
        await run_load(server, load, CLIENTS, CLIENTS)
        return [await run_load(server, load, CLIENTS, REQUESTS) for _ in range(ROUNDS)]


def main(save: bool) -> int:
    setup, port = machine(), free_port()
    url = f"http://127.0.0.1:{port}"
    command = flashweb_command(port, "--engine", "echo", "--no-access-log")
    with tempfile.TemporaryDirectory() as folder, running(command, url, Path(folder) / "log", "/health/ready"):
        rows = run_quickly(measure(url))
    assert not any(row["errors"] for row in rows), rows
    per_event = median(1e6 * row["client_cpu"] / row["output_tokens_per_s"] for row in rows)
    result = {
        "what": f"the load generator reading streams: {CLIENTS} clients, {TOKENS} events an answer, echo engine",
        "setup": setup,
        "events_per_s": median(row["output_tokens_per_s"] for row in rows),
        "client_us_per_event": round(per_event, 2),
        "events_per_core_s": round(1e6 / per_event),
        "share_of_a_core_at_10000_per_s": round(WANTED_PER_S * per_event / 1e6, 3),
        "rounds": rows,
    }
    if save:
        write_result("load_client", result)
    else:
        print({name: value for name, value in result.items() if name != "rounds"})
    return int(result["events_per_core_s"] < 2 * WANTED_PER_S)


if __name__ == "__main__":
    sys.exit(main("--save" in sys.argv[1:]))
