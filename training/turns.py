"""Two or three questions about one page, the later ones leaning on the earlier: "and the total?", 那最大的呢?

A chain is a function `(Teller) -> list[QA]`, empty where the page cannot be asked so; list it in `CHAINS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from training import content, facts
from training.facts import FACTS
from training.layouts.plan import Plan
from training.page import QA
from training.phrases import phrase
from training.talk_phrases import say


@dataclass(slots=True)
class Teller:
    """What a chain may use: the page's facts and the language of the talk."""

    r: Random
    plan: Plan
    language: str
    heldout: bool

    @property
    def zh(self) -> bool:
        return self.language == "zh"

    def fact(self, name: str, language: str = "") -> QA | None:
        """A full question of `facts.FACTS` with its answer, None where it does not fit the page."""
        fact, language = FACTS[name], language or self.language
        answer = fact.answer(self.plan, language == "zh")
        if answer is None:
            return None
        question = phrase(self.r, fact.phrases, language, self.heldout)
        return QA(fact.task, language, question, answer, colours=bool(self.plan.shapes))

    def follow(self, name: str, task: str, answer: str, *words: str, language: str = "") -> QA:
        """A question of `talk_phrases.TALK` with its answer."""
        language = language or self.language
        question = say(self.r, name, language, self.heldout).format(*words)
        return QA(task, language, question, answer, colours=bool(self.plan.shapes))

    def item_price(self, name: str, value: str) -> QA:
        """The price of an item by its name."""
        return QA("field", self.language, phrase(self.r, "item_price", self.language, self.heldout).format(name), value)


def _amounts(t: Teller) -> list[QA]:
    """All amounts, then the largest of them, its item, the total, how many."""
    first = t.fact("amounts")
    if first is None or not 1 < len(t.plan.amounts) <= 8:
        return []
    talk, largest = [first], facts.largest(t.plan)
    names = _only_one(t.plan, largest)
    if t.r.random() < 0.6:
        talk.append(t.follow("then_largest", "field", largest))
        if names and t.r.random() < 0.7:
            talk.append(t.follow("then_who", "field", names[0]))
    if len(talk) < 3 and t.r.random() < 0.7 and t.plan.kind in ("receipt", "invoice"):
        answer = FACTS["total"].answer(t.plan, t.zh)
        assert answer is not None
        talk.append(t.follow("then_total", "total", answer))
    if len(talk) < 2 or (len(talk) < 3 and t.r.random() < 0.4):
        talk.append(t.follow("then_count", "count", str(len(t.plan.amounts))))
    return talk


def _only_one(plan: Plan, value: str) -> list[str]:
    """The one item with this amount; empty where another amount is as large or no item has it."""
    names = [name for name, price in facts.items(plan) if price == value]
    return names if len(names) == 1 == sum(float(one) == float(value) for one in plan.amounts) else []


def _largest(t: Teller) -> list[QA]:
    """The largest amount and whose it is."""
    first = t.fact("largest")
    names = [] if first is None else _only_one(t.plan, first.answer)
    if first is None or not names:
        return []
    return [first, t.follow("then_who", "field", names[0])]


def _items(t: Teller) -> list[QA]:
    """The prices of two items and which is dearer."""
    known = facts.items(t.plan)
    if len(known) < 2:
        return []
    (name, value), (other, price) = t.r.sample(known, 2)
    talk = [t.item_price(name, value), t.follow("then_other", "field", price, other)]
    if float(value) != float(price):
        talk.append(t.follow("then_dearer", "field", name if float(value) > float(price) else other))
    return talk


def _fields(t: Teller) -> list[QA]:
    """A named field, then another one."""
    known = facts.fields(t.plan)
    if len(known) < 2:
        return []
    (_, name, value), (_, other, shown) = t.r.sample(known, 2)
    first = QA("field", t.language, phrase(t.r, "field", t.language, t.heldout).format(name), value)
    talk = [first, t.follow("then_other", "field", shown, other)]
    return [*talk, *_more(t, "brand", "read")] if t.r.random() < 0.3 else talk


def _lines(t: Teller) -> list[QA]:
    """The first line, the next one, the one after, or the last."""
    rows = [row.text for row in t.plan.rows]
    if len(rows) < 2 or len(set(rows)) < len(rows):
        return []
    talk = [t.follow("first_line", "read", rows[0]), t.follow("then_next", "read", rows[1])]
    if len(rows) > 2 and t.r.random() < 0.7:
        at = t.r.choice((2, -1))
        talk.append(t.follow("then_next" if at == 2 else "last_line", "read", rows[at]))
    return talk


def describe(t: Teller) -> list[QA]:
    """What it is, then what it says, its amounts, its total."""
    first = t.fact("describe")
    if first is None:
        return []
    if t.plan.rows and len(t.plan.text) <= facts.MAX_READ and t.r.random() < 0.4:
        return [first, t.follow("then_read", "read", t.plan.text)]
    return [first, *_more(t, "amounts", "total", "brand", "expiry", "has_price", "shapes")]


def _price(t: Teller) -> list[QA]:
    """Whether there is a price, and which."""
    first = t.fact("has_price")
    if first is None or not 0 < len(t.plan.amounts) <= 8:
        return [first, *_more(t, "read", "describe", "count_lines")] if first and not t.plan.amounts else []
    return [first, t.follow("then_values", "amounts", ", ".join(t.plan.amounts))]


def _shapes(t: Teller) -> list[QA]:
    """The shapes, then how many of a colour or in all."""
    first = t.fact("shapes")
    if first is None:
        return []
    shape = t.r.choice(t.plan.shapes)
    same = sum(other.colour == shape.colour for other in t.plan.shapes)
    colour = content.COLOURS[shape.colour][0] if t.zh else shape.colour
    talk = [first, t.follow("then_colour_count", "count", str(same), colour)]
    return [*talk, t.follow("shape_total", "count", str(len(t.plan.shapes)))] if t.r.random() < 0.4 else talk


def _colours(t: Teller) -> list[QA]:
    """The colour of one shape, then of another."""
    counts = Counter(shape.name for shape in t.plan.shapes)
    single = [shape for shape in t.plan.shapes if counts[shape.name] == 1]
    if len(single) < 2:
        return []
    one, other = t.r.sample(single, 2)
    names = [facts.shape_name(shape.name, t.zh) for shape in (one, other)]
    colours = [content.COLOURS[shape.colour][0] if t.zh else shape.colour for shape in (one, other)]
    question = phrase(t.r, "colour", t.language, t.heldout).format(names[0])
    asked = names[1] if t.zh else f"the {names[1]}"
    return [
        QA("colour", t.language, question, colours[0], colours=True),
        t.follow("then_other", "colour", colours[1], asked),
    ]


def _again(t: Teller) -> list[QA]:
    """Any question, doubted or asked again: the answer stays."""
    first = _any(t)
    if first is None:
        return []
    return [first, t.follow(t.r.choice(("sure", "again")), first.task, first.answer)]


def _other_language(t: Teller) -> list[QA]:
    """Any question, then the same in the other language, in full or in short."""
    name, other = t.r.choice(_NAMES), "en" if t.zh else "zh"
    first, second = t.fact(name), t.fact(name, other)
    if first is None or second is None:
        return []
    if t.r.random() < 0.5:
        second = t.follow("in_other", first.task, second.answer, language=other)
    return [first, second]


_NAMES = tuple(name for name in FACTS if name != "claims")


def _any(t: Teller) -> QA | None:
    for name in t.r.sample(_NAMES, 4):
        found = t.fact(name)
        if found is not None:
            return found
    return None


def _more(t: Teller, *names: str) -> list[QA]:
    """One of the named full questions, the first that fits, in random order."""
    for name in t.r.sample(names, len(names)):
        found = t.fact(name)
        if found is not None:
            return [found]
    return []


def _mixed(t: Teller) -> list[QA]:
    """Three unlike questions."""
    found = [one for name in t.r.sample(_NAMES, 6) if (one := t.fact(name)) is not None]
    return found[:3] if len(found) >= 3 and sum(len(one.answer) for one in found[:3]) < 300 else []


CHAINS: tuple[tuple[Callable[[Teller], list[QA]], float], ...] = (
    (_amounts, 5), (_largest, 2), (_items, 4), (_fields, 3), (_lines, 4), (describe, 2), (_price, 2), (_shapes, 3),
    (_colours, 3), (_again, 1.5), (_other_language, 1.5), (_mixed, 3),
)  # fmt: skip


def converse(r: Random, plan: Plan, heldout: bool, language: str = "") -> list[QA]:
    """A talk of two or three questions about an ordinary page; empty if none of the chains tried fits."""
    language = language or (plan.language if r.random() < 0.75 else r.choice(("zh", "en")))
    teller, chains = Teller(r, plan, language, heldout), [chain for chain, _ in CHAINS]
    for _ in range(8):
        talk = r.choices(chains, [weight for _, weight in CHAINS])[0](teller)
        if len(talk) > 1 and len({qa.question for qa in talk}) == len(talk):
            return talk
    return []
