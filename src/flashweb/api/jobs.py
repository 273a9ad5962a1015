"""`/api/jobs`: single requests that are answered later, and how one is handed in (`answer_later`)."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from flashweb.api.answer_examples import ANSWERS
from flashweb.api.caller import background_of, owner_of
from flashweb.api.error_handlers import json_response
from flashweb.api.exchange import exchange_of
from flashweb.api.idempotency import new_id
from flashweb.api.schemas import jobs as wire
from flashweb.errors import Conflict, FlashwebError, ObjectNotFound
from flashweb.jobs import ItemState, Job, JobQueue, NewJob
from flashweb.jobs.records import JobState
from flashweb.jobs.requests import KIND, SavedRequest

PATH = "/api/jobs"
# What a 202 says beside its job, for the API's description.
LATER_HEADERS: dict[str, Any] = {
    "location": {
        "description": "where the job is", "required": True, "schema": {"type": "string"},
        "example": f"{PATH}/job_0a1b2c3d4e5f60718293a4b5",
    },
    "preference-applied": {
        "description": "respond-async", "required": True, "schema": {"type": "string"}, "example": "respond-async",
    },
}  # fmt: skip
# What a result says beside its body: our own headers of the answer, as they would have come with it at once.
RESULT_HEADERS: dict[str, Any] = {
    "x-flashweb-request-id": {
        "description": "the x-request-id under which it was answered", "schema": {"type": "string"},
    },
    "x-flashweb-model": {
        "description": "the model that answered", "schema": {"type": "string"}, "example": "flashweb-nano",
    },
    "x-flashweb-warning": {
        "description": "names of fields that were ignored; absent when there are none", "schema": {"type": "string"},
        "example": "ignored unknown fields: temprature",
    },
}  # fmt: skip
LIFE_SECONDS = 24 * 3600.0
_ANSWERED = (ItemState.DONE, ItemState.DEAD)
JobId = Annotated[str, Path(max_length=128, description="the job's id", examples=["job_0a1b2c3d4e5f60718293a4b5"])]


def wants_later(request: Request) -> bool:
    """`?async=true`, or RFC 7240's `Prefer: respond-async`. Never of a request that the runner itself makes."""
    if background_of(request.scope) is not None:
        return False
    asked = request.query_params.get("async", "").lower() in ("true", "1")
    preferred = {part.partition(";")[0].strip().lower() for part in request.headers.get("prefer", "").split(",")}
    return asked or "respond-async" in preferred


async def answer_later(request: Request, queue: JobQueue, webhook_url: str | None) -> Response:
    """Keep the request as it came, and answer 202 with its job. What is wrong with it is told by its result.
    `webhook_url`: checked."""
    body = b"".join([chunk async for chunk in request.stream()])
    caller = exchange_of(request.scope).caller_name
    kind = request.headers.get("content-type", "application/json")
    saved = SavedRequest(request.scope["path"], kind, body, caller)
    id, now, owner = f"job_{new_id(request)}", time.time(), owner_of(request)
    new = NewJob(id, KIND, owner, {"path": saved.path, "webhook_url": webhook_url}, now + LIFE_SECONDS)
    payload = msgspec.msgpack.encode(saved)
    await queue.hand_in(new, [payload], now)
    job = await _find(queue, id, owner)
    headers = {"location": f"{PATH}/{id}", "preference-applied": "respond-async"}
    return json_response(job_out(*job), 202, headers)


async def _find(queue: JobQueue, id: str, owner: str) -> tuple[Job, ItemState]:
    """A job and how its one item stands; not the request, which has pictures and is asked about often."""
    job = await queue.do(lambda store: store.get(id, owner))
    state = await queue.do(lambda store: store.item_state(id, 0))
    if job is None or job.kind != KIND or state is None:  # None: forgotten between the two questions
        raise _no_such(id)
    return job, state


def _no_such(id: str) -> ObjectNotFound:
    return ObjectNotFound(f"There is no job {id[:80]!r}.", param="id", code="job_not_found")


def jobs_router(queue: JobQueue) -> APIRouter:
    router = APIRouter(prefix=PATH, tags=["jobs"])

    @router.get(
        "/{job_id}",
        operation_id="retrieveJob",
        summary="Tell about a job",
        response_model=wire.JobOut,
    )
    async def retrieve(request: Request, job_id: JobId) -> Response:
        """Its state, and where its answer is once there is one."""
        return json_response(job_out(*await _find(queue, job_id, owner_of(request))))

    @router.get(
        "/{job_id}/result",
        operation_id="jobResult",
        summary="The answer of a job",
        responses={
            200: {
                "description": "the answer as it would have come at once; an error comes with its own status",
                "content": {"application/json": {"schema": {"type": "object"}, "example": ANSWERS["AuditOut"]}},
                "headers": RESULT_HEADERS,
            },
            409: {"description": "there is no answer yet, or there will be none"},
        },
        response_class=Response,
    )
    async def result(request: Request, job_id: JobId) -> Response:
        """409 while there is none, and for a job that was cancelled or has expired."""
        job, state = await _find(queue, job_id, owner_of(request))
        if state not in _ANSWERED:
            ended = job.has_ended
            words = f"ended as {job.state} without an answer" if ended else "not answered yet; ask again"
            raise Conflict(f"The job is {words}.", code="no_result" if ended else "not_finished")
        items = await queue.do(lambda store: store.items(job_id, -1, 1))
        if not items or items[0].result is None:  # forgotten meanwhile
            raise _no_such(job_id)
        told: dict[str, Any] = msgspec.json.decode(items[0].result)
        headers = {**told.get("headers", {}), "x-flashweb-request-id": told.get("request_id", "")}
        if "status_code" not in told:
            raise FlashwebError(told["error"]["message"], code=told["error"]["code"])
        return json_response(told["body"], told["status_code"], headers)

    @router.delete(
        "/{job_id}",
        operation_id="cancelJob",
        summary="Cancel a job, or forget one that has ended",
        response_model=wire.JobOut,
    )
    async def cancel(request: Request, job_id: JobId) -> Response:
        """What runs is ended. A job that has ended is forgotten with its answer."""
        owner = owner_of(request)
        job, state = await _find(queue, job_id, owner)
        if job.has_ended:
            await queue.do(lambda store: store.delete(job_id, owner))
            return json_response(job_out(job, state))
        await queue.do(lambda store: store.cancel(job_id, owner, time.time()))
        return json_response(job_out(*await _find(queue, job_id, owner)))

    return router


def job_out(job: Job, state: ItemState) -> dict[str, Any]:
    ended = max(job.times.values()) if job.has_ended else None
    return {
        "id": job.id,
        "object": "job",
        "status": _status(job, state),
        "path": job.meta["path"],
        "created_at": int(job.created),
        "expires_at": None if job.expires is None else int(job.expires),
        "ended_at": None if ended is None else int(ended),
        "result_url": f"{PATH}/{job.id}/result" if state in _ANSWERED else None,
    }


def _status(job: Job, state: ItemState) -> str:
    if job.state == JobState.IN_PROGRESS:
        return "in_progress" if state == ItemState.LEASED else "queued"
    return "failed" if job.failed else job.state.value
