"""8-bit linear maps for CPUs: int8 weights per output row, activations quantised on the fly.

The kernels are FBGEMM's, reached through torch's quantised operators; of the int8 paths in torch it is the only one
that is faster than fp32 here (docs/experiments.md). Weights are quantised at load from the plain checkpoint, or are
a checkpoint's own int8.

Activations get one scale per call, which holds the rows of every request of a step: a row's result depends on the
rows beside it, and so may an answer (measured: docs/model.md, "What int8 costs").
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from flashweb.errors import ConfigError
from flashweb.model.quant_cuda import Int8Weight


def require_int8(device: torch.device, dtype: torch.dtype) -> None:
    """Raises ConfigError, with the reason, where int8 linears cannot run."""
    assert device.type == "cpu", device
    if dtype != torch.float32:
        raise ConfigError(f"quantization int8 needs dtype float32 for the rest of the network, not {dtype}")
    engines = torch.backends.quantized.supported_engines
    engine = next((name for name in ("x86", "fbgemm") if name in engines), None)
    if engine is None:
        raise ConfigError(
            f"quantization int8 needs torch's fbgemm kernels; this build has only {engines}: leave it off"
        )
    torch.backends.quantized.engine = engine


def _without_python_wrapper(overload: Any) -> Any:
    """The bound kernel behind an operator's Python object, which alone takes 2 us a call (33 calls a decode step)."""
    return getattr(overload, "_op", overload)


_linear_dynamic = _without_python_wrapper(torch.ops.quantized.linear_dynamic.default)


class Int8Linear:
    """y = x W^T + b with W rounded to int8 per row (or stored so) and x to 8 bits per call, all rows by one scale. fp32
    in and out."""

    __slots__ = ("_packed", "num_values", "value_bytes")

    def __init__(self, weight: Tensor | Int8Weight, bias: Tensor | None = None) -> None:
        self.value_bytes: float = 1
        if isinstance(weight, Int8Weight):
            self.num_values, scale = weight.num_values, weight.scale
        else:
            self.num_values, scale = weight.numel(), (weight.abs().amax(dim=1) / 127).clamp_min(1e-8)
        scale, zero = scale.double(), torch.zeros(len(scale), dtype=torch.int64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch announces the removal of quantised tensor types
            if isinstance(weight, Int8Weight):
                quantised = torch._make_per_channel_quantized_tensor(weight.values, scale, zero, 0)
            else:
                quantised = torch.quantize_per_channel(weight, scale, zero, 0, torch.qint8)
            self._packed: Any = torch.ops.quantized.linear_prepack(quantised, bias)

    def __call__(self, x: Tensor) -> Tensor:
        # reduce_range: without VNNI the kernel adds pairs in 16 bits, which 8-bit activations could overflow.
        y: Tensor = _linear_dynamic(x, self._packed, True)
        return y
