"""What the CUDA path's formats of weights and KV cache cost the bundled model in answers, measured on a CPU.

    python benchmarks/quant_nano.py [--formats 'fp32|int8'] [--sets amounts-plain,...] [--limit N] [--answers FILE]
    python benchmarks/quant_nano.py --formats 'fp32|KV cache fp8' --result kv_cache_nano

The decoder's linears, the embedding and the head are replaced by what the formats of `flashweb.model.quant_cuda` make
of them, multiplied in fp32 (fp8 rounds the activations too); pictures, tower, prompts, scheduling and scoring are the
product's own (`flashweb eval`), with the engine in this process. So what differs from the row fp32 is the rounding
alone. A KV cache in fp8 is the product's own (`--kv-cache-dtype fp8`); what it might have been instead is rounded in
front of a plain one. The checkpoint is bf16. An answer counts as `unlike` when its text differs from the row fp32's,
right or wrong. Formats and sets can be measured in portions: with --answers, FILE keeps the answers of all of them, and
benchmarks/results/quant_nano.json (or --result) sums them up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from common import NANO, machine, write_result
from torch import Tensor

from flashweb.cli.answerers import EngineAnswerer, Options
from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.engine.face import EngineState
from flashweb.engine.protocol import Failed
from flashweb.engine.submit import to_submit
from flashweb.evaluate import Case, load
from flashweb.media import MediaLoader, MediaSettings
from flashweb.model.attention import KVCache
from flashweb.model.glm4v import Glm4v
from flashweb.model.layers import ColumnMajorLinear, DenseEmbedding
from flashweb.model.quant_cuda import (
    FP8_LARGEST,
    SHRINKS,
    quantise_fp8,
    quantise_int4,
    quantise_int8,
    quantise_rows_fp8,
)
from flashweb.pipeline import Pipeline
from flashweb.prompt import PromptProcessor
from flashweb.serve import engine_config
from flashweb.settings import load_settings
from flashweb.types import FinishReason, Prompt, SamplingParams, TokenOut

SETS = ("amounts-plain", "amounts-decorated", "reading", "audit", "boxes", "marking", "contract", "inspection")
CONCURRENCY = 8
MAX_TOKENS = 512

Rounding = Callable[[Tensor], Tensor]  # a weight to the fp32 matrix that a format multiplies with


def same(w: Tensor) -> Tensor:
    return w


def int8(w: Tensor) -> Tensor:
    return quantise_int8(w).dequantised()


def fp8(w: Tensor) -> Tensor:
    return quantise_fp8(w).dequantised()


def int4(w: Tensor, group_size: int | None = None, shrinks: tuple[float, ...] = SHRINKS) -> Tensor:
    return quantise_int4(w, group_size, shrinks).dequantised()


@dataclass(frozen=True, slots=True)
class Format:
    layers: Rounding
    table: Rounding  # of embedding and head, one matrix in this model
    rounds_layer_inputs: bool = False
    rounds_head_input: bool = False
    cache: Rounding | Literal["auto", "fp8"] = "auto"  # a rounding of keys and values, [heads, tokens, head_dim]


def e4m3_as_it_is(x: Tensor) -> Tensor:
    """No scale: what is larger than 448 is cut off."""
    return x.clamp(-FP8_LARGEST, FP8_LARGEST).to(torch.float8_e4m3fn).float()


def e4m3_to_448(x: Tensor) -> Tensor:
    """A scale a head and token that makes the largest number 448, not a power of two."""
    values, scale = quantise_rows_fp8(x)
    return values.float() * scale


def int8_to_127(x: Tensor) -> Tensor:
    """A scale a head and token as well."""
    scale = x.abs().amax(-1, keepdim=True).clamp_min(1e-12) / 127
    return (x / scale).round() * scale


FORMATS = {
    "fp32": Format(same, same),
    "KV cache fp8": Format(same, same, cache="fp8"),
    "KV cache e4m3, no scale": Format(same, same, cache=e4m3_as_it_is),
    "KV cache e4m3, largest 448": Format(same, same, cache=e4m3_to_448),
    "KV cache int8": Format(same, same, cache=int8_to_127),
    "int8": Format(int8, int8),
    "int4": Format(int4, int4),  # groups of 128, and of 64 in the 576 columns of the MLP's second matrix
    "int4 (layers only)": Format(int4, same),
    "int4 min-max": Format(*[partial(int4, shrinks=(1.0,))] * 2),
    "int4, groups of 64": Format(*[partial(int4, group_size=64)] * 2),
    "int4, groups of 32": Format(*[partial(int4, group_size=32)] * 2),
    "fp8": Format(fp8, fp8, rounds_layer_inputs=True, rounds_head_input=True),
    "fp8 (layers only)": Format(fp8, same, rounds_layer_inputs=True),
    "fp8, embedding and head int8": Format(fp8, int8, rounds_layer_inputs=True),
}


class RoundedInput(ColumnMajorLinear):
    """fp8's rounding of the activations in front of a linear map."""

    def __call__(self, x: Tensor) -> Tensor:
        values, scale = quantise_rows_fp8(x)
        return F.linear(values.float() * scale, self.weight, self.bias)

    def add_to_(self, residual: Tensor, x: Tensor) -> Tensor:
        return residual.add_(self(x))


class RoundedCache(KVCache):
    """A plain cache of rounded numbers."""

    def __init__(self, rounded: Rounding, *shape: Any) -> None:
        super().__init__(*shape)
        self._rounded = rounded

    def store(self, layer: int, slots: Tensor, key_value: Tensor) -> Tensor:
        return super().store(layer, slots, self._rounded(key_value))


def model_in(name: str) -> Glm4v:
    """The bundled model with its decoder and its KV cache in a format."""
    form = FORMATS[name]
    model = Glm4v.load(NANO, kv_cache_dtype="fp8" if form.cache == "fp8" else "auto")
    if callable(form.cache):
        text, rounded = model.config.text, form.cache

        def new_kv_cache(num_blocks: int, block_size: int) -> KVCache:
            shape = (text.num_layers, num_blocks, block_size, text.num_kv_heads, text.head_dim)
            return RoundedCache(rounded, *shape, model.dtype, model.device)

        model.new_kv_cache = new_kv_cache  # type: ignore[method-assign]

    def convert(linear: Any, rounded: Rounding, rounds_input: bool) -> ColumnMajorLinear:
        kind = RoundedInput if rounds_input else ColumnMajorLinear
        return kind(rounded(linear.weight.contiguous()), linear.bias)

    with torch.inference_mode():
        for layer in model.text.layers:
            layer.linears = tuple(convert(one, form.layers, form.rounds_layer_inputs) for one in layer.linears)
            layer.qkv, layer.output, layer.gate_up, layer.down = layer.linears
        model.text.embedding = DenseEmbedding(form.table(model.text.embedding.table))
        model.text.head = convert(model.text.head, form.table, form.rounds_head_input)
    return model


class EngineHere:
    """`EngineCore` behind the face that the pipeline knows; a step holds up the event loop: nothing else is urgent."""

    def __init__(self, model: Glm4v, config: EngineConfig) -> None:
        self._core = EngineCore(model, config)
        self._streams: dict[str, asyncio.Queue[TokenOut | Failed]] = {}
        self._stepping: asyncio.Task[None] | None = None
        self._names = iter(range(1 << 62))

    async def start(self) -> None:
        """Nothing to wait for: the model is loaded."""

    async def stop(self) -> None:
        if self._stepping is not None:
            await self._stepping

    async def generate(self, prompt: Prompt, params: SamplingParams, request_id: str) -> AsyncIterator[TokenOut]:
        name = str(next(self._names))
        stream = self._streams[name] = asyncio.Queue()
        self._core.submit(to_submit(name, prompt, params))
        if self._stepping is None or self._stepping.done():
            self._stepping = asyncio.create_task(self._step_while_busy())
        while True:
            news = await stream.get()
            if isinstance(news, Failed):
                raise RuntimeError(news.message)
            yield news
            if news.finish is not None:
                return

    async def _step_while_busy(self) -> None:
        while self._core.has_work:
            for news in self._core.step():
                stream = self._streams[news.request_id]
                if isinstance(news, Failed):
                    stream.put_nowait(news)
                else:
                    finish = None if news.finish is None else FinishReason(news.finish)
                    stream.put_nowait(TokenOut(tuple(news.token_ids), finish))
            await asyncio.sleep(0)

    @property
    def state(self) -> EngineState:
        limits = self._core.plan.limits
        return EngineState("ready", max_model_len=limits.max_model_len, max_num_seqs=CONCURRENCY, was_ready=True)


async def answers(name: str, cases: Sequence[Case]) -> list[str]:
    """The model's answers in a format, in order."""
    settings = load_settings({"model.model": str(NANO)}).settings
    processor = PromptProcessor(NANO)
    loader = MediaLoader(MediaSettings.from_options(settings.media), processor.geometry)
    config = engine_config(settings, NANO, processor)
    pipeline = Pipeline(settings, loader, processor, EngineHere(model_in(name), config))
    await pipeline.start()
    await pipeline.wait_ready()
    answerer = EngineAnswerer(pipeline, name)
    slots = asyncio.Semaphore(CONCURRENCY)

    async def one(case: Case) -> str:
        async with slots:
            chat = await asyncio.to_thread(case.chat)
            return "".join([delta.text async for delta in answerer.answer(chat, Options(MAX_TOKENS, 0.0))])

    try:
        return list(await asyncio.gather(*map(one, cases)))
    finally:
        await pipeline.stop()


def measure(name: str, cases: Sequence[Case], known: dict[str, Any]) -> None:
    """Asks all cases of a format and puts set, score and text of each into `known[name]`."""
    began = time.perf_counter()
    texts = asyncio.run(answers(name, cases))
    print(f"{name}: {len(cases)} answers in {time.perf_counter() - began:.0f} s", flush=True)
    scores = known.setdefault(name, {})
    for case, text in zip(cases, texts, strict=True):
        scores[case.name] = {"set": case.set, "exact": case.score(text).exact, "text": text}


def summary(known: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a format: exact in percent, by set and over all, and what it lost against fp32 on the same cases."""
    rows = []
    for name, scores in known.items():
        sets: dict[str, list[dict[str, Any]]] = {}
        for one in scores.values():
            sets.setdefault(one["set"], []).append(one)
        plain = known.get("fp32", {})
        both = [case for case in scores if case in plain]
        rows.append(
            {
                "format": name,
                "cases": len(scores),
                "exact": _percent([one["exact"] for one in scores.values()]),
                "lost_points": round(
                    _percent([plain[c]["exact"] for c in both]) - _percent([scores[c]["exact"] for c in both]), 2
                ),
                "answers_unlike_fp32": sum(scores[c]["text"] != plain[c]["text"] for c in both),
                "turned_wrong": sum(plain[c]["exact"] > scores[c]["exact"] for c in both),
                "turned_right": sum(plain[c]["exact"] < scores[c]["exact"] for c in both),
                "sets": {key: _percent([one["exact"] for one in some]) for key, some in sets.items()},
            }
        )
    return rows


def _percent(values: Sequence[float]) -> float:
    return round(100 * sum(values) / len(values), 2) if values else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formats", default="|".join(FORMATS), metavar="NAME|...", help="separated by |")
    parser.add_argument("--sets", default=",".join(SETS), metavar="NAME,...")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="first N cases of each set (default: all)")
    parser.add_argument("--answers", default="", metavar="FILE", help="where answers of portions are kept")
    parser.add_argument("--result", default="quant_nano", metavar="NAME", help="of the file in benchmarks/results/")
    args = parser.parse_args()
    cases: list[Case] = []
    for name in args.sets.split(","):
        some = load([name])
        cases += some[: args.limit or len(some)]
    known: dict[str, Any] = {}
    if args.answers:
        try:
            with open(args.answers, encoding="utf-8") as file:
                known = json.load(file)
        except FileNotFoundError:
            pass
    for name in args.formats.split("|"):
        measure(name, cases, known)
    if args.answers:
        with open(args.answers, "w", encoding="utf-8") as file:
            json.dump(known, file, ensure_ascii=False)
    setup = machine() | {"model": "flashweb-nano", "concurrency": CONCURRENCY, "max_tokens": MAX_TOKENS, "greedy": True}
    write_result(args.result, {"setup": setup, "formats": summary(known)})


if __name__ == "__main__":
    main()
