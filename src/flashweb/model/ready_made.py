"""Checkpoints that are quantised already: what config.json says of them, and which of that can be read.

| quant_method | read are |
|---|---|
| compressed-tensors | float-quantized: e4m3 by channel, inputs rounded by token as they come |
| | pack-quantized (4 or 8 bits), int-quantized (8): by channel or group, symmetric or not |
| fbgemm_fp8 | as float-quantized |
| awq | version gemm, 4 bits, with zero points |
| gptq | 4 or 8 bits, symmetric, columns in their own order |

Integers are weights only: where a checkpoint rounds activations too (W8A8), ours stay as they are. The config says how
a matrix would be stored; whether it is, its tensors say (`stored_check.py`). Knows nothing of tensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from flashweb.errors import CheckpointError
from flashweb.model.packing import Kind, Layout, Packing

_FIX = (
    "read are compressed-tensors (float-quantized fp8 weights by channel with dynamic activations by token; "
    "pack-quantized and int-quantized integers of 4 or 8 bits by channel or group), fbgemm_fp8, awq (gemm) and gptq "
    "(symmetric, desc_act false); take such a checkpoint, or the unquantised one with --quantization"
)
_LAYOUTS: Mapping[str, Layout] = {"float-quantized": "fp8", "pack-quantized": "packed", "int-quantized": "int8"}
_BY_CHANNEL = Packing("fp8", 8)
_EMBEDDINGS = ("embed_tokens", "position_embedding")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a checkpoint's matrices are stored, by the module that they belong to."""

    rules: tuple[tuple[tuple[str, ...], Packing], ...]  # targets: names, "re:" and a pattern, classes
    ignore: tuple[str, ...] = ()
    rounds_activations: bool = False  # to integers, which we do not

    @property
    def kind(self) -> Kind:
        """The narrowest, in the names of our own layouts."""
        if any(packing.layout == "fp8" for _, packing in self.rules):
            return "fp8"
        return "int4" if any(packing.bits == 4 for _, packing in self.rules) else "int8"

    def of(self, module: str) -> Packing | None:
        """How the matrix of `module` is stored; None where it is plain. A name goes before a pattern, a pattern before
        a class."""
        of_class = "Embedding" if module.endswith(_EMBEDDINGS) else "Linear"
        if any(_rank(target, module, of_class) for target in self.ignore):
            return None
        ranked = [
            (max(_rank(target, module, of_class) for target in targets), packing) for targets, packing in self.rules
        ]
        best = max(ranked, key=lambda pair: pair[0])
        return best[1] if best[0] else None


def _rank(target: str, module: str, of_class: str) -> int:
    """0 where a target does not mean the module, more where it does so more closely."""
    if target.startswith("re:"):
        return 2 if re.match(target[3:], module) else 0
    return 3 if target == module else 1 if target == of_class else 0


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
        return Scheme(((("Linear",), _BY_CHANNEL),), _parts_left_out(found) or ("lm_head",))
    if method == "compressed-tensors":
        return _compressed_tensors(found)
    if method == "awq":
        return _awq(found)
    if method == "gptq":
        return _gptq(found)
    raise CheckpointError(f"the checkpoint is quantised by {method!r}, which is not read; {_FIX}")


def _compressed_tensors(found: Mapping[str, Any]) -> Scheme:
    for field in ("kv_cache_scheme", "transform_config"):
        if found.get(field):
            _refuse(field, found[field], "nothing")
    sparsity = found.get("sparsity_config") or {}
    if not isinstance(sparsity, Mapping) or sparsity.get("format", "dense") != "dense":
        _refuse("sparsity_config", sparsity, "nothing, or format 'dense'")
    groups = found.get("config_groups")
    if not isinstance(groups, Mapping) or not groups or not all(isinstance(g, Mapping) for g in groups.values()):
        raise CheckpointError(f"quantization_config.config_groups is {groups!r} in config.json, not groups; {_FIX}")
    rules = [_rule(f"config_groups.{name}.", group, found.get("format")) for name, group in groups.items()]
    if len({packing.layout == "fp8" for _, packing in rules}) > 1:
        _refuse("config_groups", list(groups), "groups of integers alone or of fp8 alone")
    integers = any(g.get("input_activations") for g in groups.values()) and rules[0][1].layout != "fp8"
    return Scheme(tuple(rules), _names(found, "ignore"), rounds_activations=integers)


def _rule(field: str, group: Mapping[str, Any], whole_format: Any) -> tuple[tuple[str, ...], Packing]:
    """Targets and packing of one group."""
    weights = group.get("weights")
    if not isinstance(weights, Mapping):
        _refuse(field + "weights", weights, "an object")
    stated = group.get("format") or whole_format or ("float-quantized" if weights.get("type") == "float" else None)
    if stated == "naive-quantized":
        stated = "float-quantized" if weights.get("type") == "float" else "int-quantized"
    layout = _LAYOUTS.get(stated) if isinstance(stated, str) else None
    if layout is None:
        _refuse(field + "format" if group.get("format") else "format", stated, " or ".join(map(repr, _LAYOUTS)))
    activations = group.get("input_activations") or {}
    targets = _names(group, "targets", field)
    if layout == "fp8":
        _expect(field + "weights", weights, {"num_bits": (8,), "type": ("float",), "strategy": ("channel",)})
        token = {"num_bits": (8,), "type": ("float",), "strategy": ("token",), "dynamic": (True,)}
        _expect(field + "input_activations", activations, token)
        return targets, _BY_CHANNEL
    bits = (4, 8) if layout == "packed" else (8,)
    _expect(field + "weights", weights, {"num_bits": bits, "type": ("int",), "strategy": ("channel", "group")})
    _expect(field + "weights", weights, {"dynamic": (False, None), "symmetric": (True, False, None)})
    if activations:
        _expect(field + "input_activations", activations, {"dynamic": (True,)})
    if group.get("output_activations"):
        _refuse(field + "output_activations", group["output_activations"], "nothing")
    by_group = weights["strategy"] == "group"
    size = _group_size(field + "weights.group_size", weights.get("group_size")) if by_group else None
    reorders = weights.get("actorder") in ("group", "dynamic")  # "weight", "static": only while it was made
    symmetric = weights.get("symmetric") is not False
    return targets, Packing(layout, int(weights["num_bits"]), size, symmetric, reorders=reorders)


def _awq(found: Mapping[str, Any]) -> Scheme:
    _expect("", found, {"bits": (4,), "zero_point": (True,)})
    version = str(found.get("version", "gemm")).lower()
    if version != "gemm":
        _refuse("version", found["version"], "'gemm'")
    packing = Packing("awq", 4, _group_size("group_size", found.get("group_size")), symmetric=False)
    return Scheme(((("Linear",), packing),), ("lm_head", *_parts_left_out(found)))


def _gptq(found: Mapping[str, Any]) -> Scheme:
    _expect("", found, {"bits": (4, 8), "sym": (True, None), "checkpoint_format": (None, "gptq", "gptq_v2")})
    size = found.get("group_size")
    offset = 0 if found.get("checkpoint_format") == "gptq_v2" else 1
    group_size = None if size == -1 else _group_size("group_size", size)
    # desc_act alone may be harmless: what counts is whether columns were sorted, which g_idx says (`stored_check.py`).
    reorders = bool(found.get("desc_act"))
    packing = Packing("gptq", int(found["bits"]), group_size, zero_offset=offset, reorders=reorders)
    rules = found.get("dynamic") or {}
    # "-:" and a pattern: modules left plain. Others change bits or groups for some.
    if not isinstance(rules, Mapping) or not all(str(key).startswith("-:") for key in rules):
        _refuse("dynamic", rules, "nothing but modules left out ('-:' and a pattern)")
    ignore = tuple(_checked("dynamic", "re:" + str(key)[2:]) for key in rules)
    return Scheme(((("Linear",), packing),), ignore if found.get("lm_head") else (*ignore, "lm_head"))


def _parts_left_out(found: Mapping[str, Any]) -> tuple[str, ...]:
    """`modules_to_not_convert`, which may be parts of names, as patterns."""
    return tuple(f"re:.*{re.escape(name)}" for name in _names(found, "modules_to_not_convert"))


def _group_size(field: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 2:
        _refuse(field, value, "a whole number of columns")
    return int(value)


def _names(found: Mapping[str, Any], key: str, field: str = "") -> tuple[str, ...]:
    values = found.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        _refuse(field + key, values, "a list of names")
    return tuple(_checked(field + key, value) for value in values)


def _checked(field: str, name: str) -> str:
    """The name, if it is no pattern or one that can be used."""
    try:
        re.compile(name[3:] if name.startswith("re:") else "")
    except re.error as error:
        _refuse(field, name, f"a regular expression ({error})")
    return name


def _expect(field: str, found: Any, wanted: Mapping[str, tuple[Any, ...]]) -> None:
    values = found if isinstance(found, Mapping) else {}
    for key, allowed in wanted.items():
        if values.get(key) not in allowed:
            _refuse(f"{field}.{key}".lstrip("."), values.get(key), " or ".join(map(repr, allowed)))


def _refuse(field: str, value: Any, wanted: str) -> NoReturn:
    raise CheckpointError(
        f"the checkpoint is quantised with {field} {value!r} in place of {wanted} (quantization_config in "
        f"config.json), which is not read; {_FIX}"
    )
