"""Errors of what reads clips, and of what reads pictures' sources, said of a clip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flashweb.errors import (
    FlashwebError,
    ImageDownloadFailed,
    InvalidImage,
    InvalidImageUrl,
    InvalidVideo,
    ObjectNotFound,
    TooLarge,
    UnsupportedMediaType,
)
from flashweb.types import VideoPart

_WORDS = (
    ("scale it down or compress it", "send a part of it or compress it"),
    ("data:image/png;base64", "data:video/mp4;base64"),
    ("the picture", "the clip"),
)
_CODES: dict[type[FlashwebError], str] = {
    InvalidImageUrl: "invalid_video_url",
    ImageDownloadFailed: "failed_to_download_video",
    TooLarge: "video_too_large",
}


@contextmanager
def about(part: VideoPart) -> Iterator[None]:
    """What goes wrong within says that it was the clip, and where in the request that stands."""
    where = part.where or None
    try:
        yield
    except InvalidVideo as error:
        raise InvalidVideo(f"the clip {error.message}", param=where, code=error.code) from None
    except (InvalidImage, InvalidImageUrl, ImageDownloadFailed, TooLarge, UnsupportedMediaType) as error:
        raise _reworded(error, where) from None
    except ObjectNotFound as error:
        raise ObjectNotFound(error.message, param=where, code=error.code) from None


def _reworded(error: FlashwebError, where: str | None) -> FlashwebError:
    message, begins = error.message, "the picture"
    if not message.startswith(begins) and isinstance(error, TooLarge | UnsupportedMediaType):
        return type(error)(f"the clip {message}", param=where, code=error.code)
    for old, new in _WORDS:
        message = message.replace(old, new)
    kind = InvalidVideo if isinstance(error, InvalidImage) else type(error)
    return kind(message, param=where, code=_CODES.get(kind))
