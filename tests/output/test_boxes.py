"""Boxes in answers -> pixels of the original pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashweb.output import find_boxes

ONE = [(500, 1000)]  # height, width
TWO = [(1000, 1000), (100, 200)]
SHARED = Path(__file__).resolve().parents[2] / "web" / "src" / "lib" / "boxes" / "shared.json"


@pytest.mark.parametrize(
    ("answer", "corners"),
    [
        ("The total is at [100, 200, 300, 400].", [(100, 200, 300, 400)]),
        ("[1,2,3,4]\n(5,6,7,8)", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("<|begin_of_box|>[[1, 2, 3, 4]]<|end_of_box|>", [(1, 2, 3, 4)]),
        ('{"Q3": {"error_type": "sum", "box": [0, 0, 999, 999]}, "summary": {"right": 1}}', [(0, 0, 999, 999)]),
        ('```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "a"}]\n```', [(1, 2, 3, 4)]),
        ('{"boxes": [[1, 2, 3, 4], [5, 6, 7, 8]]}', [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("[[1, 2, 3, 4], [5, 6, 7, 8]]", [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ('{"counts": [1, 2, 3, 4]}', []),
        ('{"box": ["1", "2", "3", "4"], "box2": [1.0, 2, 3, 4], "box3": [true, 2, 3, 4]}', []),
        ("[300, 200, 100, 400] [100, 200, 100, 400] [1, 9, 2, 9]", []),  # no width, no height
        ("[0, 0, 1000, 10] [-1, 0, 10, 10] [0, 0, 99999, 1]", []),
        ("[1, 2, 3] [1, 2, 3, 4, 5] 1, 2, 3, 4", []),
        ("", []),
    ],
)
def test_boxes_are_found_in_text_and_json(answer: str, corners: list[tuple[int, ...]]) -> None:
    assert [box.corners for box in find_boxes(answer, ONE)] == corners


def test_pixels_are_those_of_the_original_picture() -> None:
    (box,) = find_boxes("[100, 200, 301, 401]", ONE)
    assert (box.image, box.pixels) == (0, (100, 100, 301, 201))


@given(st.lists(st.integers(0, 999), min_size=4, max_size=4), st.integers(1, 9000), st.integers(1, 9000))
def test_a_box_is_never_empty_and_never_outside(corners: list[int], height: int, width: int) -> None:
    for box in find_boxes(json.dumps(corners), [(height, width)]):
        x1, y1, x2, y2 = box.pixels
        assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height


@pytest.mark.parametrize(
    ("answer", "images"),
    [
        ("[1, 2, 3, 4]", [0]),
        ("Picture 2 has it at [1, 2, 3, 4].", [1]),
        ("图1: [1, 2, 3, 4]; 图2: [1, 2, 3, 4] [5, 6, 7, 8]", [0, 1, 1]),
        ("第2张图里有 [1, 2, 3, 4]", [1]),
        ("[1, 2, 3, 4] in image 2", [0]),
        ("image 7: [1, 2, 3, 4]", [0]),  # there is no such picture
        ('[{"image": 2, "box": [1, 2, 3, 4]}, {"box": [1, 2, 3, 4]}]', [1, 0]),
        ('{"label": "picture 2", "box": [1, 2, 3, 4]}', [1]),
    ],
)
def test_of_several_pictures_the_one_named_before_the_box_is_meant(answer: str, images: list[int]) -> None:
    assert [box.image for box in find_boxes(answer, TWO)] == images


def test_without_pictures_there_are_no_boxes() -> None:
    assert find_boxes("[1, 2, 3, 4]", []) == ()


@pytest.mark.parametrize("answer", json.loads(SHARED.read_text(encoding="utf-8"))["answers"], ids=lambda it: it["text"])
def test_the_page_reads_the_same_boxes(answer: dict[str, Any]) -> None:
    found = find_boxes(answer["text"], [(500, 1000)] * answer["pictures"])
    assert [[box.image, *box.corners] for box in found] == answer["boxes"]
