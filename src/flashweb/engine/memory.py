"""How much memory the engine takes: the weights' format before they are loaded, the KV cache after it.

One visible formula:

block bytes = KV bytes per token x block_size
KV bytes    = kv_cache_bytes when set
              CPU:  min(512 MiB, max_num_seqs sequences of max_model_len)
              CUDA: the same, with what is left of the device in the place of 512 MiB:
                    total x gpu_memory_utilization - others' use - peak of weights and activations, measured
num_blocks  = KV bytes // block bytes
max_model_len = min(asked or the checkpoint's, num_blocks x block_size)

A format fits when weights, largest step, encoder cache and the KV of LEAST_TOKENS stay within the same share of the
device (`model/footprint.py`). torch is imported where something is measured: `flashweb doctor` reckons without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flashweb.engine.config import MIB, EngineConfig
from flashweb.engine.step import Limits
from flashweb.errors import ConfigError
from flashweb.model import footprint
from flashweb.model.config import ModelConfig
from flashweb.model.ready_made import Scheme

if TYPE_CHECKING:
    import torch

GIB = 1 << 30
CPU_KV_CACHE_BYTES = 512 * MIB
SMALL_CUDA_BYTES = 16 * GIB  # a share of a card below this gets smaller steps
LEAST_TOKENS = 8192  # of KV cache, without which a format does not count as fitting


@dataclass(frozen=True, slots=True)
class Defaults:
    """What `None` in the configuration means on a kind of device."""

    max_num_seqs: int
    max_num_batched_tokens: int
    max_lone_tokens: int
    max_num_batched_patches: int
    encoder_cache_bytes: int
    max_speculating: int  # sequences running, while speculation is auto

    @property
    def most_tokens(self) -> int:
        """Of the largest step there can be."""
        return max(self.max_num_batched_tokens, self.max_lone_tokens)


# CPU: a step of one 448 px picture and its prompt takes about a third of a second on two cores, and bigger steps gain
# nothing (benchmarks/offline.py). CUDA: enough to keep the matrix units busy, and few enough that decoding rows ride
# along with prompts instead of waiting for them; the prompt of a 1024 px picture in one step where it is alone. On a
# small card what a step holds would be missing from weights and cache. Drafts did not pay on CUDA (docs/engine.md), so
# "auto" makes none there.
DEFAULTS = {
    "cpu": Defaults(16, 512, 512, 1024, 64 * MIB, 4),
    "cuda": Defaults(256, 1024, 2048, 6144, 512 * MIB, 0),
    "small cuda": Defaults(16, 512, 512, 4096, 64 * MIB, 0),
}


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    limits: Limits
    num_blocks: int
    kv_cache_bytes: int
    encoder_cache_bytes: int


def step_limits(config: EngineConfig, device_type: str, share_bytes: int | None = None) -> Defaults:
    """Rows, tokens and patches of a step, and the encoder cache: what was asked for, else the device's defaults.

    `share_bytes`: of a CUDA device what the engine may use, `Card.share_bytes`."""
    small = share_bytes is not None and share_bytes < SMALL_CUDA_BYTES
    defaults = DEFAULTS["cpu" if device_type == "cpu" else "small cuda" if small else "cuda"]
    max_num_seqs = config.max_num_seqs or defaults.max_num_seqs
    max_num_batched_tokens = max(config.max_num_batched_tokens or defaults.max_num_batched_tokens, max_num_seqs)
    return Defaults(
        max_num_seqs,
        max_num_batched_tokens,
        max_num_batched_tokens if config.max_num_batched_tokens else max(defaults.max_lone_tokens, max_num_seqs),
        config.max_num_batched_patches or defaults.max_num_batched_patches,
        defaults.encoder_cache_bytes if config.encoder_cache_bytes is None else config.encoder_cache_bytes,
        {"auto": defaults.max_speculating, "on": max_num_seqs, "off": 0}[config.speculation],
    )


@dataclass(frozen=True, slots=True)
class Card:
    """A CUDA device before anything is loaded."""

    share_bytes: int  # gpu_memory_utilization of all it has
    used_bytes: int  # by others, and by CUDA itself
    has_fp8: bool

    @property
    def budget_bytes(self) -> int:
        return self.share_bytes - self.used_bytes

    @staticmethod
    def of(config: EngineConfig, device: torch.device) -> Card:
        import torch

        free, total = torch.cuda.mem_get_info(device)
        has_fp8 = torch.cuda.get_device_capability(device) >= footprint.FP8_CAPABILITY
        used = total - free - torch.cuda.memory_reserved(device)
        return Card.planned(config, total, used, has_fp8)

    @staticmethod
    def planned(config: EngineConfig, total_bytes: int, used_bytes: int, has_fp8: bool) -> Card:
        """A memory cap stands for a card of that size with nobody else on it, besides the CUDA context."""
        if config.memory_cap_bytes is not None:
            total_bytes, used_bytes = config.memory_cap_bytes, 0
        return Card(int(total_bytes * config.gpu_memory_utilization), used_bytes, has_fp8)


def peak_memory_bytes(device: torch.device) -> int:
    """The most that was held so far: on CUDA by torch's allocator (since the memory trial began), elsewhere resident
    in this process; 0 where it cannot be told."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    try:
        # Not getrusage: that counts what the parent held when it started us.
        with open("/proc/self/status", encoding="utf-8") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class WeightChoice:
    """A format of `flashweb serve --quantization`, and why it is the one."""

    quantization: str  # "none" also where a ready-made checkpoint is used as it is
    reason: str
    needed_bytes: int
    fits: bool


def choose_weights(
    config: EngineConfig,
    network: ModelConfig,
    num_parameters: int,
    dtype_bytes: int,
    card: Card,
    scheme: Scheme | None = None,
) -> WeightChoice:
    """The widest format that fits the card; the smallest where none does. `scheme`: of a checkpoint that is quantised
    already, which comes first as it is; a narrower format then is that of what it has wider or plain."""
    scheme = footprint.usable(scheme, has_fp8=card.has_fp8)
    skips_fp8 = not card.has_fp8 or (scheme is not None and scheme.kind != "fp8")
    named = {
        name: needed_bytes(config, network, num_parameters, dtype_bytes, card, name, scheme)
        for name in footprint.WIDEST_FIRST
        if name != "fp8" or not skips_fp8
    }
    whole = "whole ones need" if scheme is None else f"the checkpoint's own {scheme.kind} needs"
    there = f"{card.budget_bytes / GIB:.1f} GiB are there"
    tried: list[str] = []
    for name, needed in named.items():
        words = f"{f'{name} needs' if name != 'none' else whole} {needed / GIB:.1f} GiB"
        if needed <= card.budget_bytes:
            return WeightChoice(name, "; ".join([*tried, f"{words} and {there}"]), needed, fits=True)
        tried.append(words)
    return WeightChoice(name, "; ".join([*tried, f"and only {there}"]), needed, fits=False)


def needed_bytes(
    config: EngineConfig,
    network: ModelConfig,
    num_parameters: int,
    dtype_bytes: int,
    card: Card,
    quantization: str,
    scheme: Scheme | None = None,
) -> int:
    """What the engine takes of a card in a format, with a KV cache of LEAST_TOKENS. A forecast."""
    cache = footprint.kv_bytes_per_token(network.text, dtype_bytes, config.kv_cache_dtype) * LEAST_TOKENS
    weights = footprint.weight_bytes(network, num_parameters, dtype_bytes, quantization, scheme=scheme)
    computed = footprint.format_name(quantization, scheme)
    return weights + cache + besides_bytes(config, network, dtype_bytes, card, computed)


def besides_bytes(config: EngineConfig, network: ModelConfig, dtype_bytes: int, card: Card, quantization: str) -> int:
    """What the engine takes besides weights and KV cache. A forecast."""
    step = step_limits(config, "cuda", card.share_bytes)
    return step.encoder_cache_bytes + footprint.step_bytes(
        network,
        dtype_bytes,
        num_tokens=min(step.most_tokens, network.text.max_position_embeddings),
        num_patches=max(step.max_num_batched_patches, config.max_image_patches),
        max_num_seqs=step.max_num_seqs,
        quantization=quantization,
    )


def plan_memory(
    config: EngineConfig,
    *,
    kv_bytes_per_token: int,
    checkpoint_len: int,
    device_type: str,
    free_bytes: int | None,
    share_bytes: int | None = None,
) -> MemoryPlan:
    """Sizes the KV cache. `free_bytes`: what measuring left over for it on CUDA, None on a CPU; `share_bytes` as in
    `step_limits`.

    Raises ConfigError when the sequences asked for do not fit.
    """
    step = step_limits(config, device_type, share_bytes)
    wanted_len = min(config.max_model_len or checkpoint_len, checkpoint_len)
    block_bytes = kv_bytes_per_token * config.block_size
    blocks_per_seq = -(-wanted_len // config.block_size)
    if config.kv_cache_bytes is not None:
        kv_bytes = config.kv_cache_bytes
    else:
        largest = free_bytes if free_bytes is not None else CPU_KV_CACHE_BYTES
        kv_bytes = min(largest, step.max_num_seqs * blocks_per_seq * block_bytes)
    num_blocks = kv_bytes // block_bytes
    max_model_len = min(wanted_len, num_blocks * config.block_size)
    asked = config.max_model_len is not None
    if max_model_len < (wanted_len if asked else min(wanted_len, 2 * config.block_size)):
        raise ConfigError(
            f"a sequence of max_model_len {wanted_len} tokens needs {blocks_per_seq * block_bytes / MIB:.0f} MiB of "
            f"KV cache and {max(0, kv_bytes) / MIB:.0f} MiB are there; lower max_model_len, raise kv_cache_bytes or "
            "gpu_memory_utilization, or use quantized weights or --kv-cache-dtype fp8",
            param="max_model_len",
        )
    limits = Limits(
        max_model_len=max_model_len,
        max_num_seqs=step.max_num_seqs,
        max_num_batched_tokens=step.max_num_batched_tokens,
        max_num_batched_patches=step.max_num_batched_patches,
        max_waiting=config.waiting_limit(step.max_num_seqs),
        max_waiting_bytes=config.max_waiting_bytes,
        max_speculating=step.max_speculating,
        max_lone_tokens=step.max_lone_tokens,
        # About a decode step's time each on an H100: so streams pause for less than three times their idle gap.
        max_tokens_beside=max(1, step.max_num_batched_tokens // 4) if config.prefer == "latency" else None,
        max_patches_beside=max(1, step.max_num_batched_patches // 3) if config.prefer == "latency" else None,
        # On a CPU a sixth of the tower takes a caller 40 ms of 330, and 9 rows take three times what one takes.
        max_background_tokens=max(1, step.max_num_batched_tokens // 4),
        max_background_patches=max(1, step.max_num_batched_patches // (6 if device_type == "cpu" else 3)),
        background_rides=device_type != "cpu",
    )
    return MemoryPlan(limits, num_blocks, num_blocks * block_bytes, step.encoder_cache_bytes)


def measure_free_bytes(config: EngineConfig, device: torch.device, peak_bytes: int) -> int:
    """CUDA bytes left for the KV cache, given the allocator's peak over a step of the largest size."""
    card = Card.of(config, device)
    encoder = step_limits(config, device.type, card.share_bytes).encoder_cache_bytes
    return card.budget_bytes - peak_bytes - encoder
