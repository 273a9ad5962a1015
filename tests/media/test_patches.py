"""Patch order and digests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from flashweb.media.geometry import ImageGeometry
from flashweb.media.patches import digest, empty_patches, place_seam, place_strip, planes_of
from flashweb.types import Grid
from tests.media.pictures import encoded, noise

GEOMETRY = ImageGeometry()


def patchify(image: Image.Image, edges: Sequence[int] = ()) -> NDArray[np.uint8]:
    """The rows of a picture, placed in strips cut at these edges (in halves of a patch)."""
    out = empty_patches(image.height, image.width, GEOMETRY)
    cuts = [7 * edge for edge in sorted({0, image.width // 7, *edges})]
    pairs = list(zip(cuts, cuts[1:], strict=False))
    strips = [planes_of(image.crop((left, 0, right, image.height))) for left, right in pairs]
    for (left, _), planes in zip(pairs, strips, strict=True):
        place_strip(out, planes, left, image.width, GEOMETRY)
    for (_, edge), before, behind in zip(pairs, strips, strips[1:], strict=False):
        place_seam(out, before, behind, edge, image.width, GEOMETRY)
    return out


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from(["RGB", "L"]), st.lists(st.integers(0, 19), max_size=5))
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
    patches = patchify(image, [edge for edge in edges if edge < columns * 4])
    assert patches.dtype == np.uint8
    assert patches.flags.c_contiguous
    assert np.array_equal(patches, np.array(expected))


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_a_digest_tells_files_and_grids_apart(one: bytes, two: bytes, rows: int, columns: int) -> None:
    grid, turned = Grid(1, rows * 2, columns * 2), Grid(1, columns * 2, rows * 2)
    assert (digest(one, grid, GEOMETRY, "exact") == digest(two, grid, GEOMETRY, "exact")) == (one == two)
    assert (digest(one, grid, GEOMETRY, "exact") == digest(one, turned, GEOMETRY, "exact")) == (rows == columns)


def test_a_digest_tells_apart_what_else_decides_the_features_and_has_32_bytes() -> None:
    data, grid = encoded(noise(28, 28)), Grid(1, 2, 2)
    one = digest(data, grid, GEOMETRY, "exact")
    assert len(one) == 32
    assert one == digest(bytes(bytearray(data)), grid, GEOMETRY, "exact")
    assert one != digest(data, grid, GEOMETRY, "fast")
    assert one != digest(data, grid, dataclasses.replace(GEOMETRY, mean=(0.5, 0.5, 0.5)), "exact")
