"""The wire format of the endpoints that take pictures and one text, and of what they answer: shapes, nothing else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flashweb.api.schemas.base import TokenCount, Wire
from flashweb.api.schemas.chat import MAX_STOP, Seed, StopText
from flashweb.api.schemas.chat_answers import ChatCompletion, ChatCompletionChunk, TimingsOut, UsageOut
from flashweb.api.schemas.errors import ErrorBody
from flashweb.api.schemas.parts import PASSWORD, Dpi, Enhance, ImageUrl, Password, VideoUrl
from flashweb.api.schemas.structures import ResponseFormat

MAX_PICTURES = 64  # of one request as it is written; how many are taken is the operator's choice
Picture = Annotated[str, Field(min_length=1)]
Pictures = Picture | Annotated[list[Picture], Field(min_length=1, max_length=MAX_PICTURES)]
PictureUrl = Picture | ImageUrl
FileId = Annotated[str, Field(min_length=1, max_length=128)]
FileIds = FileId | Annotated[list[FileId], Field(min_length=1, max_length=MAX_PICTURES)]
PictureUrls = PictureUrl | Annotated[list[PictureUrl], Field(min_length=1, max_length=MAX_PICTURES)]
# A file of a form; several under the same name are several pictures.
FILE = {"type": "string", "format": "binary"}


class PicturesIn(Wire):
    """The pictures of a request, or a clip, in one of four fields."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(
        None, max_length=256, description="the model's name or one of its aliases; may be left out"
    )
    image: Pictures | None = Field(
        None,
        description="the picture's bytes as bare base64 or as a data: URL, or a list of several; in a form a file; a "
        "PDF stands for the pictures of its pages",
    )
    image_url: PictureUrls | None = Field(
        None, description="an http(s) or data: URL, or a list of several; never together with image"
    )
    file_id: FileIds | None = Field(
        None,
        description="the id of an uploaded picture or PDF, or a list of several; never together with image or "
        "image_url",
    )
    video_url: Picture | VideoUrl | None = Field(
        None, description="a clip instead: an http(s) or data: URL, or bare base64; in a form also the file"
    )
    enhance: Enhance | None = Field(
        None, description="text: makes the pictures grey, doubles their contrast and sharpens them"
    )
    pages: str | None = Field(
        None,
        max_length=200,
        description='of a PDF, which pages are the pictures, from 1, such as "1-3,7" or "10-"; default: all',
    )
    dpi: Dpi | None = Field(None, description="how finely the pages of a PDF are drawn, in dots per inch; default 144")
    password: Password | None = Field(None, description=PASSWORD, repr=False)


class PromptRequest(PicturesIn):
    """A question about pictures. Further sampling parameters of a chat completion are taken too."""

    prompt: str = Field(min_length=1, description="what to do with the pictures")
    max_tokens: TokenCount | None = Field(None, description="longest answer in tokens; default 512")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(None, description="0: always the likeliest token")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(None, description="share of the likeliest tokens kept")
    seed: Seed | None = Field(None, description="makes sampling repeatable")
    stop: StopText | Annotated[list[StopText], Field(max_length=MAX_STOP)] | None = Field(
        None, description="texts that end the answer"
    )
    response_format: ResponseFormat | None = Field(None, description="what the answer must look like")


class CompletionRequest(PromptRequest):
    stream: bool | None = Field(None, description="send the answer piece by piece as server-sent events")


class InferenceRequest(PromptRequest):
    raw: bool = Field(False, description="answer with the token ids of prompt and output too")


class SceneRequest(PicturesIn):
    """Pictures for a scene; what is asked of them is the scene's business."""

    question: str | None = Field(
        None, max_length=4000, description="what to ask besides, or instead, of the scene's own"
    )
    rules: str | Annotated[list[str], Field(max_length=64)] | None = Field(
        None, description="further rules, as one text or a list of texts"
    )
    language: str | None = Field(
        None, max_length=40, description="zh or en; for scenes that translate, the language to translate into"
    )
    max_tokens: TokenCount | None = Field(None, description="longest answer in tokens; default 4096")


# --- answers ------------------------------------------------------------------------------------------------------


class MultimodalCompletion(ChatCompletion):
    """A whole answer: a chat completion under another name."""

    object: Literal["multimodal.completion"]  # type: ignore[assignment]


class MultimodalCompletionChunk(ChatCompletionChunk):
    """One server-sent event of a streamed answer."""

    object: Literal["multimodal.completion.chunk"]  # type: ignore[assignment]


class InferenceOut(BaseModel):
    id: str = Field(description="mminf-...: the answer's own")
    model: str = Field(description="the name that was asked for")
    text: str = Field(description="the answer")
    finish_reason: Literal["stop", "length", "tool_calls"] = Field(description="length: max_tokens was reached")
    usage: UsageOut
    timings_ms: TimingsOut
    prompt_token_ids: list[int] | None = Field(None, description="only with raw: the prompt as the model read it")
    output_token_ids: list[int] | None = Field(None, description="only with raw: the answer as the model wrote it")


class InferOut(BaseModel):
    result: str = Field(description="the answer")
    code: Literal[0] = Field(description="0: it went well")
    cost_time: float = Field(description="seconds")


class InferError(BaseModel):
    code: int = Field(description="the HTTP status")
    msg: str = Field(description="what was wrong, the value, the limit and the fix")


class AuditOut(BaseModel):
    contains_price: bool = Field(description="whether a price is shown")
    contains_brand_logo: str | None = Field(description="the brand's name")
    forbidden_words: list[str] = Field(description="forbidden advertising words, as printed")


class DetailErrorBody(ErrorBody):
    detail: str = Field(description="error.message once more, where older pages look for it")


class SceneError(BaseModel):
    file: str = Field(description="the file's name")
    message: str = Field(description="what is wrong with it")


class SceneOut(BaseModel):
    name: str = Field(description="its name in /api/scenes/{name}")
    title: dict[str, str] = Field(description="by language, zh and en")
    description: dict[str, str] = Field(description="what it does, by language")
    answer: Literal["json", "text"] = Field(description="text: the result is {text: ...}")
    fields: list[str] = Field(description="the request's fields that mean something here")
    question: dict[str, str] = Field(description="what is asked when the request brings no question; empty: nothing")
    translates: bool = Field(description="whether language is one to translate into")
    json_schema: dict[str, Any] = Field(alias="schema", description="what every result is valid against")
    sample: str | None = Field(description="file name of a picture to try it with (examples/)")
    show: dict[str, str] = Field(
        description="result key (Q* stands for Q1, Q2, ...) -> how a page may show it: flag, tags, verdict, check, "
        "table, boxes, marks, score, amounts, total, list, notes, text"
    )
    labels: dict[str, dict[str, str]] = Field(description="what keys and short values are called, by language")
    judge: dict[str, dict[str, Literal["pass", "review", "violation"]]] = Field(
        description="result key -> value (or true, false, null, some, empty) -> what it means; absent: pass"
    )
    own: bool = Field(description="from the operator's folder")


class SceneList(BaseModel):
    scenes: list[SceneOut] = Field(description="all scenes, the operator's own last")
    errors: list[SceneError] = Field(description="files of the operator's folder that are no scenes, and why")
