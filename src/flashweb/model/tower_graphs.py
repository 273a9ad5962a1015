"""Small pictures on a GPU: the vision tower as one captured CUDA graph per number of patches.

Launched kernel by kernel, a small picture keeps the host busy for several times as long as the GPU. Here pictures are
copied into static tensors, one behind the other, and one launch replays everything from pixels to features. Their sizes
are numbers that the attention reads on the device, so one graph serves every mix of pictures; the patches that pad it
to its size are a frame of their own, which no picture sees. What no graph has room for goes the tower's usual way: with
so many patches the GPU is the slower of the two.

The network is `VisionTower.compute`. Knows nothing of requests, caches or schedules.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from flashweb.model import graphs
from flashweb.model.vision import Parts, VisionTower
from flashweb.types import Grid

logger = logging.getLogger(__name__)

# Numbers of patches that have a graph of their own, all multiples of a token's four.
LADDER = (256, 512, 768, 1024, 1280, 1536, 2048, 2560, 3072, 4096)
# A graph has room for one frame per so many patches, and one more. Frames that are not there cost the attention some
# blocks that end at once, a number that grows with frames times patches.
FRAME_PATCHES = 256


def max_frames(size: int) -> int:
    """Frames that a graph of `size` patches can hold, besides its padding."""
    return size // FRAME_PATCHES + 1


class _Static:
    """The tensors that graphs read and write, of the largest size; a smaller one uses their beginning."""

    def __init__(self, tower: VisionTower, size: int) -> None:
        config, device = tower.config, tower.device
        self.pixels = torch.zeros(size, config.patch_values, dtype=torch.uint8, device=device)
        self.positions = torch.zeros(size, config.hidden_size, dtype=tower.dtype, device=device)
        self.rotation = torch.zeros(size, 1, 1, config.head_dim // 2, dtype=torch.complex64, device=device)
        # Where each frame begins, the padding's and the end included.
        self.offsets = torch.zeros(max_frames(size) + 2, dtype=torch.int32, device=device)
        self.features = torch.zeros(size // 4, config.out_hidden_size, dtype=tower.dtype, device=device)


class TowerGraphs:
    def __init__(self, tower: VisionTower, sizes: Sequence[int] = LADDER, *, capture: bool = True) -> None:
        """Captures a graph for each of `sizes`, ascending. `capture` off: kernel by kernel, for tests."""
        assert all(size % 4 == 0 for size in sizes) and list(sizes) == sorted(sizes), sizes
        self.tower = tower
        self.sizes = tuple(sizes)
        with torch.inference_mode():
            self._static = _Static(tower, self.sizes[-1])
        before = _reserved_bytes(tower.device)
        self._graphs = graphs.capture(sizes, tower.device, self._prepare, self._compute) if capture else {}
        # Of device memory that the graphs keep for what they compute.
        self.num_bytes = _reserved_bytes(tower.device) - before if capture else 0

    @staticmethod
    def available(tower: VisionTower) -> bool:
        """Whether the attention of the graphs computes here; a line in the log when it does not."""
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
        """`Glm4v.encode_images`; nothing waits for the device, and each picture's features are its own."""
        size = self.size_for(sum(grid.num_patches for grid in grids), sum(grid.t for grid in grids))
        if size is None or not patches:
            return self.tower.encode(patches, grids) if patches else []
        self._bring(self.tower.parts(patches, grids), size)
        known = self._graphs.get(size)
        if known is not None:
            known.graph.replay()
        else:
            self._compute(size)
        num_tokens = [grid.num_tokens for grid in grids]
        features = torch.split(self._static.features[: sum(num_tokens)], num_tokens)
        return [rows.clone() for rows in features]  # the next replay writes over them

    def _bring(self, parts: Parts, size: int) -> None:
        """Puts pictures where the graph reads them. Padding keeps what is there: rows of a frame that nobody reads."""
        static, num_patches = self._static, parts.num_patches
        torch.cat(parts.pixels, out=static.pixels[:num_patches])
        torch.cat(parts.positions, out=static.positions[:num_patches])
        torch.cat(parts.rotations, out=static.rotation[:num_patches])
        used = [0, *accumulate(parts.lengths)]
        # After the last frame the padding's end, again and again: frames of no length.
        offsets = torch.tensor(used + [size] * (max_frames(size) + 2 - len(used)), dtype=torch.int32)
        if static.offsets.is_cuda:
            offsets = offsets.pin_memory()  # else the copy would wait for the device
        static.offsets[: len(offsets)].copy_(offsets, non_blocking=True)

    def _compute(self, size: int) -> None:
        """The tower over `size` rows of the static tensors. This is what a graph holds."""
        static = self._static
        attend = partial(attend_packed, offsets=static.offsets[: max_frames(size) + 2], longest=size)
        features = self.tower.compute(static.pixels[:size], static.positions[:size], static.rotation[:size], attend)
        static.features[: size // 4].copy_(features)

    def _prepare(self, size: int) -> None:
        """One frame of whatever lies there, and frames of no length."""
        self._static.offsets[1:].fill_(size)


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
