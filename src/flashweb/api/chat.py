"""`POST /v1/chat/completions`, streamed and not."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flashweb import __version__
from flashweb.api.answers import (
    AnswerForm,
    Collector,
    TokenText,
    add_usages,
    boxes_out,
    delta_out,
    logprobs_out,
    usage_out,
)
from flashweb.api.caller import owner_of
from flashweb.api.convert import to_chat
from flashweb.api.error_handlers import CLIENT_CLOSED_REQUEST, error_response, json_response
from flashweb.api.examples import CHAT_REQUESTS
from flashweb.api.exchange import exchange_of
from flashweb.api.openapi import json_body, json_or_stream
from flashweb.api.parse import read_document, validated
from flashweb.api.sampling import to_params
from flashweb.api.schemas.chat import ChatRequest
from flashweb.api.schemas.chat_answers import ChatCompletion, ChatCompletionChunk
from flashweb.api.sse import DONE, KEEP_ALIVE, ClientGone, EventStream, encode, event, until_gone
from flashweb.api.unknown_fields import refuse_harmful, unknown_names, warning_headers
from flashweb.errors import FlashwebError, UnsupportedMediaType
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline, Ticket
from flashweb.settings import Settings
from flashweb.types import Chat, Delta, SamplingParams, Trace, Usage

PATH = "/v1/chat/completions"
_HOLE = "\0"  # where a chunk's text goes


@dataclass(frozen=True, slots=True)
class Job:
    """One checked request of any endpoint that answers a chat; `object` names the answer, a chunk of it is
    `{object}.chunk`."""

    ticket: Ticket
    chat: Chat
    params: SamplingParams
    n: int
    model: str
    include_usage: bool
    running_usage: bool
    stream: bool
    form: AnswerForm
    timings: bool
    id: str
    created: int
    labels: Mapping[str, str]  # system_fingerprint, and service_tier where the request names one
    object: str = "chat.completion"
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an answer to a job is written: whole, as the events of a stream, and what fills a stream's silences."""

    whole: Callable[[Pipeline, Job, dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]
    events: Callable[[Pipeline, Job, dict[str, Any]], AsyncGenerator[bytes, None]]
    keep_alive: bytes = KEEP_ALIVE


def chat_router(pipeline: Pipeline, names: ModelNames, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["chat"])

    @router.post(
        PATH,
        operation_id="createChatCompletion",
        summary="Answer a chat, with pictures",
        openapi_extra=json_body(ChatRequest, CHAT_REQUESTS),
        responses=json_or_stream(ChatCompletion, ChatCompletionChunk),
        response_class=Response,
    )
    async def create_chat_completion(request: Request) -> Response:
        """The messages may hold several turns and several pictures; the answer comes whole or, with `stream: true`,
        as server-sent events that end with `data: [DONE]`. A client that leaves stops its work."""
        with ExitStack() as place:
            # Held from before the body is read: a full house costs the caller nothing, and no more bodies are in
            # memory than there are places.
            ticket = place.enter_context(pipeline.admit())
            document = read_document(await read_json_body(request))
            refuse_harmful(document)
            wire = validated(document, ChatRequest)
            warnings = warning_headers(unknown_names(document, ChatRequest))
            del document
            job = make_job(wire, names, settings, pipeline, ticket, owner_of(request))
            return await respond(request, pipeline, names, settings, job, place, warnings)

    return router


async def respond(
    request: Request,
    pipeline: Pipeline,
    names: ModelNames,
    settings: Settings,
    job: Job,
    place: ExitStack,
    warnings: Mapping[str, str] = MappingProxyType({}),
    dialect: Dialect | None = None,
) -> Response:
    """The answer to an admitted job as its caller asked for it, whole or streamed. `place` holds the job's ticket: a
    stream takes it over and gives it back when it is over. `warnings` are further headers; `dialect` is OpenAI's chat
    unless given."""
    dialect = dialect or _CHAT
    pipeline.widen(job.ticket, job.n)
    headers = {"x-flashweb-model": names.own, **warnings}
    if job.stream:
        return EventStream(
            dialect.events(pipeline, job, log_fields_of(request)),
            headers=headers,
            keep_alive_seconds=settings.server.stream_keep_alive,
            send_timeout_seconds=settings.server.send_timeout,
            on_end=place.pop_all().close,
            keep_alive=dialect.keep_alive,
        )
    try:
        body = await until_gone(request.receive, dialect.whole(pipeline, job, log_fields_of(request)))
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return json_response(body, headers=headers)


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
    kind = exchange_of(request.scope).header(b"content-type").partition(";")[0].strip().lower()
    if kind.startswith(("multipart/", "image/", "video/", "audio/")):
        raise UnsupportedMediaType(
            f"Content-Type {kind[:60]!r} is not read here; send application/json with the picture as a data: URL or "
            "an http(s) URL in image_url."
        )
    # Not `request.body()`, which would keep the bytes for as long as the answer takes.
    return b"".join([chunk async for chunk in request.stream()])


def system_fingerprint(names: ModelNames, settings: Settings) -> str:
    """Changes with whatever may change an answer under the same seed."""
    model = settings.model
    return _fingerprint(__version__, names.own, model.revision or "", model.dtype, model.quantization)


@cache
def _fingerprint(*told: str) -> str:
    digest = hashlib.blake2b("\0".join(told).encode(), digest_size=5)
    return f"fp_{digest.hexdigest()}"


def make_job(
    wire: ChatRequest,
    names: ModelNames,
    settings: Settings,
    pipeline: Pipeline,
    ticket: Ticket,
    owner: str | None = None,
) -> Job:
    """Checks the request whole; `owner`: whose pictures a uuid means (`to_chat`)."""
    options = wire.stream_options
    tier = {"service_tier": "default"} if wire.service_tier is not None else {}
    return Job(
        ticket=ticket,
        model=names.check(wire.model),
        chat=to_chat(wire, max_images=settings.media.max_images, owner=owner),
        params=to_params(wire, pipeline.generation_defaults, pipeline.num_tokens),
        n=wire.n or 1,
        include_usage=options is not None and bool(options.include_usage),
        running_usage=options is not None and bool(options.continuous_usage_stats),
        stream=bool(wire.stream),
        form=AnswerForm(reasoning=wire.include_reasoning is not False, functions=bool(wire.functions)),
        timings=bool(wire.timings),
        id=f"chatcmpl-{secrets.token_hex(12)}",
        created=int(time.time()),
        labels={"system_fingerprint": system_fingerprint(names, settings), **tier},
    )


def log_fields_of(request: Request) -> dict[str, Any]:
    """What the access log will tell of this request beside what it tells of each."""
    return exchange_of(request.scope).fields


async def gather(pipeline: Pipeline, job: Job, log_fields: dict[str, Any]) -> Collector:
    """Everything of a whole answer."""
    logprobs = job.params.logprobs is not None
    collector = Collector(job.n, logprobs=logprobs, text_of=pipeline.token_text, form=job.form)
    async with aclosing(pipeline.stream(job.chat, job.params, job.n, job.ticket, job.trace)) as pieces:
        async for index, delta in pieces:
            collector.add(index, delta)
    note_usage(log_fields, collector.usage)
    return collector


async def _completion(pipeline: Pipeline, job: Job, log_fields: dict[str, Any]) -> dict[str, Any]:
    collector = await gather(pipeline, job, log_fields)
    return {
        "id": job.id,
        "object": job.object,
        "created": job.created,
        "model": job.model,
        "choices": collector.choices(),
        "usage": usage_out(collector.usage),
        **job.labels,
        **_timings(job),
    }


async def _events(pipeline: Pipeline, job: Job, log_fields: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    """Role first, then text, then the finish reason, then (if asked for) usage and timings alone, then [DONE]. What
    belongs together goes out together: the role with the first text, the end with the last."""
    chunks = _Chunks(job, pipeline.token_text)
    usages: dict[int, Usage] = {}
    running = job.n
    started: set[int] = set()
    begun = time.perf_counter()
    answering = pipeline.stream(job.chat, job.params, job.n, job.ticket, running_usage=job.running_usage)
    async with aclosing(answering) as pieces:
        async for index, delta in pieces:
            if not started:
                log_fields["ttft_ms"] = round((time.perf_counter() - begun) * 1000, 1)
            role = b""
            if index not in started:
                started.add(index)
                if job.running_usage and delta.usage is not None:
                    none_yet = replace(delta.usage, completion_tokens=0, reasoning_tokens=0)
                    chunks.so_far = add_usages([*usages.values(), none_yet])
                role = chunks.role(index)
            if delta.usage is not None:
                usages[index] = delta.usage
                if job.running_usage:
                    chunks.so_far = add_usages(usages.values())
            running -= delta.finish is not None
            if running:
                if news := role + chunks.piece(index, delta):  # none where a thought is not shown
                    yield news
                continue
            usage = add_usages(usages.values())
            note_usage(log_fields, usage)
            yield role + chunks.piece(index, delta) + chunks.last(job, usage) + DONE
            return


_CHAT = Dialect(_completion, _events)


def _timings(job: Job) -> dict[str, Any]:
    return {"timings_ms": job.ticket.work.timings_ms()} if job.timings else {}


def note_usage(log_fields: dict[str, Any], usage: Usage) -> None:
    log_fields["prompt_tokens"] = usage.prompt_tokens
    log_fields["completion_tokens"] = usage.completion_tokens
    log_fields["image_tokens"] = usage.image_tokens or None
    log_fields["cached_tokens"] = usage.cached_tokens or None


class _Chunks:
    """Framed chunks of one answer, all with the same id."""

    def __init__(self, job: Job, text_of: TokenText) -> None:
        self._head = {
            "id": job.id,
            "object": f"{job.object}.chunk",
            "created": job.created,
            "model": job.model,
            **job.labels,
        }
        self.so_far: Usage | None = None  # goes into the chunks from here on
        self._around: dict[int, tuple[bytes, bytes]] = {}
        self._include_usage = job.include_usage
        self._logprobs = job.params.logprobs is not None
        self._text_of = text_of
        self._form = job.form

    def role(self, index: int) -> bytes:
        return self._frame(index, {"role": "assistant", "content": ""}, None, None)

    def piece(self, index: int, delta: Delta) -> bytes:
        """Text and the finish reason in two chunks, as the last one's delta is empty by convention."""
        logprobs = logprobs_out(delta.logprobs, self._text_of) if self._logprobs and delta.logprobs else None
        simple = not (delta.reasoning or delta.tool_calls or logprobs or self.so_far)
        if delta.finish is None and delta.text and simple:
            return self._plain(index, delta.text)
        new = delta_out(delta, self._form)
        piece = self._frame(index, new, logprobs, None) if new or logprobs else b""
        if delta.finish is None:
            return piece
        boxes = {"boxes": boxes_out(delta.boxes)} if delta.boxes else {}
        return piece + self._frame(index, boxes, None, self._form.finish(delta.finish))

    def _plain(self, index: int, text: str) -> bytes:
        """Text alone, which nearly every chunk is: only that text is encoded."""
        around = self._around.get(index)
        if around is None:
            before, _, after = self._frame(index, {"content": _HOLE}, None, None).partition(encode(_HOLE))
            around = self._around[index] = before, after
        return around[0] + encode(text) + around[1]

    def last(self, job: Job, usage: Usage) -> bytes:
        """What was asked for besides the answer, in a chunk without choices; no chunk where nothing was."""
        more = {"usage": usage_out(usage)} if job.include_usage else {}
        more |= _timings(job)
        return event({**self._head, "choices": [], **more}) if more else b""

    def _frame(self, index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None, finish: str | None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        chunk = {**self._head, "choices": [choice]}
        if self.so_far is not None:
            chunk["usage"] = usage_out(self.so_far)
        elif self._include_usage:
            chunk["usage"] = None
        return event(chunk)
