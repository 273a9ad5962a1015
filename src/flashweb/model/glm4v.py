"""`Glm4v`: the whole network, from a checkpoint folder to logits.

    model = Glm4v.load(folder)
    cache = model.new_kv_cache(num_blocks, block_size)
    features = model.encode_images(patches, grids)
    hidden = model.forward(inputs, cache)
    logits = model.logits(hidden[inputs.last_rows])

Knows nothing of tokenizers, requests, schedules or sampling.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from flashweb.errors import ConfigError
from flashweb.model.attention import KVCache
from flashweb.model.config import ModelConfig
from flashweb.model.footprint import kv_bytes_per_token
from flashweb.model.formats import Quantization, WeightFormat, weight_format
from flashweb.model.fp8_cache import Fp8KVCache
from flashweb.model.inputs import ForwardInputs
from flashweb.model.pixels import PixelStatistics
from flashweb.model.ready_made import read_scheme
from flashweb.model.tensor_table import num_parameters, stored_tensors, tensor_table
from flashweb.model.text import TextDecoder
from flashweb.model.tower_graphs import TowerGraphs
from flashweb.model.vision import VisionTower
from flashweb.model.weights import DummySource, OnProgress, SafetensorsSource, Source, Weights
from flashweb.types import Grid

if TYPE_CHECKING:
    from flashweb.model.decode_graphs import DecodeGraphs
    from flashweb.model.prefill_graphs import PrefillGraphs

DtypeName = Literal["auto", "bfloat16", "float32"]
logger = logging.getLogger(__name__)

KERNEL_TOLERANCE = 2**-5  # relative to the largest value; bf16 rounds to 2**-9

LoadFormat = Literal["safetensors", "dummy"]
KVCacheDtype = Literal["auto", "fp8"]


class Glm4v:
    """GLM-4V for inference. `load` is the way to make one."""

    def __init__(
        self,
        config: ModelConfig,
        weights: Weights,
        form: WeightFormat,
        pixels: PixelStatistics,
        num_real_tokens: int | None = None,
        kv_cache_dtype: KVCacheDtype = "auto",
    ) -> None:
        self.config = config
        self.dtype = weights.dtype
        self.device = weights.device
        self.kv_cache_dtype = kv_cache_dtype
        self.num_real_tokens = _check_real_tokens(config, num_real_tokens)
        self.text = TextDecoder(config.text, weights.under("text."), form, self.device)
        self.vision = VisionTower(config.vision, weights.under("vision."), self.device, pixels)
        assert not weights.left, weights.left

    @staticmethod
    @torch.inference_mode()
    def load(
        folder: str | Path,
        *,
        dtype: DtypeName = "auto",
        device: str | torch.device = "cpu",
        load_format: LoadFormat = "safetensors",
        quantization: Quantization | None = None,
        progress: OnProgress | None = None,
        num_real_tokens: int | None = None,
        kv_cache_dtype: KVCacheDtype = "auto",
    ) -> Glm4v:
        """Reads a checkpoint folder (no weights for load_format "dummy"): config.json, the weights and, where there
        is one, preprocessor_config.json, whose mean and deviation of the pixels become part of the vision tower.

        dtype "auto" is float32 on a CPU and bfloat16 elsewhere. `num_real_tokens` is the number of ids the
        tokenizer knows: logits of the padding rows behind them are -inf. `progress` gets 0..1 as tensors arrive.
        `kv_cache_dtype`: what `new_kv_cache` keeps, `dtype` (auto) or e4m3 (`fp8_cache.py`).
        Raises CheckpointError for a folder that does not fit, ConfigError for options that do not.
        """
        target = _device(device)
        kind = _dtype(dtype, target)
        if kv_cache_dtype not in get_args(KVCacheDtype):
            known = ", ".join(get_args(KVCacheDtype))
            raise ConfigError(f"kv_cache_dtype {kv_cache_dtype!r} is unknown; use one of {known}")
        if load_format not in get_args(LoadFormat):
            raise ConfigError(f"load_format {load_format!r} is unknown; use one of {', '.join(get_args(LoadFormat))}")
        config = ModelConfig.read(folder)
        scheme = read_scheme(folder)
        form = weight_format(target, kind, quantization, scheme.kind if scheme is not None else None)
        if scheme is not None and scheme.rounds_activations:
            logger.info("the checkpoint rounds activations to integers too; here they stay as they are")
        pixels = PixelStatistics.read(folder)

        def build(source: Source) -> Glm4v:
            weights = Weights(tensor_table(config), source, kind, target, progress)
            model = Glm4v(config, weights, form, pixels, num_real_tokens, kv_cache_dtype)
            if target.type == "cuda":
                torch.cuda.empty_cache()  # the room of plain matrices that were quantised is too large to be kept
            model.distrust_kernels()
            if weights.rounded_again:
                logger.warning(
                    "%d of the checkpoint's quantised matrices (%s, ...) have numbers that the format %s does not "
                    "hold: made plain, and rounded again where the format rounds",
                    len(weights.rounded_again), weights.rounded_again[0], form.name,
                )  # fmt: skip
            return model

        if load_format == "dummy":
            return build(DummySource(scheme))
        with SafetensorsSource(folder, stored_tensors(config), scheme) as source:
            return build(source)

    @property
    def num_parameters(self) -> int:
        return num_parameters(self.config)

    @property
    def quantization(self) -> str:
        """The format of the decoder's weights, as the option names it; "none" where they are whole."""
        return self.text.format.name

    @property
    def weight_bytes(self) -> int:
        """Bytes the weights take; a tied embedding counts again where the head keeps a copy in its own layout."""
        text = self.text
        copied = text.embedding.num_values if self.config.tie_word_embeddings and text.head in text.matrices else 0
        others = num_parameters(self.config) + copied - sum(matrix.num_values for matrix in text.matrices)
        kept = sum(matrix.num_values * matrix.value_bytes for matrix in text.matrices)
        return others * self.dtype.itemsize + round(kept)

    def kv_bytes_per_token(self) -> int:
        return kv_bytes_per_token(self.config.text, self.dtype.itemsize, self.kv_cache_dtype)

    @torch.inference_mode()
    def new_kv_cache(self, num_blocks: int, block_size: int) -> KVCache:
        text = self.config.text
        kind = Fp8KVCache if self.kv_cache_dtype == "fp8" else KVCache
        return kind(text.num_layers, num_blocks, block_size, text.num_kv_heads, text.head_dim, self.dtype, self.device)

    @torch.inference_mode()
    def distrust_kernels(self) -> None:
        """Tries our attention, the decoder's and the tower's, on this card once. Where one is wrong (another compiler,
        a card nobody had), a line in the log says so, and torch computes instead: slower, but right."""
        if self.text.fused is not None:
            from flashweb.model.fused_layers import attention_error  # Triton: only where a CUDA device is used

            fp8 = self.kv_cache_dtype == "fp8"
            error = attention_error(self.config.text, self.dtype, self.device, fp8_cache=fp8)
            if _is_off("the attention kernels are", error):
                self.text.fused = None
        ours, vision = self.vision.attention_kernels, self.config.vision
        if ours is not None:
            error = ours.attention_error(vision.num_heads, vision.head_dim, self.dtype, self.device)
            if _is_off("the tower's attention kernel is", error):
                self.vision.attention_kernels = None

    def new_decoder(self, cache: KVCache, max_batch: int, max_context: int) -> DecodeGraphs | None:
        """Decode steps as captured CUDA graphs; None, with a line in the log, where Triton cannot be imported."""
        if self.text.fused is None:
            return None
        from flashweb.model.decode_graphs import DecodeGraphs  # Triton: only where a CUDA device is used

        return DecodeGraphs(self.text, cache, self.num_real_tokens, max_batch, max_context)

    def new_prefill_graphs(
        self, cache: KVCache, max_tokens: int, max_sequences: int, max_context: int
    ) -> PrefillGraphs | None:
        """Steps with prompts of up to `max_tokens` new tokens as captured CUDA graphs; None as for `new_decoder`."""
        if self.text.fused is None:
            return None
        from flashweb.model.prefill_graphs import PrefillGraphs

        return PrefillGraphs(self.text, cache, max_tokens, max_sequences, max_context)

    def new_tower_graphs(self, largest: Grid | None = None) -> TowerGraphs | None:
        """The tower over small pictures as captured CUDA graphs, and over single larger ones up to `largest`; None,
        with a line in the log, where neither our attention nor flash attention computes."""
        return TowerGraphs(self.vision, largest=largest) if TowerGraphs.available(self.vision) else None

    @torch.inference_mode()
    def encode_images(self, patches: Sequence[Tensor], grids: Sequence[Grid]) -> list[Tensor]:
        """uint8 [grid.num_patches, 588] per picture, 1176 columns for two frames of a clip -> [grid.num_tokens,
        hidden] per picture, in order."""
        return self.vision.encode(patches, grids) if patches else []

    def encode_in_slices(self, patches: Tensor, grid: Grid, slices: int) -> Iterator[Tensor | None]:
        """`encode_images` of one picture in parts, to be taken one by one: see `VisionTower.encode_in_slices`."""
        return self.vision.encode_in_slices(patches, grid, slices)

    @torch.inference_mode()
    def forward(self, inputs: ForwardInputs, cache: KVCache) -> Tensor:
        """One step: writes the cache and returns [N, hidden]; only the rows `inputs.last_rows` are meaningful."""
        return self.text.forward(inputs, cache)

    @torch.inference_mode()
    def logits(self, hidden_rows: Tensor) -> Tensor:
        """Rows of `forward`'s result -> fp32 [rows, vocab_size]; ids no tokenizer entry has are -inf."""
        logits = self.text.logits(hidden_rows)
        if self.num_real_tokens < logits.shape[-1]:
            logits[:, self.num_real_tokens :] = float("-inf")
        return logits


def _is_off(what: str, error: float) -> bool:
    """Whether kernels differ from torch by more than rounding, with a line in the log when they do."""
    if error <= KERNEL_TOLERANCE:
        return False
    logger.error(
        "%s off by %.2g on this GPU, more than rounding (%.2g): torch computes instead, which is slower; please report "
        "this with what `flashweb doctor` prints", what, error, KERNEL_TOLERANCE
    )  # fmt: skip
    return True


def _check_real_tokens(config: ModelConfig, num_real_tokens: int | None) -> int:
    if num_real_tokens is None:
        return config.text.vocab_size
    if not 0 < num_real_tokens <= config.text.vocab_size:
        raise ConfigError(
            f"the tokenizer has {num_real_tokens} ids but the model's embedding {config.text.vocab_size} rows; "
            "use the tokenizer of the same checkpoint"
        )
    return num_real_tokens


def _device(device: str | torch.device) -> torch.device:
    try:
        target = torch.device(device)
    except RuntimeError:
        raise ConfigError(f"device {device!r} is unknown; use cpu, cuda or cuda:N") from None
    if target.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device {device!r} was asked for but torch sees no CUDA GPU; use cpu or install the gpu extra"
        )
    return target


def _dtype(name: str, device: torch.device) -> torch.dtype:
    names = {
        "auto": torch.float32 if device.type == "cpu" else torch.bfloat16,
        "bfloat16": torch.bfloat16,
        "float32": torch.float32,
    }
    if name not in names:
        raise ConfigError(f"dtype {name!r} is unknown; use one of {', '.join(names)} (float16 overflows in this model)")
    return names[name]
