"""Films, by FFmpeg (the library PyAV): which frames there are, from the container alone, and a few of them decoded.

Opening reads the container's index and decodes one frame, for the way up. Frames are taken from the nearest key frame
before each; what no other frame needs is not decoded. Only the containers and codecs named here are ever reached.
"""

from __future__ import annotations

import errno
import io
import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager

import av
import av.subtitles.stream  # imported where a container has some, when no file can be opened any more
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from flashweb.video.refusal import Refusal, check_number, check_seconds, check_size
from flashweb.video.wire import Open, Opened, Refused

NUM_THREADS = min(4, max(1, (os.cpu_count() or 1) // 2))
_CODECS = {
    "h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "mpeg4", "mpeg2video", "mpeg1video",
    "mjpeg", "h263", "prores", "theora",
}  # fmt: skip
_NO_MEMORY = (errno.ENOMEM, errno.EAGAIN)  # the second: no room for a thread's stack
_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


class Film:
    def __init__(self, data: bytes, asked: Open) -> None:
        """Raises Refusal."""
        self._asked = asked
        self._can_seek = True
        with _in_our_words():
            self._container = av.open(io.BytesIO(data), "r", format=asked.kind)
            if not self._container.streams.video:
                raise Refusal(Refused("empty"))
            self._stream: VideoStream = self._container.streams.video[0]
            self._check_header()
            self._index()
            self._turn = self._first_frame().rotation % 360
        height, width = self._stream.height, self._stream.width
        if self._turn in (90, 270):
            height, width = width, height
        self._opened = self._timed(height, width)

    def opened(self) -> Opened:
        return self._opened

    def close(self) -> None:
        self._container.close()

    def _check_header(self) -> None:
        stream, asked = self._stream, self._asked
        context = stream.codec_context
        if context is None or context.name not in _CODECS:
            raise Refusal(Refused("codec", "unknown" if context is None else context.name))
        context.thread_count, context.thread_type = NUM_THREADS, "AUTO"
        check_size(asked, stream.height, stream.width)
        check_number(asked, stream.frames)
        if stream.duration is not None and stream.time_base is not None:
            check_seconds(asked, float(stream.duration * stream.time_base))
        elif self._container.duration is not None:
            check_seconds(asked, self._container.duration / av.time_base)

    def _index(self) -> None:
        """When every frame is shown, and from where it can be decoded: what the packets say, none being decoded."""
        shown: list[int] = []
        keys: dict[int, int] = {}
        for packet in self._packets():
            if packet.has_sidedata("encryption_info"):
                raise Refusal(Refused("encrypted"))
            at = _time_of(packet)
            shown.append(len(shown) if at is None else at)
            check_number(self._asked, len(shown))
            if packet.is_keyframe and at is not None:
                keys[at] = at if packet.dts is None else packet.dts
        self._shown = sorted(set(shown))
        self._keys = sorted(keys)
        self._seek_to = keys
        if not shown:
            raise Refusal(Refused("empty"))
        if len(shown) < self._stream.frames:
            raise Refusal(Refused("cut"))

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        for packet in self._container.demux(self._stream):
            if packet.size and not packet.is_discard:
                yield packet

    def _first_frame(self) -> VideoFrame:
        return next(iter(self._decoded(self._shown[:1])))

    def _timed(self, height: int, width: int) -> Opened:
        """At a constant rate where no frame is half a frame away from it, else with the time of every frame."""
        assert self._stream.time_base is not None
        base, first, count = float(self._stream.time_base), self._shown[0], len(self._shown)
        times = [(at - first) * base for at in self._shown]
        step = times[-1] / (count - 1) if count > 1 and times[-1] > 0 else 0.0
        rate = float(self._stream.average_rate or 0) or (1 / step if step else 1.0)
        seconds = count / rate
        is_constant = all(abs(at - index / rate) < 0.5 / rate for index, at in enumerate(times))
        if not is_constant:
            rate, seconds = 1 / step, times[-1] + step
        check_seconds(self._asked, seconds)
        return Opened(count, height, width, rate, seconds, () if is_constant else tuple(times))

    def take(self, frames: tuple[int, ...]) -> Iterator[Image.Image]:
        """Raises Refusal."""
        with _in_our_words():
            for found in self._decoded([self._shown[index] for index in frames]):
                check_size(self._asked, found.height, found.width)
                image: Image.Image = found.to_image()  # type: ignore[no-untyped-call]
                yield image.transpose(_TURNS[self._turn]) if self._turn in _TURNS else image

    def _decoded(self, wanted: list[int]) -> Iterator[VideoFrame]:
        """The frames shown at these times, rising. A frame that cannot be decoded is the next one that can."""
        behind: Iterator[VideoFrame] = iter(())
        latest: VideoFrame | None = None  # the last frame that was decoded
        for at in wanted:
            reached = None if latest is None else latest.pts
            if latest is not None and reached is not None and at <= reached:
                yield latest
                continue
            key = self._key_before(at)
            if latest is None or (self._can_seek and key is not None and reached is not None and key > reached):
                behind = self._from(key, set(wanted))
            latest = _first_at(behind, at)
            if self._can_seek and latest is not None and latest.pts is not None and latest.pts > at:
                self._can_seek = False  # this index leads astray, or the frame is damaged
                behind = self._from(None, set(wanted))
                latest = _first_at(behind, at)
            if latest is None:
                raise Refusal(Refused("cut"))
            yield latest

    def _key_before(self, at: int) -> int | None:
        place = bisect_right(self._keys, at)
        return self._keys[place - 1] if place else None

    def _from(self, key: int | None, wanted: set[int]) -> Iterator[VideoFrame]:
        start = self._shown[0] if key is None or not self._can_seek else self._seek_to[key]
        self._container.seek(start, stream=self._stream)
        for packet in self._container.demux(self._stream):
            if packet.is_disposable and packet.pts is not None and packet.pts not in wanted:
                continue
            yield from packet.decode()


def _first_at(frames: Iterator[VideoFrame], at: int) -> VideoFrame | None:
    return next((frame for frame in frames if frame.pts is None or frame.pts >= at), None)


def _time_of(packet: Packet[VideoStream]) -> int | None:
    return packet.dts if packet.pts is None else packet.pts


@contextmanager
def _in_our_words() -> Iterator[None]:
    """A decoder's own words may hold addresses."""
    try:
        yield
    except (Refusal, MemoryError, GeneratorExit):
        raise
    except Exception as error:
        is_memory = getattr(error, "errno", None) in _NO_MEMORY
        raise Refusal(Refused("memory" if is_memory else "broken")) from None
