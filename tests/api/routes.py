"""The routes that the app really has, and how a picture is sent to each: read from the app, so none is forgotten."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from tests.house import House, ScriptedEngine, data_url, make_app, make_pipeline, png


def _flat(routes: Sequence[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):  # FastAPI keeps an included router as it is
            yield from _flat(route.original_router.routes)


def framework(**given: Any) -> FastAPI:
    """The app inside its layers, not started."""
    app: Any = make_app(make_pipeline(ScriptedEngine(), **given))
    while not isinstance(app, FastAPI):
        app = app.app
    return app


@cache
def description() -> dict[str, Any]:
    """What /openapi.json answers."""
    return framework().openapi()


@cache
def all_routes() -> tuple[APIRoute, ...]:
    return tuple(_flat(framework().routes))


# Asks the model, but has no place for a picture.
TEXT_ONLY = ("/v1/completions",)
# Tell what a prompt with pictures is in tokens: of a picture only the header is read, and the model is not asked.
COUNTING = ("/v1/messages/count_tokens", "/v1/responses/input_tokens", "/tokenize")
# Take a place for the time their body is in memory, and need nothing else.
TAKING_A_PLACE = ("/detokenize",)
# About what is stored; a place in the queue is taken by whoever uses it or runs it.
STORED = (
    "/v1/files", "/v1/batches", "/v1/batches/{batch_id}/cancel", "/v1/responses/{response_id}/cancel",
)  # fmt: skip


def ways_into() -> list[tuple[str, str]]:
    """(path, kind of body) of every way in which pictures come to be answered: whatever takes a POST and is not told
    of above."""
    found = []
    for route in all_routes():
        path = route.path
        if "POST" not in route.methods or path in (*TEXT_ONLY, *COUNTING, *TAKING_A_PLACE, *STORED):
            continue
        content = (route.openapi_extra or {}).get("requestBody", {}).get("content", {})
        kinds = list(content) or ["multipart/form-data"]  # the hidden alias describes nothing; it is a form's
        found += [(path.replace("{name}", "ocr"), kind) for kind in kinds]
    return found


async def send(
    house: House, path: str, kind: str, pictures: Sequence[bytes] = (png(),), prompt: str = "What is it?", **more: Any
) -> httpx.Response:
    """Pictures and a text, as this way in takes them."""
    headers = more.pop("headers", {})
    if kind == "multipart/form-data":
        files = [("image", ("a.png", picture, "image/png")) for picture in pictures]
        return await house.client.post(path, files=files, data={"prompt": prompt, **more}, headers=headers)
    return await house.post({**_body(path, pictures, prompt), **more}, path, headers=headers)


def _body(path: str, pictures: Sequence[bytes], prompt: str) -> dict[str, Any]:
    in_base64 = [base64.b64encode(one).decode() for one in pictures]
    parts: list[dict[str, Any]]
    if path.startswith("/v1/messages"):
        sources = [{"type": "base64", "media_type": "image/png", "data": data} for data in in_base64]
        parts = [{"type": "image", "source": source} for source in sources]
        told = [{"role": "user", "content": [*parts, {"type": "text", "text": prompt}]}]
        limit = {} if path in COUNTING else {"max_tokens": 64}
        return {"model": "flashweb-nano", "messages": told, **limit}
    if path.startswith("/v1/responses"):
        parts = [{"type": "input_image", "image_url": data_url(one)} for one in pictures]
        return {"input": [{"role": "user", "content": [*parts, {"type": "input_text", "text": prompt}]}]}
    if path in ("/v1/chat/completions", "/tokenize"):
        parts = [{"type": "image_url", "image_url": {"url": data_url(one)}} for one in pictures]
        return {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": prompt}]}]}
    if path == "/detokenize":
        return {"tokens": [5, 6]}
    return {"prompt": prompt} if path in TEXT_ONLY else {"prompt": prompt, "image": in_base64}


def words_of(answer: httpx.Response) -> str:
    """An error's text, in whichever envelope the path has."""
    body = answer.json()
    return str(body["msg"] if "msg" in body else body["error"]["message"])
