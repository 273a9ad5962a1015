"""How the KV cache is sized: from what the sequences can use, and from what the device has left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flashweb.engine.config import MIB, EngineConfig
from flashweb.engine.memory import SMALL_CUDA_BYTES, Card, MemoryPlan, plan_memory, step_limits
from flashweb.errors import ConfigError
from flashweb.model import footprint
from flashweb.model.config import ModelConfig


def plan(
    config: EngineConfig, free_bytes: int | None, kv_bytes_per_token: int = 40_960, checkpoint_len: int = 131_072
) -> MemoryPlan:
    return plan_memory(
        config,
        kv_bytes_per_token=kv_bytes_per_token,
        checkpoint_len=checkpoint_len,
        device_type="cpu" if free_bytes is None else "cuda",
        free_bytes=free_bytes,
    )


def test_a_large_model_takes_what_its_gpu_has_left() -> None:
    free = 60_000 * MIB
    made = plan(EngineConfig(), free)
    assert free - 40_960 * 16 < made.kv_cache_bytes <= free
    assert made.limits.max_model_len == 131_072


def test_a_small_model_takes_no_more_of_a_gpu_than_its_sequences_can_use() -> None:
    made = plan(EngineConfig(), 118_000 * MIB, kv_bytes_per_token=2_560, checkpoint_len=4_096)
    assert made.kv_cache_bytes == 256 * 4_096 * 2_560


def test_a_cpu_takes_half_a_gibibyte_at_most() -> None:
    assert plan(EngineConfig(), None).kv_cache_bytes <= 512 * MIB
    assert plan(EngineConfig(), None, kv_bytes_per_token=64, checkpoint_len=1_024).kv_cache_bytes == 16 * 1_024 * 64


def test_the_longest_sequence_is_cut_to_what_fits_unless_a_length_was_asked_for() -> None:
    free = 1_000 * 40_960 * 16
    assert plan(EngineConfig(), free).limits.max_model_len == 16_000
    with pytest.raises(ConfigError, match="max_model_len 20000"):
        plan(EngineConfig(max_model_len=20_000), free)


def test_a_gpu_without_room_is_refused_with_the_figures() -> None:
    with pytest.raises(ConfigError, match="0 MiB are there"):
        plan(EngineConfig(), -5 * MIB)


def test_a_small_gpu_gets_small_steps_unless_others_are_asked_for() -> None:
    large, small = step_limits(EngineConfig(), "cuda", SMALL_CUDA_BYTES), step_limits(EngineConfig(), "cuda", 12 << 30)
    assert large == step_limits(EngineConfig(), "cuda")
    assert small.max_num_batched_tokens < large.max_num_batched_tokens and small.max_num_seqs < large.max_num_seqs
    assert step_limits(EngineConfig(max_num_seqs=64), "cuda", 12 << 30).max_num_seqs == 64


def test_a_memory_cap_stands_for_a_card_of_that_size_with_nobody_on_it() -> None:
    capped = EngineConfig(memory_cap_bytes=12 << 30, gpu_memory_utilization=0.5)
    assert Card.planned(capped, 140 << 30, 3 << 30, True) == Card(6 << 30, 0, True)
    assert Card.planned(EngineConfig(gpu_memory_utilization=0.5), 140 << 30, 3 << 30, True).budget_bytes == 67 << 30
    assert step_limits(capped, "cuda", 6 << 30) != step_limits(capped, "cuda")


def test_captured_steps_keep_the_largest_layers_tensors_and_the_logits(root: Path, tmp_path: Path) -> None:
    """GLM-4.6V-Flash: 4 x 4096 + 3 x 13696 values for each of 1,024 tokens, 151,552 logits for 256 sequences."""
    shutil.copy(root / "tests" / "model" / "data" / "glm-4.6v-flash.config.json", tmp_path / "config.json")
    config = ModelConfig.read(tmp_path).text
    kept = footprint.graph_bytes(config, 2, num_tokens=1024, max_num_seqs=256)
    assert kept == pytest.approx(1.1 * 2 * 1024 * (4 * 4096 + 3 * 13696) + 256 * 151552 * (2 + 4), rel=1e-6)
