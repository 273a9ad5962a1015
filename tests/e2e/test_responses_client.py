"""The official client's `responses` against a real server with the bundled model: as its own documents use it."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from flashweb.cli.client import chat_body
from flashweb.evaluate import load
from tests.e2e.conftest import Running, Start
from tests.house import data_url, png
from tests.servers import wait_until_ready

pytestmark = pytest.mark.slow
MODEL = "flashweb-nano"


@pytest.fixture
def running(start: Start, tmp_path: Path) -> Running:
    return start("--threads", "1", "--data-dir", str(tmp_path / "data"))


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


class Total(BaseModel):
    total: str


def looking(text: str, **more: Any) -> list[Any]:
    image = {"type": "input_image", "image_url": data_url(png(120, 90)), "detail": "auto", **more}
    return [{"role": "user", "content": [{"type": "input_text", "text": text}, image]}]


def test_an_answer_is_created_continued_listed_and_deleted(client: openai.OpenAI) -> None:
    first = client.responses.create(model=MODEL, input=looking("这张图是什么?"), instructions="Be brief.")
    assert first.status == "completed" and first.output_text
    assert first.usage is not None and first.usage.input_tokens > 10
    second = client.responses.create(model=MODEL, input="What is in this image?", previous_response_id=first.id)
    assert second.output_text and second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
    assert second.usage.input_tokens_details.cached_tokens >= 0
    assert client.responses.retrieve(second.id) == second
    items = list(client.responses.input_items.list(first.id, limit=1))
    assert [item.type for item in items] == ["message"]
    shown = client.responses.input_items.list(first.id, include=["message.input_image.image_url"], order="asc")
    url = shown.to_dict()["data"][0]["content"][1]["image_url"]  # type: ignore[index]
    assert base64.b64decode(url.partition(",")[2]) == png(120, 90)
    counted = client.responses.input_tokens.count(model=MODEL, input=looking("这张图是什么?"), instructions="Be brief.")
    assert counted.input_tokens == first.usage.input_tokens
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=MODEL, input="x", previous_response_id=second.id)
    with pytest.raises(openai.BadRequestError, match="web_search"):
        client.responses.create(model=MODEL, input="x", tools=[{"type": "web_search"}])


def test_a_stream_is_what_the_whole_answer_is(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": MODEL, "input": looking("What is in this image?"), "temperature": 0}
    whole = client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        told = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert final.usage is not None and whole.usage is not None
    assert final.usage.total_tokens == whole.usage.total_tokens  # how many of them were cached is another matter
    assert told[0] == "response.created" and told[-1] == "response.completed"
    raw = list(client.responses.create(**asked, stream=True))
    assert [event.sequence_number for event in raw] == list(range(len(raw)))
    assert "".join(e.delta for e in raw if e.type == "response.output_text.delta") == whole.output_text
    short = list(client.responses.create(**asked, stream=True, max_output_tokens=2))
    assert short[-1].type == "response.incomplete"


def test_parse_gives_an_object_of_the_callers_own_class(client: openai.OpenAI) -> None:
    picture = looking("What is the total?")
    parsed = client.responses.parse(model=MODEL, input=picture, text_format=Total)
    assert isinstance(parsed.output_parsed, Total)
    with client.responses.stream(model=MODEL, input=picture, text_format=Total) as stream:
        final = stream.get_final_response()
    assert final.output_parsed == parsed.output_parsed
    free = client.responses.create(model=MODEL, input=picture, text={"format": {"type": "json_object"}})
    assert isinstance(json.loads(free.output_text), dict)


def _as_input(case: Any) -> list[Any]:
    """A case's messages as items."""
    items = []
    for message in chat_body(case.chat())["messages"]:
        content = message["content"]
        parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else [
            {"type": "input_text", "text": part["text"]} if part["type"] == "text"
            else {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}
            for part in content
        ]  # fmt: skip
        items.append({"role": message["role"], "content": parts})
    return items


def test_the_model_calls_functions_and_thinks(client: openai.OpenAI) -> None:
    case = next(case for case in load(["tools"]) if "<tool_call>" in case.answer)
    body = chat_body(case.chat())
    tools = [{"type": "function", **tool["function"]} for tool in body["tools"]]
    asked: dict[str, Any] = {"model": MODEL, "input": _as_input(case), "tools": tools, "temperature": 0}
    made = client.responses.create(**asked, tool_choice="required")
    calls = [item for item in made.output if item.type == "function_call"]
    assert calls and calls[0].name in {tool["name"] for tool in tools}
    with client.responses.stream(**asked, tool_choice="required") as stream:
        streamed = [item for item in stream.get_final_response().output if item.type == "function_call"]
    assert [(call.name, call.arguments) for call in streamed] == [(call.name, call.arguments) for call in calls]
    results: list[Any] = [{"type": "function_call_output", "call_id": call.call_id, "output": "done"} for call in calls]
    after = client.responses.create(model=MODEL, input=results, previous_response_id=made.id, tools=tools)  # type: ignore[arg-type]
    assert after.status in ("completed", "incomplete")
    by_hand = [*asked["input"], *[item.to_dict() for item in made.output], *results]
    again = client.responses.create(model=MODEL, input=by_hand, tools=tools)  # type: ignore[arg-type]
    assert again.output_text == after.output_text
    thinking = client.responses.create(model=MODEL, input="What is 2 + 3?", reasoning={"effort": "low"})
    assert thinking.output[0].type == "reasoning"
    assert thinking.usage is not None and thinking.usage.output_tokens_details.reasoning_tokens > 0
    with client.responses.stream(
        model=MODEL, input="What is 2 + 3?", reasoning={"effort": "low", "summary": "auto"}
    ) as stream:
        told = {event.type for event in stream}
        assert stream.get_final_response().output[0].summary[0].text  # type: ignore[union-attr]
    assert "response.reasoning_summary_text.delta" in told


def test_a_background_response_is_polled_watched_and_cancelled(client: openai.OpenAI) -> None:
    queued = client.responses.create(model=MODEL, input=looking("What is in this image?"), background=True)
    assert queued.status == "queued"
    done = _ended(client, queued.id)
    assert done.status == "completed" and done.output_text
    stream = client.responses.create(model=MODEL, input="hello", background=True, stream=True)
    events = list(stream)
    assert events[-1].type == "response.completed"
    id = events[0].response.id  # type: ignore[union-attr]
    rest = list(client.responses.retrieve(id, stream=True, starting_after=3))
    assert [event.to_dict() for event in rest] == [event.to_dict() for event in events[4:]]
    with client.responses.stream(response_id=id, starting_after=0) as resumed:
        assert resumed.get_final_response().output_text == events[-1].response.output_text
    cancelled = client.responses.cancel(client.responses.create(model=MODEL, input="x", background=True).id)
    assert cancelled.status in ("cancelled", "completed")


def _ended(client: openai.OpenAI, id: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while (found := client.responses.retrieve(id)).status in ("queued", "in_progress"):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def test_background_responses_outlive_a_server_that_is_killed(running: Running, start: Start, tmp_path: Path) -> None:
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0) as client:
        ids = [
            client.responses.create(model=MODEL, input=looking(f"What is in image {i}?"), background=True).id
            for i in range(6)
        ]
        kept = client.responses.create(model=MODEL, input=looking("这张图是什么?"))
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait(10)
    again = start("--threads", "1", "--data-dir", str(tmp_path / "data"))
    wait_until_ready(again.url, again.process)
    with openai.OpenAI(base_url=f"{again.url}/v1", api_key="none", max_retries=0) as client:
        assert [_ended(client, id).status for id in ids] == ["completed"] * 6
        follow = client.responses.create(model=MODEL, input="sure?", previous_response_id=kept.id)
        assert follow.output_text


def test_every_web_process_knows_what_another_one_keeps(start: Start, tmp_path: Path) -> None:
    url = start("--threads", "1", "--workers", "2", "--data-dir", str(tmp_path / "data")).url
    clients = [openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) for _ in range(4)]
    ids = [client.responses.create(model=MODEL, input="hello", background=True).id for client in clients]
    for client in clients:
        assert [_ended(client, id).status for id in ids] == ["completed"] * 4
        follow = client.responses.create(model=MODEL, input="again", previous_response_id=ids[0])
        assert follow.status in ("completed", "incomplete")
        assert list(client.responses.retrieve(ids[1], stream=True))[-1].type == "response.completed"
        client.close()
