"""`/v1/batches`: OpenAI's batches over the durable queue."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from flashweb.api.caller import owner_of
from flashweb.api.chat import read_json_body
from flashweb.api.error_handlers import json_response
from flashweb.api.exchange import exchange_of
from flashweb.api.files import NO_SUCH_AFTER, page
from flashweb.api.idempotency import new_id
from flashweb.api.openapi import json_body
from flashweb.api.parse import read_document, validated
from flashweb.api.schemas import jobs as wire
from flashweb.api.unknown_fields import unknown_names, warning_headers
from flashweb.errors import Conflict, InvalidRequest, ObjectNotFound
from flashweb.jobs import Job, JobQueue, NewJob
from flashweb.jobs.batches import KIND, Batches
from flashweb.jobs.files import FileStore
from flashweb.jobs.records import JobState
from flashweb.webhooks import Courier

PATH = "/v1/batches"
# What a batch may ask: whatever answers one JSON request with one JSON answer.
ENDPOINTS = (
    "/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/multimodal/completions",
    "/v1/multi-modal/inference", "/v1/glm/infer", "/infer", "/api/audit-image",
)  # fmt: skip
_SCENE = re.compile(r"/api/scenes/[A-Za-z0-9_-]{1,64}")
_SECONDS = {"m": 60, "h": 3600, "d": 24 * 3600}
MAX_WINDOW = 30 * 24 * 3600
BatchId = Annotated[
    str, Path(max_length=128, description="the batch's id", examples=["batch_0a1b2c3d4e5f60718293a4b5"])
]
After = Annotated[
    str | None,
    Query(max_length=128, description="the page begins behind this one", examples=["batch_0a1b2c3d4e5f60718293a4b5"]),
]
Limit = Annotated[int, Query(ge=1, le=100, description="at most so many", examples=[20])]


def batches_router(queue: JobQueue, files: FileStore, batches: Batches, hooks: Courier) -> APIRouter:
    router = APIRouter(prefix=PATH, tags=["batches"])

    async def find(request: Request, id: str) -> Job:
        owner = owner_of(request)
        job = await queue.do(lambda store: store.get(id, owner))
        if job is None or job.kind != KIND:
            raise ObjectNotFound(f"No such Batch object: {id[:80]!r}.", param="id", code="batch_not_found")
        return job

    @router.post(
        "",
        operation_id="createBatch",
        summary="Have a file of requests answered",
        responses={404: {"description": "there is no such input file"}},
        openapi_extra=json_body(wire.BatchRequest),
        response_model=wire.BatchOut,
    )
    async def create(request: Request) -> Response:
        """The input is validated in the background: what is wrong with a line is told in `errors`. Its requests run
        while the server has room, after the interactive ones, each once."""
        document = read_document(await read_json_body(request))
        asked = validated(document, wire.BatchRequest)
        _check_endpoint(asked.endpoint)
        seconds = _window_seconds(asked.completion_window)
        hooks.checked(asked.webhook_url)
        owner = owner_of(request)
        file = await files.get(asked.input_file_id, owner)
        if file.purpose != "batch":
            raise InvalidRequest(
                f"input_file_id names a file of purpose {file.purpose!r}; upload it with purpose 'batch'.",
                param="input_file_id",
            )
        id, now = f"batch_{new_id(request)}", time.time()
        meta: dict[str, Any] = {
            "input_file_id": file.id,
            "endpoint": asked.endpoint,
            "completion_window": asked.completion_window,
            "metadata": asked.metadata,
            "caller": exchange_of(request.scope).caller_name,
            "webhook_url": asked.webhook_url,
            "output_seconds": asked.output_expires_after.seconds if asked.output_expires_after else None,
        }
        new = NewJob(id, KIND, owner, meta, now + seconds, has_chores=True)
        await batches.hand_in(new, file.id, now)
        warnings = warning_headers(unknown_names(document, wire.BatchRequest))
        return json_response(batch_out(await find(request, id)), headers=warnings)

    @router.get(
        "",
        operation_id="listBatches",
        summary="List the batches",
        response_model=wire.BatchList,
        responses=NO_SUCH_AFTER,
    )
    async def list_batches(request: Request, after: After = None, limit: Limit = 20) -> Response:
        """Those of the caller's own key, newest first."""
        owner = owner_of(request)
        if after is not None:
            await find(request, after)
        jobs = await queue.do(lambda store: store.jobs(KIND, owner, after, limit + 1))
        return json_response(page([batch_out(job) for job in jobs], limit))

    @router.get(
        "/{batch_id}",
        operation_id="retrieveBatch",
        summary="Tell about a batch",
        response_model=wire.BatchOut,
    )
    async def retrieve(request: Request, batch_id: BatchId) -> Response:
        """Its state, how far it is, and where its answers are."""
        return json_response(batch_out(await find(request, batch_id)))

    @router.post(
        "/{batch_id}/cancel",
        operation_id="cancelBatch",
        summary="Cancel a batch",
        responses={409: {"description": "it has ended already"}},
        response_model=wire.BatchOut,
    )
    async def cancel(request: Request, batch_id: BatchId) -> Response:
        """What is answered stays and comes in the files; what runs is ended, what waits does not begin."""
        before = await find(request, batch_id)
        if before.has_ended:
            raise Conflict(f"The batch is {before.state} already; there is nothing to cancel.", code="batch_ended")
        owner = owner_of(request)
        await queue.do(lambda store: store.cancel(batch_id, owner, time.time()))
        queue.news.set()
        return json_response(batch_out(await find(request, batch_id)))

    return router


def _check_endpoint(endpoint: str) -> None:
    if endpoint not in ENDPOINTS and not _SCENE.fullmatch(endpoint):
        offered = ", ".join((*ENDPOINTS, "/api/scenes/{name}"))
        raise InvalidRequest(f"endpoint is {endpoint[:80]!r}; a batch may ask one of {offered}.", param="endpoint")


def _window_seconds(window: str) -> int:
    seconds = int(window[:-1]) * _SECONDS[window[-1]]
    if seconds > MAX_WINDOW:
        raise InvalidRequest(f"completion_window is {window}; it may be at most 30d.", param="completion_window")
    return seconds


def batch_out(job: Job) -> dict[str, Any]:
    meta = job.meta
    at: dict[str, int] = {name: int(moment) for name, moment in job.times.items()}
    errors = meta.get("errors")
    is_cancelling = job.state == JobState.FINALIZING and job.ending == JobState.CANCELLED
    return {
        "id": job.id,
        "object": "batch",
        "endpoint": meta["endpoint"],
        "errors": {"object": "list", "data": errors} if errors else None,
        "input_file_id": meta["input_file_id"],
        "completion_window": meta["completion_window"],
        "status": "cancelling" if is_cancelling else job.state.value,
        "output_file_id": meta.get("output_file_id"),
        "error_file_id": meta.get("error_file_id"),
        "created_at": int(job.created),
        "expires_at": None if job.expires is None else int(job.expires),
        **{
            f"{name}_at": at.get(name)
            for name in ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
        },
        "request_counts": {"total": job.total, "completed": job.completed, "failed": job.failed},
        "metadata": meta["metadata"],
    }
