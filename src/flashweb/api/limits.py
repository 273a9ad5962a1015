"""How often, and how long: the rate limit and the deadline of every request, before any of its body is read."""

from __future__ import annotations

import asyncio
import math
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flashweb.api.auth import ADMIN_PREFIX, is_open
from flashweb.api.caller import background_of, lease_of
from flashweb.api.error_handlers import error_response
from flashweb.api.exchange import exchange_of
from flashweb.api.forwarded import network_of
from flashweb.api.sse import error_event
from flashweb.errors import DeadlineExceeded, NotReady, RateLimited
from flashweb.rate_limit import Decision, RateLimiter

# Asked in a rhythm by operators' own tools: they take no place in anybody's limit.
UNCOUNTED = ("/metrics", ADMIN_PREFIX)

DEFAULT_DEADLINE = 600.0  # seconds
# Path or the beginning of one -> seconds (contract, section 3); the first that fits counts.
DEADLINES = (
    ("/infer", 30.0),
    ("/v1/glm/infer", 30.0),
    ("/v1/multimodal/completions", 45.0),
    ("/api/audit-image", 45.0),
)
# Of a caller's. Work that nobody waits for may be held to a tenth of the engine for as long as callers are there.
BACKGROUND_TIMES = 10
_SHORTER = tuple(prefix for prefix, _ in DEADLINES)


class RateLimit:
    """Counts each request of a caller; over the limit it is a 429 with `Retry-After`, and every answer says what is
    left. The caller is who the key belongs to, else the address, or everybody together."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter, scope: Literal["caller", "global"]) -> None:
        self.app = app
        self._limiter = limiter
        self._is_global = scope == "global"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope) or scope["path"].startswith(UNCOUNTED):
            await self.app(scope, receive, send)
            return
        try:
            decision = await self._limiter.hit("everybody" if self._is_global else _caller(scope))
        except NotReady as error:
            await error_response(error)(scope, receive, send)
            return
        if decision is None:
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        exchange.headers += (
            (b"x-ratelimit-limit-requests", b"%d" % decision.limit),
            (b"x-ratelimit-remaining-requests", b"%d" % decision.remaining),
            (b"x-ratelimit-reset-requests", duration(decision.reset_seconds).encode()),
        )
        if decision.allowed:
            await self.app(scope, receive, send)
        else:
            exchange.refused_by = "rate_limit"
            await error_response(_too_often(decision))(scope, receive, send)


def _caller(scope: Scope) -> str:
    name = exchange_of(scope).caller_name
    return f"address {network_of(scope)}" if name is None else f"key {name}"


def _too_often(decision: Decision) -> RateLimited:
    return RateLimited(
        f"Rate limit reached: {decision.limit} requests are allowed in the time that --rate-limit gives. Come back in "
        f"{duration(decision.reset_seconds)}.",
        retry_after_seconds=decision.reset_seconds,
    )


def duration(seconds: float) -> str:
    """A time span as OpenAI writes it in headers: `120ms`, `1s`, `6m0s`, `1h0m5s`; rounded up."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def deadline_of(path: str, request_timeout: float | None) -> float:
    """Seconds that a request to `path` may take; a given `request_timeout` holds for every path."""
    if request_timeout is not None:
        return request_timeout
    if not path.startswith(_SHORTER):
        return DEFAULT_DEADLINE
    return next((seconds for prefix, seconds in DEADLINES if _is_under(path, prefix)), DEFAULT_DEADLINE)


def _is_under(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/", "-")


class Deadline:
    """Ends a request that takes too long: whatever works for it is cancelled, which frees its places and blocks. Then
    it gets a 504 or, where a stream has begun, a last `error` event."""

    def __init__(self, app: ASGIApp, request_timeout: float | None) -> None:
        self.app = app
        self._request_timeout = request_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or lease_of(scope) is not None:  # nobody waits for a background response
            await self.app(scope, receive, send)
            return
        seconds = deadline_of(scope["path"], self._request_timeout)
        if background_of(scope) is not None:
            seconds *= BACKGROUND_TIMES
        try:
            async with asyncio.timeout(seconds) as timeout:
                await self.app(scope, receive, send)
        except TimeoutError:
            if not timeout.expired():
                raise  # somebody else's
            exchange = exchange_of(scope)
            exchange.refused_by = "deadline"
            error = DeadlineExceeded(
                f"The request took longer than {seconds:g} seconds, its deadline; ask for less (fewer or smaller "
                "pictures, a lower max_tokens), or start the server with a larger --request-timeout."
            )
            if exchange.head is None:
                await error_response(error)(scope, receive, send)
            elif _is_stream(exchange.head):
                last = error_event(scope, error)
                await exchange.direct_send({"type": "http.response.body", "body": last, "more_body": False})


def _is_stream(start: Message) -> bool:
    return any(name.lower() == b"content-type" and b"event-stream" in value for name, value in start["headers"])
