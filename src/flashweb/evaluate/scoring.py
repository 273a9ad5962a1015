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


# --- business scenes -------------------------------------------------------------------------------------------------
# Free text (`location`, `suggestion`, `issues`) and shown work (`work`) are not judged, everything else is.

_WORK = "work"
_QUESTION = re.compile(r"^\s*(Q\d+)\b")
_VERDICT = re.compile(r"[ ;；](?:√|X(?:\s+(?P<error>[^\[\n]*?))?\s*(?P<box>\[[\d,. ]+\])?)\s*$")


def _object(text: str) -> dict[str, object] | None:
    """The JSON object of an answer, None when it is none."""
    try:
        value = json_value(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _marking_json(text: str) -> tuple[dict[str, tuple[object, Box | None]], object] | None:
    """Wrong questions with error type and box, and the summary, from JSON."""
    value = _object(text)
    if value is None:
        return None
    wrong: dict[str, tuple[object, Box | None]] = {}
    for key, one in value.items():
        if key in (_WORK, "summary"):
            continue
        if not isinstance(one, dict):
            return None
        wrong[key] = (one.get("error_type"), next(iter(boxes(json.dumps(one.get("box")))), None))
    return wrong, value.get("summary")


def _marking_text(text: str) -> tuple[dict[str, tuple[object, Box | None]], object]:
    """The same from text, right questions too: lines `Q1 ... √` and `Q2 ... X error [box]`, then the summary."""
    judged: dict[str, tuple[object, Box | None]] = {}
    rest = []
    for line in text.splitlines():
        question = _QUESTION.match(line)
        verdict = _VERDICT.search(line)
        if question is None:
            rest.append("".join(line.split()).rstrip("。."))
        elif verdict is not None:
            error = None if verdict[0].strip() == "√" else (verdict["error"] or "").strip()
            judged[question[1]] = (error, next(iter(boxes(verdict["box"] or "")), None))
    return judged, [line for line in rest if line]


def marking_score(given: str, truth: str) -> Score:
    """A marked worksheet, JSON or text: the same wrong questions with the same error types, boxes (by IoU > 0.5) and
    summary; as text the right questions have to be named too. `questions` is the share of questions that agree.
    """
    as_json = truth.lstrip().startswith("{")
    wanted = _marking_json(truth) if as_json else _marking_text(truth)
    found = _marking_json(given) if as_json else _marking_text(given)
    if wanted is None or found is None:
        return Score(0.0, {"questions": 0.0})
    judged, summary = wanted
    names = judged.keys() | found[0].keys()
    agreed = [name for name in judged.keys() & found[0].keys() if judged[name][0] == found[0][name][0]]
    placed = all(_same_place(found[0][name][1], judged[name][1]) for name in agreed)
    right = len(agreed) == len(names) and placed and found[1] == summary
    return Score(float(right), {"questions": len(agreed) / len(names) if names else 1.0})


def _same_place(found: Box | None, wanted: Box | None) -> bool:
    return wanted is None or (found is not None and iou(found, wanted) > IOU_THRESHOLD)


_FOUR_POINTS = re.compile(r"^\s*\d\)")


def contract_score(given: str, truth: str) -> Score:
    """A reviewed contract: as JSON all keys but `issues` and `work`, as text the numbered points; short answers as they
    are. `keys` is the share of keys or points that agree.
    """
    if truth.lstrip().startswith("{"):
        wanted, found = _object(truth) or {}, _object(given)
        judged = [key for key in wanted if key not in (_WORK, "issues")]
        same = [found is not None and key in found and found[key] == wanted[key] for key in judged]
        extra = found is not None and bool(found.keys() - wanted.keys() - {_WORK, "issues"})
        return Score(float(all(same) and not extra), {"keys": sum(same) / max(1, len(same))})
    points = [line for line in truth.splitlines() if _FOUR_POINTS.match(line)]
    if not points:
        right = plain_exact(given, truth)
        return Score(float(right), {"keys": float(right)})
    told = [line for line in given.splitlines() if _FOUR_POINTS.match(line)]
    same = [plain_exact(a, b) for a, b in zip(told, points, strict=False)]
    return Score(float(len(told) == len(points) and all(same)), {"keys": sum(same) / max(len(points), len(told))})


def inspection_score(given: str, truth: str) -> Score:
    """An inspected workpiece: as JSON the same defects in any order and the same severity; short answers as they are.
    `defects` says whether the defects alone agree.
    """
    if not truth.lstrip().startswith("{"):
        right = float(sorted(_listed(given)) == sorted(_listed(truth)))
        return Score(right, {"defects": right})
    wanted, found = _object(truth), _object(given)
    if wanted is None or found is None or not isinstance(found.get("defects"), list):
        return Score(0.0, {"defects": 0.0})
    defects = sorted(map(str, found["defects"])) == sorted(map(str, wanted["defects"]))  # type: ignore[call-overload]
    extra = found.keys() - wanted.keys()
    right = defects and found.get("severity") == wanted["severity"] and not extra
    return Score(float(right), {"defects": float(defects)})


def _listed(text: str) -> list[str]:
    """The parts of a short list."""
    return [_bare(part) for part in re.split(r"[、，,;；]", text)]


# --- conversations ---------------------------------------------------------------------------------------------------

_THOUGHT = re.compile(r"^\s*(?:<think>)?(.*?)</think>\s*", re.DOTALL)
_REFUSAL = re.compile(
    "认不出|看不清|还不会|回答不了|我只能|没有人物"
    "|cannot|can't|can only|too small|too blurred|unable to|There is no person",
    re.IGNORECASE,
)
_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_ARGUMENT = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)
PROMPT_ACCURACY = 0.95  # of characters, where a source's prompt is answered in running text


def thought_and_answer(text: str) -> tuple[str, str]:
    """What stands in a think block at the beginning ("" without one), and the rest."""
    block = _THOUGHT.match(text) if "</think>" in text else None
    return (block[1].strip(), text[block.end() :]) if block else ("", text)


def refuses(text: str) -> bool:
    """Whether an answer says that it cannot tell or do something."""
    return bool(_REFUSAL.search(text))


def calls(text: str) -> list[tuple[str, dict[str, object]]]:
    """Name and arguments of every tool call in the family's format; arguments that are JSON count by their value."""
    found = []
    for body in _CALL.findall(text):
        name = body.split("<arg_key>")[0].strip()
        found.append((name, {key: _argument(value) for key, value in _ARGUMENT.findall(body)}))
    return found


def calls_as_text(made: Iterable[tuple[str, str]]) -> str:
    """Calls as an API gives them, (name, JSON of the arguments), in the family's format; "" for none. Arguments that
    are no JSON object, cut off perhaps, are left as they are: they count as wrong."""
    return "\n".join(f"<tool_call>{name}\n{_arguments_as_text(arguments)}</tool_call>" for name, arguments in made)


def _arguments_as_text(arguments: str) -> str:
    try:
        values = json.loads(arguments)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        return arguments
    lines = (
        f"<arg_key>{key}</arg_key>\n<arg_value>"
        f"{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}</arg_value>\n"
        for key, value in values.items()
    )
    return "".join(lines)


def _argument(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def tool_score(given: str, truth: str) -> Score:
    """The same calls with the same arguments; where no call is due, none may be made and the text decides."""
    wanted, found = calls(truth), calls(given)
    right = found == wanted and (bool(wanted) or plain_exact(given, truth))
    return Score(float(right), {"decision": float(bool(found) == bool(wanted))})


def prompt_exact(given: str, truth: str) -> bool:
    """JSON by its values but for the free text `suggestion`; else the same text, several lines to 95 % of it."""
    if truth.lstrip().startswith("{"):
        wanted, found = _object(truth), _object(given)
        if wanted is None or found is None or found.keys() != wanted.keys():
            return False
        return all(found[key] == wanted[key] for key in wanted if key != "suggestion")
    if "\n" in truth:
        return character_accuracy(given, truth) >= PROMPT_ACCURACY
    return plain_exact(given, truth)


# --- counts, colours, shapes, fields ----------------------------------------------------------------------------------

_NUMERALS = {
    "零": 0,
    "一": 1,
    "两": 2,
    "二": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
    "十": 10,
    "no": 0,
    "none": 0,
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
}
_WORDS = "|".join(word for word in _NUMERALS if word.isascii())
_NUMERAL = re.compile(rf"\d+|[零一两二三四五六七八九十]|\b(?:{_WORDS})\b", re.I)
_THINGS = {
    "red": "红",
    "orange": "橙",
    "yellow": "黄",
    "green": "绿",
    "blue": "蓝",
    "purple": "紫",
    "pink": "粉",
    "brown": "棕",
    "black": "黑",
    "white": "白",
    "gray": "灰",
    "circle": "圆形",
    "square": "正方形",
    "triangle": "三角形",
    "star": "五角星",
    "diamond": "菱形",
    "ring": "圆环",
    "cross": "十字",
    "hexagon": "六边形",
}
_THING = re.compile("|".join(rf"\b{en}(?:s|es)?\b|{zh}" for en, zh in _THINGS.items()), re.I)


def number_said(text: str) -> int | None:
    """The one number of a text, in digits or as a word up to ten, boxes of what is counted aside; None when there is
    none or several differ."""
    text = _BOX.sub("", text)
    found = {int(match) if match.isdigit() else _NUMERALS[match.lower()] for match in _NUMERAL.findall(text)}
    return found.pop() if len(found) == 1 else None


def count_exact(given: str, truth: str) -> bool:
    """The same number; or in the last line the same word for which there are more of. What was counted may be shown."""
    said, wanted = ((text.strip().splitlines() or [""])[-1] for text in (given, truth))
    number = wanted.rsplit(": ")[-1]
    return number_said(given) == int(number) if number.isdigit() else plain_exact(said, wanted)


def things_said(text: str) -> list[str]:
    """Every colour and shape a text names, in order, by its English name; "grey" is gray, and so in Chinese."""
    said = _THING.findall(re.sub("grey", "gray", text, flags=re.I))
    return [
        en for name in said for en, zh in _THINGS.items() if name == zh or name.lower() in (en, en + "s", en + "es")
    ]


def drawn_exact(given: str, truth: str) -> bool:
    """A colour, or a shape with its colour: the same names in order and no others; words around are tolerated."""
    wanted = things_said(truth)
    rest = _THING.sub("", truth).replace("色", "").replace("的", "").strip()
    return things_said(given) == wanted if wanted and not rest else plain_exact(given, truth)


_CURRENCY = re.compile(r"[\d.,\s¥￥$€£元块]|人民币|RMB|USD|US|EUR|GBP|dollars|euros")


def field_exact(given: str, truth: str) -> bool:
    """A value as printed; where it is an amount, its currency sign or word may be there or not."""
    if len(amounts(truth)) == 1 and not _CURRENCY.sub("", truth):
        return not _CURRENCY.sub("", given) and amounts(given) == amounts(truth)
    return plain_exact(given, truth)


# --- all together ----------------------------------------------------------------------------------------------------


def score(task: str, given: str, truth: str) -> Score:
    """Score an answer by the rule of its task (the names of `training.page.TASKS`); a thought before it is left out."""
    given = thought_and_answer(given)[1]
    if task == "amounts":
        return Score(float(amounts_exact(given, truth)))
    if task == "read":
        accuracy = character_accuracy(given, truth)
        return Score(float(normalised(given) == normalised(truth)), {"character_accuracy": accuracy})
    if task == "audit" and truth.startswith("{"):
        return Score(float(json_exact(given, truth)))
    if task == "box":
        return box_score(given, truth)
    if task == "marking":
        return marking_score(given, truth)
    if task == "contract":
        return contract_score(given, truth)
    if task == "inspection":
        return inspection_score(given, truth)
    if task == "json":
        return Score(float(json_exact(given, truth)), {"valid": float(_object(given) is not None)})
    if task == "tool":
        return tool_score(given, truth)
    if task == "rule" and truth.startswith("{"):
        return Score(float(json_exact(given, truth)))
    if task == "prompt":
        return Score(float(prompt_exact(given, truth)))
    if task == "refuse":
        return Score(float(refuses(given) and _language(given) == _language(truth)))
    if task == "yesno":
        return Score(float(yes_no(given) is not None and yes_no(given) == yes_no(truth)))
    if task == "count":
        return Score(float(count_exact(given, truth)))
    if task in ("colour", "position"):
        return Score(float(drawn_exact(given, truth)))
    if task == "field":
        return Score(float(field_exact(given, truth)))
    if task == "total":
        return Score(float(amounts_exact(given, truth)))
    return Score(float(plain_exact(given, truth)))


def _language(text: str) -> str:
    return "zh" if re.search(r"[\u4e00-\u9fff]", text) else "en"


def summarise(scores: Iterable[tuple[str, Score]]) -> dict[str, dict[str, float]]:
    """Means by set name: {"amounts-plain": {"count": 60, "exact": 0.95, ...}}; sets in order of first appearance.

    A measure is the mean over those answers of the set that have it.
    """
    groups: dict[str, list[Score]] = {}
    for name, one in scores:
        groups.setdefault(name, []).append(one)
    table: dict[str, dict[str, float]] = {}
    for name, group in groups.items():
        row = {"count": float(len(group)), "exact": sum(one.exact for one in group) / len(group)}
        for measure in dict.fromkeys(name for one in group for name in one.measures):
            values = [one.measures[measure] for one in group if measure in one.measures]
            row[measure] = sum(values) / len(values)
        table[name] = row
    return table
