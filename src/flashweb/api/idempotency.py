"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a POST that comes again under its key gets the answer
that it got, and does nothing twice. The one layer that every POST passes.

A key is its caller's own, on its path. The first request with it claims it and is answered; its body's digest is taken
while the endpoint reads it, so nothing is read twice or kept in memory for it. The same body again is the same answer,
streams too, from the end of the first on; until then, and for another body, it is an error. What is not kept: answers
over 1 MiB, those that say to come again (5xx, 409, 429), and those whose client left before their end; the next request
with the key is then a first one.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flashweb.api.caller import owner_of
from flashweb.api.error_handlers import error_response
from flashweb.api.exchange import Exchange, exchange_of
from flashweb.errors import FlashwebError, IdempotencyKeyInUse, IdempotencyKeyReused, InvalidRequest, StorageUnavailable
from flashweb.settings import StorageSettings
from flashweb.stored.idempotency import MAX_ANSWER_BYTES, Claim, IdempotencyStore, KeptAnswer, Running

HEADER = "Idempotency-Key"
REPLAYED = b"idempotent-replayed"
MAX_KEY_CHARS = 255
# A structured field's string (RFC 8941), as the draft has it, or the bare text that most clients send.
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-~][!-~]*")
KEY_PATTERN = r'^([!#-~][!-~]{0,254}|"([ !#-\[\]-~]|\\["\\]){1,255}")$'  # both, for the API's description
_COME_AGAIN = frozenset({408, 409, 425, 429, 499})
_CLAIM = "flashweb.claim"


def idempotency_store(storage: StorageSettings) -> IdempotencyStore | None:
    """Opens nothing yet; None where keys are not looked at."""
    if storage.idempotency == "off":
        return None
    return IdempotencyStore(
        storage.folder / "idempotency.sqlite" if storage.idempotency == "disk" else None,
        max_bytes=storage.idempotency_size,
        seconds=storage.idempotency_hours * 3600,
    )


def new_id(request: Request) -> str:
    """24 hexadecimal digits for what a request makes. Under an Idempotency-Key they are the same when it comes again
    because the server died before it could keep the answer. To be asked for once the body was read."""
    first = request.scope.get(_CLAIM)
    if not isinstance(first, _First):
        return secrets.token_hex(12)
    return hashlib.blake2b(first.body.digest, key=first.claim.nonce, digest_size=12).hexdigest()


def parse_key(given: list[bytes]) -> str:
    """Raises InvalidRequest."""
    if len(given) != 1:
        raise _bad(f"came {len(given)} times")
    text = given[0].decode("latin-1").strip()
    quoted = _STRING.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if not key:
        raise _bad("is empty")
    if len(key) > MAX_KEY_CHARS:
        raise _bad(f"has {len(key)} characters")
    if not quoted and _BARE.fullmatch(text) is None:
        raise _bad("has characters that it cannot have")
    return key


def _bad(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"{HEADER} {what}; send one of 1 to {MAX_KEY_CHARS} visible ASCII characters, such as a UUID, bare or in "
        "double quotes.",
        param=HEADER,
        code="invalid_idempotency_key",
    )


class Idempotency:
    def __init__(self, app: ASGIApp, store: IdempotencyStore) -> None:
        self.app = app
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not exchange_of(scope).has(b"idempotency-key"):
            await self.app(scope, receive, send)
            return
        try:
            key = parse_key([value for name, value in scope["headers"] if name == b"idempotency-key"])
            found = await self._store.claim(owner_of(Request(scope)), f"POST {scope['path']}", key)
        except FlashwebError as error:
            await error_response(error)(scope, receive, send)
            return
        if isinstance(found, Claim):
            await self._answer_first(found, scope, receive, send)
        elif isinstance(found, Running):
            await error_response(_in_use())(scope, receive, send)
        else:
            await _answer_again(found, scope, receive, send)

    async def _answer_first(self, claim: Claim, scope: Scope, receive: Receive, send: Send) -> None:
        first = _First(claim, self._store, _Body(scope), exchange_of(scope), receive, send)
        scope[_CLAIM] = first
        try:
            await self.app(scope, first.receive, first.send)
        finally:
            if not first.is_kept:
                with suppress(StorageUnavailable):  # logged; the claim ends with its lease
                    await asyncio.shield(self._store.release(claim))


async def _answer_again(kept: KeptAnswer, scope: Scope, receive: Receive, send: Send) -> None:
    body = _Body(scope)
    while not body.is_complete:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body.add(message)
    if body.digest != kept.body_digest:
        await error_response(_reused())(scope, receive, send)
        return
    exchange_of(scope).fields["idempotent_replayed"] = True
    scope["route"] = _Route(kept.route)
    length = [] if _is_stream(kept.headers) else [(b"content-length", b"%d" % len(kept.body))]
    headers = [*kept.headers, *length, (REPLAYED, b"true")]
    await send({"type": "http.response.start", "status": kept.status, "headers": headers})
    await send({"type": "http.response.body", "body": kept.body, "more_body": False})


@dataclass(frozen=True, slots=True)
class _Route:
    """For the metrics, in the place of the framework's."""

    path: str


class _Body:
    """The digest of one request's body as it arrives. Of a form without its boundary, which clients draw anew for each
    try."""

    def __init__(self, scope: Scope) -> None:
        exchange = exchange_of(scope)
        kind, _, parameters = exchange.header(b"content-type").partition(";")
        length, coding = exchange.header(b"content-length"), exchange.header(b"transfer-encoding")
        self.is_complete = not coding and length in ("", "0")
        self._boundary = b""
        self._rest = b""  # of a form: what may be the beginning of a boundary
        if kind.strip().lower() == "multipart/form-data":
            found = re.search(r'boundary="?([^";]{1,200})', parameters)
            self._boundary = found[1].strip().encode("latin-1") if found else b""
        self._hash = hashlib.blake2b(b"%b\0%b\0" % (scope["query_string"], kind.encode("latin-1")), digest_size=32)

    def add(self, message: Message) -> None:
        if message["type"] != "http.request":
            return
        self.is_complete = not message.get("more_body", False)
        data = message.get("body", b"")
        if not self._boundary:
            self._hash.update(data)
            return
        *before, last = (self._rest + data).split(self._boundary)
        for piece in before:
            self._hash.update(piece)
            self._hash.update(b"\0boundary\0")
        held = 0 if self.is_complete else min(len(last), len(self._boundary) - 1)
        self._hash.update(last[: len(last) - held])
        self._rest = last[len(last) - held :]

    @property
    def digest(self) -> bytes:
        """Of what has come."""
        return self._hash.digest()


@dataclass(eq=False, slots=True)
class _First:
    """A request that has its key for itself: its body and its answer, noted while they pass.

    The answer is noted in two places: its head as the endpoint made it, for the layers add theirs again when it is
    given again, and its body as it goes out, pieces of streams among it.
    """

    claim: Claim
    store: IdempotencyStore
    body: _Body
    exchange: Exchange
    _receive: Receive
    _send: Send
    _status: int = 0
    _headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    _pieces: list[bytes] = field(default_factory=list)
    _num_bytes: int = 0
    is_kept: bool = False
    _pass_on: Send = field(init=False)

    def __post_init__(self) -> None:
        self._pass_on, self.exchange.direct_send = self.exchange.direct_send, self._note_piece

    async def receive(self) -> Message:
        message = await self._receive()
        self.body.add(message)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self._status:
            self._status, self._headers = message["status"], list(message.get("headers", ()))
            while self._status < 400 and not self.body.is_complete:  # an endpoint that has no use for a body
                if (await self.receive())["type"] == "http.disconnect":
                    break
        await self._send(message)

    async def _note_piece(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            piece = message.get("body", b"")
            self._num_bytes += len(piece)
            if self._num_bytes <= MAX_ANSWER_BYTES:
                self._pieces.append(piece)
            else:
                self._pieces.clear()
            if not message.get("more_body", False) and (answer := self._answer()) is not None:
                # Before its last piece goes out: who has it and asks again gets it, and not that it is in use.
                self.is_kept = True
                with suppress(StorageUnavailable):
                    await asyncio.shield(self.store.keep(self.claim, answer))
        await self._pass_on(message)

    def _answer(self) -> KeptAnswer | None:
        """The whole of it, if it is to be given again."""
        if not self.body.is_complete or self._num_bytes > MAX_ANSWER_BYTES:
            return None
        if self._status >= 500 or self._status in _COME_AGAIN:
            return None
        if self._status < 400 and self.exchange.record.work.error_code is not None:
            return None  # the last event of a stream that could not go on
        headers = [header for header in self._headers if header[0].lower() != b"content-length"]
        route = getattr(self.exchange.scope.get("route"), "path", "none")
        return KeptAnswer(self.body.digest, self._status, headers, b"".join(self._pieces), route)


def _is_stream(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-type" and b"event-stream" in value for name, value in headers)


def _in_use() -> IdempotencyKeyInUse:
    return IdempotencyKeyInUse(
        f"Another request with this {HEADER} is being answered; its answer will be yours when you send the same "
        "request again, after the time in Retry-After.",
        param=HEADER,
    )


def _reused() -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        f"This {HEADER} came with another request before, to the same path; send the same body, or another key.",
        param=HEADER,
    )
