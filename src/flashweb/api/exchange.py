"""`Exchange`: one HTTP request and its answer. Made once by the outermost layer, found by all others (`exchange_of`):
who asks, since when, what is to be said in the head of the answer whoever answers, and how it ended.

The head goes out in one place (`Exchange.send`), so nobody else has to look for it. Nothing here is done per token.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flashweb.api.answers import add_usages
from flashweb.keys import Caller
from flashweb.observe.ledger import Ledger, Record
from flashweb.observe.work import open_work

# Probes and the page's files would drown the lines that matter: they are told neither to the log nor to the ledger.
QUIET_PATHS = (
    "/health", "/v1/health", "/static/", "/assets/", "/samples/", "/favicon.ico", "/metrics",
    "/chat/", "/scenes", "/compare", "/structured", "/operator",
)  # fmt: skip
ADMIN = "/api/admin"
NOBODY_LEFT = 499  # the status of an answer that never began
# The pages load only our own files, and show pictures and clips that a person has just picked (blob:); nothing may
# frame them, and no answer is sniffed into another type.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
SECURITY_HEADERS = (
    (b"server", b"flashweb"),  # also how a second start recognises that the port is already ours
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
)
_SECURITY_NAMES = frozenset(name for name, _ in SECURITY_HEADERS)
_SCOPE_KEY = "exchange"


class Exchange:
    """`record` is what the operator sees of it; `direct_send` the server's own `send`, for the pieces of a stream: one
    per token, they need not go through every layer."""

    __slots__ = (
        "before_head", "direct_send", "fields", "head", "headers", "is_quiet", "last_words", "record",
        "refused_by", "scope", "status", "_caller", "_given",
    )  # fmt: skip

    def __init__(self, scope: Scope, send: Send, record: Record) -> None:
        self.scope = scope
        self.record = record
        self.direct_send = send
        self.is_quiet = scope["path"] == "/" or scope["path"].startswith(QUIET_PATHS)
        self._caller: Caller | None = None
        self.refused_by: str | None = None  # the limit it met
        self.fields: dict[str, Any] = {}  # what the endpoint wants in the log
        self.headers: list[tuple[bytes, bytes]] = []  # for the answer's head
        self.before_head: Callable[[], Awaitable[None]] | None = None
        self.last_words: Callable[[Exception], bytes] | None = None  # of a stream with words of its own
        self.head: Message | None = None  # once it went out
        self.status = NOBODY_LEFT
        # Of equal names the first counts, as for starlette.
        self._given: dict[bytes, bytes] = dict(reversed(scope["headers"]))

    @property
    def caller(self) -> Caller | None:
        """Whose key it came with, once the guard knows it."""
        return self._caller

    @caller.setter
    def caller(self, caller: Caller | None) -> None:
        self._caller = caller
        self.record.key = self.caller_name  # at once: the operator sees whose request is running

    @property
    def caller_name(self) -> str | None:
        """Of the key it came with."""
        return None if self.caller is None else self.caller.name

    @property
    def seconds(self) -> float:
        """Since the request's head."""
        return time.perf_counter() - self.record.work.began

    def header(self, name: bytes) -> str:
        """Of the request; empty where there is none. `name` in small letters."""
        return self._given.get(name, b"").decode("latin-1")

    def has(self, name: bytes) -> bool:
        """A header of the request, empty or not. `name` in small letters."""
        return name in self._given

    async def send(self, message: Message) -> None:
        """The outermost layer's: completes the head, passes on the rest."""
        if message["type"] == "http.response.start" and self.head is None:
            if self.before_head is not None:
                await self.before_head()
            message["headers"] = self._head_of(message.get("headers", ()))
            self.head, self.status = message, message["status"]
            self.record.status = self.status
        await self.direct_send(message)

    def _head_of(self, headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        own = {name for name, _ in headers}
        missing: Sequence[tuple[bytes, bytes]] = SECURITY_HEADERS
        if not own.isdisjoint(_SECURITY_NAMES):
            missing = [header for header in SECURITY_HEADERS if header[0] not in own]
        head = [*headers, *missing, *self.headers, (b"x-request-id", self.record.id.encode())]
        work = self.record.work
        if not self.is_quiet:
            head.append((b"openai-processing-ms", b"%d" % round(1000 * self.seconds)))
            if work.admitted:
                head.append((b"server-timing", work.server_timing().encode()))
                if work.caching is not None and (outcome := work.caching.outcome) is not None:
                    head.append((b"x-flashweb-cache", outcome.encode()))
        return head


def exchange_of(scope: Scope) -> Exchange:
    found = scope["state"][_SCOPE_KEY]
    assert isinstance(found, Exchange)
    return found


class Exchanges:
    """Opens the exchange of every HTTP request, keeps its record in the ledger, and calls all of `told` at its end.

    Its id is always our own: what a client sends in its place never becomes a key of ours. The operator's own questions
    get no place in the ledger: a page that asks twice a second would fill it.
    """

    def __init__(self, app: ASGIApp, ledger: Ledger, told: Sequence[Callable[[Exchange], None]]) -> None:
        self.app = app
        self._ledger = ledger
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with open_work() as work:
            record = Record(f"req_{secrets.token_hex(12)}", scope["method"], scope["path"], work)
            exchange = Exchange(scope, send, record)
            scope.setdefault("state", {})[_SCOPE_KEY] = exchange
            is_kept = not (exchange.is_quiet or scope["path"].startswith(ADMIN))
            if is_kept:
                self._ledger.begin(record)
            try:
                await self.app(scope, receive, exchange.send)
            finally:
                record.status = exchange.status
                record.usage = add_usages(work.usages)
                for tell in self._told:
                    tell(exchange)
                if is_kept:
                    self._ledger.end(record)
