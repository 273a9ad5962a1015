"""A brief true thought before an answer: what kind of page it is, what is looked for, and the row or values found."""

from __future__ import annotations

from training import facts
from training.layouts.plan import Plan
from training.page import QA
from training.refusals import NO_PERSON, OUTSIDE
from training.tasks import KINDS, forbidden_words, shape_list

MAX_THOUGHT = 90  # characters


def thought(plan: Plan | None, qa: QA) -> str:
    """The thought in the language of the question; "" where nothing short and true can be said."""
    zh = qa.language == "zh"
    text = _of_page(plan, qa, zh) if plan is not None else _without_page(qa, zh)
    return text if len(text) <= MAX_THOUGHT else _kind(plan, zh) if plan is not None else ""


def _without_page(qa: QA, zh: bool) -> str:
    if qa.task == "chat":
        return "这里没有图片。" if zh else "There is no picture."
    return "我没有看到文字。" if zh else "I see no text."


def _kind(plan: Plan, zh: bool) -> str:
    if plan.kind not in facts.ORDINARY and plan.kind not in KINDS:
        return ""
    name = facts.kind_name(plan, zh)
    return f"这是{name}。" if zh else f"I see {name}."


def _of_page(plan: Plan, qa: QA, zh: bool) -> str:
    kind = _kind(plan, zh)
    if plan.kind not in facts.ORDINARY:
        return kind
    work = _work(plan, qa, zh)
    return (kind + work if zh else f"{kind} {work}") if work else kind


def _work(plan: Plan, qa: QA, zh: bool) -> str:
    """What is looked for, or what was found on the way."""
    if qa.answer in (*OUTSIDE.values(), *NO_PERSON.values()):
        return "只有文字和图形。" if zh else "Only text and shapes."
    if plan.shapes and qa.task in ("shapes", "colour", "count", "yesno", "describe"):
        return shape_list(plan, zh) + ("。" if zh else ".")
    few = 0 < len(plan.amounts) <= 6
    values = ", ".join(plan.amounts)
    if qa.task == "count" and few and qa.answer == str(len(plan.amounts)):
        return f"金额有{values}。" if zh else f"The amounts are {values}."
    if qa.task == "field" and few and len(plan.amounts) > 1 and qa.answer == facts.largest(plan):
        return f"金额有{values}，比较大小。" if zh else f"The amounts are {values}; compare them."
    if qa.task in ("field", "total"):
        row = facts.row_with(plan, qa.answer)
        if row is not None:
            return f"这一行写着“{row}”。" if zh else f'One line says "{row}".'
        return ""
    if qa.task == "amounts":
        return "从上到下找金额。" if zh else "Look for amounts from top to bottom."
    if qa.task == "read":
        return "逐行读。" if zh else "Read line by line."
    if qa.task == "audit":
        return _audit(plan, zh)
    return ""


def _audit(plan: Plan, zh: bool) -> str:
    claims = forbidden_words(plan.text)
    price = ("有价格" if plan.amounts else "没有价格") if zh else ("a price" if plan.amounts else "no price")
    brand = (
        (f"标志{plan.brand}" if plan.brand else "没有标志") if zh else f"mark {plan.brand}" if plan.brand else "no mark"
    )
    words = ("违禁词" + "、".join(claims) if claims else "没有违禁词") if zh else (
        "claims " + ", ".join(claims) if claims else "no claims")  # fmt: skip
    return f"{price}，{brand}，{words}。" if zh else f"There is {price}, {brand}, {words}."
