"""Wear of pictures: what a copy of a page has lost. The set "robust" shows pages of other sets so, made when they are
read: what ships is the page.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

_WHITE, _TABLE = (255, 255, 255), (120, 112, 100)  # what a turned page lies on


def _webp(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=True, quality=0, method=0)  # read once and thrown away: fast, not small
    return buffer.getvalue()


def _as_jpeg(quality: int, picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _turned(degrees: int, ground: tuple[int, int, int], picture: Image.Image) -> bytes:
    return _webp(picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=ground))


def _scaled(factor: float, picture: Image.Image) -> bytes:
    sides = (round(picture.width * factor), round(picture.height * factor))
    return _webp(picture.resize(sides, Image.Resampling.LANCZOS))


WEAR: Mapping[str, Callable[[Image.Image], bytes]] = {
    "jpeg 40": partial(_as_jpeg, 40),
    "turned -5 white": partial(_turned, -5, _WHITE),
    "turned 5 white": partial(_turned, 5, _WHITE),
    "turned -5 table": partial(_turned, -5, _TABLE),
    "turned 5 table": partial(_turned, 5, _TABLE),
    "scaled 0.7": partial(_scaled, 0.7),
    "scaled 1.3": partial(_scaled, 1.3),
}


@dataclass(frozen=True, slots=True)
class Worn:
    """A picture's file after wear: read like a path, but what comes is made from the page. ValueError for wear that
    `WEAR` does not have.
    """

    page: Path
    wear: str

    def __post_init__(self) -> None:
        if self.wear not in WEAR:
            raise ValueError(f"unknown wear {self.wear!r}: choose from {', '.join(WEAR)}")

    @property
    def name(self) -> str:
        """The page's name."""
        return self.page.name

    def is_file(self) -> bool:
        """Whether there is the page."""
        return self.page.is_file()

    def read_bytes(self) -> bytes:
        """The worn copy: a JPEG or lossless WebP."""
        with Image.open(self.page) as picture:
            return WEAR[self.wear](picture.convert("RGB"))
