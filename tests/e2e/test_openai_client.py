"""The official OpenAI client against a real server: the newest release, and 1.40.0 in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flashweb.evaluate import heldout
from tests.e2e.conftest import Start

SCRIPT = Path(__file__).parent / "openai_script.py"


def run_script(python: Path | str, url: str, *arguments: str) -> dict[str, Any]:
    command = [str(python), str(SCRIPT), f"{url}/v1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_the_newest_client_works_with_the_echo_engine(echo_server: str) -> None:
    result = run_script(sys.executable, echo_server)
    assert "What is in this image?" in result["answer"]


def test_the_newest_client_works_with_the_bundled_model(nano: str) -> None:
    run_script(sys.executable, nano)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("--engine", "echo"), ("--threads", "1")], ids=["echo", "nano"])
def test_client_1_40_works_from_an_environment_of_its_own(start: Start, flags: tuple[str, ...]) -> None:
    python = Path(__file__).resolve().parents[2] / ".venv-openai-1.40" / "bin" / "python"
    if not python.exists():
        pytest.skip("no .venv-openai-1.40: `make clients` makes it")
    assert run_script(python, start(*flags).url)["openai"] == "1.40.0"


@pytest.mark.slow
def test_the_bundled_model_reads_amounts_in_fonts_it_never_saw(start: Start) -> None:
    """Over the official client, streamed and not, sync and async (the script compares them); greedy and fp32."""
    url = start("--threads", "1").url
    cases = heldout.load(["amounts-plain"])[:6]
    right = 0
    for case in cases:
        done = run_script(sys.executable, url, str(case.picture), case.question)
        right += done["answer"].strip() == case.answer
    assert right >= 5, f"{right} of {len(cases)} pages were read without a mistake"
