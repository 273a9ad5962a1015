"""Whose answers a request may be answered with, and what its `Cache-Control` says to that (RFC 9111, of the directives
those that a request to compute something can mean). Only there when answers are kept at all (--result-cache)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from flashweb.api.caller import owner_of
from flashweb.api.exchange import exchange_of
from flashweb.observe.work import Caching
from flashweb.settings import ResultSettings

EVERYBODY = "*"  # no digest of a key


class CacheControl:
    def __init__(self, app: ASGIApp, settings: ResultSettings) -> None:
        self.app = app
        self._is_shared = settings.result_cache_shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            exchange = exchange_of(scope)
            owner = EVERYBODY if self._is_shared else owner_of(Request(scope))
            asked = {part.strip().lower() for part in exchange.header(b"cache-control").split(",")}
            no_cache = not asked.isdisjoint(("no-cache", "max-age=0"))
            exchange.record.work.caching = Caching(owner, no_cache=no_cache, no_store="no-store" in asked)
        await self.app(scope, receive, send)
