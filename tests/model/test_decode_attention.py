"""Paged decode attention, split over the context, gives what plain softmax attention and `attend` give."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.triton_device import DEVICE, INTERPRETED  # first: decides whether Triton compiles

from flashweb.model.attention import AttentionPlan, KVCache, attend  # isort: skip
from flashweb.model.fp8_cache import Fp8KVCache  # isort: skip
from flashweb.model.inputs import ForwardInputs  # isort: skip
from flashweb.model.kernels.decode_attention import (  # isort: skip
    WHOLE_TILES,
    DecodeWorkspace,
    num_filling,
    paged_decode,
    reference_paged_decode,
    tile_tokens,
)

BLOCK = 16
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-7}


class World:
    """Sequences of given lengths on shuffled blocks of a cache that holds NaN wherever nothing may be read."""

    def __init__(
        self, lengths: list[int], heads: int, kv_heads: int, head_dim: int, dtype: torch.dtype, fp8: bool = False
    ) -> None:
        self.lengths, self.dtype = lengths, dtype
        num_blocks = sum(-(-n // BLOCK) for n in lengths) + 3
        kind = Fp8KVCache if fp8 else KVCache
        self.cache = kind(2, num_blocks, BLOCK, kv_heads, head_dim, dtype, DEVICE)
        for layer in range(2):
            nowhere = torch.full((2 * kv_heads, num_blocks * BLOCK, head_dim), float("nan"), dtype=dtype, device=DEVICE)
            self.cache.store(layer, torch.arange(num_blocks * BLOCK, device=DEVICE), nowhere)
        free = torch.randperm(num_blocks).tolist()
        self.tables = [[free.pop() for _ in range(-(-n // BLOCK))] for n in lengths]
        for table, n in zip(self.tables, lengths, strict=True):
            slots = torch.tensor([table[t // BLOCK] * BLOCK + t % BLOCK for t in range(n)], dtype=torch.int64)
            self.cache.store(1, slots.to(DEVICE), torch.randn(2 * kv_heads, n, head_dim).to(DEVICE, dtype))
        self.query = torch.randn(len(lengths), heads, head_dim).to(DEVICE, dtype)

    def decode(self, num_sms: int, block_tables_width: int | None = None) -> torch.Tensor:
        batch, heads, head_dim = self.query.shape
        width = block_tables_width or max(1, max(map(len, self.tables)))
        tables = torch.full((batch, width), 1 << 28, dtype=torch.int32)  # nowhere: must not be read
        for row, table in enumerate(self.tables):
            tables[row, : len(table)] = torch.tensor(table, dtype=torch.int32)
        workspace = DecodeWorkspace.allocate(
            batch, heads, self.cache.num_kv_heads, head_dim, self.cache.storage.dtype, DEVICE, num_sms, self.dtype
        )
        workspace.memory.fill_(float("nan"))
        workspace.pieces.fill_(1 << 28)  # beyond the last piece nothing may be computed
        out = torch.full((batch, heads * head_dim), float("nan"), dtype=self.dtype, device=DEVICE)
        self.block_tables, self.context_lens = tables.to(DEVICE), torch.tensor(self.lengths, dtype=torch.int32)
        self.context_lens = self.context_lens.to(DEVICE)
        layer, scales = self.cache.layers[1], self.cache.scales[1]
        self.plan = workspace.plan(self.context_lens)
        returned = paged_decode(self.query, layer, self.block_tables, self.plan, BLOCK, out, scales)
        assert returned is out
        return out

    def expected(self) -> torch.Tensor:
        layer, scales = self.cache.layers[1], self.cache.scales[1]
        return reference_paged_decode(self.query, layer, self.block_tables, self.context_lens, BLOCK, scales)


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    tolerance = TOLERANCE[got.dtype]
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), [(32, 2, 128), (16, 1, 64), (6, 2, 64), (2, 2, 128)])
@pytest.mark.parametrize("num_sms", [1, 20])
def test_contexts_of_all_lengths_side_by_side(
    num_sms: int, heads: int, kv_heads: int, head_dim: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(num_sms)
    world = World([200, 0, 1, 15, 16, 17, 0], heads, kv_heads, head_dim, dtype)
    out = world.decode(num_sms)
    empty = [1, 6]
    assert out[empty].isnan().all(), "an empty row stays as it was"
    assert_close(out[world.context_lens > 0], world.expected()[world.context_lens > 0])


@settings(max_examples=8, deadline=None)  # the interpreter is slow, and a GPU compiles for every shape
@given(
    lengths=st.lists(st.integers(0, 300), min_size=1, max_size=4),
    group=st.integers(1, 16),
    kv_heads=st.integers(1, 2),
    head_dim=st.sampled_from([64, 128]),
    num_sms=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_any_split_gives_the_same(
    lengths: list[int], group: int, kv_heads: int, head_dim: int, num_sms: int, seed: int
) -> None:
    torch.manual_seed(seed)
    world = World(lengths, group * kv_heads, kv_heads, head_dim, torch.float32)
    out = world.decode(num_sms)
    assert_close(out[world.context_lens > 0], world.expected()[world.context_lens > 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_gives_what_attend_gives(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    lengths = [40, 1, 130, 16]
    world = World(lengths, heads=8, kv_heads=2, head_dim=64, dtype=dtype)
    out = world.decode(num_sms=4)
    world.cache.storage.nan_to_num_()  # `attend` reads padding, and expects numbers there
    slots = torch.tensor(
        [t[(n - 1) // BLOCK] * BLOCK + (n - 1) % BLOCK for t, n in zip(world.tables, lengths, strict=True)]
    )
    slots = slots.to(DEVICE)
    inputs = ForwardInputs(
        token_ids=torch.zeros(4, dtype=torch.int64, device=DEVICE),
        positions=torch.zeros(3, 4, dtype=torch.int64, device=DEVICE),
        slots=slots,
        query_lens=[1] * 4,
        context_lens=lengths,
        block_tables=world.tables,
        block_size=BLOCK,
        last_rows=torch.arange(4, device=DEVICE),
    )
    newest = world.cache.layers[1][:, slots].transpose(0, 1).clone()
    attended = attend(world.query, newest, AttentionPlan.of(inputs, world.cache), 1)
    assert_close(out, attended)


def test_queries_may_be_a_view_of_the_qkv_product_and_tables_wider_than_any_context() -> None:
    torch.manual_seed(0)
    world = World([33, 5], heads=4, kv_heads=1, head_dim=64, dtype=torch.float32)
    qkv = torch.randn(2, 6, 64, device=DEVICE)
    qkv[:, :4] = world.query
    world.query = qkv[:, :4]
    assert_close(world.decode(2, block_tables_width=40), world.expected())


def test_large_scores_do_not_overflow() -> None:
    torch.manual_seed(0)
    world = World([70, 40], heads=4, kv_heads=2, head_dim=64, dtype=torch.float32)
    world.query *= 1000
    out = world.decode(8)
    torch.testing.assert_close(out, world.expected(), rtol=0, atol=0.02)  # scores near 1000 are rounded themselves


def lengths_of_pieces(world: World) -> list[list[int]]:
    """Tokens of every piece, row by row, after a `decode`."""
    pieces, bounds = world.plan.pieces.tolist(), world.plan.bounds.tolist()
    return [[end - first for _, _, first, end, *_ in pieces[a:b]] for a, b in zip(bounds, bounds[1:], strict=False)]


def test_a_long_context_among_short_ones_is_cut_and_they_are_not() -> None:
    torch.manual_seed(0)
    tile = tile_tokens(64, torch.float32)
    whole = WHOLE_TILES.value * tile
    world = World([3, 40 * tile + 5, whole], heads=2, kv_heads=1, head_dim=64, dtype=torch.float32)
    assert_close(world.decode(num_sms=4), world.expected())
    short, long, other = lengths_of_pieces(world)
    assert short == [3] and other == [whole]
    assert len(long) == 6 and max(long) == 7 * tile  # 8 pieces would be 6 tiles each; a quarter more is let pass


def test_more_pieces_than_are_unrolled() -> None:
    torch.manual_seed(0)
    world = World([1500], heads=2, kv_heads=1, head_dim=64, dtype=torch.float32)
    assert_close(world.decode(num_sms=100), world.expected())
    assert len(lengths_of_pieces(world)[0]) == -(-1500 // tile_tokens(64, torch.float32))


@pytest.mark.parametrize("heads", [2, 6])
def test_a_crowd_whose_heads_are_combined_together(heads: int) -> None:
    torch.manual_seed(0)
    tile = tile_tokens(64, torch.float32)
    world = World([5 * tile + n for n in range(17)], heads, kv_heads=heads // 2, head_dim=64, dtype=torch.float32)
    assert_close(world.decode(num_sms=100), world.expected())
    assert all(len(row) > 1 for row in lengths_of_pieces(world))


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.one_of(st.just(0), st.integers(1, 300), st.integers(1, 131072)), min_size=1, max_size=40),
    num_sms=st.integers(1, 200),
)
def test_pieces_cover_every_context_are_bounded_and_about_equal(lengths: list[int], num_sms: int) -> None:
    workspace = DecodeWorkspace.allocate(len(lengths), 32, 2, 128, torch.bfloat16, DEVICE, num_sms)
    plan = workspace.plan(torch.tensor(lengths, dtype=torch.int32, device=DEVICE))
    bounds, pieces = plan.bounds.tolist(), plan.pieces.tolist()
    assert bounds[0] == 0 and bounds[-1] <= len(lengths) + num_filling(2, num_sms) == len(pieces)
    for row, length in enumerate(lengths):
        mine = pieces[bounds[row] : bounds[row + 1]]
        edges = [piece[2] for piece in mine] + [length]
        assert [piece[3] for piece in mine] == edges[1:] and edges[0] == 0 and edges == sorted(set(edges)) or not mine
        assert bool(mine) == (length > 0)
        assert all(piece[:2] == [row, row] and piece[4] == (len(mine) == 1) for piece in mine)
    tiles = sum(-(-length // 64) for length in lengths)
    longest = max((piece[3] - piece[2] for piece in pieces[: bounds[-1]]), default=0)
    assert longest <= 64 * max(WHOLE_TILES.value, 1.25 * -(-tiles // num_filling(2, num_sms)))


def test_entries_say_which_sequence_is_whose_row_and_those_of_an_empty_one_write_nothing() -> None:
    torch.manual_seed(0)
    world = World([90, 5, 130, 0], heads=4, kv_heads=2, head_dim=64, dtype=torch.float32)
    world.decode(num_sms=1)  # lays the tables out
    rows = [4, 0]
    entries = torch.tensor([[2, rows[0]], [0, rows[1]], [3, 0], [3, 0]], dtype=torch.int32, device=DEVICE)
    query = torch.randn(6, 4, 64, device=DEVICE)
    out = torch.full((6, 256), float("nan"), device=DEVICE)
    workspace = DecodeWorkspace.allocate(4, 4, 2, 64, torch.float32, DEVICE, num_sms=30)
    layer, lengths = world.cache.layers[1], world.context_lens
    paged_decode(query, layer, world.block_tables, workspace.plan(lengths, entries), BLOCK, out)
    wanted = reference_paged_decode(query[rows], layer, world.block_tables[[2, 0]], lengths[[2, 0]], BLOCK)
    assert_close(out[rows], wanted)
    assert out[[1, 2, 3, 5]].isnan().all()


def test_one_workspace_serves_every_smaller_batch() -> None:
    torch.manual_seed(0)
    world = World([90, 20, 300], heads=4, kv_heads=2, head_dim=64, dtype=torch.float32)
    world.decode(num_sms=7)
    layer = world.cache.layers[1]
    for max_batch in (3, 16):
        workspace = DecodeWorkspace.allocate(max_batch, 4, 2, 64, torch.float32, DEVICE, num_sms=7)
        for batch in (1, 2, 3):
            out = torch.empty(batch, 256, device=DEVICE)
            plan = workspace.plan(world.context_lens[:batch])
            paged_decode(world.query[:batch], layer, world.block_tables[:batch], plan, BLOCK, out)
            assert_close(out, world.expected()[:batch])


@pytest.mark.skipif(INTERPRETED, reason="needs a CUDA device")
@pytest.mark.gpu
def test_one_graph_serves_every_length() -> None:
    torch.manual_seed(0)
    world = World([4000, 900], heads=32, kv_heads=2, head_dim=128, dtype=torch.bfloat16)
    num_sms = torch.cuda.get_device_properties(DEVICE).multi_processor_count
    world.decode(num_sms)
    workspace = DecodeWorkspace.allocate(2, 32, 2, 128, torch.bfloat16, DEVICE)
    out = torch.empty(2, 32 * 128, dtype=torch.bfloat16, device=DEVICE)
    layer, lengths = world.cache.layers[1], world.context_lens.clone()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        paged_decode(world.query, layer, world.block_tables, workspace.plan(world.context_lens), BLOCK, out)
    for shorter in ([0, 900], [1, 64], [65, 0], [4000, 129]):
        world.context_lens.copy_(torch.minimum(lengths, torch.tensor(shorter, device=DEVICE)))
        graph.replay()
        assert_close(out[world.context_lens > 0], world.expected()[world.context_lens > 0])


@pytest.mark.slow
@pytest.mark.parametrize("arch", [80, 86, 89, 90])
def test_every_kernel_compiles_for(arch: int, tmp_path: Path) -> None:
    compile_kernels(tmp_path, str(arch))


@pytest.mark.parametrize(
    "arch", [pytest.param(80, marks=pytest.mark.slow), pytest.param(89, marks=pytest.mark.slow), 90]
)
def test_the_compiled_sum_after_a_norm_rounds_the_norm_first(arch: int, tmp_path: Path) -> None:
    """The interpreter cannot tell: it is the compiler that would make one `fma` of the norm's weight and the sum."""
    compile_kernels(tmp_path, str(arch), "--rounding")


def compile_kernels(cache: Path, *arguments: str) -> None:
    script = Path(__file__).with_name("compile_kernels.py")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | {"TRITON_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, str(script), *arguments], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
