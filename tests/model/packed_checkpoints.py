"""Checkpoints of packed integers, written from their formats' definitions: numbers by numbers, apart from the product.

    write(folder, {"k_proj": Stored("awq", 4, 32)}, ...)  ->  a checkpoint, and the plain one of the same numbers

Definitions: compressed-tensors packs along rows from the lowest bits on, zero points along columns, both less their
smallest value; AutoAWQ packs transposed matrices along their rows with columns 0, 2, 4, 6, 1, 3, 5, 7 in a word; GPTQ
packs transposed matrices along their columns and zero points, less one, along their rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
IN_ORDER = tuple(range(8))


@dataclass(frozen=True)
class Stored:
    """How a matrix is written."""

    layout: str  # packed, int8, awq, gptq
    bits: int = 4
    group: int | None = None  # None: a row
    symmetric: bool = True
    scale_dtype: torch.dtype = torch.float16
    version: int = 1  # of GPTQ


def words(numbers: NDArray[np.int64], bits: int, order: tuple[int, ...] = IN_ORDER) -> torch.Tensor:
    """[n, m] of 0..2^bits - 1 -> int32 [n, m bits / 32], number order[i] of a word in its bits from bits * i on."""
    per_word = 32 // bits
    filled = np.pad(numbers, ((0, 0), (0, -numbers.shape[1] % per_word))).reshape(len(numbers), -1, per_word)
    packed = np.zeros(filled.shape[:2], np.uint64)
    for i in range(per_word):
        packed |= filled[:, :, order[i]].astype(np.uint64) << np.uint64(bits * i)
    return torch.from_numpy(packed.astype(np.uint32).view(np.int32))


def stored_matrix(
    module: str, shape: tuple[int, ...], how: Stored, seed: int
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """A random matrix's tensors in a checkpoint, and the same numbers plain in fp32."""
    rng = np.random.default_rng(seed)
    (rows, columns), middle = shape, 1 << (how.bits - 1)
    size = how.group or columns
    levels = rng.integers(0, 2 * middle, (rows, columns))
    zeros = rng.integers(1, 2 * middle, (rows, columns // size))
    if how.symmetric:
        zeros[:] = middle
    scale = torch.from_numpy(rng.uniform(0.3, 1.0, zeros.shape)).float() * (0.3 / middle)
    scale = scale.to(how.scale_dtype)
    centred = torch.from_numpy(levels - zeros.repeat(size, 1)).float()
    plain = centred * scale.float().repeat_interleave(size, 1)
    if how.layout == "packed":
        parts = {
            "weight_packed": words(levels, how.bits),
            "weight_scale": scale,
            "weight_shape": torch.tensor(shape),
        }
        if not how.symmetric:
            parts["weight_zero_point"] = words(zeros.T, how.bits).t().contiguous()
    elif how.layout == "int8":
        parts = {"weight": torch.from_numpy(levels - 128).to(torch.int8), "weight_scale": scale}
        if not how.symmetric:
            parts["weight_zero_point"] = torch.from_numpy(zeros - 128).to(torch.int8)
    else:
        awq = how.layout == "awq"
        parts = {
            "qweight": words(levels.T, 4, AWQ_ORDER) if awq else words(levels, how.bits).t().contiguous(),
            "qzeros": words(zeros.T, 4, AWQ_ORDER) if awq else words(zeros.T - (how.version == 1), how.bits),
            "scales": scale.t().contiguous(),
        }
        if not awq:
            parts["g_idx"] = torch.arange(columns, dtype=torch.int32) // size
    return {f"{module}.{name}": tensor for name, tensor in parts.items()}, plain


def write(
    base: Path, quantised: Path, plain: Path, how: Callable[[str], Stored | None], config: dict[str, Any]
) -> tuple[Path, Path]:
    """Writes the checkpoint `base` twice: with its decoder's matrices random and stored as `how` says of their module
    (None: as they are), `config` being the quantization_config; and plain with the same numbers."""
    stored = load_file(base / "model.safetensors")
    same = dict(stored)
    for seed, (name, tensor) in enumerate(sorted(stored.items())):
        module = name.removesuffix(".weight")
        way = how(module) if tensor.ndim == 2 and ("language_model.layers." in name or name.startswith("lm_")) else None
        if way is not None:
            del stored[name]
            parts, same[name] = stored_matrix(module, tuple(tensor.shape), way, seed)
            stored |= parts
    document = json.loads((base / "config.json").read_text())
    for folder, tensors, more in ((quantised, stored, {"quantization_config": config}), (plain, same, {})):
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(document | more))
    return quantised, plain


def compressed(layout: str, bits: int, group: int | None, symmetric: bool = True, **more: Any) -> dict[str, Any]:
    """A quantization_config of compressed-tensors with one group."""
    weights = {
        "num_bits": bits, "type": "int", "strategy": "group" if group else "channel", "group_size": group,
        "symmetric": symmetric, "dynamic": False, "actorder": None,
    }  # fmt: skip
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized" if layout == "packed" else "int-quantized",
        "quantization_status": "compressed",
        "kv_cache_scheme": None,
        "ignore": ["lm_head", "re:.*visual.*"],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, "input_activations": None}},
    } | more


def awq(group: int) -> dict[str, Any]:
    return {
        "quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm",
        "modules_to_not_convert": ["visual"],
    }  # fmt: skip


def gptq(bits: int, group: int, version: int = 1) -> dict[str, Any]:
    return {
        "quant_method": "gptq", "bits": bits, "group_size": group, "sym": True, "desc_act": False,
        "checkpoint_format": "gptq" if version == 1 else "gptq_v2",
    }  # fmt: skip
