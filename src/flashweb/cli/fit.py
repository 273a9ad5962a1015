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

from flashweb.engine.config import EngineConfig
from flashweb.engine.memory import Card, besides_bytes, choose_weights
from flashweb.errors import CheckpointError
from flashweb.model import footprint
from flashweb.model.config import ModelConfig
from flashweb.model.ready_made import read_scheme
from flashweb.model.tensor_table import num_parameters
from flashweb.settings import Settings

DTYPE_BYTES: Mapping[str, float] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
    "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
COMPUTE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
PICTURE_TOKENS = 1369 + 69  # a picture of 1024 x 1024 px and a question
_HEADER_LIMIT = 100 << 20  # safetensors' own limit
_CPU_OVERHEAD_BYTES = 600 << 20  # what a process with torch needs beside weights and cache


@dataclass(frozen=True, slots=True)
class Fit:
    """All sizes in bytes. `budget_bytes` is 0 when the machine does not tell its memory."""

    device: str
    dtype: str
    quantization: str
    quantization_reason: str  # why it is that, where the choice was left to us
    weight_bytes: int
    kv_bytes_per_token: int
    budget_bytes: int
    left_bytes: int
    max_tokens: int  # of all requests together
    max_pictures: int  # of 1024 px, their tokens in the cache at once
    context: int  # the model's own limit for one
    besides_bytes: int = 0  # what the engine takes besides weights and KV cache
    share_bytes: int = 0  # of a GPU, what the engine may use
    max_tokens_fp8: int = 0  # `max_tokens` with --kv-cache-dtype fp8


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
    folder: Path,
    stored_bytes: int,
    settings: Settings,
    devices: Sequence[Mapping[str, Any]],
    memory: int | None,
    engine: EngineConfig | None = None,
) -> Fit:
    """`stored_bytes` are the weights as they lie on disk, 0 where there are none (then the config's are counted);
    `folder` needs only config.json; `engine`: what the engine is really told. Raises CheckpointError."""
    config = ModelConfig.read(folder)
    engine = engine or _engine_config(settings)
    on_gpu = bool(devices) and settings.engine.device != "cpu"
    dtype = settings.model.dtype if settings.model.dtype != "auto" else "bfloat16" if on_gpu else "float32"
    dtype_bytes = COMPUTE_BYTES[dtype]
    stored_as = COMPUTE_BYTES.get(config.dtype or "bfloat16", 2)
    scheme = read_scheme(folder)
    is_plain = bool(stored_bytes) and scheme is None
    num_values = round(stored_bytes / stored_as) if is_plain else num_parameters(config)
    budget = _budget(engine, devices if on_gpu else (), memory)
    share = 0
    quantization: str = settings.model.quantization
    reason, overhead = "", _CPU_OVERHEAD_BYTES
    if on_gpu:
        card = _card(devices[0], engine)
        share = card.share_bytes
        if quantization == "auto":
            choice = choose_weights(engine, config, num_values, dtype_bytes, card, scheme)
            quantization, reason = choice.quantization, choice.reason
        scheme = footprint.usable(scheme, has_fp8=card.has_fp8)
        computed = footprint.format_name(quantization, scheme)
        overhead = besides_bytes(engine, config, dtype_bytes, card, computed)
    else:
        computed = quantization = "none" if quantization == "auto" else quantization
    weights = footprint.weight_bytes(config, num_values, dtype_bytes, quantization, on_cpu=not on_gpu, scheme=scheme)
    per_token = footprint.kv_bytes_per_token(config.text, dtype_bytes, engine.kv_cache_dtype)
    per_token_fp8 = footprint.kv_bytes_per_token(config.text, dtype_bytes, "fp8")
    left = round(budget - weights - overhead) if budget else 0
    max_tokens = max(0, left // per_token)
    return Fit(
        "GPU" if on_gpu else "CPU",
        dtype,
        computed,
        reason,
        weights,
        per_token,
        budget,
        left,
        max_tokens,
        max_tokens // PICTURE_TOKENS,
        settings.engine.max_model_len or config.text.max_position_embeddings,
        overhead,
        share,
        max(0, left // per_token_fp8),
    )


def _engine_config(settings: Settings) -> EngineConfig:
    """What the size of a step depends on."""
    engine = settings.engine
    return EngineConfig(
        max_num_seqs=engine.max_num_seqs or None,
        max_num_batched_tokens=engine.max_num_batched_tokens or None,
        kv_cache_dtype=engine.kv_cache_dtype,
        encoder_cache_bytes=engine.encoder_cache_memory or None,
        gpu_memory_utilization=engine.gpu_memory_utilization,
    )


def _card(device: Mapping[str, Any], engine: EngineConfig) -> Card:
    has_fp8 = tuple(device["capability"]) >= footprint.FP8_CAPABILITY
    return Card.planned(engine, device["total"], device["total"] - device["free"], has_fp8)


def _budget(engine: EngineConfig, devices: Sequence[Mapping[str, Any]], memory: int | None) -> int:
    if devices:
        return _card(devices[0], engine).budget_bytes
    return round(memory * 0.9) if memory else 0
