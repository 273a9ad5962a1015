"""The product of a single row with a weight matrix, which is what one sequence's decode step consists of.

    one_row_linear   y = x W^T + b for one row x; W in bf16 or fp32, or int8 or e4m3 with a scale a row

Nothing here but reading the weights: no tensor cores, no tiles in shared memory, no split of K. x is never rounded,
narrow values become fp32 in registers, and a row's scale meets its sum. Several rows, and int4: `linear.py`. Can be
captured in a CUDA graph. Knows nothing of layers, checkpoints or how weights were quantised.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

INTERPRETED: bool = bool(triton.knobs.runtime.interpret)
LOAD_BYTES = 16  # the widest load of a thread
MANY_ROWS = 16384  # of a weight: gate and up, and the head


class RowPlan(NamedTuple):
    """Blocks of the kernel for a single row of x: a program sums `block_n` rows of the weight."""

    block_n: int
    block_k: int
    num_warps: int


def row_plan_for(size: int, k: int, dtype: torch.dtype) -> RowPlan:
    """The blocks for `size` rows of `k` weights of `dtype`: four loads of 16 bytes a thread and turn.

    With the programs an SM holds, some 60 KiB are always under way. What was fastest at the real model's shapes
    (benchmarks/kernels.py; bf16 on an H100, bytes on an H200): in bf16 few rows of the weight and long pieces of them;
    in e4m3 whole rows, in one turn, where they are short enough; in int8, whose widening takes longer, small programs
    where there are many.
    """
    block_k = triton.next_power_of_2(k)
    if dtype.itemsize == 1:
        if dtype == torch.float8_e4m3fn and block_k <= 4096:
            return RowPlan(2, block_k, 4)
        if dtype == torch.int8 and size >= MANY_ROWS:
            return RowPlan(4, min(block_k, 1024), 2)
        return RowPlan(4, min(block_k, 2048), 4)
    return RowPlan(2, 2048, 4) if block_k <= 8192 else RowPlan(4, min(block_k, 1024), 4)


def one_row_linear(
    x: Tensor, weight: Tensor, scale: Tensor | None = None, bias: Tensor | None = None, plan: RowPlan | None = None
) -> Tensor:
    """y = x (q s)^T + b: [1, K], [N, K], fp32 [N], [N] -> [1, N] of x's dtype. Sums are fp32.

    x is bf16 or fp32; the weight has its dtype and no scale, or is int8 or e4m3 with one. `plan`: None chooses.
    """
    assert x.shape == (1, weight.shape[1]) and weight.is_contiguous(), f"{tuple(x.shape)} by {tuple(weight.shape)}"
    assert x.stride(1) == 1, "a row must lie together"
    size, columns = weight.shape
    block_n, block_k, num_warps = plan or row_plan_for(size, columns, weight.dtype)
    out = torch.empty((1, size), dtype=x.dtype, device=x.device)
    grid = (triton.cdiv(size, block_n),)
    even, has_scale, has_bias = columns % block_k == 0, scale is not None, bias is not None
    if weight.itemsize > 1:
        _one_row_kernel[grid](
            x, weight, scale, bias, out, size, NUM_COLUMNS=columns, BLOCK_N=block_n, BLOCK_K=block_k, EVEN=even,
            HAS_SCALE=has_scale, HAS_BIAS=has_bias, num_warps=num_warps,
        )  # fmt: skip
    else:
        _one_row_of_bytes_kernel[grid](
            x, weight, scale, bias, out, size, NUM_COLUMNS=columns, BLOCK_N=block_n, BLOCK_K=block_k,
            WIDTH=min(LOAD_BYTES, block_k), EVEN=even, HAS_SCALE=has_scale, HAS_BIAS=has_bias,
            ASSEMBLY=weight.dtype == torch.int8 and not INTERPRETED, num_warps=num_warps,
        )  # fmt: skip
    return out


@triton.jit  # type: ignore[untyped-decorator]
def _one_row_kernel(
    x: tl.tensor,
    weight: tl.tensor,
    scale: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    size: tl.tensor,
    NUM_COLUMNS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    EVEN: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
) -> None:
    """Straight from memory to registers: no shared memory to wait for, and many small programs hide the latency."""
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    k = tl.arange(0, BLOCK_K)
    tile = weight + tl.minimum(n, size - 1).to(tl.int64)[:, None] * NUM_COLUMNS + k[None, :]
    sums = tl.zeros((BLOCK_N, BLOCK_K), tl.float32)
    for first in range(0, NUM_COLUMNS, BLOCK_K):
        if EVEN:
            w = tl.load(tile + first, eviction_policy="evict_first")
            a = tl.load(x + first + k)
        else:
            inside = first + k < NUM_COLUMNS
            w = tl.load(tile + first, mask=inside[None, :], other=0.0, eviction_policy="evict_first")
            a = tl.load(x + first + k, mask=inside, other=0.0)
        sums += w.to(tl.float32) * a.to(tl.float32)[None, :]
    _store_row(tl.sum(sums, 1), n, scale, bias, out, size, HAS_SCALE, HAS_BIAS)


@triton.jit  # type: ignore[untyped-decorator]
def _one_row_of_bytes_kernel(
    x: tl.tensor,
    weight: tl.tensor,
    scale: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    size: tl.tensor,
    NUM_COLUMNS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    WIDTH: tl.constexpr,
    EVEN: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    ASSEMBLY: tl.constexpr,
) -> None:
    """`_one_row_kernel` for weights narrower than x.

    Rows of the weight are tensors of their own, shaped as x is: the compiler then gives x and weights one layout, WIDTH
    values in a row for a thread. Of a tile [BLOCK_N, BLOCK_K] a thread takes 16 neighbours and of x only 8, and x goes
    through shared memory in every turn, whose barriers leave the memory waiting. A thread adds up its WIDTH products at
    once: with a sum for each of them the registers would be full of sums, and fewer programs would be under way.
    """
    first_row = tl.program_id(0) * BLOCK_N
    k = tl.arange(0, BLOCK_K)
    sums = ()
    for _ in tl.static_range(BLOCK_N):
        sums = sums + (tl.zeros((BLOCK_K // WIDTH,), tl.float32),)  # type: ignore[assignment]
    for first in range(0, NUM_COLUMNS, BLOCK_K):
        inside = first + k < NUM_COLUMNS
        # All loads stand before the first product.
        values = ()
        for i in tl.static_range(BLOCK_N):
            # Rows past the end repeat the last one and are not stored.
            place = weight + tl.minimum(first_row + i, size - 1).to(tl.int64) * NUM_COLUMNS + first + k
            if EVEN:
                w = tl.load(place, eviction_policy="evict_first")
            else:
                w = tl.load(place, mask=inside, other=0.0, eviction_policy="evict_first")
            values = values + (w,)  # type: ignore[assignment]
        if EVEN:
            a = tl.load(x + first + k).to(tl.float32)
        else:
            a = tl.load(x + first + k, mask=inside, other=0.0).to(tl.float32)
        added = ()
        for i in tl.static_range(BLOCK_N):
            products = _widened(values[i], ASSEMBLY) * a
            partial = tl.sum(tl.reshape(products, (BLOCK_K // WIDTH, WIDTH)), 1)
            added = added + (sums[i] + partial,)  # type: ignore[assignment]
        sums = added
    if BLOCK_N >= 8:
        sums = _joined(sums, 4)
    if BLOCK_N >= 4:
        sums = _joined(sums, 2)
    if BLOCK_N >= 2:
        sums = _joined(sums, 1)
    total = tl.sum(tl.reshape(sums[0], (BLOCK_K // WIDTH, BLOCK_N)), 0)  # type: ignore[misc]
    _store_row(total, first_row + tl.arange(0, BLOCK_N), scale, bias, out, size, HAS_SCALE, HAS_BIAS)


@triton.jit  # type: ignore[untyped-decorator]
def _joined(parts: tl.tuple, HALF: tl.constexpr) -> tl.tuple:
    """2 HALF tensors to HALF of one dimension more, i and i + HALF beside each other: down to one tensor, the order is
    kept."""
    joined = ()
    for i in tl.static_range(HALF):
        joined = joined + (tl.join(parts[i], parts[i + HALF]),)  # type: ignore[assignment]
    return joined


# Four int8 to the bits of four fp32 numbers 2^23 + 128 + q: the biased byte is the mantissa's lowest. A conversion an
# element, as the compiler would have it, is 16 values a clock and SM, and memory brings more.
BIAS = tl.constexpr(8388608.0 + 128.0)
WIDEN = tl.constexpr("""{
.reg .b32 biased, high;
xor.b32 biased, $4, 0x80808080;
mov.b32 high, 0x4B000000;
prmt.b32 $0, biased, high, 0x7440;
prmt.b32 $1, biased, high, 0x7441;
prmt.b32 $2, biased, high, 0x7442;
prmt.b32 $3, biased, high, 0x7443;
}""")


@triton.jit  # type: ignore[untyped-decorator]
def _widened(values: tl.tensor, ASSEMBLY: tl.constexpr) -> tl.tensor:
    """int8 or e4m3 to fp32, exactly."""
    if ASSEMBLY:
        bits = tl.inline_asm_elementwise(WIDEN, "=&r,=&r,=&r,=&r,r", [values], dtype=tl.int32, is_pure=True, pack=4)
        return bits.to(tl.float32, bitcast=True) - BIAS
    else:
        return values.to(tl.float32)


@triton.jit  # type: ignore[untyped-decorator]
def _store_row(
    total: tl.tensor,
    n: tl.tensor,
    scale: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    size: tl.tensor,
    HAS_SCALE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
) -> None:
    if HAS_SCALE:
        total *= tl.load(scale + n, mask=n < size, other=0.0)
    if HAS_BIAS:
        total += tl.load(bias + n, mask=n < size, other=0.0).to(tl.float32)
    tl.store(out + n, total.to(out.dtype.element_ty), mask=n < size)
