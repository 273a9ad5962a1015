"""Domain error -> status and OpenAI's error envelope. The one table, used before and inside a stream.

Bodies hold our own words only: an unexpected exception's text goes to the log, never to the caller.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from flashweb import errors
from flashweb.observe.work import current_work

log = logging.getLogger("flashweb.api")
CLIENT_CLOSED_REQUEST = 499  # for the access log only: nobody reads it

# error class -> (status, OpenAI's type); a class not listed is looked up by its ancestors
STATUS: dict[type[Exception], tuple[int, str]] = {
    errors.InvalidRequest: (400, "invalid_request_error"),
    errors.ImageNotFound: (404, "invalid_request_error"),
    errors.TooLarge: (413, "invalid_request_error"),
    errors.UnsupportedMediaType: (415, "invalid_request_error"),
    errors.ModelNotFound: (404, "invalid_request_error"),
    errors.SceneNotFound: (404, "invalid_request_error"),
    errors.ResponseNotFound: (404, "invalid_request_error"),
    errors.NotAuthenticated: (401, "authentication_error"),
    errors.NotAllowed: (403, "permission_error"),
    errors.RateLimited: (429, "rate_limit_error"),
    errors.RequestNotFound: (404, "not_found_error"),
    errors.CancelledByOperator: (409, "invalid_request_error"),
    errors.ObjectNotFound: (404, "invalid_request_error"),
    errors.Conflict: (409, "invalid_request_error"),
    errors.Overloaded: (503, "service_unavailable_error"),
    errors.DeadlineExceeded: (504, "server_error"),
    errors.FlashwebError: (500, "server_error"),
}
_HTTP_TYPES = {404: "not_found_error", 405: "invalid_request_error"}
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_OUR_FAULT = "The server made a mistake with this request; the operator finds it in the log under the x-request-id."


def status_of(error: errors.FlashwebError) -> tuple[int, str]:
    for ancestor in type(error).__mro__:
        if ancestor in STATUS:
            return STATUS[ancestor]
    raise AssertionError("FlashwebError is in the table")


def envelope(message: str, type_: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def error_body(error: Exception) -> dict[str, Any]:
    """The envelope of any exception; what is not ours is logged and worded neutrally."""
    if isinstance(error, errors.FlashwebError):
        return _noted(envelope(error.message, status_of(error)[1], param=error.param, code=error.code))
    log.error("unexpected error", exc_info=error)
    return _noted(envelope(_OUR_FAULT, "server_error", code="internal_error"))


def _noted(body: dict[str, Any]) -> dict[str, Any]:
    """Every envelope that goes out passes here, so that log and operator learn its code."""
    current_work().error_code = body["error"]["code"] or body["error"]["type"]
    return body


def error_status(error: Exception) -> int:
    return status_of(error)[0] if isinstance(error, errors.FlashwebError) else 500


def error_response(error: Exception) -> Response:
    return json_response(error_body(error), error_status(error), _headers_of(error))


def _headers_of(error: Exception) -> dict[str, str]:
    if isinstance(error, errors.Overloaded | errors.RateLimited):
        return {"retry-after": str(max(1, math.ceil(error.retry_after_seconds)))}
    if isinstance(error, errors.NotAuthenticated):
        return {"www-authenticate": 'Bearer realm="flashweb"'}
    if isinstance(error, errors.IdempotencyKeyInUse):
        return {"retry-after": "1", "x-should-retry": "true"}
    if isinstance(error, errors.CancelledByOperator | errors.Conflict):
        return {"x-should-retry": "false"}  # OpenAI's clients would send it again
    return {}


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(errors.FlashwebError, _on_domain_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnect, _on_client_gone)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(Exception, _on_domain_error)  # logged there; the framework raises it on, see LastResort


async def _on_domain_error(request: Request, error: Exception) -> Response:
    return error_response(error)


async def _on_client_gone(request: Request, error: Exception) -> Response:
    """The client left while it sent its body: nobody's mistake, and nobody is left to answer."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """The router's own refusals: unknown path, wrong method."""
    assert isinstance(error, HTTPException)
    path, method = request.url.path[:100], request.method
    headers, code = dict(error.headers or {}), None
    match error.status_code:
        case 404:
            message, code = f"There is no {method} {path!r} here; /docs lists what there is.", "not_found"
        case 405:
            allowed = headers["Allow"] = ", ".join(_methods_at(request))
            message, code = f"{path!r} does not take {method}; it takes {allowed}.", "method_not_allowed"
        case _:
            message = str(error.detail)
    type_ = _HTTP_TYPES.get(error.status_code, "invalid_request_error" if error.status_code < 500 else "server_error")
    body = _noted(envelope(message, type_, code=code))
    return json_response(body, error.status_code, headers)


def _methods_at(request: Request) -> list[str]:
    """Whatever the path takes; the router names those of one route, and a path may have several. Where one has it by
    its own name, those that would take the name for an id are not meant (/v1/responses/input_tokens)."""
    scope = {**request.scope, "path_params": {}}
    found = []
    for route in _flat(request.app.routes):
        for method in _METHODS:
            match, further = route.matches({**scope, "method": method})
            if match == Match.FULL:
                found.append((method, not further["path_params"]))
    is_named = any(by_name for _, by_name in found)
    return [method for method in _METHODS if (method, is_named) in found]


def _flat(routes: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    for route in routes:
        inner = getattr(route, "original_router", None)  # FastAPI keeps an included router as it is
        yield from (route,) if inner is None else _flat(inner.routes)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    """A path or query parameter FastAPI itself refused; 422 is not used here."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = ".".join(str(step) for step in first["loc"][1:])
    return json_response(_noted(envelope(f"{param}: {first['msg']}.", "invalid_request_error", param=param)), 400)
