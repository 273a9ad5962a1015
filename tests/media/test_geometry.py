"""Sizes and token counts: invariants of the rule, the cap folded into it, and reading it from a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashweb.errors import CheckpointError, TooLarge
from flashweb.media.geometry import ImageGeometry, smart_resize

GEOMETRY = ImageGeometry()
sides = st.integers(1, 12_000)


def ratio(height: int, width: int) -> float:
    return max(height, width) / min(height, width)


@given(sides, sides, st.integers(0, 5000))
def test_targets_are_whole_tokens_within_the_areas(height: int, width: int, cap: int) -> None:
    if ratio(height, width) > 200:
        return
    h, w = GEOMETRY.target_size(height, width, cap)
    assert h % 28 == w % 28 == 0
    assert min(h, w) >= 28
    assert 2 * h * w <= GEOMETRY.max_pixels
    assert GEOMETRY.num_tokens(height, width, cap) == h * w // 784
    assert GEOMETRY.grid(height, width, cap).num_tokens == h * w // 784


@given(sides, sides, st.integers(112, 5000))
def test_the_cap_holds_whenever_the_models_minimum_allows_it(height: int, width: int, cap: int) -> None:
    if ratio(height, width) > 200:
        return
    target = GEOMETRY.target_size(height, width, cap)
    uncapped = GEOMETRY.target_size(height, width)
    if max(uncapped) <= cap:
        assert target == uncapped
    elif (
        ratio(height, width) <= (cap // 28 * 28) ** 2 / GEOMETRY.min_pixels * 0.9
        and ratio(height, width) < cap / 28 - 1
    ):
        assert max(target) <= cap
    assert max(target) <= max(uncapped)


@given(sides, sides)
def test_a_turned_picture_has_the_turned_target(height: int, width: int) -> None:
    if ratio(height, width) > 200:
        return
    assert GEOMETRY.target_size(height, width) == GEOMETRY.target_size(width, height)[::-1]


@pytest.mark.parametrize(
    ("size", "cap", "target"),
    [
        ((2048, 2048), 2048, (2044, 2044)),
        ((2044, 2044), 2048, (2044, 2044)),
        ((3000, 4000), 2048, (1540, 2044)),
        ((3000, 4000), 0, (1876, 2520)),
        ((480, 640), 2048, (476, 644)),
        ((50, 10_000), 2048, (28, 5208)),
        ((1, 1), 28, (84, 84)),
    ],
)
def test_the_cap_is_folded_into_the_one_resize(size: tuple[int, int], cap: int, target: tuple[int, int]) -> None:
    assert GEOMETRY.target_size(*size, cap) == target


def test_ribbons_over_200_to_1_have_no_target() -> None:
    assert GEOMETRY.target_size(1, 200) == (28, 5600)
    with pytest.raises(TooLarge, match="52800x44"):
        GEOMETRY.target_size(44, 52800)


def test_one_frame_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="1 frames"):
        smart_resize(1, 100, 100)


def test_a_checkpoints_own_areas_are_read(tmp_path: Path) -> None:
    config = {"size": {"shortest_edge": 784, "longest_edge": 1_000_000}, "image_mean": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    geometry = ImageGeometry.load(tmp_path)
    assert (geometry.min_pixels, geometry.max_pixels, geometry.mean) == (784, 1_000_000, (0.5, 0.5, 0.5))
    assert geometry.std == GEOMETRY.std


def test_a_checkpoint_without_the_file_gets_the_familys_defaults(tmp_path: Path) -> None:
    assert ImageGeometry.load(tmp_path) == ImageGeometry()


@pytest.mark.parametrize(
    ("key", "value"),
    [("do_resize", False), ("do_rescale", False), ("do_normalize", False), ("rescale_factor", 1 / 127.5)],
)
def test_a_step_that_is_done_differently_is_refused_with_its_value_and_the_fix(
    key: str, value: object, tmp_path: Path
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({key: value}))
    with pytest.raises(CheckpointError, match=f"preprocessor_config.json.*{key} is {value!r}.*set it to"):
        ImageGeometry.load(tmp_path)


def test_the_steps_as_every_checkpoint_of_the_family_spells_them_are_accepted(tmp_path: Path) -> None:
    steps = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 0.00392156862745098}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(steps))
    assert ImageGeometry.load(tmp_path) == ImageGeometry()
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(dict.fromkeys(steps)))
    assert ImageGeometry.load(tmp_path) == ImageGeometry(), "null is silence"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"size": {"shortest_edge": 10, "longest_edge": 5}}',
        '{"size": 3}',
        '{"merge_size": 3}',
        '{"image_mean": [1]}',
        '{"image_std": [0.5, 0, 0.5]}',
        '{"patch_size": 0}',
    ],
)
def test_a_broken_file_names_itself(text: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(CheckpointError, match="preprocessor_config.json"):
        ImageGeometry.load(tmp_path)


def test_the_familys_largest_picture_has_24_576_patches() -> None:
    assert ImageGeometry().max_patches == 6144 * 4


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(256, 12000))
def test_a_bound_holds_and_never_enlarges(height: int, width: int, max_tokens: int) -> None:
    geometry = ImageGeometry()
    if max(height, width) > 20 * min(height, width):
        return
    free, bounded = geometry.num_tokens(height, width), geometry.bounded(max_tokens * 784).num_tokens(height, width)
    assert bounded <= min(free, max_tokens)
    assert bounded == free or free > max_tokens


def test_no_bound_or_a_larger_one_is_the_checkpoints_own_rule() -> None:
    geometry = ImageGeometry()
    assert geometry.bounded(0) is geometry and geometry.bounded(1 << 31) is geometry
    assert geometry.bounded(1).max_pixels == geometry.min_pixels
