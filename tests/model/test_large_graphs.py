"""Which large pictures have a graph: those that come again, a few at a time, up to the size that there is room for."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from flashweb.model.glm4v import Glm4v
from flashweb.model.large_graphs import MAX_COUNTED, MAX_GRAPHS, RECORD_AT, REPLACE_AT, LargeGraphs
from flashweb.model.tower_graphs import TowerGraphs
from flashweb.types import Grid
from tests.parity.reference import make_checkpoint, random_picture

SIZES, LARGEST = (16, 64), Grid(1, 16, 16)
VISION = {"hidden_size": 64, "num_heads": 2, "out_hidden_size": 64}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Glm4v:
    folder: Path = make_checkpoint(tmp_path_factory.mktemp("checkpoint"), vision=VISION)
    return Glm4v.load(folder, device="cpu", dtype="float32")


class Recorded:
    """Counts what is recorded; a replay does nothing."""

    def __init__(self, most: int = 1000) -> None:
        self.numbers: list[int] = []
        self.graphs = LargeGraphs(self.record, 101, most)

    def record(self, number: int) -> object:
        self.numbers.append(number)
        return lambda: None

    def come(self, number: int, times: int = 1) -> bool:
        """Whether the last one had a graph."""
        return [self.graphs.replay_for(number) is not None for _ in range(times)][-1]


def test_a_number_has_a_graph_from_the_second_time_on() -> None:
    recorded = Recorded()
    assert [recorded.come(200) for _ in range(4)] == [False, True, True, True]
    assert recorded.numbers == [200] and RECORD_AT == 2


def test_the_least_recently_used_goes_when_another_has_come_often_enough() -> None:
    recorded = Recorded()
    for number in (200, 300, 400, 500):
        recorded.come(number, 2)
    recorded.come(200)
    assert not recorded.come(600, REPLACE_AT - 1)
    assert recorded.come(600) and recorded.graphs.recorded == [400, 500, 200, 600]
    assert len(recorded.graphs.recorded) == MAX_GRAPHS
    assert not recorded.come(300), "what went starts anew"


def test_numbers_beyond_the_bounds_have_none() -> None:
    recorded = Recorded(most=400)
    assert not recorded.come(100, 9) and not recorded.come(404, 9) and recorded.come(400, 2)


def test_few_numbers_without_a_graph_are_remembered() -> None:
    recorded = Recorded()
    for number in (200, *range(300, 300 + MAX_COUNTED)):
        recorded.come(number)
    assert not recorded.come(200) and recorded.come(200)


def test_when_recording_fails_the_log_says_so_and_no_other_is_tried(caplog: pytest.LogCaptureFixture) -> None:
    def fail(number: int) -> object:
        tried.append(number)
        raise torch.OutOfMemoryError("out of memory\nand a page of more")

    tried: list[int] = []
    graphs = LargeGraphs(fail, 0, 1000)
    with caplog.at_level(logging.WARNING):
        assert [graphs.replay_for(number) for number in (200, 200, 200, 300, 300)] == [None] * 5
    assert tried == [200]
    assert [record.message for record in caplog.records] == [
        "large pictures are encoded without new CUDA graphs, which is slower: out of memory"
    ]


def pictures(sizes: list[tuple[int, int]]) -> tuple[list[torch.Tensor], list[Grid]]:
    made = [random_picture(size, seed) for seed, size in enumerate(sizes)]
    return [torch.from_numpy(p) for p, _ in made], [grid for _, grid in made]


def test_large_and_small_pictures_in_one_step_have_the_plain_towers_features_in_their_order(model: Glm4v) -> None:
    graphs = TowerGraphs(model.vision, SIZES, largest=LARGEST, capture=False)
    assert graphs._static.pixels.shape[0] == LARGEST.num_patches
    patches, grids = pictures([(4, 4), (8, 10), (16, 16), (4, 6), (10, 8), (18, 16)])
    wanted = model.encode_images(patches, grids)
    for _ in range(3):
        for found, features in zip(graphs.encode_images(patches, grids), wanted, strict=True):
            torch.testing.assert_close(found, features, rtol=1e-5, atol=1e-5)
    # (10, 8) has as many patches as (8, 10): positions are data, one graph serves both. 18 x 16 are too many.
    assert sorted(graphs._large.recorded) == [80, 256]


def test_features_of_a_large_picture_outlive_the_next(model: Glm4v) -> None:
    graphs = TowerGraphs(model.vision, SIZES, largest=LARGEST, capture=False)
    patches, grids = pictures([(8, 10), (10, 12)])
    for _ in range(2):
        first = graphs.encode_images(patches[:1], grids[:1])[0]
    before = first.clone()
    for _ in range(2):
        graphs.encode_images(patches[1:], grids[1:])
    assert torch.equal(first, before)


def test_clips_and_pictures_without_room_have_no_graph(model: Glm4v) -> None:
    patches, grids = pictures([(8, 10), (8, 10)])
    clip = torch.cat(patches), Grid(2, 8, 10)
    graphs = TowerGraphs(model.vision, SIZES, largest=LARGEST, capture=False)
    without = TowerGraphs(model.vision, SIZES, capture=False)
    for _ in range(3):
        graphs.encode_images([clip[0]], [clip[1]])
        without.encode_images(patches[:1], grids[:1])
    assert graphs._large.recorded == without._large.recorded == []


@pytest.mark.gpu
def test_recorded_graphs_of_large_pictures_give_the_plain_towers_features(tmp_path: Path) -> None:
    model = Glm4v.load(
        make_checkpoint(tmp_path, vision={**VISION, "hidden_size": 128}), device="cuda", dtype="bfloat16"
    )
    graphs = TowerGraphs(model.vision, SIZES, largest=Grid(1, 74, 74))
    assert graphs._large.recorded == [5476]
    patches, grids = pictures([(74, 74), (60, 80), (4, 4), (80, 60), (40, 50)])
    patches = [rows.cuda() for rows in patches]
    reserved = []
    for _ in range(3):
        for i in range(len(grids)):
            found = graphs.encode_images(patches[i : i + 1], grids[i : i + 1])[0]
            wanted = model.encode_images(patches[i : i + 1], grids[i : i + 1])[0]
            assert found.isfinite().all()
            assert torch.cosine_similarity(found.float().flatten(), wanted.float().flatten(), dim=0) > 0.999
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        reserved.append(torch.cuda.memory_reserved())
    assert sorted(graphs._large.recorded) == [2000, 4800, 5476]
    assert reserved[-1] - reserved[0] < 32 << 20, "later graphs find room in the first one's memory"
