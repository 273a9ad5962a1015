"""Layouts that no training page uses: they show whether reading has been learnt or the trained arrangements only."""

from __future__ import annotations

from training import content
from training.content import Text
from training.layouts.goods import add_field, choose_fields
from training.layouts.plan import Cell, Plan, Sheet, Stack, settle


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
        names, values = [], []
        for k in range(slots):
            at, width = stack.x0 + k * step, step - 12
            key = "price" if r.random() < 0.35 else r.choice(("made", "batch", "phone", "origin", "grade"))
            name = r.choice((content.FIELDS_ZH if zh else content.FIELDS_EN)[key])
            value = content.field_value(r, key, sheet.language, sheet.vocabulary, sheet.num_hanzi, sheet.signs)
            names.append(Cell(Text(name), "l", at=at, width=width, type=small))
            values.append(Cell(value, "l", at=at, width=width, type=large, cut=not value.amounts))
        if stack.left < 3 * sheet.type.size or stack.add(*names, gap=4) is None:
            break
        if stack.add(*values) is None:
            plan.rows.pop()
            break
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
