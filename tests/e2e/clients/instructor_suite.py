"""Instructor against a server with the bundled model. Run by `tests/e2e/test_clients.py` with `.venv-instructor`.

What the bundled model answers is its own affair; that it is valid is the server's, in the modes that say so.
"""

from __future__ import annotations

import json
from typing import Literal

import instructor
import openai
import pytest
from common import BASE_URL, MODEL, picture_messages
from instructor import Mode
from pydantic import BaseModel, ConfigDict

ENFORCED = (Mode.TOOLS, Mode.TOOLS_STRICT, Mode.JSON_SCHEMA)
FREE = pytest.mark.xfail(strict=True, reason="the mode tells the model the keys in words; the bundled one has its own")


class Tag(BaseModel):
    """A price tag."""

    model_config = ConfigDict(extra="forbid")

    currency: Literal["USD", "EUR", "CNY"]
    amount: int
    reduced: bool


def client(mode: Mode) -> instructor.Instructor:
    return instructor.from_openai(openai.OpenAI(base_url=BASE_URL, api_key="not-needed", max_retries=0), mode=mode)


def asked(**more: object) -> dict[str, object]:
    return {"model": MODEL, "messages": picture_messages("The price?"), "temperature": 0, "max_retries": 0, **more}


@pytest.mark.parametrize("mode", ENFORCED, ids=str)
def test_a_picture_becomes_an_object_of_the_model(mode: Mode) -> None:
    tag, whole = client(mode).create_with_completion(response_model=Tag, **asked())
    assert isinstance(tag, Tag)
    assert whole.usage.prompt_tokens_details.image_tokens > 0
    assert whole.choices[0].finish_reason == ("stop" if mode is Mode.JSON_SCHEMA else "tool_calls")


@pytest.mark.parametrize("mode", ENFORCED, ids=str)
def test_an_object_fills_up_while_it_streams(mode: Mode) -> None:
    *early, last = client(mode).create_partial(response_model=Tag, **asked())
    assert early and Tag.model_validate(last.model_dump())


@pytest.mark.parametrize("mode", ENFORCED, ids=str)
async def test_the_async_client_gets_an_object_too(mode: Mode) -> None:
    answering = openai.AsyncOpenAI(base_url=BASE_URL, api_key="not-needed", max_retries=0)
    tag = await instructor.from_openai(answering, mode=mode).create(response_model=Tag, **asked())
    assert isinstance(tag, Tag)


@FREE
@pytest.mark.parametrize("mode", [Mode.JSON, Mode.MD_JSON], ids=str)
def test_a_mode_without_a_schema_gets_the_keys_it_told(mode: Mode) -> None:
    client(mode).create(response_model=Tag, **asked())


def test_json_mode_gets_an_object_whatever_its_keys() -> None:
    class Anything(BaseModel):
        model_config = ConfigDict(extra="allow")

    found, whole = client(Mode.JSON).create_with_completion(response_model=Anything, **asked())
    assert found.model_dump() == json.loads(whole.choices[0].message.content)


def test_an_answer_that_a_validator_refuses_is_asked_for_again() -> None:
    from pydantic import field_validator

    seen: list[str] = []

    class Fussy(Tag):
        @field_validator("currency")
        @classmethod
        def refuse_once(cls, value: str) -> str:
            seen.append(value)
            if len(seen) == 1:
                raise ValueError("say it again")
            return value

    assert client(Mode.TOOLS).create(response_model=Fussy, **asked(max_retries=2)).currency == seen[-1]
    assert len(seen) == 2
