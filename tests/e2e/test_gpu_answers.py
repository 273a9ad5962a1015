"""On a GPU the bundled model gives the CPU's words in fp32, whatever the engine does; rounded weights nearly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from flashweb.cli import main

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

# What the engine does: everything at once, prompts in pieces, sequences that give up their blocks, every step eager.
WAYS = {
    "as it comes": {},
    "chunks": {"FLASHWEB_MAX_NUM_BATCHED_TOKENS": "64", "FLASHWEB_MAX_NUM_SEQS": "8"},
    "preemption": {"FLASHWEB_KV_CACHE_MEMORY": "24MiB", "FLASHWEB_MAX_MODEL_LEN": "1536"},
    "drafts": {"FLASHWEB_SPECULATION": "on"},
}


class Answer(NamedTuple):
    text: str
    is_right: bool


def answers(
    monkeypatch: pytest.MonkeyPatch, folder: Path, cases: Path, concurrency: int, **environ: str
) -> dict[str, Answer]:
    """What an engine with these settings says to every example."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    out = folder / "answers.jsonl"
    command = ["eval", "--own", "--cases", str(cases), "--concurrency", str(concurrency), "--answers", str(out)]
    assert main(command) == 0
    for name in environ:
        monkeypatch.delenv(name)
    rows = map(json.loads, out.read_text("utf-8").splitlines())
    return {row["name"]: Answer(row["answer"], row["exact"] == 1.0) for row in rows}


@pytest.fixture(scope="module")
def on_a_cpu(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    with pytest.MonkeyPatch.context() as patch:
        root = Path(__file__).resolve().parents[2]
        return answers(patch, tmp_path_factory.mktemp("cpu"), root / "examples", 4, FLASHWEB_DEVICE="cpu")


@pytest.mark.parametrize("way", WAYS)
def test_greedy_words_in_fp32_are_the_cpus(
    way: str, on_a_cpu: dict[str, Answer], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"FLASHWEB_DEVICE": "cuda", "FLASHWEB_DTYPE": "float32", **WAYS[way]}
    assert answers(monkeypatch, tmp_path, root / "examples", 12, **settings) == on_a_cpu


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_cache_in_fp8_turns_few_answers_wrong(
    dtype: str, on_a_cpu: dict[str, Answer], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"FLASHWEB_DEVICE": "cuda", "FLASHWEB_DTYPE": dtype, "FLASHWEB_KV_CACHE_DTYPE": "fp8"}
    found = answers(monkeypatch, tmp_path, root / "examples", 12, **settings)
    wrong = [name for name, answer in on_a_cpu.items() if answer.is_right and not found[name].is_right]
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize("quantization", ["none", "fp8", "int8", "int4"])
def test_rounded_weights_turn_few_answers_wrong(
    quantization: str, on_a_cpu: dict[str, Answer], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On all held-out sets int8 turns one of 908, fp8 six, int4 twenty-one (docs/experiments.md). Other words are no
    fault: of fp8's answers a tenth are not fp32's."""
    settings = {"FLASHWEB_DEVICE": "cuda", "FLASHWEB_QUANTIZATION": quantization}
    found = answers(monkeypatch, tmp_path, root / "examples", 12, **settings)
    wrong = [name for name, answer in on_a_cpu.items() if answer.is_right and not found[name].is_right]
    assert len(wrong) <= (2 if quantization == "int4" else 1), wrong
