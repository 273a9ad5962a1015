"""What concerns every request, as pure ASGI in one visible list (`layers`, outermost first). Nothing here looks at
a body's meaning; streaming passes through untouched.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flashweb.api.access_log import log_access
from flashweb.api.auth import Guard
from flashweb.api.caching import CacheControl
from flashweb.api.error_handlers import error_response
from flashweb.api.error_shapes import ErrorShapes
from flashweb.api.exchange import Exchanges, exchange_of
from flashweb.api.forwarded import Forwarded
from flashweb.api.idempotency import Idempotency
from flashweb.api.limits import Deadline, RateLimit
from flashweb.api.metrics import count_http
from flashweb.api.uploads import UPLOAD_WAY_OUT, ByUpload, max_upload_body
from flashweb.errors import FlashwebError, InvalidRequest, TooLarge, UnsupportedMediaType
from flashweb.keys import KeyRing
from flashweb.observe.ledger import Ledger
from flashweb.observe.metrics import Metrics
from flashweb.rate_limit import RateLimiter
from flashweb.settings import ServerSettings, Settings
from flashweb.stored.idempotency import IdempotencyStore

EXPOSED_HEADERS = (
    "x-request-id", "x-flashweb-model", "x-flashweb-warning", "x-flashweb-cache", "idempotent-replayed", "retry-after",
    "server-timing", "openai-processing-ms",
    "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests",
)  # fmt: skip
THROW_AWAY_SECONDS = 5.0


def layers(
    app: ASGIApp,
    settings: Settings,
    own_origins: Sequence[str],
    limiter: RateLimiter | None,
    keys: KeyRing,
    metrics: Metrics,
    ledger: Ledger,
    idempotency: IdempotencyStore | None = None,
) -> ASGIApp:
    """Wrap the router. Read the list from the outside in."""
    server = settings.server
    told = [count_http(metrics), *([log_access] if settings.log.access_log else [])]
    wrap: list[Callable[[ASGIApp], ASGIApp]] = [
        lambda inner: Forwarded(inner, server.trusted_proxies),
        lambda inner: Exchanges(inner, ledger, told),
        ErrorShapes,
        lambda inner: Cors(inner, server, own_origins),
        LastResort,
        lambda inner: HostCheck(inner, server),
        lambda inner: ByUpload(
            BodyLimit(inner, max_bytes=server.max_body_size, timeout_seconds=server.body_timeout),
            BodyLimit(
                inner, max_bytes=max_upload_body(settings), timeout_seconds=server.body_timeout, way_out=UPLOAD_WAY_OUT
            ),
        ),
        lambda inner: Guard(inner, keys),
        lambda inner: inner if limiter is None else RateLimit(inner, limiter, server.rate_limit_scope),
        lambda inner: CacheControl(inner, settings.results) if settings.results.result_cache else inner,
        lambda inner: inner if idempotency is None else Idempotency(inner, idempotency),
        lambda inner: Deadline(inner, server.request_timeout),
        HeadAsGet,
    ]
    for layer in reversed(wrap):
        app = layer(app)
    return app


class Cors:
    """Browsers on listed origins and on our own ports. Without credentials: there are no cookies here."""

    def __init__(self, app: ASGIApp, server: ServerSettings, own_origins: Sequence[str]) -> None:
        self.app = app
        listed = server.cors_allowed_origins
        self._of_browsers = CORSMiddleware(
            app,
            allow_origins=["*"] if "*" in listed else [*listed, *own_origins],
            allow_methods=["GET", "POST", "DELETE", "OPTIONS"],
            allow_headers=["*"],
            expose_headers=list(EXPOSED_HEADERS),
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (exchange := exchange_of(scope)).header(b"origin"):
            await self._of_browsers(scope, receive, send)
            return
        exchange.headers.append((b"vary", b"Origin"))  # all that a program gets of it, for the caches on its way
        await self.app(scope, receive, send)


class LastResort:
    """An exception nobody turned into an answer: ours to log, and a neutral 500 inside all the headers above. One
    that was answered (the framework raises those again, for servers that log) ends here."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            if exchange_of(scope).head is None:
                await error_response(error)(scope, receive, send)


class HostCheck:
    """Against DNS rebinding: a page on the internet may resolve its own name to 127.0.0.1 and then read us as its
    own origin, but it cannot hide that name in Host. Addresses, localhost and listed names pass. A server that was
    opened to other machines may be called by any name, so there the check is only on when names are listed."""

    def __init__(self, app: ASGIApp, server: ServerSettings) -> None:
        self.app = app
        names = {name.lower() for name in server.allowed_hosts}
        self.enabled = "*" not in names and (bool(names) or is_loopback(server.host))
        self.names = names | {"localhost", server.host.lower(), socket.gethostname().lower()}
        self._knows = lru_cache(64)(self._is_known)  # nearly every request names the same one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = [value for name, value in scope["headers"] if name == b"host"]
            if len(given) > 1 or (self.enabled and given and not self._knows(given[0])):
                shown = b", ".join(given).decode("latin-1")[:100]
                error = InvalidRequest(
                    f"This server does not answer to the host name {shown!r}; use its address, or start it with "
                    "--allowed-hosts NAME.",
                    code="unknown_host",
                )
                await error_response(error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_known(self, host: bytes) -> bool:
        try:
            name = (urlsplit(f"//{host.decode('latin-1')}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self.names or name.endswith(".localhost") or _is_address(name)


def is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class BodyLimit:
    """Counts a request's body as it arrives: past the limit, or past the time, the request is over.

    Many clients read no answer before they have sent everything, and lose one whose connection is closed meanwhile.
    So an early answer waits until the rest of the body was thrown away, within bounds; beyond those the connection
    is closed, or the HTTP server would go on reading whatever the client sends, for as long as it likes.

    `way_out` ends what is said of a body that is too large.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        timeout_seconds: float,
        way_out: str = "Send smaller pictures, or start the server with a larger --max-body-size.",
    ) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.timeout_seconds = timeout_seconds
        self.way_out = way_out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        length = exchange.header(b"content-length")
        body = _Body(has_body=bool(exchange.header(b"transfer-encoding")) or length not in ("", "0"))
        deadline = asyncio.get_running_loop().time() + self.timeout_seconds

        async def limited_receive() -> Message:
            if body.complete:
                return await receive()  # only the client's leaving is still to come
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow(body.received) from None
            body.received += len(message.get("body", b""))
            body.complete = not message.get("more_body", False)
            if body.received > self.max_bytes:
                raise self._too_large(body.received)
            return message

        async def settle_body() -> None:
            if not body.complete:
                expected = exchange.header(b"expect").lower() == "100-continue"
                if not expected and asyncio.get_running_loop().time() < deadline:
                    await self._throw_away(receive, body)
                if not body.complete:
                    exchange.headers.append((b"connection", b"close"))

        exchange.before_head = settle_body
        refusal = self._refusal(length, exchange.header(b"content-encoding"))
        if refusal is not None:
            await error_response(refusal)(scope, receive, send)
        else:
            await self.app(scope, limited_receive, send)

    def _refusal(self, length: str, coding: str) -> FlashwebError | None:
        """What is wrong with the body before a byte of it was read."""
        if length.isdecimal() and int(length[:20]) > self.max_bytes:
            return self._too_large(int(length[:20]))
        if coding.lower() not in ("", "identity"):
            return UnsupportedMediaType("Compressed request bodies are not read; send it without Content-Encoding.")
        return None

    async def _throw_away(self, receive: Receive, body: _Body) -> None:
        end = body.received + self.max_bytes
        try:
            async with asyncio.timeout(THROW_AWAY_SECONDS):
                while not body.complete and body.received < end:
                    message = await receive()
                    body.received += len(message.get("body", b""))
                    body.complete = message["type"] == "http.disconnect" or not message.get("more_body", False)
        except TimeoutError:
            pass

    def _too_slow(self, received: int) -> InvalidRequest:
        return InvalidRequest(
            f"The request body did not arrive within {self.timeout_seconds:g} seconds ({received} bytes came); send it "
            "faster or in a smaller size.",
            code="body_timeout",
        )

    def _too_large(self, size: int) -> TooLarge:
        return TooLarge(
            f"The request body has {size} bytes or more; the limit is {self.max_bytes}. {self.way_out}",
            code="request_too_large",
        )


class HeadAsGet:
    """Whatever GET is offered answers HEAD too (probes and load balancers ask that way): the same, without a body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.app({**scope, "method": "GET"}, receive, send_head)


class _Body:
    """How much of one request's body has come."""

    __slots__ = ("complete", "received")

    def __init__(self, *, has_body: bool) -> None:
        self.complete = not has_body
        self.received = 0


def own_origins(host: str, ports: Iterable[int]) -> list[str]:
    """The origins under which this server's own pages are reached."""
    names = {"127.0.0.1", "localhost"}
    if host not in ("0.0.0.0", "::", ""):
        names.add(f"[{host}]" if ":" in host else host)
    return [f"http://{name}:{port}" for port in ports for name in sorted(names)]
