"""A process that decodes clips, one question at a time (`video/wire.py`): films with FFmpeg, animated pictures with
Pillow.

    python -m flashweb.video.worker MEMORY_BYTES CLIP_SECONDS

Whatever a clip does to its reader ends here: the process has a bound on its memory and, for each question, on its CPU
time, can open no file and no socket once it has started, and is given nothing of the server's environment. Ends with
its input.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from PIL import Image

from flashweb.bounded.limits import bound_memory, bound_time, open_nothing_more, read_frame
from flashweb.video.animation import Animation
from flashweb.video.containers import ANIMATIONS
from flashweb.video.refusal import Refusal
from flashweb.video.wire import Answer, Open, Opened, Question, Ready, Refused, Take, Taken, decode_question, frame

try:
    import av  # noqa: F401 - whether it is there
except (ImportError, OSError):  # the extra is not installed, or a library of it does not load
    CAN_DECODE = False
else:
    CAN_DECODE = True
    from flashweb.video.film import NUM_THREADS, Film

_BICUBIC = Image.Resampling.BICUBIC


class Clip(Protocol):
    def opened(self) -> Opened: ...
    def take(self, frames: tuple[int, ...]) -> Iterator[Image.Image]: ...
    def close(self) -> None: ...


class Worker:
    def __init__(self) -> None:
        self._clip: Clip | None = None

    def answers(self, question: Question, data: bytes) -> Iterator[tuple[Answer, bytes]]:
        """Each answer, and the bytes that go behind it."""
        try:
            match question:
                case Open():
                    yield self._open(question, data).opened(), b""
                case Take(frames, height, width):
                    assert self._clip is not None
                    for image in self._clip.take(frames):
                        planes = _planes(image, height, width)
                        yield Taken(len(planes)), planes
        except Refusal as refusal:
            yield refusal.answer, b""
        except MemoryError:
            yield Refused("memory"), b""

    def _open(self, question: Open, data: bytes) -> Clip:
        if self._clip is not None:
            self._clip.close()
            self._clip = None
        if question.kind in ANIMATIONS:
            self._clip = Animation(data, question)
        elif CAN_DECODE:
            self._clip = Film(data, question)
        else:
            raise Refusal(Refused("missing"))
        return self._clip


def _planes(image: Image.Image, height: int, width: int) -> bytes:
    if image.size != (width, height):
        image = image.resize((width, height), _BICUBIC)
    return b"".join(plane.tobytes() for plane in image.split())


def _read_one_of_each() -> None:
    """Pillow imports what it needs when it needs it, and no file can be opened then."""
    Image.init()
    for kind in ANIMATIONS:
        file = io.BytesIO()
        frames = [Image.new("RGB", (2, 2), colour) for colour in ("black", "white")]
        frames[0].save(file, kind.upper(), save_all=True, append_images=frames[1:], duration=100)
        drawn = Animation(file.getvalue(), Open(0, kind, max_seconds=1, max_frames=2, max_pixels=4))
        assert [_planes(image, 1, 1) for image in drawn.take((0, 1))]


def _read(source: BinaryIO) -> tuple[Question, bytes] | None:
    body = read_frame(source)
    if body is None:
        return None
    question = decode_question.decode(body)
    return question, source.read(question.num_bytes) if isinstance(question, Open) else b""


def main(memory_bytes: int, clip_seconds: float) -> None:
    os.nice(5)  # whoever computes answers comes first
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    _read_one_of_each()
    answers.write(frame(Ready(CAN_DECODE)))
    answers.flush()
    bound_memory(memory_bytes)
    open_nothing_more()
    worker = Worker()
    while (asked := _read(questions)) is not None:
        bound_time(clip_seconds * (NUM_THREADS if CAN_DECODE else 1))
        for answer, data in worker.answers(*asked):
            answers.write(frame(answer))
            answers.write(data)
            answers.flush()
        del asked  # as large as a clip


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
