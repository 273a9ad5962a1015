"""The arithmetic every block shares: linear maps, RMSNorm, the gated MLP activation.

Plain callables over tensors, no module tree: the network is read-only at run time, and what `torch.nn` adds to a
call is a measurable part of a decode step on a CPU.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

logger = logging.getLogger(__name__)


def fused_kernels(device_type: str) -> Any:
    """`kernels.fused` where there are kernels."""
    return kernels("fused", device_type)


@cache
def kernels(name: str, device_type: str) -> Any:
    """A module of `flashweb.model.kernels` on CUDA; None elsewhere and, with a line in the log, without Triton.

    Any, because Triton has no types and is not installed where there is no GPU.
    """
    if device_type != "cuda":
        return None
    try:
        return import_module(f"flashweb.model.kernels.{name}")
    except ImportError as error:
        logger.warning("the GPU's kernels cannot be loaded, which is slower: %s; install the extra gpu", error)
        return None


class Matrix(Protocol):
    """A weight matrix in the form that it is kept in."""

    num_values: int
    value_bytes: float  # scales included


class Linear(Matrix, Protocol):
    """[..., in] -> [..., out]. Takes tensors and, where the format has a form of its own for rows, those (`Feed`)."""

    def __call__(self, x: Any) -> Tensor: ...


class Embedding(Matrix, Protocol):
    """int [n] -> [n, hidden]."""

    @property
    def table(self) -> Any:
        """What a tied head is made of."""

    def __call__(self, token_ids: Tensor) -> Tensor: ...


MakeLinear = Callable[[Any, Tensor | None], Linear]


class Feed(Protocol):
    """What lies before the products of a layer, in the form that its linears take. Rows are [N, n]."""

    def normed(self, x: Tensor, norm: RmsNorm) -> Any: ...

    def add_normed(self, residual: Tensor, y: Tensor, norm: RmsNorm, next_norm: RmsNorm) -> tuple[Tensor, Any]:
        """x = residual + norm(y), on CUDA in the residual's place, and next_norm(x)."""

    def gated(self, gate_up: Tensor) -> Any: ...


class PlainFeed:
    """Rows as they are. `fused`: the module `kernels.fused`; None for torch alone."""

    def __init__(self, fused: Any) -> None:
        self._fused = fused

    def normed(self, x: Tensor, norm: RmsNorm) -> Tensor:
        if self._fused is None:
            return norm(x)
        rows: Tensor = self._fused.rms_norm(x, norm.weight, norm.eps)
        return rows

    def add_normed(self, residual: Tensor, y: Tensor, norm: RmsNorm, next_norm: RmsNorm) -> tuple[Tensor, Tensor]:
        if self._fused is None:
            x = norm.add_to(residual, y)
            return x, next_norm(x)
        x, rows = self._fused.add_norm(residual, y, norm.weight, next_norm.weight, norm.eps)
        return x, rows

    def gated(self, gate_up: Tensor) -> Tensor:
        if self._fused is None:
            return gated_silu(gate_up)
        rows: Tensor = self._fused.silu_mul(gate_up)
        return rows


class DenseLinear:
    """y = x W^T + b in the weight's own dtype."""

    __slots__ = ("bias", "num_values", "value_bytes", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = bias
        self.num_values = weight.numel()
        self.value_bytes: float = weight.itemsize

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def add_to_(self, residual: Tensor, x: Tensor) -> Tensor:
        """residual += y in place, for two-dimensional x: the product is summed where it is needed."""
        assert self.bias is None, "a bias would be forgotten"
        return residual.addmm_(x, self.weight.t())


class ColumnMajorLinear(DenseLinear):
    """The same map with the weight's columns contiguous in memory.

    A CPU's fp32 GEMM with few rows of x (decoding) is up to 1.7x faster this way, and with many rows no slower.
    """

    __slots__ = ()

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__(weight.t().contiguous().t(), bias)


class DenseEmbedding:
    """Rows of a table in its own dtype."""

    __slots__ = ("num_values", "table", "value_bytes")

    def __init__(self, table: Tensor) -> None:
        self.table = table
        self.num_values = table.numel()
        self.value_bytes: float = table.itemsize

    def __call__(self, token_ids: Tensor) -> Tensor:
        return F.embedding(token_ids, self.table)


class RmsNorm:
    """weight * x / sqrt(mean(x^2) + eps): mean and root in fp32, rounded to x's dtype, then the weight.

    On CUDA it is one kernel (`kernels.fused`). Elsewhere, in fp32, x / hypot(|x|, sqrt(n * eps)) * (weight * sqrt(n)):
    the same value from three small kernels, where torch's own runs eight on a CPU.
    """

    __slots__ = ("eps", "floor", "fused", "scaled_weight", "shape", "weight")

    def __init__(self, weight: Tensor, eps: float) -> None:
        self.weight = weight
        self.shape = tuple(weight.shape)
        self.eps = eps
        self.floor = torch.tensor((weight.numel() * eps) ** 0.5, dtype=torch.float32, device=weight.device)
        self.scaled_weight = weight * weight.numel() ** 0.5
        self.fused = fused_kernels(weight.device.type)

    def __call__(self, x: Tensor) -> Tensor:
        if self.fused is not None:
            normed: Tensor = self.fused.rms_norm(x, self.weight, self.eps)
            return normed
        if x.dtype == torch.float32:
            return self.unweighted(x).mul_(self.scaled_weight)
        return self._rounded(x).mul_(self.weight)

    def add_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """residual + norm(x); on CUDA in the residual's place."""
        if self.fused is not None:
            added: Tensor = self.fused.norm_add(residual, x, self.weight, self.eps)
            return added
        if x.dtype == torch.float32:
            return torch.addcmul(residual, self.unweighted(x), self.scaled_weight)
        return self._rounded(x).mul_(self.weight).add_(residual)

    def unweighted(self, x: Tensor) -> Tensor:
        """What `scaled_weight` is to be multiplied with, fp32."""
        length = torch.linalg.vector_norm(x, 2.0, -1, True)
        return x / torch.hypot(length, self.floor)

    def _rounded(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.shape, None, self.eps).to(x.dtype)


class NormedLinear:
    """y = W norm(x). In fp32 the norm's weight is part of W, one pass over x less; elsewhere rounding forbids it."""

    def __init__(self, norm_weight: Tensor, eps: float, weight: Tensor) -> None:
        folds = weight.dtype == torch.float32
        self._norm = RmsNorm(norm_weight, eps)
        self._before = self._norm.unweighted if folds else self._norm
        self._linear = DenseLinear(weight * self._norm.scaled_weight if folds else weight)

    def __call__(self, x: Tensor) -> Tensor:
        return self._linear(self._before(x))


def gated_silu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of a fused projection, [..., 2n] -> [..., n]; the first half is the gate."""
    fused = fused_kernels(gate_up.device.type)
    if fused is not None:
        product: Tensor = fused.silu_mul(gate_up)
        return product
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate).mul_(up)
