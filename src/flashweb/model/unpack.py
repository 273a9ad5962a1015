"""From the integers of a ready-made checkpoint to our layouts: repacked bit by bit, or made plain.

Works on slices of rows, on the device where the result is wanted, so that beside the file's numbers and the finished
ones there is never more than a few million levels. What the layouts are: `packing.py` and `quant_cuda.py`. Knows
nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from flashweb.model.packing import Packing
from flashweb.model.quant_cuda import PIECE_VALUES, Int4Weight, Int8Weight

# Bits 4 i and up of AutoAWQ's word hold column 0, 2, 4, 6, 1, 3, 5, 7; here the place of each column.
AWQ_PLACES = (0, 4, 1, 5, 2, 6, 3, 7)
SLICE_ALIGNMENT = 8  # rows: AutoAWQ packs eight of them in a word


@dataclass(frozen=True, slots=True)
class StoredIntegers:
    """w[n, k] = (level[n, k] - zero[n, g]) * scale[n, g], g = k // (K / G), in a checkpoint's layout."""

    packing: Packing
    rows: int
    columns: int
    values: Tensor  # as `Packing.parts` says
    scale: Tensor  # bf16, fp16 or fp32 [N, G]
    zero: Tensor  # uint8 [N, G], a level

    @staticmethod
    def of(packing: Packing, rows: int, columns: int, parts: Mapping[str, Tensor]) -> StoredIntegers:
        """From the tensors of `Packing.parts`, all of them on one device."""
        turned = packing.layout in ("awq", "gptq")
        scale = parts["scale"].view(-1, rows).t().contiguous() if turned else parts["scale"].view(rows, -1)
        zero = _zeros(packing, parts.get("zero"), scale)
        return StoredIntegers(packing, rows, columns, parts["values"], scale, zero)

    @property
    def is_symmetric(self) -> bool:
        """Whether the zeros are where the packing says."""
        return not self.packing.symmetric or bool((self.zero == self.packing.middle).all())

    def levels(self, rows: slice) -> Tensor:
        """uint8 [n, K] of some rows, which begin at a multiple of SLICE_ALIGNMENT."""
        packing, values = self.packing, self.values
        if packing.layout == "int8":
            return _levels_of_int8(values[rows])
        if packing.layout == "packed":
            return _along_rows(values[rows], packing.bits, self.columns)
        if packing.layout == "gptq":
            return _along_rows(values[:, rows].t(), packing.bits, self.columns)
        assert packing.layout == "awq", packing.layout
        words = slice(rows.start // SLICE_ALIGNMENT, -(-min(rows.stop, self.rows) // SLICE_ALIGNMENT))
        return _interleaved(values[:, words]).t()

    def as_int8(self) -> Int8Weight:
        """The same numbers in int8 by rows, where `Packing.kept_as` says so."""
        assert self.packing.kept_as(self.columns) == "int8", self.packing
        values = torch.empty((self.rows, self.columns), dtype=torch.int8, device=self.values.device)
        for rows in self._slices():
            values[rows] = (self.levels(rows) ^ 0x80).view(torch.int8)
        return Int8Weight(values, self.scale.float().flatten())

    def as_int4(self, group_size: int) -> Int4Weight:
        """The same numbers in int4 by groups of `group_size`, which divides the stored groups; their scales and zeros
        are repeated."""
        assert self.packing.kept_as(self.columns) == "int4", self.packing
        packed = torch.empty((self.rows, self.columns // 2), dtype=torch.uint8, device=self.values.device)
        for rows in self._slices():
            groups = self.levels(rows).reshape(-1, self.columns // group_size, group_size)
            low, high = groups.chunk(2, dim=-1)
            packed[rows] = (low | high << 4).flatten(1)
        times = self.columns // group_size // self.scale.shape[1]
        scale = _narrowed(self.scale).repeat_interleave(times, dim=1)
        return Int4Weight(packed, scale, self.zero.repeat_interleave(times, dim=1), group_size)

    def copy_into(self, target: Tensor) -> None:
        """As plain numbers [N, K] of the target's dtype."""
        for rows in self._slices():
            groups = self.levels(rows).reshape(-1, self.scale.shape[1], self.columns // self.scale.shape[1])
            values = (groups.float() - self.zero[rows, :, None].float()) * self.scale[rows, :, None].float()
            target[rows] = values.flatten(1)

    def _slices(self) -> Iterator[slice]:
        step = max(1, PIECE_VALUES // self.columns // SLICE_ALIGNMENT) * SLICE_ALIGNMENT
        for start in range(0, self.rows, step):
            yield slice(start, min(start + step, self.rows))


def _zeros(packing: Packing, stored: Tensor | None, scale: Tensor) -> Tensor:
    """uint8 [N, G]."""
    rows, groups = scale.shape
    if stored is None:
        return torch.full((rows, groups), packing.middle, dtype=torch.uint8, device=scale.device)
    if packing.layout == "int8":
        return _levels_of_int8(stored).view(rows, groups)
    if packing.layout == "packed":
        return _along_rows(stored.t(), packing.bits, rows).t().contiguous()
    if packing.layout == "awq":
        return _interleaved(stored).t().contiguous()
    return (_along_rows(stored, packing.bits, rows).t() + packing.zero_offset).contiguous()


def _levels_of_int8(values: Tensor) -> Tensor:
    return values.view(torch.uint8) ^ 0x80


def _along_rows(words: Tensor, bits: int, columns: int) -> Tensor:
    """int32 [n, w], a row's numbers from the lowest bits on -> uint8 [n, columns]."""
    packed = words.contiguous().view(torch.uint8)  # lowest byte first, as on every machine that torch runs on
    if bits == 8:
        return packed[:, :columns]
    return torch.stack((packed & 15, packed >> 4), dim=-1).flatten(1)[:, :columns]


def _interleaved(words: Tensor) -> Tensor:
    """int32 [n, w] in AutoAWQ's order -> uint8 [n, 8 w]."""
    stored = _along_rows(words, 4, 8 * words.shape[1])
    return stored.view(words.shape[0], -1, 8)[:, :, AWQ_PLACES].flatten(1)


def _narrowed(scale: Tensor) -> Tensor:
    """In two bytes where nothing is lost: the kernels read bf16, fp16 and fp32."""
    if scale.dtype == torch.float32:
        for dtype in (torch.bfloat16, torch.float16):
            if torch.equal(scale.to(dtype).float(), scale):
                return scale.to(dtype)
    return scale
