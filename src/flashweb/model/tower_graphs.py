"""Pictures on a GPU as captured CUDA graphs: many small ones packed into one, single large ones each by itself.

Launched kernel by kernel, a small picture keeps the host busy for several times as long as the GPU. Here pictures are
copied into static tensors, one behind the other, and one launch replays everything from pixels to features. Their sizes
are numbers that the attention reads on the device, so one graph serves every mix of pictures; the patches that pad it
to its size are a frame of their own, which no picture sees.

A larger picture leaves the GPU waiting between kernels too, but has torch's attention for frames of known sizes, which
is the faster one there: a graph for each number of patches, recorded when it comes again (`LargeGraphs`). What no graph
has room for goes the tower's usual way.

The network is `VisionTower.compute`. Knows nothing of requests, caches or schedules.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flashweb.model import graphs
from flashweb.model.large_graphs import LargeGraphs, Replay
from flashweb.model.vision import Parts, VisionTower
from flashweb.types import Grid

logger = logging.getLogger(__name__)

# Numbers of patches that have a graph of their own, all multiples of a token's four.
LADDER = (256, 512, 768, 1024, 1280, 1536, 2048, 2560, 3072, 4096)
# A graph has room for one frame per so many patches, and one more. Room that is not used costs the attention programs
# that end at once: with our kernel at most one per head and frame, with flash attention frames times patches.
FRAME_PATCHES = 256


def max_frames(size: int) -> int:
    """Frames that a graph of `size` patches can hold, besides its padding."""
    return size // FRAME_PATCHES + 1


class PackedAttention(Protocol):
    """Full attention inside each of a graph's frames, whose lengths are numbers on the device."""

    def count(self, size: int) -> int:
        """How many numbers a graph of `size` patches reads."""

    def numbers(self, lengths: Sequence[int], size: int) -> NDArray[np.int32]:
        """[count(size)] for frames of `lengths`, with padding up to `size` behind them."""

    def __call__(self, qkv: Tensor, numbers: Tensor) -> Tensor:
        """[size, 3, heads, head_dim] and the numbers on its device -> [size, heads * head_dim]. Rows of padding may
        hold anything, NaN too: no other row is made of them."""


class KernelAttention:
    """By our kernel (`kernels.tower_attention`, given as a module), which computes nothing for padding."""

    def __init__(self, kernels: Any, tower: VisionTower) -> None:
        config = tower.config
        self._kernels = kernels
        self._plan = kernels.plan_on(torch.empty(0, 3, 1, config.head_dim, dtype=tower.dtype, device=tower.device))

    def count(self, size: int) -> int:
        return 3 * self._num_tiles(size)

    def numbers(self, lengths: Sequence[int], size: int) -> NDArray[np.int32]:
        tiles: NDArray[np.int32] = self._kernels.frame_tiles(lengths, self._plan.rows, self._num_tiles(size))
        return tiles.ravel()

    def __call__(self, qkv: Tensor, numbers: Tensor) -> Tensor:
        attended: Tensor = self._kernels.attend_frames(qkv, numbers.view(-1, 3), plan=self._plan)
        return attended

    def _num_tiles(self, size: int) -> int:
        return int(self._kernels.max_tiles(size, max_frames(size), self._plan.rows))


class FlashAttention:
    """By torch's flash attention, on a CPU frame by frame."""

    def count(self, size: int) -> int:
        return max_frames(size) + 2  # where each frame begins, the padding's and the end included

    def numbers(self, lengths: Sequence[int], size: int) -> NDArray[np.int32]:
        numbers = np.full(self.count(size), size, dtype=np.int32)  # behind the padding, frames of no length
        numbers[: len(lengths) + 1] = [0, *accumulate(lengths)]
        return numbers

    def __call__(self, qkv: Tensor, numbers: Tensor) -> Tensor:
        return attend_packed(qkv, numbers, qkv.shape[0])


class _Static:
    """The tensors that graphs read and write, for the largest of them; a smaller one uses their beginning."""

    def __init__(self, tower: VisionTower, size: int, count: int) -> None:
        config, device = tower.config, tower.device
        self.pixels = torch.zeros(size, config.patch_values, dtype=torch.uint8, device=device)
        self.positions = torch.zeros(size, config.hidden_size, dtype=tower.dtype, device=device)
        self.rotation = torch.zeros(size, 1, 1, config.head_dim // 2, dtype=torch.complex64, device=device)
        self.numbers = torch.zeros(count, dtype=torch.int32, device=device)  # `PackedAttention.numbers`
        self.features = torch.zeros(size // 4, config.out_hidden_size, dtype=tower.dtype, device=device)


class TowerGraphs:
    def __init__(
        self, tower: VisionTower, sizes: Sequence[int] = LADDER, *, largest: Grid | None = None, capture: bool = True
    ) -> None:
        """Captures a graph for each of `sizes`, ascending, and one for a single picture of one frame like `largest`.
        Others up to its number of patches get theirs when they come again; they find room in its memory, so that all
        that graphs will ever need is taken here. None: no such graphs. `capture` off: kernel by kernel, for tests."""
        assert all(size % 4 == 0 for size in sizes) and list(sizes) == sorted(sizes), sizes
        self.tower = tower
        self.sizes = tuple(sizes)
        ours = tower.attention_kernels
        self._attend: PackedAttention = FlashAttention() if ours is None else KernelAttention(ours, tower)
        most = largest.num_patches if largest is not None else 0
        with torch.inference_mode():
            self._static = _Static(tower, max(most, self.sizes[-1]), max(map(self._attend.count, self.sizes)))
        self._large = LargeGraphs(self._record_picture, self.sizes[-1] + 1, most)
        self._graphs: dict[int, graphs.Captured[None]] = {}
        self._recorder: graphs.Recorder | None = None
        self.num_bytes = 0  # of device memory that the graphs keep for what they compute
        if capture:
            before = _reserved_bytes(tower.device)
            self._recorder = graphs.Recorder(tower.device)
            if most > self.sizes[-1] and self._large.record(most) is None:
                self._recorder = graphs.Recorder(tower.device)  # a failure may have left the other's memory unusable
            self._graphs = graphs.capture(sizes, tower.device, self._prepare, self._compute, self._recorder)
            self.num_bytes = _reserved_bytes(tower.device) - before

    @staticmethod
    def available(tower: VisionTower) -> bool:
        """Whether the attention of the graphs computes here; a line in the log when it does not."""
        if tower.attention_kernels is not None:
            return True  # `Glm4v.distrust_kernels` has tried it
        config = tower.config
        qkv = torch.zeros(4, 3, config.num_heads, config.head_dim, dtype=tower.dtype, device=tower.device)
        offsets = torch.tensor([0, 4], dtype=torch.int32, device=tower.device)
        try:
            attend_packed(qkv, offsets, 4)
        except RuntimeError as error:  # a build without it, float32, a head or a card that it does not take
            reason = str(error).partition("\n")[0]  # torch adds a page
            logger.warning("small pictures are encoded without CUDA graphs, which is slower: %s", reason)
            return False
        return True

    def size_for(self, num_patches: int, num_frames: int) -> int | None:
        """The smallest graph with room for so many patches and frames; None when there is none."""
        return next((size for size in self.sizes if num_patches <= size and num_frames <= max_frames(size)), None)

    @torch.inference_mode()
    def encode_images(self, patches: Sequence[Tensor], grids: Sequence[Grid]) -> list[Tensor]:
        """`Glm4v.encode_images`; each picture's features are its own. Nothing waits for the device, but for recording:
        the second large picture of a size makes the step that it is in some 30 to 60 ms longer, once."""
        features: dict[int, Tensor] = {}
        clips = [i for i, rows in enumerate(patches) if rows.shape[1] != self.tower.config.patch_values]
        if clips:  # two frames at once: graphs read one
            encoded = self.tower.encode([patches[i] for i in clips], [grids[i] for i in clips])
            features.update(zip(clips, encoded, strict=True))
        for i, grid in enumerate(grids):
            if i in features:
                continue
            replay = self._large.replay_for(grid.num_patches) if grid.t == 1 else None
            if replay is not None:
                self._bring(self.tower.parts([patches[i]], [grid]))
                replay()
                features[i] = self._static.features[: grid.num_tokens].clone()  # the next replay writes over them
        rest = [i for i in range(len(grids)) if i not in features]
        encoded = self._encode_packed([patches[i] for i in rest], [grids[i] for i in rest])
        features.update(zip(rest, encoded, strict=True))
        return [features[i] for i in range(len(grids))]

    def _encode_packed(self, patches: Sequence[Tensor], grids: Sequence[Grid]) -> list[Tensor]:
        size = self.size_for(sum(grid.num_patches for grid in grids), sum(grid.t for grid in grids))
        if size is None or not patches:
            return self.tower.encode(patches, grids) if patches else []
        parts = self.tower.parts(patches, grids)
        self._bring(parts)
        self._bring_numbers(parts.lengths, size)
        known = self._graphs.get(size)
        if known is not None:
            known.graph.replay()
        else:
            self._compute(size)
        num_tokens = [grid.num_tokens for grid in grids]
        features = torch.split(self._static.features[: sum(num_tokens)], num_tokens)
        return [rows.clone() for rows in features]  # the next replay writes over them

    def _bring(self, parts: Parts) -> None:
        """Puts pictures where the graph reads them. Padding keeps what is there: rows of a frame that nobody reads."""
        static, num_patches = self._static, parts.num_patches
        torch.cat(parts.pixels, out=static.pixels[:num_patches])
        torch.cat(parts.positions, out=static.positions[:num_patches])
        torch.cat(parts.rotations, out=static.rotation[:num_patches])

    def _bring_numbers(self, lengths: Sequence[int], size: int) -> None:
        static, numbers = self._static, torch.from_numpy(self._attend.numbers(lengths, size))
        if static.numbers.is_cuda:
            numbers = numbers.pin_memory()  # else the copy would wait for the device
        static.numbers[: len(numbers)].copy_(numbers, non_blocking=True)

    def _compute(self, size: int) -> None:
        """The tower over `size` rows of the static tensors. This is what a graph holds."""
        static = self._static
        attend = partial(self._attend, numbers=static.numbers[: self._attend.count(size)])
        features = self.tower.compute(static.pixels[:size], static.positions[:size], static.rotation[:size], attend)
        static.features[: size // 4].copy_(features)

    def _prepare(self, size: int) -> None:
        """One frame of whatever lies there."""
        self._bring_numbers([size], size)

    def _compute_picture(self, size: int) -> None:
        """The same for one frame."""
        static = self._static
        rows = static.pixels[:size], static.positions[:size], static.rotation[:size]
        static.features[: size // 4].copy_(self.tower.compute_frames(*rows, [size]))

    def _record_picture(self, size: int) -> Replay:
        """While it records, nothing else runs on the device. Called between steps, by the thread that launches them."""
        if self._recorder is None:
            return partial(self._compute_picture, size)
        return self._recorder.record(partial(self._compute_picture, size)).graph.replay


def attend_packed(qkv: Tensor, offsets: Tensor, longest: int) -> Tensor:
    """Full attention inside each frame of a packed sequence, in one launch on CUDA.

    qkv      [n, 3, heads, head_dim]
    offsets  int32 [frames + 1], where each frame begins and the last one ends; frames may be empty
    longest  patches of the longest frame, or more
    returns  [n, heads * head_dim]. Raises RuntimeError where flash attention cannot compute it.
    """
    if not qkv.is_cuda:
        return reference_attend_packed(qkv, offsets)
    query, key, value = qkv.unbind(1)
    attended: Tensor = torch.ops.aten._flash_attention_forward(
        query, key, value, offsets, offsets, longest, longest, 0.0, False, False
    )[0]
    return attended.flatten(1)


def reference_attend_packed(qkv: Tensor, offsets: Tensor) -> Tensor:
    """`attend_packed`, frame by frame; reads the offsets on the host."""
    bounds = offsets.tolist()
    frames = [qkv[start:end].permute(1, 2, 0, 3) for start, end in zip(bounds, bounds[1:], strict=False) if end > start]
    return torch.cat([F.scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(1) for q, k, v in frames])


def _reserved_bytes(device: torch.device) -> int:
    """Bytes that the allocator holds and cannot give back."""
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved(device)
