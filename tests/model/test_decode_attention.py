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
from flashweb.model.inputs import ForwardInputs  # isort: skip
from flashweb.model.kernels.decode_attention import (  # isort: skip
    COMBINED,
    DecodeSplits,
    DecodeWorkspace,
    paged_decode,
    reference_paged_decode,
    tile_tokens,
)

BLOCK = 16
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-7}


class World:
    """Sequences of given lengths on shuffled blocks of a cache that holds NaN wherever nothing may be read."""

    def __init__(self, lengths: list[int], heads: int, kv_heads: int, head_dim: int, dtype: torch.dtype) -> None:
        self.lengths, self.dtype = lengths, dtype
        num_blocks = sum(-(-n // BLOCK) for n in lengths) + 3
        self.cache = KVCache(2, num_blocks, BLOCK, kv_heads, head_dim, dtype, DEVICE)
        self.cache.storage.fill_(float("nan"))
        free = torch.randperm(num_blocks).tolist()
        self.tables = [[free.pop() for _ in range(-(-n // BLOCK))] for n in lengths]
        for table, n in zip(self.tables, lengths, strict=True):
            slots = [table[t // BLOCK] * BLOCK + t % BLOCK for t in range(n)]
            self.cache.layers[1][:, slots] = torch.randn(2 * kv_heads, n, head_dim).to(DEVICE, dtype)
        self.query = torch.randn(len(lengths), heads, head_dim).to(DEVICE, dtype)

    def decode(self, num_sms: int, max_context: int, block_tables_width: int | None = None) -> torch.Tensor:
        batch, heads, head_dim = self.query.shape
        width = block_tables_width or max(1, max(map(len, self.tables)))
        tables = torch.full((batch, width), 1 << 28, dtype=torch.int32)  # nowhere: must not be read
        for row, table in enumerate(self.tables):
            tables[row, : len(table)] = torch.tensor(table, dtype=torch.int32)
        workspace = DecodeWorkspace.allocate(
            batch, heads, self.cache.num_kv_heads, head_dim, max_context, self.dtype, DEVICE, num_sms
        )
        workspace.memory.fill_(float("nan"))
        out = torch.full((batch, heads * head_dim), float("nan"), dtype=self.dtype, device=DEVICE)
        self.block_tables, self.context_lens = tables.to(DEVICE), torch.tensor(self.lengths, dtype=torch.int32)
        self.context_lens = self.context_lens.to(DEVICE)
        layer = self.cache.layers[1]
        returned = paged_decode(self.query, layer, self.block_tables, self.context_lens, BLOCK, out, workspace)
        assert returned is out
        return out

    def expected(self) -> torch.Tensor:
        return reference_paged_decode(self.query, self.cache.layers[1], self.block_tables, self.context_lens, BLOCK)


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
    out = world.decode(num_sms, max_context=256)
    assert_close(out, world.expected())
    assert out[[1, 6]].eq(0).all(), "a padding row is zeros"


@settings(max_examples=8, deadline=None)  # the interpreter is slow, and a GPU compiles for every shape
@given(
    lengths=st.lists(st.integers(0, 300), min_size=1, max_size=4),
    group=st.integers(1, 16),
    kv_heads=st.integers(1, 2),
    head_dim=st.sampled_from([64, 128]),
    num_sms=st.integers(1, 20),
    max_context=st.sampled_from([300, 1000, 5000]),
    seed=st.integers(0, 99),
)
def test_any_split_gives_the_same(
    lengths: list[int], group: int, kv_heads: int, head_dim: int, num_sms: int, max_context: int, seed: int
) -> None:
    torch.manual_seed(seed)
    world = World(lengths, group * kv_heads, kv_heads, head_dim, torch.float32)
    assert_close(world.decode(num_sms, max_context), world.expected())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_gives_what_attend_gives(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    lengths = [40, 1, 130, 16]
    world = World(lengths, heads=8, kv_heads=2, head_dim=64, dtype=dtype)
    out = world.decode(num_sms=4, max_context=256)
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
    assert_close(world.decode(2, 256, block_tables_width=40), world.expected())


def test_large_scores_do_not_overflow() -> None:
    torch.manual_seed(0)
    world = World([70, 40], heads=4, kv_heads=2, head_dim=64, dtype=torch.float32)
    world.query *= 1000
    out = world.decode(8, 128)
    torch.testing.assert_close(out, world.expected(), rtol=0, atol=0.02)  # scores near 1000 are rounded themselves


def test_a_long_context_among_many_is_cut_into_pieces_without_filling_the_card() -> None:
    torch.manual_seed(0)
    lengths = [3, 2048 + 700]
    world = World(lengths, heads=2, kv_heads=1, head_dim=64, dtype=torch.float32)
    tile = tile_tokens(64, torch.float32)
    assert DecodeSplits.of(2, 1, 4096, 1, tile) == DecodeSplits(count=2, filling=1)
    assert_close(world.decode(num_sms=1, max_context=4096), world.expected())


def test_more_pieces_than_are_combined_at_a_time() -> None:
    torch.manual_seed(0)
    world = World([2700], heads=2, kv_heads=1, head_dim=64, dtype=torch.float32)
    assert 2700 / tile_tokens(64, torch.float32) > COMBINED
    assert_close(world.decode(num_sms=100, max_context=4096), world.expected())


@given(
    batch=st.integers(1, 512),
    kv_heads=st.sampled_from([1, 2, 8]),
    max_context=st.integers(1, 131072),
    num_sms=st.integers(1, 200),
)
def test_small_batches_fill_the_card_and_no_split_is_without_a_tile(
    batch: int, kv_heads: int, max_context: int, num_sms: int
) -> None:
    splits = DecodeSplits.of(batch, kv_heads, max_context, num_sms, tile=64)
    tiles = -(-max_context // 64)
    assert 1 <= splits.count <= tiles
    programs = batch * kv_heads * splits.count
    assert programs <= max(2 * num_sms, 8 * batch * kv_heads)
    assert programs > num_sms or splits.count == tiles or batch * kv_heads > num_sms


def test_one_workspace_serves_every_smaller_batch() -> None:
    torch.manual_seed(0)
    world = World([90, 20, 300], heads=4, kv_heads=2, head_dim=64, dtype=torch.float32)
    world.decode(num_sms=7, max_context=512)
    layer = world.cache.layers[1]
    for max_batch in (3, 16):
        workspace = DecodeWorkspace.allocate(max_batch, 4, 2, 64, 512, torch.float32, DEVICE, num_sms=7)
        for batch in (1, 2, 3):
            out = torch.empty(batch, 256, device=DEVICE)
            parts = world.block_tables[:batch], world.context_lens[:batch]
            paged_decode(world.query[:batch], layer, *parts, BLOCK, out, workspace)
            assert_close(out, world.expected()[:batch])


@pytest.mark.skipif(INTERPRETED, reason="needs a CUDA device")
@pytest.mark.gpu
def test_one_graph_serves_every_length() -> None:
    torch.manual_seed(0)
    world = World([4000, 900], heads=32, kv_heads=2, head_dim=128, dtype=torch.bfloat16)
    num_sms = torch.cuda.get_device_properties(DEVICE).multi_processor_count
    world.decode(num_sms, 4096)
    workspace = DecodeWorkspace.allocate(2, 32, 2, 128, 4096, torch.bfloat16, DEVICE)
    out = torch.empty(2, 32 * 128, dtype=torch.bfloat16, device=DEVICE)
    layer, lengths = world.cache.layers[1], world.context_lens.clone()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        paged_decode(world.query, layer, world.block_tables, world.context_lens, BLOCK, out, workspace)
    for shorter in ([0, 900], [1, 64], [65, 0], [4000, 129]):
        world.context_lens.copy_(torch.minimum(lengths, torch.tensor(shorter, device=DEVICE)))
        graph.replay()
        assert_close(out, world.expected())


@pytest.mark.slow
@pytest.mark.parametrize("arch", [80, 86, 89, 90])
def test_every_kernel_compiles_for(arch: int, tmp_path: Path) -> None:
    script = Path(__file__).with_name("compile_kernels.py")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | {"TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(script), str(arch)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
