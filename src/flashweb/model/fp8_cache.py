"""A key-value cache in e4m3: half the memory of bf16's, and half of what a decode step reads of its contexts.

Every head's key, and every value, of a token has a scale of its own, a power of two: GLM's checkpoints bring none, and
nothing has to be known before the first token. With it the head's largest value lies in (224, 448], so that none is cut
off and the others keep e4m3's three bits down to 2**-14 of the largest. A power of two moves the point alone: what is
rounded is rounded once, and torch and our kernels (`kernels/e4m3.py`) get the same bits, in whatever order a context is
computed. Keys are kept as attention takes them, rotated. A number that is not finite makes the scale NaN, and so all of
its head: it cannot hide behind a largest value.

Rounded numbers are what every reader sees, also those of the step that stores them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from flashweb.model.attention import KVCache, zeros

# Of fp32's fields: the exponent's place, and what is added to a number's bits so that those of more than 1.75 x 2**k
# carry into the exponent (448 is 1.75 x 2**8).
EXPONENT_BITS, OVER_1_75 = 23, 0x1FFFFF
LARGEST_EXPONENT = 8  # e4m3's
LEAST_EXPONENT = 27  # of a scale, 2**-100, with fp32's bias of 127: its reciprocal is a number too


def quantise_heads(x: Tensor) -> tuple[Tensor, Tensor]:
    """Any float [..., head_dim] -> e4m3 as bytes, uint8 [..., head_dim], and fp32 [...], powers of two or NaN."""
    wide = x.float()
    largest = wide.abs().amax(-1)
    exponent = ((largest.view(torch.int32) + OVER_1_75) >> EXPONENT_BITS) - LARGEST_EXPONENT
    scale = (exponent.clamp_min(LEAST_EXPONENT) << EXPONENT_BITS).view(torch.float32)
    scale = scale.where(largest.isfinite(), torch.nan)
    return (wide / scale[..., None]).to(torch.float8_e4m3fn).view(torch.uint8), scale


def dequantise_heads(values: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """What `quantise_heads` gave, as `dtype` [..., head_dim]: exact in fp32 and bf16."""
    return (values.view(torch.float8_e4m3fn).float() * scale[..., None]).to(dtype)


class Fp8KVCache(KVCache):
    """`storage` holds e4m3 as bytes, uint8: not every operation knows fp8. `scale_storage` fp32 [layers, 2 * kv_heads,
    slots]."""

    def __init__(
        self,
        num_layers: int,
        num_blocks: int,
        block_size: int,
        num_kv_heads: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """`dtype`: what the numbers are read as."""
        super().__init__(num_layers, num_blocks, block_size, num_kv_heads, head_dim, dtype, device)
        self.scale_storage = zeros(tuple(self.storage.shape[:3]), torch.float32, device)
        self.scales = list(self.scale_storage.unbind(0))

    @staticmethod
    def _stored_as(dtype: torch.dtype) -> torch.dtype:
        return torch.uint8

    def store(self, layer: int, slots: Tensor, key_value: Tensor) -> Tensor:
        values, scale = quantise_heads(key_value)
        self.layers[layer].index_copy_(1, slots, values)
        self.scale_storage[layer].index_copy_(1, slots, scale)
        return dequantise_heads(values, scale, self.dtype)

    def gather(self, slots: Tensor, layer: int | None = None) -> Tensor:
        scales = self.scale_storage if layer is None else self.scale_storage[layer]
        return dequantise_heads(super().gather(slots, layer), scales.index_select(-1, slots), self.dtype)

    def views(self, first: int, count: int) -> None:
        return None

    @torch.inference_mode()
    def wipe(self, blocks: list[int]) -> None:
        super().wipe(blocks)
        self.scale_storage.view(*self.scale_storage.shape[:2], self.num_blocks, -1)[:, :, blocks] = 0

    @torch.inference_mode()
    def wipe_slots(self, slots: list[int]) -> None:
        super().wipe_slots(slots)
        self.scale_storage[:, :, slots] = 0

    @property
    def num_bytes(self) -> int:
        return super().num_bytes + self.scale_storage.nbytes
