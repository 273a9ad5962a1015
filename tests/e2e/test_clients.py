"""Other people's clients against real servers, each in an environment of its own: `make clients` makes them.

What is asked of a client stands in `clients/*_suite.py`; pytest runs it here with that environment's Python.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import serving
from tests.e2e.test_api_examples import run_sample, samples
from tests.house import processor

ROOT = Path(__file__).resolve().parents[2]
SUITES = Path(__file__).parent / "clients"
# environment -> its suite, and how many tests pass in it at least: a suite that finds nothing must not look well
CLIENTS = {
    "openai": ("openai_suite.py", 31),  # the newest, in this environment
    "openai-1.40": ("openai_suite.py", 31),
    "langchain": ("langchain_suite.py", 50),
    "litellm": ("litellm_suite.py", 18),
    "instructor": ("instructor_suite.py", 11),
}
# One key a test that uses up its rate.
KEYS = [f"{user}-{what}" for user in ("openai", "litellm-openai", "litellm-hosted_vllm") for what in ("rate", "full")]
# Nothing of our own pytest settings: these are other environments. One event loop for all tests of a suite: LangChain
# keeps its connections, which a second loop could not use.
OPTIONS = shlex.split(
    "-q -ra --tb=short --rootdir=. --confcutdir=. -p no:warnings -p no:cacheprovider -o asyncio_mode=auto "
    "-o asyncio_default_test_loop_scope=session -o asyncio_default_fixture_loop_scope=session -c /dev/null"
)


def test_every_environment_has_a_suite_exact_pins_and_reasons_for_them() -> None:
    files = {path.stem: path.read_text() for path in SUITES.glob("*.txt")}
    assert files.keys() == CLIENTS.keys() - {"openai"}
    for name, text in files.items():
        chosen, brought = text.split("# What these bring")
        for line in [*chosen.splitlines()[1:], *brought.splitlines()[1:]]:
            assert re.match(r"[\w.-]+==[\w.+-]+( |$)", line), f"{name}: {line!r} is no pin"
        assert all("  # " in line for line in chosen.splitlines()[1:]), f"{name}: a pin has no reason"


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A server with the echo engine that lets in who has a key, three times a second and one at a time."""
    flags = ("--engine", "echo", "--rate-limit", "3/second", "--limit-concurrency", "1")
    with serving(*flags, "--api-keys", ",".join(KEYS)) as url:
        yield url


def ending_early() -> dict[str, float]:
    """A bias for what ends a string, an object and an argument: asked for what it has never seen, the bundled model
    writes on until `max_tokens`."""
    tokenizer = processor().tokenizer
    (quote,), (brace,) = tokenizer.encode('"'), tokenizer.encode("}")
    return {str(quote): 6, str(brace): 6, str(tokenizer.control_ids["</arg_value>"]): 8}


def environment(nano: str, guarded: str, pictures: str) -> dict[str, str]:
    ours = {
        "BASE_URL": f"{nano}/v1",
        "GUARDED_URL": guarded,
        "PICTURES_URL": f"http://{pictures}",
        "LOGIT_BIAS": json.dumps(ending_early()),
        "PYTHONPATH": "",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the internet for a list of prices when imported
    }
    return {**os.environ, **ours}


def python_of(client: str) -> str:
    if client == "openai":
        return sys.executable
    python = ROOT / f".venv-{client}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no .venv-{client}: `make clients` makes it")
    return str(python)


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_works_as_its_suite_says(client: str, nano: str, guarded: str, pictures: str) -> None:
    suite, least = CLIENTS[client]
    python = python_of(client)
    done = subprocess.run(
        [python, "-m", "pytest", *OPTIONS, suite],
        cwd=SUITES,
        env=environment(nano, guarded, pictures),
        capture_output=True,
        text=True,
        timeout=600,
    )
    passed = re.search(r"\b(\d+) passed", done.stdout)
    if done.returncode or not passed or int(passed[1]) < least:
        pytest.fail(f"{suite}, at least {least} to pass:\n{done.stdout[-8000:]}{done.stderr[-2000:]}", pytrace=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("client", "package"), [("langchain", "langchain_openai"), ("litellm", "litellm"), ("instructor", "instructor")]
)
def test_the_documents_sample_of_a_client_runs(client: str, package: str, nano: str) -> None:
    (code,) = samples(package)
    run_sample(code, python_of(client), nano)
