"""A process that draws PDF pages, one question at a time (`pdf/wire.py`), with PDFium.

    python -m flashweb.pdf.worker MEMORY_BYTES PAGE_SECONDS

Whatever a document does to its reader ends here: the process has a bound on its memory and, for each question, on its
CPU time, and is given nothing of the server's environment. The library is built without JavaScript and XFA; forms are
drawn as they look, never run; a document's links and attachments are not followed. Ends with its input.
"""

from __future__ import annotations

import ctypes
import io
import math
import os
import sys
from typing import BinaryIO

from PIL import Image, ImageChops

from flashweb.bounded.limits import bound_memory, bound_time, read_frame
from flashweb.pdf.wire import (
    Answer,
    Draw,
    Drawn,
    Measure,
    Measured,
    Open,
    Opened,
    Question,
    Ready,
    Refused,
    decode_question,
    frame,
)

try:
    import pypdfium2  # initialises the library
    import pypdfium2.raw as pdfium
except (ImportError, OSError):  # no wheel for this machine, or one whose library does not load
    CAN_DRAW = False
else:
    CAN_DRAW = bool(pypdfium2.PYPDFIUM_INFO)

_WHITE = 0xFFFFFFFF
_PNG_LEVEL = 1  # text pages hardly get smaller beyond it, and it is four times as fast as the default


class Document:
    """An open document; `close` before the next."""

    def __init__(self, data: bytes, password: str) -> None:
        """Raises Broken."""
        self._data = ctypes.create_string_buffer(data, len(data))  # read by the library as long as it is open
        self._handle = pdfium.FPDF_LoadMemDocument64(self._data, len(data), password.encode() or None)
        if not self._handle:
            locked = "password" if password else "encrypted"
            reasons = {pdfium.FPDF_ERR_PASSWORD: locked, pdfium.FPDF_ERR_SECURITY: "secured"}
            raise Broken(reasons.get(pdfium.FPDF_GetLastError(), "broken"))
        self.num_pages = int(pdfium.FPDF_GetPageCount(self._handle))

    def close(self) -> None:
        pdfium.FPDF_CloseDocument(self._handle)

    def size(self, page: int) -> tuple[float, float]:
        """(height, width) in points. Raises Broken."""
        size = pdfium.FS_SIZEF()
        found = pdfium.FPDF_GetPageSizeByIndexF(self._handle, page, ctypes.byref(size))
        height, width = float(size.height), float(size.width)
        if not found or not (math.isfinite(height) and math.isfinite(width) and height > 0 and width > 0):
            raise Broken("broken")
        return height, width

    def draw(self, page: int, height: int, width: int) -> bytes:
        """The page on white as a PNG, grey where it is grey. Raises Broken and MemoryError."""
        opened = pdfium.FPDF_LoadPage(self._handle, page)
        if not opened:
            raise Broken("broken")
        pixels = bytearray(3 * height * width)
        memory = (ctypes.c_char * len(pixels)).from_buffer(pixels)
        bitmap = pdfium.FPDFBitmap_CreateEx(width, height, pdfium.FPDFBitmap_BGR, memory, 3 * width)
        try:
            if not bitmap:
                raise MemoryError
            pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, _WHITE)
            # ANNOT: stamps, signatures and filled fields as they look; nothing of them is run.
            flags = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER | pdfium.FPDF_RENDER_LIMITEDIMAGECACHE
            pdfium.FPDF_RenderPageBitmap(bitmap, opened, 0, 0, width, height, 0, flags)
        finally:
            if bitmap:
                pdfium.FPDFBitmap_Destroy(bitmap)
            pdfium.FPDF_ClosePage(opened)
        return _png(Image.frombuffer("RGB", (width, height), pixels, "raw", "RGB", 3 * width, 1))


class Broken(Exception):
    """Why this document, or this page of it, is not drawn: `Refused.reason`."""


def _png(image: Image.Image) -> bytes:
    red, green, blue = image.split()
    is_grey = all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))
    file = io.BytesIO()
    (red if is_grey else image).save(file, "PNG", compress_level=_PNG_LEVEL)
    return file.getvalue()


class Worker:
    def __init__(self) -> None:
        self._document: Document | None = None

    def answer(self, question: Question, data: bytes) -> tuple[Answer, bytes]:
        """The answer, and the bytes that go behind it."""
        try:
            match question:
                case Open(password=password):
                    self._close()
                    self._document = Document(data, password)
                    return Opened(self._document.num_pages), b""
                case Measure(pages):
                    assert self._document is not None
                    return Measured(tuple(self._document.size(page) for page in pages)), b""
                case Draw(page, height, width):
                    assert self._document is not None
                    png = self._document.draw(page, height, width)
                    return Drawn(len(png)), png
        except Broken as broken:
            return Refused(broken.args[0]), b""
        except MemoryError:
            return Refused("memory"), b""

    def _close(self) -> None:
        if self._document is not None:
            self._document.close()
            self._document = None


def _read(source: BinaryIO) -> tuple[Question, bytes] | None:
    body = read_frame(source)
    if body is None:
        return None
    question = decode_question.decode(body)
    return question, source.read(question.num_bytes) if isinstance(question, Open) else b""


def main(memory_bytes: int, page_seconds: float) -> None:
    os.nice(5)  # whoever computes answers comes first
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(frame(Ready() if CAN_DRAW else Refused("missing")))
    answers.flush()
    bound_memory(memory_bytes)
    worker = Worker()
    while CAN_DRAW and (asked := _read(questions)) is not None:
        bound_time(page_seconds)
        answer, data = worker.answer(*asked)
        del asked  # as large as a document
        answers.write(frame(answer) + data)
        answers.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
