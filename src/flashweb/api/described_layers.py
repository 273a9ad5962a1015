"""What the layers around the router can answer to any request, put into the API's description: errors in the shape of
their path, headers, and whose key a path wants.

Read from the layers' own tables, so that a route somebody adds is described without a list of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flashweb import errors
from flashweb.api.auth import ADMIN_PREFIX, is_open
from flashweb.api.error_handlers import envelope, status_of
from flashweb.api.error_shapes import INFER_PATHS, MESSAGES_PATHS, OUT_OF_MEMORY, shape_of
from flashweb.api.exchange import QUIET_PATHS
from flashweb.api.idempotency import HEADER, KEY_PATTERN, REPLAYED
from flashweb.api.limits import UNCOUNTED

_WORDS = {
    400: "the request cannot be served as it stands, its Idempotency-Key came with another one, or its host is no "
    "name of this server",
    401: "no API key, or one that this server does not know",
    403: "a key that is not for this",
    404: "no such model, picture, document, path or id",
    409: "the operator has ended this request, or another one with its Idempotency-Key is still being answered",
    413: "bytes or pixels over a limit",
    415: "a media type or an encoding nobody here reads",
    429: "over the rate limit",
    500: "our fault, or an answer of the model that is not what was promised (invalid_answer, incomplete_answer)",
    503: "loading, full or shutting down, or what is kept cannot be reached",
    504: "the request took longer than its deadline",
    OUT_OF_MEMORY: "the device ran out of memory",
}
_EXAMPLES: tuple[errors.FlashwebError, ...] = (
    errors.InvalidRequest("temperature must be at most 2, got 9.", param="temperature"),
    errors.NotAuthenticated("This server needs an API key and got none; send it as `Authorization: Bearer KEY`."),
    errors.NotAllowed(f"{ADMIN_PREFIX} is for the operator's admin key alone; use the admin key."),
    errors.ModelNotFound("There is no model 'gpt-4o' here; there is flashweb-nano.", param="model"),
    errors.CancelledByOperator("The operator has ended this request."),
    errors.TooLarge("The request body has 70000000 bytes or more; the limit is 67108864.", code="request_too_large"),
    errors.UnsupportedMediaType("Compressed request bodies are not read; send it without Content-Encoding."),
    errors.IdempotencyKeyReused(
        "This Idempotency-Key came with another request before, to the same path; send the same body, or another key.",
        param=HEADER,
    ),
    errors.RateLimited("Rate limit reached: 30 requests are allowed. Come back in 12s.", retry_after_seconds=12),
    errors.InvalidAnswer("The model's answer is not what the scene promises; send the picture again."),
    errors.FlashwebError("The device ran out of memory; send smaller pictures.", code="out_of_memory"),
    errors.Overloaded("The server is full: 40 requests are running or waiting. Come back in 1s."),
    errors.DeadlineExceeded("The request took longer than 45 seconds, its deadline; ask for less."),
)
# What is kept for callers under ids of its own: it is found or not, and asks the model nothing by itself.
_KEPT_PATHS = ("/v1/files", "/v1/batches", "/api/jobs", "/v1/responses/{")
# What counts a prompt's tokens or spells them: a model has work, but answers nothing.
_COUNT_PATHS = (MESSAGES_PATHS[1], "/v1/responses/input_tokens", "/tokenize", "/detokenize")
_EXAMPLES_OF_KEPT: tuple[errors.FlashwebError, ...] = (
    errors.ObjectNotFound("There is nothing with the id '4711' here; it may have been deleted.", param="id"),
    errors.Conflict("It has ended already; there is nothing to cancel."),
    errors.StorageUnavailable("The folder of this server's files cannot be used; come back later."),
)


def _header(description: str, kind: str = "string", *, always: bool = False, example: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = {"description": description, "schema": {"type": kind}}
    if example is not None:
        found["example"] = example
    return {**found, "required": True} if always else found


_HEADERS = {
    "x-request-id": _header("this request's name in the log", always=True, example="req_5f0c9d2e8a7b41c3d6e9f012"),
    "request-id": _header(
        "the same, under the name that Anthropic's clients know", always=True, example="req_5f0c9d2e8a7b41c3d6e9f012"
    ),
    "openai-processing-ms": _header("from its head to its answer's", "integer", always=True, example=812),
    "server-timing": _header(
        "milliseconds by stage, of a request that had a place in the queue", example="decode;dur=3.1, total;dur=812.4"
    ),
    "x-flashweb-model": _header("the model that answered", always=True, example="flashweb-nano"),
    "x-flashweb-warning": _header(
        "names of fields that nobody here knows and that were ignored; absent when there are none",
        example="ignored unknown fields: temprature",
    ),
    "x-flashweb-cache": _header(
        "with --result-cache: hit, it was kept; shared, together with a request that ran; miss, computed",
        example="hit",
    ),
    "idempotent-replayed": _header("true: the answer that its Idempotency-Key got before", example="true"),
    "x-ratelimit-limit-requests": _header("requests allowed in the time of --rate-limit", "integer", example=30),
    "x-ratelimit-remaining-requests": _header("of those, left", "integer", example=29),
    "x-ratelimit-reset-requests": _header("until one more is possible", example="1m0s"),
    "www-authenticate": _header("how to send a key", always=True, example='Bearer realm="flashweb"'),
    "x-should-retry": _header(
        "false: OpenAI's clients do not send it again; true: they do, of a request whose Idempotency-Key is in use",
        always=True,
        example="false",
    ),
    "retry-after": _header("seconds until it is worth trying again", "integer", always=True, example=12),
}
_KEY_PARAMETER = {
    "name": HEADER, "in": "header", "required": False,
    "description": "a name for this request, of the caller's own: sent again with the same body, it gets the answer "
    "that it got, and nothing is done twice",
    "schema": {"type": "string", "pattern": KEY_PATTERN},
    "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}  # fmt: skip
_GIVEN_AGAIN = (200, 202, 400, 404, 413)  # of a POST under its key
_RATE = tuple(name for name in _HEADERS if name.startswith("x-ratelimit-"))
_OF_STATUS = {401: "www-authenticate", 409: "x-should-retry", 429: "retry-after", 503: "retry-after"}
_SCHEMES = {
    "key": {
        "type": "http", "scheme": "bearer", "description": "a key of the operator's; without any, every one passes",
    },
    "keyHeader": {
        "type": "apiKey", "in": "header", "name": "x-api-key", "description": "key, as Anthropic's clients send it",
    },
    "adminKey": {"type": "http", "scheme": "bearer", "description": "the key of --admin-key; without one, nobody's"},
}  # fmt: skip


def statuses_of(path: str, method: str, operation: dict[str, Any]) -> list[int]:
    """Every error that this operation can answer. Another method on its path is a 405, which no operation can name."""
    found = {400, 413, 415, 500, 504}  # host name, body limit, last resort and deadline stand before every path
    if not _is_open(path, method):
        found.add(401)
    if path.startswith(ADMIN_PREFIX):
        found.add(403)
    if _is_counted(path, method):
        found |= {429, 503}  # 503: the place where they are counted is gone
    if _is_work(path, operation):
        found |= {404, 409, 429, 503}
    if "{" in path:
        found.add(404)
    if path in INFER_PATHS:
        found.add(OUT_OF_MEMORY)
    if method == "POST":
        found.add(409)  # of an Idempotency-Key
    return sorted(found)


def describe_layers(document: dict[str, Any], *, keys_required: bool) -> None:
    """Complete every operation of `document` in place."""
    parts = document["components"]
    parts["parameters"] = {HEADER: _KEY_PARAMETER}
    parts["securitySchemes"], parts["headers"], parts["examples"] = _SCHEMES, _HEADERS, {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            if method == "post":
                operation.setdefault("parameters", []).append({"$ref": f"#/components/parameters/{HEADER}"})
            own = {int(status) for status in responses if int(status) >= 400}  # told by the route in its own words
            for status in {*own, *statuses_of(path, method.upper(), operation)}:
                told = responses.get(str(status), {})
                responses[str(status)] = {**_error(path, status, parts["examples"]), **told}
            for status, response in responses.items():
                names = _headers(path, method.upper(), operation, int(status))
                headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
                response["headers"] = {**headers, **response.get("headers", {})}
            operation["responses"] = dict(sorted(responses.items()))
            operation["security"] = _security(path, method.upper(), keys_required=keys_required)


def _is_open(path: str, method: str) -> bool:
    return is_open({"path": path, "method": method})


def _is_counted(path: str, method: str) -> bool:
    return not (_is_open(path, method) or path.startswith(UNCOUNTED))


def _is_work(path: str, operation: dict[str, Any]) -> bool:
    """Whether it asks the model: what has a body does, but a body that is only kept."""
    return "requestBody" in operation and not path.startswith(_KEPT_PATHS)


def _error(path: str, status: int, examples: dict[str, Any]) -> dict[str, Any]:
    """One response; its example goes among those that the description keeps once for all paths."""
    shape = name = _shape_name(path)
    bodies = _bodies_of(_EXAMPLES, path, status)
    if path.startswith(_KEPT_PATHS) and (of_kept := _bodies_of(_EXAMPLES_OF_KEPT, path, status)):
        bodies, name = of_kept, f"{shape}OfKept"
    examples[f"{name}{status}"] = {"value": bodies[0]}
    content = {
        "schema": {"$ref": f"#/components/schemas/{shape}"},
        "examples": {"typical": {"$ref": f"#/components/examples/{name}{status}"}},
    }
    return {"description": _WORDS[status], "content": {"application/json": content}}


def _bodies_of(shown: Sequence[errors.FlashwebError], path: str, status: int) -> list[dict[str, Any]]:
    return [body for found, body in (example_of(path, error) for error in shown) if found == status]


def _shape_name(path: str) -> str:
    if path in INFER_PATHS:
        return "InferError"
    if path in MESSAGES_PATHS:
        return "MessagesError"
    return "DetailErrorBody" if path.startswith("/api/") else "ErrorBody"


def example_of(path: str, error: errors.FlashwebError) -> tuple[int, dict[str, Any]]:
    """The status and body of `error` on `path`."""
    status, kind = status_of(error)
    body = envelope(error.message, kind, param=error.param, code=error.code)
    shape = shape_of(path, "req_5f0c9d2e8a7b41c3d6e9f012")
    return (status, body) if shape is None else shape(status, body)


def _headers(path: str, method: str, operation: dict[str, Any], status: int) -> list[str]:
    found = ["x-request-id", *(["request-id"] if path in MESSAGES_PATHS else [])]
    if not path.startswith(QUIET_PATHS):
        found.append("openai-processing-ms")
    if _is_work(path, operation):
        found += ["server-timing"] if status != 202 else []  # answered later: no work yet
        found += ["x-flashweb-model", "x-flashweb-cache"] if status == 200 and path not in _COUNT_PATHS else []
    if method == "POST" and status in _GIVEN_AGAIN:
        found.append(REPLAYED.decode())
    if "requestBody" in operation and status == 200:
        found.append("x-flashweb-warning")
    if _is_counted(path, method):
        found += _RATE
    if status in _OF_STATUS and not _is_open(path, method):  # health has its own words and headers for a 503
        found.append(_OF_STATUS[status])
    return found


def _security(path: str, method: str, *, keys_required: bool) -> list[dict[str, list[str]]]:
    if _is_open(path, method):
        return []
    if path.startswith(ADMIN_PREFIX):
        return [{"adminKey": []}]
    return [{"key": []}, {"keyHeader": []}, *([] if keys_required else [{}])]
