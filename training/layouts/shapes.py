"""Pages of coloured shapes, sometimes with a caption, and pages with nothing to read."""

from __future__ import annotations

from training import content
from training.content import Text
from training.layouts.plan import Cell, Plan, Shape, Sheet, Stack


def shapes(sheet: Sheet) -> Plan:
    """One to nine shapes of one to three kinds in free cells of a grid."""
    r, plan = sheet.r, sheet.plan("shapes")
    stack = Stack(sheet, plan)
    if r.random() < 0.25:
        text = content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, 4)
        stack.add(Cell(Text(text), r.choice("lc")))
    width, height = stack.x1 - stack.x0, stack.y1 - stack.y
    columns, rows = max(1, min(5, width // 56)), max(1, min(5, height // 56))
    if height < 24 or width < 24:
        plan.kind = "lines"
        return plan
    cells = [(i, j) for i in range(columns) for j in range(rows)]
    kinds = [(r.choice(tuple(content.SHAPES)), r.choice(tuple(content.COLOURS))) for _ in range(r.randint(1, 3))]
    if r.random() < 0.3:
        kinds = [(kinds[0][0], colour) for _, colour in kinds]
    cell = min(width / columns, height / rows)
    for i, j in r.sample(cells, min(len(cells), r.choice((1, 2, 3, 4, 5, 6, 7, 8, 9)))):
        radius = min(60.0, cell * r.uniform(0.26, 0.44))
        slack_x, slack_y = width / columns / 2 - radius - 1, height / rows / 2 - radius - 1
        x = stack.x0 + width * (i + 0.5) / columns + r.uniform(-1, 1) * max(0.0, min(slack_x, 20.0))
        y = stack.y + height * (j + 0.5) / rows + r.uniform(-1, 1) * max(0.0, min(slack_y, 20.0))
        name, colour = r.choice(kinds)
        plan.shapes.append(Shape(name, colour, x, y, radius))
    return plan


def blank(sheet: Sheet) -> Plan:
    """Nothing to read; the background and decorations are all there is."""
    return sheet.plan("blank")
