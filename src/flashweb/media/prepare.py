"""One picture from bytes to patches: decode, resize, cut. Plain functions for worker threads; no event loop."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from flashweb.media.decode import Header, decode
from flashweb.media.geometry import ImageGeometry
from flashweb.media.patches import empty_patches, place_patches
from flashweb.media.resize import Piece, pieces, resize_piece


def prepare(
    data: bytes, header: Header, geometry: ImageGeometry, max_image_size: int = 0, helper: Executor | None = None
) -> NDArray[np.uint8]:
    """A checked picture -> its patches (see `empty_patches`). `helper` may take half of the work of a large one.

    Raises InvalidImage, TooLarge.
    """
    height, width = geometry.target_size(header.height, header.width, max_image_size)
    image = decode(data, header)
    patches = empty_patches(height, width, geometry)

    def make(piece: Piece) -> None:
        place_patches(patches, resize_piece(image, height, piece), piece.left, width, geometry)

    first, *others = pieces(image, height, width, split=helper is not None)
    pending = [helper.submit(make, piece) for piece in others] if helper is not None else []
    make(first)
    for piece in pending:
        piece.result()
    return patches
