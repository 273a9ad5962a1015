"""OpenAI's wire format, exactly what crosses HTTP: shapes and ranges, nothing else.

Numbers are strict (true is no number, "1" is no number), NaN and infinity are refused, fields that nobody here
knows are ignored and never passed on. What the values mean together is checked in `convert.py` and
`sampling.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
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


def _whole(value: Any) -> Any:
    """5.0 is an integer in JSON Schema's eyes, and the only way some languages write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)  # after the bounds in an annotation, or the description loses these
TokenCount = Annotated[int, Field(ge=1, le=MAX_TOKENS), WHOLE]
ThinkingBudget = Annotated[int, Field(ge=0, le=MAX_TOKENS), WHOLE]
TokenId = Annotated[int, Field(ge=0, lt=1 << 24), WHOLE]
Seed = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63), WHOLE]
StopText = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)


Enhance = Annotated[
    Literal["text"],
    Field(description="before the model sees a picture: `text` makes it grey, doubles its contrast and sharpens it"),
]


class TextPart(_Wire):
    """A piece of text; `input_text` and `output_text` are the Responses API's names for it."""

    type: Literal["text", "input_text", "output_text"]
    text: str = Field(description="the text, as it is: control tokens in it are plain text")


class RefusalPart(_Wire):
    """An assistant's refusal, sent back as part of the history."""

    type: Literal["refusal"]
    refusal: str = Field(description="its text")


Detail = Literal["low", "high", "auto", "original"]
# Enlarging is not offered: a request could make a server work on pictures far larger than what it sent.
MaxPixels = Annotated[int, Field(ge=12544, le=1 << 31), WHOLE]
Uuid = Annotated[str, Field(min_length=1, max_length=128)]
_DETAIL = "low: at most 448 x 448 pixels (256 tokens); high, auto and original: as large as the server allows"
_UUID = "a name of the caller's own: the picture is kept under it, and may later be named without being sent"


class ImageUrl(_Wire):
    """Where the picture is: a `data:` URL, an http(s) URL, or the bare base64 of its bytes."""

    url: str = Field(description="a data: URL, an http(s) URL, or the bare base64 of the picture's bytes")
    detail: Detail | None = Field(None, description=_DETAIL)
    max_pixels: MaxPixels | None = Field(None, description="largest area the model sees of this picture, in pixels")


class ImageFile(_Wire):
    """A picture that was uploaded (`/v1/files`), as OpenAI's assistants name it."""

    file_id: str = Field(max_length=128, description="the file's id")
    detail: Detail | None = Field(None, description=_DETAIL)


class ImagePart(_Wire):
    """A picture; `input_image` is the Responses API's name for it, `image_file` that of an uploaded one."""

    type: Literal["image_url", "input_image", "image_file"]
    image_url: ImageUrl | str | None = Field(None, description="the picture; null with the uuid of one sent before")
    file_id: str | None = Field(None, max_length=128, description="the id of an uploaded picture, instead of image_url")
    image_file: ImageFile | None = Field(None, description="the same as file_id")
    detail: Detail | None = Field(None, description=_DETAIL)
    uuid: Uuid | None = Field(None, description=_UUID)
    enhance: Enhance | None = Field(None, description="for this picture, before the model sees it: see the chat's own")


class ImageSource(_Wire):
    """Anthropic's way to hold a picture."""

    type: Literal["base64", "url", "file"]
    media_type: str | None = Field(None, max_length=128, description="not needed: the bytes decide")
    data: str | None = Field(None, description="with type base64: the base64 of the picture's bytes")
    url: str | None = Field(None, description="with type url: an http(s) URL")
    file_id: str | None = Field(None, max_length=128, description="with type file: the id of an uploaded picture")


class PlainImagePart(_Wire):
    """A picture as Anthropic's messages (`source`) and Hugging Face's chats (`image`, `url`, `base64`) write it."""

    type: Literal["image"]
    source: ImageSource | None = Field(None, description="the picture, as Anthropic's messages hold it")
    image: str | None = Field(None, description="the picture: a data: URL, an http(s) URL or bare base64")
    url: str | None = Field(None, description="the same as image")
    base64: str | None = Field(None, description="the same as image")
    detail: Detail | None = Field(None, description=_DETAIL)
    uuid: Uuid | None = Field(None, description=_UUID)
    enhance: Enhance | None = Field(None, description="for this picture, before the model sees it: see the chat's own")


Dpi = Annotated[int, Field(ge=36, le=1200)]
PageRanges = Annotated[str, Field(max_length=200)]
Password = Annotated[str, Field(max_length=127)]  # the most that PDF knows, in bytes (ISO 32000-2, 7.6.4.3)
PASSWORD = "of an encrypted PDF; it is in no log and no answer"
_FILE_DATA = "a data: URL, or the bare base64 of the document's bytes (PDF, or text in UTF-8)"
PAGES = 'which pages of a PDF, from 1, such as "1-3,7" or "10-"; default: all'
DPI = "how finely its pages are drawn, in dots per inch; default 144, at most --max-document-dpi"


class FileSource(_Wire):
    """A document, in one of three ways, and what it is called."""

    file_data: str | None = Field(None, description=_FILE_DATA)
    file_url: str | None = Field(None, description="an http(s) URL")
    file_id: str | None = Field(None, max_length=128, description="the id of an uploaded file")
    url: str | None = Field(None, description="the same as file_url, as GLM's own API writes it")
    filename: str | None = Field(None, max_length=512, description="what the model hears it is called")


class FilePart(_Wire):
    """A document: a PDF becomes a picture of each page with its number, a text file text. `input_file` is the Responses
    API's name for it, `file_url` GLM's own."""

    type: Literal["file", "input_file", "file_url"]
    file: FileSource | None = Field(None, description="the document, as chat completions write it")
    file_data: str | None = Field(None, description=_FILE_DATA)
    file_url: FileSource | str | None = Field(None, description="an http(s) URL, also as {url: ...}")
    file_id: str | None = Field(None, max_length=128, description="the id of an uploaded file")
    filename: str | None = Field(None, max_length=512, description="what the model hears it is called")
    pages: PageRanges | None = Field(None, description=PAGES)
    dpi: Dpi | None = Field(None, description=DPI)
    password: Password | None = Field(None, description=PASSWORD, repr=False)
    detail: Detail | None = Field(None, description=_DETAIL)
    enhance: Enhance | None = Field(None, description="for its pages, before the model sees them: see the chat's own")


class DocumentSource(_Wire):
    """Anthropic's way to hold a document."""

    type: Literal["base64", "url", "text", "file"]
    media_type: str | None = Field(None, max_length=128, description="not needed: the bytes decide")
    data: str | None = Field(None, description="with type base64: the base64 of its bytes; with type text: the text")
    url: str | None = Field(None, description="with type url: an http(s) URL")
    file_id: str | None = Field(None, max_length=128, description="with type file: the id of an uploaded file")


class DocumentPart(_Wire):
    """A document as Anthropic's messages write it."""

    type: Literal["document"]
    source: DocumentSource = Field(description="the document")
    title: str | None = Field(None, max_length=512, description="what the model hears it is called")
    context: str | None = Field(None, description="what the model is told about it")
    pages: PageRanges | None = Field(None, description=PAGES)
    dpi: Dpi | None = Field(None, description=DPI)
    password: Password | None = Field(None, description=PASSWORD, repr=False)
    enhance: Enhance | None = Field(None, description="for its pages, before the model sees them: see the chat's own")


MaxFrames = Annotated[int, Field(ge=2, le=640), WHOLE]
_MAX_FRAMES = "frames the model sees at most, spread evenly over the clip; default: the checkpoint's own rule"


class VideoUrl(_Wire):
    """Where the clip is."""

    url: str = Field(description="a data: URL, an http(s) URL, or the bare base64 of the clip's bytes")
    max_frames: MaxFrames | None = Field(None, description=_MAX_FRAMES)
    max_pixels: MaxPixels | None = Field(None, description="largest area the model sees of each frame, in pixels")
    detail: Detail | None = Field(None, description=_DETAIL)


class VideoPart(_Wire):
    """A clip, or an animated GIF, WebP or PNG, of which the model sees frames and when each was; `input_video` is what
    the Responses API would call it, `video` Hugging Face's name."""

    type: Literal["video_url", "input_video", "video"]
    video_url: VideoUrl | str | None = Field(None, description="the clip: a data: URL, an http(s) URL or bare base64")
    video: str | None = Field(None, description="the same as video_url")
    url: str | None = Field(None, description="the same as video_url")
    file_id: str | None = Field(None, max_length=128, description="the id of an uploaded clip, instead of video_url")
    max_frames: MaxFrames | None = Field(None, description=_MAX_FRAMES)
    detail: Detail | None = Field(None, description=_DETAIL)


# Names that are no fields of a part: in an error's path the two would be taken for each other.
_PART_KINDS = {
    "text": "<text>", "input_text": "<text>", "output_text": "<text>", "refusal": "<refusal>",
    "image_url": "<picture>", "input_image": "<picture>", "image_file": "<picture>", "image": "<image>",
    "file": "<document>", "input_file": "<document>", "file_url": "<document>", "document": "<source>",
    "video_url": "<clip>", "input_video": "<clip>", "video": "<clip>",
}  # fmt: skip


def _part_kind(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return _PART_KINDS.get(kind) if isinstance(kind, str) else None


def _content_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "parts"
    if isinstance(value, dict | BaseModel):
        return "part"
    return None


Part = Annotated[
    Annotated[TextPart, Tag("<text>")]
    | Annotated[RefusalPart, Tag("<refusal>")]
    | Annotated[ImagePart, Tag("<picture>")]
    | Annotated[PlainImagePart, Tag("<image>")]
    | Annotated[FilePart, Tag("<document>")]
    | Annotated[DocumentPart, Tag("<source>")]
    | Annotated[VideoPart, Tag("<clip>")],
    Discriminator(_part_kind, custom_error_type="part_type", custom_error_message="unknown part type"),
]
Parts = Annotated[list[Part], Field(max_length=MAX_PARTS)]
Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[Parts, Tag("parts")] | Annotated[Part, Tag("part")],
    Discriminator(_content_kind, custom_error_type="content_type", custom_error_message="unknown content type"),
]


class FunctionCall(_Wire):
    """What an earlier answer called."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] = Field(description="the function's name")
    arguments: str | dict[str, Any] = Field("", description="a JSON object, as text or as it is")


class ToolCall(_Wire):
    id: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] = Field(description="names it for its result")
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(_Wire):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"] = Field(
        description="developer is read as system"
    )
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
    name: str | None = Field(
        None,
        max_length=MAX_NAME_CHARS,
        description="of a function message its function; else not used",
    )


class StreamOptions(_Wire):
    include_usage: bool | None = Field(None, description="one more chunk with the usage and no choices")
    continuous_usage_stats: bool | None = Field(None, description="the usage so far in every chunk")


class JsonSchemaFormat(_Wire):
    """A JSON Schema and its name."""

    name: str | None = Field(None, max_length=256, description="for the caller's own use")
    description: str | None = Field(None, description="accepted for compatibility; say it in the messages")
    schema_: dict[str, Any] | bool | None = Field(
        None, alias="schema", description="JSON Schema (draft 2020-12; keywords: docs/api.md); none: any object"
    )
    strict: bool | None = Field(None, description="accepted for compatibility: the schema is always enforced")


class ResponseFormat(_Wire):
    """What the answer is: free text, any JSON object, or JSON that a schema describes."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchemaFormat | None = Field(None, description="with type json_schema")


class StructuredOutputs(_Wire):
    """What the answer must match, as vLLM names it: exactly one of these."""

    json_: dict[str, Any] | str | bool | None = Field(None, alias="json", description="a JSON Schema, also as text")
    json_object: bool | None = Field(None, description="any JSON object")
    regex: str | None = Field(None, description="a regular expression that the whole answer matches")
    choice: list[str] | None = Field(None, description="one of these texts")
    grammar: str | None = Field(None, description="a grammar in Lark's or GBNF's notation")
    structural_tag: Any | None = Field(None, description="not offered")
    whitespace_pattern: Any | None = Field(None, description="not offered: the server's own is bounded")


class ChatTemplateKwargs(_Wire):
    enable_thinking: bool = Field(False, description="let the model think before it answers")


_MetadataKey = Annotated[str, Field(max_length=64)]
Metadata = Annotated[dict[_MetadataKey, Annotated[str, Field(max_length=512)]], Field(max_length=16)]


class MmProcessorKwargs(_Wire):
    """vLLM's name for choices about pictures; what is not listed is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    max_pixels: MaxPixels | None = Field(None, description="largest area the model sees of each picture, in pixels")


class Thinking(_Wire):
    """Thinking in the words of GLM's and Anthropic's own APIs."""

    type: Literal["enabled", "disabled"]
    budget_tokens: ThinkingBudget | None = Field(None, description="longest thought in tokens")


class _AsGiven(_Wire):
    """Remembers what it was read from."""

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        model = validate(value)
        model._given = value
        return model

    @property
    def as_given(self) -> dict[str, Any]:
        """With the caller's own order and further keys: the prompt shows the model what the caller wrote."""
        return self._given


class FunctionDefinition(_AsGiven):
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] = Field(description="what the model calls")
    description: str | None = Field(None, description="when to call it, for the model")
    parameters: dict[str, Any] | None = Field(None, description="a JSON Schema of type object; absent: no arguments")
    strict: bool | None = Field(None, description="a forced call of it that cannot follow all of the schema is refused")


class Tool(_AsGiven):
    """A function the model may call."""

    type: Literal["function"]
    function: FunctionDefinition


class FunctionName(_Wire):
    name: str = Field(description="one of the functions offered")


class NamedTool(_Wire):
    """This function and no other."""

    type: Literal["function"]
    function: FunctionName


class ToolChoiceSet(_Wire):
    mode: Literal["auto", "required"] = Field(description="required: at least one call")
    tools: Annotated[list[NamedTool], Field(min_length=1, max_length=MAX_TOOLS)] = Field(description="those allowed")


class AllowedTools(_Wire):
    """Only some of the tools."""

    type: Literal["allowed_tools"]
    allowed_tools: ToolChoiceSet


def choice_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "word"
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if kind in ("function", "allowed_tools") else None


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[NamedTool, Tag("function")]
    | Annotated[AllowedTools, Tag("allowed_tools")],
    Discriminator(choice_kind, custom_error_type="tool_choice_type", custom_error_message="unknown tool choice"),
]


class ChatRequest(_Wire):
    """A chat, and how to answer it."""

    model: str | None = Field(None, max_length=256, description="the model's name or one of its aliases")
    messages: list[ChatMessage] = Field(
        min_length=1, max_length=MAX_MESSAGES, description="the conversation so far, oldest turn first"
    )
    stream: bool | None = Field(None, description="send the answer piece by piece as server-sent events")
    stream_options: StreamOptions | None = Field(None, description="only together with stream: true")
    max_tokens: TokenCount | None = Field(None, description="longest answer; default 512; 4096 with thinking or JSON")
    max_completion_tokens: TokenCount | None = Field(None, description="the newer name of max_tokens")
    min_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS), WHOLE] | None = Field(
        None, description="the answer does not end before it has so many tokens"
    )
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES), WHOLE] | None = Field(None, description="number of answers")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(None, description="0: always the likeliest token")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="choose among the likeliest tokens that together have this probability"
    )
    top_k: Annotated[int, Field(ge=-1, le=1 << 24), WHOLE] | None = Field(None, description="0 or -1: off")
    min_p: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="leave out tokens less likely than this share of the likeliest one"
    )
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = Field(
        None, description="taken from the score of every token the answer already has"
    )
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = Field(
        None, description="the same, as often as the answer has the token"
    )
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10)] | None = Field(
        None, description="divides the score of tokens in prompt or answer; 1: off"
    )
    seed: Seed | None = Field(None, description="the same seed and request give the same answer")
    stop: StopText | Annotated[list[StopText], Field(max_length=MAX_STOP)] | None = Field(
        None, description="texts that end the answer and are not part of it"
    )
    stop_token_ids: Annotated[list[TokenId], Field(max_length=MAX_STOP)] | None = Field(
        None, description="token ids that end the answer"
    )
    include_stop_str_in_output: bool | None = Field(None, description="keep the stop text at the end of the answer")
    logit_bias: (
        Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=MAX_LOGIT_BIAS)] | None
    ) = Field(None, description="token id (as text) -> what is added to its score; -100 forbids it")
    logprobs: bool | None = Field(None, description="give the log probability of each token of the answer")
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS), WHOLE] | None = Field(
        None, description="with logprobs: and so many alternatives each"
    )
    enhance: Enhance | None = Field(None, description="for every picture of the chat; a part's own value wins")
    ignore_eos: bool | None = Field(None, description="go on after the end token, for measuring")
    response_format: ResponseFormat | None = Field(None, description="what the answer must look like")
    structured_outputs: StructuredOutputs | None = Field(
        None, description="what the answer must match, as vLLM names it"
    )
    guided_json: dict[str, Any] | str | bool | None = Field(None, description="older name of structured_outputs.json")
    guided_regex: str | None = Field(None, description="older name of structured_outputs.regex")
    guided_choice: list[str] | None = Field(None, description="older name of structured_outputs.choice")
    guided_grammar: str | None = Field(None, description="older name of structured_outputs.grammar")
    guided_whitespace_pattern: Any | None = Field(None, description="not offered: the server's own is bounded")
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
    chat_template_kwargs: ChatTemplateKwargs | None = Field(None, description="choices of the chat template")
    thinking: Thinking | None = Field(None, description="thinking on or off, in the words of GLM's own API")
    thinking_token_budget: ThinkingBudget | None = Field(
        None, description="longest thought in tokens; then it is closed and the answer begins; 0: no thought"
    )
    thinking_budget: ThinkingBudget | None = Field(None, description="the same under its other name")
    include_reasoning: bool | None = Field(None, description="false: the thought is not sent; default true")
    skip_special_tokens: bool | None = Field(
        None, description="false: control tokens such as <|begin_of_box|> stay in the text; default true"
    )
    timings: bool | None = Field(None, description="tell where the time went: timings_ms in the answer or last chunk")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="anything but none or minimal lets the model think before it answers"
    )
    mm_processor_kwargs: MmProcessorKwargs | None = Field(None, description="how large pictures may get")
    add_generation_prompt: bool | None = Field(None, description="begin a new assistant's turn; default true")
    continue_final_message: bool | None = Field(
        None, description="the last message is an assistant's, and the answer goes on where its text ends"
    )
    user: Annotated[str, Field(max_length=512)] | None = Field(None, description="accepted, without effect")
    safety_identifier: Annotated[str, Field(max_length=512)] | None = Field(
        None, description="accepted, without effect"
    )
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = Field(
        None, description="accepted, without effect: every prompt is looked up in the prefix cache"
    )
    metadata: Metadata | None = Field(None, description="accepted, without effect: up to 16 pairs of texts")
    store: bool | None = Field(None, description="accepted, without effect: answers are not stored")
    service_tier: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="accepted; there is one tier, which the answer names: default"
    )


# --- what we answer: written by hand in answers.py for speed; these models are its documentation and its test ------


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


class ErrorOut(BaseModel):
    message: str = Field(description="what was wrong, the value, the limit and the fix")
    type: str = Field(description="OpenAI's kind of error")
    param: str | None = Field(description="the parameter at fault, as a path such as messages[0].content")
    code: str | None = Field(description="a word for programs, or null")


class ErrorBody(BaseModel):
    error: ErrorOut


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
