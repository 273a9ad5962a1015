"""Pages that sell: receipts, menus, price tags, tables, invoices. Bare numbers in their price columns are amounts."""

from __future__ import annotations

from random import Random

from training import content
from training.content import Text
from training.layouts.plan import Cell, Plan, Row, Sheet, Stack, settle
from training.layouts.prices import pricer
from training.layouts.text import max_characters, place_brand, rows_for


def _item(sheet: Sheet, before: str = "") -> Text:
    """Something sold; with `before`, the name of another thing, often a name much like it."""
    if before and sheet.r.random() < 0.3:
        return Text(content.similar(sheet.r, before, sheet.language))
    return Text(content.item(sheet.r, sheet.language, sheet.vocabulary, sheet.num_hanzi))


def _last_name(plan: Plan) -> str:
    return plan.items[-1][0] if plan.items else ""


def _remember_sum(plan: Plan, row: Row | None, label: str) -> None:
    """Note a named amount that is neither an item nor the total."""
    if row is not None and row.pieces[0].content.text.startswith(label) and row.pieces[-1].content.amounts:
        plan.sums.append((label, row.pieces[-1].content.amounts[-1].value))


def _remember(plan: Plan, row: Row | None) -> Row | None:
    """Note the item of a row: first piece its name, last amount its price."""
    if row is not None and row.pieces[-1].content.amounts:
        plan.items.append((row.pieces[0].content.text, row.pieces[-1].content.amounts[-1].value))
    return row


def _sum(values: list[str]) -> str:
    return f"{sum(float(value) for value in values):.2f}"


def receipt(sheet: Sheet) -> Plan:
    """Shop, date and numbers, items with prices at the right, total, how it was paid, thanks."""
    r, zh, plan = sheet.r, sheet.language == "zh", sheet.plan("receipt")
    stack = Stack(sheet, plan)
    _receipt_head(sheet, plan, stack)
    signs, price = sheet.price_signs(0.5), pricer(r)
    if r.random() < 0.3:
        stack.pair(
            Text("品名" if zh else "Item"),
            Text(r.choice(("金额", "价格")) if zh else r.choice(("Price", "Amount"))),
            "head",
        )
    quantity = r.random() < 0.35
    for _ in range(rows_for(sheet, 1, 9)):
        if stack.left < 3.2 * sheet.type.size or len(plan.text) > max_characters(sheet):
            break
        name = _item(sheet, _last_name(plan))
        if quantity and r.random() < 0.6:
            name = name + Text(r.choice((" x{}", " *{}", "x{}")).format(r.randint(1, 9)))
        _remember(plan, stack.pair(name, price(signs)))
    total_at = len(plan.rows)
    if plan.items and r.random() < 0.35:
        for label in r.sample(content.SUBTOTAL["zh" if zh else "en"], r.randint(1, 2)):
            row = stack.pair(Text(label + r.choice(("", "：" if zh else ":"))), price(signs), "subtotal")
            _remember_sum(plan, row, label)
    if plan.items and r.random() < 0.85:
        _receipt_total(sheet, plan, stack, signs)
    if len(plan.rows) > total_at and r.random() < 0.4:
        for label in r.choice(content.PAID_ZH if zh else content.PAID_EN):
            if label:
                _remember_sum(plan, stack.pair(Text(label), price(signs), "paid"), label)
    for _ in range(r.randint(0, 2)):
        text = (
            r.choice(content.THANKS_ZH if zh else content.THANKS_EN)
            if r.random() < 0.7
            else content.distractor(r, sheet.language)
        )
        stack.add(Cell(Text(text), "c"), role="foot")
    settle(plan, r, stack.y1)
    return plan


def _receipt_head(sheet: Sheet, plan: Plan, stack: Stack) -> None:
    r, zh = sheet.r, sheet.language == "zh"
    if r.random() < 0.8 and stack.left > 5 * sheet.type.size:
        title = r.choice(content.SHOPS_ZH if zh else content.SHOPS_EN)
        row = stack.add(Cell(Text(title), "c", type=sheet.heading(), role="title"), role="title")
        plan.caption = row.text if row else ""
        if r.random() < 0.35:
            stack.add(Cell(Text(r.choice(content.TITLES_ZH if zh else content.TITLES_EN)), "c"), role="title")
    lines = [content.distractor(r, sheet.language) for _ in range(r.randint(0, 2))]
    if r.random() < 0.7:
        lines.insert(r.randint(0, len(lines)), _printed_at(r, zh))
    for text in lines:
        if stack.left > 5 * sheet.type.size:
            stack.add(Cell(Text(text), r.choice("lc")), role="head")


def _printed_at(r: Random, zh: bool) -> str:
    """When a receipt was printed: a date, mostly with the time."""
    label = r.choice(("", "", "日期：", "时间 ")) if zh else r.choice(("", "", "Date: ", "Printed "))
    time = f" {r.randint(8, 21):02d}:{r.randint(0, 59):02d}" if r.random() < 0.7 else ""
    return label + content.date(r, "zh" if zh else "en") + time


def _receipt_total(sheet: Sheet, plan: Plan, stack: Stack, signs: tuple[str, str]) -> None:
    r, zh = sheet.r, sheet.language == "zh"
    label = Text(r.choice(content.TOTAL_ZH if zh else content.TOTAL_EN) + r.choice(("", "：" if zh else ":")))
    value = _sum([price for _, price in plan.items]) if r.random() < 0.6 else content.number(r)[1]
    setting = sheet.heading(1.2) if r.random() < 0.4 else sheet.type
    row = stack.pair(label, content.written(value, signs), "total", type=setting)
    if row is not None:
        plan.total = value


def menu(sheet: Sheet) -> Plan:
    """Sections of dishes with prices at the right edge or right behind the name."""
    r, zh, plan = sheet.r, sheet.language == "zh", sheet.plan("menu")
    stack = Stack(sheet, plan)
    signs, price = sheet.price_signs(0.4), pricer(r)
    inline = signs != ("", "") and r.random() < 0.25
    titles = content.MENU_ZH if zh else content.MENU_EN
    row = stack.add(Cell(Text(r.choice(titles)), r.choice("ccl"), type=sheet.heading(1.4), role="title"), role="title")
    plan.caption = row.text if row else ""
    for _ in range(rows_for(sheet, 2, 11)):
        if stack.left < sheet.type.size or len(plan.text) > max_characters(sheet):
            break
        if r.random() < 0.1:
            stack.add(Cell(Text(r.choice(titles)), "l", type=sheet.heading(1.15), role="title"), role="title")
        elif r.random() < 0.08:
            text = content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, 8)
            stack.add(Cell(Text(text), "l", type=sheet.type.sized(max(sheet.type.min_size, sheet.type.size - 4))))
        elif inline:
            row = stack.add(Cell(_item(sheet, _last_name(plan)) + Text(" ") + price(signs), "l"), role="item")
            if row is not None:
                drawn = row.pieces[0].content
                plan.items.append((drawn.text[: drawn.amounts[0].start].rstrip(), drawn.amounts[0].value))
        else:
            _remember(plan, stack.pair(_item(sheet, _last_name(plan)), price(signs)))
    settle(plan, r, stack.y1)
    return plan


def price_tag(sheet: Sheet) -> Plan:
    """A product, a large price, perhaps the old price struck out, small print and a bar code."""
    r, zh, plan = sheet.r, sheet.language == "zh", sheet.plan("price_tag")
    stack = Stack(sheet, plan)
    place_brand(sheet, plan, stack, 0.2)
    align = r.choice("lcc")
    name = stack.add(Cell(_item(sheet), align, type=sheet.heading(1.2), role="title"), role="title")
    plan.caption = name.text if name else ""
    if r.random() < 0.4:
        stack.add(Cell(Text(content.distractor(r, sheet.language)), align))
    lead = Text(
        r.choice(("", "", "现价", "特价", "会员价", "售价 ")) if zh else r.choice(("", "", "Now ", "Price ", "Sale "))
    )
    now = content.price(r, sheet.signs)
    big = sheet.heading(r.choice((1.5, 1.8, 2.2)))
    row = stack.add(Cell(lead + now, align, type=big, cut=False, role="value"), role="total")
    if row is not None and name is not None:
        plan.items.append((name.text, now.amounts[0].value))
    if r.random() < 0.5:
        label = Text(r.choice(("原价", "原价：", "市场价 ", "")) if zh else r.choice(("Was ", "Before ", "")))
        stack.add(Cell(label + content.price(r, sheet.signs), align, strike=r.random() < 0.75, cut=False))
    for _ in range(r.randint(0, 3)):
        if stack.left < sheet.type.size:
            break
        text = (
            content.distractor(r, sheet.language)
            if r.random() < 0.7
            else r.choice(content.SLOGANS_ZH if zh else content.SLOGANS_EN)
        )
        stack.add(Cell(Text(text), align))
    _bar_code(sheet, plan, stack)
    settle(plan, r, stack.y1)
    return plan


def _bar_code(sheet: Sheet, plan: Plan, stack: Stack) -> None:
    r = sheet.r
    height, width = r.randint(16, 40), min(stack.x1 - stack.x0, r.randint(70, 160))
    if r.random() > 0.4 or stack.left < height + sheet.type.size * 1.6 or width < 60:
        return
    x = r.choice((stack.x0, (stack.x0 + stack.x1 - width) // 2))
    plan.bar_code = (x, stack.y, x + width, stack.y + height)
    stack.skip(height + 5)
    if r.random() < 0.8:
        stack.add(Cell(Text(content.digits(r, r.choice((8, 12, 13)))), "l", at=x, width=stack.x1 - x))


def table(sheet: Sheet) -> Plan:
    """A head and rows in two to four columns, names in the first or second; one may hold prices, the others not."""
    r, zh, plan = sheet.r, sheet.language == "zh", sheet.plan("table")
    stack = Stack(sheet, plan)
    if r.random() < 0.4:
        title = content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, 4 if zh else 8)
        row = stack.add(Cell(Text(title), "c", type=sheet.heading(1.2), role="title"), role="title")
        plan.caption = row.text if row else ""
    width = stack.x1 - stack.x0
    kinds = ["name", *r.sample(["price", "count", "code", "word", "date", "weight"], min(3, max(1, width // 110)))]
    if "price" not in kinds and r.random() < 0.5:
        kinds[-1] = "price"
    if len(kinds) > 2 and r.random() < 0.3:  # a number or a code before the name
        kinds = [r.choice(("number", "code")), "name", *(kind for kind in kinds[2:] if kind != "code")]
    named = kinds.index("name")
    signs, price = sheet.price_signs(0.6), pricer(r)
    edges = [stack.x0 + width * k // len(kinds) for k in range(len(kinds) + 1)]
    plan.columns = edges[1:-1]
    heads = [r.choice(_HEADS[kind][0 if zh else 1]) for kind in kinds]
    heads = _drawn_heads(_table_row(sheet, stack, [Text(head) for head in heads], edges, "head"), heads)
    above = len(plan.rows) - 1
    for _ in range(rows_for(sheet, 1, 9)):
        if stack.left < sheet.type.size or len(plan.text) > max_characters(sheet):
            break
        texts = [price(signs) if kind == "price" else _table_cell(sheet, kind) for kind in kinds]
        texts[named] = _item(sheet, _last_name(plan))
        if kinds[0] == "number":
            texts[0] = Text(str(len(plan.rows) - above))
        row = _table_row(sheet, stack, texts, edges, "item")
        _remember_cells(plan, row, heads, named)
        if row is not None and "price" in kinds:
            plan.items.append(
                (row.pieces[named].content.text, row.pieces[kinds.index("price")].content.amounts[0].value)
            )
    settle(plan, r, stack.y1)
    return plan


_HEADS = {
    "name": (("名称", "品名", "项目"), ("Name", "Item", "Goods")),
    "price": (("单价", "价格", "金额", "售价"), ("Price", "Amount", "Cost")),
    "count": (("数量", "件数", "库存"), ("Qty", "Count", "Stock")),
    "code": (("编号", "货号", "型号"), ("Code", "No.", "Model")),
    "word": (("备注", "说明", "类别"), ("Note", "Type", "Group")),
    "number": (("序号", "行号"), ("No.", "Row", "Line")),
    "date": (("日期", "时间"), ("Date", "Day")),
    "weight": (("重量", "规格"), ("Weight", "Size")),
}


def _drawn_heads(row: Row | None, heads: list[str]) -> list[str]:
    """The heads of a table, "" where one was cut or left out."""
    drawn = [piece.content.text for piece in row.pieces] if row is not None else []
    return heads if drawn == heads else ["" for _ in heads]


def _remember_cells(plan: Plan, row: Row | None, heads: list[str], named: int = 0) -> None:
    """Note what stands in which row and column; amounts in their answer form."""
    if row is None or len(row.pieces) != len(heads):
        return
    name = row.pieces[named].content.text
    for k, (head, piece) in enumerate(zip(heads, row.pieces, strict=True)):
        amounts = piece.content.amounts
        if head and k != named:
            plan.cells.append((name, head, amounts[0].value if amounts else piece.content.text, piece))


def _table_cell(sheet: Sheet, kind: str) -> Text:
    r = sheet.r
    match kind:
        case "count":
            return Text(str(r.randint(1, 200)))
        case "code":
            return Text(content.code(r))
        case "date":
            return Text(
                content.date(r, "en")[:10].strip() if r.random() < 0.3 else f"{r.randint(1, 12)}-{r.randint(1, 28)}"
            )
        case "weight":
            return Text(content.weight(r, sheet.language))
        case _:
            return Text(content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, 3))


def _table_row(sheet: Sheet, stack: Stack, texts: list[Text], edges: list[int], role: str) -> Row | None:
    pad = max(4, sheet.type.size // 4)
    cells = [
        Cell(
            text,
            "l",
            at=edges[k] + (0 if k == 0 else pad),
            width=edges[k + 1] - edges[k] - pad - 2,
            cut=not text.amounts,
        )
        for k, text in enumerate(texts)
    ]
    return stack.add(*cells, role=role)


def invoice(sheet: Sheet) -> Plan:
    """Names and numbers on top, then item, quantity, unit price and amount in columns, and a total."""
    r, zh, plan = sheet.r, sheet.language == "zh", sheet.plan("invoice")
    stack = Stack(sheet, plan)
    title = r.choice(
        ("发票", "销售清单", "结算单", "采购单", "报价单") if zh else ("INVOICE", "Invoice", "Bill", "Quotation")
    )
    row = stack.add(Cell(Text(title), r.choice("cl"), type=sheet.heading(1.4), role="title"), role="title")
    plan.caption = row.text if row else ""
    for _ in range(r.randint(1, 3)):
        stack.add(Cell(Text(content.distractor(r, sheet.language)), "l"), role="head")
    width, x0 = stack.x1 - stack.x0, stack.x0
    if width < 17 * sheet.type.size:  # four columns of numbers want small type
        sheet.type = sheet.type.sized(max(sheet.type.min_size, width // 17))
    wide = width > 14 * sheet.type.size
    edges = [x0, x0 + int(width * 0.40), x0 + int(width * 0.54), x0 + int(width * 0.77), stack.x1] if wide else [
        x0, x0 + int(width * 0.45), x0 + int(width * 0.60), stack.x1,
    ]  # fmt: skip
    plan.columns = edges[1:-1]
    heads = ["品名", "数量", "单价", "金额"] if zh else ["Item", "Qty", "Price", "Amount"]
    heads = heads if wide else heads[:2] + heads[3:]
    heads = _drawn_heads(_table_row(sheet, stack, [Text(head) for head in heads], edges, "head"), heads)
    signs = sheet.price_signs(0.7)
    for _ in range(rows_for(sheet, 1, 6)):
        if stack.left < 2.5 * sheet.type.size:
            break
        count, unit = r.randint(1, 20), content.number(r)[1]
        amount = f"{count * float(unit):.2f}"
        texts = [
            _item(sheet, _last_name(plan)),
            Text(str(count)),
            content.written(unit, signs),
            content.written(amount, signs),
        ]
        row = _table_row(sheet, stack, texts if wide else texts[:2] + texts[3:], edges, "item")
        _remember_cells(plan, row, heads)
        if row is not None:
            plan.items.append((row.pieces[0].content.text, amount))
    if plan.items and r.random() < 0.85:
        _receipt_total(sheet, plan, stack, signs)
    settle(plan, r, stack.y1)
    return plan
