"""How a checkpoint stores a matrix whose numbers are rounded already: in which tensors, and which layout of ours holds
the same numbers.

Every layout of integers says w[n, k] = (level[n, k] - zero[n, g]) * scale[n, g] for groups g of neighbouring columns
(or one group, the whole row), levels being 0..2^bits - 1. They differ in how levels and zeros lie in their words:

| layout | of | values | zeros |
|---|---|---|---|
| fp8 | compressed-tensors float-quantized, fbgemm_fp8 | `weight`, e4m3 [N, K] | none |
| packed | compressed-tensors pack-quantized | `weight_packed`, int32 along K | `weight_zero_point`, int32 along N |
| int8 | compressed-tensors int-quantized | `weight`, int8 [N, K], level - 128 | `weight_zero_point`, int8 |
| awq | AutoAWQ's gemm | `qweight` [K, N/8], int32 along N, interleaved | `qzeros` [K/G, N/8], the same |
| gptq | GPTQ | `qweight`, int32 [K bits/32, N] along K | `qzeros`, int32 [K/G, N bits/32], less one in version 1 |

Definitions: vllm-project/compressed-tensors (`compressors/`), casper-hansen/AutoAWQ (`utils/packing_utils.py`),
AutoGPTQ. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Layout = Literal["fp8", "packed", "int8", "awq", "gptq"]
Kind = Literal["fp8", "int8", "int4"]  # a layout of ours: `quant_cuda.py`

GROUP_SIZES = (128, 64, 32)  # columns that share an int4 scale of ours; the first that divides the row is taken
WORD_BITS = 32
PLAIN_DTYPES = frozenset({"F32", "F16", "BF16"})


@dataclass(frozen=True, slots=True)
class Part:
    """One of the tensors that a matrix is stored in."""

    name: str
    shape: tuple[int, ...]
    dtypes: frozenset[str]  # as safetensors spells them
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Packing:
    """How the numbers of a matrix are stored."""

    layout: Layout
    bits: int
    group_size: int | None = None  # columns that share a scale; None: all of a row
    symmetric: bool = True  # the zero is the middle level
    zero_offset: int = 0  # what is to be added to stored zeros
    reorders: bool = False  # says that columns may be of any group, so that the file has to tell

    @property
    def middle(self) -> int:
        return 1 << (self.bits - 1)

    def num_groups(self, columns: int) -> int:
        return columns // (self.group_size or columns)

    def misfit(self, rows: int, columns: int) -> str:
        """Why a matrix of this shape cannot be stored so; empty where it can."""
        per_word = WORD_BITS // self.bits
        if self.group_size is not None and columns % self.group_size:
            return f"rows of {columns} values do not divide into groups of {self.group_size}"
        if self.layout in ("awq", "gptq") and (rows % per_word or columns % per_word):
            return f"[{rows}, {columns}] does not fill words of {per_word} values"
        return ""

    def parts(self, module: str, rows: int, columns: int) -> Mapping[str, Part]:
        """The tensors of `module` by what they hold: "values", "scale", and where there are such "zero", "shape" (the
        matrix's) and "order" (a column's group)."""
        groups, int32 = self.num_groups(columns), frozenset({"I32"})

        def words(numbers: int) -> int:
            return -(-numbers * self.bits // WORD_BITS)

        if self.layout in ("awq", "gptq"):
            packed = (columns, words(rows)) if self.layout == "awq" else (words(columns), rows)
            parts = {
                "values": Part(f"{module}.qweight", packed, int32),
                "scale": Part(f"{module}.scales", (groups, rows), PLAIN_DTYPES),
                "zero": Part(f"{module}.qzeros", (groups, words(rows)), int32),
            }
            if self.layout == "gptq":
                parts["order"] = Part(f"{module}.g_idx", (columns,), int32, optional=not self.reorders)
            return parts
        scale = Part(f"{module}.weight_scale", (rows, groups), PLAIN_DTYPES)
        if self.layout == "fp8":
            return {"values": Part(f"{module}.weight", (rows, columns), frozenset({"F8_E4M3"})), "scale": scale}
        parts = {"scale": scale, "order": Part(f"{module}.weight_g_idx", (columns,), int32, optional=not self.reorders)}
        if self.layout == "packed":
            parts["values"] = Part(f"{module}.weight_packed", (rows, words(columns)), int32)
            parts["shape"] = Part(f"{module}.weight_shape", (2,), frozenset({"I64", "I32"}), optional=True)
            zero = Part(f"{module}.weight_zero_point", (words(rows), groups), int32)
        else:
            parts["values"] = Part(f"{module}.weight", (rows, columns), frozenset({"I8"}))
            zero = Part(f"{module}.weight_zero_point", (rows, groups), frozenset({"I8"}))
        return parts if self.symmetric else {**parts, "zero": zero}

    def kept_as(self, columns: int) -> Kind | None:
        """The layout of ours that holds exactly these numbers; None where there is none."""
        if self.layout == "fp8":
            return "fp8"
        if self.bits == 8:
            return "int8" if self.symmetric and self.num_groups(columns) == 1 else None
        return "int4" if self.our_group_size(columns) else None

    def our_group_size(self, columns: int) -> int:
        """The largest of ours that divides the stored one, whose scale is then repeated; 0 where none does."""
        return largest_group(self.group_size or columns)


@dataclass(frozen=True, slots=True)
class Held:
    """How a matrix is kept: `kind` None is plain, `exact` says with the stored numbers."""

    kind: Kind | None
    group_size: int = 0  # of int4
    exact: bool = True


def held_as(packings: Sequence[Packing | None], columns: int, keeps: Collection[Kind]) -> Held:
    """How a matrix made up of parts stored so (None: plain) is kept by a format whose linears take `keeps`.

    Parts that no layout of ours holds together are rounded again: to four bits where all of them have four.
    """
    stored = [packing for packing in packings if packing is not None]
    if len(stored) < len(packings) or not keeps:
        return Held(None, exact=not stored or not keeps)
    kinds = {packing.kept_as(columns) for packing in stored}
    kind = kinds.pop()
    if not kinds and kind in keeps:
        return Held(kind, min(packing.our_group_size(columns) for packing in stored))
    integers = all(packing.layout != "fp8" for packing in stored)
    if integers and "int4" in keeps and largest_group(columns) and all(packing.bits == 4 for packing in stored):
        return Held("int4", largest_group(columns), exact=False)
    return Held("int8" if integers and "int8" in keeps else None, exact=False)


def kept_kinds(quantization: str, stored: Kind | None, *, on_cpu: bool) -> frozenset[Kind]:
    """What the linears of `--quantization` take as a checkpoint of kind `stored` has it: nothing wider than asked for,
    and without an option ("none") whatever there is. A CPU has one such linear."""
    if on_cpu:
        return frozenset({"int8"} if quantization == "int8" else ())
    if quantization == "none":
        quantization = "none" if stored is None else "fp8" if stored == "fp8" else "int8"
    by_name: Mapping[str, frozenset[Kind]] = {
        "none": frozenset(),
        "fp8": frozenset({"fp8"}),
        "int8": frozenset({"int8", "int4"}),
        "int4": frozenset({"int4"}),
    }
    return by_name[quantization]


def largest_group(columns: int) -> int:
    """The largest of GROUP_SIZES that divides a row; 0 where none does."""
    return next((size for size in GROUP_SIZES if columns % size == 0), 0)
