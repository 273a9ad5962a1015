"""What `gpu.py` measures: points (one load on one server), goals (a figure of a point) and series (growth), as data.

Goals, vLLM 0.26's figures and limits are of one NVIDIA H200 (16 CPU cores, 2026-11-21), GLM-4.6V-Flash's shapes with
dummy weights, server and load generator on one machine, vLLM with its defaults, `max_model_len` 16384. Limits are
library kernels inside CUDA graphs on that chip; where they lie above bandwidth, bandwidth. Knows nothing of servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from gpu_model import CONFIG

# As many characters, and so tokens, as the question the goals were set with: 67 tokens without a picture.
PROMPT = "List every amount in the picture, then tell us what it shows."
CLIENTS = (1, 2, 4, 8, 16, 32, 64, 128)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTEXTS = (1024, 2048, 4096, 8192, 16384, 32768, 65536)
SIDES = (224, 448, 672, 896, 1024, 1344, 1792, 2048)
REPEATS = (1, 4, 8)


@dataclass(frozen=True, slots=True)
class Point:
    """One load; `weights` names the server's configuration: a weight format, or "latency" (bf16, --prefer latency), or
    "kv-fp8" (bf16, --kv-cache-dtype fp8)."""

    weights: str
    clients: int
    side: int = 0
    tokens: int = 128
    shared: bool = False
    repeats: int = 1
    text_chars: int = 0
    streams: int = 0
    per_client: int = 3
    least: int = 6

    @property
    def name(self) -> str:
        parts = [self.weights, f"{self.side}px" if self.side else "text", f"{self.clients}c"]
        parts += ["shared"] * self.shared + [f"repeat{self.repeats}"] * (self.repeats > 1)
        parts += [f"context{self.text_chars}"] * (self.text_chars > 0) + [f"streams{self.streams}"] * (self.streams > 0)
        return "-".join([*parts, f"{self.tokens}t"] if self.tokens != 128 else parts)

    @property
    def num_requests(self) -> int:
        return max(self.least, self.clients * self.per_client)

    def tiny(self) -> Point:
        """The same kind of load, for a CPU and the bundled model. Different points may become the same one."""
        return replace(
            self,
            clients=min(self.clients, 2),
            side=self.side // 16,
            tokens=4,
            text_chars=self.text_chars // 128,
            repeats=min(self.repeats, 2),
            streams=min(self.streams, 1),
            per_client=1,
            least=2,
        )


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table: a figure of a point. `point` None: the server's start."""

    name: str
    what: str
    weights: str
    point: Point | None
    figure: str  # its key in the load generator's row
    vllm: float | None
    limit: str
    firm: float
    stretch: float | None
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Points along one quantity; `predict` gives the chip's milliseconds for a value of it."""

    name: str
    title: str
    x_name: str
    points: tuple[tuple[int, Point], ...]
    figure: str
    y_name: str
    predict: Callable[[int], float] | None = None


STREAMS = Point("latency", 16, 1024, streams=8, per_client=6)
# The same without the option, for what it costs the pictures.
STREAMS_PLAIN = replace(STREAMS, weights="bf16")
# What a KV cache in fp8 gains: nothing much without contexts, then a crowd with long ones, then one very long one.
KV_POINTS = (
    Point("kv-fp8", 1),
    Point("kv-fp8", 64),
    Point("kv-fp8", 64, text_chars=4096),
    Point("kv-fp8", 1, tokens=64, text_chars=CONTEXTS[-1], least=3),
)

GOALS = (
    Goal("bf16-text-1", "bf16, no picture, 1 client, ms per output token", "bf16",
         Point("bf16", 1), "per_token_ms_p50", 6.6, "3.9", 5.2, 4.6),
    Goal("fp8-text-1", "fp8, no picture, 1 client, ms per output token", "fp8",
         Point("fp8", 1), "per_token_ms_p50", 4.3, "2.0", 3.3, 2.8),
    Goal("bf16-1024-1", "bf16, 1024 px, 1 client, first token p50 ms", "bf16",
         Point("bf16", 1, 1024), "first_token_ms_p50", 124, "53 + decode and resize", 85, 72),
    Goal("bf16-448-8", "bf16, 448 px, 8 clients, first token p95 ms", "bf16",
         Point("bf16", 8, 448), "first_token_ms_p95", 253, "~85", 140, 110),
    Goal("bf16-1024-64", "bf16, 1024 px, 64 clients, req/s", "bf16",
         Point("bf16", 64, 1024), "requests_per_s", 11.8, "15.6", 13.5, 14.5, True),
    Goal("fp8-1024-64", "fp8, 1024 px, 64 clients, req/s", "fp8",
         Point("fp8", 64, 1024), "requests_per_s", 14.1, "22+", 18, 20, True),
    Goal("fp8-448-128", "fp8, 448 px, 128 clients, req/s", "fp8",
         Point("fp8", 128, 448), "requests_per_s", 45.1, "80+", 60, 70, True),
    Goal("bf16-shared-64", "bf16, the same 1024 px picture for all, 64 clients, req/s", "bf16",
         Point("bf16", 64, 1024, shared=True), "requests_per_s", 49.5, "90+", 65, 80, True),
    Goal("bf16-text-64", "bf16, no picture, 64 clients, output tokens/s", "bf16",
         Point("bf16", 64), "output_tokens_per_s", 8140, "11300", 9000, 10000, True),
    Goal("start", "start to ready, warm disk, s", "bf16", None, "seconds", 111, "", 30, 15),
    Goal("latency-streams", "bf16, `--prefer latency`, 8 text streams beside 16 clients with 1024 px: gap p99 over the "
         "median gap alone", "latency", STREAMS, "gap_ratio", None, "1", 3, None),
)  # fmt: skip


# --- what the chip needs ----------------------------------------------------------------------------------------------

BANDWIDTH = 4.46e12  # bytes/s, read-only, measured
PREFILL_FLOPS = 700e12  # bf16 matrix products of the decoder, measured at 1438 tokens and more
TOWER_FLOPS = 607e12  # the tower with cuDNN attention, measured at one 1024 px picture
_TEXT, _VISION = CONFIG["text_config"], CONFIG["vision_config"]
_HIDDEN, _LAYERS, _HEAD_DIM = _TEXT["hidden_size"], _TEXT["num_hidden_layers"], 128
_KV_WIDTH = _TEXT["num_key_value_heads"] * _HEAD_DIM
_LAYER_WEIGHTS = _HIDDEN * (2 * _HIDDEN + 2 * _KV_WIDTH + 3 * _TEXT["intermediate_size"])
_HEAD_WEIGHTS = _HIDDEN * _TEXT["vocab_size"]
_TOWER_WEIGHTS = _VISION["depth"] * _VISION["hidden_size"] * (4 * _VISION["hidden_size"] + 3 * _HIDDEN)


def decode_ms(batch: int, context: int) -> float:
    """One step: all weights are read once, each sequence's keys and values too; 2 FLOPs a weight and sequence."""
    weights = _LAYERS * _LAYER_WEIGHTS + _HEAD_WEIGHTS
    cache = 2 * _LAYERS * _KV_WIDTH * context * batch
    return 1e3 * max(2 * (weights + cache) / BANDWIDTH, 2 * weights * batch / PREFILL_FLOPS)


def first_token_ms(side: int) -> float:
    """Tower and prefill of one square picture with the question; nothing of decoding, resizing and moving it."""
    blocks = max(4, round(side / 28))  # at least 112 px
    patches, tokens = 4 * blocks**2, blocks**2 + 69
    tower = 2 * patches * _TOWER_WEIGHTS + 4 * patches**2 * _VISION["hidden_size"] * _VISION["depth"]
    prefill = 2 * tokens * _LAYERS * _LAYER_WEIGHTS + 2 * tokens**2 * _HIDDEN * _LAYERS
    return 1e3 * (tower / TOWER_FLOPS + max(prefill / PREFILL_FLOPS, 2 * _LAYERS * _LAYER_WEIGHTS / BANDWIDTH))


# --- growth -----------------------------------------------------------------------------------------------------------


def _curve(side: int) -> Series:
    points = tuple((clients, Point("bf16", clients, side)) for clients in CLIENTS)
    return Series(f"curve-{side}", f"load with {side} px pictures, bf16", "clients", points, "first_token_ms_p50", "ms")


SERIES = (
    _curve(448),
    _curve(1024),
    Series("growth-context", "time per token against context, 1 client, bf16", "tokens of context",
           tuple((n, Point("bf16", 1, tokens=64, text_chars=n, least=3)) for n in CONTEXTS),
           "per_token_ms_p50", "ms per token", lambda context: decode_ms(1, context)),
    Series("growth-batch", "time per token against batch, no picture, bf16", "clients",
           tuple((n, Point("bf16", n)) for n in BATCHES),
           "per_token_ms_p50", "ms per token", lambda batch: decode_ms(batch, 67 + 64)),
    Series("growth-side", "first token against picture size, 1 client, bf16", "px",
           tuple((side, Point("bf16", 1, side, tokens=8)) for side in SIDES),
           "first_token_ms_p50", "ms", first_token_ms),
    Series("repeats", "each 1024 px picture in so many requests, 64 clients, 8 tokens out, bf16", "requests",
           tuple((n, Point("bf16", 64, 1024, tokens=8, repeats=n)) for n in REPEATS),
           "requests_per_s", "req/s"),
)  # fmt: skip


def rows() -> Iterator[tuple[str, str, tuple[Point, ...]]]:
    """Every row that can be asked for: name, weights, the points it needs."""
    for goal in GOALS:
        yield goal.name, goal.weights, () if goal.point is None else (goal.point,)
    yield "bf16-streams", "bf16", (STREAMS_PLAIN,)
    yield "kv-fp8", "kv-fp8", KV_POINTS
    yield "kv-bf16", "bf16", tuple(replace(point, weights="bf16") for point in KV_POINTS)
    for series in SERIES:
        yield series.name, "bf16", tuple(point for _, point in series.points)
