"""Requests per second against `transformers serve`: the same weights, the same pictures, the same machine, one run.

8 clients in a closed loop, 448 px pictures, 32 tokens out of each answer, float32. Both servers are up at once and
measured in turn (the other one idle), several rounds, so that a slow minute of the machine hits both. Distinct
pictures: no cache can answer. The same picture: what the encoder and prefix caches are for. Goals: >= 2.5x and >= 10x,
set with 24 requests of about 287 prompt tokens whose answers come whole, which is what is measured here; one more row
without a goal has the answers streamed.

The weights are the ones that the goals were set for, a random model of 26.6 M parameters with nano's tokenizer;
`--model` measures another, such as the bundled one, whose decoder is so small that pictures leave less to gain.

The end-of-sequence ids are taken out of a copy of the checkpoint, since the peer has no `ignore_eos`: so both write
exactly 32 tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from common import NANO, ROOT, flashweb_command, free_port, machine, running, tree_memory_mib, write_result
from cpu_generate import make_model

from flashweb.cli.client import ChatServer
from flashweb.cli.load import Load, request_body, run_load

CLIENTS, TOKENS, SIDE = 8, 32, 448
PROMPT = "List the amounts."
GOALS = {"distinct": 2.5, "same": 10.0, "distinct_streamed": None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=24, help="of each server in each round")
    parser.add_argument("--model", type=Path, help="a checkpoint folder (default: a random one of 26.6 M parameters)")
    parser.add_argument("--name", default="serve_ratio", help="of the result file")
    args = parser.parse_args()
    setup = machine() | {"clients": CLIENTS, "tokens": TOKENS, "side": SIDE, "dtype": "float32"}
    with tempfile.TemporaryDirectory() as scratch:
        model = args.model or random_model(Path(scratch) / "random")
        setup["model"] = args.model.name if args.model else "random, 26.6 M parameters"
        folder = endless_copy(model, Path(scratch) / "model")
        ours_port, peer_port = free_port(), free_port()
        ours_url, peer_url = f"http://127.0.0.1:{ours_port}", f"http://127.0.0.1:{peer_port}"
        peer = [sys.executable, str(ROOT / "benchmarks" / "transformers_serve.py"), "serve", str(folder),
                "--device", "cpu", "--dtype", "float32", "--port", str(peer_port)]  # fmt: skip
        ours = flashweb_command(ours_port, str(folder), "--dtype", "float32")
        with (
            running(ours, ours_url, Path(scratch) / "ours.log", "/health/ready") as (ours_pid, ours_start),
            running(peer, peer_url, Path(scratch) / "peer.log") as (peer_pid, peer_start),
        ):
            result = asyncio.run(compare(args, ours_url, peer_url, str(folder)))
            result["start_seconds"] = {"ours": round(ours_start, 2), "peer": round(peer_start, 2)}
            result["memory_mib"] = {"ours": tree_memory_mib(ours_pid), "peer": tree_memory_mib(peer_pid)}
    write_result(args.name, {"what": "requests/s, flashweb over transformers serve", "setup": setup} | result)


def random_model(folder: Path) -> Path:
    """The model of cpu_generate.py with everything else of flashweb-nano: tokenizer, template, picture sizes."""
    make_model(folder)
    nano = json.loads((NANO / "config.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {key: value for key, value in nano.items() if key.endswith("_token_id")}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for path in NANO.iterdir():
        if path.suffix in (".json", ".jinja") and path.name != "config.json":
            shutil.copy(path, folder)
    return folder


def endless_copy(model: Path, folder: Path) -> Path:
    """The checkpoint with no end-of-sequence ids, so that every answer has the full length on both sides."""
    shutil.copytree(model, folder)
    for path in (folder / "generation_config.json", folder / "config.json"):
        if path.exists():
            path.write_text(json.dumps(without_eos(json.loads(path.read_text()))), encoding="utf-8")
    return folder


def without_eos(config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    return {key: without_eos(value) for key, value in config.items() if key != "eos_token_id"}


async def compare(args: argparse.Namespace, ours_url: str, peer_url: str, model: str) -> dict[str, Any]:
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {kind: {"ours": [], "peer": []} for kind in GOALS}
    async with ChatServer(ours_url) as ours, ChatServer(peer_url) as peer:
        ours_load = Load((await ours.models())[0], side=SIDE, tokens=TOKENS, prompt=PROMPT)
        peer_load = replace(ours_load, model=model, ignore_eos=False, usage=False)
        for server, load in ((ours, ours_load), (peer, peer_load)):
            await run_load(server, replace(load, seed=999), 2, 4)
        for number in range(args.rounds):
            for place, kind in enumerate(GOALS):
                for name, server, load in (("ours", ours, ours_load), ("peer", peer, peer_load)):
                    load = replace(load, seed=10 * number + place, shared=kind == "same")
                    if load.shared:  # the first sight of a picture is not what is measured
                        await run_load(server, load, 1, 1)
                    measure = run_load if kind == "distinct_streamed" else run_whole
                    row = await measure(server, load, CLIENTS, args.requests)
                    print(f"round {number + 1}, {kind}, {name}: {row}", file=sys.stderr, flush=True)
                    if row["errors"]:
                        raise SystemExit(f"{name} answered with errors: {row['first_error']}")
                    rows[kind][name].append(row)
    return {kind: ratio(kind, rows[kind]) for kind in GOALS}


async def run_whole(server: ChatServer, load: Load, clients: int, num_requests: int) -> dict[str, Any]:
    """As `run_load`, with answers that come whole."""
    bodies = iter([whole(request_body(load, number)) for number in range(num_requests)])
    seconds_each: list[float] = []
    prompt_tokens: set[int] = set()

    async def client(http: httpx.AsyncClient) -> None:
        for body in bodies:
            began = time.perf_counter()
            response = await http.post(f"{server.url}/v1/chat/completions", json=body)
            seconds_each.append(time.perf_counter() - began)
            if response.status_code != 200:
                raise SystemExit(f"{server.url} answered {response.status_code}: {response.text[:300]}")
            usage = response.json()["usage"]
            assert usage["completion_tokens"] == load.tokens, usage
            prompt_tokens.add(usage["prompt_tokens"])

    async with httpx.AsyncClient(timeout=600, trust_env=False) as http:
        began = time.perf_counter()
        await asyncio.gather(*(client(http) for _ in range(clients)))
        seconds = time.perf_counter() - began
    return {
        "requests": num_requests,
        "errors": 0,
        "requests_per_s": round(num_requests / seconds, 3),
        "output_tokens_per_s": round(num_requests * load.tokens / seconds, 1),
        "prompt_tokens": max(prompt_tokens),
        "whole_ms_p50": round(1e3 * statistics.median(seconds_each), 1),
    }


def whole(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "stream_options"} | {"stream": False}


def ratio(kind: str, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Median of the rounds' ratios, each between two runs that followed each other."""
    rates = {name: [row["requests_per_s"] for row in rows[name]] for name in rows}
    ratios = [ours / peer for ours, peer in zip(rates["ours"], rates["peer"], strict=True)]
    middle, goal = statistics.median(ratios), GOALS[kind]
    figures = ("whole_ms_p50", "first_token_ms_p50", "output_tokens_per_s", "prompt_tokens")
    return {
        "requests_per_s": rates,
        **{
            figure: {name: [row[figure] for row in rows[name]] for name in rows}
            for figure in figures
            if figure in rows["ours"][0]
        },
        "ratios": [round(r, 2) for r in ratios],
        "median_ratio": round(middle, 2),
        "goal": goal,
        "met": None if goal is None else middle >= goal,
    }


if __name__ == "__main__":
    main()
