"""LiteLLM against a server with the bundled model. Run by `tests/e2e/test_clients.py` with `.venv-litellm`."""

from __future__ import annotations

import json
from typing import Any

import litellm
import pytest
from common import AMOUNTS, BASE_URL, GUARDED_URL, MODEL, full_house, picture_messages, weather_tool
from pydantic import BaseModel

HELLO = [{"role": "user", "content": "Hello"}]
# `openai/` for any server of OpenAI's API; `hosted_vllm/` also passes on what vLLM has beyond it.
PROVIDERS = ("openai", "hosted_vllm")


def options(provider: str = "openai", **more: Any) -> dict[str, Any]:
    return {
        "model": f"{provider}/{MODEL}", "api_base": BASE_URL, "api_key": "not-needed", "temperature": 0,
        "max_tokens": 256, "num_retries": 0, **more,
    }  # fmt: skip


class Amount(BaseModel):
    currency: str
    amount: int


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_picture_is_read_whole_streamed_and_async(provider: str) -> None:
    given = options(provider, messages=picture_messages())
    whole = litellm.completion(**given)
    assert whole.choices[0].message.content == AMOUNTS and whole.choices[0].finish_reason == "stop"
    assert whole.usage.prompt_tokens > 100 and whole.usage.total_tokens > whole.usage.prompt_tokens
    chunks = list(litellm.completion(**given, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == AMOUNTS
    built = litellm.stream_chunk_builder(chunks)
    assert built.choices[0].message.content == AMOUNTS
    assert built.usage.completion_tokens == whole.usage.completion_tokens
    assert (await litellm.acompletion(**given)).choices[0].message.content == AMOUNTS
    stream = await litellm.acompletion(**given, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == AMOUNTS


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_forced_call_comes_with_its_arguments_and_takes_a_result(provider: str) -> None:
    question = {"role": "user", "content": "Is it raining?"}
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        given = options(provider, tools=[weather_tool()], tool_choice=choice, parallel_tool_calls=False)
        message = litellm.completion(**given, messages=[question]).choices[0].message
        (call,) = message.tool_calls
        assert call.function.name == "get_weather"
        assert json.loads(call.function.arguments)["city"] in ("Paris", "北京")
        chunks = list(litellm.completion(**given, messages=[question], stream=True))
        built = litellm.stream_chunk_builder(chunks).choices[0]
        assert built.message.tool_calls[0].function == call.function and built.finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": call.id, "content": "It rains."}
    messages = [question, message.model_dump(exclude_none=True), result]
    answer = litellm.completion(**options(provider, tools=[weather_tool()], messages=messages))
    assert answer.choices[0].message.content


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_keeps_to_a_pydantic_model_a_schema_or_json(provider: str) -> None:
    schema = {"name": "amount", "schema": {**Amount.model_json_schema(), "additionalProperties": False}, "strict": True}
    for form in (Amount, {"type": "json_schema", "json_schema": schema}):
        answer = litellm.completion(**options(provider, messages=picture_messages("The price?"), response_format=form))
        Amount.model_validate_json(answer.choices[0].message.content)
    loose = options(provider, messages=HELLO, response_format={"type": "json_object"}, max_tokens=512)
    assert isinstance(json.loads(litellm.completion(**loose).choices[0].message.content), dict)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_thinking_comes_as_reasoning_content(provider: str) -> None:
    given = options(provider, messages=HELLO, extra_body={"chat_template_kwargs": {"enable_thinking": True}})
    message = litellm.completion(**given).choices[0].message
    assert message.reasoning_content
    chunks = list(litellm.completion(**given, stream=True))
    pieces = [getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in chunks]
    assert "".join(pieces) == message.reasoning_content


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("error", "status", "more"),
    [
        (litellm.AuthenticationError, 401, {"api_base": f"{GUARDED_URL}/v1", "api_key": "wrong"}),
        (litellm.NotFoundError, 404, {"model": "no-such-model"}),
        (litellm.BadRequestError, 400, {"temperature": 3}),
        (litellm.ContextWindowExceededError, 400, {"messages": [{"role": "user", "content": "word " * 40000}]}),
    ],
)
async def test_errors_are_mapped(provider: str, error: type[Exception], status: int, more: dict[str, Any]) -> None:
    given = options(provider, messages=HELLO) | more
    given["model"] = f"{provider}/{given['model'].split('/')[-1]}"
    with pytest.raises(error) as raised:
        litellm.completion(**given)
    assert raised.value.status_code == status
    with pytest.raises(error):
        await litellm.acompletion(**given, stream=True)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_refusal_for_its_rate_or_a_full_house_is_mapped_and_retried_on_request(provider: str) -> None:
    key = f"litellm-{provider}-rate"
    given = options(provider, api_base=f"{GUARDED_URL}/v1", api_key=key, messages=HELLO)
    with pytest.raises(litellm.RateLimitError) as raised:
        for _ in range(20):
            litellm.completion(**given)
    assert raised.value.status_code == 429
    # Through `openai/` the official client retries, which waits as long as Retry-After says.
    waiting = {} if provider == "openai" else {"retry_strategy": "exponential_backoff_retry"}
    assert litellm.completion(**{**given, "num_retries": 4}, **waiting).choices[0].message.content
    with full_house(f"litellm-{provider}-full", seconds=0.5), pytest.raises(litellm.ServiceUnavailableError):
        litellm.completion(**{**given, "api_key": f"litellm-{provider}-full"})
