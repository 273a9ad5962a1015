"""Scene files and what becomes of an answer, without a server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flashweb.errors import InvalidAnswer, SceneNotFound
from flashweb.scenes import Scene, SceneBook
from flashweb.scenes.book import ORDER
from flashweb.scenes.normalise import NORMALISERS, amounts, marks, null_words, severity
from flashweb.scenes.scene import SceneFile
from flashweb.types import FinishReason

HEAD = """
title = { zh = "a", en = "a" }
description = { zh = "a", en = "a" }
prompt = { zh = "a", en = "a" }
"""
JSON = HEAD + 'answer = "json"\n'
SCHEMA = 'schema = \'{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}\'\n'


def test_work_is_asked_for_first_and_left_out_of_the_result() -> None:
    scene = SceneBook().find("contract")
    assert scene.structure is not None
    enforced = json.loads(scene.structure.source)
    assert next(iter(enforced["properties"])) == "work" and enforced["required"][0] == "work"
    assert "work" not in scene.schema["properties"]
    said = {
        "work": ["壹万零壹佰元整=10100.00"], "party_a_signature": "missing", "party_b_seal": "illegible",
        "amounts_agree": None, "forbidden_clauses": [], "issues": [],
    }  # fmt: skip
    found = scene.result(f"```json\n{json.dumps(said)}\n```", FinishReason.STOP)
    assert list(found) == list(scene.schema["properties"])


def test_marks_are_in_the_pages_order_inside_the_page_and_count_what_they_list() -> None:
    wrong = {"error_type": "a", "location": "b", "suggestion": "c", "box": [700, -3, 200, 1200]}
    said = {"work": ["Q1"], "Q10": wrong, "Q2": wrong, "summary": {"right": 9, "all": 10}}
    found = SceneBook().find("marking").result(json.dumps(said), "stop")
    assert list(found) == ["Q2", "Q10", "summary"] and found["summary"] == {"right": 8, "all": 10}
    assert found["Q2"]["box"] == [200, 0, 700, 999]


@pytest.mark.parametrize("broken", [{"box": [1, 2, 3]}, {"box": ["1", 2, 3, 4]}, {"location": None}, {"more": 1}])
def test_a_mark_that_is_not_whole_is_refused(broken: dict[str, Any]) -> None:
    wrong = {"error_type": "a", "location": "b", "suggestion": "c", "box": [1, 2, 3, 4], **broken}
    with pytest.raises(InvalidAnswer, match="Q3"):
        SceneBook().find("marking").result(json.dumps({"Q3": wrong, "summary": {"right": 1, "all": 2}}), "stop")


def test_more_mistakes_than_questions_are_refused() -> None:
    wrong = {"error_type": "a", "location": "b", "suggestion": "c", "box": [1, 2, 3, 4]}
    said = {"Q1": wrong, "Q2": wrong, "summary": {"right": 0, "all": 1}}
    with pytest.raises(InvalidAnswer, match="minimum"):
        SceneBook().find("marking").result(json.dumps(said), "stop")


def test_normalising_changes_spelling_and_leaves_other_shapes_alone() -> None:
    for normalise, before, after in (
        (
            amounts,
            {"amounts": ["￥1,000", "-3.50元", 4], "total": ""},
            {"amounts": ["1000", "-3.50", 4], "total": None},
        ),
        (amounts, {"amounts": None, "total": 3}, {"amounts": None, "total": 3}),
        (null_words, {"a": "无", "b": "NULL", "c": "NOVA", "d": []}, {"a": None, "b": None, "c": "NOVA", "d": []}),
        (severity, {"defects": [], "severity": "low"}, {"defects": [], "severity": "none"}),
        (severity, {"defects": ["a"], "severity": "low"}, {"defects": ["a"], "severity": "low"}),
        (marks, {"Q1": 5, "summary": [], "box": 1}, {"box": 1, "Q1": 5, "summary": []}),
    ):
        found: dict[str, Any] = dict(before)
        normalise(found)
        assert found == after


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("answer = ", "no TOML"),
        (HEAD, "answer"),
        (HEAD + 'answer = "yes"', "yes"),
        (HEAD + 'answer = "text"\ntitel = "a"', "titel"),
        (JSON, "schema is no JSON"),
        (JSON + "schema = '[]'", "object"),
        (JSON + 'schema = \'{"type": "object", "required": 5}\'', "no JSON Schema"),
        (JSON + SCHEMA + 'normalise = ["magic"]', "amounts, marks"),
        (JSON + SCHEMA + 'show = { a = "hologram" }', "hologram"),
        (JSON + SCHEMA + 'judge = { a = { some = "perhaps" } }', "perhaps"),
        (JSON + SCHEMA + 'labels = { a = { en = "plate" } }', "zh"),
        (HEAD + 'answer = "text"\n' + SCHEMA, "json"),
        (HEAD + 'answer = "text"\ntranslate = { zh = "译", en = "translate" }', "{language}"),
    ],
)
def test_what_is_wrong_with_a_scenes_file_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Scene.read("x", text)


def test_one_of_the_operators_may_take_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "audit.toml").write_text(JSON + SCHEMA, "utf-8")
    (tmp_path / "Bad Name.toml").write_text(JSON + SCHEMA, "utf-8")
    (tmp_path / "large.toml").write_text(JSON + "#" * (300 << 10), "utf-8")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    book = SceneBook(str(tmp_path))
    scenes, broken = book.all()
    assert scenes["audit"].own and list(scenes)[0] == "audit"
    assert {one.file: one.message.split(";")[0] for one in broken}.keys() == {
        "Bad Name.toml",
        "large.toml",
        "bytes.toml",
    }
    assert book.find("audit") is scenes["audit"], "read once while it stays as it is"
    with pytest.raises(SceneNotFound, match="audit, service"):
        book.find("large")


def test_a_folder_that_is_not_there_is_reported_and_ours_go_on() -> None:
    scenes, broken = SceneBook("/no/such/folder").all()
    assert len(scenes) == 7 and "cannot be read" in broken[0].message


def test_the_documents_example_is_a_scene_and_its_table_has_every_key(root: Path) -> None:
    text = (root / "docs" / "scenes.md").read_text("utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert Scene.read("plate", example).result('{"plate": null}', "stop") == {"plate": None}
    rows = "".join(line for line in text.splitlines() if line.startswith("| `"))
    keys = set(re.findall(r"`(\w+)`", rows))
    assert {field.name for field in msgspec.structs.fields(SceneFile)} | set(NORMALISERS) <= keys
    assert set(ORDER) <= keys


@pytest.mark.parametrize("name", ORDER)
def test_every_key_of_ours_has_a_hint_and_a_name_and_what_is_judged_is_a_key(name: str) -> None:
    told = SceneBook().find(name).described()
    keys = set(told["schema"]["properties"])
    assert keys <= set(told["show"]), "a page shows it as meant, not as a table"
    assert set(told["judge"]) <= keys
    if told["answer"] == "json":
        assert keys <= set(told["labels"])
    for key, meanings in told["judge"].items():
        words = told["schema"]["properties"][key].get("enum", ["true", "false", "null", "some", "empty"])
        assert set(meanings) <= set(words)
