"""Who sends a request, as far as what is kept for callers is concerned."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Scope

from flashweb.api.exchange import Exchange, exchange_of
from flashweb.jobs import Lease
from flashweb.keys import Caller

_BACKGROUND = "flashweb.background"


@dataclass(frozen=True, slots=True)
class Background:
    """A request that the runner of jobs makes in the name of an owner whose key was checked when the job came. Such a
    request is work that may wait: interactive ones go before it. No client can make one: this object is put into the
    scope in this process, and HTTP has no name for it. `lease`: it is the run of a background response."""

    owner: str
    caller: Caller | None
    lease: Lease | None = None

    def mark(self, scope: Scope) -> None:
        scope[_BACKGROUND] = self


def background_of(scope: Scope) -> Background | None:
    found = scope.get(_BACKGROUND)
    return found if isinstance(found, Background) else None


def lease_of(scope: Scope) -> Lease | None:
    """Of the background response that this request is the run of."""
    background = background_of(scope)
    return None if background is None else background.lease


def key_of(exchange: Exchange) -> str:
    """The key of `Authorization: Bearer`, else of `x-api-key` (as Anthropic's clients send it); empty: none."""
    scheme, _, value = exchange.header(b"authorization").strip().partition(" ")
    return value.strip() if scheme.lower() == "bearer" else exchange.header(b"x-api-key").strip()


def owner_of(request: Request) -> str:
    """A name for the sender's key that is not the key: what one owner sent is found by the same owner only. Everyone
    who sends no key is one and the same."""
    background = background_of(request.scope)
    if background is not None:
        return background.owner
    exchange = exchange_of(request.scope)
    # Beside a key, Authorization may be a proxy's, and its password everybody's.
    key = key_of(exchange) or exchange.header(b"authorization").rpartition(" ")[2]
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest() if key else ""
