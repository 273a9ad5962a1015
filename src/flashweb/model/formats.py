"""How the decoder keeps its matrices: which linear maps, which embedding, which rows between them.

| quantization | device | layers | embedding and head |
|---|---|---|---|
| none | any | the checkpoint's numbers in the network's dtype | the same |
| int8 | CPU | int8 by rows, activations too | the same; the embedding plain |
| int8 | CUDA | int8 by rows | int8 by rows |
| int4 | CUDA | int4 by groups | int4 by groups |
| fp8 | CUDA | e4m3 by rows, activations too | int8 by rows: it rounds three times less (docs/experiments.md) |
| none, the checkpoint's matrices stored in fp8 | CUDA with fp8 | the checkpoint's e4m3, activations too | plain |
| none, stored in int8 or int4 | CUDA | the checkpoint's integers, plain ones plain | plain, a stored head as it is |

Under int8 and int4, matrices that a checkpoint stores no wider keep their numbers (`packing.kept_kinds`).

The vision tower, which sees thousands of rows at once, the norms and the biases stay in the network's dtype. Matrices
are quantised one by one as they arrive, on the device, so that beside the finished ones there is never more than one
plain matrix. Knows nothing of checkpoints or of how much memory there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from flashweb.errors import ConfigError
from flashweb.model.layers import (
    ColumnMajorLinear,
    DenseEmbedding,
    DenseLinear,
    Embedding,
    Feed,
    Linear,
    MakeLinear,
    PlainFeed,
)
from flashweb.model.packing import Kind, kept_kinds
from flashweb.model.quant import Int8Linear, require_int8
from flashweb.model.quant_cuda import (
    Fp8Feed,
    Fp8Linear,
    Fp8Weight,
    Int4Weight,
    Int4WeightOnly,
    Int8Weight,
    Int8WeightOnly,
    QuantisedEmbedding,
    SkinnyLinear,
    has_fp8,
    quantise_int4,
    quantise_int8,
    require_fp8,
)

Quantization = Literal["int8", "int4", "fp8"]


@dataclass(frozen=True, slots=True)
class WeightFormat:
    name: str  # as `flashweb serve --quantization` says it
    linear: MakeLinear  # of the layers
    embedding: Callable[[Tensor], Embedding]
    head: MakeLinear  # takes the embedding's table as well as a plain matrix
    feed: Callable[[Any], Feed]  # given `kernels.fused`, or None for torch alone
    keeps: frozenset[Kind] = frozenset()  # of a checkpoint's matrices those that are stored so, as they are


def weight_format(
    device: torch.device, dtype: torch.dtype, quantization: str | None, stored: Kind | None = None
) -> WeightFormat:
    """`stored`: the kind of the checkpoint's matrices; without a quantization a card that can computes with them as
    they are. Raises ConfigError where this device has no such format."""
    if quantization is None:
        if stored is None or device.type != "cuda" or (stored == "fp8" and not has_fp8(device)):
            return plain_format(device, dtype)
        return stored_format(stored, device, dtype)
    if quantization not in get_args(Quantization):
        known = ", ".join(get_args(Quantization))
        raise ConfigError(f"quantization {quantization!r} is unknown; leave it off or use one of {known}")
    if device.type != "cpu":
        if quantization == "fp8":
            require_fp8(device)
        return cuda_format(quantization, device, dtype)
    if quantization != "int8":
        raise ConfigError(
            f"quantization {quantization} is made for CUDA GPUs and the device is {device}; use int8, or leave it off"
        )
    require_int8(device, dtype)
    keeps = kept_kinds("int8", stored, on_cpu=True)
    return WeightFormat("int8", Int8Linear, DenseEmbedding, Int8Linear, PlainFeed, keeps)


def plain_format(device: torch.device, dtype: torch.dtype) -> WeightFormat:
    linear: MakeLinear = DenseLinear
    if device.type == "cpu" and dtype == torch.float32:
        linear = ColumnMajorLinear
    elif device.type == "cuda" and dtype == torch.bfloat16:
        linear = SkinnyLinear
    return WeightFormat("none", linear, DenseEmbedding, linear, PlainFeed)


def cuda_format(name: str, device: torch.device, dtype: torch.dtype) -> WeightFormat:
    """A quantised format whether or not the device has kernels for it: without them, torch computes the same numbers,
    slowly (for tests)."""

    def int8_table(table: Tensor) -> Embedding:
        return QuantisedEmbedding(quantise_int8(table), dtype)

    def int4_table(table: Tensor) -> Embedding:
        return QuantisedEmbedding(quantise_int4(table), dtype)

    keeps = kept_kinds(name, None, on_cpu=False)
    if name == "int8":
        linear = _by_layout(Int8WeightOnly)
        return WeightFormat(name, linear, int8_table, linear, PlainFeed, keeps)
    if name == "int4":
        linear = _by_layout(Int4WeightOnly)
        return WeightFormat(name, linear, int4_table, linear, PlainFeed, keeps)
    assert name == "fp8", name
    head = _by_layout(Int8WeightOnly)
    return WeightFormat(name, Fp8Linear, int8_table, head, lambda _: Fp8Feed(device), keeps)


def stored_format(kind: Kind, device: torch.device, dtype: torch.dtype) -> WeightFormat:
    """Matrices in the checkpoint's own numbers, what it stores plain plain; layers in fp8 all in fp8."""
    plain, keeps = plain_format(device, dtype), kept_kinds("none", kind, on_cpu=False)
    linear = _by_layout(plain.linear)
    if kind == "fp8":
        return WeightFormat(kind, Fp8Linear, DenseEmbedding, linear, lambda _: Fp8Feed(device), keeps)
    return WeightFormat(kind, linear, DenseEmbedding, linear, PlainFeed, keeps)


def _by_layout(otherwise: MakeLinear) -> MakeLinear:
    """The linear map of a weight's own layout; `otherwise` makes those of plain ones."""

    def make(weight: Any, bias: Tensor | None) -> Linear:
        if isinstance(weight, Int8Weight):
            return Int8WeightOnly(weight, bias)
        if isinstance(weight, Int4Weight):
            return Int4WeightOnly(weight, bias)
        return Fp8Linear(weight, bias) if isinstance(weight, Fp8Weight) else otherwise(weight, bias)

    return make
