"""Messages between the web process and the processes that decode clips: typed msgpack frames, each after its length, on
the standard streams. Imports neither the library that decodes nor Pillow."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from flashweb.bounded.limits import LENGTH


class Open(msgspec.Struct, frozen=True, tag="open"):
    """From now on this clip, whose bytes follow the frame. Answered by Opened."""

    num_bytes: int
    kind: str  # `containers.kind_of`
    max_seconds: float
    max_frames: int
    max_pixels: int  # of one frame


class Take(msgspec.Struct, frozen=True, tag="take"):
    """These frames, from 0 in the order they are shown, rising, resized. Answered by as many Taken."""

    frames: tuple[int, ...]
    height: int
    width: int


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """Sizes as it is shown. `rate`: frames a second; `times`: of every frame, in seconds from the first, where they do
    not come at that rate."""

    num_frames: int
    height: int
    width: int
    rate: float
    seconds: float
    times: tuple[float, ...] = ()


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """One frame; its red, green and blue planes, each uint8 [height, width], follow."""

    num_bytes: int


Reason: TypeAlias = Literal[
    "encrypted", "broken", "cut", "empty", "codec", "still", "seconds", "frames", "pixels", "memory", "missing"
]


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """encrypted: it wants a key; broken: it cannot be decoded; cut: it ends before its last frame; empty: it has no
    picture; codec: `what` is not decoded here; still: it has one frame; seconds, frames and pixels: more than asked
    for, `what` it has; memory: it wants more than there is; missing: this machine decodes no clips at all."""

    reason: Reason
    what: str = ""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Said once, before the first question. Without `clips` it reads animated pictures alone."""

    clips: bool


Question: TypeAlias = Open | Take
Answer: TypeAlias = Opened | Taken | Refused | Ready

_encode = msgspec.msgpack.Encoder().encode
decode_question: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
decode_answer: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def frame(message: Question | Answer) -> bytes:
    body = _encode(message)
    return LENGTH.pack(len(body)) + body
