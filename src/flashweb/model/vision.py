"""The vision tower: uint8 patches of many pictures in, one row of text-decoder width per 2 x 2 patches out.

Formulas: fact sheet 1.3. Pictures of any sizes are packed into one sequence of patches; attention stays within a
frame. Knows nothing of files, decoding or prompts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from flashweb.model.config import VisionConfig
from flashweb.model.layers import DenseLinear, NormedLinear, RmsNorm, gated_silu, kernels
from flashweb.model.pixels import PixelStatistics
from flashweb.model.rope import inverse_frequencies, neighbour_pairs, rotate_, vision_rotation
from flashweb.model.weights import Weights
from flashweb.types import Grid

# Position rows and rotations kept per grid size; a 1,024-patch grid of a 1536-wide tower takes 6.8 MB.
GRID_CACHE_BYTES = 128 << 20

Attend = Callable[[Tensor], Tensor]  # queries, keys, values [n, 3, heads, head_dim] -> [n, heads * head_dim]

_BACKENDS = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]


@dataclass(frozen=True, slots=True)
class _Lattice:
    """What depends only on a frame's size: position rows [h*w, hidden], rotation complex64 [h*w, 1, 1, d/2]."""

    positions: Tensor
    rotation: Tensor

    @property
    def num_bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.positions, self.rotation))


@dataclass(frozen=True, slots=True)
class Parts:
    """Pictures as they enter the tower, in pieces: pixels by picture, everything else by frame."""

    pixels: list[Tensor]
    positions: list[Tensor]
    rotations: list[Tensor]
    lengths: list[int]  # patches of each frame

    @property
    def num_patches(self) -> int:
        return sum(self.lengths)


class VisionTower:
    def __init__(self, config: VisionConfig, weights: Weights, device: torch.device, pixels: PixelStatistics) -> None:
        self.config = config
        self.dtype = weights.dtype
        self.device = device
        # These two stay fp32 in every dtype: pixel values reach 255 and the folded mean is subtracted again by
        # the bias, which in 8 bits of mantissa would cancel into noise.
        folded = _fold_pixels(
            weights.take("patch_embed.weight", torch.float32), weights.take("patch_embed.bias", torch.float32), pixels
        )
        self.patch_weight, self.frames_weight, self.patch_bias = folded
        self.table = weights.take("position_embedding.weight", torch.float32)
        self.after_patches = RmsNorm(weights.take("post_conv_layernorm.weight"), config.rms_norm_eps)
        self.blocks = [VisionBlock(config, weights, f"blocks.{i}.") for i in range(config.depth)]
        self.after_blocks = RmsNorm(weights.take("post_layernorm.weight"), config.rms_norm_eps)
        # The convolution's kernel covers exactly one token's four rows: a linear map once (C, y, x) is (y, x, C).
        kernel = weights.take("downsample.weight").permute(0, 2, 3, 1).flatten(1).contiguous()
        self.downsample = DenseLinear(kernel, weights.take("downsample.bias"))
        self.merger = Merger(weights)
        # Of packed frames (`tower_graphs.py`). None: torch's, as in fp32, which tensor cores do not multiply.
        ours = self.dtype.itemsize == 2 and config.head_dim >= 16
        self.attention_kernels = kernels("tower_attention", device.type) if ours else None
        self.frequencies = inverse_frequencies(config.head_dim // 2, config.rope_theta).to(device)
        self._lattices: OrderedDict[tuple[int, int], _Lattice] = OrderedDict()
        self._lattice_bytes = 0

    def encode(self, patches: Sequence[Tensor], grids: Sequence[Grid]) -> list[Tensor]:
        """Features of each picture: uint8 [grid.num_patches, 588, or 1176 for two frames of a clip] ->
        [grid.num_tokens, out_hidden_size]."""
        parts = self.parts(patches, grids)
        positions, rotation = _joined(parts.positions), _joined(parts.rotations)
        # Neighbours of one kind at once: stills, or the pairs of frames of a clip.
        kinds = [_joined(list(alike)) for _, alike in groupby(parts.pixels, key=lambda rows: rows.shape[1])]
        x = self._through(_joined([self._embedded(rows) for rows in kinds]), positions, rotation, parts.lengths)
        return list(torch.split(x, [grid.num_tokens for grid in grids]))

    def parts(self, patches: Sequence[Tensor], grids: Sequence[Grid]) -> Parts:
        for rows, grid in zip(patches, grids, strict=True):
            columns = self.config.patch_values
            assert rows.shape in ((grid.num_patches, columns), (grid.num_patches, 2 * columns)), (rows.shape, grid)
        frames = [(grid.h, grid.w) for grid in grids for _ in range(grid.t)]
        lattices = [self._lattice(h, w) for h, w in frames]
        return Parts(
            [rows.to(self.device, non_blocking=True) for rows in patches],
            [lattice.positions for lattice in lattices],
            [lattice.rotation for lattice in lattices],
            [h * w for h, w in frames],
        )

    def encode_in_slices(self, patches: Tensor, grid: Grid, slices: int) -> Iterator[Tensor | None]:
        """`encode` of one picture in at most so many parts of about equal work: None after each but the last."""
        parts = self.parts([patches], [grid])
        positions, rotation = _joined(parts.positions), _joined(parts.rotations)
        attend = partial(_attend_frames, runs=_equal_runs(parts.lengths))
        x = self._enter(parts.pixels[0], positions)
        step = -(-len(self.blocks) // slices)
        for begin in range(0, len(self.blocks), step):
            if begin:
                yield None
            with _attention_backends(self.device):
                for block in self.blocks[begin : begin + step]:
                    block.add_to_(x, rotation, attend)
        yield self._leave(x)

    def compute(self, pixels: Tensor, positions: Tensor, rotation: Tensor, attend: Attend) -> Tensor:
        """The whole network for n packed patches: uint8 [n, 588] -> [n / 4, out_hidden_size]."""
        x = self._enter(pixels, positions)
        for block in self.blocks:
            block.add_to_(x, rotation, attend)
        return self._leave(x)

    def compute_frames(self, pixels: Tensor, positions: Tensor, rotation: Tensor, lengths: Sequence[int]) -> Tensor:
        """`compute` with torch's attention, for packed frames of so many patches each."""
        return self._through(self._embedded(pixels), positions, rotation, lengths)

    def _through(self, embedded: Tensor, positions: Tensor, rotation: Tensor, lengths: Sequence[int]) -> Tensor:
        x = self.after_patches(embedded) + positions
        attend = partial(_attend_frames, runs=_equal_runs(lengths))
        with _attention_backends(self.device):
            for block in self.blocks:
                block.add_to_(x, rotation, attend)
            return self._leave(x)

    def _enter(self, pixels: Tensor, positions: Tensor) -> Tensor:
        return self.after_patches(self._embedded(pixels)) + positions

    def _embedded(self, pixels: Tensor) -> Tensor:
        weight = self.patch_weight if pixels.shape[1] == self.config.patch_values else self.frames_weight
        return F.linear(pixels.float(), weight, self.patch_bias).to(self.dtype)

    def _leave(self, x: Tensor) -> Tensor:
        return self.merger(self.downsample(self.after_blocks(x).view(x.shape[0] // 4, -1)))

    def _lattice(self, h: int, w: int) -> _Lattice:
        lattice = self._lattices.get((h, w))
        if lattice is not None:
            self._lattices.move_to_end((h, w))
            return lattice
        rows, columns = _merge_order(h, w, self.device)
        positions = _sample_bicubic(self.table, self.config.table_side, rows, columns, h, w).to(self.dtype)
        lattice = _Lattice(positions, vision_rotation(rows, columns, self.frequencies))
        if lattice.num_bytes <= GRID_CACHE_BYTES:
            self._lattices[h, w] = lattice
            self._lattice_bytes += lattice.num_bytes
            while self._lattice_bytes > GRID_CACHE_BYTES:
                self._lattice_bytes -= self._lattices.popitem(last=False)[1].num_bytes
        return lattice


class VisionBlock:
    def __init__(self, config: VisionConfig, weights: Weights, prefix: str) -> None:
        qkv = weights.take(prefix + "attn.qkv.weight")
        query_key = neighbour_pairs(qkv[: 2 * config.hidden_size], config.head_dim)
        self.shape = (-1, 3, config.num_heads, config.head_dim)
        self.kernels = kernels("tower", qkv.device.type)
        paired = torch.cat((query_key, qkv[2 * config.hidden_size :]))
        eps = config.rms_norm_eps
        self.normed_qkv = NormedLinear(weights.take(prefix + "norm1.weight"), eps, paired)
        self.proj = DenseLinear(weights.take(prefix + "attn.proj.weight"))
        self.normed_gate_up = NormedLinear(
            weights.take(prefix + "norm2.weight"), eps, weights.take(prefix + "gate_up.weight")
        )
        self.down = DenseLinear(weights.take(prefix + "mlp.down_proj.weight"))

    def add_to_(self, x: Tensor, rotation: Tensor, attend: Attend) -> None:
        """x += the block's attention, then x += its MLP."""
        qkv = self.normed_qkv(x).view(self.shape)
        if self.kernels is None:
            rotate_(qkv[:, :2], rotation)
        else:
            self.kernels.rotate_heads(qkv[:, :2].flatten(1, 2), torch.view_as_real(rotation[:, 0, 0]))
        self.proj.add_to_(x, attend(qkv))
        self.down.add_to_(x, gated_silu(self.normed_gate_up(x)))


class Merger:
    """Linear, LayerNorm, exact GELU, then a gated MLP, all at the decoder's width."""

    def __init__(self, weights: Weights) -> None:
        self.proj = DenseLinear(weights.take("merger.proj.weight"))
        self.norm_weight = weights.take("merger.post_projection_norm.weight")
        self.norm_bias = weights.take("merger.post_projection_norm.bias")
        self.gate_up = DenseLinear(weights.take("merger.gate_up.weight"))
        self.down = DenseLinear(weights.take("merger.down_proj.weight"))

    def __call__(self, x: Tensor) -> Tensor:
        x = F.layer_norm(self.proj(x), self.norm_weight.shape, self.norm_weight, self.norm_bias, 1e-5)
        return self.down(gated_silu(self.gate_up(F.gelu(x))))


def _fold_pixels(weight: Tensor, bias: Tensor, pixels: PixelStatistics) -> tuple[Tensor, Tensor, Tensor]:
    """The patch convolution [out, 3, 2, 14, 14] as linear maps over raw uint8 pixels: [out, 588] of one frame, [out,
    1176] of two that follow each other, and the bias of both.

    Normalisation (u/255 - mean) / std is affine, and a still picture shows both time slices the same frame, so
    scale goes into the weight summed over time and the mean into the bias. Computed in fp64.
    """
    mean = torch.tensor(pixels.mean, dtype=torch.float64, device=weight.device)
    std = torch.tensor(pixels.std, dtype=torch.float64, device=weight.device)
    by_frame = weight.double().permute(0, 2, 1, 3, 4).flatten(3)  # [out, 2, 3, 196]
    summed = by_frame.sum(1)
    folded_bias = bias.double() - (summed.sum(-1) * (mean / std)).sum(-1)
    scale = 255.0 * std[:, None]
    return (summed / scale).flatten(1).float(), (by_frame / scale).flatten(1).float(), folded_bias.float()


def _merge_order(h: int, w: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and column of each patch, int64 [h*w], the four patches of a token after each other."""
    index = torch.arange(h * w, device=device).view(h // 2, 2, w // 2, 2).transpose(1, 2).flatten()
    return index // w, index % w


def _sample_bicubic(table: Tensor, side: int, rows: Tensor, columns: Tensor, h: int, w: int) -> Tensor:
    """The [side^2, hidden] position table resampled at the patches' centres, fp32 [h*w, hidden]."""
    at = torch.stack(((columns + 0.5) / w * 2 - 1, (rows + 0.5) / h * 2 - 1), dim=-1)[None, :, None]
    plane = table.view(1, side, side, -1).permute(0, 3, 1, 2)
    sampled = F.grid_sample(plane, at, mode="bicubic", padding_mode="border", align_corners=False)
    return sampled[0, :, :, 0].t().contiguous()


def _attention_backends(device: torch.device) -> AbstractContextManager[object]:
    """On CUDA cuDNN's attention first: at 5,476 patches it takes 0.30 ms where flash attention takes 0.52 (H200)."""
    if device.type != "cuda":
        return nullcontext()
    return sdpa_kernel(_BACKENDS, set_priority=True)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _equal_runs(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring frames of equal length as (frames, length)."""
    runs: list[tuple[int, int]] = []
    for length in lengths:
        if runs and runs[-1][1] == length:
            runs[-1] = (runs[-1][0] + 1, length)
        else:
            runs.append((1, length))
    return runs


def _attend_frames(qkv: Tensor, runs: list[tuple[int, int]]) -> Tensor:
    """Full attention inside each frame: [n, 3, heads, head_dim] -> [n, heads * head_dim]."""
    outputs = []
    start = 0
    for frames, length in runs:
        part = qkv[start : start + frames * length].view(frames, length, *qkv.shape[1:]).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(part[0], part[1], part[2])
        outputs.append(out.transpose(1, 2).reshape(frames * length, -1))
        start += frames * length
    return _joined(outputs)
