"""Where a GPU's milliseconds go: decode steps, prefill and the vision tower of the engine, without HTTP.

    python benchmarks/gpu_profile.py FOLDER [--json FILE] [--trace]

FOLDER is a checkpoint folder (`benchmarks/gpu_model.py` writes one with the real shapes and no weights). For every row:
milliseconds a step as a caller sees them (`wall`), those of the device alone (`device`, from events), and with
`--trace` the kernels that took longest. On a CPU it runs too, with small numbers, so that it can be tried anywhere.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from common import as_text, packed

from flashweb.engine.config import EngineConfig
from flashweb.engine.core import GREEDY, EngineCore
from flashweb.engine.protocol import Submit, WireImage
from flashweb.model.glm4v import Glm4v
from flashweb.types import Grid

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTEXTS = (1024, 4096, 16384)  # of a single sequence
PROMPTS = (67, 325, 1438, 5752)
SIDES = ((448, 1), (448, 8), (1024, 1), (1024, 4))  # px, pictures at once
TRACED_ROWS = 12


class Requests:
    """Numbered requests of random text, behind a picture if one is wanted."""

    def __init__(self, vocab_size: int, patch_values: int) -> None:
        self.rng = np.random.default_rng(0)
        self.vocab_size, self.patch_values = vocab_size, patch_values
        self.count = 0

    def make(self, num_tokens: int, num_out: int, side: int = 0) -> Submit:
        self.count += 1
        text = self.rng.integers(0, self.vocab_size, num_tokens).tolist()
        images: tuple[WireImage, ...] = ()
        if side:
            grid = Grid(1, side // 28 * 2, side // 28 * 2)
            pixels = self.rng.integers(0, 256, (grid.num_patches, self.patch_values), dtype=np.uint8)
            images = (WireImage(4, (1, grid.h, grid.w), str(self.count).encode().ljust(32), pixels.tobytes()),)
            text[4:4] = [0] * grid.num_tokens
        positions = np.tile(np.arange(len(text), dtype=np.int32), (3, 1)).tobytes()
        sampling = msgspec.structs.replace(GREEDY, max_tokens=num_out)
        return Submit(str(self.count), tuple(text), positions, 0, images, sampling)


class Stopwatch:
    """Wall and device time of repeated calls."""

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"

    def measure(self, call: Callable[[], object], repeats: int, warm: int = 2) -> dict[str, float]:
        for _ in range(warm):
            call()
        self.wait()
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if self.on_gpu else []
        walls = []
        if events:
            events[0].record()
        for _ in range(repeats):
            began = time.perf_counter()
            call()
            walls.append(1e3 * (time.perf_counter() - began))
        if events:
            events[1].record()
        self.wait()
        row = {"wall_ms": round(statistics.median(walls), 3)}
        return row | ({"device_ms": round(events[0].elapsed_time(events[1]) / repeats, 3)} if events else {})

    def wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()


def decode_rows(
    core: EngineCore, requests: Requests, watch: Stopwatch, steps: int, limits: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Steps in which every sequence decodes: by batch at short contexts, then one sequence by context."""
    shapes = [(batch, 67) for batch in BATCHES if batch <= min(limits.batch, core.plan.limits.max_num_seqs)]
    shapes += [(1, context) for context in CONTEXTS if context <= limits.context]
    shapes += [(batch, 1438) for batch in (64, 128) if batch <= limits.batch and limits.context >= 1438]
    for batch, context in shapes:
        start_decoding(core, requests, batch, context, steps + 8)
        row = watch.measure(core.step, steps - 4)
        core.scheduler.abort_all()
        finish(core)
        yield {"what": "decode", "batch": batch, "context": context} | row


def prefill_rows(
    core: EngineCore, requests: Requests, watch: Stopwatch, repeats: int, limits: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    def answer(num_tokens: int, side: int) -> None:
        core.submit(requests.make(num_tokens, 1, side))
        finish(core)

    for num_tokens in PROMPTS:
        if num_tokens <= limits.context:
            yield {"what": "prefill", "tokens": num_tokens} | watch.measure(lambda n=num_tokens: answer(n, 0), repeats)
    for side in {side for side, _ in SIDES if side <= limits.side}:
        yield {"what": "first token", "side": side} | watch.measure(lambda s=side: answer(67, s), repeats)


def tower_rows(
    core: EngineCore, watch: Stopwatch, repeats: int, limits: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    model = core.model
    tower = core.runner.tower or model
    for side, count in SIDES:
        if side > limits.side:
            continue
        grid = Grid(1, side // 28 * 2, side // 28 * 2)
        shape = (grid.num_patches, model.config.vision.patch_values)
        patches = [torch.zeros(shape, dtype=torch.uint8, device=model.device) for _ in range(count)]
        row = watch.measure(lambda p=patches, g=[grid] * count: tower.encode_images(p, g), repeats)
        yield {"what": "tower", "side": side, "pictures": count} | row


def traced(call: Callable[[], object], watch: Stopwatch) -> list[dict[str, Any]]:
    """The kernels (on a CPU: operators) that took longest in one call."""
    kinds = [torch.profiler.ProfilerActivity.CUDA if watch.on_gpu else torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=kinds) as profile:
        call()
        watch.wait()
    field = "self_device_time_total" if watch.on_gpu else "self_cpu_time_total"
    rows = sorted(profile.key_averages(), key=lambda row: -getattr(row, field))[:TRACED_ROWS]
    return [{"name": r.key[:90], "calls": r.count, "us": round(getattr(r, field), 1)} for r in rows]


def traces(
    core: EngineCore, requests: Requests, limits: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], object]]]:
    """One step or call of each kind, ready to be made."""
    core.submit(requests.make(325, 30))
    yield "prefill of 325 tokens", core.step
    core.step()
    yield "decode of 1", core.step
    core.scheduler.abort_all()
    tokens, batch = min(1438, limits.context), min(64, limits.batch)
    core.submit(requests.make(tokens, 2))
    yield f"first step of {tokens} tokens", core.step
    finish(core)
    start_decoding(core, requests, batch, tokens, 30)
    yield f"decode of {batch} behind {tokens} tokens", core.step
    core.submit(requests.make(tokens, 2))
    yield f"decode of {batch} beside a chunk", core.step
    core.scheduler.abort_all()
    finish(core)
    model = core.model
    for side in sorted({min(limits.side, side) for side, _ in SIDES}):
        grid = Grid(1, side // 28 * 2, side // 28 * 2)
        shape = (grid.num_patches, model.config.vision.patch_values)
        patches = torch.zeros(shape, dtype=torch.uint8, device=model.device)
        tower = core.runner.tower or model
        yield f"tower, {side} px", lambda t=tower, p=patches, g=grid: t.encode_images([p], [g])


def start_decoding(core: EngineCore, requests: Requests, batch: int, context: int, num_out: int) -> None:
    """`batch` sequences of `context` tokens, all of them past their prompt."""
    for _ in range(batch):
        core.submit(requests.make(context, num_out))
    while core.scheduler.num_waiting or any(not s.is_decoding for s in core.scheduler._running):
        core.step()


def finish(core: EngineCore) -> None:
    while core.has_work:
        core.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--load-format", default="dummy", choices=("dummy", "auto"))
    parser.add_argument("--quantization", default="none", choices=("none", "int8", "int4", "fp8"))
    parser.add_argument("--batch", type=int, default=max(BATCHES), help="largest batch")
    parser.add_argument("--context", type=int, default=max(CONTEXTS), help="longest context")
    parser.add_argument("--side", type=int, default=1024, help="largest picture, px")
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    began = time.perf_counter()
    model = Glm4v.load(
        args.folder, device=device, load_format="dummy" if args.load_format == "dummy" else "safetensors",
        quantization=None if args.quantization == "none" else args.quantization,
    )  # fmt: skip
    loaded = time.perf_counter()
    core = EngineCore(model, EngineConfig(max_num_seqs=min(256, args.batch), enable_prefix_cache=False))
    core.warm_up()
    ready = time.perf_counter()
    requests = Requests(model.config.text.vocab_size, model.config.vision.patch_values)
    watch = Stopwatch(model.device)
    start = {"what": "start", "load_s": round(loaded - began, 1), "warm_s": round(ready - loaded, 1)}
    rows: list[dict[str, Any]] = [start]
    print(json.dumps(start), flush=True)
    for source in (
        decode_rows(core, requests, watch, max(10, 2 * args.repeats), args),
        prefill_rows(core, requests, watch, args.repeats // 4 + 1, args),
        tower_rows(core, watch, args.repeats // 4 + 1, args),
    ):
        for row in source:
            rows.append(row)
            print(json.dumps(row), flush=True)
    if args.trace:
        for name, call in traces(core, requests, args):
            rows.append({"what": "trace", "of": name, "kernels": traced(call, watch)})
            print(json.dumps(rows[-1], indent=1), flush=True)
    setup = {"device": torch.cuda.get_device_name() if watch.on_gpu else "cpu", "torch": torch.__version__}
    if args.json:
        args.json.write_text(as_text(packed({"setup": setup, "rows": rows})) + "\n", "utf-8")


if __name__ == "__main__":
    main()
