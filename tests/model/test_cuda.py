"""The same network on a GPU: fp32 equals the CPU, bf16 stays close, mixed steps and scattered blocks included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flashweb.model.glm4v import Glm4v
from flashweb.model.inputs import ForwardInputs
from tests.model.packed_checkpoints import Stored, awq, compressed, gptq, write
from tests.parity.reference import IMAGE_TOKEN, make_checkpoint, mrope_positions, random_picture, random_prompt

pytestmark = pytest.mark.gpu

BLOCK = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = {
        "hidden_size": 256,
        "num_attention_heads": 4,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.5,
            "mrope_section": [4, 6, 6],
        },
    }
    vision = {"out_hidden_size": 256, "hidden_size": 128}
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), text=text, vision=vision)


@pytest.mark.parametrize(("dtype", "least"), [("float32", 0.9999), ("bfloat16", 0.99)])
def test_a_cache_in_fp8_gives_on_a_gpu_what_it_gives_on_the_cpu(folder: Path, dtype: str, least: float) -> None:
    """Not to the last digit: a number near the middle of two may be rounded to the other."""
    cpu = answers(Glm4v.load(folder, kv_cache_dtype="fp8"))
    gpu = answers(Glm4v.load(folder, device="cuda", dtype=dtype, kv_cache_dtype="fp8"))  # type: ignore[arg-type]
    assert torch.cosine_similarity(cpu, gpu, dim=-1).min() > least
    assert not torch.equal(cpu, answers(Glm4v.load(folder))), "nothing was rounded"


def answers(model: Glm4v) -> torch.Tensor:
    """Logits of a batch whose sequences start, continue and decode side by side, with pictures, on scattered blocks."""
    cache = model.new_kv_cache(64, BLOCK)
    blocks = np.random.default_rng(0).permutation(64)
    sequences = []
    for i, size in enumerate([(8, 10), (4, 4), (12, 6)]):
        patches, grid = random_picture(size, i)
        ids = random_prompt([5, grid, 20 + i], i)
        table = blocks[i * 8 : i * 8 + 8].tolist() if i % 2 else list(range(40 + 8 * i, 48 + 8 * i))
        sequences.append((ids, patches, grid, table))
    features = model.encode_images(
        [torch.from_numpy(p).to(model.device) for _, p, _, _ in sequences], [g for _, _, g, _ in sequences]
    )
    logits = []
    done = [0, 0, 0]
    for lengths in ((30, 20, 9), (1, 4, 30), (1, 1, 1), (1, 1, 2)):
        rows: dict[str, list[int]] = {"ids": [], "slots": [], "image_rows": []}
        positions, picked = [], []
        for (ids, _, grid, table), start, n, feature in zip(sequences, done, lengths, features, strict=True):
            order = np.cumsum(np.array(ids) == IMAGE_TOKEN) - 1
            for k in range(start, start + n):
                if ids[k] == IMAGE_TOKEN:
                    rows["image_rows"].append(len(rows["ids"]))
                    picked.append(feature[order[k]])
                rows["ids"].append(ids[k])
                rows["slots"].append(table[k // BLOCK] * BLOCK + k % BLOCK)
            positions.append(mrope_positions(ids, [grid])[0][:, start : start + n])
        done = [a + n for a, n in zip(done, lengths, strict=True)]
        on = model.device
        inputs = ForwardInputs(
            token_ids=torch.tensor(rows["ids"], device=on),
            positions=torch.from_numpy(np.ascontiguousarray(np.concatenate(positions, axis=1))).to(on),
            slots=torch.tensor(rows["slots"], device=on),
            query_lens=list(lengths),
            context_lens=done,
            block_tables=[t for _, _, _, t in sequences],
            block_size=BLOCK,
            last_rows=torch.arange(len(rows["ids"]), device=on),
            image_features=torch.stack(picked) if picked else None,
            image_rows=torch.tensor(rows["image_rows"], device=on) if picked else None,
        )
        logits.append(model.logits(model.forward(inputs, cache)).cpu())
    return torch.cat(logits)


def test_fp32_on_a_gpu_equals_the_cpu(folder: Path) -> None:
    cpu, gpu = answers(Glm4v.load(folder)), answers(Glm4v.load(folder, device="cuda", dtype="float32"))
    assert (cpu - gpu).abs().max() < 1e-3


def test_bf16_on_a_gpu_stays_close_to_the_cpu(folder: Path) -> None:
    cpu, gpu = answers(Glm4v.load(folder)), answers(Glm4v.load(folder, device="cuda"))
    assert gpu.isfinite().all()
    assert torch.cosine_similarity(cpu, gpu, dim=-1).min() > 0.99


PACKED = {
    "int4 asymmetric": (Stored("packed", 4, 32, symmetric=False), compressed("packed", 4, 32, symmetric=False)),
    "int8": (Stored("packed", 8), compressed("packed", 8, None)),
    "awq": (Stored("awq", 4, 32, symmetric=False), awq(32)),
    "gptq": (Stored("gptq", 4, 32), gptq(4, 32)),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", PACKED)
def test_a_packed_checkpoint_computes_what_its_dequantised_twin_does(
    folder: Path, name: str, dtype: Any, tmp_path: Path
) -> None:
    how, config = PACKED[name]
    quantised, plain = write(
        folder, tmp_path / "quantised", tmp_path / "plain", lambda m: how if ".layers." in m else None, config
    )
    model, twin = (Glm4v.load(path, dtype=dtype, device="cuda") for path in (quantised, plain))
    assert model.quantization == f"int{how.bits}" and twin.quantization == "none"
    for ours, theirs in zip(model.text.layers, twin.text.layers, strict=True):
        for kept, dense in zip(ours.linears, theirs.linears, strict=True):
            assert torch.equal(kept.weight.dequantised(model.dtype), dense.weight)  # type: ignore[attr-defined]
    if dtype == "float32":
        torch.testing.assert_close(answers(model), answers(twin), rtol=1e-3, atol=1e-3)
        return
    # Where weights are not centred, bf16 itself loses much: the packed ones must lie no farther off than the twin's.
    exact = answers(Glm4v.load(plain, dtype="float32", device="cuda"))
    near, twins = (torch.cosine_similarity(answers(m), exact, dim=-1).median() for m in (model, twin))
    assert near > 0.99 and near > twins - 0.003
