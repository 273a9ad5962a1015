"""Documents become text and pictures of pages, within their bounds; what is wrong with one harms nothing else.

The processes that draw are real; most tests share one, which takes a second to start.
"""

from __future__ import annotations

import asyncio
import io
import os
import socket
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from flashweb.errors import ContextLengthExceeded, FlashwebError, NotReady, ObjectNotFound
from flashweb.media import Documents, ImageGeometry, MediaSettings
from flashweb.types import Chat, DocumentPart, ImagePart, Message, Part, TextPart
from tests import pdfs
from tests.media.pictures import encoded, noise

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = MediaSettings(num_document_workers=1)
QUESTION = TextPart("What is it about?")
A4 = (595, 842)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def documents() -> AsyncIterator[Documents]:
    documents = Documents(SETTINGS)
    yield documents
    await documents.close()


def document(data: bytes, **more: Any) -> DocumentPart:
    return DocumentPart(data=data, where="messages[0].content[0]", **more)


async def opened(documents: Documents, *parts: Part, **more: Any) -> tuple[Part, ...]:
    chat = await documents.open(Chat((Message("user", (*parts, QUESTION)),)), **more)
    (message,) = chat.messages
    assert message.parts[-1] == QUESTION
    return message.parts[:-1]


def texts(parts: tuple[Part, ...]) -> str:
    return "".join(part.text if isinstance(part, TextPart) else "<picture>" for part in parts)


def pictures(parts: tuple[Part, ...]) -> list[Image.Image]:
    files = [part.data for part in parts if isinstance(part, ImagePart)]
    return [Image.open(io.BytesIO(data)) for data in files if data is not None]


async def refused(documents: Documents, part: DocumentPart) -> FlashwebError:
    with pytest.raises(FlashwebError) as caught:
        await opened(documents, part)
    return caught.value


async def all_ended(documents: Documents) -> None:
    async with asyncio.timeout(60):
        while documents.workers.process_ids:  # noqa: ASYNC110 - the kernel sets no event
            await asyncio.sleep(0.01)


async def test_a_document_is_named_and_every_page_has_its_number_and_picture(documents: Documents) -> None:
    data = pdfs.pdf(pdfs.text("first"), pdfs.colour(1, 0, 0))
    parts = await opened(documents, document(data, name="bill.pdf"))
    assert texts(parts) == 'Document "bill.pdf" (2 pages):\nPage 1:\n<picture>\nPage 2:\n<picture>\n'
    first, second = pictures(parts)
    assert first.mode == "L" and first.getpixel((5, 5)) == 255 and first.getextrema() == (0, 255)
    assert second.mode == "RGB" and second.getpixel((100, 100)) == (255, 0, 0)


async def test_chosen_pages_come_in_the_order_of_the_document_and_each_once(documents: Documents) -> None:
    pages = [pdfs.colour(grey / 10, grey / 10, grey / 10) for grey in range(10)]
    part = document(pdfs.pdf(*pages), pages=((7, 8), (2, 2), (8, 8), (10, 0)))
    parts = await opened(documents, part)
    assert [text for text in texts(parts).split("\n") if text.startswith("Page")] == [
        "Page 2:", "Page 7:", "Page 8:", "Page 10:",
    ]  # fmt: skip
    assert [round(image.getpixel((9, 9)) / 25.5) for image in pictures(parts)] == [1, 6, 7, 9]  # type: ignore[operator]


async def test_what_stands_before_a_page_does_not_depend_on_the_pages_behind_it(documents: Documents) -> None:
    data = pdfs.numbered(5)
    few = await opened(documents, document(data, name="a", pages=((1, 2),)))
    more = await opened(documents, document(data, name="a", pages=((1, 4),)))
    assert more[: len(few)] == few


async def test_a_page_is_drawn_as_it_is_shown(documents: Documents) -> None:
    """Turned and cropped, with the look of its annotations."""
    half = b"1 0 0 rg 0 0 306 792 re f 0 0 1 rg 306 0 306 792 re f"
    look = b"/AP << /N 4 0 R >> /Rect [0 0 612 792] /F 4"
    writer = pdfs.Writer()
    writer.stream(b"0 1 0 rg 0 0 612 792 re f", pdfs.FORM)
    kids = [
        writer.page(pdfs.Page(half, more=b"/Rotate 90")),
        writer.page(pdfs.Page(half, more=b"/CropBox [306 0 612 792]")),
        writer.page(pdfs.Page(half, more=b"/Annots [<< /Type /Annot /Subtype /Stamp %s >>]" % look)),
    ]
    turned, cropped, stamped = pictures(await opened(documents, document(writer.file(kids))))
    assert turned.width > turned.height and cropped.height > 2 * cropped.width
    assert turned.getpixel((9, 9)) == (255, 0, 0) and turned.getpixel((9, turned.height - 9)) == (0, 0, 255)
    assert cropped.getpixel((9, 9)) == (0, 0, 255) and stamped.getpixel((9, 9)) == (0, 255, 0)


async def test_a_page_has_the_size_the_model_sees_however_large_its_paper(documents: Documents) -> None:
    geometry = ImageGeometry()
    sizes: dict[str, tuple[int, int]] = {}
    for name, box, more in (
        ("plain", A4, {}),
        ("fine", A4, {"dpi": 200}),
        ("finer than allowed", A4, {"dpi": 1200}),
        ("coarse", A4, {"dpi": 72}),
        ("low detail", A4, {"max_pixels": 448 * 448}),
        ("200 inches", (14400, 14400), {}),
        ("a stamp", (9, 9), {}),
    ):
        (image,) = pictures(await opened(documents, document(pdfs.pdf(pdfs.Page(b"", box)), **more)))
        sizes[name] = image.size
        assert geometry.target_size(image.height, image.width, SETTINGS.max_image_size) == (image.height, image.width)
    # A4 at 144 dpi is 1190 x 1684 pixels.
    assert sizes["plain"] == (1176, 1680) and sizes["coarse"] == (588, 840)
    assert sizes["fine"] == sizes["finer than allowed"] == (1456, 2044)
    assert sizes["low detail"][0] * sizes["low detail"][1] <= 448 * 448
    assert sizes["200 inches"] == (2044, 2044) and sizes["a stamp"] == (84, 84)


async def test_a_document_that_comes_again_is_not_drawn_again(documents: Documents) -> None:
    data = pdfs.numbered(3)
    before = documents.workers.num_drawn
    first, same = await asyncio.gather(
        *(opened(documents, document(data, name="a", pages=((1, 2),))) for _ in range(2))
    )
    assert documents.workers.num_drawn == before + 2 and first == same
    assert await opened(documents, document(data, name="a", pages=((1, 2),))) == first
    await opened(documents, document(data, pages=((2, 3),)))
    assert documents.workers.num_drawn == before + 3
    await opened(documents, document(data, pages=((3, 3),), dpi=72))
    assert documents.workers.num_drawn == before + 4


async def test_what_is_kept_is_bounded_and_who_has_nothing_to_do_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashweb.bounded.process.IDLE_SECONDS", 0.5)
    documents = Documents(replace(SETTINGS, document_cache_bytes=40_000))
    try:
        for _ in range(2):
            await opened(documents, document(pdfs.numbered(4)))
        assert documents.workers.num_drawn == 8  # only two pages have room
        assert len(documents.workers.process_ids) == 1
        await all_ended(documents)
        assert await opened(documents, document(pdfs.numbered(1)))
    finally:
        await documents.close()


async def test_several_documents_stand_where_they_stood(documents: Documents) -> None:
    one, two = document(pdfs.numbered(1), name="one"), document(pdfs.numbered(2), name="two", pages=((2, 2),))
    chat = Chat(
        (Message("user", (one, TextPart("and"))), Message("assistant", (TextPart("yes"),)), Message("user", (two,)))
    )
    done = await documents.open(chat)
    assert [texts(message.parts) for message in done.messages] == [
        'Document "one" (1 page):\nPage 1:\n<picture>\nand', "yes", 'Document "two" (2 pages):\nPage 2:\n<picture>\n',
    ]  # fmt: skip


async def test_the_bytes_decide_what_a_document_is(documents: Documents) -> None:
    assert "about %PDF-1.7" in texts(await opened(documents, document(b"all about %PDF-1.7 files")))
    assert len(pictures(await opened(documents, document(b"\r\n \n" + pdfs.numbered(1))))) == 1
    letter = "Sehr geehrte Damen,\n合同\n".encode()
    parts = await opened(documents, document(b"\xef\xbb\xbf" + letter, name='a"b\n.txt'))
    assert texts(parts) == 'Document "a b .txt":\nSehr geehrte Damen,\n合同\n\n'
    photo = encoded(noise(60, 80))
    assert await opened(documents, document(photo, max_pixels=20_000)) == (ImagePart(data=photo, max_pixels=20_000),)
    # In the place of a picture a document is its pages alone, and nothing becomes text.
    assert texts(await opened(documents, document(pdfs.numbered(2), bare=True))) == "<picture>" * 2
    assert await opened(documents, document(letter, bare=True)) == (ImagePart(data=letter),)


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a.txt", "a")
    return file.getvalue()


BAD: dict[str, tuple[bytes, str, str]] = {
    "encrypted": (pdfs.encrypted(), "encrypted_document", "encrypted"),
    "cut off": (pdfs.numbered(9)[:-400], "invalid_document", "truncated"),
    "cut off, with an end put to it": (pdfs.numbered(9)[:700] + b"\n%%EOF\n", "invalid_document", "damaged"),
    "a beginning alone": (b"%PDF-1.7\nhello\n%%EOF\n", "invalid_document", "damaged"),
    "no pages": (pdfs.pdf(), "invalid_document", ""),
    "nothing": (b"", "invalid_document", "0 bytes"),
    "noise": (bytes(range(256)), "invalid_document", "nothing that is read here"),
    "an archive": (archive(), "unsupported_media_type", "a ZIP archive"),
    "10,000 pages": (pdfs.alike(10_000), "too_many_pages", "10,000 pages of the document 'x.pdf' are asked for; the "),
    "a ribbon": (pdfs.pdf(pdfs.Page(b"", (9000, 9))), "invalid_document", "200:1"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_document_is_refused_by_its_name_and_place(documents: Documents, name: str) -> None:
    data, code, words = BAD[name]
    error = await refused(documents, document(data, name="x.pdf"))
    assert error.code == code and words in error.message, error.message
    assert error.param == "messages[0].content[0]"


@pytest.mark.parametrize("pages", [((3, 3),), ((1, 4),), ((4, 0),), ((1, 1), (9, 9))])
async def test_a_page_that_is_not_there_is_refused_with_their_number(documents: Documents, pages: Any) -> None:
    error = await refused(documents, document(pdfs.numbered(2), pages=pages))
    assert error.code == "invalid_pages" and "has 2 pages" in error.message


async def test_the_pages_of_a_request_are_counted_together(documents: Documents) -> None:
    (last,) = pictures(await opened(documents, document(pdfs.alike(10_000), pages=((9_999, 9_999),))))
    assert last.size == (1232, 1596)
    part = document(pdfs.alike(60), pages=((1, 30),))
    for parts, words in (((part, part), "60 pages"), ([document(b"text")] * 51, "51 documents")):
        with pytest.raises(FlashwebError, match=words) as caught:
            await opened(documents, *parts)
        assert caught.value.code == "too_many_pages"


async def test_nothing_is_drawn_of_what_does_not_fit(documents: Documents) -> None:
    seen: list[Any] = []

    def check(sizes: Any) -> None:
        seen.extend(sizes)
        raise ContextLengthExceeded("too much")

    before = documents.workers.num_drawn
    with pytest.raises(ContextLengthExceeded):
        await opened(documents, document(pdfs.pdf(*[pdfs.text("unseen")] * 2)), check_sizes=check)
    assert seen == [(1596, 1232)] * 2 and documents.workers.num_drawn == before


async def test_the_bytes_of_a_request_are_bounded_together() -> None:
    documents = Documents(replace(SETTINGS, max_request_bytes=1000, max_raw_bytes=900))
    for parts in ([document(b"x" * 901)], [document(b"x" * 600)] * 2):
        with pytest.raises(FlashwebError, match="document") as caught:
            await opened(documents, *parts)
        assert caught.value.code == "document_too_large"


async def test_an_uploaded_file_is_asked_for_with_its_owner(documents: Documents) -> None:
    part = replace(document(b""), data=None, file=("me", "file-1"))
    error = await refused(documents, part)
    assert isinstance(error, ObjectNotFound) and error.code == "file_not_found" and "'file-1'" in error.message
    other = Documents(
        SETTINGS, bytes_of=lambda file_id, owner, most: asyncio.sleep(0, f"{file_id} of {owner}".encode())
    )
    assert texts(await opened(other, part)) == "Document:\nfile-1 of me\n"


# --- what documents may do to their reader ------------------------------------------------------------------------


async def test_a_page_that_never_ends_does_and_a_neighbour_gets_his_pages_meanwhile(documents: Documents) -> None:
    neighbour = await opened(documents, document(pdfs.numbered(3)))
    others = Documents(replace(SETTINGS, num_document_workers=2, document_page_seconds=2.0))
    try:
        bomb = asyncio.create_task(refused(others, document(pdfs.endless())))
        assert await opened(others, document(pdfs.numbered(3))) == neighbour
        error = await bomb
        assert error.code == "document_too_complex" and "page 1 of the document takes more than 2 s" in error.message
        assert len(others.workers.process_ids) == 1  # the bomb's is gone
    finally:
        await others.close()
    assert others.workers.process_ids == ()


async def test_a_page_that_swells_ends_at_the_bound_of_its_memory() -> None:
    others = Documents(replace(SETTINGS, document_page_seconds=60.0, document_memory_bytes=100 << 20))
    try:
        assert await opened(others, document(pdfs.numbered(1)))  # there is room for what is usual
        error = await refused(others, document(pdfs.swelling(200)))
        assert error.code == "document_too_complex" and "needs more memory" in error.message
        assert others.workers.process_ids == ()
    finally:
        await others.close()


async def test_deep_nesting_is_survived(documents: Documents) -> None:
    assert await opened(documents, document(pdfs.nested(100_000)))


async def test_a_process_that_dies_is_replaced(documents: Documents) -> None:
    await opened(documents, document(pdfs.numbered(1)))
    (pid,) = documents.workers.process_ids
    os.kill(pid, 9)
    await all_ended(documents)
    assert len(pictures(await opened(documents, document(pdfs.numbered(7))))) == 7
    assert documents.workers.process_ids not in ((), (pid,))


async def test_a_caller_who_leaves_takes_the_page_from_nobody(documents: Documents) -> None:
    part = document(pdfs.pdf(*(pdfs.text(f"slow {number}", 300) for number in range(4))))
    leaving, staying = (asyncio.create_task(opened(documents, part)) for _ in range(2))
    await asyncio.sleep(0.02)
    leaving.cancel()
    assert len(pictures(await staying)) == 4
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_document_reaches_nobody_and_knows_nothing_of_the_server(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASHWEB_API_KEY", "secret")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = b"http://127.0.0.1:%d/" % listener.getsockname()[1]
        action = b"/OpenAction << /S /JavaScript /JS (app.launchURL\\('%s'\\)) >> /AA << /WC << /S /URI /URI (%s) >> >>"
        writer = pdfs.Writer()
        content = writer.stream(
            b"1 0 0 rg 0 0 612 792 re f", b"/FFilter /ASCIIHexDecode /F << /FS /URL /F (%s) >>" % url
        )
        annotation = b"/Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (%s) >> >>]" % url
        data = writer.file([writer.add(pdfs.PAGE % (content, annotation))], catalogue=action % (url, url))
        others = Documents(SETTINGS)
        try:
            assert len(pictures(await opened(others, document(data)))) == 1
            (pid,) = others.workers.process_ids
            assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
        finally:
            await others.close()
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()


async def test_a_process_that_cannot_start_is_no_fault_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    others = Documents(SETTINGS)
    with pytest.raises(NotReady):
        await opened(others, document(pdfs.numbered(1)))
    await others.close()
