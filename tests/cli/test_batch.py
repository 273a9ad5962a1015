"""`flashweb batch`: lines and folders, gone on with after a break, against a server and with an engine of its own."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from flashweb.cli import main
from flashweb.cli.batch_client import Reply, Request
from flashweb.cli.batch_files import CsvTable, batch_lines, pictures_of, requests_of
from flashweb.errors import ConfigError
from tests.house import png, user


def line(name: str, **body: Any) -> str:
    body = {"messages": user(f"say {name}"), "max_tokens": 8, **body}
    return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n"


def answers(path: Path) -> dict[str, Any]:
    return {one["custom_id"]: one for one in map(json.loads, path.read_text().splitlines())}


def test_lines_are_answered_and_only_what_is_missing_or_wrong_is_asked_again(
    echo_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given.write_text(line("a") + line("b") + line("wrong", temperature=9))
    command = ["batch", "run", str(given), "-o", str(out), "--url", echo_server]
    assert main(command) == 1
    first = answers(out)
    assert first["a"]["response"]["status_code"] == 200 and first["a"]["error"] is None
    assert first["wrong"]["response"]["status_code"] == 400
    assert "1 were not answered" in capsys.readouterr().err
    given.write_text(line("a") + line("b") + line("wrong") + line("new"))
    with out.open("a") as file:
        file.write('{"id": "cut off in the mid')
    assert main(command) == 0
    second = answers(out)
    assert second["a"] == first["a"] and second["b"] == first["b"]  # the same answers, not new ones
    assert {name for name, one in second.items() if one["response"]["status_code"] == 200} == {"a", "b", "wrong", "new"}
    assert len(out.read_text().splitlines()) == 4
    assert "4 requests to" in (told := capsys.readouterr().err) and "2 of them answered before" in told


def test_a_folder_becomes_a_table_and_the_next_run_asks_only_what_failed(
    echo_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out.csv"
    (folder / "below").mkdir(parents=True)
    (folder / "a.png").write_bytes(png())
    (folder / "below" / "b.PNG").write_bytes(png(grey=9))
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not a picture, and not asked about")
    command = ["batch", "scene", "ocr", str(folder), "-o", str(out), "--url", echo_server]
    assert main(command) == 1
    rows = out.read_text(encoding="utf-8-sig").splitlines()
    assert rows[0] == "file,text,error" and len(rows) >= 4
    assert any(row.startswith("broken.jpg,,") for row in rows)
    (folder / "broken.jpg").unlink()
    capsys.readouterr()
    assert main(command) == 0
    assert "2 of them answered before" in capsys.readouterr().err
    assert "broken" not in out.read_text()
    lines = tmp_path / "out.jsonl"
    assert main([*command[:5], str(lines), *command[6:]]) == 0
    assert {json.loads(row)["file"] for row in lines.read_text().splitlines()} == {"a.png", "below/b.PNG"}
    assert main(["batch", "scene", "nothing", str(folder), "-o", str(out), "--url", echo_server]) == 3
    assert "there is no scene 'nothing'" in capsys.readouterr().err


def test_a_table_holds_what_a_spreadsheet_can_show_and_would_not_run(tmp_path: Path) -> None:
    schema = {"properties": {"words": {}, "good": {}, "boxes": {}}, "additionalProperties": False}
    path = tmp_path / "t.csv"
    table = CsvTable(path, schema)
    result = {"words": ["a", "b"], "good": False, "boxes": [[1, 2]]}
    table.write(Request("one.png", "/", None), Reply(200, "req_1", result, None))
    evil = {"words": '=HYPERLINK("http://x")', "good": None, "boxes": "two\nlines, and a comma"}
    table.write(Request("two.png", "/", None), Reply(200, "req_2", evil, None))
    table.close()
    text = path.read_text(encoding="utf-8-sig")
    assert 'one.png,a; b,false,"[[1, 2]]",\n' in text
    assert "'=HYPERLINK" in text
    with path.open("a") as file:
        file.write('three.png,"cut in\nthe mid')
    again = CsvTable(path, schema)
    again.close()
    assert again.done == {"one.png", "two.png"} and path.read_text(encoding="utf-8-sig") == text
    with pytest.raises(ConfigError, match="table of something else"):
        CsvTable(path, {"properties": {"other": {}}})


FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "'=1", "''@x", "＝1+1", "＋1", "－1", "＠x",
    "-cmd|calc", "+49 171",
]  # fmt: skip
WORDS = ["plain", "'quoted'", "-12.50", "+3", "1,234.00", "a=b", "it's -1", "", "最便宜"]


def test_no_cell_of_a_table_is_a_formula_and_every_file_is_known_again_by_its_name(tmp_path: Path) -> None:
    schema = {"properties": {"words": {}, "all": {}}, "additionalProperties": False}
    path = tmp_path / "t.csv"
    table = CsvTable(path, schema)
    for number, words in enumerate(FORMULAS + WORDS):
        result = {"words": words, "all": ["a", words]}
        table.write(Request(f"{words}{number}.png", "/", None), Reply(200, "req_1", result, None))
        table.write(Request(f"bad{number}.png", "/", None), Reply(400, "req_1", None, words or "no"))
    table.close()
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    cells = [cell for row in rows for cell in row.values()]
    risky = [cell for cell in cells if cell.lstrip()[:1] in "=+-@＝＋－＠" and cell and cell not in WORDS]
    assert not risky and not any(cell.startswith(("\t", "\r", "\n")) for cell in cells)
    assert not any("; " + formula in cell for cell in cells for formula in FORMULAS if formula[0] != "'")
    assert {row["words"] for row in rows if row["words"]} >= {word for word in WORDS if word}
    again = CsvTable(path, schema)
    again.close()
    assert again.done == {f"{words}{number}.png" for number, words in enumerate(FORMULAS + WORDS)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no requests"),
        (line("a") + line("a"), "line 2: custom_id 'a' was there before"),
        (line("a") + "{no", "line 2"),
        (line("a").replace("/v1", "http://elsewhere/v1"), "url a path"),
    ],
)
def test_an_input_that_cannot_be_read_is_told_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        requests_of(path)


def test_an_answer_stays_whatever_a_text_takes_for_the_end_of_a_line_stands_in_it(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    output = batch_lines(path)
    output.write(Request("a", "/infer", b"{}"), Reply(200, "req_1", {"text": "one\u2028two\x85three"}, None))
    output.close()
    before = path.read_bytes()
    again = batch_lines(path)
    again.close()
    assert again.done == {"a"} and path.read_bytes() == before


def test_a_folder_without_pictures_and_an_output_that_cannot_be_written_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no pictures"):
        pictures_of(tmp_path)
    with pytest.raises(ConfigError, match="is no folder"):
        pictures_of(tmp_path / "none")
    with pytest.raises(ConfigError, match="cannot write"):
        batch_lines(tmp_path / "none" / "out.jsonl")


@pytest.mark.slow
def test_an_engine_of_its_own_looks_at_a_folder(tmp_path: Path, root: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "tag.png").write_bytes((root / "examples" / "price-tag.png").read_bytes())
    out = tmp_path / "out.csv"
    assert main(["batch", "scene", "audit", str(folder), "-o", str(out), "--own"]) == 0
    assert "tag.png,true," in out.read_text(encoding="utf-8-sig")
