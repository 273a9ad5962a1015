"""The decoder in int8, int4 and fp8 from end to end: which matrices are rounded, both ways to compute, loading.

On a GPU as `Glm4v.load` makes it; elsewhere the same network on a CPU, with the kernels in Triton's interpreter.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.model.triton_device import DEVICE, INTERPRETED  # before anything with kernels

# isort: split

from flashweb.model import footprint
from flashweb.model.config import ModelConfig
from flashweb.model.formats import cuda_format, plain_format, weight_format
from flashweb.model.glm4v import Glm4v
from flashweb.model.inputs import ForwardInputs
from flashweb.model.kernels import linear
from flashweb.model.layers import DenseEmbedding, DenseLinear
from flashweb.model.pixels import PixelStatistics
from flashweb.model.quant_cuda import QuantisedEmbedding, SkinnyLinear, keeps_row, quantise_rows_fp8
from flashweb.model.tensor_table import stored_tensors, tensor_table
from flashweb.model.weights import DummySource, SafetensorsSource, Source, Weights
from tests.model.test_decode_graphs import BLOCK, TEXT, Crowd
from tests.parity.reference import VOCAB, make_checkpoint

HAS_FP8 = INTERPRETED or torch.cuda.get_device_capability() >= (8, 9)
FORMATS = ["int8", "int4", pytest.param("fp8", marks=pytest.mark.skipif(not HAS_FP8, reason="no fp8 here"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), text=TEXT, vision={"out_hidden_size": 64})


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint")
    return make_checkpoint(path, text=TEXT, vision={"out_hidden_size": 64}, tied=request.param)


@torch.inference_mode()
def load(folder: Path, name: str, source: Source | None = None, dtype: torch.dtype = torch.float32) -> Glm4v:
    """`Glm4v.load`, which would refuse these formats on a CPU."""
    config = ModelConfig.read(folder)
    with SafetensorsSource(folder, stored_tensors(config)) as stored:
        weights = Weights(tensor_table(config), source or stored, dtype, DEVICE)
        return Glm4v(config, weights, cuda_format(name, DEVICE, dtype), PixelStatistics.read(folder))


class RoundedInput(DenseLinear):
    def __call__(self, x: Tensor) -> Tensor:
        if keeps_row(x):
            return super().__call__(x)
        values, scale = quantise_rows_fp8(x)
        return super().__call__(values.float() * scale)


@torch.inference_mode()
def with_the_same_numbers(model: Glm4v, folder: Path) -> Glm4v:
    """A plain network of the weights that `model` multiplies with, and for fp8 of the inputs too."""
    plain = Glm4v.load(folder, dtype="float32", device=DEVICE)
    kind = RoundedInput if model.text.format.name == "fp8" else DenseLinear
    for ours, theirs in zip(plain.text.layers, model.text.layers, strict=True):
        ours.linears = tuple(kind(one.weight.dequantised(), one.bias) for one in theirs.linears)
        ours.qkv, ours.output, ours.gate_up, ours.down = ours.linears
    plain.text.embedding = DenseEmbedding(model.text.embedding.table.dequantised())
    plain.text.head = DenseLinear(model.text.head.weight.dequantised())
    return plain


def prompt_logits(model: Glm4v, num_tokens: int = 20) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    rows = torch.arange(num_tokens, device=DEVICE)
    inputs = ForwardInputs(
        token_ids=torch.randint(8, VOCAB, (num_tokens,), generator=generator).to(DEVICE),
        positions=rows.expand(3, -1).contiguous(), slots=rows, query_lens=[num_tokens], context_lens=[num_tokens],
        block_tables=[list(range(-(-num_tokens // BLOCK)))], block_size=BLOCK, last_rows=rows,
    )  # fmt: skip
    return model.logits(model.forward(inputs, model.new_kv_cache(16, BLOCK)))


def assert_alike(found: Tensor, wanted: Tensor, name: str) -> None:
    if name == "fp8":  # the last bit of a sum may make the next fp8 number of it, a sixteenth away
        assert torch.cosine_similarity(found, wanted, dim=-1).min() > 0.995
    else:
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_a_prompt_is_computed_with_the_rounded_weights_and_no_others(folder: Path, name: str) -> None:
    model = load(folder, name)
    found, wanted = prompt_logits(model), prompt_logits(with_the_same_numbers(model, folder))
    unrounded = prompt_logits(Glm4v.load(folder, dtype="float32", device=DEVICE))
    assert (wanted - unrounded).abs().max() > 1e-3 * unrounded.abs().max(), "nothing was rounded"
    assert_alike(found, wanted, name)


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_weights_made_plain_for_a_long_prompt_give_the_same(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(folder, name)
    wanted = prompt_logits(model, 12)
    monkeypatch.setattr(linear, "MAX_WEIGHT_ONLY_ROWS", 11)
    torch.testing.assert_close(prompt_logits(model, 12), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_a_decode_step_in_a_format_gives_the_forward_passs_logits(folder: Path, name: str) -> None:
    crowd = Crowd(load(folder, name), [5, 0, 33], 4, capture=not INTERPRETED)
    tokens = [9, 10, 11]
    refer = list(tokens)
    for _ in range(2):
        wanted, found = crowd.step(tokens, refer)
        assert_alike(found, wanted, name)
        tokens = crowd.graphs.static.sampled[:3].tolist()
        refer = [-1, -2, -3]


# int4 and int8 for the long run of tests: fp8 alone goes a way of its own with one row.
@pytest.mark.parametrize("name", [*(pytest.param(name, marks=pytest.mark.slow) for name in FORMATS[:2]), FORMATS[2]])
def test_a_step_of_one_sequence_gives_what_plain_linears_give(folder: Path, name: str) -> None:
    """In fp8 too to the last digits: its weights are rounded, and nothing else."""
    model = load(folder, name)
    crowd = Crowd(model, [33], 1, capture=not INTERPRETED)
    crowd.model = with_the_same_numbers(model, folder)
    for token in (9, 10):
        wanted, found = crowd.step([token], [token])
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_a_tied_head_shares_the_quantised_table(either: Path, name: str) -> None:
    text = load(either, name).text
    assert isinstance(text.embedding, QuantisedEmbedding)
    tied = ModelConfig.read(either).tie_word_embeddings
    assert (text.head.weight is text.embedding.table) == tied
    assert len(text.matrices) == 4 * len(text.layers) + 1 + (not tied)


@pytest.mark.parametrize("name", FORMATS)
def test_weight_bytes_are_those_of_the_tensors(either: Path, name: str) -> None:
    model = load(either, name)
    kept = {id(one.weight): one.weight for layer in model.text.layers for one in layer.linears}
    kept[id(model.text.embedding.table)] = model.text.embedding.table
    kept[id(model.text.head.weight)] = model.text.head.weight
    shapes = tensor_table(model.config)
    matrices = [n for n in shapes if n.startswith("text.") and n.endswith(".weight") and len(shapes[n][0].shape) == 2]
    others = sum(int(np.prod(part.shape)) for n, parts in shapes.items() if n not in matrices for part in parts)
    assert model.weight_bytes == 4 * others + sum(weight.num_bytes for weight in kept.values())
    assert model.weight_bytes == footprint.weight_bytes(model.config, model.num_parameters, 4, name), "the forecast"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("source", [None, DummySource()], ids=["checkpoint", "dummy"])
def test_no_two_plain_matrices_are_in_memory_at_once(
    folder: Path, name: str, source: Source | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Any] = []
    most = 0
    take = Weights.take

    def watched(self: Weights, tensor_name: str, *args: Any) -> Tensor:
        nonlocal most
        alive = sum(ref() is not None for ref in taken)
        most = max(most, alive)
        tensor = take(self, tensor_name, *args)
        if self._prefix == "text." and tensor.ndim == 2:
            taken.append(weakref.ref(tensor))
        return tensor

    monkeypatch.setattr(Weights, "take", watched)
    model = load(folder, name, source)
    assert len(taken) == len(model.text.matrices)
    assert most <= 1  # its bias is taken while a matrix waits


@pytest.mark.parametrize("name", FORMATS)
def test_bfloat16_networks_compute_in_every_format(folder: Path, name: str) -> None:
    wanted = prompt_logits(load(folder, name))
    found = prompt_logits(load(folder, name, dtype=torch.bfloat16))
    assert torch.cosine_similarity(found, wanted, dim=-1).min() > 0.98


def test_formats_are_named_as_the_option_names_them() -> None:
    assert weight_format(torch.device("cpu"), torch.float32, None).name == "none"
    assert weight_format(torch.device("cpu"), torch.float32, "int8").name == "int8"
    assert plain_format(torch.device("cuda"), torch.bfloat16).linear is SkinnyLinear
    assert plain_format(torch.device("cuda"), torch.float32).linear is DenseLinear


@pytest.mark.gpu
@pytest.mark.parametrize("name", FORMATS)
def test_loading_by_name_gives_the_same_network_on_a_gpu(folder: Path, name: Any) -> None:
    model = Glm4v.load(folder, dtype="float32", device=DEVICE, quantization=name)
    assert model.text.format.name == name
    torch.testing.assert_close(prompt_logits(model), prompt_logits(load(folder, name)))
