"""The tower: one picture's features do not depend on the company it is encoded in, nor on how it is encoded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import flashweb.model.vision as vision_module
from flashweb.errors import CheckpointError
from flashweb.model.glm4v import Glm4v
from flashweb.model.rope import neighbour_pairs, rotate_
from flashweb.types import Grid
from tests.parity.reference import make_checkpoint, pixel_values, random_picture, reference_model

SIZES = [(4, 6), (6, 4), (6, 4), (2, 2), (16, 10), (4, 6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Glm4v:
    return Glm4v.load(folder)


def pictures(sizes: list[tuple[int, int]]) -> tuple[list[torch.Tensor], list[Grid]]:
    made = [random_picture(size, seed) for seed, size in enumerate(sizes)]
    return [torch.from_numpy(p) for p, _ in made], [g for _, g in made]


def test_pictures_of_many_sizes_in_one_call_equal_each_alone(model: Glm4v) -> None:
    patches, grids = pictures(SIZES)
    together = model.encode_images(patches, grids)
    for features, rows, grid in zip(together, patches, grids, strict=True):
        assert features.shape == (grid.num_tokens, 64)
        assert torch.allclose(features, model.encode_images([rows], [grid])[0], atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("slices", [1, 2, 3, 50])
def test_a_picture_in_slices_is_the_picture_at_once(model: Glm4v, slices: int) -> None:
    [rows], [grid] = pictures([(16, 10)])
    *before, features = model.encode_in_slices(rows, grid, slices)
    depth = model.config.vision.depth
    assert before == [None] * (-(-depth // -(-depth // slices)) - 1)
    assert features is not None and torch.equal(features, model.encode_images([rows], [grid])[0])


def test_features_equal_the_reference_tower(folder: Path, model: Glm4v) -> None:
    patches, grids = pictures(SIZES)
    tower = reference_model(folder).model.visual
    with torch.no_grad():
        theirs = tower(
            torch.cat([pixel_values(p.numpy()) for p in patches]),
            grid_thw=torch.tensor([[g.t, g.h, g.w] for g in grids]),
        ).pooler_output
    assert (torch.cat(model.encode_images(patches, grids)) - theirs).abs().max() < 1e-5 * max(1, theirs.abs().max())


def test_the_checkpoints_own_mean_and_std_are_folded_into_its_tower(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)
    mean, std = [0.5, 0.4, 0.3], [0.5, 0.25, 1.0]
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": std}))
    patches, grids = pictures(SIZES[:2])
    scaled = torch.cat(patches).view(-1, 3, 1, 196) / 255
    normalised = (scaled - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    tower = reference_model(folder).model.visual
    with torch.no_grad():
        theirs = tower(
            normalised.expand(-1, 3, 2, 196).reshape(-1, 1176),
            grid_thw=torch.tensor([[g.t, g.h, g.w] for g in grids]),
        ).pooler_output
    ours = torch.cat(Glm4v.load(folder).encode_images(patches, grids))
    assert (ours - theirs).abs().max() < 1e-5 * max(1, theirs.abs().max())


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"image_mean": [1]}', '{"image_mean": 0.5}', '{"image_std": [0.5, 0, 0.5]}', '{"image_std": ["a"]}'],
)
def test_pixel_statistics_that_cannot_be_used_are_refused_with_the_file(text: str, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)
    (folder / "preprocessor_config.json").write_text(text)
    with pytest.raises(CheckpointError, match="preprocessor_config.json"):
        Glm4v.load(folder)


def test_frames_of_one_item_do_not_see_each_other(model: Glm4v) -> None:
    patches, grids = pictures([(4, 6), (4, 6)])
    assert grids[0] == grids[1]
    clip = model.encode_images([torch.cat(patches)], [Grid(2, 4, 6)])[0]
    assert torch.allclose(clip, torch.cat(model.encode_images(patches, grids)), atol=1e-5)


def test_bf16_features_stay_close_to_fp32(folder: Path, model: Glm4v) -> None:
    """Raw pixels reach 255 while their mean is subtracted by the bias: only fp32 there keeps bf16 features useful."""
    patches, grids = pictures([(8, 8)])
    flat = torch.full_like(patches[0], 255)  # the worst case: all signal in the mean
    low = Glm4v.load(folder, dtype="bfloat16")
    for rows in (patches[0], flat):
        ours, theirs = (m.encode_images([rows], grids)[0].float().flatten() for m in (low, model))
        assert torch.cosine_similarity(ours, theirs, dim=0) > 0.999


def test_rotating_neighbour_pairs_scores_like_rotating_halves() -> None:
    """The loader's row order: scores of permuted queries and keys, rotated as pairs, equal the half-split formula."""
    torch.manual_seed(0)
    head_dim, n = 8, 5
    weight = torch.randn(2 * 3 * head_dim, 16)  # queries and keys of three heads
    x, angles = torch.randn(n, 16), torch.randn(n, head_dim // 2)
    unit = torch.polar(torch.ones_like(angles), angles)[:, None, None]
    ours = (x @ neighbour_pairs(weight, head_dim).t()).view(n, 2, 3, head_dim)
    rotate_(ours, unit)
    halves = (x @ weight.t()).view(n, 2, 3, head_dim)
    a, b = halves.chunk(2, dim=-1)
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    theirs = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
    for scored in (ours, theirs):
        assert scored.shape == (n, 2, 3, head_dim)
    scores = [torch.einsum("nhd,mhd->hnm", q[:, 0], q[:, 1]) for q in (ours, theirs)]
    assert torch.allclose(*scores, atol=1e-4)


def test_the_cache_of_grids_stays_within_its_bytes(model: Glm4v, monkeypatch: pytest.MonkeyPatch) -> None:
    tower = vision_module.VisionTower.__new__(vision_module.VisionTower)
    tower.__dict__.update(model.vision.__dict__)
    tower._lattices, tower._lattice_bytes = type(model.vision._lattices)(), 0
    one = tower._lattice(4, 4).num_bytes
    monkeypatch.setattr(vision_module, "GRID_CACHE_BYTES", 3 * one)
    for h, w in ((4, 4), (4, 4), (2, 8), (8, 2), (4, 4), (2, 2), (64, 64)):
        first = tower._lattice(h, w)
        assert first.positions.shape == (h * w, 48)
        held = sum(lattice.num_bytes for lattice in tower._lattices.values())
        assert tower._lattice_bytes == held <= 3 * one
    assert (4, 4) in tower._lattices and (64, 64) not in tower._lattices


def test_uint8_patches_are_normalised_inside_the_first_linear_map(folder: Path, model: Glm4v) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (32, 588), dtype=np.uint8)
    with torch.no_grad():
        theirs = reference_model(folder).model.visual.patch_embed(pixel_values(rows))
    ours = torch.nn.functional.linear(
        torch.from_numpy(rows).float(), model.vision.patch_weight, model.vision.patch_bias
    )
    assert (ours - theirs).abs().max() < 2e-5
