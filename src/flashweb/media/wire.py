"""Messages between the web process and its picture workers: typed msgpack frames on a socket pair, patches in shared
memory. Imports neither torch nor Pillow."""

from __future__ import annotations

import socket
import struct
from typing import TypeAlias

import msgspec

from flashweb.media.decode import Header
from flashweb.media.geometry import ImageGeometry
from flashweb.types import Enhancement

_LENGTH = struct.Struct("<Q")


class Job(msgspec.Struct, frozen=True, tag="job"):
    """One picture; its bytes follow the frame, its patches go to the shared memory whose descriptor comes with it."""

    header: Header
    target: tuple[int, int]  # height, width in pixels
    grid: tuple[int, int, int]
    geometry: ImageGeometry
    num_threads: int  # cores this picture may use
    num_bytes: int  # of the picture
    enhance: Enhancement | None = None


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The patches lie in the shared memory."""

    decode_seconds: float
    prepare_seconds: float


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """An error of `flashweb.errors`, by the name of its class."""

    kind: str
    message: str
    param: str | None
    code: str | None


Answer: TypeAlias = Done | Refused

_encode = msgspec.msgpack.Encoder().encode
_decode_job = msgspec.msgpack.Decoder(Job).decode
_decode_answer: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def send_job(line: socket.socket, job: Job, data: bytes, memory: int) -> None:
    frame = _encode(job)
    socket.send_fds(line, [_LENGTH.pack(len(frame))], [memory])
    line.sendall(frame)
    line.sendall(data)


def receive_job(line: socket.socket) -> tuple[Job, bytes, int] | None:
    """(job, the picture's bytes, shared memory), None when the other end has closed."""
    start, descriptors, _, _ = socket.recv_fds(line, _LENGTH.size, 1)
    if not start:
        return None
    length = start + _receive(line, _LENGTH.size - len(start))
    job = _decode_job(_receive(line, _LENGTH.unpack(length)[0]))
    return job, bytes(_receive(line, job.num_bytes)), descriptors[0]


def send_answer(line: socket.socket, answer: Answer) -> None:
    frame = _encode(answer)
    line.sendall(_LENGTH.pack(len(frame)) + frame)


def receive_answer(line: socket.socket) -> Answer:
    """Raises EOFError when the worker is gone, TimeoutError after the socket's time limit."""
    (length,) = _LENGTH.unpack(_receive(line, _LENGTH.size))
    return _decode_answer.decode(_receive(line, length))


def _receive(line: socket.socket, num_bytes: int) -> bytes:
    data = bytearray(num_bytes)
    view = memoryview(data)
    while view:
        received = line.recv_into(view)
        if received == 0:
            raise EOFError("the other end of the line is gone")
        view = view[received:]
    return bytes(data)
