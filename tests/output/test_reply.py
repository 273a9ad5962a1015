"""Thinking, answer and calls apart, however the text is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flashweb.output.reply import ReplySplitter
from flashweb.output.tags import MARKS

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}}]
CALL = "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>x</arg_value>\n</tool_call>"


def marked(text: str) -> str:
    """Names of control tokens as the stream hands them over."""
    for name, mark in MARKS.items():
        text = text.replace(name, mark)
    return text


def split(text: str, cuts: list[int], **options: Any) -> tuple[str, str, list[tuple[str, str]]]:
    """(thinking, answer, calls as (name, arguments))"""
    splitter = ReplySplitter(**{"thinking": True, **options})
    text = marked(text)
    edges = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    parts = [splitter.feed(text[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    parts.append(splitter.flush())
    calls: dict[int, tuple[str, str]] = {}
    for piece in (piece for part in parts for piece in part.calls):
        name, arguments = calls.get(piece.index, (piece.name, ""))
        calls[piece.index] = name, arguments + piece.arguments
    return "".join(part.reasoning for part in parts), "".join(part.content for part in parts), list(calls.values())


cuts = st.lists(st.integers(0, 80), max_size=12)


@pytest.mark.parametrize(
    ("text", "reasoning", "content"),
    [
        ("<think>why</think>\nanswer", "why", "answer"),
        ("<think>\nwhy\nso\n</think>\n\nanswer\n", "why\nso", "answer\n"),
        ("why</think>answer", "why", "answer"),
        ("<think></think>\nanswer", "", "answer"),
        ("\n<think>why", "why", ""),
        ("<think>a < b </thin k></think>x", "a < b </thin k>", "x"),
        ("<think>a</think>b</think>c", "a", "bc"),  # a stray control token is no text
        ("<thi", "<thi", ""),
        ("", "", ""),
        ("<think>a</thi", "a</thi", ""),
    ],
)
@given(cuts=cuts)
def test_the_answer_is_split_at_the_closing_tag(text: str, reasoning: str, content: str, cuts: list[int]) -> None:
    assert split(text, cuts) == (reasoning, content, [])


def test_a_tag_that_is_spelled_out_as_text_is_text() -> None:
    splitter = ReplySplitter(thinking=True, tools=TOOLS)
    thought = splitter.feed(MARKS["<think>"] + "the sign says </think> and <tool_call>f")
    assert thought.reasoning == "the sign says </think> and <tool_call>f"
    assert splitter.feed(MARKS["</think>"] + "<arg_key>").content == "<arg_key>"


@given(st.text(alphabet=[*"ab \n", *MARKS.values()], max_size=40), cuts, st.booleans())
@example(MARKS["<tool_call>"] + "\na" + MARKS["</tool_call>"], [], False)  # a line break before the name
def test_any_cut_gives_the_same_split(text: str, cuts: list[int], thinking: bool) -> None:
    whole = split(text, list(range(len(text))), thinking=thinking, tools=TOOLS)
    assert split(text, cuts, thinking=thinking, tools=TOOLS) == whole
    assert not set(whole[0] + whole[1]) & set(MARKS.values())


@given(st.text(max_size=60), cuts)
def test_with_thinking_off_everything_is_answer(text: str, cuts: list[int]) -> None:
    assert split(text, cuts, thinking=False) == ("", text, [])


def test_thinking_streams_as_it_comes() -> None:
    splitter = ReplySplitter(thinking=True)
    assert splitter.feed(MARKS["<think>"]).reasoning == ""
    assert splitter.feed("one ").reasoning == "one"
    assert splitter.feed("two").reasoning == " two"
    assert splitter.feed(MARKS["</think>"]).content == ""
    assert splitter.feed("\nanswer").content == "answer"


@pytest.mark.parametrize(
    ("text", "reasoning", "content", "count"),
    [
        (CALL, "", "", 1),
        (f"I will look.\n{CALL}", "", "I will look.", 1),
        (f"{CALL}\n{CALL}\n", "", "", 2),
        (f"{CALL}\nDone.", "", "Done.", 1),
        (f"<think>hm</think>\n{CALL}", "hm", "", 1),
        (f"<think>hm\n{CALL}", "hm", "", 1),  # a call inside a thought ends it
        ("no call \n", "", "no call \n", 0),
    ],
)
@settings(max_examples=30)
@given(cuts=cuts)
def test_calls_are_taken_out_of_the_answer(
    text: str, reasoning: str, content: str, count: int, cuts: list[int]
) -> None:
    found = split(text, cuts, thinking="<think>" in text, tools=TOOLS)
    assert found == (reasoning, content, count * [("f", '{"a": "x"}')])
    assert all(json.loads(arguments) == {"a": "x"} for _, arguments in found[2])


@settings(max_examples=30)
@given(cuts=cuts)
def test_nothing_follows_the_last_call_there_may_be(cuts: list[int]) -> None:
    assert split(f"a\n{CALL}\n{CALL}b", cuts, thinking=False, tools=TOOLS, max_calls=1)[1:] == (
        "a",
        [("f", '{"a": "x"}')],
    )
