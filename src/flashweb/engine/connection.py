"""`Connection`: the web side's end of the engine's socket. Frames in and out; what they mean is others' business."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import msgspec

from flashweb.engine.protocol import Abort, FrameError, FrameReader, FromEngine, Shutdown, encode_frame

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Connection(asyncio.Protocol):
    """`on_message` gets each message as it comes, within `data_received`."""

    on_message: Callable[[FromEngine], None]

    def __post_init__(self) -> None:
        self.closed = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(FromEngine)
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by behaviour, not by inheritance

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                self.on_message(self._decoder.decode(frame))
        except (FrameError, msgspec.DecodeError) as error:
            logger.error("the engine sent what is no message: %s", error)
            self.close()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        self._writable.set()

    @property
    def is_writable(self) -> bool:
        return self._writable.is_set()

    async def drained(self) -> None:
        """Waits until the engine has taken enough of what was written that more is welcome."""
        await self._writable.wait()

    def send(self, message: Abort | Shutdown) -> None:
        self.write(encode_frame(message))

    def write(self, frame: bytearray) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
