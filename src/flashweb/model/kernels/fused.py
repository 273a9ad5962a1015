"""What lies between the matrix products of a decoder layer, each stretch in one kernel.

    add_norm           x += rms(y) * w; h = rms(x) * w'         after the attention's and the MLP's last product
    bias_rotate_store  bias, rotary positions, cache write      after the qkv product
    silu_mul           silu(gate) * up                          between the MLP's two products

They round where the plain path rounds (`layers.py`, `rope.py`), so that both give the same bits but for the order of
sums. Every launcher can be captured in a CUDA graph: shapes decide everything, no value is read on the host.
Knows nothing of layers, weights' storage or requests.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from flashweb.model.fp8_cache import quantise_heads
from flashweb.model.kernels.e4m3 import check_scales, head_scale, to_e4m3
from flashweb.model.layers import RmsNorm
from flashweb.model.rope import rotate_, text_rotation

VALUES_PER_THREAD = 8  # one load of 16 bytes in bf16
SILU_COLUMNS = 1024
TABLE_TOKENS = 16
# Up to here a step has few tokens, and its heads are spread over many small programs; beyond, programs are larger.
FEW_TOKENS = 64
HEADS_OF_FEW, HEADS_OF_MANY = 4, 16
# For kernels that add to a product which is rounded first. In bf16 the compiler makes one bf16 product of "widen,
# multiply, round" and one bf16 sum of what follows, and would contract the two to `fma.rn.bf16`, which rounds once.
ROUND_BETWEEN = {"enable_fp_fusion": False}


def rms_norm(x: Tensor, weight: Tensor, eps: float, out: Tensor | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight by rows: [N, n] -> [N, n] of x's dtype, in `out` if given."""
    out = torch.empty_like(x) if out is None else out
    _check_rows(x, out)
    columns = x.shape[1]
    _rms_norm_kernel[(x.shape[0],)](x, weight, out, eps, columns, **_row_blocks(columns))
    return out


def norm_add(residual: Tensor, y: Tensor, weight: Tensor, eps: float) -> Tensor:
    """residual += rms(y) * weight, in place, [N, n]: `add_norm` where no norm follows."""
    _check_rows(residual, y)
    columns = y.shape[1]
    _add_norm_kernel[(y.shape[0],)](
        residual, y, weight, weight, residual, eps, columns, HAS_NEXT=False, **_row_blocks(columns), **ROUND_BETWEEN
    )
    return residual


def add_norm(
    residual: Tensor, y: Tensor, weight: Tensor, next_weight: Tensor, eps: float, out: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """x = residual + rms(y) * weight; h = rms(x) * next_weight, by rows.

    residual, y          [N, n], one dtype; `residual` becomes x, in place
    weight, next_weight  [n]
    returns              (x, h); h in `out` [N, n] if given. `out` may be `y`.
    """
    out = torch.empty_like(y) if out is None else out
    _check_rows(residual, y, out)
    columns = y.shape[1]
    _add_norm_kernel[(y.shape[0],)](
        residual, y, weight, next_weight, out, eps, columns, HAS_NEXT=True, **_row_blocks(columns), **ROUND_BETWEEN
    )
    return residual, out


def silu_mul(gate_up: Tensor, out: Tensor | None = None) -> Tensor:
    """silu(gate) * up of a fused projection: [N, 2n], the gate first -> [N, n], in `out` if given."""
    rows, columns = gate_up.shape[0], gate_up.shape[1] // 2
    out = gate_up.new_empty(rows, columns) if out is None else out
    _check_rows(gate_up)
    _check_rows(out)
    block = min(SILU_COLUMNS, triton.next_power_of_2(columns))
    _silu_mul_kernel[(rows, triton.cdiv(columns, block))](
        gate_up, out, columns, BLOCK=block, num_warps=_num_warps(block)
    )
    return out


def rotation_table(
    positions: Tensor, frequencies: Tensor, axes: Tensor, dtype: torch.dtype, out: Tensor | None = None
) -> Tensor:
    """Cosine and sine of every token's angles, once per step for all layers.

    positions    int64 [3, N], temporal, height, width
    frequencies  fp32 [r], r = rotary_dim / 2
    axes         int64 [r], the axis of `positions` that drives each frequency (M-RoPE sections)
    returns      [N, r, 2] (cosine, sine) of `dtype`, the activations': angles are fp32, the results rounded to it
    """
    num_tokens, pairs = positions.shape[1], frequencies.shape[0]
    assert num_tokens == 1 or positions.stride(1) == 1, positions.stride()
    out = torch.empty(num_tokens, pairs, 2, dtype=dtype, device=positions.device) if out is None else out
    assert out.shape == (num_tokens, pairs, 2) and out.dtype == dtype and out.is_contiguous(), (out.shape, out.dtype)
    _rotation_table_kernel[(triton.cdiv(num_tokens, TABLE_TOKENS),)](
        positions,
        frequencies,
        axes,
        out,
        num_tokens,
        positions.stride(0),
        PAIRS=pairs,
        BLOCK_PAIRS=triton.next_power_of_2(pairs),
        BLOCK_TOKENS=TABLE_TOKENS,
    )
    return out


def bias_rotate_store(
    qkv: Tensor,
    bias: Tensor | None,
    rotation: Tensor,
    slots: Tensor,
    cache_layer: Tensor,
    out: Tensor | None = None,
    scales: Tensor | None = None,
) -> Tensor:
    """Adds the bias, rotates queries and keys, stores keys and values in the cache.

    qkv          [N, (heads + 2 * kv_heads) * head_dim]: queries, keys, values
    bias         of as many values, or None
    rotation     [N, r, 2] from `rotation_table`; pairs (2j, 2j+1) of a head's first 2r values turn together
    slots        int [N], the cache slot of each token; -1 is padding and not stored
    cache_layer  [2 * kv_heads, slots, head_dim], keys' heads before values' heads
    scales       fp32 [2 * kv_heads, slots], where the layer's numbers are kept in e4m3 (`fp8_cache.py`), else None
    returns      the rotated queries [N, heads, head_dim]: in `out` if given (contiguous), else a view of `qkv`
    """
    num_tokens = qkv.shape[0]
    head_dim = cache_layer.shape[2]
    all_heads, stored_heads = qkv.shape[1] // head_dim, cache_layer.shape[0]
    heads = all_heads - stored_heads
    assert heads > 0 and qkv.shape[1] == all_heads * head_dim, (qkv.shape, cache_layer.shape)
    assert rotation.shape[0] == slots.shape[0] == num_tokens, (rotation.shape, slots.shape, num_tokens)
    assert rotation.shape[1] * 2 <= head_dim and head_dim == triton.next_power_of_2(head_dim), rotation.shape
    assert cache_layer.stride()[1:] == (head_dim, 1), cache_layer.stride()
    check_scales(cache_layer, scales)
    assert qkv.is_contiguous() and rotation.is_contiguous() and slots.is_contiguous()
    queries = qkv.view(num_tokens, all_heads, head_dim)[:, :heads] if out is None else out
    assert queries.shape == (num_tokens, heads, head_dim), queries.shape
    assert out is None or out.is_contiguous()
    wanted = HEADS_OF_FEW if num_tokens <= FEW_TOKENS else HEADS_OF_MANY
    block = min(wanted, triton.next_power_of_2(all_heads))
    _bias_rotate_store_kernel[(num_tokens, triton.cdiv(all_heads, block))](
        qkv,
        qkv if bias is None else bias,
        rotation,
        slots,
        cache_layer,
        cache_layer if scales is None else scales,
        queries,
        queries.stride(0),
        cache_layer.stride(0),
        HAS_BIAS=bias is not None,
        IS_FP8=scales is not None,
        HEADS=heads,
        KV_HEADS=stored_heads // 2,
        HEAD_DIM=head_dim,
        PAIRS=rotation.shape[1],
        BLOCK_HEADS=block,
        num_warps=_num_warps(block * head_dim),
    )
    return queries


def reference_rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return _plain_norm(weight, eps)(x)


def reference_norm_add(residual: Tensor, y: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Leaves `residual` as it is."""
    return _plain_norm(weight, eps).add_to(residual, y)


def _plain_norm(weight: Tensor, eps: float) -> RmsNorm:
    """In torch alone, on a GPU too: a kernel is no reference for itself."""
    norm = RmsNorm(weight, eps)
    norm.fused = None
    return norm


def reference_add_norm(
    residual: Tensor, y: Tensor, weight: Tensor, next_weight: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Leaves `residual` as it is."""
    x = reference_norm_add(residual, y, weight, eps)
    return x, reference_rms_norm(x, next_weight, eps)


def reference_silu_mul(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


def reference_rotation_table(positions: Tensor, frequencies: Tensor, axes: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.view_as_real(text_rotation(positions, frequencies, axes, dtype)[:, 0]).to(dtype)


def reference_bias_rotate_store(
    qkv: Tensor,
    bias: Tensor | None,
    rotation: Tensor,
    slots: Tensor,
    cache_layer: Tensor,
    scales: Tensor | None = None,
) -> Tensor:
    """Leaves `qkv` as it is, writes the cache."""
    head_dim, stored_heads = cache_layer.shape[2], cache_layer.shape[0]
    rows = (qkv.clone() if bias is None else qkv + bias).view(len(qkv), -1, head_dim)
    heads = rows.shape[1] - stored_heads
    turned = heads + stored_heads // 2
    rotate_(rows[:, :turned], torch.view_as_complex(rotation.float()).unsqueeze(1))
    kept = slots >= 0
    stored = rows[kept, heads:].transpose(0, 1)
    if scales is not None:
        stored, scales[:, slots[kept]] = quantise_heads(stored)
    cache_layer[:, slots[kept]] = stored
    return rows[:, :heads]


def _check_rows(*tensors: Tensor) -> None:
    """Two-dimensional, contiguous, alike."""
    first = tensors[0]
    for t in tensors:
        assert t.ndim == 2 and t.is_contiguous(), (t.shape, t.stride())
        assert t.shape == first.shape and t.dtype == first.dtype, (t.shape, t.dtype, first.shape, first.dtype)


def _num_warps(values: int) -> int:
    """Warps of a program over so many values (a power of 2)."""
    return min(16, max(1, values // (32 * VALUES_PER_THREAD)))


def _row_blocks(columns: int) -> dict[str, int]:
    block = triton.next_power_of_2(columns)
    return {"BLOCK": block, "num_warps": _num_warps(block)}


@triton.jit  # type: ignore[untyped-decorator]
def normed(x: tl.tensor, weight: tl.tensor, eps: tl.tensor, columns: tl.tensor, dtype: tl.constexpr) -> tl.tensor:
    """A row's norm: fp32 in, fp32 out, rounded to `dtype` before and after the weight.

    Kernels that add to it are launched with ROUND_BETWEEN.
    """
    root = tl.rsqrt(tl.sum(x * x, axis=0) / columns + eps)
    return ((x * root).to(dtype).to(tl.float32) * weight).to(dtype).to(tl.float32)


@triton.jit  # type: ignore[untyped-decorator]
def _rms_norm_kernel(
    x_ptr: tl.tensor,
    weight_ptr: tl.tensor,
    out_ptr: tl.tensor,
    eps: tl.tensor,
    COLUMNS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    columns = tl.arange(0, BLOCK)
    inside = columns < COLUMNS
    start = tl.program_id(0).to(tl.int64) * COLUMNS
    dtype: tl.constexpr = out_ptr.dtype.element_ty
    x = tl.load(x_ptr + start + columns, mask=inside, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    tl.store(out_ptr + start + columns, normed(x, weight, eps, COLUMNS, dtype).to(dtype), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _add_norm_kernel(
    residual_ptr: tl.tensor,
    y_ptr: tl.tensor,
    weight_ptr: tl.tensor,
    next_weight_ptr: tl.tensor,
    out_ptr: tl.tensor,
    eps: tl.tensor,
    COLUMNS: tl.constexpr,
    HAS_NEXT: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    columns = tl.arange(0, BLOCK)
    inside = columns < COLUMNS
    start = tl.program_id(0).to(tl.int64) * COLUMNS
    dtype: tl.constexpr = residual_ptr.dtype.element_ty
    # All loads stand before the first sum: with one row there is nothing else to hide their latency.
    y = tl.load(y_ptr + start + columns, mask=inside, other=0.0).to(tl.float32)
    residual = tl.load(residual_ptr + start + columns, mask=inside, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    if HAS_NEXT:
        next_weight = tl.load(next_weight_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    x = (residual + normed(y, weight, eps, COLUMNS, dtype)).to(dtype)
    tl.store(residual_ptr + start + columns, x, mask=inside)
    if HAS_NEXT:
        h = normed(x.to(tl.float32), next_weight, eps, COLUMNS, dtype)
        tl.store(out_ptr + start + columns, h.to(dtype), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _silu_mul_kernel(gate_up_ptr: tl.tensor, out_ptr: tl.tensor, COLUMNS: tl.constexpr, BLOCK: tl.constexpr) -> None:
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < COLUMNS
    dtype: tl.constexpr = out_ptr.dtype.element_ty
    gate = tl.load(gate_up_ptr + row * (2 * COLUMNS) + columns, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up_ptr + row * (2 * COLUMNS) + COLUMNS + columns, mask=inside, other=0.0).to(tl.float32)
    silu = (gate / (1.0 + tl.exp(-gate))).to(dtype).to(tl.float32)
    tl.store(out_ptr + row * COLUMNS + columns, (silu * up).to(dtype), mask=inside)


# One compiled kernel for any number of tokens: nothing may have to be compiled while requests wait.
@triton.jit(do_not_specialize=["num_tokens", "axis_stride"])  # type: ignore[untyped-decorator]
def _rotation_table_kernel(
    positions_ptr: tl.tensor,
    frequencies_ptr: tl.tensor,
    axes_ptr: tl.tensor,
    out_ptr: tl.tensor,
    num_tokens: tl.tensor,
    axis_stride: tl.tensor,
    PAIRS: tl.constexpr,
    BLOCK_PAIRS: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
) -> None:
    tokens = tl.program_id(0) * BLOCK_TOKENS + tl.arange(0, BLOCK_TOKENS)
    pairs = tl.arange(0, BLOCK_PAIRS)
    inside = (tokens[:, None] < num_tokens) & (pairs[None, :] < PAIRS)
    frequencies = tl.load(frequencies_ptr + pairs, mask=pairs < PAIRS, other=0.0)
    axes = tl.load(axes_ptr + pairs, mask=pairs < PAIRS, other=0)
    positions = tl.load(positions_ptr + axes[None, :] * axis_stride + tokens[:, None], mask=inside, other=0)
    angles = positions.to(tl.float32) * frequencies[None, :]
    at = out_ptr + (tokens[:, None] * PAIRS + pairs[None, :]) * 2
    tl.store(at, tl.cos(angles).to(out_ptr.dtype.element_ty), mask=inside)
    tl.store(at + 1, tl.sin(angles).to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _bias_rotate_store_kernel(
    qkv_ptr: tl.tensor,
    bias_ptr: tl.tensor,
    rotation_ptr: tl.tensor,
    slots_ptr: tl.tensor,
    cache_ptr: tl.tensor,
    scales_ptr: tl.tensor,
    queries_ptr: tl.tensor,
    query_stride: tl.tensor,
    cache_head_stride: tl.tensor,
    HAS_BIAS: tl.constexpr,
    IS_FP8: tl.constexpr,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    PAIRS: tl.constexpr,
    BLOCK_HEADS: tl.constexpr,
) -> None:
    token = tl.program_id(0).to(tl.int64)
    heads = tl.program_id(1) * BLOCK_HEADS + tl.arange(0, BLOCK_HEADS)
    dims = tl.arange(0, HEAD_DIM)
    pairs = tl.arange(0, HEAD_DIM // 2)
    dtype: tl.constexpr = qkv_ptr.dtype.element_ty
    slot = tl.load(slots_ptr + token).to(tl.int64)
    # Beyond the rotary part a pair turns by nothing: cosine 1, sine 0.
    table = rotation_ptr + (token * PAIRS + pairs) * 2
    cos = tl.load(table, mask=pairs < PAIRS, other=1.0).to(tl.float32)[None, :]
    sin = tl.load(table + 1, mask=pairs < PAIRS, other=0.0).to(tl.float32)[None, :]

    offsets = heads[:, None] * HEAD_DIM + dims[None, :]
    inside = heads[:, None] < HEADS + 2 * KV_HEADS
    x = tl.load(qkv_ptr + token * ((HEADS + 2 * KV_HEADS) * HEAD_DIM) + offsets, mask=inside, other=0.0)
    if HAS_BIAS:
        bias = tl.load(bias_ptr + offsets, mask=inside, other=0.0)
        x = (x.to(tl.float32) + bias.to(tl.float32)).to(dtype)
    even, odd = tl.split(tl.reshape(x.to(tl.float32), (BLOCK_HEADS, HEAD_DIM // 2, 2)))
    turned = tl.reshape(tl.join(even * cos - odd * sin, even * sin + odd * cos), (BLOCK_HEADS, HEAD_DIM))
    x = tl.where(heads[:, None] < HEADS + KV_HEADS, turned.to(dtype), x)

    tl.store(queries_ptr + token * query_stride + offsets, x, mask=heads[:, None] < HEADS)
    stored = (heads - HEADS).to(tl.int64)[:, None] * cache_head_stride + slot * HEAD_DIM + dims[None, :]
    keep = inside & (heads[:, None] >= HEADS) & (slot >= 0)
    if IS_FP8:
        wide = x.to(tl.float32)
        scale = head_scale(wide)
        is_stored = (heads >= HEADS) & (heads < HEADS + 2 * KV_HEADS) & (slot >= 0)
        head_starts = (heads - HEADS).to(tl.int64) * (cache_head_stride // HEAD_DIM)
        tl.store(scales_ptr + head_starts + slot, scale, mask=is_stored)
        tl.store(cache_ptr + stored, to_e4m3(wide, scale), mask=keep)
    else:
        tl.store(cache_ptr + stored, x.to(cache_ptr.dtype.element_ty), mask=keep)
