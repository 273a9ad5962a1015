"""OpenAI's wire format, exactly what crosses HTTP: shapes and ranges, nothing else.

Numbers are strict (true is no number, "1" is no number), NaN and infinity are refused, fields that nobody here
knows are ignored and never passed on. What the values mean together is checked in `convert.py` and
`sampling.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

MAX_MESSAGES = 256
MAX_PARTS = 512
MAX_STOP = 16
MAX_STOP_CHARS = 256
MAX_LOGIT_BIAS = 300
MAX_TOP_LOGPROBS = 20
MAX_CHOICES = 8
MAX_TOKENS = 1 << 20  # far above any context; keeps absurd integers out of the arithmetic

TokenCount = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
TokenId = Annotated[int, Field(ge=0, lt=1 << 24)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)


class TextPart(_Wire):
    """A piece of text."""

    type: Literal["text"]
    text: str


class ImageUrl(_Wire):
    """Where the picture is: a `data:` URL, an http(s) URL, or the bare base64 of its bytes."""

    url: str
    detail: str | None = Field(None, description="accepted for compatibility; the size is the server's choice")


class ImagePart(_Wire):
    """A picture."""

    type: Literal["image_url"]
    image_url: ImageUrl | str


def _part_kind(value: Any) -> str | None:
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


def _content_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "parts"
    if isinstance(value, dict | BaseModel):
        return "part"
    return None


Part = Annotated[
    Annotated[TextPart, Tag("text")] | Annotated[ImagePart, Tag("image_url")],
    Discriminator(_part_kind, custom_error_type="part_type", custom_error_message="unknown part type"),
]
Parts = Annotated[list[Part], Field(max_length=MAX_PARTS)]
Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[Parts, Tag("parts")] | Annotated[Part, Tag("part")],
    Discriminator(_content_kind, custom_error_type="content_type", custom_error_message="unknown content type"),
]


class ChatMessage(_Wire):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content | None = Field(None, description="a text, a list of parts, or one part")
    reasoning_content: str | None = Field(None, description="an assistant turn's thinking; not read again")
    tool_calls: list[Any] | None = Field(None, description="not in this edition")


class StreamOptions(_Wire):
    include_usage: bool = Field(False, description="one more chunk with the usage and no choices")


class ResponseFormat(_Wire):
    type: str = Field("text", description="only `text` in this edition")


class ChatTemplateKwargs(_Wire):
    enable_thinking: bool = Field(False, description="let the model think before it answers")


class ChatRequest(_Wire):
    """A chat, and how to answer it."""

    model: str | None = Field(None, max_length=256, description="the model's name or one of its aliases")
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    stream: bool | None = Field(None, description="send the answer piece by piece as server-sent events")
    stream_options: StreamOptions | None = None
    max_tokens: TokenCount | None = Field(None, description="longest answer in tokens; default 512, 4096 with thinking")
    max_completion_tokens: TokenCount | None = Field(None, description="the newer name of max_tokens")
    min_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = Field(None, description="number of answers")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(None, description="0: always the likeliest token")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=1 << 24)] | None = Field(None, description="0 or -1: off")
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    stop: (
        Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]
        | Annotated[list[Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]], Field(max_length=MAX_STOP)]
        | None
    ) = None
    stop_token_ids: Annotated[list[TokenId], Field(max_length=MAX_STOP)] | None = None
    include_stop_str_in_output: bool | None = None
    logit_bias: (
        Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=MAX_LOGIT_BIAS)] | None
    ) = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    ignore_eos: bool | None = Field(None, description="go on after the end token, for measuring")
    response_format: ResponseFormat | None = None
    tools: list[Any] | None = Field(None, description="not in this edition")
    functions: list[Any] | None = Field(None, description="not in this edition")
    chat_template_kwargs: ChatTemplateKwargs | None = None
    timings: bool | None = Field(None, description="tell where the time went: timings_ms in the answer or last chunk")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="anything but none or minimal lets the model think before it answers"
    )


# --- what we answer: written by hand in answers.py for speed; these models are its documentation and its test ------


class PromptTokensDetails(BaseModel):
    cached_tokens: int = Field(description="prompt tokens answered from the prefix cache")
    image_tokens: int = Field(description="prompt tokens that stand for pictures")


class CompletionTokensDetails(BaseModel):
    reasoning_tokens: int


class UsageOut(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class TopLogprob(BaseModel):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprobOut(TopLogprob):
    top_logprobs: list[TopLogprob]


class LogprobsOut(BaseModel):
    content: list[TokenLogprobOut] | None
    refusal: None = None


class AssistantMessage(BaseModel):
    role: Literal["assistant"]
    content: str | None
    reasoning_content: str | None = None
    refusal: None = None


class Choice(BaseModel):
    index: int
    message: AssistantMessage
    logprobs: LogprobsOut | None
    finish_reason: Literal["stop", "length", "tool_calls"]


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
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str = Field(description="the name that was asked for; the header x-flashweb-model names who answered")
    choices: list[Choice]
    usage: UsageOut
    timings_ms: TimingsOut | None = Field(None, description="with timings: true only")


class DeltaOut(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning_content: str | None = None


class ChunkChoice(BaseModel):
    index: int
    delta: DeltaOut
    logprobs: LogprobsOut | None
    finish_reason: Literal["stop", "length", "tool_calls"] | None


class ChatCompletionChunk(BaseModel):
    """One server-sent event of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: UsageOut | None = None
    timings_ms: TimingsOut | None = Field(None, description="of the last chunk, with timings: true only")


class ErrorOut(BaseModel):
    message: str = Field(description="what was wrong, the value, the limit and the fix")
    type: str
    param: str | None = Field(description="the parameter at fault, as a path such as messages[0].content")
    code: str | None


class ErrorBody(BaseModel):
    error: ErrorOut


class ModelOut(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str = Field(description="the model behind an alias")
    max_model_len: int | None = Field(description="tokens of prompt and answer together; null until loaded")


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelOut]


class HealthOut(BaseModel):
    status: Literal["ok", "loading", "draining", "stalled", "dead", "stopped"]
    model_loaded: bool
    model: str
    detail: str = ""


class LiveOut(BaseModel):
    status: Literal["ok", "dead"]
