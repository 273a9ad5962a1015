"""Steps with prompts as the GPU computes them equal the plain network's: its kernels, in Triton's interpreter here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.model.triton_device import DEVICE, INTERPRETED  # before anything with kernels

# isort: split

from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.model import fused_layers, glm4v
from flashweb.model.attention import KVCache
from flashweb.model.fused_layers import StepLists
from flashweb.model.glm4v import Glm4v
from flashweb.model.inputs import ForwardInputs
from flashweb.model.prefill_graphs import PrefillGraphs
from tests.model.test_decode_graphs import TEXT
from tests.parity.reference import make_checkpoint
from tests.parity.test_engine_parity import answers_of, ask

BLOCK, NUM_BLOCKS, MAX_CONTEXT = 16, 30, 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), text=TEXT, vision={"out_hidden_size": 64})


@pytest.fixture(scope="module")
def model(folder: Path) -> Glm4v:
    return Glm4v.load(folder, dtype="float32", device=DEVICE)


@pytest.fixture(scope="module")
def plain(folder: Path) -> Glm4v:
    """The network on the CPU, in torch alone."""
    return Glm4v.load(folder, dtype="float32")


def graphs_for(model: Glm4v, cache: KVCache, max_tokens: int = 64, max_sequences: int = 5) -> PrefillGraphs:
    return PrefillGraphs(model.text, cache, max_tokens, max_sequences, MAX_CONTEXT, capture=not INTERPRETED, num_sms=1)


def step(device: torch.device, new: list[int], past: list[int], pictures: bool = False, seed: int = 0) -> ForwardInputs:
    """Random tokens for sequences of so many new and past tokens, on shuffled blocks (the same for one seed)."""
    rng = np.random.default_rng(seed)
    blocks = np.random.default_rng(5).permutation(NUM_BLOCKS).reshape(-1, MAX_CONTEXT // BLOCK).tolist()
    tables = blocks[: len(new)]
    slots = [
        table[i // BLOCK] * BLOCK + i % BLOCK
        for n, p, table in zip(new, past, tables, strict=True)
        for i in range(p, p + n)
    ]
    total = sum(new)
    rows = torch.tensor([1, 3], device=device) if pictures else None
    return ForwardInputs(
        token_ids=torch.from_numpy(rng.integers(8, 60, total)).to(device),
        positions=torch.from_numpy(rng.integers(0, 90, (3, total))).to(device),
        slots=torch.tensor(slots, device=device), query_lens=list(new),
        context_lens=[n + p for n, p in zip(new, past, strict=True)], block_tables=tables, block_size=BLOCK,
        last_rows=torch.tensor(np.cumsum(new) - 1, device=device),
        image_features=torch.from_numpy(rng.normal(size=(2, 64)).astype(np.float32)).to(device) if pictures else None,
        image_rows=rows,
    )  # fmt: skip


# Prompts beside a single token; chunks that continue them, into another block, beside a row that decodes; rows alone.
STEPS = [([9, 1, 5], [0, 0, 0]), ([3, 1, 12], [9, 1, 5]), ([1, 1, 1], [12, 2, 17])]


def logits_of(model: Glm4v, hidden: torch.Tensor, inputs: ForwardInputs) -> torch.Tensor:
    return model.logits(hidden[inputs.last_rows]).cpu()


@torch.inference_mode()
def test_prompts_chunks_and_decoding_rows_give_the_plain_networks_logits(model: Glm4v, plain: Glm4v) -> None:
    caches = [m.new_kv_cache(NUM_BLOCKS, BLOCK) for m in (plain, model, model)]
    graphs = graphs_for(model, caches[2])
    for number, (new, past) in enumerate(STEPS):
        here = step(torch.device("cpu"), new, past, pictures=number == 0, seed=number)
        there = step(DEVICE, new, past, pictures=number == 0, seed=number)
        wanted = logits_of(plain, plain.forward(here, caches[0]), here)
        launched = fused_layers.forward(model.text, there, caches[1])
        assert graphs.fits(there)
        captured = graphs.forward(there)
        for hidden in (launched, captured):
            torch.testing.assert_close(logits_of(model, hidden, there), wanted, rtol=1e-4, atol=1e-4)
    for cache in caches[1:]:
        torch.testing.assert_close(cache.storage.cpu(), caches[0].storage, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_a_chunk_that_nothing_is_sampled_from_stores_its_keys_and_values(
    model: Glm4v, plain: Glm4v, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The middle of a long prompt: no row leaves the last layer, and no product is asked for one of no rows."""
    monkeypatch.setattr(model.text.layers[-1], "output", lambda rows: pytest.fail(f"a product of {len(rows)} rows"))
    caches = [m.new_kv_cache(NUM_BLOCKS, BLOCK) for m in (plain, model)]
    steps = [step(device, [20], [0]) for device in (torch.device("cpu"), DEVICE)]
    nothing = [replace(s, last_rows=s.last_rows[:0]) for s in steps]
    plain.forward(nothing[0], caches[0])
    assert fused_layers.forward(model.text, nothing[1], caches[1]).shape == (20, 64)
    torch.testing.assert_close(caches[1].storage.cpu(), caches[0].storage, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_padding_writes_no_slot_and_does_not_grow(model: Glm4v) -> None:
    cache = model.new_kv_cache(NUM_BLOCKS, BLOCK)
    graphs = graphs_for(model, cache)
    graphs._x.fill_(float("nan"))  # what padding rows hold must not matter
    inputs = step(DEVICE, [14, 3], [0, 0])
    assert graphs.forward(inputs).isfinite().all()
    changed = cache.storage.any(dim=-1).any(dim=0).any(dim=0).nonzero().flatten().tolist()
    assert changed == sorted(inputs.slots.tolist())
    assert graphs._x[17:32].isfinite().all()


def test_a_step_fits_up_to_the_largest_size_and_number_of_sequences(model: Glm4v) -> None:
    graphs = graphs_for(model, model.new_kv_cache(NUM_BLOCKS, BLOCK), max_tokens=70, max_sequences=3)
    assert graphs.sizes == [16, 32, 64]
    assert graphs.fits(step(DEVICE, [62, 1, 1], [0, 0, 0]))
    assert not graphs.fits(step(DEVICE, [63, 1, 1], [0, 0, 0]))
    assert not graphs.fits(step(DEVICE, [1, 1, 1, 1], [0, 0, 0, 0]))


@pytest.mark.parametrize("sequences", [1, 3])
def test_any_mix_of_sequences_has_tiles_enough(model: Glm4v, sequences: int) -> None:
    graphs = graphs_for(model, model.new_kv_cache(NUM_BLOCKS, BLOCK), max_sequences=sequences)
    for total in range(sequences, 65):
        new = [total - sequences + 1] + [1] * (sequences - 1)
        lists = StepLists.of(step(DEVICE, new, [0] * sequences), 4, 2)
        assert len(lists.tiles) <= graphs._num_tiles(total) <= graphs._num_tiles(64)
        assert len(lists.entries) <= graphs._num_entries(total)


def test_tiles_are_for_chunks_alone_and_the_longest_come_first() -> None:
    lists = StepLists.of(step(DEVICE, [40, 1, 33, 1], [0, 30, 50, 3]), num_heads=32, num_kv_heads=2)
    assert lists.tiles.tolist() == [[2, 32], [2, 24], [2, 16], [2, 8], [2, 0], *([0, n] for n in (32, 24, 16, 8, 0))]
    assert lists.entries.tolist() == [[1, 40], [3, 74]]


def test_the_engine_answers_the_same_with_prompts_in_one_launch(model: Glm4v) -> None:
    def answers(with_graphs: bool) -> dict[str, list[int]]:
        config = EngineConfig(block_size=BLOCK, max_num_seqs=2, kv_cache_bytes=1 << 18, max_num_batched_tokens=16,
                              cuda_graphs=False, overlap=True)  # fmt: skip
        core = EngineCore(model, config)
        if with_graphs:
            core.runner.prompts = PrefillGraphs(
                model.text, core.runner.cache, 16, 2, core.rules.max_model_len, capture=not INTERPRETED
            )
        for n in range(3):  # the last waits for a place, and its prompt is computed beside a row that decodes
            core.submit(ask(f"r{n}", [4 + 7 * n], content=n, max_tokens=2 + n % 2))
        return answers_of(core)

    assert answers(True) == answers(False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_is_tried_before_it_is_trusted(model: Glm4v, dtype: torch.dtype) -> None:
    error = fused_layers.attention_error(model.config.text, dtype, DEVICE)
    assert error < (1e-4 if dtype == torch.float32 else glm4v.KERNEL_TOLERANCE / 2)


@pytest.mark.parametrize("broken", ["paged_decode", "paged_prefill"])
def test_a_card_on_which_attention_is_wrong_is_served_by_torch(
    folder: Path, broken: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = Glm4v.load(folder, dtype="float32", device=DEVICE)
    monkeypatch.setattr(made.text, "fused", fused_layers.fused)
    made.distrust_kernels()
    assert made.text.fused is not None and not caplog.records
    monkeypatch.setattr(fused_layers, broken, lambda query, *rest, **_: rest[-1].fill_(0.1))
    made.distrust_kernels()
    assert made.text.fused is None and made.new_decoder(made.new_kv_cache(8, 16), 1, 64) is None
    assert "off by" in caplog.text
