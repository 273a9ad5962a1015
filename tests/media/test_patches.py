"""Patch order and digests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from flashweb.media.geometry import ImageGeometry
from flashweb.media.patches import digest, empty_patches, place_patches
from flashweb.types import Grid
from tests.media.pictures import noise

GEOMETRY = ImageGeometry()


def patchify(image: Image.Image, edges: Sequence[int] = ()) -> NDArray[np.uint8]:
    """The rows of a picture, placed in strips cut at these edges (in patches)."""
    out = empty_patches(image.height, image.width, GEOMETRY)
    cuts = sorted({0, image.width // 14, *edges})
    for left, right in zip(cuts, cuts[1:], strict=False):
        strip = image.crop((left * 14, 0, right * 14, image.height))
        place_patches(out, strip, left * 14, image.width, GEOMETRY)
    return out


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from(["RGB", "L"]), st.lists(st.integers(0, 9), max_size=3))
def test_rows_are_merge_blocks_of_channel_major_patches(rows: int, columns: int, mode: str, edges: list[int]) -> None:
    """Against the definition, pixel by pixel, whole and in strips."""
    image = noise(rows * 28, columns * 28, mode)
    pixels = np.asarray(image.convert("RGB"))
    expected = [
        pixels[by * 28 + y * 14 :, bx * 28 + x * 14 :][:14, :14].transpose(2, 0, 1).ravel()
        for by in range(rows)
        for bx in range(columns)
        for y in range(2)
        for x in range(2)
    ]
    patches = patchify(image, [edge for edge in edges if edge < columns * 2])
    assert patches.dtype == np.uint8
    assert patches.flags.c_contiguous
    assert np.array_equal(patches, np.array(expected))


def test_digests_tell_shape_and_pixels_apart() -> None:
    wide, tall = noise(28, 84), noise(28, 84).transpose(Image.Transpose.TRANSPOSE)
    flat = Image.new("RGB", (84, 28), (7, 7, 7))
    flat_tall = Image.new("RGB", (28, 84), (7, 7, 7))
    seen = set()
    for image in (wide, tall, flat, flat_tall, wide.crop((0, 0, 56, 28)), wide.transpose(Image.Transpose.ROTATE_180)):
        patches = patchify(image)
        seen.add(digest(patches, Grid(1, image.height // 14, image.width // 14), GEOMETRY))
    assert len(seen) == 6


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(0, 255))
def test_equal_bytes_in_another_shape_have_another_digest(rows: int, columns: int, seed: int, value: int) -> None:
    patches = np.full((rows * columns * 4, 588), value, dtype=np.uint8)
    grid, turned = Grid(1, rows * 2, columns * 2), Grid(1, columns * 2, rows * 2)
    assert (digest(patches, grid, GEOMETRY) == digest(patches, turned, GEOMETRY)) == (rows == columns)
    changed = patches.copy()
    changed[seed % len(changed), seed] ^= 1
    assert digest(changed, grid, GEOMETRY) != digest(patches, grid, GEOMETRY)


def test_digests_depend_on_the_geometry_and_are_32_bytes() -> None:
    patches = patchify(noise(28, 28))
    one = digest(patches, Grid(1, 2, 2), GEOMETRY)
    assert len(one) == 32
    assert one == digest(patches.copy(), Grid(1, 2, 2), GEOMETRY)
    assert one != digest(patches, Grid(1, 2, 2), dataclasses.replace(GEOMETRY, mean=(0.5, 0.5, 0.5)))


def test_a_digest_does_not_depend_on_who_helps() -> None:
    grid = Grid(1, 100, 60)
    patches = np.random.default_rng(0).integers(0, 256, (6000, 588), dtype=np.uint8)
    with ThreadPoolExecutor(1) as helper:
        assert digest(patches, grid, GEOMETRY, helper) == digest(patches, grid, GEOMETRY)
    changed = patches.copy()
    changed[-1, -1] ^= 1
    assert digest(changed, grid, GEOMETRY) != digest(patches, grid, GEOMETRY)
