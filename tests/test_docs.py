"""The documents' commands are commands: they parse, their files exist, and the clients in them get answers.

Every line of a ```sh block must be of a kind that is checked here, and every ```python block is run, with the
documents' address replaced by that of a server with the echo engine.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from flashweb.cli import VERBS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTED_URL = "http://127.0.0.1:8080"
DOCUMENTS = (
    "README.md", "README.zh-CN.md", "CONTRIBUTING.md", "docs/quickstart.md", "docs/jobs.md", "benchmarks/README.md",
)  # fmt: skip
OTHER_TOOLS = {"pip", "git", "cd", "gunicorn"}


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """(document, text) of every fenced block of a language."""
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        for found in re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            yield name, found[1]


def shell_lines() -> list[tuple[str, str]]:
    lines = []
    for name, block in blocks("sh"):
        joined = block.replace("\\\n", " ")
        lines += [(name, line.strip()) for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return lines


def words_of(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # VARIABLE=value before the command
        words = words[1:]
    return words


def check_command(words: list[str]) -> None:
    """Raises AssertionError when the command cannot work in a fresh copy of the repository."""
    command, *rest = words
    command = command.removeprefix(".venv/bin/")
    if command == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {word for word in rest if "=" not in word} <= targets
    elif command == "flashweb":
        check_flashweb(rest)
    elif command in ("python", "python3"):
        if rest[0] == "-m":
            assert importlib.util.find_spec(rest[1]), f"no module {rest[1]}"
        else:
            assert (ROOT / rest[0]).is_file(), f"no file {rest[0]}"
    elif command in ("bash", "sh") or command.startswith("./"):
        script = ROOT / (rest[0] if command in ("bash", "sh") else command)
        assert script.is_file() and script.stat().st_mode & 0o111, f"{script.name} cannot be run"
    else:
        assert command == "curl" or command in OTHER_TOOLS, f"this test does not know how to check {command!r}"


def check_flashweb(arguments: list[str]) -> None:
    if arguments == ["--version"]:
        return
    assert arguments[0] in VERBS
    module = import_module(f"flashweb.cli.{arguments[0]}")
    parser = argparse.ArgumentParser(exit_on_error=False)
    module.add_arguments(parser)
    _, unknown = parser.parse_known_args(arguments[1:])
    assert not unknown, f"unknown flags {unknown}"
    for word in arguments[1:]:
        if word.startswith("examples/"):
            assert (ROOT / word).is_file(), f"no file {word}"


@pytest.mark.parametrize(("document", "line"), shell_lines())
def test_every_command_in_the_documents_can_be_typed(document: str, line: str) -> None:
    check_command(words_of(line))


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    for line in ("make everything", "flashweb sreve", "flashweb serve --prot 1", "python3 no_such.py", "frobnicate"):
        with pytest.raises(AssertionError):
            check_command(words_of(line))


@pytest.mark.parametrize(("document", "code"), list(blocks("python")))
def test_every_python_sample_runs(document: str, code: str, echo_server: str) -> None:
    code = code.replace(DOCUMENTED_URL, echo_server)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "the sample printed nothing"


@pytest.mark.parametrize(("document", "line"), [item for item in shell_lines() if item[1].startswith("curl")])
def test_every_curl_sample_gets_an_answer(document: str, line: str, echo_server: str) -> None:
    if not shutil.which("curl"):
        pytest.skip("no curl on this machine")
    command = line.replace(DOCUMENTED_URL, echo_server).replace("curl ", "curl --fail ", 1)
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"choices"' in done.stdout or '"status"' in done.stdout or '"data"' in done.stdout


def test_the_figures_of_the_readmes_are_those_of_the_results() -> None:
    done = subprocess.run([sys.executable, "benchmarks/report.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_both_readmes_have_the_same_sections_and_commands() -> None:
    english, chinese = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")]
    for pattern in (r"^##? ", r"^- ", r"^```\w+$", r"^(?:make|flashweb) \S+"):
        assert len(re.findall(pattern, english, re.MULTILINE)) == len(re.findall(pattern, chinese, re.MULTILINE))


def test_links_between_documents_lead_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} links to {target}"
