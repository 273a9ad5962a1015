"""Product labels: a name and named fields in one of four forms, among them the expiry date."""

from __future__ import annotations

from training import content
from training.content import Text
from training.layouts.plan import Cell, Plan, Sheet, Stack, settle
from training.layouts.text import max_characters, place_brand, poster_line


def label(sheet: Sheet) -> Plan:
    """Brand mark, name, four or so fields of which one may be a price, sometimes a claim."""
    r, plan = sheet.r, sheet.plan("label")
    stack = Stack(sheet, plan)
    place_brand(sheet, plan, stack)
    name = content.item(r, sheet.language, sheet.vocabulary, sheet.num_hanzi)
    row = stack.add(Cell(Text(name), r.choice("lcc"), type=sheet.heading(1.4), role="title"), role="title")
    plan.caption = row.text if row else ""
    if r.random() < 0.3:
        text, claim = poster_line(sheet)
        stack.add(Cell(text, r.choice("lc"), cut=not claim))
    form = r.choices(("joint", "apart", "stacked", "paired"), (58, 18, 14, 10))[0]
    keys = choose_fields(sheet, r.randint(2, 7))
    while keys and stack.left >= sheet.type.size and len(plan.text) <= max_characters(sheet):
        if form == "paired" and len(keys) > 1 and stack.x1 - stack.x0 > 15 * sheet.type.size:
            _two_fields(sheet, plan, stack, keys.pop(0), keys.pop(0))
        elif form == "stacked":
            _stacked_field(sheet, plan, stack, keys.pop(0))
        else:
            add_field(sheet, plan, stack, keys.pop(0), form == "apart")
    if r.random() < 0.3:
        stack.add(Cell(Text(content.distractor(r, sheet.language)), "l"))
    settle(plan, r, stack.y1)
    return plan


def choose_fields(sheet: Sheet, count: int) -> list[str]:
    """Field keys of one page: an expiry date mostly, never two fields that share a label."""
    r = sheet.r
    keys = r.sample(content.FIELD_ORDER, count)
    if "expiry" not in keys and r.random() < 0.55:
        keys[0] = "expiry"
    if "expiry" in keys and "life" in keys:
        keys.remove("life")
    return keys


def _name_and_value(sheet: Sheet, key: str) -> tuple[str, Text]:
    names = (content.FIELDS_ZH if sheet.language == "zh" else content.FIELDS_EN)[key]
    name = sheet.r.choice(names)
    value = content.field_value(sheet.r, key, sheet.language, sheet.vocabulary, sheet.num_hanzi, sheet.signs)
    return name, value


def _stacked_field(sheet: Sheet, plan: Plan, stack: Stack, key: str) -> None:
    """One field on two rows: the name, and its value right below."""
    name, value = _name_and_value(sheet, key)
    if stack.left < 2.6 * sheet.type.size or stack.add(Cell(Text(name), "l", cut=False), gap=3) is None:
        stack.skip(stack.left)
        return
    row = stack.add(Cell(value, "l", cut=key in FREE_TEXT), role="field")
    if row is None:
        plan.rows.pop()
        stack.skip(stack.left)
        return
    plan.fields.append((key, name, row.pieces[0].content.text))


def _two_fields(sheet: Sheet, plan: Plan, stack: Stack, *keys: str) -> None:
    """Two fields side by side on one row."""
    half, cells, found = (stack.x1 - stack.x0) // 2, [], []
    joint = sheet.r.choice(("：", "： ", " ") if sheet.language == "zh" else (": ", " "))
    for index, key in enumerate(keys):
        name, value = _name_and_value(sheet, key)
        at = stack.x0 + index * half
        cells.append(Cell(Text(name + joint) + value, "l", at=at, width=half - 10, cut=False))
        found.append((key, name, value.text))
    if stack.add(*cells, role="field") is not None:
        plan.fields += found


FREE_TEXT = ("brand", "maker", "store", "contents", "address")  # fields whose values may be cut short on a narrow page


def add_field(sheet: Sheet, plan: Plan, stack: Stack, key: str, apart: bool) -> None:
    """One field on one row: "name: value", or name left and value right."""
    r, zh = sheet.r, sheet.language == "zh"
    names = (content.FIELDS_ZH if zh else content.FIELDS_EN)[key]
    name = r.choice(names)
    value = content.field_value(r, key, sheet.language, sheet.vocabulary, sheet.num_hanzi, sheet.signs)
    if apart:
        row = stack.pair(Text(name), value, "field")
        if row is not None and row.pieces[0].content.text == name:
            plan.fields.append((key, name, value.text))
        return
    joint = r.choice(("：", "：", " ", ":")) if zh else r.choice((": ", ": ", " "))
    row = stack.add(Cell(Text(name + joint) + value, "l", cut=key in FREE_TEXT), role="field")
    if row is None:
        return
    drawn = row.pieces[0].content.text
    shown = drawn[len(name) + len(joint) :].strip()
    if drawn.startswith(name) and shown:
        plan.fields.append((key, name, shown))
