"""Is this answer right? Pure functions from (task, given, truth) to scores between 0 and 1.

What is tolerated is written at each function; everything else counts as wrong. An answer that is missing is "".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

Box: TypeAlias = tuple[float, float, float, float]  # x1, y1, x2, y2 in per mille of the picture

IOU_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Score:
    """`exact` is the headline, 0 or 1; `measures` holds what else the task is judged by, such as 1 - CER."""

    exact: float
    measures: Mapping[str, float] = field(default_factory=dict)


# --- amounts ---------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?")
_NONE = re.compile(r"没有|无金额|未发现|\bno\b|\bnone\b|\[\]", re.IGNORECASE)


def amounts(text: str) -> list[Decimal]:
    """Every number of a text in order. Currency signs, words around, and thousands separators are tolerated."""
    return [Decimal(match.replace(",", "")) for match in _NUMBER.findall(text)]


def amounts_exact(given: str, truth: str) -> bool:
    """The same numbers in order, duplicates included; 12.5 equals 12.50. "No amounts" must be said in words."""
    wanted = amounts(truth)
    found = amounts(given)
    return found == wanted if wanted else not found and bool(_NONE.search(given))


# --- reading ---------------------------------------------------------------------------------------------------------


def normalised(text: str) -> str:
    """Lines without outer or repeated blanks, no empty lines; the full-width yen sign is the same as the other."""
    lines = (" ".join(line.split()) for line in text.replace("￥", "¥").splitlines())
    return "\n".join(line for line in lines if line)


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance in characters."""
    if len(a) < len(b):
        a, b = b, a
    previous = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        current = [i]
        for j, right in enumerate(b, 1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (left != right)))
        previous = current
    return previous[-1]


def character_accuracy(given: str, truth: str) -> float:
    """1 - CER (edit distance over the truth's length) of the normalised texts; negative for a rambling answer."""
    wanted = normalised(truth)
    return 1.0 - edit_distance(normalised(given), wanted) / max(1, len(wanted))


# --- JSON ------------------------------------------------------------------------------------------------------------


def json_value(text: str) -> object:
    """The JSON value of an answer; a code fence around it is tolerated. ValueError when there is none."""
    inner = re.sub(r"^\s*```(?:json)?\s*|\s*```\s*$", "", text)
    value: object = json.loads(inner)
    return value


def json_exact(given: str, truth: str) -> bool:
    """Equal values, lists in the same order; blanks and key order do not matter."""
    try:
        return json_value(given) == json_value(truth)
    except ValueError:
        return False


# --- boxes -----------------------------------------------------------------------------------------------------------

_BOX = re.compile(r"\[\s*(\d+(?:\.\d+)?)\s*,\s*(\d+(?:\.\d+)?)\s*,\s*(\d+(?:\.\d+)?)\s*,\s*(\d+(?:\.\d+)?)\s*\]")


def boxes(text: str) -> list[Box]:
    """Every `[x1,y1,x2,y2]` of a text in order; text around and nested brackets are tolerated."""
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in _BOX.findall(text)]


def iou(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def box_score(given: str, truth: str) -> Score:
    """Right when there are as many boxes as wanted and each overlaps its own, in order, by IoU > 0.5."""
    found, wanted = boxes(given), boxes(truth)
    overlaps = [iou(a, b) for a, b in zip(found, wanted, strict=False)]
    right = len(found) == len(wanted) and all(overlap > IOU_THRESHOLD for overlap in overlaps)
    return Score(float(right), {"iou": sum(overlaps) / max(1, len(wanted), len(found))})


# --- short answers ---------------------------------------------------------------------------------------------------

_YES = re.compile(r"\s*(是|有|对|yes\b|true\b)", re.IGNORECASE)
_NO = re.compile(r"\s*(否|没|不|无|no\b|false\b)", re.IGNORECASE)


def yes_no(text: str) -> bool | None:
    """True or False by the answer's first word, None when it is neither."""
    return True if _YES.match(text) else False if _NO.match(text) else None


def plain_exact(given: str, truth: str) -> bool:
    """The same text but for blanks, letter case and a full stop at the end."""
    return _bare(given) == _bare(truth)


def _bare(text: str) -> str:
    return normalised(text).rstrip(".。!！ ").casefold()


# --- all together ----------------------------------------------------------------------------------------------------


def score(task: str, given: str, truth: str) -> Score:
    """Score an answer by the rule of its task (the names of `training.page.TASKS`)."""
    if task == "amounts":
        return Score(float(amounts_exact(given, truth)))
    if task == "read":
        accuracy = character_accuracy(given, truth)
        return Score(float(normalised(given) == normalised(truth)), {"character_accuracy": accuracy})
    if task == "audit" and truth.startswith("{"):
        return Score(float(json_exact(given, truth)))
    if task == "box":
        return box_score(given, truth)
    if task == "yesno":
        return Score(float(yes_no(given) is not None and yes_no(given) == yes_no(truth)))
    if task == "total":
        return Score(float(amounts_exact(given, truth)))
    return Score(float(plain_exact(given, truth)))


def summarise(scores: Iterable[tuple[str, Score]]) -> dict[str, dict[str, float]]:
    """Means by set name: {"amounts-plain": {"count": 60, "exact": 0.95, ...}}; sets in order of first appearance."""
    groups: dict[str, list[Score]] = {}
    for name, one in scores:
        groups.setdefault(name, []).append(one)
    table: dict[str, dict[str, float]] = {}
    for name, group in groups.items():
        row = {"count": float(len(group)), "exact": sum(one.exact for one in group) / len(group)}
        for measure in group[0].measures:
            row[measure] = sum(one.measures[measure] for one in group) / len(group)
        table[name] = row
    return table
