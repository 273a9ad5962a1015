"""Every way of reading the paged cache gives what plain softmax attention gives."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from flashweb.model.attention import PADDED_BYTES, AttentionPlan, KVCache, attend
from flashweb.model.inputs import ForwardInputs

BLOCK, NUM_BLOCKS, HEAD_DIM = 4, 64, 8


def naive(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """[n, heads, d] over [c, kv_heads, d]: row i sees the first c - n + i + 1 tokens. fp64, no tricks."""
    n, heads, d = query.shape
    c, kv_heads, _ = keys.shape
    out = torch.empty(n, heads, d, dtype=torch.float64)
    for i in range(n):
        seen = c - n + i + 1
        for head in range(heads):
            group = head // (heads // kv_heads)
            scores = keys[:seen, group].double() @ query[i, head].double() * d**-0.5
            out[i, head] = scores.softmax(0) @ values[:seen, group].double()
    return out.flatten(1)


@given(
    lengths=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20)), min_size=1, max_size=5),
    kv_heads=st.sampled_from([1, 2]),
    groups=st.sampled_from([1, 3]),
    scattered=st.booleans(),
    pad=st.booleans(),
    padded_bytes=st.sampled_from([0, 6 << 10, PADDED_BYTES]),
    seed=st.integers(0, 99),
)
def test_attend_equals_plain_softmax_attention(
    lengths: list[tuple[int, int]],
    kv_heads: int,
    groups: int,
    scattered: bool,
    pad: bool,
    padded_bytes: int,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    heads = kv_heads * groups
    cache = KVCache(2, NUM_BLOCKS, BLOCK, kv_heads, HEAD_DIM, torch.float32, torch.device("cpu"))
    free = torch.randperm(NUM_BLOCKS).tolist() if scattered else list(range(NUM_BLOCKS))
    tables, slots, expected, queries, new = [], [], [], [], []
    for query_len, past in lengths:
        context = query_len + past
        table = [free.pop(0) for _ in range(-(-context // BLOCK))]
        keys, values = torch.randn(2, context, kv_heads, HEAD_DIM)
        query = torch.randn(query_len, heads, HEAD_DIM)
        at = [table[i // BLOCK] * BLOCK + i % BLOCK for i in range(context)]
        cache.layers[1][:, at[:past]] = torch.cat((keys, values), dim=1)[:past].transpose(0, 1)
        tables.append([*table, *free[:1]])  # a block kept for growth must not be read
        slots += at[past:]
        queries.append(query)
        new.append(torch.cat((keys, values), dim=1)[past:])
        expected.append(naive(query, keys, values))
    inputs = ForwardInputs(
        token_ids=torch.zeros(len(slots), dtype=torch.int64),
        positions=torch.zeros(3, len(slots), dtype=torch.int64),
        slots=torch.tensor(slots),
        query_lens=[n for n, _ in lengths],
        context_lens=[n + past for n, past in lengths],
        block_tables=tables,
        block_size=BLOCK,
        last_rows=torch.zeros(1, dtype=torch.int64),
    )
    plan = AttentionPlan.of(inputs, cache, pad_decode=pad, padded_bytes=padded_bytes)
    out = attend(torch.cat(queries), torch.cat(new), plan, 1)
    assert (out - torch.cat(expected)).abs().max() < 1e-5
    assert cache.layers[0].eq(0).all(), "another layer was written"


def decode_inputs(context_lens: list[int], room: int = 0) -> ForwardInputs:
    """Sequences side by side, with `room` further blocks behind each."""
    first = [sum(-(-n // BLOCK) + room for n in context_lens[:i]) for i in range(len(context_lens))]
    tables = [list(range(at, at + -(-n // BLOCK))) for at, n in zip(first, context_lens, strict=True)]
    count = len(context_lens)
    return ForwardInputs(
        token_ids=torch.zeros(count, dtype=torch.int64),
        positions=torch.zeros(3, count, dtype=torch.int64),
        slots=torch.tensor([t[-1] * BLOCK + (n - 1) % BLOCK for t, n in zip(tables, context_lens, strict=True)]),
        query_lens=[1] * count,
        context_lens=context_lens,
        block_tables=tables,
        block_size=BLOCK,
        last_rows=torch.arange(count),
    )


def test_one_long_context_does_not_make_its_short_neighbours_gather_its_length() -> None:
    """Every padded gather stays within its bytes; what is too long for company is read where it lies."""
    cache = KVCache(1, 1024, BLOCK, 1, HEAD_DIM, torch.float32, torch.device("cpu"))
    lengths = [9, 2000, 8, 7, 300, 12, 5, 8]
    limit, bytes_per_token = 3072, 2 * HEAD_DIM * 4
    plan = AttentionPlan.of(decode_inputs(lengths), cache, pad_decode=True, padded_bytes=limit)
    assert len(plan.padded) > 1
    for group in plan.padded:
        assert group.slots.numel() * bytes_per_token <= limit
    gathered = sorted(row for group in plan.padded for row in group.rows.tolist())
    alone = [row for row, _ in plan.alone]
    assert sorted(gathered + alone) == list(range(len(lengths)))
    assert {1, 4} <= set(alone)
    assert all(context.views is not None for _, context in plan.alone), "a run of blocks needs no copy"


def test_neighbours_that_fit_are_gathered_at_once_and_in_their_order() -> None:
    cache = KVCache(1, 64, BLOCK, 1, HEAD_DIM, torch.float32, torch.device("cpu"))
    plan = AttentionPlan.of(decode_inputs([9, 20, 8]), cache, pad_decode=True)
    assert [group.rows.tolist() for group in plan.padded] == [[0, 1, 2]] and plan.alone == []


def test_wipe_zeroes_the_named_blocks_and_no_other() -> None:
    cache = KVCache(2, 6, BLOCK, 1, HEAD_DIM, torch.float32, torch.device("cpu"))
    cache.storage.fill_(float("nan"))
    cache.wipe([1, 4])
    zeroed = cache.storage.eq(0).all(dim=-1).all(dim=0).all(dim=0).view(6, BLOCK)
    assert zeroed.all(dim=1).tolist() == [False, True, False, False, True, False]
    assert not zeroed[[0, 2, 3, 5]].any()


class World:
    """Sequences that grow by random keys and values, and the truth about each kept apart from the cache."""

    def __init__(self, lengths: list[int], kv_heads: int = 2, heads: int = 4) -> None:
        self.cache = KVCache(1, 4096, BLOCK, kv_heads, HEAD_DIM, torch.float32, torch.device("cpu"))
        self.heads = heads
        self.free = torch.randperm(4096).tolist()
        self.tables: list[list[int]] = [[] for _ in lengths]
        self.truth = [torch.empty(0, 2 * kv_heads, HEAD_DIM) for _ in lengths]
        for i, length in enumerate(lengths):
            self.step([i], [length])

    def step(self, rows: list[int], lengths: list[int], fails: bool = False) -> bool:
        """One step of new tokens for some sequences, checked; tells whether a window served it."""
        query = torch.randn(sum(lengths), self.heads, HEAD_DIM)
        new = torch.randn(sum(lengths), self.truth[0].shape[1], HEAD_DIM)
        slots, expected = [], []
        before = list(self.truth)
        for i, q, kv in zip(rows, query.split(lengths), new.split(lengths), strict=True):
            self.truth[i] = torch.cat((self.truth[i], kv))
            total = len(self.truth[i])
            while len(self.tables[i]) * BLOCK < total:
                self.tables[i].append(self.free.pop())
            slots += [self.tables[i][k // BLOCK] * BLOCK + k % BLOCK for k in range(total - len(kv), total)]
            expected.append(naive(q, *self.truth[i].chunk(2, dim=1)))
        inputs = ForwardInputs(
            token_ids=torch.zeros(len(slots), dtype=torch.int64),
            positions=torch.zeros(3, len(slots), dtype=torch.int64),
            slots=torch.tensor(slots),
            query_lens=lengths,
            context_lens=[len(self.truth[i]) for i in rows],
            block_tables=[self.tables[i] for i in rows],
            block_size=BLOCK,
            last_rows=torch.zeros(1, dtype=torch.int64),
        )
        plan = AttentionPlan.of(inputs, self.cache)
        if fails:
            self.truth = before
        else:
            out = attend(query, new, plan, 0)
            plan.done()
            assert (out - torch.cat(expected)).abs().max() < 1e-5
        return plan.window is not None


@given(
    lengths=st.lists(st.integers(10, 30), min_size=2, max_size=4),
    schedule=st.lists(
        st.sampled_from(["all", "all", "all", "reversed", "fewer", "chunk", "fails", "wipe"]), max_size=12
    ),
    seed=st.integers(0, 99),
)
def test_any_schedule_gives_plain_softmax_attention(lengths: list[int], schedule: list[str], seed: int) -> None:
    torch.manual_seed(seed)
    world = World(lengths)
    rows = list(range(len(lengths)))
    for event in schedule:
        if event == "wipe":
            world.cache.wipe([world.free[0]])
        elif event == "chunk":
            world.step(rows, [3] + [1] * (len(rows) - 1))
        else:
            some = {"reversed": rows[::-1], "fewer": rows[1:]}.get(event, rows)
            world.step(some, [1] * len(some), fails=event == "fails")


def test_sequences_that_keep_decoding_share_a_window_that_grows_with_them() -> None:
    torch.manual_seed(0)
    world = World([60, 50, 64])
    served = [world.step([0, 1, 2], [1, 1, 1]) for _ in range(150)]
    assert served == [False] + [True] * 149, "the first step only makes the acquaintance"


def test_a_window_ends_with_whatever_else_happens_to_the_cache() -> None:
    torch.manual_seed(0)
    world = World([20, 20])
    both, one = ([0, 1], [1, 1]), ([0], [1])
    assert [world.step(*both) for _ in range(3)] == [False, True, True]
    world.step(*both, fails=True)
    assert [world.step(*both) for _ in range(2)] == [False, True]
    world.step(*one)
    assert [world.step(*both) for _ in range(2)] == [False, True]
    world.cache.wipe([world.free[0]])
    assert [world.step(*both) for _ in range(2)] == [False, True]
    world.step([0, 1], [2, 1])
    assert [world.step(*both) for _ in range(2)] == [False, True]


def test_no_window_where_most_of_it_would_be_padding() -> None:
    torch.manual_seed(0)
    world = World([400, 10, 10, 10])
    assert not any(world.step([0, 1, 2, 3], [1] * 4) for _ in range(4))
