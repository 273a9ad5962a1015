"""Writes what `gpu.py` measured into docs/performance.md (between its markers) and draws the plots beside it.

    .venv/bin/python benchmarks/gpu.py --report

Nothing is typed by hand: a point that was not measured says so. Knows nothing of servers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from gpu_rows import GOALS, SERIES, STREAMS, STREAMS_PLAIN, Goal, Point, Series
from line_chart import Line, Panel, svg
from report import filled

Results = Mapping[str, Any]
LOAD_FIGURES = (
    ("requests_per_s", "req/s"),
    ("output_tokens_per_s", "tok/s"),
    ("first_token_ms_p50", "first token p50"),
    ("first_token_ms_p95", "p95"),
    ("per_token_ms_p50", "per token p50"),
    ("per_token_ms_p95", "p95"),
)


def figure(results: Results, point: Point, key: str) -> float | None:
    """The median of the runs; None when it was not measured or a run had errors only."""
    values = _values(results, point, key)
    return median(values) if values else None


def _values(results: Results, point: Point, key: str) -> list[float]:
    measured = results["points"].get(point.name)
    return [run[key] for run in measured["runs"] if key in run] if measured else []


def _errors(results: Results, point: Point | None) -> int:
    measured = results["points"].get(point.name) if point else None
    return sum(run["errors"] for run in measured["runs"]) if measured else 0


def goal_values(results: Results, goal: Goal) -> list[float]:
    if goal.point is not None:
        return _values(results, goal.point, goal.figure)
    seconds: list[float] = results["starts"].get(goal.weights, {}).get("seconds", [])
    return seconds[1:] or seconds  # the first one may have compiled and read a cold disk


def is_met(goal: Goal, value: float, wanted: float) -> bool:
    return value >= wanted if goal.more_is_better else value <= wanted


def verdict(results: Results, goal: Goal) -> str:
    values = goal_values(results, goal)
    if not values:
        return "not measured"
    errors = _errors(results, goal.point)
    if errors:
        return f"no: {errors} errors"
    value = median(values)
    if goal.stretch is not None and is_met(goal, value, goal.stretch):
        return "yes, stretch"
    return "yes" if is_met(goal, value, goal.firm) else "no"


def table(results: Results) -> str:
    lines = [
        "| row | vLLM 0.26 | limit | firm | stretch | ours | every run | met |",
        "|---|--:|--:|--:|--:|--:|---|---|",
    ]
    for goal in GOALS:
        values, sign = goal_values(results, goal), "≥" if goal.more_is_better else "≤"
        ours = f"**{_short(median(values))}**" if values else "-"
        runs = ", ".join(map(_short, values)) or "-"
        given = ["-" if value is None else f"{value:g}" for value in (goal.vllm, goal.stretch)]
        cells = [goal.what, given[0], goal.limit or "-", f"{sign} {goal.firm:g}", given[1], ours, runs]
        lines.append("| " + " | ".join([*cells, verdict(results, goal)]) + " |")
    return "\n".join(lines)


def streams_text(results: Results) -> str:
    """What the text streams saw alone and beside the pictures, and what they and the option cost the pictures."""
    lines = []
    for point, title in ((STREAMS, "With `--prefer latency`"), (STREAMS_PLAIN, "Without")):
        measured = results["points"].get(point.name)
        runs = [run for run in measured["runs"] if "gap_ratio" in run] if measured else []
        if runs:
            lines.append(f"{title}: " + _gaps(point, runs))
    without = figure(results, Point("bf16", STREAMS.clients, STREAMS.side), "requests_per_s")
    if lines and without:
        lines.append(f"No streams: the pictures went at {_short(without)} req/s.")
    return "\n\n".join(lines)


def _gaps(point: Point, runs: Sequence[dict[str, Any]]) -> str:
    def seen(when: str, key: str) -> str:
        return _short(median(run["streams"][when][key] for run in runs))

    return (
        f"gaps between tokens of {point.streams} text streams alone p50 {seen('alone', 'gap_ms_p50')} ms and p99 "
        f"{seen('alone', 'gap_ms_p99')} ms; beside {point.clients} clients with {point.side} px pictures p50 "
        f"{seen('beside', 'gap_ms_p50')} ms, p99 {seen('beside', 'gap_ms_p99')} ms, longest "
        f"{seen('beside', 'gap_ms_max')} ms; the pictures went at "
        f"{_short(median(run['requests_per_s'] for run in runs))} req/s."
    )


def series_table(results: Results, series: Series) -> str:
    """Nothing when no point of it was measured."""
    is_curve = series.name.startswith("curve")
    lines = []
    for x, point in series.points:
        value = figure(results, point, series.figure)
        if value is None:
            continue
        if is_curve:
            cells = [_optional(figure(results, point, key)) for key, _ in LOAD_FIGURES]
        elif series.predict:
            chip = series.predict(x)
            cells = [_short(value), _short(chip), f"{value / chip:.2f}"]
        else:
            cells = [_short(value)]
        lines.append("| " + " | ".join([f"{x}", *cells]) + " |")
    if not lines:
        return ""
    if is_curve:
        names = [name for _, name in LOAD_FIGURES]
    else:
        names = [series.y_name, *(["the chip's need, ms", "ratio"] if series.predict else [])]
    head = f"| {series.x_name} | " + " | ".join(names) + " |\n|--:" + "|--:" * len(names) + "|"
    missing = [f"{x}" for x, point in series.points if figure(results, point, series.figure) is None]
    note = f"\n\nNot measured: {', '.join(missing)}." if missing else ""
    title = series.title[0].upper() + series.title[1:]
    return f"**{title}**\n\n{head}\n" + "\n".join(lines) + note


def setups(results: Results) -> str:
    """One line for each set-up that figures come from, with the rows measured on it."""
    where: dict[str, list[str]] = {}
    starts = {f"start of {weights}": measured for weights, measured in results["starts"].items()}
    for name, measured in {**results["points"], **starts}.items():
        setup = measured["setup"]
        words = (
            f"{setup['date']}, commit {setup['commit']}, {setup['device']} (driver {setup['driver']}), {setup['cpu']} "
            f"with {setup['cores']} cores, Python {setup['python']}, torch {setup['torch']}, triton {setup['triton']}, "
            f"`flashweb serve {' '.join(setup['flags'])}`"
        )
        where.setdefault(words, []).append(name)
    lines = [f"- {words}: {', '.join(n) if len(n) < 5 else f'{len(n)} points'}" for words, n in where.items()]
    return "\n".join(lines)


# --- plots ------------------------------------------------------------------------------------------------------------


def _points(results: Results, series: Series, key: str) -> list[tuple[float, float]]:
    found = [(x, figure(results, point, key)) for x, point in series.points]
    return [(float(x), value) for x, value in found if value]


def latency_panels(results: Results) -> Iterator[Panel]:
    for series in SERIES:
        if not series.name.startswith("curve"):
            continue
        side = series.name.removeprefix("curve-")
        for key, words in (("first_token_ms", "first token"), ("per_token_ms", "time per output token")):
            lines = [Line(p, _points(results, series, f"{key}_{p}")) for p in ("p50", "p95")]
            if any(line.points for line in lines):
                yield Panel(f"{words}, {side} px pictures, bf16", "clients", "ms", lines)


def growth_panels(results: Results) -> Iterator[Panel]:
    for series in SERIES:
        measured = _points(results, series, series.figure)
        if series.predict and measured:
            chip = [(float(x), series.predict(x)) for x, _ in series.points]
            lines = [Line("measured", measured), Line("the chip's need", chip, dashed=True)]
            title, in_k = series.title.removesuffix(", bf16"), series.x_name.startswith("tokens")
            yield Panel(title, series.x_name, series.y_name, lines, in_k)


# --- the document -----------------------------------------------------------------------------------------------------


def contents(results: Results) -> dict[str, str]:
    """What stands between each pair of markers."""
    curves = [series for series in SERIES if series.name.startswith("curve")]
    others = [series for series in SERIES if series not in curves]
    latency, growth = any(latency_panels(results)), any(growth_panels(results))
    return {
        "table": _joined(table(results), streams_text(results)),
        "load": _joined(
            "![latency against load](latency.svg)" if latency else "", *(series_table(results, s) for s in curves)
        ),
        "growth": _joined(
            "![growth](growth.svg)" if growth else "", *(series_table(results, series) for series in others)
        ),
        "setups": setups(results) or "- nothing measured yet",
    }


def document(text: str, results: Results) -> str:
    for name, content in contents(results).items():
        text = filled(text, name, content)
    return text


def write(results: Results, template: Path, folder: Path) -> None:
    """`template` with its generated parts made anew, and the plots, into `folder`."""
    text = document(template.read_text(encoding="utf-8"), results)
    (folder / "performance.md").write_text(text, encoding="utf-8")
    for name, panels in (("latency", latency_panels(results)), ("growth", growth_panels(results))):
        drawn = list(panels)
        if drawn:
            (folder / f"{name}.svg").write_text(svg(drawn, columns=2 if name == "latency" else 3), encoding="utf-8")


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) or "Not measured yet."


def _optional(value: float | None) -> str:
    return "-" if value is None else _short(value)


def _short(value: float) -> str:
    """Three digits, and none behind the point from 100 on."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def verdicts(results: Results, names: Sequence[str]) -> str:
    """The goals among the asked rows, for the terminal."""
    return "\n".join(f"{goal.name:<16} {verdict(results, goal)}" for goal in GOALS if goal.name in names)
