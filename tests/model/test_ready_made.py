"""Checkpoints that are quantised already: read as their dequantised twins, kept as they are where fp8 can be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from flashweb.errors import CheckpointError
from flashweb.model.config import ModelConfig
from flashweb.model.formats import stored_format
from flashweb.model.glm4v import Glm4v
from flashweb.model.pixels import PixelStatistics
from flashweb.model.quant_cuda import quantise_fp8
from flashweb.model.ready_made import read_scheme
from flashweb.model.tensor_table import stored_tensors, tensor_table
from flashweb.model.weights import SafetensorsSource, Weights
from tests.model.test_glm4v import prefill
from tests.parity.reference import make_checkpoint

CPU = torch.device("cpu")
BY_ROWS: dict[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True, "dynamic": False},
            "input_activations": {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True},
        }
    },
}


def declare(folder: Path, quantization: dict[str, Any]) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": quantization}))
    return folder


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint with its layers' matrices in fp8, and the plain one of the same numbers."""
    quantised = make_checkpoint(tmp_path_factory.mktemp("fp8"))
    plain = tmp_path_factory.mktemp("plain")
    shutil.copytree(quantised, plain, dirs_exist_ok=True)
    stored, same = load_file(quantised / "model.safetensors"), load_file(quantised / "model.safetensors")
    for name, tensor in list(stored.items()):
        if ".layers." in name and tensor.ndim == 2:
            rounded = quantise_fp8(tensor)
            stored[name], stored[name + "_scale"] = rounded.values, rounded.scale[:, None].contiguous()
            same[name] = rounded.dequantised(tensor.dtype)
    save_file(stored, quantised / "model.safetensors")
    save_file(same, plain / "model.safetensors")
    return declare(quantised, BY_ROWS), plain


def logits(model: Glm4v) -> torch.Tensor:
    return model.logits(model.forward(prefill(20, list(range(20))), model.new_kv_cache(8, 4)))


@pytest.mark.parametrize("method", ["compressed-tensors", "fbgemm_fp8"])
def test_a_checkpoint_in_fp8_is_read_as_its_dequantised_twin(twins: tuple[Path, Path], method: str) -> None:
    quantised, plain = twins
    declare(quantised, BY_ROWS if method == "compressed-tensors" else {"quant_method": method})
    torch.testing.assert_close(logits(Glm4v.load(quantised)), logits(Glm4v.load(plain)))


def test_a_format_that_keeps_fp8_has_the_checkpoints_own_numbers(twins: tuple[Path, Path]) -> None:
    quantised, plain = twins
    config = ModelConfig.read(quantised)
    done: list[float] = []
    with torch.inference_mode(), SafetensorsSource(quantised, stored_tensors(config), read_scheme(quantised)) as source:
        weights = Weights(tensor_table(config), source, torch.float32, CPU, done.append)
        model = Glm4v(config, weights, stored_format("fp8", CPU, torch.float32), PixelStatistics.read(quantised))
    assert done[-1] == 1.0 and done == sorted(done)
    for ours, theirs in zip(model.text.layers, Glm4v.load(plain).text.layers, strict=True):
        for kept, dense in zip(ours.linears, theirs.linears, strict=True):
            assert torch.equal(kept.weight.dequantised(), dense.weight)  # type: ignore[attr-defined]
    found, wanted = logits(model), logits(Glm4v.load(plain))
    assert torch.cosine_similarity(found, wanted, dim=-1).min() > 0.97  # activations are rounded too


@pytest.mark.parametrize("damage", ["no scale", "another shape", "not declared"])
def test_what_does_not_belong_together_is_named(twins: tuple[Path, Path], damage: str, tmp_path: Path) -> None:
    shutil.copytree(twins[0], tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    name = next(n for n in tensors if n.endswith("o_proj.weight_scale"))
    if damage == "no scale":
        del tensors[name]
    elif damage == "another shape":
        tensors[name] = torch.ones(3, 1)
    else:
        document = json.loads((tmp_path / "config.json").read_text())
        del document["quantization_config"]
        (tmp_path / "config.json").write_text(json.dumps(document))
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=name if damage != "not declared" else "F8_E4M3"):
        Glm4v.load(tmp_path)


def _changed(part: str, **values: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(BY_ROWS))
    document["config_groups"]["group_0"][part].update(values)
    return document


@pytest.mark.parametrize(
    ("quantization", "said"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "quantised by 'fp8'"),
        (_changed("weights", strategy="tensor"), "weights.strategy 'tensor' in place of 'channel'"),
        (_changed("weights", type="int", num_bits=4), "weights.num_bits 4 in place of 8"),
        (_changed("input_activations", dynamic=False), "input_activations.dynamic False in place of True"),
        ({"quant_method": "compressed-tensors"}, "config_groups is None"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_scheme_that_is_not_read_is_named_with_the_fix(
    tmp_path: Path, quantization: dict[str, Any], said: str
) -> None:
    (tmp_path / "config.json").write_text("{}")
    declare(tmp_path, quantization)
    with pytest.raises(CheckpointError) as caught:
        read_scheme(tmp_path)
    assert said in caught.value.message and "float-quantized" in caught.value.message
