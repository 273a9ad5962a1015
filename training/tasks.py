"""Questions about a planned page and their true answers. Knows the plan, never a pixel.

To add a task, write a function `(Asker) -> QA | None` (None: the page cannot be asked this) and list it in `TASKS`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from training import content
from training.layouts.plan import Box, Plan
from training.page import QA
from training.phrases import (
    AUDIT_PROMPT,
    AUDITOR_PROMPT,
    CANNOT,
    CANNOT_CHAT,
    GREETINGS,
    NO_TRANSLATION,
    NONE,
    OPEN_QUESTIONS,
    TRANSLATE,
    UNREADABLE,
    phrase,
)
from training.words import Words

KINDS = {
    "lines": ("几行文字", "some lines of text"), "paragraph": ("一段文字", "a paragraph of text"),
    "scatter": ("几个词语", "some words"), "poster": ("一张海报", "a poster"), "receipt": ("一张小票", "a receipt"),
    "menu": ("一张价目表", "a price list"), "price_tag": ("一张价签", "a price tag"), "table": ("一张表格", "a table"),
    "invoice": ("一张单据", "an invoice"), "label": ("一张商品标签", "a product label"), "ticket": ("一张票", "a ticket"),
    "coupon": ("一张优惠券", "a coupon"), "statement": ("一张表格", "a table"),
}  # fmt: skip
_CLAIM_ZH = "|".join(map(re.escape, sorted(content.FORBIDDEN_ZH, key=len, reverse=True)))
_CLAIM_EN = "|".join(map(re.escape, sorted({c.lower() for c in content.FORBIDDEN_EN}, key=len, reverse=True)))
_CLAIMS = re.compile(rf"{_CLAIM_ZH}|(?<![A-Za-z0-9])(?i:{_CLAIM_EN})(?![A-Za-z0-9])")


def forbidden_words(text: str) -> list[str]:
    """Every claim of the closed list in the text, as printed, each once, in order of appearance."""
    return list(dict.fromkeys(_CLAIMS.findall(text)))


@dataclass(slots=True)
class Asker:
    """What a task may use to ask about one page."""

    r: Random
    plan: Plan
    language: str  # of the question
    heldout: bool  # held-out phrasings
    vocabulary: Words

    def ask(self, task: str, name: str, answer: str, *words: str) -> QA:
        """A question in one of the phrasings of `name`."""
        return QA(task, self.language, phrase(self.r, name, self.language, self.heldout).format(*words), answer)

    @property
    def zh(self) -> bool:
        return self.language == "zh"

    def none(self, name: str) -> str:
        return NONE[name][self.language]


def _amounts(a: Asker) -> QA | None:
    if not a.plan.amounts and a.r.random() < 0.6:  # otherwise every second page would have none
        return None
    return a.ask("amounts", "amounts", ", ".join(a.plan.amounts) or a.none("amounts"))


def _read(a: Asker) -> QA | None:
    return a.ask("read", "read", a.plan.text or a.none("read"))


def _field(a: Asker) -> QA | None:
    choices: list[Callable[[Asker], QA | None]] = []
    if a.plan.items:
        choices += [_item_price] * 3
    if a.plan.fields:
        choices += [_named_field] * 3
    if a.plan.kind == "label":
        choices += [_expiry] * 3
    if 2 <= len(a.plan.amounts) <= 8:
        choices.append(_largest)
    return a.r.choice(choices)(a) if choices else None


def _item_price(a: Asker) -> QA | None:
    counts = Counter(name for name, _ in a.plan.items)
    unique = [(name, value) for name, value in a.plan.items if counts[name] == 1 and a.plan.text.count(name) == 1]
    if not unique:
        return None
    if a.r.random() < 0.04:
        absent = a.r.choice(content.GOODS_ZH if a.plan.language == "zh" else content.GOODS_EN)
        if absent.lower() not in a.plan.text.lower():
            return a.ask("field", "item_price", a.none("field"), absent)
    name, value = a.r.choice(unique)
    return a.ask("field", "item_price", value, name)


def _named_field(a: Asker) -> QA | None:
    _, name, value = a.r.choice(a.plan.fields)
    if a.plan.text.count(name) > 1:
        return None
    return a.ask("field", "field", value, name)


def _expiry(a: Asker) -> QA | None:
    dates = [value for key, _, value in a.plan.fields if key == "expiry"]
    lives = [value for key, _, value in a.plan.fields if key == "life"]
    return a.ask("field", "expiry", (dates or lives or [a.none("field")])[0])


def _largest(a: Asker) -> QA | None:
    return a.ask("field", "largest", max(a.plan.amounts, key=float))


def _total(a: Asker) -> QA | None:
    if a.plan.kind not in ("receipt", "invoice") or (a.plan.total is None and a.r.random() < 0.5):
        return None
    return a.ask("total", "total", a.plan.total or a.none("total"))


def _yes(a: Asker, truth: bool) -> str:
    return ("是" if truth else "否") if a.zh else ("yes" if truth else "no")


def _yesno(a: Asker) -> QA | None:
    kinds = ["has_price", "has_text", "has_text"] if a.plan.rows else ["has_price"]
    if a.plan.shapes:
        kinds += ["has_shape"] * 6
    if a.plan.kind in ("poster", "label"):
        kinds += ["has_claim"] * 2
    kind = a.r.choice(kinds)
    if kind == "has_price":
        return a.ask("yesno", kind, _yes(a, bool(a.plan.amounts)))
    if kind == "has_claim":
        return a.ask("yesno", kind, _yes(a, bool(forbidden_words(a.plan.text))))
    if kind == "has_shape":
        return _has_shape(a)
    return _has_text(a)


def _has_text(a: Asker) -> QA | None:
    if a.r.random() < 0.5:
        word = _word(a)
    elif a.plan.language == "zh":
        word = a.r.choice((a.r.choice(a.vocabulary.chinese), a.r.choice(content.GOODS_ZH)))
    else:
        word = a.r.choice((a.r.choice(a.vocabulary.english).capitalize(), a.r.choice(content.GOODS_EN)))
    if word is None:
        return None
    return a.ask("yesno", "has_text", _yes(a, word.lower() in a.plan.text.lower()), word)


def _word(a: Asker) -> str | None:
    """A short piece of text that stands on the page exactly once."""
    texts = [piece.content.text for piece in a.plan.pieces if 1 < len(piece.content.text) <= 24]
    a.r.shuffle(texts)
    return next((text for text in texts if a.plan.text.count(text) == 1), None)


def _shape_name(a: Asker, shape: str, colour: str) -> str:
    return content.COLOURS[colour][0] + content.SHAPES[shape] if a.zh else f"{colour} {shape}"


def _has_shape(a: Asker) -> QA | None:
    present = {(shape.name, shape.colour) for shape in a.plan.shapes}
    names = {shape.name for shape in a.plan.shapes}
    if a.r.random() < 0.5:
        name = a.r.choice(sorted(names)) if a.r.random() < 0.5 else a.r.choice(tuple(content.SHAPES))
        return a.ask("yesno", "has_shape", _yes(a, name in names), content.SHAPES[name] if a.zh else name)
    pair = (
        a.r.choice(sorted(present))
        if a.r.random() < 0.5
        else (a.r.choice(sorted(names)), a.r.choice(tuple(content.COLOURS)))
    )
    return a.ask("yesno", "has_shape", _yes(a, pair in present), _shape_name(a, *pair))


def _count(a: Asker) -> QA | None:
    if a.plan.shapes:
        return _count_shapes(a)
    if a.r.random() < 0.6 and len(a.plan.amounts) <= 10:
        return a.ask("count", "count_amounts", str(len(a.plan.amounts)))
    return a.ask("count", "count_lines", str(len(a.plan.rows))) if len(a.plan.rows) <= 10 else None


def _count_shapes(a: Asker) -> QA | None:
    kind = a.r.random()
    if kind < 0.25:
        return a.ask("count", "count_shapes", str(len(a.plan.shapes)), "图形" if a.zh else "shapes")
    shape = a.r.choice(a.plan.shapes)
    if kind < 0.65:
        count = sum(other.name == shape.name for other in a.plan.shapes)
        return a.ask(
            "count",
            "count_shapes",
            str(count),
            content.SHAPES[shape.name] if a.zh else content.SHAPES_PLURAL[shape.name],
        )
    colour = shape.colour if a.r.random() < 0.8 else a.r.choice(tuple(content.COLOURS))
    count = sum((other.name, other.colour) == (shape.name, colour) for other in a.plan.shapes)
    name = (
        content.COLOURS[colour][0] + content.SHAPES[shape.name]
        if a.zh
        else f"{colour} {content.SHAPES_PLURAL[shape.name]}"
    )
    return a.ask("count", "count_shapes", str(count), name)


def shape_list(plan: Plan, zh: bool) -> str:
    """All shapes with colour and number, in the order of `content.SHAPES` and then `content.COLOURS`."""
    counts = Counter((shape.name, shape.colour) for shape in plan.shapes)
    parts = []
    for name in content.SHAPES:
        for colour in content.COLOURS:
            count = counts[name, colour]
            if count and zh:
                parts.append(f"{count}个{content.COLOURS[colour][0]}{content.SHAPES[name]}")
            elif count:
                parts.append(f"{count} {colour} {name if count == 1 else content.SHAPES_PLURAL[name]}")
    return ("，" if zh else ", ").join(parts)


def _shapes(a: Asker) -> QA | None:
    return a.ask("shapes", "shapes", shape_list(a.plan, a.zh)) if a.plan.shapes else None


def _colour(a: Asker) -> QA | None:
    counts = Counter(shape.name for shape in a.plan.shapes)
    single = [shape for shape in a.plan.shapes if counts[shape.name] == 1]
    if not single:
        return None
    shape = a.r.choice(single)
    answer = content.COLOURS[shape.colour][0] if a.zh else shape.colour
    return a.ask("colour", "colour", answer, content.SHAPES[shape.name] if a.zh else shape.name)


def per_mille(box: Box, width: int, height: int) -> str:
    """A pixel box as `[x1,y1,x2,y2]`, each 0 to 999 of the picture's side."""
    sides = (width, height, width, height)
    return (
        "[" + ",".join(str(max(0, min(999, round(v * 1000 / side)))) for v, side in zip(box, sides, strict=True)) + "]"
    )


def _box(a: Asker) -> QA | None:
    plan = a.plan
    if plan.shapes:
        counts = Counter((shape.name, shape.colour) for shape in plan.shapes)
        single = [shape for shape in plan.shapes if counts[shape.name, shape.colour] == 1]
        if not single:
            return None
        shape = a.r.choice(single)
        box = shape_box(shape.name, shape.x, shape.y, shape.radius)
        return a.ask(
            "box", "shape_box", per_mille(box, plan.width, plan.height), _shape_name(a, shape.name, shape.colour)
        )
    if 1 <= len(plan.amounts) <= 6 and a.r.random() < 0.4:
        lines = [
            f"{amount.value} {per_mille(piece.span_box(amount.start, amount.end), plan.width, plan.height)}"
            for piece in plan.pieces
            for amount in piece.content.amounts
        ]
        return a.ask("box", "amount_boxes", "\n".join(lines))
    word = _word(a)
    if word is None:
        return None
    piece = next(piece for piece in plan.pieces if piece.content.text == word)
    return a.ask("box", "box", per_mille(piece.box, plan.width, plan.height), word)


def shape_box(name: str, x: float, y: float, radius: float) -> Box:
    """Box of a drawn shape (see `marks.shape`)."""
    q = radius * 0.86
    extents = {
        "square": (q, q, q, q), "cross": (q, q, q, q), "diamond": (radius * 0.7, radius, radius * 0.7, radius),
        "triangle": (q, radius * 0.85, q, radius * 0.65), "hexagon": (radius, q, radius, q),
        "star": (radius * 0.95, radius, radius * 0.95, radius * 0.81),
    }  # fmt: skip
    left, up, right, down = extents.get(name, (radius, radius, radius, radius))
    return (round(x - left), round(y - up), round(x + right), round(y + down))


def _audit(a: Asker) -> QA | None:
    brand, claims, price = a.plan.brand, forbidden_words(a.plan.text), bool(a.plan.amounts)
    if a.r.random() < 0.7:
        question = AUDIT_PROMPT
        answer = {"contains_price": price, "contains_brand_logo": brand, "forbidden_words": claims}
    else:
        question = AUDITOR_PROMPT
        answer = {"price_found": price, "logo_name": brand, "forbidden_list": claims}
    return QA("audit", "zh", question, json.dumps(answer, ensure_ascii=False))


def _describe(a: Asker) -> QA | None:
    plan, zh = a.plan, a.zh
    if plan.shapes:
        return a.ask("describe", "describe", shape_list(plan, zh))
    if not plan.rows:
        return a.ask(
            "describe", "describe", "没有文字，也没有我认识的图形" if zh else "no text and no shape that I know"
        )
    kind = KINDS[plan.kind][0 if zh else 1]
    if plan.caption:
        return a.ask("describe", "describe", f"{kind}：{plan.caption}" if zh else f"{kind}: {plan.caption}")
    return a.ask("describe", "describe", kind)


def _claims(a: Asker) -> QA | None:
    if a.plan.kind not in ("poster", "label"):
        return None
    return a.ask(
        "audit", "which_claims", ("、" if a.zh else ", ").join(forbidden_words(a.plan.text)) or a.none("claims")
    )


def _brand(a: Asker) -> QA | None:
    if a.plan.brand is None and (a.plan.kind not in ("poster", "label") or a.r.random() < 0.5):
        return None
    question = (
        "这张图中的包是什么品牌?" if a.zh and a.r.random() < 0.15 else phrase(a.r, "which_brand", a.language, a.heldout)
    )
    return QA("audit", a.language, question, a.plan.brand or a.none("brand"))


def _cannot(a: Asker) -> QA | None:
    kind = a.r.random()
    if kind < 0.2 and 0 < len(a.plan.text) < 120:
        return QA(
            "refuse", a.language, a.r.choice(TRANSLATE[a.language]), f"{a.plan.text}\n{NO_TRANSLATION[a.language]}"
        )
    if kind < 0.3 and a.zh:
        battery = [value for key, _, value in a.plan.fields if key == "battery"]
        answer = f"电池容量{battery[0]}，没有写明是否支持无线充电。" if battery else NONE["field"]["zh"]
        return QA("refuse", "zh", "这个设备支持无线充电吗?电池容量多少?", answer)
    if kind < 0.4 and a.zh:
        brand = f"品牌是{a.plan.brand}，" if a.plan.brand else "没有我认识的品牌标志，"
        return QA("refuse", "zh", "这是什么品牌?主推卖点有哪些?用中文分三点列出。", brand + "我不会总结卖点。")
    question, answer = a.r.choice(CANNOT[a.language])
    return QA("refuse", a.language, question, answer)


# name: function, weight, smallest difficulty
TASKS: dict[str, tuple[Callable[[Asker], QA | None], float, float]] = {
    "amounts": (_amounts, 170, 0.0), "read": (_read, 72, 0.0), "field": (_field, 50, 0.1), "total": (_total, 80, 0.2),
    "yesno": (_yesno, 11, 0.2), "count": (_count, 8, 0.3), "shapes": (_shapes, 60, 0.2), "colour": (_colour, 60, 0.2),
    "box": (_box, 24, 0.2), "audit": (_audit, 8, 0.2), "describe": (_describe, 6, 0.2), "refuse": (_cannot, 3.0, 0.4),
    "claims": (_claims, 8, 0.3), "brand": (_brand, 14, 0.3),
}  # fmt: skip
_WEIGHT_BY_KIND = {
    ("shapes", "amounts"): 6.0, ("shapes", "read"): 8.0, ("shapes", "count"): 60.0, ("shapes", "yesno"): 40.0,
    ("shapes", "box"): 40.0, ("shapes", "audit"): 2.0, ("shapes", "describe"): 25.0, ("poster", "audit"): 50.0, ("label", "audit"): 25.0,
    ("price_tag", "audit"): 20.0, ("label", "field"): 70.0,
}  # fmt: skip


def ask(
    r: Random, plan: Plan, vocabulary: Words, num: int, heldout: bool, difficulty: float, only: tuple[str, ...] = ()
) -> list[QA]:
    """Up to `num` different questions about a page, languages mixed, mostly the page's own.

    With more than two, questions i and i + num/2 form one conversation and are of different tasks; others may be of the
    same task in other words, so that frequent tasks stay frequent.
    """
    names = [name for name in TASKS if (name in only or not only) and (only or TASKS[name][2] <= difficulty)]
    weights = [_WEIGHT_BY_KIND.get((plan.kind, name), TASKS[name][1]) for name in names]
    conversations, used = max(1, num // 2), [set[str]() for _ in range(max(1, num // 2))]
    found: list[QA] = []
    for _ in range(10 * num):
        if len(found) == num:
            break
        mine = used[len(found) % conversations]
        open_weights = [0.0 if name in mine else weight for name, weight in zip(names, weights, strict=True)]
        if not any(open_weights):
            break
        index = r.choices(range(len(names)), open_weights)[0]
        language = plan.language if r.random() < 0.7 else r.choice(("zh", "en"))
        qa = TASKS[names[index]][0](Asker(r, plan, language, heldout, vocabulary))
        if qa is None or len(qa.question) + len(qa.answer) > 900:
            weights[index] *= 0.3
            continue
        if all(qa.question != other.question for other in found):
            found.append(qa)
            mine.add(names[index])
    return found or [QA("read", "en", "Read all the text.", plan.text or NONE["read"]["en"])]


def ask_unreadable(r: Random, num: int) -> list[QA]:
    """Questions about a page that is blurred beyond reading."""
    names = r.sample(("amounts", "read", "total", "expiry", "largest", "count_lines"), min(6, num))
    languages = [r.choice(("zh", "en")) for _ in names]
    return [
        QA("refuse", lang, phrase(r, name, lang, False), UNREADABLE[lang])
        for name, lang in zip(names, languages, strict=True)
    ]


def chat(r: Random, vocabulary: Words) -> list[QA]:
    """A conversation of one or two turns without a picture."""
    language = r.choice(("zh", "en"))
    turns: list[QA] = []
    for _ in range(r.choice((1, 1, 2))):
        if r.random() < 0.45:
            questions, answer = r.choice(GREETINGS[language])
            turns.append(QA("chat", language, r.choice(questions), answer))
        else:
            pool = vocabulary.chinese if language == "zh" else vocabulary.english
            question = r.choice(OPEN_QUESTIONS[language]).format(r.choice(pool), r.choice(pool))
            turns.append(QA("chat", language, question, CANNOT_CHAT[language]))
    return turns
