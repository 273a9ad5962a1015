"""The held-out sets that ship with the package."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from flashweb.evaluate import SETS, load, score
from flashweb.evaluate.heldout import FOLDER
from flashweb.evaluate.scoring import amounts, boxes, json_value

SIZES = {"amounts-plain": 60, "amounts-decorated": 60, "amounts-unseen": 30, "reading": 40, "audit": 30, "boxes": 30}


def test_every_set_has_its_size_and_the_whole_stays_small() -> None:
    counts = {name: len(load([name])) for name in SETS}
    assert counts == SIZES
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 3 * 2**20


def test_every_true_answer_scores_one_and_an_empty_one_zero() -> None:
    for case in load():
        assert score(case.task, case.answer, case.answer).exact == 1.0, case.name
        assert score(case.task, "", case.answer).exact == 0.0, case.name


def test_every_picture_opens_and_has_an_ordinary_size() -> None:
    for case in load():
        with Image.open(io.BytesIO(case.picture_bytes())) as picture:
            assert picture.format == "WEBP"
            assert 200 <= min(picture.size) <= max(picture.size) <= 700, case.name


def test_answers_have_the_form_of_their_task() -> None:
    for case in load():
        if case.task == "amounts":
            assert amounts(case.answer) or case.answer in ("没有金额", "no amounts")
            assert all(character in "0123456789., " for character in case.answer) or not amounts(case.answer)
        elif case.task == "box":
            assert boxes(case.answer)
            assert all(0 <= a < c <= 999 and 0 <= b < d <= 999 for a, b, c, d in boxes(case.answer)), case.name
        elif case.task == "audit":
            assert isinstance(json_value(case.answer), dict)


def test_pages_without_amounts_are_among_the_amounts_sets() -> None:
    for name in ("amounts-plain", "amounts-decorated", "amounts-unseen"):
        none = sum(not amounts(case.answer) for case in load([name]))
        assert 0 < none <= len(load([name])) / 4


def test_an_unknown_set_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown held-out set amount: choose from amounts-plain"):
        load(["amount"])
