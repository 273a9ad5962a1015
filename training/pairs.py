"""Two pictures in one conversation: read only one of them, compare them, say which one has or is something.

Questions name the pictures by their order. The answers of a comparison show the values first and then the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from training import facts
from training.encoding import Turn
from training.facts import FACTS
from training.figures import shape_list
from training.layouts.plan import Plan
from training.page import QA
from training.phrases import NONE, phrase
from training.talk_phrases import say

NAMES = {
    "zh": (
        ("第一张图", "第二张图"), ("第一张", "第二张"), ("图1", "图2"),
        ("第1张图片", "第2张图片"), ("前一张图", "后一张图"), ("第一张图片", "第二张图片"), ("第1张", "第2张"),
        ("图一", "图二"), ("第一幅图", "第二幅图"), ("前面那张", "后面那张"), ("图片1", "图片2"),
    ),
    "en": (
        ("the first picture", "the second picture"), ("the first image", "the second image"),
        ("picture 1", "picture 2"), ("the first one", "the second one"), ("image 1", "image 2"),
        ("picture one", "picture two"), ("the first of the two", "the second of the two"),
        ("the 1st image", "the 2nd image"),
        ("picture no. 1", "picture no. 2"), ("the first page", "the second page"), ("image one", "image two"),
    ),
}  # fmt: skip
FIRST_SECOND = {"zh": ("第一张", "第二张"), "en": ("the first", "the second")}
LABELS = {
    "zh": (
        ("第一张图：", "第二张图："),
        ("图1：", "图2："),
        ("第一张：", "\n第二张："),
        ("图一：", "\n图二："),
        ("图片1", "图片2"),
    ),
    "en": (
        ("First picture: ", "Second picture: "),
        ("Image 1: ", "\nImage 2: "),
        ("Picture 1:", " Picture 2:"),
        ("1: ", "\n2: "),
        ("First: ", "\nSecond: "),
    ),
}
MAX_ANSWER = 260


@dataclass(slots=True)
class Pair:
    """Two plans; None stands for a picture without anything to read (a photograph). `same`: the same page twice."""

    r: Random
    plans: tuple[Plan | None, Plan | None]
    language: str
    heldout: bool
    same: bool = False

    @property
    def zh(self) -> bool:
        return self.language == "zh"

    def ask(self, name: str, task: str, answer: str, *words: str) -> QA:
        """A phrasing of `TALK` with its answer."""
        question = say(self.r, name, self.language, self.heldout).format(*words)
        return QA(task, self.language, question[:1].upper() + question[1:], answer, colours=self.coloured)

    @property
    def coloured(self) -> bool:
        return any(plan is not None and bool(plan.shapes) for plan in self.plans)

    def name(self, which: int) -> str:
        """What the question calls a picture."""
        return self.r.choice(NAMES[self.language])[which]

    def which(self, holds: Sequence[bool]) -> str:
        """第一张, the second, both or neither."""
        if all(holds):
            return "两张都是" if self.zh else "both"
        return FIRST_SECOND[self.language][holds.index(True)] if any(holds) else "都不是" if self.zh else "neither"

    def each(self, values: Sequence[str]) -> str:
        """第一张12.00，第二张8.00: what the first and the second have."""
        first, second = FIRST_SECOND[self.language]
        a, b = values
        return f"{first}{a}，{second}{b}" if self.zh else f"{first} {a}, {second} {b}"


def kind_of(plan: Plan | None, zh: bool) -> str:
    """What one of two pictures is."""
    return (
        facts.kind_name(plan, zh) if plan is not None else "一张我认不出的图" if zh else "a picture I cannot recognise"
    )


def summary_of(plan: Plan | None, zh: bool) -> str:
    """What one of two pictures is, with its main facts."""
    return facts.summary(plan, zh) if plan is not None else kind_of(None, zh)


def value_of(plan: Plan | None, name: str, zh: bool) -> str | None:
    """The answer to a question of `FACTS`; a photograph has no text, amounts or price."""
    if plan is not None:
        return FACTS[name].answer(plan, zh)
    if name == "has_price":
        return facts.yes(False, zh)
    return NONE[name]["zh" if zh else "en"] if name in ("amounts", "read") else None


def _one(p: Pair, which: int, kind: str) -> QA | None:
    """A question about only one of the two."""
    plan, zh = p.plans[which], p.zh
    if kind == "two_what":
        return p.ask(kind, "describe", summary_of(plan, zh), p.name(which))
    fact = {"two_read": "read", "two_amounts": "amounts", "two_price": "has_price", "two_total": "total"}[kind]
    answer = value_of(plan, fact, zh)
    return None if answer is None else p.ask(kind, FACTS[fact].task, answer, p.name(which))


_ONE = ("two_what", "two_read", "two_read", "two_amounts", "two_amounts", "two_price", "two_total", "two_total")


def _read_one(p: Pair) -> QA | None:
    return _one(p, p.r.choice((0, 1, 1)), p.r.choice(_ONE))


def _totals(p: Pair) -> QA | None:
    totals = [plan.total if plan is not None else None for plan in p.plans]
    a, b = totals
    if a is None or b is None or float(a) == float(b):
        return None
    answer = p.each((a, b)) + ("，所以" if p.zh else ", so ")
    answer += FIRST_SECOND[p.language][float(b) > float(a)] + ("更高" if p.zh else " is higher")
    return p.ask("which_total", "two", answer)


def _counts(p: Pair) -> QA | None:
    a, b = (len(plan.amounts) if plan is not None else 0 for plan in p.plans)
    if a == b or max(a, b) > 8:
        return None
    answer = p.each((f"{a}个", f"{b}个") if p.zh else (str(a), str(b))) + ("，所以" if p.zh else ", so ")
    answer += FIRST_SECOND[p.language][b > a] + ("更多" if p.zh else " has more")
    return p.ask("which_more", "two", answer)


def _which_price(p: Pair) -> QA:
    holds = [plan is not None and bool(plan.amounts) for plan in p.plans]
    answer = p.which(holds).replace("都是", "都有").replace("都不是", "都没有")
    return p.ask("which_price", "two", answer)


def _which_kind(p: Pair) -> QA | None:
    kinds = [kind_of(plan, p.zh) for plan in p.plans]
    asked = p.r.choice(kinds)
    if p.r.random() < 0.12:
        asked = p.r.choice(("一张小票", "一张价目表") if p.zh else ("a receipt", "a price list"))
    if None in p.plans and asked == kind_of(None, p.zh):
        return None
    short = asked.removeprefix("一张").removeprefix("一段").removeprefix("几行").removeprefix("几个") if p.zh else asked
    return p.ask("which_kind", "two", p.which([kind == asked for kind in kinds]), short)


def _which_text(p: Pair) -> QA | None:
    which = p.r.randrange(2)
    plan, other = p.plans[which], p.plans[1 - which]
    if plan is None:
        return None
    words = [piece.content.text for piece in plan.pieces if 1 < len(piece.content.text) <= 16]
    if not words:
        return None
    word = p.r.choice(words)
    holds = [False, False]
    holds[which], holds[1 - which] = True, other is not None and word.lower() in other.text.lower()
    return p.ask("which_text", "two", p.which(holds).replace("都是", "都有"), word)


def _which_readable(p: Pair) -> QA | None:
    holds = [plan is not None and bool(plan.rows) for plan in p.plans]
    if all(holds) and p.r.random() < 0.7:
        return None
    return p.ask("which_readable", "two", p.which(holds).replace("都是", "都有").replace("都不是", "都没有"))


def _content(plan: Plan | None) -> tuple[str, ...]:
    """What tells two pages of one kind apart: the text, and the shapes."""
    return (plan.text, shape_list(plan, True)) if plan is not None else ()


def _same(p: Pair) -> QA | None:
    if p.same:
        return p.ask("same", "describe", "一样" if p.zh else "the same")
    kinds = [kind_of(plan, p.zh) for plan in p.plans]
    if kinds[0] == kinds[1]:
        if None in p.plans or _content(p.plans[0]) == _content(p.plans[1]):
            return None
        return p.ask("same", "describe", "不一样，内容不同" if p.zh else "different, they say different things")
    first, second = FIRST_SECOND[p.language]
    a, b = kinds
    answer = f"不一样，{first}是{a}，{second}是{b}" if p.zh else f"different: {first} is {a}, {second} is {b}"
    return p.ask("same", "describe", answer)


def _both(p: Pair) -> QA | None:
    name = p.r.choice(("both_what", "differs", "both_amounts"))
    first, second = FIRST_SECOND[p.language]
    if name == "both_amounts":
        values = [value_of(plan, "amounts", p.zh) for plan in p.plans]
        joint = "：" if p.zh else ": "
        return p.ask(name, "amounts", f"{first}{joint}{values[0]}\n{second}{joint}{values[1]}")
    if name == "differs" and p.same:
        return p.ask(name, "describe", "两张一样" if p.zh else "they are the same")
    a, b = (summary_of(plan, p.zh) for plan in p.plans)
    answer = f"{first}是{a}；{second}是{b}" if p.zh else f"{first} is {a}; {second} is {b}"
    return p.ask(name, "describe", answer)


QUESTIONS: tuple[tuple[Callable[[Pair], QA | None], float], ...] = (
    (_read_one, 8), (_totals, 4), (_counts, 1.5), (_which_price, 2.5), (_which_kind, 2.5), (_which_text, 2.5),
    (_which_readable, 1),
    (_same, 2), (_both, 4),
)  # fmt: skip


def question(p: Pair) -> QA:
    """One question about both; the plain ones where nothing else fits."""
    kinds = {kind_of(plan, True) for plan in p.plans}
    alike = p.same or (len(kinds) == 1 and None not in p.plans)  # there it takes both pictures to say it
    weights = [weight * (4 if ask is _same and alike else 1) for ask, weight in QUESTIONS]
    for _ in range(8):
        ask = p.r.choices([one for one, _ in QUESTIONS], weights)[0]
        found = ask(p)
        if found is not None and len(found.answer) <= MAX_ANSWER:
            return found
    return _which_price(p)


def converse(p: Pair) -> tuple[list[Turn], list[QA]]:
    """A conversation that shows both pictures: in one turn (before, after or between the words) or one in each turn."""
    kind = p.r.random()
    if kind < 0.62:
        asked = [question(p)]
        turns = [Turn(asked[0].question, asked[0].answer, parts=_parts(p, asked[0].question))]
        return _and_second(p, turns, asked)
    return _one_each(p)


def _parts(p: Pair, text: str) -> tuple[str | int, ...]:
    """Both pictures and the question in one of the usual orders."""
    kind = p.r.random()
    if kind < 0.45:
        return (0, 1, text)
    if kind < 0.65:
        return (text, 0, 1)
    a, b = p.r.choice(LABELS[p.language])
    if kind < 0.85:
        return (a, 0, b, 1, "\n" + text)
    return (0, text, 1) if kind < 0.92 else (text + "\n" + a, 0, b, 1)


def _and_second(p: Pair, turns: list[Turn], asked: list[QA]) -> tuple[list[Turn], list[QA]]:
    """In some talks a second question about the same two pictures."""
    if p.r.random() < 0.35:
        kind = p.r.choice(_ONE)
        first, second = _one(p, 0, kind), _one(p, 1, kind)
        if p.r.random() < 0.5 and first is not None and second is not None:
            if len(first.answer) + len(second.answer) > MAX_ANSWER:
                return turns, asked
            follow = p.ask("then_second", second.task, second.answer)
            first_turn = Turn(first.question, first.answer, parts=_parts(p, first.question))
            return [first_turn, Turn(follow.question, follow.answer)], [first, follow]
        more = question(p)
        if more.question != asked[0].question and len(more.answer) + len(asked[0].answer) <= MAX_ANSWER:
            return [*turns, Turn(more.question, more.answer)], [*asked, more]
    return turns, asked


_PLAIN = ("describe", "amounts", "read", "has_price", "total")


def _one_each(p: Pair) -> tuple[list[Turn], list[QA]]:
    """The first picture with a question, the second with the same or in short, then perhaps a comparison."""
    name = p.r.choice(_PLAIN)
    answers = [summary_of(plan, p.zh) if name == "describe" else value_of(plan, name, p.zh) for plan in p.plans]
    if None in answers or sum(len(answer or "") for answer in answers) > MAX_ANSWER:
        name, answers = "has_price", [value_of(plan, "has_price", p.zh) for plan in p.plans]
    fact = FACTS[name]
    first = QA(
        fact.task, p.language, phrase(p.r, fact.phrases, p.language, p.heldout), str(answers[0]), colours=p.coloured
    )
    if p.r.random() < 0.6:
        second = p.ask("now_this", fact.task, str(answers[1]))
    else:
        again = phrase(p.r, fact.phrases, p.language, p.heldout)
        second = QA(fact.task, p.language, again, str(answers[1]), colours=p.coloured)
    turns = [Turn(qa.question, qa.answer, (i,), p.r.random() < 0.65) for i, qa in enumerate((first, second))]
    asked = [first, second]
    if p.r.random() < 0.5:
        last = question(p)
        if sum(len(qa.answer) for qa in (*asked, last)) <= MAX_ANSWER:
            turns.append(Turn(last.question, last.answer))
            asked.append(last)
    return turns, asked
