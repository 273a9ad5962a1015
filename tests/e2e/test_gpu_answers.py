"""On a GPU the bundled model gives the CPU's words in fp32, whatever the engine does; rounded weights nearly."""

from __future__ import annotations

import json
from pathlib import Path

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


def answers(
    monkeypatch: pytest.MonkeyPatch, folder: Path, cases: Path, concurrency: int, **environ: str
) -> dict[str, str]:
    """What an engine with these settings says to every example."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    out = folder / "answers.jsonl"
    command = ["eval", "--own", "--cases", str(cases), "--concurrency", str(concurrency), "--answers", str(out)]
    assert main(command) == 0
    for name in environ:
        monkeypatch.delenv(name)
    return {row["name"]: row["answer"] for row in map(json.loads, out.read_text("utf-8").splitlines())}


@pytest.fixture(scope="module")
def on_a_cpu(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        root = Path(__file__).resolve().parents[2]
        return answers(patch, tmp_path_factory.mktemp("cpu"), root / "examples", 4, FLASHWEB_DEVICE="cpu")


@pytest.mark.parametrize("way", WAYS)
def test_greedy_words_in_fp32_are_the_cpus(
    way: str, on_a_cpu: dict[str, str], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"FLASHWEB_DEVICE": "cuda", "FLASHWEB_DTYPE": "float32", **WAYS[way]}
    assert answers(monkeypatch, tmp_path, root / "examples", 12, **settings) == on_a_cpu


@pytest.mark.parametrize("quantization", ["none", "fp8", "int8", "int4"])
def test_rounded_weights_change_few_answers(
    quantization: str, on_a_cpu: dict[str, str], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured on all held-out sets: int8 turns none of 908, fp8 six, int4 twenty-one (docs/experiments.md)."""
    settings = {"FLASHWEB_DEVICE": "cuda", "FLASHWEB_QUANTIZATION": quantization}
    found = answers(monkeypatch, tmp_path, root / "examples", 12, **settings)
    unlike = sum(found[name] != text for name, text in on_a_cpu.items())
    assert unlike <= (3 if quantization == "int4" else 2), unlike
