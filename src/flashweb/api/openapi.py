"""What FastAPI cannot see by itself: bodies we parse from bytes, streamed answers, and the errors of every route."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from flashweb.api import job_schemas, picture_schemas, schemas
from flashweb.api.examples import CHAT_FIELDS, CHAT_REQUESTS

_REF = "#/components/schemas/{model}"
_BODIES: tuple[type[BaseModel], ...] = (
    schemas.ChatRequest,
    picture_schemas.CompletionRequest,
    picture_schemas.InferenceRequest,
    picture_schemas.PromptRequest,
    picture_schemas.SceneRequest,
    job_schemas.BatchRequest,
)
_CHUNKS: tuple[type[BaseModel], ...] = (
    schemas.ChatCompletionChunk,
    schemas.ErrorBody,
    picture_schemas.MultimodalCompletionChunk,
    picture_schemas.InferError,
    picture_schemas.DetailErrorBody,
)
_ERRORS = {
    400: "the request cannot be served as it stands",
    401: "no API key, or one that this server does not know",
    403: "a key that is not for this",
    404: "no such model, path or id",
    409: "not possible in the state that this object is in",
    413: "bytes or pixels over a limit",
    415: "a media type nobody here reads",
    429: "over the rate limit; the header Retry-After says when to come back",
    500: "our fault, or an answer of the model that is not what was promised (invalid_answer, incomplete_answer)",
    503: "loading, full or shutting down; the header Retry-After says when to come back",
    504: "the request took longer than its deadline",
}
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_ASKED = {"prompt": "这张图是什么?", "image": _PIXEL}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "CompletionRequest": {"base64": {"value": {**_ASKED, "max_tokens": 64, "temperature": 0.7}}},
    "InferenceRequest": {"raw": {"value": {**_ASKED, "raw": True}}},
    "PromptRequest": {"base64": {"value": _ASKED}},
    "SceneRequest": {"rules": {"value": {"image": _PIXEL, "rules": ["不允许出现价格"]}}},
}
_INTRO = """\
An OpenAI-compatible API for pictures and text. The official OpenAI clients work with base_url set to this server's
/v1. Errors are OpenAI's envelope; every response carries x-request-id.
"""


_REQUEST_ID = {"x-request-id": {"description": "this request's name in the log", "schema": {"type": "string"}}}
_RETRY_AFTER = {"retry-after": {"description": "seconds until it is worth trying again", "schema": {"type": "integer"}}}
_ANSWER_HEADERS = {
    "x-flashweb-model": {"description": "the model that answered", "schema": {"type": "string"}},
    "x-flashweb-warning": {
        "description": "names of fields that nobody here knows and that were ignored; absent when there are none",
        "schema": {"type": "string"},
    },
}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _ref(model)}
    if model is schemas.ChatRequest:
        content["examples"] = {
            name: {"summary": summary, "value": value} for name, (summary, value) in CHAT_REQUESTS.items()
        }
    if model is job_schemas.BatchRequest:
        content["examples"] = {"chat": {"summary": "a file of chats", "value": job_schemas.BATCH_EXAMPLE}}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _event_of(chunk: type[BaseModel]) -> dict[str, Any]:
    """One server-sent event, in the way OpenAPI 3.2 describes those."""
    words = "the JSON of a chunk, or of an error once the stream has begun; [DONE] at the end"
    data = {
        "type": "string",
        "description": words,
        "contentMediaType": "application/json",
        "contentSchema": _ref(chunk),
    }
    return {"type": "object", "title": "Event", "properties": {"data": data}}


def asked_body(model: type[BaseModel], *, json: bool = True, form: bool = True) -> dict[str, Any]:
    """A body of pictures and texts, as JSON, as a form with files, or either."""
    content: dict[str, Any] = {}
    if json:
        content["application/json"] = {"schema": _ref(model), "examples": _EXAMPLES.get(model.__name__, {})}
    if form:
        files = {"image": {"type": "array", "items": picture_schemas.FILE, "description": "one picture or several"}}
        content["multipart/form-data"] = {
            "schema": {"allOf": [_ref(model), {"type": "object", "properties": files}]},
            "encoding": {"image": {"contentType": "image/*"}},
        }
    return {"requestBody": {"required": True, "content": content}}


def errors(*statuses: int, model: type[BaseModel] = schemas.ErrorBody) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": _ref(model)}}
    return {
        status: {
            "description": _ERRORS[status],
            "content": content,
            "headers": _RETRY_AFTER if status in (429, 503) else {},
        }
        for status in statuses
    }


def infer_errors() -> dict[int | str, dict[str, Any]]:
    return errors(400, 401, 404, 413, 415, 429, 503, 504, model=picture_schemas.InferError)


def detail_errors(*more: int) -> dict[int | str, dict[str, Any]]:
    return errors(400, 401, 404, 413, 415, 429, 500, 503, 504, *more, model=picture_schemas.DetailErrorBody)


def json_or_stream(whole: type[BaseModel], chunk: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    content = {"text/event-stream": {"schema": _event_of(chunk)}}
    return {
        200: {
            "model": whole,
            "description": "the answer, whole or as a stream of chunks",
            "content": content,
            "headers": _ANSWER_HEADERS,
        },
        **errors(400, 401, 404, 413, 415, 429, 503, 504),
    }


def _drop_422(document: dict[str, Any]) -> None:
    """FastAPI announces its own validation error wherever a path has a parameter; ours are 400 (error_handlers.py)."""
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _complete(document: dict[str, Any]) -> None:
    """What every response and every field of a chat request has."""
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                response["headers"] = {**_REQUEST_ID, **response.get("headers", {})}
    fields = document["components"]["schemas"]["ChatRequest"]["properties"]
    for name, value in CHAT_FIELDS.items():
        fields[name]["examples"] = [value]


def install_openapi(app: FastAPI) -> None:
    """Replace the app's schema builder by one that also knows the models above."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=_INTRO, routes=app.routes)
            modes: Any = [(model, "validation") for model in _BODIES] + [(model, "serialization") for model in _CHUNKS]
            _, definitions = models_json_schema(modes, ref_template=_REF)
            known = document.setdefault("components", {}).setdefault("schemas", {})
            known.update(definitions.get("$defs", {}))
            _drop_422(document)
            _complete(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]
