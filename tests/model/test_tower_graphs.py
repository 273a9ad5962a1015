"""The tower as a graph computes it, padded and with any mix of pictures, gives the plain tower's features."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.model.glm4v import Glm4v
from flashweb.model.tower_graphs import LADDER, TowerGraphs, attend_packed, max_frames, reference_attend_packed
from flashweb.model.vision import _attend_frames, _attention_backends
from flashweb.types import Grid
from tests.parity.reference import make_checkpoint, random_picture

SIZES = (64, 256, 512)
VISION = {"hidden_size": 128, "num_heads": 2, "out_hidden_size": 64}  # heads of 64, which flash attention takes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), vision=VISION)


@pytest.fixture(scope="module")
def model(folder: Path) -> Glm4v:
    return Glm4v.load(folder, device="cpu", dtype="float32")


def pictures(sizes: list[tuple[int, int]], device: torch.device | str = "cpu") -> tuple[list[torch.Tensor], list[Grid]]:
    made = [random_picture(size, seed) for seed, size in enumerate(sizes)]
    return [torch.from_numpy(p).to(device) for p, _ in made], [g for _, g in made]


def refuse(*_: object) -> list[torch.Tensor]:
    raise AssertionError("encoded without a graph")


@pytest.mark.parametrize(
    "sizes",
    [
        [(2, 2)],
        [(8, 8)],  # a graph's size exactly
        [(2, 34)],  # and a token more
        [(16, 16)],
        [(8, 8), (4, 6)],
        [(4, 6), (16, 10), (6, 4)],
    ],
    ids=str,
)
def test_padded_and_mixed_sets_give_the_plain_towers_features(
    model: Glm4v, sizes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = TowerGraphs(model.vision, SIZES, capture=False)
    patches, grids = pictures(sizes)
    wanted = model.encode_images(patches, grids)
    monkeypatch.setattr(model.vision, "encode", refuse)
    for _ in range(2):  # the second time over what the first has left
        for found, features in zip(graphs.encode_images(patches, grids), wanted, strict=True):
            torch.testing.assert_close(found, features, rtol=1e-5, atol=1e-5)
        graphs.encode_images(*pictures([(12, 14), (18, 18)]))


def test_frames_of_one_item_are_frames_of_the_graph(model: Glm4v) -> None:
    patches, grids = pictures([(4, 6), (4, 6)])
    clip = TowerGraphs(model.vision, SIZES, capture=False).encode_images([torch.cat(patches)], [Grid(2, 4, 6)])[0]
    torch.testing.assert_close(clip, torch.cat(model.encode_images(patches, grids)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_two_frames_at_once_among_stills_keep_their_places(folder: Path, device: str) -> None:
    model = Glm4v.load(folder, device=device, dtype="float32" if device == "cpu" else "bfloat16")
    patches, grids = pictures([(4, 6), (8, 8), (4, 6), (16, 16), (4, 6)], device)
    for at in (1, 2):
        patches[at] = torch.cat((patches[at], patches[at].flip(0)), dim=1)
    graphs = TowerGraphs(model.vision, SIZES, capture=device != "cpu")
    for found, rows, grid in zip(graphs.encode_images(patches, grids), patches, grids, strict=True):
        (wanted,) = model.encode_images([rows], [grid])
        assert torch.cosine_similarity(found.float().flatten(), wanted.float().flatten(), dim=0) > 0.999


def test_padding_that_holds_nan_reaches_no_picture(model: Glm4v) -> None:
    graphs = TowerGraphs(model.vision, SIZES, capture=False)
    with torch.inference_mode():
        graphs._static.positions.fill_(float("nan"))
    assert graphs.encode_images(*pictures([(4, 6)]))[0].isfinite().all()


def test_features_outlive_the_next_pictures(model: Glm4v) -> None:
    graphs = TowerGraphs(model.vision, SIZES, capture=False)
    first = graphs.encode_images(*pictures([(4, 6), (2, 2)]))
    before = [features.clone() for features in first]
    graphs.encode_images(*pictures([(16, 16)]))
    for features, remembered in zip(first, before, strict=True):
        assert torch.equal(features, remembered)
        assert features.untyped_storage().nbytes() == features.nbytes


@pytest.mark.parametrize("sizes", [[(16, 34)], [(2, 2)] * 4], ids=["patches", "frames"])
def test_what_no_graph_has_room_for_goes_the_towers_usual_way(
    model: Glm4v, sizes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = TowerGraphs(model.vision, SIZES, capture=False)
    monkeypatch.setattr(graphs, "_compute", refuse)
    patches, grids = pictures(sizes)
    for found, wanted in zip(graphs.encode_images(patches, grids), model.encode_images(patches, grids), strict=True):
        assert torch.equal(found, wanted)


def test_a_set_takes_the_smallest_graph_with_room_for_its_patches_and_frames(model: Glm4v) -> None:
    graphs = TowerGraphs(model.vision, SIZES, capture=False)
    assert [graphs.size_for(n, 1) for n in (4, 64, 68, 512, 516)] == [64, 64, 256, 512, None]
    assert [graphs.size_for(16, frames) for frames in (1, 2, 3, 4)] == [64, 256, 512, None]
    assert all(size % 4 == 0 for size in LADDER) and max_frames(1024) == 5


def test_no_pictures_are_no_features(model: Glm4v) -> None:
    assert TowerGraphs(model.vision, SIZES, capture=False).encode_images([], []) == []


def test_without_flash_attention_there_are_no_graphs_and_the_log_says_so(
    model: Glm4v, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*_: object) -> torch.Tensor:
        raise RuntimeError("not enabled for build\nand a page of more")

    monkeypatch.setattr("flashweb.model.tower_graphs.attend_packed", missing)
    with caplog.at_level(logging.WARNING):
        assert model.new_tower_graphs() is None
    assert [record.message for record in caplog.records] == [
        "small pictures are encoded without CUDA graphs, which is slower: not enabled for build"
    ]


def test_the_engine_encodes_with_the_graphs_it_has(model: Glm4v, monkeypatch: pytest.MonkeyPatch) -> None:
    core = EngineCore(model, EngineConfig(kv_cache_bytes=1 << 20, max_num_seqs=2))
    core.runner.tower = TowerGraphs(model.vision, SIZES, capture=False)
    monkeypatch.setattr(model.vision, "encode", refuse)
    core.warm_up()  # a picture of 256 patches; raises when it fails


@pytest.mark.gpu
def test_flash_attention_over_packed_frames_equals_its_reference() -> None:
    torch.manual_seed(0)
    qkv = torch.randn(300, 3, 2, 64, device="cuda", dtype=torch.bfloat16)
    offsets = torch.tensor([0, 4, 200, 300, 300, 300], dtype=torch.int32, device="cuda")
    torch.testing.assert_close(
        attend_packed(qkv, offsets, 300), reference_attend_packed(qkv, offsets), rtol=2e-2, atol=2e-2
    )


@pytest.mark.gpu
def test_captured_graphs_give_the_eager_towers_features_in_any_order(folder: Path) -> None:
    model = Glm4v.load(folder, device="cuda", dtype="bfloat16")
    graphs = model.new_tower_graphs()
    assert graphs is not None and graphs.num_bytes > 0
    sets = [[(32, 32)], [(2, 2)], [(16, 16)], [(16, 18), (8, 8), (40, 12)], [(64, 64)], [(2, 2)]]
    made = [pictures(sizes, "cuda") for sizes in sets]
    found = [graphs.encode_images(*each) for each in made]  # all launched before the first is read
    for each, features in zip(made, found, strict=True):
        for ours, wanted in zip(features, model.encode_images(*each), strict=True):
            assert ours.isfinite().all()
            assert torch.cosine_similarity(ours.float().flatten(), wanted.float().flatten(), dim=0) > 0.999


@pytest.mark.gpu
def test_in_fp32_there_are_no_graphs_on_a_gpu(folder: Path) -> None:
    assert Glm4v.load(folder, device="cuda", dtype="float32").new_tower_graphs() is None


@pytest.mark.gpu
def test_eager_attention_on_a_gpu_copies_nothing_behind_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel writes lies in memory as the output projection reads it."""
    written: list[torch.Tensor] = []

    def watched(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        written.append(attention(query, key, value))
        return written[-1]

    attention = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    qkv = torch.randn(512, 3, 2, 64, device="cuda", dtype=torch.bfloat16)
    with _attention_backends(qkv.device):
        attended = _attend_frames(qkv, [(2, 256)])
    assert attended.data_ptr() == written[0].data_ptr()


@pytest.mark.gpu
def test_the_engine_has_graphs_of_the_tower_where_graphs_are_on(folder: Path) -> None:
    model = Glm4v.load(folder, device="cuda", dtype="bfloat16")
    for graphs in (True, False):
        core = EngineCore(model, EngineConfig(kv_cache_bytes=1 << 20, max_num_seqs=2, cuda_graphs=graphs))
        assert (core.runner.tower is not None) is graphs
        core.warm_up()
