"""The result cache: identical requests share one generation, and what was answered whole is answered again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flashweb.engine import EngineState
from flashweb.errors import ConfigError, EngineDied
from flashweb.observe.engine_metrics import ServerFacts
from flashweb.observe.work import Caching, Outcome
from flashweb.pipeline import Pipeline, result_store
from flashweb.pipeline.result_store import ENTRY_BYTES, MemoryResults, RedisResults, ResultStore
from flashweb.pipeline.results import identity_of
from flashweb.types import Chat, Delta, FinishReason, ImagePart, Message, SamplingParams, TextPart
from tests.house import NANO, ScriptedEngine, make_pipeline, make_settings, png
from tests.servers import free_port

ON = {"results__result_cache": 1 << 20}
LONG = "a b c d e f g h"


async def opened(engine: ScriptedEngine, **given: Any) -> Pipeline:
    pipeline = make_pipeline(engine, **{**ON, **given})
    await pipeline.start()
    await asyncio.wait_for(pipeline.wait_ready(), 10)
    engine.asked.clear()
    return pipeline


def ask(text: str = "hi", picture: bytes | None = None, **more: Any) -> Chat:
    pictures = () if picture is None else (ImagePart(data=picture),)
    return Chat((Message("user", (TextPart(text), *pictures)),), **more)


async def answer(
    pipeline: Pipeline,
    chat: Chat | None = None,
    n: int = 1,
    owner: str = "me",
    *,
    no_cache: bool = False,
    no_store: bool = False,
    background: bool = False,
    **params: Any,
) -> tuple[list[tuple[int, Delta]], Outcome | None]:
    """The pieces of an answer, and what the cache had to say to it."""
    with pipeline.admit(n) as ticket:
        caching = ticket.work.caching = Caching(owner, no_cache=no_cache, no_store=no_store)
        ticket.work.background = background
        sampling = SamplingParams(**{"max_tokens": 60, **params})
        pieces = [piece async for piece in pipeline.stream(chat or ask(), sampling, n, ticket)]
    return pieces, caching.outcome


def text_of(pieces: list[tuple[int, Delta]], index: int = 0) -> str:
    return "".join(delta.text for at, delta in pieces if at == index)


async def outcomes(pipeline: Pipeline, *requests: dict[str, Any]) -> list[Outcome | None]:
    return [(await answer(pipeline, **request))[1] for request in requests]


async def test_the_same_request_again_gets_the_same_answer_without_the_engine() -> None:
    engine = ScriptedEngine("two words", cached=3)
    pipeline = await opened(engine)
    chat = ask("what?", png())
    (first, missed), (second, hit) = [await answer(pipeline, chat, logprobs=1) for _ in range(2)]
    assert (missed, hit) == ("miss", "hit") and len(engine.asked) == 1
    assert text_of(first) == text_of(second) == "two words"
    probs = [[prob for _, delta in pieces for prob in delta.logprobs] for pieces in (first, second)]
    assert probs[0] == probs[1] and len(probs[0]) > 1
    before, usage = first[-1][1].usage, second[-1][1].usage
    assert before is not None and usage is not None
    assert before.cached_tokens == 3 and usage.cached_tokens == usage.prompt_tokens == before.prompt_tokens
    assert usage.completion_tokens == before.completion_tokens and usage.images == before.images
    await pipeline.stop()


DIFFERENT: dict[str, dict[str, Any]] = {
    "text": {"chat": ask("ho")},
    "picture": {"chat": ask(picture=png(grey=7))},
    "thinking": {"chat": ask(enable_thinking=True)},
    "owner": {"owner": "you"},
    "max_tokens": {"max_tokens": 59},
    "seed": {"seed": 1},
    "stop": {"stop": ("x",)},
    "logprobs": {"logprobs": 0},
    "bias": {"logit_bias": {5: 1.0}},
    "penalty": {"presence_penalty": 0.5},
    "control": {"keep_control": True},
}


async def test_whatever_may_change_an_answer_is_another_request() -> None:
    pipeline = await opened(ScriptedEngine("ok"))
    assert await outcomes(pipeline, {}, *DIFFERENT.values()) == ["miss"] * (1 + len(DIFFERENT))
    assert await outcomes(pipeline, {}, *DIFFERENT.values()) == ["hit"] * (1 + len(DIFFERENT))
    await pipeline.stop()


async def test_only_answers_that_would_come_again_are_kept_unless_the_operator_says_so() -> None:
    drawn, with_seed = {"temperature": 0.7}, {"temperature": 0.7, "seed": 3}
    pipeline = await opened(ScriptedEngine("ok"))
    assert await outcomes(pipeline, drawn, drawn, with_seed, with_seed) == [None, None, "miss", "hit"]
    await pipeline.stop()
    engine = ScriptedEngine("ok")
    pipeline = await opened(engine, results__result_cache_sampled=True)
    assert await outcomes(pipeline, {**drawn, "n": 2}, {**drawn, "n": 2}) == ["miss", "hit"]
    assert len(engine.asked) == 2, "two choices that were to differ are two answers"
    await pipeline.stop()


async def test_choices_that_are_alike_by_themselves_are_computed_once() -> None:
    engine = ScriptedEngine("ok")
    pipeline = await opened(engine)
    pieces, outcome = await answer(pipeline, n=3)
    assert [text_of(pieces, index) for index in range(3)] == ["ok"] * 3
    assert outcome == "miss" and len(engine.asked) == 1
    await pipeline.stop()


async def test_identical_requests_wait_for_one_generation_and_read_it_as_it_comes() -> None:
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine(LONG, gate=gate)
    pipeline = await opened(engine)
    gate.clear()
    together = [asyncio.create_task(answer(pipeline)) for _ in range(5)]
    await asyncio.sleep(0.05)
    assert engine.num_running == 1
    gate.set()
    found = await asyncio.gather(*together)
    assert sorted(str(outcome) for _, outcome in found) == ["miss"] + ["shared"] * 4
    assert {text_of(pieces) for pieces, _ in found} == {LONG}
    assert len({tuple(delta.text for _, delta in pieces) for pieces, _ in found}) == 1, "piece by piece"
    assert len(engine.asked) == 1 and await outcomes(pipeline, {}) == ["hit"]
    await pipeline.stop()


async def test_a_stream_that_joins_late_gets_what_has_come_at_once_and_then_what_comes() -> None:
    engine = ScriptedEngine("word " * 4)
    pipeline = await opened(engine)
    engine.stay = True
    async with aclosing(_stream(pipeline)) as leader:
        await anext(leader)
        async with aclosing(_stream(pipeline)) as follower:
            assert (await asyncio.wait_for(anext(follower), 5))[1].text
            assert len(engine.asked) == 1
    assert engine.num_running == 0, "the last reader has left"
    assert await outcomes(pipeline) == []
    await pipeline.stop()


async def _stream(pipeline: Pipeline) -> Any:
    with pipeline.admit() as ticket:
        ticket.work.caching = Caching("me")
        async with aclosing(pipeline.stream(ask(), SamplingParams(max_tokens=60), ticket=ticket)) as pieces:
            async for piece in pieces:
                yield piece


async def test_a_leader_that_leaves_takes_nobody_with_it_and_the_last_one_the_work() -> None:
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine("ok", gate=gate)
    pipeline = await opened(engine)
    for who_stays in (True, False):
        gate.clear()
        leader, follower = (asyncio.create_task(answer(pipeline, ask(f"{who_stays}"))) for _ in range(2))
        await asyncio.sleep(0.05)
        leader.cancel()
        await asyncio.wait({leader})
        assert (engine.num_running, pipeline.num_inside) == (1, 1)
        if who_stays:
            gate.set()
            assert text_of((await follower)[0]) == "ok"
        else:
            follower.cancel()
            await asyncio.wait({follower})
        assert (engine.num_running, pipeline.num_inside) == (0, 0)
    gate.set()
    assert await outcomes(pipeline, {"chat": ask("True")}, {"chat": ask("False")}) == ["hit", "miss"]
    await pipeline.stop()


async def test_a_followers_own_time_limit_ends_it_alone() -> None:
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine("ok", gate=gate)
    pipeline = await opened(engine)
    gate.clear()
    leader = asyncio.create_task(answer(pipeline))
    await asyncio.sleep(0.02)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await answer(pipeline)
    assert engine.num_running == 1
    gate.set()
    assert text_of((await leader)[0]) == "ok"
    await pipeline.stop()


async def test_errors_are_told_to_all_who_wait_and_never_kept() -> None:
    engine = ScriptedEngine("ok")
    pipeline = await opened(engine)
    engine.error = EngineDied("gone")
    told = await asyncio.gather(*(answer(pipeline) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in told] == [EngineDied] * 3 and len(engine.asked) == 1
    engine.error = None
    assert await outcomes(pipeline, {}, {}) == ["miss", "hit"]
    await pipeline.stop()


async def test_an_answer_that_max_tokens_cut_is_shared_but_not_kept() -> None:
    engine = ScriptedEngine(LONG)
    pipeline = await opened(engine)
    both = await asyncio.gather(*(answer(pipeline, max_tokens=2) for _ in range(2)))
    assert [pieces[-1][1].finish for pieces, _ in both] == [FinishReason.LENGTH] * 2 and len(engine.asked) == 1
    assert await outcomes(pipeline, {"max_tokens": 2}) == ["miss"]
    await pipeline.stop()


async def test_an_answer_that_its_reader_ends_is_whole() -> None:
    """At a stop text, of which the engine knows nothing."""
    engine = ScriptedEngine("one STOP two")
    pipeline = await opened(engine)
    engine.stay = True
    request: dict[str, Any] = {"stop": (" STOP",)}
    found = await asyncio.gather(*(answer(pipeline, **request) for _ in range(3)))
    found.append(await answer(pipeline, **request))
    assert [text_of(pieces) for pieces, _ in found] == ["one"] * 4
    assert {pieces[-1][1].stop for pieces, _ in found} == {" STOP"}
    assert len({pieces[-1][1].usage.completion_tokens for pieces, _ in found if pieces[-1][1].usage}) == 1
    assert found[-1][1] == "hit" and len(engine.asked) == 1 and engine.num_running == 0
    await pipeline.stop()


async def test_no_cache_computes_anew_and_no_store_leaves_no_trace() -> None:
    engine = ScriptedEngine("old")
    pipeline = await opened(engine)
    await answer(pipeline)
    engine.answer = "new"
    for request, said, outcome in (
        ({"no_store": True}, "new", None),
        ({}, "old", "hit"),
        ({"no_cache": True}, "new", "miss"),
        ({}, "new", "hit"),
    ):
        pieces, found = await answer(pipeline, **request)  # type: ignore[arg-type]
        assert (text_of(pieces), found) == (said, outcome)
    await pipeline.stop()


async def test_an_interactive_request_never_waits_for_one_that_is_computed_in_the_background() -> None:
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine("ok", gate=gate)
    pipeline = await opened(engine)
    gate.clear()
    both = [asyncio.create_task(answer(pipeline, background=later)) for later in (True, False)]
    await asyncio.sleep(0.05)
    assert [params.background for _, params, _ in engine.asked] == [True, False]
    gate.set()
    await asyncio.gather(*both)
    assert await outcomes(pipeline, {"background": True}, {}) == ["hit", "hit"]
    await pipeline.stop()


async def test_off_by_default_and_for_whoever_is_no_http_request() -> None:
    engine = ScriptedEngine("ok")
    pipeline = await opened(engine, results__result_cache=0)
    assert await outcomes(pipeline, {}, {}) == [None, None] and len(engine.asked) == 2
    await pipeline.stop()
    pipeline = await opened(engine)
    for _ in range(2):
        assert [piece async for piece in pipeline.stream(ask(), SamplingParams(max_tokens=60))]
    assert len(engine.asked) == 2
    await pipeline.stop()


async def test_look_ups_and_bytes_are_counted() -> None:
    pipeline = await opened(ScriptedEngine("ok"))
    await outcomes(pipeline, {}, {}, {}, {"temperature": 1.0})
    text = pipeline.metrics.exposition(EngineState("ready"), ServerFacts("v", True)).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    counted = {one.labels["outcome"]: one.value for one in samples if one.name == "flashweb:result_cache_total"}
    (held,) = (one.value for one in samples if one.name == "flashweb:result_cache_bytes")
    assert counted == {"miss": 1, "shared": 0, "hit": 2} and held > ENTRY_BYTES
    await pipeline.stop()


def test_another_checkpoint_or_format_is_another_identity(tmp_path: Path) -> None:
    for file in NANO.iterdir():
        (tmp_path / file.name).symlink_to(file)
    settings = make_settings()
    same = identity_of(tmp_path, settings)
    assert same == identity_of(NANO, settings)
    assert same != identity_of(NANO, make_settings(engine__kv_cache_dtype="fp8"))
    assert same != identity_of(NANO, make_settings(model__revision="v2"))
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").write_bytes((NANO / "config.json").read_bytes() + b"\n")
    assert identity_of(tmp_path, settings) != same


# --- where they are kept ------------------------------------------------------------------------------------------


@pytest.fixture
def redis_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that speaks Redis' protocol, scripts included, on a real socket."""
    monkeypatch.setattr(result_store, "REDIS_SECONDS", 30.0)  # longer than a machine stalls
    fakeredis = pytest.importorskip("fakeredis")
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_a_store_is_bounded_in_entries_bytes_and_age(kind: str, request: pytest.FixtureRequest) -> None:
    def made(entries: int, num_bytes: int, seconds: float = 60.0) -> ResultStore:
        if kind == "memory":
            return MemoryResults(entries, num_bytes + 8 * ENTRY_BYTES, seconds)
        return RedisResults(request.getfixturevalue("redis_url"), entries, num_bytes, seconds)

    async def kept(store: ResultStore) -> list[int]:
        return [number for number in range(9) if await store.get(bytes([number]) * 32) is not None]

    for store, wanted in ((made(3, 1 << 20), [6, 7, 8]), (made(9, 8 * 1000), list(range(1, 9)))):
        for number in range(9):
            await store.put(bytes([number]) * 32, bytes([number]) * 1000)
        assert await kept(store) == wanted
        assert await store.get(b"\x08" * 32) == b"\x08" * 1000
        await store.put(b"\x08" * 32, b"another")
        assert await store.get(b"\x08" * 32) == b"another"
        await store.put(b"\x09" * 32, bytes(1 << 18))
        assert await store.get(b"\x09" * 32) is None, "one answer would take more than its share of the room"
        await store.close()
    store = made(9, 8 * 1000, 0.05)
    await store.put(b"\x00" * 32, b"x")
    await asyncio.sleep(0.1)
    assert await store.get(b"\x00" * 32) is None
    await store.close()


async def test_servers_that_share_a_redis_share_answers_but_not_across_owners(redis_url: str) -> None:
    engines = ScriptedEngine("ok"), ScriptedEngine("ok")
    one, two = [await opened(engine, results__result_cache_redis=redis_url) for engine in engines]
    assert await outcomes(one, {}, {"owner": "you"}) == ["miss", "miss"]
    await one.stop()  # what it had to keep is kept
    assert await outcomes(two, {}, {"owner": "third"}) == ["hit", "miss"] and len(engines[1].asked) == 1
    await two.stop()


async def test_a_redis_that_is_gone_costs_an_answer_nothing_but_being_computed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_store, "REDIS_PAUSE_SECONDS", 600.0)  # longer than the test, however busy the machine
    url = f"redis://:secret-word@127.0.0.1:{free_port()}/0"
    engine = ScriptedEngine("ok")
    pipeline = await opened(engine, results__result_cache_redis=url)
    assert await outcomes(pipeline, {}) == ["miss"]
    await asyncio.sleep(0.05)
    assert await outcomes(pipeline, {}) == ["miss"] and len(engine.asked) == 2
    assert "secret-word" not in caplog.text and len(caplog.records) == 1
    await pipeline.stop()
    with pytest.raises(ConfigError, match="redis://") as caught:
        make_settings(results__result_cache_redis="http://:secret-word@x")
    assert "secret-word" not in caught.value.message
    monkeypatch.setattr(result_store, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"flashweb\[redis\]"):
        RedisResults("redis://x", 1, 1, 1.0)
