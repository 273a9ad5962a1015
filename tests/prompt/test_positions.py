"""Three-axis positions: invariants that hold for any mixture of text and pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashweb.prompt.positions import rope_positions
from flashweb.types import Grid

parts = st.lists(
    st.one_of(st.integers(0, 40), st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))), max_size=8
)


def layout(parts: list[int | tuple[int, int, int]]) -> tuple[int, list[tuple[int, Grid]]]:
    length, spans = 0, []
    for part in parts:
        if isinstance(part, int):
            length += part
        else:
            grid = Grid(part[0], part[1] * 2, part[2] * 2)
            spans.append((length, grid))
            length += grid.num_tokens
    return length, spans


def slow(length: int, spans: list[tuple[int, Grid]]) -> tuple[list[tuple[int, int, int]], int]:
    """The rule, token by token."""
    starts = dict(spans)
    out: list[tuple[int, int, int]] = []
    p = 0
    while len(out) < length:
        grid = starts.get(len(out))
        if grid is None:
            out.append((p, p, p))
            p += 1
            continue
        for _ in range(grid.t):
            h, w = grid.h // 2, grid.w // 2
            out += [(p, p + i, p + j) for i in range(h) for j in range(w)]
            p += max(h, w)
    return out, (max((max(one) for one in out), default=-1) + 1) - length


@given(parts)
def test_positions_follow_the_rule_token_by_token(parts: list[int | tuple[int, int, int]]) -> None:
    length, spans = layout(parts)
    positions, delta = rope_positions(length, spans)
    expected, expected_delta = slow(length, spans)
    assert positions.dtype == np.int32
    assert positions.shape == (3, length)
    assert positions.T.tolist() == [list(one) for one in expected]
    assert delta == expected_delta
    assert delta <= 0


def test_text_alone_counts_up_and_has_no_delta() -> None:
    positions, delta = rope_positions(5, [])
    assert positions.tolist() == [[0, 1, 2, 3, 4]] * 3
    assert delta == 0


def test_an_empty_prompt_has_no_positions() -> None:
    positions, delta = rope_positions(0, [])
    assert (positions.shape, delta) == ((3, 0), 0)


@pytest.mark.parametrize("spans", [[(3, Grid(1, 4, 4)), (5, Grid(1, 2, 2))], [(8, Grid(1, 4, 4))]])
def test_spans_that_overlap_or_stick_out_are_our_mistake(spans: list[tuple[int, Grid]]) -> None:
    with pytest.raises(AssertionError):
        rope_positions(10, spans)
