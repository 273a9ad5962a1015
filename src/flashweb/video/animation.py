"""Animated GIF, WebP and PNG, with the time that each frame is shown. By Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from flashweb.video.refusal import Refusal, check_number, check_seconds, check_size
from flashweb.video.wire import Open, Opened, Refused

# Browsers show a frame for a tenth of a second that says a hundredth or less: most such files are from before they
# could show it faster.
_HASTE, _INSTEAD = 0.010, 0.100


class Animation:
    def __init__(self, data: bytes, asked: Open) -> None:
        """Raises Refusal."""
        with _in_our_words():
            self._image = Image.open(io.BytesIO(data), formats=(asked.kind.upper(),))
            width, height = self._image.size
            check_size(asked, height, width)
            num_frames = getattr(self._image, "n_frames", 1)
            if num_frames < 2:
                raise Refusal(Refused("still"))
            check_number(asked, num_frames)
            starts = [0.0]
            for index in range(num_frames):
                self._image.seek(index)
                self._image.load()
                shown = float(self._image.info.get("duration") or 0) / 1000
                starts.append(starts[-1] + (shown if shown > _HASTE else _INSTEAD))
                check_seconds(asked, starts[-1])
        self._opened = Opened(num_frames, height, width, num_frames / starts[-1], starts[-1], tuple(starts[:-1]))

    def opened(self) -> Opened:
        return self._opened

    def take(self, frames: tuple[int, ...]) -> Iterator[Image.Image]:
        """Raises Refusal."""
        for index in frames:
            with _in_our_words():
                self._image.seek(index)
                image = self._image.convert("RGBA")
            yield Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")

    def close(self) -> None:
        self._image.close()


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (Refusal, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refusal(Refused("memory")) from None
    except Exception as error:
        cut = "truncated" in str(error) or isinstance(error, EOFError)
        raise Refusal(Refused("cut" if cut else "broken")) from None
