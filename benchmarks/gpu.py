"""The whole table of docs/performance.md with one command on a machine with a GPU.

Writes a model folder with GLM-4.6V-Flash's real shapes (dummy weights), starts `flashweb serve` with one configuration
for each weight format, waits until it is ready, runs each row's load at least twice and keeps every run's figures in
results/gpu_table.json, with commit and set-up; then writes the document and its plots from them. After every point the
results are saved; rows that were not run stay as they are.

    .venv/bin/python benchmarks/gpu.py                          everything, 15 to 20 minutes on an H200
    .venv/bin/python benchmarks/gpu.py 'bf16-*' start           rows by name (wildcards may be used; --list names them)
    .venv/bin/python benchmarks/gpu.py --minutes 9              starts nothing that would not end in time, says what
    .venv/bin/python benchmarks/gpu.py --missing                goes on: only what this commit has not measured yet
    .venv/bin/python benchmarks/gpu.py --out FOLDER             writes there (begins with what is there, else with the
                                                                repository's results)
    .venv/bin/python benchmarks/gpu.py --report                 writes document and plots from the results, no more
    .venv/bin/python benchmarks/gpu.py --smoke --out FOLDER     every step with the bundled model on a CPU, a minute
    .venv/bin/python benchmarks/gpu.py --url http://127.0.0.1:8000 --weights bf16 --label vllm
                                                                the same loads on any OpenAI-compatible server

The load generator and what its figures mean: src/flashweb/cli/load.py.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Any

import gpu_report
from common import RESULTS, ROOT, as_text, flashweb_command, free_port, machine, packed, running, unpacked
from gpu_model import write_model
from gpu_rows import GOALS, PROMPT, Point, rows

from flashweb.cli.bench import STREAM_TOKENS, run_quickly
from flashweb.cli.client import ChatServer
from flashweb.cli.load import Load, run_beside, run_load
from flashweb.errors import FlashwebError
from flashweb.settings import options

WHAT = "GLM-4.6V-Flash's shapes with dummy weights on a GPU: every run of every point of docs/performance.md"
SMOKE_WHAT = "a try of every step with the bundled model and tiny loads: no measurement"
DOCUMENT = ROOT / "docs" / "performance.md"
# One configuration for all rows of a weight format; what a format's has beside bf16's. The latency option is one more,
# and a KV cache in fp8 another.
FLAGS = {
    "bf16": ("--device", "cuda", "--no-access-log"),
    "fp8": ("--quantization", "fp8"),
    "latency": ("--prefer", "latency"),
    "kv-fp8": ("--kv-cache-dtype", "fp8"),
}
SMOKE_FLAGS = FLAGS | {"bf16": ("--device", "cpu", "--no-access-log"), "fp8": ("--quantization", "int8")}
READY_SECONDS = 600.0  # a first start may compile
START_GUESS, POINT_GUESS = 60.0, 15.0  # seconds, for what was never measured here
BUSY_CLIENT = 0.7


@dataclass(slots=True)
class Session:
    """One invocation: what was asked for, what is known, and when it has to end."""

    args: argparse.Namespace
    results: dict[str, Any]
    path: Path
    deadline: float = float("inf")
    setup: dict[str, Any] = field(default_factory=dict)
    measured: set[str] = field(default_factory=set)  # names of points, and "start"
    reasons: dict[str, str] = field(default_factory=dict)  # why a weight format was not measured

    def has_time(self, seconds: float) -> bool:
        return time.monotonic() + seconds < self.deadline

    def save(self) -> None:
        self.path.write_text(as_text(packed(self.results)) + "\n", encoding="utf-8")


# --- what to run ------------------------------------------------------------------------------------------------------


def chosen(patterns: Sequence[str]) -> list[str]:
    """Names of the asked rows in the table's order. Raises SystemExit for a pattern that names none."""
    names = [name for name, _, _ in rows()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SystemExit(f"no row is called {pattern}; there are {', '.join(names)}")
    return [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]


def phases(names: Sequence[str]) -> list[tuple[str, list[Point]]]:
    """(weights, points) of each server to be started: the goals' first, so that they are there when time runs out."""
    goals = {goal.name for goal in GOALS}
    found: list[tuple[str, list[Point]]] = []
    for weights, of_goals in (("bf16", True), ("fp8", True), ("latency", True), ("bf16", False), ("kv-fp8", False)):
        wanted = [
            points for name, w, points in rows() if name in names and w == weights and (name in goals) == of_goals
        ]
        earlier = {point for _, points in found for point in points}
        unique = [point for point in dict.fromkeys(p for points in wanted for p in points) if point not in earlier]
        if unique and found and found[-1][0] == weights:
            found[-1][1].extend(unique)
        elif unique or (of_goals and weights == "bf16" and "start" in names):
            found.append((weights, unique))
    return found


def offered(weights: str, flags: Sequence[str]) -> str:
    """Why this weight format cannot be served by this edition; empty when it can."""
    if "--quantization" not in flags:
        return ""
    wanted = flags[flags.index("--quantization") + 1]
    choices = next(option.choices for option in options() if option.name == "quantization")
    return "" if wanted in choices else f"{weights}: flashweb serve offers --quantization {', '.join(choices)} only"


# --- running ----------------------------------------------------------------------------------------------------------


def run_phase(session: Session, weights: str, points: Sequence[Point], starts: int) -> None:
    """All points on one server, or on the given one; `starts` further starts of it before."""
    args = session.args
    if args.url:
        session.setup = set_up(args, ("at", args.url))
        measure_all(session, args.url, points)
        return
    table = SMOKE_FLAGS if args.smoke else FLAGS
    flags = (*table["bf16"], *(table[weights] if weights != "bf16" else ()), *shlex.split(args.serve_flags))
    reason = offered(weights, flags)
    if reason:
        session.reasons[weights] = reason
        say(f"skipped: {reason}")
        return
    session.setup = set_up(args, (*(() if args.smoke else ("FOLDER", "--load-format", "dummy")), *flags))
    with tempfile.TemporaryDirectory() as scratch:
        model = () if args.smoke else (str(write_model(Path(scratch) / "glm-4.6v-flash")), "--load-format", "dummy")
        seconds = []
        for number in range(starts + 1):
            if not session.has_time(START_GUESS):
                return
            with server((*model, *flags), session.path.with_name(f"gpu-{weights}.log")) as (url, ready):
                say(f"{weights}: ready after {ready:.1f} s")
                seconds.append(round(ready, 2))
                if number == starts:
                    if starts:
                        session.results["starts"][weights] = {"seconds": seconds, "setup": session.setup}
                        session.measured.add("start")
                        session.save()
                    measure_all(session, url, points)


@contextmanager
def server(flags: Sequence[str], log: Path) -> Iterator[tuple[str, float]]:
    """(URL, seconds until ready)"""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(flashweb_command(port, *flags), url, log, "/health/ready", READY_SECONDS) as (_, seconds):
        yield url, seconds
    log.unlink(missing_ok=True)  # kept when something went wrong


def measure_all(session: Session, url: str, points: Sequence[Point]) -> None:
    for point in points:
        key = point.name
        known = session.results["points"].get(key)
        runs = session.args.runs
        guess = (1.3 * runs * max(run.get("seconds", 0) for run in known["runs"]) + 5) if known else POINT_GUESS
        if not session.has_time(guess):
            continue
        started = time.monotonic()
        load = point.tiny() if session.args.smoke else point
        found = run_quickly(measure(url, load, session.args))
        session.results["points"][key] = {"point": asdict(point), "runs": found, "setup": session.setup}
        session.save()
        session.measured.add(key)
        say(f"{key}: {words(found)} ({time.monotonic() - started:.0f} s)")
        if all(not run["requests"] for run in found):
            raise SystemExit(f"nothing was answered ({found[0]['first_error']}); the server's log is kept")


async def measure(url: str, point: Point, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every run of a point, each with pictures nobody has seen. Raises FlashwebError when nobody answers at all."""
    async with ChatServer(url, key=args.key) as chat:
        model = args.model or (await chat.models())[0]
        load = Load(
            model, point.side, 1, point.tokens, point.shared, prompt=PROMPT, repeats=point.repeats,
            text_chars=point.text_chars,
        )  # fmt: skip
        await run_load(chat, replace(load, seed=_seed(), tokens=min(16, load.tokens)), 2, 1 if args.smoke else 2)
        found = []
        for _ in range(args.runs):
            load = replace(load, seed=_seed())
            if point.streams:
                tokens = point.tokens if args.smoke else STREAM_TOKENS
                streams = replace(load, side=0, tokens=tokens, seed=_seed())
                row = await run_beside(chat, streams, point.streams, load, point.clients, point.num_requests)
            else:
                row = await run_load(chat, load, point.clients, point.num_requests)
            found.append(row)
    return found


def _seed() -> int:
    return int.from_bytes(os.urandom(3), "big")


# --- words ------------------------------------------------------------------------------------------------------------


def words(runs: Sequence[dict[str, Any]]) -> str:
    """The runs in one line for the terminal."""
    if not any(run["requests"] for run in runs):
        return "errors only"
    shown = []
    for key, name in (
        ("requests_per_s", "req/s"), ("first_token_ms_p50", "first token ms"), ("per_token_ms_p50", "ms per token"),
        ("gap_ratio", "times the idle gap"),
    ):  # fmt: skip
        values = [f"{run[key]:.2f}" for run in runs if key in run]
        shown += [f"{' '.join(values)} {name}"] if values else []
    errors = sum(run["errors"] for run in runs)
    shown += [f"{errors} ERRORS ({next(run['first_error'] for run in runs if run['errors'])})"] if errors else []
    busiest = max(run.get("client_cpu", 0) for run in runs)
    shown += [f"the load generator was busy ({busiest:.0%} of a core)"] if busiest > BUSY_CLIENT else []
    return ", ".join(shown)


def set_up(args: argparse.Namespace, flags: Sequence[str]) -> dict[str, Any]:
    here = machine()
    device, driver, memory = gpu()
    return {
        "date": here["date"],
        "commit": args.commit or here["commit"],
        "device": device,
        "driver": driver,
        "device_memory": memory,
        "cpu": here["cpu"],
        "cores": here["cores"],
        "python": here["python"],
        "torch": here["torch"],
        "triton": version_of("triton"),
        "flags": list(flags),
        "load_before": here["load_before"],
    }


def gpu() -> tuple[str, str, str]:
    """(name, driver, memory) of the first GPU."""
    if not shutil.which("nvidia-smi"):
        return "no GPU", "none", "none"
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    lines = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()
    name, driver, memory = lines[0].split(", ") if lines else ("unknown", "unknown", "unknown")
    return name, driver, memory


def version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- the command ------------------------------------------------------------------------------------------------------


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to measure (default: all)")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--smoke", action="store_true", help="the bundled model on a CPU, tiny numbers; needs --out")
    parser.add_argument("--report", action="store_true", help="write document and plots from the results and end")
    parser.add_argument("--missing", action="store_true", help="leave out what this commit has measured already")
    parser.add_argument("--minutes", type=float, help="start nothing that would not end within this time")
    parser.add_argument("--runs", type=int, help="of each point (default 2, 1 with --smoke)")
    parser.add_argument("--out", type=Path, help="folder for results, document and plots (default: the repository's)")
    parser.add_argument("--serve-flags", default="", help="further flags of flashweb serve, for every weight format")
    parser.add_argument("--commit", help="what is measured, where git cannot tell")
    parser.add_argument("--url", help="measure the server there instead of starting one")
    parser.add_argument("--weights", default="bf16", choices=sorted(FLAGS), help="what the server at --url holds")
    parser.add_argument("--model", help="model name to ask for (default: the first the server lists)")
    parser.add_argument("--key", help="API key of the server at --url")
    parser.add_argument("--label", help="with --url: results go to gpu_table-LABEL.json, the document stays as it is")
    args = parser.parse_args(argv)
    if args.smoke and not args.out:
        parser.error("--smoke needs --out: its figures must not be taken for measurements")
    if args.url and not args.label:
        parser.error("--url needs --label: whose figures are they?")
    args.runs = args.runs or (1 if args.smoke else 2)
    return args


def load_results(path: Path, smoke: bool) -> dict[str, Any]:
    """What is there already, else what the repository has, else nothing yet.

    Raises SystemExit rather than mixing tries with measurements.
    """
    empty: dict[str, Any] = {"what": SMOKE_WHAT if smoke else WHAT, "starts": {}, "points": {}}
    if not path.exists() and not smoke:
        path = RESULTS / path.name
    found = unpacked(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else empty
    if found["what"] != empty["what"]:
        raise SystemExit(f"{path} holds {found['what']}; give another --out")
    return found


def main(argv: Sequence[str]) -> int:
    args = parse(argv)
    names = chosen(args.rows)
    if args.list:
        print("\n".join(names))
        return 0
    results_folder, document_folder = args.out or RESULTS, args.out or DOCUMENT.parent
    results_folder.mkdir(parents=True, exist_ok=True)
    path = results_folder / (f"gpu_table-{args.label}.json" if args.label else "gpu_table.json")
    deadline = time.monotonic() + 60 * args.minutes if args.minutes else float("inf")
    session = Session(args, load_results(path, args.smoke), path, deadline)
    planned = [] if args.report else [phase for phase in phases(names) if not args.url or phase[0] == args.weights]
    with_start = "start" in names and bool(planned) and not args.url
    if args.missing:
        with_start = with_start and not is_known(session, session.results["starts"].get("bf16"))
        planned = left_over(session, planned, with_start)
    for number, (weights, points) in enumerate(planned):
        starts = args.runs if number == 0 and with_start else 0
        try:
            run_phase(session, weights, points, starts)
        except (SystemExit, FlashwebError) as error:  # of this server; the next one may do better
            say(f"{weights}: {error}")
    if not args.label:
        gpu_report.write(session.results, DOCUMENT, document_folder)
        print("" if args.smoke else gpu_report.verdicts(session.results, names))
    missing = not_measured(session, planned, with_start)
    if missing:
        print("not measured now: " + ", ".join(missing))
    return int(bool(missing))


def left_over(
    session: Session, planned: Sequence[tuple[str, list[Point]]], with_start: bool
) -> list[tuple[str, list[Point]]]:
    """The phases without the points this commit has measured; the first one stays for its starts."""
    points = session.results["points"]
    left = [(w, [point for point in found if not is_known(session, points.get(point.name))]) for w, found in planned]
    return [(w, found) for number, (w, found) in enumerate(left) if found or (with_start and number == 0)]


def is_known(session: Session, known: dict[str, Any] | None) -> bool:
    """Measured with this commit, without errors."""
    commit = session.args.commit or machine()["commit"]
    return bool(known and known["setup"]["commit"] == commit and not any(r["errors"] for r in known.get("runs", ())))


def not_measured(session: Session, planned: Sequence[tuple[str, list[Point]]], with_start: bool) -> list[str]:
    """Names of what was asked for and was not run, with the reason where it is not the time."""
    names = ["start"] if with_start and "start" not in session.measured else []
    for weights, points in planned:
        reason = f" ({session.reasons[weights]})" if weights in session.reasons else ""
        names += [point.name + reason for point in points if point.name not in session.measured]
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
