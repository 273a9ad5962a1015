"""The bundled model's calls, thoughts and boxes through a real server, as the official client reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from flashweb.cli.client import chat_body
from flashweb.evaluate import Case, calls_as_text, load
from tests.e2e.conftest import Start

pytestmark = pytest.mark.slow


@pytest.fixture
def client(start: Start) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{start('--threads', '1').url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def ask(client: openai.OpenAI, case: Case, **parameters: Any) -> Any:
    body = chat_body(case.chat())
    extra = {name: body.pop(name) for name in ("chat_template_kwargs",) if name in body}
    return client.chat.completions.create(model="flashweb-nano", **body, **parameters, extra_body=extra)


def test_the_model_calls_tools_and_goes_on_with_their_results(client: openai.OpenAI) -> None:
    cases = [case for case in load(["tools"]) if "<tool_call>" in case.answer][:4]
    right = 0
    for case in cases:
        message = ask(client, case).choices[0].message
        made = [(call.function.name, call.function.arguments) for call in message.tool_calls or []]
        right += case.score(calls_as_text(made)).exact == 1.0
        with client.chat.completions.stream(model="flashweb-nano", **chat_body(case.chat())) as stream:
            final = stream.get_final_completion().choices[0]
        streamed = [(call.function.name, call.function.arguments) for call in final.message.tool_calls or []]
        assert streamed == made
        assert final.finish_reason == ("tool_calls" if made else "stop")
        body = chat_body(case.chat())
        results = [{"role": "tool", "tool_call_id": call.id, "content": "done"} for call in message.tool_calls or []]
        history = [*body.pop("messages"), message.model_dump(exclude_none=True), *results]
        after = client.chat.completions.create(model="flashweb-nano", messages=history, **body)
        assert after.choices[0].message.content
    assert right >= len(cases) - 1


def test_a_thought_is_closed_at_its_budget_and_an_answer_follows(client: openai.OpenAI) -> None:
    case = load(["thinking"])[0]
    free = ask(client, case, temperature=0)
    length = free.usage.completion_tokens_details.reasoning_tokens
    assert length > 12
    body = chat_body(case.chat())
    kwargs = {"chat_template_kwargs": body.pop("chat_template_kwargs"), "thinking_token_budget": 6}
    for temperature in (0, 1):
        short = client.chat.completions.create(
            model="flashweb-nano", **body, temperature=temperature, seed=1, extra_body=kwargs
        )
        message = short.choices[0].message
        assert short.usage.completion_tokens_details.reasoning_tokens <= 7  # with the token that ends it
        assert message.content and message.model_extra is not None
        if temperature == 0:
            assert free.choices[0].message.model_extra["reasoning"].startswith(message.model_extra["reasoning"])


def test_boxes_lie_inside_the_picture(client: openai.OpenAI) -> None:
    message = ask(client, load(["boxes"])[0], temperature=0).choices[0].message
    (box,) = message.model_extra["boxes"]
    assert json.loads(message.content) == box["box"]
    assert box["pixels"][0] < box["pixels"][2] and box["pixels"][1] < box["pixels"][3]
