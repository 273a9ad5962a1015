"""Every refusal: the status, OpenAI's envelope, the parameter at fault, the value, the limit and the fix; and a
neighbour's answer that does not change."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashweb.api.parse import parse_body
from flashweb.api.schemas.errors import ErrorBody
from flashweb.errors import InvalidRequest
from tests.house import House, data_url, open_house, png, user

HI: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as opened:
        yield opened


def with_picture(url: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]}


NOW = {"type": "function", "function": {"name": "now"}}
CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "what time is it?"},
    {"role": "assistant", "tool_calls": [{"id": "call_1", **NOW, "function": {"name": "now", "arguments": ""}}]},
]
TOO_MANY = {"messages": user(*[png()] * 17)}
# what is sent, the parameter at fault (None: not checked), and words the message must contain
BAD: dict[str, tuple[Any, str | None, str]] = {
    "no body": (b"", None, "empty"),
    "no JSON": (b"{", None, "not valid JSON"),
    "no object": (b"[1]", None, "JSON object"),
    "no UTF-8": (b'{"messages": "\xff"}', None, "JSON"),
    "NaN": (b'{"messages":[{"role":"user","content":"a"}],"temperature":NaN}', None, "not valid JSON"),
    "infinity": (b'{"messages":[{"role":"user","content":"a"}],"temperature":1e999}', None, "not valid JSON"),
    "a half surrogate": (b'{"messages":[{"role":"user","content":"\\ud800"}]}', None, "not valid JSON"),
    "deep JSON": (b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}", None, "nested too deeply"),
    "deep objects": (b'{"metadata":' + b'{"a":' * 200 + b"1" + b"}" * 200 + b',"messages":[]}', None, "64 levels"),
    "a huge integer": ({**HI, "max_tokens": 10**30}, "max_tokens", "at most 1048576"),
    "no messages": ({}, "messages", "missing"),
    "empty messages": ({"messages": []}, "messages", "at least 1"),
    "257 messages": ({"messages": HI["messages"] * 257}, "messages", "at most 256 entries, got 257"),
    "513 parts": ({"messages": user(*["a"] * 513)}, "messages[0].content", "at most 512"),
    "an unknown role": ({"messages": [{"role": "boss", "content": "a"}]}, "messages[0].role", "'boss'"),
    "content null": ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "missing"),
    "content number": ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "got 5"),
    "a sound part": (
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x"}}]}]},
        "messages[0].content[0]",
        "'input_audio' is not offered",
    ),
    "a clip that is none": (
        {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]}]},
        "messages[0].content[0]",
        "the clip 'x' is neither a URL nor valid base64",
    ),
    "a part without text": (
        {"messages": [{"role": "user", "content": {"type": "text"}}]},
        "messages[0].content.text",
        "missing",
    ),
    "a picture that is a number": (with_picture({"url": 4}), "messages[0].content[0].image_url.url", "a string, got 4"),
    "a picture in a system message": (
        {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": "x"}]}, *HI["messages"]]},
        "messages[0].content",
        "user messages",
    ),
    "17 pictures": (TOO_MANY, "messages", "17 pictures; the limit is 16"),
    "max_tokens 0": ({**HI, "max_tokens": 0}, "max_tokens", "at least 1, got 0"),
    "max_tokens true": ({**HI, "max_tokens": True}, "max_tokens", "whole number, got true"),
    "max_tokens text": ({**HI, "max_tokens": "5"}, "max_tokens", "whole number, got '5'"),
    "max_tokens half": ({**HI, "max_tokens": 1.5}, "max_tokens", "whole number"),
    "two limits": ({**HI, "max_tokens": 1, "max_completion_tokens": 2}, "max_completion_tokens", "mean the same"),
    "min over max": ({**HI, "min_tokens": 9, "max_tokens": 8}, "min_tokens", "min_tokens is 9 but max_tokens is 8"),
    "temperature high": ({**HI, "temperature": 2.1}, "temperature", "at most 2, got 2.1"),
    "temperature negative": ({**HI, "temperature": -0.1}, "temperature", "at least 0"),
    "top_p 0": ({**HI, "top_p": 0}, "top_p", "greater than 0"),
    "top_p high": ({**HI, "top_p": 1.01}, "top_p", "at most 1"),
    "min_p high": ({**HI, "min_p": 1.01}, "min_p", "at most 1"),
    "top_k negative": ({**HI, "top_k": -2}, "top_k", "at least -1"),
    "presence_penalty": ({**HI, "presence_penalty": 2.5}, "presence_penalty", "at most 2"),
    "repetition_penalty": ({**HI, "repetition_penalty": 0.001}, "repetition_penalty", "at least 0.01, got 0.001"),
    "seed": ({**HI, "seed": 1 << 63}, "seed", "less than"),
    "n 0": ({**HI, "n": 0}, "n", "at least 1"),
    "n 9": ({**HI, "n": 9}, "n", "at most 8, got 9"),
    "n 2^31": ({**HI, "n": 1 << 31}, "n", "at most 8"),
    "stop empty": ({**HI, "stop": ""}, "stop", "at least 1 character"),
    "17 stops": ({**HI, "stop": ["a"] * 17}, "stop", "at most 16"),
    "stop number": ({**HI, "stop": [1]}, "stop[0]", "a string"),
    "stop ids": ({**HI, "stop_token_ids": [10**6]}, "stop_token_ids", "no token 1000000"),
    "301 biases": ({**HI, "logit_bias": {str(i): 0 for i in range(301)}}, "logit_bias", "at most 300"),
    "bias name": ({**HI, "logit_bias": {"x": 1}}, "logit_bias", "no token id"),
    "bias unknown id": ({**HI, "logit_bias": {"99999999": 1}}, "logit_bias", "no token"),
    "bias high": ({**HI, "logit_bias": {"1": 101}}, "logit_bias.1", "at most 100"),
    "21 logprobs": ({**HI, "logprobs": True, "top_logprobs": 21}, "top_logprobs", "at most 20"),
    "top_logprobs alone": ({**HI, "top_logprobs": 2}, "top_logprobs", "logprobs is not true"),
    "stream text": ({**HI, "stream": "yes"}, "stream", "true or false"),
    "stream_options alone": ({**HI, "stream_options": {"include_usage": True}}, "stream_options", "stream: true"),
    "two structures": ({**HI, "guided_regex": "a", "guided_choice": ["a"]}, "guided_choice", "one of them"),
    "tool without function": ({**HI, "tools": [{"type": "function"}]}, "tools[0].function", "missing"),
    "tool of a kind we do not run": ({**HI, "tools": [{"type": "web_search"}]}, "tools[0].type", "'function'"),
    "a tool twice": ({**HI, "tools": [NOW, NOW]}, "tools[1].function.name", "twice"),
    "a tool's name in two lines": (
        {**HI, "functions": [{"name": "a\nb"}]}, "functions[0].name", "no line breaks",
    ),
    "a tool's parameters are a list": (
        {**HI, "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
        "tools[0].function.parameters", '"type": "object"',
    ),
    "tools and functions": ({**HI, "tools": [NOW], "functions": [{"name": "f"}]}, "functions", "older form"),
    "a call without tools": ({**HI, "tool_choice": "required"}, "tool_choice", "there are no tools"),
    "a tool nobody offered": (
        {**HI, "tools": [NOW], "tool_choice": {"type": "function", "function": {"name": "then"}}},
        "tool_choice", "no tool 'then'; the tools are now",
    ),
    "an unknown choice": ({**HI, "tools": [NOW], "tool_choice": "maybe"}, "tool_choice", "'none', 'auto'"),
    "a choice of another kind": ({**HI, "tools": [NOW], "tool_choice": {"type": "x"}}, "tool_choice", "allowed_tools"),
    "allowed tools nobody offered": (
        {**HI, "tools": [NOW], "tool_choice": {"type": "allowed_tools", "allowed_tools": {
            "mode": "auto", "tools": [{"type": "function", "function": {"name": "x"}}]}}},
        "tool_choice.allowed_tools", "no tool 'x'",
    ),
    "a call and a form": (
        {**HI, "tools": [NOW], "tool_choice": "required", "response_format": {"type": "json_object"}}, None,
        "response_format",
    ),
    "a tool's result": ({"messages": [{"role": "tool", "content": "1"}]}, "messages[0].role", "no assistant message"),
    "a result of another call": (
        {"messages": [*CALLED, {"role": "tool", "tool_call_id": "call_2", "content": "1"}]},
        "messages[2].tool_call_id", "'call_2'; the calls before it are 'call_1'",
    ),
    "a result of no call": (
        {"messages": [*CALLED, {"role": "tool", "content": "1"}]}, "messages[2].tool_call_id", "is missing",
    ),
    "two results of a call": (
        {"messages": [*CALLED, *2 * [{"role": "tool", "tool_call_id": "call_1", "content": "1"}]]},
        "messages[3].tool_call_id", "answered already",
    ),
    "a user's call": (
        {"messages": [{**CALLED[1], "role": "user", "content": "a"}]}, "messages[0].tool_calls", "only assistant",
    ),
    "arguments that are no JSON": (
        {"messages": [{"role": "assistant", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "now", "arguments": '{"a": '}}]}]},
        "messages[0].tool_calls[0].function.arguments", "the text of a JSON object",
    ),
    "two thinking budgets": (
        {**HI, "thinking_budget": 1, "thinking_token_budget": 2}, "thinking_token_budget", "they mean the same",
    ),
    "thinking on and off": (
        {**HI, "thinking": {"type": "enabled"}, "chat_template_kwargs": {"enable_thinking": False}}, "thinking",
        "contradict",
    ),
    "a blob URL": (with_picture("blob:http://x/1"), None, "send the bytes"),
    "a file URL": (with_picture("file:///etc/passwd"), None, "file:"),
    "a private address": (with_picture("http://10.0.0.1/a.png"), None, "media-allow-hosts"),
    "a loopback address": (with_picture("http://127.0.0.1:1/a.png"), None, "media-allow-hosts"),
    "the metadata address": (with_picture("http://169.254.169.254/latest"), None, "media-allow-hosts"),
    "no picture": (with_picture(data_url(b"hello world")), None, ""),
    "a truncated picture": (with_picture(data_url(png(300, 300)[:80])), None, ""),
    "broken base64": (with_picture("data:image/png;base64,@@@"), None, "base64"),
    "an over-long prompt": ({"messages": [{"role": "user", "content": "x y " * 20000}]}, "messages", "context"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_request_is_a_clear_400_and_its_neighbour_does_not_notice(house: House, name: str) -> None:
    body, param, words = BAD[name]
    before = (await house.chat("neighbour", png())).json()["choices"]
    response = await house.post(body)
    assert response.status_code == 400, response.text
    error = ErrorBody.model_validate(response.json(), extra="forbid").error
    assert words in error.message
    assert error.type == "invalid_request_error"
    if param is not None:
        assert error.param == param
    assert len(error.message) < 600
    assert response.headers["x-request-id"].startswith("req_")
    assert (await house.chat("neighbour", png())).json()["choices"] == before


async def test_an_unknown_model_is_a_404_that_lists_the_names(house: House) -> None:
    response = await house.post({**HI, "model": "gpt-4o"})
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "'gpt-4o'" in error["message"] and "glm-4.6v-flash" in error["message"]


@pytest.mark.parametrize(("width", "height"), [(65535, 65535), (60000, 100), (8000, 8000)])
async def test_a_picture_over_a_limit_is_a_4xx_that_names_it(house: House, width: int, height: int) -> None:
    header = png(1, 1)
    start = header.index(b"IHDR")
    import struct
    import zlib

    ihdr = b"IHDR" + struct.pack(">II", width, height) + header[start + 12 : start + 17]
    forged = header[:start] + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + header[start + 21 :]
    response = await house.chat("?", forged)
    assert response.status_code in (400, 413), response.text
    assert response.json()["error"]["message"]


async def test_a_picture_of_too_many_bytes_is_a_413(house: House) -> None:
    big = data_url(png() + b"\0" * (11 << 20))
    response = await house.post(with_picture(big))
    assert response.status_code == 413, response.text
    assert "10" in response.json()["error"]["message"]


async def test_multipart_is_a_415_that_says_what_to_send(house: House) -> None:
    response = await house.client.post("/v1/chat/completions", files={"image": b"x"})
    assert response.status_code == 415
    assert "application/json" in response.json()["error"]["message"]


async def test_curls_default_content_type_is_read_as_json(house: House) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert (await house.post(HI, headers=headers)).status_code == 200


async def test_messages_show_no_picture_and_no_long_value(house: House) -> None:
    secret = base64.b64encode(b"private" * 1000).decode()
    for body in (
        {**HI, "model": secret},
        {**HI, "stop": [secret]},
        {**HI, "reasoning_effort": secret},
        with_picture([secret]),
    ):
        response = await house.post(body)
        assert response.status_code in (400, 404)
        assert secret[:120] not in response.text


async def test_the_one_pixel_picture_of_the_samples_is_valid(house: House) -> None:
    assert (await house.chat("What is in this image?", png(1, 1))).status_code == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "min_tokens", "n",
    "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "seed",
    "stop", "stop_token_ids", "logit_bias", "logprobs", "top_logprobs", "ignore_eos", "response_format", "tools",
    "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
    "chat_template_kwargs", "reasoning_effort",
    "chat_template_kwargs", "reasoning_effort", "tool_choice", "parallel_tool_calls", "functions", "function_call",
    "thinking", "thinking_budget", "thinking_token_budget",
]  # fmt: skip


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4), st.booleans())
def test_any_json_is_parsed_or_refused_with_a_message(fields: dict[str, Any], with_messages: bool) -> None:
    from flashweb.api.convert import to_chat
    from flashweb.api.sampling import to_params
    from flashweb.api.schemas.chat import ChatRequest

    document = {**HI, **fields} if with_messages else fields
    try:
        request = parse_body(json.dumps(document).encode(), ChatRequest)
        to_chat(request, max_images=16)
        to_params(request, {}, 4000)
    except InvalidRequest as error:
        assert error.message and len(error.message) < 700


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_with_a_message(body: bytes) -> None:
    from flashweb.api.schemas.chat import ChatRequest

    with pytest.raises(InvalidRequest):
        parse_body(body, ChatRequest)
