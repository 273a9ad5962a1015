"""The one guard of every path: who is calling, and may they. A path that is not listed as open needs a key when keys
are on, also one that does not exist, and one that somebody adds later.

Decided by the path of the request line alone, as the router decides; no other header can change it.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from flashweb.api.caller import background_of, key_of
from flashweb.api.error_handlers import error_response
from flashweb.api.exchange import exchange_of
from flashweb.errors import FlashwebError, NotAllowed, NotAuthenticated
from flashweb.keys import Caller, KeyRing

# What needs no key: probes, the page's files, the docs (contract, section 3). Every OPTIONS is open too.
OPEN_PATHS = frozenset(
    {
        "/",
        "/scenes",
        "/compare",
        "/structured",
        "/operator",
        "/docs",
        "/openapi.json",
        "/favicon.ico",
        "/health",
        "/health/live",
        "/health/ready",
        "/v1/health",
    }  # fmt: skip
)
OPEN_PREFIXES = ("/chat/", "/scenes/", "/assets/", "/samples/", "/static/")
ADMIN_PREFIX = "/api/admin/"
_HOW = "send it as `Authorization: Bearer KEY` (api_key=KEY in the OpenAI clients)"


def is_open(scope: Scope) -> bool:
    """Whether a request needs neither a key nor a place in anybody's limits."""
    path = scope["path"]
    in_open_folder = path.startswith(OPEN_PREFIXES) and ".." not in path
    return path in OPEN_PATHS or in_open_folder or scope["method"] == "OPTIONS" or background_of(scope) is not None


class Guard:
    """Puts the `Caller` into the exchange, or answers 401 or 403."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope):
            background = background_of(scope)
            if background is not None:
                exchange = exchange_of(scope)
                exchange.caller = background.caller  # whose key was checked when the job came
                exchange.record.work.background = True
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        key = key_of(exchange).encode("latin-1") or None
        caller = None if key is None else self.keys.caller(key)
        refusal = self._refusal(scope["path"], key, caller)
        if refusal is not None:
            await error_response(refusal)(scope, receive, send)
            return
        exchange.caller = caller
        await self.app(scope, receive, send)

    def _refusal(self, path: str, key: bytes | None, caller: Caller | None) -> FlashwebError | None:
        is_admin_path = path.startswith(ADMIN_PREFIX) or path == ADMIN_PREFIX.rstrip("/")
        if caller is None and (self.keys.required or (is_admin_path and self.keys.has_admin)):
            return _unknown() if key is not None else _missing()
        if is_admin_path and (caller is None or not caller.is_admin):
            fix = "use the admin key" if self.keys.has_admin else "start the server with --admin-key"
            return NotAllowed(f"{ADMIN_PREFIX} is for the operator's admin key alone; {fix}.")
        return None


def _missing() -> NotAuthenticated:
    return NotAuthenticated(f"This server needs an API key and got none; {_HOW}.")


def _unknown() -> NotAuthenticated:
    return NotAuthenticated(f"This server does not know the API key it got; check it, and {_HOW}.")
