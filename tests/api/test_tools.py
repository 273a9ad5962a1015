"""Tools over HTTP: offered, called, forced, answered; streamed and whole; as the official SDK reads them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from flashweb.api.schemas.chat_answers import ChatCompletion as OurCompletion
from flashweb.api.schemas.chat_answers import ChatCompletionChunk as OurChunk
from tests.house import House, ScriptedEngine, events_of, open_house, png, processor

PRICE: dict[str, Any] = {
    "type": "function",
    "function": {
        "description": "价格",
        "name": "get_price",
        "parameters": {"type": "object", "properties": {"item": {"type": "string"}, "n": {"type": "integer"}}},
    },
}
NOW: dict[str, Any] = {"type": "function", "function": {"name": "now"}}
CALL = (
    "<tool_call>get_price\n<arg_key>item</arg_key>\n<arg_value>绿茶 <b>\n</arg_value>\n"
    "<arg_key>n</arg_key>\n<arg_value>2</arg_value>\n</tool_call>"
)
ARGUMENTS = {"item": "绿茶 <b>\n", "n": 2}
SECOND = "\n<tool_call>now\n</tool_call>"
END = "<|observation|>"


async def whole(answer: str, **parameters: Any) -> dict[str, Any]:
    """The only choice of an answer, which is one for us and for the SDK."""
    async with open_house(ScriptedEngine(answer, max_model_len=8192)) as house:
        response = await house.chat("how much?", **{"tools": [PRICE, NOW], **parameters})
    assert response.status_code == 200, response.text
    body = response.json()
    OurCompletion.model_validate(body, extra="forbid")
    ChatCompletion.model_validate(body)
    choice: dict[str, Any] = body["choices"][0]
    return choice


async def streamed(answer: str, *, steps_at_once: int = 1, **parameters: Any) -> list[dict[str, Any]]:
    """The choices of all chunks."""
    async with open_house(ScriptedEngine(answer, max_model_len=8192, steps_at_once=steps_at_once)) as house:
        response = await house.chat("how much?", stream=True, **{"tools": [PRICE, NOW], **parameters})
    chunks = events_of(response.text)[:-1]
    for chunk in chunks:
        OurChunk.model_validate(chunk, extra="forbid")
        ChatCompletionChunk.model_validate(chunk)
    return [chunk["choices"][0] for chunk in chunks]


def gathered(choices: list[dict[str, Any]]) -> tuple[str, list[dict[str, str]], str]:
    """(content, calls, finish reason) of a stream, as a client adds them up."""
    content, calls = "", []
    for choice in choices:
        content += choice["delta"].get("content") or ""
        for piece in choice["delta"].get("tool_calls", []):
            if "id" in piece:
                assert piece["index"] == len(calls) and piece["type"] == "function"
                calls.append({"id": piece["id"], "name": piece["function"]["name"], "arguments": ""})
            calls[piece["index"]]["arguments"] += piece["function"]["arguments"]
    return content, calls, choices[-1]["finish_reason"]


async def test_calls_come_back_with_typed_arguments_and_what_was_said_before_them() -> None:
    choice = await whole(f"Let me look.\n{CALL}{SECOND}{END}")
    message = choice["message"]
    assert choice["finish_reason"] == "tool_calls" and message["content"] == "Let me look."
    first, second = message["tool_calls"]
    assert first["id"].startswith("call_") and first["id"] != second["id"]
    assert (first["function"]["name"], json.loads(first["function"]["arguments"])) == ("get_price", ARGUMENTS)
    assert second["function"] == {"name": "now", "arguments": "{}"}


async def test_an_answer_of_calls_alone_has_no_content() -> None:
    assert (await whole(CALL + END))["message"]["content"] is None


@pytest.mark.parametrize("steps_at_once", [1, 3, 1000])
async def test_streamed_calls_add_up_to_the_same(steps_at_once: int) -> None:
    choices = await streamed(f"Let me look.\n{CALL}{SECOND}{END}", steps_at_once=steps_at_once)
    content, calls, finish = gathered(choices)
    assert (content, finish) == ("Let me look.", "tool_calls")
    assert [(call["name"], json.loads(call["arguments"])) for call in calls] == [("get_price", ARGUMENTS), ("now", {})]
    assert not any("arg_" in json.dumps(choice) or "tool_call>" in json.dumps(choice) for choice in choices)
    if steps_at_once == 1:
        assert sum("tool_calls" in choice["delta"] for choice in choices) > 6  # as they come, not at the end


async def test_text_without_a_call_is_a_plain_answer() -> None:
    choice = await whole("It is <tool_call> that\n costs [2].".replace("<tool_call>", "<tool call>"))
    assert choice["finish_reason"] == "stop" and "tool_calls" not in choice["message"]
    assert gathered(await streamed("Nothing \n fits. "))[0] == "Nothing \n fits. "


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_cut_by_max_tokens_ends_with_length(stream: bool) -> None:
    """A client that runs calls when the reason says so must never run half of one."""
    length = len(processor().tokenizer.encode("get_price\n")) + 12
    if stream:
        _, calls, finish = gathered(await streamed(CALL, max_tokens=length))
        arguments = calls[0]["arguments"]
    else:
        choice = await whole(CALL, max_tokens=length)
        finish, arguments = choice["finish_reason"], choice["message"]["tool_calls"][0]["function"]["arguments"]
    assert finish == "length" and arguments.startswith('{"item": "')
    with pytest.raises(ValueError):
        json.loads(arguments)


async def test_a_second_call_that_was_cut_makes_the_reason_length() -> None:
    choice = await whole(CALL + SECOND.removesuffix("\n</tool_call>") + "\n<arg_key>a", max_tokens=60)
    assert choice["finish_reason"] == "stop"  # the script ended inside: nothing to run either
    assert len(choice["message"]["tool_calls"]) == 2


async def test_a_stop_text_inside_a_call_does_not_complete_it() -> None:
    choice = await whole(CALL + END, stop="<b>")
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"item": "绿茶 '


async def test_a_call_inside_a_thought_is_not_swallowed() -> None:
    choice = await whole(f"<think>I need it{CALL}{END}", reasoning_effort="high")
    assert choice["message"]["reasoning_content"] == "I need it"
    assert choice["finish_reason"] == "tool_calls" and len(choice["message"]["tool_calls"]) == 1


async def test_without_parallel_calls_the_first_one_ends_the_answer() -> None:
    async with open_house(ScriptedEngine(CALL + SECOND, max_model_len=8192)) as house:
        house.engine.stay = True
        response = await house.chat("?", tools=[PRICE, NOW], parallel_tool_calls=False)
        choice = response.json()["choices"][0]
        assert house.engine.num_running == 0
    assert choice["finish_reason"] == "tool_calls" and len(choice["message"]["tool_calls"]) == 1


async def asked(messages: list[dict[str, Any]] | None = None, **parameters: Any) -> tuple[str, Any]:
    """The prompt as text and the sampling that a request came to."""
    async with open_house(ScriptedEngine("ok", max_model_len=8192)) as house:
        response = await house.post({"messages": messages or [{"role": "user", "content": "hi"}], **parameters})
        assert response.status_code == 200, response.text
        prompt, params, _ = house.engine.asked[0]
    return processor().tokenizer.decode(prompt.token_ids, keep_control=True), params


async def test_the_model_sees_the_tools_as_they_were_written() -> None:
    prompt, params = await asked(tools=[PRICE])
    assert json.dumps(PRICE, ensure_ascii=False) + "\n</tools>" in prompt  # their order of keys too
    assert params.max_tokens == 4096 and params.structure is None
    assert "# Tools" not in (await asked(tools=[PRICE], tool_choice="none"))[0]
    assert "# Tools" not in (await asked(tools=[], tool_choice="auto"))[0]


async def test_the_history_of_calls_is_rendered_as_the_template_has_it() -> None:
    def called(id: str, name: str, arguments: Any) -> dict[str, Any]:
        return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}

    messages = [
        {"role": "user", "content": "how much?"},
        {
            "role": "assistant",
            "content": None,
            "reasoning": "look it up",
            "tool_calls": [called("a", "get_price", json.dumps(ARGUMENTS)), called("b", "now", "")],
        },
        {"role": "tool", "tool_call_id": "b", "content": "noon"},  # in another order than the calls
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "12.50"}]},
    ]
    prompt, _ = await asked(messages, tools=[PRICE, NOW])
    assert "<think>look it up</think>\n<tool_call>get_price\n<arg_key>item</arg_key>\n<arg_value>绿茶 <b>\n" in prompt
    assert "<arg_key>n</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>now\n</tool_call>" in prompt
    assert prompt.index("12.50") < prompt.index("noon")
    assert prompt.count("<|observation|>") == 1


async def test_a_result_may_hold_a_picture() -> None:
    picture = {"type": "image_url", "image_url": {"url": base64.b64encode(png()).decode()}}
    call = {"id": "a", "type": "function", "function": {"name": "now", "arguments": ""}}
    messages = [
        {"role": "user", "content": "what does the camera see?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": [picture, {"type": "text", "text": "at noon"}]},
    ]
    prompt, _ = await asked(messages, tools=[NOW])
    after_call = prompt[prompt.index("<|observation|>") :]
    assert "<|begin_of_image|>" in after_call and after_call.index("<|end_of_image|>") < after_call.index("at noon")


async def test_required_and_named_calls_become_a_grammar() -> None:
    _, required = await asked(tools=[PRICE, NOW], tool_choice="required")
    assert required.structure.kind == "grammar"
    assert '"get_price\\n"' in required.structure.source and '("\\n" call)*' in required.structure.source
    _, named = await asked(tools=[PRICE, NOW], tool_choice={"type": "function", "function": {"name": "now"}})
    assert "get_price" not in named.structure.source and ")*" not in named.structure.source
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "now"}}]}
    prompt, some = await asked(
        tools=[PRICE, NOW], tool_choice={"type": "allowed_tools", "allowed_tools": allowed}, parallel_tool_calls=False
    )
    assert some.structure.source == named.structure.source and "get_price" not in prompt


async def test_the_older_form_is_called_and_answered_in_its_own_words() -> None:
    parameters: dict[str, Any] = {"tools": None, "functions": [PRICE["function"]], "function_call": "auto"}
    choice = await whole(CALL + SECOND + END, **parameters)
    assert choice["finish_reason"] == "function_call"
    assert json.loads(choice["message"]["function_call"].pop("arguments")) == ARGUMENTS
    assert choice["message"]["function_call"] == {"name": "get_price"} and "tool_calls" not in choice["message"]
    choices = await streamed(CALL + END, **parameters)
    pieces = [choice["delta"]["function_call"] for choice in choices if "function_call" in choice["delta"]]
    assert pieces[0]["name"] == "get_price" and choices[-1]["finish_reason"] == "function_call"
    assert json.loads("".join(piece["arguments"] for piece in pieces)) == ARGUMENTS
    history = [
        {"role": "user", "content": "how much?"},
        {"role": "assistant", "content": None, "function_call": {"name": "get_price", "arguments": "{}"}},
        {"role": "function", "name": "get_price", "content": "12.50"},
    ]
    prompt, _ = await asked(history, functions=[PRICE["function"]], function_call={"name": "get_price"})
    assert "<tool_call>get_price\n</tool_call>" in prompt and "<tool_response>\n12.50\n" in prompt


async def test_text_of_tools_that_no_context_could_hold_is_refused_unread() -> None:
    async with open_house(ScriptedEngine("ok")) as house:
        huge = {"type": "function", "function": {"name": "f", "description": "x" * 200_000}}
        response = await house.chat("hi", tools=[huge])
    assert response.status_code == 400 and response.json()["error"]["code"] == "context_length_exceeded"


async def test_a_model_that_knows_no_tools_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_house(ScriptedEngine("ok")) as house:
        tokenizer = house.pipeline.processor.tokenizer
        known = {name: id for name, id in tokenizer.control_ids.items() if name != "<tool_call>"}
        monkeypatch.setattr(tokenizer, "control_ids", known)
        response = await house.chat("hi", tools=[NOW])
    assert response.status_code == 400 and "does not know tools" in response.json()["error"]["message"]


async def boxes_of(house: House, *parts: str | bytes, **parameters: Any) -> Any:
    return (await house.chat(*parts, **parameters)).json()["choices"][0]["message"]


async def test_boxes_come_in_pixels_of_the_picture_whole_and_streamed() -> None:
    answer = "It is <|begin_of_box|>[100, 200, 300, 400]<|end_of_box|>."
    async with open_house(ScriptedEngine(answer)) as house:
        message = await boxes_of(house, "where?", png(400, 200))
        assert message["content"] == "It is [100, 200, 300, 400]."
        assert message["boxes"] == [{"image": 0, "box": [100, 200, 300, 400], "pixels": [40, 40, 120, 80]}]
        assert (await boxes_of(house, "where?", png(400, 200), skip_special_tokens=False))["content"] == answer
        assert "boxes" not in await boxes_of(house, "where?")
        response = await house.chat("where?", png(400, 200), stream=True)
    *before, last = (chunk["choices"][0] for chunk in events_of(response.text)[:-1])
    assert last["delta"] == {"boxes": message["boxes"]} and last["finish_reason"] == "stop"
    assert not any("boxes" in choice["delta"] for choice in before)


async def test_a_forced_call_that_cannot_follow_its_schema_is_a_400_that_names_tool_and_keyword() -> None:
    def tool(strict: bool, **schema: Any) -> dict[str, Any]:
        parameters = {"type": "object", "properties": {"code": schema}}
        return {"type": "function", "function": {"name": "find", "strict": strict, "parameters": parameters}}

    ahead = {"type": "string", "pattern": "^(?!x)"}
    odd = {"type": "array", "items": {"anyOf": [{"uniqueItems": True}]}}
    async with open_house(ScriptedEngine(CALL)) as house:
        for offered, wanted in ((tool(True, **ahead), "pattern"), (tool(False, **odd), "uniqueItems")):
            response = await house.chat("code?", tools=[offered], tool_choice="required")
            assert response.status_code == 400 and not house.engine.asked
            error = response.json()["error"]
            assert error["param"] == "tools"
            assert f"'find': the keyword \"{wanted}\" at #/properties/code" in error["message"]
            assert (await house.chat("code?", tools=[offered])).status_code == 200, "nothing is enforced there"
            house.engine.asked.clear()
        response = await house.chat("code?", tools=[tool(False, **ahead)], tool_choice="required")
        assert response.status_code == 200 and house.engine.asked[0][1].structure.kind == "grammar"
