"""Rows rounded to e4m3 for `linear.fp8_linear`, alone or in the kernel that makes them.

    quantise_rows_fp8   rows that are there already
    rms_norm_fp8        rms(x) * w
    add_norm_fp8        x += rms(y) * w; rms(x) * w'
    silu_mul_fp8        silu(gate) * up

Each row has one scale, its largest value becomes 448. What is rounded to e4m3 was rounded to the activations' dtype
before, as in `fused.py`. Every launcher can be captured in a CUDA graph. Knows nothing of layers or weights' storage.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashweb.model.kernels.fused import (
    ROUND_BETWEEN,
    normed,
    reference_add_norm,
    reference_rms_norm,
    reference_silu_mul,
)
from flashweb.model.quant_cuda import FP8_LARGEST, SMALLEST_SCALE
from flashweb.model.quant_cuda import quantise_rows_fp8 as reference_quantise_rows_fp8


def quantise_rows_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    """[M, K] -> e4m3 [M, K] and fp32 [M, 1]: a row's largest |x| becomes 448."""
    assert x.stride(1) == 1
    values, scale = _fp8_rows(x.shape[0], x.shape[1], x.device)
    _quantise_rows_kernel[(x.shape[0],)](
        x, values, scale, x.shape[1], x.stride(0), FP8_LARGEST, SMALLEST_SCALE, **_row_blocks(x.shape[1])
    )
    return values, scale


def rms_norm_fp8(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """`quantise_rows_fp8(rms(x) * weight)`, [M, K] and [K] of one dtype; the norm rounds as `layers.RmsNorm` does."""
    assert x.stride(1) == 1
    values, scale = _fp8_rows(x.shape[0], x.shape[1], x.device)
    _rms_norm_fp8_kernel[(x.shape[0],)](
        x, weight, values, scale, x.shape[1], x.stride(0), eps, FP8_LARGEST, SMALLEST_SCALE, **_row_blocks(x.shape[1])
    )
    return values, scale


def reference_rms_norm_fp8(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return reference_quantise_rows_fp8(reference_rms_norm(x, weight, eps))


def add_norm_fp8(
    residual: Tensor, y: Tensor, weight: Tensor, next_weight: Tensor, eps: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """`fused.add_norm` with its second result rounded: x = residual + rms(y) * weight in the residual's place, and
    `quantise_rows_fp8(rms(x) * next_weight)`; [M, K] and [K] of one dtype."""
    assert residual.shape == y.shape and residual.dtype == y.dtype and residual.is_contiguous() and y.is_contiguous()
    rows, columns = y.shape
    values, scale = _fp8_rows(rows, columns, y.device)
    _add_norm_fp8_kernel[(rows,)](
        residual, y, weight, next_weight, values, scale, columns, eps, FP8_LARGEST, SMALLEST_SCALE,
        **_row_blocks(columns), **ROUND_BETWEEN,
    )  # fmt: skip
    return residual, (values, scale)


def reference_add_norm_fp8(
    residual: Tensor, y: Tensor, weight: Tensor, next_weight: Tensor, eps: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Leaves `residual` as it is."""
    x, h = reference_add_norm(residual, y, weight, next_weight, eps)
    return x, reference_quantise_rows_fp8(h)


def silu_mul_fp8(gate_up: Tensor) -> tuple[Tensor, Tensor]:
    """`quantise_rows_fp8(silu(gate) * up)`, [M, 2K] -> e4m3 [M, K] and fp32 [M, 1]; rounds as `gated_silu` does."""
    assert gate_up.stride(1) == 1 and gate_up.shape[1] % 2 == 0
    columns = gate_up.shape[1] // 2
    values, scale = _fp8_rows(gate_up.shape[0], columns, gate_up.device)
    _silu_mul_fp8_kernel[(gate_up.shape[0],)](
        gate_up, values, scale, columns, gate_up.stride(0), FP8_LARGEST, SMALLEST_SCALE, **_row_blocks(columns)
    )
    return values, scale


def reference_silu_mul_fp8(gate_up: Tensor) -> tuple[Tensor, Tensor]:
    return reference_quantise_rows_fp8(reference_silu_mul(gate_up))


def _fp8_rows(rows: int, columns: int, device: torch.device) -> tuple[Tensor, Tensor]:
    values = torch.empty((rows, columns), dtype=torch.float8_e4m3fn, device=device)
    return values, torch.empty((rows, 1), dtype=torch.float32, device=device)


def _row_blocks(columns: int) -> dict[str, int]:
    block = triton.next_power_of_2(columns)
    return {"BLOCK": block, "num_warps": max(1, min(16, block // 512))}


@triton.jit  # type: ignore[untyped-decorator]
def _quantise_rows_kernel(
    x: tl.tensor,
    values: tl.tensor,
    scale: tl.tensor,
    num_columns: tl.tensor,
    x_stride: tl.tensor,
    largest: tl.tensor,
    smallest_scale: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, BLOCK)
    a = tl.load(x + row * x_stride + k, mask=k < num_columns, other=0.0).to(tl.float32)
    _store_fp8_row(a, row, values, scale, num_columns, largest, smallest_scale, k)


@triton.jit  # type: ignore[untyped-decorator]
def _rms_norm_fp8_kernel(
    x: tl.tensor,
    weight: tl.tensor,
    values: tl.tensor,
    scale: tl.tensor,
    num_columns: tl.tensor,
    x_stride: tl.tensor,
    eps: tl.tensor,
    largest: tl.tensor,
    smallest_scale: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, BLOCK)
    inside = k < num_columns
    a = tl.load(x + row * x_stride + k, mask=inside, other=0.0).to(tl.float32)
    w = tl.load(weight + k, mask=inside, other=0.0).to(tl.float32)
    rounded = normed(a, w, eps, num_columns, x.dtype.element_ty)
    _store_fp8_row(rounded, row, values, scale, num_columns, largest, smallest_scale, k)


@triton.jit  # type: ignore[untyped-decorator]
def _add_norm_fp8_kernel(
    residual: tl.tensor,
    y: tl.tensor,
    weight: tl.tensor,
    next_weight: tl.tensor,
    values: tl.tensor,
    scale: tl.tensor,
    num_columns: tl.tensor,
    eps: tl.tensor,
    largest: tl.tensor,
    smallest_scale: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, BLOCK)
    inside = k < num_columns
    start = row * num_columns
    dtype: tl.constexpr = residual.dtype.element_ty
    # All loads stand before the first sum: with one row there is nothing else to hide their latency.
    a = tl.load(y + start + k, mask=inside, other=0.0).to(tl.float32)
    before = tl.load(residual + start + k, mask=inside, other=0.0).to(tl.float32)
    w = tl.load(weight + k, mask=inside, other=0.0).to(tl.float32)
    next_w = tl.load(next_weight + k, mask=inside, other=0.0).to(tl.float32)
    x = (before + normed(a, w, eps, num_columns, dtype)).to(dtype)
    tl.store(residual + start + k, x, mask=inside)
    rounded = normed(x.to(tl.float32), next_w, eps, num_columns, dtype)
    _store_fp8_row(rounded, row, values, scale, num_columns, largest, smallest_scale, k)


@triton.jit  # type: ignore[untyped-decorator]
def _silu_mul_fp8_kernel(
    gate_up: tl.tensor,
    values: tl.tensor,
    scale: tl.tensor,
    num_columns: tl.tensor,
    stride: tl.tensor,
    largest: tl.tensor,
    smallest_scale: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, BLOCK)
    inside = k < num_columns
    gate = tl.load(gate_up + row * stride + k, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * stride + num_columns + k, mask=inside, other=0.0).to(tl.float32)
    silu = (gate / (1.0 + tl.exp(-gate))).to(gate_up.dtype.element_ty).to(tl.float32)
    rounded = (silu * up).to(gate_up.dtype.element_ty).to(tl.float32)
    _store_fp8_row(rounded, row, values, scale, num_columns, largest, smallest_scale, k)


@triton.jit  # type: ignore[untyped-decorator]
def _store_fp8_row(
    a: tl.tensor,
    row: tl.tensor,
    values: tl.tensor,
    scale: tl.tensor,
    num_columns: tl.tensor,
    largest: tl.tensor,
    smallest_scale: tl.tensor,
    k: tl.tensor,
) -> None:
    """`a` is 0 outside of the row. Clamped, for a quotient may round to just above the largest value."""
    step = tl.maximum(tl.max(tl.abs(a), 0) / largest, smallest_scale)
    quotient = tl.minimum(tl.maximum(a / step, -largest), largest)
    tl.store(scale + row, step)
    tl.store(values + row * num_columns + k, quotient.to(tl.float8e4nv), mask=k < num_columns)
