"""Rotary position embeddings of both halves of the model, as unit complex numbers.

Text (fact sheet 1.2): three position axes share the frequencies in contiguous sections; the pairs that rotate
together are neighbours (2j, 2j+1). Vision (1.3): rows then columns; the pairs are (d, d + head_dim/2), but the
loader reorders the tower's query and key rows so that they become neighbours too (scores do not change when both
are permuted alike), and one rotation serves both. Knows nothing of layers or caches.
"""

from __future__ import annotations

import torch
from torch import Tensor


def inverse_frequencies(rotary_dim: int, theta: float) -> Tensor:
    """theta^(-2j / rotary_dim) for j < rotary_dim / 2, fp32 [rotary_dim / 2]."""
    return 1.0 / (theta ** (torch.arange(0, rotary_dim, 2, dtype=torch.float32) / rotary_dim))


def axis_of_frequency(sections: tuple[int, int, int]) -> Tensor:
    """Which position axis (0 temporal, 1 height, 2 width) drives each frequency, int64 [sum(sections)]."""
    return torch.repeat_interleave(torch.arange(3), torch.tensor(sections))


def text_rotation(positions: Tensor, frequencies: Tensor, axes: Tensor, dtype: torch.dtype) -> Tensor:
    """Rotation of each token: positions int64 [3, N] -> complex64 [N, 1, rotary_dim / 2].

    Angles are fp32; cosine and sine are rounded to the activation dtype as in the reference.
    """
    angles = positions.index_select(0, axes).t().float() * frequencies
    return _unit(angles, dtype).unsqueeze(1)


def vision_rotation(rows: Tensor, columns: Tensor, frequencies: Tensor) -> Tensor:
    """Rotation of each patch from its row and column, int64 [n] each -> complex64 [n, 1, 1, head_dim / 2]."""
    angles = torch.cat((rows[:, None].float() * frequencies, columns[:, None].float() * frequencies), dim=-1)
    return _unit(angles, torch.float32)[:, None, None]


def _unit(angles: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.complex(angles.cos().to(dtype).float(), angles.sin().to(dtype).float())


def rotate_(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotates the leading pairs of the last dimension in place; `rotation` broadcasts over the heads.

    x[..., :2r] with r = rotation.shape[-1] is changed, dimensions beyond pass through. fp32 rotates the memory
    itself (one kernel, no copy); other dtypes go through fp32 and round once.
    """
    assert x.stride(-1) == 1, x.stride()
    # As `x[..., :2r].view(..., r, 2)`, in one call instead of two: this runs once a layer in every decode step.
    pairs = x.as_strided((*x.shape[:-1], rotation.shape[-1], 2), (*x.stride()[:-1], 2, 1))
    if x.dtype == torch.float32:
        torch.view_as_complex(pairs).mul_(rotation)
    else:
        pairs.copy_(torch.view_as_real(torch.view_as_complex(pairs.float()) * rotation))
    return x


def neighbour_pairs(weight: Tensor, head_dim: int) -> Tensor:
    """Reorders rows [heads * head_dim, ...] of a half-split rotary projection into neighbouring pairs."""
    halves = weight.view(-1, 2, head_dim // 2, *weight.shape[1:])
    return halves.transpose(1, 2).reshape(weight.shape)
