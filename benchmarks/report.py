"""Writes the figures of both READMEs from benchmarks/results/*.json, so that no figure is typed by hand.

    .venv/bin/python benchmarks/report.py           rewrites what stands between the markers
    .venv/bin/python benchmarks/report.py --check   only tells whether they are current (exit code 1 when not)

A result that is not in git has no row: add it first (`git add benchmarks/results/NAME.json`).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from common import unpacked
from gpu_rows import GOALS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md"}
HEADS = {
    "en": "| what | measured | goal | set-up |\n|---|--:|--:|---|",
    "zh": "| 项目 | 实测 | 目标 | 条件 |\n|---|--:|--:|---|",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `what` in both languages."""

    what: dict[str, str]
    measured: str
    goal: str
    result: str  # the file it comes from


def load(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return unpacked(json.loads(path.read_text("utf-8"))) if path.exists() and path.name in tracked() else None


@cache
def tracked() -> frozenset[str]:
    """Names of the results that belong to the repository; outside git, of all that are there."""
    listed = subprocess.run(["git", "ls-files", "--", str(RESULTS)], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        return frozenset(path.name for path in RESULTS.glob("*.json"))
    return frozenset(Path(line).name for line in listed.stdout.splitlines())


def reading_rows() -> Iterator[Row]:
    result = load("eval")
    goals = {
        **dict.fromkeys(("amounts-plain", "amounts-decorated", "amounts-unseen", "audit"), "≥ 95 %"),
        **dict.fromkeys(("boxes", "marking", "contract", "inspection"), "≥ 85 %"),
        **dict.fromkeys(("colours", "counts", "yesno", "refusals"), "≥ 95 %"),
        "reading": "≥ 97 %",
    }
    names = {
        "amounts-plain": ("all amounts of a plain page, exactly", "普通页面上的全部金额,完全正确"),
        "amounts-decorated": ("the same, pages with frames, bands, banners", "同上,带边框、色带、横幅的页面"),
        "amounts-unseen": (
            "the same, decorations and layouts never drawn in training",
            "同上,训练中从未画过的装饰与版面",
        ),
        "reading": ("all text, characters right (1 - CER)", "全文识别,字符正确率 (1 - CER)"),
        "audit": ("the whole JSON of an audit", "审核 JSON 整体正确"),
        "boxes": ("boxes, IoU > 0.5", "定位框 IoU > 0.5"),
        "marking": ("worksheets marked, all keys, boxes by IoU > 0.5", "批改练习,各键全对,框 IoU > 0.5"),
        "contract": ("contracts reviewed, all keys", "合同审查,各键全对"),
        "inspection": ("workpieces inspected, all defects", "工件质检,缺陷全对"),
        "colours": ("colours of shapes and text", "图形与文字的颜色"),
        "counts": ("how many shapes", "数图形"),
        "yesno": ("yes or no", "是非题"),
        "refusals": ("beyond its reach declined, all else answered", "超出能力时拒答,其余照答"),
    }
    for row in result["sets"] if result else ():
        if row["set"] not in names:  # the model card has them all
            continue
        value = row.get("character_accuracy", row["exact"]) if row["set"] == "reading" else row["exact"]
        en, zh = names[row["set"]]
        yield Row(
            {"en": f"flashweb-nano: {en} ({row['cases']} pictures)", "zh": f"flashweb-nano:{zh}({row['cases']} 张图)"},
            f"{value:.1f} %", goals.get(row["set"], ""), "eval",
        )  # fmt: skip


def serve_rows() -> Iterator[Row]:
    result = load("serve_ratio")
    names = {"distinct": ("distinct pictures", "图片各不相同"), "same": ("the same picture", "同一张图片")}
    for kind, (en, zh) in names.items() if result else ():
        assert result is not None
        peer_en = f"requests/s over `transformers serve`, 8 clients, {en}"
        peer_zh = f"每秒请求数,与 `transformers serve` 之比,8 个客户端,{zh}"
        measured, goal = f"{result[kind]['median_ratio']:.1f}x", f"≥ {result[kind]['goal']:g}x"
        yield Row({"en": peer_en, "zh": peer_zh}, measured, goal, "serve_ratio")


def start_rows() -> Iterator[Row]:
    result = load("start_time")
    if result:
        yield Row(
            {"en": "start to ready, bundled model", "zh": "从启动到就绪(自带模型)"},
            f"{result['median_seconds']:.1f} s", f"≤ {result['goal_seconds']:g} s", "start_time",
        )  # fmt: skip


def generate_rows() -> Iterator[Row]:
    result = load("cpu_generate")
    # Set for the random model; a smaller decoder leaves less to gain.
    goals = {("flashweb fp32", 1): 1.3, ("flashweb fp32", 8): 1.3, ("flashweb int8", 1): 2.5, ("flashweb int8", 8): 2.3}
    for row in result["rows"] if result else ():
        if row["side"] != "transformers":
            goal = goals[row["side"], row["batch"]] if row["model"].startswith("random") else None
            how = f"{row['side'].removeprefix('flashweb ')}, {row['model']}"
            yield Row(
                {
                    "en": f"decode tokens/s over transformers' `generate`, {how}, batch {row['batch']}",
                    "zh": f"解码速度,与 transformers `generate` 之比,{how},批大小 {row['batch']}",
                },
                f"{row['decode_ratio']:.2f}x",
                f"≥ {goal}x" if goal else "",
                "cpu_generate",
            )


def picture_rows() -> Iterator[Row]:
    result = load("media")
    goals = {
        ("1024x1024", "exact"): 2.4,
        ("4000x3000", "exact"): 2.4,
        ("1024x1024", "fast"): 3.0,
        ("4000x3000", "fast"): 4.5,
    }
    words = {"exact": ("identical pixels", "像素完全相同"), "fast": ("within 2 levels", "相差不超过 2 级")}
    for row in result["rows"] if result else ():
        for side, (en, zh) in words.items():
            goal = goals.get((row["jpeg"], side))
            if goal and side in row["sides"]:
                yield Row(
                    {"en": f"picture preparation over transformers, {row['jpeg']}, {en}",
                     "zh": f"图片预处理,与 transformers 之比,{row['jpeg']},{zh}"},
                    f"{row['sides'][side]['ratio']:.1f}x", f"≥ {goal}x", "media",
                )  # fmt: skip


def first_token_rows() -> Iterator[Row]:
    result = load("bench")
    alone = next((row for row in result["rows"] if row["concurrency"] == 1), None) if result else None
    if alone:
        yield Row(
            {"en": "first token, one 448 px picture, bundled model", "zh": "首个词元,一张 448 px 图片,自带模型"},
            f"{alone['first_token_ms_p50']:.0f} ms", "≤ 200 ms", "bench",
        )  # fmt: skip


def cost_rows() -> Iterator[Row]:
    cost, memory = load("echo_cost"), load("memory")
    for kind in ("jpeg", "png") if cost else ():
        assert cost is not None
        row = cost["rows"][f"{kind}_448"]
        yield Row(
            {
                "en": f"the web process's CPU time per request (448 px {kind.upper()}, 32 tokens), best (median) round",
                "zh": f"网络进程每个请求的 CPU 时间(448 px {kind.upper()},32 个词元),最好一轮(中位数)",
            },
            f"{row['cpu_ms_per_request']:.1f} ms ({row['median_ms']:.1f})",
            f"≤ {cost['limit_ms']:g} ms",
            "echo_cost",
        )
    if memory:
        yield Row(
            {"en": f"the web process's memory, highest in {memory['requests']} requests with pictures",
             "zh": f"网络进程的内存,{memory['requests']} 个带图请求中的最高值"},
            f"{memory['highest_web_rss_mb']:.0f} MB", "< 300 MB", "memory",
        )  # fmt: skip


def gpu_table_rows() -> Iterator[Row]:
    """The main lines of docs/performance.md, which has them all."""
    result = load("gpu_table")
    names = {
        "bf16-1024-1": "bf16,1024 px 图片,1 个客户端,首个词元(毫秒)",
        "bf16-1024-64": "bf16,1024 px 图片,64 个客户端,每秒请求数",
        "fp8-448-128": "fp8,448 px 图片,128 个客户端,每秒请求数",
        "bf16-text-1": "bf16,无图片,1 个客户端,每个词元(毫秒)",
        "fp8-text-1": "fp8,无图片,1 个客户端,每个词元(毫秒)",
    }
    for goal in GOALS if result else ():
        assert result is not None
        point = result["points"].get(goal.point.name) if goal.point else None
        if goal.name not in names or point is None:
            continue
        device = point["setup"]["device"]
        value = median(run[goal.figure] for run in point["runs"])
        yield Row(
            {
                "en": f"{device}, GLM-4.6V-Flash's shapes, {goal.what} (vLLM 0.26: {goal.vllm:g})",
                "zh": f"{device},GLM-4.6V-Flash 的形状,{names[goal.name]}(vLLM 0.26:{goal.vllm:g})",
            },
            f"{value:.3g}", f"{'≥' if goal.more_is_better else '≤'} {goal.firm:g}", "gpu_table",
        )  # fmt: skip


SOURCES: tuple[Callable[[], Iterator[Row]], ...] = (
    reading_rows,
    start_rows,
    first_token_rows,
    serve_rows,
    generate_rows,
    picture_rows,
    cost_rows,
    gpu_table_rows,
)


def figures(language: str) -> str:
    lines = [HEADS[language]]
    for source in SOURCES:
        for row in source():
            link = f"[{row.result}.json](benchmarks/results/{row.result}.json)"
            lines.append(f"| {row.what[language]} | {row.measured} | {row.goal} | {link} |")
    return "\n".join(lines) if len(lines) > 1 else ""


def headline(language: str) -> str:
    """One number with its set-up."""
    result = load("eval")
    rows = [row for row in result["sets"] if row["set"] in ("amounts-plain", "amounts-decorated")] if result else []
    if not rows:
        return ""
    cases = sum(row["cases"] for row in rows)
    right = sum(round(row["cases"] * row["exact"] / 100) for row in rows)
    if language == "zh":
        return (
            f"在 {cases} 张留出的小票、标签和菜单上(字体在训练中从未出现,一半带边框、色带和横幅),"
            f"自带模型按顺序列出全部金额、一个不错的有 **{right} 张**。"
        )
    return (
        f"On {cases} held-out receipts, labels and menus, drawn in fonts its training never saw, half of them with "
        f"frames, bands and banners,\nthe bundled model lists every amount in order without a mistake on **{right}**."
    )


def filled(text: str, name: str, content: str) -> str:
    return re.sub(
        rf"<!-- {name} -->\n.*?<!-- /{name} -->",
        lambda _: f"<!-- {name} -->\n{content + chr(10) if content else ''}<!-- /{name} -->",
        text,
        flags=re.DOTALL,
    )


def main(check: bool) -> int:
    stale = []
    for language, path in READMES.items():
        before = path.read_text(encoding="utf-8")
        after = filled(filled(before, "headline", headline(language)), "figures", figures(language))
        if before != after:
            stale.append(path.name)
            if not check:
                path.write_text(after, encoding="utf-8")
    if stale and check:
        print(f"{', '.join(stale)}: the figures are not those of benchmarks/results; run benchmarks/report.py")
    return int(bool(stale) and check)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
