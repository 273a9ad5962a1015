"""Remote pictures over http(s), through one guard: `Fetcher` is the only code of ours that dials for a caller, also to
tell a receiver of an event (`post`).

How the guard holds:
- one strict parser (`parse_url`) makes the `Target` that is both checked and dialled; whatever libraries tend to
  disagree about (backslashes, user names, control characters, percent signs or non-ASCII letters in the host,
  numbers that are addresses in disguise) is refused, not interpreted;
- the connection itself resolves the name, once, refuses if any answer is not a public address, and dials the address
  that it checked; Host header and TLS name stay the caller's. There is no second look-up to race with;
- redirects come back here and are parsed, checked and dialled like a first URL, at most `fetch_max_redirects` times;
- nothing of ours leaves: no cookies, credentials, environment proxies or referrers, no compression accepted;
- the body is counted while it streams, and one deadline covers everything.

Knows nothing of picture formats.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias
from urllib.parse import quote, urljoin

import httpcore

from flashweb.errors import ConfigError, FlashwebError, ImageDownloadFailed, InvalidImageUrl, InvalidRequest, TooLarge
from flashweb.media.settings import MediaSettings
from flashweb.media.sources import shown
from flashweb.types import PictureTimes

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

MAX_URL_CHARACTERS = 8192
FETCHES_AT_ONCE = 8  # of one request
# How a fetch that failed for another reason than the remote host is counted.
_OUTCOMES: dict[type[FlashwebError], str] = {InvalidImageUrl: "refused", TooLarge: "too_large"}
_REDIRECTS = {301, 302, 303, 307, 308}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(?P<scheme>[a-zA-Z]+)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[0-9A-Za-z._\-]+)(?::(?P<port>[0-9]{0,5}))?", re.ASCII)
_LABEL = re.compile(r"[0-9a-z_](?:[0-9a-z_\-]{0,61}[0-9a-z_])?", re.ASCII)
_NUMBER_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)

# IANA special-purpose registries (IPv4, IPv6), plus multicast and the ways an IPv4 address hides inside IPv6.
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # Azure's host, public by number only
    )
)
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC_V6: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL: what is checked and what is dialled. `host` is lower case, without brackets or trailing dot."""

    scheme: str
    host: str
    port: int
    path: str  # with query, percent-encoded

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"


@dataclass(frozen=True, slots=True)
class Posted:
    """The answer's status, 0 where there was none, and in words what came of it."""

    status: int
    words: str
    retry_after: str = ""


def parse_url(url: str, whose: str = "the picture's") -> Target:
    """The only parser of remote addresses. Raises InvalidImageUrl."""

    def refuse(reason: str) -> InvalidImageUrl:
        return InvalidImageUrl(f"{whose} URL {shown(url)} cannot be used: {reason}", param="image_url")

    url = url.strip(" \t\r\n")
    if len(url) > MAX_URL_CHARACTERS:
        raise refuse(f"it has {len(url)} characters, the limit is {MAX_URL_CHARACTERS}")
    if any(character <= " " or character == "\\" or character == "\x7f" for character in url):
        raise refuse("it holds spaces, control characters or backslashes; percent-encode them")
    match = _URL.fullmatch(url)
    scheme = match["scheme"].lower() if match else ""
    if match is None or scheme not in _DEFAULT_PORTS:
        raise refuse("it is no whole http(s) URL; write https://host/path or send the bytes as a data: URL")
    if "@" in match["authority"]:
        raise refuse("it holds a user name or password; use a URL that needs none")
    authority = _AUTHORITY.fullmatch(match["authority"])
    if authority is None:
        raise refuse("its host is malformed; write a plain host name (punycode for other alphabets)")
    port = int(authority["port"] or _DEFAULT_PORTS[scheme])
    if not 1 <= port <= 65535:
        raise refuse(f"port {port} does not exist")
    try:
        host = _host(authority["host"])
    except ValueError as error:
        raise refuse(str(error)) from None
    target = match["target"]
    path = quote(target if target.startswith("/") else "/" + target, safe="/?%:@!$&'()*+,;=-._~[]|")
    return Target(scheme, host, port, path)


def _host(text: str) -> str:
    """Normal form of a host: a name, a dotted quad or an IPv6 address. Raises ValueError."""
    if text.startswith("["):
        return str(ipaddress.IPv6Address(text[1:-1]))  # zones ("%eth0") never get past the pattern
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if _NUMBER_LABEL.fullmatch(labels[-1]):
        # "2130706433", "0x7f.1", "017700000001", "127.1": many libraries read these as addresses. One form is enough.
        return str(ipaddress.IPv4Address(host))
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{host!r} is no host name")
    return host


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet. Tunnels and translations of IPv4 into IPv6 do not."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    if address.scope_id is not None or address not in _PUBLIC_V6:
        return False  # also ::1, ::ffff:0:0/96 (mapped), 64:ff9b::/96 (NAT64), fc00::/7, fe80::/10, ff00::/8
    if any(address in network for network in _NOT_PUBLIC_V6):
        return False  # also Teredo (2001::/32) and 6to4 (2002::/16)
    return (int(address) >> 32 & 0xFDFFFFFF) != 0x00005EFE  # ISATAP: an IPv4 address in the interface id


class AllowList:
    """Exceptions an operator made: `host`, `host:port`, an address, or a network in CIDR form."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._names: set[tuple[str, int | None]] = set()
        self._networks: list[Network] = []
        for entry in entries:
            self._add(entry.strip())

    def _add(self, entry: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(entry, strict=False))
            return
        except ValueError:
            pass
        match = _AUTHORITY.fullmatch(entry)
        try:
            if match is None:
                raise ValueError("malformed")
            self._names.add((_host(match["host"]), int(match["port"]) if match["port"] else None))
        except ValueError as error:
            raise ConfigError(
                f"media_allow_hosts: {entry!r} is neither a host, host:port, address nor network ({error})"
            ) from None

    def allows(self, host: str, port: int, address: Address | None) -> bool:
        if (host, None) in self._names or (host, port) in self._names:
            return True
        return address is not None and any(address in network for network in self._networks)


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a name, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for httpcore: resolve once, check all answers, dial one of the checked addresses."""

    def __init__(self, allow: AllowList, resolver: Resolver) -> None:
        self._allow = allow
        self._resolve = resolver
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._checked_addresses(host, port)
        for address in addresses[:-1]:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._backend.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _checked_addresses(self, host: str, port: int) -> list[str]:
        try:
            addresses = [ipaddress.ip_address(text) for text in await self._resolve(host, port)]
        except (OSError, UnicodeError, ValueError):
            addresses = []
        if not addresses:
            raise ImageDownloadFailed(f"the host {host} has no address; check the picture's URL", param="image_url")
        if not all(is_public(address) or self._allow.allows(host, port, address) for address in addresses):
            raise InvalidImageUrl(
                f"the picture's host {host}:{port} is not on the public internet; send the bytes as a data: URL, or "
                "let the server's operator list the host in --media-allow-hosts",
                param="image_url",
            )
        return [str(address) for address in addresses[:4]]

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise InvalidImageUrl("unix sockets are never dialled for a caller")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@cache
def _default_context() -> ssl.SSLContext:
    """Made once: to read the authorities takes some 50 ms, in which no stream would go on."""
    return httpcore.default_ssl_context()


class Fetcher:
    """Downloads pictures from callers' URLs. Every fetch is a connection of its own; nothing is kept between them."""

    def __init__(
        self,
        settings: MediaSettings,
        *,
        resolver: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
        accept: str = "image/*",
    ) -> None:
        """`accept` is what the hosts hear is wanted."""
        self._settings = settings
        self._allow = AllowList(settings.allow_hosts)
        self._resolver = resolver
        self._ssl_context = ssl_context
        self._accept = accept

    async def fetch(self, url: str) -> bytes:
        """The bytes behind an http(s) URL. Raises InvalidImageUrl, ImageDownloadFailed, TooLarge."""
        seconds = self._settings.fetch_timeout_seconds
        target = parse_url(url)
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(target)
        except FlashwebError:
            raise
        except (TimeoutError, httpcore.TimeoutException):
            raise ImageDownloadFailed(
                f"the picture from {target.host} did not arrive within {seconds:g} s; send the bytes as a data: URL",
                param="image_url",
            ) from None
        except ssl.SSLError:
            raise _failed(target, "its TLS certificate or handshake was refused") from None
        except httpcore.ConnectError:
            raise _failed(target, "the connection was refused or TLS failed") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            raise _failed(target, "the host broke off or does not speak HTTP") from None

    def receiver(self, url: str) -> Target:
        """Where to post: https only and no private address, but for hosts that are allowed. Raises InvalidRequest."""
        try:
            target = parse_url(url, "the webhook's")
            address = None
            with suppress(ValueError):
                address = ipaddress.ip_address(target.host)
            if not self._allow.allows(target.host, target.port, address):
                if target.scheme != "https":
                    raise InvalidImageUrl("the webhook's URL must begin with https://")
                if address is not None and not is_public(address):
                    raise InvalidImageUrl(f"the webhook's address {target.host} is not on the public internet")
        except InvalidImageUrl as error:
            raise InvalidRequest(error.message, param="webhook_url", code="invalid_webhook_url") from None
        return target

    async def post(self, target: Target, headers: Mapping[str, str], body: bytes, seconds: float) -> Posted:
        """Redirects are not followed, and nothing but the answer's head is read."""
        headers = {**headers, "Content-Length": str(len(body))}
        try:
            async with asyncio.timeout(seconds), self._asked("POST", target, headers, body) as response:
                again = {name.lower(): value for name, value in response.headers}.get(b"retry-after", b"")
                return Posted(response.status, f"status {response.status}", again.decode("latin-1"))
        except FlashwebError:
            return Posted(0, "its host has no public address")
        except (TimeoutError, httpcore.TimeoutException):
            return Posted(0, f"no answer within {seconds:g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            return Posted(0, f"no connection, or one that broke off ({type(error).__name__})")

    async def _follow(self, target: Target) -> bytes:
        limit = self._settings.fetch_max_redirects
        for _ in range(limit + 1):
            body, location = await self._get(target)
            if location is None:
                return body
            try:
                joined = urljoin(target.url, location)
            except ValueError:  # such as an address with half a bracket
                raise _failed(target, "it redirects to a malformed address") from None
            target = parse_url(joined)
        raise _failed(target, f"it redirects more than {limit} times")

    async def _get(self, target: Target) -> tuple[bytes, str | None]:
        """One request: (body, None) or (b"", where it redirects to)."""
        async with self._asked("GET", target, {"Accept": self._accept}) as response:
            headers = {name.lower(): value for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in headers:
                return b"", headers[b"location"].decode("latin-1")
            if response.status != 200:
                raise _failed(target, f"the host answered with status {response.status}")
            return await self._read(target, response, headers), None

    @asynccontextmanager
    async def _asked(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[httpcore.Response]:
        """A connection of its own, through the guard, and the head of the answer."""
        backend = _GuardedBackend(self._allow, self._resolver)
        request = httpcore.Request(
            method,
            # Built from the checked parts: no other parser ever reads the caller's text.
            httpcore.URL(
                scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
            ),
            headers=[
                ("Host", target.netloc),
                *headers.items(),
                ("Accept-Encoding", "identity"),
                ("User-Agent", "flashweb"),
                ("Connection", "close"),
            ],
            content=body,
        )
        context = self._ssl_context
        if context is None and target.scheme == "https":
            context = await asyncio.to_thread(_default_context)
        async with httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=1,
            http1=True,
            http2=False,
            retries=0,
            network_backend=backend,
        ) as pool:
            response = await pool.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()

    async def _read(self, target: Target, response: httpcore.Response, headers: dict[bytes, bytes]) -> bytes:
        limit = self._settings.fetch_max_bytes
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding not in (b"", b"identity"):
            raise _failed(target, "the host compressed the picture although asked not to")
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            raise self._too_large(target, int(declared))
        body = bytearray()
        async for chunk in response.aiter_stream():
            body += chunk
            if len(body) > limit:  # httpcore reads 64 KB at a time: never more than that beyond the limit
                raise self._too_large(target, None)
        return bytes(body)

    def _too_large(self, target: Target, num_bytes: int | None) -> TooLarge:
        size = f"{num_bytes:,} bytes" if num_bytes is not None else "more bytes"
        limit = self._settings.fetch_max_bytes
        return TooLarge(
            f"the picture from {target.host} has {size}, the limit is {limit:,}; use a smaller one", param="image_url"
        )


async def fetch_timed(fetcher: Fetcher, url: str, times: PictureTimes) -> bytes:
    """`Fetcher.fetch`, and how it ended and how long it took into `times`."""
    began, outcome = time.perf_counter(), "failed"
    try:
        data = await fetcher.fetch(url)
        outcome = "ok"
        return data
    except FlashwebError as error:
        outcome = next((word for kind, word in _OUTCOMES.items() if isinstance(error, kind)), outcome)
        raise
    except asyncio.CancelledError:
        outcome = "cancelled"
        raise
    finally:
        times.fetches.append((outcome, time.perf_counter() - began))


def _failed(target: Target, reason: str) -> ImageDownloadFailed:
    return ImageDownloadFailed(
        f"the picture could not be fetched from {target.host}: {reason}; check the URL or send bytes as a data: URL",
        param="image_url",
    )
