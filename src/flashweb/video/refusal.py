"""`Refusal`: why a clip is not decoded, raised where that is found out. And what its header alone may refuse."""

from __future__ import annotations

from flashweb.video.wire import Open, Refused


class Refusal(Exception):
    def __init__(self, answer: Refused) -> None:
        super().__init__(answer.reason)
        self.answer = answer


def check_size(asked: Open, height: int, width: int) -> None:
    """Raises Refusal."""
    if height < 1 or width < 1:
        raise Refusal(Refused("broken"))
    if height * width > asked.max_pixels:
        raise Refusal(Refused("pixels", f"{width}x{height}"))


def check_number(asked: Open, num_frames: int) -> None:
    """Raises Refusal."""
    if num_frames > asked.max_frames:
        raise Refusal(Refused("frames", f"{num_frames:,}"))


def check_seconds(asked: Open, seconds: float) -> None:
    """Raises Refusal."""
    if seconds > asked.max_seconds:
        raise Refusal(Refused("seconds", f"{seconds:,.1f}"))
