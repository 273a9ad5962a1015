"""Keep what a training run logged: its curve and its scores while training as JSON, and both as a picture (SVG).

python -m training.curves RUN/log.jsonl --out training/results/flashweb-nano-8.json --device "..." --note "..."
python -m training.curves --draw training/results/flashweb-nano-8.json --svg docs/training-curve.svg
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

STEP_KEYS = ("step", "minutes", "loss", "reading", "rate", "steps_per_s", "pictures_per_s")
EVERY = 6  # of the logged steps that are kept
WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM = 720, 300, 40, 46, 34
SHOWN = {"amounts": "#0b6e4f", "contract": "#b4472e", "marking": "#7d3c98", "count": "#1f5fa8", "colour": "#c77d0a"}


def summary(log: Path, device: str, note: str) -> dict[str, Any]:
    """What is worth keeping of a log; `teacher_forced` is [percent, questions] per task and split."""
    events = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    start = next(event for event in events if event["event"] == "start")
    drop = ("event", "minutes")
    part = {
        "steps": steps[-1]["step"],
        "minutes": steps[-1]["minutes"],
        "budget": start["budget"],
        "shape": start["shape"],
        "torch": start["torch"],
        "curve": [{key: step[key] for key in STEP_KEYS} for step in [*steps[:-1:EVERY], steps[-1]]],
        "teacher_forced": [
            {"minutes": event["minutes"]} | {key: value for key, value in event.items() if key not in drop}
            for event in events
            if event["event"] == "evaluation"
        ],
    }
    return {"model": "flashweb-nano", "device": device, "note": note, "parts": [part]}


def svg(result: dict[str, Any]) -> str:
    """Losses (left axis), learning rate and answers right on unseen pages (right axis, percent) over minutes."""
    part = result["parts"][-1]
    curve, scores = part["curve"], part["teacher_forced"]
    minutes, highest = part["minutes"], 0.3

    def x(minute: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * minute / minutes

    def y(share: float) -> float:
        return (HEIGHT - BOTTOM) * (1 - min(1.0, max(0.0, share))) + 8

    def line(points: list[tuple[float, float]], colour: str, dash: str = "") -> str:
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'

    def text(at_x: float, at_y: float, words: str, colour: str = "#444", anchor: str = "start") -> str:
        return f'<text x="{at_x:.1f}" y="{at_y:.1f}" fill="{colour}" text-anchor="{anchor}">{words}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + 24}" font-family="sans-serif" '
        f'font-size="11"><rect width="{WIDTH}" height="{HEIGHT + 24}" fill="#fff"/>',
        line([(p["minutes"], p["loss"] / highest) for p in curve], "#222"),
        line([(p["minutes"], p["reading"] / highest) for p in curve], "#999"),
        line([(p["minutes"], p["rate"]) for p in curve], "#ccc", ' stroke-dasharray="4 3"'),
    ]
    for step in range(4):
        share = step / 3
        parts.append(text(LEFT - 6, y(share) + 4, f"{highest * share:.1f}", "#444", "end"))
        parts.append(text(WIDTH - RIGHT + 6, y(share) + 4, f"{100 * share:.0f} %"))
        parts.append(line([(0, share), (minutes, share)], "#eee"))
    for minute in range(0, int(minutes) + 1, 4):
        parts.append(text(x(minute), HEIGHT - 8, f"{minute} min", "#444", "middle"))
    names = [("answer loss", "#222"), ("reading loss", "#999"), ("learning rate", "#aaa")]
    names += list(SHOWN.items()) if scores else []
    for task, colour in SHOWN.items():
        known = [(event["minutes"], event["unseen_all"].get(task, [None])[0]) for event in scores]
        points = [(minute, percent / 100) for minute, percent in known if percent is not None]
        parts += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3.5" fill="{colour}"/>' for a, b in points]
        parts.append(line(points, colour))
    for index, (name, colour) in enumerate(names):
        parts.append(text(LEFT + index * 82, HEIGHT + 14, name, colour))
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path, nargs="?", help="log.jsonl of a run")
    parser.add_argument("--out", type=Path, help="the JSON to write")
    parser.add_argument("--device", default="")
    parser.add_argument("--note", default="")
    parser.add_argument("--draw", type=Path, help="a JSON written before")
    parser.add_argument("--svg", type=Path, help="the picture to write")
    args = parser.parse_args()
    source = args.draw or args.out
    if source is None or (args.log is None) == (args.draw is None):
        parser.error("give a log with --out, or --draw with --svg")
    if args.log:
        kept = summary(args.log, args.device, args.note)
        source.write_text(json.dumps(kept, ensure_ascii=False) + "\n", "utf-8")
    if args.svg:
        args.svg.write_text(svg(json.loads(source.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
