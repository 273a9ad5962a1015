"""What a chat is answered, whole and in pieces. Written by hand in `api/answers.py` for speed; these models are its
documentation and its test.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ImageUseOut(BaseModel):
    width: int = Field(description="of the picture the model saw, in pixels")
    height: int = Field(description="of the picture the model saw, in pixels")
    source_width: int = Field(description="of the picture that was sent, turned upright")
    source_height: int = Field(description="of the picture that was sent, turned upright")
    tokens: int = Field(description="prompt tokens that stand for this picture")


class PromptTokensDetails(BaseModel):
    cached_tokens: int = Field(description="prompt tokens answered from the prefix cache")
    image_tokens: int = Field(description="prompt tokens that stand for pictures")
    images: list[ImageUseOut] | None = Field(None, description="what became of each picture; absent without pictures")


class CompletionTokensDetails(BaseModel):
    reasoning_tokens: int = Field(description="of the thinking")


class UsageOut(BaseModel):
    prompt_tokens: int = Field(description="of the prompt, pictures included")
    completion_tokens: int = Field(description="of all choices, thinking included")
    total_tokens: int = Field(description="the sum of both")
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class TopLogprob(BaseModel):
    token: str = Field(description="its text, with U+FFFD for parts of characters")
    logprob: float = Field(description="natural logarithm of its probability; -9999 stands for never")
    bytes: list[int] | None = Field(description="its bytes, which may be part of a character")


class TokenLogprobOut(TopLogprob):
    top_logprobs: list[TopLogprob] = Field(description="the likeliest tokens at this place, likeliest first")


class LogprobsOut(BaseModel):
    content: list[TokenLogprobOut] | None = Field(description="one entry per token of the answer")
    refusal: None = Field(None, description="always null")


class FunctionCallOut(BaseModel):
    name: str = Field(description="which function to call")
    arguments: str = Field(description="a JSON object; cut off where finish_reason is length")


class ToolCallOut(BaseModel):
    id: str = Field(description="call_...: the tool message with its result names it")
    type: Literal["function"]
    function: FunctionCallOut


class BoxOut(BaseModel):
    """A box in the answer's text."""

    image: int = Field(description="which picture of the request, from 0")
    box: list[int] = Field(description="x1, y1, x2, y2 in thousandths of the picture, as in the text")
    pixels: list[int] = Field(description="the same in pixels of the original picture")


class AssistantMessage(BaseModel):
    role: Literal["assistant"]
    content: str | None = Field(description="the answer")
    reasoning_content: str | None = Field(None, description="what the model thought before it, when thinking was on")
    reasoning: str | None = Field(None, description="the same as reasoning_content")
    tool_calls: list[ToolCallOut] | None = Field(None, description="the calls, if it made some")
    function_call: FunctionCallOut | None = Field(None, description="where the request had functions")
    boxes: list[BoxOut] | None = Field(None, description="boxes of the answer on the request's pictures")
    refusal: None = Field(None, description="always null: a refusal is written as an answer")


_FINGERPRINT = "of version, model and weight format: when it changes, the same seed may give another answer"


class Choice(BaseModel):
    index: int = Field(description="0 .. n - 1")
    message: AssistantMessage
    logprobs: LogprobsOut | None = Field(description="null unless asked for")
    finish_reason: Literal["stop", "length", "tool_calls", "function_call"] = Field(
        description="stop: the model ended, or a stop text or id came; length: max_tokens or the context was reached; "
        "tool_calls: it ended with calls, all of them whole"
    )


class TimingsOut(BaseModel):
    """Milliseconds by stage, 0 for what was not done. Those of pictures are sums over pictures, which are worked on
    side by side; those behind them follow each other."""

    fetch: float = Field(description="download of remote pictures")
    decode: float = Field(description="from the pictures' files to pixels; 0 for pictures kept prepared")
    preprocess: float = Field(description="resize and cut into patches; 0 for pictures kept prepared")
    queue: float = Field(description="in the engine, waiting for a place in its steps")
    encode: float = Field(description="the vision tower's work; 0 when the pictures' features were known")
    prefill: float = Field(description="from the first place in a step to the first token, without encode")
    decode_tokens: float = Field(description="from the first token to the last")
    total: float = Field(description="from the request's head to here")


class ChatCompletion(BaseModel):
    id: str = Field(description="this answer's name")
    object: Literal["chat.completion"]
    created: int = Field(description="when the request came, in seconds since 1970")
    model: str = Field(description="the name that was asked for; the header x-flashweb-model names who answered")
    choices: list[Choice] = Field(description="as many as n asked for")
    usage: UsageOut
    system_fingerprint: str = Field(description=_FINGERPRINT)
    service_tier: str | None = Field(None, description="default, where the request names a tier")
    timings_ms: TimingsOut | None = Field(None, description="with timings: true only")


class FunctionCallPieceOut(BaseModel):
    name: str | None = Field(None, description="in a call's first piece")
    arguments: str = Field(description="the next piece of the arguments' JSON")


class ToolCallPieceOut(BaseModel):
    """The first piece of a call has its id and name; the arguments of all of them together are a JSON object."""

    index: int = Field(description="which call of the answer")
    id: str | None = Field(None, description="in a call's first piece")
    type: Literal["function"] | None = None
    function: FunctionCallPieceOut


class DeltaOut(BaseModel):
    role: Literal["assistant"] | None = Field(None, description="in the first chunk of a choice")
    content: str | None = Field(None, description="the next piece of the answer")
    reasoning_content: str | None = Field(None, description="the next piece of the thinking")
    reasoning: str | None = Field(None, description="the same as reasoning_content")
    tool_calls: list[ToolCallPieceOut] | None = Field(None, description="the next pieces of calls")
    function_call: FunctionCallPieceOut | None = Field(None, description="where the request had functions")
    boxes: list[BoxOut] | None = Field(None, description="on the last chunk")


class ChunkChoice(BaseModel):
    index: int = Field(description="0 .. n - 1")
    delta: DeltaOut
    logprobs: LogprobsOut | None = Field(description="of the tokens of this piece")
    finish_reason: Literal["stop", "length", "tool_calls", "function_call"] | None = Field(
        description="null but in the last chunk of a choice"
    )


class ChatCompletionChunk(BaseModel):
    """One server-sent event of a streamed answer."""

    id: str = Field(description="the same in all chunks of an answer")
    object: Literal["chat.completion.chunk"]
    created: int = Field(description="when the request came, in seconds since 1970")
    model: str = Field(description="the name that was asked for")
    choices: list[ChunkChoice] = Field(description="what is new; empty in the last chunk of include_usage")
    usage: UsageOut | None = Field(
        None, description="null but in the last chunk; the usage so far with continuous_usage_stats"
    )
    system_fingerprint: str = Field(description=_FINGERPRINT)
    service_tier: str | None = Field(None, description="default, where the request names a tier")
    timings_ms: TimingsOut | None = Field(None, description="of the last chunk, with timings: true only")
