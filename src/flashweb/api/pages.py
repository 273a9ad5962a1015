"""The landing page and the interactive docs: small files of our own, served locally, working under the strict policy
of `middleware.py` (no inline script or style, nothing from elsewhere)."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from flashweb import __version__
from flashweb.names import ModelNames

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_PLAIN_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")


@cache
def _asset(name: str) -> str:
    return (files("flashweb.api") / "static" / name).read_text(encoding="utf-8")


def pages_router(names: ModelNames) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def landing(request: Request) -> Response:
        return _page("index.html", request, names)

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        return _page("docs.html", request, names)

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        stem, dot, suffix = name.partition(".")
        if not (stem.isalnum() and f"{dot}{suffix}" in _TYPES):
            raise HTTPException(404)
        try:
            text = _asset(name)
        except FileNotFoundError:
            raise HTTPException(404) from None
        return Response(text, media_type=_TYPES[f"{dot}{suffix}"], headers={"cache-control": "no-cache"})

    return router


def _page(name: str, request: Request, names: ModelNames) -> Response:
    host = request.headers.get("host", "")
    base = f"{request.url.scheme}://{host}" if _PLAIN_HOST.fullmatch(host) else "http://127.0.0.1:8080"
    text = _asset(name)
    for key, value in {"base": base, "model": names.own, "version": __version__}.items():
        text = text.replace("{{" + key + "}}", escape(value))
    return Response(text, media_type="text/html", headers={"cache-control": "no-cache"})
