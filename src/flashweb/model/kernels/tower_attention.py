"""The vision tower's attention: every patch of a frame sees all patches of that frame, many frames in one launch.

Frames lie packed behind each other, and queries, keys and values are read where the qkv product has left them. A
program computes some neighbouring rows of one frame for one head; which rows is a number on the device (`frame_tiles`),
so that one captured launch serves every mix of frames, and rows of different frames never meet in a program: what one
frame holds (NaN in padding) cannot reach another. Knows nothing of pictures, layers or graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from flashweb.model.kernels import linear

LOG2_E = 1.4426950408889634


class TowerPlan(NamedTuple):
    """How the kernel is compiled.

    rows    queries of a program; with fewer, keys and values are read more often
    tile    keys a turn
    warps   of a program
    stages  of the compiler's pipeline
    """

    rows: int
    tile: int
    warps: int
    stages: int


# Small programs, of which two share a multiprocessor: one computes exponentials while the other multiplies. Fastest on
# an H200 up to 8 x 1,024 patches, where it takes 0.5 (with empty frames) to 0.9 of flash attention's time.
BEST = TowerPlan(64, 64, 4, 3)
# Timed against it by `benchmarks/kernels.py`: 4 % faster at one frame of 5,476 patches, as much slower at less.
OTHERS = (TowerPlan(128, 64, 8, 3),)
BEST_BYTES = 114 << 10  # that a program of it has for itself, at most (head_dim 128)


def plan_for(head_dim: int, dtype: torch.dtype, shared_bytes: int) -> TowerPlan:
    """`shared_bytes` that one program may have."""
    if dtype.itemsize > 2:
        return BEST._replace(tile=32, warps=8, stages=2)
    return BEST if shared_bytes >= BEST_BYTES else BEST._replace(tile=32)


def max_tiles(num_rows: int, num_frames: int, rows: int) -> int:
    """Tiles that `num_frames` frames of `num_rows` rows together can need."""
    return (num_rows + num_frames * (rows - 1)) // rows


def frame_tiles(lengths: Sequence[int], rows: int, num_tiles: int = 0) -> NDArray[np.int32]:
    """What each program computes: [tiles, 3], its first row, and where its frame begins and ends.

    `lengths` of all frames, 0 allowed, in their order. Filled up to `num_tiles` with tiles of nothing, which come last:
    their programs end at once. The longest frames come first: one that begins last would keep the card waiting.
    """
    sizes = np.asarray(lengths, dtype=np.int32)
    starts, counts = np.cumsum(sizes, dtype=np.int32) - sizes, -(-sizes // rows)
    order = np.argsort(-sizes, kind="stable")
    frames = np.repeat(order, counts[order])
    within = np.arange(len(frames), dtype=np.int32) - np.repeat(np.cumsum(counts[order]) - counts[order], counts[order])
    starts, ends = starts[frames], (starts + sizes)[frames]
    tiles = np.zeros((max(num_tiles, len(frames)), 3), dtype=np.int32)
    tiles[: len(frames)] = np.stack((starts + within * rows, starts, ends), axis=1)
    return tiles


def attend_frames(qkv: Tensor, tiles: Tensor, out: Tensor | None = None, plan: TowerPlan | None = None) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v inside each frame of a packed sequence; can be captured in a CUDA graph.

    qkv      [n, 3, heads, head_dim], contiguous; head_dim a power of two, at least 16
    tiles    int32 [tiles, 3] on the same device, `frame_tiles` made with the rows of the plan
    out      [n, heads * head_dim], contiguous; None: new. Rows of no tile stay as they are
    plan     None: `plan_for` this device
    returns  out
    """
    rows, three, heads, head_dim = qkv.shape
    assert three == 3 and qkv.is_contiguous(), qkv.shape
    assert head_dim == triton.next_power_of_2(head_dim) and head_dim >= 16, head_dim
    assert tiles.dtype == torch.int32 and tiles.shape[1:] == (3,) and tiles.is_contiguous(), tiles.shape
    out = qkv.new_empty(rows, heads * head_dim) if out is None else out
    assert out.shape == (rows, heads * head_dim) and out.is_contiguous(), out.shape
    plan = plan or plan_on(qkv)
    # Heads are neighbours in the launch's order: tiles of nothing then come after everything else.
    _attend_frames_kernel[(heads, tiles.shape[0])](
        qkv,
        tiles,
        out,
        head_dim**-0.5 * LOG2_E,
        HEADS=heads,
        HEAD_DIM=head_dim,
        ROWS=plan.rows,
        TILE=plan.tile,
        num_warps=plan.warps,
        num_stages=plan.stages,
    )
    return out


def plan_on(qkv: Tensor) -> TowerPlan:
    """The plan for such a tensor, where it lies."""
    return plan_for(qkv.shape[-1], qkv.dtype, linear._device(qkv.device).shared_bytes)


def reference_attend_frames(qkv: Tensor, lengths: Sequence[int]) -> Tensor:
    """The same in fp32, frame by frame: [n, heads * head_dim]."""
    query, key, value = qkv.float().permute(1, 2, 0, 3)
    frames = zip(*(part.split(list(lengths), dim=1) for part in (query, key, value)), strict=True)
    attended = [(q @ k.mT * qkv.shape[-1] ** -0.5).softmax(-1) @ v for q, k, v in frames]
    return torch.cat(attended, dim=1).transpose(0, 1).flatten(1).to(qkv.dtype)


def attention_error(heads: int, head_dim: int, dtype: torch.dtype, device: torch.device) -> float:
    """How far the kernel is off on this card: the largest difference from attention written out, over the largest
    value; infinite where anything is not a number. For frames shorter and longer than a tile, one of NaN among them.
    """
    lengths = (4, 300, 0, 128, 68, 1024)
    made = torch.Generator().manual_seed(0)
    qkv = torch.randn(sum(lengths), 3, heads, head_dim, generator=made).to(device, dtype)
    spoilt = slice(304, 432)
    qkv[spoilt, 2] = float("nan")
    plan = plan_on(qkv)
    tiles = frame_tiles(lengths, plan.rows, max_tiles(sum(lengths), len(lengths), plan.rows))
    found = attend_frames(qkv, torch.from_numpy(tiles).to(device), plan=plan).float()
    wanted = reference_attend_frames(qkv, lengths).float()
    found[spoilt] = wanted[spoilt] = 0
    return float((found - wanted).abs().max() / wanted.abs().max()) if found.isfinite().all() else float("inf")


@triton.jit  # type: ignore[untyped-decorator]
def _attend_frames_kernel(
    qkv_ptr: tl.tensor,
    tiles_ptr: tl.tensor,
    out_ptr: tl.tensor,
    scale: tl.tensor,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    ROWS: tl.constexpr,
    TILE: tl.constexpr,
) -> None:
    head = tl.program_id(0)
    tile_ptr = tiles_ptr + 3 * tl.program_id(1)
    first, begin, end = tl.load(tile_ptr), tl.load(tile_ptr + 1), tl.load(tile_ptr + 2)
    if first >= end:  # a tile of nothing
        return

    STRIDE: tl.constexpr = 3 * HEADS * HEAD_DIM
    dims = tl.arange(0, HEAD_DIM)[None, :]
    row = (first + tl.arange(0, ROWS)).to(tl.int64)
    wanted = (row < end)[:, None]
    query = tl.load(qkv_ptr + (row * STRIDE + head * HEAD_DIM)[:, None] + dims, mask=wanted, other=0.0)

    # The keys that fill no whole tile come first, so that all later turns go without a mask.
    odd = (end - begin) % TILE
    keys_ptr = qkv_ptr + begin.to(tl.int64) * STRIDE + (HEADS + head) * HEAD_DIM
    within = tl.arange(0, TILE)
    offsets = (within * STRIDE)[:, None] + dims
    maximum = tl.full((ROWS,), float("-inf"), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    weighted = tl.zeros((ROWS, HEAD_DIM), tl.float32)
    if odd > 0:
        # Masked loads of values give zeros, not the next frame's: a weight of 0 times NaN is NaN.
        inside = within < odd
        keys = tl.load(keys_ptr + offsets, mask=inside[:, None], other=0.0)
        values = tl.load(keys_ptr + HEADS * HEAD_DIM + offsets, mask=inside[:, None], other=0.0)
        scores = tl.dot(query, tl.trans(keys), input_precision="ieee")
        scores = tl.where(inside[None, :], scores, float("-inf"))
        maximum, total, weighted = _add_turn(scores, values, scale, maximum, total, weighted)
    keys_ptr += odd.to(tl.int64) * STRIDE
    for _ in range(begin + odd, end, TILE):
        keys = tl.load(keys_ptr + offsets)
        values = tl.load(keys_ptr + HEADS * HEAD_DIM + offsets)
        scores = tl.dot(query, tl.trans(keys), input_precision="ieee")
        maximum, total, weighted = _add_turn(scores, values, scale, maximum, total, weighted)
        keys_ptr += TILE * STRIDE
    result = (weighted / total[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + (row * (HEADS * HEAD_DIM) + head * HEAD_DIM)[:, None] + dims, result, mask=wanted)


@triton.jit  # type: ignore[untyped-decorator]
def _add_turn(
    scores: tl.tensor, values: tl.tensor, scale: tl.tensor, maximum: tl.tensor, total: tl.tensor, weighted: tl.tensor
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """One turn of the running softmax. Every row sees a key in every turn, so the new maximum is finite."""
    new_maximum = tl.maximum(maximum, tl.max(scores, axis=1))
    shrink = tl.exp2((maximum - new_maximum) * scale)
    # Scaled here and not before, so that scaling and subtracting are one instruction.
    weights = tl.exp2(scores * scale - (new_maximum * scale)[:, None])
    total = total * shrink + tl.sum(weights, axis=1)
    weighted = tl.dot(weights.to(values.dtype), values, weighted * shrink[:, None], input_precision="ieee")
    return new_maximum, total, weighted
