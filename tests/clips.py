"""Clips that the tests draw themselves: frames of one grey, or pictures, in any container and codec PyAV writes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

KEY = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0" * 32, "encryption_kid": "1" * 32}


def grey(index: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Frame n of `numbered`: told apart from its neighbours by its light alone."""
    return Image.new("L", size, index * 4 % 256).convert("RGB")


def film(
    frames: int,
    draw: Callable[[int], Image.Image] = grey,
    *,
    rate: int = 30,
    format: str = "mp4",
    codec: str = "libx264",
    gop: int = 12,
    times: Sequence[int] | None = None,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """`times`: of each frame in units of 1/rate s. `options`: the container's."""
    file = io.BytesIO()
    first = draw(0)
    with av.open(file, "w", format=format, options=dict(options or {})) as container:
        stream = container.add_stream(codec, rate=rate, options={"preset": "ultrafast"} if "x26" in codec else {})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *first.size, "yuv420p", gop
        for index in range(frames):
            frame = av.VideoFrame.from_image(draw(index))
            frame.pts, frame.time_base = index if times is None else times[index], Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def sound() -> bytes:
    """An MP4 file without a picture."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def animation(format: str, milliseconds: Sequence[int], size: tuple[int, int] = (64, 48)) -> bytes:
    """Frame n is of grey 40 n."""
    first, *rest = [Image.new("RGB", size, (40 * n % 256,) * 3) for n in range(len(milliseconds))]
    file = io.BytesIO()
    lossless = {"lossless": True} if format == "WEBP" else {}
    first.save(file, format, save_all=True, append_images=rest, duration=list(milliseconds), **lossless)
    return file.getvalue()


def page(words: str, size: tuple[int, int] = (224, 168)) -> Image.Image:
    """Words printed large, as the bundled model reads them."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((20, 60), words, fill="black", font=ImageFont.load_default(28))
    return image
