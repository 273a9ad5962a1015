"""What models and health are answered (`api/ops.py`)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class DefaultSamplingOut(BaseModel):
    """What a request gets that names nothing: the checkpoint's generation_config, else this server's."""

    temperature: float = Field(description="0 always takes the likeliest token")
    top_p: float = Field(description="1 is off")
    top_k: int = Field(description="0 is off")
    min_p: float = Field(description="0 is off")
    repetition_penalty: float = Field(description="1 is off")
    max_tokens: int = Field(description="of an answer, bounded by what the context leaves")
    max_tokens_long: int = Field(description="the same when thinking, with tools or for JSON")


class ModelLimitsOut(BaseModel):
    """What this server takes in one request; its operator may have set it."""

    max_body_bytes: int = Field(description="of the whole request, base64 included")
    max_messages: int = Field(description="of a conversation, system messages included")
    max_images: int = Field(description="pictures, without the pages of documents")
    max_image_bytes: int = Field(description="of a picture or document in a JSON body, decoded")
    max_image_pixels: int = Field(description="of a picture; more are refused")
    max_image_side: int = Field(description="the longest side the model sees, in pixels; 0: the model's own limit")
    max_aspect_ratio: float = Field(description="longer pictures are refused")
    max_document_pages: int = Field(description="pages of documents, together")
    max_videos: int = Field(description="clips")
    max_video_bytes: int = Field(description="of a clip")
    max_video_seconds: float = Field(description="of a clip")


class ModelOut(BaseModel):
    id: str = Field(description="the name")
    object: Literal["model"]
    created: int = Field(description="when the server started, in seconds since 1970")
    owned_by: str
    root: str = Field(description="the model behind an alias")
    max_model_len: int | None = Field(description="tokens of prompt and answer together; null until loaded")
    default_sampling: DefaultSamplingOut
    limits: ModelLimitsOut


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelOut] = Field(description="every name the loaded model answers to")


class HealthOut(BaseModel):
    status: Literal["ok", "loading", "draining", "stalled", "dead", "stopped"] = Field(
        description="ok, or why no request would be answered"
    )
    model_loaded: bool = Field(description="false before a lazy load")
    model: str = Field(description="its own name")
    detail: str = Field("", description="more about the status")
    progress: float | None = Field(None, description="while loading: of the stage that detail names, 0 to 1")


class LiveOut(BaseModel):
    status: Literal["ok", "dead"] = Field(description="ok, or dead: only a restart of the server can help")
