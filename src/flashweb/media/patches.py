"""Resized RGB pictures -> the patch rows the tower reads, and a picture's digest. Knows nothing of files or formats."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flashweb.media.geometry import ImageGeometry
from flashweb.media.settings import ResizeMode
from flashweb.types import Enhancement, Grid

# Part of every digest: raise it when the same source bytes may give other patches than before.
PREPROCESSING_VERSION = 2


def empty_patches(height: int, width: int, geometry: ImageGeometry) -> NDArray[np.uint8]:
    """Room for the rows of a picture of (height, width) pixels: uint8 [num_patches, 3 * patch * patch], unset."""
    p = geometry.patch_size
    return np.empty((height // p * (width // p), 3 * p * p), dtype=np.uint8)


def frame_patches(frame: NDArray[np.uint8], geometry: ImageGeometry) -> NDArray[np.uint8]:
    """The rows of one frame of a clip, red, green and blue as uint8 [3, height, width], of a target size."""
    _, height, width = frame.shape
    patches = empty_patches(height, width, geometry)
    place_planes(patches, list(frame), 0, width, geometry)
    return patches


def planes_of(image: Image.Image) -> list[NDArray[np.uint8]]:
    """Red, green and blue of an RGB or L picture, each uint8 [height, width]."""
    return [np.asarray(plane) for plane in (image.split() if image.mode == "RGB" else (image,) * 3)]


def place_strip(
    out: NDArray[np.uint8], planes: Sequence[NDArray[np.uint8]], left: int, width: int, geometry: ImageGeometry
) -> None:
    """`place_planes` for the whole patches of a strip that may begin and end within others."""
    p = geometry.patch_size
    start = -left % p
    end = planes[0].shape[1] - (left + planes[0].shape[1]) % p
    if start < end:
        place_planes(out, [plane[:, start:end] for plane in planes], left + start, width, geometry)


def place_seam(
    out: NDArray[np.uint8],
    before: Sequence[NDArray[np.uint8]],
    behind: Sequence[NDArray[np.uint8]],
    edge: int,
    width: int,
    geometry: ImageGeometry,
) -> None:
    """The patches that the edge between two strips, `edge` pixels into the picture, cuts in two, if it cuts any. Both
    strips reach across their part of them."""
    p = geometry.patch_size
    inside = edge % p
    if inside:
        seam = [np.hstack((a[:, -inside:], b[:, : p - inside])) for a, b in zip(before, behind, strict=True)]
        place_planes(out, seam, edge - inside, width, geometry)


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


def clip_digest(file: bytes, frames: tuple[int, int], grid: Grid, geometry: ImageGeometry) -> bytes:
    """32 bytes over a temporal patch of a clip, of whose file `file` is the digest: as `digest`."""
    how = (
        f"flashweb frames {PREPROCESSING_VERSION} {frames} grid {grid.h},{grid.w} "
        f"patch {geometry.patch_size} merge {geometry.merge_size} mean {geometry.mean} std {geometry.std}"
    ).encode()
    return hashlib.sha256(hashlib.sha256(how).digest() + file).digest()


def digest(
    data: bytes, grid: Grid, geometry: ImageGeometry, resize: ResizeMode, enhance: Enhancement | None = None
) -> bytes:
    """32 bytes over the picture's file and all that decides what is made of it: equal digests mean equal vision
    features.

    Of the file, not of the pixels made from it: those are 30 times the bytes of a photograph, and hashing them would
    take a quarter of the time that preparing it does. The same pixels saved in another format have another digest.
    """
    how = (
        f"flashweb picture {PREPROCESSING_VERSION} {resize} uint8 rgb grid {grid.t},{grid.h},{grid.w} "
        f"patch {geometry.patch_size} merge {geometry.merge_size} mean {geometry.mean} std {geometry.std}"
        f"{f' enhance {enhance}' if enhance else ''}"
    ).encode()
    # SHA-256: processors of the last years have instructions for it, twice as fast there as BLAKE2b.
    return hashlib.sha256(hashlib.sha256(how).digest() + hashlib.sha256(data).digest()).digest()
