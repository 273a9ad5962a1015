"""A picture worker: a process that decodes and resizes with PyTorch's vectorised 8-bit bicubic.

Started by `media/fast.py` with one end of a socket pair; takes jobs (`media/wire.py`), writes patches into the shared
memory that comes with each, and answers. The result is within two of 255 levels of Pillow's for a third of its work.
A crash of a decoder ends this process and nobody else's. The only file of this folder that imports torch. Knows
nothing of the web process.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, _imaging
from torch import Tensor

from flashweb.errors import FlashwebError
from flashweb.media.decode import decode
from flashweb.media.patches import digest, place_planes
from flashweb.media.resize import columns_go_first_here, columns_may_go_first
from flashweb.media.wire import Answer, Done, Job, Refused, receive_job, send_answer
from flashweb.types import Grid

_helper = ThreadPoolExecutor(1)


def main() -> None:
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
    try:
        image = decode(data, job.header)
    except FlashwebError as error:
        return Refused(type(error).__name__, error.message, error.param, error.code)
    torch.set_num_threads(job.num_threads)
    helper = _helper if job.num_threads > 1 else None
    grid = Grid(*job.grid)
    columns = 3 * job.geometry.patch_size**2
    shared = mmap.mmap(memory, grid.num_patches * columns)
    patches = np.frombuffer(shared, dtype=np.uint8).reshape(grid.num_patches, columns)
    place_planes(patches, resize_fast(image, *job.target), 0, job.target[1], job.geometry)
    return Done(digest(patches, grid, job.geometry, helper))


def resize_fast(image: Image.Image, height: int, width: int) -> list[NDArray[np.uint8]]:
    """RGB or L picture -> red, green and blue planes, each uint8 [height, width], within two levels of Pillow's."""
    pixels = _pixels(image)
    if image.size == (width, height):
        planes = list(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    else:
        tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        if columns_go_first_here() and columns_may_go_first(image.size, height, width):  # PyTorch makes rows first
            tensor = _bicubic(tensor, height, image.width)
        planes = list(_bicubic(tensor, height, width)[0].contiguous().numpy())
    return planes * 3 if len(planes) == 1 else planes[:3]


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
