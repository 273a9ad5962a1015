"""Linear maps of the decoder for CUDA cards: plain bf16 read near bandwidth, int8 and int4 weights, fp8 throughout.

`quant.py` is the CPU's int8, whose kernels and packed layout belong to FBGEMM; this module's formats are plain tensors
that the Triton kernels of `kernels/` (`linear`, `one_row`, `fp8_rows`) read, which is why they live apart. Quantising
is torch alone, row by row in pieces, from the plain checkpoint: beside the weight given, memory holds the finished one
and a few pieces in fp32. Pieces and whole give the same bits, because no number depends on another row's.

Formats (w the bf16 weight [N, K], y = x w^T + b):
- int8: w = q s[n], q in -127..127, s the row's largest |w| over 127.
- int4: w = (q - z[n, g]) s[n, g] for groups g of neighbouring columns, q and z in 0..15; the range of a group is
  shrunk as far as that lowers its squared error.
- fp8: w = q s[n], q e4m3 (largest value 448); x is rounded in the same way, one scale a row, unless it is a single row
  (`keeps_row`).

Away from a CUDA device the same numbers are multiplied by plain torch: slow, and good for judging a format. Knows
nothing of checkpoints, of what a layer is made of, or of memory budgets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from flashweb.errors import ConfigError
from flashweb.model.footprint import FP8_CAPABILITY
from flashweb.model.layers import PlainFeed, RmsNorm, gated_silu, kernels
from flashweb.model.packing import GROUP_SIZES, largest_group

FP8_LARGEST = 448.0  # of e4m3fn
PIECE_VALUES = 1 << 22  # quantised at once: 16 MiB in fp32, and a few times that in intermediates
SHRINKS = tuple(1.0 - 0.035 * i for i in range(12))  # of an int4 group's range: 1 is plain min-max, the last 0.615
SMALLEST_SCALE = 1e-8
# fp8 products of so many rows take x as it is: memory is the limit there, and bf16 activations beside fp8 weights need
# no rounding and no tensor core that fills up with nothing.
UNROUNDED_ROWS = 1


# --- the formats ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Int8Weight:
    """w = values * scale[:, None]."""

    values: Tensor  # int8 [N, K]
    scale: Tensor  # fp32 [N]

    def dequantised(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return (self.values.float() * self.scale[:, None]).to(dtype)

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """dequantised(dtype)[ids] for one-dimensional ids, without the rest."""
        return Int8Weight(self.values[ids], self.scale[ids]).dequantised(dtype)

    @property
    def num_values(self) -> int:
        return self.values.numel()

    @property
    def num_bytes(self) -> int:
        return _num_bytes(self.values, self.scale)


@dataclass(frozen=True, slots=True)
class Fp8Weight:
    """w = values * scale[:, None]."""

    values: Tensor  # float8_e4m3fn [N, K]
    scale: Tensor  # fp32 [N]

    def dequantised(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return (self.values.float() * self.scale[:, None]).to(dtype)

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """dequantised(dtype)[ids] for one-dimensional ids, without the rest."""
        # Indexing is not implemented for fp8 on every device; bytes are bytes.
        values = self.values.view(torch.uint8)[ids].view(torch.float8_e4m3fn)
        return Fp8Weight(values, self.scale[ids]).dequantised(dtype)

    @property
    def num_values(self) -> int:
        return self.values.numel()

    @property
    def num_bytes(self) -> int:
        return _num_bytes(self.values, self.scale)


@dataclass(frozen=True, slots=True)
class Int4Weight:
    """w[n, k] = (q[n, k] - zero[n, g]) * scale[n, g] with g = k // group_size.

    A group's first half lies in the low nibbles of its bytes and the second half in the high ones, so that a kernel
    unpacks to two runs of neighbouring columns and never has to interleave:
    packed[n, g * G/2 + j] = q[n, g * G + j] | q[n, g * G + G/2 + j] << 4.
    """

    packed: Tensor  # uint8 [N, K/2]
    scale: Tensor  # [N, K/G], bf16, or what a ready-made checkpoint has: the kernels read fp16 and fp32 too
    zero: Tensor  # uint8 [N, K/G], 0..15
    group_size: int

    def dequantised(self, dtype: torch.dtype = torch.float32) -> Tensor:
        rows, half = self.packed.shape
        pairs = self.packed.view(rows, -1, self.group_size // 2)
        levels = torch.cat((pairs & 15, pairs >> 4), dim=-1).float()
        values = (levels - self.zero[..., None].float()) * self.scale[..., None].float()
        return values.view(rows, 2 * half).to(dtype)

    def rows(self, ids: Tensor, dtype: torch.dtype) -> Tensor:
        """dequantised(dtype)[ids] for one-dimensional ids, without the rest."""
        return Int4Weight(self.packed[ids], self.scale[ids], self.zero[ids], self.group_size).dequantised(dtype)

    @property
    def num_values(self) -> int:
        return 2 * self.packed.numel()

    @property
    def num_bytes(self) -> int:
        return _num_bytes(self.packed, self.scale, self.zero)


QuantisedWeight = Int8Weight | Fp8Weight | Int4Weight


def joined_rows(parts: Sequence[QuantisedWeight]) -> QuantisedWeight:
    """Matrices of one format, and for int4 of one group size, one below the other."""
    first = parts[0]
    if len(parts) == 1:
        return first
    scale = torch.cat([part.scale for part in parts])
    if isinstance(first, Int4Weight):
        int4 = [part for part in parts if isinstance(part, Int4Weight) and part.group_size == first.group_size]
        assert len(int4) == len(parts), parts
        packed, zero = torch.cat([part.packed for part in int4]), torch.cat([part.zero for part in int4])
        return Int4Weight(packed, scale, zero, first.group_size)
    # As bytes: not every operation knows fp8.
    values = torch.cat([part.values.view(torch.uint8) for part in parts if not isinstance(part, Int4Weight)])
    return type(first)(values.view(first.values.dtype), scale)


def _num_bytes(*tensors: Tensor) -> int:
    return sum(tensor.numel() * tensor.itemsize for tensor in tensors)


def quantise_int8(weight: Tensor) -> Int8Weight:
    """[N, K], any float dtype -> int8 by rows."""
    values = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
    scale = torch.empty(weight.shape[0], dtype=torch.float32, device=weight.device)
    for rows in _pieces(weight):
        piece = weight[rows].float()
        scale[rows] = (piece.abs().amax(dim=1) / 127).clamp_min(SMALLEST_SCALE)
        values[rows] = (piece / scale[rows, None]).round_().clamp_(-127, 127).to(torch.int8)
    return Int8Weight(values, scale)


def quantise_fp8(weight: Tensor) -> Fp8Weight:
    """[N, K], any float dtype -> e4m3 by rows."""
    values = torch.empty(weight.shape, dtype=torch.float8_e4m3fn, device=weight.device)
    scale = torch.empty(weight.shape[0], dtype=torch.float32, device=weight.device)
    for rows in _pieces(weight):
        piece = weight[rows].float()
        scale[rows] = (piece.abs().amax(dim=1) / FP8_LARGEST).clamp_min(SMALLEST_SCALE)
        # Beyond 448 torch's cast gives NaN, so rounding in the division must not get there.
        values[rows] = (piece / scale[rows, None]).clamp_(-FP8_LARGEST, FP8_LARGEST).to(torch.float8_e4m3fn)
    return Fp8Weight(values, scale)


def quantise_int4(weight: Tensor, group_size: int | None = None, shrinks: tuple[float, ...] = SHRINKS) -> Int4Weight:
    """[N, K], any float dtype -> int4 by groups of `group_size` columns (None: `group_size_for(K)`).

    `shrinks` are the factors tried on each group's range; (1.0,) is plain min-max. Raises ConfigError where no group
    size divides K.
    """
    rows, columns = weight.shape
    size = group_size or group_size_for(columns)
    assert size % 2 == 0 and columns % size == 0, f"groups of {size} do not fit {columns} columns"
    packed = torch.empty((rows, columns // 2), dtype=torch.uint8, device=weight.device)
    scale = torch.empty((rows, columns // size), dtype=torch.bfloat16, device=weight.device)
    zero = torch.empty((rows, columns // size), dtype=torch.uint8, device=weight.device)
    for piece in _pieces(weight):
        groups = weight[piece].float().view(-1, columns // size, size)
        step, origin = _best_range(groups, shrinks)
        levels = _levels(groups, step, origin).to(torch.uint8)
        low, high = levels.chunk(2, dim=-1)
        packed[piece] = (low | high << 4).flatten(1)
        scale[piece] = step.squeeze(-1).to(torch.bfloat16)  # exact: it was rounded before it was tried
        zero[piece] = origin.squeeze(-1).to(torch.uint8)
    return Int4Weight(packed, scale, zero, size)


def group_size_for(columns: int) -> int:
    """The largest of GROUP_SIZES that divides a row. Raises ConfigError."""
    size = largest_group(columns)
    if size:
        return size
    raise ConfigError(
        f"int4 groups need rows of a multiple of {GROUP_SIZES[-1]} values and this checkpoint has rows of {columns}; "
        "use quantization int8"
    )


def _best_range(groups: Tensor, shrinks: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """fp32 [N, K/G, G] -> scale and zero, both [N, K/G, 1] in fp32, of the least squared error among the shrinks."""
    # 0 is always inside the range, or the zero point would not fit four bits.
    lowest = groups.amin(dim=-1, keepdim=True).clamp_max(0)
    highest = groups.amax(dim=-1, keepdim=True).clamp_min(0)
    best: tuple[Tensor, Tensor, Tensor] | None = None
    for shrink in shrinks:
        step = ((highest - lowest) * (shrink / 15)).clamp_min(SMALLEST_SCALE).to(torch.bfloat16).float()
        origin = (lowest * -shrink / step).round_().clamp_(0, 15)
        error = _levels(groups, step, origin).sub_(origin).mul_(step).sub_(groups).square_().sum(-1, keepdim=True)
        if best is None:
            best = error, step, origin
        else:
            better = error < best[0]
            best = tuple(torch.where(better, new, old) for new, old in zip((error, step, origin), best, strict=True))  # type: ignore[assignment]
    assert best is not None, "no shrink was given"
    return best[1], best[2]


def _levels(groups: Tensor, step: Tensor, origin: Tensor) -> Tensor:
    return (groups / step).round_().add_(origin).clamp_(0, 15)


def _pieces(weight: Tensor) -> Iterator[slice]:
    """Slices of rows with at most PIECE_VALUES values each, at least one row."""
    rows, columns = weight.shape
    step = max(1, PIECE_VALUES // columns)
    for start in range(0, rows, step):
        yield slice(start, start + step)


def quantise_rows_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Any float [..., K] -> e4m3 [..., K] and fp32 [..., 1]: what the fp8 kernels do to their input, in torch."""
    wide = x.float()
    scale = (wide.abs().amax(dim=-1, keepdim=True) / FP8_LARGEST).clamp_min(SMALLEST_SCALE)
    return (wide / scale).clamp_(-FP8_LARGEST, FP8_LARGEST).to(torch.float8_e4m3fn), scale


# --- the maps, with the face of `layers.Linear` -----------------------------------------------------------------------


def _kernels(device: torch.device, name: str = "linear") -> Any:
    """`kernels.NAME` where it can run: on a CUDA device, or anywhere in Triton's interpreter. None elsewhere."""
    if os.environ.get("TRITON_INTERPRET") == "1" and device.type == "cpu":
        return import_module(f"flashweb.model.kernels.{name}")
    return kernels(name, device.type)


class SkinnyLinear:
    """y = x W^T + b in the weight's own dtype: our kernel for few rows, cuBLAS for many."""

    __slots__ = ("_kernels", "bias", "num_values", "value_bytes", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = bias
        self.num_values = weight.numel()
        self.value_bytes: float = weight.itemsize
        self._kernels = _kernels(weight.device)

    def __call__(self, x: Tensor) -> Tensor:
        if self._kernels is None or not self._kernels.is_skinny(x.numel() // x.shape[-1], self.weight.shape[0]):
            return F.linear(x, self.weight, self.bias)
        y: Tensor = self._kernels.skinny_linear(x.reshape(-1, x.shape[-1]), self.weight, self.bias)
        return y.view(*x.shape[:-1], -1)


class Int8WeightOnly:
    """y = x W^T + b with int8 weights, one scale a row; x and the sums stay as they are."""

    __slots__ = ("_kernels", "bias", "num_values", "value_bytes", "weight")

    def __init__(self, weight: Tensor | Int8Weight, bias: Tensor | None = None) -> None:
        self.weight = weight if isinstance(weight, Int8Weight) else quantise_int8(weight)
        self.bias = bias
        self.num_values = self.weight.num_values
        self.value_bytes = self.weight.num_bytes / self.num_values  # the scales included
        self._kernels = _kernels(self.weight.values.device)

    def __call__(self, x: Tensor) -> Tensor:
        weight = self.weight
        if self._kernels is None:
            return F.linear(x, weight.dequantised(x.dtype), self.bias)
        y: Tensor = self._kernels.int8_linear(x.reshape(-1, x.shape[-1]), weight.values, weight.scale, self.bias)
        return y.view(*x.shape[:-1], -1)


class Int4WeightOnly:
    """y = x W^T + b with int4 weights in groups along a row; x and the sums stay as they are."""

    __slots__ = ("_kernels", "bias", "num_values", "value_bytes", "weight")

    def __init__(self, weight: Tensor | Int4Weight, bias: Tensor | None = None) -> None:
        self.weight = weight if isinstance(weight, Int4Weight) else quantise_int4(weight)
        self.bias = bias
        self.num_values = self.weight.num_values
        self.value_bytes = self.weight.num_bytes / self.num_values  # scales and zeros included: 0.523 in groups of 128
        self._kernels = _kernels(self.weight.packed.device)

    def __call__(self, x: Tensor) -> Tensor:
        weight = self.weight
        if self._kernels is None:
            return F.linear(x, weight.dequantised(x.dtype), self.bias)
        y: Tensor = self._kernels.int4_linear(
            x.reshape(-1, x.shape[-1]), weight.packed, weight.scale, weight.zero, self.bias
        )
        return y.view(*x.shape[:-1], -1)


class Fp8Rows(NamedTuple):
    """Activations as an `Fp8Linear` multiplies them: values * scale."""

    values: Tensor  # e4m3 [M, K]
    scale: Tensor  # fp32 [M, 1]
    dtype: torch.dtype  # of what they were made of and of the product


def keeps_row(x: Tensor) -> bool:
    """Whether fp8 products of [..., K] take it as it is, by its number of rows: `Fp8Linear` and `Fp8Feed` agree."""
    return x.numel() == UNROUNDED_ROWS * x.shape[-1]


class Fp8Linear:
    """y = x W^T + b with e4m3 weights and activations, one scale a row of each; the output has x's dtype.

    Takes tensors, which it rounds first, and rows that a fused kernel has rounded already (`Fp8Feed`). A tensor of one
    row is multiplied as it is.
    """

    __slots__ = ("_kernels", "_rounding", "bias", "num_values", "value_bytes", "weight")

    def __init__(self, weight: Tensor | Fp8Weight, bias: Tensor | None = None) -> None:
        self.weight = weight if isinstance(weight, Fp8Weight) else quantise_fp8(weight)
        require_fp8(self.weight.values.device)
        self.bias = bias
        self.num_values = self.weight.num_values
        self.value_bytes = self.weight.num_bytes / self.num_values  # the scales included
        self._kernels = _kernels(self.weight.values.device)
        self._rounding = _kernels(self.weight.values.device, "fp8_rows")

    def __call__(self, x: Tensor | Fp8Rows) -> Tensor:
        if isinstance(x, Fp8Rows):
            return self._product(x)
        rows = x.reshape(-1, x.shape[-1])
        if keeps_row(x):
            y = self._weight_only(rows)
        else:
            quantise = quantise_rows_fp8 if self._rounding is None else self._rounding.quantise_rows_fp8
            values, scale = quantise(rows)
            y = self._product(Fp8Rows(values, scale, x.dtype))
        return y.view(*x.shape[:-1], -1)

    def _weight_only(self, x: Tensor) -> Tensor:
        weight = self.weight
        if self._kernels is None:
            return F.linear(x, weight.dequantised(x.dtype), self.bias)
        y: Tensor = self._kernels.fp8_row_linear(x, weight.values, weight.scale, self.bias)
        return y

    def _product(self, rows: Fp8Rows) -> Tensor:
        weight, (values, scale, dtype) = self.weight, rows
        if self._kernels is None:
            x = (values.float() * scale).to(dtype)
            return F.linear(x, weight.dequantised(dtype), self.bias)
        y: Tensor = self._kernels.fp8_linear(values, scale, weight.values, weight.scale, self.bias, dtype)
        return y


class Fp8Feed:
    """`layers.Feed` for `Fp8Linear`: rows are rounded in the kernel that makes them, for no product gains what a
    kernel more costs (measured: fp8 products with a quantisation apart are no faster than bf16 ones). A single row
    stays as it is (`keeps_row`)."""

    def __init__(self, device: torch.device) -> None:
        self._rounding = _kernels(device, "fp8_rows")
        self._plain = PlainFeed(_kernels(device, "fused"))

    def normed(self, x: Tensor, norm: RmsNorm) -> Tensor | Fp8Rows:
        if keeps_row(x):
            return self._plain.normed(x, norm)
        if self._rounding is None:
            values, scale = quantise_rows_fp8(norm(x))
        else:
            values, scale = self._rounding.rms_norm_fp8(x, norm.weight, norm.eps)
        return Fp8Rows(values, scale, x.dtype)

    def add_normed(
        self, residual: Tensor, y: Tensor, norm: RmsNorm, next_norm: RmsNorm
    ) -> tuple[Tensor, Tensor | Fp8Rows]:
        if keeps_row(y):
            return self._plain.add_normed(residual, y, norm, next_norm)
        if self._rounding is None:
            x = norm.add_to(residual, y)
            return x, self.normed(x, next_norm)
        x, (values, scale) = self._rounding.add_norm_fp8(residual, y, norm.weight, next_norm.weight, norm.eps)
        return x, Fp8Rows(values, scale, x.dtype)

    def gated(self, gate_up: Tensor) -> Tensor | Fp8Rows:
        if keeps_row(gate_up):
            return self._plain.gated(gate_up)
        if self._rounding is None:
            values, scale = quantise_rows_fp8(gated_silu(gate_up))
        else:
            values, scale = self._rounding.silu_mul_fp8(gate_up)
        return Fp8Rows(values, scale, gate_up.dtype)


def has_fp8(device: torch.device) -> bool:
    """Away from CUDA torch stands in for the arithmetic."""
    return device.type != "cuda" or torch.cuda.get_device_capability(device) >= FP8_CAPABILITY


def require_fp8(device: torch.device) -> None:
    """Raises ConfigError, with the reason, where a card has no fp8 arithmetic."""
    if not has_fp8(device):
        found = torch.cuda.get_device_capability(device)
        raise ConfigError(
            f"quantization fp8 needs a card of compute capability {'.'.join(map(str, FP8_CAPABILITY))} or newer (Ada, "
            f"Hopper) and {torch.cuda.get_device_name(device)} has {'.'.join(map(str, found))}; use int8"
        )


class QuantisedEmbedding:
    """Rows of a quantised table; a tied head shares the table: `Int8WeightOnly(table)` and the like."""

    __slots__ = ("_dtype", "num_values", "table", "value_bytes")

    def __init__(self, table: Int8Weight | Int4Weight | Fp8Weight, dtype: torch.dtype) -> None:
        self.table = table
        self.num_values = table.num_values
        self.value_bytes = table.num_bytes / table.num_values
        self._dtype = dtype

    def __call__(self, token_ids: Tensor) -> Tensor:
        """int [n] -> [n, hidden]."""
        return self.table.rows(token_ids, self._dtype)
