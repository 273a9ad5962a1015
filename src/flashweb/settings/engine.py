"""`EngineSettings`: the engine process."""

from __future__ import annotations

from typing import Literal

from flashweb.settings.section import Section, Size, option


class EngineSettings(Section):
    """The engine process: batch, memory, device."""

    engine: Literal["auto", "echo"] = option("auto", "echo answers with the prompt's own tokens; for tests of the API")
    device: Literal["auto", "cpu", "cuda"] = option("auto", "auto takes a GPU when there is one")
    threads: int = option(0, "CPU threads of the engine; 0 means by the number of cores", ge=0)
    max_model_len: Size = option(
        0, "tokens of prompt and answer together; 0 means what model and memory allow", unit="tokens", ge=0
    )
    max_num_seqs: int = option(0, "requests that decode at once; 0 means by device", ge=0, le=4096)
    max_num_batched_tokens: Size = option(0, "tokens of one engine step; 0 means by device", unit="tokens", ge=0)
    kv_cache_dtype: Literal["auto", "fp8"] = option(
        "auto",
        "what the KV cache keeps of keys and values: auto, the number format the model computes in; fp8, e4m3 with a "
        "scale a head and token, for nearly twice the tokens in the same memory",
    )
    kv_cache_memory: Size = option(0, "memory of the KV cache; 0 means what is left", unit="bytes", ge=0)
    gpu_memory_utilization: float = option(0.85, "share of the GPU's memory the engine may use", gt=0, le=1)
    encoder_cache_memory: Size = option(
        0, "memory for recent pictures' features; 0 means by device", unit="bytes", ge=0
    )
    prefix_cache: bool = option(True, "reuse the KV cache of earlier prompts that begin alike")
    prefer: Literal["throughput", "latency"] = option(
        "throughput",
        "latency: prompts and pictures that arrive are computed in smaller pieces, so that running streams hardly "
        "pause; fewer requests per second",
    )
    speculation: Literal["auto", "on", "off"] = option(
        "auto", "compute likely next tokens together where an answer repeats its prompt or itself; never changes it"
    )
    lazy_load: bool = option(False, "be ready at once and load the model on the first request")
