"""What FastAPI cannot see by itself: bodies we parse from bytes, streamed answers, and the errors of every route."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from flashweb.api import schemas

_REF = "#/components/schemas/{model}"
_BODIES: tuple[type[BaseModel], ...] = (schemas.ChatRequest,)
_CHUNKS: tuple[type[BaseModel], ...] = (schemas.ChatCompletionChunk, schemas.ErrorBody)
_ERRORS = {
    400: "the request cannot be served as it stands",
    403: "a key that is not for this",
    404: "no such model, path or id",
    413: "bytes or pixels over a limit",
    415: "a media type nobody here reads",
    503: "loading, full or shutting down; the header Retry-After says when to come back",
}
_INTRO = """\
An OpenAI-compatible API for pictures and text. The official OpenAI clients work with base_url set to this server's
/v1. Errors are OpenAI's envelope; every response carries x-request-id.
"""


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _ref(model)}}}}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": _ref(schemas.ErrorBody)}}
    return {status: {"description": _ERRORS[status], "content": content} for status in statuses}


def json_or_stream(whole: type[BaseModel], chunk: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    content = {"text/event-stream": {"schema": _ref(chunk)}}
    return {
        200: {"model": whole, "description": "the answer, whole or as a stream of chunks", "content": content},
        **errors(400, 404, 413, 415, 503),
    }


def _drop_422(document: dict[str, Any]) -> None:
    """FastAPI announces its own validation error wherever a path has a parameter; ours are 400 (error_handlers.py)."""
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


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
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]
