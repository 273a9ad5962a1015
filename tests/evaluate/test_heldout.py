"""The held-out sets that ship with the package."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from flashweb.evaluate import SETS, load, score
from flashweb.evaluate.heldout import FOLDER
from flashweb.evaluate.scoring import amounts, boxes, json_value, yes_no

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
        for path in case.shown:
            with Image.open(io.BytesIO(path.read_bytes())) as picture:
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
        assert [image.data for image in chat.images] == [path.read_bytes() for path in case.shown], case.name
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
