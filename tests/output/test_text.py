"""Streams of ids to text: whole characters, stop strings, control tokens; any split gives the same answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flashweb.output.text import StopMatcher, TextStream, ids_of_names
from flashweb.types import FinishReason, TokenOut


class Bytes:
    """A tokenizer whose ids 0..255 are bytes, and whose other ids are named pieces."""

    EOS, BOX, UNBOX, THINK = 256, 257, 258, 259
    NAMES = {EOS: "<|user|>", BOX: "<|begin_of_box|>", UNBOX: "<|end_of_box|>", THINK: "<think>"}

    def id_to_bytes(self, id: int) -> bytes:
        return self.NAMES[id].encode() if id in self.NAMES else bytes([id]) if 0 <= id < 256 else b""

    def is_control(self, id: int) -> bool:
        return id in self.NAMES

    def control_id(self, name: str) -> int | None:
        return {value: key for key, value in self.NAMES.items()}.get(name)


def feed_all(stream: TextStream, ids: Sequence[int], chunks: Sequence[int] = ()) -> tuple[str, list[str]]:
    pieces = []
    index = 0
    for size in [*chunks, *([1] * len(ids))]:
        if index >= len(ids):
            break
        pieces.append(stream.feed(TokenOut(tuple(ids[index : index + size]))))
        index += size
    pieces.append(stream.flush())
    return "".join(pieces), pieces


sizes = st.lists(st.integers(1, 5), max_size=30)


@given(st.text(max_size=60), sizes)
def test_any_text_in_any_split_equals_the_whole(text: str, chunks: list[int]) -> None:
    whole, pieces = feed_all(TextStream(Bytes()), text.encode("utf-8", "replace"), chunks)
    assert whole == text.encode("utf-8", "replace").decode()
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in text


@given(st.binary(max_size=60))
def test_invalid_bytes_are_shown_as_the_whole_would_be(data: bytes) -> None:
    """Random bytes: what is emitted equals the whole, but for an unfinished character at the very end."""
    whole, _ = feed_all(TextStream(Bytes()), data)
    expected = data.decode("utf-8", errors="replace")
    assert expected.startswith(whole)
    assert expected[len(whole) :].strip("\ufffd") == ""


def test_half_a_character_is_never_sent() -> None:
    stream = TextStream(Bytes())
    sent = [stream.feed(TokenOut((byte,))) for byte in "价😀".encode()]
    assert sent == ["", "", "价", "", "", "", "😀"]
    stream.feed(TokenOut(("é".encode()[0],), finish=FinishReason.LENGTH))
    assert stream.flush() == ""


letters = st.text(alphabet="ab", min_size=5, max_size=40)
stops = st.lists(st.text(alphabet="ab", min_size=2, max_size=6), min_size=1, max_size=3)


def first_stop(text: str, stop: list[str]) -> tuple[str, str | None]:
    """The definition: the stop string completed first, the longest among those; and the text before it."""
    for end in range(1, len(text) + 1):
        found = [s for s in stop if text[:end].endswith(s)]
        if found:
            longest = max(found, key=len)
            return text[: end - len(longest)], longest
    return text, None


@given(letters, stops, sizes, st.booleans())
@example("aaab", ["aab"], [4], False)
@example("abababaab", ["ababaa"], [1, 2], True)
@example("aabaabaaab", ["aabaaab", "baaa"], [], False)
@settings(max_examples=500)
def test_stop_strings_follow_their_definition_in_any_split(
    text: str, stop: list[str], chunks: list[int], include: bool
) -> None:
    stream = TextStream(Bytes(), stop=stop, include_stop=include)
    whole, _ = feed_all(stream, text.encode(), chunks)
    expected, found = first_stop(text, stop)
    assert stream.stopped == (found is not None)
    assert whole == expected + (found if include and found else "")


@given(letters, stops)
def test_no_more_is_held_back_than_may_become_a_stop_string(text: str, stop: list[str]) -> None:
    matcher = StopMatcher(stop)
    sent = ""
    for index, character in enumerate(text):
        sent += matcher.feed(character)
        if matcher.found is not None:
            return
        held = text[len(sent) : index + 1]
        assert sent + held == text[: index + 1]
        assert held == "" or any(s.startswith(held) for s in stop)


def test_a_stop_string_may_span_tokens_and_characters() -> None:
    stream = TextStream(Bytes(), stop=["结束"])
    whole, pieces = feed_all(stream, "金额结果结束more".encode())
    assert whole == "金额结果"
    assert stream.stopped
    assert pieces[-1] == ""


def test_nothing_comes_after_a_stop() -> None:
    stream = TextStream(Bytes(), stop=["X"])
    assert stream.feed(TokenOut(tuple(b"abXcd"))) == "ab"
    assert stream.feed(TokenOut(tuple(b"ef"))) == ""
    assert (stream.flush(), stream.num_tokens) == ("", 3)


def test_held_back_text_comes_at_the_end() -> None:
    stream = TextStream(Bytes(), stop=["abc"])
    assert stream.feed(TokenOut(tuple(b"xab"))) == "x"
    assert stream.flush() == "ab"
    assert not stream.stopped


def test_a_stop_id_ends_the_answer_and_is_not_shown() -> None:
    stream = TextStream(Bytes(), stop=["abc"], stop_token_ids=[Bytes.EOS])
    assert stream.feed(TokenOut((*b"xab", Bytes.EOS, *b"zz"))) == "xab"
    assert stream.stopped
    ignoring = TextStream(Bytes())
    assert ignoring.feed(TokenOut((*b"x", Bytes.EOS, *b"y"))) == "xy"


def test_control_tokens_vanish_and_what_they_enclose_stays() -> None:
    ids = (Bytes.THINK, Bytes.BOX, *b"42", Bytes.UNBOX)
    assert TextStream(Bytes()).feed(TokenOut(ids)) == "42"
    kept = ids_of_names(Bytes(), {"<think>": "\udc00", "<unknown>": "?"})
    assert TextStream(Bytes(), keep_control=kept).feed(TokenOut(ids)) == "\udc0042"


def test_half_a_character_before_a_kept_control_token_is_given_up() -> None:
    ids = (*"é".encode()[:1], Bytes.THINK, *b"x")
    assert TextStream(Bytes(), keep_control=ids_of_names(Bytes(), {"<think>": "T"})).feed(TokenOut(ids)) == "\ufffdTx"


def test_text_that_spells_a_control_token_is_shown() -> None:
    assert TextStream(Bytes()).feed(TokenOut(tuple(b"<|user|>"))) == "<|user|>"


def test_stop_strings_wait_for_the_least_number_of_tokens() -> None:
    stream = TextStream(Bytes(), stop=["a"], stop_token_ids=[Bytes.EOS], min_tokens=3)
    assert stream.feed(TokenOut((*b"aa", Bytes.EOS, *b"ba"))) == "aab"
    assert stream.stopped


def test_ids_beyond_the_vocabulary_are_nothing() -> None:
    assert TextStream(Bytes()).feed(TokenOut((10_000, *b"a", -1))) == "a"


@pytest.mark.parametrize("stop", [[], ["a" * 2000 + "b"]])
def test_a_long_answer_costs_the_same_per_token(stop: list[str]) -> None:
    """Ten times the tokens execute about ten times the lines, not a hundred; worst-case stop string included."""

    def lines_executed(num_tokens: int) -> int:
        stream = TextStream(Bytes(), stop=stop)
        count = 0

        def trace(frame: object, event: str, argument: object) -> object:
            nonlocal count
            count += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            for _ in range(num_tokens):
                stream.feed(TokenOut((97,)))
        finally:
            sys.settrace(before)
        return count

    assert lines_executed(30_000) < lines_executed(3000) * 13
