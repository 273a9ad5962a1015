"""The wire format of files, batches and jobs: OpenAI's for the first two. Shapes, nothing else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from flashweb.api.schemas.base import Metadata

Window = Annotated[str, Field(pattern=r"^[1-9]\d{0,3}[mhd]$")]
MIN_LIFE, MAX_LIFE = 3600, 30 * 24 * 3600  # seconds, OpenAI's


class ExpiresAfter(BaseModel):
    """When a file's time is over."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    anchor: Literal["created_at"] = Field(description="what the time counts from")
    seconds: int = Field(ge=MIN_LIFE, le=MAX_LIFE, description="how long it is kept, one hour to 30 days")


class BatchRequest(BaseModel):
    """Many requests of one endpoint, to be answered when there is room for them."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    input_file_id: str = Field(
        max_length=128, description="an uploaded file of purpose batch: one request a line, as JSON"
    )
    endpoint: str = Field(
        max_length=256, description="the path every line's url names: chat completions, responses, a scene, ..."
    )
    completion_window: Window = Field(
        "24h", description="by when it is to be done, as minutes, hours or days: 30m, 24h, 7d; at most 30 days"
    )
    metadata: Metadata | None = Field(None, description="up to 16 texts of the caller's own, given back with the batch")
    output_expires_after: ExpiresAfter | None = Field(
        None, description="how long the files of answers and errors are kept; default: --keep-days"
    )
    webhook_url: str | None = Field(
        None, max_length=2048, description="https:// URL that is told when it has ended; default: --webhook-url"
    )


class ListPage(BaseModel):
    """What a page of a list says of itself."""

    object: Literal["list"]
    first_id: str | None = Field(description="id of the first one; null on an empty page")
    last_id: str | None = Field(description="id of the last one, to be given as after for the next page")
    has_more: bool = Field(description="whether there is a next page")


class FileOut(BaseModel):
    """A file that was uploaded, or that a batch made."""

    id: str = Field(description="its name in other requests")
    object: Literal["file"]
    bytes: int = Field(description="its size")
    created_at: int = Field(description="when it came, Unix seconds")
    expires_at: int | None = Field(None, description="when it is removed, Unix seconds; null: when it is deleted")
    filename: str = Field(description="the name it came with")
    purpose: Literal["batch", "vision", "user_data", "assistants", "batch_output"] = Field(description="what it is for")
    status: Literal["processed"] = Field(description="always processed: a file that is told of is whole")
    status_details: str | None = Field(None, description="always null")


class FileList(ListPage):
    """A page of files."""

    data: list[FileOut] = Field(description="the files")


class FileDeleted(BaseModel):
    """That a file is gone."""

    id: str = Field(description="the file's id")
    object: Literal["file"]
    deleted: Literal[True] = Field(description="always true")


class BatchLineError(BaseModel):
    """What is wrong with one line of a batch's input."""

    code: str = Field(description="for programs")
    line: int | None = Field(description="the line's number, from 1; null where it is the whole file")
    message: str = Field(description="for people")
    param: str | None = Field(description="the line's field at fault")


class BatchErrors(BaseModel):
    """Why a batch failed its validation."""

    object: Literal["list"]
    data: list[BatchLineError] = Field(description="the first 100 errors")


class RequestCounts(BaseModel):
    """How far a batch is."""

    total: int = Field(description="requests of the input; 0 until it is validated")
    completed: int = Field(description="answered with a status below 400")
    failed: int = Field(description="answered with an error, or given up")


class BatchOut(BaseModel):
    """A batch as it stands."""

    id: str = Field(description="the batch's id")
    object: Literal["batch"]
    endpoint: str = Field(description="the path its requests go to")
    errors: BatchErrors | None = Field(description="of its validation; null where it passed")
    input_file_id: str = Field(description="the file it was made of")
    completion_window: str = Field(description="as it was given")
    status: Literal[
        "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
    ] = Field(description="its state")
    output_file_id: str | None = Field(description="the answers, once it has ended; null where there are none")
    error_file_id: str | None = Field(description="the errors, once it has ended; null where there are none")
    created_at: int = Field(description="when it came, Unix seconds")
    in_progress_at: int | None = Field(description="when its input had passed")
    expires_at: int | None = Field(description="when what is not answered yet is given up")
    finalizing_at: int | None = Field(description="when its last request had ended")
    completed_at: int | None = Field(description="when its files were there")
    failed_at: int | None = Field(description="when its input was refused")
    expired_at: int | None = Field(description="when its time was over")
    cancelling_at: int | None = Field(description="when it was cancelled by its caller")
    cancelled_at: int | None = Field(description="when the files of a cancelled batch were there")
    request_counts: RequestCounts = Field(description="how far it is")
    metadata: dict[str, str] | None = Field(description="as it was given")


class BatchList(ListPage):
    """A page of batches, newest first."""

    data: list[BatchOut] = Field(description="the batches")


class JobOut(BaseModel):
    """A request that is answered later."""

    id: str = Field(description="the job's id")
    object: Literal["job"]
    status: Literal["queued", "in_progress", "completed", "failed", "cancelled", "expired"] = Field(
        description="its state; failed: the answer is an error"
    )
    path: str = Field(description="where the request went")
    created_at: int = Field(description="when it came, Unix seconds")
    expires_at: int | None = Field(description="when it is given up if it is not answered")
    ended_at: int | None = Field(description="when it was answered or ended, Unix seconds")
    result_url: str | None = Field(description="where the answer is, once there is one")
