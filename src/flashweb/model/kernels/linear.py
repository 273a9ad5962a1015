"""Products with the weight matrices: every weight read once and near bandwidth where there are few rows.

    skinny_linear   bf16 weights, few rows (decoding); for many rows cuBLAS is the better kernel
    int8_linear     int8 weights with a scale a row, any number of rows
    int4_linear     int4 weights in groups along a row, any number of rows
    fp8_linear      e4m3 weights and e4m3 rows, both with a scale a row
    fp8_row_linear  e4m3 weights and one row that is not rounded
    dequantise_int8, dequantise_int4
                    the weights as plain numbers, for many rows

Formats: `quant_cuda.py`. Weights are [N, K] and lie by rows, x is [M, K]. The weights' tile is the left operand of the
tensor cores (its N fills their 64 rows, M only the columns, from 16 on), quantised values become bf16 in registers,
and scales meet the sums, not the values: w = q s loses nothing before the product. Where N gives too few tiles to
fill the card, K is split; the last program of a tile to arrive adds the parts up, always in the same order, so results
do not depend on timing. Which blocks, by shape: `plan_for`; nothing is tuned at run time. A single row of x has kernels
of its own (`one_row.py`), but for int4.

Many rows (prefill) are the tensor cores' work and not the memory's, and libraries do it better: int8 and int4 weights
are then made plain piece by piece and multiplied by cuBLAS, fp8 goes to `torch._scaled_mm` where that runs.

Every launcher can be captured in a CUDA graph. A tile's arrivals are counted in memory that all launches of a device
share: launch on one stream at a time. Knows nothing of layers, checkpoints or how weights were quantised, nor how rows
become e4m3 (`fp8_rows.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from flashweb.model.kernels.one_row import RowPlan, one_row_linear
from flashweb.model.quant_cuda import Fp8Weight, Int4Weight, Int8Weight

logger = logging.getLogger(__name__)

# Up to so many rows our kernels, beyond them the libraries'. Measured on an H100: in bf16 cuBLAS is as near bandwidth
# from some 16 rows on, from 64 where the weight has many rows; narrower weights must be unpacked first, which pays when
# many rows share it.
MAX_SKINNY_ROWS, MAX_SKINNY_ROWS_OF_LARGE, LARGE = 16, 64, 16384
MAX_FP8_ROWS = 64
MAX_WEIGHT_ONLY_ROWS = 128
PLAIN_VALUES = 1 << 25  # of int8 and int4 weights made plain at once: 64 MiB in bf16
MAX_SPLIT = 8  # parts of K
# Blocks of K in a part. Shorter loops never fill their pipeline, and adding parts up costs about a microsecond: weights
# that need no unpacking are faster whole from a few tiles on.
MIN_BLOCKS_PER_PART, MIN_STRAIGHT_BLOCKS_PER_PART = 4, 32
PROGRAMS_PER_SM = 2  # that shared memory is planned for
SHARED_BYTES_PER_PROGRAM = 110 << 10
SHARED_BYTES_LEFT = 4 << 10  # for what the compiler itself keeps there
MAX_STAGES, MAX_INT4_STAGES = 6, 4
NUM_COUNTERS = 4096
DEQUANTISE_COLUMNS = 4096  # that one program makes plain

# Triton's interpreter holds bf16 as bare bits and cannot multiply it: there, and only there, tiles are widened first.
# The products are the same, for fp32 holds the product of two bf16 numbers exactly.
INTERPRETED: bool = bool(triton.knobs.runtime.interpret)


# --- which blocks ---------------------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """Blocks of one launch: a program computes block_n x block_m outputs over one of `split` parts of K."""

    block_m: int
    block_n: int
    block_k: int
    split: int
    num_warps: int
    num_stages: int


class Device(NamedTuple):
    num_sms: int
    shared_bytes: int  # that one program may have


H200 = Device(132, 227 << 10)


@lru_cache
def _device(device: torch.device) -> Device:
    if device.type != "cuda":
        return H200
    index = torch.cuda.current_device() if device.index is None else device.index
    properties = triton.runtime.driver.active.utils.get_device_properties(index)
    return Device(properties["multiprocessor_count"], properties["max_shared_mem"])


def plan_for(m: int, n: int, k: int, weight_bits: int, x_bytes: int, device: Device = H200, group: int = 0) -> Plan:
    """The blocks for [m, k] x [n, k]^T, by what moves: for few rows the weights, for many the tensor cores.

    `group` is int4's, whose block of K is one group.
    """
    straight = weight_bits == 16 or x_bytes == 1  # multiplied as they are read, without being unpacked
    if m > 64:
        # int4 keeps the sums of a group beside those of the row: half as many, or registers run out.
        block_m, block_n, block_k, num_warps = 64 if weight_bits == 4 else 128, 128, 64, 8
    else:
        block_m, num_warps = max(16, triton.next_power_of_2(m)), 4
        small = n <= 8192 or (straight and m <= 16) or (weight_bits == 4 and m > 32)
        block_n = 64 if small and (straight or weight_bits == 4) else 128
        block_k = 256 if x_bytes == 1 and block_n == 64 else 128
    block_k = group or min(block_k, max(32, triton.next_power_of_2(k)))
    tiles = triton.cdiv(m, block_m) * triton.cdiv(n, block_n)
    blocks = triton.cdiv(k, block_k)
    one_each = m > 64 or (weight_bits == 8 and not straight)  # program for an SM
    programs = device.num_sms if one_each else PROGRAMS_PER_SM * device.num_sms
    least = MIN_STRAIGHT_BLOCKS_PER_PART if straight and m <= 64 else MIN_BLOCKS_PER_PART
    split = max(1, min(MAX_SPLIT, programs // tiles, blocks // least))
    split = triton.cdiv(blocks, triton.cdiv(blocks, split))  # no part without work
    alone = tiles * split <= device.num_sms
    room = min(device.shared_bytes if alone else SHARED_BYTES_PER_PROGRAM, device.shared_bytes - SHARED_BYTES_LEFT)
    stage_bytes = block_k * (block_n * weight_bits // 8 + block_m * x_bytes)
    num_stages = max(2, min(MAX_INT4_STAGES if weight_bits == 4 else MAX_STAGES, room // stage_bytes))
    return Plan(block_m, block_n, block_k, split, num_warps, num_stages)


def _plan(x: Tensor, weight: Tensor) -> Plan:
    (rows, columns), size = x.shape, weight.shape[0]
    return plan_for(rows, size, columns, 8 * weight.itemsize, x.itemsize, _device(x.device))


# --- launchers ------------------------------------------------------------------------------------------------------


def skinny_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, plan: Plan | RowPlan | None = None) -> Tensor:
    """y = x W^T + b for few rows: [M, K], [N, K], [N] of one dtype (bf16 or fp32) -> [M, N] of it.

    A single row goes to a kernel without tensor cores, unless `plan` says otherwise. Sums are fp32.
    """
    _check(x, weight)
    if isinstance(plan, RowPlan) or (plan is None and x.shape[0] == 1):
        return one_row_linear(x, weight, None, bias, plan)
    plan = plan or _plan(x, weight)
    return _tiled(x, None, weight, None, bias, x.dtype, plan)


def is_skinny(rows: int, size: int) -> bool:
    """Whether `skinny_linear` is the faster product for so many rows of x and of the weight."""
    return rows <= (MAX_SKINNY_ROWS_OF_LARGE if size >= LARGE else MAX_SKINNY_ROWS)


def reference_skinny_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.linear(x.float(), weight.float(), None if bias is None else bias.float()).to(x.dtype)


def int8_linear(
    x: Tensor, values: Tensor, scale: Tensor, bias: Tensor | None = None, plan: Plan | RowPlan | None = None
) -> Tensor:
    """y = x (q s)^T + b: bf16 or fp32 [M, K], int8 [N, K], fp32 [N], [N] -> [M, N] of x's dtype. Sums are fp32."""
    _check(x, values)
    if isinstance(plan, RowPlan) or (plan is None and x.shape[0] == 1):
        return one_row_linear(x, values, scale, bias, plan)
    if plan is None and x.shape[0] > MAX_WEIGHT_ONLY_ROWS:
        return _by_pieces(x, values.shape[0], lambda n: dequantise_int8(values[n], scale[n], x.dtype), bias)
    plan = plan or _plan(x, values)
    return _tiled(x, None, values, scale, bias, x.dtype, plan)


def reference_int8_linear(x: Tensor, values: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    return reference_skinny_linear(x, Int8Weight(values, scale).dequantised(), bias)


def int4_linear(
    x: Tensor, packed: Tensor, scale: Tensor, zero: Tensor, bias: Tensor | None = None, plan: Plan | None = None
) -> Tensor:
    """y = x ((q - z) s)^T + b: [M, K], uint8 [N, K/2], bf16 [N, K/G], uint8 [N, K/G], [N] -> [M, N] of x's dtype.

    G is a power of two from 32 on; a group's first half lies in the low nibbles (`quant_cuda.Int4Weight`).
    """
    rows, columns = x.shape
    group = columns // scale.shape[1]
    assert x.stride(1) == 1 and packed.is_contiguous() and scale.is_contiguous() and zero.is_contiguous()
    assert packed.shape[1] * 2 == columns == group * scale.shape[1], "packed, scale and x do not belong together"
    assert group >= 32 and group == triton.next_power_of_2(group), f"groups of {group} have no tile"
    size = packed.shape[0]
    if plan is None and rows > MAX_WEIGHT_ONLY_ROWS:
        return _by_pieces(x, size, lambda n: dequantise_int4(packed[n], scale[n], zero[n], x.dtype), bias)
    plan = plan or plan_for(rows, size, columns, 4, x.itemsize, _device(x.device), group)
    out = torch.empty((rows, size), dtype=x.dtype, device=x.device)
    grid, parts, arrivals = _grid(rows, size, plan, x.device)
    _int4_kernel[grid](
        x, packed, scale, zero, bias, out, parts, arrivals, rows, size, x.stride(0),
        NUM_GROUPS=columns // group, GROUP=group, BLOCK_M=plan.block_m, BLOCK_N=plan.block_n, SPLIT=plan.split,
        STREAM=grid[0] == 1, HAS_BIAS=bias is not None, WIDE=INTERPRETED or x.dtype == torch.float32,
        ASSEMBLY=not INTERPRETED, num_warps=plan.num_warps, num_stages=plan.num_stages,
    )  # fmt: skip
    return out


def reference_int4_linear(x: Tensor, packed: Tensor, scale: Tensor, zero: Tensor, bias: Tensor | None = None) -> Tensor:
    weight = Int4Weight(packed, scale, zero, x.shape[1] // scale.shape[1])
    return reference_skinny_linear(x, weight.dequantised(), bias)


def fp8_linear(
    x: Tensor,
    x_scale: Tensor,
    values: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    dtype: torch.dtype = torch.bfloat16,
    plan: Plan | None = None,
) -> Tensor:
    """y = (x s_x) (q s)^T + b: e4m3 [M, K], fp32 [M, 1], e4m3 [N, K], fp32 [N], [N] -> [M, N] of `dtype`.

    Beyond MAX_FP8_ROWS rows cuBLAS or CUTLASS does it, where they can.
    """
    _check(x, values)
    if plan is None and x.shape[0] > MAX_FP8_ROWS and _can_scaled_mm(x, values, dtype):
        return _scaled_mm(x, x_scale, values, scale, bias)
    plan = plan or _plan(x, values)
    return _tiled(x, x_scale, values, scale, bias, dtype, plan)


def reference_fp8_linear(
    x: Tensor,
    x_scale: Tensor,
    values: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> Tensor:
    product = F.linear(x.float() * x_scale, Fp8Weight(values, scale).dequantised())
    return (product if bias is None else product + bias.float()).to(dtype)


def fp8_row_linear(
    x: Tensor, values: Tensor, scale: Tensor, bias: Tensor | None = None, plan: RowPlan | None = None
) -> Tensor:
    """y = x (q s)^T + b for one row that stays as it is: bf16 or fp32 [1, K], e4m3 [N, K], fp32 [N], [N] -> [1, N].

    The output has x's dtype. A single row has nothing to gain from fp8 arithmetic, and would pay for being rounded.
    """
    return one_row_linear(x, values, scale, bias, plan)


def reference_fp8_row_linear(x: Tensor, values: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    return reference_skinny_linear(x, Fp8Weight(values, scale).dequantised(), bias)


def dequantise_int8(values: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """q s: int8 [N, K], fp32 [N] -> [N, K] of `dtype`."""
    assert values.is_contiguous()
    rows, columns = values.shape
    out = torch.empty((rows, columns), dtype=dtype, device=values.device)
    block = min(DEQUANTISE_COLUMNS, triton.next_power_of_2(columns))
    _dequantise_int8_kernel[(rows, triton.cdiv(columns, block))](
        values, scale, out, NUM_COLUMNS=columns, BLOCK=block, num_warps=_dequantise_warps(block)
    )
    return out


def reference_dequantise_int8(values: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    return Int8Weight(values, scale).dequantised(dtype)


def dequantise_int4(packed: Tensor, scale: Tensor, zero: Tensor, dtype: torch.dtype) -> Tensor:
    """(q - z) s: uint8 [N, K/2], bf16 [N, K/G], uint8 [N, K/G] -> [N, K] of `dtype`."""
    assert packed.is_contiguous() and scale.is_contiguous() and zero.is_contiguous()
    rows, half = packed.shape
    groups = scale.shape[1]
    out = torch.empty((rows, 2 * half), dtype=dtype, device=packed.device)
    block = min(DEQUANTISE_COLUMNS // 2, triton.next_power_of_2(half))
    _dequantise_int4_kernel[(rows, triton.cdiv(half, block))](
        packed, scale, zero, out, NUM_GROUPS=groups, HALF=half // groups, BLOCK=block,
        num_warps=_dequantise_warps(2 * block),
    )  # fmt: skip
    return out


def reference_dequantise_int4(packed: Tensor, scale: Tensor, zero: Tensor, dtype: torch.dtype) -> Tensor:
    return Int4Weight(packed, scale, zero, 2 * packed.shape[1] // scale.shape[1]).dequantised(dtype)


# --- between launchers and kernels ----------------------------------------------------------------------------------


def _check(x: Tensor, weight: Tensor) -> None:
    assert x.ndim == 2 and x.stride(1) == 1 and weight.is_contiguous(), "rows must lie together"
    assert x.shape[1] == weight.shape[1], f"{tuple(x.shape)} does not fit {tuple(weight.shape)}"


def _tiled(
    x: Tensor,
    x_scale: Tensor | None,
    weight: Tensor,
    scale: Tensor | None,
    bias: Tensor | None,
    dtype: torch.dtype,
    plan: Plan,
) -> Tensor:
    (rows, columns), size = x.shape, weight.shape[0]
    out = torch.empty((rows, size), dtype=dtype, device=x.device)
    grid, parts, arrivals = _grid(rows, size, plan, x.device)
    _linear_kernel[grid](
        x, x_scale, weight, scale, bias, out, parts, arrivals, rows, size, x.stride(0), NUM_COLUMNS=columns,
        BLOCK_M=plan.block_m, BLOCK_N=plan.block_n, BLOCK_K=plan.block_k, SPLIT=plan.split, STREAM=grid[0] == 1,
        EVEN=columns % (plan.block_k * plan.split) == 0, FP8=x_scale is not None, HAS_SCALE=scale is not None,
        HAS_BIAS=bias is not None, WIDE=x.dtype == torch.float32 or (INTERPRETED and x_scale is None),
        num_warps=plan.num_warps, num_stages=plan.num_stages,
    )  # fmt: skip
    return out


def _by_pieces(x: Tensor, size: int, piece: Callable[[slice], Tensor], bias: Tensor | None) -> Tensor:
    """y = x W^T + b with as many rows of W at once as PLAIN_VALUES allows: `piece` gives W[n] in x's dtype."""
    step = max(1, PLAIN_VALUES // x.shape[1])
    if size <= step:
        return F.linear(x, piece(slice(0, size)), bias)
    y = torch.empty((x.shape[0], size), dtype=x.dtype, device=x.device)
    for start in range(0, size, step):
        n = slice(start, start + step)
        if bias is None:
            torch.mm(x, piece(n).t(), out=y[:, n])
        else:
            torch.addmm(bias[n], x, piece(n).t(), out=y[:, n])
    return y


def _scaled_mm(x: Tensor, x_scale: Tensor, values: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """`fp8_linear` to bf16 by torch, which adds up in the tensor cores' own registers: on Hopper some bits less than
    fp32 over a long row, far below fp8's own rounding."""
    return torch._scaled_mm(
        x, values.t(), scale_a=x_scale, scale_b=scale[None, :], bias=bias, out_dtype=torch.bfloat16, use_fast_accum=True
    )


def _can_scaled_mm(x: Tensor, values: Tensor, dtype: torch.dtype) -> bool:
    size, columns = values.shape
    fits = x.is_cuda and dtype == torch.bfloat16 and x.is_contiguous() and size % 16 == columns % 16 == 0
    return fits and _has_scaled_mm(x.device)


@lru_cache
def _has_scaled_mm(device: torch.device) -> bool:
    """Whether this torch multiplies fp8 with scales by rows on this card: asked once, by doing it."""
    x, scale = torch.zeros((128, 64), device=device).to(torch.float8_e4m3fn), torch.ones((128, 1), device=device)
    try:
        _scaled_mm(x, scale, x, scale.flatten(), None)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        logger.warning("torch has no fp8 product with scales by rows here, so prefill takes our kernel: %s", error)
        return False
    return True


def _grid(rows: int, size: int, plan: Plan, device: torch.device) -> tuple[tuple[int, int, int], Tensor, Tensor]:
    """The programs, the place for their parts and the counters of those that have arrived.

    Blocks of x run fastest: programs that need the same weights run side by side, and the cache reads them once.
    """
    grid = triton.cdiv(rows, plan.block_m), triton.cdiv(size, plan.block_n), plan.split
    tiles = grid[0] * grid[1]
    assert plan.split == 1 or tiles <= NUM_COUNTERS, f"{tiles} tiles are too many to be split"
    num_parts = tiles * plan.split * plan.block_m * plan.block_n if plan.split > 1 else 0
    return grid, torch.empty(num_parts, dtype=torch.float32, device=device), _arrivals(device)


@lru_cache
def _arrivals(device: torch.device) -> Tensor:
    """Zero between launches: the last program of a tile puts its counter back."""
    return torch.zeros(NUM_COUNTERS, dtype=torch.int32, device=device)


def _dequantise_warps(values: int) -> int:
    return max(1, min(8, values // 512))  # a load of 16 bytes a thread and turn


# --- kernels --------------------------------------------------------------------------------------------------------


@triton.jit(do_not_specialize=["num_rows"])  # type: ignore[untyped-decorator]
def _linear_kernel(
    x: tl.tensor,
    x_scale: tl.tensor,
    weight: tl.tensor,
    scale: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    parts: tl.tensor,
    arrivals: tl.tensor,
    num_rows: tl.tensor,
    size: tl.tensor,
    x_stride: tl.tensor,
    NUM_COLUMNS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    SPLIT: tl.constexpr,
    STREAM: tl.constexpr,
    EVEN: tl.constexpr,
    FP8: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    WIDE: tl.constexpr,
) -> None:
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    k = tl.arange(0, BLOCK_K)
    PER_PART: tl.constexpr = (NUM_COLUMNS + BLOCK_K * SPLIT - 1) // (BLOCK_K * SPLIT)
    start = tl.program_id(2) * (PER_PART * BLOCK_K)
    # Rows past the end repeat the last one and are not stored.
    weight_tile = weight + tl.minimum(n, size - 1).to(tl.int64)[:, None] * NUM_COLUMNS + k[None, :]
    x_tile = x + m.to(tl.int64)[None, :] * x_stride + k[:, None]
    is_row = (m < num_rows)[None, :]
    sums = tl.zeros((BLOCK_N, BLOCK_M), tl.float32)
    for block in range(PER_PART):
        first = start + block * BLOCK_K
        if EVEN:
            w = tl.load(weight_tile + first, eviction_policy="evict_first" if STREAM else "")
            a = tl.load(x_tile + first, mask=is_row, other=0.0)
        else:
            inside = first + k < NUM_COLUMNS
            w = tl.load(
                weight_tile + first, mask=inside[None, :], other=0.0, eviction_policy="evict_first" if STREAM else ""
            )
            a = tl.load(x_tile + first, mask=is_row & inside[:, None], other=0.0)
        if FP8:
            # Hopper's own fp8 sums lose bits over a long row; with few rows adding up outside of them costs nothing.
            sums += tl.dot(w, a)
        elif WIDE:
            sums = tl.dot(w.to(tl.float32), a.to(tl.float32), sums, input_precision="ieee")
        else:
            sums = tl.dot(w.to(a.dtype), a, sums)
    _finish(
        sums, m, n, x_scale, scale, bias, out, parts, arrivals, num_rows, size,
        BLOCK_M, BLOCK_N, SPLIT, FP8, HAS_SCALE, HAS_BIAS,
    )  # fmt: skip


@triton.jit(do_not_specialize=["num_rows"])  # type: ignore[untyped-decorator]
def _int4_kernel(
    x: tl.tensor,
    packed: tl.tensor,
    scale: tl.tensor,
    zero: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    parts: tl.tensor,
    arrivals: tl.tensor,
    num_rows: tl.tensor,
    size: tl.tensor,
    x_stride: tl.tensor,
    NUM_GROUPS: tl.constexpr,
    GROUP: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    SPLIT: tl.constexpr,
    STREAM: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    WIDE: tl.constexpr,
    ASSEMBLY: tl.constexpr,
) -> None:
    """A turn is a group: its integers q - z are multiplied exactly, its scale meets the sums of the group."""
    HALF: tl.constexpr = GROUP // 2
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    j = tl.arange(0, HALF)
    PER_PART: tl.constexpr = (NUM_GROUPS + SPLIT - 1) // SPLIT
    row = tl.minimum(n, size - 1).to(tl.int64)
    packed_tile = packed + row[:, None] * (NUM_GROUPS * HALF) + j[None, :]
    x_tile = x + m.to(tl.int64)[None, :] * x_stride + j[:, None]
    is_row = (m < num_rows)[None, :]
    sums = tl.zeros((BLOCK_N, BLOCK_M), tl.float32)
    for turn in range(PER_PART):
        group = tl.program_id(2) * PER_PART + turn
        # The last part may be shorter: past its end the last group comes again and meets zeros.
        is_value = is_row & (group < NUM_GROUPS)
        group = tl.minimum(group, NUM_GROUPS - 1)
        pairs = tl.load(packed_tile + group * HALF, eviction_policy="evict_first" if STREAM else "")
        a_low = tl.load(x_tile + group * GROUP, mask=is_value, other=0.0)
        a_high = tl.load(x_tile + group * GROUP + HALF, mask=is_value, other=0.0)
        step = tl.load(scale + row * NUM_GROUPS + group).to(tl.float32)
        low, high = _unpack(pairs, tl.load(zero + row * NUM_GROUPS + group), ASSEMBLY)
        if WIDE:
            partial = tl.dot(low.to(tl.float32), a_low.to(tl.float32), input_precision="ieee")
            partial = tl.dot(high.to(tl.float32), a_high.to(tl.float32), partial, input_precision="ieee")
        else:
            partial = tl.dot(high, a_high, tl.dot(low, a_low))
        sums += partial * step[:, None]
    _finish(
        sums, m, n, scale, scale, bias, out, parts, arrivals, num_rows, size,
        BLOCK_M, BLOCK_N, SPLIT, False, False, HAS_BIAS,
    )  # fmt: skip


# Four bytes to eight values q - z in bf16: a byte permutation sets the upper byte 0x43 beside every nibble, which makes
# 128 + q, and -(128 + z) is added. Written out because a conversion an element, as the compiler would have it, takes
# longer than the memory needs for the weights. All of it is exact; the fused form of the sum is what sm80 has.
UNPACK = tl.constexpr("""{
.reg .b32 low, high, one;
mov.b32 one, 0x3F803F80;
and.b32 low, $4, 0x0F0F0F0F;
shr.u32 high, $4, 4;
and.b32 high, high, 0x0F0F0F0F;
prmt.b32 $0, low, 0x43434343, 0x4140;
prmt.b32 $1, low, 0x43434343, 0x4342;
prmt.b32 $2, high, 0x43434343, 0x4140;
prmt.b32 $3, high, 0x43434343, 0x4342;
fma.rn.bf16x2 $0, $0, one, $5;
fma.rn.bf16x2 $1, $1, one, $6;
fma.rn.bf16x2 $2, $2, one, $5;
fma.rn.bf16x2 $3, $3, one, $6;
}""")


@triton.jit  # type: ignore[untyped-decorator]
def _unpack(pairs: tl.tensor, zero: tl.tensor, ASSEMBLY: tl.constexpr) -> tuple[tl.tensor, tl.tensor]:
    """uint8 [n, j], uint8 [n] -> low nibbles less zero, high nibbles less zero, [n, j] in bf16 (or fp32, as exact)."""
    if ASSEMBLY:
        origin = tl.broadcast_to((-128.0 - zero.to(tl.float32)).to(tl.bfloat16)[:, None], pairs.shape)
        # The outputs are written before the last input is read: "=&r" keeps them out of its register.
        low, high = tl.inline_asm_elementwise(
            UNPACK, "=&r,=&r,=&r,=&r,r,r,r", [pairs, origin], dtype=(tl.bfloat16, tl.bfloat16), is_pure=True, pack=4
        )
    else:
        low = (pairs & 15).to(tl.float32) - zero.to(tl.float32)[:, None]
        high = (pairs >> 4).to(tl.float32) - zero.to(tl.float32)[:, None]
    return low, high


@triton.jit  # type: ignore[untyped-decorator]
def _finish(
    sums: tl.tensor,
    m: tl.tensor,
    n: tl.tensor,
    x_scale: tl.tensor,
    scale: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    parts: tl.tensor,
    arrivals: tl.tensor,
    num_rows: tl.tensor,
    size: tl.tensor,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    SPLIT: tl.constexpr,
    HAS_X_SCALE: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
) -> None:
    """Stores the sums [BLOCK_N, BLOCK_M], if they are whole; else the last of a tile's programs adds all parts up."""
    if SPLIT == 1:
        _store(sums, m, n, x_scale, scale, bias, out, num_rows, size, HAS_X_SCALE, HAS_SCALE, HAS_BIAS)
    else:
        tile = tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
        is_row = (m < num_rows)[None, :]
        place = parts + tile.to(tl.int64) * SPLIT * BLOCK_M * BLOCK_N
        place += tl.arange(0, BLOCK_M)[None, :] * BLOCK_N + tl.arange(0, BLOCK_N)[:, None]
        tl.store(place + tl.program_id(2) * BLOCK_M * BLOCK_N, sums, mask=is_row)
        tl.debug_barrier()  # all threads have stored before one of them says so
        arrived = tl.atomic_add(arrivals + tile, 1, sem="acq_rel", scope="gpu")
        if arrived == SPLIT - 1:
            total = tl.zeros((BLOCK_N, BLOCK_M), tl.float32)
            for part in range(SPLIT):
                total += tl.load(place + part * BLOCK_M * BLOCK_N, mask=is_row, other=0.0, cache_modifier=".cg")
            tl.store(arrivals + tile, 0)
            _store(total, m, n, x_scale, scale, bias, out, num_rows, size, HAS_X_SCALE, HAS_SCALE, HAS_BIAS)


@triton.jit  # type: ignore[untyped-decorator]
def _store(
    sums: tl.tensor,
    m: tl.tensor,
    n: tl.tensor,
    x_scale: tl.tensor,
    scale: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    num_rows: tl.tensor,
    size: tl.tensor,
    HAS_X_SCALE: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    HAS_BIAS: tl.constexpr,
) -> None:
    if HAS_SCALE:
        sums *= tl.load(scale + n, mask=n < size, other=0.0)[:, None]
    if HAS_X_SCALE:
        sums *= tl.load(x_scale + m, mask=m < num_rows, other=0.0)[None, :]
    if HAS_BIAS:
        sums += tl.load(bias + n, mask=n < size, other=0.0).to(tl.float32)[:, None]
    place = out + m.to(tl.int64)[None, :] * size + n[:, None]
    tl.store(place, sums.to(out.dtype.element_ty), mask=(m < num_rows)[None, :] & (n < size)[:, None])


@triton.jit  # type: ignore[untyped-decorator]
def _dequantise_int8_kernel(
    values: tl.tensor,
    scale: tl.tensor,
    out: tl.tensor,
    NUM_COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    k = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    place = row * NUM_COLUMNS + k
    inside = k < NUM_COLUMNS
    q = tl.load(values + place, mask=inside, other=0).to(tl.float32)
    tl.store(out + place, (q * tl.load(scale + row)).to(out.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _dequantise_int4_kernel(
    packed: tl.tensor,
    scale: tl.tensor,
    zero: tl.tensor,
    out: tl.tensor,
    NUM_GROUPS: tl.constexpr,
    HALF: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """A byte's two values lie half a group apart."""
    row = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = j < NUM_GROUPS * HALF
    pairs = tl.load(packed + row * (NUM_GROUPS * HALF) + j, mask=inside, other=0)
    group = row * NUM_GROUPS + j // HALF
    step = tl.load(scale + group, mask=inside, other=0.0).to(tl.float32)
    origin = tl.load(zero + group, mask=inside, other=0).to(tl.float32)
    place = out + row * (2 * NUM_GROUPS * HALF) + (j // HALF) * (2 * HALF) + j % HALF
    low = ((pairs & 15).to(tl.float32) - origin) * step
    high = ((pairs >> 4).to(tl.float32) - origin) * step
    tl.store(place, low.to(out.dtype.element_ty), mask=inside)
    tl.store(place + HALF, high.to(out.dtype.element_ty), mask=inside)
