"""The tower's attention kernel: any mix of frames equals attention written out, and no frame reaches another."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.triton_device import DEVICE

# isort: split

from flashweb.model import glm4v
from flashweb.model.glm4v import Glm4v
from flashweb.model.kernels import tower_attention
from flashweb.model.kernels.tower_attention import (
    BEST,
    OTHERS,
    TowerPlan,
    attend_frames,
    attention_error,
    frame_tiles,
    max_tiles,
    plan_for,
    plan_on,
    reference_attend_frames,
)
from flashweb.model.tower_graphs import TowerGraphs, max_frames
from flashweb.types import Grid
from tests.parity.reference import make_checkpoint, random_picture

VISION = {"hidden_size": 32, "num_heads": 2, "out_hidden_size": 64}


def packed(lengths: list[int], heads: int, head_dim: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(sum(lengths))
    return torch.randn(sum(lengths), 3, heads, head_dim).to(DEVICE, dtype)


def check(
    lengths: list[int], heads: int, head_dim: int, dtype: torch.dtype = torch.float32, plan: TowerPlan | None = None
) -> None:
    qkv = packed(lengths, heads, head_dim, dtype)
    rows = (plan or plan_on(qkv)).rows
    tiles = frame_tiles(lengths, rows, max_tiles(len(qkv), len(lengths), rows))
    out = torch.full((len(qkv), heads * head_dim), float("nan"), dtype=dtype, device=DEVICE)
    found = attend_frames(qkv, torch.from_numpy(tiles).to(DEVICE), out, plan)
    assert found is out
    close = 2e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(found, reference_attend_frames(qkv, lengths), rtol=close, atol=close)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("head_dim", [16, 64])
def test_frames_of_all_kinds_side_by_side(head_dim: int, dtype: torch.dtype) -> None:
    check([4, 200, 0, 64, 1, 0, 31], 3, head_dim, dtype)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 150), min_size=1, max_size=4))
def test_any_mix_of_frames_equals_the_reference(lengths: list[int]) -> None:
    check([*lengths, 4], 1, 16)


@pytest.mark.parametrize("plan", [BEST, *OTHERS])
def test_every_plan_gives_the_same(plan: TowerPlan) -> None:
    check([150, 4, 128], 2, 16, torch.bfloat16, plan)


def test_a_frame_of_nan_reaches_no_other_and_rows_of_no_frame_stay() -> None:
    qkv = packed([20, 9, 7, 4], 2, 16)
    wanted = reference_attend_frames(qkv, [20, 9, 7, 4])
    qkv[20:29, 2] = qkv[36:] = float("nan")
    out = torch.full((40, 32), 7.0, device=DEVICE)
    attend_frames(qkv, torch.from_numpy(frame_tiles([20, 9, 7], plan_on(qkv).rows)).to(DEVICE), out)
    torch.testing.assert_close(out[:20], wanted[:20])
    torch.testing.assert_close(out[29:36], wanted[29:36])
    assert (out[36:] == 7).all()


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8), st.sampled_from([1, 64, 128]))
def test_tiles_cover_every_row_once_and_never_more_than_there_is_room_for(lengths: list[int], rows: int) -> None:
    most = max_tiles(sum(lengths), len(lengths), rows)
    tiles = frame_tiles(lengths, rows, most)
    assert len(tiles) == most
    real = [tile for tile in tiles.tolist() if tile[0] < tile[2]]
    assert tiles[len(real) :].sum() == 0
    covered = sorted(row for first, _, end in real for row in range(first, min(first + rows, end)))
    assert covered == list(range(sum(lengths)))
    begins = [sum(lengths[:i]) for i in range(len(lengths))]
    frames = {(begin, begin + length) for begin, length in zip(begins, lengths, strict=True)}
    assert {(begin, end) for _, begin, end in real} <= frames
    sizes = [end - begin for _, begin, end in real]
    assert sizes == sorted(sizes, reverse=True)


def test_a_card_with_little_shared_memory_takes_fewer_keys_a_turn() -> None:
    assert plan_for(128, torch.bfloat16, 227 << 10).tile == 64
    assert plan_for(128, torch.bfloat16, 99 << 10).tile == 32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kernel_is_tried_before_it_is_trusted(dtype: torch.dtype) -> None:
    error = attention_error(2, 16, dtype, DEVICE)
    assert error < (1e-4 if dtype == torch.float32 else glm4v.KERNEL_TOLERANCE / 2)


# --- in the tower -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), vision=VISION)


@pytest.fixture
def model(folder: Path) -> Glm4v:
    made = Glm4v.load(folder, dtype="float32", device=DEVICE)
    made.vision.attention_kernels = tower_attention
    return made


def test_graphs_with_the_kernel_give_the_plain_towers_features_and_padding_costs_nothing(model: Glm4v) -> None:
    graphs = TowerGraphs(model.vision, (64, 256), capture=False)
    with torch.inference_mode():
        graphs._static.positions.fill_(float("nan"))  # a frame of padding is made of it
    for sizes in ([(2, 2)], [(4, 6), (8, 10)], [(8, 8)], [(16, 16)]):
        made = [random_picture(size, seed) for seed, size in enumerate(sizes)]
        patches, grids = [torch.from_numpy(p).to(DEVICE) for p, _ in made], [grid for _, grid in made]
        for found, wanted in zip(
            graphs.encode_images(patches, grids), model.encode_images(patches, grids), strict=True
        ):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
        size = graphs.size_for(sum(g.num_patches for g in grids), len(grids))
        tiles = graphs._attend.numbers([g.num_patches for g in grids], size or 0).reshape(-1, 3)
        assert tiles[:, 2].max() == sum(g.num_patches for g in grids)
        assert len(tiles) == max_tiles(size or 0, max_frames(size or 0), 64)


def test_one_frame_of_a_graphs_whole_size_has_room(model: Glm4v) -> None:
    graphs = TowerGraphs(model.vision, (64,), capture=False)
    assert len(graphs._attend.numbers([64], 64)) == graphs._attend.count(64) == len(graphs._static.numbers)
    picture, grid = random_picture((8, 8), 0)
    assert graphs.encode_images([torch.from_numpy(picture).to(DEVICE)], [Grid(1, 8, 8)])[0].shape[0] == grid.num_tokens


def test_a_card_on_which_the_kernel_is_wrong_is_served_by_torch(
    model: Glm4v, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model.distrust_kernels()
    assert model.vision.attention_kernels is tower_attention and not caplog.records
    monkeypatch.setattr(tower_attention, "attend_frames", lambda qkv, tiles, plan: qkv[:, 2].flatten(1).nan_to_num())
    model.distrust_kernels()
    assert model.vision.attention_kernels is None
    assert "the tower's attention kernel is off by" in caplog.text
