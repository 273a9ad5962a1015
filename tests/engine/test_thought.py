"""A thought's budget: when it is used up the closing tokens come, whatever the model says, and never otherwise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flashweb.engine.thought import Thought

END, NEWLINE, WORD, CALL = 1, 2, 3, 4


def answer(spoken: list[int], budget: int | None) -> list[int]:
    """What comes of a model that would say `spoken`, its next word wherever it is not told what to say."""
    thought = Thought.from_budget(budget, (END, CALL), (END, NEWLINE))
    said: list[int] = []
    rest = iter(spoken)
    while True:
        forced = None if thought is None else thought.forced(len(said))
        token = next(rest, None) if forced is None else forced
        if token is None:
            return said
        if thought is not None:
            thought.see(token, len(said))
        said.append(token)


def test_a_thought_over_its_budget_is_closed_and_the_model_goes_on() -> None:
    assert answer([WORD] * 5, 2) == [WORD, WORD, END, NEWLINE, WORD, WORD, WORD]
    assert answer([WORD], 0) == [END, NEWLINE, WORD]


def test_a_thought_within_its_budget_is_left_alone() -> None:
    assert answer([WORD, END, WORD, WORD, WORD], 2) == [WORD, END, WORD, WORD, WORD]
    assert answer([WORD, CALL, WORD, WORD], 2) == [WORD, CALL, WORD, WORD]
    assert answer([WORD] * 9, None) == [WORD] * 9


def test_a_model_that_knows_no_thoughts_has_no_budget() -> None:
    assert Thought.from_budget(3, (), ()) is None


@given(st.lists(st.sampled_from([END, WORD, CALL]), max_size=12), st.integers(0, 8))
def test_the_thought_is_never_longer_than_its_budget(spoken: list[int], budget: int) -> None:
    said = answer(spoken, budget)
    ended = next((i for i, token in enumerate(said) if token in (END, CALL)), len(said))
    assert ended <= budget
    forced = [END, NEWLINE] if ended == budget < len(said) and said[budget : budget + 2] == [END, NEWLINE] else []
    assert said == spoken or said == spoken[:budget] + forced + spoken[budget:]


@given(st.lists(st.sampled_from([END, WORD]), max_size=10), st.integers(0, 8), st.integers(0, 10), st.integers(0, 7))
def test_whoever_does_not_know_the_last_token_is_told_to_wait(
    spoken: list[int], budget: int, place: int, ahead: int
) -> None:
    """`may_close` without the newest tokens says yes wherever `forced` with all of them gives one."""
    known, all_seen = (Thought.from_budget(budget, (END,), (END, NEWLINE)) for _ in range(2))
    assert known is not None and all_seen is not None
    for index, token in enumerate(spoken[: place + ahead]):
        all_seen.see(token, index)
        if index < place - 1:
            known.see(token, index)
    if all_seen.forced(place + ahead) is not None and place < budget + 2:
        assert known.may_close(place, ahead)
