"""Messages between the web process and the processes that draw PDF pages: typed msgpack frames, each after its length,
on the standard streams. Imports neither the library that draws nor Pillow."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from flashweb.bounded.limits import LENGTH


class Open(msgspec.Struct, frozen=True, tag="open"):
    """From now on this document; its bytes follow the frame. Answered by Opened."""

    num_bytes: int
    password: str = ""


class Measure(msgspec.Struct, frozen=True, tag="measure"):
    """How large these pages are, from 0. Answered by Measured."""

    pages: tuple[int, ...]


class Draw(msgspec.Struct, frozen=True, tag="draw"):
    """A page, from 0, of this many pixels. Answered by Drawn."""

    page: int
    height: int
    width: int


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    num_pages: int


class Measured(msgspec.Struct, frozen=True, tag="measured"):
    """(height, width) of each page in points (1/72 inch), as it is shown: cropped and turned."""

    sizes: tuple[tuple[float, float], ...]


class Drawn(msgspec.Struct, frozen=True, tag="drawn"):
    """The page as a PNG follows the frame."""

    num_bytes: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """encrypted: it wants a password; password: not this one; secured: encrypted in a way that is not known; broken: it
    is no PDF, or this page of it is none; memory: it wants more than there is; missing: this machine cannot draw at
    all."""

    reason: Literal["encrypted", "password", "secured", "broken", "memory", "missing"]


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Said once, before the first question."""


Question: TypeAlias = Open | Measure | Draw
Answer: TypeAlias = Opened | Measured | Drawn | Refused | Ready

_encode = msgspec.msgpack.Encoder().encode
decode_question: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
decode_answer: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def frame(message: Question | Answer) -> bytes:
    body = _encode(message)
    return LENGTH.pack(len(body)) + body
