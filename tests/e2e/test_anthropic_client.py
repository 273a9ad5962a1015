"""The official Anthropic client against a real server with the bundled model: answers, streams, tools, pictures; and
text completions as the OpenAI client asks for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic.types import Message

from flashweb.cli.client import chat_body
from flashweb.evaluate import Case, load
from tests.servers import free_port, wait_until_ready

pytestmark = pytest.mark.slow
MODEL = "glm-4.6v-flash"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """One server for all of them: none leaves anything behind that another would see."""
    port = free_port()
    command = [sys.executable, "-m", "flashweb", "serve", "--threads", "1", "--port", str(port), "--ui-port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def client(url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as opened:
        yield opened


def asked(case: Case, **more: Any) -> Any:
    """A case in Anthropic's words."""
    body = chat_body(case.chat())
    turns = [{"role": one["role"], "content": _blocks(one["content"])} for one in body["messages"]]
    functions = [tool["function"] for tool in body.get("tools", [])]
    tools = [
        {"name": f["name"], "description": f.get("description", ""), "input_schema": f["parameters"]} for f in functions
    ]
    offered = {"tools": tools} if tools else {}
    return {"model": MODEL, "max_tokens": 128, "messages": turns, **offered, **more}


def _blocks(content: Any) -> Any:
    if isinstance(content, str):
        return content
    return [_picture(part["image_url"]["url"]) if part["type"] == "image_url" else part for part in content]


def _picture(data_url: str) -> dict[str, Any]:
    head, _, data = data_url.partition(";base64,")
    return {"type": "image", "source": {"type": "base64", "media_type": head.removeprefix("data:"), "data": data}}


def receipt() -> Case:
    """With more than one amount on it."""
    return next(case for case in load(["amounts-plain"]) if ", " in case.answer)


def checked(message: Message) -> Message:
    """What the client builds without looking at it, looked at."""
    return Message.model_validate(message.model_dump(), strict=True)


def test_a_picture_is_read_whole_and_streamed_sync_and_async(url: str, client: anthropic.Anthropic) -> None:
    case = receipt()
    counted = client.messages.count_tokens(model=MODEL, messages=asked(case)["messages"])
    message = checked(client.messages.create(**asked(case)))
    with client.messages.stream(**asked(case)) as stream:
        text = "".join(stream.text_stream)
        final = checked(stream.get_final_message())
    assert message.content[0].text.strip() == case.answer  # type: ignore[union-attr]
    assert text == final.content[0].text == message.content[0].text  # type: ignore[union-attr]
    assert (message.stop_reason, message.model) == ("end_turn", MODEL)
    usage = final.usage
    assert counted.input_tokens == message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0)
    assert counted.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)
    assert usage.cache_read_input_tokens  # the second time

    async def ask() -> str:
        async with anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0) as other:
            answers = await asyncio.gather(*(other.messages.create(**asked(case)) for _ in range(3)))
            assert {answer.content[0].text for answer in answers} == {text}  # type: ignore[union-attr]
            async with other.messages.stream(**asked(case)) as opened:
                return "".join([piece async for piece in opened.text_stream])

    assert asyncio.run(ask()) == text


def test_an_answer_goes_on_with_its_beginning_and_ends_at_a_stop_sequence(client: anthropic.Anthropic) -> None:
    case = receipt()
    first = case.answer.split(", ")[0]
    begun = [*asked(case)["messages"], {"role": "assistant", "content": first}]
    rest = client.messages.create(**asked(case, messages=begun))
    assert first + rest.content[0].text == case.answer  # type: ignore[union-attr]
    stopped = client.messages.create(**asked(case, stop_sequences=[","]))
    assert (stopped.content[0].text, stopped.stop_reason, stopped.stop_sequence) == (first, "stop_sequence", ",")  # type: ignore[union-attr]
    # The newest client does not name them any more; older programs and other clients do.
    sampling = {"temperature": 0.0, "top_k": 1, "top_p": 0.9}
    assert client.messages.create(**asked(case, max_tokens=2, extra_body=sampling)).stop_reason == "max_tokens"


def test_tools_are_called_and_their_results_answered(client: anthropic.Anthropic) -> None:
    case = next(case for case in load(["tools"]) if "<tool_call>" in case.answer and len(case.messages) == 1)
    body = asked(case, max_tokens=256)
    message = checked(client.messages.create(**body))
    with client.messages.stream(**body) as stream:
        final = checked(stream.get_final_message())
    calls = [block for block in message.content if block.type == "tool_use"]
    assert calls and message.stop_reason == final.stop_reason == "tool_use"
    assert [block.input for block in final.content if block.type == "tool_use"] == [call.input for call in calls]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "done"} for call in calls]
    history = [*body["messages"], message.to_param(), {"role": "user", "content": results}]
    assert client.messages.create(**{**body, "messages": history}).content
    forced = client.messages.create(**body, tool_choice={"type": "tool", "name": body["tools"][0]["name"]})
    assert [block.name for block in forced.content if block.type == "tool_use"] == [body["tools"][0]["name"]]


def test_a_thought_is_a_block_of_its_own(client: anthropic.Anthropic) -> None:
    body = asked(load(["thinking"])[0], max_tokens=200, thinking={"type": "enabled", "budget_tokens": 100})
    message = checked(client.messages.create(**body))
    with client.messages.stream(**body) as stream:
        final = checked(stream.get_final_message())
    assert message.content[0].type == "thinking" and message.content[0].signature
    assert [block.model_dump() for block in final.content] == [block.model_dump() for block in message.content]
    assert message.usage.output_tokens_details is not None and message.usage.output_tokens_details.thinking_tokens > 0


def test_errors_are_the_clients_own(client: anthropic.Anthropic) -> None:
    case = receipt()
    with pytest.raises(anthropic.NotFoundError, match="claude-x") as missing:
        client.messages.create(**asked(case, model="claude-x"))
    assert missing.value.request_id is not None and missing.value.request_id.startswith("req_")
    with pytest.raises(anthropic.BadRequestError, match="white space"):
        client.messages.create(
            **asked(case, messages=[*asked(case)["messages"], {"role": "assistant", "content": "a "}])
        )
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**asked(case, messages=[{"role": "user", "content": "word " * 40_000}]))


def test_text_completions_are_read_by_the_openai_client(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        create = client.completions.create
        whole = create(model=MODEL, prompt=["The total", "The date"], max_tokens=8, temperature=0, logprobs=2, n=1)
        pieces = list(create(model=MODEL, prompt="The total", max_tokens=8, temperature=0, stream=True))
        first = whole.choices[0]
        assert "".join(piece.choices[0].text for piece in pieces) == first.text
        assert first.logprobs is not None and len(first.logprobs.tokens or ()) == len(first.logprobs.text_offset or ())
        tokens = client.post(f"{url}/tokenize", body={"prompt": "The total"}, cast_to=object)
        again = create(model=MODEL, prompt=tokens["tokens"], max_tokens=8, temperature=0)  # type: ignore[index]
        assert again.choices[0].text == first.text
