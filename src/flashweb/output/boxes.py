"""Boxes in an answer, `[x1, y1, x2, y2]` in thousandths of a picture's width and height -> pixels of that picture.

Which picture a box lies on, when there are several: the one that the answer named last before the box ("picture 2",
"image 2", "图2", "第2张", counted from 1; "第2题" is a question); where it has named none, the first. In a JSON answer
only lists under a key with "box" in its name, or under no key at all, are boxes; in a text every list of four whole
numbers is. What is no box (a corner beyond 0..999, no width, no height) is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from flashweb.types import Box

LARGEST = 999
MAX_BOXES = 1024  # of one answer
_NUMBER = r"\s*(\d{1,4})\s*"
_BOX = re.compile(rf"[\[(]{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}[\])]")
_COUNTED = r"第\s*(?=\d+\s*(?:[张幅]|个?(?:图|照片)))"  # what else is counted so, questions and lines, is no picture
_NAMED = re.compile(rf"(?:\b(?:picture|image|photo)\s*#?|图片?\s*|{_COUNTED})([1-9]\d?)(?!\d)", re.IGNORECASE)
_CONTROL = re.compile(r"<\|(?:begin|end)_of_box\|>")
_FENCE = re.compile(r"\s*```(?:json)?\s*(.*?)\s*```\s*", re.DOTALL)


def find_boxes(answer: str, sizes: Sequence[tuple[int, int]]) -> tuple[Box, ...]:
    """The boxes of an answer in order. sizes: (height, width) of each picture it may be about, in order."""
    if not sizes or ("[" not in answer and "(" not in answer):
        return ()
    answer = _CONTROL.sub("", answer)
    fence = _FENCE.fullmatch(answer)
    try:
        found = list(islice(_in_json(json.loads(fence[1] if fence else answer), None), MAX_BOXES))
    except (ValueError, RecursionError):
        found = list(islice(_in_text(answer), MAX_BOXES))
    boxes = []
    for corners, named in found:
        image = named - 1 if named is not None and named <= len(sizes) else 0
        if _is_box(corners):
            boxes.append(Box(image, corners, _pixels(corners, sizes[image])))
    return tuple(boxes)


def _in_text(text: str) -> Iterator[tuple[tuple[int, int, int, int], int | None]]:
    names = _NAMED.finditer(text)
    following, named = next(names, None), None
    for match in _BOX.finditer(text):
        while following is not None and following.start() < match.start():
            named, following = int(following[1]), next(names, None)
        x1, y1, x2, y2 = (int(corner) for corner in match.groups())
        yield (x1, y1, x2, y2), named


def _in_json(value: Any, key: str | None, named: int | None = None) -> Iterator[tuple[Any, int | None]]:
    """Lists of four whole numbers; an object may name its picture in one of its texts or as a number "image": 2."""
    if isinstance(value, dict):
        for name, child in value.items():
            named = _named_by(name, child) or named
        for name, child in value.items():
            yield from _in_json(child, name, named)
    elif isinstance(value, list):
        if len(value) == 4 and all(type(corner) is int for corner in value):
            if key is None or "box" in key.lower():
                yield tuple(value), named
            return
        for child in value:
            yield from _in_json(child, key, named)


def _named_by(name: str, value: Any) -> int | None:
    if type(value) is int:
        return value if name.lower() in ("image", "picture", "photo", "图", "图片") and value > 0 else None
    match = _NAMED.search(value) if isinstance(value, str) else None
    return int(match[1]) if match else None


def _is_box(corners: tuple[int, int, int, int]) -> bool:
    x1, y1, x2, y2 = corners
    return 0 <= x1 < x2 <= LARGEST and 0 <= y1 < y2 <= LARGEST


def _pixels(corners: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The whole pixels that a box touches: [x1, x2) by [y1, y2)."""
    height, width = size
    x1, y1, x2, y2 = corners
    return (x1 * width // 1000, y1 * height // 1000, math.ceil(x2 * width / 1000), math.ceil(y2 * height / 1000))
