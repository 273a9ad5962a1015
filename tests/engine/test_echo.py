"""The fake engine keeps the promises of the real one's face."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from flashweb.engine import EchoEngine, EngineConfig
from flashweb.errors import ConfigError, ContextLengthExceeded, NotReady, Overloaded
from flashweb.types import FinishReason, Grid, ImageSpan, PixelPatches, Prompt, SamplingParams, TokenOut


def prompt_of(*tokens: int, picture_at: int | None = None) -> Prompt:
    spans: tuple[ImageSpan, ...] = ()
    if picture_at is not None:
        patches = PixelPatches(np.zeros((16, 588), np.uint8), Grid(1, 4, 4), b"d" * 32, (56, 56))
        spans = (ImageSpan(picture_at, patches),)
    positions = np.tile(np.arange(len(tokens), dtype=np.int32), (3, 1))
    return Prompt(tokens, positions, 0, spans)


async def collect(engine: EchoEngine, prompt: Prompt, **params: object) -> list[TokenOut]:
    return [out async for out in engine.generate(prompt, SamplingParams(**params), "r")]  # type: ignore[arg-type]


def run(engine: EchoEngine, prompt: Prompt, **params: object) -> list[TokenOut]:
    async def go() -> list[TokenOut]:
        await engine.start()
        return await collect(engine, prompt, **params)

    return asyncio.run(go())


def test_it_repeats_the_text_and_leaves_pictures_out() -> None:
    outs = run(EchoEngine(skip_token_ids={7}), prompt_of(7, 1, 9, 9, 9, 9, 2, picture_at=2))
    assert [t for o in outs for t in o.token_ids] == [1, 2]
    assert outs[-1].finish is FinishReason.STOP


def test_max_tokens_cuts_and_says_length() -> None:
    outs = run(EchoEngine(), prompt_of(1, 2, 3), max_tokens=2)
    assert [o.token_ids for o in outs] == [(1,), (2,)]
    assert outs[-1].finish is FinishReason.LENGTH


def test_ignore_eos_gives_exactly_max_tokens() -> None:
    outs = run(EchoEngine(eos_token_ids={2}), prompt_of(1, 2), max_tokens=5, ignore_eos=True)
    assert [t for o in outs for t in o.token_ids] == [1, 2, 1, 2, 1]
    assert outs[-1].finish is FinishReason.LENGTH


def test_a_stop_token_ends_the_answer() -> None:
    outs = run(EchoEngine(eos_token_ids={2}), prompt_of(1, 2, 3))
    assert [t for o in outs for t in o.token_ids] == [1, 2]
    assert outs[-1].finish is FinishReason.STOP


def test_the_queue_is_bounded_and_closing_frees_a_place() -> None:
    async def go() -> None:
        engine = EchoEngine(max_num_seqs=1, max_waiting=0, delay_seconds=0.001)
        await engine.start()
        async with aclosing(engine.generate(prompt_of(1, 2, 3), SamplingParams(), "a")) as first:  # type: ignore[type-var]
            await anext(first)
            with pytest.raises(Overloaded, match="limit is 1"):
                await collect(engine, prompt_of(1))
        assert engine.state.num_running == 0 and engine.num_aborted == 1
        assert len(await collect(engine, prompt_of(1))) == 1

    asyncio.run(go())


def test_too_long_a_prompt_and_a_stopped_engine_are_named_errors() -> None:
    async def go() -> None:
        engine = EchoEngine(max_model_len=3)
        with pytest.raises(NotReady):
            await collect(engine, prompt_of(1))
        await engine.start()
        with pytest.raises(ContextLengthExceeded, match="3 tokens"):
            await collect(engine, prompt_of(1, 2, 3))
        await engine.stop()
        assert engine.state.phase == "stopped"

    asyncio.run(go())


@pytest.mark.parametrize(
    "wrong", [{"block_size": 0}, {"gpu_memory_utilization": 1.5}, {"stall_seconds": float("nan")}, {"max_waiting": -1}]
)
def test_an_impossible_config_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EngineConfig(**wrong)  # type: ignore[arg-type]
