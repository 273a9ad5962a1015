"""Checkpoints that are quantised already: what config.json says of them, and which of that can be read.

Read are e4m3 weights with a scale a row (`X.weight` [N, K] and `X.weight_scale` [N, 1]), whose inputs are rounded by
rows as they come: compressed-tensors' format `float-quantized` of strategies `channel` and `token`, and `fbgemm_fp8`.
Knows nothing of tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from flashweb.errors import CheckpointError

Scheme = Literal["fp8"]
_FIX = (
    "read are compressed-tensors float-quantized fp8 weights by channel with dynamic activations by token, and "
    "fbgemm_fp8; take such a checkpoint, or the unquantised one with --quantization"
)


def read_scheme(folder: str | Path) -> Scheme | None:
    """How a checkpoint's matrices are stored; None where they are plain. Raises CheckpointError for what is not read.

    config.json must have been read and found good before (`ModelConfig.read`).
    """
    found = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8")).get("quantization_config")
    if found is None:
        return None
    if not isinstance(found, Mapping):
        raise CheckpointError(f"quantization_config is {found!r} in config.json, not an object; {_FIX}")
    method = found.get("quant_method")
    if method == "fbgemm_fp8":
        return "fp8"
    if method != "compressed-tensors":
        raise CheckpointError(f"the checkpoint is quantised by {method!r}, which is not read; {_FIX}")
    for group in _groups(found):
        words = _difference(group)
        if words:
            raise CheckpointError(
                f"the checkpoint is compressed-tensors of format {found.get('format')!r} with {words}, which is not "
                f"read; {_FIX}"
            )
    return "fp8"


def _groups(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    groups = found.get("config_groups")
    if not isinstance(groups, Mapping) or not groups or not all(isinstance(g, Mapping) for g in groups.values()):
        raise CheckpointError(f"quantization_config.config_groups is {groups!r} in config.json, not groups; {_FIX}")
    return list(groups.values())


def _difference(group: Mapping[str, Any]) -> str:
    """What of a group is not the scheme that is read, in words."""
    wanted = (
        ("weights", {"num_bits": 8, "type": "float", "strategy": "channel"}),
        ("input_activations", {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True}),
    )
    for part, values in wanted:
        found = group.get(part) or {}
        for key, value in values.items():
            if found.get(key) != value:
                return f"{part}.{key} {found.get(key)!r} in place of {value!r}"
    return ""
