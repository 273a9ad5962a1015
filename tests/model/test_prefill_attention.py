"""Paged prefill attention: chunks, whole prompts and decoding rows side by side equal the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.triton_device import DEVICE

# isort: split

from flashweb.model.fp8_cache import quantise_heads
from flashweb.model.kernels.prefill_attention import (
    OTHERS,
    PrefillPlan,
    paged_prefill,
    plan_for,
    query_tiles,
    reference_paged_prefill,
    tokens_per_tile,
)

BLOCK = 16


class Case:
    """Sequences with (new tokens, tokens before them) on shuffled blocks of one layer's cache."""

    def __init__(
        self,
        shapes: list[tuple[int, int]],
        heads: int,
        kv_heads: int,
        head_dim: int,
        dtype: torch.dtype,
        seed: int = 0,
        fp8: bool = False,
    ) -> None:
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        contexts = [new + past for new, past in shapes]
        needed = [-(-n // BLOCK) for n in contexts]
        blocks = rng.permutation(sum(needed) + 3).tolist()
        tables = np.full((len(shapes), max(needed)), -1, np.int32)
        for row, count in enumerate(needed):
            tables[row, :count] = [blocks.pop() for _ in range(count)]
        news = [new for new, _ in shapes]
        self.starts = torch.tensor([0, *np.cumsum(news).tolist()], dtype=torch.int32, device=DEVICE)
        self.context_lens = torch.tensor(contexts, dtype=torch.int32, device=DEVICE)
        self.tables = torch.from_numpy(tables).to(DEVICE)
        self.tiles = torch.from_numpy(query_tiles(news, tokens_per_tile(heads, kv_heads))).to(DEVICE)
        self.cache = torch.randn(2 * kv_heads, (sum(needed) + 3) * BLOCK, head_dim).to(DEVICE, dtype)
        self.scales = None
        if fp8:
            self.cache, self.scales = quantise_heads(self.cache)
        product = torch.randn(sum(news), (heads + 2 * kv_heads) * head_dim).to(DEVICE, dtype)
        self.query = product.view(sum(news), -1, head_dim)[:, :heads]  # as the qkv product holds it
        self.out = torch.full((sum(news), heads * head_dim), float("nan"), dtype=dtype, device=DEVICE)

    def check(self, plan: PrefillPlan | None = None) -> None:
        where = (self.tables, self.starts, self.context_lens)
        found = paged_prefill(self.query, self.cache, *where, self.tiles, BLOCK, self.out, plan, scales=self.scales)
        wanted = reference_paged_prefill(self.query, self.cache, *where, BLOCK, self.scales)
        close = 2e-5 if self.out.dtype == torch.float32 else 2e-2
        torch.testing.assert_close(found, wanted, rtol=close, atol=close)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), [(32, 2, 16), (6, 2, 32), (4, 4, 16)])
def test_prompts_chunks_and_decoding_rows_side_by_side(
    heads: int, kv_heads: int, head_dim: int, dtype: torch.dtype
) -> None:
    Case([(1, 0), (17, 0), (1, 40), (9, 33), (40, 5), (1, 15), (16, 16)], heads, kv_heads, head_dim, dtype).check()


@settings(max_examples=12, deadline=None)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 50)), min_size=1, max_size=4), seed=st.integers(0, 9)
)
def test_any_step_equals_the_reference(shapes: list[tuple[int, int]], seed: int) -> None:
    Case(shapes, 8, 2, 16, torch.float32, seed).check()


@pytest.mark.parametrize("plan", OTHERS)
def test_every_plan_gives_the_same(plan: PrefillPlan) -> None:
    case = Case([(70, 0), (9, 60), (30, 130)], 32, 2, 16, torch.bfloat16)
    news = case.starts.diff().tolist()
    case.tiles = torch.from_numpy(query_tiles(news, tokens_per_tile(32, 2, plan.rows))).to(DEVICE)
    case.check(plan)


def test_a_card_with_little_shared_memory_takes_fewer_keys_a_turn() -> None:
    assert plan_for(128, torch.bfloat16, 227 << 10).tile == 64
    assert plan_for(128, torch.bfloat16, 99 << 10).tile == 32


def test_tiles_of_an_empty_sequence_write_nothing() -> None:
    case = Case([(5, 6)], 4, 2, 16, torch.float32)
    case.starts = torch.cat((case.starts, case.starts[-1:]))
    case.context_lens = torch.cat((case.context_lens, torch.zeros_like(case.context_lens)))
    case.tables = case.tables.repeat(2, 1)
    nothing = torch.tensor([[1, 0]], dtype=torch.int32, device=DEVICE)
    case.tiles = torch.cat((nothing, case.tiles, nothing))
    case.check()


def test_what_lies_behind_a_context_is_not_looked_at() -> None:
    case = Case([(5, 6)], 4, 2, 16, torch.float32)
    last = int(case.tables[0, 0]) * BLOCK
    case.cache[:, last + 11 : last + BLOCK] = float("nan")
    case.check()


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(1, 128))
def test_tiles_cover_every_new_token_once(query_lens: list[int], tokens: int) -> None:
    covered = [
        (int(sequence), token)
        for sequence, first in query_tiles(query_lens, tokens)
        for token in range(first, min(first + tokens, query_lens[sequence]))
    ]
    assert covered == [(s, t) for s, n in enumerate(query_lens) for t in range(n)]
