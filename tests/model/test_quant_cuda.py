"""The CUDA path's weight formats: how far they are from the weights, what they take, and the maps in plain torch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from flashweb.errors import ConfigError
from flashweb.model import quant_cuda
from flashweb.model.layers import RmsNorm, gated_silu
from flashweb.model.quant_cuda import (
    Fp8Feed,
    Fp8Linear,
    Fp8Rows,
    Fp8Weight,
    Int4Weight,
    Int4WeightOnly,
    Int8Weight,
    Int8WeightOnly,
    QuantisedEmbedding,
    SkinnyLinear,
    group_size_for,
    keeps_row,
    quantise_fp8,
    quantise_int4,
    quantise_int8,
    quantise_rows_fp8,
)

Quantised = Int8Weight | Int4Weight | Fp8Weight
QUANTISERS: dict[str, Callable[[Tensor], Quantised]] = {
    "int8": quantise_int8,
    "int4": quantise_int4,
    "fp8": quantise_fp8,
}
MAPS: dict[str, Callable[..., Int8WeightOnly | Int4WeightOnly | Fp8Linear]] = {
    "int8": Int8WeightOnly,
    "int4": Int4WeightOnly,
    "fp8": Fp8Linear,
}


@pytest.fixture(autouse=True)
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other modules may have switched Triton's interpreter on; these tests are about torch's arithmetic."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


def matrix(rows: int = 48, columns: int = 256, seed: int = 0) -> Tensor:
    """Normal, with rows of very different size and a few outliers, as trained weights have them."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(rows, columns, generator=generator) * torch.logspace(-3, 0, rows)[:, None]
    w[::7, 5] *= 8
    return w.bfloat16()


def relative_error(got: Tensor, wanted: Tensor) -> float:
    return float((got.float() - wanted.float()).norm() / wanted.float().norm())


@pytest.mark.parametrize(("name", "largest"), [("int8", 0.012), ("fp8", 0.03), ("int4", 0.11)])
def test_a_normal_matrix_loses_what_its_format_must_lose(name: str, largest: float) -> None:
    w = torch.randn(64, 512, generator=torch.Generator().manual_seed(1)).bfloat16()
    error = relative_error(QUANTISERS[name](w).dequantised(), w)
    assert largest / 3 < error < largest


def test_int8_is_never_off_by_more_than_half_a_step() -> None:
    w = matrix().float()
    q = quantise_int8(w)
    assert ((q.dequantised() - w).abs() <= 0.5001 * q.scale[:, None]).all()
    assert int(q.values.abs().max()) == 127
    assert torch.allclose(q.scale, w.abs().amax(1) / 127)


def test_plain_int4_is_never_off_by_more_than_one_step() -> None:
    """Half a step for the level, half for the zero point, and the bf16 scale may cut the range by 2^-9 of it."""
    w = matrix().float()
    q = quantise_int4(w, 64, shrinks=(1.0,))
    step = q.scale.float().repeat_interleave(64, dim=1)
    assert ((q.dequantised() - w).abs() <= (1 + 15 / 256) * step).all()


def test_fp8_is_never_off_by_more_than_a_sixteenth() -> None:
    """e4m3 has three bits behind the point: half a step is 1/16 of the value, above its subnormals."""
    w = matrix().float()
    q = quantise_fp8(w)
    normal = w.abs() >= q.scale[:, None] * 2.0**-6
    error = (q.dequantised() - w).abs()
    assert (error[normal] <= w.abs()[normal] / 16 * 1.001).all()
    assert (error <= torch.maximum(w.abs() / 16, q.scale[:, None] * 2.0**-10) * 1.001).all()
    assert float(q.values.float().abs().max()) == 448


def test_zero_stays_zero_in_every_format() -> None:
    w = matrix()
    w[3] = 0
    w[:, 17] = 0
    for quantise in QUANTISERS.values():
        got = quantise(w).dequantised()
        assert got.isfinite().all() and (got[3] == 0).all() and (got[:, 17] == 0).all()


def test_a_row_of_one_sign_fits_its_zero_point_into_four_bits() -> None:
    w = torch.stack((torch.linspace(5, 6, 64), -torch.linspace(5, 6, 64)))
    q = quantise_int4(w, 64, shrinks=(1.0,))
    assert q.zero.flatten().tolist() == [0, 15]
    assert (q.dequantised() - w).abs().max() < 0.25


def test_the_search_for_a_range_only_ever_lowers_a_groups_squared_error() -> None:
    w = matrix(96, 512).float()
    plain, searched = quantise_int4(w, shrinks=(1.0,)), quantise_int4(w)

    def errors(q: Int4Weight) -> Tensor:
        return (q.dequantised() - w).view(96, -1, 128).square().sum(-1)

    assert (errors(searched) <= errors(plain) * 1.0001).all()
    assert errors(searched).sum() < 0.97 * errors(plain).sum()


@pytest.mark.parametrize("name", QUANTISERS)
def test_pieces_and_whole_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = matrix(53, 256)
    whole = QUANTISERS[name](w)
    for values in (1, 5 * 256, 7 * 256 + 9):
        monkeypatch.setattr(quant_cuda, "PIECE_VALUES", values)
        pieces = QUANTISERS[name](w)
        assert torch.equal(pieces.dequantised(), whole.dequantised())
        assert torch.equal(pieces.scale, whole.scale)


@pytest.mark.parametrize("name", QUANTISERS)
def test_quantising_leaves_the_weight_as_it_was(name: str) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        w = matrix().to(dtype)
        before = w.clone()
        QUANTISERS[name](w)
        assert torch.equal(w, before)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 20), groups=st.integers(1, 5), size=st.sampled_from([32, 64, 128]))
def test_packed_int4_holds_the_levels_where_its_docstring_says(seed: int, groups: int, size: int) -> None:
    w = torch.randn(3, groups * size, generator=torch.Generator().manual_seed(seed))
    q = quantise_int4(w, size)
    for n in range(3):
        for k in (0, size // 2 - 1, size // 2, size - 1, (groups - 1) * size + seed % size):
            group, at = divmod(k, size)
            byte = int(q.packed[n, group * size // 2 + at % (size // 2)])
            level = byte >> 4 if at >= size // 2 else byte & 15
            value = (level - int(q.zero[n, group])) * float(q.scale[n, group])
            assert value == float(q.dequantised()[n, k])


def test_the_largest_group_that_divides_a_row_is_taken() -> None:
    assert [group_size_for(k) for k in (4096, 13696, 384, 576, 96)] == [128, 128, 128, 64, 32]
    with pytest.raises(ConfigError, match="rows of 100"):
        group_size_for(100)


@pytest.mark.parametrize("name", QUANTISERS)
def test_rows_of_a_table_are_the_rows_of_the_whole(name: str) -> None:
    table = QUANTISERS[name](matrix())
    ids = torch.tensor([5, 0, 47, 5])
    got = QuantisedEmbedding(table, torch.bfloat16)(ids)
    assert got.dtype == torch.bfloat16
    assert torch.equal(got, table.dequantised(torch.bfloat16)[ids])


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("shape", [(256,), (1, 256), (5, 256), (2, 3, 256)])
def test_a_map_without_kernels_multiplies_with_the_dequantised_weight(name: str, shape: tuple[int, ...]) -> None:
    w, bias, x = matrix().float(), torch.randn(48), torch.randn(shape)
    linear = MAPS[name](w, bias)
    got = linear(x)
    if name == "fp8" and not keeps_row(x):
        values, scale = quantise_rows_fp8(x)
        x = values.float() * scale
    assert torch.allclose(got, x @ linear.weight.dequantised().T + bias, atol=1e-4)


@pytest.mark.parametrize("name", MAPS)
def test_a_finished_weight_is_taken_as_it_is(name: str) -> None:
    w, x = matrix().float(), torch.randn(2, 256)
    finished = QUANTISERS[name](w)
    linear = MAPS[name](finished)
    assert linear.weight is finished
    assert torch.equal(linear(x), MAPS[name](w)(x))


def test_rows_rounded_beforehand_give_what_the_map_gives_itself() -> None:
    linear, x = Fp8Linear(matrix(), torch.randn(48).bfloat16()), torch.randn(4, 256).bfloat16()
    normed = RmsNorm(torch.rand(256).bfloat16(), 1e-5)(x)
    values, scale = quantise_rows_fp8(normed)
    assert torch.equal(linear(Fp8Rows(values, scale, torch.bfloat16)), linear(normed))


def test_without_kernels_too_a_single_row_is_left_as_it_is() -> None:
    feed, norm = Fp8Feed(torch.device("cpu")), RmsNorm(torch.rand(64).bfloat16(), 1e-5)
    assert keeps_row(torch.zeros(64)) and keeps_row(torch.zeros(1, 1, 64))
    assert not keeps_row(torch.zeros(0, 64)) and not keeps_row(torch.zeros(2, 64))
    for rows in (1, 2):
        x, y = torch.randn(rows, 64).bfloat16(), torch.randn(rows, 64).bfloat16()
        plain = norm(x), gated_silu(x), norm(norm.add_to(x, y))
        fed = feed.normed(x, norm), feed.gated(x), feed.add_normed(x, y, norm, norm)[1]
        for got, wanted in zip(fed, plain, strict=True):
            if rows == 1:
                assert isinstance(got, Tensor) and torch.equal(got, wanted)
            else:
                assert isinstance(got, Fp8Rows)
                values, scale = quantise_rows_fp8(wanted)
                assert torch.equal(got.values.float(), values.float()) and torch.equal(got.scale, scale)


def test_a_row_is_rounded_by_itself_whatever_stands_beside_it() -> None:
    x = torch.randn(6, 256) * torch.logspace(-4, 4, 6)[:, None]
    values, scale = quantise_rows_fp8(x)
    for i in range(6):
        alone, its_scale = quantise_rows_fp8(x[i : i + 1])
        assert torch.equal(alone.float(), values[i : i + 1].float()) and torch.equal(its_scale, scale[i : i + 1])
    assert relative_error(values.float() * scale, x) < 0.03


def test_the_plain_map_is_the_plain_product() -> None:
    w, bias, x = torch.randn(8, 16), torch.randn(8), torch.randn(2, 3, 16)
    assert torch.allclose(SkinnyLinear(w, bias)(x), x @ w.T + bias, atol=1e-5)


def test_a_map_counts_its_bytes_scales_included() -> None:
    w = matrix(64, 256)
    num_bytes = {
        "int8": 64 * 256 + 64 * 4,
        "fp8": 64 * 256 + 64 * 4,
        "int4": 64 * 128 + 64 * 2 * (2 + 1),
    }
    for name, wanted in num_bytes.items():
        linear = MAPS[name](w)
        assert linear.num_values == 64 * 256
        assert round(linear.num_values * linear.value_bytes) == linear.weight.num_bytes == wanted
    assert SkinnyLinear(w).num_values * SkinnyLinear(w).value_bytes == 64 * 256 * 2
