"""OpenAI's wire format, exactly what crosses HTTP: shapes and ranges, nothing else.

Numbers are strict (true is no number, "1" is no number), NaN and infinity are refused, fields that nobody here
knows are ignored and never passed on. What the values mean together is checked in `convert.py` and
`sampling.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Tag,
    model_validator,
)

MAX_MESSAGES = 256
MAX_PARTS = 512
MAX_STOP = 16
MAX_STOP_CHARS = 256
MAX_LOGIT_BIAS = 300
MAX_TOP_LOGPROBS = 20
MAX_CHOICES = 8
MAX_TOOLS = 128
MAX_NAME_CHARS = 256
MAX_TOKENS = 1 << 20  # far above any context; keeps absurd integers out of the arithmetic

TokenCount = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
ThinkingBudget = Annotated[int, Field(ge=0, le=MAX_TOKENS)]
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


class FunctionCall(_Wire):
    """What an earlier answer called."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
    arguments: str | dict[str, Any] = Field("", description="a JSON object, as text or as it is")


class ToolCall(_Wire):
    id: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(_Wire):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content | None = Field(None, description="a text, a list of parts, or one part")
    reasoning_content: str | None = Field(
        None, description="an assistant turn's thinking; the model sees it again until the next user message"
    )
    reasoning: str | None = Field(None, description="the same under its other name")
    tool_calls: Annotated[list[ToolCall], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="an assistant turn's calls, as they were answered"
    )
    tool_call_id: str | None = Field(None, description="which call a tool message gives the result of")
    function_call: FunctionCall | None = Field(None, description="the older form of tool_calls")
    name: str | None = Field(None, max_length=MAX_NAME_CHARS, description="the function of a function message")


class StreamOptions(_Wire):
    include_usage: bool = Field(False, description="one more chunk with the usage and no choices")


class ResponseFormat(_Wire):
    type: str = Field("text", description="only `text` in this edition")


class ChatTemplateKwargs(_Wire):
    enable_thinking: bool = Field(False, description="let the model think before it answers")


class Thinking(_Wire):
    """Thinking in the words of GLM's and Anthropic's own APIs."""

    type: Literal["enabled", "disabled"]
    budget_tokens: ThinkingBudget | None = Field(None, description="longest thought in tokens")


class FunctionDefinition(_Wire):
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="a JSON Schema of type object; absent: no arguments")
    strict: bool | None = Field(None, description="accepted; forced calls always follow the types of the schema")

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, value: Any, validate: ModelWrapValidatorHandler[FunctionDefinition]) -> FunctionDefinition:
        function = validate(value)
        function._given = value
        return function

    @property
    def as_given(self) -> dict[str, Any]:
        """With the caller's own order and further keys: the prompt shows the model what the caller wrote."""
        return self._given


class Tool(_Wire):
    """A function the model may call."""

    type: Literal["function"]
    function: FunctionDefinition

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, value: Any, validate: ModelWrapValidatorHandler[Tool]) -> Tool:
        tool = validate(value)
        tool._given = value
        return tool

    @property
    def as_given(self) -> dict[str, Any]:
        return self._given


class FunctionName(_Wire):
    name: str


class NamedTool(_Wire):
    """This function and no other."""

    type: Literal["function"]
    function: FunctionName


class ToolChoiceSet(_Wire):
    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], Field(min_length=1, max_length=MAX_TOOLS)]


class AllowedTools(_Wire):
    """Only some of the tools."""

    type: Literal["allowed_tools"]
    allowed_tools: ToolChoiceSet


def _choice_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "word"
    kind = _part_kind(value)
    return kind if kind in ("function", "allowed_tools") else None


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[NamedTool, Tag("function")]
    | Annotated[AllowedTools, Tag("allowed_tools")],
    Discriminator(_choice_kind, custom_error_type="tool_choice_type", custom_error_message="unknown tool choice"),
]


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
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="functions the model may call"
    )
    tool_choice: ToolChoice | None = Field(
        None, description="none; auto (default): the model decides; required: at least one call; or a function by name"
    )
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call; default true")
    functions: Annotated[list[FunctionDefinition], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="the older form of tools; the answer then has function_call"
    )
    function_call: Literal["none", "auto"] | FunctionName | None = Field(None, description="the older tool_choice")
    chat_template_kwargs: ChatTemplateKwargs | None = None
    thinking: Thinking | None = None
    thinking_token_budget: ThinkingBudget | None = Field(
        None, description="longest thought in tokens; then it is closed and the answer begins; 0: no thought"
    )
    thinking_budget: ThinkingBudget | None = Field(None, description="the same under its other name")
    include_reasoning: bool | None = Field(None, description="false: the thought is not sent; default true")
    skip_special_tokens: bool | None = Field(
        None, description="false: control tokens such as <|begin_of_box|> stay in the text; default true"
    )
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


class FunctionCallOut(BaseModel):
    name: str
    arguments: str = Field(description="a JSON object; cut off where finish_reason is length")


class ToolCallOut(BaseModel):
    id: str
    type: Literal["function"]
    function: FunctionCallOut


class BoxOut(BaseModel):
    """A box in the answer's text."""

    image: int = Field(description="which picture of the request, from 0")
    box: list[int] = Field(description="x1, y1, x2, y2 in thousandths of the picture, as in the text")
    pixels: list[int] = Field(description="the same in pixels of the original picture")


class AssistantMessage(BaseModel):
    role: Literal["assistant"]
    content: str | None
    reasoning_content: str | None = None
    reasoning: str | None = Field(None, description="the same as reasoning_content")
    tool_calls: list[ToolCallOut] | None = None
    function_call: FunctionCallOut | None = Field(None, description="where the request had functions")
    boxes: list[BoxOut] | None = Field(None, description="boxes of the answer on the request's pictures")
    refusal: None = None


class Choice(BaseModel):
    index: int
    message: AssistantMessage
    logprobs: LogprobsOut | None
    finish_reason: Literal["stop", "length", "tool_calls", "function_call"]


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str = Field(description="the name that was asked for; the header x-flashweb-model names who answered")
    choices: list[Choice]
    usage: UsageOut


class FunctionCallPieceOut(BaseModel):
    name: str | None = None
    arguments: str


class ToolCallPieceOut(BaseModel):
    """The first piece of a call has its id and name; the arguments of all of them together are a JSON object."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionCallPieceOut


class DeltaOut(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallPieceOut] | None = None
    function_call: FunctionCallPieceOut | None = None
    boxes: list[BoxOut] | None = Field(None, description="on the last chunk")


class ChunkChoice(BaseModel):
    index: int
    delta: DeltaOut
    logprobs: LogprobsOut | None
    finish_reason: Literal["stop", "length", "tool_calls", "function_call"] | None


class ChatCompletionChunk(BaseModel):
    """One server-sent event of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: UsageOut | None = None


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
