"""Will a model fit? Weights from the checkpoint's headers, KV cache from its shapes, memory from the machine.

An estimate made without loading anything; the engine measures for itself when it starts. Knows no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashweb.errors import CheckpointError
from flashweb.model.config import ModelConfig
from flashweb.settings import Settings

DTYPE_BYTES: Mapping[str, float] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
    "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
_COMPUTE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_HEADER_LIMIT = 100 << 20  # safetensors' own limit
# What a process with torch needs beside weights and cache, and what activations of a long prefill take.
_OVERHEAD_BYTES = {"CPU": 600 << 20, "GPU": 2 << 30}


@dataclass(frozen=True, slots=True)
class Fit:
    """All sizes in bytes. `budget_bytes` is 0 when the machine does not tell its memory."""

    device: str
    dtype: str
    quantization: str
    weight_bytes: int
    kv_bytes_per_token: int
    budget_bytes: int
    left_bytes: int
    max_tokens: int  # of all requests together
    context: int  # the model's own limit for one


def folder_weights(folder: Path) -> int:
    """Bytes of all tensors in the folder's safetensors files."""
    return sum(size for _, size in tensor_sizes(folder))


def tensor_sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """(name, bytes) of every tensor, from the headers alone. Raises CheckpointError."""
    for path in sorted(folder.glob("*.safetensors")):
        for name, entry in read_header(path).items():
            yield name, round(math.prod(entry["shape"]) * DTYPE_BYTES[entry["dtype"]])


def read_header(path: Path) -> dict[str, Any]:
    """A safetensors file's table: 8 bytes of length (little endian), then JSON. Raises CheckpointError."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= min(_HEADER_LIMIT, path.stat().st_size):
                raise ValueError(f"its header claims {length} bytes")
            header = json.loads(file.read(length))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        unknown = {entry["dtype"] for entry in tensors.values()} - set(DTYPE_BYTES)
        if unknown:
            raise ValueError(f"unknown number format {unknown}")
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        if 8 + length + end != path.stat().st_size:
            raise ValueError(f"{path.stat().st_size} bytes instead of {8 + length + end}")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{path} is no whole safetensors file: {error}; get it anew") from error
    return tensors


def estimate_fit(
    folder: Path, stored_bytes: int, settings: Settings, devices: Sequence[Mapping[str, Any]], memory: int | None
) -> Fit:
    """`stored_bytes` are the weights as they lie on disk; `folder` needs only config.json. Raises CheckpointError."""
    config = ModelConfig.read(folder)
    wanted = settings.engine.device
    on_gpu = bool(devices) and wanted != "cpu"
    dtype = settings.model.dtype if settings.model.dtype != "auto" else "bfloat16" if on_gpu else "float32"
    stored = _COMPUTE_BYTES.get(config.dtype or "bfloat16", 2)
    weights = stored_bytes / stored * _COMPUTE_BYTES[dtype]
    if settings.model.quantization == "int8":
        linears = _decoder_linear_params(config)
        weights -= linears * (_COMPUTE_BYTES[dtype] - 1)
    text = config.text
    per_token = 2 * text.num_layers * text.num_kv_heads * text.head_dim * _COMPUTE_BYTES[dtype]
    device = "GPU" if on_gpu else "CPU"
    budget = _budget(settings, devices if on_gpu else (), memory)
    left = round(budget - weights - _OVERHEAD_BYTES[device]) if budget else 0
    return Fit(
        device,
        dtype,
        settings.model.quantization,
        round(weights),
        per_token,
        budget,
        left,
        max(0, left // per_token),
        settings.engine.max_model_len or text.max_position_embeddings,
    )


def _budget(settings: Settings, devices: Sequence[Mapping[str, Any]], memory: int | None) -> int:
    if devices:
        share = settings.engine.gpu_memory_utilization
        return int(min(devices[0]["free"], devices[0]["total"] * share))
    return round(memory * 0.9) if memory else 0


def _decoder_linear_params(config: ModelConfig) -> int:
    text = config.text
    attention = text.hidden_size * text.head_dim * (2 * text.num_heads + 2 * text.num_kv_heads)
    return text.num_layers * (attention + 3 * text.hidden_size * text.intermediate_size)
