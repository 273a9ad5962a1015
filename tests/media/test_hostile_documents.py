"""Documents made to hurt their reader: each is drawn or refused within the bounds of its process, and leaves none
behind. What else documents may be is in test_documents.py."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flashweb.errors import InvalidDocument
from flashweb.media import Documents, MediaSettings
from flashweb.types import Chat, DocumentPart, Message
from tests import pdfs
from tests.pdfs import FORM, PAGE, Writer

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the list of processes is read from /proc")
SETTINGS = replace(MediaSettings(), num_document_workers=1, document_memory_bytes=200 << 20)


def drawing(content: bytes, kind: bytes, entry: Callable[[Writer], bytes]) -> bytes:
    """A page whose resources of a kind hold what `entry` writes, as /X."""
    writer = Writer()
    resource = b"/Resources << /%s << /X %s >> >>" % (kind, entry(writer))
    return writer.file([writer.add(PAGE % (writer.stream(content), resource))])


def picture(side: int, num_megabytes: int) -> bytes:
    """A picture of side x side pixels, whose zeros are packed a thousandfold."""
    packed = zlib.compress(bytes(num_megabytes << 20), 9)
    entries = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8 " % (
        side, side,
    )  # fmt: skip
    place = b"q 600 0 0 700 0 0 cm /X Do Q"
    return drawing(place, b"XObject", lambda w: b"%d 0 R" % w.stream(packed, entries + b"/Filter /FlateDecode"))


def drawing_itself() -> bytes:
    def entry(writer: Writer) -> bytes:
        number = len(writer.objects) + 1
        return b"%d 0 R" % writer.stream(b"/X Do", FORM + b"/Resources << /XObject << /X %d 0 R >> >>" % number)

    return drawing(b"/X Do", b"XObject", entry)


def tree_in_itself() -> bytes:
    writer = Writer()
    number = writer.add(b"<< /Type /Pages /Parent 2 0 R /Count 3 /Kids [2 0 R 4 0 R] >>")
    return writer.file([number, writer.page(pdfs.text("x"))])


def tables_in_a_circle() -> bytes:
    data = pdfs.numbered(1)
    return data.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % data.rindex(b"xref\n0"))


def packed_again(times: int) -> bytes:
    data = b"0 0 9 9 re f"
    for _ in range(times):
        data = zlib.compress(data)
    writer = Writer()
    content = writer.stream(data, b"/Filter [" + b"/FlateDecode " * times + b"]")
    return writer.file([writer.add(PAGE % (content, b""))])


def tiles() -> bytes:
    """A page of a pattern of hundreds of thousand million tiles."""
    kind = b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.001 /YStep 0.001 "
    drawn = b"/Pattern cs /X scn 0 0 612 792 re f"
    return drawing(drawn, b"Pattern", lambda w: b"%d 0 R" % w.stream(b"0 0 1 1 re f", kind + b"/Resources << >>"))


HARMLESS = {
    "a form that draws itself": drawing_itself(),
    "tables of objects in a circle": tables_in_a_circle(),
    "a page tree within itself": tree_in_itself(),
    "two thousand million pages by its word": pdfs.numbered(2).replace(b"/Count 2", b"/Count 2147483647"),
    "less than no pages": pdfs.numbered(2).replace(b"/Count 2", b"/Count -5"),
    "packed three hundred times": packed_again(300),
    "a picture larger than memory": picture(60_000, 1),
    "paper of a thousand kilometres": pdfs.pdf(pdfs.Page(b"", (3e9, 3e9))),
    "paper of no size": pdfs.pdf(pdfs.Page(b"", (0, -5))),
    "letters beyond numbers": pdfs.pdf(pdfs.Page(b"BT /F1 1e38 Tf (x) Tj ET 1e38 w 0 0 m 1e38 1e38 l S")),
}


def processes() -> set[int]:
    """That draw, and are children of this one: by the kernel's list."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            is_ours = int(parent) == os.getpid() and b"flashweb.pdf.worker" in folder.joinpath("cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if is_ours:
            found.add(int(folder.name))
    return found


def most_memory(process_id: int) -> int:
    """The most that it ever took, in bytes."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


async def outcome(documents: Documents, data: bytes) -> Chat | str | None:
    """The chat with its pages, or the code of the refusal."""
    try:
        return await documents.open(Chat((Message("user", (DocumentPart(data=data),)),)))
    except InvalidDocument as error:
        return error.code


async def test_tricks_are_drawn_or_refused_by_one_process_within_its_memory() -> None:
    before = processes()
    documents = Documents(SETTINGS)
    try:
        neighbour = await outcome(documents, pdfs.numbered(2))
        (first,) = processes() - before
        for name, data in HARMLESS.items():
            result = await outcome(documents, data)
            assert isinstance(result, Chat) or result == "invalid_document", f"{name}: {result}"
            assert processes() - before == {first}, name
        assert most_memory(first) < SETTINGS.document_memory_bytes
        assert await outcome(documents, pdfs.numbered(2)) == neighbour
    finally:
        await documents.close()
    assert processes() <= before


async def test_a_page_that_takes_for_ever_takes_its_time_and_its_process_is_gone() -> None:
    before = processes()
    documents = Documents(replace(SETTINGS, document_page_seconds=1.0))
    try:
        assert await outcome(documents, tiles()) == "document_too_complex"
        assert processes() <= before
        assert isinstance(await outcome(documents, pdfs.numbered(1)), Chat)
    finally:
        await documents.close()
    assert processes() <= before
