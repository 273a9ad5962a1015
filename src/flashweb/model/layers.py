"""The arithmetic every block shares: linear maps, RMSNorm, the gated MLP activation.

Plain callables over tensors, no module tree: the network is read-only at run time, and what `torch.nn` adds to a
call is a measurable part of a decode step on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Linear = Callable[[Tensor], Tensor]  # [..., in] -> [..., out]
MakeLinear = Callable[[Tensor, Tensor | None], Linear]


class DenseLinear:
    """y = x W^T + b in the weight's own dtype."""

    __slots__ = ("bias", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class RmsNorm:
    """weight * x / sqrt(mean(x^2) + eps): mean and root in fp32, rounded to x's dtype, then the weight."""

    __slots__ = ("eps", "shape", "weight")

    def __init__(self, weight: Tensor, eps: float) -> None:
        self.weight = weight
        self.shape = tuple(weight.shape)
        self.eps = eps

    def __call__(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return F.rms_norm(x, self.shape, self.weight, self.eps)
        return F.rms_norm(x.float(), self.shape, None, self.eps).to(x.dtype).mul_(self.weight)


def gated_silu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of a fused projection, [..., 2n] -> [..., n]; the first half is the gate."""
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate).mul_(up)
