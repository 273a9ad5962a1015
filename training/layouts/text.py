"""Pages of loose text: lines, paragraphs, scattered words, posters."""

from __future__ import annotations

from training import content, marks
from training.content import Text
from training.layouts.plan import Cell, Plan, Sheet, Stack, fit, settle

MAX_ROWS = 14
MAX_CHARACTERS = 300


def max_characters(sheet: Sheet) -> int:
    """How much text a page may hold: more on the largest ones."""
    return MAX_CHARACTERS if sheet.width * sheet.height < 400_000 else int(1.4 * MAX_CHARACTERS)


def rows_for(sheet: Sheet, least: int, most: int) -> int:
    """How many rows a page may hold: `least` to `most`, more on tall ones."""
    return sheet.r.randint(least, max(most, sheet.height // 48))


def random_text(sheet: Sheet, length: int, numbers: bool) -> Text:
    """A line's worth of anything: words, a price among words, a number that is no amount, letters and digits."""
    r, language = sheet.r, sheet.language
    if r.random() < 0.10:
        language = "en" if language == "zh" else "zh"
    kind = r.random()
    if numbers and kind < 0.20:
        name = content.item(r, language, sheet.vocabulary, sheet.num_hanzi)
        joint = r.choice((" ", "：", "") if language == "zh" else (" ", ": ", " - "))
        return Text(name + joint) + content.price(r, sheet.signs)
    if numbers and kind < 0.27:
        return content.price(r, sheet.signs)
    if numbers and kind < 0.33:
        before = content.words(r, language, sheet.vocabulary, sheet.num_hanzi, max(2, length // 3))
        after = content.words(r, language, sheet.vocabulary, sheet.num_hanzi, 2)
        space = "" if language == "zh" else " "
        return Text(before + space) + content.price(r, sheet.signs) + Text(space + after)
    if kind < 0.46:
        return Text(content.distractor(r, language))
    if kind < 0.52:
        return Text(" ".join(content.alphanumeric(r) for _ in range(r.randint(1, 2))))
    text = content.words(r, language, sheet.vocabulary, sheet.num_hanzi, r.randint(2, max(3, length)))
    if r.random() < 0.2:
        text += r.choice("，。！？：；" if language == "zh" else ",.!?:;")
    return Text(text)


def room_for(sheet: Sheet) -> int:
    """About how many characters a line holds."""
    width = sheet.width - 2 * sheet.margin
    return max(2, min(26, int(width / (sheet.type.size * (1.0 if sheet.language == "zh" else 0.52)))))


def lines(sheet: Sheet) -> Plan:
    """Lines of anything, one under another."""
    r, plan = sheet.r, sheet.plan("lines")
    stack = Stack(sheet, plan)
    numbers = r.random() < 0.8
    align = r.choice("lllccr*")
    for _ in range(rows_for(sheet, 1, MAX_ROWS)):
        if len(plan.text) > max_characters(sheet):
            break
        setting = r.choice((sheet.type, *sheet.other_types)) if r.random() < 0.25 else None
        side = r.choice("lcr") if align == "*" else align
        stack.add(Cell(random_text(sheet, room_for(sheet), numbers), side, type=setting))
        if stack.left < sheet.type.size:
            break
    settle(plan, r, stack.y1)
    return plan


def paragraph(sheet: Sheet) -> Plan:
    """Running text broken into lines of the same width, sometimes under a heading."""
    r, plan = sheet.r, sheet.plan("paragraph")
    stack = Stack(sheet, plan)
    if r.random() < 0.4:
        title = content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, 4)
        stack.add(Cell(Text(title), r.choice("lc"), type=sheet.heading(), role="title"), role="title")
    zh = sheet.language == "zh"
    for _ in range(rows_for(sheet, 2, 10)):
        if len(plan.text) > max_characters(sheet):
            break
        text = ""
        for _ in range(6):
            if len(text) > room_for(sheet) + 4:
                break
            text += content.words(r, sheet.language, sheet.vocabulary, sheet.num_hanzi, 5) + (
                r.choice(("，", "", "", "。")) if zh else r.choice((", ", " ", " ", ". "))
            )
        if stack.add(Cell(Text(text.strip()), "l")) is None:
            break
    settle(plan, r, stack.y1)
    return plan


def scatter(sheet: Sheet) -> Plan:
    """Single words, prices and numbers here and there, in rows of one to three."""
    r, plan = sheet.r, sheet.plan("scatter")
    stack = Stack(sheet, plan)
    width = stack.x1 - stack.x0
    numbers = r.random() < 0.75
    for _ in range(rows_for(sheet, 1, 9)):
        if stack.left < sheet.type.size or len(plan.text) > max_characters(sheet):
            break
        count = r.randint(1, max(1, min(3, width // 90)))
        slot = width // count
        setting = r.choice((sheet.type, *sheet.other_types))
        setting = setting.sized(max(setting.min_size, setting.size + r.randint(-3, 5)))
        cells = []
        for index in range(count):
            text = random_text(sheet, 5, numbers)
            fitted = fit(text, setting, slot - 10)
            if fitted is None:
                continue
            free = slot - 10 - (fitted[1].right - fitted[1].left)
            at = stack.x0 + index * slot + r.randint(0, max(0, free))
            cells.append(Cell(fitted[0], "l", at=at, width=slot - 10, type=setting, role="word"))
        if cells:
            stack.add(*cells, gap=sheet.gap + r.randint(0, sheet.type.size))
    settle(plan, r, stack.y1)
    return plan


def poster(sheet: Sheet) -> Plan:
    """A few short large lines: slogans, a price, forbidden claims, perhaps a brand mark on top."""
    r, plan = sheet.r, sheet.plan("poster")
    zh = sheet.language == "zh"
    stack = Stack(sheet, plan)
    place_brand(sheet, plan, stack)
    scale = r.choice((1.0, 1.3, 1.6))
    align = r.choice("ccl")
    for index in range(r.randint(2, 7)):
        setting = sheet.heading(scale * (1.2 if index == 0 else r.choice((0.8, 1.0))))
        text, claim = poster_line(sheet)
        row = stack.add(Cell(text, align, type=setting, cut=not claim), role="title" if index == 0 else "line")
        if row is None:
            continue
        plan.caption = plan.caption or (row.text if zh or not claim else "")
        stack.skip(r.randint(0, sheet.type.size))
    settle(plan, r, stack.y1)
    return plan


def poster_line(sheet: Sheet) -> tuple[Text, str]:
    """One line of advertising and the forbidden word in it, or ""."""
    r, zh = sheet.r, sheet.language == "zh"
    space = "" if zh else " "
    kind = r.random()
    if kind < 0.12:  # like a forbidden word, or one inside another word
        return Text(r.choice(content.NEAR_ZH if zh else content.NEAR_EN)), "whole"
    if kind < 0.34:
        claim = r.choice(content.FORBIDDEN_ZH if zh else content.FORBIDDEN_EN)
        name = content.item(r, sheet.language, sheet.vocabulary, sheet.num_hanzi)
        form = r.random()
        if form < 0.4:
            return Text(claim + space + name), claim
        if form < 0.6:
            return Text(r.choice(("全场", "全国", "价格", "本店")) + claim if zh else f"The {claim} {name}"), claim
        return Text(claim + (r.choice(("！", "")) if zh else r.choice(("!", "")))), claim
    if kind < 0.55:
        return Text(
            r.choice(content.SLOGANS_ZH if zh else content.SLOGANS_EN) + r.choice(("！" if zh else "!", "", ""))
        ), ""
    if kind < 0.75:
        lead = r.choice(("仅售", "特价", "只要", "现价", "")) if zh else r.choice(("Only ", "Now ", "From ", ""))
        return Text(lead) + content.price(r, sheet.signs), ""
    if kind < 0.85:
        return Text(content.distractor(r, sheet.language)), ""
    return Text(content.item(r, sheet.language, sheet.vocabulary, sheet.num_hanzi)), ""


def place_brand(sheet: Sheet, plan: Plan, stack: Stack, chance: float = 0.45) -> None:
    """Reserve the top of the stack for a brand mark, sometimes with its name beside it, or for a mark that is none."""
    r = sheet.r
    radius = r.choice((r.randint(8, 13), r.randint(11, 22), r.randint(11, 22), r.randint(18, 30)))
    if r.random() > 1.5 * chance or stack.left < 5 * radius or stack.x1 - stack.x0 < 5 * radius:
        return
    x = r.choice((stack.x0 + radius, (stack.x0 + stack.x1) // 2, stack.x1 - radius))
    y = stack.y + radius
    if r.random() < 0.33:
        plan.decoy, plan.decoy_place = r.choice(marks.DECOYS), (x, y, radius)
        stack.y += 2 * radius + 6
        return
    plan.brand = r.choice(content.BRANDS)
    plan.brand_place = (x, y, radius)
    plan.brand_turn = round(r.uniform(-10, 10)) if r.random() < 0.4 else 0
    if r.random() < 0.4 and x < stack.x1 - radius - 70:
        top = stack.y
        setting = sheet.type.sized(min(sheet.type.size, 24))
        stack.skip(max(0, radius - setting.size // 2))
        stack.add(
            Cell(Text(plan.brand), "l", at=x + radius + 8, width=stack.x1 - x - radius - 8, type=setting, cut=False)
        )
        stack.y = top
    stack.y += 2 * radius + 6
