"""The fetch guard: nothing private is ever dialled, whatever the URL looks like, and limits hold while bytes flow."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashweb.errors import ConfigError, FlashwebError, ImageDownloadFailed, InvalidImageUrl, TooLarge
from flashweb.media.fetch import AllowList, Fetcher, Resolver, is_public, parse_url
from flashweb.media.loader import MediaLoader
from flashweb.media.settings import MediaSettings
from flashweb.types import ImagePart, TextPart

Reply = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Listener:
    """A real server on loopback that counts who connects."""

    port: int = 0
    num_connections: int = 0
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/a.png"


def ok(body: bytes, **headers: str) -> bytes:
    """A 200; a header given as "" is left out."""
    fields = {"Content-Type": "image/png", "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body


def moved(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@asynccontextmanager
async def listening(reply: Reply | bytes | None = None) -> AsyncIterator[Listener]:
    listener = Listener()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.num_connections += 1
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            listener.requests.append(request)
            if isinstance(reply, bytes):
                writer.write(reply)
                await writer.drain()
            elif reply is not None:
                await reply(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener
        server.close()


def names(table: dict[str, list[str]]) -> Resolver:
    """A resolver that knows these names only; addresses are themselves."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            return table.get(host, [])

    return resolve


def open_to(listener: Listener, **more: object) -> MediaSettings:
    return MediaSettings(allow_hosts=(f"127.0.0.1:{listener.port}",), **more)  # type: ignore[arg-type]


# --- private addresses, however they are written ------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[2001:db8::1]",
    "[2a00:1:2:3:0:5efe:7f00:1]",
    "[2a00:1:2:3:200:5efe:7f00:1]",
    "[fec0::1]",
]


@pytest.mark.parametrize("host", PRIVATE)
async def test_no_private_address_is_dialled(host: str) -> None:
    async with listening(ok(b"x")) as listener:
        for url in (f"http://{host}:{listener.port}/", f"HTTP://{host}:{listener.port}"):
            with pytest.raises(InvalidImageUrl, match="not on the public internet"):
                await Fetcher(MediaSettings()).fetch(url)
        assert listener.num_connections == 0


DISGUISED = [
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.0.0.01",
    "127.0.0.1%00",
    "127.0.0.1%2f",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "ⓛocalhost",
    "[::1%25lo]",
    "[fe80::1%eth0]",
    "[::1",
    "::1",
    "user@127.0.0.1",
    "user:secret@127.0.0.1",
    "example.com@127.0.0.1",
    "example.com\\@127.0.0.1",
    "example.com\\.127.0.0.1",
    "127.0.0.1\\@example.com",
    "127.0.0.1\t",
    "127.0.0.1\n",
    "127.0.0.1 .example.com",
    "\x00127.0.0.1",
    "localhost",
    "LOCALHOST",
    "LocalHost.",
    "localhost..",
    ".localhost",
    "",
    "a" * 300 + ".com",
    "-a.com",
]


@pytest.mark.parametrize("host", DISGUISED)
@pytest.mark.parametrize("with_port", [True, False])
async def test_no_disguise_of_loopback_is_dialled(host: str, with_port: bool) -> None:
    async with listening(ok(b"x")) as listener:
        url = f"http://{host}:{listener.port}/a.png" if with_port else f"http://{host}/a.png"
        with pytest.raises((InvalidImageUrl, ImageDownloadFailed)):
            await Fetcher(MediaSettings(fetch_timeout_seconds=2)).fetch(url)
        assert listener.num_connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://127.0.0.1/a",
        "gopher://127.0.0.1/a",
        "blob:http://localhost/1",
        "blob:null/5b2c",
        "javascript:alert(1)",
        "unix:/run/a.sock",
        "ws://127.0.0.1/",
        "data:text/html,data:image/png;base64,AAAA",
        "about:blank",
        "//127.0.0.1/a.png",
        "./a.png",
        "../a.png",
        "picture.png",
        "http:127.0.0.1",
        "http:/127.0.0.1",
        "http:///127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:+80/",
        "http://127.0.0.1:８０/",
        "https:",
        " ",
        "",
    ],
)
async def test_sources_that_nobody_reads_are_a_clear_400(url: str) -> None:
    async with MediaLoader(MediaSettings()) as loader:
        with pytest.raises(FlashwebError) as caught:
            await loader.load([ImagePart(url=url)])
    assert caught.value.code in ("invalid_image_url", "invalid_image")


async def test_a_blob_url_is_answered_with_the_fix() -> None:
    async with MediaLoader(MediaSettings()) as loader:
        with pytest.raises(InvalidImageUrl, match="send the bytes as a data: URL"):
            await loader.load([ImagePart(url="blob:http://localhost:8000/b2d1")])


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_what_the_standard_library_calls_private_is_never_public(address: ipaddress.IPv4Address) -> None:
    if (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
    ):
        assert not is_public(address)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["::ffff:0:0", "64:ff9b::", "::", "64:ff9b:1::", "::ffff:0:0:0"]))
def test_no_address_is_public_through_a_translation(v4: int, prefix: str) -> None:
    assert not is_public(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | v4))


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001::64"])
def test_ordinary_addresses_are_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


# --- resolving ----------------------------------------------------------------------------------------------------


async def test_an_answer_that_mixes_public_and_private_is_refused_whole() -> None:
    async with listening(ok(b"x")) as listener:
        fetcher = Fetcher(MediaSettings(), resolver=names({"mixed.test": ["93.184.216.34", "127.0.0.1"]}))
        with pytest.raises(InvalidImageUrl, match="not on the public internet"):
            await fetcher.fetch(f"http://mixed.test:{listener.port}/")
        assert listener.num_connections == 0


async def test_a_name_is_resolved_once_and_the_checked_address_is_dialled() -> None:
    """DNS rebinding: the second answer would be another address, but there is no second question."""
    asked: list[str] = []
    async with listening(ok(b"pixels")) as listener:

        async def changing(host: str, port: int) -> Sequence[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

        settings = MediaSettings(allow_hosts=("127.0.0.1/32",))
        assert (
            await Fetcher(settings, resolver=changing).fetch(f"http://pictures.test:{listener.port}/x?y=1") == b"pixels"
        )
        assert asked == ["pictures.test"]
        assert listener.requests[0].startswith("GET /x?y=1 HTTP/1.1\r\n")
        assert f"Host: pictures.test:{listener.port}\r\n" in listener.requests[0]
        with pytest.raises(InvalidImageUrl):
            await Fetcher(settings, resolver=changing).fetch(f"http://pictures.test:{listener.port}/")


async def test_the_tls_name_is_the_callers_host() -> None:
    seen: list[bytes] = []

    async def first_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(2048))
        writer.close()

    server = await asyncio.start_server(first_bytes, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        fetcher = Fetcher(
            MediaSettings(allow_hosts=("127.0.0.1",)),
            resolver=names({"secure.test": ["127.0.0.1"]}),
            ssl_context=ssl.create_default_context(),
        )
        with pytest.raises(ImageDownloadFailed):
            await fetcher.fetch(f"https://secure.test:{port}/")
    assert b"secure.test" in seen[0]


async def test_an_unknown_name_is_a_failed_download() -> None:
    with pytest.raises(ImageDownloadFailed, match="no address"):
        await Fetcher(MediaSettings(), resolver=names({})).fetch("http://nowhere.test/")


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.0/8", "pictures.test", "PICTURES.test."])
async def test_an_operator_may_allow_a_host_or_a_network(entry: str) -> None:
    async with listening(ok(b"pixels")) as listener:
        fetcher = Fetcher(MediaSettings(allow_hosts=(entry,)), resolver=names({"pictures.test": ["127.0.0.1"]}))
        assert await fetcher.fetch(f"http://pictures.test:{listener.port}/") == b"pixels"


async def test_an_allowed_port_does_not_open_the_others() -> None:
    async with listening(ok(b"a")) as first, listening(ok(b"b")) as second:
        fetcher = Fetcher(open_to(first))
        assert await fetcher.fetch(first.url) == b"a"
        with pytest.raises(InvalidImageUrl):
            await fetcher.fetch(second.url)
        assert second.num_connections == 0


@pytest.mark.parametrize("entry", ["http://a.test", "a.test/x", "*", "a b", "10.0.0.0/33", "1.2.3.4.5"])
def test_an_allow_entry_that_means_nothing_is_refused_at_start(entry: str) -> None:
    with pytest.raises(ConfigError, match="media_allow_hosts"):
        AllowList([entry])


# --- redirects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_a_private_address_is_refused(status: int) -> None:
    async with listening(ok(b"secret")) as inner, listening(moved(f"http://127.0.0.1:{inner.port}/", status)) as outer:
        with pytest.raises(InvalidImageUrl, match="not on the public internet"):
            await Fetcher(open_to(outer)).fetch(outer.url)
        assert (outer.num_connections, inner.num_connections) == (1, 0)


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://a.test/",
        "http://user@a.test/",
        "gopher://x/",
        "http://[::1]/",
        "//127.0.0.1:1/",
        "\\\\x",
    ],
)
async def test_a_redirect_elsewhere_than_http_is_refused(location: str) -> None:
    async with listening(moved(location)) as listener:
        with pytest.raises(FlashwebError):
            await Fetcher(open_to(listener)).fetch(listener.url)
        assert listener.num_connections == 1


@pytest.mark.parametrize("location", ["http://[", "//[", "http://a]b/"])
async def test_a_redirect_to_a_malformed_address_is_the_callers_error(location: str) -> None:
    async with listening(moved(location)) as listener:
        with pytest.raises(ImageDownloadFailed, match="redirects to a malformed address"):
            await Fetcher(open_to(listener)).fetch(listener.url)


async def test_three_redirects_are_followed_and_a_fourth_is_not() -> None:
    async def hop(request: str, writer: asyncio.StreamWriter) -> None:
        left = int(request.split("/hop/")[1].split(" ")[0])
        writer.write(ok(b"there") if left == 0 else moved(f"../hop/{left - 1}"))
        await writer.drain()

    async with listening(hop) as listener:
        fetcher = Fetcher(open_to(listener))
        assert await fetcher.fetch(f"http://127.0.0.1:{listener.port}/hop/3") == b"there"
        with pytest.raises(ImageDownloadFailed, match="more than 3 times"):
            await fetcher.fetch(f"http://127.0.0.1:{listener.port}/hop/4")
        assert listener.num_connections == 8
        with pytest.raises(ImageDownloadFailed, match="more than 0 times"):
            await Fetcher(open_to(listener, fetch_max_redirects=0)).fetch(f"http://127.0.0.1:{listener.port}/hop/1")


# --- what leaves ----------------------------------------------------------------------------------------------------


async def test_nothing_of_ours_leaves_with_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(ok(b"x")) as proxy, listening(ok(b"pixels", Set_Cookie="a=b")) as listener:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        fetcher = Fetcher(open_to(listener))
        for _ in range(2):
            assert await fetcher.fetch(listener.url) == b"pixels"
        assert proxy.num_connections == 0
        for request in listener.requests:
            sent = {line.split(":")[0].lower() for line in request.split("\r\n")[1:] if line}
            assert sent == {"host", "accept", "accept-encoding", "user-agent", "connection"}
            assert "accept-encoding: identity" in request.lower()


async def test_links_inside_text_are_never_followed() -> None:
    """Only ImageParts reach the loader; a chat's text parts are not pictures, whatever they say."""
    from flashweb.types import Chat, Message

    async with listening(ok(b"x")) as listener:
        text = f"![see]({listener.url}) <img src='{listener.url}'> {listener.url}"
        chat = Chat((Message("user", (TextPart(text),)),))
        async with MediaLoader(open_to(listener)) as loader:
            assert await loader.load(chat.images) == []
        assert listener.num_connections == 0


# --- sizes and time -------------------------------------------------------------------------------------------------

LIMIT = 256 << 10


async def endless(request: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    sent = 0
    while sent < 100 * LIMIT:
        writer.write(b"x" * 16384)
        sent += 16384
        await writer.drain()


async def test_an_endless_body_is_cut_off_at_the_limit() -> None:
    sent = 0

    async def counting(request: str, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 16384)
            await writer.drain()
            sent += 16384

    async with listening(counting) as listener:
        with pytest.raises(TooLarge, match="the limit is 262,144"):
            await Fetcher(open_to(listener, fetch_max_bytes=LIMIT)).fetch(listener.url)
    assert sent < LIMIT + (8 << 20), "only what the sockets buffer may be sent beyond the limit"


async def test_a_declared_length_over_the_limit_is_refused_before_the_body() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"
    async with listening(head) as listener:
        with pytest.raises(TooLarge, match="10,000,000,000 bytes"):
            await Fetcher(open_to(listener)).fetch(listener.url)


@pytest.mark.parametrize(("size", "fits"), [(LIMIT, True), (LIMIT + 1, False)])
async def test_the_limit_holds_to_the_byte(size: int, fits: bool) -> None:
    async with listening(ok(b"x" * size, Content_Length="")) as listener:
        fetcher = Fetcher(open_to(listener, fetch_max_bytes=LIMIT))
        if fits:
            assert len(await fetcher.fetch(listener.url)) == LIMIT
        else:
            with pytest.raises(TooLarge):
                await fetcher.fetch(listener.url)


async def test_a_slow_drip_ends_at_the_deadline() -> None:
    async def drip(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with listening(drip) as listener:
        began = monotonic()
        with pytest.raises(ImageDownloadFailed, match=r"within 0\.4 s"):
            await Fetcher(open_to(listener, fetch_timeout_seconds=0.4)).fetch(listener.url)
        assert monotonic() - began < 4  # all of it would take five


async def test_the_deadline_covers_all_hops_together() -> None:
    async def slow_hop(request: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(moved("/again"))
        await writer.drain()

    async with listening(slow_hop) as listener:
        with pytest.raises(ImageDownloadFailed, match=r"within 0\.3 s"):
            await Fetcher(open_to(listener, fetch_timeout_seconds=0.3)).fetch(listener.url)


@pytest.mark.parametrize(
    "reply",
    [
        ok(b"short", Content_Length="50"),
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 302 Nowhere\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
        ok(b"\x1f\x8b\x08\0", Content_Encoding="gzip"),
        ok(b"abcd", Content_Encoding="br"),
        ok(b"abcd", Content_Encoding="gzip, gzip, gzip"),
        ok(b"abcd", Content_Encoding="zstd"),
    ],
)
async def test_an_answer_that_is_no_picture_transfer_is_a_failed_download(reply: bytes) -> None:
    async with listening(reply) as listener:
        with pytest.raises(ImageDownloadFailed, match=r"127\.0\.0\.1"):
            await Fetcher(open_to(listener, fetch_timeout_seconds=5)).fetch(listener.url)


async def test_a_refused_connection_is_a_failed_download() -> None:
    async with listening() as listener:
        port = listener.port
    with pytest.raises(ImageDownloadFailed, match="connection was refused"):
        await Fetcher(MediaSettings(allow_hosts=("127.0.0.1",))).fetch(f"http://127.0.0.1:{port}/")


# --- the parser -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://A.Test", "http://a.test/"),
        ("https://a.test:443/x", "https://a.test/x"),
        ("http://a.test:8080?q=1#part", "http://a.test:8080/?q=1"),
        ("http://a.test./b", "http://a.test/b"),
        ("http://[2A00::1]:81/", "http://[2a00::1]:81/"),
        ("https://a.test/图片.png?名=茶", "https://a.test/%E5%9B%BE%E7%89%87.png?%E5%90%8D=%E8%8C%B6"),
        ("https://a.test/a%20b%2Fc?x=%26", "https://a.test/a%20b%2Fc?x=%26"),
        ("  https://a.test/x\n", "https://a.test/x"),
        ("https://a.test/@user:pw@x", "https://a.test/@user:pw@x"),
    ],
)
def test_urls_have_one_normal_form(url: str, normal: str) -> None:
    assert parse_url(url).url == normal


@given(st.text(max_size=60).map(lambda text: "http://" + text))
def test_whatever_parses_has_a_plain_host(url: str) -> None:
    try:
        target = parse_url(url)
    except InvalidImageUrl:
        return
    assert target.host.isascii()
    assert not set(target.host) & set("@\\/?#% \t\r\n")
    assert target.path.startswith("/")
    assert target.path.isascii()
    assert not any(character <= " " for character in target.path)
    assert parse_url(target.url) == target
