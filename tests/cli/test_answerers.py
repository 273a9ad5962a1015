"""What `flashweb chat` asks an engine of its own: the same defaults and ranges as over HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import ValidationError

from flashweb.api.sampling import to_params
from flashweb.api.schemas.chat import ChatRequest
from flashweb.cli import main
from flashweb.cli.answerers import EngineAnswerer, Options
from flashweb.types import Chat, Delta, Message, SamplingParams, TextPart

CHECKPOINT = {"temperature": 0.8, "top_p": 0.6, "top_k": -1, "min_p": None, "repetition_penalty": 1.1}


class Pipeline:
    """Remembers the parameters it was asked with."""

    generation_defaults = CHECKPOINT
    asked: SamplingParams

    async def stream(self, chat: Chat, params: SamplingParams) -> AsyncGenerator[tuple[int, Delta], None]:
        self.asked = params
        yield 0, Delta(text="yes")


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("given", [{}, {"max_tokens": 7, "temperature": 0.0, "seed": 3}])
async def test_an_engine_of_our_own_samples_as_the_server_does(thinking: bool, given: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "chat_template_kwargs": {"enable_thinking": thinking}}
    pipeline = Pipeline()
    chat = Chat((Message("user", (TextPart("hi"),)),), enable_thinking=thinking)
    deltas = [delta async for delta in EngineAnswerer(pipeline, "m").answer(chat, Options(**given))]
    assert [delta.text for delta in deltas] == ["yes"]
    assert pipeline.asked == to_params(ChatRequest.model_validate(body | given), CHECKPOINT, 1000)
    assert pipeline.asked.max_tokens == given.get("max_tokens", 4096 if thinking else 512)


@pytest.mark.parametrize(
    ("flag", "value", "limit"),
    [
        ("--max-tokens", "0", "1 to 1048576"),
        ("--max-tokens", "-3", "1 to 1048576"),
        ("--max-tokens", "1048577", "1 to 1048576"),
        ("--max-tokens", "many", "whole number"),
        ("--temperature", "2.1", "0 to 2"),
        ("--temperature", "-0.1", "0 to 2"),
        ("--temperature", "nan", "0 to 2"),
        ("--temperature", "warm", "number"),
        ("--seed", str(1 << 63), "to 9223372036854775807"),
    ],
)
def test_a_value_out_of_range_is_wrong_usage_that_names_the_limit(
    flag: str, value: str, limit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", "--own", flag, value, "hello"]) == 2
    error = capsys.readouterr().err
    assert flag in error and limit in error and value in error and len(error.splitlines()) == 1


def test_eval_checks_its_longest_answer_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--max-tokens", "0"]) == 2
    assert "1 to 1048576" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "least", "most", "step"),
    [("max_tokens", 1, 1 << 20, 1), ("temperature", 0.0, 2.0, 0.01), ("seed", -(1 << 63), (1 << 63) - 1, 1)],
)
def test_the_ranges_of_the_flags_are_those_of_the_api(name: str, least: Any, most: Any, step: Any) -> None:
    from flashweb.cli.answerers import RANGES

    body: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
    assert RANGES[name] == (least, most)
    for value in (least, most):
        assert getattr(ChatRequest.model_validate(body | {name: value}), name) == value
    for value in (least - step, most + step):
        with pytest.raises(ValidationError):
            ChatRequest.model_validate(body | {name: value})
