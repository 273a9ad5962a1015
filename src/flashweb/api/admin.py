"""`/api/admin`: what the operator's pages ask. Facts and counts only; no prompt, picture, answer or key."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from flashweb import __version__
from flashweb.api.admin_peers import Everyone, added_up, newest_first
from flashweb.api.error_handlers import json_response
from flashweb.api.exchange import ADMIN
from flashweb.api.schemas import admin as schemas
from flashweb.errors import RequestNotFound
from flashweb.names import ModelNames
from flashweb.observe.ledger import MAX_RECENT, KeyUsage, Ledger, Record
from flashweb.observe.peers import Peers
from flashweb.pipeline import Pipeline
from flashweb.settings import Settings, format_value, options

HIDDEN = '"**********"'  # as `format_value` writes it
_NO_STORE = {"cache-control": "no-store"}
_LIBRARIES = ("torch", "triton", "numpy", "pillow")
_LIMITS = {
    "server": (
        "max_body_size", "body_timeout", "send_timeout", "timeout_graceful_shutdown", "request_timeout", "rate_limit",
        "rate_limit_scope", "limit_concurrency",
    ),
    "media": (
        "max_upload_size", "max_multipart_size", "max_image_size", "max_image_pixels", "max_aspect_ratio",
        "max_images", "fetch_timeout", "max_fetch_size", "media_cache_memory", "max_document_pages", "max_document_dpi",
        "document_page_timeout",
    ),
}  # fmt: skip
StatusFilter = Annotated[
    str | None,
    Query(
        pattern=r"^(running|[1-5]\d\d|[1-5]xx)$",
        description="`running`, a status such as `429`, or a class of them such as `5xx`",
        examples=["5xx"],
    ),
]
PathFilter = Annotated[str | None, Query(max_length=200, description="the path's beginning", examples=["/v1/chat"])]
Since = Annotated[
    float | None,
    Query(
        ge=0,
        allow_inf_nan=False,
        description="only requests that came at or after this time, Unix seconds",
        examples=[1.7e9],
    ),
]
Limit = Annotated[int, Query(ge=1, le=MAX_RECENT, description="at most so many", examples=[50])]
RequestId = Annotated[str, Path(description="its x-request-id", examples=["req_5f0c9d2e8a7b41c3d6e9f012"])]


def admin_router(pipeline: Pipeline, names: ModelNames, settings: Settings, ledger: Ledger, peers: Peers) -> APIRouter:
    router = APIRouter(prefix=ADMIN, tags=["admin"])  # `auth.Guard` lets in only the admin key
    started = time.time()
    in_force = _changed(settings)

    def own_status() -> dict[str, Any]:
        web_process = {
            "pid": os.getpid(),
            "workers": settings.server.workers,
            "started": round(started, 3),
            "uptime_seconds": round(time.time() - started, 1),
            "requests_running": ledger.num_running,
        }
        days = {day: _by_key(usage) for day, usage in ledger.days.items()}
        return {
            "web_process": web_process, "usage": _by_key(ledger.usage), "days": days, "inside": pipeline.num_inside,
        }  # fmt: skip

    def own_requests(status: str | None, path: str | None, since: float | None, limit: int) -> list[dict[str, Any]]:
        asked = _filter(status, path, since)
        return [_told(record) for record in islice(filter(asked, ledger.newest_first()), limit)]

    everyone = Everyone(peers, {"status": own_status, "requests": own_requests, "cancel": ledger.cancel})

    @router.get(
        "/status",
        operation_id="adminStatus",
        summary="The state of engine, caches and limits, and usage by key",
        response_model=schemas.StatusOut,
    )
    async def status() -> Response:
        """Also while the engine is loading or dead. With several web processes, usage is that of all of them together;
        `web_process` is the one that answered, `web_processes` are all that did in time."""
        found = await everyone.ask("status")
        processes = [one["web_process"] for one in found]
        body = {
            "web_process": processes[0],
            "web_processes": processes,
            **_state(pipeline, names),
            "usage": added_up(one["usage"] for one in found),
            "usage_by_day": _by_day([one["days"] for one in found]),
            "limits": _limits(pipeline, settings, sum(one["inside"] for one in found)),
            "settings": in_force,
            "versions": _versions(),
        }
        return json_response(body, 200, _NO_STORE)

    @router.get(
        "/requests",
        operation_id="adminRequests",
        summary="Recent and running requests",
        response_model=schemas.RequestsOut,
    )
    async def requests(
        status: StatusFilter = None, path: PathFilter = None, since: Since = None, limit: Limit = 50
    ) -> Response:
        """The running ones and the last 500 that are over (of each web process), newest first; probes, the page's
        files, `/metrics` and these paths are not among them."""
        found = await everyone.ask("requests", status=status, path=path, since=since, limit=limit)
        return json_response({"pid": os.getpid(), "requests": newest_first(found, limit)}, 200, _NO_STORE)

    @router.delete(
        "/requests/{request_id}",
        operation_id="adminCancelRequest",
        summary="End a running request",
        response_model=schemas.CancelledOut,
    )
    async def cancel(request_id: RequestId) -> Response:
        """Its work in the engine stops at once; its caller gets a 409 with the code `cancelled_by_operator`, a stream
        that has begun an error event."""
        if not any(await everyone.ask("cancel", request_id=request_id)):
            raise RequestNotFound(f"No request {request_id[:64]!r} is running here; it may be over.")
        return json_response({"id": request_id, "cancelled": True}, 200, _NO_STORE)

    return router


def _filter(status: str | None, path: str | None, since: float | None) -> Callable[[Record], bool]:
    def asked(record: Record) -> bool:
        if path is not None and not record.path.startswith(path):
            return False
        if since is not None and record.time < since:
            return False
        if status == "running":
            return record.ended is None
        return status is None or (record.status is not None and _matches(record.status, status))

    return asked


def _matches(status: int, wanted: str) -> bool:
    return str(status)[0] == wanted[0] if wanted.endswith("xx") else str(status) == wanted


def _told(record: Record) -> dict[str, Any]:
    work = record.work
    files = [*work.pictures.file_bytes]
    pictures = [
        {"width": width, "height": height, "bytes": files[index] if index < len(files) else None}
        for index, (height, width) in enumerate(work.picture_sizes)
    ]
    return {
        "id": record.id,
        "web_process": os.getpid(),
        "state": "running" if record.ended is None else "finished",
        "time": round(record.time, 3),
        "method": record.method,
        "path": record.path,
        "key": record.key,
        "status": record.status,
        "latency_ms": record.latency_ms,
        "timings_ms": work.timings_ms(record.ended) if work.admitted else None,
        "usage": asdict(record.usage),
        "pictures": pictures,
        "image_hash": work.image_hash,
        "finish_reasons": work.finishes,
        "error_code": work.error_code,
    }


def _state(pipeline: Pipeline, names: ModelNames) -> dict[str, Any]:
    """What is the same whichever web process is asked."""
    health, state = pipeline.health(), pipeline.engine.state
    stats, made = state.stats, state.made
    return {
        "status": health.status,
        "ready": health.ready,
        "detail": health.detail,
        "model": {
            "name": names.own,
            "names": list(names.all),
            "dtype": made.dtype if made else "",
            "quantization": made.quantization if made else "",
            "quantization_reason": made.quantization_reason if made else "",
            "max_model_len": state.max_model_len,
            "weight_bytes": made.weight_bytes if made else 0,
        },
        "engine": {
            "phase": state.phase,
            "stage": state.stage,
            "progress": round(state.progress, 3),
            "error": state.error,
            "gave_up": state.gave_up,
            "device": made.device if made else "",
            "pid": state.process_id,
            "restarts": state.num_restarts,
            "running": state.num_running,
            "waiting": state.num_waiting,
            "max_num_seqs": state.max_num_seqs,
            "steps": state.num_steps,
            "preemptions": state.num_preemptions,
            "peak_memory_bytes": state.peak_memory_bytes,
        },
        "kv_cache": {
            "block_size": made.block_size if made else 0,
            "blocks": state.num_blocks,
            "used": state.num_blocks - state.num_free_blocks,
            "free": state.num_free_blocks,
            "bytes": made.kv_cache_bytes if made else 0,
        },
        "prefix_cache": {"queries": stats.prefix_queries, "hits": stats.prefix_hits},
        "encoder_cache": {
            "queries": stats.encoder_queries,
            "hits": stats.encoder_hits,
            "entries": stats.num_encoded,
            "bytes": stats.encoder_bytes,
        },
        "start_seconds": {stage: round(seconds, 3) for stage, seconds in pipeline.start_seconds},
    }


def _by_key(usage: Mapping[str | None, KeyUsage]) -> list[dict[str, Any]]:
    return [{"key": key, **asdict(used)} for key, used in usage.items()]


def _by_day(processes: Sequence[Mapping[str, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """Of all processes together, newest day first."""
    days = sorted({day for process in processes for day in process}, reverse=True)
    return [{"day": day, **used} for day in days for used in added_up(process.get(day, []) for process in processes)]


def _changed(settings: Settings) -> dict[str, str]:
    """The options that are not at their default, by their flag; secrets are hidden, and what may hold one is."""
    values = ((opt, getattr(getattr(settings, opt.section), opt.name)) for opt in options())
    return {
        opt.flag: HIDDEN if opt.name == "webhook_url" else format_value(value)  # a receiver's URL may carry its token
        for opt, value in values
        if value != opt.info.default
    }


def _limits(pipeline: Pipeline, settings: Settings, inside: int) -> dict[str, Any]:
    declared = {
        name: getattr(getattr(settings, section), name) for section, options in _LIMITS.items() for name in options
    }
    return {"requests_inside": inside, "capacity": pipeline.capacity, **declared}


@cache
def _versions() -> dict[str, str]:
    found = {"flashweb": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:  # of what is installed beside us: the web process itself loads no torch
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
