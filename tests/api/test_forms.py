"""The guard around forms: any order, every bound, every way to be malformed; always a 4xx in our words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from flashweb.api.forms import MAX_FIELD_BYTES, MAX_PARTS, FormRules, read_form
from flashweb.errors import InvalidRequest, TooLarge
from tests.house import House, ScriptedEngine, open_house, png

PATH = "/v1/multimodal/completions-multipart"
BOUNDARY = "b0undary"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
PROMPT = b'Content-Disposition: form-data; name="prompt"\r\n\r\nWhat is it?'
IMAGE = b'Content-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n' + png()


def form(*parts: bytes, closed: bool = True) -> bytes:
    delimiter = b"--" + BOUNDARY.encode()
    body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts)
    return body + delimiter + b"--\r\n" if closed else body


def text(name: str, value: str | bytes) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return b'Content-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + value


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house(ScriptedEngine("a gear"), media__max_multipart_size=20_000) as opened:
        yield opened


async def test_fields_and_files_come_in_any_order(house: House) -> None:
    more = [text("temperature", "0"), text("max_tokens", "9"), text("stream", "False"), text("stop", "never")]
    for parts in ([PROMPT, IMAGE, *more], [*more, IMAGE, PROMPT], [more[0], IMAGE, more[1], PROMPT, *more[2:]]):
        answer = await house.post(form(*parts), PATH, headers={"content-type": TYPE})
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == "a gear"
    prompts = {prompt.token_ids for prompt, _, _ in house.engine.asked}
    assert len(prompts) == 1
    assert {(p.temperature, p.max_tokens, p.stop) for _, p, _ in house.engine.asked} == {(0.0, 9, ("never",))}


async def test_a_form_is_read_byte_by_byte_as_it_comes(house: House) -> None:
    body = form(PROMPT, IMAGE)

    async def dripping() -> AsyncIterator[bytes]:
        for at in range(len(body)):
            yield body[at : at + 1]

    answer = await house.client.post(PATH, content=dripping(), headers={"content-type": TYPE})
    assert answer.status_code == 200, answer.text


async def test_several_files_under_both_names_are_several_pictures_in_order(house: House) -> None:
    other = IMAGE.replace(b'"image"', b'"file"').replace(png(), png(112, 56))
    assert (await house.post(form(IMAGE, PROMPT, other), PATH, headers={"content-type": TYPE})).status_code == 200
    (prompt, _, _), *_ = house.engine.asked
    assert [span.image.source_size for span in prompt.spans] == [(56, 56), (56, 112)]


LONG = b"x" * (MAX_FIELD_BYTES + 1)
# body, status, code (None: not checked), words the message must hold
BAD: dict[str, tuple[bytes, int, str | None, str]] = {
    "nothing": (b"", 400, "invalid_multipart", "ends in the middle"),
    "no boundary inside": (b"just text", 400, "invalid_multipart", "cannot be read"),
    "another boundary": (form(PROMPT, IMAGE).replace(b"b0undary", b"bOundary"), 400, "invalid_multipart", "boundaries"),
    "truncated in a file": (form(PROMPT, IMAGE)[:-60], 400, "invalid_multipart", "ends in the middle"),
    "truncated before the end": (form(PROMPT, IMAGE, closed=False), 400, "invalid_multipart", "ends in the middle"),
    "only the end": (form(), 400, None, ""),
    "a part without headers": (form(b"\r\nhello"), 400, "invalid_multipart", "Content-Disposition"),
    "a part without a name": (form(b"Content-Disposition: form-data\r\n\r\nx"), 400, "invalid_multipart", "name"),
    "an attachment": (form(PROMPT.replace(b"form-data", b"attachment")), 400, "invalid_multipart", "form-data"),
    "a header twice": (
        form(b'Content-Disposition: form-data; name="prompt"\r\nContent-Disposition: form-data; name="x"\r\n\r\nx'),
        400, "invalid_multipart", "twice",
    ),
    "nine headers": (form(b"X-a: b\r\n" * 9 + PROMPT), 400, "invalid_multipart", ""),
    "a long header": (form(b"X: " + b"a" * 5000 + b"\r\n" + PROMPT), 400, "invalid_multipart", "headers"),
    "a part in base64": (
        form(b"Content-Transfer-Encoding: base64\r\n" + PROMPT), 400, "invalid_multipart", "transfer encoding"
    ),
    "no file": (form(PROMPT), 400, None, "image is missing"),
    "no prompt": (form(IMAGE), 400, None, "prompt is missing"),
    "an empty prompt": (form(IMAGE, text("prompt", "")), 400, None, "prompt must be at least 1 character"),
    "an empty file": (form(PROMPT, IMAGE[: -len(png())]), 400, "empty_image_file", "empty (0 bytes)"),
    "no picture": (form(PROMPT, IMAGE.replace(png(), b"hello")), 400, "invalid_image", "no picture"),
    "half a PDF": (form(PROMPT, IMAGE.replace(png(), b"%PDF-1.7")), 400, "invalid_document", "truncated"),
    "a damaged picture": (form(PROMPT, IMAGE[:-40]), 400, "invalid_image", "complete file"),
    "a file too large": (form(PROMPT, IMAGE + b"x" * 20_000), 413, "image_too_large", "more than 20,000 bytes"),
    "a field too large": (form(text("prompt", LONG), IMAGE), 413, "field_too_large", "more than 1,048,576 bytes"),
    "a field twice": (form(PROMPT, PROMPT, IMAGE), 400, None, "'prompt' twice"),
    "a number twice": (form(PROMPT, text("top_p", "1"), text("top_p", "1"), IMAGE), 400, None, "'top_p' twice"),
    "a file under another name": (form(PROMPT, IMAGE.replace(b'"image"', b'"photo"')), 400, None, "'image' or 'file'"),
    "17 files": (form(PROMPT, *[IMAGE] * 17), 400, None, "more than 16 pictures"),
    "too many parts": (form(*[text(f"a{n}", "x") for n in range(MAX_PARTS + 1)]), 400, "too_many_parts", "64 parts"),
    "no UTF-8": (form(text("prompt", b"\xff\xfe"), IMAGE), 400, None, "UTF-8"),
    "a word for a number": (form(PROMPT, IMAGE, text("temperature", "warm")), 400, None, "a number, got 'warm'"),
    "a number out of range": (form(PROMPT, IMAGE, text("temperature", "3")), 400, None, "at most 2, got 3"),
    "NaN": (form(PROMPT, IMAGE, text("temperature", "NaN")), 400, None, "temperature"),
    "a URL beside a file": (form(PROMPT, IMAGE, text("image_url", "http://a.test/b.png")), 400, None, "one of them"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_form_is_refused_in_our_words(house: House, name: str) -> None:
    body, status, code, words = BAD[name]
    answer = await house.post(body, PATH, headers={"content-type": TYPE})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert words in error["message"] and (code is None or error["code"] == code)
    assert not house.engine.asked and house.pipeline.num_inside == 0


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        (f"multipart/form-data; boundary={'a' * 71}", 400),
        ("multipart/form-data; boundary=\u00e9", 400),
        (f"multipart/mixed; boundary={BOUNDARY}", 400),
        ("application/x-www-form-urlencoded", 415),
        ("application/json", 415),
        ("image/png", 415),
        ("", 415),
    ],
)
async def test_a_content_type_that_is_no_form_is_refused(house: House, kind: str, status: int) -> None:
    answer = await house.post(form(PROMPT, IMAGE), PATH, headers={"content-type": kind.encode("latin-1")})
    assert answer.status_code == status and "error" in answer.json()


RULES = FormRules(file_names=("image", "file"), max_file_bytes=20_000, max_files=2)


def request_of(chunks: Iterable[bytes]) -> Request:
    messages = ({"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks)

    async def receive() -> Any:
        return next(messages, {"type": "http.request", "body": b"", "more_body": False})

    return Request({"type": "http", "method": "POST", "headers": [(b"content-type", TYPE.encode())]}, receive)


async def test_reading_ends_at_the_byte_that_is_too_much() -> None:
    fed = 0

    def endless() -> Iterator[bytes]:
        nonlocal fed
        yield form(PROMPT, IMAGE)[:-20]
        while True:
            fed += 1
            yield b"x" * 4096

    with pytest.raises(TooLarge, match="more than 20,000 bytes"):
        await read_form(request_of(endless()), RULES)
    assert fed == 5


SHREDS = [b"--b0undary", b"--", b"\r\n", b"\n", PROMPT, IMAGE[:80], b"a: b", b"\x00", b";"]


@given(body=st.lists(st.sampled_from(SHREDS)))
async def test_whatever_is_sent_as_a_form_is_read_or_the_senders_mistake(body: list[bytes]) -> None:
    with suppress(InvalidRequest, TooLarge):
        filled = await read_form(request_of(body), RULES)
        assert b"".join(body).count(b"--b0undary") >= 1 and len(filled.files) <= 2


@settings(max_examples=40)
@given(fields=st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(max_size=40)), data=st.data())
async def test_what_a_form_holds_comes_out_however_it_was_cut(fields: dict[str, str], data: st.DataObject) -> None:
    body = form(*[text(name, value) for name, value in fields.items()], IMAGE)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    filled = await read_form(request_of(pieces), RULES)
    assert filled.fields == {name: [value] for name, value in fields.items()} and filled.files == [png()]
