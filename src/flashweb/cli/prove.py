"""`flashweb doctor --prove`: start the engine with the present settings, give it the largest picture, and hold what
was forecast against what it took.

A checkpoint that is not downloaded is replaced by random weights of its shapes: sizes and times are the same.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from flashweb.cli.doctor import Check
from flashweb.cli.fit import COMPUTE_BYTES, Fit
from flashweb.engine import EngineClient, EngineConfig, EngineState
from flashweb.engine.memory import plan_memory, step_limits
from flashweb.engine.start_clock import Stages, in_words
from flashweb.errors import FlashwebError
from flashweb.model import footprint
from flashweb.model.config import ModelConfig
from flashweb.progress import ProgressBar, human_bytes
from flashweb.prompt import PromptProcessor
from flashweb.serve import engine_config
from flashweb.settings import Settings
from flashweb.types import Chat, Grid, ImagePart, Message, PixelPatches, Prompt, SamplingParams, TextPart

QUESTION = "Describe the picture."
NUM_TOKENS = 16  # of the answer
TEXT_TOKENS = 64  # room for the question and the template
# How far a measured value may lie on the wrong side of its forecast.
WEIGHTS_TOLERANCE = 0.05  # either side: they are counted, not estimated
TOLERANCE = 0.10


@dataclass(frozen=True, slots=True)
class Forecast:
    weight_bytes: int
    kv_tokens: int
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Measured:
    """`first_token_ms` is that of the largest picture and a question, encoding included."""

    device: str
    quantization: str
    weight_bytes: int
    kv_tokens: int
    peak_bytes: int
    ready_seconds: float
    stages: Stages
    picture: tuple[int, int]  # height, width in pixels
    prompt_tokens: int
    first_token_ms: float
    ms_per_token: float


def proof_config(settings: Settings, folder: Path, *, is_complete: bool, memory_cap: int | None) -> EngineConfig:
    """What `flashweb serve` would tell the engine, with dummy weights where there are none. Raises CheckpointError."""
    config = engine_config(settings, folder, PromptProcessor(folder))
    changes: dict[str, Any] = {"lazy_load": False, "memory_cap_bytes": memory_cap, "max_restarts": 0}
    if not is_complete:
        changes["load_format"] = "dummy"
    return msgspec.structs.replace(config, **changes)


def forecast(fit: Fit, config: EngineConfig, stored_bytes: int) -> Forecast:
    """`stored_bytes`: of the files that are read; 0 for dummy weights. Raises CheckpointError and ConfigError."""
    network = ModelConfig.read(Path(config.model))
    on_gpu = fit.device == "GPU"
    plan = plan_memory(
        config,
        kv_bytes_per_token=fit.kv_bytes_per_token,
        checkpoint_len=network.text.max_position_embeddings,
        device_type="cuda" if on_gpu else "cpu",
        free_bytes=fit.left_bytes if on_gpu else None,
        share_bytes=fit.share_bytes if on_gpu else None,
    )
    serving = fit.weight_bytes + plan.kv_cache_bytes + fit.besides_bytes
    if not on_gpu:
        step = step_limits(config, "cpu")
        serving += step.encoder_cache_bytes + footprint.step_bytes(
            network,
            COMPUTE_BYTES[fit.dtype],
            num_tokens=step.most_tokens,
            num_patches=max(step.max_num_batched_patches, config.max_image_patches),
            max_num_seqs=step.max_num_seqs,
            quantization=fit.quantization,
        )
    # On a CPU the files count as resident while they are read, mapped.
    loading = 0 if on_gpu else fit.weight_bytes + stored_bytes + fit.besides_bytes
    return Forecast(fit.weight_bytes, plan.num_blocks * config.block_size, max(serving, loading))


async def measure(config: EngineConfig, processor: PromptProcessor, max_image_size: int) -> Measured:
    """Raises ConfigError, CheckpointError and EngineDied when the engine does not start, FlashwebError when it cannot
    answer."""
    client = EngineClient(config)
    began = time.monotonic()
    try:
        await _start(client)
        ready_seconds = time.monotonic() - began
        ready = client.ready
        assert ready is not None
        grid = largest_grid(processor, max_image_size, ready.max_model_len)
        prompt = _prompt(processor, grid)
        first, per_token = await _answer(client, prompt)
        state = await _state_after(client)
    finally:
        await client.stop()
    side = processor.geometry.patch_size
    return Measured(
        device=ready.device,
        quantization=ready.quantization,
        weight_bytes=ready.weight_bytes,
        kv_tokens=ready.num_blocks * ready.block_size,
        peak_bytes=state.peak_memory_bytes,
        ready_seconds=ready_seconds,
        stages=ready.start_seconds,
        picture=(grid.h * side, grid.w * side),
        prompt_tokens=prompt.num_tokens,
        first_token_ms=first * 1000,
        ms_per_token=per_token * 1000,
    )


async def _start(client: EngineClient) -> None:
    starting = asyncio.ensure_future(client.start())
    with ProgressBar("starting the engine", 1.0) as bar:
        while not starting.done():
            await asyncio.wait({starting}, timeout=0.1)
            bar.update(client.state.progress if client.state.stage == "weights" else 0.0)
    await starting


def largest_grid(processor: PromptProcessor, max_image_size: int, max_model_len: int) -> Grid:
    """Of a square picture: as large as the checkpoint, the settings and one sequence allow."""
    geometry = processor.geometry
    largest = geometry.grid(1 << 14, 1 << 14, max_image_size)
    tokens = max(1, min(largest.num_tokens, max_model_len - TEXT_TOKENS - NUM_TOKENS))
    side = 2 * math.isqrt(tokens)
    return Grid(1, side, side)


def _prompt(processor: PromptProcessor, grid: Grid) -> Prompt:
    side = processor.geometry.patch_size
    pixels = np.random.default_rng(0).integers(0, 256, (grid.num_patches, 3 * side * side), dtype=np.uint8)
    picture = PixelPatches(pixels, grid, bytes(31) + b"\1", (grid.h * side, grid.w * side))
    chat = Chat((Message("user", (ImagePart(data=b""), TextPart(QUESTION))),))
    return processor.build(chat, [picture])


async def _answer(client: EngineClient, prompt: Prompt) -> tuple[float, float]:
    """Seconds to the first token, and between two of the others."""
    params = SamplingParams(max_tokens=NUM_TOKENS, ignore_eos=True)
    began = time.perf_counter()
    first, num_first, count = 0.0, 0, 0
    async with aclosing(client.generate(prompt, params, "proof")) as outs:  # type: ignore[type-var]
        async for out in outs:
            count += len(out.token_ids)
            if not num_first:
                first, num_first = time.perf_counter() - began, count
    return first, (time.perf_counter() - began - first) / max(1, count - num_first)


async def _state_after(client: EngineClient) -> EngineState:
    """The state with the next heartbeat's figures, which are from after the answer."""
    await asyncio.sleep(1.2)
    return client.state


def compare(wanted: Forecast, found: Measured) -> Iterator[Check]:
    """One line per figure. Weights must be as forecast, memory at most and KV cache at least that, each within its
    tolerance; nobody forecasts times."""
    differs = abs(found.weight_bytes - wanted.weight_bytes) > WEIGHTS_TOLERANCE * wanted.weight_bytes
    yield _check(
        "proof: weights",
        not differs,
        f"{human_bytes(found.weight_bytes)} in {found.quantization} on {found.device}; forecast "
        f"{human_bytes(wanted.weight_bytes)} +- {WEIGHTS_TOLERANCE:.0%}",
    )
    yield _check(
        "proof: KV cache",
        found.kv_tokens >= wanted.kv_tokens * (1 - TOLERANCE),
        f"{found.kv_tokens:,} tokens; forecast {wanted.kv_tokens:,} or more, - {TOLERANCE:.0%}",
    )
    kind = "of the engine process" if found.device == "cpu" else "of torch's allocator"
    yield _check(
        "proof: memory peak",
        0 < found.peak_bytes <= wanted.peak_bytes * (1 + TOLERANCE),
        f"{human_bytes(found.peak_bytes)} {kind}; forecast at most {human_bytes(wanted.peak_bytes)} + {TOLERANCE:.0%}",
    )
    height, width = found.picture
    yield Check("proof: start", "ok", f"ready after {found.ready_seconds:.1f} s; engine {in_words(found.stages)}")
    yield Check(
        "proof: picture",
        "ok",
        f"{width} x {height} px, {found.prompt_tokens:,} tokens: first token after {found.first_token_ms:,.0f} ms, "
        f"then {found.ms_per_token:.1f} ms per token",
    )


def _check(name: str, is_good: bool, words: str) -> Check:
    fix = "" if is_good else "not as forecast: the settings work on this machine, but do not rely on the figures above"
    return Check(name, "ok" if is_good else "fail", words, fix)


def prove(config: EngineConfig, fit: Fit, stored_bytes: int, max_image_size: int) -> tuple[list[Check], dict[str, Any]]:
    """The findings, and the figures for `--json`. Raises ConfigError for a setting that no engine starts with."""
    try:
        wanted = forecast(fit, config, 0 if config.load_format == "dummy" else stored_bytes)
        if config.load_format == "dummy":
            print("doctor: random weights stand for those that are not here", file=sys.stderr)
        found = asyncio.run(measure(config, PromptProcessor(Path(config.model)), max_image_size))
    except FlashwebError as error:
        return [Check("proof", "fail", f"the engine could not do it: {error.message}")], {}
    return list(compare(wanted, found)), {"forecast": asdict(wanted), "measured": asdict(found)}
