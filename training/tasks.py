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

from training import content, figures, marks
from training.figures import shape_list as shape_list
from training.layouts.plan import Box, Piece, Plan, Row
from training.page import QA, QUESTIONS_EACH, Outline, box_text
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
from training.scenes import absent
from training.words import Words

KINDS = {
    "lines": ("几行文字", "some lines of text"), "paragraph": ("一段文字", "a paragraph of text"),
    "scatter": ("几个词语", "some words"), "poster": ("一张海报", "a poster"), "receipt": ("一张小票", "a receipt"),
    "menu": ("一张价目表", "a price list"), "price_tag": ("一张价签", "a price tag"), "table": ("一张表格", "a table"),
    "invoice": ("一张单据", "an invoice"), "label": ("一张商品标签", "a product label"), "ticket": ("一张票", "a ticket"),
    "coupon": ("一张优惠券", "a coupon"), "statement": ("一张表格", "a table"),
    "figures": ("文字和图形", "text and shapes"), "coloured": ("几行彩色文字", "lines of coloured text"),
    "form": ("一张表单", "a form"), "signed": ("一张表单", "a form"),
    "nameplate": ("一张信息表", "a list of details"), "details": ("一张信息表", "a list of details"),
    "card": ("一张卡片", "a card"), "flyer": ("一张宣传单", "a flyer"),
    "arc": ("几个图形", "some shapes"), "signboard": ("几行彩色文字", "lines of coloured text"),
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

    def coloured(self, task: str, name: str, answer: str, *words: str) -> QA:
        """A question whose answer depends on colours or on what is drawn."""
        qa = self.ask(task, name, answer, *words)
        qa.colours = True
        return qa

    def located(self, name: str, places: list[tuple[str, Outline]], *words: str) -> QA:
        """A question about places: each is answered by a line of what it is (or "") and its box."""
        lines = [f"{what} {box_text(outline)}".lstrip() for what, outline in places]
        qa = self.ask("box", name, "\n".join(lines), *words)
        qa.outlines = tuple(outline for _, outline in places)
        return qa

    def yes(self, truth: bool) -> str:
        return ("是" if truth else "否") if self.zh else ("yes" if truth else "no")

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
    if len(a.plan.items) > 1:
        choices += [_dearest] * 3
    if a.plan.cells:
        choices += [_cell] * 3
    if a.plan.sums:
        choices += [_sum] * 3
    if a.plan.fields:
        choices += [_named_field] * 4
    if a.plan.kind == "label":
        choices += [_expiry] * 3
    if 2 <= len(a.plan.amounts) <= 14:
        choices += [_extreme] * 2
    return a.r.choice(choices)(a) if choices else None


def once(plan: Plan, text: str) -> bool:
    """Whether exactly one piece of the page is this text (inside others it may stand: apples, apple juice)."""
    return sum(piece.content.text == text for piece in plan.pieces) == 1


def _item_price(a: Asker) -> QA | None:
    counts = Counter(name for name, _ in a.plan.items)
    unique = [
        (name, value)
        for name, value in a.plan.items
        if counts[name] == 1 and (once(a.plan, name) or a.plan.text.count(name) == 1)
    ]
    if not unique:
        return None
    if a.r.random() < 0.07:
        absent = a.r.choice(content.GOODS_ZH if a.plan.language == "zh" else content.GOODS_EN)
        if absent.lower() not in a.plan.text.lower():
            return a.ask("field", "item_price", a.none("field"), absent)
    name, value = a.r.choice(unique)
    return a.ask("field", "item_price", value, _short(a, name))


def _short(a: Asker, name: str) -> str:
    """The item as people call it, sometimes: the last of its words (bread for Rye bread) where only it has that word."""
    word = name.split()[-1]
    known = a.plan.text.lower().split().count(word.lower()) == 1
    return word.lower() if word != name and word.isalpha() and known and a.r.random() < 0.3 else name


def _items(a: Asker) -> QA | None:
    """What was bought or is offered: the names in order."""
    if not a.plan.items or a.plan.kind not in ("receipt", "invoice", "menu", "table"):
        return None
    bought = a.plan.kind in ("receipt", "invoice") and a.r.random() < 0.6
    names = ("、" if a.zh else ", ").join(name for name, _ in a.plan.items)
    return a.ask("field", "bought" if bought else "items", names)


def _has_item(a: Asker) -> QA | None:
    """Whether something was bought or is offered; the wrong ones are goods that other pages hold."""
    if not a.plan.items or a.plan.kind not in ("receipt", "invoice", "menu", "table"):
        return None
    truth = a.r.random() < 0.5
    name = _short(a, a.r.choice(a.plan.items)[0])
    if not truth:
        name = a.r.choice(content.GOODS_ZH if a.plan.language == "zh" else content.GOODS_EN)
        if name.lower() in a.plan.text.lower():
            return None
    return a.ask("yesno", "has_bought" if a.plan.kind in ("receipt", "invoice") else "has_item", a.yes(truth), name)


def _named_field(a: Asker) -> QA | None:
    if a.r.random() < 0.09:
        table = content.FIELDS_ZH if a.plan.language == "zh" else content.FIELDS_EN
        present = {key for key, _, _ in a.plan.fields}
        key = a.r.choice([key for key in table if key not in present])
        name = a.r.choice(table[key])
        if all(other.lower() not in a.plan.text.lower() for other in table[key]):
            return a.ask("field", "field", a.none("field"), name)
    _, name, value = a.r.choice(a.plan.fields)
    if sum(other == name for _, other, _ in a.plan.fields) > 1:
        return None
    return a.ask("field", "field", value, name)


def _sum(a: Asker) -> QA | None:
    name, value = a.r.choice(a.plan.sums)
    if sum(other == name for other, _ in a.plan.sums) > 1:
        return None
    return a.ask("field", a.r.choice(("field", "item_price")), value, name)


def _cell(a: Asker) -> QA | None:
    name, head, value, piece = a.r.choice(a.plan.cells)
    if sum((name, head) == cell[:2] for cell in a.plan.cells) > 1 or not once(a.plan, name):
        return None
    if a.r.random() < 0.12 and len(value) > 1:
        return a.located(
            "value_box", [("", outline_of(a.plan, piece))], f"{name}的{head}" if a.zh else f"{head} of {name}"
        )
    return a.ask("field", "cell", value, name, head)


def _dearest(a: Asker) -> QA | None:
    values = [float(value) for _, value in a.plan.items]
    name = a.r.choice(("dearest", "dearest", "cheapest_item"))
    wanted = max(values) if name == "dearest" else min(values)
    return a.ask("field", name, a.plan.items[values.index(wanted)][0]) if values.count(wanted) == 1 else None


def _expiry(a: Asker) -> QA | None:
    dates = [value for key, _, value in a.plan.fields if key == "expiry"]
    lives = [value for key, _, value in a.plan.fields if key == "life"]
    return a.ask("field", "expiry", (dates or lives or [a.none("field")])[0])


def _extreme(a: Asker) -> QA | None:
    if a.r.random() < 0.3:
        return a.ask("field", "smallest", min(a.plan.amounts, key=float))
    return a.ask("field", "largest", max(a.plan.amounts, key=float))


def _total(a: Asker) -> QA | None:
    if a.plan.kind not in ("receipt", "invoice") or (a.plan.total is None and a.r.random() < 0.5):
        return None
    return a.ask("total", "total", a.plan.total or a.none("total"))


def _yesno(a: Asker) -> QA | None:
    if (a.plan.shapes or figures.coloured_texts(a.plan)) and a.r.random() < 0.85:
        return figures.is_it_so(a)
    kinds = ["has_price", *["has_text"] * 3] if a.plan.rows else ["has_price"]
    if a.plan.kind in ("poster", "label"):
        kinds += ["has_claim"] * 2
    if a.plan.brand or a.plan.decoy_place:
        kinds += ["has_brand"] * 2
    kind = a.r.choice(kinds)
    if kind == "has_text":
        return _has_text(a)
    if kind == "has_brand":
        return a.ask("yesno", kind, a.yes(a.plan.brand is not None))
    truth = bool(a.plan.amounts) if kind == "has_price" else bool(forbidden_words(a.plan.text))
    if kind == "has_price" and a.r.random() < (0.45 if truth else 0.35):  # ask evenly
        return None
    return a.ask("yesno", kind, a.yes(truth))


def _has_text(a: Asker) -> QA | None:
    """A text that stands on the page, or one that does not: nearly one that does, parts exchanged, or any other."""
    truth, text = a.r.random() < 0.5, a.plan.text.lower()
    for _ in range(4):
        word = _shown(a) if truth else _not_shown(a)
        if word and (word.lower() in text) == truth:
            return a.ask("yesno", "has_text", a.yes(truth), word)
    return None


def _shown(a: Asker) -> str | None:
    """A label, name or value; a label with its value; or any short text."""
    kind = a.r.random()
    if kind < 0.3:
        names = [name for _, name, _ in a.plan.fields] + [name for name, _ in a.plan.items]
        names += [value for _, _, value in a.plan.fields]
        names = [name for name in names if 1 < len(name) <= 24]
        return a.r.choice(names) if names else _word(a)
    if kind < 0.42:
        rows = [row.text for row in _pair_rows(a.plan)]
        return a.r.choice(rows) if rows else _word(a)
    return _word(a)


def _pair_rows(plan: Plan) -> list[Row]:
    """Short rows of a name and its value."""
    roles = ("item", "field", "subtotal", "total", "paid")
    return [row for row in plan.rows if row.role in roles and len(row.pieces) == 2 and len(row.text) <= 26]


def _not_shown(a: Asker) -> str | None:
    kind = a.r.random()
    if kind < 0.5:
        return _almost(a, _shown(a))
    if kind < 0.68:
        return _exchanged(a)
    if a.plan.language == "zh":
        return a.r.choice((a.r.choice(a.vocabulary.chinese), a.r.choice(content.GOODS_ZH)))
    return a.r.choice((a.r.choice(a.vocabulary.english).capitalize(), a.r.choice(content.GOODS_EN)))


def _exchanged(a: Asker) -> str | None:
    """A label or name of the page with the value of another one."""
    rows = _pair_rows(a.plan)
    if len(rows) > 1 and a.r.random() < 0.6:
        one, other = a.r.sample(rows, 2)
        return f"{one.pieces[0].content.text} {other.pieces[1].content.text}"
    joined = [
        (piece.content.text, value)
        for piece in a.plan.pieces
        for _, name, value in a.plan.fields
        if piece.content.text.startswith(name) and piece.content.text.endswith(value) and len(piece.content.text) <= 26
    ]
    if not joined or len(a.plan.fields) < 2:
        return None
    text, value = a.r.choice(joined)
    return text[: -len(value)] + a.r.choice(a.plan.fields)[2]


def _almost(a: Asker, word: str | None) -> str | None:
    """The word with one character changed into another of its sort, left out, doubled or exchanged with the next."""
    if word is None or len(word) < 2:
        return None
    kind = a.r.random()
    index = a.r.choice([k for k, char in enumerate(word) if char != " "])
    if kind < 0.14 and index + 1 < len(word) and word[index + 1] != " ":
        return word[:index] + word[index + 1] + word[index] + word[index + 2 :]
    if kind < 0.26 and len(word) > 3:
        return word[:index] + word[index + 1 :] if a.r.random() < 0.6 else word[:index] + word[index] + word[index:]
    char = word[index]
    if char >= "一":
        new = a.r.choice(a.vocabulary.hanzi[:1500])
    elif char.isdigit():
        new = a.r.choice("0123456789") if kind < 0.7 else str((int(char) + a.r.choice((-1, 1))) % 10)
    elif char.isalpha():
        new = a.r.choice("abcdefghijkmnopqrstuvwxyz")
        new = new.upper() if char.isupper() else new
    else:
        return None
    return word[:index] + new + word[index + 1 :]


def _word(a: Asker) -> str | None:
    """A short piece of text that stands on the page exactly once."""
    texts = [piece.content.text for piece in a.plan.pieces if 1 < len(piece.content.text) <= 24]
    a.r.shuffle(texts)
    return next((text for text in texts if a.plan.text.count(text) == 1), None)


def _count(a: Asker) -> QA | None:
    if a.plan.shapes:
        return figures.compare(a) if a.r.random() < 0.18 else figures.count_shapes(a)
    if a.r.random() < 0.6 and len(a.plan.amounts) <= 10:
        return a.ask("count", "count_amounts", str(len(a.plan.amounts)))
    return a.ask("count", "count_lines", str(len(a.plan.rows))) if len(a.plan.rows) <= 10 else None


def _shapes(a: Asker) -> QA | None:
    return a.coloured("shapes", "shapes", shape_list(a.plan, a.zh)) if a.plan.shapes else None


# --- places ----------------------------------------------------------------------------------------------------------


def per_mille(box: Box, width: int, height: int) -> str:
    """A pixel box as `[x1,y1,x2,y2]`, each 0 to 999 of the picture's side."""
    return box_text([(box[0] / width, box[1] / height), (box[2] / width, box[3] / height)])


def outline_of(plan: Plan, piece: Piece, start: int = 0, end: int | None = None) -> Outline:
    """The corners of the ink of each character of a piece, or of a part of it."""
    points = []
    for bitmap, pen in zip(piece.run.bitmaps[start:end], piece.run.pens[start:end], strict=True):
        if bitmap is not None:
            x0, y0 = piece.x + pen + bitmap.left, piece.baseline + bitmap.top
            xs, ys = (
                (x0 / plan.width, (x0 + bitmap.width) / plan.width),
                (y0 / plan.height, (y0 + bitmap.height) / plan.height),
            )
            points += [(x, y) for x in xs for y in ys]
    return tuple(points)


def circle_outline(plan: Plan, x: float, y: float, radius: float) -> Outline:
    """Sixteen points around something round."""
    return tuple((px / plan.width, py / plan.height) for px, py in marks.polygon(x, y, radius, 16, 0.0))


def shape_box(name: str, x: float, y: float, radius: float) -> Box:
    """Box of a drawn shape (see `marks.shape`)."""
    xs, ys = zip(*marks.shape_corners(name, x, y, radius), strict=True)
    return (round(min(xs)), round(min(ys)), round(max(xs)), round(max(ys)))


def _amount_places(plan: Plan) -> list[tuple[str, Outline]]:
    return [
        (amount.value, outline_of(plan, piece, amount.start, amount.end))
        for piece in plan.pieces
        for amount in piece.content.amounts
    ]


def _box(a: Asker) -> QA | None:
    plan, choices = a.plan, list[Callable[[Asker], QA | None]]()
    if plan.shapes:
        choices += [_shape_box] * 4
    if plan.rows:
        choices += [_word_box] * 3
    if 1 <= len(plan.amounts) <= 7:
        choices += [_amount_boxes] * 3
    if len(plan.amounts) > 1:
        choices.append(_largest_box)
    if plan.fields or plan.items:
        choices += [_value_box] * 2
    if plan.brand_place is not None:
        choices += [_brand_box] * 3
    return a.r.choice(choices)(a) if choices else None


def _shape_box(a: Asker) -> QA | None:
    single = figures.unique(a.plan)
    if not single:
        return None
    shape = a.r.choice(single)
    outline = figures.outline_of_shape(a.plan, shape)
    only = figures.count(a.plan, shape.name, None) == 1 and a.r.random() < 0.3
    named = figures.name_of(a.zh, shape.name, None if only else shape.colour)
    qa = a.located("shape_box", [("", outline)], named)
    qa.colours = True
    return qa


def _word_box(a: Asker) -> QA | None:
    word = _word(a)
    if word is None:
        return None
    piece = next(piece for piece in a.plan.pieces if piece.content.text == word)
    return a.located("box", [("", outline_of(a.plan, piece))], word)


def _amount_boxes(a: Asker) -> QA | None:
    return a.located("amount_boxes", _amount_places(a.plan))


def _largest_box(a: Asker) -> QA | None:
    values = [float(value) for value in a.plan.amounts]
    if values.count(max(values)) > 1:
        return None
    return a.located("largest_box", [("", _amount_places(a.plan)[values.index(max(values))][1])])


def _value_box(a: Asker) -> QA | None:
    """Where the value of a named field or the price of an item stands."""
    names = [(name, value) for _, name, value in a.plan.fields] + a.plan.items
    name, value = a.r.choice(names)
    if sum(name == other for other, _ in names) > 1:
        return None
    piece = a.plan.value_pieces.get(name)
    if piece is None:
        rows = [row for row in a.plan.rows if row.pieces[0].content.text.startswith(name)]
        if len(rows) != 1:
            return None
        priced = (p for p in rows[0].pieces if any(amount.value == value for amount in p.content.amounts))
        piece = next(priced, rows[0].pieces[-1])
    for amount in piece.content.amounts:
        if amount.value == value:
            return a.located("value_box", [("", outline_of(a.plan, piece, amount.start, amount.end))], name)
    start = piece.content.text.rfind(value)
    if start < 0:
        return None
    return a.located("value_box", [("", outline_of(a.plan, piece, start, start + len(value)))], name)


def _brand_box(a: Asker) -> QA | None:
    if a.plan.brand is None or a.plan.brand_place is None:
        return None
    corners = marks.mark_corners(a.plan.brand, *a.plan.brand_place, a.plan.brand_turn)
    return a.located("brand_box", [("", tuple((x / a.plan.width, y / a.plan.height) for x, y in corners))])


def _audit(a: Asker) -> QA | None:
    brand, claims, price = a.plan.brand, forbidden_words(a.plan.text), bool(a.plan.amounts)
    if a.r.random() < 0.7:
        question = AUDIT_PROMPT
        answer = {"contains_price": price, "contains_brand_logo": brand, "forbidden_words": claims}
    else:
        question = AUDITOR_PROMPT
        answer = {"price_found": price, "logo_name": brand, "forbidden_list": claims}
    return QA("audit", "zh", question, json.dumps(answer, ensure_ascii=False))


def summary(plan: Plan, zh: bool) -> str:
    """What the page is, its heading, its brand mark and its main fact: total, single price or expiry date."""
    if plan.shapes:
        listed = shape_list(plan, zh)
        return listed if plan.kind != "figures" else f"文字和图形：{listed}" if zh else f"text and shapes: {listed}"
    if not plan.rows:
        return "没有文字，也没有我认识的图形" if zh else "no text and no shape that I know"
    parts = [KINDS[plan.kind][0 if zh else 1]]
    if plan.caption:
        parts[0] += f"：{plan.caption}" if zh else f": {plan.caption}"
    if plan.brand and plan.brand != plan.caption:
        parts.append(f"品牌{plan.brand}" if zh else f"brand {plan.brand}")
    expiry = next((value for key, _, value in plan.fields if key == "expiry"), None)
    if plan.kind in ("receipt", "invoice") and plan.total:
        parts.append(f"合计{plan.total}" if zh else f"total {plan.total}")
    elif plan.kind == "price_tag" and plan.items:
        parts.append(f"价格{plan.items[0][1]}" if zh else f"price {plan.items[0][1]}")
    elif expiry:
        parts.append(f"保质期{expiry}" if zh else f"expiry {expiry}")
    return ("，" if zh else ", ").join(parts)


def _describe(a: Asker) -> QA | None:
    qa = a.ask("describe", "describe", summary(a.plan, a.zh))
    qa.colours = bool(a.plan.shapes)
    return qa


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
    question, answer = a.r.choice(CANNOT[a.language])
    return QA("refuse", a.language, question, answer)


def _absent(a: Asker) -> QA | None:
    return absent.ask(a.r, "", a.language, a.heldout)


# name: function, weight, smallest difficulty
TASKS: dict[str, tuple[Callable[[Asker], QA | None], float, float]] = {
    "amounts": (_amounts, 95, 0.0), "read": (_read, 58, 0.0), "field": (_field, 94, 0.1), "total": (_total, 40, 0.2),
    "yesno": (_yesno, 26, 0.2), "count": (_count, 9, 0.3), "shapes": (_shapes, 60, 0.2), "colour": (figures.colour, 90, 0.2),
    "box": (_box, 64, 0.2), "audit": (_audit, 10, 0.2), "describe": (_describe, 6, 0.2), "refuse": (_cannot, 3.0, 0.4),
    "claims": (_claims, 9, 0.3), "brand": (_brand, 14, 0.3), "position": (figures.position, 60, 0.3),
    "absent": (_absent, 4.0, 0.5), "items": (_items, 7.0, 0.3), "has_item": (_has_item, 7.0, 0.3),
}  # fmt: skip
_NEEDS_SHAPES = ("shapes", "position")
_WEIGHT_BY_KIND = {
    ("shapes", "amounts"): 6.0, ("shapes", "read"): 8.0, ("shapes", "count"): 560.0, ("shapes", "yesno"): 95.0,
    ("shapes", "box"): 45.0, ("shapes", "audit"): 2.0, ("shapes", "describe"): 25.0, ("shapes", "shapes"): 40.0,
    ("figures", "count"): 320.0, ("figures", "yesno"): 78.0, ("figures", "amounts"): 50.0, ("figures", "shapes"): 30.0,
    ("coloured", "yesno"): 90.0, ("coloured", "colour"): 110.0, ("coloured", "amounts"): 5.0,
    ("poster", "audit"): 60.0, ("label", "audit"): 28.0, ("price_tag", "audit"): 24.0, ("label", "field"): 115.0,
    ("table", "field"): 100.0, ("invoice", "field"): 100.0, ("receipt", "field"): 120.0, ("menu", "field"): 140.0,
    ("form", "field"): 170.0, ("signed", "field"): 170.0, ("nameplate", "field"): 120.0, ("details", "field"): 120.0,
    ("card", "field"): 140.0, ("flyer", "field"): 160.0, ("price_tag", "field"): 105.0, ("receipt", "total"): 90.0, ("invoice", "total"): 60.0,
}  # fmt: skip


def ask(
    r: Random, plan: Plan, vocabulary: Words, num: int, heldout: bool, difficulty: float, only: tuple[str, ...] = ()
) -> list[QA]:
    """Up to `num` different questions about a page, languages mixed, mostly the page's own.

    Every (num / QUESTIONS_EACH)th question from one on forms a conversation, where all are of different tasks; others may
    be of the same task in other words, so that frequent tasks stay frequent.
    """
    names = [name for name in TASKS if (name in only or not only) and (only or TASKS[name][2] <= difficulty)]
    weights = [_WEIGHT_BY_KIND.get((plan.kind, name), TASKS[name][1]) for name in names]
    if not plan.shapes:
        coloured = bool(figures.coloured_texts(plan))
        barred = _NEEDS_SHAPES if coloured else (*_NEEDS_SHAPES, "colour")
        weights = [0.0 if name in barred else weight for name, weight in zip(names, weights, strict=True)]
    conversations = max(1, -(-num // QUESTIONS_EACH))
    used = [set[str]() for _ in range(conversations)]
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
