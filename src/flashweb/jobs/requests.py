"""A single request that is to be answered later: kept as it came, and its answer as it would have gone out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from flashweb.jobs.records import Job, Lease
from flashweb.jobs.runner import Begun, Call

KIND = "request"


class SavedRequest(msgspec.Struct):
    """The one item of such a job."""

    path: str
    content_type: str
    body: bytes
    caller: str | None


class Requests:
    """The runner's `Kind` for them: there is nothing to prepare and nothing to wind up."""

    async def begin(self, job: Job) -> Begun:
        return Begun(job.meta)

    async def call_of(self, lease: Lease) -> Call:
        saved = msgspec.msgpack.decode(lease.payload, type=SavedRequest)
        return Call(saved.path, saved.body, lease.owner, saved.caller, saved.content_type)

    async def end(self, job: Job) -> Mapping[str, Any]:
        return job.meta

    async def forget(self, job_id: str) -> None:
        pass
