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


def routes_that_ask_the_model() -> dict[str, APIRoute]:
    """By path: whatever takes a POST does, and nothing else here."""
    return {route.path: route for route in all_routes() if "POST" in route.methods}


def ways_into() -> list[tuple[str, str]]:
    """(path, kind of body) of every way in which pictures come in."""
    found = []
    for path, route in routes_that_ask_the_model().items():
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
    if path.endswith("/chat/completions"):
        parts: list[Any] = [{"type": "image_url", "image_url": {"url": data_url(one)}} for one in pictures]
        body: dict[str, Any] = {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": prompt}]}]}
    else:
        body = {"prompt": prompt, "image": [base64.b64encode(one).decode() for one in pictures]}
    return await house.post({**body, **more}, path, headers=headers)


def words_of(answer: httpx.Response) -> str:
    """An error's text, in whichever envelope the path has."""
    body = answer.json()
    return str(body["msg"] if "msg" in body else body["error"]["message"])
