"""The products' kernels against their references: every format, ragged shapes, split rows of weights, fused fp8.

On a CPU in Triton's interpreter, with small shapes; on a GPU natively, with real ones too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from flashweb.model.layers import RmsNorm
from flashweb.model.quant_cuda import (
    Fp8Feed,
    Fp8Linear,
    Fp8Rows,
    Int4WeightOnly,
    Int8WeightOnly,
    SkinnyLinear,
    quantise_fp8,
    quantise_int4,
    quantise_int8,
)
from tests.model.triton_device import DEVICE, INTERPRETED

from flashweb.model.kernels import fp8_rows, fused, linear  # isort: skip  (after triton_device)
from flashweb.model.kernels.one_row import RowPlan, row_plan_for  # isort: skip

HAS_FP8 = INTERPRETED or torch.cuda.get_device_capability() >= (8, 9)
FORMATS = ["plain", "int8", "int4", pytest.param("fp8", marks=pytest.mark.skipif(not HAS_FP8, reason="no fp8 here"))]
# (rows, size, columns): one row, fewer and more than a tile's, sizes and columns that no block divides.
SHAPES = [(1, 64, 128), (3, 100, 160), (17, 72, 96), (40, 64, 64), (130, 40, 64)]
SPLIT_PLANS = [linear.Plan(16, 32, 32, 2, 4, 2), linear.Plan(16, 64, 32, 3, 4, 2), linear.Plan(32, 32, 64, 2, 4, 3)]


def random(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


def arguments(name: str, rows: int, size: int, columns: int, dtype: torch.dtype) -> tuple[Any, ...]:
    """What a format's launcher takes before the bias."""
    x, w = random(rows, columns, dtype=dtype, seed=1), random(size, columns, dtype=dtype, seed=2)
    if name == "plain":
        return x, w
    if name == "int8":
        q8 = quantise_int8(w)
        return x, q8.values, q8.scale
    if name == "int4":
        q4 = quantise_int4(w, 32)
        return x, q4.packed, q4.scale, q4.zero
    f8 = quantise_fp8(w)
    return *fp8_rows.reference_quantise_rows_fp8(x), f8.values, f8.scale


def launcher(name: str) -> Callable[..., Tensor]:
    return {
        "plain": linear.skinny_linear,
        "int8": linear.int8_linear,
        "int4": linear.int4_linear,
        "fp8": linear.fp8_linear,
    }[name]


def reference(name: str) -> Callable[..., Tensor]:
    return {
        "plain": linear.reference_skinny_linear,
        "int8": linear.reference_int8_linear,
        "int4": linear.reference_int4_linear,
        "fp8": linear.reference_fp8_linear,
    }[name]


def assert_close(got: Tensor, wanted: Tensor, is_fp8: bool = False) -> None:
    """Up to the order of fp32 sums; bf16 results are that and one rounding. Hopper's fp8 sums have some 14 bits."""
    assert got.shape == wanted.shape and got.dtype == wanted.dtype
    tolerance = 1e-5 if got.dtype == torch.float32 else 2**-7
    if is_fp8 and not INTERPRETED:
        tolerance = max(2 * tolerance, 2**-10)
    scale = float(wanted.float().abs().max())
    assert float((got.float() - wanted.float()).abs().max()) <= tolerance * scale


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_product_equals_its_reference(name: str, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    given, bias = arguments(name, *shape, dtype), random(shape[1], dtype=dtype, seed=3)
    more = (dtype,) if name == "fp8" else ()
    assert_close(launcher(name)(*given, bias, *more), reference(name)(*given, bias, *more), name == "fp8")
    assert_close(launcher(name)(*given, None, *more), reference(name)(*given, None, *more), name == "fp8")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("plan", SPLIT_PLANS, ids=str)
def test_parts_of_a_row_add_up_whatever_their_number(name: str, plan: linear.Plan) -> None:
    """Columns 160 is five groups of 32: no number of parts here divides it, so the last part is the shorter one."""
    given, bias = arguments(name, 20, 72, 160, torch.bfloat16), random(72, dtype=torch.bfloat16, seed=3)
    if name == "int4":
        plan = plan._replace(block_k=32)
    got = launcher(name)(*given, bias, plan=plan)
    assert_close(got, reference(name)(*given, bias), name == "fp8")
    assert not linear._arrivals(given[0].device).any(), "a counter was left behind"
    assert torch.equal(got, launcher(name)(*given, bias, plan=plan)), "the second launch found other counters"


@pytest.mark.parametrize("name", ["plain", "int8"])
@pytest.mark.parametrize("plan", [RowPlan(4, 64, 4), linear.Plan(16, 64, 64, 1, 4, 2)], ids=str)
def test_one_row_goes_either_way(name: str, plan: linear.Plan | RowPlan) -> None:
    given = arguments(name, 1, 70, 160, torch.bfloat16)
    assert_close(launcher(name)(*given, plan=plan), reference(name)(*given))


# (blocks, size, columns): columns that no block divides, fewer than a load has, sizes that no program's rows divide.
ROWS_BY_BYTES = [
    (None, 5, 2064),
    (None, 3, 8),
    (RowPlan(1, 64, 4), 6, 160),
    (RowPlan(2, 64, 1), 7, 128),
    (RowPlan(4, 32, 4), 10, 100),
    (RowPlan(8, 128, 2), 70, 160),
]


@pytest.mark.parametrize("name", ["int8", pytest.param("fp8", marks=pytest.mark.skipif(not HAS_FP8, reason="no fp8"))])
@pytest.mark.parametrize("case", ROWS_BY_BYTES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_one_row_by_bytes_equals_its_reference(
    name: str, case: tuple[RowPlan | None, int, int], dtype: torch.dtype
) -> None:
    plan, *shape = case
    x, w, bias = random(1, shape[1], dtype=dtype, seed=1), random(*shape, seed=2), random(shape[0], dtype=dtype, seed=3)
    if name == "int8":
        q8 = quantise_int8(w)
        q8.values[0, :2] = torch.tensor([-128, 127])  # the ends of what a byte holds
        given, kernel, plain = (x, q8.values, q8.scale), linear.int8_linear, linear.reference_int8_linear
    else:
        f8 = quantise_fp8(w)
        given, kernel, plain = (x, f8.values, f8.scale), linear.fp8_row_linear, linear.reference_fp8_row_linear
    assert_close(kernel(*given, bias, plan=plan), plain(*given, bias))
    assert_close(kernel(*given, plan=plan), plain(*given))


@pytest.mark.skipif(not HAS_FP8, reason="no fp8 here")
def test_every_fp8_number_is_widened_exactly() -> None:
    """All finite e4m3 numbers, each a row of the weight of its own."""
    numbers = torch.arange(256, dtype=torch.uint8, device=DEVICE).view(torch.float8_e4m3fn)
    numbers = numbers.view(torch.uint8)[numbers.float().isfinite()].view(torch.float8_e4m3fn)
    values = torch.zeros(len(numbers), 32, device=DEVICE)
    values[:, 5] = numbers.float()
    x, ones = torch.full((1, 32), 3.0, device=DEVICE), torch.ones(len(numbers), device=DEVICE)
    got = linear.fp8_row_linear(x, values.to(torch.float8_e4m3fn), ones)
    assert torch.equal(got[0], 3 * numbers.float())


@pytest.mark.skipif(not HAS_FP8, reason="no fp8 here")
def test_a_single_row_reaches_the_fp8_product_unrounded_and_two_do_not() -> None:
    w, bias = random(72, 128, dtype=torch.bfloat16), random(72, dtype=torch.bfloat16, seed=4)
    mapped = Fp8Linear(w, bias)
    assert mapped._kernels is linear
    for shape in ((128,), (1, 128), (2, 128), (2, 3, 128)):
        x = random(*shape, dtype=torch.bfloat16, seed=6)
        read = x.float()
        if len(shape) > 1 and shape[0] > 1:
            values, scale = fp8_rows.reference_quantise_rows_fp8(x)
            read = values.float() * scale
        wanted = read @ mapped.weight.dequantised().T + bias.float()
        assert_close(mapped(x), wanted.bfloat16(), is_fp8=True)


@pytest.mark.skipif(not HAS_FP8, reason="no fp8 here")
@pytest.mark.parametrize("rows", [1, 2])
def test_the_fp8_feed_leaves_a_single_row_as_it_is_and_rounds_two(rows: int) -> None:
    feed, x, y = Fp8Feed(DEVICE), random(rows, 96, dtype=torch.bfloat16), random(rows, 96, dtype=torch.bfloat16, seed=1)
    norm, next_norm = (RmsNorm(weight, 1e-5) for weight in random(2, 96, dtype=torch.bfloat16, seed=2))
    wanted_x, wanted = fused.reference_add_norm(x, y, norm.weight, next_norm.weight, 1e-5)
    fed = [
        (feed.normed(x, norm), fused.reference_rms_norm(x, norm.weight, 1e-5)),
        (feed.gated(x), fused.reference_silu_mul(x)),
    ]
    added, made = feed.add_normed(x, y, norm, next_norm)
    assert_close(added, wanted_x)
    for got, plain in [*fed, (made, wanted)]:
        if rows == 1:
            assert isinstance(got, Tensor)
            assert_close(got, plain)
        else:
            assert isinstance(got, Fp8Rows) and got.dtype == torch.bfloat16
            assert float((got.values.float() * got.scale - plain.float()).abs().max()) <= float(plain.abs().max()) / 16


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
@pytest.mark.parametrize(("size", "columns"), [(4608, 4096), (4096, 4096), (27392, 4096), (4096, 13696)])
def test_a_threads_loads_of_bytes_are_whole(size: int, columns: int, dtype: torch.dtype) -> None:
    """16 bytes each, several of them a turn."""
    plan = row_plan_for(size, columns, dtype)
    values = plan.block_n * plan.block_k // (32 * plan.num_warps)
    assert plan.block_k >= 16 * 32 * plan.num_warps and values >= 32 and size % plan.block_n == 0


@pytest.mark.parametrize("name", FORMATS)
def test_a_rows_product_does_not_depend_on_its_neighbours(name: str) -> None:
    """Rows of one tile, that is: another number of rows may have other blocks and another order of sums."""
    given = arguments(name, 7, 64, 128, torch.bfloat16)
    rows = 2 if name == "fp8" else 1
    mirrored = tuple(a.flip(0) if i < rows else a for i, a in enumerate(given))
    assert torch.equal(launcher(name)(*mirrored), launcher(name)(*given).flip(0))


def test_rows_of_a_wider_tensor_are_read_where_they_are() -> None:
    wide = random(3, 300)
    x = wide[:, 100:260]
    w = random(48, 160, seed=5)
    assert not x.is_contiguous()
    assert_close(linear.skinny_linear(x, w), linear.reference_skinny_linear(x, w))
    q = quantise_int4(w, 32)
    assert_close(
        linear.int4_linear(x, q.packed, q.scale, q.zero), linear.reference_int4_linear(x, q.packed, q.scale, q.zero)
    )


@pytest.mark.parametrize(
    ("make", "tolerance"), [(SkinnyLinear, 2**-7), (Int8WeightOnly, 2**-7), (Int4WeightOnly, 2**-7)]
)
def test_the_maps_reach_their_kernels(make: Any, tolerance: float) -> None:
    w, bias = random(72, 128, dtype=torch.bfloat16), random(72, dtype=torch.bfloat16, seed=4)
    mapped = make(w, bias)
    assert mapped._kernels is linear
    dense = mapped.weight if isinstance(mapped.weight, Tensor) else mapped.weight.dequantised()
    for shape in ((128,), (1, 128), (2, 3, 128), (70, 128)):
        x = random(*shape, dtype=torch.bfloat16, seed=6)
        wanted = x.float() @ dense.float().T + bias.float()
        got = mapped(x)
        assert got.shape == wanted.shape and got.dtype == torch.bfloat16
        assert float((got.float() - wanted).abs().max() / wanted.abs().max()) <= tolerance


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
def test_int4_scales_of_a_ready_made_checkpoint_are_read_as_they_are(dtype: torch.dtype) -> None:
    x, q = random(3, 160), quantise_int4(random(48, 160, seed=5), 32)
    scale = (q.scale.float() * (1 + 2**-9)).to(dtype)  # not a number of bf16
    assert not torch.equal(scale.bfloat16().to(dtype), scale)
    assert_close(
        linear.int4_linear(x, q.packed, scale, q.zero), linear.reference_int4_linear(x, q.packed, scale, q.zero)
    )
    plain = q.packed, scale, q.zero, torch.float32
    assert torch.equal(linear.dequantise_int4(*plain), linear.reference_dequantise_int4(*plain))


# --- many rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(5, 64), (3, 160), (2, 4160)], ids=str)
def test_weights_made_plain_are_the_references(shape: tuple[int, int], dtype: torch.dtype) -> None:
    w = random(*shape)
    q8, q4 = quantise_int8(w), quantise_int4(w, 32)
    assert torch.equal(
        linear.dequantise_int8(q8.values, q8.scale, dtype), linear.reference_dequantise_int8(q8.values, q8.scale, dtype)
    )
    packed = q4.packed, q4.scale, q4.zero, dtype
    assert torch.equal(linear.dequantise_int4(*packed), linear.reference_dequantise_int4(*packed))


@pytest.mark.parametrize("name", ["int8", "int4"])
@pytest.mark.parametrize("has_bias", [False, True])
def test_many_rows_are_multiplied_piece_by_piece(name: str, has_bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    given = arguments(name, linear.MAX_WEIGHT_ONLY_ROWS + 1, 40, 64, torch.float32)
    bias = random(40, seed=3) if has_bias else None
    whole = launcher(name)(*given, bias)
    assert_close(whole, reference(name)(*given, bias))
    monkeypatch.setattr(linear, "PLAIN_VALUES", 64 * 16)  # pieces of 16, 16 and 8 rows of the weight
    assert_close(launcher(name)(*given, bias), whole)


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_FP8, reason="no fp8 here")
@pytest.mark.parametrize("has_bias", [False, True])
def test_many_fp8_rows_go_to_torch_on_a_gpu(has_bias: bool) -> None:
    values, scale = fp8_rows.quantise_rows_fp8(random(300, 4096, dtype=torch.bfloat16, seed=1))
    weight = quantise_fp8(random(4608, 4096, seed=2))
    bias = random(4608, dtype=torch.bfloat16, seed=3) if has_bias else None
    assert linear._can_scaled_mm(values, weight.values, torch.bfloat16)
    given = values, scale, weight.values, weight.scale, bias
    assert_close(linear.fp8_linear(*given), linear.reference_fp8_linear(*given), is_fp8=True)


# --- rows to fp8 ----------------------------------------------------------------------------------------------------


def representable(rows: int, columns: int) -> Tensor:
    """fp32 rows whose fp8 form is exact: e4m3 numbers, 448 among them, times a power of two of the row's own."""
    values = random(rows, columns).mul_(40).clamp_(-400, 400).to(torch.float8_e4m3fn).float()
    values[:, 3] = 448
    return values * 2.0 ** torch.arange(-rows, 0, device=DEVICE)[:, None]


@pytest.mark.skipif(not HAS_FP8, reason="no fp8 here")
@pytest.mark.parametrize("shape", [(1, 64), (3, 100)], ids=str)
def test_rows_of_fp8_numbers_are_kept_exactly(shape: tuple[int, int]) -> None:
    x = representable(*shape)
    values, scale = fp8_rows.quantise_rows_fp8(x)
    assert torch.equal(scale, x.abs().amax(1, keepdim=True) / 448)
    assert torch.equal(values.float() * scale, x)


@pytest.mark.skipif(not HAS_FP8, reason="no fp8 here")
def test_a_row_of_zeros_stays_finite() -> None:
    values, scale = fp8_rows.quantise_rows_fp8(torch.zeros(2, 64, device=DEVICE))
    assert (values.float() == 0).all() and (scale > 0).all()


FUSED: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "quantise": (fp8_rows.quantise_rows_fp8, fp8_rows.reference_quantise_rows_fp8),
    "norm": (
        lambda x: fp8_rows.rms_norm_fp8(x, _norm_weight(x), 1e-5),
        lambda x: fp8_rows.reference_rms_norm_fp8(x, _norm_weight(x), 1e-5),
    ),
    "add and norm": (
        lambda x: fp8_rows.add_norm_fp8(x.roll(1, 0), x, _norm_weight(x), _norm_weight(x).flip(0), 1e-5)[1],
        lambda x: fp8_rows.reference_add_norm_fp8(x.roll(1, 0), x, _norm_weight(x), _norm_weight(x).flip(0), 1e-5)[1],
    ),
    "silu": (fp8_rows.silu_mul_fp8, fp8_rows.reference_silu_mul_fp8),
}


def _norm_weight(x: Tensor) -> Tensor:
    return (random(x.shape[1], seed=7).abs() + 0.5).to(x.dtype)


@pytest.mark.skipif(not HAS_FP8, reason="no fp8 here")
@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_fused_rounding_agrees_with_its_reference(name: str, dtype: torch.dtype) -> None:
    """Scales to a bf16 rounding; values to a neighbour."""
    kernel, plain = FUSED[name]
    x = random(5, 200, dtype=dtype, seed=8)
    (values, scale), (wanted, wanted_scale) = kernel(x), plain(x)
    assert values.shape == wanted.shape and scale.shape == wanted_scale.shape
    assert float(((scale - wanted_scale) / wanted_scale).abs().max()) <= 2**-7
    got, right = values.float() * scale, wanted.float() * wanted_scale
    off = (got - right).abs() > right.abs() / 7 + wanted_scale * 2.0**-8
    assert not off.any()


@pytest.mark.skipif(not HAS_FP8, reason="no fp8 here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_sum_before_a_rounded_norm_stays_in_the_residual(dtype: torch.dtype) -> None:
    residual, y = random(5, 200, dtype=dtype, seed=8), random(5, 200, dtype=dtype, seed=9)
    wanted, _ = fp8_rows.reference_add_norm_fp8(residual, y, _norm_weight(y), _norm_weight(y), 1e-5)
    x, _ = fp8_rows.add_norm_fp8(residual, y, _norm_weight(y), _norm_weight(y), 1e-5)
    assert x is residual
    assert_close(x, wanted)


@pytest.mark.gpu
@pytest.mark.parametrize("name", FUSED)
def test_fused_rounding_is_the_references_on_a_gpu(name: str) -> None:
    kernel, plain = FUSED[name]
    for columns in (4096, 2 * 13696):
        x = random(9, columns, dtype=torch.bfloat16, seed=8)
        (values, scale), (wanted, wanted_scale) = kernel(x), plain(x)
        assert torch.allclose(scale, wanted_scale, rtol=2**-7)
        same_scale = (scale == wanted_scale).flatten()
        unlike = values[same_scale].float() != wanted[same_scale].float()
        assert float(unlike.float().mean()) < 0.01
        assert torch.cosine_similarity(values.float() * scale, wanted.float() * wanted_scale).min() > 0.9999


@pytest.mark.gpu
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rows", [1, 4, 16, 17, 64, 100, 300])
@pytest.mark.parametrize("shape", [(4608, 4096), (4096, 4096), (27392, 4096), (4096, 13696)], ids=str)
def test_real_shapes_equal_their_reference_on_a_gpu(name: str, rows: int, shape: tuple[int, int]) -> None:
    x, w = random(rows, shape[1], dtype=torch.bfloat16, seed=1), random(*shape, dtype=torch.bfloat16, seed=2)
    if name == "plain":
        given: tuple[Any, ...] = (x, w)
    elif name == "int8":
        q8 = quantise_int8(w)
        given = (x, q8.values, q8.scale)
    elif name == "int4":
        q4 = quantise_int4(w)
        given = (x, q4.packed, q4.scale, q4.zero)
    else:
        f8 = quantise_fp8(w)
        given = (*fp8_rows.quantise_rows_fp8(x), f8.values, f8.scale)
    assert_close(launcher(name)(*given), reference(name)(*given), name == "fp8")


@pytest.mark.gpu
def test_split_products_are_the_same_bits_every_time_on_a_gpu() -> None:
    x, w = random(8, 13696, dtype=torch.bfloat16), random(4096, 13696, dtype=torch.bfloat16, seed=1)
    plan = linear.plan_for(8, 4096, 13696, 16, 2, linear._device(DEVICE))
    assert plan.split > 1
    first = linear.skinny_linear(x, w)
    assert all(torch.equal(first, linear.skinny_linear(x, w)) for _ in range(200))


@pytest.mark.gpu
@pytest.mark.parametrize("make", [SkinnyLinear, Int8WeightOnly, Int4WeightOnly, Fp8Linear])
def test_a_map_can_be_captured_in_a_graph(make: Any) -> None:
    mapped, x = make(random(4096, 4096, dtype=torch.bfloat16)), random(8, 4096, dtype=torch.bfloat16, seed=1)
    mapped(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = mapped(x)
    x.copy_(random(8, 4096, dtype=torch.bfloat16, seed=2))
    for _ in range(3):
        graph.replay()
    assert torch.equal(y, mapped(x))


# --- which blocks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4608, 4096), (4096, 4096), (27392, 4096), (4096, 13696), (151552, 4096)], ids=str)
@pytest.mark.parametrize("rows", [1, 16, 17, 64, 128, 1438])
@pytest.mark.parametrize("bits", [16, 8, 4])
@pytest.mark.parametrize("shared_kib", [99, 163, 227])
def test_a_plan_fits_the_card_and_leaves_no_part_without_work(
    shape: tuple[int, int], rows: int, bits: int, shared_kib: int
) -> None:
    (size, columns), group = shape, 128 if bits == 4 else 0
    plan = linear.plan_for(rows, size, columns, bits, 2, linear.Device(132, shared_kib << 10), group)
    stage = plan.block_k * (plan.block_n * bits // 8 + plan.block_m * 2)
    assert plan.num_stages >= 2 and stage * plan.num_stages <= shared_kib << 10
    blocks = -(-columns // plan.block_k)
    per_part = -(-blocks // plan.split)
    assert (plan.split - 1) * per_part < blocks
    tiles = -(-rows // plan.block_m) * -(-size // plan.block_n)
    assert plan.split == 1 or tiles <= linear.NUM_COUNTERS
    straight = bits == 16 and blocks < 2 * linear.MIN_STRAIGHT_BLOCKS_PER_PART
    assert tiles * plan.split >= 66 or plan.split == linear.MAX_SPLIT or rows > 64 or straight
