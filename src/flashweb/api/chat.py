"""`POST /v1/chat/completions`, streamed and not."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flashweb.api import schemas
from flashweb.api.answers import Collector, TokenText, add_usages, delta_out, logprobs_out, usage_out
from flashweb.api.convert import to_chat
from flashweb.api.error_handlers import CLIENT_CLOSED_REQUEST, error_response, json_response
from flashweb.api.openapi import json_body, json_or_stream
from flashweb.api.parse import parse_body
from flashweb.api.sampling import to_params
from flashweb.api.sse import DONE, ClientGone, EventStream, encode, event, until_gone
from flashweb.errors import FlashwebError, UnsupportedMediaType
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline, Ticket
from flashweb.settings import Settings
from flashweb.types import Chat, Delta, SamplingParams, Usage

PATH = "/v1/chat/completions"
_HOLE = "\0"  # where a chunk's text goes


@dataclass(frozen=True, slots=True)
class _Job:
    """One checked chat request."""

    ticket: Ticket
    chat: Chat
    params: SamplingParams
    n: int
    model: str
    include_usage: bool
    timings: bool
    id: str
    created: int


def chat_router(pipeline: Pipeline, names: ModelNames, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["chat"])

    @router.post(
        PATH,
        operation_id="createChatCompletion",
        summary="Answer a chat, with pictures",
        openapi_extra=json_body(schemas.ChatRequest),
        responses=json_or_stream(schemas.ChatCompletion, schemas.ChatCompletionChunk),
        response_class=Response,
    )
    async def create_chat_completion(request: Request) -> Response:
        """The messages may hold several turns and several pictures; the answer comes whole or, with `stream: true`,
        as server-sent events that end with `data: [DONE]`. A client that leaves stops its work."""
        with ExitStack() as place:
            # Held from before the body is read: a full house costs the caller nothing, and no more bodies are in
            # memory than there are places.
            ticket = place.enter_context(pipeline.admit())
            wire = parse_body(await read_json_body(request), schemas.ChatRequest)
            job = _job(wire, names, settings, pipeline, ticket)
            pipeline.widen(ticket, job.n)
            headers = {"x-flashweb-model": names.own}
            if wire.stream:
                return EventStream(
                    _events(pipeline, job, _log_fields(request)),
                    headers=headers,
                    keep_alive_seconds=settings.server.stream_keep_alive,
                    send_timeout_seconds=settings.server.send_timeout,
                    on_end=place.pop_all().close,
                )
            try:
                body = await until_gone(request.receive, _completion(pipeline, job, _log_fields(request)))
            except ClientGone:
                return Response(status_code=CLIENT_CLOSED_REQUEST)
            return json_response(body, headers=headers)

    return router


class StraightToChat:
    """POST to `PATH` without the framework around it, which would take a tenth of a short answer's time to find the
    route and resolve the dependencies it does not have. Whatever else is asked goes the framework's way, as would
    this; the answers are the same, those to errors too."""

    def __init__(self, app: ASGIApp, router: APIRouter) -> None:
        self.app = app
        (self._route,) = (route for route in router.routes if isinstance(route, APIRoute))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != PATH:
            await self.app(scope, receive, send)
            return
        scope["route"] = self._route  # as the framework would, for the metrics
        try:
            response = await self._route.endpoint(Request(scope, receive))
        except FlashwebError as error:
            response = error_response(error)
        except ClientDisconnect:
            response = Response(status_code=CLIENT_CLOSED_REQUEST)
        await response(scope, receive, send)


async def read_json_body(request: Request) -> bytes:
    """Raises UnsupportedMediaType for a declared type that is not JSON (curl's form default passes: the bytes
    decide), TooLarge and InvalidRequest from the body limit, ClientDisconnect when the client leaves meanwhile."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith(("multipart/", "image/", "video/", "audio/")):
        raise UnsupportedMediaType(
            f"Content-Type {kind[:60]!r} is not read here; send application/json with the picture as a data: URL or "
            "an http(s) URL in image_url."
        )
    # Not `request.body()`, which would keep the bytes for as long as the answer takes.
    return b"".join([chunk async for chunk in request.stream()])


def _job(wire: schemas.ChatRequest, names: ModelNames, settings: Settings, pipeline: Pipeline, ticket: Ticket) -> _Job:
    return _Job(
        ticket=ticket,
        model=names.check(wire.model),
        chat=to_chat(wire, max_images=settings.media.max_images),
        params=to_params(wire, pipeline.generation_defaults, pipeline.num_tokens),
        n=wire.n or 1,
        include_usage=wire.stream_options is not None and wire.stream_options.include_usage,
        timings=bool(wire.timings),
        id=f"chatcmpl-{secrets.token_hex(12)}",
        created=int(time.time()),
    )


def _log_fields(request: Request) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    request.state.log_fields = fields
    return fields


async def _completion(pipeline: Pipeline, job: _Job, log_fields: dict[str, Any]) -> dict[str, Any]:
    collector = Collector(job.n, logprobs=job.params.logprobs is not None, text_of=pipeline.token_text)
    async with aclosing(pipeline.stream(job.chat, job.params, job.n, job.ticket)) as pieces:
        async for index, delta in pieces:
            collector.add(index, delta)
    _note_usage(log_fields, collector.usage)
    return {
        "id": job.id,
        "object": "chat.completion",
        "created": job.created,
        "model": job.model,
        "choices": collector.choices(),
        "usage": usage_out(collector.usage),
        **_timings(job),
    }


async def _events(pipeline: Pipeline, job: _Job, log_fields: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    """Role first, then text, then the finish reason, then (if asked for) usage and timings alone, then [DONE]. What
    belongs together goes out together: the role with the first text, the end with the last."""
    chunks = _Chunks(job, pipeline.token_text)
    usages: list[Usage] = []
    started: set[int] = set()
    begun = time.perf_counter()
    async with aclosing(pipeline.stream(job.chat, job.params, job.n, job.ticket)) as pieces:
        async for index, delta in pieces:
            if not started:
                log_fields["ttft_ms"] = round((time.perf_counter() - begun) * 1000, 1)
            role = b"" if index in started else chunks.role(index)
            started.add(index)
            if delta.usage is not None:
                usages.append(delta.usage)
            if len(usages) < job.n:
                yield role + chunks.piece(index, delta)
                continue
            usage = add_usages(usages)
            _note_usage(log_fields, usage)
            yield role + chunks.piece(index, delta) + chunks.last(job, usage) + DONE
            return


def _timings(job: _Job) -> dict[str, Any]:
    return {"timings_ms": job.ticket.work.timings_ms()} if job.timings else {}


def _note_usage(log_fields: dict[str, Any], usage: Usage) -> None:
    log_fields["prompt_tokens"] = usage.prompt_tokens
    log_fields["completion_tokens"] = usage.completion_tokens
    log_fields["image_tokens"] = usage.image_tokens or None
    log_fields["cached_tokens"] = usage.cached_tokens or None


class _Chunks:
    """Framed chunks of one answer, all with the same id."""

    def __init__(self, job: _Job, text_of: TokenText) -> None:
        self._head = {
            "id": job.id,
            "object": "chat.completion.chunk",
            "created": job.created,
            "model": job.model,
        }
        self._around: dict[int, tuple[bytes, bytes]] = {}
        self._include_usage = job.include_usage
        self._logprobs = job.params.logprobs is not None
        self._text_of = text_of

    def role(self, index: int) -> bytes:
        return self._frame(index, {"role": "assistant", "content": ""}, None, None)

    def piece(self, index: int, delta: Delta) -> bytes:
        """Text and the finish reason in two chunks, as the last one's delta is empty by convention."""
        logprobs = logprobs_out(delta.logprobs, self._text_of) if self._logprobs and delta.logprobs else None
        if delta.finish is None and delta.text and not (delta.reasoning or logprobs):
            return self._plain(index, delta.text)
        if delta.finish is None:
            return self._frame(index, delta_out(delta), logprobs, None)
        last = self._frame(index, {}, None, delta.finish)
        if delta.text or delta.reasoning or logprobs:
            return self._frame(index, delta_out(delta), logprobs, None) + last
        return last

    def _plain(self, index: int, text: str) -> bytes:
        """Text alone, which nearly every chunk is: only that text is encoded."""
        around = self._around.get(index)
        if around is None:
            before, _, after = self._frame(index, {"content": _HOLE}, None, None).partition(encode(_HOLE))
            around = self._around[index] = before, after
        return around[0] + encode(text) + around[1]

    def last(self, job: _Job, usage: Usage) -> bytes:
        """What was asked for besides the answer, in a chunk without choices; no chunk where nothing was."""
        more = {"usage": usage_out(usage)} if job.include_usage else {}
        more |= _timings(job)
        return event({**self._head, "choices": [], **more}) if more else b""

    def _frame(self, index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None, finish: str | None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        chunk = {**self._head, "choices": [choice]}
        if self._include_usage:
            chunk["usage"] = None
        return event(chunk)
