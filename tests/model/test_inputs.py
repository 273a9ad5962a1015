"""Block tables laid out for kernels, kept from step to step."""

from __future__ import annotations

import random

import numpy as np

from flashweb.model.inputs import BlockTables

BLOCK_SIZE = 16


def assert_rows_hold(tables: BlockTables, wanted: list[list[int]], context_lens: list[int]) -> None:
    rows = tables.rows(wanted, context_lens)
    used = [-(-length // BLOCK_SIZE) for length in context_lens]
    assert rows.dtype == np.int32 and rows.shape == (len(wanted), max(used))
    for row, table, count in zip(rows, wanted, used, strict=True):
        assert row[:count].tolist() == table[:count]


def test_a_table_that_grows_in_its_place_is_followed() -> None:
    tables, table = BlockTables(BLOCK_SIZE), [7]
    for length in range(1, 100):
        if length > len(table) * BLOCK_SIZE:
            table.append(7 + 3 * len(table))
        assert_rows_hold(tables, [table], [length])


def test_blocks_beyond_a_context_wait_until_it_reaches_them() -> None:
    tables, table = BlockTables(BLOCK_SIZE), [4, 5, 6]
    assert_rows_hold(tables, [table], [16])
    assert_rows_hold(tables, [table], [33])


def test_other_blocks_for_the_same_row_are_laid_out_anew() -> None:
    tables = BlockTables(BLOCK_SIZE)
    assert_rows_hold(tables, [[1, 2, 3], [4, 5, 6]], [48, 48])
    assert_rows_hold(tables, [[9, 8, 7], [4, 5, 6]], [48, 40])


def test_any_coming_going_and_growing_gives_the_tables_as_they_are() -> None:
    rng, tables = random.Random(0), BlockTables(BLOCK_SIZE)
    running: list[tuple[list[int], int]] = []
    for _ in range(2000):
        running = [(table, length + 1) for table, length in running if rng.random() > 0.05]
        if rng.random() < 0.3 or not running:
            length = rng.randrange(1, 200)
            running.append(([rng.randrange(1000) for _ in range(-(-length // BLOCK_SIZE))], length))
        if rng.random() < 0.05:
            rng.shuffle(running)
        for table, length in running:
            if length > len(table) * BLOCK_SIZE:
                table.append(rng.randrange(1000))
        assert_rows_hold(tables, [table for table, _ in running], [length for _, length in running])
