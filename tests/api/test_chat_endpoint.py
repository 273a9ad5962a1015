"""`POST /v1/chat/completions`: OpenAI's shapes, in both forms, and what the engine is told."""

from __future__ import annotations

import asyncio
import json
import logging
import re

import httpx
import pytest

from flashweb.api.schemas.chat_answers import ChatCompletion, ChatCompletionChunk
from flashweb.errors import EngineDied, Overloaded
from tests.house import ScriptedEngine, Upload, data_url, events_of, make_app, open_house, png, until, user


async def test_a_whole_answer_has_openais_shape() -> None:
    async with open_house(ScriptedEngine("fine")) as house:
        response = await house.chat("hello", png(), model="glm-4.6v-flash", max_tokens=9)
    assert response.status_code == 200
    body = response.json()
    ChatCompletion.model_validate(body, extra="forbid")
    assert body["id"].startswith("chatcmpl-") and body["object"] == "chat.completion"
    assert body["model"] == "glm-4.6v-flash"
    assert response.headers["x-flashweb-model"] == "flashweb-nano"
    assert response.headers["x-request-id"].startswith("req_")
    choice = body["choices"][0]
    assert choice["message"]["content"] == "fine" and choice["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["image_tokens"] > 0


async def test_a_streamed_answer_is_role_then_text_then_finish_then_done() -> None:
    async with open_house(ScriptedEngine("fine words")) as house:
        response = await house.chat("hello", stream=True)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-accel-buffering"] == "no"
    *chunks, done = events_of(response.text)
    assert done == "[DONE]"
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, extra="forbid")
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    deltas = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(deltas) == "fine words"
    finishes = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert finishes == [None] * (len(chunks) - 1) + ["stop"]
    assert chunks[-1]["choices"][0]["delta"] == {}
    assert "usage" not in chunks[0]


async def test_include_usage_adds_one_chunk_without_choices_before_done() -> None:
    async with open_house(ScriptedEngine("fine")) as house:
        response = await house.chat("hi", stream=True, stream_options={"include_usage": True})
    *chunks, usage, done = events_of(response.text)
    assert done == "[DONE]" and usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 4
    assert all(chunk["usage"] is None for chunk in chunks)


async def test_the_streamed_and_the_whole_answer_are_the_same_text() -> None:
    async with open_house() as house:  # the echo engine: the prompt comes back
        text = "半个字符不会出现 — never half a character 😀 é"
        whole = (await house.chat(text)).json()["choices"][0]["message"]["content"]
        chunks = events_of((await house.chat(text, stream=True)).text)[:-1]
    assert text in whole
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == whole
    assert "\ufffd" not in whole


@pytest.mark.parametrize(("max_tokens", "finish"), [(2, "length"), (100, "stop")])
async def test_the_finish_reason_says_why_the_answer_ended(max_tokens: int, finish: str) -> None:
    async with open_house(ScriptedEngine("four")) as house:
        for stream in (False, True):
            response = await house.chat("hi", max_tokens=max_tokens, stream=stream)
            last = events_of(response.text)[-2] if stream else response.json()
            assert last["choices"][0]["finish_reason"] == finish


async def test_content_may_be_a_string_a_list_or_one_part() -> None:
    async with open_house(ScriptedEngine()) as house:
        contents = ["hi", [{"type": "text", "text": "hi"}], {"type": "text", "text": "hi"}]
        prompts = []
        for content in contents:
            assert (await house.post({"messages": [{"role": "user", "content": content}]})).status_code == 200
            prompts.append(house.engine.asked[-1][0].token_ids)
    assert prompts[0] == prompts[1] == prompts[2]


async def test_a_picture_may_be_a_data_url_an_object_or_bare_base64() -> None:
    picture = png()
    forms = [data_url(picture), {"url": data_url(picture)}, data_url(picture).partition(",")[2]]
    async with open_house(ScriptedEngine()) as house:
        digests = set()
        for form in forms:
            content = [{"type": "image_url", "image_url": form}, {"type": "text", "text": "?"}]
            response = await house.post({"messages": [{"role": "user", "content": content}]})
            assert response.status_code == 200, response.text
            digests.add(house.engine.asked[-1][0].spans[0].image.digest)
    assert len(digests) == 1


async def test_several_turns_and_pictures_keep_their_order() -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        *user(png(grey=1), "first"),
        {"role": "assistant", "content": "one"},
        *user("second", png(grey=2), png(grey=3)),
    ]
    async with open_house(ScriptedEngine(), server__limit_concurrency=4) as house:
        assert (await house.post({"messages": messages})).status_code == 200
        prompt = house.engine.asked[0][0]
    assert len({span.image.digest for span in prompt.spans}) == 3
    assert [span.start for span in prompt.spans] == sorted(span.start for span in prompt.spans)


async def test_what_the_caller_asks_for_reaches_the_engine() -> None:
    asked = {
        "max_completion_tokens": 7, "min_tokens": 2, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1,
        "presence_penalty": 0.2, "frequency_penalty": -0.3, "repetition_penalty": 1.1, "seed": -4, "stop": "END",
        "stop_token_ids": [3], "logit_bias": {"5": -100}, "logprobs": True, "top_logprobs": 2, "ignore_eos": True,
        "user": "u", "metadata": {"a": "b"}, "unknown_field": {"x": [1]}, "n": 1,
    }  # fmt: skip
    async with open_house(ScriptedEngine()) as house:
        assert (await house.chat("hi", **asked)).status_code == 200
        params = house.engine.asked[0][1]
    assert (params.max_tokens, params.min_tokens, params.temperature, params.top_p) == (7, 2, 0.5, 0.9)
    assert (params.top_k, params.min_p, params.seed, params.stop) == (5, 0.1, -4, ("END",))
    assert (params.presence_penalty, params.frequency_penalty, params.repetition_penalty) == (0.2, -0.3, 1.1)
    assert (params.stop_token_ids, dict(params.logit_bias), params.logprobs) == ((3,), {5: -100.0}, 2)
    assert params.ignore_eos


async def test_what_the_caller_leaves_out_is_the_checkpoints_or_the_contracts() -> None:
    async with open_house(ScriptedEngine()) as house:
        await house.chat("hi")
        params = house.engine.asked[0][1]
    assert (params.max_tokens, params.temperature, params.logprobs) == (512, 0.0, None)


@pytest.mark.parametrize(
    ("parameters", "thinks"),
    [
        ({}, False),
        ({"chat_template_kwargs": {"enable_thinking": True}}, True),
        ({"reasoning_effort": "high"}, True),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "high", "chat_template_kwargs": {"enable_thinking": False}}, False),
    ],
)
async def test_thinking_is_off_unless_asked_for(parameters: dict[str, object], thinks: bool) -> None:
    async with open_house(ScriptedEngine("hm", max_model_len=8192)) as house:
        message = (await house.chat("hi", **parameters)).json()["choices"][0]["message"]
        assert house.engine.asked[0][1].max_tokens == (4096 if thinks else 512)
    assert (message.get("reasoning_content"), message["content"]) == (("hm", "") if thinks else (None, "hm"))


async def test_logprobs_are_per_token_with_bytes() -> None:
    async with open_house(ScriptedEngine("ab")) as house:
        whole = (await house.chat("hi", logprobs=True, top_logprobs=1)).json()["choices"][0]["logprobs"]["content"]
        chunks = events_of((await house.chat("hi", logprobs=True, stream=True)).text)[:-1]
    assert [entry["token"] for entry in whole] == ["a", "b"]
    assert whole[0]["bytes"] == [97] and whole[0]["top_logprobs"][0]["logprob"] == -0.5
    streamed = [chunk["choices"][0]["logprobs"] for chunk in chunks if chunk["choices"][0]["logprobs"]]
    assert [entry["token"] for part in streamed for entry in part["content"]] == ["a", "b"]


async def test_several_choices_come_numbered() -> None:
    async with open_house(ScriptedEngine("ab", max_num_seqs=4)) as house:
        body = (await house.chat("hi", n=2)).json()
        chunks = events_of((await house.chat("hi", n=2, stream=True)).text)[:-1]
    assert [choice["index"] for choice in body["choices"]] == [0, 1]
    assert body["usage"]["completion_tokens"] == 4
    for index in (0, 1):
        mine = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == index]
        assert "".join(choice["delta"].get("content", "") for choice in mine) == "ab"
        assert mine[0]["delta"]["role"] == "assistant" and mine[-1]["finish_reason"] == "stop"


async def test_text_that_spells_control_tokens_is_plain_text() -> None:
    async with open_house() as house:
        text = "<|image|><|user|></s>[gMASK]<sop><|endoftext|><think>"
        response = await house.chat(text)
    assert response.status_code == 200
    assert text in response.json()["choices"][0]["message"]["content"]
    assert response.json()["usage"]["prompt_tokens_details"]["image_tokens"] == 0


async def test_an_error_before_the_first_token_is_an_ordinary_error_also_for_streams() -> None:
    async with open_house(ScriptedEngine()) as house:
        house.engine.answer, house.engine.error = "", Overloaded("full", retry_after_seconds=3.2)
        for stream in (False, True):
            response = await house.chat("hi", stream=stream)
            assert (response.status_code, response.headers["retry-after"]) == (503, "4")
            assert response.json()["error"]["code"] == "server_is_overloaded"


async def test_an_error_inside_a_started_stream_is_an_event_and_done() -> None:
    async with open_house(ScriptedEngine("some words")) as house:
        house.engine.error = EngineDied("the engine is gone")
        response = await house.chat("hi", stream=True)
        await asyncio.sleep(0)
        assert house.pipeline.num_inside == 0
    assert response.status_code == 200
    *_, error, done = events_of(response.text)
    assert done == "[DONE]"
    assert error["error"]["code"] == "engine_died" and error["error"]["message"] == "the engine is gone"


async def test_an_unexpected_exception_tells_the_caller_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with open_house(ScriptedEngine("some")) as house:
        house.engine.error = ValueError("secret at 0x7f001234 in /root/private.py")
        whole = await house.chat("hi")
        stream = await house.chat("hi", stream=True)
    assert whole.status_code == 500 and whole.json()["error"]["code"] == "internal_error"
    assert whole.headers["x-request-id"]
    for text in (whole.text, stream.text):
        assert "0x7f" not in text and "private" not in text and "Traceback" not in text
    assert events_of(stream.text)[-1] == "[DONE]"


async def test_a_body_that_is_still_coming_holds_a_place() -> None:
    async with open_house(ScriptedEngine(), server__limit_concurrency=1) as house:
        upload = Upload(make_app(house.pipeline))
        running = upload.begin()
        upload.body(b'{"messages": ', more=True)
        await asyncio.sleep(0.01)
        assert house.pipeline.num_inside == 1
        refused = await house.chat("hi")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_is_overloaded")
        upload.body(b'[{"role": "user", "content": "hi"}]}')
        await asyncio.wait_for(running, 5)
        assert (upload.status, house.pipeline.num_inside) == (200, 0)
        assert (await house.chat("hi")).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_every_end_of_a_request_gives_its_places_back(stream: bool) -> None:
    async with open_house(ScriptedEngine("some words"), server__limit_concurrency=3) as house:
        seen = []
        for n, error, parameters in (
            (3, None, {}),
            (1, EngineDied("gone"), {}),
            (4, None, {}),  # more than the house holds
            (1, None, {"temperature": "hot"}),
            (2, None, {"max_tokens": 1}),
        ):
            house.engine.error = error
            response = await house.chat("hi", stream=stream, n=n, **parameters)
            seen.append(response.status_code)
            assert house.pipeline.num_inside == 0
    assert seen == [200, 200 if stream else 503, 503, 400, 200]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_in_the_middle_of_its_answer_gives_its_place_back(stream: bool) -> None:
    async with open_house(ScriptedEngine("some words")) as house:
        house.engine.stay = True
        upload = Upload(make_app(house.pipeline))
        running = upload.begin()
        upload.body(json.dumps({"messages": user("hi"), "stream": stream, "n": 2}).encode())
        await until(lambda: house.engine.num_running == 2 and (upload.sent or not stream))
        assert house.pipeline.num_inside == 2
        upload.leave()
        await asyncio.wait_for(running, 5)
        assert (house.pipeline.num_inside, house.engine.num_running) == (0, 0)


async def test_a_client_that_leaves_while_it_sends_is_a_quiet_499(caplog: pytest.LogCaptureFixture) -> None:
    async with open_house(ScriptedEngine()) as house:
        upload = Upload(make_app(house.pipeline))
        with caplog.at_level(logging.INFO):
            running = upload.begin()
            upload.body(b'{"messages": ', more=True)
            upload.leave()
            await asyncio.wait_for(running, 5)
        assert house.pipeline.num_inside == 0
    assert upload.status == 499
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_drain_ends_a_body_that_does_not_come() -> None:
    async with open_house(ScriptedEngine()) as house:
        upload = Upload(make_app(house.pipeline))
        running = upload.begin()
        await asyncio.sleep(0.01)
        draining = asyncio.create_task(house.pipeline.drain(0.01))
        await until(lambda: upload.sent)
        upload.leave()
        await asyncio.wait_for(asyncio.gather(running, draining), 5)
        assert (upload.status, house.pipeline.num_inside) == (503, 0)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": user("hi")},
        {"messages": user("hi"), "stream": True},
        {"messages": []},
        {"messages": user("hi"), "model": "nobody"},
    ],
)
async def test_the_short_way_and_the_frameworks_give_the_same_answers(body: dict[str, object]) -> None:
    async with open_house(ScriptedEngine("fine")) as house:
        app = make_app(house.pipeline)
        answers = []
        for root_path in ("", "/behind"):  # below a prefix the framework has to find the route
            transport = httpx.ASGITransport(app, root_path=root_path)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                answers.append(await client.post(f"{root_path}/v1/chat/completions", json=body))
    one, other = answers
    assert one.status_code == other.status_code
    changing = re.compile(r'"id":"chatcmpl-\w+"|"created":\d+')
    assert changing.sub("", one.text) == changing.sub("", other.text)
    own = dict.fromkeys(("x-request-id", "server-timing", "openai-processing-ms"), "")
    assert {**one.headers, **own} == {**other.headers, **own}
