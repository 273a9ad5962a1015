"""The vision tower's rotary embedding in one kernel, in place.

torch needs four passes over queries and keys for it, two of them in fp32. Rounds where `rope.rotate_` rounds.
Knows nothing of pictures, layers or attention.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashweb.model.rope import rotate_

BLOCK_HEADS = 8
NUM_WARPS = 4


def rotate_heads(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotates the pairs (2j, 2j+1) of every head, in place.

    x         [n, heads, head_dim], heads and their values contiguous, rows at any distance
    rotation  fp32 [n, head_dim / 2, 2]: cosine and sine of each pair
    """
    rows, heads, head_dim = x.shape
    assert x.stride()[1:] == (head_dim, 1), x.stride()
    assert head_dim == triton.next_power_of_2(head_dim), head_dim
    assert rotation.shape == (rows, head_dim // 2, 2) and rotation.is_contiguous(), rotation.shape
    assert rotation.dtype == torch.float32, rotation.dtype
    _rotate_heads_kernel[(rows, triton.cdiv(heads, BLOCK_HEADS))](
        x, rotation, x.stride(0), HEADS=heads, HEAD_DIM=head_dim, BLOCK=BLOCK_HEADS, num_warps=NUM_WARPS
    )
    return x


def reference_rotate_heads(x: Tensor, rotation: Tensor) -> Tensor:
    return rotate_(x, torch.view_as_complex(rotation)[:, None])


@triton.jit  # type: ignore[untyped-decorator]
def _rotate_heads_kernel(
    x_ptr: tl.tensor,
    rotation_ptr: tl.tensor,
    row_stride: tl.tensor,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    heads = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    pairs = tl.arange(0, HEAD_DIM // 2)
    table = rotation_ptr + (row * (HEAD_DIM // 2) + pairs) * 2
    cos, sin = tl.load(table)[None, :], tl.load(table + 1)[None, :]
    at = x_ptr + row * row_stride + heads[:, None] * HEAD_DIM + tl.arange(0, HEAD_DIM)[None, :]
    inside = heads[:, None] < HEADS
    x = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    even, odd = tl.split(tl.reshape(x, (BLOCK, HEAD_DIM // 2, 2)))
    turned = tl.join(even * cos - odd * sin, even * sin + odd * cos)
    tl.store(at, tl.reshape(turned, (BLOCK, HEAD_DIM)).to(x_ptr.dtype.element_ty), mask=inside)
