"""Measure any OpenAI-compatible server with pictures: first token, time per further token, requests/s.

Each client sends its next request when the last one is answered; every request carries pictures of its own unless
--shared, and asks for a fixed number of tokens (ignore_eos, min_tokens; --no-ignore-eos for servers without them,
--no-usage for those that refuse stream_options: tokens are then counted by stream events).

  flashweb bench                                   the server on this machine's port 8080
  flashweb bench --url http://host:8000/v1 --concurrency 1,8,64 --side 1024 --tokens 128 --json result.json
  flashweb bench --side 1024 --concurrency 8 --streams 8      what pictures do to text streams beside them

What each figure means is said in load.py, and is the same for every server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from flashweb import __version__
from flashweb.cli.client import ChatServer
from flashweb.cli.load import PROMPT, Load, run_beside, run_load
from flashweb.cli.target import add_target_arguments, target_key, target_url
from flashweb.errors import ConfigError

T = TypeVar("T")
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
    ("gap p99", "gap_ms_p99", ".1f"),
    ("whole ms p50", "whole_ms_p50", ".0f"),
    ("p95", "whole_ms_p95", ".0f"),
)
STREAM_TOKENS = 256  # of each text stream beside a load: long enough to see many gaps


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
    parser.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="N requests in a row carry the same pictures (default 1)"
    )
    parser.add_argument(
        "--text-chars", type=int, default=0, metavar="N", help="random text before the question, N characters in all"
    )
    parser.add_argument(
        "--streams", type=int, default=0, metavar="N", help="N text-only streams beside each row: their gaps, and alone"
    )
    parser.add_argument("--ignore-eos", action=argparse.BooleanOptionalAction, default=True, help="fixed answer length")
    parser.add_argument("--usage", action=argparse.BooleanOptionalAction, default=True, help="ask for token counts")
    parser.add_argument("--prompt", default=PROMPT, help="the question")
    parser.add_argument("--seed", type=int, default=None, help="of the pictures (default: a new one every time)")
    parser.add_argument("--warm-up", type=int, default=2, metavar="N", help="requests before the clock starts (2)")
    parser.add_argument("--json", metavar="FILE", help="write the result there too; - prints it instead of the table")


def run(args: argparse.Namespace) -> int:
    rows = _numbers(args.concurrency)
    _check(args)
    result = run_quickly(_measure(args, rows))
    if args.json == "-":
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        print(table(result["rows"]))
        print("\n".join(stream_lines(result["rows"])), end="\n" if args.streams else "")
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


def stream_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each row that had text streams beside it."""
    lines = []
    for row in rows:
        if "streams" not in row:
            continue
        (alone, beside), ratio = (row["streams"][when] for when in ("alone", "beside")), row.get("gap_ratio")
        lines.append(
            f"{beside['concurrency']} text streams beside {row['concurrency']} clients: gap p99 "
            f"{beside.get('gap_ms_p99', '-')} ms, alone p50 {alone.get('gap_ms_p50', '-')} ms and p99 "
            f"{alone.get('gap_ms_p99', '-')} ms ({ratio or '-'} times the idle gap)"
        )
    return lines


def run_quickly(work: Coroutine[Any, Any, T]) -> T:
    """On uvloop where there is one: the load generator must not be what is measured."""
    try:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except ImportError:
        return asyncio.run(work)


async def _measure(args: argparse.Namespace, concurrencies: Sequence[int]) -> dict[str, Any]:
    async with ChatServer(target_url(args), key=target_key(args)) as server:
        model = args.model or (await server.models())[0]
        seed = int.from_bytes(os.urandom(3), "big") if args.seed is None else args.seed
        load = Load(
            model, args.side, args.images, args.tokens, args.shared, args.ignore_eos, args.usage, args.prompt, seed,
            args.repeats, args.text_chars,
        )  # fmt: skip
        if args.warm_up:
            # Other pictures than the measured ones, shared ones too.
            await run_load(server, replace(load, seed=seed + 1), min(2, args.warm_up), args.warm_up)
        rows = []
        for number, concurrency in enumerate(concurrencies):
            print(f"{concurrency} clients ...", file=sys.stderr, flush=True)
            row_load = replace(load, seed=seed + 2 + number)
            num_requests = max(args.least, concurrency * args.per_client)
            if args.streams:
                streams = replace(load, side=0, text_chars=0, tokens=STREAM_TOKENS, seed=seed + 1)
                row = await run_beside(server, streams, args.streams, row_load, concurrency, num_requests)
            else:
                row = await run_load(server, row_load, concurrency, num_requests)
            rows.append(row)
        return {"setup": _setup(server.url, load), "rows": rows}


def _setup(url: str, load: Load) -> dict[str, Any]:
    return {
        "url": url,
        "load": asdict(load),
        "client": f"flashweb {__version__}, Python {platform.python_version()}",
        "client_cores": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _check(args: argparse.Namespace) -> None:
    for flag, value, least in (
        ("--per-client", args.per_client, 0), ("--least", args.least, 1), ("--side", args.side, 0),
        ("--images", args.images, 1), ("--tokens", args.tokens, 1), ("--repeats", args.repeats, 1),
        ("--text-chars", args.text_chars, 0), ("--streams", args.streams, 0), ("--warm-up", args.warm_up, 0),
    ):  # fmt: skip
        if value < least:
            raise ConfigError(f"{flag} {value} is too small; it must be at least {least}")


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise ConfigError(f"--concurrency {text!r} is no comma list of positive numbers such as 1,8,64")
    return numbers
