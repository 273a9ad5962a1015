"""Checkpoints of packed integers: read as their dequantised twins, kept bit by bit where a layout of ours can."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from flashweb.errors import CheckpointError
from flashweb.model import footprint, unpack
from flashweb.model.config import ModelConfig
from flashweb.model.formats import WeightFormat, cuda_format, stored_format
from flashweb.model.glm4v import Glm4v
from flashweb.model.layers import DenseLinear
from flashweb.model.pixels import PixelStatistics
from flashweb.model.quant import Int8Linear
from flashweb.model.quant_cuda import Int4Weight, Int8Weight
from flashweb.model.ready_made import Scheme, read_scheme
from flashweb.model.tensor_table import stored_tensors, tensor_table
from flashweb.model.weights import DummySource, SafetensorsSource, Source, Weights
from tests.model.packed_checkpoints import Stored, awq, compressed, gptq, write
from tests.model.test_glm4v import prefill
from tests.parity.reference import make_checkpoint

CPU = torch.device("cpu")
TEXT = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8}
Twins = tuple[Path, Path]
MakeTwins = Callable[[Callable[[str], Stored | None], dict[str, Any]], Twins]

# stored how, quantization_config, what it is kept as (None: no layout of ours has these numbers), group size
EXACT: dict[str, tuple[Stored, dict[str, Any], type, int]] = {
    "int4 groups of 32": (Stored("packed", 4, 32), compressed("packed", 4, 32), Int4Weight, 32),
    "int4 groups of 64, bf16 scales": (
        Stored("packed", 4, 64, scale_dtype=torch.bfloat16), compressed("packed", 4, 64), Int4Weight, 64,
    ),
    "int4 groups of 128, asymmetric": (
        Stored("packed", 4, 128, symmetric=False), compressed("packed", 4, 128, symmetric=False), Int4Weight, 128,
    ),
    "int4 by channel, asymmetric": (
        Stored("packed", 4, None, symmetric=False), compressed("packed", 4, None, symmetric=False), Int4Weight, 128,
    ),
    "int8 by channel": (Stored("packed", 8), compressed("packed", 8, None), Int8Weight, 0),
    "int8 not packed": (Stored("int8", 8, scale_dtype=torch.float32), compressed("int8", 8, None), Int8Weight, 0),
    "awq": (Stored("awq", 4, 64, symmetric=False), awq(64), Int4Weight, 64),
    "gptq": (Stored("gptq", 4, 32), gptq(4, 32), Int4Weight, 32),
    "gptq v2, int8 by channel": (Stored("gptq", 8, None, version=2), gptq(8, -1, 2), Int8Weight, 0),
}  # fmt: skip
INEXACT: dict[str, tuple[Stored, dict[str, Any], type]] = {
    "int8 groups": (Stored("packed", 8, 64), compressed("packed", 8, 64), Int8Weight),
    "int8 asymmetric": (
        Stored("int8", 8, None, symmetric=False), compressed("int8", 8, None, symmetric=False), Int8Weight,
    ),
    "int4 groups of 16": (Stored("packed", 4, 16), compressed("packed", 4, 16), Int4Weight),
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("base"), text=TEXT, vision={"out_hidden_size": 128})


@pytest.fixture
def make(base: Path, tmp_path: Path) -> MakeTwins:
    return lambda how, config: write(base, tmp_path / "quantised", tmp_path / "plain", how, config)


def layers_only(how: Stored) -> Callable[[str], Stored | None]:
    return lambda module: how if ".layers." in module else None


@torch.inference_mode()
def load(folder: Path, form: WeightFormat, source: Source | None = None) -> tuple[Glm4v, Weights]:
    """`Glm4v.load`, which would not take a format of CUDA on a CPU."""
    config = ModelConfig.read(folder)
    with SafetensorsSource(folder, stored_tensors(config), read_scheme(folder)) as stored:
        weights = Weights(tensor_table(config), source or stored, torch.float32, CPU)
        return Glm4v(config, weights, form, PixelStatistics.read(folder)), weights


def as_stored(folder: Path) -> WeightFormat:
    scheme = read_scheme(folder)
    assert scheme is not None
    return stored_format(scheme.kind, CPU, torch.float32)


def matrices(model: Glm4v) -> list[Any]:
    return [linear.weight for layer in model.text.layers for linear in layer.linears]  # type: ignore[attr-defined]


def dequantised(weight: Any) -> torch.Tensor:
    plain: torch.Tensor = weight if isinstance(weight, torch.Tensor) else weight.dequantised()
    return plain


def forecast(model: Glm4v, folder: Path, quantization: str = "none") -> int:
    scheme = read_scheme(folder)
    return footprint.weight_bytes(model.config, model.num_parameters, 4, quantization, scheme=scheme)


def logits(model: Glm4v) -> torch.Tensor:
    return model.logits(model.forward(prefill(20, list(range(20))), model.new_kv_cache(8, 4)))


@pytest.mark.parametrize("name", EXACT)
def test_packed_integers_are_the_numbers_of_the_dequantised_twin(
    name: str, make: MakeTwins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "PIECE_VALUES", 3000)  # several slices of rows a matrix
    how, config, layout, group = EXACT[name]
    quantised, plain = make(layers_only(how), config)
    twin = Glm4v.load(plain)
    torch.testing.assert_close(logits(Glm4v.load(quantised)), logits(twin), rtol=0, atol=0)  # made plain on a CPU
    kept, weights = load(quantised, as_stored(quantised))
    assert not weights.rounded_again
    for ours, theirs in zip(matrices(kept), matrices(twin), strict=True):
        assert type(ours) is layout and getattr(ours, "group_size", 0) == group
        assert torch.equal(ours.dequantised(), theirs)
    assert kept.weight_bytes == forecast(kept, quantised)
    assert kept.quantization == ("int4" if layout is Int4Weight else "int8")


@pytest.mark.parametrize("name", ["int4 by channel, asymmetric", "int8 not packed"])
def test_a_format_of_stored_integers_computes_what_the_twin_does(name: str, make: MakeTwins) -> None:
    how, config, _, _ = EXACT[name]
    quantised, plain = make(layers_only(how), config)
    found = logits(load(quantised, as_stored(quantised))[0])
    torch.testing.assert_close(found, logits(Glm4v.load(plain)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", INEXACT)
def test_numbers_no_layout_has_are_rounded_again_and_named(name: str, make: MakeTwins) -> None:
    how, config, layout = INEXACT[name]
    quantised, plain = make(layers_only(how), config)
    twin = Glm4v.load(plain)
    torch.testing.assert_close(logits(Glm4v.load(quantised)), logits(twin), rtol=0, atol=0)
    kept, weights = load(quantised, as_stored(quantised))
    assert len(weights.rounded_again) == 8 and weights.rounded_again[0] == "text.layers.0.qkv.weight"
    for ours, theirs in zip(matrices(kept), matrices(twin), strict=True):
        assert type(ours) is layout
        assert 0 < (ours.dequantised() - theirs).norm() / theirs.norm() < (0.15 if layout is Int4Weight else 0.01)
    assert kept.weight_bytes == forecast(kept, quantised)


def test_matrices_kept_exactly_are_never_made_plain(make: MakeTwins, monkeypatch: pytest.MonkeyPatch) -> None:
    quantised, _ = make(layers_only(Stored("packed", 4, 32)), compressed("packed", 4, 32))
    plain: list[str] = []
    copy_into = SafetensorsSource.copy_into

    def watched(self: SafetensorsSource, target: torch.Tensor, stored: Any) -> None:
        plain.append(stored.name)
        copy_into(self, target, stored)

    monkeypatch.setattr(SafetensorsSource, "copy_into", watched)
    load(quantised, as_stored(quantised))
    assert "lm_head.weight" in plain and not [name for name in plain if ".layers." in name and "_proj.weight" in name]


def mixed(module: str) -> Stored | None:
    """8 bits down, 4 bits elsewhere and in the head, the attention's output plain."""
    if module.endswith("down_proj"):
        return Stored("packed", 8)
    return None if module.endswith("o_proj") else Stored("packed", 4, 64)


def mixed_config() -> dict[str, Any]:
    config = compressed("packed", 4, 64, ignore=[r"re:.*visual.*", r"re:.*\.o_proj$"])
    down = compressed("packed", 8, None)["config_groups"]["group_0"] | {"targets": [r"re:.*down_proj$"]}
    config["config_groups"]["group_1"] = down
    return config


def test_groups_of_several_kinds_are_kept_each_as_it_is(make: MakeTwins) -> None:
    quantised, plain = make(mixed, mixed_config())
    kept, weights = load(quantised, as_stored(quantised))
    kinds = [type(weight) for weight in matrices(kept)]
    assert kinds == 2 * [Int4Weight, torch.Tensor, Int4Weight, Int8Weight]
    assert isinstance(kept.text.head.weight, Int4Weight)  # type: ignore[attr-defined]
    assert kept.quantization == "int4" and not weights.rounded_again
    twin = Glm4v.load(plain)
    for ours, theirs in zip(matrices(kept), matrices(twin), strict=True):
        assert torch.equal(dequantised(ours), theirs)
    torch.testing.assert_close(logits(kept), logits(twin), rtol=1e-3, atol=1e-3)
    assert kept.weight_bytes == forecast(kept, quantised)


def test_parts_of_one_matrix_in_different_bits_are_rounded_again_together(make: MakeTwins) -> None:
    config = compressed("packed", 4, 64)
    values = compressed("packed", 8, None)["config_groups"]["group_0"] | {"targets": [r"re:.*v_proj$"]}
    config["config_groups"]["group_1"] = values
    how = layers_only(Stored("packed", 4, 64))
    quantised, plain = make(lambda module: Stored("packed", 8) if module.endswith("v_proj") else how(module), config)
    kept, weights = load(quantised, as_stored(quantised))
    assert weights.rounded_again == [f"text.layers.{i}.qkv.weight" for i in range(2)]
    assert isinstance(matrices(kept)[0], Int8Weight)
    error = matrices(kept)[0].dequantised() - matrices(Glm4v.load(plain))[0]
    assert 0 < error.abs().max() < 2e-3


@pytest.mark.parametrize(("option", "layers"), [("int8", [Int4Weight, Int8Weight, Int4Weight, Int8Weight]),
                                                ("int4", 4 * [Int4Weight])])  # fmt: skip
def test_an_option_rounds_what_is_wider_and_leaves_the_rest(option: str, layers: list[type], make: MakeTwins) -> None:
    quantised, plain = make(mixed, mixed_config())
    kept, weights = load(quantised, cuda_format(option, CPU, torch.float32))
    assert [type(weight) for weight in matrices(kept)] == 2 * layers
    assert isinstance(kept.text.embedding.table, Int8Weight if option == "int8" else Int4Weight)
    assert torch.equal(dequantised(matrices(kept)[0]), matrices(Glm4v.load(plain))[0])
    assert weights.rounded_again == ([] if option == "int8" else [f"text.layers.{i}.down_proj.weight" for i in (0, 1)])
    assert kept.weight_bytes == forecast(kept, quantised, option)


def test_int8_of_a_cpu_has_the_checkpoints_own_integers(make: MakeTwins) -> None:
    quantised, plain = make(layers_only(Stored("int8", 8)), compressed("int8", 8, None))
    model = Glm4v.load(quantised, quantization="int8")
    for layer, twin in zip(model.text.layers, Glm4v.load(plain).text.layers, strict=True):
        for ours, theirs in zip(layer.linears, twin.linears, strict=True):
            assert isinstance(ours, Int8Linear) and isinstance(theirs, DenseLinear)
            weight = torch.ops.quantized.linear_unpack(ours._packed)[0]
            torch.testing.assert_close(weight.dequantize(), theirs.weight, rtol=1e-6, atol=0)


def test_a_tower_stored_quantised_is_made_plain(base: Path, tmp_path: Path) -> None:
    tensors = load_file(base / "model.safetensors")
    name = "model.visual.merger.proj"
    weight = torch.randint(-128, 128, (128, 128), dtype=torch.int8)
    tensors[name + ".weight"], tensors[name + ".weight_scale"] = weight, torch.full((128, 1), 2**-7)
    save_file(tensors, tmp_path / "model.safetensors")
    document = json.loads((base / "config.json").read_text())
    config = compressed("int8", 8, None, ignore=["lm_head", "re:.*language_model.*"])
    (tmp_path / "config.json").write_text(json.dumps(document | {"quantization_config": config}))
    assert torch.equal(Glm4v.load(tmp_path).vision.merger.proj.weight, weight * 2**-7)  # type: ignore[attr-defined]


def test_rounding_again_and_whole_activations_are_said_in_the_log(
    make: MakeTwins, caplog: pytest.LogCaptureFixture
) -> None:
    config = compressed("packed", 8, 64)
    token = {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True}
    config["config_groups"]["group_0"]["input_activations"] = token
    quantised, _ = make(layers_only(Stored("packed", 8, 64)), config)
    with caplog.at_level(logging.INFO):
        Glm4v.load(quantised, quantization="int8")
    whole, again = [record for record in caplog.records if record.name.startswith("flashweb")]
    assert "activations" in whole.getMessage() and whole.levelname == "INFO"
    assert again.getMessage().startswith("8 of the checkpoint's quantised matrices (text.layers.0.qkv.weight, ...)")
    assert again.levelname == "WARNING"


def test_random_weights_of_a_packed_checkpoint_take_its_memory(make: MakeTwins) -> None:
    quantised, _ = make(mixed, mixed_config())
    dummy, _ = load(quantised, as_stored(quantised), DummySource(read_scheme(quantised)))
    assert dummy.weight_bytes == load(quantised, as_stored(quantised))[0].weight_bytes


# --- what does not belong together ------------------------------------------------------------------------------------

DOWN = "model.language_model.layers.1.mlp.down_proj"


def refusal(folder: Path, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> str:
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    tensors = load_file(damaged / "model.safetensors")
    change(tensors)
    save_file(tensors, damaged / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        Glm4v.load(damaged)
    return caught.value.message


def test_packed_tensors_that_do_not_belong_together_are_named(make: MakeTwins, tmp_path: Path) -> None:
    how = Stored("packed", 4, 64, symmetric=False)
    quantised, _ = make(layers_only(how), compressed("packed", 4, 64, symmetric=False))

    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        del tensors[DOWN + ".weight_zero_point"]
        tensors[DOWN + ".weight_packed"] = tensors[DOWN + ".weight_packed"][:, :-1].contiguous()
        tensors[DOWN + ".weight_scale"] = tensors[DOWN + ".weight_scale"].to(torch.float8_e4m3fn)
        tensors[DOWN + ".input_scale"] = torch.ones(1)

    message = refusal(quantised, tmp_path, spoil)
    assert f"1 missing: {DOWN}.weight_zero_point" in message
    assert f"1 unknown: {DOWN}.input_scale" in message
    assert f"{DOWN}.weight_packed is [128, 31], config.json asks for [128, 32]" in message
    assert f"{DOWN}.weight_scale is F8_E4M3" in message


def test_a_matrix_that_was_ignored_and_is_packed_is_named(make: MakeTwins, tmp_path: Path) -> None:
    config = compressed("packed", 4, 64, ignore=["lm_head", DOWN])
    quantised, _ = make(layers_only(Stored("packed", 4, 64)), config)
    message = refusal(quantised, tmp_path, lambda tensors: None)
    assert f"1 missing: {DOWN}.weight;" in message and f"{DOWN}.weight_packed" in message


def test_another_shape_than_was_packed_is_named(make: MakeTwins, tmp_path: Path) -> None:
    quantised, _ = make(layers_only(Stored("packed", 4, 64)), compressed("packed", 4, 64))
    message = refusal(quantised, tmp_path, lambda t: t.update({DOWN + ".weight_shape": torch.tensor([256, 128])}))
    assert message == f"{DOWN}.weight_shape says [256, 128], config.json asks for [128, 256]"


def test_groups_that_do_not_divide_a_row_are_refused(make: MakeTwins, tmp_path: Path) -> None:
    quantised, _ = make(layers_only(Stored("packed", 4, 64)), compressed("packed", 4, 96))
    assert "rows of 128 values do not divide into groups of 96" in refusal(quantised, tmp_path, lambda tensors: None)


def test_columns_in_another_order_are_refused(make: MakeTwins, tmp_path: Path) -> None:
    quantised, _ = make(layers_only(Stored("gptq", 4, 32)), gptq(4, 32) | {"desc_act": True})
    Glm4v.load(quantised)  # desc_act alone is harmless

    def turn(tensors: dict[str, torch.Tensor]) -> None:
        tensors[DOWN + ".g_idx"] = tensors[DOWN + ".g_idx"].flip(0).contiguous()

    message = refusal(quantised, tmp_path, turn)
    assert f"{DOWN}.g_idx" in message and "desc_act false" in message
    shutil.rmtree(tmp_path / "damaged")
    assert f"missing: {DOWN}.g_idx" in refusal(quantised, tmp_path, lambda tensors: tensors.pop(DOWN + ".g_idx"))  # type: ignore[arg-type, return-value]


def test_zero_points_that_are_not_in_the_middle_are_refused_where_the_config_says_so(
    make: MakeTwins, tmp_path: Path
) -> None:
    quantised, _ = make(layers_only(Stored("gptq", 4, 32)), gptq(4, 32, version=2))  # the file's are less one
    message = refusal(quantised, tmp_path, lambda tensors: None)
    assert "qzeros holds zero points other than the middle" in message and "checkpoint_format" in message


# --- what is not read -------------------------------------------------------------------------------------------------


def of_weights(**values: Any) -> dict[str, Any]:
    config = compressed("packed", 4, 64)
    config["config_groups"]["group_0"]["weights"].update(values)
    return config


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "three bits": (of_weights(num_bits=3), "config_groups.group_0.weights.num_bits 3 in place of 4 or 8"),
    "blocks": (of_weights(strategy="block"), "config_groups.group_0.weights.strategy 'block' in place of 'channel'"),
    "no group size": (of_weights(group_size=None), "config_groups.group_0.weights.group_size None"),
    "floats in 4 bits": (of_weights(type="float"), "config_groups.group_0.weights.type 'float' in place of 'int'"),
    "KV cache": (compressed("packed", 4, 64, kv_cache_scheme={"num_bits": 8}), "kv_cache_scheme {'num_bits': 8}"),
    "sparse": (compressed("packed", 4, 64, sparsity_config={"format": "sparse-24-bitmask"}), "sparsity_config"),
    "marlin": (compressed("packed", 4, 64, format="marlin-24"), "format 'marlin-24' in place of 'float-quantized' or"),
    "rotated": (compressed("packed", 4, 64, transform_config={"config_groups": {"u": {}}}), "transform_config"),
    "static activations": (
        compressed("int8", 8, None, config_groups={
            "group_0": compressed("int8", 8, None)["config_groups"]["group_0"]
            | {"input_activations": {"num_bits": 8, "type": "int", "strategy": "tensor", "dynamic": False}}
        }),
        "config_groups.group_0.input_activations.dynamic False in place of True",
    ),
    "a broken pattern": (compressed("packed", 4, 64, ignore=["re:("]), "ignore 're:(' in place of a regular expr"),
    "awq of gemv": (awq(64) | {"version": "gemv"}, "version 'gemv' in place of 'gemm'"),
    "gptq in 3 bits": (gptq(3, 64), "bits 3 in place of 4 or 8"),
    "asymmetric gptq": (gptq(4, 64) | {"sym": False}, "sym False in place of True"),
    "gptq by modules": (gptq(4, 64) | {"dynamic": {"+:.*": {"bits": 8}}}, "dynamic {'+:.*'"),
    "another method": ({"quant_method": "bitsandbytes"}, "quantised by 'bitsandbytes'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_by_field_and_value_with_the_fix(name: str, tmp_path: Path) -> None:
    config, said = REFUSED[name]
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": config}))
    with pytest.raises(CheckpointError) as caught:
        read_scheme(tmp_path)
    assert said in caught.value.message and "take such a checkpoint" in caught.value.message


def test_a_name_goes_before_a_pattern_and_a_pattern_before_a_class(tmp_path: Path) -> None:
    config = mixed_config()
    exact = compressed("packed", 8, None)["config_groups"]["group_0"] | {"targets": ["lm_head"]}
    config["config_groups"] = {"a": exact, **config["config_groups"]}
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": config}))
    scheme = read_scheme(tmp_path)
    assert isinstance(scheme, Scheme)

    def bits(module: str) -> int | None:
        packing = scheme.of(module)
        return packing.bits if packing is not None else None

    named = {"lm_head": 8, DOWN: 8, "model.language_model.layers.0.mlp.gate_up_proj": 4, "model.visual.x": None}
    assert {module: bits(module) for module in named} == named
    assert bits("model.language_model.embed_tokens") is None and bits("a.o_proj") is None
