"""The vision tower's attention, one layer of a step: our kernel by every plan, beside torch's for the same frames."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from kernel_cases import Case, Prepared, num_copies, turning
from torch.nn.attention import SDPBackend, sdpa_kernel

from flashweb.model.kernels.tower_attention import BEST, OTHERS, TowerPlan, attend_frames, frame_tiles, max_tiles
from flashweb.model.tower_graphs import attend_packed

HEADS, HEAD_DIM, DTYPE = 12, 128, torch.bfloat16
FRAMES = {
    "1x1024": [1024],
    "4x1024": [1024] * 4,
    "8x1024": [1024] * 8,
    "1x1024 + 4 empty": [1024] + [0] * 4,
    "988 of 1024 + 4 empty": [988] + [0] * 4,  # padded: torch's attention computes the padding as a frame
    "500, 300, 200": [500, 300, 200],
    "1x5476": [5476],
}


def cases() -> Iterator[Case]:
    for what, lengths in FRAMES.items():
        for plan in (BEST, *OTHERS):
            name = f"tower {what}, {plan.rows}x{plan.tile} {plan.warps}w {plan.stages}s"
            yield Case(name, partial(ours, lengths, plan))
        yield Case(f"tower {what}, torch's flash attention", partial(flash, lengths))
        if min(lengths) == max(lengths):
            yield Case(f"tower {what}, cuDNN on equal frames", partial(cudnn, lengths))


def qkv_of(lengths: list[int]) -> tuple[list[torch.Tensor], int, int]:
    """A product to attend to for each turn, the bytes that a launch moves, and its FLOP."""
    rows = -(-sum(lengths) // 256) * 256 if 0 in lengths else sum(lengths)  # with a graph's padding
    num_bytes = 4 * rows * HEADS * HEAD_DIM * DTYPE.itemsize
    made = [
        torch.randn(rows, 3, HEADS, HEAD_DIM, dtype=DTYPE, device="cuda")
        for _ in range(min(8, num_copies(num_bytes)))  # in a step it comes from the L2 cache: just written
    ]
    return made, num_bytes, 4 * sum(n * n for n in lengths) * HEADS * HEAD_DIM


def ours(lengths: list[int], plan: TowerPlan) -> Prepared:
    made, num_bytes, flops = qkv_of(lengths)
    room = max_tiles(made[0].shape[0], len(lengths), plan.rows)  # as a graph for any such mix has it
    tiles = torch.from_numpy(frame_tiles(lengths, plan.rows, room)).cuda()
    out = torch.empty(made[0].shape[0], HEADS * HEAD_DIM, dtype=DTYPE, device="cuda")
    return Prepared(turning(lambda qkv: attend_frames(qkv, tiles, out, plan), made), num_bytes, flops)


def flash(lengths: list[int]) -> Prepared:
    made, num_bytes, flops = qkv_of(lengths)
    rows = made[0].shape[0]
    offsets = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32)
    if rows > sum(lengths):
        offsets[2:] = rows  # padding is a frame
    offsets = offsets.cuda()
    return Prepared(turning(lambda qkv: attend_packed(qkv, offsets, rows), made), num_bytes, flops)


def cudnn(lengths: list[int]) -> Prepared:
    made, num_bytes, flops = qkv_of(lengths)

    def launch(qkv: torch.Tensor) -> torch.Tensor:
        query, key, value = qkv.view(len(lengths), lengths[0], 3, HEADS, HEAD_DIM).permute(2, 0, 3, 1, 4)
        with sdpa_kernel([SDPBackend.CUDNN_ATTENTION]):
            return F.scaled_dot_product_attention(query, key, value)

    return Prepared(turning(launch, made), num_bytes, flops)
