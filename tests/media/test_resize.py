"""Strips give exactly the pixels of the whole, or are not used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from flashweb.media import resize
from flashweb.media.resize import _strips, pieces, resize_piece, strips_work_here, weights_agree
from tests.media.pictures import noise


@pytest.fixture
def always_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures are split too, so that many can be tried."""
    monkeypatch.setattr(resize, "_SPLIT_FROM_PIXELS", 0)


def assembled(image: Image.Image, height: int, width: int, most: int = 2) -> tuple[NDArray[np.uint8], int]:
    parts = pieces(image, height, width, most=most)
    return np.concatenate([np.asarray(resize_piece(image, height, part)) for part in parts], axis=1), len(parts)


def whole(image: Image.Image, height: int, width: int) -> NDArray[np.uint8]:
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


@given(st.integers(1, 120), st.integers(1, 2500), st.integers(1, 4), st.integers(1, 90), st.sampled_from(["RGB", "L"]))
@settings(max_examples=300)
def test_pieces_give_the_pixels_of_the_whole(
    height: int, width: int, target_rows: int, target_columns: int, mode: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resize, "_SPLIT_FROM_PIXELS", 0)
        image = noise(height, width, mode, seed=width)
        for most in (2, 4):
            pixels, _ = assembled(image, target_rows * 28, target_columns * 28, most)
            assert np.array_equal(pixels, whole(image, target_rows * 28, target_columns * 28))


@pytest.mark.usefixtures("always_split")
@pytest.mark.parametrize("most", [2, 4])
@pytest.mark.parametrize(("source", "target"), [((1024, 1024), (1036, 1036)), ((1080, 1920), (1092, 1932))])
def test_common_sizes_are_really_split(source: tuple[int, int], target: tuple[int, int], most: int) -> None:
    if not strips_work_here():
        pytest.skip("this machine's Pillow is used whole")
    image = noise(*source)
    pixels, count = assembled(image, *target, most)
    assert count == most
    assert np.array_equal(pixels, whole(image, *target))


@pytest.mark.usefixtures("always_split")
@pytest.mark.parametrize("most", [2, 4])
def test_most_widths_are_split_and_none_wrongly(most: int) -> None:
    """Every width of 28 px steps from a few sources; rows are few because the widths are what matters."""
    if not strips_work_here():
        pytest.skip("this machine's Pillow is used whole")
    counts = []
    for source in (333, 640, 1001, 1500, 4000):
        image = noise(30, source, "L", seed=source)
        for columns in range(4, 72, 3):
            pixels, count = assembled(image, 56, columns * 28, most)
            assert np.array_equal(pixels, whole(image, 56, columns * 28)), (source, columns * 28)
            counts.append(count)
    assert sum(count == most for count in counts) > 0.8 * len(counts)


@given(st.integers(100, 5000), st.integers(2, 100), st.sampled_from([2, 4]))
@settings(max_examples=100)
def test_the_check_of_weights_predicts_pillow(source: int, columns: int, count: int) -> None:
    """Where the weights agree, one row of random pixels comes out the same in strips."""
    assume(strips_work_here())
    width = columns * 28
    image = noise(28, source, "L", seed=columns)
    if weights_agree(source, width, count):
        strips = [np.asarray(resize_piece(image, 28, piece)) for piece in _strips(image, width, count)]
        assert np.array_equal(np.concatenate(strips, axis=1), whole(image, 28, width))


# (source width, target width, first source column that matters, pixels there): found by comparing Pillow's weights
# made at once and made in halves; one weight differs in its last bit, and these pixels bring that bit to light.
UNEQUAL_HALVES = [
    (3137, 2604, 1788, [138, 169, 232, 198, 103]),
    (2130, 2324, 1330, [75, 122, 18, 73]),
    (3540, 1372, 2721, [125, 6, 161, 190, 205, 56, 88, 221, 245, 216]),
    (1478, 2324, 934, [57, 136, 244, 227]),
]


@pytest.mark.usefixtures("always_split")
@pytest.mark.parametrize(("source", "target", "column", "values"), UNEQUAL_HALVES)
def test_pictures_that_halves_would_change_stay_whole(source: int, target: int, column: int, values: list[int]) -> None:
    pixels = np.zeros((28, source), dtype=np.uint8)
    pixels[:, column : column + len(values)] = values
    image = Image.fromarray(pixels)
    assert not weights_agree(source, target, 2)
    assert np.array_equal(assembled(image, 28, target)[0], whole(image, 28, target))
    if strips_work_here():
        halves = [np.asarray(resize_piece(image, 28, piece)) for piece in _strips(image, target, 2)]
        assert not np.array_equal(np.concatenate(halves, axis=1), whole(image, 28, target)), "the check is needed"


@pytest.mark.usefixtures("always_split")
def test_pictures_whose_columns_go_first_stay_whole() -> None:
    image = noise(480, 640)
    assert len(pieces(image, 308, 644, most=4)) == 1
    assert np.array_equal(assembled(image, 308, 644)[0], whole(image, 308, 644))


def test_small_pictures_and_pictures_that_fit_stay_whole() -> None:
    assert len(pieces(noise(60, 60), 84, 84, most=4)) == 1
    assert len(pieces(noise(1036, 1036), 1036, 1036, most=4)) == 1
    assert len(pieces(noise(1024, 1024), 1036, 1036, most=1)) == 1


@pytest.mark.slow
def test_thousands_of_widths_are_never_split_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resize, "_SPLIT_FROM_PIXELS", 0)
    generator = np.random.default_rng(1)
    for _ in range(1500):
        source, columns = int(generator.integers(100, 6000)), int(generator.integers(2, 120))
        image = noise(20, source, "L", seed=columns)
        for most in (2, 4):
            assert np.array_equal(assembled(image, 28, columns * 28, most)[0], whole(image, 28, columns * 28))
