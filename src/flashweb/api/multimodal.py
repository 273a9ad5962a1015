"""The endpoints that take a text and pictures instead of a chat: thin adapters, each onto the path that chat takes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from flashweb.api.answers import Collector, usage_out
from flashweb.api.chat import Job, gather, log_fields_of, make_job, respond
from flashweb.api.error_handlers import CLIENT_CLOSED_REQUEST, json_response
from flashweb.api.error_shapes import INFER_PATHS
from flashweb.api.openapi import asked_body, json_or_stream
from flashweb.api.pictures import Asked, chat_request, parameters_of, picture_chat, read_asked, warnings_of
from flashweb.api.schemas import pictures as wire
from flashweb.api.sse import ClientGone, until_gone
from flashweb.errors import InvalidRequest
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline, Ticket
from flashweb.settings import Settings
from flashweb.types import Trace

# The API guide's own default on its endpoints; elsewhere the checkpoint's holds.
GUIDE_DEFAULTS: Mapping[str, Any] = {"temperature": 0.7, "top_p": 1.0}
COMPLETIONS = "/v1/multimodal/completions"
MULTIPART = "/v1/multimodal/completions-multipart"
INFERENCE = "/v1/multi-modal/inference"


class Maker:
    """Requests for pictures and a text -> jobs, with what every one of them needs."""

    def __init__(self, pipeline: Pipeline, names: ModelNames, settings: Settings) -> None:
        self.pipeline = pipeline
        self.names = names
        self.settings = settings

    def job(self, asked: Asked[Any], prompt: str, ticket: Ticket, parameters: Mapping[str, Any], *, prefix: str) -> Job:
        """Raises what a chat's own conversion does."""
        request = chat_request(asked, prompt, parameters)
        job = make_job(request, self.names, self.settings, self.pipeline, ticket, asked.owner)
        chat = picture_chat(request, asked, self.settings)
        return replace(job, chat=chat, id=f"{prefix}-{secrets.token_hex(12)}")

    async def whole(self, request: Request, job: Job) -> Collector:
        """The answer, or ClientGone."""
        return await until_gone(request.receive, gather(self.pipeline, job, log_fields_of(request)))


def multimodal_router(pipeline: Pipeline, names: ModelNames, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["pictures"])
    maker = Maker(pipeline, names, settings)
    headers = {"x-flashweb-model": names.own}

    async def complete(request: Request, *, forms: bool) -> Response:
        with ExitStack() as place:
            ticket = place.enter_context(pipeline.admit())
            asked = await read_asked(request, wire.CompletionRequest, settings, forms=forms)
            job = maker.job(
                asked, asked.wire.prompt, ticket, {**GUIDE_DEFAULTS, **parameters_of(asked.wire)}, prefix="mmcmpl"
            )
            job = replace(job, object="multimodal.completion")
            return await respond(request, pipeline, names, settings, job, place, warnings_of(asked.wire))

    answers = json_or_stream(wire.MultimodalCompletion, wire.MultimodalCompletionChunk)

    @router.post(
        COMPLETIONS,
        operation_id="createMultimodalCompletion",
        summary="Answer a question about pictures (JSON)",
        openapi_extra=asked_body(wire.CompletionRequest, form=False),
        responses=answers,
        response_class=Response,
    )
    async def create_completion(request: Request) -> Response:
        """`prompt` with `image` (base64, data: URL) or `image_url`; temperature 0.7 unless given. With `stream: true`
        the answer comes as server-sent events that end with `data: [DONE]`."""
        return await complete(request, forms=False)

    async def create_from_form(request: Request) -> Response:
        """The same from a form: `prompt`, one or several files `image`, and the parameters as fields, in any order."""
        return await complete(request, forms=True)

    router.post(
        MULTIPART,
        operation_id="createMultimodalCompletionFromForm",
        summary="Answer a question about pictures (form)",
        openapi_extra=asked_body(wire.CompletionRequest, json=False),
        responses=answers,
        response_class=Response,
    )(create_from_form)
    # The API guide's own sample posts there.
    router.post(f"{MULTIPART}-multipart", include_in_schema=False)(create_from_form)

    @router.post(
        INFERENCE,
        operation_id="createInference",
        summary="Answer a question about pictures, with timings",
        openapi_extra=asked_body(wire.InferenceRequest),
        responses={200: {"model": wire.InferenceOut, "description": "the answer"}},
        response_class=Response,
    )
    async def infer_with_timings(request: Request) -> Response:
        """JSON or a form; `raw: true` adds the token ids of prompt and output."""
        with pipeline.admit() as ticket:
            asked = await read_asked(request, wire.InferenceRequest, settings)
            _refuse_stream(asked.wire)
            warnings = warnings_of(asked.wire)
            trace = Trace()
            job = replace(
                maker.job(asked, asked.wire.prompt, ticket, parameters_of(asked.wire), prefix="mminf"), trace=trace
            )
            try:
                collector = await maker.whole(request, job)
            except ClientGone:
                return Response(status_code=CLIENT_CLOSED_REQUEST)
            body = _inference(job, collector, trace, raw=asked.wire.raw)
        return json_response(body, headers={**headers, **warnings})

    async def infer(request: Request) -> Response:
        """`prompt` with a picture as the file `image` of a form, or JSON with `image` or `image_url`. Whatever goes
        wrong comes as `{"code": HTTP status, "msg": text}`."""
        with pipeline.admit() as ticket:
            started = time.perf_counter()
            asked = await read_asked(request, wire.PromptRequest, settings)
            _refuse_stream(asked.wire)
            warnings = warnings_of(asked.wire)
            job = maker.job(asked, asked.wire.prompt, ticket, parameters_of(asked.wire), prefix="infer")
            try:
                collector = await maker.whole(request, job)
            except ClientGone:
                return Response(status_code=CLIENT_CLOSED_REQUEST)
        text = collector.choices()[0]["message"]["content"]
        body = {"result": text, "code": 0, "cost_time": round(time.perf_counter() - started, 3)}
        return json_response(body, headers={**headers, **warnings})

    for path, operation in zip(INFER_PATHS, ("glmInfer", "infer"), strict=True):
        router.post(
            path,
            operation_id=operation,
            summary="Answer a question about a picture, in a plain envelope",
            openapi_extra=asked_body(wire.PromptRequest),
            responses={200: {"model": wire.InferOut, "description": "the answer"}},
            response_class=Response,
        )(infer)
    return router


def _inference(job: Job, collector: Collector, trace: Trace, *, raw: bool) -> dict[str, Any]:
    (choice,) = collector.choices()
    usage = collector.usage
    body = {
        "id": job.id,
        "model": job.model,
        "text": choice["message"]["content"],
        "finish_reason": choice["finish_reason"],
        "usage": usage_out(usage),
        "timings_ms": job.ticket.work.timings_ms(),
    }
    if raw:
        body["prompt_token_ids"] = list(trace.prompt_token_ids)
        # What the engine made beyond a stop text is nobody's.
        body["output_token_ids"] = trace.output_token_ids[: usage.completion_tokens]
    return body


def _refuse_stream(asked: wire.PromptRequest) -> None:
    if (asked.model_extra or {}).get("stream"):
        raise InvalidRequest(
            f"stream is not offered here; leave it out, or use {COMPLETIONS}.",
            param="stream",
            code="unsupported_parameter",
        )
