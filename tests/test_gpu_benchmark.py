"""benchmarks/gpu.py: every step of it on a CPU, the goals as they were set, and the document it writes."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.dom.minidom
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import as_text, packed, unpacked
from flashweb.model.config import ModelConfig
from flashweb.prompt import PromptProcessor
from flashweb.types import Chat, ImagePart, Message, TextPart

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module; scripts find their neighbours in their own folder."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import gpu as module

    return module


def run(*args: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/gpu.py", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def stored(path: Path) -> dict[str, Any]:
    return unpacked(json.loads(path.read_text()))


def measured(points: dict[Any, list[dict[str, Any]]], starts: list[float] | None = None) -> dict[str, Any]:
    """Results as the script keeps them, of the given runs."""
    setup = dict.fromkeys(
        ("date", "commit", "device", "driver", "cpu", "cores", "python", "torch", "triton"), "x"
    ) | {"flags": ["--device", "cuda"]}  # fmt: skip
    return {
        "starts": {"bf16": {"seconds": starts, "setup": setup}} if starts else {},
        "points": {point.name: {"runs": runs, "setup": setup} for point, runs in points.items()},
    }


@pytest.mark.slow
def test_a_smoke_run_goes_through_every_kind_of_row_and_writes_all_files(tmp_path: Path) -> None:
    rows = ("start", "bf16-text-1", "bf16-448-8", "bf16-shared-64", "latency-streams", "fp8-448-128")
    done = run("--smoke", "--out", str(tmp_path), *rows)
    assert done.returncode == 0, done.stdout + done.stderr
    results = stored(tmp_path / "gpu_table.json")
    assert len(results["points"]) == 5 and len(results["starts"]["bf16"]["seconds"]) == 2
    check_smoke(results)
    streams = results["points"]["latency-1024px-16c-streams8"]["runs"][0]["streams"]
    assert streams["clients"] == 1 and streams["alone"]["requests"] == 3 and streams["beside"]["requests"] >= 1
    text = (tmp_path / "performance.md").read_text()
    assert "| 8 |" in text and "Not measured: 1, 2, 4, 16, 32, 64, 128." in text
    assert "--quantization int8`: fp8-448px-128c" in text, "set-ups with few points name them"
    xml.dom.minidom.parse(str(tmp_path / "latency.svg"))
    assert not list(tmp_path.glob("*.log")), "logs are kept only when something went wrong"
    # The results are not to be mixed with measurements, and a server that cannot start is told, with its rows.
    assert "give another --out" in run("--out", str(tmp_path), "bf16-text-1").stderr
    failing = run("--smoke", "--out", str(tmp_path), "--serve-flags=--port nonsense", "bf16-text-1", "start")
    assert failing.returncode == 1 and "not measured now: start, bf16-text-1c" in failing.stdout
    assert stored(tmp_path / "gpu_table.json") == results, "what was not run stays"


@pytest.mark.slow
def test_a_smoke_run_of_everything_ends_within_two_minutes_and_leaves_no_row_out(tmp_path: Path) -> None:
    done = run("--smoke", "--out", str(tmp_path))  # a minute on two quiet cores
    assert done.returncode == 0, done.stdout + done.stderr
    results = stored(tmp_path / "gpu_table.json")
    check_smoke(results)
    assert "ot measured" not in (tmp_path / "performance.md").read_text()
    for name in ("latency", "growth"):
        xml.dom.minidom.parse(str(tmp_path / f"{name}.svg"))


def check_smoke(results: dict[str, Any]) -> None:
    assert "no measurement" in results["what"]
    for name, point in results["points"].items():
        (only,) = point["runs"]
        assert only["requests"] and not only["errors"], name
        assert ("int8" in point["setup"]["flags"]) == name.startswith("fp8")


def test_without_time_nothing_is_started_and_everything_is_named(tmp_path: Path) -> None:
    done = run("--smoke", "--out", str(tmp_path), "--minutes", "0.01", "bf16-text-*", "start")
    assert done.returncode == 1
    assert "not measured now: start, bf16-text-1c, bf16-text-64c" in done.stdout
    assert "ready" not in done.stderr


def test_the_same_rows_run_on_any_server(echo_server: str, tmp_path: Path) -> None:
    done = run("--url", echo_server, "--label", "other", "--out", str(tmp_path), "--runs", "2", "bf16-text-1")
    assert done.returncode == 0, done.stdout + done.stderr
    results = stored(tmp_path / "gpu_table-other.json")
    assert [row["requests"] for row in results["points"]["bf16-text-1c"]["runs"]] == [6, 6]
    assert not (tmp_path / "performance.md").exists()
    again = run(
        "--url", echo_server, "--label", "other", "--out", str(tmp_path), "--runs", "1", "--missing", "bf16-text-*"
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert "bf16-text-64c:" in again.stderr and "bf16-text-1c:" not in again.stderr, "only what is missing is run"


def test_the_dummy_model_has_the_published_shapes_and_the_measured_prompt_lengths(gpu: Any, tmp_path: Path) -> None:
    folder = gpu.write_model(tmp_path)
    published = ROOT / "tests" / "model" / "data"
    document = json.loads((published / "glm-4.6v-flash.config.json").read_text())
    assert ModelConfig.read(folder) == ModelConfig.from_dict(document)
    processor = PromptProcessor(folder)
    assert processor.tokenizer.control_id("<|image|>") == document["image_token_id"]
    assert processor.num_real_tokens == 151365
    assert processor.geometry.max_patches == 24576
    question = TextPart(gpu.PROMPT)
    assert processor.build(Chat((Message("user", (question,)),)), []).num_tokens == 67
    long = TextPart("x" * 5000)
    assert processor.build(Chat((Message("user", (long,)),)), []).num_tokens == 5006
    rendered = processor.template.render(Chat((Message("user", (question, ImagePart(data=b"x"))),)))
    assert [name for name, is_control in rendered if is_control][-4:-1] == [
        "<|begin_of_image|>", "<|image|>", "<|end_of_image|>"
    ]  # fmt: skip


def test_rows_are_found_by_name_and_unknown_ones_refused(gpu: Any) -> None:
    assert gpu.chosen(["fp8-*", "start"]) == ["fp8-text-1", "fp8-1024-64", "fp8-448-128", "start"]
    with pytest.raises(SystemExit, match="no row is called bf17"):
        gpu.chosen(["bf17"])


def test_goals_come_first_and_no_point_is_measured_twice(gpu: Any) -> None:
    phases = gpu.phases(gpu.chosen([]))
    assert [weights for weights, _ in phases] == ["bf16", "fp8", "latency", "bf16", "kv-fp8"]
    goals = {goal.point for goal in gpu.GOALS if goal.point}
    assert goals == {point for _, points in phases[:3] for point in points}
    points = [point.name for _, found in phases for point in found]
    assert len(points) == len(set(points))
    assert gpu.phases(["start"]) == [("bf16", [])]
    assert [weights for weights, _ in gpu.phases(["bf16-text-1", "growth-batch"])] == ["bf16"]


def test_a_weight_format_the_server_does_not_offer_is_a_reason(gpu: Any) -> None:
    assert gpu.offered("bf16", ("--device", "cuda")) == ""
    assert gpu.offered("fp8", ("--quantization", "int8")) == ""
    assert "flashweb serve offers --quantization auto, none" in gpu.offered("fp8", ("--quantization", "fp3"))


def test_the_verdict_is_that_of_the_median_and_errors_spoil_it(gpu: Any) -> None:
    report = gpu.gpu_report
    goals = {goal.name: goal for goal in gpu.GOALS}
    slow, fast = goals["bf16-text-1"], goals["bf16-1024-64"]  # less is better; more is better

    def verdict(goal: Any, *values: float, errors: int = 0) -> str:
        return str(report.verdict(measured({goal.point: [{goal.figure: v, "errors": errors} for v in values]}), goal))

    assert verdict(slow, 9.0, 5.2, 4.9) == "yes" and verdict(slow, 5.3, 5.21) == "no"
    assert verdict(slow, 4.6) == "yes, stretch" and verdict(slow, 4.6, errors=1) == "no: 1 errors"
    assert verdict(fast, 13.4) == "no" and verdict(fast, 13.5) == "yes" and verdict(fast, 14.5) == "yes, stretch"
    assert report.verdict(measured({}), slow) == "not measured"
    start = goals["start"]
    assert report.verdict(measured({}, [90.0, 12.0, 16.0]), start) == "yes, stretch", "the first start may compile"
    assert report.verdict(measured({}, [90.0]), start) == "no"


def test_what_the_chip_needs_agrees_with_what_was_measured_on_it(gpu: Any) -> None:
    from gpu_rows import decode_ms, first_token_ms

    assert decode_ms(1, 67) == pytest.approx(3.94, abs=0.02)
    assert decode_ms(1, 65536) - decode_ms(1, 0) == pytest.approx(1e3 * 65536 * 40960 / 4.46e12, rel=0.01)
    assert first_token_ms(1024) == pytest.approx(19.5 + 33.2, rel=0.04), "tower and prefill linears, measured"


def test_a_curve_of_two_points_is_drawn_and_the_rest_is_named(gpu: Any) -> None:
    points = [gpu.Point("bf16", clients, 448) for clients in (1, 8)]
    figures = {"requests_per_s": 2.0, "output_tokens_per_s": 256.0, "errors": 0, "requests": 6}
    figures |= {f"{name}_ms_{p}": 50.0 for name in ("first_token", "per_token") for p in ("p50", "p95")}
    results = measured({point: [figures] for point in points})
    contents = gpu.gpu_report.contents(results)
    assert (
        "| 8 | 2.00 | 256 | 50.0 |" in contents["load"] and "Not measured: 2, 4, 16, 32, 64, 128." in contents["load"]
    )
    panels = list(gpu.gpu_report.latency_panels(results))
    assert [line.name for line in panels[0].lines] == ["p50", "p95"]
    picture = xml.dom.minidom.parseString(gpu.gpu_report.svg(panels, 2))
    assert len(picture.getElementsByTagName("polyline")) == 4


def test_the_document_is_the_one_the_results_give(gpu: Any) -> None:
    path = ROOT / "benchmarks" / "results" / "gpu_table.json"
    text = (ROOT / "docs" / "performance.md").read_text()
    again = gpu.gpu_report.document(text, gpu.load_results(path, smoke=False))
    assert again == text, "run benchmarks/gpu.py --report"


def test_results_of_many_rows_take_less_text_and_keep_every_number() -> None:
    rows = [{"name": f"kernel {n}", "us": n / 8, "gb_per_s": 0.0, "calls": n} for n in range(20)]
    runs = [{"requests": 6, "errors": 0, "streams": {"gap_ms": 1.5}}, {"requests": 6, "errors": 0, "streams": None}]
    setups = [{"flags": ["--device", number], "rows": 1} for number in range(2)]
    result = {
        "what": "x",
        "points": {f"{n}": {"point": {"side": 1.0}, "runs": runs, "setup": setups[n % 2]} for n in range(4)},
        "rows": rows,
        "uneven": [{"a": 1, "b": 2, "c": 3}, {"a": 1}, {}],
        "short": [{"a": 1, "b": 2}, {"a": 3, "b": 4}],
        "none": [],
    }
    text = as_text(packed(result))
    assert len(text) < 0.7 * len(as_text(result)) and text.count("--device") == 2
    assert unpacked(json.loads(text)) == result
    assert list(unpacked(json.loads(text))["rows"][0]) == list(rows[0])
    assert unpacked(result) == result, "what was never packed"


def test_the_large_results_are_as_the_scripts_would_write_them() -> None:
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        if path.stat().st_size > 10_000:
            assert path.read_text("utf-8") == as_text(packed(stored(path))) + "\n", path.name
