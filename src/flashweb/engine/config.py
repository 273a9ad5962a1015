"""What the engine is told before it starts: one frozen value, the same on both sides of the line.

Crosses the process border as JSON. `None` means "decide where the facts are known" (in the engine process, from the
checkpoint, the device and its memory); `memory.py` turns those into numbers and `Ready` reports them. Knows nothing
of torch, flags, files or the environment: `settings/` fills it.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from flashweb.errors import ConfigError

MIB = 1 << 20


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    # --- the model
    model: str = ""  # a checkpoint folder on this machine (hub ids are resolved before)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: float32 on CPU, bfloat16 on CUDA
    device: Literal["auto", "cpu", "cuda"] = "auto"
    load_format: Literal["auto", "dummy"] = "auto"  # dummy: random weights of the right shape, for measuring
    quantization: Literal["auto", "none", "int8", "int4", "fp8"] = "none"  # auto: by the device's memory (memory.py)
    eos_token_ids: tuple[int, ...] = ()  # from generation_config and tokenizer; they end a sequence unless ignore_eos
    thought_end_ids: tuple[int, ...] = ()  # any of them ends a thought
    thought_close_ids: tuple[int, ...] = ()  # written where a thought has used up its budget; the first is such an end
    num_real_tokens: int | None = None  # vocabulary rows from here on are padding and never sampled; None: no padding

    # --- limits
    max_model_len: int | None = None  # tokens of prompt + answer; None: the checkpoint's, bounded by the KV cache
    max_num_seqs: int | None = None  # sequences running at once; None: 16 on CPU, 256 on CUDA
    max_num_batched_tokens: int | None = None  # new tokens per step; None: `memory.DEFAULTS`
    max_image_patches: int = 24576  # of the largest picture the checkpoint's preprocessor makes; sizes the CUDA trial
    max_num_batched_patches: int | None = None  # vision patches per step (one picture always fits); None: `DEFAULTS`
    max_waiting: int | None = None  # queued sequences before Overloaded; None: 4 x max_num_seqs
    max_waiting_bytes: int = 2048 * MIB  # pixels held by requests in the engine before Overloaded

    # --- memory
    block_size: int = 16  # tokens per KV block
    kv_cache_dtype: Literal["auto", "fp8"] = "auto"  # auto: the network's dtype; fp8: e4m3 (model/fp8_cache.py)
    kv_cache_bytes: int | None = None  # None: CPU: what max_num_seqs sequences need, up to 512 MiB; CUDA: measured
    gpu_memory_utilization: float = 0.85  # share of the device that weights, activations and KV cache may use together
    memory_cap_bytes: int | None = None  # CUDA, enforced: all there is of the card, besides the CUDA context
    encoder_cache_bytes: int | None = None  # vision features of pictures seen before; None: 64 MiB on CPU, 512 on CUDA
    enable_prefix_cache: bool = True
    cuda_graphs: bool = True  # on CUDA: decode steps, small steps with prompts and small pictures as captured graphs
    speculation: Literal["auto", "on", "off"] = "auto"  # drafts from repetitions; auto: where it was measured to pay
    prefer: Literal["throughput", "latency"] = "throughput"  # latency: little beside a step's decoding rows
    overlap: bool | None = None  # launch a step before the last one's tokens are read; None: on accelerators

    # --- the process
    threads: int | None = None  # CPU threads for matrix products; None: the cores this process may use
    log_level: Literal["debug", "info", "warning", "error"] = "warning"  # of the engine process, to standard error
    lazy_load: bool = False  # the first request starts the engine
    heartbeat_timeout_seconds: float = 10.0  # no sign of life for so long: stalled; twice as long: killed, restarted
    stall_seconds: float | None = (
        None  # no step ends while work is running: None: CPU 120 + 60 per GB of weights, CUDA 20
    )
    start_timeout_seconds: float = 1800.0  # from spawn to ready
    restart_backoff_seconds: float = 0.5  # doubles with every death that comes before a minute of service
    max_restarts: int = 5  # deaths in a row, without a minute of service between, before giving up
    shutdown_seconds: float = 5.0  # between asking the process to end and killing it

    def __post_init__(self) -> None:
        """Raises ConfigError for values no engine could run with."""
        for name in (
            "max_model_len", "max_num_seqs", "max_num_batched_tokens", "max_num_batched_patches", "max_waiting",
            "max_image_patches", "block_size", "kv_cache_bytes", "threads", "num_real_tokens", "max_waiting_bytes",
            "memory_cap_bytes", "stall_seconds", "heartbeat_timeout_seconds", "start_timeout_seconds",
            "restart_backoff_seconds", "shutdown_seconds",
        ):  # fmt: skip
            value = getattr(self, name)
            least = 0 if name == "max_waiting" else None
            if value is not None and not (math.isfinite(value) and (value >= 0 if least == 0 else value > 0)):
                raise ConfigError(f"{name} is {value}; it must be a positive number", param=name)
        for name in ("encoder_cache_bytes", "max_restarts"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must not be negative", param=name)
        if not 0.0 < self.gpu_memory_utilization <= 1.0:
            raise ConfigError(
                f"gpu_memory_utilization is {self.gpu_memory_utilization}; it is a share, above 0 and at most 1",
                param="gpu_memory_utilization",
            )

    def waiting_limit(self, max_num_seqs: int) -> int:
        """How many sequences may queue when `max_num_seqs` run."""
        return 4 * max_num_seqs if self.max_waiting is None else self.max_waiting
