"""What is put right in a model's object before it is checked: spelling, never content. A scene names those it wants.

Each takes the object and changes it in place; what has not the expected shape is left for the schema to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_QUESTION = re.compile(r"Q\d+")
_NOT_IN_AMOUNTS = re.compile(r"[^\d.,\-]")
_NOTHING = {"", "null", "none", "无", "没有"}


def amounts(found: dict[str, Any]) -> None:
    """Without currency and thousands separators: "¥1,280.00" -> "1280.00"."""
    listed = found.get("amounts")
    if isinstance(listed, list):
        found["amounts"] = [_amount(one) if isinstance(one, str) else one for one in listed]
    if isinstance(found.get("total"), str):
        found["total"] = _amount(found["total"]) or None


def _amount(text: str) -> str:
    return _NOT_IN_AMOUNTS.sub("", text).replace(",", "").strip(".")


def null_words(found: dict[str, Any]) -> None:
    """A text that only says that there is nothing is null."""
    for key, value in found.items():
        if isinstance(value, str) and value.strip().lower() in _NOTHING:
            found[key] = None


def marks(found: dict[str, Any]) -> None:
    """Wrong questions in the page's order, boxes inside the page with their corners in order, the summary last. How
    many are right is what the listed mistakes leave: they are the evidence."""
    wrong = {key: found.pop(key) for key in list(found) if _QUESTION.fullmatch(key)}
    summary = found.pop("summary", None)
    for key in sorted(wrong, key=lambda key: int(key[1:])):
        if isinstance(wrong[key], dict):
            wrong[key] = {**wrong[key], "box": _box(wrong[key].get("box"))}
        found[key] = wrong[key]
    if isinstance(summary, dict) and isinstance(summary.get("all"), int):
        summary["right"] = summary["all"] - len(wrong)
    if summary is not None:
        found["summary"] = summary


def _box(box: Any) -> Any:
    if not (isinstance(box, list) and len(box) == 4 and all(type(edge) is int for edge in box)):
        return box
    left, top, right, bottom = (min(max(edge, 0), 999) for edge in box)
    return [min(left, right), min(top, bottom), max(left, right), max(top, bottom)]


def severity(found: dict[str, Any]) -> None:
    """Without a defect there is nothing to be severe about."""
    if found.get("defects") == []:
        found["severity"] = "none"


NORMALISERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "amounts": amounts,
    "null_words": null_words,
    "marks": marks,
    "severity": severity,
}
