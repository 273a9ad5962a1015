"""Documents in requests: the dialects they may be written in, what the model then sees, and where they are refused."""

from __future__ import annotations

import base64
import io
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from flashweb.errors import ObjectNotFound
from tests import pdfs
from tests.house import House, ScriptedEngine, data_url, events_of, open_house, png, processor

PDF = pdfs.numbered(2)
BASE64 = base64.b64encode(PDF).decode()
URL = f"data:application/pdf;base64,{BASE64}"
QUESTION = {"type": "text", "text": "Which page is it?"}
NAME = "bill.pdf"


def asked(*content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*content, QUESTION]}], **more}


def file(**more: Any) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": URL, "filename": NAME}, **more}


def seen(house: House) -> str:
    """The last prompt as text, a picture as one sign."""
    prompt = house.engine.asked[-1][0]
    tokenizer = processor().tokenizer
    image = tokenizer.control_id("<|image|>")
    ids = [id for at, id in enumerate(prompt.token_ids) if id != image or prompt.token_ids[at - 1] != image]
    return str(tokenizer.decode(ids, keep_control=True))


def code_of(answer: Any, status: int = 400) -> tuple[str, str]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    return error["code"], error["param"]


@contextmanager
def host_of(*bodies: bytes) -> Iterator[str]:
    """A host on this machine that has these files under /0, /1, ..."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            body = bodies[int(self.rfile.readline().split()[1].strip(b"/"))]
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


async def uploaded(file_id: str, owner: str, most: int) -> bytes:
    if file_id != "file-1":
        raise ObjectNotFound(f"There is no file {file_id!r}.", code="file_not_found")
    return PDF


async def test_a_document_may_be_written_in_every_dialect() -> None:
    with host_of(PDF) as host:
        url, source = f"{host}/0", {"type": "base64", "media_type": "application/pdf", "data": BASE64}
        dialects: dict[str, dict[str, Any]] = {
            "bare base64": {"type": "file", "file": {"file_data": BASE64, "filename": NAME}},
            "uploaded": {"type": "file", "file": {"file_id": "file-1", "filename": NAME}},
            "responses data": {"type": "input_file", "file_data": URL, "filename": NAME},
            "responses url": {"type": "input_file", "file_url": url, "filename": NAME},
            "responses id": {"type": "input_file", "file_id": "file-1", "filename": NAME, "detail": "high"},
            "glm": {"type": "file_url", "file_url": {"url": url, "filename": NAME}},
            "plain url": {"type": "file_url", "file_url": url, "filename": NAME},
            "anthropic": {"type": "document", "source": source, "title": NAME},
            "anthropic url": {"type": "document", "source": {"type": "url", "url": url}, "title": NAME},
            "anthropic id": {"type": "document", "source": {"type": "file", "file_id": "file-1"}, "title": NAME},
        }
        async with open_house(ScriptedEngine(max_model_len=8192), media__media_allow_hosts=["127.0.0.1"]) as house:
            house.pipeline.documents.bytes_of = uploaded
            assert (await house.post(asked(file()))).status_code == 200
            expected = house.engine.asked[-1][0]
            for name, part in dialects.items():
                answer = await house.post(asked(part))
                assert answer.status_code == 200, f"{name}: {answer.text}"
                prompt = house.engine.asked[-1][0]
                assert prompt.token_ids == expected.token_ids, name
                assert [span.image.digest for span in prompt.spans] == [span.image.digest for span in expected.spans]
            assert house.pipeline.documents.workers.num_drawn == 2
            assert (
                'Document "bill.pdf" (2 pages):\nPage 1:\n<|begin_of_image|><|image|><|end_of_image|>\nPage 2:\n'
                "<|begin_of_image|><|image|><|end_of_image|>\nWhich page is it?" in seen(house)
            )


async def test_pages_their_fineness_and_their_limit_are_the_callers_and_not_those_of_pictures() -> None:
    async with open_house(ScriptedEngine(max_model_len=8192), media__max_images=1) as house:
        answer = await house.post(asked({"type": "image_url", "image_url": {"url": data_url(png())}}, file(dpi=72)))
        assert answer.status_code == 200, answer.text
        sizes = [
            (image["width"], image["height"]) for image in answer.json()["usage"]["prompt_tokens_details"]["images"]
        ]
        assert sizes[1:] == [(616, 784)] * 2
        await house.post(asked(file(pages="2", detail="low")))
        assert "Page 2" in seen(house) and "Page 1" not in seen(house)
        answer = await house.post(asked(file(pages="2"), enhance="text", mm_processor_kwargs={"max_pixels": 100_000}))
        (image,) = answer.json()["usage"]["prompt_tokens_details"]["images"]
        assert image["width"] * image["height"] <= 100_000
        for parts in ([file(), file(pages="1-2")], [file(), file(), file()]):
            assert (await house.post(asked(*parts, mm_processor_kwargs={"max_pixels": 20_000}))).status_code == 200


async def test_texts_that_come_as_documents_are_text() -> None:
    markdown = "# Terms\n<|image|> is two words."
    parts = [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": markdown}, "title": "a.md"},
        {"type": "document", "source": {"type": "text", "data": markdown}, "context": "From the web."},
        {"type": "file", "file": {"file_data": base64.b64encode(markdown.encode()).decode(), "filename": "a.md"}},
    ]
    async with open_house(ScriptedEngine()) as house:
        for part in parts:
            assert (await house.post(asked(part))).status_code == 200
            assert f":\n{markdown}\nWhich" in seen(house).replace("< |image|>", "<|image|>")
            assert not house.engine.asked[-1][0].spans
        assert "From the web.\nDocument:" in "".join(
            processor().tokenizer.decode(prompt.token_ids) for prompt, _, _ in house.engine.asked
        )
        far_too_long = {"type": "file", "file": {"file_data": base64.b64encode(b"word " * 40_000).decode()}}
        assert code_of(await house.post(asked(far_too_long)))[0] == "context_length_exceeded"
        assert house.pipeline.documents.workers.process_ids == ()  # nothing was to be drawn


PART = "messages[0].content[0]"
BAD: dict[str, tuple[dict[str, Any], int, str | None, str]] = {
    "nothing": ({"type": "file", "file": {}}, 400, None, "names no document"),
    "twice": ({"type": "file", "file": {"file_data": URL, "file_id": "a"}}, 400, None, "file_data and as file_id"),
    "pages in letters": (file(pages="first"), 400, "invalid_pages", "'first'"),
    "page 0": (file(pages="0-2"), 400, "invalid_pages", "'0-2'"),
    "to page 0": (file(pages="3-0"), 400, "invalid_pages", "'3-0'"),
    "pages backwards": (file(pages="3-2"), 400, "invalid_pages", "'3-2'"),
    "too many ranges": (file(pages="1," * 50 + "1"), 400, "invalid_pages", "at most 50"),
    "a text too long for pages": (file(pages="1," * 200), 400, None, "at most 200 characters"),
    "dpi": (file(dpi=5000), 400, None, "at most 1200, got 5000"),
    "no source": ({"type": "document"}, 400, None, "source is missing"),
    "no text": ({"type": "document", "source": {"type": "text"}}, 400, None, "source.data is missing"),
    "no base64": ({"type": "file", "file": {"file_data": "***"}}, 400, "invalid_document", "valid base64"),
    "a path": ({"type": "file", "file": {"file_url": "file:///etc/passwd"}}, 400, "invalid_document_url", "file"),
    "a private host": (
        {"type": "file_url", "file_url": "http://127.0.0.1:9/a.pdf"}, 400, "invalid_document_url", "",
    ),
    "an id of nobody": ({"type": "file", "file": {"file_id": "file-9"}}, 404, "file_not_found", "'file-9'"),
    "an archive": (
        {"type": "file", "file": {"file_data": base64.b64encode(b"PK\x03\x04\0").decode()}}, 415,
        "unsupported_media_type", "send a PDF",
    ),
    "too large": (
        {"type": "file", "file": {"file_data": "A" * 40_000}}, 413, "document_too_large", "the document has about",
    ),
    "cut off": (
        {"type": "file", "file": {"file_data": base64.b64encode(PDF[:-9]).decode()}}, 400, "invalid_document", "%%EOF",
    ),
}  # fmt: skip


async def test_a_bad_document_is_refused_before_anything_is_drawn() -> None:
    async with open_house(ScriptedEngine(), media__max_upload_size=20_000) as house:
        for name, (part, status, code, words) in BAD.items():
            answer = await house.post(asked(part))
            found, param = code_of(answer, status)
            assert (code is None or found == code) and param.startswith(PART), f"{name}: {answer.text}"
            error = answer.json()["error"]["message"]
            assert words in error and "picture" not in error, f"{name}: {error}"
        assert not house.engine.asked and house.pipeline.documents.workers.process_ids == ()


async def test_documents_belong_where_pictures_do() -> None:
    async with open_house(ScriptedEngine()) as house:
        for role in ("system", "assistant"):
            turns = [{"role": role, "content": [file()]}, {"role": "user", "content": "hi"}]
            answer = await house.post({"messages": turns})
            assert answer.status_code == 400 and "documents and clips belong into user messages" in answer.text


async def test_what_is_wrong_with_a_document_is_told_alike_whole_and_streamed() -> None:
    encrypted = {
        "type": "file",
        "file": {"file_data": base64.b64encode(pdfs.encrypted()).decode(), "filename": "x.pdf"},
    }
    many = {"type": "file", "file": {"file_data": base64.b64encode(pdfs.alike(10_000)).decode()}}
    bad = {"encrypted_document": encrypted, "too_many_pages": many, "invalid_pages": file(pages="3")}
    async with open_house(ScriptedEngine()) as house:
        for code, part in bad.items():
            answer = await house.post(asked(part))
            assert code_of(answer) == (code, PART)
            streamed = await house.post(asked(part, stream=True))
            error = streamed.json() if streamed.status_code == 400 else events_of(streamed.text)[0]
            assert error["error"] == answer.json()["error"]
        # Known from the sizes of the pages alone: each has over 700 tokens.
        house.engine.max_model_len = 1000
        assert code_of(await house.post(asked(file())))[0] == "context_length_exceeded"
        assert house.pipeline.documents.workers.num_drawn == 0 and not house.engine.asked
        assert (await house.chat("hello")).status_code == 200  # the neighbour is served


# --- endpoints of pictures and one text ---------------------------------------------------------------------------


def form(data: bytes, **fields: str) -> dict[str, Any]:
    return {"files": {"image": ("a.bin", data, "application/octet-stream")}, "data": {"prompt": "What?", **fields}}


async def test_endpoints_for_pictures_take_the_pages_of_a_pdf() -> None:
    one = {"prompt": "What?", "pages": "2", "dpi": 72}
    photo = png(60, 80)
    with host_of(PDF, photo) as host:
        options: dict[str, Any] = {"media__media_allow_hosts": ["127.0.0.1"], "media__max_document_pages": 2}
        async with open_house(ScriptedEngine(max_model_len=8192), **options) as house:

            async def digests(path: str, **request: Any) -> list[bytes]:
                answer = await house.client.post(path, **request)
                assert answer.status_code == 200, answer.text
                assert "Document" not in seen(house)
                return [span.image.digest for span in house.engine.asked[-1][0].spans]

            (page,) = await digests("/infer", json={**one, "image": BASE64})
            assert page == (await digests("/infer", json={**one, "image": URL}))[0]
            assert [page] == await digests("/v1/multi-modal/inference", json={**one, "image_url": f"{host}/0"})
            assert [page] == await digests("/v1/multimodal/completions", json={**one, "image_url": {"url": URL}})
            multipart = "/v1/multimodal/completions-multipart"
            assert [page] == await digests(multipart, **form(PDF, pages="2", dpi="72"))
            assert [page] == await digests("/api/scenes/ocr", **form(PDF, pages="2", dpi="72"))
            assert len(await digests("/v1/multi-modal/inference", json={"prompt": "?", "image": [BASE64]})) == 2
            # What is fetched and is a picture is one, as ever.
            (fetched,) = await digests("/infer", json={"prompt": "What?", "image_url": f"{host}/1"})
            assert [fetched] == await digests("/infer", json={"prompt": "What?", "image": data_url(photo)})

            refused = await house.post({"prompt": "What?", "image": BASE64, "pages": "3"}, "/v1/multimodal/completions")
            assert code_of(refused)[0] == "invalid_pages"
            many = base64.b64encode(pdfs.numbered(3)).decode()
            envelope = (await house.post({"prompt": "What?", "image": many}, "/infer")).json()
            assert envelope["code"] == 400 and "the limit is 2" in envelope["msg"]
            bad = await house.post({"prompt": "What?", "image": BASE64, "pages": "x"}, "/api/scenes/ocr")
            assert code_of(bad) == ("invalid_pages", "pages")


async def test_a_remote_picture_that_fails_is_still_a_picture() -> None:
    async with open_house(ScriptedEngine()) as house:
        body = {"prompt": "What?", "image_url": "http://127.0.0.1:9/a.png"}
        answer = await house.post(body, "/v1/multimodal/completions")
        assert code_of(answer) == ("invalid_image_url", "image_url") and "picture" in answer.text


async def test_a_page_is_the_picture_it_shows() -> None:
    """The same prompt as from a picture of the same pixels: nothing on the way makes another of it."""
    red = pdfs.pdf(pdfs.colour(1, 0, 0, (280, 280)))
    image = Image.new("RGB", (560, 560), (255, 0, 0))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    async with open_house(ScriptedEngine()) as house:
        for data in (red, buffer.getvalue()):
            body = {"prompt": "Which colour?", "image": base64.b64encode(data).decode()}
            assert (await house.post(body, "/infer")).status_code == 200
        page, picture = (asked[0].spans[0].image for asked in house.engine.asked)
        assert page.grid == picture.grid and (page.patches == picture.patches).all()
