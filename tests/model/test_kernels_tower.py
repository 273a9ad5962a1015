"""The vision tower's kernel gives what the plain path gives, rounded where it rounds."""

from __future__ import annotations

import pytest
import torch

from tests.model.triton_device import DEVICE  # first: decides whether Triton compiles

from flashweb.model.kernels import tower  # isort: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("rows", "heads", "head_dim"), [(1, 2, 16), (7, 24, 64), (3, 12, 128)])
def test_heads_are_rotated_in_place_and_what_lies_between_them_stays(
    rows: int, heads: int, head_dim: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(rows)
    qkv = torch.randn(rows, heads + 5, head_dim).to(DEVICE, dtype)
    angles = torch.rand(rows, head_dim // 2, device=DEVICE) * 7 - 3
    rotation = torch.stack((angles.cos(), angles.sin()), dim=-1)
    expected = qkv.clone()
    tower.reference_rotate_heads(expected[:, :heads], rotation)
    rotated = tower.rotate_heads(qkv[:, :heads], rotation)
    assert rotated.data_ptr() == qkv.data_ptr()
    tolerance = 1e-6 if dtype == torch.float32 else 2**-7
    torch.testing.assert_close(qkv, expected, rtol=tolerance, atol=tolerance)
    assert torch.equal(qkv[:, heads:], expected[:, heads:])
