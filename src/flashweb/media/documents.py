"""`Documents`: the documents of a chat become what a model reads, a text that names each and a picture of every page.

    Document "contract.pdf" (40 pages):
    Page 7:
    <picture>

The bytes decide what a document is: a PDF, text, or a picture. Nothing in the text depends on which pages were chosen,
so that questions about the same first pages share the prefix cache. A page is drawn in the very size that the model
sees, once for all who ask (by the document's digest, bounded in bytes): from there on it is a picture like any other,
with the caches of pictures. Knows nothing of HTTP, prompts or engines.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from flashweb.errors import (
    InvalidDocument,
    InvalidRequest,
    TooLarge,
)
from flashweb.media.decode import sniff
from flashweb.media.document_words import about, called, heading
from flashweb.media.fetch import FETCHES_AT_ONCE, Fetcher, fetch_timed
from flashweb.media.geometry import ImageGeometry
from flashweb.media.once import Once
from flashweb.media.page_cache import PageCache
from flashweb.media.settings import MediaSettings
from flashweb.media.sources import read_inline
from flashweb.media.together import all_of
from flashweb.media.uploaded import BytesOf, no_files
from flashweb.pdf.workers import PdfFile, PdfWorkers
from flashweb.types import Chat, DocumentPart, ImagePart, Part, PictureTimes, TextPart

CheckSizes: TypeAlias = Callable[[Sequence[tuple[int, int]]], None]

DEFAULT_DPI = 144
POINTS_PER_INCH = 72
ACCEPTED = "application/pdf, text/*;q=0.8, image/*;q=0.8, */*;q=0.5"
ACCEPTED_AS_PICTURE = "image/*, application/pdf;q=0.9"
_VERSION = 1  # of how pages are drawn: part of every page's key
# Where readers look for a PDF's beginning and end: within 1024 bytes (Adobe's implementation notes 13 and 18 to PDF
# 1.7); some slack at the end, where tools leave things.
_HEADER_WITHIN, _TRAILER_WITHIN = 1024, 2048
_HEADER = re.compile(rb"(?:\A|[\r\n]|\xef\xbb\xbf)[ \t]*%PDF-\d")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MAX_WORKERS = 4


@dataclass(frozen=True, slots=True)
class _Pdf:
    """One PDF of a request, and what is wanted of it."""

    part: DocumentPart
    file: PdfFile
    num_pages: int
    chosen: tuple[int, ...]  # from 0, in order
    pixels: tuple[tuple[int, int], ...] = ()  # (height, width) of each that is chosen


class Documents:
    """`bytes_of` gives the bytes of an uploaded file; it may be set later."""

    def __init__(
        self,
        settings: MediaSettings,
        geometry: ImageGeometry | None = None,
        *,
        fetcher: Fetcher | None = None,
        bytes_of: BytesOf = no_files,
    ) -> None:
        self.settings = settings
        self.geometry = geometry or ImageGeometry()
        self.bytes_of = bytes_of
        self._fetcher = fetcher or Fetcher(settings, accept=ACCEPTED)
        self._picture_fetcher = fetcher or Fetcher(settings, accept=ACCEPTED_AS_PICTURE)
        num_workers = settings.num_document_workers or min(_MAX_WORKERS, max(1, (os.cpu_count() or 1) // 2))
        self.workers = PdfWorkers(
            num_workers, page_seconds=settings.document_page_seconds, memory_bytes=settings.document_memory_bytes
        )
        self._cache = PageCache(settings.document_cache_bytes)
        self._once = Once(self._cache)

    async def close(self) -> None:
        """End the processes. Idempotent."""
        await self._once.close()
        await self.workers.close()

    async def open(self, chat: Chat, check_sizes: CheckSizes | None = None, times: PictureTimes | None = None) -> Chat:
        """The chat with text and pictures in the place of its documents.

        `check_sizes` gets the (height, width) of all pages before any is drawn; what it raises refuses the request.
        `times` is told of what was fetched and drawn.
        Raises InvalidDocument, ObjectNotFound, InvalidRequest (pages that are not there, too many), TooLarge,
        UnsupportedMediaType, NotReady.
        """
        parts, times = chat.documents, times or PictureTimes()
        if not parts:
            return chat
        named = [part for part in parts if not part.bare]
        if len(named) > self.settings.max_document_pages:  # each has a page at least
            raise self._too_many(f"the request holds {len(named)} documents", named[0])
        read = [await self._read(part) for part in await self._with_bytes(parts, times)]
        pdfs = [one for one in read if isinstance(one, _Pdf)]
        self._check_number(pdfs)
        measured = iter([await self._measured(pdf) for pdf in pdfs])
        read = [next(measured) if isinstance(one, _Pdf) else one for one in read]
        pdfs = [one for one in read if isinstance(one, _Pdf)]
        if check_sizes is not None and pdfs:
            check_sizes([size for pdf in pdfs for size in pdf.pixels])
        opened = iter([await self._drawn(one, times) if isinstance(one, _Pdf) else one for one in read])
        return _with_opened(chat, opened)

    # --- reading ----------------------------------------------------------------------------------------------------

    async def _with_bytes(self, parts: Sequence[DocumentPart], times: PictureTimes) -> list[DocumentPart]:
        """Each with its bytes as `data`, in order, and all of them within the request's budget."""
        gate = asyncio.Semaphore(FETCHES_AT_ONCE)
        num_bytes, most = 0, self.settings.max_request_bytes

        async def read(part: DocumentPart) -> DocumentPart:
            nonlocal num_bytes
            async with gate:
                with about(part):
                    data = await self._bytes(part, times)
            num_bytes += len(data)
            if num_bytes > most:
                what, code = ("pictures", "image_too_large") if part.bare else ("documents", "document_too_large")
                raise TooLarge(
                    f"the request's {what} hold more than {most:,} bytes together; send fewer or smaller ones",
                    param=part.where or None,
                    code=code,
                )
            return replace(part, url=None, file=None, data=data)

        return await all_of([read(part) for part in parts])

    async def _bytes(self, part: DocumentPart, times: PictureTimes) -> bytes:
        if part.file is not None:
            owner, file_id = part.file
            return await self.bytes_of(file_id, owner, self.settings.max_raw_bytes)
        source = ImagePart(url=part.url, data=part.data)
        inline = await asyncio.to_thread(read_inline, source, self.settings)
        if inline is not None:
            return inline
        assert part.url is not None
        return await fetch_timed(self._picture_fetcher if part.bare else self._fetcher, part.url, times)

    async def _read(self, part: DocumentPart) -> _Pdf | tuple[Part, ...]:
        """By what the bytes are."""
        data = part.data
        assert data is not None
        if not is_pdf(data):
            with about(part):
                return await asyncio.to_thread(_other_parts, part, data)
        _check_end(part, data)
        file = PdfFile(data, await asyncio.to_thread(_digest, data, part.password), part.password)
        with about(part):
            num_pages = await self._once(("pages", file.digest), lambda: self.workers.num_pages(file))
        return _Pdf(part, file, num_pages, self._chosen(part, num_pages))

    def _chosen(self, part: DocumentPart, num_pages: int) -> tuple[int, ...]:
        """The pages wanted, from 0. Raises InvalidRequest for those that the document has not."""
        if num_pages < 1:
            raise InvalidDocument(f"{called(part)} has no pages; send one with pages", param=part.where or None)
        chosen: set[int] = set()
        for first, last in part.pages or ((1, 0),):
            last = last or num_pages
            if max(first, last) > num_pages:
                raise InvalidRequest(
                    f"{called(part)} has {num_pages:,} page{'s' if num_pages > 1 else ''}, and pages asks for page "
                    f"{max(first, last):,}; choose among those it has",
                    param=part.where or None,
                    code="invalid_pages",
                )
            if last - first >= self.settings.max_document_pages:
                raise self._too_many(f"{last - first + 1:,} pages of {called(part)} are asked for", part, num_pages)
            chosen.update(range(first - 1, last))
        return tuple(sorted(chosen))

    def _check_number(self, pdfs: Sequence[_Pdf]) -> None:
        num_chosen = sum(len(pdf.chosen) for pdf in pdfs)
        if num_chosen > self.settings.max_document_pages:
            raise self._too_many(f"{num_chosen:,} pages of documents are asked for", pdfs[0].part)

    def _too_many(self, what: str, part: DocumentPart, num_pages: int = 0) -> InvalidRequest:
        limit = self.settings.max_document_pages
        example = f'such as "1-{min(limit, num_pages or limit)}", ' if limit else ""
        return InvalidRequest(
            f"{what}; the limit is {limit} a request. Choose some with pages, {example}and ask for the others in "
            "further requests, or start the server with a larger --max-document-pages.",
            param=part.where or None,
            code="too_many_pages",
        )

    # --- drawing ----------------------------------------------------------------------------------------------------

    async def _measured(self, pdf: _Pdf) -> _Pdf:
        known: dict[int, tuple[float, float]] = {}
        for page in pdf.chosen:
            if (size := self._cache.find(("size", pdf.file.digest, page))) is not None:
                known[page] = size
        missing = [page for page in pdf.chosen if page not in known]
        if missing:
            with about(pdf.part):
                known |= dict(zip(missing, await self.workers.sizes(pdf.file, missing), strict=True))
            for page in missing:
                self._cache.keep(("size", pdf.file.digest, page), known[page])
        return replace(pdf, pixels=tuple(self._pixels(pdf.part, page, *known[page]) for page in pdf.chosen))

    def _pixels(self, part: DocumentPart, page: int, height: float, width: float) -> tuple[int, int]:
        """(height, width) of a page of so many points: what the model sees of it at the dpi wanted. A page however
        large has no more pixels than any picture."""
        if max(height, width) > self.settings.max_aspect_ratio * min(height, width):
            raise InvalidDocument(
                f"page {page + 1} of {called(part)} is {width:g} x {height:g} points, the limit is "
                f"{self.settings.max_aspect_ratio:g}:1; leave it out with pages",
                param=part.where or None,
            )
        scale = min(part.dpi or DEFAULT_DPI, self.settings.max_document_dpi) / POINTS_PER_INCH
        rule = self.geometry.bounded(part.max_pixels)
        sides = max(1, round(height * scale)), max(1, round(width * scale))
        return rule.target_size(*sides, self.settings.max_image_size)

    async def _drawn(self, pdf: _Pdf, times: PictureTimes) -> tuple[Part, ...]:
        at_once = asyncio.Semaphore(self.workers.num_workers)

        async def make(page: int, height: int, width: int) -> bytes:
            began = time.perf_counter()
            png = await self.workers.draw(pdf.file, page, height, width)
            times.draws.append(time.perf_counter() - began)
            return png

        async def draw(page: int, height: int, width: int) -> bytes:
            key = ("page", _VERSION, pdf.file.digest, page, height, width)
            async with at_once:
                with about(pdf.part, page):
                    return await self._once(key, lambda: make(page, height, width))

        pages = await all_of([draw(page, *size) for page, size in zip(pdf.chosen, pdf.pixels, strict=True)])
        part = pdf.part
        pictures = [ImagePart(data=png, enhance=part.enhance, is_page=True) for png in pages]
        if part.bare:
            return tuple(pictures)
        parts: list[Part] = [TextPart(f"{heading(part)} ({pdf.num_pages} page{'s' if pdf.num_pages > 1 else ''}):\n")]
        for page, picture in zip(pdf.chosen, pictures, strict=True):
            parts += [TextPart(f"Page {page + 1}:\n"), picture, TextPart("\n")]
        return tuple(parts)


def is_pdf(data: bytes) -> bool:
    return _HEADER.search(data, 0, _HEADER_WITHIN) is not None


def _check_end(part: DocumentPart, data: bytes) -> None:
    """A PDF that was cut off often opens all the same, with pages that are missing or empty."""
    if b"%%EOF" not in data.rstrip(b"\0 \t\r\n")[-_TRAILER_WITHIN:]:
        raise InvalidDocument(
            f"{called(part)} ends too early (truncated: no %%EOF at its end); send the complete file",
            param=part.where or None,
        )


def _other_parts(part: DocumentPart, data: bytes) -> tuple[Part, ...]:
    """Text, or a picture. Raises InvalidDocument and UnsupportedMediaType for what is neither."""
    picture = ImagePart(data=data, max_pixels=part.max_pixels, enhance=part.enhance)
    if part.bare:
        return (picture,)
    text = _text(data)
    if text is not None:
        return (TextPart(f"{heading(part)}:\n{text}\n"),)
    if not data:
        raise InvalidDocument("is empty (0 bytes); send the bytes of a PDF file")
    sniff(data)
    return (picture,)


def _text(data: bytes) -> str | None:
    """What the bytes say if they are a text in UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text if text and _CONTROL.search(text) is None else None


def _digest(data: bytes, password: str) -> bytes:
    """Names what is kept of a document: what a password has opened is found with it alone."""
    key = hashlib.blake2b(password.encode()).digest() if password else b""
    return hashlib.blake2b(data, digest_size=32, key=key).digest()


def _with_opened(chat: Chat, opened: Iterator[tuple[Part, ...]]) -> Chat:
    """`opened`: what each document became, in order."""
    messages = []
    for message in chat.messages:
        parts: list[Part] = []
        for part in message.parts:
            parts += next(opened) if isinstance(part, DocumentPart) else (part,)
        messages.append(replace(message, parts=tuple(parts)))
    return replace(chat, messages=tuple(messages))
