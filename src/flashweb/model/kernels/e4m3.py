"""e4m3 in the attention kernels, as `fp8_cache.py` keeps it: bytes, and a power of two for every head of a token.

Writing is integer arithmetic on every card. Reading is the card's own conversion where it has one (Ada, Hopper), and
integer arithmetic before, whose instructions cost an Ampere card less than the memory it saves. Both are exact.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashweb.model import footprint, fp8_cache

EXPONENT_BITS = tl.constexpr(fp8_cache.EXPONENT_BITS)
OVER_1_75 = tl.constexpr(fp8_cache.OVER_1_75)
LARGEST_EXPONENT = tl.constexpr(fp8_cache.LARGEST_EXPONENT)
LEAST_EXPONENT = tl.constexpr(fp8_cache.LEAST_EXPONENT)
NOT_FINITE = tl.constexpr(0x7F800000)  # fp32's bits of infinity; NaN's are more
NAN = tl.constexpr(0x7FC00000)
RECIPROCAL = tl.constexpr(254 << fp8_cache.EXPONENT_BITS)  # less a power of two's bits: those of 1 over it
BITS_LEFT = tl.constexpr(20)  # of fp32's mantissa beside e4m3's three
HALF = tl.constexpr(0x7FFFF)  # just under half of the last bit that is kept
BIAS = tl.constexpr((127 - 7) << 3)  # the difference of the exponents' biases, in e4m3's place
LEAST_NORMAL = tl.constexpr(2.0**-6)
STEPS_OF_LEAST = tl.constexpr(2.0**14)  # fp32 around it goes in e4m3's least steps, 2**-9
BIAS_FACTOR = tl.constexpr(2.0**120)


@lru_cache
def reads_natively(device: torch.device) -> bool:
    """Whether the card converts e4m3 itself; a CPU stands for one that does."""
    return device.type != "cuda" or torch.cuda.get_device_capability(device) >= footprint.FP8_CAPABILITY


def check_scales(cache_layer: Tensor, scales: Tensor | None) -> None:
    """Asserts that a layer of the cache and its scales belong together: bytes with, other numbers without."""
    assert (cache_layer.dtype == torch.uint8) == (scales is not None), cache_layer.dtype
    if scales is not None:
        assert scales.shape == cache_layer.shape[:2] and scales.dtype == torch.float32, scales.shape
        assert scales.stride(0) * cache_layer.shape[2] == cache_layer.stride(0), "a head's scales lie like its numbers"
        assert scales.stride(1) == 1, scales.stride()


def read_heads(cache_layer: Tensor, scales: Tensor, slots: Tensor) -> Tensor:
    """Some slots of a layer in torch, for the kernels' references: fp32 [2 * kv_heads, N, head_dim]."""
    return fp8_cache.dequantise_heads(cache_layer[:, slots], scales[:, slots], torch.float32)


@triton.jit  # type: ignore[untyped-decorator]
def head_scale(x: tl.tensor) -> tl.tensor:
    """fp32 [heads, head_dim] -> [heads]: the power of two by which each head is divided; NaN where it is not finite."""
    largest = tl.max(x.to(tl.int32, bitcast=True) & 0x7FFFFFFF, axis=1)  # ordered as the magnitudes are, NaN on top
    exponent = tl.maximum(((largest + OVER_1_75) >> EXPONENT_BITS) - LARGEST_EXPONENT, LEAST_EXPONENT)
    exponent = tl.where(largest < NOT_FINITE, exponent << EXPONENT_BITS, NAN)
    return exponent.to(tl.float32, bitcast=True)


@triton.jit  # type: ignore[untyped-decorator]
def to_e4m3(x: tl.tensor, scale: tl.tensor) -> tl.tensor:
    """fp32 [heads, head_dim] / [heads] -> uint8, rounded to the nearest, ties to even; at most 448 is assumed."""
    inverse = (-scale.to(tl.int32, bitcast=True) + RECIPROCAL).to(tl.float32, bitcast=True)
    scaled = x * inverse[:, None]
    bits = scaled.to(tl.int32, bitcast=True)
    magnitude = bits & 0x7FFFFFFF
    normal = ((magnitude + HALF + ((magnitude >> BITS_LEFT) & 1)) >> BITS_LEFT) - BIAS
    small = tl.abs(scaled)
    # Below the least normal number the steps are equal, and fp32's own rounding counts them.
    steps = (small + STEPS_OF_LEAST).to(tl.int32, bitcast=True) & 0xFF
    return (tl.where(small < LEAST_NORMAL, steps, normal) | ((bits >> 24) & 0x80)).to(tl.uint8)


@triton.jit  # type: ignore[untyped-decorator]
def from_e4m3(values: tl.tensor, dtype: tl.constexpr, NATIVE: tl.constexpr) -> tl.tensor:
    """uint8 -> `dtype`, fp32 or bf16; the scale is for the caller to apply. NaN's byte may become 480: it is the scale
    that tells."""
    if NATIVE:
        return values.to(tl.float8e4nv, bitcast=True).to(dtype)
    # e4m3's fields in fp32's places are the number times 2**-120, subnormal numbers included.
    spread = (values.to(tl.int8, bitcast=True).to(tl.int32) << BITS_LEFT) & -0x78100000
    return (spread.to(tl.float32, bitcast=True) * BIAS_FACTOR).to(dtype)
