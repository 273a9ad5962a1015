"""Who answers the requests of `flashweb batch`: a server, or the server's own app in this process with an engine behind
it. Both are asked over HTTP, so that every endpoint works with both. A server that is full, away or restarting is asked
again, for a while.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from flashweb.cli.answerers import own_pipeline
from flashweb.cli.client import ChatServer, ServerUnreachable, base_url
from flashweb.cli.target import target_key, target_url
from flashweb.errors import ConfigError
from flashweb.settings import AuthSettings, load_settings

PATIENCE_SECONDS = 120.0  # for one request whose server is full or away
LONGEST_PAUSE_SECONDS = 30.0
ANSWER_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Request:
    """A JSON body, or a picture with the fields of its form."""

    name: str
    path: str
    body: bytes | None
    picture: Path | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` 0: nobody answered, and `error` says why; else `body` is the answer's JSON (or text), and `headers` are
    those of the server's own. `is_gone`: nobody answers anything any more, or not to us; there is no use in asking
    further."""

    status: int
    request_id: str
    body: Any
    error: str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_gone: bool = False

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


class Asker:
    def __init__(self, http: httpx.AsyncClient, name: str) -> None:
        self._http = http
        self.name = name  # who answers, in words

    async def __call__(self, request: Request) -> Reply:
        try:
            response = await self._patiently(request)
        except httpx.HTTPError as error:
            why = f"no answer: {str(error) or type(error).__name__}"
            return Reply(0, "", None, why, is_gone=not await self._is_there())
        except OSError as error:
            return Reply(0, "", None, f"cannot read {request.picture}: {error.strerror}")
        try:
            body = response.json()
        except ValueError:
            body = response.text
        words = None if response.is_success else _words(body)
        headers = {name: value for name, value in response.headers.items() if name.startswith("x-flashweb-")}
        status = response.status_code
        is_gone = status == 401 or (status == 503 and not await self._is_there())
        return Reply(status, response.headers.get("x-request-id", ""), body, words, headers, is_gone)

    async def _is_there(self) -> bool:
        """Whether there is somebody at all: a server that lives, and has no answer for one request, may have others."""
        try:
            return (await self._http.get("/health/live", timeout=10.0)).status_code < 500
        except httpx.HTTPError:
            return False

    async def _patiently(self, request: Request) -> httpx.Response:
        """Raises httpx.HTTPError and OSError."""
        end, pause = time.monotonic() + PATIENCE_SECONDS, 0.5
        while True:
            try:
                response = await self._send(request)
            except httpx.TransportError:
                if time.monotonic() + pause > end:
                    raise
                wait = pause
            else:
                wait = max(pause, _retry_after(response))
                if response.status_code not in (429, 503) or time.monotonic() + wait > end:
                    return response
            await asyncio.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _send(self, request: Request) -> httpx.Response:
        if request.picture is None:
            headers = {"content-type": "application/json"}
            return await self._http.post(request.path, content=request.body, headers=headers)
        data = await asyncio.to_thread(request.picture.read_bytes)
        return await self._http.post(request.path, data=request.fields, files={"image": ("image", data)})

    async def schema_of(self, scene: str) -> Mapping[str, Any]:
        """Of the scene's results. Raises ConfigError for a scene that is not there, ServerUnreachable."""
        try:
            response = await self._http.get("/api/scenes")
            body = response.json()
            if not response.is_success:
                raise ServerUnreachable(f"{self.name} answered with status {response.status_code}: {_words(body)}")
            scenes = {one["name"]: one["schema"] for one in body["scenes"]}
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            words = f"no answer from {self.name} ({why}); is the server running? start it: flashweb serve"
            raise ServerUnreachable(words) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ServerUnreachable(f"{self.name} does not tell its scenes; is it a flashweb server?") from error
        if scene not in scenes:
            raise ConfigError(f"there is no scene {scene!r}; there are {', '.join(sorted(scenes))}")
        return scenes[scene]  # type: ignore[no-any-return]


@asynccontextmanager
async def asker(args: argparse.Namespace) -> AsyncIterator[Asker]:
    """The server at --url; else one of ours that runs on this machine; else (or with --own) an engine of our own."""
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=10.0)
    if not args.own:
        url, key = base_url(target_url(args)), target_key(args)
        async with ChatServer(url, key=key) as server:
            is_there = bool(args.url) or "model_loaded" in (await server.health() or {})
        if is_there:
            headers = {"authorization": f"Bearer {key}"} if key else {}
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, limits=limits) as http:
                yield Asker(http, url)
            return
    settings = load_settings({"model.model": args.model} if args.model else {}).settings
    # Nobody but this command can ask it: keys and rates are for those who come over a network.
    server_settings = settings.server.model_copy(update={"rate_limit": None})
    settings = settings.model_copy(update={"auth": AuthSettings(), "server": server_settings})
    async with own_pipeline(settings) as (pipeline, names):
        from flashweb.http_server import build_server  # the HTTP stack: only when there is no server to ask

        app = build_server(settings, pipeline, names, ()).config.app
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=timeout) as http:
            yield Asker(http, f"{names.own}, in an engine of this command")


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(LONGEST_PAUSE_SECONDS, float(response.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0


def _words(body: Any) -> str:
    """An error's text out of any of our envelopes."""
    if isinstance(body, dict):
        error = body.get("error", body.get("msg", body))
        return str(error.get("message", error)) if isinstance(error, dict) else str(error)
    return str(body)[:200]
