"""The web side built for a test: the bundled model's real prompts and pictures in front of an engine that is told
what to do. No sockets, no processes."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from flashweb.api import create_app
from flashweb.engine import EchoEngine, Engine, EngineState
from flashweb.media import MediaLoader, MediaSettings
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline
from flashweb.prompt import PromptProcessor
from flashweb.settings import Settings, load_settings
from flashweb.types import (
    FinishReason,
    Grid,
    ImagePart,
    PictureTimes,
    PixelPatches,
    Prompt,
    SamplingParams,
    TokenLogprob,
    TokenOut,
)

NANO = Path(__file__).parents[1] / "src" / "flashweb" / "models" / "flashweb-nano"


@cache
def processor() -> PromptProcessor:
    return PromptProcessor(NANO)


def encode(answer: str) -> list[int]:
    """An answer's token ids, as a model writes them: control tokens by their names, the rest as text."""
    tokenizer = processor().tokenizer
    names = re.compile("(" + "|".join(map(re.escape, tokenizer.control_ids)) + ")")
    pieces = enumerate(names.split(answer))
    return [id for i, piece in pieces for id in ([tokenizer.control_ids[piece]] if i % 2 else tokenizer.encode(piece))]


def png(width: int = 56, height: int = 56, grey: int = 128) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes([grey]) * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def user(*parts: str | bytes) -> list[dict[str, Any]]:
    """One user message: text as text, bytes as a picture."""
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": data_url(part)}}
        for part in parts
    ]
    return [{"role": "user", "content": content}]


class CountingLoader(MediaLoader):
    """The real loader, with a count of the pictures it was asked for, and of those it only had to measure."""

    num_loaded = 0
    num_measured = 0

    async def load(
        self,
        parts: Sequence[ImagePart],
        check_sizes: Callable[[Sequence[tuple[int, int]]], None] | None = None,
        times: PictureTimes | None = None,
        *,
        background: bool = False,
    ) -> list[PixelPatches]:
        self.num_loaded += len(parts)
        return await super().load(parts, check_sizes, times, background=background)

    async def grids(self, parts: Sequence[ImagePart]) -> list[Grid]:
        self.num_measured += len(parts)
        return await super().grids(parts)


@dataclass
class ScriptedEngine:
    """Says what it was told, token by token, and remembers what was asked of it.

    `answer` is text (encoded by the bundled tokenizer), in which names of control tokens stand for these; `gate`,
    when given, must be set before the tokens flow; `error` is raised after the tokens, or before them when there are
    none. `stay` keeps it from finishing.
    """

    answer: str = "ok"
    gate: asyncio.Event | None = None
    error: Exception | None = None
    stay: bool = False
    steps_at_once: int = 1  # tokens in one piece of news, as when the reader is slower than the engine
    cached: int = 0
    phase: Any = "ready"
    max_model_len: int = 2048
    max_num_seqs: int = 2
    num_restarts: int = 0
    was_ready: bool = False
    gave_up: bool = False
    asked: list[tuple[Prompt, SamplingParams, str]] = field(default_factory=list)
    num_running: int = 0
    num_taken: int = 0  # tokens
    num_stopped: int = 0

    @property
    def state(self) -> EngineState:
        return EngineState(
            phase=self.phase,
            max_model_len=self.max_model_len,
            max_num_seqs=self.max_num_seqs,
            num_restarts=self.num_restarts,
            was_ready=self.was_ready,
            gave_up=self.gave_up,
        )

    async def start(self) -> None:
        self.phase, self.was_ready = "ready", True

    async def stop(self) -> None:
        self.num_stopped += 1
        self.phase = "stopped"

    async def generate(self, prompt: Prompt, params: SamplingParams, request_id: str) -> AsyncIterator[TokenOut]:
        self.asked.append((prompt, params, request_id))
        self.num_running += 1
        try:
            if self.gate is not None:
                await self.gate.wait()
            async for out in self._tokens(params):
                yield out
        finally:
            self.num_running -= 1

    async def _tokens(self, params: SamplingParams) -> AsyncIterator[TokenOut]:
        ids = encode(self.answer)[: params.max_tokens]
        finish = FinishReason.LENGTH if len(ids) == params.max_tokens else FinishReason.STOP
        for start in range(0, len(ids), self.steps_at_once):
            await asyncio.sleep(0)
            news = tuple(ids[start : start + self.steps_at_once])
            ends = start + len(news) == len(ids) and self.error is None and not self.stay
            made = () if params.logprobs is None else tuple(TokenLogprob(id, -0.5, ((id, -0.5),)) for id in news)
            yield TokenOut(news, finish if ends else None, made, self.cached)
            self.num_taken += len(news)
        if self.stay:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error


def make_settings(**given: Any) -> Settings:
    """Settings by path with `__` for the dot: make_settings(server__limit_concurrency=1)."""
    values = {name.replace("__", "."): value for name, value in given.items()}
    return load_settings({"log.access_log": False, **values}, {}).settings


def make_pipeline(engine: Engine, **given: Any) -> Pipeline:
    settings = make_settings(**given)
    media = replace(MediaSettings.from_options(settings.media), num_workers=1)
    return Pipeline(settings, CountingLoader(media, processor().geometry), processor(), engine, "flashweb-nano")


def make_app(pipeline: Pipeline, **options: Any) -> ASGIApp:
    return create_app(pipeline.settings, pipeline, ModelNames("flashweb-nano"), **options)


@dataclass
class Upload:
    """One chat request by hand, as the HTTP server hands it on: the body comes when the test says so."""

    app: ASGIApp
    inbox: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    sent: list[Any] = field(default_factory=list)

    def begin(self) -> asyncio.Task[None]:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/v1/chat/completions", "raw_path": b"/v1/chat/completions", "query_string": b"", "root_path": "",
            "headers": [(b"host", b"localhost"), (b"content-length", b"100")], "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
        }  # fmt: skip

        async def send(message: Any) -> None:
            self.sent.append(message)

        return asyncio.create_task(self.app(scope, self.inbox.get, send))  # type: ignore[arg-type]

    def body(self, body: bytes, *, more: bool = False) -> None:
        self.inbox.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        """The connection is gone; every later look says so too."""
        for _ in range(4):
            self.inbox.put_nowait({"type": "http.disconnect"})

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


@dataclass
class House:
    pipeline: Pipeline
    engine: Any
    client: httpx.AsyncClient

    async def post(self, body: Any, path: str = "/v1/chat/completions", **options: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post(path, content=content, **options)

    async def chat(self, *parts: str | bytes, **parameters: Any) -> httpx.Response:
        return await self.post({"messages": user(*parts), **parameters})


@asynccontextmanager
async def open_house(
    engine: Any = None, *, options: Mapping[str, Any] | None = None, **given: Any
) -> AsyncIterator[House]:
    """A started pipeline behind its HTTP face, with a client that needs no socket."""
    engine = engine or EchoEngine(
        eos_token_ids=processor().eos_token_ids, skip_token_ids=processor().tokenizer.control_names.keys()
    )
    pipeline = make_pipeline(engine, **given)
    app = make_app(pipeline, **(options or {}))
    await pipeline.start()
    await pipeline.wait_ready()
    if isinstance(engine, ScriptedEngine):
        engine.asked.clear()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        try:
            yield House(pipeline, engine, client)
        finally:
            await pipeline.drain(0)
            await pipeline.stop()


async def begun(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """A stream whose first words came before its deadline: while the machine stalls they come too late, a 504."""
    for _ in range(5):
        answer = await ask()
        if answer.status_code != 504:
            break
    return answer


async def until(is_so: Callable[[], object], seconds: float = 60.0) -> None:
    """Waits for what nobody tells of. The time is for a machine that stands still meanwhile, not for the work."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def events_of(text: str) -> list[Any]:
    """The data of a stream's events; `[DONE]` stays a string."""
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]
