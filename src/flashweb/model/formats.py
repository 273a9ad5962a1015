"""How the decoder keeps its matrices: which linear maps, which embedding, which rows between them.

| quantization | device | layers | embedding and head |
|---|---|---|---|
| none | any | the checkpoint's numbers in the network's dtype | the same |
| int8 | CPU | int8 by rows, activations too | the same; the embedding plain |
| int8 | CUDA | int8 by rows | int8 by rows |
| int4 | CUDA | int4 by groups | int4 by groups |
| fp8 | CUDA | e4m3 by rows, activations too | int8 by rows: it rounds three times less (docs/experiments.md) |
| none, the checkpoint's matrices stored in fp8 | CUDA with fp8 | the checkpoint's e4m3, activations too | plain |

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
    MakeLinear,
    PlainFeed,
)
from flashweb.model.quant import Int8Linear, require_int8
from flashweb.model.quant_cuda import (
    Fp8Feed,
    Fp8Linear,
    Int4WeightOnly,
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
    keeps_fp8: bool = False  # of a checkpoint that is stored so


def weight_format(
    device: torch.device, dtype: torch.dtype, quantization: str | None, stored: str | None = None
) -> WeightFormat:
    """`stored`: "fp8" where the checkpoint's matrices are; without a quantization a card that can computes with them
    as they are. Raises ConfigError where this device has no such format."""
    if quantization is None:
        keeps = stored == "fp8" and device.type == "cuda" and has_fp8(device)
        return stored_fp8_format(device, dtype) if keeps else plain_format(device, dtype)
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
    return WeightFormat("int8", Int8Linear, DenseEmbedding, Int8Linear, PlainFeed)


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

    if name == "int8":
        return WeightFormat(name, Int8WeightOnly, int8_table, Int8WeightOnly, PlainFeed)
    if name == "int4":
        return WeightFormat(name, Int4WeightOnly, int4_table, Int4WeightOnly, PlainFeed)
    assert name == "fp8", name
    return WeightFormat(name, Fp8Linear, int8_table, Int8WeightOnly, lambda _: Fp8Feed(device), keeps_fp8=True)


def stored_fp8_format(device: torch.device, dtype: torch.dtype) -> WeightFormat:
    """Layers in the checkpoint's own fp8, embedding and head plain as it stores them."""
    plain = plain_format(device, dtype)
    return WeightFormat("fp8", Fp8Linear, DenseEmbedding, plain.head, lambda _: Fp8Feed(device), keeps_fp8=True)
