"""`MediaLoader`: all pictures of one chat, concurrently, in order, off the event loop.

The order of work is the order of cost: count, then bytes (with caps), then headers, then the request's budget, and
only when all pictures have passed, decoding, unless the same file was prepared a moment ago. Pictures that come as the
very texts they came as before need no thread and no reading: only the request's own limits are checked. Knows nothing
of prompts, HTTP requests or engines.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flashweb.errors import InvalidRequest, TooLarge
from flashweb.media.cache import Kept, PictureCache
from flashweb.media.decode import Header, read_header
from flashweb.media.fast import PictureWorkers
from flashweb.media.fetch import FETCHES_AT_ONCE, Fetcher, fetch_timed
from flashweb.media.geometry import ImageGeometry
from flashweb.media.named import NamedPictures
from flashweb.media.patches import digest
from flashweb.media.prepare import prepare
from flashweb.media.settings import MediaSettings
from flashweb.media.sources import read_inline
from flashweb.media.together import all_of
from flashweb.media.uploaded import BytesOf, no_files
from flashweb.types import Enhancement, Grid, ImagePart, PictureTimes, PixelPatches

_T = TypeVar("_T")

_LONG_URL_CHARACTERS = 1 << 18  # base64 of this length takes about a millisecond to decode

CheckSizes = Callable[[Sequence[tuple[int, int]]], None]


class MediaLoader:
    """Reads, checks, decodes and resizes pictures.

    Raises InvalidImage, InvalidImageUrl, ImageDownloadFailed, ImageNotFound, InvalidRequest, ObjectNotFound, TooLarge,
    UnsupportedMediaType.
    """

    def __init__(
        self, settings: MediaSettings, geometry: ImageGeometry | None = None, *, fetcher: Fetcher | None = None
    ) -> None:
        self.settings = settings
        self.geometry = geometry or ImageGeometry()
        self._fetcher = fetcher or Fetcher(settings)
        self._num_workers = settings.num_workers or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._num_workers, thread_name_prefix="flashweb-media")
        # Take parts of a large picture while there are workers with nothing to do; never wait for anything themselves.
        num_helpers = max(1, self._num_workers * 3 // 4)
        self._helpers = ThreadPoolExecutor(num_helpers, thread_name_prefix="flashweb-media-part")
        self._fast = PictureWorkers(self._num_workers) if settings.resize == "fast" else None
        self._cache = PictureCache(settings.cache_bytes)
        self._named = NamedPictures(settings.named_bytes)
        self.bytes_of: BytesOf = no_files  # gives the bytes of uploaded ones, once they may be uploaded
        # A picture that nobody waits for never takes the last worker: whoever comes finds one free.
        self._background = asyncio.Semaphore(max(1, self._num_workers - 1))
        self._num_busy = 0
        self._busy_lock = threading.Lock()

    async def __aenter__(self) -> MediaLoader:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers. Idempotent; pictures being decoded are finished in the background."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._helpers.shutdown(wait=False)
        if self._fast is not None:
            self._fast.close()

    def num_image_tokens(self, size: tuple[int, int], max_pixels: int = 0) -> int:
        """Tokens of a picture of (height, width), known from its header, within an area (`ImagePart.max_pixels`)."""
        return self._grid(size, max_pixels).num_tokens

    def _grid(self, size: tuple[int, int], max_pixels: int) -> Grid:
        return self.geometry.bounded(max_pixels).grid(*size, self.settings.max_image_size)

    async def load(
        self,
        parts: Sequence[ImagePart],
        check_sizes: CheckSizes | None = None,
        times: PictureTimes | None = None,
        *,
        background: bool = False,
    ) -> list[PixelPatches]:
        """Every picture in the order given. `background`: nobody waits for it, a worker is left to those who do.

        `check_sizes` gets all (height, width) pairs after the headers were read and before anything is decoded; what
        it raises refuses the request (too many tokens for the context, for example). It may be called in a worker
        thread. `times` is told what was done.
        """
        if not parts:
            return []
        times = times or PictureTimes()
        self._check_count(parts)
        parts = await self._with_files(parts)
        known = self._find_all(parts)
        if known is not None:
            self._check_known(known, check_sizes)
            times.file_bytes.extend(kept.num_file_bytes for kept in known)
            if times.hashes is not None:
                times.hashes.extend(kept.file_hash for kept in known)
            return [kept.picture for kept in known]
        sources = await self._read_all(parts, times)
        # Beside the preparation.
        hashing = None if times.hashes is None else asyncio.wrap_future(self._pool.submit(_hashes, sources))
        gate = self._background if background else None
        if len(sources) == 1:  # nothing to wait for between its header and its pixels: one job for both
            pictures = [await self._prepared(gate, self._check_and_prepare, sources[0], check_sizes, times)]
        else:
            headers = await all_of([self._run(read_header, source.data, self.settings) for source in sources])
            self._check([(header.height, header.width) for header in headers], check_sizes)
            jobs = zip(sources, headers, strict=True)
            pictures = await all_of(
                [self._prepared(gate, self._prepare, source, header, times) for source, header in jobs]
            )
        if hashing is not None and times.hashes is not None:
            times.hashes.extend(await hashing)
        hashes = times.hashes or [""] * len(sources)
        for source, picture, file_hash in zip(sources, pictures, hashes, strict=True):
            times.file_bytes.append(len(source.data))
            if source.text is not None:
                self._cache.remember(source.text, len(source.data), picture.digest, file_hash)
            if source.name is not None:
                self._named.keep(source.name, source.data)
        return pictures

    async def grids(self, parts: Sequence[ImagePart]) -> list[Grid]:
        """The patch grids that `load` would give these pictures, from their headers alone: nothing is decoded and
        nothing kept. Raises what `load` does for what a header tells."""
        self._check_count(parts)
        parts = await self._with_files(parts)
        known = self._find_all(parts)
        if known is not None:
            self._check_known(known, None)
            return [kept.picture.grid for kept in known]
        sources = await self._read_all(parts, PictureTimes())
        headers = await all_of([self._run(read_header, source.data, self.settings) for source in sources])
        sizes = [(header.height, header.width) for header in headers]
        self._check(sizes, None)
        return [self._grid(size, source.max_pixels) for size, source in zip(sizes, sources, strict=True)]

    def _check_count(self, parts: Sequence[ImagePart]) -> None:
        num_pictures = sum(not part.is_page for part in parts)
        if num_pictures > self.settings.max_images:
            raise InvalidRequest(
                f"the request holds {num_pictures} pictures, the limit is {self.settings.max_images}; send fewer",
                param="messages",
            )

    async def _with_files(self, parts: Sequence[ImagePart]) -> Sequence[ImagePart]:
        if any(part.file is not None for part in parts):
            return await all_of([self._with_bytes(part) for part in parts])
        return parts

    async def _with_bytes(self, part: ImagePart) -> ImagePart:
        """An uploaded file, as the picture it is; every other part as it stands."""
        if part.file is None:
            return part
        owner, id = part.file
        return replace(part, file=None, data=await self.bytes_of(id, owner, self.settings.max_raw_bytes))

    def _find_all(self, parts: Sequence[ImagePart]) -> list[Kept] | None:
        """The pictures, when all of them were sent before as the same texts and are still here in the size wanted.
        Never one that would be fetched: only texts that hold their picture are remembered. Nor one that comes with a
        name, under which its file is to be kept, nor an enhanced one: the text does not tell."""
        found: list[Kept] = []
        for part in parts:
            if part.url is None or part.name is not None or part.enhance is not None:
                return None
            kept = self._cache.find(part.url)
            if kept is None or kept.picture.grid != self._grid(kept.picture.source_size, part.max_pixels):
                return None
            found.append(kept)
        return found

    def _check_known(self, known: Sequence[Kept], check_sizes: CheckSizes | None) -> None:
        """What depends on the request; what depends on a picture alone was checked when it was prepared."""
        budget = _Budget(self.settings.max_request_bytes)
        for kept in known:
            budget.spend(kept.num_file_bytes)
        self._check([kept.picture.source_size for kept in known], check_sizes)

    async def _read_all(self, parts: Sequence[ImagePart], times: PictureTimes) -> list[_Source]:
        gate = asyncio.Semaphore(FETCHES_AT_ONCE)
        budget = _Budget(self.settings.max_request_bytes)

        async def read(part: ImagePart) -> _Source:
            if part.is_page:
                assert part.data is not None
                return _Source(part.data, None, None, part.max_pixels, part.enhance)
            if part.is_reference:
                assert part.name is not None
                kept = self._named.find(part.name)
                budget.spend(len(kept))
                return _Source(kept, None, part.name, part.max_pixels, part.enhance)
            if part.url is not None and len(part.url) > _LONG_URL_CHARACTERS:
                inline = await self._run(read_inline, part, self.settings)
            else:
                inline = read_inline(part, self.settings)
            if inline is not None:
                budget.spend(len(inline))
                text = part.url if part.enhance is None else None
                return _Source(inline, text, part.name, part.max_pixels, part.enhance)
            assert part.url is not None
            async with gate:
                data = await fetch_timed(self._fetcher, part.url, times)
            budget.spend(len(data))
            return _Source(data, None, part.name, part.max_pixels, part.enhance)

        return await all_of([read(part) for part in parts])

    async def _prepared(
        self, gate: asyncio.Semaphore | None, job: Callable[..., Future[PixelPatches]], *args: object
    ) -> PixelPatches:
        async with gate or nullcontext():
            return await asyncio.wrap_future(await self._run(job, *args))

    def _check_and_prepare(
        self, source: _Source, check_sizes: CheckSizes | None, times: PictureTimes
    ) -> Future[PixelPatches]:
        """Runs in a worker thread."""
        header = read_header(source.data, self.settings)
        self._check([(header.height, header.width)], check_sizes)
        return self._prepare(source, header, times)

    def _check(self, sizes: Sequence[tuple[int, int]], check_sizes: CheckSizes | None) -> None:
        """The request's pixel budget, and the caller's own, for pictures of (height, width)."""
        num_pixels = sum(height * width for height, width in sizes)
        if num_pixels > self.settings.max_request_pixels:
            raise TooLarge(
                f"the request's pictures have {num_pixels:,} pixels together, the limit is "
                f"{self.settings.max_request_pixels:,}; send fewer or smaller ones"
            )
        if check_sizes is not None:
            check_sizes(sizes)

    def _prepare(self, source: _Source, header: Header, times: PictureTimes) -> Future[PixelPatches]:
        """Runs in a worker thread, and leaves it to others when this picture is being prepared already."""
        grid = self._grid((header.height, header.width), source.max_pixels)
        # The grid says all about an area's bound: a picture that is small anyway is one picture with and without.
        key = digest(source.data, grid, self.geometry, self.settings.resize, source.enhance)

        def make() -> PixelPatches:
            return PixelPatches(self._make_patches(source, header, times), grid, key, (header.height, header.width))

        return self._cache.get(key, make)

    def _make_patches(self, source: _Source, header: Header, times: PictureTimes) -> NDArray[np.uint8]:
        geometry, most = self.geometry.bounded(source.max_pixels), self.settings.max_image_size
        if self._fast is not None:
            return self._fast.prepare(source.data, header, geometry, most, source.enhance, times)
        with self._busy_lock:
            self._num_busy += 1
            num_threads = self._num_workers // self._num_busy
        try:
            threads = max(1, num_threads)
            return prepare(source.data, header, geometry, most, self._helpers, threads, source.enhance, times)
        finally:
            with self._busy_lock:
                self._num_busy -= 1

    async def _run(self, function: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args))


@dataclass(frozen=True, slots=True)
class _Source:
    """A picture's file, and the text that held it (None: it was fetched, came as raw bytes, or is to be enhanced); the
    name to keep it under, the area it may have, and what is to be done to it."""

    data: bytes
    text: str | None
    name: tuple[str, str] | None
    max_pixels: int
    enhance: Enhancement | None


def _hashes(sources: Sequence[_Source]) -> list[str]:
    """MD5 of the files, which names a picture in the log and nothing else."""
    return [hashlib.md5(source.data, usedforsecurity=False).hexdigest() for source in sources]


class _Budget:
    """Bytes that all pictures of one request may hold together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._spent = 0

    def spend(self, num_bytes: int) -> None:
        self._spent += num_bytes
        if self._spent > self._limit:
            raise TooLarge(
                f"the request's pictures hold more than {self._limit:,} bytes together; send fewer or smaller ones"
            )
