"""Contract pages: parties, short clauses, the sum in words and figures, a signature of party A, a seal of party B."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from training import content
from training.content import Text
from training.draw import Colour, Pixels, Run, Type, blend, shape
from training.layouts.plan import Box, Piece, Plan, Row
from training.page import NOTHING, QA, Page, Sight
from training.scenes import money
from training.scenes.canvas import Asker, Desk, clipped, converse, dark_ink, light_paper
from training.scenes.strokes import seal, signature, spoil

TITLES = {
    "zh": ("购销合同", "服务合同", "租赁合同", "买卖合同", "采购合同", "加工合同", "运输合同", "合作协议", "装修合同"),
    "en": ("Sales Contract", "Service Agreement", "Lease Agreement", "Purchase Contract", "Supply Agreement"),
}  # fmt: skip
_NAMES = {
    "zh": ("星河", "远山", "清泉", "云帆", "嘉木", "长风", "金禾", "明岩", "海棠", "白石", "青禾", "松月"),
    "en": ("Northwind", "Bluestone", "Riverbend", "Oakfield", "Silverline", "Redwood", "Brightway", "Stonegate"),
}  # fmt: skip
_TRADES = {
    "zh": ("贸易公司", "科技公司", "食品公司", "建材公司", "物流公司", "家具公司", "服装公司", "印刷公司"),
    "en": ("Ltd", "Trading", "Foods", "Works", "Supply"),
}
# What no contract may say: the closed list. A page holds the words exactly so.
FORBIDDEN = {
    "zh": (
        "最终解释权归我方所有", "本公司保留最终解释权", "一经售出概不退换", "甲方不得提出任何异议", "乙方不承担任何责任",
        "甲方放弃一切诉讼权利", "乙方有权随时变更价格", "定金概不退还", "违约责任全部由甲方承担",
    ),
    "en": (
        "the final interpretation right belongs to us", "no refund under any circumstances", "Party A waives all legal claims",
        "Party B bears no liability whatsoever", "Party B may change the price at any time", "the deposit is never returned",
        "Party A may not object", "we may cancel at any time without notice",
    ),
}  # fmt: skip
# Clauses that are in order; the first ones resemble forbidden ones.
HARMLESS = {
    "zh": (
        "最终解释由双方协商确定。", "售出商品七日内可以退换。", "甲方如有异议可书面提出。", "双方各自承担相应责任。",
        "争议由双方协商解决。", "价格变更须经双方书面同意。", "定金按约定退还。", "违约方承担违约责任。",
        "乙方应按时交货。", "货物由乙方负责运输。", "甲方验收合格后付款。", "本合同一式两份，双方各执一份。",
        "本合同自签字盖章之日起生效。", "质量保证期为一年。", "付款方式为银行转账。", "未尽事宜另行协商。",
        "乙方提供发票。", "包装应符合国家标准。", "双方应保守商业秘密。", "交货地点为甲方仓库。",
    ),
    "en": (
        "Both parties interpret the terms together.", "Goods may be returned within 7 days.", "Party A may object in writing.",
        "Each party bears its own liability.", "Price changes need written consent.", "The deposit is returned on completion.",
        "Party B delivers on time.", "Payment is due after acceptance.", "Disputes are settled by negotiation.",
        "The goods are insured by Party B.", "This contract is made in two copies.", "The warranty period is one year.",
        "Delivery is to the warehouse of Party A.", "Payment is by bank transfer.", "Both parties keep trade secrets.",
    ),
}  # fmt: skip
_SUMS = {
    "zh": (
        "合同总金额为人民币{words}（{figures}）。", "价款：人民币{words}，小写{figures}。", "金额大写：{words}，小写：{figures}。",
        "合同金额{figures}，大写{words}。", "乙方应收货款{figures}（大写：{words}）。",
    ),
    "en": (
        "The total price is {figures} ({words}).", "Amount in words: {words}; in figures: {figures}.",
        "Party A pays {words} ({figures}).", "The contract sum is {words}, that is {figures}.",
    ),
}  # fmt: skip
_SUMS_WITHOUT_WORDS = {
    "zh": ("合同总金额为{figures}。", "价款：{figures}，一次付清。"),
    "en": ("The total price is {figures}.", "Party A pays {figures} in full."),
}
_ORDINALS = {"zh": ("第{}条 ", "{}、", "{}. ", "（{}）"), "en": ("{}. ", "({}) ", "Art. {} ", "{}) ")}
_NUMERALS = "一二三四五六七八九十"
_LABELS = {
    "zh": (("甲方（签字）：", "甲方签字：", "甲方代表签字：", "甲方签名："), ("乙方（盖章）：", "乙方公章：", "乙方（公章）：", "乙方盖章：")),
    "en": (("Party A (signature):", "Signed, Party A:", "Party A sign:"), ("Party B (seal):", "Seal of Party B:", "Party B stamp:")),
}  # fmt: skip
_PENS: tuple[Colour, ...] = ((15, 15, 25), (20, 30, 110), (30, 50, 150), (40, 40, 45))
_REDS: tuple[Colour, ...] = ((215, 25, 30), (200, 20, 45), (225, 45, 35), (190, 30, 30))
ARRANGEMENTS = ("side_by_side", "side_by_side", "mirrored", "stacked")
HELDOUT_ARRANGEMENTS = ("form", "signed_first")
MIN_SIZE = 16
MAX_READ = 330  # characters


@dataclass(slots=True, eq=False)
class Facts:
    """What the page says and shows. Sums in cents; `words` None where the sum is not written out."""

    signature: str  # present, missing, unclear
    seal: str  # legible, illegible, missing
    words: int | None
    figures: int
    forbidden: list[str] = field(default_factory=list)  # in order of appearance
    spelled: str = ""  # the sum in words as it stands there
    printed: str = ""  # the sum in figures as it stands there, without sign and thousands separators
    seal_box: Box | None = None

    @property
    def agree(self) -> bool | None:
        return None if self.words is None else self.words == self.figures


@dataclass(slots=True, eq=False)
class _Party:
    """One side's place to sign or stamp."""

    label: str
    is_a: bool
    name: str
    zone: Box = (0, 0, 0, 0)


def draw(desk: Desk) -> Page | None:
    """A contract page, or None where it does not fit."""
    r = desk.r
    facts = _facts(r)
    arrangement = r.choice(HELDOUT_ARRANGEMENTS if desk.unseen_layout else ARRANGEMENTS)
    plan = Plan(desk.width, desk.height, "contract", desk.language)
    page = _lay_out(desk, plan, facts, arrangement)
    if page is None:
        return None
    parties, radius, lines = page
    image, names = desk.ground(plan, light_paper(r), exclude=("zebra", "split_paper"))
    colour = dark_ink(r)
    drawer = ImageDraw.Draw(image)
    for box in lines:
        drawer.rectangle(box, outline=colour)
    if r.random() < 0.5:
        for party in parties:
            x0, _, x1, y1 = party.zone
            drawer.line((x0, y1 - 4, min(x1, x0 + 150), y1 - 4), fill=colour)
    pixels = np.array(image)
    for row in plan.rows:
        for piece in row.pieces:
            desk.put(pixels, piece.run, piece.x, piece.baseline, colour)
    marks = [box for party in parties for box in _sign(desk, pixels, party, facts, radius)]
    qa = ask(desk, plan, facts)
    keep = desk.keep([clipped(box, desk.width, desk.height) for box in marks])
    return Page(pixels, desk.glyphs, qa, kind="contract", decorations=(arrangement, *names), sights=desk.sights,
                keep=keep)  # fmt: skip


# --- facts ------------------------------------------------------------------------------------------------------------


def _facts(r: Random) -> Facts:
    figures = r.choice((r.randint(1, 99) * 10_000, r.randint(100, 99_999) * 100, r.randint(100, 9_999) * 1000))
    if r.random() < 0.2:
        figures = figures // 100 * 100 + r.randint(1, 99)
    kind, words = r.random(), figures
    if kind < 0.12:
        return Facts(_signature(r), _seal(r), None, figures)
    if kind < 0.47:
        words = _other_sum(r, figures)
    return Facts(_signature(r), _seal(r), words, figures)


def _signature(r: Random) -> str:
    return r.choices(("present", "missing", "unclear"), (50, 28, 22))[0]


def _seal(r: Random) -> str:
    return r.choices(("legible", "illegible", "missing"), (48, 30, 22))[0]


def _other_sum(r: Random, cents: int) -> int:
    """A sum that is easily mistaken for this one: a digit changed, two swapped, ten times as much or a tenth."""
    while True:
        digits = list(str(cents // 100))
        kind = r.random()
        if kind < 0.6:
            at = r.randrange(len(digits))
            digits[at] = r.choice("123456789" if at == 0 else "0123456789")
        elif kind < 0.85 and len(digits) > 1:
            a, b = r.sample(range(len(digits)), 2)
            digits[a], digits[b] = digits[b], digits[a]
        elif kind < 0.93:
            digits.append("0")
        else:
            digits = digits[:-1]
        value = int("".join(digits) or "0") * 100 + cents % 100
        if value != cents and 10_000 <= value < 100_000_000 and digits[0] != "0":
            return value


def figures(r: Random, cents: int, zh: bool) -> str:
    """A sum in one of the notations of contracts."""
    whole = f"{cents // 100:,}" if r.random() < 0.5 else str(cents // 100)
    tail = f".{cents % 100:02d}" if cents % 100 or r.random() < 0.6 else ""
    if zh:
        return f"¥{whole}{tail}" if r.random() < 0.75 else f"{whole}{tail}元"
    return f"${whole}{tail}" if r.random() < 0.8 else f"USD {whole}{tail}"


def _clauses(r: Random, facts: Facts, language: str) -> list[tuple[str, int]]:
    """(text, rank) of the clauses; those of rank 2 may be left out where there is no room."""
    zh = language == "zh"
    words = None if facts.words is None else (money.chinese_capitals if zh else money.english_words)(facts.words)
    facts.spelled = words or ""
    table = _SUMS_WITHOUT_WORDS if words is None else _SUMS
    shown = figures(r, facts.figures, zh)
    facts.printed = re.sub(r"[^\d.]", "", shown)
    clauses = [(r.choice(table[language]).format(words=words, figures=shown), 0)]
    for text in r.sample(FORBIDDEN[language], r.choices((0, 1, 2), (50, 38, 12))[0]):
        clauses.append((_sentence(r, text, zh), 1))
    clauses += [(text, 2) for text in r.sample(HARMLESS[language], r.randint(2, 5))]
    r.shuffle(clauses)
    return clauses


def _sentence(r: Random, text: str, zh: bool) -> str:
    if zh:
        return r.choice(
            ("{}。", "本合同{}。" if text.startswith("最终") else "{}。", "如有争议，{}。", "特别约定：{}。")
        ).format(text)
    return r.choice(("{}.", "Note: {}.", "It is agreed that {}.")).format(text)


# --- layout -----------------------------------------------------------------------------------------------------------


def _lay_out(desk: Desk, plan: Plan, facts: Facts, arrangement: str) -> tuple[list[_Party], int, list[Box]] | None:
    """Rows of the plan, both parties' places, the seals' radius and the boxes to rule."""
    r, language = desk.r, desk.language
    size = r.choice((16, 18, 18, 18, 20, 22)) if max(desk.width, desk.height) < 640 else r.choice((18, 20, 22, 24))
    clauses = _clauses(r, facts, language)
    names = [
        f"{a}{'' if desk.zh else ' '}{b}"
        for a, b in zip(r.sample(_NAMES[language], 2), r.choices(_TRADES[language], k=2), strict=True)
    ]
    ordinal = r.choice(_ORDINALS[language])
    day = content.date(r, language) if r.random() < 0.8 else None
    setting = desk.type(size)
    while True:
        plan.rows.clear()
        found = _try(desk, plan, setting, clauses, names, ordinal, day, arrangement)
        if found is not None:
            facts.forbidden = _appearing(clauses, language)
            return found
        spare = [clause for clause in clauses if clause[1] == 2]
        if len(spare) > 2:
            clauses.remove(spare[-1])
        elif size > MIN_SIZE:
            size -= 2
            setting = setting.sized(max(setting.min_size, size))
        elif spare:
            clauses.remove(spare[-1])
        else:
            return None


def _appearing(clauses: list[tuple[str, int]], language: str) -> list[str]:
    """The forbidden words in the order of the page."""
    return [words for text, rank in clauses if rank == 1 for words in FORBIDDEN[language] if words in text]


def _try(
    desk: Desk, plan: Plan, setting: Type, clauses: list[tuple[str, int]], names: list[str], ordinal: str,
    day: str | None, arrangement: str,
) -> tuple[list[_Party], int, list[Box]] | None:  # fmt: skip
    """Lay everything out from the top at one size; None when the page is too small."""
    r, zh, size = desk.r, desk.zh, setting.size
    margin = r.randint(10, 28)
    column = _Column(desk, plan, setting, margin, int(size * r.uniform(1.35, 1.6)))
    ruled: list[Box] = []
    title = setting.sized(min(40, int(size * r.uniform(1.2, 1.7))))
    plan.caption = r.choice(TITLES[desk.language])
    column.add(plan.caption, title, middle=True)
    column.skip(size // 2)
    a, b = ("甲方：", "乙方：") if zh else ("Party A: ", "Party B: ")
    top = column.y
    column.add(a + names[0])
    edge = column.y
    column.add(b + names[1])
    if arrangement == "form":
        ruled += [
            (margin - 5, top - 4, desk.width - margin + 5, edge - 4),
            (margin - 5, edge - 4, desk.width - margin + 5, column.y - 4),
        ]
        column.skip(6)
    texts = [
        f"{ordinal.format(_NUMERALS[k] if zh and '条' in ordinal or '、' in ordinal else k + 1)}{text}"
        for k, (text, _) in enumerate(clauses)
    ]
    radius = r.randint(34, 46) if desk.width < 560 else r.randint(38, 58)
    if arrangement != "signed_first":
        _add_clauses(column, texts, arrangement, ruled)
        column.skip(size // 3)
    found = _places(desk, column, names, radius, day, arrangement, ruled)
    if arrangement == "signed_first":
        column.skip(size // 3)
        _add_clauses(column, texts, arrangement, ruled)
    return None if column.full else (found, radius, ruled)


def _add_clauses(column: _Column, texts: list[str], arrangement: str, ruled: list[Box]) -> None:
    top = column.y
    for text in texts:
        column.add(text)
    if arrangement == "form":
        width = column.desk.width
        ruled.append((column.margin - 5, top - 4, width - column.margin + 5, column.y - 4))


@dataclass(slots=True, eq=False)
class _Column:
    """Adds wrapped lines downwards; `full` once something did not fit."""

    desk: Desk
    plan: Plan
    setting: Type
    margin: int
    pitch: int
    y: int = 0
    full: bool = False

    def __post_init__(self) -> None:
        self.y = self.margin

    def add(self, text: str, setting: Type | None = None, middle: bool = False, at: int | None = None,
            width: int | None = None) -> Box | None:  # fmt: skip
        """One paragraph; gives the box of its last line."""
        kind = setting or self.setting
        room = width or self.desk.width - 2 * self.margin
        box = None
        for run in [] if self.full else wrap(text, kind, room):
            x = (
                (self.desk.width - run.right - run.left) // 2
                if middle
                else (self.margin if at is None else at) - run.left
            )
            baseline = self.y + int(kind.size * 0.88)
            piece = Piece(Text(run.text), run, x, baseline, "text")
            if run.right - run.left > room or baseline + kind.size * 0.3 > self.desk.height - 4:
                self.full = True
                return None
            self.plan.rows.append(Row([piece], piece.box[1], piece.box[3]))
            self.y += max(self.pitch, int(kind.size * 1.3))
            box = piece.box
        return box

    def skip(self, pixels: int) -> None:
        self.y += pixels


_NO_START = frozenset("，。；：、！？）,.;:)")


def wrap(text: str, setting: Type, room: int) -> list[Run]:
    """Set lines of at most `room` px: Chinese breaks anywhere but before punctuation, English between words."""
    lines: list[Run] = []
    while text:
        run = shape(text, setting)
        if run.right - run.left <= room:
            return [*lines, run]
        cut = max(1, sum(pen <= room for pen in run.pens[1:]))  # characters whose advances end within the room
        if text[cut].isascii() and text[cut - 1].isascii() and " " in text[: cut + 1]:
            cut = text.rindex(" ", 0, cut + 1)
        while cut > 1 and (text[cut] in _NO_START or _inside_number(text[cut - 1], text[cut])):
            cut -= 1
        if cut < 1:
            return [*lines, run]
        lines.append(shape(text[:cut].rstrip(), setting))
        text = text[cut:].lstrip()
    return lines


def _inside_number(left: str, right: str) -> bool:
    """Whether a line must not end between the two: a sum is never torn apart."""
    marks = "¥$.,"
    return (left.isascii() and left.isalnum() or left in marks) and (
        right.isascii() and right.isalnum() or right in marks
    )


def _places(
    desk: Desk, column: _Column, names: list[str], radius: int, day: str | None, arrangement: str, ruled: list[Box]
) -> list[_Party]:
    """Labels, dates and empty zones of both parties; marks the column full when they do not fit."""
    r, size = desk.r, column.setting.size
    (a, b), margin = (r.choice(_LABELS[desk.language][0]), r.choice(_LABELS[desk.language][1])), column.margin
    parties = [_Party(a, True, names[0]), _Party(b, False, names[1])]
    if arrangement == "mirrored":
        parties.reverse()
    column.skip(r.randint(2, size))
    stacked = arrangement == "stacked"
    half = (desk.width - 2 * margin) // (1 if stacked else 2)
    height, bottom, top = 2 * radius + 6, column.y, column.y
    for k, party in enumerate(parties):
        x = margin + (0 if stacked else k * half)
        if not stacked:
            column.y = top
        first = column.y
        label = column.add(party.label, at=x, width=half - 8)
        if label is None:
            return parties
        if half - 12 - (label[2] - x) >= max(110, 2 * radius + 8):
            zone = (label[2] + 6, first, min(x + half - 6, label[2] + 6 + 260), first + height)
        else:
            zone = (x, column.y - 2, x + min(half - 10, 240), column.y - 2 + height)
        party.zone = zone
        column.y = zone[3] + 2
        if day:
            column.add(("日期：" if desk.zh else "Date: ") + day, at=x, width=half - 4)
        if zone[3] > desk.height - 4:
            column.full = True
        if arrangement == "form":
            ruled.append((x - 5, first - 4, x + half - 5, column.y))
        bottom = max(bottom, column.y)
    column.y = bottom
    return parties


# --- signing ----------------------------------------------------------------------------------------------------------


def _sign(desk: Desk, image: Pixels, party: _Party, facts: Facts, radius: int) -> list[Box]:
    """Signature and seal of one party as the facts want them, or as chance wants for what nobody asks about."""
    r = desk.r
    signed = facts.signature if party.is_a else r.choice(("present", "present", "missing"))
    sealed = r.choice(("missing", "missing", "legible", "illegible")) if party.is_a else facts.seal
    boxes: list[Box] = []
    if signed != "missing":
        boxes.append(_scribble(desk, image, party.zone, signed))
        _see(desk, {"present": "签", "unclear": "糊"}[signed], boxes[-1])
    if sealed != "missing":
        box = _stamp(desk, image, party, sealed, radius, party.is_a and signed == "unclear")
        boxes.append(box)
        _see(desk, {"legible": "章", "illegible": "污"}[sealed], box)
        if not party.is_a:
            facts.seal_box = box
    if not boxes:
        _see(desk, NOTHING, party.zone)
    return boxes


def _see(desk: Desk, word: str, box: Box) -> None:
    """Name what stands in the middle of a box, and left and right of it where that is still the same."""
    x, y, quarter = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, (box[2] - box[0]) / 4
    desk.sights += [Sight(word, x + dx, y) for dx in (-quarter, quarter, 0.0)]


def _scribble(desk: Desk, image: Pixels, zone: Box, kind: str) -> Box:
    """A signature; an unclear one is faint, smeared, or only begun."""
    r = desk.r
    x0, y0, x1, y1 = zone
    width, height = min(x1 - x0, r.randint(90, 170)), min(y1 - y0, r.randint(38, 64))
    how = "" if kind == "present" else r.choice(("faint", "faint", "smeared", "begun"))
    if how == "begun":
        width, height = r.randint(16, 24), r.randint(16, 26)
    mask = signature(r, width, height, r.uniform(1.8, 3.0))
    opacity = r.uniform(0.24, 0.36) if how == "faint" else 1.0
    if how == "smeared":
        mask = np.minimum(255, spoil(r, mask).astype(np.uint16) * 6 // 5).astype(np.uint8)
    x, y = r.randint(x0, max(x0, x1 - width)), r.randint(y0, max(y0, y1 - height))
    blend(image, mask, x, y, r.choice(_PENS), opacity)
    return (x, y, x + width, y + height)


def _stamp(desk: Desk, image: Pixels, party: _Party, kind: str, radius: int, aside: bool) -> Box:
    """A red seal over the zone; text below stays visible. `aside`: at the zone's right end."""
    r = desk.r
    x0, y0, x1, y1 = party.zone
    square = r.random() < 0.25
    name = party.name if desk.zh else party.name.upper()
    if square:
        radius = int(radius * 0.8)
        name = name[:2] + ("之印" if r.random() < 0.5 else "印章") if desk.zh else name[:6]
    setting = desk.type(min(18, max(12, int(radius * 0.34))) if not square else int(radius * 0.55))
    mask = seal(r, name, setting, radius, square)
    if kind == "illegible":
        mask = spoil(r, mask)
    turn = r.uniform(-14, 14)
    mask = np.array(Image.fromarray(mask).rotate(turn, Image.Resampling.BILINEAR, expand=True))
    high, wide = mask.shape
    x = max(x0 - 6, x1 - wide) if aside else r.randint(x0 - 6, max(x0 - 6, x1 - wide))
    y = r.randint(y0 - 4, max(y0 - 4, y1 - high))
    x, y = max(0, min(x, desk.width - wide)), max(0, min(y, desk.height - high))
    spot = image[y : y + high, x : x + wide]
    under = spot.copy()
    blend(image, mask, x, y, r.choice(_REDS), r.uniform(0.78, 0.95))
    np.minimum(spot, under, out=spot, where=(under.max(axis=2, keepdims=True) < 110))
    ys, xs = np.nonzero(mask > 60)
    return (x + int(xs.min()), y + int(ys.min()), x + int(xs.max()) + 1, y + int(ys.max()) + 1)


# --- answers ----------------------------------------------------------------------------------------------------------


def issues(facts: Facts, zh: bool) -> list[str]:
    """What is wrong, in fixed words and order."""
    found = []
    if facts.signature != "present":
        found.append(
            {"missing": ("甲方签字栏为空", "party A's signature is missing"), "unclear": ("甲方签字不清", "party A's signature is unclear")}
            [facts.signature][0 if zh else 1]
        )  # fmt: skip
    if facts.seal != "legible":
        found.append(
            {"missing": ("缺少乙方公章", "party B's seal is missing"), "illegible": ("乙方公章模糊", "party B's seal is illegible")}
            [facts.seal][0 if zh else 1]
        )  # fmt: skip
    if facts.agree is False:
        found.append("金额大小写不一致" if zh else "words and figures differ")
    if facts.forbidden:
        found.append("有违规表述" if zh else "forbidden clause")
    return found


def both_sums(facts: Facts, zh: bool) -> tuple[str, str]:
    """The sum in words, copied and then as digits (玖佰元整=900.00), and the sum in figures."""
    words = ("无" if zh else "none") if facts.words is None else f"{facts.spelled}={money.digits(facts.words)}"
    return words, money.digits(facts.figures)


def as_json(facts: Facts, zh: bool) -> str:
    """The review as JSON; `work` holds both sums, from which the rest follows."""
    answer = {
        "work": list(both_sums(facts, zh)),
        "party_a_signature": facts.signature,
        "party_b_seal": facts.seal,
        "amounts_agree": facts.agree,
        "forbidden_clauses": facts.forbidden,
        "issues": issues(facts, zh),
    }
    return json.dumps(answer, ensure_ascii=False)


def _compared(facts: Facts, zh: bool) -> str:
    words, digits = both_sums(facts, zh)
    return f"大写{words}，小写{digits}" if zh else f"words {words}, figures {digits}"


def as_text(facts: Facts, zh: bool) -> str:
    """The four points as text, the two sums before them."""
    clauses = ("；" if zh else "; ").join(facts.forbidden) or ("无" if zh else "none")
    if zh:
        signed = {"present": "否", "missing": "是", "unclear": "否，但签字不清"}[facts.signature]
        sealed = {"legible": "否", "illegible": "是", "missing": "没有公章"}[facts.seal]
        differ = {True: "否", False: "是", None: "没有大写金额"}[facts.agree]
        points = (
            f"1) 甲方签字栏为空：{signed}",
            f"2) 乙方公章模糊不可辨：{sealed}",
            f"3) 金额大写与小写不一致：{differ}",
            f"4) 违规表述：{clauses}",
        )
    else:
        signed = {"present": "no", "missing": "yes", "unclear": "no, but it is unclear"}[facts.signature]
        sealed = {"legible": "no", "illegible": "yes", "missing": "there is no seal"}[facts.seal]
        differ = {True: "no", False: "yes", None: "there is no sum in words"}[facts.agree]
        points = (
            f"1) Party A's signature is missing: {signed}",
            f"2) Party B's seal is illegible: {sealed}",
            f"3) Words and figures differ: {differ}",
            f"4) Forbidden clauses: {clauses}",
        )
    return "\n".join((_compared(facts, zh), *points))


_SIGNED = {"present": ("已签字", "signed"), "missing": ("未签字", "not signed"), "unclear": ("签字不清", "unclear")}
_SEALED = {
    "legible": ("公章清晰", "legible"),
    "illegible": ("公章模糊", "illegible"),
    "missing": ("没有公章", "no seal"),
}
_AGREED = {True: ("一致", "they agree"), False: ("不一致", "they differ"), None: ("无法比较", "no comparison")}


def as_read(plan: Plan) -> str:
    """The printed page line by line; what stands on one baseline is parted by a blank."""
    by_baseline: dict[int, list[Piece]] = {}
    for piece in plan.pieces:
        by_baseline.setdefault(piece.baseline, []).append(piece)
    rows = [sorted(by_baseline[baseline], key=lambda piece: piece.x) for baseline in sorted(by_baseline)]
    return "\n".join(" ".join(piece.content.text.strip() for piece in row) for row in rows)


def ask(desk: Desk, plan: Plan, facts: Facts) -> list[QA]:
    """Questions about the page."""
    r = desk.r

    def everything(a: Asker) -> QA | None:
        text = as_read(plan)
        return a.ask("read", "read", text) if len(text) <= MAX_READ else None

    def amounts(a: Asker) -> QA | None:
        return a.ask("amounts", "amounts", facts.printed)

    def whole(a: Asker) -> QA | None:
        if r.random() < 0.6:
            return a.ask("contract", "contract_json", as_json(facts, a.zh))
        return a.ask("contract", "contract", as_text(facts, a.zh))

    def sums(a: Asker) -> QA | None:
        return a.ask(
            "contract",
            "contract_amounts",
            _compared(facts, a.zh) + ("，" if a.zh else ", ") + _AGREED[facts.agree][not a.zh],
        )

    def signed(a: Asker) -> QA | None:
        return a.ask("contract", "signature", _SIGNED[facts.signature][not a.zh])

    def sealed(a: Asker) -> QA | None:
        return a.ask("contract", "seal", _SEALED[facts.seal][not a.zh])

    def clauses(a: Asker) -> QA | None:
        found = ("；" if a.zh else "; ").join(facts.forbidden)
        return a.ask("contract", "clauses", found or ("没有违规表述" if a.zh else "no forbidden clauses"))

    def place(a: Asker) -> QA | None:
        if facts.seal_box is None:
            return None
        return a.ask_place("seal_box", clipped(facts.seal_box, desk.width, desk.height))

    def describe(a: Asker) -> QA | None:
        return a.ask("describe", "describe", f"一份合同：{plan.caption}" if a.zh else f"a contract: {plan.caption}")

    short = [
        (sums, 20.0),
        (signed, 20.0),
        (sealed, 20.0),
        (clauses, 16.0),
        (place, 7.0),
        (describe, 4.0),
        (amounts, 6.0),
    ]
    return converse(desk, "contract", [(whole, 0.9)] + ([] if desk.wish.tasks else [(everything, 0.1)]), short)
