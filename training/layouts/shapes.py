"""Pages of coloured shapes, alone or beside text, lines of coloured text, and pages with nothing to read."""

from __future__ import annotations

from training import content
from training.content import Text
from training.layouts.plan import Box, Cell, Plan, Shape, Sheet, Stack, settle
from training.layouts.text import random_text, room_for


def shapes(sheet: Sheet) -> Plan:
    """One to nine shapes of one to four kinds, in free cells of a grid or in one row, sometimes under a caption."""
    r, plan = sheet.r, sheet.plan("shapes")
    stack = Stack(sheet, plan)
    if r.random() < 0.25:
        text = content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, 4)
        stack.add(Cell(Text(text), r.choice("lc")))
    if not place_shapes(sheet, plan, (stack.x0, stack.y, stack.x1, stack.y1)):
        plan.kind = "lines"
    return plan


def place_shapes(sheet: Sheet, plan: Plan, area: Box, most: int = 9) -> bool:
    """Fill an area; every shape stays in a cell of its own, so none touches another."""
    r = sheet.r
    x0, y0, x1, y1 = area
    width, height = x1 - x0, y1 - y0
    if height < 28 or width < 28:
        return False
    in_a_row = width >= 110 and r.random() < 0.25
    pitch = r.choice((38, 46, 56, 70, 90))
    columns = max(1, min(7 if in_a_row else 5, width // pitch))
    rows = 1 if in_a_row else max(1, min(5, height // pitch))
    cells = [(i, j) for j in range(rows) for i in range(columns)]
    wide, high = width / columns, height / rows
    cell = min(wide, high, 170.0)
    kinds = choose_kinds(sheet)
    sizes = r.choice(("alike", "varied", "varied", "one large"))
    chosen = r.sample(cells, min(len(cells), most, r.choice((1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9))))
    for index, (i, j) in enumerate(chosen):
        share = r.uniform(0.33, 0.44)
        if sizes == "varied" or (sizes == "one large" and index):
            share = r.uniform(0.18, 0.45 if sizes == "varied" else 0.28)
        radius = max(9.0, cell * share)
        free_x, free_y = wide / 2 - radius - 2, high / 2 - radius - 2
        drift = 0.25 * radius if in_a_row else 40.0
        x = x0 + wide * (i + 0.5) + r.uniform(-1, 1) * max(0.0, min(free_x, 40.0))
        y = y0 + high * (j + 0.5) + r.uniform(-1, 1) * max(0.0, min(free_y, drift))
        name, colour = r.choice(kinds)
        plan.shapes.append(Shape(name, colour, x, y, radius))
    return True


def choose_kinds(sheet: Sheet) -> list[tuple[str, str]]:
    """The shapes and colours of one page: any, one shape in several colours, or several shapes in one colour."""
    r = sheet.r
    kinds = [(r.choice(tuple(content.SHAPES)), r.choice(tuple(content.COLOURS))) for _ in range(r.randint(1, 5))]
    mode = r.random()
    if mode < 0.25:
        return [(kinds[0][0], colour) for _, colour in kinds]
    if mode < 0.40:
        return [(name, kinds[0][1]) for name, _ in kinds]
    if mode < 0.60:  # the same shapes and colours in all combinations
        return [(name, colour) for name, _ in kinds[:2] for _, colour in kinds[:2]]
    return kinds


def figures(sheet: Sheet) -> Plan:
    """Lines of text with shapes beside or below them."""
    r, plan = sheet.r, sheet.plan("figures")
    m = sheet.margin
    x0, y0, x1, y1 = m, m, sheet.width - m, sheet.height - m
    share = r.uniform(0.35, 0.6)
    if r.random() < 0.5 and sheet.width >= 224:
        middle = x0 + int((x1 - x0) * share)
        text, drawn = ((x0, y0, middle - 6, y1), (middle + 6, y0, x1, y1))
        if r.random() < 0.5:
            text, drawn = (x0 + x1 - middle + 6, y0, x1, y1), (x0, y0, x0 + x1 - middle - 6, y1)
    else:
        middle = y0 + int((y1 - y0) * share)
        text, drawn = (x0, y0, x1, middle - 4), (x0, middle + 4, x1, y1)
    stack = Stack(sheet, plan, text)
    for _ in range(r.randint(1, 6)):
        if stack.left < sheet.type.size:
            break
        stack.add(Cell(random_text(sheet, max(2, int(room_for(sheet) * share)), r.random() < 0.5), r.choice("lllc")))
    settle(plan, r, stack.y1)
    if not place_shapes(sheet, plan, drawn, 6):
        plan.kind = "lines"
    return plan


def coloured(sheet: Sheet) -> Plan:
    """Short lines, each in a colour that has a name."""
    r, plan = sheet.r, sheet.plan("coloured")
    stack = Stack(sheet, plan)
    names = r.sample(tuple(content.COLOURS), r.randint(2, 5))
    setting = sheet.type.sized(max(sheet.type.size, r.choice((18, 20, 22, 24, 28))))
    align = r.choice("lcr")
    for _ in range(r.randint(1, 7)):
        if stack.left < setting.size:
            break
        length = r.randint(2, max(3, min(8, room_for(sheet) - 2)))
        text = Text(content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, length))
        row = stack.add(Cell(text, align, type=setting))
        if row is not None:
            row.pieces[0].colour_name = r.choice(names)
    settle(plan, r, stack.y1)
    return plan


def blank(sheet: Sheet) -> Plan:
    """Nothing to read; the background and decorations are all there is."""
    return sheet.plan("blank")
