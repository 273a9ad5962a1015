"""How much memory the engine takes, decided once, after the weights are loaded: one visible formula.

block bytes = KV bytes per token x block_size
KV bytes    = kv_cache_bytes when set
              CPU:  min(512 MiB, max_num_seqs sequences of max_model_len)
              CUDA: the same, with what is left of the device in the place of 512 MiB:
                    total x gpu_memory_utilization - others' use - peak of weights and activations, measured
num_blocks  = KV bytes // block bytes
max_model_len = min(asked or the checkpoint's, num_blocks x block_size)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from flashweb.engine.config import MIB, EngineConfig
from flashweb.engine.scheduler import Limits
from flashweb.errors import ConfigError

CPU_KV_CACHE_BYTES = 512 * MIB


@dataclass(frozen=True, slots=True)
class Defaults:
    """What `None` in the configuration means on a kind of device."""

    max_num_seqs: int
    max_num_batched_tokens: int
    max_num_batched_patches: int
    encoder_cache_bytes: int
    max_speculating: int  # sequences running, while speculation is auto


# CPU: a step of one 448 px picture and its prompt takes about a third of a second on two cores, and bigger steps gain
# nothing (benchmarks/offline.py). CUDA: enough to keep the matrix units busy.
DEFAULTS = {"cpu": Defaults(16, 512, 1024, 64 * MIB, 4), "cuda": Defaults(256, 8192, 32768, 512 * MIB, 4)}


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    limits: Limits
    num_blocks: int
    kv_cache_bytes: int
    encoder_cache_bytes: int


def step_limits(config: EngineConfig, device_type: str) -> Defaults:
    """Rows, tokens and patches of a step, and the encoder cache: what was asked for, else the device's defaults."""
    defaults = DEFAULTS.get(device_type, DEFAULTS["cuda"])
    max_num_seqs = config.max_num_seqs or defaults.max_num_seqs
    return Defaults(
        max_num_seqs,
        max(config.max_num_batched_tokens or defaults.max_num_batched_tokens, max_num_seqs),
        config.max_num_batched_patches or defaults.max_num_batched_patches,
        defaults.encoder_cache_bytes if config.encoder_cache_bytes is None else config.encoder_cache_bytes,
        {"auto": defaults.max_speculating, "on": max_num_seqs, "off": 0}[config.speculation],
    )


def plan_memory(
    config: EngineConfig, *, kv_bytes_per_token: int, checkpoint_len: int, device_type: str, free_bytes: int | None
) -> MemoryPlan:
    """Sizes the KV cache. `free_bytes`: what measuring left over for it on CUDA, None on a CPU.

    Raises ConfigError when the sequences asked for do not fit.
    """
    step = step_limits(config, device_type)
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
            "gpu_memory_utilization, or use quantized weights",
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
    )
    return MemoryPlan(limits, num_blocks, num_blocks * block_bytes, step.encoder_cache_bytes)


def measure_free_bytes(config: EngineConfig, device: torch.device, peak_bytes: int) -> int:
    """CUDA bytes left for the KV cache, given the allocator's peak over a step of the largest size."""
    free, total = torch.cuda.mem_get_info(device)
    others = total - free - torch.cuda.memory_reserved(device)
    encoder = step_limits(config, device.type).encoder_cache_bytes
    return int(total * config.gpu_memory_utilization) - others - peak_bytes - encoder
