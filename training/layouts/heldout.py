"""Layouts that no training page uses: they show whether reading has been learnt or the trained arrangements only."""

from __future__ import annotations

import math

from training import content
from training.content import Text
from training.layouts.goods import add_field, choose_fields
from training.layouts.plan import Cell, Plan, Shape, Sheet, Stack, settle
from training.layouts.shapes import choose_kinds


def ticket(sheet: Sheet) -> Plan:
    """A heading, then names in small type each above its value in larger type, two to a row."""
    r, zh, plan = sheet.r, sheet.language == "zh", sheet.plan("ticket")
    stack = Stack(sheet, plan)
    title = r.choice(
        ("入场券", "乘车券", "停车票", "演出票") if zh else ("TICKET", "Boarding pass", "Admission", "Entry pass")
    )
    row = stack.add(Cell(Text(title), "l", type=sheet.heading(1.3), role="title"), role="title")
    plan.caption = row.text if row else ""
    small, large = (
        sheet.type.sized(max(sheet.type.min_size, sheet.type.size - 3)),
        sheet.type.sized(sheet.type.size + 2),
    )
    slots = 2 if stack.x1 - stack.x0 > 11 * sheet.type.size else 1
    step = (stack.x1 - stack.x0) // slots
    for _ in range(r.randint(1, 4)):
        names, values, keys = [], [], []
        for k in range(slots):
            at, width = stack.x0 + k * step, step - 12
            key = "price" if r.random() < 0.35 else r.choice(("made", "batch", "phone", "origin", "grade"))
            keys.append(key)
            name = r.choice((content.FIELDS_ZH if zh else content.FIELDS_EN)[key])
            value = content.field_value(r, key, sheet.language, sheet.vocabulary, sheet.num_hanzi, sheet.signs)
            names.append(Cell(Text(name), "l", at=at, width=width, type=small, cut=False))
            values.append(Cell(value, "l", at=at, width=width, type=large, cut=False))
        if stack.left < 3 * sheet.type.size or stack.add(*names, gap=4) is None:
            break
        if stack.add(*values) is None:
            plan.rows.pop()
            break
        for key, name, value, cell in zip(keys, plan.rows[-2].pieces, plan.rows[-1].pieces, names, strict=True):
            if name.content.text == cell.content.text:
                plan.fields.append((key, name.content.text, value.content.text))
    settle(plan, r, stack.y1)
    return plan


def coupon(sheet: Sheet) -> Plan:
    """A very large amount in the middle, conditions in small type around it, fields at the foot."""
    r, zh, plan = sheet.r, sheet.language == "zh", sheet.plan("coupon")
    stack = Stack(sheet, plan)
    small = sheet.type.sized(max(sheet.type.min_size, sheet.type.size - 2))
    slogans = content.SLOGANS_ZH if zh else content.SLOGANS_EN
    row = stack.add(Cell(Text(r.choice(slogans)), "c", type=small), role="title")
    plan.caption = row.text if row else ""
    stack.add(Cell(content.price(r, sheet.signs), "c", type=sheet.heading(2.2), cut=False), role="total")
    lead = Text("满" if zh else "Spend ") + content.price(r, sheet.signs) + Text("可用" if zh else " or more")
    stack.add(Cell(lead, "c", type=small, cut=False))
    for key in choose_fields(sheet, 2):
        add_field(sheet, plan, stack, key, False)
    settle(plan, r, stack.y1)
    return plan


def statement(sheet: Sheet) -> Plan:
    """Day, words and an amount a row, prices in the last column under a head."""
    r, zh, plan = sheet.r, sheet.language == "zh", sheet.plan("statement")
    stack = Stack(sheet, plan)
    row = stack.add(
        Cell(Text("交易明细" if zh else "Statement"), "l", type=sheet.heading(1.2), role="title"), role="title"
    )
    plan.caption = row.text if row else ""
    width, middle = stack.x1 - stack.x0, stack.x0 + max(3 * sheet.type.size, (stack.x1 - stack.x0) // 5)
    heads = ("日期", "摘要", "金额") if zh else ("Day", "Details", "Amount")
    room = stack.x1 - middle - int(width * 0.38)
    stack.add(
        Cell(Text(heads[0]), "l"),
        Cell(Text(heads[1]), "l", at=middle, width=room),
        Cell(Text(heads[2]), "r"),
        role="head",
    )
    signs = sheet.price_signs(0.6)
    for _ in range(r.randint(2, 9)):
        if stack.left < sheet.type.size:
            break
        day = Text(f"{r.randint(1, 12)}/{r.randint(1, 28)}")
        name = Text(content.item(r, sheet.language, sheet.vocabulary, sheet.num_hanzi))
        amount = content.price(r, signs)
        row = stack.add(
            Cell(day, "l", width=middle - stack.x0 - 4),
            Cell(name, "l", at=middle, width=room),
            Cell(amount, "r", width=int(width * 0.36), cut=False),
            role="item",
        )
        if row is not None:
            plan.items.append((row.pieces[1].content.text, amount.amounts[0].value))
    settle(plan, r, stack.y1)
    return plan


def arc(sheet: Sheet) -> Plan:
    """Shapes along a circle, an arc or a slanted line, sometimes with a word in the middle or at the foot."""
    r, plan = sheet.r, sheet.plan("arc")
    m = sheet.margin
    width, height = sheet.width - 2 * m, sheet.height - 2 * m
    if r.random() < 0.4:
        stack = Stack(
            sheet, plan, (m, sheet.height - m - int(1.6 * sheet.type.size), sheet.width - m, sheet.height - m)
        )
        text = content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, 4)
        if stack.add(Cell(Text(text), "c")) is not None:
            height -= 2 * sheet.type.size
    count, kinds, kind = r.randint(1, 8), choose_kinds(sheet), r.choice(("circle", "slant"))
    centres = []
    for k in range(count):
        if kind == "circle":
            angle = 2 * math.pi * (k / count + 0.07)
            centres.append((m + width * (0.5 + 0.36 * math.sin(angle)), m + height * (0.5 - 0.36 * math.cos(angle))))
        else:
            at = (k + 0.5) / count
            centres.append((m + width * at, m + height * (0.22 + 0.56 * at)))
    apart = min(
        (math.dist(a, b) for i, a in enumerate(centres) for b in centres[:i]), default=float(min(width, height))
    )
    inside = min(min(x, y, sheet.width - x, sheet.height - y) for x, y in centres)
    most = min(apart / 2 - 2, inside - 2, 0.13 * min(width, height), 60.0)
    for x, y in centres:
        name, colour = r.choice(kinds)
        plan.shapes.append(Shape(name, colour, x, y, max(6.0, most * r.choice((1.0, 1.0, 0.66)))))
    return plan


def signboard(sheet: Sheet) -> Plan:
    """Words in named colours in two columns, or each further to the right than the one above."""
    r, plan = sheet.r, sheet.plan("signboard")
    stack = Stack(sheet, plan)
    colours = r.sample(tuple(content.COLOURS), r.randint(2, 5))
    setting = sheet.type.sized(max(20, sheet.type.size))
    columns = 2 if stack.x1 - stack.x0 > 12 * setting.size and r.random() < 0.5 else 1
    for index in range(r.randint(2, 5)):
        step = 0 if columns == 2 else index * setting.size // 2
        cells = [
            Cell(
                Text(content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, r.randint(2, 5))),
                "l",
                at=stack.x0 + step + k * (stack.x1 - stack.x0) // columns,
                width=(stack.x1 - stack.x0) // columns - step - 8,
                type=setting,
            )
            for k in range(columns)
        ]
        row = stack.add(*cells)
        for piece in row.pieces if row is not None else ():
            piece.colour_name = r.choice(colours)
    settle(plan, r, stack.y1)
    return plan
