"""What is true of a planned page, in both languages: short answers by name, the summary, the row a value stands in.

The answers are those of `training.tasks`; conversations, JSON, tools and rules use them without asking a whole task.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from training import content
from training.layouts.plan import Plan
from training.phrases import NONE
from training.tasks import KINDS, forbidden_words, shape_list
from training.tasks import summary as summary

# Layouts whose facts this module knows; pages of other layouts are never asked what is answered from here.
ORDINARY = frozenset(
    "lines paragraph scatter poster receipt menu price_tag table invoice label ticket coupon statement shapes "
    "blank form signed nameplate details card flyer".split()
)
SELLING = ("receipt", "menu", "price_tag", "table", "invoice", "label", "poster")
MAX_READ = 160  # characters of a page that is read aloud inside a longer conversation


def kind_name(plan: Plan, zh: bool) -> str:
    """ "一张小票", "a receipt"; pages of shapes or nothing are named by what they hold."""
    if plan.shapes and plan.kind not in KINDS:
        return "几个图形" if zh else "some shapes"
    if not plan.rows:
        return "一张空白的图" if zh else "an empty picture"
    return KINDS[plan.kind][0 if zh else 1]


def field(plan: Plan, *keys: str) -> str | None:
    """The value of the first of these fields that the page shows."""
    return next((value for key in keys for name, _, value in plan.fields if name == key), None)


def days(text: str) -> list[str]:
    """The dates in a page's text as they are printed, with the time of day where one follows."""
    return [found[0] for found in _DAY.finditer(text)]


_DAY = re.compile(
    r"(?<!\d)(?:\d{4}-\d\d-\d\d|\d{4}/\d\d/\d\d|\d{4}年\d{1,2}月\d{1,2}日|\d\d/\d\d/\d{4}"
    r"|\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4})(?!\d)(?: \d\d:\d\d(?::\d\d)?)?"
)


def row_with(plan: Plan, value: str) -> str | None:
    """The one row that shows an amount or a piece of text; None where several or none do."""
    rows = [
        row.text
        for row in plan.rows
        if value in row.text or any(amount.value == value for piece in row.pieces for amount in piece.content.amounts)
    ]
    return rows[0] if len(rows) == 1 else None


def items(plan: Plan) -> list[tuple[str, str]]:
    """Items whose name stands once on the page, in order, with their amounts."""
    counts = Counter(name for name, _ in plan.items)
    return [(name, value) for name, value in plan.items if counts[name] == 1 and plan.text.count(name) == 1]


def fields(plan: Plan) -> list[tuple[str, str, str]]:
    """Fields whose label stands once on the page: (key, label, value)."""
    return [(key, label, value) for key, label, value in plan.fields if plan.text.count(label) == 1]


def largest(plan: Plan) -> str:
    """The answer form of the largest amount, as printed first."""
    return max(plan.amounts, key=float)


def yes(truth: bool, zh: bool) -> str:
    """是 or 否, yes or no."""
    return ("是" if truth else "否") if zh else ("yes" if truth else "no")


def ordinary(plan: Plan | None) -> bool:
    """Whether the answers of this module are true of the page."""
    return plan is not None and plan.kind in ORDINARY


@dataclass(frozen=True, slots=True)
class Fact:
    """A question: its phrasings in `phrases.PHRASES`, its task, and its answer or None where it does not fit."""

    phrases: str
    task: str
    answer: Callable[[Plan, bool], str | None]


def _none(name: str, zh: bool) -> str:
    return NONE[name]["zh" if zh else "en"]


def _amounts(plan: Plan, zh: bool) -> str | None:
    return ", ".join(plan.amounts) or _none("amounts", zh)


def _total(plan: Plan, zh: bool) -> str | None:
    return (plan.total or _none("total", zh)) if plan.kind in ("receipt", "invoice") else None


def _largest(plan: Plan, zh: bool) -> str | None:
    return largest(plan) if 2 <= len(plan.amounts) <= 8 else None


def _count(plan: Plan, zh: bool) -> str | None:
    return str(len(plan.amounts)) if len(plan.amounts) <= 8 else None


def _lines(plan: Plan, zh: bool) -> str | None:
    return str(len(plan.rows)) if 0 < len(plan.rows) <= 8 else None


def _read(plan: Plan, zh: bool) -> str | None:
    return (plan.text or _none("read", zh)) if len(plan.text) <= MAX_READ else None


def _brand(plan: Plan, zh: bool) -> str | None:
    return (plan.brand or _none("brand", zh)) if plan.kind in ("poster", "label", "price_tag") else None


def _expiry(plan: Plan, zh: bool) -> str | None:
    return (field(plan, "expiry", "life") or _none("field", zh)) if plan.kind == "label" else None


def _claims(plan: Plan, zh: bool) -> str | None:
    if plan.kind not in ("poster", "label"):
        return None
    return ("、" if zh else ", ").join(forbidden_words(plan.text)) or _none("claims", zh)


FACTS: dict[str, Fact] = {
    "amounts": Fact("amounts", "amounts", _amounts),
    "total": Fact("total", "total", _total),
    "largest": Fact("largest", "field", _largest),
    "count_amounts": Fact("count_amounts", "count", _count),
    "count_lines": Fact("count_lines", "count", _lines),
    "has_price": Fact("has_price", "yesno", lambda plan, zh: yes(bool(plan.amounts), zh)),
    "describe": Fact("describe", "describe", summary),
    "read": Fact("read", "read", _read),
    "brand": Fact("which_brand", "audit", _brand),
    "claims": Fact("which_claims", "audit", _claims),
    "expiry": Fact("expiry", "field", _expiry),
    "shapes": Fact("shapes", "shapes", lambda plan, zh: shape_list(plan, zh) if plan.shapes else None),
}


def shape_counts(plan: Plan) -> Counter[tuple[str, str]]:
    """How many shapes there are of each name and colour."""
    return Counter((shape.name, shape.colour) for shape in plan.shapes)


def shape_name(name: str, zh: bool, plural: bool = False) -> str:
    """圆形, circle, circles."""
    return content.SHAPES[name] if zh else content.SHAPES_PLURAL[name] if plural else name
