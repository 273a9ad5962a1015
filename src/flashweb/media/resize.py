"""One bicubic resize, exactly Pillow's pixels, spread over threads when the picture is large.

Pillow resamples in two passes with 8-bit values between them: every row by itself to the new width, then every column
by itself to the new height. So the first pass may be cut into bands of rows and the second into bands of columns
without changing a single pixel (`tests/media/test_resize.py` proves it). Pillow releases the interpreter lock.
"""

from __future__ import annotations

from PIL import Image


def resize_exact(image: Image.Image, height: int, width: int) -> Image.Image:
    """RGB or L picture -> (height, width), bicubic with antialiasing."""
    assert image.mode in ("RGB", "L")
    if image.size == (width, height):
        return image
    return image.resize((width, height), Image.Resampling.BICUBIC)
