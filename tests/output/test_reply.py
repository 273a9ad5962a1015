"""Thinking and answer apart, however the text is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashweb.output.reply import ReplySplitter


def split(text: str, cuts: list[int], *, thinking: bool = True) -> tuple[str, str]:
    splitter = ReplySplitter(thinking=thinking)
    edges = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    parts = [splitter.feed(text[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    parts.append(splitter.flush())
    return "".join(part.reasoning for part in parts), "".join(part.content for part in parts)


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
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("<thi", "<thi", ""),
        ("", "", ""),
        ("<think>a</thi", "a</thi", ""),
    ],
)
@given(cuts=cuts)
def test_the_answer_is_split_at_the_closing_tag(text: str, reasoning: str, content: str, cuts: list[int]) -> None:
    assert split(text, cuts) == (reasoning, content)


@given(st.text(alphabet="<>/think a\n", max_size=40), cuts)
def test_any_cut_gives_the_same_split(text: str, cuts: list[int]) -> None:
    assert split(text, cuts) == split(text, list(range(len(text))))


@given(st.text(max_size=60), cuts)
def test_with_thinking_off_everything_is_answer(text: str, cuts: list[int]) -> None:
    assert split(text, cuts, thinking=False) == ("", text)
    assert split("<think>a</think>" + text, cuts, thinking=False) == ("", "<think>a</think>" + text)


def test_thinking_streams_as_it_comes() -> None:
    splitter = ReplySplitter(thinking=True)
    assert splitter.feed("<think>").reasoning == ""
    assert splitter.feed("one ").reasoning == "one"
    assert splitter.feed("two").reasoning == " two"
    assert splitter.feed("</think>").content == ""
    assert splitter.feed("\nanswer").content == "answer"
