"""Loading is strict, streamed and says everything that is wrong at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from flashweb.errors import CheckpointError
from flashweb.model.config import ModelConfig
from flashweb.model.glm4v import Glm4v
from flashweb.model.tensor_table import num_parameters, stored_tensors
from tests.model.test_config import FLASH
from tests.parity.reference import make_checkpoint

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def copy_with(folder: Path, into: Path, change: Callable[[Tensors], None]) -> Path:
    """A copy of the checkpoint whose tensors `change` has edited."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, into / "model.safetensors")
    (into / "config.json").write_text((folder / "config.json").read_text())
    return into


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        Glm4v.load(folder)
    return caught.value.message


def test_the_flash_checkpoint_has_exactly_the_reference_s_names_and_shapes() -> None:
    """704 tensors, 10,292,777,472 values (fact sheet 1.5 and 2), and nothing is allocated to know it."""
    from transformers import AutoConfig, Glm4vForConditionalGeneration

    config = ModelConfig.from_dict(json.loads(FLASH.read_text()))
    ours = stored_tensors(config)
    assert len(ours) == 704
    assert num_parameters(config) == 10_292_777_472
    with torch.device("meta"):
        reference = Glm4vForConditionalGeneration(AutoConfig.from_pretrained(FLASH))
    assert ours == {name: tuple(tensor.shape) for name, tensor in reference.state_dict().items()}


def test_missing_unknown_and_misshaped_tensors_are_all_listed(folder: Path, tmp_path: Path) -> None:
    def spoil(tensors: Tensors) -> None:
        del tensors["model.language_model.layers.1.self_attn.k_proj.bias"]
        del tensors["lm_head.weight"]
        tensors["model.visual.blocks.0.attn.qkv.bias"] = torch.zeros(144)
        tensors["model.language_model.norm.weight"] = torch.zeros(63)

    message = refusal(copy_with(folder, tmp_path, spoil))
    assert "2 missing: lm_head.weight, model.language_model.layers.1.self_attn.k_proj.bias" in message
    assert "1 unknown: model.visual.blocks.0.attn.qkv.bias" in message
    assert "1 of another shape: model.language_model.norm.weight is [63], config.json asks for [64]" in message


def test_a_long_list_is_capped_at_twenty_names_per_kind(folder: Path, tmp_path: Path) -> None:
    def empty(tensors: Tensors) -> None:
        total = len(tensors)
        tensors.clear()
        tensors.update({f"stray.{i}": torch.zeros(1) for i in range(total)})

    message = refusal(copy_with(folder, tmp_path, empty))
    assert message.count("stray.") == 20 and message.count("model.") >= 20
    assert " and " in message and " more" in message


def test_a_quantised_checkpoint_is_refused_by_dtype(folder: Path, tmp_path: Path) -> None:
    def quantise(tensors: Tensors) -> None:
        tensors["lm_head.weight"] = tensors["lm_head.weight"].to(torch.float8_e4m3fn)

    assert "lm_head.weight is F8_E4M3" in refusal(copy_with(folder, tmp_path, quantise))


def test_shards_under_an_index_load_like_one_file(tmp_path: Path) -> None:
    whole = Glm4v.load(make_checkpoint(tmp_path / "one"))
    make_checkpoint(tmp_path / "many", shard_size="100KB")
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 2
    sharded = Glm4v.load(tmp_path / "many")
    assert torch.equal(sharded.text.embedding.table, whole.text.embedding.table)
    assert torch.equal(sharded.vision.table, whole.vision.table)


def test_a_missing_shard_says_to_finish_the_download(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, shard_size="100KB")
    next(iter(sorted(tmp_path.glob("*.safetensors")))).unlink()
    message = refusal(tmp_path)
    assert "does not exist" in message and "finish the download" in message


def test_a_truncated_file_says_to_download_it_again(folder: Path, tmp_path: Path) -> None:
    copy_with(folder, tmp_path, lambda _: None)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    message = refusal(tmp_path)
    assert "not a whole safetensors file" in message and "download it again" in message


def test_an_index_cannot_point_outside_its_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    index = {"weight_map": {"lm_head.weight": f"../{folder.name}/model.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "not a file beside it" in refusal(tmp_path)


def test_a_folder_without_weights_names_the_files_it_wants(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    assert "neither model.safetensors nor model.safetensors.index.json" in refusal(tmp_path)


def test_a_bf16_checkpoint_is_computed_in_fp32_on_a_cpu_and_the_other_way_when_asked(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, dtype=torch.bfloat16)
    assert Glm4v.load(tmp_path).text.embedding.table.dtype == torch.float32
    assert Glm4v.load(tmp_path, dtype="bfloat16").text.embedding.table.dtype == torch.bfloat16


def test_progress_rises_to_one(folder: Path) -> None:
    seen: list[float] = []
    Glm4v.load(folder, progress=seen.append)
    assert len(seen) > 20 and seen == sorted(seen) and seen[-1] == 1.0


def test_the_dummy_format_needs_only_a_config(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    model = Glm4v.load(tmp_path, load_format="dummy")
    weight = model.text.embedding.table
    assert 0 < weight.abs().max() <= 0.02
    assert model.text.norm.weight.eq(1).all()
