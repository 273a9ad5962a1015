"""One picture from bytes to patches: decode, resize, cut. Plain functions for worker threads; no event loop."""

from __future__ import annotations

import time
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from flashweb.media.decode import Header, decode
from flashweb.media.enhance import enhanced
from flashweb.media.geometry import ImageGeometry
from flashweb.media.patches import empty_patches, place_seam, place_strip, planes_of
from flashweb.media.resize import Piece, pieces, resize_piece
from flashweb.types import Enhancement, PictureTimes


def prepare(
    data: bytes,
    header: Header,
    geometry: ImageGeometry,
    max_image_size: int = 0,
    helper: Executor | None = None,
    num_threads: int = 2,
    enhance: Enhancement | None = None,
    times: PictureTimes | None = None,
) -> NDArray[np.uint8]:
    """A checked picture -> its patches (see `empty_patches`). `helper` may take parts of the work of a large one, so
    that `num_threads` are at it, this one among them.

    Raises InvalidImage, TooLarge.
    """
    height, width = geometry.target_size(header.height, header.width, max_image_size)
    began = time.perf_counter()
    image = decode(data, header)
    decoded = time.perf_counter()
    image = enhanced(image, enhance)
    patches = empty_patches(height, width, geometry)

    def make(piece: Piece) -> list[NDArray[np.uint8]]:
        planes = planes_of(resize_piece(image, height, piece))
        place_strip(patches, planes, piece.left, width, geometry)
        return planes

    strips = pieces(image, height, width, most=1 if helper is None else num_threads)
    pending = [helper.submit(make, piece) for piece in strips[1:]] if helper is not None else []
    made = [make(strips[0]), *(one.result() for one in pending)]
    for piece, before, behind in zip(strips[1:], made, made[1:], strict=False):
        place_seam(patches, before, behind, piece.left, width, geometry)
    if times is not None:
        times.decodes.append(decoded - began)
        times.preparations.append(time.perf_counter() - decoded)
    return patches
