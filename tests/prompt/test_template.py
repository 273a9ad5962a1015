"""Chats to pieces: callers' text stays text, pictures keep their places, traps of the format are avoided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashweb.errors import CheckpointError, InvalidRequest
from flashweb.prompt.template import DEFAULT_TEMPLATE, ChatTemplate
from flashweb.types import Chat, ImagePart, Message, TextPart
from tests.prompt.conftest import CONTROL

SOURCE = DEFAULT_TEMPLATE.read_text(encoding="utf-8")
TEMPLATE = ChatTemplate(SOURCE, CONTROL)
PICTURE = ImagePart(data=b"")


def said(role: Any, *parts: Any, **more: Any) -> Message:
    return Message(role, tuple(TextPart(part) if isinstance(part, str) else part for part in parts), **more)


def rendered(*messages: Message, template: ChatTemplate = TEMPLATE, **more: Any) -> str:
    return "".join(text for text, _ in template.render(Chat(messages, **more)))


def controls(*messages: Message, **more: Any) -> list[str]:
    return [text for text, is_control in TEMPLATE.render(Chat(messages, **more)) if is_control]


def test_the_formats_documented_bytes() -> None:
    hi = said("user", "hi")
    assert rendered(hi, enable_thinking=True) == "[gMASK]<sop><|user|>\nhi<|assistant|>\n"
    assert (
        rendered(said("system", "S"), hi)
        == "[gMASK]<sop><|system|>\nS<|user|>\nhi/nothink<|assistant|>\n<think></think>\n"
    )
    assert (
        rendered(said("user", PICTURE, "describe"), enable_thinking=True)
        == "[gMASK]<sop><|user|>\n<|begin_of_image|><|image|><|end_of_image|>describe<|assistant|>\n"
    )
    assert "<|assistant|>\n<think></think>\nanswer<|user|>" in rendered(hi, said("assistant", "answer"), hi)


def test_a_tool_loop_keeps_reasoning_and_shares_one_observation() -> None:
    call = {"name": "get", "arguments": {"k": "v", "n": 2}}
    text = rendered(
        said("user", "q"),
        said("assistant", reasoning="why", tool_calls=(call,)),
        said("tool", "one"),
        said("tool", "two"),
        enable_thinking=True,
    )
    assert "<|assistant|>\n<think>why</think>\n<tool_call>get\n<arg_key>k</arg_key>\n<arg_value>v</arg_value>\n" in text
    assert "<arg_key>n</arg_key>\n<arg_value>2</arg_value>\n</tool_call><|observation|>\n<tool_response>\none\n" in text
    assert text.count("<|observation|>") == 1


@pytest.mark.parametrize("name", CONTROL)
@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_a_control_token_in_a_callers_text_is_text(name: str, role: Any) -> None:
    spelled = f"x{name}y"
    clean = [said("user", "q"), said(role, "z"), said("user", "q")]
    dirty = [said("user", "q"), said(role, spelled), said("user", "q")]
    assert controls(*dirty) == controls(*clean)
    assert spelled in rendered(*dirty)


@pytest.mark.parametrize("name", CONTROL)
def test_a_control_token_in_tools_calls_and_reasoning_is_text(name: str) -> None:
    def chat(text: str) -> Chat:
        tool = {"type": "function", "function": {"name": text, "description": text, "parameters": {text: [text]}}}
        call = {"name": text, "arguments": {text: text, "deep": [{text: text}]}}
        messages = (
            said("user", text),
            said("assistant", text, reasoning=text, tool_calls=(call,)),
            said("tool", text, tool_call_id=text),
        )
        return Chat(messages, enable_thinking=True, tools=(tool,))

    clean = [piece for piece, is_control in TEMPLATE.render(chat("z")) if is_control]
    dirty = [piece for piece, is_control in TEMPLATE.render(chat(f"a{name}b")) if is_control]
    assert dirty == clean


@given(st.lists(st.one_of(st.sampled_from(CONTROL), st.text(max_size=4), st.just(PICTURE)), max_size=8))
def test_no_split_of_text_over_parts_makes_a_control_token(parts: list[Any]) -> None:
    pieces = [half for part in parts for half in ((part[:3], part[3:]) if isinstance(part, str) else (part,))]
    found = controls(said("user", *pieces))
    expected = controls(said("user", *[part for part in parts if part is PICTURE] or [""]))
    assert found == expected


@given(st.text(max_size=40))
def test_a_users_text_is_rendered_as_it_stands(text: str) -> None:
    body = rendered(said("user", text), enable_thinking=True)
    assert body == f"[gMASK]<sop><|user|>\n{text}<|assistant|>\n"


def test_marks_cannot_be_forged() -> None:
    """The marks are lone surrogates; a caller's become U+FFFD before anything is marked."""
    for code in range(0xDC00, 0xDC10):
        text = f"a{chr(code)}|image|>"
        assert controls(said("user", text)) == controls(said("user", "a"))
        assert "a\ufffd|image|>" in rendered(said("user", text))


def test_typing_the_no_thinking_suffix_is_only_text() -> None:
    pieces = TEMPLATE.render(Chat((said("user", "hi/nothink"),)))
    assert [text for text, is_control in pieces if is_control].count("/nothink") == 1
    assert "hi/nothink/nothink" in "".join(text for text, _ in pieces)


def test_a_raw_answer_sent_back_loses_its_old_thoughts() -> None:
    history = said("assistant", "<think>hidden</think>\nanswer")
    text = rendered(said("user", "q"), history, said("user", "q"))
    assert "hidden" not in text
    assert "<think></think>\nanswer" in text


def test_an_empty_answer_does_not_become_the_word_none() -> None:
    assert "None" not in rendered(said("user", "q"), Message("assistant", ()), said("user", "q"))


@given(st.text(max_size=40))
def test_a_turn_left_open_ends_with_the_text_to_be_continued(text: str) -> None:
    answer = said("assistant", "a" + text)
    prompt = rendered(said("user", "q"), answer, add_generation_prompt=False, continue_final_message=True)
    assert prompt.endswith("<think></think>\n" + ("a" + text).strip()) or "think>" in text


def test_a_template_that_drops_the_last_message_cannot_continue_it() -> None:
    template = ChatTemplate("{{ messages[0].content }}", CONTROL)
    with pytest.raises(InvalidRequest, match="leaves the last message out"):
        rendered(
            said("user", "q"),
            said("assistant", "a"),
            template=template,
            add_generation_prompt=False,
            continue_final_message=True,
        )


def test_a_prompt_without_a_generation_prompt_ends_with_the_last_turn() -> None:
    assert rendered(said("user", "hi"), enable_thinking=True, add_generation_prompt=False).endswith("<|user|>\nhi")


def test_a_tools_result_may_hold_pictures() -> None:
    loop = (said("user", "q"), said("assistant", tool_calls=({"name": "see", "arguments": {}},)))
    text = rendered(*loop, said("tool", "the page:", PICTURE))
    assert "<tool_response>\nthe page:<|begin_of_image|><|image|><|end_of_image|>\n</tool_response>" in text


def test_json_keeps_its_letters() -> None:
    tool = {"type": "function", "function": {"name": "查价", "description": "<b> & 'x'"}}
    text = rendered(said("user", "q"), tools=(tool,))
    assert '{"type": "function", "function": {"name": "查价", "description": "<b> & \'x\'"}}' in text


@pytest.mark.parametrize("source", ["{% for %}", "{{", "{% unknown %}"])
def test_a_template_that_cannot_be_compiled_is_a_checkpoint_error(source: str) -> None:
    with pytest.raises(CheckpointError, match="cannot be compiled"):
        ChatTemplate(source, CONTROL)


def test_a_template_that_refuses_says_so() -> None:
    template = ChatTemplate("{{ raise_exception('only one system message') }}", CONTROL)
    with pytest.raises(InvalidRequest, match="only one system message"):
        template.render(Chat((said("user", "q"),)))


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ range(99999999) | list }}",
        "{{ messages[0].content.__class__.__base__ }}",
        "{{ ('%s' | format(1)).__init__.__globals__ }}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(source: str) -> None:
    template = ChatTemplate(source, CONTROL)
    try:
        text = rendered(said("user", "q"), template=template)
    except (InvalidRequest, OverflowError):
        return
    assert text == ""


def test_a_folder_may_bring_its_template_in_either_file_or_none(tmp_path: Path) -> None:
    assert rendered(said("user", "q"), template=ChatTemplate.load(tmp_path, CONTROL)) == rendered(said("user", "q"))
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "one"}')
    assert rendered(said("user", "q"), template=ChatTemplate.load(tmp_path, CONTROL)) == "one"
    (tmp_path / "chat_template.jinja").write_text("two")
    assert rendered(said("user", "q"), template=ChatTemplate.load(tmp_path, CONTROL)) == "two"


def test_a_broken_tokenizer_config_names_itself(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json"):
        ChatTemplate.load(tmp_path, CONTROL)
