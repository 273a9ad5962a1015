"""The pictures of `examples/` are answered right by the bundled model: what a newcomer sees first is true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from flashweb.cli import main
from flashweb.evaluate import load_folder

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SCENES = {"amounts", "audit", "prompt", "read", "marking", "contract", "inspection"}  # tasks of the business scenes


@pytest.mark.parametrize("temperature", ["0", "0.7"])
def test_every_example_is_answered_right(temperature: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tmp_path / "answers.jsonl"
    flags = ["--own", "--cases", str(EXAMPLES), "--temperature", temperature, "--answers", str(answers)]
    assert main(["eval", *flags]) == 0, capsys.readouterr().err
    given = [json.loads(line) for line in answers.read_text("utf-8").splitlines()]
    wrong = [(one["question"], one["answer"], one["truth"]) for one in given if not one["exact"]]
    assert not wrong and len(given) > 20


def test_the_examples_hold_every_scene_and_no_picture_without_a_question() -> None:
    cases = load_folder(EXAMPLES)
    assert {case.task for case in cases} >= SCENES | {"refuse"}
    assert {case.language for case in cases} == {"zh", "en"}
    assert {case.picture.name for case in cases} == {path.name for path in EXAMPLES.glob("*.png")}


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md", "docs/quickstart.md", "examples/README.md"])
def test_what_the_documents_ask_about_examples_is_among_the_cases(document: str) -> None:
    known = {(case.picture.name, case.question) for case in load_folder(EXAMPLES)}
    text = (ROOT / document).read_text("utf-8")
    asked = re.findall(r'flashweb chat examples/(\S+) "([^"]+)"', text)
    asked += re.findall(r"^\| `(\S+\.png)` \|.*\| `([^`]+)` \|$", text, re.MULTILINE)
    missing = [one for one in asked if one not in known]
    assert not missing and (asked or document.startswith("docs"))


def test_a_folder_without_cases_is_named_with_an_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--cases", str(tmp_path), "--url", "127.0.0.1:1"]) == 3
    assert "examples/cases.jsonl shows the form" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"picture": "a.png"}', '{"picture": "a.png", "task": "read", "question": ""}']
)
def test_a_line_that_is_no_case_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text(
        '{"picture": "b.png", "task": "read", "question": "?", "answer": ""}\n' + line
    )
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(ValueError, match="line 2"):
        load_folder(tmp_path)


def test_a_picture_that_is_not_there_is_named(tmp_path: Path) -> None:
    row = {"picture": "gone.png", "task": "read", "question": "?", "answer": ""}
    (tmp_path / "cases.jsonl").write_text(json.dumps(row))
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        load_folder(tmp_path)
