"""data: URLs, bare base64 and raw bytes: decoded once, strictly, after the size was checked."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashweb.errors import FlashwebError, InvalidImage, InvalidImageUrl, TooLarge
from flashweb.media import sources
from flashweb.media.settings import MediaSettings
from flashweb.media.sources import read_inline
from flashweb.types import ImagePart

SETTINGS = MediaSettings()


def read(url: str, settings: MediaSettings = SETTINGS) -> bytes | None:
    return read_inline(ImagePart(url=url), settings)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@given(st.text("AQgw+/=-_ \n%é", max_size=9))
def test_the_fast_base64_decoder_takes_plain_base64_and_nothing_that_the_standard_library_refuses(text: str) -> None:
    try:
        expected: bytes | None = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        expected = None
    try:
        found: bytes | None = sources._decode_as_sent(text, 0) if text else b""
    except ValueError:
        found = None
    is_plain = expected is not None and b64(expected) == text  # older Pythons take "AAAA=" too
    assert found == expected if is_plain else found in (None, expected)


@given(st.binary(min_size=1, max_size=300))
def test_every_spelling_of_base64_gives_the_same_bytes(data: bytes) -> None:
    plain = b64(data)
    assert read(f"data:image/png;base64,{plain}") == data
    assert read(f"DATA:image/jpeg;charset=utf-8;BASE64,{plain}") == data
    assert read(f"data:;base64,{plain}") == data
    assert read(f"  data:image/png;base64,{plain}\n") == data
    assert read(plain) == data
    assert read(plain.rstrip("=")) == data
    assert read(base64.urlsafe_b64encode(data).decode()) == data
    assert read(base64.encodebytes(data).decode()) == data
    assert read("data:image/png;base64," + plain.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")) == data


@pytest.mark.parametrize("size", [196_608, 196_609, 196_611, 500_000, 1_000_003])
def test_long_base64_is_decoded_in_pieces(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    for text in (b64(data), "data:image/png;base64," + b64(data), base64.encodebytes(data).decode()):
        assert read(text) == data


def test_padding_in_the_middle_of_long_base64_is_a_clear_400() -> None:
    for size in (196_607, 196_606, 300_000):
        with pytest.raises(InvalidImage, match="valid base64"):
            read(b64(bytes(size)) + "=AAAA" + b64(bytes(100_000)))


@given(st.text(max_size=80))
def test_any_text_is_bytes_a_remote_url_or_an_error_of_ours(text: str) -> None:
    try:
        data = read(text)
    except FlashwebError as error:
        assert len(error.message) < 500
    else:
        assert data is not None or text.lstrip().lower().startswith(("http:", "https:"))


@pytest.mark.parametrize(
    "text", ["AAA!", "A", "AAAAA", "AA=A", "data:image/png;base64,A", "data:image/png;base64,€€€€", "茶茶茶茶"]
)
def test_broken_base64_is_a_clear_400(text: str) -> None:
    with pytest.raises(InvalidImage, match="valid base64"):
        read(text)


@pytest.mark.parametrize("text", ["data:image/png;base64", "data:", "data:" + "x" * 1000 + ",AAAA"])
def test_a_data_url_without_its_comma_is_a_clear_400(text: str) -> None:
    with pytest.raises(InvalidImageUrl, match="no comma"):
        read(text)


def test_a_percent_encoded_data_url_is_read() -> None:
    assert read("data:image/gif,GIF89a%00%ff") == b"GIF89a\x00\xff"


def test_the_limit_counts_decoded_bytes_and_holds_to_the_byte() -> None:
    settings = MediaSettings(max_image_bytes=3000)
    for fits, size in ((True, 3000), (False, 3001), (False, 30_000)):
        for prefix in ("data:image/png;base64,", ""):
            if fits:
                assert len(read(prefix + b64(bytes(size)), settings) or b"") == size
            else:
                with pytest.raises(TooLarge, match="3,000"):
                    read(prefix + b64(bytes(size)), settings)


def test_too_much_text_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> bytes:
        raise AssertionError("decoded")

    monkeypatch.setattr(sources.binascii, "a2b_base64", never)
    monkeypatch.setattr(sources.msgspec, "convert", never)
    for text in ("A" * 20_000, "data:image/png;base64," + "A" * 20_000):
        with pytest.raises(TooLarge):
            read(text, MediaSettings(max_image_bytes=3000))


def test_raw_bytes_have_their_own_limit() -> None:
    settings = MediaSettings(max_image_bytes=10, max_raw_bytes=100)
    data = bytes(100)
    assert read_inline(ImagePart(data=data), settings) is data
    with pytest.raises(TooLarge, match="limit is 100"):
        read_inline(ImagePart(data=bytes(101)), settings)


def test_remote_urls_are_left_to_the_fetcher() -> None:
    for url in ("http://a.test/b", "HTTPS://a.test", " https://a.test/b.png"):
        assert read(url) is None


def test_a_long_url_is_shortened_in_messages() -> None:
    with pytest.raises(InvalidImageUrl) as caught:
        read("blob:" + "x" * 5000)
    assert len(caught.value.message) < 300
