"""Product labels: a name and named fields, among them the expiry date."""

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
    apart = r.random() < 0.2  # label left, value right
    for key in choose_fields(sheet, r.randint(2, 7)):
        if stack.left < sheet.type.size or len(plan.text) > max_characters(sheet):
            break
        add_field(sheet, plan, stack, key, apart)
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
