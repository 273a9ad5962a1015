"""Closed-loop load on a chat server: N clients, each sending its next request when the last one is answered.

Every request streams and carries pictures of its own (so that no cache can answer it, unless `shared` or `repeats`
say so), and asks for a fixed number of tokens. Requests are made before the clock starts. Knows nothing of flags or
tables, and of HTTP only that `StreamClient` speaks it.

Figures mean the same as those of the load generator our goals for GPUs were set with (`benchmarks/gpu_rows.py`). On a
server that answers by the clock (50 ms, then a token every 5 ms) both find the same with 1, 8 and 32 clients: within
3 ms of first token, 0.03 ms per token (p50) and 1.6 % of requests/s.

- The clock of a request starts before its connection is made (each client's first) or its bytes are sent. Only turning
  the request into JSON is done before; there it counts, about a millisecond for a picture of 1024 px.
- `first_token`: until the first event whose delta has anything but a role: text, reasoning, a tool call.
- `per_token`: from there to the end of the whole response, over the counted tokens less one. Tokens are the server's
  own count (`usage`), else the number of such events.
- `whole`: until the response has been read to its end.
- p50 is the median (the mean of the middle two); p95 and p99 are the value with the index int(share * n), from 0, of
  the n sorted values, the largest at most.
- `requests_per_s` and `output_tokens_per_s` count good answers only, over the time from the first client's start to the
  last client's end. A request that brought another number of tokens than asked for is an error.
- A shared picture is new to the server when the clock starts: warm-up requests carry others.

Ours alone: `gap`, the time between one such event of a stream and the next, over all streams of the row (an event may
bring several tokens), and `client_cpu`, the load generator's own processor time over the row's time: near 1, it was
the client that was measured.
"""

from __future__ import annotations

import asyncio
import gc
import io
import os
import random
import string
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import median
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from flashweb.cli.client import ChatServer, ServerError, ServerUnreachable, picture_url
from flashweb.cli.stream_client import StreamClient
from flashweb.types import ImagePart

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
    repeats: int = 1  # so many requests in a row carry the same pictures
    text_chars: int = 0  # random text in front of the question, up to so many characters with it; no two alike


@dataclass(frozen=True, slots=True)
class Timed:
    """One answered request, in seconds."""

    first_token: float
    per_token: float
    whole: float
    tokens: int
    prompt_tokens: int
    cached_tokens: int
    stamps: Sequence[float] = field(default=(), repr=False)  # of the events that brought something

    def gaps(self, start: float = float("-inf"), end: float = float("inf")) -> Iterator[float]:
        """Times between neighbouring events, of those between the two moments."""
        for i in range(1, len(self.stamps)):
            if self.stamps[i - 1] >= start and self.stamps[i] <= end:
                yield self.stamps[i] - self.stamps[i - 1]


# --- requests ---------------------------------------------------------------------------------------------------------


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
    grain = np.roll(_grain(side), rng.integers(0, side, 2), (0, 1))
    pixels = (np.asarray(soft, dtype=np.int16) + grain).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85)
    return out.getvalue()


@lru_cache(maxsize=4)
def _grain(side: int) -> NDArray[np.int16]:
    """Made once and shifted for each picture: drawing it anew would be a third of making one."""
    return np.random.default_rng(0).integers(-6, 6, (side, side, 1), dtype=np.int16)


def request_body(load: Load, number: int) -> dict[str, Any]:
    """The `number`-th request; requests with different numbers share no picture unless `shared` or `repeats`."""
    group = 0 if load.shared else number // load.repeats
    first = load.seed * 1_000_003 + group * max(1, load.images)
    count = load.images if load.side else 0
    text = _text(load, load.seed * 1_000_003 + number)
    content: str | list[dict[str, Any]] = text
    if count:
        urls = [picture_url(ImagePart(data=picture(load.side, first + i))) for i in range(count)]
        content = [{"type": "text", "text": text}, *({"type": "image_url", "image_url": {"url": u}} for u in urls)]
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}]}
    body |= {"model": load.model, "max_tokens": load.tokens, "temperature": 0.0}
    body |= {"stream_options": {"include_usage": True}} if load.usage else {}
    return body | ({"ignore_eos": True, "min_tokens": load.tokens} if load.ignore_eos else {})


def _text(load: Load, seed: int) -> str:
    missing = load.text_chars - len(load.prompt) - 1
    if missing <= 0:
        return load.prompt
    return "".join(random.Random(seed).choices(string.ascii_lowercase + "    ", k=missing)) + " " + load.prompt


def request_bytes(load: Load, num_requests: int) -> list[bytes]:
    """All requests of a row as they go over the line, made on all cores. With `shared` they are one object."""

    def encoded(number: int) -> bytes:
        return msgspec.json.encode({**request_body(load, number), "stream": True})

    if load.shared and not load.text_chars:
        return [encoded(0)] * num_requests
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(encoded, range(num_requests)))


# --- running ----------------------------------------------------------------------------------------------------------


async def run_load(server: ChatServer, load: Load, concurrency: int, num_requests: int) -> dict[str, Any]:
    """One row: `num_requests` requests from `concurrency` clients."""
    bodies = await asyncio.to_thread(request_bytes, load, num_requests)
    run = _Run(server, load)
    with _undisturbed():
        await run.until_done(bodies, concurrency)
    return run.summary(concurrency)


async def run_beside(
    server: ChatServer, streams: Load, num_streams: int, load: Load, concurrency: int, num_requests: int
) -> dict[str, Any]:
    """`num_streams` text-only streams alone, then beside `load`: what the load does to the gaps between their tokens.

    The row is that of the load, with `streams` alone and beside it, and `gap_ratio`: the p99 of the gaps beside the
    load over the median of the gaps alone. Only gaps while all clients of the load were at work count beside it.
    """
    text = replace(streams, side=0)
    bodies = await asyncio.to_thread(request_bytes, load, num_requests)
    alone_bodies = request_bytes(text, 3 * num_streams)
    beside_bodies = request_bytes(replace(text, seed=text.seed + 1), num_streams)
    with _undisturbed():
        alone = _Run(server, text)
        await alone.until_done(alone_bodies, num_streams)
        beside, pictures = _Run(server, text), _Run(server, load)
        is_over = asyncio.Event()
        streaming = asyncio.create_task(beside.until(is_over, beside_bodies, num_streams))
        try:
            # Streams on their way first, so that the load's first wave is seen too.
            await asyncio.sleep(min(1.0, alone.seconds / 3))
            await pictures.until_done(bodies, concurrency)
        finally:
            is_over.set()
            await streaming
    row = pictures.summary(concurrency)
    row["streams"] = {
        "clients": num_streams,
        "alone": alone.summary(num_streams),
        "beside": beside.summary(num_streams, pictures.started, pictures.first_idle),
    }
    errors = alone.errors + beside.errors
    if errors:
        row |= {"errors": row["errors"] + len(errors), "first_error": row.get("first_error", errors[0])}
    idle, busy = (row["streams"][when].get(name) for when, name in (("alone", "gap_ms_p50"), ("beside", "gap_ms_p99")))
    return row | ({"gap_ratio": round(busy / idle, 2)} if idle and busy else {})


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No collector's pauses among the measured times."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Run:
    """Clients in a closed loop, and what they saw."""

    def __init__(self, server: ChatServer, load: Load) -> None:
        self._server = server
        self._load = load
        self.done: list[Timed] = []
        self.errors: list[str] = []
        self.started = self.ended = self.cpu_seconds = 0.0
        self.first_idle = float("inf")  # when the first client found nothing more to do

    @property
    def seconds(self) -> float:
        return self.ended - self.started

    async def until_done(self, bodies: Sequence[bytes], concurrency: int) -> None:
        waiting = iter(bodies)
        await self._run(min(concurrency, len(bodies)), lambda: next(waiting, None))

    async def until(self, is_over: asyncio.Event, bodies: Sequence[bytes], concurrency: int) -> None:
        """The same requests again and again; answers that are under way when it is over are read to their end."""
        turn = 0

        def take() -> bytes | None:
            nonlocal turn
            turn += 1
            # A server that refuses everything would be asked as fast as it can say so.
            return None if is_over.is_set() or len(self.errors) > concurrency else bodies[turn % len(bodies)]

        await self._run(concurrency, take)

    async def _run(self, concurrency: int, take: Callable[[], bytes | None]) -> None:
        async def client() -> None:
            line = StreamClient(self._server.url, self._server.key)
            try:
                while (body := take()) is not None:
                    try:
                        self.done.append(await _timed(line, self._load, body))
                    except (ServerError, ServerUnreachable) as error:
                        self.errors.append(error.message)
                self.first_idle = min(self.first_idle, time.perf_counter())
            finally:
                line.close()

        self.started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(client() for _ in range(concurrency)))
        self.ended, self.cpu_seconds = time.perf_counter(), time.process_time() - cpu

    def summary(
        self, concurrency: int, gaps_from: float = float("-inf"), gaps_until: float = float("inf")
    ) -> dict[str, Any]:
        row = summary(concurrency, self.done, self.errors, self.seconds, gaps_from, gaps_until)
        return row | {"client_cpu": round(self.cpu_seconds / max(self.seconds, 1e-9), 3)}


async def _timed(line: StreamClient, load: Load, body: bytes) -> Timed:
    streamed = await line.post(body)
    usage, stamps = streamed.usage, streamed.stamps
    tokens = int(usage.get("completion_tokens") or len(stamps))
    if load.ignore_eos and tokens != load.tokens:
        raise ServerError(f"{tokens} tokens came, {load.tokens} were asked for; try --no-ignore-eos with this server")
    first = stamps[0] if stamps else streamed.ended
    details = usage.get("prompt_tokens_details") or {}
    return Timed(
        first - streamed.started,
        (streamed.ended - first) / max(1, tokens - 1),
        streamed.ended - streamed.started,
        tokens,
        int(usage.get("prompt_tokens") or 0),
        int(details.get("cached_tokens") or 0),
        stamps,
    )


# --- figures ----------------------------------------------------------------------------------------------------------


def summary(
    concurrency: int,
    done: Sequence[Timed],
    errors: Sequence[str],
    seconds: float,
    gaps_from: float = float("-inf"),
    gaps_until: float = float("inf"),
) -> dict[str, Any]:
    """Figures of one row, as the module's head defines them; times in milliseconds."""
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
            row[f"{name}_p50"] = round(1e3 * median(values), 3)
            row[f"{name}_p95"] = round(1e3 * percentile(values, 0.95), 3)
        gaps = array("d", (gap for t in done for gap in t.gaps(gaps_from, gaps_until)))
        if gaps:
            row["gap_ms_p50"] = round(1e3 * median(gaps), 3)
            row["gap_ms_p99"] = round(1e3 * percentile(gaps, 0.99), 3)
            row["gap_ms_max"] = round(1e3 * max(gaps), 3)
    if errors:
        row["first_error"] = errors[0]
    return row


def percentile(values: Sequence[float], share: float) -> float:
    """The value that about `share` of all values lie below; see the module's head."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
