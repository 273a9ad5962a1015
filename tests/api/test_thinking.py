"""Thinking over HTTP: the names it goes by, its budget, and what of it is shown and counted."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from flashweb.api.parse import parse_body
from flashweb.api.schemas.chat import ChatRequest
from flashweb.api.thinking import thinking_budget, thinks
from tests.house import ScriptedEngine, events_of, open_house

ON = {"chat_template_kwargs": {"enable_thinking": True}}
ANSWER = "<think>two and two</think>\n4"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("{}", (False, None)),
        ('{"thinking": {"type": "enabled"}}', (True, None)),
        ('{"thinking": {"type": "disabled"}}', (False, None)),
        ('{"thinking": {"type": "enabled", "budget_tokens": 9}}', (True, 9)),
        ('{"thinking": {"type": "disabled", "budget_tokens": 9}}', (False, None)),
        ('{"thinking_token_budget": 9}', (True, 9)),
        ('{"thinking_budget": 9, "reasoning_effort": "high"}', (True, 9)),
        ('{"thinking_budget": 9, "reasoning_effort": "none"}', (False, None)),
        ('{"thinking_budget": 9, "thinking_token_budget": 9}', (True, 9)),
        ('{"thinking_budget": 9, "chat_template_kwargs": {"enable_thinking": false}}', (False, None)),
        ('{"thinking_budget": 0, "thinking": {"type": "enabled"}}', (False, None)),
        ('{"thinking": {"type": "enabled"}, "reasoning_effort": "none"}', (True, None)),
    ],
)
def test_all_names_of_thinking_mean_one_thing(parameters: str, expected: tuple[bool, int | None]) -> None:
    body = '{"messages": [{"role": "user", "content": "hi"}],' + parameters[1:].replace("{}", "")
    request = parse_body(body.replace(",}", "}").encode(), ChatRequest)
    assert (thinks(request), thinking_budget(request)) == expected


async def test_the_thought_goes_by_both_its_names_and_is_counted_exactly() -> None:
    async with open_house(ScriptedEngine(ANSWER, max_model_len=8192)) as house:
        body = (await house.chat("2+2?", **ON)).json()
        chunks = events_of((await house.chat("2+2?", stream=True, **ON)).text)[:-1]
        hidden = (await house.chat("2+2?", include_reasoning=False, **ON)).json()
        quiet = events_of((await house.chat("2+2?", stream=True, include_reasoning=False, **ON)).text)[:-1]
    ChatCompletion.model_validate(body)
    message, usage = body["choices"][0]["message"], body["usage"]
    assert message["reasoning_content"] == message["reasoning"] == "two and two" and message["content"] == "4"
    assert usage["completion_tokens_details"]["reasoning_tokens"] == usage["completion_tokens"] - 2  # newline and 4
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("reasoning", "") for delta in deltas) == "two and two"
    assert all(delta.get("reasoning") == delta.get("reasoning_content") for delta in deltas)
    assert "reasoning" not in hidden["choices"][0]["message"] and hidden["usage"] == usage
    assert "two" not in str(quiet) and "".join(c["choices"][0]["delta"].get("content", "") for c in quiet) == "4"


async def test_the_budget_reaches_the_engine_only_with_thinking() -> None:
    async def budget(**parameters: Any) -> int | None:
        async with open_house(ScriptedEngine("4", max_model_len=8192)) as house:
            await house.chat("2+2?", **parameters)
            found: int | None = house.engine.asked[0][1].thinking_budget
            return found

    assert await budget(thinking_budget=5) == 5
    assert await budget(thinking_budget=5, thinking={"type": "disabled"}) is None
    assert await budget(**ON) is None


async def test_several_tokens_at_once_are_counted_one_by_one() -> None:
    async with open_house(ScriptedEngine(ANSWER, steps_at_once=1000, max_model_len=8192)) as house:
        usage = (await house.chat("2+2?", **ON)).json()["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == usage["completion_tokens"] - 2
