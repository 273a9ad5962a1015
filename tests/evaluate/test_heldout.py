"""The held-out sets that ship with the package."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flashweb.evaluate import SETS, load, load_folder, score
from flashweb.evaluate.heldout import FOLDER
from flashweb.evaluate.scoring import amounts, boxes, json_value, yes_no
from flashweb.evaluate.wear import WEAR, Worn
from training import heldout

SIZES = {"amounts-plain": 60, "amounts-decorated": 60, "amounts-unseen": 30, "reading": 40, "audit": 30, "boxes": 30}
SIZES |= {
    "turns": 26,
    "two-pictures": 26,
    "refusals": 64,
    "json": 26,
    "rules": 20,
    "tools": 28,
    "thinking": 26,
    "prompts": 40,
}
SIZES |= {"colours": 40, "counts": 50, "yesno": 50, "fields": 50, "amounts-boxes": 30, "robust": 90}
SIZES |= {"marking": 40, "contract": 40, "inspection": 40}


def test_every_set_has_its_size_and_the_whole_stays_small() -> None:
    counts = {name: len(load([name])) for name in SETS}
    assert counts == SIZES
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 12 * 2**20


def test_every_true_answer_scores_one_and_an_empty_one_zero() -> None:
    for case in load():
        assert case.score(case.answer).exact == score(case.task, case.answer, case.answer).exact == 1.0, case.name
        assert case.score("").exact == score(case.task, "", case.answer).exact == 0.0, case.name


def test_every_picture_opens_and_has_an_ordinary_size() -> None:
    for case in load():
        for file in case.shown:
            with Image.open(io.BytesIO(file.read_bytes())) as picture:
                assert picture.format == ("JPEG" if case.name.startswith("robust-jpeg") else "WEBP")
                least, most = (140, 910) if case.set == "robust" else (200, 700)
                assert least <= min(picture.size) <= max(picture.size) <= most, case.name


def test_answers_have_the_form_of_their_task() -> None:
    for case in load():
        if case.task == "amounts":
            assert amounts(case.answer) or case.answer in ("没有金额", "no amounts")
            if case.set != "two-pictures":
                assert all(character in "0123456789., " for character in case.answer) or not amounts(case.answer)
        elif case.task == "box":
            assert boxes(case.answer)
            assert all(0 <= a < c <= 999 and 0 <= b < d <= 999 for a, b, c, d in boxes(case.answer)), case.name
        elif case.set == "audit":
            assert isinstance(json_value(case.answer), dict)


def test_pages_without_amounts_are_among_the_amounts_sets() -> None:
    for name in ("amounts-plain", "amounts-decorated", "amounts-unseen"):
        none = sum(not amounts(case.answer) for case in load([name]))
        assert 0 < none <= len(load([name])) / 4


def test_an_unknown_set_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown held-out set amount: choose from amounts-plain"):
        load(["amount"])


def test_a_case_is_the_chat_it_stands_for() -> None:
    (plain,) = load(["reading"])[:1]
    assert [type(part).__name__ for part in plain.chat().messages[0].parts] == ["ImagePart", "TextPart"]
    assert plain.chat().images[0].data == plain.picture_bytes()
    for case in load(["turns", "two-pictures", "json", "rules", "thinking", "tools"]):
        chat = case.chat()
        assert [image.data for image in chat.images] == [file.read_bytes() for file in case.shown], case.name
        assert chat.enable_thinking == (case.set == "thinking") and bool(chat.tools) == (case.set == "tools")
        assert chat.messages[-1].role in ("user", "tool")
    assert all(len(case.shown) == 2 for case in load(["two-pictures"]))
    assert all(len(case.chat().messages) in (3, 5) for case in load(["turns"]))
    assert any(message.tool_calls for case in load(["tools"]) for message in case.chat().messages)


def test_half_of_the_refusals_are_due_and_the_other_half_can_be_answered() -> None:
    due = [case for case in load(["refusals"]) if case.task == "refuse"]
    assert len(due) == SIZES["refusals"] // 2
    for case in load(["refusals"]):
        declined = case.score("我认不出图里的东西。" if case.language == "zh" else "I cannot tell.")
        measure = "refused" if case.task == "refuse" else "false_refusal"
        assert declined.measures[measure] == 1.0 and declined.exact == float(case.task == "refuse"), case.name


def test_photographs_name_their_source() -> None:
    named = (FOLDER / "PHOTOGRAPHS.md").read_text("utf-8")
    files = [
        line.split(" | ")[0].removeprefix("| ")
        for line in named.splitlines()
        if line.startswith("| ") and ".webp" in line
    ]
    assert len(files) >= 30 and all((FOLDER / file).is_file() for file in files)


def test_yes_and_no_are_equally_often_right() -> None:
    truths = [yes_no(case.answer) for case in load(["yesno"])]
    assert truths.count(True) == truths.count(False) == 25


def test_the_robust_set_shows_pages_of_other_sets_after_three_kinds_of_wear() -> None:
    cases = load(["robust"])
    assert {case.task for case in cases} == {"amounts", "read"}
    for wear in ("jpeg", "turned", "scaled"):
        assert sum(case.name.startswith(f"robust-{wear}-") for case in cases) == 30


def test_a_robust_case_asks_what_its_page_is_asked_and_shows_that_page_worn() -> None:
    pages = {case.name: case for case in load(["amounts-unseen", "amounts-decorated", "reading"])}
    used = set()
    for case in load(["robust"]):
        assert isinstance(case.picture, Worn) and case.shown == (case.picture,)
        page = pages[case.picture.page.stem]
        assert (page.question, page.answer, page.task) == (case.question, case.answer, case.task)
        assert case.picture.page == page.picture and case.picture.name == f"{page.name}.webp"
        assert case.picture.wear.split()[0] == case.name.split("-")[1]
        used.add(case.picture.wear)
    assert used == set(WEAR)


def test_wear_turns_on_its_ground_scales_and_blurs(tmp_path: Path) -> None:
    page = Image.new("RGB", (200, 100), (10, 200, 30))
    page.putpixel((0, 0), (255, 0, 255))
    page.save(tmp_path / "page.png")
    made = {}
    for wear in WEAR:
        with Image.open(io.BytesIO(Worn(tmp_path / "page.png", wear).read_bytes())) as picture:
            made[wear] = picture.convert("RGB")
    assert made["jpeg 40"].size == (200, 100) and made["jpeg 40"].getpixel((0, 0)) != (255, 0, 255)
    assert made["scaled 0.7"].size == (140, 70) and made["scaled 1.3"].size == (260, 130)
    for ground, colour in (("white", (255, 255, 255)), ("table", (120, 112, 100))):
        left, right = made[f"turned 5 {ground}"], made[f"turned -5 {ground}"]
        assert left.size == right.size and left.getpixel((0, 0)) == right.getpixel((0, 0)) == colour
        assert left.getpixel((20, 9)) == colour and right.getpixel((20, 9)) == (10, 200, 30)


def test_anybodys_answers_may_hold_what_a_text_takes_for_the_end_of_a_line(tmp_path: Path) -> None:
    row = {"picture": "page.png", "question": "?", "answer": "one\u2028two", "task": "ocr"}
    (tmp_path / "cases.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    Image.new("RGB", (9, 9)).save(tmp_path / "page.png")
    assert [case.answer for case in load_folder(tmp_path)] == ["one\u2028two"]


def test_anybodys_cases_may_be_worn_and_an_unknown_wear_is_named_with_the_known_ones(tmp_path: Path) -> None:
    row = {"picture": "page.png", "question": "?", "answer": "1", "task": "amounts", "wear": "scaled 0.7"}
    (tmp_path / "cases.jsonl").write_text(json.dumps(row))
    with pytest.raises(FileNotFoundError, match=r"line 1: there is no .*page\.png"):
        load_folder(tmp_path)
    Image.new("RGB", (100, 100)).save(tmp_path / "page.png")
    with Image.open(io.BytesIO(load_folder(tmp_path)[0].picture_bytes())) as picture:
        assert picture.size == (70, 70)
    (tmp_path / "cases.jsonl").write_text(json.dumps(row | {"wear": "burnt"}))
    with pytest.raises(ValueError, match=r"line 1: .*unknown wear 'burnt': choose from jpeg 40, turned"):
        load_folder(tmp_path)


def test_the_rows_of_the_robust_set_are_those_that_training_would_write_again() -> None:
    text = (FOLDER / "cases.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert heldout.table_of(rows) == text
    assert list(heldout.worn_rows()) == [row for row in rows if row["set"] == "robust"]


def test_a_flat_picture_ships_without_loss_and_a_grainy_one_smaller_and_almost_the_same() -> None:
    flat = np.full((64, 96, 3), 230, np.uint8)
    flat[20:30, 10:80] = (200, 0, 30)
    soft = np.linspace(0, 8, 96)[None, :, None] + np.linspace(60, 160, 64)[:, None, None]
    grainy = (soft + np.random.default_rng(3).normal(0, 3, (64, 96, 3))).astype(np.uint8)
    for image, farthest in ((flat, 0), (grainy, 40)):
        data = heldout.encode(image)
        assert data == heldout.encode(image)
        with Image.open(io.BytesIO(data)) as picture:
            assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - image).max() <= farthest
        lossless = heldout.webp(image, lossless=True, quality=100, method=6)
        assert (len(data) == len(lossless)) if farthest == 0 else (len(data) <= 0.8 * len(lossless))


def test_every_file_of_the_held_out_sets_is_shown_by_a_case() -> None:
    shown = {file.name for case in load() for file in case.shown}
    assert {path.name for path in FOLDER.iterdir()} == shown | {"cases.jsonl", "PHOTOGRAPHS.md"}
