"""Options of loading, padding rows of the vocabulary, int8 linears, and what `forward` promises of its rows."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from flashweb.errors import ConfigError
from flashweb.model import footprint
from flashweb.model.glm4v import Glm4v
from flashweb.model.inputs import ForwardInputs
from flashweb.model.quant import Int8Linear, require_int8
from tests.parity.reference import VOCAB, make_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def prefill(n: int, last_rows: list[int]) -> ForwardInputs:
    generator = torch.Generator().manual_seed(1)
    return ForwardInputs(
        token_ids=torch.randint(8, VOCAB, (n,), generator=generator),
        positions=torch.arange(n).expand(3, n),
        slots=torch.arange(n),
        query_lens=[n],
        context_lens=[n],
        block_tables=[list(range(n // 4 + 1))],
        block_size=4,
        last_rows=torch.tensor(last_rows, dtype=torch.int64),
    )


def test_rows_that_are_read_do_not_depend_on_which_rows_are_read(folder: Path) -> None:
    model = Glm4v.load(folder)
    everything = model.forward(prefill(20, list(range(20))), model.new_kv_cache(8, 4))
    some = model.forward(prefill(20, [3, 19]), model.new_kv_cache(8, 4))
    assert some.shape == everything.shape
    assert torch.allclose(some[[3, 19]], everything[[3, 19]], atol=1e-5)
    assert model.forward(prefill(20, []), model.new_kv_cache(8, 4)).shape == everything.shape


def test_padding_rows_of_the_vocabulary_are_never_sampled(folder: Path) -> None:
    model = Glm4v.load(folder, num_real_tokens=150)
    hidden = torch.randn(3, 64)
    logits = model.logits(hidden)
    assert logits.shape == (3, VOCAB) and logits.dtype == torch.float32
    assert logits[:, 150:].eq(float("-inf")).all() and logits[:, :150].isfinite().all()
    assert torch.equal(logits[:, :150], Glm4v.load(folder).logits(hidden)[:, :150])


def test_options_that_cannot_be_are_config_errors_with_the_fix(folder: Path) -> None:
    for options, said in (
        ({"dtype": "float16"}, "float16 overflows"),
        ({"load_format": "gguf"}, "use one of safetensors, dummy"),
        ({"quantization": "int3"}, "leave it off or use one of int8, int4, fp8"),
        ({"quantization": "int4"}, "int4 is made for CUDA GPUs and the device is cpu; use int8"),
        ({"quantization": "fp8"}, "fp8 is made for CUDA GPUs"),
        ({"quantization": "int8", "dtype": "bfloat16"}, "needs dtype float32"),
        ({"num_real_tokens": VOCAB + 1}, f"has {VOCAB + 1} ids but the model's embedding {VOCAB} rows"),
        ({"device": "nonsense"}, "use cpu, cuda or cuda:N"),
    ):
        with pytest.raises(ConfigError) as caught:
            Glm4v.load(folder, **options)  # type: ignore[arg-type]
        assert said in caught.value.message


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_asking_for_a_gpu_that_is_not_there_is_a_config_error(folder: Path) -> None:
    with pytest.raises(ConfigError, match="torch sees no CUDA GPU"):
        Glm4v.load(folder, device="cuda")


def test_int8_linears_stay_close_to_fp32_and_warn_of_nothing(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, text={"hidden_size": 128, "num_attention_heads": 8}, vision={"out_hidden_size": 128})
    plain = Glm4v.load(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small = Glm4v.load(tmp_path, quantization="int8")
    rows = list(range(20))
    ours, theirs = (m.logits(m.forward(prefill(20, rows), m.new_kv_cache(8, 4))).flatten() for m in (small, plain))
    assert not torch.equal(ours, theirs), "nothing was quantised"
    assert torch.cosine_similarity(ours, theirs, dim=0) > 0.99


def test_an_int8_row_depends_on_the_rows_beside_it_as_the_documentation_warns() -> None:
    """Not wanted, but so: one activation scale per call. If this fails, correct "What int8 costs" (docs/model.md)."""
    torch.manual_seed(0)
    require_int8(torch.device("cpu"), torch.float32)
    linear = Int8Linear(torch.randn(8, 16))
    row = torch.randn(1, 16)
    alone, beside_large = linear(row), linear(torch.cat((row, 50 * row)))[:1]
    assert torch.equal(alone, linear(row)), "alone it is repeatable"
    assert not torch.equal(alone, beside_large)


def test_kv_bytes_per_token_is_what_the_cache_takes(folder: Path) -> None:
    for dtype in ("float32", "bfloat16"):
        model = Glm4v.load(folder, dtype=dtype)  # type: ignore[arg-type]
        assert model.new_kv_cache(10, 4).num_bytes == 40 * model.kv_bytes_per_token()


def test_what_a_failed_request_left_can_be_wiped_between_steps(folder: Path) -> None:
    """The cache is made in inference mode, and torch lets nobody write such tensors outside of it."""
    cache = Glm4v.load(folder).new_kv_cache(4, 4)
    with torch.inference_mode():
        cache.storage.fill_(1.0)
    cache.wipe([1])
    cache.wipe_slots([13])
    assert cache.storage.sum(dim=(0, 1, 3)).eq(0).nonzero().flatten().tolist() == [4, 5, 6, 7, 13]


@pytest.mark.parametrize("tied", [False, True])
def test_weight_bytes_count_every_tensor_once_and_copies_again(tied: bool, tmp_path: Path) -> None:
    make_checkpoint(tmp_path, tied=tied)
    plain = Glm4v.load(tmp_path)
    matrices = sum(linear.num_values for layer in plain.text.layers for linear in layer.linears) + VOCAB * 64
    head_copy = VOCAB * 64 if tied else 0
    assert plain.weight_bytes == 4 * (plain.num_parameters + head_copy)
    assert Glm4v.load(tmp_path, dtype="bfloat16").weight_bytes == 2 * plain.num_parameters
    int8 = Glm4v.load(tmp_path, quantization="int8")
    assert int8.weight_bytes == plain.weight_bytes - 3 * matrices
    for model in (plain, int8):
        forecast = footprint.weight_bytes(plain.config, plain.num_parameters, 4, model.quantization, on_cpu=True)
        assert model.weight_bytes == forecast
