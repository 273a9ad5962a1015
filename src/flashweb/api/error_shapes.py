"""Errors in the shape that a path's callers know, whichever layer refused: `{"code", "msg"}` on the two infer paths,
`detail` beside the envelope under `/api/`, Anthropic's on its own. One place, outside everything that may refuse a
request.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flashweb.api.exchange import exchange_of

INFER_PATHS = ("/v1/glm/infer", "/infer")
MESSAGES_PATHS = ("/v1/messages", "/v1/messages/count_tokens")
# HTTP status -> Anthropic's type of error; others are the caller's (4xx) or ours (5xx).
ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
OUT_OF_MEMORY = 507  # only here: elsewhere it is a 500 with the code out_of_memory
Shape = Callable[[int, dict[str, Any]], tuple[int, dict[str, Any]]]


def request_id_of(scope: Scope) -> str:
    return exchange_of(scope).record.id


def shape_of(path: str, request_id: str) -> Shape | None:
    if path in INFER_PATHS:
        return _infer_shape
    if path in MESSAGES_PATHS:
        return partial(anthropic_shape, request_id)
    return _with_detail if path.startswith("/api/") else None


def _infer_shape(status: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    error = body["error"]
    if error["code"] == "out_of_memory":
        status = OUT_OF_MEMORY
    return status, {"code": status, "msg": error["message"]}


def _with_detail(status: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return status, {**body, "detail": body["error"]["message"]}


def anthropic_shape(request_id: str, status: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Its errors name neither parameter nor code: the message does."""
    kind = ANTHROPIC_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    error = {"type": kind, "message": body["error"]["message"]}
    return status, {"type": "error", "error": error, "request_id": request_id}


class ErrorShapes:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, request_id = scope["path"], request_id_of(scope)
        if path in MESSAGES_PATHS:
            send = _with_request_id(send, request_id)
        shape = shape_of(path, request_id)
        await self.app(scope, receive, send if shape is None else _Reshaped(send, shape))


def _with_request_id(send: Send, request_id: str) -> Send:
    """Anthropic's clients look for the id under this name, on every answer."""

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["request-id"] = request_id
        await send(message)

    return send_with_id


class _Reshaped:
    """`send` that holds an error back until it is whole; everything else passes through."""

    def __init__(self, send: Send, shape: Shape) -> None:
        self._send = send
        self._shape = shape
        self._held: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_error(message):
            self._held = message
            return
        if self._held is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        start, self._held = self._held, None
        if self._body:  # there is none in an answer to HEAD
            document = msgspec.json.decode(self._body)
            if isinstance(document, dict) and "error" in document:
                start["status"], document = self._shape(start["status"], document)
                self._body = msgspec.json.encode(document)
                MutableHeaders(scope=start)["content-length"] = str(len(self._body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": self._body})


def _is_error(start: Message) -> bool:
    kind = Headers(raw=start.get("headers", [])).get("content-type", "")
    return int(start["status"]) >= 400 and kind.startswith("application/json")
