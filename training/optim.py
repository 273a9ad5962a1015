"""Muon for matrices, AdamW for the rest, as plain tensor operations that a CUDA graph can capture.

Learning rates and the step count are device scalars, so a captured step follows the schedule. Gradients come in as a
list; nothing here calls backward.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MUON_MOMENTUM = 0.95
MUON_ROUNDS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # quintic Newton-Schulz of the Muon reference


def orthogonalise(matrices: Tensor) -> Tensor:
    """[n, r, c] -> nearly orthogonal matrices of the same shape, in bf16 (Newton-Schulz, batched)."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).bfloat16()
    a, b, c = COEFFICIENTS
    for _ in range(MUON_ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon:
    """`matrices` are 2-D tensors (views of parameters are welcome: fused projections are given as their parts)."""

    def __init__(self, matrices: Sequence[Tensor], decay: float) -> None:
        self.decay = decay
        self.groups: dict[tuple[int, int], list[int]] = {}
        for index, matrix in enumerate(matrices):
            self.groups.setdefault((matrix.shape[0], matrix.shape[1]), []).append(index)
        self.matrices = list(matrices)
        self.momenta = {
            shape: torch.zeros(len(members), *shape, device=matrices[0].device)
            for shape, members in self.groups.items()
        }

    def step(self, gradients: Sequence[Tensor], rate: Tensor) -> None:
        """One step of learning rate `rate` (a scalar tensor)."""
        for shape, members in self.groups.items():
            gradient = torch.stack([gradients[i] for i in members])
            momentum = self.momenta[shape]
            momentum.lerp_(gradient, 1 - MUON_MOMENTUM)
            update = orthogonalise(gradient.lerp(momentum, MUON_MOMENTUM)).float()
            update *= -0.2 * max(shape) ** 0.5 * rate
            targets = [self.matrices[i] for i in members]
            torch._foreach_mul_(targets, 1 - rate * self.decay)
            torch._foreach_add_(targets, list(update.unbind(0)))


class AdamW:
    """`rates` scales the learning rate per tensor; matrices decay, vectors do not."""

    def __init__(self, tensors: Sequence[Tensor], rates: Sequence[float], decay: float) -> None:
        self.tensors, self.rates = list(tensors), list(rates)
        self.decays = [decay if t.dim() > 1 else 0.0 for t in tensors]
        self.first = [torch.zeros_like(t) for t in tensors]
        self.second = [torch.zeros_like(t) for t in tensors]
        self.count = torch.zeros((), device=tensors[0].device)

    def step(self, gradients: Sequence[Tensor], rate: Tensor, betas: tuple[float, float] = (0.9, 0.95)) -> None:
        self.count += 1
        scale = (1 - betas[1] ** self.count).sqrt() / (1 - betas[0] ** self.count)
        torch._foreach_lerp_(self.first, list(gradients), 1 - betas[0])
        torch._foreach_mul_(self.second, betas[1])
        torch._foreach_addcmul_(self.second, list(gradients), list(gradients), 1 - betas[1])
        for tensor, first, second, factor, decay in zip(
            self.tensors, self.first, self.second, self.rates, self.decays, strict=True
        ):
            if decay:
                tensor.mul_(1 - rate * factor * decay)
            tensor.sub_(rate * factor * scale * first / (second.sqrt() + 1e-8))


def clip(gradients: Sequence[Tensor], limit: float) -> Tensor:
    """Scale gradients in place to a global norm of at most `limit`; returns the norm. Not-finite ones become zero."""
    norm = torch.stack(torch._foreach_norm(list(gradients))).norm()
    factor = (limit / (norm + 1e-6)).clamp_max(1.0)
    torch._foreach_mul_(list(gradients), factor)
    for gradient in gradients:
        gradient.nan_to_num_(0.0, 0.0, 0.0)
    return norm
