"""A picture worker: a process that decodes and resizes with PyTorch's vectorised 8-bit bicubic.

Started by `media/fast.py` with one end of a socket pair; takes jobs (`media/wire.py`), writes patches into the shared
memory that comes with each, and answers. The result is within two of 255 levels of Pillow's for a third of its work.
A crash of a decoder ends this process and nobody else's. The only file of this folder that imports torch. Knows
nothing of the web process.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import socket
import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, _imaging
from torch import Tensor

from flashweb.errors import FlashwebError
from flashweb.media.decode import decode
from flashweb.media.enhance import enhanced
from flashweb.media.geometry import ImageGeometry
from flashweb.media.patches import place_planes
from flashweb.media.resize import columns_go_first_here, columns_may_go_first
from flashweb.media.wire import Answer, Done, Job, Refused, receive_job, send_answer
from flashweb.types import Grid

_SUPPORT = 2.0  # of the bicubic filter, in pixels of the larger side
_SPLIT_FROM_PIXELS = 400_000  # source + target; below, a second thread costs what it saves

_helper = ThreadPoolExecutor(1)


def main() -> None:
    torch.set_num_threads(1)  # the resize has no parallel form; two of ours run at once instead
    _imaging.set_use_block_allocator(1)  # every picture in one piece of memory, as `_pixels` needs it
    with socket.socket(fileno=int(sys.argv[1])) as line:
        while (received := receive_job(line)) is not None:
            job, data, memory = received
            try:
                answer = work(job, data, memory)
            finally:
                os.close(memory)
            send_answer(line, answer)


def work(job: Job, data: bytes, memory: int) -> Answer:
    """Decode, resize and cut one picture into the shared memory."""
    began = time.perf_counter()
    try:
        image = enhanced(decode(data, job.header), job.enhance)
    except FlashwebError as error:
        return Refused(type(error).__name__, error.message, error.param, error.code)
    decoded = time.perf_counter()
    grid = Grid(*job.grid)
    columns = 3 * job.geometry.patch_size**2
    shared = mmap.mmap(memory, grid.num_patches * columns)
    patches = np.frombuffer(shared, dtype=np.uint8).reshape(grid.num_patches, columns)
    fill(patches, image, *job.target, job.geometry, _helper if job.num_threads > 1 else None)
    return Done(decoded - began, time.perf_counter() - decoded)


def fill(
    patches: NDArray[np.uint8],
    image: Image.Image,
    height: int,
    width: int,
    geometry: ImageGeometry,
    helper: Executor | None = None,
) -> None:
    """Resize an RGB or L picture and cut it into `patches`, within two levels of Pillow's pixels.

    `helper` may take the upper half of a large one.
    """
    pixels = torch.from_numpy(_pixels(image)).permute(2, 0, 1)[None]
    columns_first = columns_go_first_here() and columns_may_go_first(image.size, height, width)
    if columns_first:  # PyTorch makes rows first
        pixels = _bicubic(pixels, height, image.width)

    def make(band: Band) -> None:
        planes = list(_resized(pixels, band, height, width))
        num_patches = width // geometry.patch_size  # side by side
        first, last = (row // geometry.patch_size * num_patches for row in (band.top, band.bottom))
        place_planes(patches[first:last], planes * 3 if len(planes) == 1 else planes[:3], 0, width, geometry)

    split = helper is not None and not columns_first
    *above, last = bands(image.size, height, width, geometry) if split else [Band(0, height, 0, 0, pixels.shape[2])]
    pending = [helper.submit(make, band) for band in above] if helper is not None else []
    make(last)
    for band in pending:
        band.result()


@dataclass(frozen=True, slots=True)
class Band:
    """Rows of the target (up to `bottom`), the source rows they are made from, and the target row that begins exactly
    where those do: computing begins there, the rows before `top` are dropped."""

    top: int
    bottom: int
    target_start: int
    source_start: int
    source_end: int


def bands(source: tuple[int, int], height: int, width: int, geometry: ImageGeometry) -> list[Band]:
    """The target as one band, or as two that may be made at the same time. `source` is (width, height).

    The middle row of the target lies exactly on that of a source of even height, so the lower half may be computed
    by itself from there; its first rows lack the source rows above them, and so the upper half goes on for those.
    """
    taller = 2 * geometry.patch_size  # both halves of an even height, in whole rows of tokens
    assert geometry.merge_size == 2 and height % taller == 0
    scale = source[1] / height
    lacking = math.ceil(_SUPPORT * max(1.0, 1 / scale)) + 1
    edge = -(-(height // 2 + lacking) // taller) * taller
    source_end = math.ceil(edge * scale + _SUPPORT * max(1.0, scale)) + 1
    source_end += source_end == edge  # as many rows as are made of them would be taken for the rows wanted
    whole = Band(0, height, 0, 0, source[1])
    if source[1] % 2 or edge >= height or source_end > source[1]:
        return [whole]
    if source[0] * source[1] + width * height < _SPLIT_FROM_PIXELS:
        return [whole]
    return [Band(0, edge, 0, 0, source_end), Band(edge, height, height // 2, source[1] // 2, source[1])]


def _resized(pixels: Tensor, band: Band, height: int, width: int) -> NDArray[np.uint8]:
    """uint8 [channels, band height, width] of a picture uint8 [1, channels, source height, source width]."""
    part = pixels[:, :, band.source_start : band.source_end]
    size = (band.bottom - band.target_start, width)
    if pixels.shape[2:] == (height, width):
        made = part
    else:  # what `interpolate` calls; that would take the scale from the part's size
        made = torch.ops.aten._upsample_bicubic2d_aa(part, size, False, height / pixels.shape[2], None)
    return made[0, :, band.top - band.target_start : size[0]].contiguous().numpy()


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """The picture's own memory, uint8 [height, width, 1 or 4] (the fourth channel of RGB is padding), not copied: use
    it only while the picture lives.

    Pillow offers it through Arrow's C interface; `np.array(image)` would pack it into 3 bytes per pixel, in pieces,
    for as long as the resize itself takes.
    """
    channels = 4 if image.mode == "RGB" else 1
    _, array = image.__arrow_c_array__()
    top = _ArrowArray.from_address(_capsule_pointer(array, b"arrow_array"))
    values = top.children[0].contents if top.n_children else top
    memory = (ctypes.c_uint8 * (image.width * image.height * channels)).from_address(values.buffers[1])
    return np.ctypeslib.as_array(memory).reshape(image.height, image.width, channels)


class _ArrowArray(ctypes.Structure):
    """`struct ArrowArray` of the Arrow C data interface."""


_ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowArray))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


def _bicubic(pixels: Tensor, height: int, width: int) -> Tensor:
    return torch.nn.functional.interpolate(pixels, (height, width), mode="bicubic", antialias=True)


if __name__ == "__main__":
    main()
