"""What the turns, blocks and parameters of Anthropic's Messages API are in a chat: most of it without a server, because
everything behind the conversion is a chat's and tested there."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from flashweb.api.convert import to_chat
from flashweb.api.messages_in import chat_request
from flashweb.api.parse import parse_document
from flashweb.api.schemas.messages import MessagesRequest
from flashweb.errors import InvalidRequest
from flashweb.types import Chat, ImagePart, Message, TextPart
from tests.house import ScriptedEngine, open_house, png, processor

PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
LINK = {"type": "image", "source": {"type": "url", "url": "https://shop.example/a.png"}}
TOOL = {"name": "now", "input_schema": {"type": "object"}}


def use(id: str = "t1", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "now", "input": arguments}


def result(id: str = "t1", content: Any = "noon", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def turn(role: str, *content: Any) -> dict[str, Any]:
    return {"role": role, "content": content[0] if len(content) == 1 and isinstance(content[0], str) else list(content)}


def request_of(*messages: dict[str, Any], **more: Any) -> Any:
    asked = {"model": "glm-4.6v-flash", "max_tokens": 100, "messages": list(messages), **more}
    return chat_request(parse_document(asked, MessagesRequest))


def chat_of(*messages: dict[str, Any], **more: Any) -> Chat:
    return to_chat(request_of(*messages, **more), max_images=16)


def told(messages: tuple[Message, ...]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


def refused(*messages: dict[str, Any], **more: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        chat_of(*messages, **more)
    return caught.value


def test_system_texts_come_first_and_turns_of_one_role_are_one() -> None:
    system = [text("Be brief."), {**text(" Be kind."), "cache_control": {"type": "ephemeral"}}]
    chat = chat_of(turn("user", "a"), turn("user", text("b"), PICTURE), turn("assistant", "c"), turn("user", "d"),
                   system=system)  # fmt: skip
    assert told(chat.messages) == [
        ("system", "Be brief. Be kind."), ("user", "ab"), ("assistant", "c"), ("user", "d"),
    ]  # fmt: skip
    assert told(chat_of(turn("user", "a"), turn("system", "now b"), system="c").messages) == [
        ("system", "c"), ("user", "a"), ("system", "now b"),
    ]  # fmt: skip


def test_pictures_are_those_of_a_chat_in_their_order() -> None:
    (message,) = chat_of(turn("user", PICTURE, text("and"), LINK)).messages
    assert message.parts == (ImagePart(url="QUJD"), TextPart("and"), ImagePart(url="https://shop.example/a.png"))


def test_results_become_tool_messages_before_what_is_said_with_them() -> None:
    chat = chat_of(
        turn("user", "q"),
        turn("assistant", text("Look."), use("t1", zone="UTC"), use("t2")),
        turn("user", result("t2", [text("see"), PICTURE]), text("and now?"), result("t1", "down", is_error=True)),
        tools=[TOOL],
    )
    _, said, first, second, asked = chat.messages
    assert said.tool_calls[0] == {"id": "t1", "name": "now", "arguments": {"zone": "UTC"}}
    assert (first.role, first.tool_call_id, first.text) == ("tool", "t1", "Error: down")
    assert second.parts == (TextPart("see"), ImagePart(url="QUJD")) and asked.text == "and now?"


def test_results_alone_are_followed_by_no_empty_question() -> None:
    history = turn("user", "q"), turn("assistant", use()), turn("user", {"type": "tool_result", "tool_use_id": "t1"})
    assert [message.role for message in chat_of(*history, tools=[TOOL]).messages] == ["user", "assistant", "tool"]


def test_thoughts_in_the_history_are_seen_again_and_redacted_ones_left_out() -> None:
    thought = {"type": "thinking", "thinking": "noon, surely", "signature": "anything"}
    redacted = {"type": "redacted_thinking", "data": "xx"}
    history = turn("user", "q"), turn("assistant", thought, redacted, use()), turn("user", result())
    chat = chat_of(*history, tools=[TOOL], thinking={"type": "enabled", "budget_tokens": 50})
    assert chat.messages[1].reasoning == "noon, surely" and chat.enable_thinking
    prompt = processor().tokenizer.decode(processor().token_ids(chat, ()), keep_control=True)
    assert "<think>noon, surely</think>" in prompt


def test_a_last_assistants_message_is_where_the_answer_goes_on() -> None:
    chat = chat_of(turn("user", "What is it?"), turn("assistant", text("It"), text(" is")))
    assert chat.continue_final_message and not chat.add_generation_prompt
    prompt = processor().tokenizer.decode(processor().token_ids(chat, ()), keep_control=True)
    assert prompt.endswith("<|assistant|>\n<think></think>\nIt is")


@pytest.mark.parametrize(("choice", "sent", "parallel"), [
    ({"type": "auto"}, "auto", None), ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
    ({"type": "tool", "name": "now"}, "now", None), ({"type": "none"}, "none", None), (None, None, None),
])  # fmt: skip
def test_tool_choices_are_a_chats(choice: Any, sent: str | None, parallel: bool | None) -> None:
    request = request_of(turn("user", "q"), tools=[TOOL], tool_choice=choice)
    named = request.tool_choice
    assert (named.function.name if sent == "now" else named) == sent
    assert request.parallel_tool_calls is parallel
    assert request.tools[0].as_given["function"] == {"name": "now", "parameters": {"type": "object"}}


def test_parameters_are_a_chats_under_their_own_names() -> None:
    format = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}
    request = request_of(
        turn("user", "q"), stop_sequences=["x"], temperature=0.5, top_p=0.9, top_k=7, metadata={"user_id": "u"},
        service_tier="auto", output_config={"format": format, "effort": "low"}, thinking={"type": "adaptive"},
        cache_control={"type": "ephemeral"},
    )  # fmt: skip
    assert (request.max_tokens, request.stop, request.temperature, request.top_p, request.top_k) == (
        100, ["x"], 0.5, 0.9, 7,
    )  # fmt: skip
    assert request.response_format.json_schema.schema_ == format["schema"]
    assert request.thinking.type == "enabled" and request.thinking.budget_tokens is None
    assert request_of(turn("user", "q"), thinking={"type": "disabled"}).thinking.type == "disabled"


def test_a_document_of_text_is_told_under_its_title() -> None:
    document = {
        "type": "document",
        "title": "Lease",
        "context": "page 1",
        "source": {"type": "text", "data": "Rent: 5"},
    }
    blocks = {"type": "document", "source": {"type": "content", "content": [text("seen: "), PICTURE]}}
    (message,) = chat_of(turn("user", document, blocks, text("How much?"))).messages
    assert message.text == "page 1\nLease\nRent: 5\nseen: \nHow much?" and message.parts[4] == ImagePart(url="QUJD")


async def test_a_documents_bytes_decide_and_those_of_nothing_we_read_are_a_400_in_anthropics_shape() -> None:
    async with open_house(ScriptedEngine()) as house:
        answers = []
        for data in (png(), b"%PNG\0\1\2"):
            source = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(data).decode()}
            document = {"type": "document", "source": source}
            asked = {"model": "glm-4.6v-flash", "max_tokens": 9, "messages": [turn("user", document)]}
            answers.append(await house.post(asked, "/v1/messages"))
        ((prompt, _, _),) = house.engine.asked
    picture, nothing = answers
    assert picture.status_code == 200 and len(prompt.spans) == 1
    assert nothing.status_code == 400 and nothing.json()["error"]["type"] == "invalid_request_error"


async def test_a_clip_in_the_place_of_a_picture_is_a_400_that_says_where_clips_are_taken() -> None:
    clip = base64.b64encode(b"\0\0\0\x20ftypisom" + bytes(40)).decode()
    blocks = [{"type": kind, "source": {"type": "base64", "data": clip}} for kind in ("image", "document")]
    async with open_house(ScriptedEngine()) as house:
        asked = {"model": "glm-4.6v-flash", "max_tokens": 9}
        answers = [await house.post({**asked, "messages": [turn("user", one)]}, "/v1/messages") for one in blocks]
    for answer in answers:
        assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"
        assert 'a clip (send it to /v1/chat/completions as a part of type "video_url")' in answer.text.replace("\\", "")


BEGUN = turn("user", "q"), turn("assistant", "It is")
WRONG: list[tuple[tuple[dict[str, Any], ...], dict[str, Any], str]] = [
    ((turn("user", {"type": "audio"}),), {}, "messages[0].content[0].type must be text, image"),
    ((turn("user", {"type": []}),), {}, "thinking or redacted_thinking, got a list of 0."),
    ((turn("user", {"type": "video"}),), {}, "clips; send it to /v1/chat/completions as video_url, or frames of it as"),
    ((turn("user", text("q"), result(content=[{"type": "video_url"}])),), {}, "the Messages API has no clips"),
    ((turn("user", {"type": "image", "source": {"type": "path", "path": "f"}}),), {}, "must be base64, url or file"),
    ((turn("user", {"type": "image", "source": {"type": "base64"}}),), {}, "source.data is missing"),
    ((turn("user", use()),), {}, "messages[0].content[0]: tool_use blocks do not belong"),
    ((turn("assistant", PICTURE),), {}, "image blocks do not belong"),
    ((turn("user", result()),), {}, "messages[0].content[0].tool_use_id: 't1' is no tool_use of the turn before"),
    ((turn("user", "q"), turn("assistant", use()), turn("user", result(), result())), {}, "has a result already"),
    ((turn("user", "q"), turn("assistant", "It is ")), {}, "ends with white space"),
    ((turn("user", "q"), turn("assistant", "")), {}, "has no text to go on with"),
    (
        (turn("user", "q"), turn("assistant", text("I"), use())),
        {"tools": [TOOL]},
        "a user message with its tool_result",
    ),
    (BEGUN, {"thinking": {"type": "enabled", "budget_tokens": 5}}, "switch thinking off"),
    ((turn("user", "q"),), {"thinking": {"type": "enabled", "budget_tokens": 100}}, "thinking.budget_tokens is 100"),
    ((turn("user", "q"),), {"tool_choice": {"type": "any"}}, "there are no tools"),
    ((turn("user", "q"),), {"tool_choice": {"type": "tool"}, "tools": [TOOL]}, "tool_choice.name is missing"),
    ((turn("user", "q"),), {"tools": [{**TOOL, "input_schema": {"type": "array"}}]}, "tools[0].input_schema must be"),
    ((turn("user", "q"),), {"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type must be one of"),
    ((turn("user", "q"),), {"temperature": 1.5}, "temperature must be at most 1"),
    ((turn("user", "q"),), {"max_tokens": 0}, "max_tokens must be at least 1"),
    ((turn("user", 7),), {}, "messages[0].content[0]"),
    ((), {}, "messages must hold at least 1 entry"),
]


def test_what_does_not_fit_together_is_refused_with_its_place_and_the_way_out() -> None:
    for messages, more, words in WRONG:
        assert words in refused(*messages, **more).message, words


async def test_fields_that_ask_for_more_than_there_is_are_refused_and_unknown_ones_named() -> None:
    asked = {"model": "glm-4.6v-flash", "max_tokens": 9, "messages": [turn("user", "q")], "cache_control": {}}
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "x"}
    async with open_house(ScriptedEngine()) as house:
        refusal = await house.post({**asked, "mcp_servers": [{"url": "http://x"}]}, "/v1/messages")
        named = await house.post({**asked, "inference_geo": "eu"}, "/v1/messages?beta=true", headers=headers)
        missing = await house.post({"messages": [turn("user", "q")], "max_tokens": 9}, "/v1/messages")
    assert refusal.status_code == 400 and "mcp_servers is not offered" in refusal.json()["error"]["message"]
    assert named.status_code == 200
    assert named.headers["x-flashweb-warning"] == "ignored unknown fields: inference_geo"
    assert missing.status_code == 400 and "model is missing" in missing.json()["error"]["message"]
