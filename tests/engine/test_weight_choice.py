"""What `--quantization auto` comes to in the engine process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flashweb.engine import memory
from flashweb.engine.config import EngineConfig
from flashweb.engine.memory import Card
from flashweb.engine.worker import Worker
from tests.model.packed_checkpoints import Stored, compressed, write
from tests.parity.reference import make_checkpoint

MIB = 1 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def worker(folder: Path, quantization: Any = "auto") -> Worker:
    config = EngineConfig(
        model=str(folder), quantization=quantization, max_num_seqs=1, max_num_batched_tokens=64, max_image_patches=64,
        max_num_batched_patches=64, encoder_cache_bytes=0,
    )  # fmt: skip
    return Worker(None, config)  # type: ignore[arg-type]


def test_a_cpu_computes_with_the_checkpoints_own_precision(folder: Path) -> None:
    assert worker(folder)._choose_weights("cpu") == "none"


def test_what_was_asked_for_is_not_second_guessed(folder: Path) -> None:
    assert worker(folder, "int4")._choose_weights("cuda") == "int4"


@pytest.mark.parametrize(("mib", "wanted"), [(4096, "none"), (0, "int4")])
def test_a_gpu_gets_what_fits_with_the_reason(
    folder: Path, mib: int, wanted: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory.Card, "of", lambda config, device: Card(mib * MIB, 0, has_fp8=True))
    made = worker(folder)
    with caplog.at_level("INFO"):
        assert made._choose_weights("cuda") == wanted
    assert "GiB are there" in made.weights_reason
    (line,) = caplog.records
    assert line.getMessage() == f"weights in {wanted}: {made.weights_reason}"
    assert line.levelname == ("INFO" if mib else "WARNING")


def test_a_packed_checkpoint_is_used_as_it_is_where_it_fits(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    how = Stored("packed", 4, 32)
    config = compressed("packed", 4, 32)
    packed, _ = write(folder, tmp_path / "packed", tmp_path / "plain", lambda m: how if "layers" in m else None, config)
    monkeypatch.setattr(memory.Card, "of", lambda config, device: Card(4096 * MIB, 0, has_fp8=True))
    made = worker(packed)
    with caplog.at_level("INFO"):
        assert made._choose_weights("cuda") == "none"
    assert made.weights_reason.startswith("the checkpoint's own int4 needs")
    assert caplog.records[0].getMessage().startswith("weights in int4: ")
