"""`ClipWorkers`: frames of clips, decoded in processes of their own, which a clip can make crash, hang or swell as it
likes.

Each process has one clip at a time, for as long as it takes to open it or to decode the frames wanted; clips come in
their turn. Its memory is bounded by the kernel and its time here: one that takes too long or dies is ended and
replaced, and only the clip that it had is refused. Knows nothing of chats, of which frames are wanted or of what is
kept.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flashweb.bounded.pool import BoundedPool
from flashweb.bounded.process import BoundedProcess, receive, receive_bytes, send
from flashweb.errors import FlashwebError, InvalidVideo, TooLarge, UnsupportedMediaType
from flashweb.video.containers import OFFERED, is_encrypted, is_whole, kind_of
from flashweb.video.wire import Answer, Open, Opened, Refused, Take, Taken, decode_answer, frame

UseFrame: TypeAlias = Callable[[NDArray[np.uint8]], None]  # red, green and blue, uint8 [3, height, width]


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A clip; equal digests mean equal bytes."""

    data: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class ClipLimits:
    """seconds: how long a clip may last; frames: how many it may hold; pixels: of one of them. clip_seconds and
    memory_bytes: what reading it may take."""

    seconds: float
    frames: int
    pixels: int
    clip_seconds: float
    memory_bytes: int


class ClipWorkers:
    """A fixed number of processes. Every question raises InvalidVideo, TooLarge, UnsupportedMediaType for what is no
    clip and where none can be read, and NotReady; all but the last with messages that go on from what the clip is
    called."""

    def __init__(self, num_workers: int, limits: ClipLimits) -> None:
        self.limits = limits
        self.num_decoded = 0  # frames
        self._pool = BoundedPool([_Worker(limits) for _ in range(num_workers)])

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Of the processes that run now."""
        return self._pool.process_ids

    async def opened(self, file: ClipFile) -> Opened:
        """What its header says; no more than one frame is decoded."""
        kind = _checked_kind(file.data)
        async with self._pool.worker_for(file.digest) as worker:
            return await worker.opened(file, kind)

    async def take(self, file: ClipFile, frames: Sequence[int], height: int, width: int, use: UseFrame) -> None:
        """`use` gets these frames, from 0, rising, resized, one after the other, in another thread."""
        kind = _checked_kind(file.data)
        async with self._pool.worker_for(file.digest) as worker:
            await worker.take(file, kind, tuple(frames), height, width, use)
        self.num_decoded += len(frames)

    async def close(self) -> None:
        """End every process. Idempotent."""
        await self._pool.close()


class _Worker(BoundedProcess):
    """One process, started with the first question and again after it had to be ended."""

    def __init__(self, limits: ClipLimits) -> None:
        arguments = str(limits.memory_bytes), str(limits.clip_seconds)
        super().__init__("flashweb.video.worker", arguments, _read_answer, "clips")
        self._limits = limits
        self._opened: Opened | None = None

    async def opened(self, file: ClipFile, kind: str) -> Opened:
        process = await self.started()
        async with self._in_time():
            return await self._open(process, file, kind)

    async def take(
        self, file: ClipFile, kind: str, frames: tuple[int, ...], height: int, width: int, use: UseFrame
    ) -> None:
        process = await self.started()
        async with self._in_time():
            await self._open(process, file, kind)
            await send(process, frame(Take(frames, height, width)))
            for _ in frames:
                answer = await self._read(process)
                assert isinstance(answer, Taken) and answer.num_bytes == 3 * height * width
                planes = await receive_bytes(process, answer.num_bytes)
                await asyncio.to_thread(use, np.frombuffer(planes, dtype=np.uint8).reshape(3, height, width))

    async def _open(self, process: Process, file: ClipFile, kind: str) -> Opened:
        if self._opened is not None and self.holds == file.digest:
            return self._opened
        self.holds = None
        limits = self._limits
        asked = Open(len(file.data), kind, limits.seconds, limits.frames, limits.pixels)
        await send(process, frame(asked), file.data)
        answer = await self._read(process)
        assert isinstance(answer, Opened)
        self._opened, self.holds = answer, file.digest
        return answer

    async def _read(self, process: Process) -> Answer:
        answer = await _read_answer(process)
        if isinstance(answer, Refused):
            self.holds = None
            raise _refusal(answer, self._limits)
        return answer

    def _in_time(self) -> AbstractAsyncContextManager[None]:
        too_slow = InvalidVideo(
            f"takes more than {self._limits.clip_seconds:g} s to read, the limit for a clip; send a shorter one or one "
            "with fewer pixels",
            code="video_too_complex",
        )
        return self.bounded(self._limits.clip_seconds, too_slow, _too_much())


async def _read_answer(process: Process) -> Answer:
    return decode_answer.decode(await receive(process))


def _checked_kind(data: bytes) -> str:
    """Raises InvalidVideo and UnsupportedMediaType."""
    if not data:
        raise InvalidVideo(f"is empty (0 bytes); send the bytes of an {OFFERED}")
    kind = kind_of(data)
    if kind is None:
        raise UnsupportedMediaType(f"is of no kind that is read here; send an {OFFERED}")
    if not is_whole(data, kind):
        raise _cut()
    if is_encrypted(data, kind):
        raise _encrypted()
    return kind


def _refusal(answer: Refused, limits: ClipLimits) -> FlashwebError:
    what = answer.what
    match answer.reason:
        case "encrypted":
            return _encrypted()
        case "cut":
            return _cut()
        case "broken":
            return InvalidVideo("is damaged and cannot be decoded; save it again with another program")
        case "empty":
            return InvalidVideo("has no picture in it (no video stream); send a clip with one")
        case "codec":
            return UnsupportedMediaType(
                f"is coded as {what}, which is not read here; send it as H.264, HEVC, AV1, VP8, VP9 or MPEG-4"
            )
        case "still":
            return InvalidVideo("is a still picture; send it as image_url")
        case "seconds":
            return TooLarge(
                f"lasts {what} s, the limit is {limits.seconds:g} s; send a part of it, or start the server with a "
                "larger --max-video-seconds",
                code="video_too_long",
            )
        case "frames":
            return TooLarge(
                f"has {what} frames or more, the limit is {limits.frames:,}; send a part of it or fewer frames a "
                "second, or start the server with a larger --max-video-frames",
                code="video_too_long",
            )
        case "pixels":
            return TooLarge(
                f"has frames of {what} pixels, the limit is {limits.pixels:,}; scale it down, or start the server with "
                "a larger --max-video-pixels",
                code="video_too_large",
            )
        case "memory":
            return _too_much()
        case "missing":
            return UnsupportedMediaType(
                "is a film, and this server runs without them; send frames of it as pictures, or let the server's "
                "operator install the extra flashweb[video]"
            )


def _encrypted() -> InvalidVideo:
    return InvalidVideo("is encrypted and cannot be read without its key; send it decrypted", code="encrypted_video")


def _cut() -> InvalidVideo:
    return InvalidVideo("ends too early (truncated); send the complete file")


def _too_much() -> InvalidVideo:
    return InvalidVideo(
        "needs more memory than a clip may take, or makes its decoder crash; send a shorter one or one with fewer "
        "pixels",
        code="video_too_complex",
    )
