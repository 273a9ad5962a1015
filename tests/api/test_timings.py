"""Where a request's time went: in the body when asked, in headers, in the log; under one id, and nothing per token."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from flashweb.api.schemas.chat_answers import ChatCompletion, ChatCompletionChunk
from flashweb.errors import EngineDied
from flashweb.observe.log import JsonFormatter
from flashweb.observe.work import STAGES
from flashweb.types import EngineTimes, Prompt, SamplingParams, TokenOut
from tests.house import ScriptedEngine, events_of, open_house, png

FIELDS = [*STAGES, "total"]


class TimedEngine(ScriptedEngine):
    """Also tells what the first token took, as the real one does."""

    async def generate(self, prompt: Prompt, params: SamplingParams, request_id: str) -> AsyncIterator[TokenOut]:
        told = EngineTimes(queue=0.002, prefill=0.03, encode=0.01)
        async for out in super().generate(prompt, params, request_id):
            yield TokenOut(out.token_ids, out.finish, out.logprobs, out.num_cached_tokens, told)


@pytest.fixture
def access_lines(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """The access log's lines so far, as JSON."""
    logger = logging.getLogger("flashweb.access")
    logger.parent, kept = logging.root, logger.parent
    with caplog.at_level(logging.INFO, logger="flashweb.access"):
        yield lambda: [
            json.loads(JsonFormatter().format(record)) for record in caplog.records if record.name == logger.name
        ]
    logger.parent = kept


async def test_a_whole_answer_tells_its_stages_when_asked() -> None:
    async with open_house(TimedEngine("one two three")) as house:
        answer = await house.chat("what is it?", png(112, 112, grey=31), timings=True)
        again = await house.chat("what is it?", png(112, 112, grey=31), timings=True)
        silent = await house.chat("hi")
    timings = answer.json()["timings_ms"]
    assert ChatCompletion.model_validate(answer.json()).timings_ms is not None
    assert list(timings) == FIELDS and timings["fetch"] == 0
    assert (timings["queue"], timings["encode"], timings["prefill"]) == (2, 10, 20)
    assert min(timings["decode"], timings["preprocess"], timings["decode_tokens"]) > 0
    assert timings["total"] > timings["decode"] + timings["preprocess"] + timings["decode_tokens"]
    assert (again.json()["timings_ms"]["decode"], again.json()["timings_ms"]["preprocess"]) == (0, 0)  # kept prepared
    assert "timings_ms" not in silent.json()


@pytest.mark.parametrize("usage", [True, False])
async def test_a_stream_tells_them_in_its_last_chunk_when_asked(usage: bool) -> None:
    async with open_house(TimedEngine("one two three")) as house:
        options = {"stream_options": {"include_usage": usage}} if usage else {}
        answer = await house.chat("hi", stream=True, timings=True, n=2, **options)
        plain = await house.chat("hi", stream=True)
    *chunks, last, done = events_of(answer.text)
    assert done == "[DONE]" and last["choices"] == []
    timings = ChatCompletionChunk.model_validate(last).timings_ms
    assert timings is not None and timings.total > timings.decode_tokens > 0
    assert (last.get("usage") is not None) == usage
    assert not any("timings_ms" in chunk for chunk in chunks) and "timings_ms" not in plain.text


async def test_headers_tell_them_always_of_a_stream_as_far_as_they_are_known() -> None:
    async with open_house(TimedEngine("one two three")) as house:
        whole = await house.chat("what is it?", png(112, 112, grey=32))
        streamed = await house.chat("hi", stream=True)
        models = await house.client.get("/v1/models")
        health = await house.client.get("/health")
        refused = await house.chat("hi", temperature=9)
    told = dict(re.findall(r"(\w+);dur=([\d.]+)", whole.headers["server-timing"]))
    assert list(told) == ["decode", "preprocess", "queue", "encode", "prefill", "decode_tokens", "total"]
    assert float(told["total"]) - 1 <= int(whole.headers["openai-processing-ms"]) <= float(told["total"]) + 1
    assert re.sub(r"[\d.]+", "", streamed.headers["server-timing"]).count("dur") == 4
    assert "decode_tokens" not in streamed.headers["server-timing"]
    assert "server-timing" not in models.headers and models.headers["openai-processing-ms"].isdigit()
    assert "openai-processing-ms" not in health.headers
    assert refused.status_code == 400 and "total" in refused.headers["server-timing"]


async def test_a_browser_may_read_these_headers() -> None:
    async with open_house(ScriptedEngine(), server__cors_allowed_origins=["*"]) as house:
        answer = await house.client.get("/v1/models", headers={"origin": "http://shop.example"})
    exposed = answer.headers["access-control-expose-headers"]
    assert "server-timing" in exposed and "openai-processing-ms" in exposed


async def test_the_log_has_the_contracts_fields_and_the_stages_of_the_same_request(access_lines: Any) -> None:
    picture = png(112, 112, grey=33)
    async with open_house(TimedEngine("a private answer"), log__access_log=True) as house:
        answers = [await house.chat("this question is the customer's secret", picture) for _ in range(2)]
    for answer, entry in zip(answers, access_lines(), strict=True):
        assert entry["request_id"] == answer.headers["x-request-id"]
        assert entry["status"] == entry["glm_status_code"] == 200
        assert entry["image_hash"] == hashlib.md5(picture).hexdigest()  # known too of the picture that came again
        assert entry["prompt_truncated"] == "this question is th"
        assert entry["latency_ms"] > 0 and (entry["queue_ms"], entry["prefill_ms"]) == (2, 20)
        assert "secret" not in str(entry) and "private" not in str(entry)
    assert access_lines()[0]["decode_ms"] > 0 and "decode_ms" not in access_lines()[1]


async def test_several_pictures_are_hashed_in_their_order(access_lines: Any) -> None:
    pictures = [png(40, 40, grey=34), png(1400, 1400, grey=35), png(56, 56, grey=36)]
    async with open_house(ScriptedEngine(), log__access_log=True) as house:
        await house.chat("compare", *pictures)
    (entry,) = access_lines()
    assert entry["image_hash"] == ",".join(hashlib.md5(picture).hexdigest() for picture in pictures)


async def test_the_log_holds_nothing_of_the_content_when_told_so(access_lines: Any) -> None:
    off = {"log__access_log": True, "log__log_image_hash": False, "log__log_prompt_chars": 0}
    async with open_house(ScriptedEngine(), **off) as house:
        await house.chat("this question is the customer's secret", png(grey=37))
    (entry,) = access_lines()
    assert "image_hash" not in entry and "prompt_truncated" not in entry and entry["status"] == 200


async def test_the_log_says_what_an_error_was_also_within_a_stream(access_lines: Any) -> None:
    async with open_house(ScriptedEngine("some words"), log__access_log=True) as house:
        await house.chat("hi", temperature=9)
        await house.client.get("/v1/nothing")
        house.engine.error = EngineDied("gone")
        await house.chat("hi", stream=True)
        house.engine.error = ValueError("of the server's insides")
        await house.chat("hi")
    lines = access_lines()
    assert [entry["status"] for entry in lines] == [400, 404, 200, 500]
    assert [entry["error_code"] for entry in lines] == [
        "invalid_request_error", "not_found", "engine_died", "internal_error",
    ]  # fmt: skip
