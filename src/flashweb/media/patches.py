"""Resized RGB pictures -> the patch rows the tower reads, and their digest. Knows nothing of files or formats."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flashweb.media.geometry import ImageGeometry
from flashweb.types import Grid

# Part of every digest: raise it when the same source bytes may give other patches than before.
PREPROCESSING_VERSION = 1


def patchify(image: Image.Image, geometry: ImageGeometry) -> NDArray[np.uint8]:
    """Cut an RGB or L picture of whole tokens into rows.

    Returns uint8 [num_patches, 3 * patch * patch], columns in order (C, y, x), rows in merge-block-major order (the
    merge * merge patches of one token follow each other; transformers `Glm46VImageProcessorPil.patchify`).
    Works on planes: a row of a patch is then one run of `patch` bytes, copied whole instead of pixel by pixel.
    """
    p, m = geometry.patch_size, geometry.merge_size
    width, height = image.size
    assert width % (p * m) == 0 and height % (p * m) == 0, "resize comes first"
    run = np.dtype((np.void, p))
    rows, columns = height // (p * m), width // (p * m)
    out = np.empty((rows, columns, m, m, 3, p), dtype=run)
    planes = image.split() if image.mode == "RGB" else (image,) * 3
    for channel, plane in enumerate(planes):
        assert plane.mode == "L"
        runs = np.asarray(plane).view(run).reshape(rows, m, p, columns, m)
        out[:, :, :, :, channel] = runs.transpose(0, 3, 1, 4, 2)
    return out.view(np.uint8).reshape(rows * columns * m * m, 3 * p * p)


def digest(patches: NDArray[np.uint8], grid: Grid, geometry: ImageGeometry) -> bytes:
    """32 bytes over version, geometry, grid and pixels: equal digests mean equal vision features."""
    header = (
        f"flashweb picture {PREPROCESSING_VERSION} uint8 rgb {patches.shape[0]}x{patches.shape[1]} "
        f"grid {grid.t},{grid.h},{grid.w} patch {geometry.patch_size} merge {geometry.merge_size} "
        f"mean {geometry.mean} std {geometry.std}"
    ).encode()
    state = hashlib.blake2b(header.ljust(256, b"\0"), digest_size=32, person=b"flashweb-pixels")
    state.update(np.ascontiguousarray(patches).data)
    return state.digest()
