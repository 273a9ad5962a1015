"""Line charts as SVG text, with nothing but Python: panels side by side, logarithmic axes, marks, a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 430, 300  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 34, 46
LEAST_TICK = 30  # between two figures under the axis
COLOURS = ("#1f6feb", "#d1570d", "#1a7f37", "#8250df")


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    x_name: str
    y_name: str
    lines: Sequence[Line]  # positive values only: both axes are logarithmic
    x_in_k: bool = False  # 1024 as 1k


def svg(panels: Sequence[Panel], columns: int) -> str:
    """One picture with the panels in rows of `columns`. Panels without a point show their empty axes."""
    num_rows = math.ceil(len(panels) / columns)
    width, height = WIDTH * min(columns, len(panels)), HEIGHT * num_rows
    body = [
        f'<g transform="translate({WIDTH * (i % columns)},{HEIGHT * (i // columns)})">{_panel(panel)}</g>'
        for i, panel in enumerate(panels)
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11">'
    )
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#fff"/>', *body, "</svg>"]) + "\n"


def _panel(panel: Panel) -> str:
    xs = [x for line in panel.lines for x, _ in line.points] or [1.0]
    ys = [y for line in panel.lines for _, y in line.points] or [1.0]
    x_axis, y_axis = _Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT), _Axis(min(ys), max(ys), HEIGHT - BOTTOM, TOP)
    ticks = sorted(set(xs))
    parts = [_text(WIDTH / 2, 18, panel.title, "middle", bold=True)]
    for value in y_axis.ticks():
        y = y_axis.at(value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:g}", "end"))
    last = float("-inf")
    for value in ticks:
        x = x_axis.at(value)
        if x - last < LEAST_TICK:
            continue
        last = x
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#eee"/>')
        words = f"{value / 1024:g}k" if panel.x_in_k and value >= 1024 else f"{value:g}"
        parts.append(_text(x, HEIGHT - BOTTOM + 15, words, "middle"))
    parts.append(_text(WIDTH / 2, HEIGHT - 12, panel.x_name, "middle"))
    parts.append(f'<g transform="rotate(-90 14 {HEIGHT / 2})">{_text(14, HEIGHT / 2, panel.y_name, "middle")}</g>')
    for number, line in enumerate(panel.lines):
        parts.append(_line(line, COLOURS[number % len(COLOURS)], x_axis, y_axis, TOP + 14 * number))
    return "".join(parts)


def _line(line: Line, colour: str, x_axis: _Axis, y_axis: _Axis, legend_y: float) -> str:
    places = [(x_axis.at(x), y_axis.at(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>']
    if not line.dashed:
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in places]
    y = legend_y + 8
    parts.append(f'<line x1="{LEFT + 8}" x2="{LEFT + 30}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"{dash}/>')
    parts.append(_text(LEFT + 36, y + 4, line.name, "start"))
    return "".join(parts)


class _Axis:
    """Logarithmic; upwards it reaches from the round figure (1, 2, 5) below the least value to that above all."""

    def __init__(self, least: float, greatest: float, start: float, end: float) -> None:
        assert least > 0, "a logarithmic axis has no zero"
        is_y = start > end
        self._low = math.log10(_step_below(least) if is_y else least)
        self._high = math.log10(_step_above(greatest) if is_y else greatest)
        if self._high - self._low < 1e-9:
            self._low, self._high = self._low - 0.2, self._high + 0.2
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        powers = range(math.floor(self._low), math.ceil(self._high) + 1)
        values = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        return [value for value in values if self._low - 1e-9 <= math.log10(value) <= self._high + 1e-9]


def _step_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1, 2, 5) if step * power <= value * (1 + 1e-9))


def _step_above(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return min(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def _text(x: float, y: float, words: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#333"{weight}>{escape(words)}</text>'
