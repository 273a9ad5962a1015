"""What the operator's endpoints answer. Written by hand in `admin.py`; these models are its documentation and test."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flashweb.api.schemas.chat_answers import TimingsOut

_REQUEST: dict[str, Any] = {
    "id": "req_5f0c9d2e8a7b41c3d6e9f012",
    "web_process": 4711,
    "state": "finished",
    "time": 1764325801.52,
    "method": "POST",
    "path": "/v1/chat/completions",
    "key": "shop",
    "status": 409,
    "latency_ms": 812.4,
    "timings_ms": {
        "fetch": 0.0, "decode": 3.1, "preprocess": 4.8, "queue": 0.4, "encode": 61.2, "prefill": 22.9,
        "decode_tokens": 716.0, "total": 812.4,
    },
    "usage": {
        "prompt_tokens": 279, "completion_tokens": 64, "cached_tokens": 0, "image_tokens": 256, "reasoning_tokens": 0,
    },
    "pictures": [{"width": 448, "height": 448, "bytes": 51220}],
    "image_hash": "9e107d9d372bb6826bd81d3542a419d6",
    "finish_reasons": [],
    "error_code": "cancelled_by_operator",
}  # fmt: skip


class WebProcessOut(BaseModel):
    """One web process."""

    pid: int = Field(description="the process's number in its system")
    workers: int = Field(description="web processes in front of the engine")
    started: float = Field(description="Unix seconds")
    uptime_seconds: float = Field(description="since then")
    requests_running: int = Field(description="HTTP requests in this process, the operator's own left out")


class ModelStatusOut(BaseModel):
    name: str = Field(description="the name of its own")
    names: list[str] = Field(description="every name it answers to")
    dtype: str = Field(description="empty until the engine is ready, as the fields below")
    quantization: str = Field(description="the weights' format")
    quantization_reason: str = Field(description="why that format, where it was chosen")
    max_model_len: int = Field(description="tokens of prompt and answer together")
    weight_bytes: int = Field(description="memory of the weights")


class EngineStatusOut(BaseModel):
    phase: Literal["off", "loading", "ready", "stalled", "dead", "stopped"] = Field(
        description="off: not asked for yet (lazy load); stalled: work waits, no step comes; dead: its process is gone"
    )
    stage: str = Field(description="of loading: import, weights, memory, warmup")
    progress: float = Field(description="of that stage, 0 to 1")
    error: str = Field(description="why it is dead, in words")
    gave_up: bool = Field(description="it is not started again: only a new server helps")
    device: str = Field(description="cpu or cuda")
    pid: int | None = Field(description="the engine process's number; null while there is none")
    restarts: int = Field(description="times it was started again after it had died")
    running: int = Field(description="sequences in its steps")
    waiting: int = Field(description="sequences waiting for a place")
    max_num_seqs: int = Field(description="sequences that decode at once")
    steps: int = Field(description="begun since it was ready")
    preemptions: int = Field(description="times a sequence had to give its blocks back")
    peak_memory_bytes: int = Field(description="highest so far: on CUDA of torch's allocator, else of the process")


class KvCacheOut(BaseModel):
    block_size: int = Field(description="tokens")
    blocks: int = Field(description="all there are")
    used: int = Field(description="of running sequences")
    free: int = Field(description="free, or kept for a prefix and given up at need")
    bytes: int = Field(description="memory of all blocks")


class CacheOut(BaseModel):
    queries: int = Field(description="looked up since the engine was ready")
    hits: int = Field(description="of those, found")


class EncoderCacheOut(CacheOut):
    """Pictures whose features were looked up and found."""

    entries: int = Field(description="pictures whose features are kept")
    bytes: int = Field(description="memory of these features")


class KeyUsageOut(BaseModel):
    """Sums of one key since the web processes began."""

    key: str | None = Field(description="the operator's name for it, never the key; null: requests without one")
    requests: int = Field(description="HTTP requests that are over")
    errors: int = Field(description="answers with a status from 400 on")
    prompt_tokens: int = Field(description="those that a cache knew too")
    completion_tokens: int = Field(description="those of answers that were broken off too")
    pictures: int = Field(description="that became part of a prompt")


class DayUsageOut(KeyUsageOut):
    """The same of one day."""

    day: str = Field(description="of UTC, on which the requests ended", examples=["2026-01-31"])


class StatusOut(BaseModel):
    status: Literal["ok", "loading", "draining", "stalled", "dead", "stopped"] = Field(description="as /health says")
    ready: bool = Field(description="a request would be answered now")
    detail: str = Field(description="why not, in words")
    versions: dict[str, str] = Field(description="of the server, Python and the libraries that compute")
    web_process: WebProcessOut = Field(description="the one that answered")
    web_processes: list[WebProcessOut] = Field(description="all that answered in time, that one first")
    model: ModelStatusOut
    engine: EngineStatusOut
    kv_cache: KvCacheOut
    prefix_cache: CacheOut = Field(description="prompt tokens looked up and found")
    encoder_cache: EncoderCacheOut
    start_seconds: dict[str, float] = Field(description="the last start by stage, in order")
    limits: dict[str, int | float | str | None] = Field(
        description="limits in force by the name of their option; null: none",
        examples=[{"requests_inside": 3, "capacity": 40, "max_body_size": 67108864, "max_images": 16}],
    )
    settings: dict[str, str] = Field(
        description="options that are not at their default, by flag, written as in a TOML file; secrets are hidden",
        examples=[{"--port": "8081", "--admin-key": '"**********"'}],
    )
    usage: list[KeyUsageOut] = Field(description="by key, of all web processes since they began")
    usage_by_day: list[DayUsageOut] = Field(description="the same by day, newest first, for at most 31 days")


class RecordUsageOut(BaseModel):
    prompt_tokens: int = Field(description="of the prompt, counted once for all choices")
    completion_tokens: int = Field(description="of all choices, as far as they came")
    cached_tokens: int = Field(description="prompt tokens answered from the prefix cache")
    image_tokens: int = Field(description="prompt tokens that stand for pictures")
    reasoning_tokens: int = Field(description="of the answers, spent on thoughts")


class PictureOut(BaseModel):
    width: int = Field(description="pixels of the original")
    height: int = Field(description="pixels of the original")
    bytes: int | None = Field(description="of its file")


class RequestOut(BaseModel):
    """One HTTP request: facts about it, nothing of what was asked or answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REQUEST]})

    id: str = Field(description="its x-request-id")
    web_process: int = Field(description="number of the process that has it")
    state: Literal["running", "finished"] = Field(description="whether its answer is over")
    time: float = Field(description="when it came, Unix seconds")
    method: str = Field(description="as HTTP says")
    path: str = Field(description="without the query, cut at 200 characters")
    key: str | None = Field(description="the operator's name for the caller's key")
    status: int | None = Field(description="null while no answer has begun; 499: the client left")
    latency_ms: float = Field(description="so far, while it runs")
    timings_ms: TimingsOut | None = Field(description="null for what never reached the model")
    usage: RecordUsageOut
    pictures: list[PictureOut] = Field(description="in the order of the request")
    image_hash: str | None = Field(description="MD5 of the pictures' files, where the log has it")
    finish_reasons: list[str] = Field(description="one for each choice that came to its end")
    error_code: str | None = Field(
        description="the error's code, or its type where it has none; also of an error within a stream"
    )


class RequestsOut(BaseModel):
    pid: int = Field(description="the web process that answered")
    requests: list[RequestOut] = Field(description="newest first")


class CancelledOut(BaseModel):
    id: str = Field(description="of the request")
    cancelled: Literal[True] = Field(description="its work was told to stop")
