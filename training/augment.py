"""Distort packed pictures on the device and cut them into normalised patches: one fused pass over all pixels.

Each shown pixel looks up the drawn picture through a homography, averages five taps (blur, motion), is lit (gradient,
dark corners, the edge of a shadow), then gets contrast, colour cast and noise. Knows the row layout of
`training.looks.Look` and nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
TAPS = ((0.0, 0.0, 0.0), (-0.7, -0.7, -1.0), (0.7, -0.7, -0.5), (-0.7, 0.7, 0.5), (0.7, 0.7, 1.0))  # x, y, way


def distorted_patches(
    pixels: Tensor, picture_offset: Tensor, picture_size: Tensor, patch_picture: Tensor, patch_yx: Tensor, look: Tensor,
    noise: Tensor,
) -> Tensor:  # fmt: skip
    """[P, 588] (C, 14, 14) float patches from flat uint8 HWC pictures; `noise` is standard normal of that shape."""
    device = pixels.device
    per_patch = look[patch_picture]  # [P, 30]

    def column(i: int) -> Tensor:
        return per_patch[:, i, None, None, None]

    size = picture_size[patch_picture]
    height, width = size[:, 0, None, None, None], size[:, 1, None, None, None]
    offset = picture_offset[patch_picture][:, None, None, None]
    inside = torch.arange(14, device=device)
    y = (patch_yx[:, 0, None] * 14 + inside)[:, None, :, None].float() + 0.5  # [P, 1, 14, 1]
    x = (patch_yx[:, 1, None] * 14 + inside)[:, None, None, :].float() + 0.5  # [P, 1, 1, 14]
    channel = torch.arange(3, device=device)[None, :, None, None]
    depth = column(6) * x + column(7) * y + 1.0
    source_x = (column(0) * x + column(1) * y + column(2)) / depth - 0.5
    source_y = (column(3) * x + column(4) * y + column(5)) / depth - 0.5
    value: Tensor | float = 0.0
    for tap_x, tap_y, way in TAPS:
        tap_at_x = source_x + tap_x * column(8) + way * column(27)
        tap_at_y = source_y + tap_y * column(8) + way * column(28)
        value = value + _bilinear(pixels, tap_at_x, tap_at_y, offset, height, width, channel)
    value = value / len(TAPS)
    outside = (source_x < -0.5) | (source_y < -0.5) | (source_x > width - 0.5) | (source_y > height - 0.5)
    cover = outside.float() * column(19)
    value = value * (1 - cover) + cover * per_patch[:, 16:19, None, None]
    u, v = x / width - 0.5, y / height - 0.5
    light = 1 + column(20) * u + column(21) * v - 2 * column(22) * (u * u + v * v)
    shade = 1 - column(26) * torch.sigmoid(column(23) * u + column(24) * v + column(25))
    value = value * light * shade
    value = (value - 0.5) * per_patch[:, 10:13, None, None] + 0.5 + per_patch[:, 13:16, None, None]
    value = (value + column(9) * noise.view(-1, 3, 14, 14)).clamp(0, 1)
    mean = torch.tensor(MEAN, device=device)[:, None, None]
    std = torch.tensor(STD, device=device)[:, None, None]
    return ((value - mean) / std).flatten(1)


def _bilinear(
    pixels: Tensor, x: Tensor, y: Tensor, offset: Tensor, height: Tensor, width: Tensor, channel: Tensor
) -> Tensor:
    x0, y0 = x.floor(), y.floor()
    fx, fy = x - x0, y - y0
    x0, y0 = x0.int(), y0.int()

    def at(column: Tensor, row: Tensor) -> Tensor:
        column = torch.minimum(column.clamp_min(0), width - 1)
        row = torch.minimum(row.clamp_min(0), height - 1)
        return pixels[offset + (row * width + column) * 3 + channel].float() / 255

    top = at(x0, y0) * (1 - fx) + at(x0 + 1, y0) * fx
    bottom = at(x0, y0 + 1) * (1 - fx) + at(x0 + 1, y0 + 1) * fx
    return top * (1 - fy) + bottom * fy
