"""Rules about the form of an answer, in the system prompt or behind the question: language, numbers only, a sentence.

A rule is a function `(Random, Plan, language, heldout) -> Ruled | None`; list it in `RULES` with a weight.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from training.facts import FACTS
from training.layouts.plan import Plan
from training.phrases import NONE, phrase
from training.talk_phrases import say


@dataclass(frozen=True, slots=True)
class Ruled:
    """A question under a rule and the answer that keeps to it."""

    rule: str
    question: str
    answer: str
    language: str  # of the question


_SENTENCES = {
    "total": ("合计是{}。", "The total is {}."), "largest": ("最大的金额是{}。", "The largest amount is {}."),
    "brand": ("品牌是{}。", "The brand is {}."), "expiry": ("保质期是{}。", "The expiry date is {}."),
    "amounts": ("图中的金额有{}。", "The amounts are {}."), "claims": ("违禁词有{}。", "The forbidden words are {}."),
    "describe": ("这是{}。", "This is {}."),
}  # fmt: skip
_MISSING_EN = {
    "no amounts": "There are no amounts.", "no total": "There is no total.", "no brand mark": "There is no brand mark.",
    "no forbidden words": "There are no forbidden words.", "not shown": "It is not shown.",
}  # fmt: skip


def sentence(name: str, plan: Plan, zh: bool) -> str | None:
    """The fact as one full sentence."""
    answer = FACTS[name].answer(plan, zh)
    if answer is None:
        return None
    if name == "has_price":
        return ("图中有价格。" if plan.amounts else "图中没有价格。") if zh else (
            "There is a price." if plan.amounts else "There is no price.")  # fmt: skip
    if name == "count_amounts":
        if zh:
            return f"图中有{answer}个金额。"
        return "There is 1 amount." if answer == "1" else f"There are {answer} amounts."
    if zh and answer in {by["zh"] for by in NONE.values()}:
        return (answer if answer.startswith("图中") else "图中" + answer) + "。"
    if not zh and answer in _MISSING_EN:
        return _MISSING_EN[answer]
    if name not in _SENTENCES or not plan.rows or "\n" in answer:
        return None
    if name == "amounts" and len(plan.amounts) == 1:
        return f"图中的金额是{answer}。" if zh else f"The amount is {answer}."
    return _SENTENCES[name][0 if zh else 1].format(answer)


def _in_sentence(r: Random, plan: Plan, language: str, heldout: bool) -> Ruled | None:
    name = r.choice((*_SENTENCES, "has_price", "count_amounts"))
    answer = sentence(name, plan, language == "zh")
    return None if answer is None else _ruled(r, "rule_sentence", name, answer, language, heldout)


def _ruled(r: Random, rule: str, name: str, answer: str, language: str, heldout: bool) -> Ruled:
    fact = FACTS[name]
    return Ruled(say(r, rule, language, heldout), phrase(r, fact.phrases, language, heldout), answer, language)


def _language(r: Random, plan: Plan, language: str, heldout: bool) -> Ruled | None:
    """Asked in one language, answered in the other."""
    other = "en" if language == "zh" else "zh"
    name = r.choice(("has_price", "describe", "amounts", "total", "shapes", "brand", "claims"))
    answer = FACTS[name].answer(plan, other == "zh")
    return (
        None
        if answer is None
        else _ruled(r, f"rule_{'english' if other == 'en' else 'chinese'}", name, answer, language, heldout)
    )


def _number(r: Random, plan: Plan, language: str, heldout: bool) -> Ruled | None:
    name = r.choice(("total", "largest", "count_amounts", "count_lines"))
    answer = FACTS[name].answer(plan, language == "zh")
    if answer is None or not answer[0].isdigit():
        return None
    return _ruled(r, "rule_number", name, answer, language, heldout)


def _json(r: Random, plan: Plan, language: str, heldout: bool) -> Ruled | None:
    name = r.choice(("total", "largest", "has_price", "brand", "expiry", "describe", "amounts"))
    answer = FACTS[name].answer(plan, language == "zh")
    if answer is None:
        return None
    return _ruled(r, "rule_json", name, json.dumps({"answer": answer}, ensure_ascii=False), language, heldout)


def _lines(r: Random, plan: Plan, language: str, heldout: bool) -> Ruled | None:
    if not 1 < len(plan.amounts) <= 10:
        return None
    rule = r.choice(("rule_lines", "rule_lines", "rule_semicolon"))
    joint = "\n" if rule == "rule_lines" else "; "
    return _ruled(r, rule, "amounts", joint.join(plan.amounts), language, heldout)


def _capitals(r: Random, plan: Plan, language: str, heldout: bool) -> Ruled | None:
    name = r.choice(("has_price", "describe", "shapes", "brand", "amounts"))
    answer = FACTS[name].answer(plan, False)
    if answer is None or language == "zh" or answer.upper() == answer:
        return None
    return _ruled(r, "rule_capitals", name, answer.upper(), language, heldout)


RULES: tuple[tuple[Callable[[Random, Plan, str, bool], Ruled | None], float], ...] = (
    (_in_sentence, 4), (_language, 3), (_number, 2), (_json, 2), (_lines, 2), (_capitals, 0.7),
)  # fmt: skip


def converse(r: Random, plan: Plan, heldout: bool, language: str = "") -> Ruled | None:
    """One question under a rule about an ordinary page."""
    language = language or (plan.language if r.random() < 0.75 else r.choice(("zh", "en")))
    for _ in range(8):
        rule = r.choices([one for one, _ in RULES], [weight for _, weight in RULES])[0]
        found = rule(r, plan, language, heldout)
        if found is not None and len(found.answer) <= 260:
            return found
    return None


LEADS = {  # before a rule in the system prompt
    "zh": ("你是一个读图助手。", "你是助手。", "你负责读取图片。", "你是一个看图回答问题的助手。",
           "你会收到图片和问题。", "注意："),
    "en": ("You read pictures. ", "You are a helpful assistant. ", "You are an assistant that looks at images. ",
           "The user sends pictures and questions. ", "You answer questions about images. ", "Note: "),
}  # fmt: skip


def placed(r: Random, ruled: Ruled) -> tuple[str, str]:
    """(system, question): the rule as system prompt, or behind the question."""
    if r.random() < 0.65:
        return ("" if r.random() < 0.6 else r.choice(LEADS[ruled.language])) + ruled.rule, ruled.question
    if ruled.language == "en":
        return "", f"{ruled.question} {ruled.rule}"
    return "", ruled.question + ("" if ruled.question[-1:] in "。？！?!." else "，") + ruled.rule
