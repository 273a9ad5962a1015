"""Three-axis rotary positions (M-RoPE) of a prompt with pictures. Pure integers; knows nothing of text or pixels.

Rule (transformers `Glm4vModel.get_rope_index`): text tokens advance all three axes by one; a picture of h x w tokens
starting at p has temporal p, height p + row, width p + column, and the text behind it goes on at p + max(h, w).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from flashweb.types import Grid

_MERGE = 2  # patches per token and side


def rope_positions(num_tokens: int, spans: Iterable[tuple[int, Grid]]) -> tuple[NDArray[np.int32], int]:
    """Positions int32 [3, num_tokens] (temporal, height, width) and the delta of decoded tokens.

    `spans` holds (first token, grid) of every picture, in order and without overlap; a picture of t frames is t
    runs that follow each other. A token decoded at absolute index k has all axes equal to k + delta.
    """
    positions = np.empty((3, num_tokens), dtype=np.int32)
    index = position = 0
    for start, grid in spans:
        h, w = grid.h // _MERGE, grid.w // _MERGE
        assert start >= index and start + grid.t * h * w <= num_tokens, (
            "spans are in order, apart and inside the prompt"
        )
        positions[:, index:start] = np.arange(position, position + start - index, dtype=np.int32)
        position += start - index
        index = start
        for _ in range(grid.t):
            frame = positions[:, index : index + h * w].reshape(3, h, w)
            frame[0] = position
            frame[1] = np.arange(position, position + h, dtype=np.int32)[:, None]
            frame[2] = np.arange(position, position + w, dtype=np.int32)
            index += h * w
            position += max(h, w)
    positions[:, index:] = np.arange(position, position + num_tokens - index, dtype=np.int32)
    # Every run starts one past the largest position before it, so the next position is max + 1.
    return positions, position - index
