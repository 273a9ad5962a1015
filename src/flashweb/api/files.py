"""`/v1/files`: OpenAI's files, which other requests name by their id."""

from __future__ import annotations

import os
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from flashweb.api.caller import owner_of
from flashweb.api.error_handlers import json_response
from flashweb.api.forms import Form, FormRules, is_form, read_form
from flashweb.api.idempotency import new_id
from flashweb.api.parse import parse_document
from flashweb.api.schemas import jobs as wire
from flashweb.api.unknown_fields import warning_headers
from flashweb.api.uploads import PATH
from flashweb.errors import InvalidRequest, UnsupportedMediaType
from flashweb.jobs.files import FileStore, StoredFile, check_purpose
from flashweb.settings import StorageSettings

DAY = 24 * 3600.0
_FIELDS = ("purpose", "expires_after[anchor]", "expires_after[seconds]")
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "the file itself"},
                        "purpose": {
                            "type": "string",
                            "enum": ["batch", "vision", "user_data", "assistants"],
                            "description": "what it is for; a picture for vision, JSON lines for batch",
                        },
                        "expires_after[anchor]": {
                            "type": "string",
                            "enum": ["created_at"],
                            "description": "what the time counts from",
                        },
                        "expires_after[seconds]": {
                            "type": "integer",
                            "minimum": wire.MIN_LIFE,
                            "maximum": wire.MAX_LIFE,
                            "description": "how long it is kept; default: --keep-days for batch, else for good",
                        },
                    },
                },
                "examples": {"batch": {"value": {"purpose": "batch", "file": '{"custom_id": "1", ...}'}}},
            }
        },
    }
}  # fmt: skip
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}, "example": "hello"}
FileId = Annotated[str, Path(max_length=128, description="the file's id", examples=["file-0a1b2c3d4e5f60718293a4b5"])]
After = Annotated[
    str | None,
    Query(max_length=128, description="the page begins behind this one", examples=["file-0a1b2c3d4e5f60718293a4b5"]),
]
Limit = Annotated[int, Query(ge=1, le=10_000, description="at most so many", examples=[100])]
Direction = Annotated[
    Literal["asc", "desc"], Query(description="by when they came: desc, the newest first", examples=["desc"])
]
PurposeFilter = Annotated[
    str | None, Query(max_length=64, description="only those of this purpose", examples=["batch"])
]
NO_SUCH_AFTER: dict[int | str, dict[str, Any]] = {404: {"description": "nothing has the id that `after` names"}}


def files_router(files: FileStore, storage: StorageSettings) -> APIRouter:
    router = APIRouter(prefix=PATH, tags=["files"])
    rules = FormRules(
        file_names=("file",), max_file_bytes=storage.max_file_size, max_files=1, limit_flag="--max-file-size"
    )

    @router.post(
        "",
        operation_id="uploadFile",
        summary="Upload a file",
        openapi_extra=_FORM,
        response_model=wire.FileOut,
    )
    async def upload(request: Request) -> Response:
        """A form with the file and its `purpose`, read as it comes. A file that is refused or breaks off leaves nothing
        behind."""
        if not is_form(request):
            raise UnsupportedMediaType("Send the file as multipart/form-data, in the field 'file'.")
        async with await files.receive(owner_of(request)) as incoming:
            form = await read_form(request, rules, incoming)
            if not form.files:
                raise InvalidRequest("file is missing; send it as a file of the form.", param="file")
            purpose, expires = _asked(form)
            seconds = expires.seconds if expires else storage.keep_days * DAY if purpose == "batch" else None
            kept = await incoming.finish(purpose, form.file_names[0], seconds, f"file-{new_id(request)}")
        unknown = [name for name in form.fields if name not in _FIELDS]
        return json_response(file_out(kept), headers=warning_headers(unknown))

    @router.get(
        "",
        operation_id="listFiles",
        summary="List the files",
        response_model=wire.FileList,
        responses=NO_SUCH_AFTER,
    )
    async def list_files(
        request: Request, purpose: PurposeFilter = None, after: After = None, limit: Limit = 1000,
        order: Direction = "desc",
    ) -> Response:  # fmt: skip
        """Those of the caller's own key, page by page."""
        found = await files.listed(owner_of(request), purpose, after, limit + 1, order)
        return json_response(page([file_out(one) for one in found], limit))

    @router.get(
        "/{file_id}",
        operation_id="retrieveFile",
        summary="Tell about a file",
        response_model=wire.FileOut,
    )
    async def retrieve(request: Request, file_id: FileId) -> Response:
        """What is known of it, not its bytes."""
        return json_response(file_out(await files.get(file_id, owner_of(request))))

    @router.get(
        "/{file_id}/content",
        operation_id="downloadFile",
        summary="Download a file",
        responses={
            200: {"description": "its bytes", "content": {"*/*": _BYTES}},
        },
        response_class=Response,
    )
    async def content(request: Request, file_id: FileId) -> Response:
        """Its bytes as they came, always as an attachment: what a stranger uploaded is shown by nobody's browser."""
        return _Download(*await files.opened(file_id, owner_of(request)))

    @router.delete(
        "/{file_id}",
        operation_id="deleteFile",
        summary="Delete a file",
        response_model=wire.FileDeleted,
    )
    async def delete(request: Request, file_id: FileId) -> Response:
        """For good. A batch that was made of it goes on: it has its own copy."""
        await files.delete(file_id, owner_of(request))
        return json_response({"id": file_id, "object": "file", "deleted": True})

    return router


class _Download(FileResponse):
    """A file that is held open: deleted meanwhile, it still goes out whole."""

    def __init__(self, found: StoredFile, file: IO[bytes]) -> None:
        self._file = file
        super().__init__(
            f"/dev/fd/{file.fileno()}",  # by its name it may be gone
            filename=found.filename,
            media_type=_type(found),
            stat_result=os.fstat(file.fileno()),
            content_disposition_type="attachment",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


def page(found: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page of a list, of which one more than `limit` was looked for."""
    data = found[:limit]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": len(found) > limit}


def file_out(file: StoredFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": int(file.created),
        "expires_at": None if file.expires is None else int(file.expires),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def _asked(form: Form) -> tuple[str, wire.ExpiresAfter | None]:
    """The form's purpose and life. Raises InvalidRequest."""
    texts = {name: values[0] for name, values in form.fields.items()}
    purpose = check_purpose(texts.get("purpose"))
    life: dict[str, Any] = {
        name: texts[f"expires_after[{name}]"] for name in ("anchor", "seconds") if f"expires_after[{name}]" in texts
    }
    if not life:
        return purpose, None
    if life.get("seconds", "").isdecimal():
        life["seconds"] = int(life["seconds"][:10])
    return purpose, parse_document(life, wire.ExpiresAfter)


def _type(file: StoredFile) -> str:
    return "application/octet-stream" if file.kind == "text/plain" else file.kind
