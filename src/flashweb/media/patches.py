"""Resized RGB pictures -> the patch rows the tower reads, and their digest. Knows nothing of files or formats."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flashweb.media.geometry import ImageGeometry
from flashweb.types import Grid

# Part of every digest: raise it when the same source bytes may give other patches than before.
PREPROCESSING_VERSION = 1

_LEAF_BYTES = 1 << 20


def empty_patches(height: int, width: int, geometry: ImageGeometry) -> NDArray[np.uint8]:
    """Room for the rows of a picture of (height, width) pixels: uint8 [num_patches, 3 * patch * patch], unset."""
    p = geometry.patch_size
    return np.empty((height // p * (width // p), 3 * p * p), dtype=np.uint8)


def place_patches(out: NDArray[np.uint8], image: Image.Image, left: int, width: int, geometry: ImageGeometry) -> None:
    """Cut an RGB or L strip of a picture into `out`'s rows; see `place_planes`."""
    planes = [np.asarray(plane) for plane in (image.split() if image.mode == "RGB" else (image,) * 3)]
    place_planes(out, planes, left, width, geometry)


def place_planes(
    out: NDArray[np.uint8], planes: Sequence[NDArray[np.uint8]], left: int, width: int, geometry: ImageGeometry
) -> None:
    """Cut a strip of whole patches, `left` pixels into a picture `width` pixels wide, into `out`'s rows.

    planes: red, green, blue, each uint8 [height, strip width]. Columns of `out` are in order (C, y, x), rows in
    merge-block-major order: the merge * merge patches of one token follow each other (transformers
    `Glm46VImageProcessorPil.patchify`). A row of a patch is one run of `patch` bytes and is copied whole instead of
    pixel by pixel. Strips may be placed from several threads.
    """
    p, m = geometry.patch_size, geometry.merge_size
    height, strip_width = planes[0].shape
    assert strip_width % p == 0 and left % p == 0 and height % (p * m) == 0, "resize comes first"
    run = np.dtype((np.void, p))
    token_rows, token_columns, first = height // (p * m), width // (p * m), left // p
    # (token row, token column, patch row, patch column, channel, pixel row), each item one run of p pixels
    runs_out = out.reshape(-1).view(run).reshape(token_rows, token_columns, m, m, 3, p)
    for channel, plane in enumerate(planes):
        runs = plane.view(run).reshape(token_rows, m, p, strip_width // p)
        for column in range(m):  # a strip may begin in the middle of a token
            skip = (column - first) % m
            chosen = runs[..., skip::m]
            start = (first + skip) // m
            runs_out[:, start : start + chosen.shape[-1], :, column, channel] = chosen.transpose(0, 3, 1, 2)


def digest(patches: NDArray[np.uint8], grid: Grid, geometry: ImageGeometry, helper: Executor | None = None) -> bytes:
    """32 bytes over version, geometry, grid and pixels: equal digests mean equal vision features.

    A tree of two levels (leaves of 1 MiB), so that two threads may share the work; the result does not depend on it.
    """
    header = (
        f"flashweb picture {PREPROCESSING_VERSION} uint8 rgb {patches.shape[0]}x{patches.shape[1]} "
        f"grid {grid.t},{grid.h},{grid.w} patch {geometry.patch_size} merge {geometry.merge_size} "
        f"mean {geometry.mean} std {geometry.std}"
    ).encode()
    data = np.ascontiguousarray(patches).reshape(-1).data
    leaves = [data[start : start + _LEAF_BYTES] for start in range(0, len(data), _LEAF_BYTES)]
    if helper is None or len(leaves) < 2:
        hashes = _hash_leaves(leaves)
    else:
        half = len(leaves) // 2
        first = helper.submit(_hash_leaves, leaves[:half])
        second = _hash_leaves(leaves[half:])
        hashes = first.result() + second
    return hashlib.sha256(b"flashweb picture\0" + hashlib.sha256(header).digest() + hashes).digest()


def _hash_leaves(leaves: Sequence[memoryview]) -> bytes:
    # SHA-256: processors of the last years have instructions for it, twice as fast there as BLAKE2b.
    return b"".join(hashlib.sha256(leaf).digest() for leaf in leaves)
