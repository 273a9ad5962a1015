"""Closed-loop load on a chat server: N clients, each sending its next request when the last one is answered.

Every request streams and carries pictures of its own (so that no cache can answer it, unless `shared`), and asks for
a fixed number of tokens. Times are taken at the client: first token, time per further token, whole request. Knows
nothing of tables or flags.
"""

from __future__ import annotations

import asyncio
import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flashweb.cli.client import ChatServer, ServerError, ServerUnreachable, chat_body, user_message
from flashweb.types import Chat, ImagePart

PROMPT = "List every amount in the picture, then say what it shows."


@dataclass(frozen=True, slots=True)
class Load:
    """What each request looks like."""

    model: str
    side: int = 448  # pixels of each (square) picture; 0 for none
    images: int = 1  # pictures per request
    tokens: int = 32  # of every answer
    shared: bool = False  # all requests carry the same pictures
    ignore_eos: bool = True  # the server must write exactly `tokens`; off for servers that cannot
    usage: bool = True  # ask for token counts in the stream; off for servers that refuse stream_options
    prompt: str = PROMPT
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Timed:
    """One answered request, in seconds."""

    first_token: float
    per_token: float
    whole: float
    tokens: int
    prompt_tokens: int
    cached_tokens: int


def picture(side: int, seed: int) -> bytes:
    """A JPEG about as compressible as a photograph of a receipt: soft colours, lines of text with amounts, grain."""
    rng = np.random.default_rng(seed)
    colours = Image.fromarray(rng.integers(90, 250, (6, 6, 3), dtype=np.uint8))
    soft = colours.resize((side, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(soft)
    font = ImageFont.load_default(size=max(10, side // 28))
    for y in range(side // 20, side - side // 20, max(12, side // 16)):
        text = f"item {rng.integers(10_000):04d}   ${rng.integers(1, 500)}.{rng.integers(100):02d}"
        draw.text((side // 16 + int(rng.integers(0, side // 4)), y), text, fill=(25, 25, 30), font=font)
    grain = rng.integers(-7, 8, (side, side, 1), dtype=np.int16)
    pixels = (np.asarray(soft, dtype=np.int16) + grain).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=88)
    return out.getvalue()


def request_body(load: Load, number: int) -> dict[str, Any]:
    """The `number`-th request; requests with different numbers share no picture unless `shared`."""
    first = load.seed * 1_000_003 + (0 if load.shared else number * max(1, load.images))
    count = load.images if load.side else 0
    pictures = [ImagePart(data=picture(load.side, first + i)) for i in range(count)]
    body = chat_body(Chat((user_message(load.prompt, pictures),)))
    body |= {"model": load.model, "max_tokens": load.tokens, "temperature": 0.0}
    body |= {"stream_options": {"include_usage": True}} if load.usage else {}
    return body | ({"ignore_eos": True, "min_tokens": load.tokens} if load.ignore_eos else {})


async def run_load(server: ChatServer, load: Load, concurrency: int, num_requests: int) -> dict[str, Any]:
    """One row: `num_requests` requests from `concurrency` clients. The pictures are made before the clock starts."""
    bodies = await asyncio.to_thread(lambda: [request_body(load, number) for number in range(num_requests)])
    waiting = iter(bodies)
    done: list[Timed] = []
    errors: list[str] = []

    async def client() -> None:
        for body in waiting:
            try:
                done.append(await _timed(server, load, body))
            except (ServerError, ServerUnreachable) as error:
                errors.append(error.message)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(min(concurrency, num_requests))))
    return summary(load, concurrency, done, errors, time.perf_counter() - started)


async def _timed(server: ChatServer, load: Load, body: dict[str, Any]) -> Timed:
    started = time.perf_counter()
    first = None
    num_chunks = 0
    usage: dict[str, Any] = {}
    async for chunk in server.stream(body):
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta") or {}
            if any(value for key, value in delta.items() if key != "role"):
                num_chunks += 1
                first = first or time.perf_counter()
    ended = time.perf_counter()
    tokens = int(usage.get("completion_tokens") or num_chunks)
    if load.ignore_eos and tokens != load.tokens:
        raise ServerError(f"{tokens} tokens came, {load.tokens} were asked for; try --no-ignore-eos with this server")
    first = first or ended
    details = usage.get("prompt_tokens_details") or {}
    return Timed(
        first - started,
        (ended - first) / max(1, tokens - 1),
        ended - started,
        tokens,
        int(usage.get("prompt_tokens") or 0),
        int(details.get("cached_tokens") or 0),
    )


def summary(
    load: Load, concurrency: int, done: Sequence[Timed], errors: Sequence[str], seconds: float
) -> dict[str, Any]:
    """Figures of one row; times in milliseconds."""
    row: dict[str, Any] = {"concurrency": concurrency, "requests": len(done), "errors": len(errors)}
    if done:
        row |= {
            "requests_per_s": round(len(done) / seconds, 3),
            "output_tokens_per_s": round(sum(t.tokens for t in done) / seconds, 1),
            "prompt_tokens": done[0].prompt_tokens,
            "cached_tokens": round(sum(t.cached_tokens for t in done) / len(done), 1),
            "seconds": round(seconds, 3),
        }
        for name, values in (
            ("first_token_ms", [t.first_token for t in done]),
            ("per_token_ms", [t.per_token for t in done]),
            ("whole_ms", [t.whole for t in done]),
        ):
            row[f"{name}_p50"] = round(1e3 * median(values), 2)
            row[f"{name}_p95"] = round(1e3 * percentile(values, 0.95), 2)
    if errors:
        row["first_error"] = errors[0]
    return row


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
