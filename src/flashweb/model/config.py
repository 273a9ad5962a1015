"""`ModelConfig`: a checkpoint's `config.json`, read, checked and brought to one form.

Both spellings in use are read: the newer one (`rope_parameters`, nested `text_config` and `vision_config`) and
GLM-4.1V's (`rope_scaling`, `rope_theta` and `partial_rotary_factor` side by side, the text keys nested or at the
top level). Every value the network would have to guess about is refused with the value and the fix. Knows nothing
of tensors or torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flashweb.errors import CheckpointError

SUPPORTED_MODEL_TYPE = "glm4v"
_MISSING = object()


@dataclass(frozen=True, slots=True)
class TextConfig:
    vocab_size: int  # rows of the embedding, padding included
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    mrope_section: tuple[int, int, int]  # frequencies of the temporal, height and width axis
    max_position_embeddings: int

    @property
    def rotary_dim(self) -> int:
        """Leading dimensions of each head that are rotated; the rest pass through."""
        return 2 * sum(self.mrope_section)


@dataclass(frozen=True, slots=True)
class VisionConfig:
    depth: int
    hidden_size: int
    num_heads: int
    out_hidden_size: int  # width of the block MLPs and of the text decoder (a trap of the architecture's naming)
    intermediate_size: int  # width of the merger's MLP only
    image_size: int  # pixels; only sizes the position table
    patch_size: int
    spatial_merge_size: int
    temporal_patch_size: int
    in_channels: int
    rms_norm_eps: float
    rope_theta: float

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads

    @property
    def table_side(self) -> int:
        """Side of the square table of absolute position embeddings."""
        return self.image_size // self.patch_size

    @property
    def patch_values(self) -> int:
        """Columns of one uint8 patch row: channels x patch x patch, one copy of a still frame."""
        return self.in_channels * self.patch_size**2


@dataclass(frozen=True, slots=True)
class ModelConfig:
    text: TextConfig
    vision: VisionConfig
    tie_word_embeddings: bool
    image_token_id: int
    video_token_id: int
    dtype: str | None  # what the checkpoint says it was saved in; informative only

    @staticmethod
    def read(folder: str | Path) -> ModelConfig:
        """Reads `config.json` of a checkpoint folder. Raises CheckpointError."""
        path = Path(folder) / "config.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(
                f"{path} does not exist; a checkpoint folder holds config.json, tokenizer.json and *.safetensors"
            ) from None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read as JSON ({error}); download the file again") from None
        if not isinstance(document, dict):
            raise CheckpointError(f"{path} holds a {type(document).__name__}, not a JSON object; download it again")
        return ModelConfig.from_dict(document)

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> ModelConfig:
        model_type = document.get("model_type")
        if model_type != SUPPORTED_MODEL_TYPE:
            raise CheckpointError(
                f"config.json says model_type {model_type!r}; only {SUPPORTED_MODEL_TYPE!r} (GLM-4.6V-Flash, "
                "GLM-4.1V-9B and models of their architecture) can be loaded: choose another checkpoint"
            )
        nested = document.get("text_config")
        flat = nested is None
        text = _Keys(document if flat else nested, "config.json" if flat else "text_config")
        vision = _Keys(document.get("vision_config"), "vision_config")
        root = _Keys(document, "config.json")
        config = ModelConfig(
            text=_read_text(text),
            vision=_read_vision(vision),
            tie_word_embeddings=root.flag("tie_word_embeddings", text.flag("tie_word_embeddings", False)),
            image_token_id=root.count("image_token_id"),
            video_token_id=root.count("video_token_id", -1),
            dtype=document.get("dtype") or document.get("torch_dtype") or text.values.get("dtype"),
        )
        if config.vision.out_hidden_size != config.text.hidden_size:
            raise CheckpointError(
                f"vision_config.out_hidden_size is {config.vision.out_hidden_size} but text hidden_size is "
                f"{config.text.hidden_size}; picture features replace word embeddings, so they must be equal"
            )
        return config


class _Keys:
    """A section of config.json whose values are checked as they are taken."""

    def __init__(self, values: Any, section: str) -> None:
        if not isinstance(values, Mapping):
            raise CheckpointError(
                f"config.json has no {section} object (found {values!r}); this is not a complete glm4v checkpoint"
            )
        self.values = values
        self.section = section

    def take(self, key: str, default: Any = _MISSING) -> Any:
        value = self.values.get(key)
        if value is not None:
            return value
        if default is _MISSING:
            raise CheckpointError(f"{self.section}.{key} is missing in config.json; restore it from the original file")
        return default

    def count(self, key: str, default: Any = _MISSING) -> int:
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or (value <= 0 and value != default):
            self.refuse(key, value, "a positive whole number")
        return int(value)

    def number(self, key: str, default: Any = _MISSING) -> float:
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            self.refuse(key, value, "a positive number")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            self.refuse(key, value, "true or false")
        return bool(value)

    def only(self, key: str, allowed: Any) -> None:
        """A value that changes the network and that is supported in one form (or absent)."""
        value = self.take(key, allowed)
        if value != allowed:
            self.refuse(key, value, f"{allowed!r}, the only form of this architecture that is implemented")

    def refuse(self, key: str, value: Any, expected: str) -> None:
        raise CheckpointError(f"{self.section}.{key} is {value!r} in config.json; it must be {expected}")


def _read_text(keys: _Keys) -> TextConfig:
    keys.only("hidden_act", "silu")
    hidden = keys.count("hidden_size")
    heads = keys.count("num_attention_heads")
    kv_heads = keys.count("num_key_value_heads", heads)
    if "head_dim" not in keys.values and hidden % heads:
        keys.refuse("num_attention_heads", heads, f"a divisor of hidden_size {hidden} when head_dim is not given")
    head_dim = keys.count("head_dim", hidden // heads)
    if heads % kv_heads:
        keys.refuse("num_key_value_heads", kv_heads, f"a divisor of num_attention_heads {heads}")
    theta, section = _read_text_rope(keys, head_dim)
    return TextConfig(
        vocab_size=keys.count("vocab_size"),
        hidden_size=hidden,
        intermediate_size=keys.count("intermediate_size"),
        num_layers=keys.count("num_hidden_layers"),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        rms_norm_eps=keys.number("rms_norm_eps"),
        rope_theta=theta,
        mrope_section=section,
        max_position_embeddings=keys.count("max_position_embeddings"),
    )


def _read_text_rope(keys: _Keys, head_dim: int) -> tuple[float, tuple[int, int, int]]:
    """Theta and the three sections, from `rope_parameters` or from the older flat keys.

    `rope_parameters` may carry theta and the partial factor or leave them beside it; the nested value wins.
    """
    nested = keys.values.get("rope_parameters") or keys.values.get("rope_scaling") or {}
    rope = _Keys({**keys.values, **nested}, f"{keys.section} rope_parameters")
    rope_type = nested.get("rope_type") or nested.get("type") or "default"
    if rope_type not in ("default", "mrope"):
        rope.refuse("rope_type", rope_type, "'default': scaled rotary embeddings are not implemented for this model")
    section = rope.take("mrope_section", [8, 12, 12])
    whole = isinstance(section, list | tuple) and all(isinstance(n, int) and n > 0 for n in section)
    if not whole or len(section) != 3:
        rope.refuse("mrope_section", section, "three positive whole numbers (temporal, height, width)")
    factor = rope.number("partial_rotary_factor", 2 * sum(section) / head_dim)
    rotary_dim = int(head_dim * factor)
    if rotary_dim != 2 * sum(section):
        half = f"half of head_dim {head_dim} x partial_rotary_factor {factor}"
        rope.refuse("mrope_section", section, f"of sum {rotary_dim / 2:g}, {half}")
    return rope.number("rope_theta"), (section[0], section[1], section[2])


def _read_vision(keys: _Keys) -> VisionConfig:
    keys.only("hidden_act", "silu")
    keys.only("attention_bias", False)
    rope = keys.values.get("rope_parameters") or {}
    config = VisionConfig(
        depth=keys.count("depth"),
        hidden_size=keys.count("hidden_size"),
        num_heads=keys.count("num_heads"),
        out_hidden_size=keys.count("out_hidden_size"),
        intermediate_size=keys.count("intermediate_size"),
        image_size=_side(keys, "image_size", 336),
        patch_size=_side(keys, "patch_size", 14),
        spatial_merge_size=keys.count("spatial_merge_size", 2),
        temporal_patch_size=_side(keys, "temporal_patch_size", 2),
        in_channels=keys.count("in_channels", 3),
        rms_norm_eps=keys.number("rms_norm_eps", 1e-5),
        rope_theta=float(rope.get("rope_theta") or 10000.0),
    )
    if config.hidden_size % config.num_heads or config.head_dim % 4:
        keys.refuse("num_heads", config.num_heads, f"so that hidden_size {config.hidden_size} / num_heads divides by 4")
    if config.image_size % config.patch_size:
        keys.refuse("image_size", config.image_size, f"a multiple of patch_size {config.patch_size}")
    # The picture side of the house (grids, patches, three channels twice) is built for these.
    for key, allowed in (("spatial_merge_size", 2), ("temporal_patch_size", 2), ("in_channels", 3), ("patch_size", 14)):
        value = getattr(config, key)
        if value != allowed:
            keys.refuse(key, value, f"{allowed}, the only value that is implemented")
    return config


def _side(keys: _Keys, key: str, default: int) -> int:
    """A length that some configs write as a pair of equal numbers."""
    value = keys.take(key, default)
    if isinstance(value, list | tuple) and len(set(value)) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        keys.refuse(key, value, "a positive whole number")
    return int(value)
