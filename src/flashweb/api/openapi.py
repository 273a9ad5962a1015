"""What FastAPI cannot see by itself: bodies we parse from bytes, streamed answers, and the errors of every route."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from flashweb.api.answer_examples import ANSWERS
from flashweb.api.described_layers import describe_layers
from flashweb.api.dialect_examples import BODIES, FIELDS
from flashweb.api.examples import CHAT_FIELDS
from flashweb.api.responses import told, wire
from flashweb.api.schemas import (
    chat,
    chat_answers,
    completions,
    errors,
    jobs,
    messages,
    messages_answers,
    pictures,
    tokens,
)

_REF = "#/components/schemas/{model}"
_BODIES: tuple[type[BaseModel], ...] = (
    chat.ChatRequest,
    pictures.CompletionRequest,
    pictures.InferenceRequest,
    pictures.PromptRequest,
    pictures.SceneRequest,
    completions.TextCompletionRequest,
    messages.MessagesRequest,
    messages.CountTokensRequest,
    tokens.TokenizeRequest,
    tokens.DetokenizeRequest,
    wire.ResponseRequest,
    wire.InputTokensRequest,
    jobs.BatchRequest,
)
_CHUNKS: tuple[type[BaseModel], ...] = (
    chat_answers.ChatCompletionChunk,
    errors.ErrorBody,
    pictures.MultimodalCompletionChunk,
    pictures.InferError,
    pictures.DetailErrorBody,
    completions.TextCompletionChunk,
    messages_answers.MessageStreamEvent,
    messages_answers.MessagesError,
    told.ResponseEvent,
)
_PICTURES = {"type": "array", "items": pictures.FILE}
_FILES = {
    "image": {**_PICTURES, "description": "one picture or several; base64 is read too"},
    "file": {**_PICTURES, "description": "image under its other name"},
}
_INTRO = """\
An OpenAI-compatible API for pictures and text. The official OpenAI clients work with base_url set to this server's
/v1. Errors are OpenAI's envelope ({"code", "msg"} on the two infer paths, with `detail` beside it under /api/); every
response carries x-request-id. GET also answers HEAD; any other method is a 405 that says in Allow what there is.
"""


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def json_body(
    model: type[BaseModel], examples: Mapping[str, tuple[str, dict[str, Any]]] | None = None
) -> dict[str, Any]:
    """`examples`: (summary, body) by name, where they are not among this file's own."""
    shown = BODIES.get(model.__name__, {})
    if examples is not None:
        shown = {name: {"summary": summary, "value": value} for name, (summary, value) in examples.items()}
    content: dict[str, Any] = {"schema": _ref(model), "examples": shown}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _event_of(chunk: type[BaseModel], words: str) -> dict[str, Any]:
    """One server-sent event of OpenAI's chats, in the way OpenAPI 3.2 describes those."""
    piece = _json_text({"anyOf": [_ref(chunk), _ref(errors.ErrorBody)]}, words)
    end = {"type": "string", "const": "[DONE]", "description": "the last event's"}
    return {"type": "object", "title": "Event", "properties": {"data": {"anyOf": [piece, end]}}, "required": ["data"]}


def _named_event_of(event: type[BaseModel], words: str) -> dict[str, Any]:
    """One of a dialect whose events have names; no `[DONE]` follows the last."""
    name = {"type": "string", "description": "its data's type"}
    properties = {"event": name, "data": _json_text(_ref(event), words)}
    return {"type": "object", "title": "NamedEvent", "properties": properties, "required": ["event", "data"]}


def _json_text(schema: dict[str, Any], words: str) -> dict[str, Any]:
    return {
        "type": "string", "description": words, "contentMediaType": "application/json", "contentSchema": schema,
    }  # fmt: skip


def asked_body(model: type[BaseModel], *, json: bool = True, form: bool = True) -> dict[str, Any]:
    """A body of pictures and texts, as JSON, as a form with files, or either."""
    content: dict[str, Any] = {}
    if json:
        content["application/json"] = {"schema": _ref(model), "examples": BODIES.get(model.__name__, {})}
    if form:
        encoding = {name: {"contentType": "image/*"} for name in _FILES}
        content["multipart/form-data"] = {"schema": {"$ref": _REF.format(model=_form_of(model))}, "encoding": encoding}
    return {"requestBody": {"required": True, "content": content}}


def _form_of(model: type[BaseModel]) -> str:
    return model.__name__.replace("Request", "Form")


def _forms(models: dict[str, Any]) -> None:
    """The bodies as forms: the same fields, but a picture is a file."""
    for model in _BODIES:
        if not issubclass(model, pictures.PicturesIn):
            continue
        form = deepcopy(models[model.__name__])
        form["title"] = _form_of(model)
        form["properties"] |= _FILES
        models[form["title"]] = form


def json_or_stream(whole: type[BaseModel], chunk: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The answer of a route whose streams end with `[DONE]`."""
    return _whole_or(whole, _event_of(chunk, "the JSON of a chunk, or of an error once the stream has begun"))


def json_or_named_events(whole: type[BaseModel], event: type[BaseModel], words: str) -> dict[int | str, dict[str, Any]]:
    """Of one whose events have names. `words` say which event is the last."""
    return _whole_or(whole, _named_event_of(event, words))


def _whole_or(whole: type[BaseModel], event: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    words = "the answer, whole or as a stream of events"
    return {200: {"model": whole, "description": words, "content": {"text/event-stream": {"schema": event}}}}


def _drop_422(document: dict[str, Any]) -> None:
    """FastAPI announces its own validation error wherever a path has a parameter; ours are 400 (error_handlers.py)."""
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _examples(models: dict[str, Any]) -> None:
    """A value for every field of a request, and a whole answer of every kind."""
    for request, fields in {"ChatRequest": CHAT_FIELDS, **FIELDS}.items():
        properties = models[request]["properties"]
        for name in properties.keys() & fields.keys():
            properties[name]["examples"] = [fields[name]]
    for name, example in ANSWERS.items():
        models[name]["examples"] = [example]


def install_openapi(app: FastAPI, *, keys_required: bool) -> None:
    """Replace the app's schema builder by one that also knows the models above, and what the layers around the router
    answer."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=_INTRO, routes=app.routes)
            modes: Any = [(model, "validation") for model in _BODIES] + [(model, "serialization") for model in _CHUNKS]
            _, definitions = models_json_schema(modes, ref_template=_REF)
            known = document.setdefault("components", {}).setdefault("schemas", {})
            known.update(definitions.get("$defs", {}))
            _drop_422(document)
            _forms(known)
            _examples(known)
            describe_layers(document, keys_required=keys_required)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]
