"""Worksheets: four to ten printed problems with a pupil's answers, some wrong, and their marking.

Every answer shows its work: each problem with its right result, then what the pupil wrote, then the mark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from training import fonts
from training.content import Text
from training.draw import Colour, Pixels, Run, Type, blend, luminance, shape
from training.layouts.plan import Box, Piece, Plan, Row, union
from training.page import QA, Glyph, Page
from training.phrases import NONE
from training.scenes import sums
from training.scenes.canvas import Asker, Desk, clipped, converse, dark_ink, light_paper
from training.scenes.strokes import HAND_CHARACTERS, hand_character
from training.scenes.sums import Problem

TITLES = {
    "zh": ("口算练习", "数学作业", "口算题卡", "计算练习", "每日口算", "数学练习", "小学数学口算", "课堂练习"),
    "en": ("Maths practice", "Arithmetic", "Worksheet", "Daily sums", "Mental maths", "Number work", "Math quiz"),
}  # fmt: skip
HEADS = {
    "zh": ("姓名：    班级：", "班级：    姓名：    得分：", "姓名：    得分：", "学号：    姓名："),
    "en": ("Name:      Class:", "Name:      Score:", "Class:      Name:", "Name:      Date:"),
}  # fmt: skip
NUMBERINGS = {
    "zh": ("{}.", "{}.", "({})", "（{}）", "{}、", "第{}题", "Q{}", "{})", "{}："),
    "en": ("{}.", "{}.", "({})", "Q{}", "Q{}.", "{})", "Q{}:", "No.{}"),
}  # fmt: skip
_SIGNS = ({"×": "×", "÷": "÷"}, {"×": "×", "÷": "÷"}, {"×": "x", "÷": "÷"}, {"×": "*", "÷": "/"}, {"×": "×", "÷": "/"})
_PENS: tuple[Colour, ...] = ((20, 40, 170), (25, 60, 200), (40, 40, 44), (80, 80, 88), (0, 95, 70), (95, 40, 150))
_CHALKS: tuple[Colour, ...] = ((255, 255, 255), (250, 240, 150), (170, 220, 255))
MIN_SIZE = 14
MAX_JSON, MAX_TEXT = 680, 480  # characters of an answer, each about a token
ARRANGEMENTS = ("list", "list", "columns", "columns", "table", "spread")
HELDOUT_ARRANGEMENTS = ("cards", "answer_column")


@dataclass(slots=True, eq=False)
class Line:
    """One numbered problem on the page with the pupil's answer (None: left blank)."""

    number: int
    problem: Problem
    answer: Decimal | None
    pieces: list[Piece] = field(default_factory=list)  # printed
    hand: Piece | None = None  # the pupil's
    hole: Box | None = None  # the drawn box of a "box" problem

    @property
    def error(self) -> str | None:
        return sums.error_type(self.problem, self.answer)

    @property
    def box(self) -> Box:
        """Everything that belongs to the line."""
        boxes = [piece.box for piece in self.pieces]
        boxes += [self.hand.box] if self.hand else []
        boxes += [self.hole] if self.hole else []
        return union(boxes)

    def shift(self, dx: int, dy: int) -> None:
        """Move the whole line."""
        for piece in [*self.pieces, *([self.hand] if self.hand else [])]:
            piece.x += dx
            piece.baseline += dy
        if self.hole:
            self.hole = (self.hole[0] + dx, self.hole[1] + dy, self.hole[2] + dx, self.hole[3] + dy)


@dataclass(slots=True, eq=False)
class _Style:
    """Looks that hold for the whole page."""

    printed: Type
    hand: Type
    numbering: str
    signs: dict[str, str]
    spaced: bool
    blanks: bool  # a line where answers go
    brackets: bool  # ( ) instead of a drawn box


def draw(desk: Desk) -> Page | None:
    """A worksheet, or None where not even four problems fit."""
    r = desk.r
    arrangement = r.choice(HELDOUT_ARRANGEMENTS if desk.unseen_layout else ARRANGEMENTS)
    plan = Plan(desk.width, desk.height, "worksheet", desk.language)
    margin = r.choice((6, r.randint(6, 14), r.randint(8, 26)))
    top = _heading(desk, plan, margin)
    lines = _lay_out(desk, plan, arrangement, (margin, top, desk.width - margin, desk.height - margin))
    if lines is None:
        return None
    board = r.random() < 0.06
    colour = r.choice(((20, 60, 45), (30, 34, 40), (15, 45, 60))) if board else light_paper(r)
    image, names = desk.ground(plan, colour, exclude=("split_paper",))
    printed = r.choice(_CHALKS) if board else dark_ink(r)
    _furniture(desk, image, lines, arrangement, printed)
    pixels = _ink(desk, plan, lines, np.array(image), printed, board)
    keep = desk.keep([clipped(line.box, desk.width, desk.height) for line in lines])
    return Page(
        pixels, desk.glyphs, ask(desk, plan, lines), kind="worksheet", decorations=(arrangement, *names), keep=keep
    )


# --- layout -----------------------------------------------------------------------------------------------------------


def _heading(desk: Desk, plan: Plan, margin: int) -> int:
    """Title and the line for the name, if there is room; gives where the problems may begin."""
    r, y = desk.r, margin
    size = 18 if desk.zh else 16
    for role, texts, chance in (("title", TITLES, 0.75), ("head", HEADS, 0.4)):
        if r.random() > chance or desk.height - y < 190:
            continue
        kind = desk.type(size + (r.randint(2, 10) if role == "title" else 0))
        run = shape(r.choice(texts[desk.language]), kind)
        if run.right - run.left > desk.width - 2 * margin:
            continue
        middle = role == "title" and r.random() < 0.6
        x = (desk.width - run.right - run.left) // 2 if middle else margin - run.left
        piece = Piece(Text(run.text), run, x, y - run.top, role)
        plan.rows.append(Row([piece], piece.box[1], piece.box[3], role))
        y = piece.box[3] + r.randint(6, 14)
    return y


def _style(desk: Desk, size: int) -> _Style:
    r = desk.r
    pack = fonts.load("heldout" if desk.wish.split in ("unseen_fonts", "unseen_all") else "train")
    numbering = r.choice(NUMBERINGS[desk.language])
    printed = desk.type(max(size, 18) if "第" in numbering else size, r.choice((desk.language, "en")))
    hand = Type((r.choice(pack.latin), *printed.faces), size, r.random() < 0.5)
    return _Style(
        printed, hand.sized(min(44, max(hand.min_size, int(printed.size * r.uniform(0.95, 1.2))))),
        numbering, r.choice(_SIGNS), r.random() < 0.4, r.random() < 0.35, r.random() < 0.4,
    )  # fmt: skip


def _lay_out(desk: Desk, plan: Plan, arrangement: str, area: Box) -> list[Line] | None:
    """Problems in the area; smaller type where they do not fit."""
    r = desk.r
    width, height = area[2] - area[0], area[3] - area[1]
    size = min(r.choice((r.randint(14, 22), r.randint(16, 28), r.randint(20, 34))), width // 7, height // 5)
    if r.random() < 0.5 and min(width, height) > 420:
        size = int(size * 1.25)
    wanted = r.randint(4, 10)
    decimals, equations = r.random() < 0.25, r.random() < 0.35 and arrangement != "answer_column"
    style = _style(desk, size) if size >= MIN_SIZE else None
    while style is not None:
        letter = "y" if style.signs["×"] == "x" else "x"
        first = r.choice((1, 1, 1, 1, r.randint(2, 12)))
        problems = [sums.problem(r, decimals, equations, letter) for _ in range(wanted)]
        lines = [Line(first + k, problem, problem.wanted) for k, problem in enumerate(problems)]
        _spoil(r, lines)
        for line in lines:
            _set(line, style, arrangement, r)
        if _place(desk, lines, arrangement, area, style):
            _note_rows(plan, lines)
            return lines
        if wanted > 6:
            wanted = r.randint(4, wanted - 1)
        else:
            wanted, size = max(4, wanted - 1), int(size * 0.86)
            style = _style(desk, size) if size >= MIN_SIZE else None
    return None


def _spoil(r: Random, lines: list[Line]) -> None:
    """None to four wrong answers, sometimes many: where nearly all are right, reading passes for solving."""
    number = min(len(lines), r.choices((0, 1, 2, 3, 4, len(lines) * 2 // 3), (16, 20, 20, 14, 8, 22))[0])
    for line in r.sample(lines, number):
        line.answer = sums.wrong_answer(r, line.problem)


def _set(line: Line, style: _Style, arrangement: str, r: Random) -> None:
    """Set the line from pen 0 on baseline 0."""
    problem, size = line.problem, style.printed.size
    left, right, result = problem.sides
    space = " " if style.spaced else ""
    operator = style.signs.get(problem.operator, problem.operator)
    printed = f"{left}{space}{operator}{space}{right}{space}={space}{result}".strip()
    answer = "" if line.answer is None else sums.written(line.answer)
    number = shape(style.numbering.format(line.number), style.printed)
    line.pieces.append(Piece(Text(number.text), number, 0, 0, "number"))
    pen = number.right + max(6, round(size * 0.55))
    gap = max(3, size // 5)
    if problem.form == "box":
        before, after = printed.split("□")
        if style.brackets:
            before, after = before + "(", ")" + after
        pen = _printed(line, before.rstrip(), pen, style)
        room = max(int(size * 1.25), _hand(line, answer, pen + gap, style) + gap - pen)
        if style.brackets:
            pen += room
        else:
            line.hole = (pen + 1, -int(size * 0.95), pen + room + 1, int(size * 0.2))
            pen += room + 4
        _printed(line, after.lstrip(), pen, style)
        return
    pen = _printed(line, printed, pen, style) + gap
    if problem.form == "equation":
        pen += size
        answer = f"{problem.letter}={answer}" if answer else ""
    if arrangement == "answer_column":
        pen = max(pen + size, int(size * 8.5))
    elif arrangement == "spread":  # some answers stand far from their equals sign
        pen += r.choice((0, size, r.randint(size, size * 6)))
    end = _hand(line, answer, pen, style)
    if style.blanks and problem.form == "sum":
        line.hole = (pen - 1, int(size * 0.22), max(end, pen + int(size * 2.2)), int(size * 0.22) + 2)


def _printed(line: Line, text: str, pen: int, style: _Style) -> int:
    """Add printed text; gives where the next may begin."""
    if not text:
        return pen
    run = shape(text, style.printed)
    line.pieces.append(Piece(Text(text), run, pen - run.left, 0, "printed"))
    return pen + run.right - run.left + 1


def _hand(line: Line, text: str, pen: int, style: _Style) -> int:
    """Add the pupil's answer; gives its right edge."""
    if not text:
        return pen
    run = shape(text, style.hand)
    line.hand = Piece(Text(text), run, pen - run.left, 0, "answer")
    return pen + run.right - run.left


def _place(desk: Desk, lines: list[Line], arrangement: str, area: Box, style: _Style) -> bool:
    """Give every line its cell; False when they do not fit."""
    r = desk.r
    size, count = max(style.printed.size, style.hand.size), len(lines)
    widest = max(line.box[2] for line in lines)
    columns = {"list": 1, "table": r.choice((1, 2)), "answer_column": 1, "spread": 1}.get(arrangement, 2)
    if arrangement == "cards":
        columns = r.choice((2, 2, 3))
    pad = size // 2 if arrangement in ("cards", "table") else 0
    while columns > 1 and (area[2] - area[0]) / columns < widest + 2 * pad + 6:
        columns -= 1
    rows = -(-count // columns)
    cell = (area[2] - area[0]) / columns
    pitch = (area[3] - area[1]) / rows
    if pitch < size * (1.75 if arrangement == "cards" else 1.4) or cell < widest + 2 * pad:
        return False
    pitch = min(pitch, size * r.uniform(1.6, 3.4))
    down = columns > 1 and r.random() < 0.3
    slack = max(0, int(area[3] - area[1] - pitch * rows))
    shift = r.randint(0, slack) if r.random() < 0.4 else 0
    room = int(cell - widest - 2 * pad)
    indent = r.randint(0, max(0, room)) if r.random() < 0.4 else min(room, r.randint(0, 8))
    for k, line in enumerate(lines):
        column, row = (k // rows, k % rows) if down else (k % columns, k // columns)
        y = area[1] + shift + pitch * (row + 0.5) + size * 0.34
        line.shift(round(area[0] + column * cell + pad + indent), round(y))
    return all(line.box[1] >= area[1] - 2 and line.box[3] <= desk.height - 1 for line in lines)


def _note_rows(plan: Plan, lines: list[Line]) -> None:
    """The lines as rows of a plan, so that decorations know where text is."""
    by_top: dict[int, list[Piece]] = {}
    for line in lines:
        by_top.setdefault(line.pieces[0].baseline, []).extend([*line.pieces, *([line.hand] if line.hand else [])])
    for baseline in sorted(by_top):
        row = Row(sorted(by_top[baseline], key=lambda piece: piece.box[0]), 0, 0)
        row.top, row.bottom = row.box[1], row.box[3]
        plan.rows.append(row)


# --- ink --------------------------------------------------------------------------------------------------------------


def _furniture(desk: Desk, image: Image.Image, lines: list[Line], arrangement: str, colour: Colour) -> None:
    """Boxes and rules that belong to the arrangement."""
    drawer = ImageDraw.Draw(image)
    for line in lines:
        x0, y0, x1, y1 = line.box
        if line.hole:
            if line.hole[3] - line.hole[1] <= 2:
                drawer.line((line.hole[0], line.hole[1], line.hole[2], line.hole[1]), fill=colour)
            else:
                drawer.rectangle(line.hole, outline=colour, width=1 if line.hole[3] - line.hole[1] < 24 else 2)
        if arrangement == "cards":
            drawer.rounded_rectangle(
                (x0 - 5, y0 - 4, min(desk.width - 1, x1 + 6), min(desk.height - 1, y1 + 5)), 6, outline=colour
            )
    if arrangement == "table":
        tops = sorted({line.pieces[0].baseline for line in lines})
        step = min((b - a for a, b in zip(tops, tops[1:], strict=False)), default=40)
        low, high = min(line.box[0] for line in lines) - 6, max(line.box[2] for line in lines) + 6
        size = lines[0].pieces[0].run.size
        for y in [tops[0] - int(size * 0.34) - step // 2, *(top - int(size * 0.34) + step // 2 for top in tops)]:
            drawer.line((max(0, low), y, min(desk.width - 1, high), y), fill=colour)


def _ink(desk: Desk, plan: Plan, lines: list[Line], image: Pixels, printed: Colour, board: bool) -> Pixels:
    """Print the text and write the answers."""
    r = desk.r
    pen = r.choice(_CHALKS if board else _PENS)
    by_hand, thickness, slant = r.random() < 0.4, r.uniform(1.4, 2.6), r.uniform(-0.05, 0.22)
    tidy = r.random() < 0.3
    for row in plan.rows:
        for piece in row.pieces:
            if piece.role != "answer":
                desk.put(image, piece.run, piece.x, piece.baseline, printed)
    for line in lines:
        if line.hole and line.hand is None and line.hole[3] - line.hole[1] > 2:
            x0, y0, x1, y1 = line.hole
            desk.glyphs.append(Glyph("□", (x0 + x1) / 2, (y0 + y1) / 2, y1 - y0))
        if line.hand is None:
            continue
        if by_hand and set(line.hand.content.text) <= HAND_CHARACTERS:
            _write_by_hand(desk, image, line.hand, pen, thickness, slant)
        elif tidy:
            desk.put(image, line.hand.run, line.hand.x, line.hand.baseline, pen)
        else:
            _write_loosely(desk, image, line.hand, pen)
    return image


def _write_loosely(desk: Desk, image: Pixels, piece: Piece, pen: Colour) -> None:
    """A face whose characters dance on the baseline a little."""
    run, most = piece.run, max(1, piece.run.size // 14)
    for char, bitmap, at in zip(run.text, run.bitmaps, run.pens, strict=True):
        if bitmap is None:
            continue
        single = Run(char, [bitmap], [0], bitmap.advance, bitmap.left, bitmap.left + bitmap.width, bitmap.top,
                     bitmap.top + bitmap.height, run.size)  # fmt: skip
        desk.put(image, single, piece.x + at, piece.baseline + desk.r.randint(-most, most), pen)


def _write_by_hand(desk: Desk, image: Pixels, piece: Piece, pen: Colour, thickness: float, slant: float) -> None:
    """Strokes in the places that a face's characters would take."""
    run, r = piece.run, desk.r
    height = int(run.size * 0.74)
    width = max(1.0, thickness * run.size / 22)
    for char, at, end in zip(run.text, run.pens, [*run.pens[1:], round(run.width)], strict=True):
        mask = hand_character(r, char, (end - at) * 0.8, height, width, slant * 0.5)
        x, y = piece.x + at - 2, piece.baseline - height - 3 + r.randint(-1, 1)
        paper = image[max(0, y) : y + mask.shape[0], max(0, x) : x + mask.shape[1]]
        dark = luminance(paper.reshape(-1, 3).mean(0)) < 120
        blend(image, mask, x, y, pen if (luminance(pen) > 120) == dark else ((255, 255, 255) if dark else (20, 30, 90)))
        ys, xs = np.nonzero(mask)
        desk.glyphs.append(Glyph(char, x + (xs.min() + xs.max() + 1) / 2, y + (ys.min() + ys.max() + 1) / 2, run.size))


# --- answers ----------------------------------------------------------------------------------------------------------


def error_name(line: Line, zh: bool) -> str:
    """The type of the line's error, "" for a right one."""
    return sums.ERRORS[line.error][0 if zh else 1] if line.error else ""


def work(line: Line, zh: bool) -> str:
    """The problem solved, what was written, the mark: `Q2 7×8=56；54 X`."""
    blank = "空" if zh else "blank"
    given = blank if line.answer is None else sums.written(line.answer)
    return f"Q{line.number} {line.problem.solved}{'；' if zh else '; '}{given} {'X' if line.error else '√'}"


def marked(line: Line, zh: bool, box: str = "") -> str:
    """One line of the answer as text."""
    text = work(line, zh)
    if line.error:
        text += f" {error_name(line, zh)}" + (f" {box}" if box else "")
    return text


def summary(lines: list[Line], zh: bool) -> str:
    """The last line of the answer as text."""
    wrong = [f"Q{line.number}" for line in lines if line.error]
    right = len(lines) - len(wrong)
    if zh:
        return f"{len(lines)}题对{right}题" + (f"，错：{'、'.join(wrong)}" if wrong else "")
    return f"{right} of {len(lines)} right" + (f"; wrong: {', '.join(wrong)}" if wrong else "")


def place(desk: Desk, line: Line) -> Box:
    """The part of the line inside the picture."""
    return clipped(line.box, desk.width, desk.height)


def as_text(lines: list[Line], zh: bool, box: Callable[[Line], str]) -> str:
    """The marking as text, a line a problem; `box` gives what is said about a line's place."""
    rows = [marked(line, zh, box(line)) for line in lines]
    return "\n".join([*rows, summary(lines, zh)])


def as_json(desk: Desk, lines: list[Line], zh: bool) -> str:
    """The marking as JSON, its work first."""
    answer: dict[str, object] = {"work": [work(line, zh) for line in lines]}
    for line in lines:
        if line.error:
            answer[f"Q{line.number}"] = {
                "error_type": error_name(line, zh),
                "location": line.problem.as_written(line.answer, "空" if zh else "blank"),
                "suggestion": line.problem.solved,
                "box": desk.box_text(place(desk, line)),
            }
    answer["summary"] = {"right": sum(line.error is None for line in lines), "all": len(lines)}
    return re.sub(r'"(\[[\d,]+\])"', r"\1", json.dumps(answer, ensure_ascii=False))  # boxes are lists, written tight


_TYPED = {
    "zh": ("批改下面的算式：", "请批改：", "检查这些题对不对", "下面哪些题算错了？", "帮我看看这些算式：", "逐题批改",
           "判断对错：", "这几道题做得对吗？"),
    "en": ("Mark these sums:", "Check these sums.", "Which of these are wrong?", "Grade this homework:",
           "Are these sums right?", "Please correct:", "Go over each of these:", "Right or wrong?"),
}  # fmt: skip


def typed(r: Random) -> QA:
    """Sums written in the message, no picture: the same marking, from which solving them is learnt without seeing."""
    zh = r.random() < 0.5
    first = r.choice((1, 1, 1, r.randint(2, 12)))
    decimals, equations = r.random() < 0.25, r.random() < 0.35
    numbering, signs = r.choice(NUMBERINGS["zh" if zh else "en"]), r.choice(_SIGNS)
    letter = "y" if signs["×"] == "x" else "x"
    problems = [sums.problem(r, decimals, equations, letter) for _ in range(r.randint(1, 9))]
    lines = [Line(first + k, problem, problem.wanted) for k, problem in enumerate(problems)]
    _spoil(r, lines)
    rows = []
    for line in lines:
        written = line.problem.as_written(line.answer, r.choice(("", "__", "?")))
        for sign, other in signs.items():
            written = written.replace(sign, other)
        rows.append(f"{numbering.format(line.number)} {written}".rstrip())
    question = r.choice(_TYPED["zh" if zh else "en"]) + "\n" + "\n".join(rows)
    return QA("marking", "zh" if zh else "en", question, as_text(lines, zh, lambda _: ""))


def as_read(plan: Plan, lines: list[Line]) -> str | None:
    """The page line by line; None where answers stand inside boxes, which have no place in plain text."""
    if any(line.problem.form == "box" for line in lines):
        return None
    rows = [row.text for row in plan.rows if row.role in ("title", "head")]
    by_top: dict[int, list[Line]] = {}
    for line in lines:
        by_top.setdefault(line.pieces[0].baseline, []).append(line)
    for top in sorted(by_top):
        texts = []
        for line in sorted(by_top[top], key=lambda line: line.box[0]):
            number, printed = (piece.content.text for piece in line.pieces)
            answer = line.hand.content.text if line.hand else ""
            tight = line.problem.form == "sum" and " " not in printed
            texts.append(f"{number} {printed}{'' if tight else ' '}{answer}")
        rows.append(" ".join(texts))
    return "\n".join(" ".join(row.split()) for row in rows)


def ask(desk: Desk, plan: Plan, lines: list[Line]) -> list[QA]:
    """Questions about the page."""
    r = desk.r
    boxes = [place(desk, line) for line in lines if line.error]

    def whole(a: Asker) -> QA | None:
        kind = r.random()
        if kind < 0.45:
            answer = as_json(desk, lines, a.zh)
            return a.ask("marking", "marking_json", answer, boxes=boxes) if len(answer) <= MAX_JSON else None
        if kind < 0.75:
            answer = as_text(lines, a.zh, lambda line: desk.box_text(place(desk, line)))
            return a.ask("marking", "marking", answer, boxes=boxes) if len(answer) <= MAX_TEXT else None
        return a.ask("marking", "marking_plain", as_text(lines, a.zh, lambda _: ""))

    def everything(a: Asker) -> QA | None:
        text = as_read(plan, lines)
        return None if text is None or len(text) > MAX_TEXT else a.ask("read", "read", text)

    def no_amounts(a: Asker) -> QA | None:
        return a.ask("amounts", "amounts", NONE["amounts"][a.language])

    def one(a: Asker) -> QA | None:
        wrong = [line for line in lines if line.error]
        line = r.choice(wrong) if wrong and r.random() < 0.5 else r.choice(lines)
        return a.ask("marking", "one_question", marked(line, a.zh), str(line.number))

    def pupil(a: Asker) -> QA | None:
        line = r.choice(lines)
        blank = "未作答" if a.zh else "unanswered"
        return a.ask(
            "field", "pupil_answer", blank if line.answer is None else sums.written(line.answer), str(line.number)
        )

    def printed(a: Asker) -> QA | None:
        line = r.choice(lines)
        return a.ask("field", "question_text", line.problem.prompt, str(line.number))

    def count(a: Asker) -> QA | None:
        return a.ask("count", "question_count", str(len(lines)))

    def where(a: Asker) -> QA | None:
        line = r.choice(lines)
        return a.ask_place("question_box", place(desk, line), str(line.number))

    def blanks(a: Asker) -> QA | None:
        return a.ask("yesno", "unanswered", a.yes(any(line.answer is None for line in lines)))

    def describe(a: Asker) -> QA | None:
        return a.ask("describe", "describe", "一张算术练习" if a.zh else "an arithmetic worksheet")

    short = [
        (one, 40.0),
        (pupil, 16.0),
        (printed, 10.0),
        (count, 6.0),
        (where, 14.0),
        (blanks, 7.0),
        (describe, 3.0),
        (no_amounts, 2.0),
    ]
    return converse(desk, "worksheet", [(whole, 0.92)] + ([] if desk.wish.tasks else [(everything, 0.08)]), short)
