"""What the engine does without HTTP: `EngineCore` in this process, closed loop, no text, no network.

    python benchmarks/offline.py [MODEL] [--json FILE]

Rows: decoding at 1 and 8 sequences; a closed loop of 8 clients with a 448 px picture each (256 picture tokens, 30 of
text, 32 out), every picture new, then every picture the same; and the engine's own cost per step at 8 decoding rows:
everything in `step()` except the network itself (schedule, build the batch, sample, commit). The best of the repeats
is reported beside the median, because the machine may be shared. Last line: the whole result as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from flashweb.engine.config import EngineConfig
from flashweb.engine.core import GREEDY, EngineCore
from flashweb.engine.protocol import Submit, Token, WireImage
from flashweb.model.glm4v import Glm4v
from flashweb.types import Grid

NANO = Path(__file__).resolve().parents[1] / "src/flashweb/models/flashweb-nano"
GRID = Grid(1, 32, 32)  # 448 x 448 px
NUM_TEXT = 30


class Clock:
    """Time spent inside the network, so that the rest of a step can be told apart."""

    def __init__(self, model: Any) -> None:
        self.seconds = 0.0
        for name in ("forward", "logits", "encode_images"):
            setattr(model, name, self._timed(getattr(model, name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            began = time.perf_counter()
            try:
                return method(*args)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


class Requests:
    """Numbered requests; a picture's pixels come from its seed."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.count = 0

    def make(self, picture: int | None, num_tokens_out: int) -> Submit:
        self.count += 1
        rng = np.random.default_rng(self.count)
        # As a chat template does it: a few tokens that are always the same, the picture, then a question of its own.
        text = [1, 2, 3, 4, *rng.integers(0, self.vocab_size, NUM_TEXT - 4).tolist()]
        images: tuple[WireImage, ...] = ()
        pixels = np.random.default_rng((7, picture or 0)).integers(0, 256, (GRID.num_patches, 588), dtype=np.uint8)
        if picture is not None:
            images = (WireImage(4, (GRID.t, GRID.h, GRID.w), str(picture).encode().ljust(32), pixels.tobytes()),)
            text[4:4] = [0] * GRID.num_tokens
        positions = np.tile(np.arange(len(text), dtype=np.int32), (3, 1)).tobytes()
        sampling = msgspec.structs.replace(GREEDY, max_tokens=num_tokens_out)
        return Submit(str(self.count), tuple(text), positions, 0, images, sampling)


def decode_tokens_per_second(core: EngineCore, requests: Requests, batch: int, num_out: int = 64) -> float:
    for _ in range(batch):
        core.submit(requests.make(None, num_out))
    while core.scheduler.num_waiting or any(not s.is_decoding for s in core.scheduler._running):
        core.step()
    began, tokens = time.perf_counter(), 0
    while core.has_work:
        tokens += len(core.step())
    return tokens / (time.perf_counter() - began)


def requests_per_second(
    core: EngineCore, requests: Requests, clients: int, total: int, next_picture: Callable[[], int]
) -> float:
    """Closed loop: a client sends its next request when its last one is answered."""
    messages = [requests.make(next_picture(), 32) for _ in range(total)]
    began, sent, ended = time.perf_counter(), 0, 0
    while ended < total:
        while sent < total and sent - ended < clients:
            core.submit(messages[sent])
            sent += 1
        ended += sum(isinstance(n, Token) and n.finish is not None for n in core.step())
    return total / (time.perf_counter() - began)


def own_milliseconds_per_step(core: EngineCore, requests: Requests, clock: Clock, batch: int) -> float:
    for _ in range(batch):
        core.submit(requests.make(None, 48))
    while core.scheduler.num_waiting or any(not s.is_decoding for s in core.scheduler._running):
        core.step()
    own = []
    while core.scheduler.num_running == batch:
        inside, began = clock.seconds, time.perf_counter()
        core.step()
        own.append(time.perf_counter() - began - (clock.seconds - inside))
    return 1e3 * statistics.median(own)


def repeat(count: int, measure: Callable[[], float], smaller_is_better: bool = False) -> dict[str, float]:
    values = [measure() for _ in range(count)]
    best = min(values) if smaller_is_better else max(values)
    return {"best": round(best, 3), "median": round(statistics.median(values), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=str(NANO), help="checkpoint folder (default: the bundled one)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None, help="default: all cores of this process")
    parser.add_argument("--quantization", choices=["none", "fp8", "int8", "int4"], default="none")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write the result here as well")
    args = parser.parse_args()

    if args.threads:
        torch.set_num_threads(args.threads)
    quantization = None if args.quantization == "none" else args.quantization
    model = Glm4v.load(args.model, device=args.device, quantization=quantization)
    core = EngineCore(model, EngineConfig(model=args.model))
    core.warm_up()
    requests = Requests(model.config.text.vocab_size)
    fresh = iter(range(1, 1 << 30))
    rows: dict[str, dict[str, float]] = {}
    for batch in (1, 8):
        rows[f"decode tokens/s, {batch} rows"] = repeat(
            args.repeats, lambda batch=batch: decode_tokens_per_second(core, requests, batch)
        )  # type: ignore[misc]
    rows["requests/s, 8 clients, distinct 448 px pictures"] = repeat(
        args.repeats, lambda: requests_per_second(core, requests, 8, 16, lambda: next(fresh))
    )
    rows["requests/s, 8 clients, the same 448 px picture"] = repeat(
        args.repeats, lambda: requests_per_second(core, requests, 8, 32, lambda: 0)
    )
    clock = Clock(model)
    for batch in (1, 8):
        rows[f"engine's own ms per step, {batch} rows"] = repeat(
            args.repeats,
            lambda batch=batch: own_milliseconds_per_step(core, requests, clock, batch),
            smaller_is_better=True,
        )  # type: ignore[misc]
    core.check_integrity()
    result = {
        "benchmark": "offline",
        "set_up": {
            "model": Path(args.model).name,
            "parameters": model.num_parameters,
            "device": str(model.device),
            "dtype": str(model.dtype).removeprefix("torch."),
            "quantization": args.quantization,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "processor": platform.processor() or platform.machine(),
            "load_average": [round(v, 2) for v in os.getloadavg()],
            "repeats": args.repeats,
        },
        "rows": rows,
    }
    for name, values in rows.items():
        print(f"{name:<52} best {values['best']:>9.3f}   median {values['median']:>9.3f}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
