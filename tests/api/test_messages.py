"""`/v1/messages`: answers, whole and streamed, held against the types of Anthropic's own client, and errors in its
shape."""

from __future__ import annotations

import base64
import json
from typing import Any

import anthropic
import pytest
from anthropic.types import Message, MessageTokensCount, RawMessageStreamEvent
from anthropic.types.shared import ErrorResponse
from pydantic import TypeAdapter

from flashweb.api.schemas.messages_answers import MessageOut, MessagesError, MessageStreamEvent, TokenCountOut
from flashweb.errors import Overloaded
from flashweb.types import Delta, FinishReason, ToolCallPiece
from tests.api.test_tools import ARGUMENTS, CALL, END, SECOND
from tests.house import House, ScriptedEngine, begun, encode, open_house, png

PATH, COUNT = "/v1/messages", "/v1/messages/count_tokens"
PRICE = {
    "name": "get_price",
    "description": "价格",
    "input_schema": {"type": "object", "properties": {"item": {"type": "string"}, "n": {"type": "integer"}}},
    "cache_control": {"type": "ephemeral"},
}
TOOLS = [PRICE, {"type": "custom", "name": "now", "input_schema": {"type": "object"}}]
THINKING = {"type": "enabled", "budget_tokens": 64}
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def picture() -> dict[str, Any]:
    data = base64.b64encode(png(112, 112)).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def request(*content: Any, **more: Any) -> dict[str, Any]:
    turn = {"role": "user", "content": list(content) or "how much?"}
    return {"model": "glm-4.6v-flash", "max_tokens": 200, "messages": [turn], **more}


def engine(answer: str = "ok", **more: Any) -> ScriptedEngine:
    return ScriptedEngine(answer, **{"max_model_len": 8192, **more})


async def whole(house: House, **more: Any) -> dict[str, Any]:
    response = await house.post(request(**more), PATH)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    MessageOut.model_validate(body, extra="forbid")
    Message.model_validate(body, strict=True)
    return body


def events_in(text: str) -> list[dict[str, Any]]:
    """The events of a stream, each under the name of its type; pings are for the connection."""
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        MessageStreamEvent.model_validate(event, extra="forbid")
        if event["type"] not in ("ping", "error"):
            _EVENT.validate_python(event, strict=True)
        found.append(event)
    return found


async def streamed(house: House, **more: Any) -> list[dict[str, Any]]:
    response = await house.post(request(stream=True, **more), PATH)
    assert response.headers["content-type"].startswith("text/event-stream")
    return [event for event in events_in(response.text) if event["type"] != "ping"]


def added_up(events: list[dict[str, Any]]) -> dict[str, Any]:
    """As Anthropic's client does it, without our code."""
    start, *blocks, delta, stop = events
    assert start["message"]["content"] == [] and stop == {"type": "message_stop"}
    message: dict[str, Any] = {**start["message"], **delta["delta"]}
    message["usage"] = {**message["usage"], **delta["usage"]}
    for event in blocks:
        if event["type"] == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append({**event["content_block"]})
            arguments = ""
        elif event["type"] == "content_block_delta":
            (name, text), block = next(p for p in event["delta"].items() if p[0] != "type"), message["content"][-1]
            arguments += text if name == "partial_json" else ""
            if name != "partial_json":
                block[name] += text
        elif message["content"][-1]["type"] == "tool_use":
            message["content"][-1]["input"] = json.loads(arguments)
    return message


def comparable(message: dict[str, Any]) -> dict[str, Any]:
    content = [{name: value for name, value in block.items() if name != "id"} for block in message["content"]]
    return {**message, "id": "", "content": content}


@pytest.mark.parametrize("steps_at_once", [1, 4, 1000])
async def test_thought_text_and_calls_are_blocks_that_a_stream_adds_up_to(steps_at_once: int) -> None:
    answer = f"I must look.</think>\nLet me see.\n{CALL}{SECOND}{END}"
    async with open_house(engine(answer, steps_at_once=steps_at_once, cached=5)) as house:
        body = await whole(house, tools=TOOLS, thinking=THINKING)
        events = await streamed(house, tools=TOOLS, thinking=THINKING)
    thought, text, price, now = body["content"]
    assert (thought["type"], thought["thinking"], text["text"]) == ("thinking", "I must look.", "Let me see.")
    assert thought["signature"] and price["id"] != now["id"]
    assert (price["name"], price["input"], now["input"]) == ("get_price", ARGUMENTS, {})
    assert (body["stop_reason"], body["stop_sequence"]) == ("tool_use", None)
    assert comparable(added_up(events)) == comparable(body)
    if steps_at_once == 1:
        assert sum(event["type"] == "content_block_delta" for event in events) > 30  # as they come, not at the end


async def test_usage_counts_the_cached_part_of_the_prompt_apart() -> None:
    async with open_house(engine("a b", cached=5)) as house:
        usage = (await whole(house, thinking={"type": "adaptive"}))["usage"]
        ((prompt, params, _),) = house.engine.asked
    assert usage["input_tokens"] + 5 == prompt.num_tokens and usage["cache_read_input_tokens"] == 5
    assert usage["cache_creation_input_tokens"] == 0 and usage["service_tier"] == "standard"
    assert usage["output_tokens"] == usage["output_tokens_details"]["thinking_tokens"] == 3
    assert params.max_tokens == 200


async def test_the_reason_says_how_an_answer_ended() -> None:
    async with open_house(engine("one two three")) as house:
        assert (await whole(house))["stop_reason"] == "end_turn"
        stopped = await whole(house, stop_sequences=["zzz", " thr"])
        assert (stopped["content"][0]["text"], stopped["stop_reason"]) == ("one two", "stop_sequence")
        assert stopped["stop_sequence"] == " thr"
        assert (await whole(house, max_tokens=3))["stop_reason"] == "max_tokens"
        *_, delta, _ = await streamed(house, stop_sequences=["two"])
        assert delta["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "two"}
        prompt = house.engine.asked[0][0]
    async with open_house(engine("one two three", max_model_len=prompt.num_tokens + 4)) as house:
        assert (await whole(house))["stop_reason"] == "model_context_window_exceeded"


async def test_half_a_call_is_not_handed_out_whole() -> None:
    length = len(encode("Look.\n<tool_call>get_price\n<arg_key>item</arg_key>\n<arg_value>")) + 1
    async with open_house(engine(f"Look.\n{CALL}")) as house:
        body = await whole(house, tools=TOOLS, max_tokens=length)
        events = await streamed(house, tools=TOOLS, max_tokens=length)
    assert [block["type"] for block in body["content"]] == ["text"] and body["stop_reason"] == "max_tokens"
    assert [event["type"] for event in events[-3:]] == ["content_block_stop", "message_delta", "message_stop"]


def test_what_follows_a_call_in_the_same_piece_stands_behind_it() -> None:
    from flashweb.api.messages_answers import Blocks, content_of

    deltas = [
        Delta(text="a", tool_calls=(ToolCallPiece(0, "call_1", "f"), ToolCallPiece(0, arguments="{"))),
        Delta(text="b", tool_calls=(ToolCallPiece(0, arguments="}"), ToolCallPiece(1, "call_2", "g", "{}"))),
        Delta(reasoning="t", finish=FinishReason.STOP),
    ]
    blocks = Blocks(show_thinking=False)
    content = content_of(event for delta in deltas for event in blocks.feed(delta))
    assert [block.get("text") or block.get("name") or block["thinking"] for block in content] == [
        "a",
        "f",
        "b",
        "g",
        "",
    ]
    assert content[-1]["signature"]


async def test_a_thought_that_is_not_to_be_shown_leaves_an_empty_block() -> None:
    async with open_house(engine("deep</think>\nyes")) as house:
        body = await whole(house, thinking={**THINKING, "display": "omitted"})
        off = await whole(house, thinking={"type": "disabled"})
    assert [block.get("thinking", block.get("text")) for block in body["content"]] == ["", "yes"]
    assert [block["type"] for block in off["content"]] == ["text"]


async def test_a_stream_begins_with_the_prompts_usage_and_a_ping() -> None:
    async with open_house(engine("hello")) as house:
        response = await house.post(request(picture(), stream=True), PATH)
        whole_body = await whole(house, messages=request(picture())["messages"])
    names = [event["type"] for event in events_in(response.text)]
    assert names[:3] == ["message_start", "ping", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    start = events_in(response.text)[0]["message"]
    assert start["usage"]["input_tokens"] == whole_body["usage"]["input_tokens"] and start["stop_reason"] is None
    assert response.headers["x-flashweb-model"] == "flashweb-nano"


async def test_an_empty_answer_has_no_blocks() -> None:
    async with open_house(engine(END)) as house:
        assert (await whole(house))["content"] == []
        assert [event["type"] for event in await streamed(house)] == ["message_start", "message_delta", "message_stop"]


async def test_tokens_are_counted_as_an_answer_reports_them() -> None:
    asked = request(picture(), {"type": "text", "text": "what?"}, system="Be brief.", tools=TOOLS, thinking=THINKING)
    begun = {**request(), "messages": [*request()["messages"], {"role": "assistant", "content": "It"}]}
    async with open_house(engine("x</think>")) as house:
        for body in (asked, begun):
            house.engine.asked.clear()
            without = {name: value for name, value in body.items() if name != "max_tokens"}
            counted = (await house.post(without, COUNT)).json()
            assert house.engine.asked == []
            TokenCountOut.model_validate(counted, extra="forbid")
            MessageTokensCount.model_validate(counted, strict=True)
            usage = (await house.post(body, PATH)).json()["usage"]
            assert counted["input_tokens"] == usage["input_tokens"] == house.engine.asked[0][0].num_tokens


# --- errors -------------------------------------------------------------------------------------------------------


async def test_every_layers_refusal_has_anthropics_shape_and_the_requests_id() -> None:
    options: dict[str, Any] = {"auth__api_keys": ["sk-one-0123456789"], "server__max_body_size": "20kb"}
    key = {"x-api-key": "sk-one-0123456789"}
    async with open_house(engine(), server__rate_limit="9/minute", **options) as house:
        answers = [
            (await house.post(request(), PATH), 401, "authentication_error"),
            (await house.post(request(model="claude-x"), PATH, headers=key), 404, "not_found_error"),
            (await house.post(request("x" * 30_000), PATH, headers=key), 413, "request_too_large"),
            (await house.client.get(PATH, headers=key), 405, "invalid_request_error"),
            (await house.post(b"{", COUNT, headers=key), 400, "invalid_request_error"),
            (
                await house.post(b"--", PATH, headers={**key, "content-type": "multipart/form-data; boundary=x"}),
                415,
                "invalid_request_error",
            ),
            (await house.post(request(), PATH, headers={**key, "host": "evil.example"}), 400, "invalid_request_error"),
        ]
        house.engine.error = RuntimeError("secret")
        answers.append((await house.post(request(), PATH, headers=key), 500, "api_error"))
        house.engine.error, house.engine.phase = None, "loading"
        answers.append((await house.post(request(), PATH, headers=key), 503, "overloaded_error"))
        for _ in range(4):
            last = await house.post(request(), PATH, headers=key)
        answers.append((last, 429, "rate_limit_error"))
        other = await house.post(request(), "/v1/messages/batches", headers=key)
    for answer, status, kind in answers:
        body = answer.json()
        assert (answer.status_code, body["error"]["type"]) == (status, kind), answer.text
        assert body.keys() == {"type", "error", "request_id"} and body["error"].keys() == {"type", "message"}
        assert body["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
        MessagesError.model_validate(body)
        if kind != "request_too_large":  # which the client's own union of types does not know
            ErrorResponse.model_validate(body, strict=True)
        assert "secret" not in answer.text
    assert "param" in other.json()["error"]  # nobody's path: OpenAI's envelope


async def test_an_error_inside_a_stream_is_an_error_event_and_the_end() -> None:
    async with open_house(engine("hello")) as house:
        house.engine.error = Overloaded("The engine is full.")
        response = await house.post(request(stream=True), PATH)
        whole_answer = await house.post(request(), PATH)
    last = events_in(response.text)[-1]
    assert response.status_code == 200 and "DONE" not in response.text
    assert last["error"] == {"type": "overloaded_error", "message": "The engine is full."}
    assert last["request_id"] == response.headers["request-id"]
    assert whole_answer.status_code == 503 and whole_answer.json()["error"] == last["error"]


async def test_the_deadline_ends_a_stream_with_an_error_event() -> None:
    async with open_house(engine("hello"), server__request_timeout=0.3) as house:
        house.engine.stay = True
        response = await begun(lambda: house.post(request(stream=True), PATH))
    assert events_in(response.text)[-1]["error"]["type"] == "timeout_error"


async def test_silences_are_filled_with_pings() -> None:
    async with open_house(engine("hello"), server__stream_keep_alive=0.05, server__request_timeout=0.4) as house:
        house.engine.stay = True
        response = await house.post(request(stream=True), PATH)
    assert response.text.count("event: ping") >= 2 and ": keep-alive" not in response.text


async def test_the_official_client_reads_answers_streams_and_errors() -> None:
    """In process, over the same ASGI app; a real server is asked in tests/e2e."""
    import httpx2

    async with open_house(engine(f"Let me see.\n{CALL}{END}")) as house:
        transport = house.client._transport
        client = anthropic.AsyncAnthropic(
            base_url="http://127.0.0.1:8080",
            api_key="none",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=httpx2.ASGITransport(transport.app)),  # type: ignore[attr-defined]
        )
        asked: Any = request(picture(), tools=TOOLS)
        message = await client.messages.create(**asked)
        async with client.messages.stream(**asked) as stream:
            final = await stream.get_final_message()
        assert final.content[1].input == message.content[1].input == ARGUMENTS  # type: ignore[union-attr]
        assert message._request_id is not None and message._request_id.startswith("req_")
        with pytest.raises(anthropic.NotFoundError, match="claude-x"):
            await client.messages.create(**{**asked, "model": "claude-x"})
        house.engine.answer, house.engine.error = "hello", Overloaded("full")
        with pytest.raises(anthropic.APIStatusError, match="full"):
            async with client.messages.stream(**asked) as stream:
                await stream.get_final_message()
        await client.close()
