"""Measure any OpenAI-compatible server with pictures: first token, time per further token, requests/s.

Each client sends its next request when the last one is answered; every request carries pictures of its own unless
--shared, and asks for a fixed number of tokens (ignore_eos, min_tokens; --no-ignore-eos for servers without them,
--no-usage for those that refuse stream_options: tokens are then counted by stream events).

  flashweb bench                                   the server on this machine's port 8080
  flashweb bench --url http://host:8000/v1 --concurrency 1,8,64 --side 1024 --tokens 128 --json result.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from flashweb import __version__
from flashweb.cli.client import ChatServer
from flashweb.cli.load import PROMPT, Load, run_load
from flashweb.cli.target import add_target_arguments, target_key, target_url
from flashweb.errors import ConfigError

COLUMNS = (
    ("clients", "concurrency", "d"),
    ("requests", "requests", "d"),
    ("errors", "errors", "d"),
    ("req/s", "requests_per_s", ".2f"),
    ("tok/s", "output_tokens_per_s", ".0f"),
    ("first token ms p50", "first_token_ms_p50", ".0f"),
    ("p95", "first_token_ms_p95", ".0f"),
    ("per token ms p50", "per_token_ms_p50", ".2f"),
    ("p95", "per_token_ms_p95", ".2f"),
    ("whole ms p50", "whole_ms_p50", ".0f"),
    ("p95", "whole_ms_p95", ".0f"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_target_arguments(parser)
    parser.add_argument("--concurrency", default="1,8", metavar="N,...", help="numbers of clients, one row each (1,8)")
    parser.add_argument("--per-client", type=int, default=3, metavar="N", help="requests of each client (default 3)")
    parser.add_argument("--least", type=int, default=8, metavar="N", help="requests of a row at least (default 8)")
    parser.add_argument("--side", type=int, default=448, help="pixels of the square pictures, 0 for none (default 448)")
    parser.add_argument("--images", type=int, default=1, help="pictures in each request (default 1)")
    parser.add_argument("--tokens", type=int, default=32, help="tokens of every answer (default 32)")
    parser.add_argument(
        "--shared", action="store_true", help="all requests carry the same pictures: measures the caches"
    )
    parser.add_argument("--ignore-eos", action=argparse.BooleanOptionalAction, default=True, help="fixed answer length")
    parser.add_argument("--usage", action=argparse.BooleanOptionalAction, default=True, help="ask for token counts")
    parser.add_argument("--prompt", default=PROMPT, help="the question")
    parser.add_argument("--seed", type=int, default=None, help="of the pictures (default: a new one every time)")
    parser.add_argument("--warm-up", type=int, default=2, metavar="N", help="requests before the clock starts (2)")
    parser.add_argument("--json", metavar="FILE", help="write the result there too; - prints it instead of the table")


def run(args: argparse.Namespace) -> int:
    rows = _numbers(args.concurrency)
    result = asyncio.run(_measure(args, rows))
    if args.json == "-":
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        print(table(result["rows"]))
        if args.json:
            Path(args.json).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    failed = [row for row in result["rows"] if row["errors"]]
    for row in failed:
        print(f"{row['errors']} errors with {row['concurrency']} clients: {row['first_error']}", file=sys.stderr)
    return 1 if failed else 0


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Right-aligned columns under their names; `-` where a row has no such figure."""
    names = [name for name, _, _ in COLUMNS]
    cells = [[format(row[key], spec) if key in row else "-" for _, key, spec in COLUMNS] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = ["  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in (names, *cells)]
    return "\n".join(lines)


async def _measure(args: argparse.Namespace, concurrencies: Sequence[int]) -> dict[str, Any]:
    async with ChatServer(target_url(args), key=target_key(args)) as server:
        model = args.model or (await server.models())[0]
        seed = int.from_bytes(os.urandom(3), "big") if args.seed is None else args.seed
        load = Load(
            model, args.side, args.images, args.tokens, args.shared, args.ignore_eos, args.usage, args.prompt, seed
        )
        if args.warm_up:
            # Other pictures than the measured ones, unless the point is that they are known.
            warm_up = load if load.shared else replace(load, seed=seed + 1)
            await run_load(server, warm_up, min(2, args.warm_up), args.warm_up)
        rows = []
        for number, concurrency in enumerate(concurrencies):
            print(f"{concurrency} clients ...", file=sys.stderr, flush=True)
            row_load = load if load.shared else replace(load, seed=seed + 2 + number)
            num_requests = max(args.least, concurrency * args.per_client)
            rows.append(await run_load(server, row_load, concurrency, num_requests))
        return {"setup": _setup(server.url, load), "rows": rows}


def _setup(url: str, load: Load) -> dict[str, Any]:
    return {
        "url": url,
        "load": asdict(load),
        "client": f"flashweb {__version__}, Python {platform.python_version()}",
        "client_cores": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise ConfigError(f"--concurrency {text!r} is no comma list of positive numbers such as 1,8,64")
    return numbers
