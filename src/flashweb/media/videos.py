"""`Videos`: the clips of a chat, from what the caller sent to the pictures that the model sees.

The bytes decide what a clip is. Its header says which frames the checkpoint's rule takes, how large they get and how
many tokens that makes; only when all of that is within its limits are those frames decoded, in a process of their own
(`flashweb.video`), once for all who ask. Two frames after each other make one picture of the tower (a temporal patch),
with a digest of its own: from there on it is a picture like any other, with the caches of pictures. Knows nothing of
HTTP, prompts or engines.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flashweb.errors import InvalidRequest, InvalidVideo, TooLarge
from flashweb.media.fetch import FETCHES_AT_ONCE, Fetcher, fetch_timed
from flashweb.media.frame_sampling import ClipTimes, Rule, patch_times, sample_frames
from flashweb.media.geometry import ImageGeometry
from flashweb.media.once import Once
from flashweb.media.page_cache import PageCache
from flashweb.media.patches import clip_digest, frame_patches
from flashweb.media.settings import MediaSettings
from flashweb.media.sources import read_inline
from flashweb.media.together import all_of
from flashweb.media.uploaded import BytesOf, no_files
from flashweb.media.video_words import about
from flashweb.types import Clip, ClipLayout, Grid, ImagePart, PictureTimes, PixelPatches, VideoPart
from flashweb.video.workers import ClipFile, ClipLimits, ClipWorkers

CheckTokens: TypeAlias = Callable[[Sequence[int]], None]

ACCEPTED = "video/*, image/*;q=0.8, */*;q=0.5"
_VERSION = 1  # of how frames are decoded: part of every clip's key
_MAX_WORKERS = 2


@dataclass(frozen=True, slots=True)
class _Read:
    """A clip of a request whose header has been read, and what is wanted of it."""

    part: VideoPart
    file: ClipFile
    frames: tuple[int, ...]  # from 0, rising, an even number; the last one may stand twice
    source_size: tuple[int, int]  # height, width
    size: tuple[int, int]
    layout: ClipLayout


class Videos:
    """`bytes_of` gives the bytes of an uploaded file; it may be set later."""

    def __init__(
        self,
        settings: MediaSettings,
        geometry: ImageGeometry | None = None,
        rule: Rule = "glm46v",
        *,
        fetcher: Fetcher | None = None,
        bytes_of: BytesOf = no_files,
    ) -> None:
        most = settings.max_video_bytes
        self.settings = replace(settings, max_image_bytes=most, max_raw_bytes=most, fetch_max_bytes=most)
        self.geometry = geometry or ImageGeometry()
        self.rule: Rule = rule
        self.bytes_of = bytes_of
        self._fetcher = fetcher or Fetcher(self.settings, accept=ACCEPTED)
        limits = ClipLimits(
            seconds=settings.max_video_seconds,
            frames=settings.max_video_frames,
            pixels=settings.max_video_pixels,
            clip_seconds=settings.video_seconds,
            memory_bytes=settings.video_memory_bytes,
        )
        num_workers = settings.num_video_workers or min(_MAX_WORKERS, max(1, (os.cpu_count() or 1) // 4))
        self.workers = ClipWorkers(num_workers, limits)
        self._once = Once(PageCache(settings.video_cache_bytes), _num_bytes)

    async def close(self) -> None:
        """End the processes. Idempotent."""
        await self._once.close()
        await self.workers.close()

    async def layouts(self, parts: Sequence[VideoPart], times: PictureTimes | None = None) -> list[ClipLayout]:
        """How these clips stand in a prompt, from their headers alone. Raises what `open` does for what those tell."""
        return [clip.layout for clip in await self._read_all(parts, times or PictureTimes())]

    async def open(
        self, parts: Sequence[VideoPart], check_tokens: CheckTokens | None = None, times: PictureTimes | None = None
    ) -> list[Clip]:
        """These clips, decoded. `check_tokens` gets the tokens of each before any is decoded; what it raises refuses
        the request. `times` is told of what was fetched.

        Raises InvalidVideo, InvalidRequest, InvalidImageUrl and ImageDownloadFailed in words of clips, ObjectNotFound,
        TooLarge, UnsupportedMediaType, NotReady.
        """
        read = await self._read_all(parts, times or PictureTimes())
        if check_tokens is not None and read:
            check_tokens([clip.layout.num_tokens for clip in read])
        return [await self._clip(clip) for clip in read]

    # --- reading ----------------------------------------------------------------------------------------------------

    async def _read_all(self, parts: Sequence[VideoPart], times: PictureTimes) -> list[_Read]:
        if len(parts) > self.settings.max_videos:
            raise InvalidRequest(
                f"the request holds {len(parts)} clips, the limit is {self.settings.max_videos}; send fewer, or start "
                "the server with a larger --max-videos.",
                param=parts[0].where or None,
            )
        files = await self._files(parts, times)
        read = [await self._read(part, file) for part, file in zip(parts, files, strict=True)]
        tokens, most = sum(clip.layout.num_tokens for clip in read), self.settings.max_video_tokens
        if tokens > most:
            raise TooLarge(
                f"the request's clips become {tokens:,} tokens, the limit is {most:,}; send fewer or shorter ones, "
                "take fewer frames with max_frames or smaller ones with max_pixels, or start the server with a larger "
                "--max-video-tokens",
                param=parts[0].where or None,
                code="video_too_large",
            )
        return read

    async def _files(self, parts: Sequence[VideoPart], times: PictureTimes) -> list[ClipFile]:
        """Each clip's bytes, in order, and all of them within the request's budget."""
        gate, num_bytes, most = asyncio.Semaphore(FETCHES_AT_ONCE), 0, self.settings.max_request_bytes

        async def read(part: VideoPart) -> ClipFile:
            nonlocal num_bytes
            async with gate:
                with about(part):
                    data = await self._bytes(part, times)
            num_bytes += len(data)
            if num_bytes > most:
                raise TooLarge(
                    f"the request's clips hold more than {most:,} bytes together; send fewer or smaller ones",
                    param=part.where or None,
                    code="video_too_large",
                )
            return ClipFile(data, await asyncio.to_thread(_digest, data))

        return await all_of([read(part) for part in parts])

    async def _bytes(self, part: VideoPart, times: PictureTimes) -> bytes:
        if part.file is not None:
            owner, file_id = part.file
            return await self.bytes_of(file_id, owner, self.settings.max_video_bytes)
        inline = await asyncio.to_thread(read_inline, ImagePart(url=part.url, data=part.data), self.settings)
        if inline is not None:
            return inline
        assert part.url is not None
        return await fetch_timed(self._fetcher, part.url, times)

    async def _read(self, part: VideoPart, file: ClipFile) -> _Read:
        with about(part):
            opened = await self._once(("opened", file.digest), lambda: self.workers.opened(file))
            sides = opened.height, opened.width
            if max(sides) > self.settings.max_aspect_ratio * min(sides):
                raise InvalidVideo(
                    f"has frames of {opened.width}x{opened.height} pixels, the limit is "
                    f"{self.settings.max_aspect_ratio:g}:1; crop it"
                )
        times = ClipTimes(opened.num_frames, opened.rate, opened.seconds, opened.times)
        frames = tuple(sample_frames(times, self.rule, part.max_frames))
        rule = self.geometry.bounded_frames(part.max_pixels, len(frames))
        height, width = rule.target_size(*sides, self.settings.max_image_size, len(frames))
        grid = Grid(1, height // rule.patch_size, width // rule.patch_size)
        layout = ClipLayout(grid, patch_times(times, frames))
        return _Read(part, file, frames, sides, (height, width), layout)

    # --- decoding ---------------------------------------------------------------------------------------------------

    async def _clip(self, clip: _Read) -> Clip:
        key = ("clip", _VERSION, clip.file.digest, clip.frames, clip.size)
        with about(clip.part):
            return await self._once(key, lambda: self._decoded(clip))

    async def _decoded(self, clip: _Read) -> Clip:
        pictures: list[PixelPatches] = []
        first: list[NDArray[np.uint8]] = []  # of the two frames that make a picture, once it is here
        pairs = list(zip(clip.frames[::2], clip.frames[1::2], strict=True))

        def add(before: NDArray[np.uint8], behind: NDArray[np.uint8]) -> None:
            digest = clip_digest(clip.file.digest, pairs[len(pictures)], clip.layout.grid, self.geometry)
            # Two that are the same are one still picture: the tower's weights for it are the sum of both frames'.
            patches = before if np.array_equal(before, behind) else np.hstack((before, behind))
            patches.flags.writeable = False
            pictures.append(PixelPatches(patches, clip.layout.grid, digest, clip.source_size))

        def use(frame: NDArray[np.uint8]) -> None:
            patches = frame_patches(frame, self.geometry)
            if first:
                add(first.pop(), patches)
            else:
                first.append(patches)

        await self.workers.take(clip.file, list(dict.fromkeys(clip.frames)), *clip.size, use)
        if first:  # the last frame stands twice
            add(first[0], first[0])
        return Clip(clip.layout, tuple(pictures))


def _num_bytes(made: object) -> int:
    if isinstance(made, Clip):
        return sum(picture.patches.nbytes for picture in made.pictures)
    return 8 * len(getattr(made, "times", ()))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
