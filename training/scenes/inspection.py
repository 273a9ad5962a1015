"""Inspection: one drawn workpiece with defects of a closed list, their severity by a fixed rule, and what to do.

Severity: "high" for a missing part or a crack; "medium" for a dent or for two kinds of defects or more; "low" for
scratches or stains alone; "none" without defects.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from random import Random

import numpy as np
from PIL import Image, ImageFilter

from training.draw import Colour, luminance
from training.layouts.plan import Box
from training.page import NOTHING, QA, Page, Sight
from training.scenes import workpieces
from training.scenes.canvas import Asker, Desk, clipped, converse

# Closed list, in the order of answers: (Chinese, English).
DEFECTS: dict[str, tuple[str, str]] = {
    "missing": ("缺件", "missing part"), "crack": ("裂纹", "crack"), "dent": ("凹坑", "dent"),
    "scratch": ("划痕", "scratch"), "stain": ("污渍", "stain"),
}  # fmt: skip
# What to do, by the gravest defect: (Chinese, English).
SUGGESTIONS: dict[str, tuple[str, str]] = {
    "missing": ("退回补装或更换零件", "return it and replace the part"),
    "crack": ("停止使用并报废", "stop using and scrap it"),
    "dent": ("修整后复检", "repair and inspect again"), "scratch": ("打磨抛光", "polish the surface"),
    "stain": ("清洗表面", "clean the surface"), "none": ("合格，可以放行", "accept it"),
}  # fmt: skip
NAMES: dict[str, tuple[str, str]] = {
    "gear": ("齿轮", "a gear"), "plate": ("带孔的板", "a plate with holes"), "flange": ("法兰", "a flange"),
    "bolt": ("螺栓", "a bolt"), "nut": ("螺母", "a nut"), "bracket": ("角码", "a bracket"),
    "bottle": ("瓶子", "a bottle"), "board": ("电路板", "a circuit board"), "wheel": ("轮子", "a wheel"),
    "fan": ("风扇叶轮", "a fan wheel"), "grille": ("格栅", "a grille"), "rack": ("齿条", "a toothed rack"),
}  # fmt: skip
COUNTED: dict[str, tuple[str, str]] = {
    "hole": ("孔", "holes"),
    "tooth": ("齿", "teeth"),
    "component": ("元件", "components"),
    "spoke": ("辐条", "spokes"),
    "blade": ("叶片", "blades"),
    "bar": ("栅条", "bars"),
}
_METALS: tuple[Colour, ...] = (
    (150, 155, 162), (185, 188, 192), (95, 100, 108), (190, 150, 80), (185, 115, 75), (60, 95, 150), (55, 120, 85),
    (210, 210, 205), (160, 55, 50), (205, 170, 60), (120, 125, 120), (75, 80, 95),
)  # fmt: skip
_BOARDS: tuple[Colour, ...] = ((40, 110, 60), (30, 80, 120), (120, 35, 40), (35, 95, 85))
_TABLES: tuple[Colour, ...] = (
    (245, 245, 245), (225, 228, 230), (50, 52, 56), (30, 34, 44), (205, 185, 150), (150, 115, 80), (90, 110, 100),
    (170, 190, 205), (225, 215, 190), (110, 112, 116), (20, 20, 20), (190, 205, 190),
)  # fmt: skip


@dataclass(slots=True, eq=False)
class Facts:
    """What is drawn: the piece, and for every kind of defect the boxes of those on it, in pixels of the page."""

    name: str
    counted: str
    count: int
    num_missing: int
    boxes: dict[str, list[Box]] = field(default_factory=dict)

    @property
    def defects(self) -> list[str]:
        """Kinds of defects in the order of the closed list."""
        return [kind for kind in DEFECTS if self.boxes.get(kind)]

    @property
    def severity(self) -> str:
        """By the rule above."""
        found = self.defects
        if not found:
            return "none"
        if "missing" in found or "crack" in found:
            return "high"
        return "medium" if "dent" in found or len(found) > 1 else "low"


def draw(desk: Desk) -> Page | None:
    """A page with one workpiece."""
    r = desk.r
    table = workpieces.HELDOUT_PIECES if desk.unseen_layout and r.random() < 0.4 else workpieces.PIECES
    name = r.choice(tuple(table))
    missing, surface = _choose(r)
    piece = table[name](r, missing)
    colour = r.choice(_BOARDS if name == "board" else _METALS)
    colour = (
        max(0, colour[0] + r.randint(-12, 12)),
        max(0, colour[1] + r.randint(-12, 12)),
        max(0, colour[2] + r.randint(-12, 12)),
    )
    side = int(min(desk.width, desk.height, 560) * r.uniform(0.84, 1.0))
    turn = r.uniform(0, 2 * math.pi) if name != "bottle" else r.uniform(-0.5, 0.5) + r.choice((0, 0, math.pi / 2))
    drawn = workpieces.render(r, piece, side, turn, r.uniform(0.72, 1.0), colour)
    x, y = r.randint(0, desk.width - side), r.randint(0, desk.height - side)
    facts = Facts(name, piece.counted, piece.count, len(piece.missing))

    def note(kind: str, box: tuple[float, float, float, float]) -> None:
        whole = (math.floor(box[0]) + x, math.floor(box[1]) + y, math.ceil(box[2]) + x, math.ceil(box[3]) + y)
        facts.boxes.setdefault(kind, []).append(clipped(whole, desk.width, desk.height))

    for gap in drawn.missing:
        note("missing", gap)
    for kind in surface:
        boxes = (workpieces.DEFECTS[kind](r, drawn) for _ in range(5))
        box = next((box for box in boxes if box is not None), None)
        if box is not None:
            note(kind, box)
    ground = workpieces.background(r, desk.width, desk.height, _table(r, colour), desk.unseen_decoration)
    _lay(r, ground, drawn, x, y)
    keep = desk.keep([(x, y, x + side, y + side)])
    sights = _sights(r, facts, (x, y, x + side, y + side))
    return Page(ground, [], ask(desk, facts), kind="inspection", decorations=(name,), sights=sights, keep=keep)


def _sights(r: Random, facts: Facts, area: Box) -> list[Sight]:
    """Every defect at its middle, what covers an area around it too, and sound places."""
    boxes = [(kind, box) for kind, known in facts.boxes.items() for box in known]
    points = [(r.uniform(area[0], area[2]), r.uniform(area[1], area[3])) for _ in range(14)]
    found = [
        Sight(NOTHING, px, py)
        for px, py in points
        if all(not (b[0] - 15 < px < b[2] + 15 and b[1] - 15 < py < b[3] + 15) for _, b in boxes)
    ]
    for kind, (x0, y0, x1, y1) in boxes:
        spread = (0.0,) if kind in ("scratch", "crack") else (0.0, -0.25, 0.25)
        middle, half = ((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0)
        word = DEFECTS[kind][0][0]
        found += [Sight(word, middle[0] + dx * half[0], middle[1] + dy * half[1]) for dx in spread for dy in spread]
    return found


def _choose(r: Random) -> tuple[int, list[str]]:
    """How many parts are missing, and the defects of the surface."""
    if r.random() < 0.28:
        return 0, []
    missing = r.choice((1, 1, 2)) if r.random() < 0.3 else 0
    number = r.choices((0, 1, 2, 3), (35, 45, 15, 5) if missing else (0, 62, 28, 10))[0]
    return missing, r.sample(tuple(workpieces.DEFECTS), number)


def _table(r: Random, colour: Colour) -> Colour:
    """A background that the piece stands off."""
    fits = [one for one in _TABLES if abs(luminance(one) - luminance(colour)) > 48]
    return r.choice(fits)


def _lay(r: Random, ground: np.ndarray, drawn: workpieces.Drawn, x: int, y: int) -> None:
    """Shadow and piece on the ground."""
    side = drawn.cover.shape[0]
    cover = drawn.cover
    if r.random() < 0.6:
        off = max(2, side // 60)
        small = Image.fromarray((cover * 255).astype(np.uint8)).reduce(4).filter(ImageFilter.BoxBlur(1))
        shadow = np.asarray(small.resize((side, side), Image.Resampling.BILINEAR), np.float32) * (
            r.uniform(0.2, 0.4) / 255
        )
        spot = ground[y + off : y + side, x + off : x + side]
        spot[...] = spot * (1 - shadow[: spot.shape[0], : spot.shape[1], None])
    spot = ground[y : y + side, x : x + side]
    mixed = spot + (drawn.colours - spot) * cover[..., None]
    spot[...] = np.clip(mixed, 0, 255)


# --- answers ----------------------------------------------------------------------------------------------------------


def suggestion(facts: Facts, zh: bool) -> str:
    """What to do about the gravest defect."""
    return SUGGESTIONS[facts.defects[0] if facts.defects else "none"][0 if zh else 1]


def as_json(facts: Facts, zh: bool) -> str:
    """The inspection as JSON."""
    names = [DEFECTS[kind][0 if zh else 1] for kind in facts.defects]
    return json.dumps(
        {"defects": names, "severity": facts.severity, "suggestion": suggestion(facts, zh)}, ensure_ascii=False
    )


def ask(desk: Desk, facts: Facts) -> list[QA]:
    """Questions about the piece."""
    r = desk.r

    def whole(a: Asker) -> QA | None:
        if r.random() < 0.75:
            return a.ask("inspection", "inspection_json", as_json(facts, a.zh))
        return listed(a)

    def listed(a: Asker) -> QA | None:
        names = ("、" if a.zh else ", ").join(DEFECTS[kind][not a.zh] for kind in facts.defects)
        return a.ask("inspection", "defects", names or ("没有缺陷" if a.zh else "no defects"))

    def damaged(a: Asker) -> QA | None:
        return a.ask("yesno", "damaged", a.yes(bool(facts.defects)))

    def has(a: Asker) -> QA | None:
        present = r.random() < 0.5
        kinds = facts.defects if present else [kind for kind in DEFECTS if kind not in facts.defects]
        if not kinds:
            return None
        return a.ask("yesno", "has_defect", a.yes(present), DEFECTS[r.choice(kinds)][not a.zh])

    def num_missing(a: Asker) -> QA | None:
        if facts.counted not in COUNTED or (not facts.num_missing and r.random() < 0.6):
            return None
        return a.ask("count", "num_missing", str(facts.num_missing), COUNTED[facts.counted][not a.zh])

    def num_parts(a: Asker) -> QA | None:
        if (
            facts.counted not in COUNTED
            or facts.count > 12
            or facts.name in ("flange", "wheel", "gear", "fan", "rack")
            and facts.count > 9
        ):
            return None
        if facts.name == "flange":  # its bore is a hole too: leave no doubt
            return a.ask("count", "num_parts", str(facts.count), "螺栓孔" if a.zh else "bolt holes")
        return a.ask("count", "num_parts", str(facts.count), COUNTED[facts.counted][not a.zh])

    def place(a: Asker) -> QA | None:
        single = [kind for kind in facts.defects if len(facts.boxes[kind]) == 1]
        if not single:
            return None
        kind = r.choice(single)
        name = ("缺件的位置" if a.zh else "place of the missing part") if kind == "missing" else DEFECTS[kind][not a.zh]
        return a.ask_place("defect_box", facts.boxes[kind][0], name)

    def severe(a: Asker) -> QA | None:
        return a.ask("inspection", "severity", facts.severity)

    def describe(a: Asker) -> QA | None:
        return a.ask("describe", "describe", NAMES[facts.name][not a.zh])

    short = [
        (damaged, 14.0), (has, 16.0), (num_missing, 10.0), (num_parts, 8.0), (place, 22.0), (severe, 8.0),
        (describe, 12.0),
    ]  # fmt: skip
    return converse(desk, "inspection", [(whole, 1.0)], [*short, (listed, 10.0)])
