"""The official client against a server with the bundled model: 1.40.0 with `.venv-openai-1.40`, and the newest.

Everything that comes back is validated against the client's own types: it builds its objects without looking, so that
a wrong type would not be noticed by using them.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Literal

import openai
import pytest
from common import AMOUNTS, BASE_URL, GUARDED_URL, MODEL, full_house, picture_messages, weather_tool
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, TypeAdapter, ValidationError

OLD = openai.__version__ == "1.40.0"
HELLO = [{"role": "user", "content": "Hello"}]
client = openai.OpenAI(base_url=BASE_URL, api_key="not-needed", max_retries=0)
# Where the newest has its helpers; 1.40.0 had them under `beta` only.
helpers = client.beta.chat.completions if OLD else client.chat.completions


class Tag(BaseModel):
    """A price tag."""

    currency: Literal["USD", "EUR"]
    amount: int


class Weather(BaseModel):
    """The weather somewhere."""

    city: Literal["Paris", "北京"]


def create(**given: Any) -> Any:
    return client.chat.completions.create(
        **{"model": MODEL, "messages": HELLO, "temperature": 0, "max_tokens": 64, **given}
    )


def valid(answer: Any, kind: Any = ChatCompletion) -> Any:
    """The same, after its JSON was read strictly into the client's own type."""
    TypeAdapter(kind).validate_json(answer.model_dump_json(exclude_unset=True), strict=True)
    return answer


NAMED = {"type": "function", "function": {"name": "get_weather"}}
# What is asked for, one kind of answer each.
ANSWERS: dict[str, dict[str, Any]] = {
    "text": {},
    "a picture": {"messages": picture_messages()},
    "two choices": {"n": 2, "temperature": 1, "seed": 7},
    "log probabilities": {"logprobs": True, "top_logprobs": 3},
    "a forced call": {"tools": [weather_tool()], "tool_choice": "required"},
    "a named call": {"tools": [weather_tool()], "tool_choice": NAMED},
    "one call at most": {"tools": [weather_tool()], "tool_choice": "required", "parallel_tool_calls": False},
    "tools, none needed": {"tools": [weather_tool()]},
    "a function of the older form": {
        "functions": [weather_tool()["function"]], "function_call": {"name": "get_weather"},
    },
    "JSON": {"response_format": {"type": "json_object"}, "max_tokens": 512},
    "a thought": {"extra_body": {"chat_template_kwargs": {"enable_thinking": True}}},
    "cut off": {"max_tokens": 2},
    "a tier": {"service_tier": "auto"},
}  # fmt: skip


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_and_its_stream_have_the_clients_types(what: str) -> None:
    asked = ANSWERS[what]
    whole = valid(create(**asked))
    chunks = [
        valid(c, ChatCompletionChunk) for c in create(**asked, stream=True, stream_options={"include_usage": True})
    ]
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    for choice in whole.choices:
        own = [c for chunk in chunks for c in chunk.choices if c.index == choice.index]
        assert "".join(c.delta.content or "" for c in own) == (choice.message.content or "")
        assert own[-1].finish_reason == choice.finish_reason
        calls = [call for c in own for call in c.delta.tool_calls or []]
        for index, call in enumerate(choice.message.tool_calls or []):
            pieces = [piece.function for piece in calls if piece.index == index]
            assert "".join(piece.arguments or "" for piece in pieces) == call.function.arguments
    if what == "log probabilities":
        tokens = whole.choices[0].logprobs.content
        # The end token is the last of them.
        assert "".join(token.token for token in tokens[:-1]) == whole.choices[0].message.content
        assert all(len(token.top_logprobs) == 3 for token in tokens)


def test_an_answer_of_a_wrong_type_would_be_noticed() -> None:
    wrong = ChatCompletion.construct(**{**create(max_tokens=2).to_dict(), "created": "today"})
    with pytest.warns(UserWarning), pytest.raises(ValidationError):
        valid(wrong)


def test_models_are_listed_and_found() -> None:
    listed = [valid(model, Model) for model in client.models.list()]
    assert valid(client.models.retrieve("glm-4.6v-flash"), Model) in listed
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("no-such-model")
    assert raised.value.code == "model_not_found"


def test_an_answer_is_parsed_into_a_pydantic_model() -> None:
    parsed = helpers.parse(model=MODEL, messages=picture_messages("The price?"), response_format=Tag, temperature=0)
    assert isinstance(parsed.choices[0].message.parsed, Tag)


async def test_the_async_client_parses_too() -> None:
    answering = openai.AsyncOpenAI(base_url=BASE_URL, api_key="not-needed", max_retries=0)
    parse = answering.beta.chat.completions.parse if OLD else answering.chat.completions.parse
    given = {"model": MODEL, "messages": picture_messages("The price?"), "response_format": Tag, "temperature": 0}
    answers = await asyncio.gather(*(parse(**given) for _ in range(4)))
    assert len({answer.choices[0].message.parsed.model_dump_json() for answer in answers}) == 1


def test_a_call_is_parsed_into_a_pydantic_model() -> None:
    tool = openai.pydantic_function_tool(Weather, name="get_weather")
    parsed = helpers.parse(
        model=MODEL, messages=HELLO, tools=[tool], tool_choice="required", temperature=0, max_tokens=512
    )
    for call in parsed.choices[0].message.tool_calls:
        assert isinstance(call.function.parsed_arguments, Weather)


def test_the_result_of_a_call_goes_back_as_it_came() -> None:
    tools = [weather_tool()]
    called = create(tools=tools, tool_choice="required", parallel_tool_calls=False).choices[0].message
    (call,) = called.tool_calls
    assert json.loads(call.function.arguments)["city"] in ("Paris", "北京")
    result = {"role": "tool", "tool_call_id": call.id, "content": "It rains."}
    for sent in (called, called.model_dump()):  # as the object, and with every null that the client writes out
        assert create(tools=tools, messages=[*HELLO, sent, result]).choices[0].message.content


def test_several_calls_come_in_one_answer_where_they_may() -> None:
    tool = weather_tool()
    asked = {"tools": [tool], "tool_choice": "required", "max_tokens": 200}
    several = valid(create(**asked)).choices[0].message.tool_calls
    one = valid(create(**asked, parallel_tool_calls=False)).choices[0].message.tool_calls
    assert len(one) == 1 and len({call.id for call in several}) == len(several)


def test_the_stream_helper_tells_events_and_the_whole() -> None:
    given = {"model": MODEL, "messages": picture_messages(), "temperature": 0}
    with helpers.stream(**given) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    text = "".join(event.delta for event in events if event.type == "content.delta")
    assert text == final.choices[0].message.content == AMOUNTS
    assert [event.content for event in events if event.type == "content.done"] == [AMOUNTS]
    with helpers.stream(**given, response_format=Tag) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Tag)
    tool = openai.pydantic_function_tool(Weather, name="get_weather")
    with helpers.stream(**given, tools=[tool], tool_choice=NAMED) as stream:
        (done,) = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
    assert done.name == "get_weather" and isinstance(done.parsed_arguments, Weather)


def test_an_answer_that_was_cut_off_is_an_error_of_the_parser() -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        helpers.parse(model=MODEL, messages=HELLO, response_format=Tag, max_tokens=2)


def test_raw_and_streaming_responses_have_headers() -> None:
    given = {"model": MODEL, "messages": HELLO, "max_tokens": 4}
    raw = client.chat.completions.with_raw_response.create(**given)
    assert raw.headers["x-flashweb-model"] == MODEL and valid(raw.parse())
    with client.chat.completions.with_streaming_response.create(**given, stream=True) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert list(response.iter_lines())[-2] == "data: [DONE]"


@pytest.mark.parametrize(
    ("error", "code", "param", "more"),
    [
        (openai.BadRequestError, None, "temperature", {"temperature": 3}),
        (openai.BadRequestError, "context_length_exceeded", "messages", {"messages": picture_messages("a " * 40000)}),
        (openai.NotFoundError, "model_not_found", "model", {"model": "gpt-4o"}),
        (openai.BadRequestError, "invalid_image", None, {"messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}
        ]}),
    ],
)  # fmt: skip
def test_an_error_is_the_clients_own_class(
    error: Any, code: str | None, param: str | None, more: dict[str, Any]
) -> None:
    for stream in (False, True):  # before a stream begins, an error is an error
        with pytest.raises(error) as raised:
            create(**more, stream=stream)
        assert raised.value.type == "invalid_request_error" and raised.value.request_id.startswith("req_")
        if code:
            assert raised.value.code == code
        if param:
            assert raised.value.param == param


def guarded(key: str, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{GUARDED_URL}/v1", api_key=key, **{"max_retries": 0, **more})


def test_a_wrong_key_and_a_key_that_may_not_are_told_apart() -> None:
    with pytest.raises(openai.AuthenticationError) as raised:
        guarded("wrong").models.list()
    assert raised.value.code == "invalid_api_key"
    with pytest.raises(openai.PermissionDeniedError):
        guarded("openai-full").get("../api/admin/status", cast_to=object)


def test_one_request_too_many_is_a_rate_limit_error_and_goes_through_after_retry_after() -> None:
    ask = {"model": MODEL, "messages": HELLO}
    with pytest.raises(openai.RateLimitError) as raised:
        for _ in range(20):
            guarded("openai-rate").chat.completions.create(**ask)
    assert raised.value.response.headers["retry-after"] == "1" and raised.value.code == "rate_limit_exceeded"
    begun = time.monotonic()
    retried = guarded("openai-rate", max_retries=1).chat.completions.with_raw_response.create(**ask)
    assert retried.parse().choices[0].message.content
    if not OLD:  # which did not count
        assert retried.retries_taken == 1 and time.monotonic() - begun >= 1


def test_a_full_house_is_a_server_error_that_is_tried_again_after_retry_after() -> None:
    ask = {"model": MODEL, "messages": HELLO}
    with full_house("openai-full", seconds=0.5):
        with pytest.raises(openai.InternalServerError) as raised:
            guarded("openai-full").chat.completions.create(**ask)
        assert raised.value.status_code == 503 and raised.value.response.headers["retry-after"] == "1"
        assert guarded("openai-full", max_retries=2).chat.completions.create(**ask).choices[0].message.content


def test_a_time_out_is_the_clients_own_and_frees_the_server() -> None:
    long = {"max_tokens": 3000, "extra_body": {"ignore_eos": True}}
    with pytest.raises(openai.APITimeoutError):
        create(**long, timeout=0.2)
    with create(**long, stream=True) as stream:
        next(iter(stream))
    assert create(max_tokens=2).choices
