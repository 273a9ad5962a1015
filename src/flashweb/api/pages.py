"""The web page, the interactive docs and the sample pictures: files of our own, served locally, working under the
strict policy of `exchange.py` (no inline script or style, nothing from elsewhere).

The page is built from `web/` into the package (`make web`). A copy without it answers a small page that says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from flashweb import __version__
from flashweb.api.static_files import ASKED_AGAIN, KEPT_FOR_A_YEAR, StaticFile, read_folder
from flashweb.names import ModelNames

# What the page's own router knows (web/src/router.ts); all of them are index.html.
PAGE_ROUTES = ("/", "/chat/{chat_id}", "/scenes", "/scenes/{name}", "/compare", "/structured", "/operator")
PAGE_FOLDER = Path(__file__).resolve().parents[1] / "page"
# What documents may do; the rest of the policy is every answer's. The page takes pictures with the camera, and asks for
# nothing else of the machine; a window that opens it, or that it opens, is no way to reach into it.
DOCUMENT_HEADERS = {
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_PLAIN_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")


@cache
def _asset(name: str) -> str:
    return (files("flashweb.api") / "static" / name).read_text(encoding="utf-8")


def samples_folder() -> Path:
    """Inside the package where it was installed; a checkout has them once, as `examples/`."""
    packaged = Path(__file__).resolve().parents[1] / "samples"
    return packaged if packaged.is_dir() else packaged.parents[2] / "examples"


def pages_router(names: ModelNames, page: Path = PAGE_FOLDER) -> APIRouter:
    """`page` is the folder of the built page: index.html and assets/."""
    router = APIRouter(include_in_schema=False)
    index = read_folder(page, ASKED_AGAIN).get("index.html")
    assets = read_folder(page / "assets", KEPT_FOR_A_YEAR)
    samples = {name: file for name, file in read_folder(samples_folder(), ASKED_AGAIN).items() if name.endswith(".png")}

    async def show_page(request: Request) -> Response:
        if index is None:
            return _page("landing.html", request, names)
        return await index.answer(request, DOCUMENT_HEADERS)

    for path in PAGE_ROUTES:
        router.get(path)(show_page)

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        return _page("docs.html", request, names)

    @router.get("/assets/{name}")
    async def asset(request: Request, name: str) -> Response:
        return await _found(assets, name).answer(request)

    @router.get("/samples/{name}")
    async def sample(request: Request, name: str) -> Response:
        return await _found(samples, name).answer(request)

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        stem, dot, suffix = name.partition(".")
        if not (stem.isalnum() and f"{dot}{suffix}" in _TYPES):
            raise HTTPException(404)
        try:
            text = _asset(name)
        except FileNotFoundError:
            raise HTTPException(404) from None
        return Response(text, media_type=_TYPES[f"{dot}{suffix}"], headers={"cache-control": ASKED_AGAIN})

    return router


def _found(listed: Mapping[str, StaticFile], name: str) -> StaticFile:
    if name not in listed:
        raise HTTPException(404)
    return listed[name]


def _page(name: str, request: Request, names: ModelNames) -> Response:
    host = request.headers.get("host", "")
    base = f"{request.url.scheme}://{host}" if _PLAIN_HOST.fullmatch(host) else "http://127.0.0.1:8080"
    text = _asset(name)
    for key, value in {"base": base, "model": names.own, "version": __version__}.items():
        text = text.replace("{{" + key + "}}", escape(value))
    return Response(text, media_type="text/html", headers={"cache-control": ASKED_AGAIN, **DOCUMENT_HEADERS})
