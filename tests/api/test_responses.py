"""`/v1/responses` in process: the official types read every answer and event, and the chat behind them is looked at."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from openai.types.responses import Response, ResponseItemList, ResponseStreamEvent
from openai.types.responses.input_token_count_response import InputTokenCountResponse
from pydantic import TypeAdapter

from flashweb.api.responses.chats import Conversation
from flashweb.api.responses.examples import COUNTS, RESPONSES
from flashweb.api.responses.items import read_items
from tests.house import House, ScriptedEngine, data_url, open_house, png, processor

PATH = "/v1/responses"
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "the weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}
CALL = "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>{}</arg_value>\n</tool_call>"
THOUGHT = "<think>It is a dot.</think>\nRed."


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all: starting a house takes longer than most of these tests."""
    folder = tmp_path_factory.mktemp("responses") / "data"
    async with open_house(ScriptedEngine("ok"), storage__data_dir=str(folder)) as house:
        yield house


@pytest.fixture
def house(opened: House) -> House:
    """With an engine as it was at first."""
    fresh = ScriptedEngine("ok")
    for field in dataclasses.fields(ScriptedEngine):
        setattr(opened.engine, field.name, getattr(fresh, field.name))
    return opened


async def create(house: House, input: Any, status: int = 200, key: str = "", **fields: Any) -> dict[str, Any]:
    """The answer; one that is good is read by the official type, strictly."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    answer = await house.post({"input": input, **fields}, PATH, headers=headers)
    assert answer.status_code == status, answer.text
    if status == 200:
        Response.model_validate(answer.json(), strict=True)
    body: dict[str, Any] = answer.json()
    return body


async def stream(house: House, input: Any, **fields: Any) -> list[Any]:
    """Its events, each read by the official types, numbered without a gap and framed by their own names."""
    answer = await house.post({"input": input, "stream": True, **fields}, PATH)
    assert answer.status_code == 200, answer.text
    return read_events(answer.text)


def read_events(text: str, first: int = 0) -> list[Any]:
    events = []
    for block in text.strip().split("\n\n"):
        if block.startswith(":"):
            continue
        name, data = block.split("\n")
        events.append(EVENTS.validate_python(json.loads(data.removeprefix("data: "))))
        assert events[-1].type == name.removeprefix("event: ")
    assert [event.sequence_number for event in events] == list(range(first, first + len(events)))
    return events


def prompt(house: House) -> str:
    """What the engine saw last."""
    return processor().tokenizer.decode(house.engine.asked[-1][0].token_ids)


def error_of(answer: dict[str, Any]) -> tuple[str | None, str | None]:
    return answer["error"]["param"], answer["error"]["code"]


# --- input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "input",
    [
        "hello there",
        [{"role": "user", "content": "hello there"}],
        [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello there"}]}],
    ],
)
async def test_a_text_and_both_forms_of_a_message_make_the_prompt_of_a_chat(house: House, input: Any) -> None:
    answer = await create(house, input, instructions="be brief")
    assert Response.model_validate(answer).output_text == "ok"
    assert answer["status"] == "completed" and answer["instructions"] == "be brief"
    seen = prompt(house)
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello there"}]
    chat = (await house.post({"messages": messages})).json()
    assert prompt(house) == seen
    assert answer["usage"]["input_tokens"] == chat["usage"]["prompt_tokens"]
    assert answer["usage"]["total_tokens"] == chat["usage"]["total_tokens"]


async def test_pictures_come_as_urls_and_data_and_are_bounded_by_detail(house: House) -> None:
    parts = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": data_url(png(896, 896)), "detail": "low"},
        {"type": "input_image", "image_url": data_url(png())},
    ]
    answer = await create(house, [{"role": "user", "content": parts}])
    spans = house.engine.asked[-1][0].spans
    assert [span.image.grid.num_tokens for span in spans] == [256, 81]
    assert answer["usage"]["input_tokens_details"]["image_tokens"] == 337


async def test_calls_and_results_go_back_as_items_with_pictures_in_results(house: House) -> None:
    items = [
        {"role": "user", "content": "the weather in Rome and Oslo?"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "two"}]},
        {"type": "function_call", "call_id": "a", "name": "weather", "arguments": '{"city": "Rome"}'},
        {"type": "function_call", "call_id": "b", "name": "weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "b", "output": [
            {"type": "input_text", "text": "snow"}, {"type": "input_image", "image_url": data_url(png())},
        ]},
        {"type": "function_call_output", "call_id": "a", "output": "sun"},
    ]  # fmt: skip
    await create(house, items, tools=[WEATHER])
    seen = prompt(house)
    assert seen.rindex("Rome") < seen.rindex("Oslo") < seen.index("sun") < seen.index("snow")
    assert len(house.engine.asked[-1][0].spans) == 1


async def test_an_assistants_items_become_one_turn_until_they_repeat() -> None:
    conversation = Conversation()
    text = {"role": "assistant", "content": "b"}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}
    for item in read_items([thought, text, call, call, text, thought, {"role": "user", "content": "x"}, text]):
        conversation.add("here", item)
    assert [tuple(message) for message in conversation.messages] == [
        ("role", "reasoning_content", "content", "tool_calls"), ("role", "content"), ("role", "reasoning_content"),
        ("role", "content"), ("role", "content"),
    ]  # fmt: skip
    assert len(conversation.messages[0]["tool_calls"]) == 2


BAD: list[tuple[dict[str, Any], str, str | None]] = [
    ({"input": None}, "input", None),
    ({"input": 3}, "input", None),
    ({"input": []}, "input", None),
    ({"input": [{"type": "web_search_call"}]}, "input[0]", None),
    ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0]", None),
    ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role", None),
    ({"input": [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "input_image"}]}]},
     "input[1].content[0]", None),
    ({"input": [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "[]"}]},
     "input[0].arguments", None),
    ({"input": [{"type": "function_call_output", "call_id": "a", "output": "x"}]}, "input[0].role", None),
    ({"max_output_tokens": 0}, "max_output_tokens", None),
    ({"temperature": 3}, "temperature", None),
    ({"top_logprobs": 21}, "top_logprobs", None),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_parameter"),
    ({"tools": [{**WEATHER, "parameters": {"type": "array"}}]}, "tools[0].parameters", None),
    ({"tools": [WEATHER, WEATHER]}, "tools[1].name", None),
    ({"tool_choice": "required"}, "tool_choice", None),
    ({"tool_choice": {"type": "file_search"}}, "tool_choice", None),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "f"}}, "tool_choice", None),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema", None),
    ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"$ref": "http://a"}}}},
     "text.format.schema", None),
    ({"reasoning": {"effort": "huge"}}, "reasoning.effort", None),
    ({"truncation": "middle"}, "truncation", None),
    ({"prompt": {"id": "pmpt_1"}}, "prompt", "unsupported_parameter"),
    ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
    ({"background": True, "store": False}, "store", None),
    ({"metadata": {"a": 1}}, "metadata.a", None),
    ({"model": "gpt-9"}, "model", "model_not_found"),
]  # fmt: skip


async def test_a_bad_request_names_the_callers_own_field(house: House) -> None:
    for fields, param, code in BAD:
        for streamed in (False, True):
            answer = await house.post({"input": "hi", "stream": streamed, **fields}, PATH)
            assert answer.status_code == (404 if code == "model_not_found" else 400), (fields, answer.text)
            assert error_of(answer.json()) == (param, code), answer.text
            assert "messages[" not in answer.text and "response_format" not in answer.text
    assert not house.engine.asked


async def test_an_unknown_field_is_named_in_a_warning(house: House) -> None:
    answer = await house.post({"input": "hi", "colour": 1}, PATH)
    assert answer.headers["x-flashweb-warning"].endswith("colour")
    assert answer.headers["x-flashweb-model"] == "flashweb-nano"


async def test_every_example_of_the_description_is_answered(house: House) -> None:
    for path, examples in ((PATH, RESPONSES), (f"{PATH}/input_tokens", COUNTS)):
        for name, (_, body) in examples.items():
            if name != "background":  # tried where a server has a beginning and an end
                assert (await house.post(body, path)).status_code == 200, name


# --- output -------------------------------------------------------------------------------------------------------


async def test_a_stream_tells_of_every_item_and_ends_with_what_a_whole_answer_is(house: House) -> None:
    house.engine.answer = "<think>Hm.</think>\nI look." + CALL.format("Rome") + CALL.format("Oslo")
    fields: dict[str, Any] = {"tools": [WEATHER], "reasoning": {"effort": "high"}, "temperature": 0.5}
    whole = await create(house, "x", **fields)
    events = await stream(house, "x", **fields)
    text = ["response.content_part.added", "response.output_text.delta", "response.output_text.done",
            "response.content_part.done"]  # fmt: skip
    thought = [name.replace("output_text", "reasoning_text") for name in text]
    call = ["response.function_call_arguments.delta", "response.function_call_arguments.done"]
    item = ["response.output_item.added", "response.output_item.done"]
    told = [event.type for event in events]
    assert list(dict.fromkeys(told)) == list(dict.fromkeys([
        "response.created", "response.in_progress", item[0], *thought[:3], thought[3], item[1], *text, *call,
        "response.completed",
    ]))  # fmt: skip
    assert told.count(item[0]) == told.count(item[1]) == 4
    final = events[-1].response
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call", "function_call"]
    assert without_ids(final.to_dict(mode="json")) == without_ids(whole)
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == final.output_text == "I look."
    arguments = [event.arguments for event in events if event.type == call[1]]
    assert [json.loads(one) for one in arguments] == [{"city": "Rome"}, {"city": "Oslo"}]
    done = [event.item for event in events if event.type == item[1]]
    assert [one.to_dict() for one in done] == [one.to_dict() for one in final.output]
    assert whole["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    assert (whole["temperature"], whole["reasoning"]["effort"]) == (0.5, "high")


def without_ids(response: dict[str, Any]) -> dict[str, Any]:
    output = [{**item, "id": "", "call_id": ""} for item in response["output"]]
    return {**response, "output": output, "id": "", "created_at": 0, "completed_at": 0}


async def test_a_thought_is_content_or_its_own_summary(house: House) -> None:
    house.engine.answer = THOUGHT
    content = (await create(house, "x", reasoning={"effort": "low"}))["output"][0]
    assert content["content"] == [{"type": "reasoning_text", "text": "It is a dot."}] and content["summary"] == []
    fields: dict[str, Any] = {"reasoning": {"effort": "low", "summary": "auto"}}
    summary = (await create(house, "x", **fields))["output"][0]
    assert summary["summary"] == [{"type": "summary_text", "text": "It is a dot."}] and "content" not in summary
    told = [event.type for event in await stream(house, "x", **fields)]
    for name in ("reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done",
                 "reasoning_summary_part.done"):  # fmt: skip
        assert f"response.{name}" in told
    house.engine.answer = "Red."
    assert [item["type"] for item in (await create(house, "x"))["output"]] == ["message"]


@pytest.mark.parametrize("input", ["x", [{"role": "user", "content": "y"}]])
async def test_an_answer_that_is_cut_off_is_incomplete(house: House, input: Any) -> None:
    house.engine.answer = "one two three"
    answer = await create(house, input, max_output_tokens=3)
    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert answer["output"][0]["status"] == "incomplete" and answer["usage"]["output_tokens"] == 3
    events = await stream(house, input, max_output_tokens=3)
    assert events[-1].type == "response.incomplete" and events[-1].response.output[0].status == "incomplete"


async def test_the_longest_answer_is_4096_tokens_unless_said(house: House) -> None:
    house.engine.max_model_len = 8192
    await create(house, "x")
    await create(house, "x", max_output_tokens=7)
    assert [params.max_tokens for _, params, _ in house.engine.asked] == [4096, 7]


async def test_log_probabilities_stand_beside_the_text(house: House) -> None:
    asked: dict[str, Any] = {"include": ["message.output_text.logprobs"], "top_logprobs": 1}
    answer = await create(house, "x", **asked)
    entries = answer["output"][0]["content"][0]["logprobs"]
    assert "".join(entry["token"] for entry in entries) == "ok" and len(entries[0]["top_logprobs"]) == 1
    deltas = [event for event in await stream(house, "x", **asked) if event.type == "response.output_text.delta"]
    assert [entry.token for event in deltas for entry in event.logprobs] == [entry["token"] for entry in entries]
    assert (await create(house, "x"))["output"][0]["content"][0]["logprobs"] == []


async def test_structures_and_choices_reach_the_engine(house: House) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    format = {"type": "json_schema", "name": "x", "schema": schema, "strict": True}
    answer = await create(house, "x", text={"format": format, "verbosity": "low"})
    assert answer["text"] == {"format": format, "verbosity": "low"}
    await create(house, "x", text={"format": {"type": "json_object"}})
    house.engine.answer = CALL.format("Rome")
    named = {"type": "function", "name": "weather"}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [named]}
    for choice in ("required", named, allowed):
        answer = await create(house, "x", tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False)
        assert answer["tool_choice"] == choice and answer["output"][0]["name"] == "weather"
        assert answer["tools"] == [WEATHER] and answer["parallel_tool_calls"] is False
    kinds = [params.structure.kind for _, params, _ in house.engine.asked if params.structure]
    assert kinds == ["json_schema", "json_object", "grammar", "grammar", "grammar"]
    await create(house, "x", tools=[WEATHER], tool_choice="none")
    assert "weather" not in prompt(house)


async def test_a_failure_before_the_answer_is_an_http_error_and_one_in_it_an_event(house: House) -> None:
    house.engine.error = ValueError("a secret")
    house.engine.answer = ""
    assert (await house.post({"input": "x", "stream": True}, PATH)).status_code == 500
    house.engine.answer = "half"
    events = await stream(house, "x")
    failed = events[-1]
    assert failed.type == "response.failed" and failed.response.error.code == "server_error"
    assert failed.response.output[0].status == "incomplete"
    assert (await house.post({"input": "x"}, PATH)).status_code == 500
    found = await house.client.get(f"{PATH}/{failed.response.id}")
    assert found.json()["status"] == "failed" and "secret" not in found.text


# --- what is kept -------------------------------------------------------------------------------------------------


async def test_a_conversation_goes_on_with_its_pictures_and_without_its_instructions(house: House) -> None:
    picture = {"type": "input_image", "image_url": data_url(png(112, 112))}
    question = [{"role": "user", "content": [{"type": "input_text", "text": "what is it?"}, picture]}]
    house.engine.answer = THOUGHT
    first = await create(house, question, instructions="be brief", reasoning={"effort": "low"})
    house.engine.answer = "Sure."
    second = await create(house, "sure?", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    third = await create(house, "really?", previous_response_id=second["id"], instructions="be kind", store=False)
    seen = prompt(house)
    places = [seen.index(text) for text in ("be kind", "what is it?", "Red.", "sure?", "Sure.", "really?")]
    assert places == sorted(places) and "be brief" not in seen
    assert len(house.engine.asked[-1][0].spans) == 1
    gone = await create(house, "x", 404, previous_response_id=third["id"])
    assert error_of(gone)[1] == "response_not_found"


async def test_calls_are_answered_by_their_results_alone(house: House) -> None:
    house.engine.answer = CALL.format("Rome")
    first = await create(house, "the weather?", tools=[WEATHER])
    (call,) = first["output"]
    house.engine.answer = "Sun."
    result = [{"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees"}]
    await create(house, result, tools=[WEATHER], previous_response_id=first["id"])
    assert prompt(house).index("Rome") < prompt(house).index("21 degrees")
    wrong = [{**result[0], "call_id": "call_nobody"}]
    assert error_of(await create(house, wrong, 400, previous_response_id=first["id"]))[0] == "input[0].tool_call_id"


async def test_what_is_stored_is_its_owners_alone(house: House) -> None:
    mine = (await create(house, "x", key="mine"))["id"]
    for key in ("yours", ""):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
            answer = await house.client.request(method, f"{PATH}/{mine}{path}", headers=headers)
            assert answer.status_code == 404 and answer.json()["error"]["code"] == "response_not_found"
        await create(house, "x", 404, key, previous_response_id=mine)
    headers = {"authorization": "Bearer mine"}
    assert (await house.client.get(f"{PATH}/{mine}", headers=headers)).json()["id"] == mine
    deleted = await house.client.delete(f"{PATH}/{mine}", headers=headers)
    assert deleted.json() == {"id": mine, "object": "response", "deleted": True}
    assert (await house.client.get(f"{PATH}/{mine}", headers=headers)).status_code == 404


async def test_what_is_not_stored_writes_nothing(tmp_path: Path) -> None:
    async with open_house(ScriptedEngine(), storage__data_dir=str(tmp_path / "data")) as house:
        await create(house, "x", store=False)
        await stream(house, [{"role": "user", "content": "x"}], store=False)
        await house.post({"input": "x"}, f"{PATH}/input_tokens")
    assert not (tmp_path / "data").exists()


async def test_a_stored_response_is_retrieved_as_it_was_answered(house: House) -> None:
    answer = await create(house, "x", metadata={"a": "b"}, user="u", truncation="auto")
    found = await house.client.get(f"{PATH}/{answer['id']}", params={"include[]": "message.output_text.logprobs"})
    assert found.json() == answer
    final = (await stream(house, "x"))[-1].response
    assert (await house.client.get(f"{PATH}/{final.id}")).json()["output"] == final.to_dict()["output"]
    assert (await house.client.get(f"{PATH}/{answer['id']}", params={"stream": "true"})).status_code == 400
    assert (await house.client.post(f"{PATH}/{answer['id']}/cancel")).status_code == 400


async def test_the_items_of_an_input_are_listed_in_pages(house: House) -> None:
    image = {"type": "input_image", "image_url": data_url(png(300, 300, 7) + b"x" * 600)}
    items = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "two", "annotations": []}]},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "three"}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": [image]},
        {"role": "user", "content": [{"type": "input_text", "text": "six"}, image]},
    ]
    id = (await create(house, items))["id"]
    path = f"{PATH}/{id}/input_items"

    async def listed(**fields: Any) -> dict[str, Any]:
        answer = await house.client.get(path, params=fields)
        assert answer.status_code == 200, answer.text
        ResponseItemList.model_validate(answer.json(), strict=True)
        body: dict[str, Any] = answer.json()
        return body

    whole = await listed(order="asc", **{"include[]": "message.input_image.image_url"})
    assert [item["type"] for item in whole["data"]] == [
        "message", "message", "reasoning", "function_call", "function_call_output", "message",
    ]  # fmt: skip
    assert whole["data"][5]["content"][1]["image_url"] == image["image_url"] and not whole["has_more"]
    first = await listed(limit=4)
    assert first["has_more"] and first["data"][0]["content"][1]["image_url"] is None
    rest = await listed(limit=4, after=first["last_id"])
    assert [item["id"] for item in first["data"] + rest["data"]] == [item["id"] for item in whole["data"][::-1]]
    assert not rest["has_more"] and rest["first_id"] == rest["data"][0]["id"]
    for fields in ({"limit": 0}, {"limit": 101}, {"order": "up"}, {"after": "msg_nobody"}, {"limit": "x"}):
        assert (await house.client.get(path, params=fields)).status_code == 400


async def test_no_object_of_ours_can_be_written_into_an_item(house: House) -> None:
    secret = data_url(png(300, 300, 9) + b"y" * 600)
    await create(house, [{"role": "user", "content": [{"type": "input_image", "image_url": secret}]}], key="theirs")
    files = Path(house.pipeline.settings.storage.folder, "response-files")
    name = max(files.iterdir(), key=lambda path: path.stat().st_mtime_ns).name
    stolen = {"kept": name, "head": "data:image/png;base64,"}
    for part in ({"image_url": stolen}, {"image_url": {"url": stolen}}, {"image_url": {"url": "http://x", **stolen}}):
        content = [{"type": "input_image", **part, "file_data": stolen}]
        answer = await house.post({"input": [{"role": "user", "content": content}]}, PATH)
        assert answer.status_code == 400
    tools = [{**WEATHER, "parameters": {"type": "object", "url": stolen}}]
    id = (await create(house, "x", tools=tools, metadata={"url": "y"}))["id"]
    assert (await house.client.get(f"{PATH}/{id}")).json()["tools"][0]["parameters"]["url"] == stolen


# --- the context --------------------------------------------------------------------------------------------------


async def test_a_long_conversation_is_refused_or_loses_its_oldest_turns(house: House) -> None:
    turns = [{"role": role, "content": f"{name} " * 60} for name in "abcdef" for role in ("user", "assistant")]
    items = [{"role": "system", "content": "SYSTEM"}, *turns, {"role": "user", "content": "LAST"}]
    house.engine.max_model_len = 600
    refused = await create(house, items, 400)
    assert error_of(refused) == ("input", "context_length_exceeded")
    answer = await create(house, items, truncation="auto")
    seen = prompt(house)
    assert answer["truncation"] == "auto" and answer["usage"]["input_tokens"] <= 450
    assert "SYSTEM" in seen and "LAST" in seen and "f f" in seen and "a a" not in seen
    too_long = [{"role": "user", "content": "z " * 2000}]
    assert error_of(await create(house, too_long, 400, truncation="auto"))[1] == "context_length_exceeded"


async def test_more_messages_than_a_chat_may_have_are_a_conversation_with_truncation(house: House) -> None:
    items = [{"role": role, "content": "x"} for _ in range(150) for role in ("user", "assistant")]
    items.append({"role": "user", "content": "LAST"})
    assert error_of(await create(house, items, 400))[0] == "input"
    await create(house, items, truncation="auto", instructions="SYSTEM")
    assert "SYSTEM" in prompt(house) and "LAST" in prompt(house)


async def test_tokens_are_counted_as_the_same_request_would_use_them(house: House) -> None:
    content = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": data_url(png(140, 84))}]
    asked = {"input": [{"role": "user", "content": content}], "instructions": "be brief", "tools": [WEATHER]}
    counted = await house.post(asked, f"{PATH}/input_tokens")
    assert counted.status_code == 200 and not house.engine.asked
    InputTokenCountResponse.model_validate(counted.json(), strict=True)
    answer = await house.post(asked, PATH)
    assert answer.json()["usage"]["input_tokens"] == counted.json()["input_tokens"]
    assert (await house.post({}, f"{PATH}/input_tokens")).status_code == 400
    follow = {"previous_response_id": answer.json()["id"]}
    assert (await house.post({**asked, **follow}, f"{PATH}/input_tokens")).json()["input_tokens"] > 645
