"""The decoder's fused small kernels give what the plain path gives, rounded where it rounds."""

from __future__ import annotations

import pytest
import torch

from tests.model.triton_device import DEVICE, INTERPRETED  # first: decides whether Triton compiles

from flashweb.model.kernels import fused  # isort: skip
from flashweb.model.rope import axis_of_frequency, inverse_frequencies  # isort: skip

EPS = 1e-5
DTYPES = [torch.float32, torch.bfloat16]


def randn(*shape: int, dtype: torch.dtype, scale: float = 1.0) -> torch.Tensor:
    return (torch.randn(*shape) * scale).to(DEVICE, dtype)


def assert_equal(got: torch.Tensor, expected: torch.Tensor) -> None:
    """In fp32 but for the order of sums; in bf16 a last digit may differ where a sum fell near the middle of two."""
    assert got.shape == expected.shape and got.dtype == expected.dtype, (got.shape, got.dtype)
    tolerance = 1e-5 if got.dtype == torch.float32 else 2**-7
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)
    if got.dtype != torch.float32:
        assert (got != expected).float().mean() < 0.02, "not rounded where the plain path rounds"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "columns"), [(1, 64), (3, 96), (5, 256), (2, 1000)])
def test_add_norm_adds_to_the_residual_in_place_and_norms_it_again(rows: int, columns: int, dtype: torch.dtype) -> None:
    torch.manual_seed(columns)
    residual, y = randn(rows, columns, dtype=dtype), randn(rows, columns, dtype=dtype, scale=30)
    weight, next_weight = randn(columns, dtype=dtype), randn(columns, dtype=dtype)
    expected_x, expected_h = fused.reference_add_norm(residual, y, weight, next_weight, EPS)
    x, h = fused.add_norm(residual, y, weight, next_weight, EPS)
    assert x is residual
    assert_equal(x, expected_x)
    assert_equal(h, expected_h)


@pytest.mark.parametrize("in_place", [False, True])
def test_add_norm_writes_into_a_buffer_even_its_own_input(in_place: bool) -> None:
    torch.manual_seed(0)
    residual, y = randn(4, 128, dtype=torch.float32), randn(4, 128, dtype=torch.float32)
    weight, next_weight = randn(2, 128, dtype=torch.float32).unbind(0)
    expected = fused.reference_add_norm(residual, y, weight, next_weight, EPS)
    out = y if in_place else torch.full_like(y, float("nan"))
    x, h = fused.add_norm(residual, y, weight, next_weight, EPS, out=out)
    assert h is out
    assert_equal(x, expected[0])
    assert_equal(h, expected[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_norm_add_is_add_norm_without_a_next_norm(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    residual, y, weight = randn(3, 192, dtype=dtype), randn(3, 192, dtype=dtype), randn(192, dtype=dtype)
    expected = fused.reference_norm_add(residual, y, weight, EPS)
    assert fused.norm_add(residual, y, weight, EPS) is residual
    assert_equal(residual, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.0, 1e-4, 1.0, 1e4])
def test_rms_norm_of_small_and_large_rows(scale: float, dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    x, weight = randn(3, 200, dtype=dtype, scale=scale), randn(200, dtype=dtype)
    assert_equal(fused.rms_norm(x, weight, EPS), fused.reference_rms_norm(x, weight, EPS))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 70), (3, 1024), (2, 1500)])
def test_silu_mul_takes_the_first_half_as_the_gate(rows: int, columns: int, dtype: torch.dtype) -> None:
    torch.manual_seed(columns)
    gate_up = randn(rows, 2 * columns, dtype=dtype, scale=5)
    out = torch.full((rows, columns), float("nan"), dtype=dtype, device=DEVICE)
    assert fused.silu_mul(gate_up, out) is out
    assert_equal(out, fused.reference_silu_mul(gate_up))


def table_inputs(num_tokens: int, largest: int = 3000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    positions = torch.randint(0, largest, (3, num_tokens), device=DEVICE)
    return positions, inverse_frequencies(32, 500000.0).to(DEVICE), axis_of_frequency((4, 6, 6)).to(DEVICE)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_tokens", [1, 15, 16, 17, 40])
def test_each_frequency_turns_with_the_position_of_its_own_axis(num_tokens: int, dtype: torch.dtype) -> None:
    torch.manual_seed(num_tokens)
    inputs = table_inputs(num_tokens)
    assert_equal(fused.rotation_table(*inputs, dtype), fused.reference_rotation_table(*inputs, dtype))


def test_angles_of_far_positions_are_as_exact_as_near_ones() -> None:
    torch.manual_seed(0)
    inputs = table_inputs(8, largest=131072)
    exact = inputs[0][inputs[2]].t().float() * inputs[1]  # the rounding of the angle itself belongs to the formula
    table = fused.rotation_table(*inputs, torch.float32).double()
    assert (table - torch.stack((exact.double().cos(), exact.double().sin()), -1)).abs().max() < 1e-6


def test_positions_may_be_part_of_a_larger_buffer() -> None:
    torch.manual_seed(0)
    positions, frequencies, axes = table_inputs(20)
    part = positions[:, 3:12]
    assert_equal(
        fused.rotation_table(part, frequencies, axes, torch.float32),
        fused.reference_rotation_table(part.contiguous(), frequencies, axes, torch.float32),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("buffered", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize(
    ("num_tokens", "heads", "kv_heads", "head_dim", "pairs"),
    [(1, 1, 1, 16, 8), (3, 6, 2, 64, 16), (2, 32, 2, 128, 32), (fused.FEW_TOKENS + 1, 3, 1, 16, 5)],
)
def test_bias_rotate_store(
    num_tokens: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    pairs: int,
    with_bias: bool,
    buffered: bool,
    dtype: torch.dtype,
) -> None:
    torch.manual_seed(num_tokens)
    width = (heads + 2 * kv_heads) * head_dim
    qkv = randn(num_tokens, width, dtype=dtype)
    bias = randn(width, dtype=dtype) if with_bias else None
    angles = torch.randn(num_tokens, pairs, device=DEVICE)
    rotation = torch.stack((angles.cos(), angles.sin()), dim=-1).to(dtype)
    slots = torch.randperm(num_tokens + 20, device=DEVICE)[:num_tokens]
    # Another layer's cache lies before and after, and padding tokens must not reach it.
    storage = torch.full((3, 2 * kv_heads, num_tokens + 20, head_dim), 7.0, dtype=dtype, device=DEVICE)
    slots[1::3] = -1
    expected_storage = storage.clone()
    expected = fused.reference_bias_rotate_store(qkv, bias, rotation, slots, expected_storage[1])
    out = torch.full((num_tokens, heads, head_dim), 7.0, dtype=dtype, device=DEVICE) if buffered else None
    queries = fused.bias_rotate_store(qkv, bias, rotation, slots, storage[1], out)
    if out is None:
        assert queries.data_ptr() == qkv.data_ptr(), "the queries stay where they were"
    else:
        assert queries is out
    assert_equal(queries, expected)
    assert_equal(storage, expected_storage)
    assert storage[0].eq(7).all() and storage[2].eq(7).all(), "another layer was written"


def test_slots_may_be_int32() -> None:
    torch.manual_seed(0)
    qkv, rotation = randn(2, 3 * 16, dtype=torch.float32), torch.zeros(2, 8, 2, device=DEVICE)
    cache = torch.zeros(2, 8, 16, device=DEVICE)
    expected = qkv.view(2, 3, 16)[:, 2].clone()
    fused.bias_rotate_store(qkv, None, rotation, torch.tensor([5, 0], dtype=torch.int32, device=DEVICE), cache)
    assert_equal(cache[1, [5, 0]], expected)


@pytest.mark.skipif(INTERPRETED, reason="needs a CUDA device")
@pytest.mark.gpu
def test_a_layers_small_kernels_can_be_captured_in_a_graph() -> None:
    torch.manual_seed(0)
    residual, y = randn(8, 4096, dtype=torch.bfloat16), randn(8, 4096, dtype=torch.bfloat16)
    weight, next_weight = randn(2, 4096, dtype=torch.bfloat16).unbind(0)
    before = residual.clone()
    h = torch.empty_like(y)
    fused.add_norm(residual, y, weight, next_weight, EPS, h)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        fused.add_norm(residual, y, weight, next_weight, EPS, h)
    residual.copy_(before)
    graph.replay()
    x, expected = fused.reference_add_norm(before, y, weight, next_weight, EPS)
    assert_equal(residual, x)
    assert_equal(h, expected)
