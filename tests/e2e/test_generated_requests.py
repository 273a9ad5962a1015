"""Requests generated from the API's own description, against real servers: no 5xx, no answer it does not describe,
nothing invalid accepted, no key overlooked. `generated/` says what is looked at; what came of it is written down by
benchmarks/generated_requests.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Start

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent / "generated"
SEED = 20
API_KEY, ADMIN_KEY = "sk-generated-0123456789", "an-admin-key-of-some-length"
ECHO = ("--engine", "echo")
KEYS = ("--api-keys", f"shop:{API_KEY}")


@dataclass(frozen=True)
class Run:
    """One server and what is sent to it."""

    flags: tuple[str, ...]
    max_examples: int  # of a route in the phase that draws at random; boundaries and examples come besides
    at_least: int  # cases
    config: str = "schemathesis.toml"
    more: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)


# What is kept under an id is found by who was told the id; a file's bytes must fit its purpose, a batch its file.
KEPT = ("/v1/files", "/v1/batches", "/v1/responses/{", "/api/jobs/")
NOT_FROM_A_DESCRIPTION = (  # in the run with real pictures; its configuration says why
    "/chat/completions", "/v1/completions", "/messages", "/count_tokens", "POST /v1/responses", "/input_tokens",
    "tokenize", "POST /v1/files", "POST /v1/batches", "{name}", "/audit-image",
)  # fmt: skip
RUNS = {
    "echo": Run(ECHO, max_examples=150, at_least=5000),
    "real pictures": Run(
        ECHO, max_examples=60, at_least=2500, config="real_pictures.toml", environ={"REAL_PICTURES": "1"}
    ),
    # The preset's own rate would leave nothing but 429s, which have a run of their own.
    "keys": Run((*ECHO, *KEYS, "--preset", "strict", "--rate-limit", "1000000/minute"), max_examples=20, at_least=3000),
    "strict": Run((*ECHO, *KEYS, "--preset", "strict"), max_examples=10, at_least=100, more=("--phases", "fuzzing")),
    # Short answers: a model on a CPU that writes until its context is full takes its time.
    "nano": Run(
        ("--max-model-len", "256", "--threads", "1"),
        max_examples=16,
        at_least=150,
        more=("--phases", "examples,fuzzing"),
        environ={"REAL_PICTURES": "1"},
    ),
}  # fmt: skip


def test_the_runs_send_ten_thousand_requests_together() -> None:
    assert sum(run.at_least for run in RUNS.values()) >= 10_000


@pytest.mark.parametrize("name", RUNS)
def test_generated_requests_get_documented_answers(start: Start, tmp_path: Path, name: str) -> None:
    pytest.importorskip("schemathesis")
    run = RUNS[name]
    server = start(*run.flags, "--admin-key", ADMIN_KEY)
    routes = routes_of(httpx.get(f"{server.url}/openapi.json", timeout=60).json())
    report, answered, words = generate(run, server.url, tmp_path)
    assert report["exit_code"] == 0 and report["complete"], words[-20_000:]
    assert report["test_cases"]["generated"] >= run.at_least
    assert "Traceback" not in server.text, server.text[-5000:]
    check_that_all_was_reached(name, routes, answered)
    note(name, report, answered)


def generate(run: Run, url: str, folder: Path) -> tuple[Any, dict[str, int], str]:
    """schemathesis' report, the number of answers by route and status, and what it said."""
    root = HERE.parents[2]
    environ = {
        **os.environ,
        **run.environ,
        "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
        "SCHEMATHESIS_HOOKS": "tests.e2e.generated.hooks",
        "ANSWERED_FILE": str(folder / "answered.json"),
        "API_KEY": API_KEY,
        "ADMIN_KEY": ADMIN_KEY,
    }
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / run.config), "run", f"{url}/openapi.json",
        "--seed", os.environ.get("GENERATED_SEED", str(SEED)), "--max-examples", str(run.max_examples), *run.more,
        "--report", "json", "--report-json-path", str(folder / "report.json"),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=1800)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads((folder / "report.json").read_text())
    return report, json.loads((folder / "answered.json").read_text()), done.stdout


def note(name: str, report: Any, answered: dict[str, int]) -> None:
    """For benchmarks/generated_requests.py, which asks by a folder in the environment."""
    folder = os.environ.get("GENERATED_RESULTS")
    if folder is None:
        return
    statuses: Counter[str] = Counter()
    for key, number in answered.items():
        statuses[key.rpartition(" ")[2]] += number
    told = {
        "cases": report["test_cases"]["generated"],
        "with_failures": report["test_cases"]["with_failures"],
        "routes": report["operations"]["tested"],
        "seed": report["seed"],
        "seconds": round(report["running_time"], 1),
        "answers_by_status": dict(sorted(statuses.items())),
    }
    (Path(folder) / f"{name}.json").write_text(json.dumps(told))


def routes_of(document: Any) -> list[str]:
    return [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]


def check_that_all_was_reached(name: str, routes: list[str], answered: dict[str, int]) -> None:
    """Every route of the description had its share, and each setting its effect."""
    by_route: Counter[str] = Counter()
    statuses: dict[str, set[str]] = {}
    for key, number in answered.items():
        route, _, status = key.rpartition(" ")
        by_route[route] += number
        statuses.setdefault(route, set()).add(status)
    if name == "real pictures":
        routes = [route for route in routes if not route.endswith(NOT_FROM_A_DESCRIPTION)]
    for route in routes:
        assert by_route[route], f"{route} was not asked"
        # A request in flight is nothing that can be guessed, and few texts are a picture.
        is_answerable = route.startswith("GET") or ("REAL_PICTURES" in RUNS[name].environ and "/api/" not in route)
        is_answerable &= not route.partition(" ")[2].startswith(KEPT) or route in ("GET /v1/files", "GET /v1/batches")
        if is_answerable and name != "strict":
            assert "200" in statuses[route], f"{route} answered only {statuses[route]}"
    if name == "keys":
        is_open = ("/health", "/v1/health", "/health/live", "/health/ready")
        refused = {route for route in routes if "401" in statuses[route]}  # beside what ignored_auth itself tries
        assert len(refused) >= 10 and not [route for route in refused if route.endswith(is_open)], refused
    if name == "strict":
        limited = {route for route in routes if "429" in statuses[route]}  # whichever came late in a minute
        assert len(limited) >= 3 and not [route for route in limited if "/health" in route], limited
