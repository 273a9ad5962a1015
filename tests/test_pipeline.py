"""The spine: who is let in, what is refused before work is done, how a request ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from flashweb.engine import EchoEngine
from flashweb.errors import ContextLengthExceeded, EngineDied, InvalidImage, NotReady, Overloaded
from flashweb.pipeline import Pipeline
from flashweb.types import Chat, Delta, FinishReason, ImagePart, Message, SamplingParams, TextPart
from tests.house import CountingLoader, ScriptedEngine, make_pipeline, png


def ask(*parts: str | bytes, thinking: bool = False) -> Chat:
    made = tuple(TextPart(part) if isinstance(part, str) else ImagePart(data=part) for part in parts)
    return Chat((Message("user", made),), enable_thinking=thinking)


async def collect(pipeline: Pipeline, chat: Chat, n: int = 1, **params: object) -> list[tuple[int, Delta]]:
    return [piece async for piece in pipeline.stream(chat, SamplingParams(**params), n)]  # type: ignore[arg-type]


def text_of(pieces: list[tuple[int, Delta]], index: int = 0) -> str:
    return "".join(delta.text for at, delta in pieces if at == index)


async def started(pipeline: Pipeline) -> Pipeline:
    await pipeline.start()
    await asyncio.wait_for(pipeline.wait_ready(), 10)
    return pipeline


async def test_an_answer_comes_in_pieces_and_the_last_one_carries_finish_and_usage() -> None:
    engine = ScriptedEngine("two words", cached=5)
    pipeline = await started(make_pipeline(engine))
    pieces = await collect(pipeline, ask("hi", png()), max_tokens=50)
    assert text_of(pieces) == "two words"
    last = pieces[-1][1]
    assert last.finish is FinishReason.STOP and last.usage is not None
    assert last.usage.image_tokens == engine.asked[-1][0].num_image_tokens > 0
    assert last.usage.cached_tokens == 5
    assert last.usage.completion_tokens == len(pipeline.processor.tokenizer.encode("two words"))
    assert all(delta.finish is None for _, delta in pieces[:-1])
    await pipeline.stop()


async def test_the_engine_is_given_our_own_ids_each_time_another() -> None:
    engine = ScriptedEngine()
    pipeline = await started(make_pipeline(engine))
    await collect(pipeline, ask("a"), n=3)
    ids = [request_id for _, _, request_id in engine.asked]
    assert len(set(ids)) == len(ids)
    await pipeline.stop()


async def test_a_stop_string_ends_the_engines_work_at_once() -> None:
    engine = ScriptedEngine("one STOP two")
    pipeline = await started(make_pipeline(engine))
    engine.stay = True
    pieces = await asyncio.wait_for(collect(pipeline, ask("a"), stop=(" STOP",)), 5)
    assert text_of(pieces) == "one"
    assert pieces[-1][1].finish is FinishReason.STOP
    assert engine.num_running == 0
    await pipeline.stop()


async def test_what_a_stop_string_costs_does_not_depend_on_how_many_steps_came_at_once() -> None:
    counted = []
    for steps in (1, 3, 100):
        pipeline = await started(make_pipeline(ScriptedEngine("one STOP two three", steps_at_once=steps)))
        pieces = await collect(pipeline, ask("a"), stop=(" STOP",), logprobs=0, max_tokens=500)
        usage = pieces[-1][1].usage
        assert usage is not None and text_of(pieces) == "one"
        counted.append((usage.completion_tokens, sum(len(delta.logprobs) for _, delta in pieces)))
        await pipeline.stop()
    used = len(pipeline.processor.tokenizer.encode("one STOP"))
    assert counted == [(used, used)] * 3


async def test_closing_the_stream_frees_the_row_and_the_place() -> None:
    engine = ScriptedEngine("word " * 20)
    pipeline = await started(make_pipeline(engine))
    engine.stay = True
    async with aclosing(pipeline.stream(ask("a"), SamplingParams())) as pieces:
        await anext(pieces)
        assert (engine.num_running, pipeline.num_inside) == (1, 1)
    assert (engine.num_running, pipeline.num_inside) == (0, 0)
    await pipeline.stop()


async def test_several_choices_run_side_by_side_and_count_as_many_places() -> None:
    engine = ScriptedEngine("abc", gate=None)
    pipeline = await started(make_pipeline(engine))
    engine.asked.clear()
    pieces = await collect(pipeline, ask("a"), n=3, seed=7)
    assert [text_of(pieces, index) for index in range(3)] == ["abc"] * 3
    assert sorted(params.seed or 0 for _, params, _ in engine.asked) == [7, 8, 9]
    with pytest.raises(Overloaded):
        await collect(pipeline, ask("a"), n=11)
    await pipeline.stop()


async def test_an_error_in_one_choice_ends_them_all() -> None:
    engine = ScriptedEngine("abc", error=EngineDied("gone"))
    pipeline = make_pipeline(engine, engine__lazy_load=True)
    await started(pipeline)
    with pytest.raises(EngineDied):
        await collect(pipeline, ask("a"), n=2)
    assert (engine.num_running, pipeline.num_inside) == (0, 0)
    await pipeline.stop()


async def test_a_full_house_refuses_before_any_picture_is_looked_at() -> None:
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine("abc", gate=gate, max_num_seqs=1)
    pipeline = await started(make_pipeline(engine))
    gate.clear()
    running = [asyncio.create_task(collect(pipeline, ask("a"))) for _ in range(5)]
    await asyncio.sleep(0.05)
    loader = pipeline._loader
    assert isinstance(loader, CountingLoader)
    loader.num_loaded = 0
    with pytest.raises(Overloaded, match="limit is 5") as refused:
        await collect(pipeline, ask("a", png()))
    assert loader.num_loaded == 0
    assert refused.value.retry_after_seconds >= 1
    gate.set()
    assert len(await asyncio.gather(*running)) == 5
    await collect(pipeline, ask("a", png()))
    assert loader.num_loaded == 1
    await pipeline.stop()


async def test_limit_concurrency_caps_running_and_waiting_together() -> None:
    pipeline = await started(make_pipeline(ScriptedEngine(max_num_seqs=100), server__limit_concurrency=3))
    assert pipeline.capacity == 3
    await pipeline.stop()


async def test_a_prompt_over_the_context_says_how_long_it_is() -> None:
    pipeline = await started(make_pipeline(ScriptedEngine(max_model_len=300)))
    with pytest.raises(ContextLengthExceeded, match=r"The prompt has 1810 ") as raised:
        await collect(pipeline, ask("x y z " * 300))
    # What LangChain and LiteLLM look for in the text, to tell this error from other ones.
    assert raised.value.message.startswith("Input tokens exceed the configured limit")
    assert "this model's maximum context length is 300 tokens" in raised.value.message
    await pipeline.stop()


async def test_a_text_that_can_never_fit_is_refused_without_counting_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = await started(make_pipeline(ScriptedEngine(max_model_len=300)))
    monkeypatch.setattr(pipeline.processor, "build", lambda *_: pytest.fail("the text was tokenised"))
    with pytest.raises(ContextLengthExceeded, match="characters"):
        await collect(pipeline, ask("x" * 300 * 65))
    monkeypatch.undo()
    await pipeline.stop()


async def test_pictures_that_cannot_fit_are_refused_by_their_headers() -> None:
    pipeline = await started(make_pipeline(ScriptedEngine(max_model_len=300)))
    header_only = png(1400, 1400)[:60]  # enough to know the size, nothing to decode
    with pytest.raises((ContextLengthExceeded, InvalidImage)):
        await collect(pipeline, ask(header_only))
    with pytest.raises(ContextLengthExceeded, match="pictures become"):
        await collect(pipeline, ask(png(1400, 1400)))
    await pipeline.stop()


async def test_max_tokens_is_bounded_by_what_the_context_leaves() -> None:
    engine = ScriptedEngine(max_model_len=300)
    pipeline = await started(make_pipeline(engine))
    engine.asked.clear()
    await collect(pipeline, ask("hello"), max_tokens=10_000)
    prompt, params, _ = engine.asked[0]
    assert params.max_tokens == 300 - prompt.num_tokens
    await pipeline.stop()


async def test_min_tokens_over_what_the_context_leaves_is_refused() -> None:
    pipeline = await started(make_pipeline(ScriptedEngine(max_model_len=300)))
    with pytest.raises(ContextLengthExceeded, match="at least 299"):
        await collect(pipeline, ask("hello"), min_tokens=299, max_tokens=300)
    await pipeline.stop()


async def test_thinking_is_split_from_the_answer_and_counted() -> None:
    engine = ScriptedEngine("let me see")
    pipeline = await started(make_pipeline(engine))
    pieces = await collect(pipeline, ask("2+2?", thinking=True))
    assert "".join(delta.reasoning for _, delta in pieces) == "let me see"
    assert text_of(pieces) == ""
    usage = pieces[-1][1].usage
    assert usage is not None and usage.reasoning_tokens == usage.completion_tokens > 0
    await pipeline.stop()


async def test_health_goes_from_loading_to_ok_to_draining() -> None:
    engine = ScriptedEngine(phase="loading")
    pipeline = make_pipeline(engine)
    assert pipeline.health().status == "loading" and not pipeline.health().ready
    with pytest.raises(NotReady, match="loading"):
        pipeline.check_open()
    await started(pipeline)
    assert pipeline.health().status == "ok" and pipeline.health().ready
    pipeline.close()
    assert pipeline.health().status == "draining" and not pipeline.health().ready
    with pytest.raises(NotReady, match="shutting down"):
        pipeline.check_open()
    await pipeline.stop()


@pytest.mark.parametrize("phase", ["stalled", "dead", "stopped"])
async def test_a_sick_engine_makes_health_red_and_the_door_shut(phase: str) -> None:
    engine = ScriptedEngine()
    pipeline = await started(make_pipeline(engine))
    engine.phase = phase
    assert (pipeline.health().status, pipeline.health().ready) == (phase, False)
    with pytest.raises(NotReady):
        await collect(pipeline, ask("a"))
    await pipeline.stop()


@pytest.mark.parametrize("phase", ["dead", "loading"])
async def test_a_lazy_server_whose_engine_crashed_is_red_until_it_is_back(phase: str) -> None:
    pipeline = make_pipeline(ScriptedEngine(phase=phase, was_ready=True, num_restarts=1), engine__lazy_load=True)
    assert (pipeline.health().status, pipeline.health().ready) == (phase, False)
    with pytest.raises(NotReady):
        pipeline.check_open()


@pytest.mark.parametrize("lazy", [False, True])
async def test_an_engine_that_is_given_up_is_not_said_to_be_restarted(lazy: bool) -> None:
    pipeline = make_pipeline(ScriptedEngine(phase="dead", gave_up=True), engine__lazy_load=lazy)
    assert pipeline.health().gave_up and not pipeline.health().ready
    with pytest.raises(NotReady, match="not started again; the server has to be restarted"):
        pipeline.check_open()


@pytest.mark.parametrize("phase", ["off", "loading", "dead"])
async def test_a_lazy_server_is_open_before_its_model_is_loaded(phase: str) -> None:
    pipeline = make_pipeline(ScriptedEngine(phase=phase), engine__lazy_load=True)
    health = pipeline.health()
    assert (health.status, health.model_loaded, health.ready) == ("ok", False, True)
    pipeline.check_open()


async def test_the_engine_is_warmed_with_a_picture_once_per_start() -> None:
    engine = ScriptedEngine()
    pipeline = await started(make_pipeline(engine))
    assert [prompt.num_image_tokens > 100 for prompt, _, _ in engine.asked] == [True]
    engine.num_restarts = 1
    assert not pipeline.health().ready
    await asyncio.wait_for(pipeline.wait_ready(), 10)
    assert len(engine.asked) == 2
    await pipeline.stop()


@pytest.mark.parametrize("setting", [{"media__max_images": 0}, {"media__max_image_pixels": 100}])
async def test_settings_without_room_for_the_warm_up_picture_do_not_keep_the_server_from_being_ready(
    setting: dict[str, int],
) -> None:
    engine = ScriptedEngine()
    pipeline = await started(make_pipeline(engine, **setting))
    assert [prompt.num_image_tokens for prompt, _, _ in engine.asked] == [0]
    await pipeline.stop()


async def test_a_context_too_small_for_the_warm_up_picture_is_warmed_with_text() -> None:
    pipeline = await started(make_pipeline(ScriptedEngine(max_model_len=64)))
    assert pipeline.health().ready
    await pipeline.stop()


async def test_what_keeps_the_engine_from_starting_reaches_who_waits() -> None:
    class Broken(EchoEngine):
        async def start(self) -> None:
            raise EngineDied("no memory")

    pipeline = make_pipeline(Broken())
    await pipeline.start()
    with pytest.raises(EngineDied, match="no memory"):
        await pipeline.wait_ready()
    await pipeline.stop()


async def test_drain_lets_running_requests_finish() -> None:
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine("abc", gate=gate)
    pipeline = await started(make_pipeline(engine))
    gate.clear()
    running = asyncio.create_task(collect(pipeline, ask("a")))
    await asyncio.sleep(0.01)
    draining = asyncio.create_task(pipeline.drain(10))
    await asyncio.sleep(0.01)
    with pytest.raises(NotReady):
        await collect(pipeline, ask("b"))
    gate.set()
    assert text_of(await running) == "abc"
    await draining
    await pipeline.stop()


async def test_drain_ends_what_does_not_finish_in_time_with_a_clear_error() -> None:
    engine = ScriptedEngine("abc")
    pipeline = await started(make_pipeline(engine))
    engine.stay = True
    running = asyncio.create_task(collect(pipeline, ask("a")))
    await asyncio.sleep(0.05)
    await asyncio.wait_for(pipeline.drain(0.01), 5)
    with pytest.raises(NotReady, match="grace time is over"):
        await running
    assert (engine.num_running, pipeline.num_inside) == (0, 0)
    await pipeline.stop()


async def test_stopping_twice_is_fine() -> None:
    pipeline = await started(make_pipeline(ScriptedEngine()))
    await pipeline.stop()
    await pipeline.stop()


def test_seeds_differ_between_choices_only_when_one_is_given() -> None:
    from flashweb.pipeline.choices import nth

    params = SamplingParams(seed=3)
    assert [nth(params, index).seed for index in range(3)] == [3, 4, 5]
    assert nth(replace(params, seed=None), 2).seed is None
