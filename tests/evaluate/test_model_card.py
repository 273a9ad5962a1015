"""The bundled model's card says what was measured, and what was measured is what the model does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from flashweb.cli import main

ROOT = Path(__file__).resolve().parents[2]
CARD = ROOT / "src" / "flashweb" / "models" / "flashweb-nano" / "README.md"
RESULTS = ROOT / "benchmarks" / "results"


def measured(name: str) -> dict[str, dict[str, float]]:
    return {row["set"]: row for row in json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["sets"]}


def test_the_cards_table_is_what_was_measured() -> None:
    greedy, sampled = measured("eval"), measured("eval_sampled")
    rows = re.findall(
        r"^\| `([a-z-]+)`: .*? \| ([\d.]+) % \((\d+)\).*? \| ([\d.]+) % \|$", CARD.read_text("utf-8"), re.M
    )
    assert {name for name, *_ in rows} == greedy.keys() == sampled.keys()
    for name, exact, cases, at_random in rows:
        assert float(exact) == pytest.approx(greedy[name]["exact"], abs=0.051) and int(cases) == greedy[name]["cases"]
        assert float(at_random) == pytest.approx(sampled[name]["exact"], abs=0.051)


def test_the_chinese_card_gives_the_same_figures() -> None:
    chinese = CARD.read_text("utf-8").split("## 中文")[1]
    told = {float(exact) for exact, _ in re.findall(r"([\d.]+) %（n (\d+)）", chinese)}
    known = {round(row["exact"], 1) for row in measured("eval").values()}
    assert len(told) >= 5 and told <= known


@pytest.mark.slow
def test_the_model_scores_what_the_results_say(tmp_path: Path) -> None:
    out = tmp_path / "eval.json"
    assert main(["eval", "--own", "--concurrency", "4", "--json", str(out)]) == 0
    found = {row["set"]: row for row in json.loads(out.read_text("utf-8"))["sets"]}
    for name, row in measured("eval").items():
        tolerated = 100 * 2 / row["cases"]  # two cases: another batch's order of sums can turn a close call
        assert found[name]["exact"] == pytest.approx(row["exact"], abs=tolerated), name
