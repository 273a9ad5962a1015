"""`PdfWorkers`: PDF pages, drawn in processes of their own, which a document can make crash, hang or swell as it likes.

Each process draws one page at a time. Its memory is bounded by the kernel and its time here: one that takes too long or
dies is ended and replaced, and only the page that it had is refused. Pages of different documents take turns, so that a
long document does not keep the others waiting. A process is started when there is something to draw, and ends when
there has been nothing for a while. Knows nothing of chats, of limits on pages or of what is kept.
"""

from __future__ import annotations

from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from flashweb.bounded.pool import BoundedPool
from flashweb.bounded.process import BoundedProcess, receive, receive_bytes, send
from flashweb.errors import FlashwebError, InvalidDocument, UnsupportedMediaType
from flashweb.pdf.wire import (
    Answer,
    Draw,
    Drawn,
    Measure,
    Measured,
    Open,
    Opened,
    Question,
    Refused,
    decode_answer,
    frame,
)


@dataclass(frozen=True, slots=True)
class PdfFile:
    """A document; equal digests mean equal bytes and the same password."""

    data: bytes = field(repr=False)
    digest: bytes
    password: str = field(default="", repr=False)


class PdfWorkers:
    """A fixed number of processes. Every question raises InvalidDocument, UnsupportedMediaType where no PDF can be read
    at all, and NotReady; the first two with messages that go on from what the document is called."""

    def __init__(self, num_workers: int, *, page_seconds: float, memory_bytes: int) -> None:
        self.num_workers = num_workers
        self.num_drawn = 0
        self._pool = BoundedPool([_Worker(page_seconds, memory_bytes) for _ in range(num_workers)])

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Of the processes that run now."""
        return self._pool.process_ids

    async def num_pages(self, file: PdfFile) -> int:
        async with self._pool.worker_for(file.digest) as worker:
            return await worker.open(file)

    async def sizes(self, file: PdfFile, pages: Sequence[int]) -> Sequence[tuple[float, float]]:
        """(height, width) of each of these pages, from 0, in points."""
        async with self._pool.worker_for(file.digest) as worker:
            answer, _ = await worker.ask(file, Measure(tuple(pages)))
        assert isinstance(answer, Measured)
        return answer.sizes

    async def draw(self, file: PdfFile, page: int, height: int, width: int) -> bytes:
        """The page, from 0, as a PNG of this many pixels."""
        async with self._pool.worker_for(file.digest) as worker:
            answer, png = await worker.ask(file, Draw(page, height, width))
        assert isinstance(answer, Drawn)
        self.num_drawn += 1
        return png

    async def close(self) -> None:
        """End every process. Idempotent."""
        await self._pool.close()


class _Worker(BoundedProcess):
    """One process, started with the first question and again after it had to be ended."""

    def __init__(self, page_seconds: float, memory_bytes: int) -> None:
        super().__init__("flashweb.pdf.worker", (str(memory_bytes), str(page_seconds)), _read_answer, "documents")
        self._num_pages = 0
        self._page_seconds = page_seconds

    async def open(self, file: PdfFile) -> int:
        """The number of its pages."""
        process = await self.started()
        async with self._in_time():
            await self._open(process, file)
        return self._num_pages

    async def ask(self, file: PdfFile, question: Measure | Draw) -> tuple[Answer, bytes]:
        process = await self.started()
        async with self._in_time():
            await self._open(process, file)
            return await _exchange(process, question)

    async def _open(self, process: Process, file: PdfFile) -> None:
        if self.holds == file.digest:
            return
        self.holds = None
        answer, _ = await _exchange(process, Open(len(file.data), file.password), file.data)
        assert isinstance(answer, Opened)
        self._num_pages, self.holds = answer.num_pages, file.digest

    def _in_time(self) -> AbstractAsyncContextManager[None]:
        too_slow = InvalidDocument(
            f"takes more than {self._page_seconds:g} s to read or draw, the limit for a page; send that page as a "
            "picture",
            code="document_too_complex",
        )
        return self.bounded(self._page_seconds, too_slow, _too_much())


async def _exchange(process: Process, question: Question, data: bytes = b"") -> tuple[Answer, bytes]:
    await send(process, frame(question), data)
    return await _read_answer(process)


async def _read_answer(process: Process) -> tuple[Answer, bytes]:
    """Raises the refusal that it may be."""
    answer = decode_answer.decode(await receive(process))
    if isinstance(answer, Refused):
        raise _refusal(answer)
    return answer, await receive_bytes(process, answer.num_bytes) if isinstance(answer, Drawn) else b""


def _refusal(answer: Refused) -> FlashwebError:
    match answer.reason:
        case "encrypted":
            return InvalidDocument(
                "is encrypted and cannot be read without its password; give it as password, or send it decrypted",
                code="encrypted_document",
            )
        case "password":
            return InvalidDocument(
                "is encrypted, and password is not the one that opens it; give the right one, or send it decrypted",
                code="wrong_document_password",
            )
        case "secured":
            return InvalidDocument(
                "is encrypted in a way that is not read here; send it decrypted", code="encrypted_document"
            )
        case "broken":
            return InvalidDocument("is damaged and cannot be read; save it again with another program")
        case "memory":
            return _too_much()
        case "missing":
            return UnsupportedMediaType(
                "is a PDF document, and this server runs without PDF support; send its pages as pictures, or let the "
                "server's operator install the package pypdfium2"
            )


def _too_much() -> InvalidDocument:
    return InvalidDocument(
        "needs more memory than a document may take, or makes its reader crash; send its pages as pictures",
        code="document_too_complex",
    )
