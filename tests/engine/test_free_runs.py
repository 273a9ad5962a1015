"""Free blocks as runs: nothing is lost or given twice, neighbours come when there are some, growth finds its room."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from flashweb.engine.free_runs import FreeRuns


def test_sequences_side_by_side_each_grow_without_a_gap() -> None:
    runs = FreeRuns(100)
    tables = [runs.place(5, growth=10) for _ in range(4)]
    for _ in range(10):
        for table in tables:
            assert runs.next_to(table[-1])
            table += runs.take_next_to(table[-1])
            runs.check_integrity()
    for table in tables:
        assert table == list(range(table[0], table[0] + 15))


def test_a_promise_is_broken_from_its_far_end_when_nothing_else_is_left() -> None:
    runs = FreeRuns(12)
    first = runs.place(2, growth=10)
    assert runs.place(3, growth=0) == []
    assert runs.take_scattered(3) == [9, 10, 11]
    assert runs.take_next_to(first[-1]) == [2]
    runs.check_integrity()


def test_a_given_up_promise_is_free_for_all() -> None:
    runs = FreeRuns(12)
    first = runs.place(2, growth=10)
    runs.give_up_promise(first[-1])
    assert runs.place(10, growth=0) == list(range(2, 12))


def test_the_smallest_run_that_has_room_is_used() -> None:
    runs = FreeRuns(0)
    for block in (*range(4), *range(10, 30), *range(40, 48)):
        runs.add(block)
    assert runs.place(4, growth=2) == [40, 41, 42, 43]
    assert runs.place(4, growth=0) == [0, 1, 2, 3]


@given(seed=st.integers(0, 10_000), size=st.integers(1, 60))
def test_random_traffic_loses_nothing_and_gives_nothing_twice(seed: int, size: int) -> None:
    rng = random.Random(seed)
    runs = FreeRuns(size)
    held: list[list[int]] = []
    for _ in range(80):
        choice = rng.randrange(4)
        if choice == 0:
            count = rng.randint(1, 8)
            blocks = runs.place(count, rng.randint(0, 8))
            assert blocks == list(range(blocks[0], blocks[0] + count)) if blocks else True
            held += [blocks] if blocks else []
        elif choice == 1 and runs.num_free:
            held.append(runs.take_scattered(rng.randint(1, runs.num_free)))
        elif choice == 2 and held:
            table = rng.choice(held)
            if runs.next_to(table[-1]):
                table += runs.take_next_to(table[-1])
        elif held:
            table = held.pop(rng.randrange(len(held)))
            runs.give_up_promise(table[-1])
            for block in table:
                runs.add(block)
        runs.check_integrity()
        taken = [b for table in held for b in table]
        assert len(set(taken)) == len(taken)
        assert runs.blocks() == set(range(size)) - set(taken)
