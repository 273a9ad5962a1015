"""Picture preparation against transformers' own image processor: JPEG bytes in, patches out, both sides in one run.

Each round runs every side once on the same picture, in alternation; the ratio of a row is the median of the rounds'
ratios, so that a busy neighbour hits both sides. `cpu` counts processor seconds of all threads and workers, which a
neighbour changes less; only an idle second core shows what the split of large pictures brings. Goals, of `ratio`:
identical pixels >= 2.4x at 1024 px and 12 megapixels; within two levels >= 3x and >= 4.5x.

    .venv/bin/python benchmarks/media.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
import torch
from common import machine, write_result
from echo_cost import cpu_seconds as thread_seconds
from PIL import Image, ImageDraw, ImageFont
from transformers.models.glm46v.image_processing_pil_glm46v import Glm46VImageProcessorPil

from flashweb.media import ImageGeometry, MediaLoader, MediaSettings
from flashweb.types import ImagePart, PixelPatches

SIZES = [(448, 448), (1024, 1024), (1920, 1080), (4000, 3000)]  # width, height
GOALS = {"1024x1024": {"exact": 2.4, "fast": 3.0}, "4000x3000": {"exact": 2.4, "fast": 4.5}}
GEOMETRY = ImageGeometry()

Side = Callable[[bytes], Awaitable[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    asyncio.run(measure(args.rounds))


async def measure(rounds: int) -> None:
    setup = machine() | {"pillow": metadata.version("pillow"), "transformers": metadata.version("transformers")}
    settings = MediaSettings(max_image_size=0, cache_bytes=0)  # every round is to prepare its picture
    exact = MediaLoader(settings, GEOMETRY)
    alone = MediaLoader(replace(settings, num_workers=1), GEOMETRY)
    fast = MediaLoader(replace(settings, resize="fast"), GEOMETRY)
    sides: dict[str, Side] = {
        "transformers": reference,
        "exact": loading(exact),
        "exact, one thread": loading(alone),
        "fast": loading(fast),
    }
    rows = []
    print(f"{'JPEG':>10} {'tokens':>6} {'side':>18} {'ms':>8} {'cpu':>8} {'ratio':>6} {'cpu':>6}  difference")
    try:
        for width, height in SIZES:
            rows.append(await one_size(width, height, rounds, sides, fast))
            show(rows[-1])
        burst = await many(exact, fast, rounds)
    finally:
        for loader in (exact, alone, fast):
            loader.close()
    write_result("media", {"what": __doc__.partition("\n")[0], "setup": setup, "rounds": rounds, "rows": rows, **burst})


async def one_size(width: int, height: int, rounds: int, sides: dict[str, Side], fast: MediaLoader) -> dict[str, Any]:
    data = jpeg(width, height)
    results = {name: await side(data) for name, side in sides.items()}  # also warms every side up
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            began, began_cpu = time.perf_counter(), cpu_seconds(fast)
            await side(data)
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(cpu_seconds(fast) - began_cpu)
    expected = reference_pixels(results["transformers"])
    name = f"{width}x{height}"
    row: dict[str, Any] = {"jpeg": name, "tokens": len(expected) // 4, "sides": {}}
    for side in sides:
        one: dict[str, Any] = {
            "ms": round(statistics.median(wall[side]) * 1e3, 2),
            "cpu_ms": round(statistics.median(cpu[side]) * 1e3, 2),
        }
        if side != "transformers":
            one["ratio"] = median_ratio(wall["transformers"], wall[side])
            one["cpu_ratio"] = median_ratio(cpu["transformers"], cpu[side])
            difference = np.abs(results[side].patches.astype(int) - expected)
            one["max_difference"] = int(difference.max())
            one["mean_difference"] = round(float(difference.mean()), 5)
        if (goal := GOALS.get(name, {}).get(side)) is not None:
            one |= {"goal": goal, "met": one["ratio"] >= goal}
        row["sides"][side] = one
    return row


async def many(exact: MediaLoader, fast: MediaLoader, rounds: int) -> dict[str, Any]:
    """Pictures per second when eight 1024 px pictures come together: all cores busy, no picture is split."""
    data = jpeg(1024, 1024)
    seconds: dict[str, list[float]] = {"transformers": [], "exact": [], "fast": []}
    for _ in range(max(3, rounds // 3)):
        began = time.perf_counter()
        for _ in range(8):
            await reference(data)
        seconds["transformers"].append(time.perf_counter() - began)
        for name, loader in (("exact", exact), ("fast", fast)):
            began = time.perf_counter()
            await loader.load([ImagePart(data=data)] * 8)
            seconds[name].append(time.perf_counter() - began)
    rates = {name: round(8 / statistics.median(times), 1) for name, times in seconds.items()}
    ratios = {name: median_ratio(seconds["transformers"], seconds[name]) for name in ("exact", "fast")}
    print(f"eight 1024 px pictures together, pictures/s: {rates}, ratios {ratios}")
    return {"eight_together": {"pictures_per_second": rates, "ratio": ratios}}


_PROCESSOR = Glm46VImageProcessorPil(size={"shortest_edge": GEOMETRY.min_pixels, "longest_edge": GEOMETRY.max_pixels})


async def reference(data: bytes) -> Any:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return _PROCESSOR(images=[image], return_tensors="pt")


def loading(loader: MediaLoader) -> Side:
    async def side(data: bytes) -> PixelPatches:
        (image,) = await loader.load([ImagePart(data=data)])
        return image

    return side


def reference_pixels(output: Any) -> Any:
    """The reference's float rows as the 8-bit pixels they were made from: [n, 588], first frame."""
    rows = output["pixel_values"].numpy().reshape(-1, 3, 2, 196)[:, :, 0]
    mean, std = (np.array(values).reshape(1, 3, 1) for values in (GEOMETRY.mean, GEOMETRY.std))
    return np.rint((rows * std + mean) * 255).astype(int).reshape(-1, 588)


def cpu_seconds(fast: MediaLoader) -> float:
    """Processor time of this process and of the picture workers."""
    own = time.process_time()
    assert fast._fast is not None
    for worker in fast._fast._workers:
        own += thread_seconds(worker._process.pid)
    return own


def median_ratio(reference: list[float], ours: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(reference, ours, strict=True)), 2)


def show(row: dict[str, Any]) -> None:
    for name, side in row["sides"].items():
        known = "ratio" in side
        ratios = f"{side['ratio']:6.2f} {side['cpu_ratio']:6.2f}" if known else " " * 13
        difference = f"{side['max_difference']} / {side['mean_difference']}" if "ratio" in side else ""
        print(
            f"{row['jpeg']:>10} {row['tokens']:>6} {name:>18} {side['ms']:8.1f} "
            f"{side['cpu_ms']:8.1f} "
            f"{ratios}  {difference}"
        )


def jpeg(width: int, height: int) -> bytes:
    """A synthetic photograph of a page: gradient, noise, lines of text and bars, quality 90."""
    generator = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], -1)
    pixels += generator.normal(0, 8, pixels.shape)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(12, height // 40))
    for line in range(10, height - 20, max(24, height // 20)):
        draw.text((20, line), f"{line:04d} receipt total 128.50 " * 8, font=font, fill=(line % 200, 10, 40))
    for bar in range(0, width, max(60, width // 12)):
        draw.rectangle((bar, height // 2, bar + 12, height // 2 + height // 6), fill=(250, 240, bar % 256))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


if __name__ == "__main__":
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    main()
