"""Patch order and digests."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flashweb.media.geometry import ImageGeometry
from flashweb.media.patches import digest, patchify
from flashweb.types import Grid
from tests.media.pictures import noise

GEOMETRY = ImageGeometry()


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from(["RGB", "L"]))
def test_rows_are_merge_blocks_of_channel_major_patches(rows: int, columns: int, mode: str) -> None:
    """Against the definition, pixel by pixel."""
    image = noise(rows * 28, columns * 28, mode)
    pixels = np.asarray(image.convert("RGB"))
    expected = [
        pixels[by * 28 + y * 14 :, bx * 28 + x * 14 :][:14, :14].transpose(2, 0, 1).ravel()
        for by in range(rows)
        for bx in range(columns)
        for y in range(2)
        for x in range(2)
    ]
    patches = patchify(image, GEOMETRY)
    assert patches.dtype == np.uint8
    assert patches.flags.c_contiguous
    assert np.array_equal(patches, np.array(expected))


def test_digests_tell_shape_and_pixels_apart() -> None:
    wide, tall = noise(28, 84), noise(28, 84).transpose(Image.Transpose.TRANSPOSE)
    flat = Image.new("RGB", (84, 28), (7, 7, 7))
    flat_tall = Image.new("RGB", (28, 84), (7, 7, 7))
    seen = set()
    for image in (wide, tall, flat, flat_tall, wide.crop((0, 0, 56, 28)), wide.transpose(Image.Transpose.ROTATE_180)):
        patches = patchify(image, GEOMETRY)
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
    patches = patchify(noise(28, 28), GEOMETRY)
    one = digest(patches, Grid(1, 2, 2), GEOMETRY)
    assert len(one) == 32
    assert one == digest(patches.copy(), Grid(1, 2, 2), GEOMETRY)
    assert one != digest(patches, Grid(1, 2, 2), dataclasses.replace(GEOMETRY, mean=(0.5, 0.5, 0.5)))
