"""Pages of named values: forms in cells, signature lines, name plates, cards, lists of details, flyers of goods.

A label stands above its value, below it, or beside it in a column of its own; many labels of a page are much alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from training import content
from training.content import Text
from training.draw import Type
from training.layouts.plan import Cell, Piece, Plan, Row, Sheet, Stack, fit, settle
from training.layouts.prices import pricer
from training.layouts.text import max_characters, place_brand

# Labels that are easily mistaken for each other, Chinese and English, by what their values are. No total is among them:
# other modules ask for a page's total, which these pages do not have.
_ALIKE = {
    "price": (
        ("价格", "售价", "单价", "零售价", "会员价", "批发价", "市场价", "优惠价", "押金", "运费", "税额"),
        ("Price", "Unit price", "Retail price", "Member price", "List price", "Sale price", "Deposit", "Shipping",
         "Old price", "Tax", "Fee"),
    ),
    "date": (
        ("生产日期", "制造日期", "包装日期", "出厂日期", "签发日期", "订购日期", "发货日期", "检验日期", "保质期",
         "有效期至"),
        ("Made on", "Mfg date", "Packed on", "Issued on", "Order date", "Shipped on", "Checked on", "Due date",
         "Best before", "Use by"),
    ),
    "code": (
        ("批号", "生产批号", "货号", "型号", "序列号", "订单号", "会员号", "工号", "座位", "编号"),
        ("Batch", "Lot no.", "Item no.", "Model", "Serial no.", "Order no.", "Member no.", "Staff no.", "Seat", "Code"),
    ),
    "weight": (
        ("净含量", "净重", "毛重", "规格", "重量"), ("Net weight", "Gross weight", "Net wt", "Size", "Weight"),
    ),
    "phone": (("电话", "联系电话", "客服热线", "手机", "传真"), ("Phone", "Tel", "Hotline", "Mobile", "Fax")),
    "person": (
        ("姓名", "联系人", "收货人", "部门", "职位", "材质", "产地", "原产地"),
        ("Name", "Contact", "Clerk", "Department", "Position", "Material", "Origin", "Made in"),
    ),
    "number": (("数量", "件数", "箱数", "层数"), ("Quantity", "Pieces", "Boxes", "Level")),
    "measure": (
        ("电压", "功率", "频率", "转速", "电流"), ("Voltage", "Power", "Frequency", "Speed", "Current"),
    ),
}  # fmt: skip
_UNITS = ("V", "W", "Hz", "rpm", "A")
_FREE = ("person", "brand", "maker", "store", "contents", "address")  # values that may be cut short
_TITLES = {
    "form": ("登记表 申请单 收货单 检验单 出库单 领料单 预约单 信息卡".split(),
             "Form|Delivery note|Check sheet|Registration|Job card|Work order|Request|Record".split("|")),
    "details": ("产品参数 规格参数 铭牌 技术参数 基本信息 商品详情".split(),
                "Data sheet|Specifications|Details|Product data|Nameplate|Overview".split("|")),
    "flyer": ("本周特价 新品速递 精选好物 超值套餐 天天低价 周末优惠".split(),
              "Weekly deals|New in|Top picks|This weekend|Great value|Fresh offers".split("|")),
}  # fmt: skip


@dataclass(slots=True)
class Entry:
    """A label and its value; `key` is one of `content.FIELD_ORDER` or of this module."""

    key: str
    label: str
    value: Text


def entries(sheet: Sheet, count: int) -> list[Entry]:
    """Named values of one page, labels all different: often several of one sort."""
    r, zh = sheet.r, sheet.language == "zh"
    price, found, used = pricer(r), list[Entry](), set[str]()
    sorts = r.sample(tuple(_ALIKE), 2)
    if r.random() < 0.45:
        sorts[0] = r.choice(("price", "date", "code"))
    while len(found) < count:
        kind = r.random()
        if kind < 0.6:
            key = sorts[0] if kind < 0.4 else sorts[1]
            label = r.choice(_ALIKE[key][0 if zh else 1])
        elif kind < 0.75:
            key = r.choice(tuple(_ALIKE))
            label = r.choice(_ALIKE[key][0 if zh else 1])
        else:
            key = r.choice(content.FIELD_ORDER)
            label = r.choice((content.FIELDS_ZH if zh else content.FIELDS_EN)[key])
        if label in used:
            count -= r.random() < 0.3  # a sort may have fewer labels than are wanted
            continue
        used.add(label)
        if key == "price":
            value = price(sheet.signs)
        elif key in _ALIKE:
            value = Text(_value(sheet, key, label))
        else:
            value = content.field_value(r, key, sheet.language, sheet.vocabulary, sheet.num_hanzi, sheet.signs)
        found.append(Entry(key, label, value))
    return found


def _value(sheet: Sheet, key: str, label: str) -> str:
    r, zh = sheet.r, sheet.language == "zh"
    match key:
        case "date":
            return content.date(r, sheet.language)
        case "code":
            return content.code(r) if r.random() < 0.7 else content.digits(r, r.randint(3, 9))
        case "weight":
            return content.weight(r, sheet.language)
        case "phone":
            return content.phone(r)
        case "number":
            return str(r.choice((r.randint(1, 20), r.randint(1, 999))))
        case "measure":
            unit = _UNITS[_ALIKE["measure"][0 if zh else 1].index(label)]
            return f"{r.choice((r.randint(1, 99), 10 * r.randint(1, 99), 110, 220, 380, 50, 60))}{unit}"
        case _:
            length = r.randint(2, 4) if zh else r.randint(4, 11)
            return content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, length)


def _note(plan: Plan, entry: Entry, label: Piece, value: Piece) -> None:
    """Remember a field as drawn, unless its label was cut."""
    if label.content.text.rstrip("：: ") == entry.label:
        plan.fields.append((entry.key, entry.label, value.content.text))
        plan.value_pieces[entry.label] = value


def _types(sheet: Sheet) -> tuple[Type, Type]:
    """A smaller type for labels, the usual or a larger one for values."""
    r, kind = sheet.r, sheet.type
    other = r.choice(sheet.other_types) if sheet.other_types and r.random() < 0.3 else kind
    return (
        other.sized(max(other.min_size, kind.size - r.choice((0, 2, 3, 5)))),
        kind.sized(kind.size + r.choice((0, 0, 2, 4))),
    )


def _title(sheet: Sheet, plan: Plan, stack: Stack, name: str, chance: float) -> None:
    r, zh = sheet.r, sheet.language == "zh"
    if r.random() < chance and stack.left > 4 * sheet.type.size:
        text = r.choice(_TITLES[name][0 if zh else 1])
        row = stack.add(Cell(Text(text), r.choice("lccr"), type=sheet.heading(1.25), role="title"), role="title")
        plan.caption = row.text if row else ""


def _settled(sheet: Sheet, plan: Plan, stack: Stack) -> Plan:
    """The finished page; one with room for nothing but its title is a line of text."""
    if not plan.fields and not plan.items:
        plan.kind, plan.caption, plan.rules = "lines", "", []
    settle(plan, sheet.r, stack.y1)
    return plan


def _fitting(waiting: list[Entry], width: int, small: Type, large: Type) -> Entry | None:
    """The next entry whose label and value fit into a width; what does not is put off."""
    for index, entry in enumerate(waiting[:4]):
        if fit(Text(entry.label), small, width, False) and fit(entry.value, large, width, entry.key in _FREE):
            return waiting.pop(index)
    return None


def _cells(r: Random, x0: int, x1: int, columns: int) -> list[tuple[int, int]]:
    """Left and right edge of each cell: alike or uneven."""
    shares = [1.0] * columns if r.random() < 0.5 else [r.uniform(0.8, 1.4) for _ in range(columns)]
    edges = [x0 + round((x1 - x0) * sum(shares[:k]) / sum(shares)) for k in range(columns + 1)]
    return list(zip(edges, edges[1:], strict=False))


def form(sheet: Sheet) -> Plan:
    """Boxed or ruled cells in one to three columns: a small label at the top left of each, its value below."""
    plan = sheet.plan("form")
    stack = Stack(sheet, plan)
    _title(sheet, plan, stack, "form", 0.6)
    style = sheet.r.choice(("box", "box", "box", "round", "plate", "bars"))
    _grid(sheet, plan, stack, style, label_first=True)
    return _settled(sheet, plan, stack)


def signed(sheet: Sheet) -> Plan:
    """Values on ruled lines, the label in small type below each line, in one to three columns."""
    plan = sheet.plan("signed")
    stack = Stack(sheet, plan)
    _title(sheet, plan, stack, "form", 0.6)
    _grid(sheet, plan, stack, "under", label_first=False)
    return _settled(sheet, plan, stack)


def _grid(sheet: Sheet, plan: Plan, stack: Stack, style: str, label_first: bool) -> None:
    r = sheet.r
    small, large = _types(sheet)
    waiting, most = entries(sheet, 14), max(1, min(3, (stack.x1 - stack.x0) // (6 * sheet.type.size)))
    pad, gap = r.randint(4, 9), r.choice((0, 0, 3, 6)) if style != "under" else r.randint(2, 10)
    align, same = r.choice("lllc"), r.choice((0, 0, r.randint(1, most)))
    for _ in range(r.randint(2, max(3, sheet.height // 50))):
        if len(plan.text) > max_characters(sheet):
            break
        edges = _cells(r, stack.x0 + 1, stack.x1 - 1, same or r.randint(1, most))
        found = [(x0, x1, entry) for x0, x1 in edges if (entry := _fitting(waiting, x1 - x0 - 2 * pad, small, large))]
        top, kept = stack.y, len(plan.rows)
        if not found or stack.left < 2 * pad + 2 * sheet.type.size:
            break
        stack.skip(pad)

        def cell(x0: int, x1: int, text: Text, kind: Type, cut: bool) -> Cell:
            at = x0 + pad if align == "l" else (x0 + x1) // 2
            return Cell(text, align, at=at, width=x1 - x0 - 2 * pad, type=kind, cut=cut)

        labels = [cell(x0, x1, Text(entry.label), small, False) for x0, x1, entry in found]
        values = [cell(x0, x1, entry.value, large, entry.key in _FREE) for x0, x1, entry in found]
        first, second = (labels, values) if label_first else (values, labels)
        between = r.randint(2, 5) + (4 if style == "under" else 0)
        above = stack.add(*first, role="labels" if label_first else "values", gap=between)
        below = stack.add(*second, role="values" if label_first else "labels", gap=0) if above else None
        if above is None or below is None:
            del plan.rows[kept:]
            stack.y = top
            break
        stack.skip(pad)
        for k, (x0, x1, entry) in enumerate(found):
            label, value = (above, below) if label_first else (below, above)
            _note(plan, entry, label.pieces[k], value.pieces[k])
            if style == "under":
                y = above.bottom + 1
                plan.rules.append(((x0 + pad // 2, y, x1 - pad, y + 1), "line"))
            elif style == "bars":
                plan.rules.append(((x0, top + 2, x0 + 2, stack.y - 2), "line"))
            else:
                plan.rules.append(((x0, top, x1, min(stack.y, plan.height - 2)), style))
        stack.skip(gap)


def nameplate(sheet: Sheet) -> Plan:
    """Labels in a column at the left, values in one beside it, with rules, dots or plates between them."""
    r, plan = sheet.r, sheet.plan("nameplate")
    stack = Stack(sheet, plan)
    framed = r.random() < 0.4
    if framed:
        stack = Stack(sheet, plan, (stack.x0 + 6, stack.y + 6, stack.x1 - 6, stack.y1 - 6))
    place_brand(sheet, plan, stack, 0.15)
    _title(sheet, plan, stack, "details", 0.6)
    middle = stack.x0 + int((stack.x1 - stack.x0) * r.uniform(0.36, 0.55))
    style, joint = r.choice(("line", "line", "dots", "plate", "none")), r.choice(("", "", "：", ":"))
    align, top = r.choice("llr"), stack.y
    for entry in entries(sheet, r.randint(2, max(5, sheet.height // 34))):
        row = _side_by_side(stack, entry, middle, joint, align)
        if row is None or len(plan.text) > max_characters(sheet):
            break
        label, value = row.pieces
        _note(plan, entry, label, value)
        y = row.bottom + max(1, sheet.gap // 2)
        if style == "line" and y < stack.y1:
            plan.rules.append(((stack.x0, y, stack.x1, y + 1), "line"))
        elif style == "dots":
            plan.rules.append(((label.box[2] + 4, row.bottom - 3, value.box[0] - 4, row.bottom - 2), "dots"))
    if style == "plate" and plan.fields:
        plan.rules.append(((stack.x0 - 3, top - 2, middle - 4, plan.rows[-1].bottom + 3), "plate"))
    if framed and plan.rows:
        low = plan.rows[-1].bottom + 6
        plan.rules.append(
            ((stack.x0 - 6, sheet.margin, stack.x1 + 6, min(low, stack.y1 + 6)), r.choice(("box", "round")))
        )
    return _settled(sheet, plan, stack)


def _side_by_side(stack: Stack, entry: Entry, middle: int, joint: str, align: str) -> Row | None:
    value = (
        Cell(entry.value, "l", at=middle + 4, width=stack.x1 - middle - 4, cut=entry.key in _FREE)
        if align == "l"
        else Cell(entry.value, "r", width=stack.x1 - middle - 4, cut=entry.key in _FREE)
    )
    return stack.add(Cell(Text(entry.label + joint), "l", width=middle - stack.x0 - 6, cut=False), value, role="field")


def details(sheet: Sheet) -> Plan:
    """Labels right-aligned against their values along a middle line, in one block or two."""
    r, plan = sheet.r, sheet.plan("details")
    stack = Stack(sheet, plan)
    _title(sheet, plan, stack, "details", 0.5)
    blocks = 2 if stack.x1 - stack.x0 > 20 * sheet.type.size and r.random() < 0.6 else 1
    joint, share, apart = r.choice(("", "：", ":")), r.uniform(0.36, 0.48), r.randint(6, 14)
    small, large = _types(sheet)
    waiting = entries(sheet, 7 * blocks)
    edges = _cells(r, stack.x0, stack.x1, blocks)
    middles = [x0 + int((x1 - x0) * share) for x0, x1 in edges]
    for _ in range(r.randint(2, max(4, sheet.height // 36))):
        found, cells = [], []
        for (x0, x1), middle in zip(edges, middles, strict=True):
            entry = _fitting(waiting, min(middle - x0 - 10, x1 - middle - apart - 8), small, large)
            if entry is not None:
                found.append(entry)
                cells.append(
                    Cell(Text(entry.label + joint), "r", at=middle, width=middle - x0 - 2, type=small, cut=False)
                )
                cells.append(
                    Cell(entry.value, "l", at=middle + apart, width=x1 - middle - apart - 8, type=large,
                         cut=entry.key in _FREE)
                )  # fmt: skip
        if not found or len(plan.text) > max_characters(sheet):
            break
        row = stack.add(*cells, role="field")
        if row is None:
            break
        for k, entry in enumerate(found):
            _note(plan, entry, row.pieces[2 * k], row.pieces[2 * k + 1])
    if plan.fields and r.random() < 0.4:
        for middle in middles:
            x = middle + apart // 2
            plan.rules.append(((x, plan.rows[1 if plan.caption else 0].top, x + 1, plan.rows[-1].bottom), "line"))
    return _settled(sheet, plan, stack)


def card(sheet: Sheet) -> Plan:
    """A name in large type, then label over value in one column beside a bar, centred, or at the right edge."""
    r, plan = sheet.r, sheet.plan("card")
    stack = Stack(sheet, plan)
    place_brand(sheet, plan, stack, 0.2)
    align, bar = r.choice("llcr"), r.randint(8, 14)
    name = content.item(r, sheet.language, sheet.vocabulary, sheet.num_hanzi)
    title = stack.add(Cell(Text(name), align, type=sheet.heading(1.35), role="title"), role="title")
    plan.caption = title.text if title else ""
    if r.random() < 0.5:
        y = stack.y
        plan.rules.append(((stack.x0, y, stack.x1, y + r.choice((1, 1, 3))), "line"))
        stack.skip(8)
    small, large = _types(sheet)
    inner = Stack(sheet, plan, (stack.x0 + (bar if align == "l" else 0), stack.y, stack.x1, stack.y1))
    gap, ruled = r.randint(6, 16), r.random() < 0.3
    for entry in entries(sheet, r.randint(2, max(3, sheet.height // 56))):
        top, kept = inner.y, len(plan.rows)
        if len(plan.text) > max_characters(sheet):
            break
        label = inner.add(Cell(Text(entry.label), align, type=small, cut=False), role="labels", gap=r.randint(2, 4))
        value = inner.add(Cell(entry.value, align, type=large, cut=entry.key in _FREE), role="values", gap=gap)
        if label is None or value is None:
            del plan.rows[kept:]
            break
        _note(plan, entry, label.pieces[0], value.pieces[0])
        if align == "l":
            plan.rules.append(((stack.x0, top, stack.x0 + 3, value.bottom), "line"))
        elif ruled and value.bottom + gap // 2 + 1 < stack.y1:
            y = value.bottom + gap // 2
            plan.rules.append(((stack.x0 + 8, y, stack.x1 - 8, y + 1), "line"))
    return _settled(sheet, plan, stack)


def flyer(sheet: Sheet) -> Plan:
    """Goods in tiles, each price above or below its name; or one thing at a large price and smaller ones below."""
    r, plan = sheet.r, sheet.plan("flyer")
    stack = Stack(sheet, plan)
    price = pricer(r)
    if r.random() < 0.4:
        _one_large(sheet, plan, stack)
    else:
        _title(sheet, plan, stack, "flyer", 0.6)
    most = max(1, min(3, (stack.x1 - stack.x0) // (5 * sheet.type.size)))
    columns, style = r.randint(1, most), r.choice(("box", "round", "plate", "none", "none"))
    name_first, align, pad = r.random() < 0.7, r.choice("lcc"), r.randint(3, 8)
    usual = sheet.heading(r.choice((1.0, 1.15, 1.3, 1.6)))
    for _ in range(r.randint(1, max(3, sheet.height // 70))):
        edges = _cells(r, stack.x0 + 1, stack.x1 - 1, columns)
        top, kept = stack.y, len(plan.rows)
        stack.skip(pad)
        names, prices = list[Cell](), list[Cell]()
        for x0, x1 in edges:
            at, width = (x0 + pad if align == "l" else (x0 + x1) // 2), x1 - x0 - 2 * pad
            before = names[-1].content.text if names else plan.items[-1][0] if plan.items else ""
            text = content.item(r, sheet.language, sheet.vocabulary, sheet.num_hanzi)
            if before and r.random() < 0.3:
                text = content.similar(r, before, sheet.language)
            names.append(Cell(Text(text), align, at=at, width=width))
            prices.append(Cell(price(sheet.signs), align, at=at, width=width, type=usual, cut=False))
        upper, lower = (names, prices) if name_first else (prices, names)
        above = stack.add(*upper, role="tiles", gap=r.randint(3, 6))
        below = stack.add(*lower, role="tiles", gap=0) if above else None
        if above is None or below is None or len(plan.text) > max_characters(sheet):
            del plan.rows[kept:]
            stack.y = top
            break
        stack.skip(pad)
        named, priced = (above, below) if name_first else (below, above)
        for (x0, x1), name, cost in zip(edges, named.pieces, priced.pieces, strict=True):
            _note_item(plan, name, cost)
            if style != "none":
                plan.rules.append(((x0, top, x1, min(stack.y, plan.height - 2)), style))
        stack.skip(r.randint(2, 10))
    return _settled(sheet, plan, stack)


def _note_item(plan: Plan, name: Piece, cost: Piece) -> None:
    plan.items.append((name.content.text, cost.content.amounts[0].value))
    plan.value_pieces[name.content.text] = cost


def _one_large(sheet: Sheet, plan: Plan, stack: Stack) -> None:
    """A thing with its price in very large type."""
    r = sheet.r
    align, big = r.choice("lcr"), sheet.heading(r.choice((1.7, 2.0, 2.4)))
    text = Text(content.item(r, sheet.language, sheet.vocabulary, sheet.num_hanzi))
    name = stack.add(Cell(text, align, type=sheet.heading(1.2), role="title"), role="title", gap=5)
    if name is None:
        return
    plan.caption = name.text
    row = stack.add(Cell(content.price(r, sheet.signs), align, type=big, cut=False), role="total")
    if row is not None:
        _note_item(plan, name.pieces[0], row.pieces[0])
    stack.skip(r.randint(0, 8))
