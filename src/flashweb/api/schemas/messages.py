"""Anthropic's Messages API as it crosses HTTP, what comes in: shapes and ranges, nothing else.

Fields that nobody here knows (`cache_control` among them) are ignored and never passed on. What blocks and turns mean
is decided in `messages_in.py`, what we answer is described in `messages_answers.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from flashweb.api.schemas.base import MAX_NAME_CHARS, ThinkingBudget, TokenCount, Wire
from flashweb.api.schemas.chat import MAX_MESSAGES, MAX_STOP, MAX_STOP_CHARS
from flashweb.api.schemas.parts import DPI, MAX_PARTS, PAGES, PASSWORD, Dpi, PageRanges, Password
from flashweb.api.schemas.tools import MAX_TOOLS

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]


def _kind(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    # Tags in brackets are no names of fields: in an error's path the two would be taken for each other.
    return f"<{kind}>" if isinstance(kind, str) else None


def _content_kind(value: Any) -> str | None:
    return "text" if isinstance(value, str) else "blocks" if isinstance(value, list) else None


def _by_type(name: str, words: str) -> Discriminator:
    return Discriminator(_kind, custom_error_type=name, custom_error_message=words)


_BY_CONTENT = Discriminator(_content_kind, custom_error_type="blocks_type", custom_error_message="unknown content")


# --- blocks -------------------------------------------------------------------------------------------------------


class TextBlock(Wire):
    type: Literal["text"]
    text: str = Field(description="the text, as it is: control tokens in it are plain text")


class Base64Source(Wire):
    type: Literal["base64"]
    media_type: str | None = Field(None, max_length=128, description="not needed: the bytes decide")
    data: str = Field(description="the base64 of the file's bytes")


class UrlSource(Wire):
    type: Literal["url"]
    url: str = Field(description="an http(s) URL, fetched by the server")


class UploadedSource(Wire):
    type: Literal["file"]
    file_id: Name = Field(description="the id of an uploaded file")


class PlainTextSource(Wire):
    type: Literal["text"]
    media_type: str | None = Field(None, max_length=128, description="text/plain")
    data: str = Field(description="the document's text")


ImageSource = Annotated[
    Annotated[Base64Source, Tag("<base64>")]
    | Annotated[UrlSource, Tag("<url>")]
    | Annotated[UploadedSource, Tag("<file>")],
    _by_type("image_source_type", "unknown source"),
]


class ImageBlock(Wire):
    """A picture."""

    type: Literal["image"]
    source: ImageSource = Field(description="the picture's bytes, or where they are")


InnerContent = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[
        Annotated[
            list[
                Annotated[
                    Annotated[TextBlock, Tag("<text>")] | Annotated[ImageBlock, Tag("<image>")],
                    _by_type("inner_block_type", "unknown block"),
                ]
            ],
            Field(max_length=MAX_PARTS),
        ],
        Tag("blocks"),
    ],
    _BY_CONTENT,
]


class ContentSource(Wire):
    type: Literal["content"]
    content: InnerContent = Field(description="a text, or blocks of text and pictures")


class DocumentBlock(Wire):
    """A document: its text, its blocks, or a PDF file."""

    type: Literal["document"]
    source: Annotated[
        Annotated[Base64Source, Tag("<base64>")]
        | Annotated[UrlSource, Tag("<url>")]
        | Annotated[UploadedSource, Tag("<file>")]
        | Annotated[PlainTextSource, Tag("<text>")]
        | Annotated[ContentSource, Tag("<content>")],
        _by_type("document_source_type", "unknown source"),
    ] = Field(description="base64, url and file: a PDF; text: plain text; content: blocks")
    title: str | None = Field(None, max_length=512, description="its name, for the model")
    context: str | None = Field(None, description="what the model is told about it besides")
    pages: PageRanges | None = Field(None, description=PAGES)
    dpi: Dpi | None = Field(None, description=DPI)
    password: Password | None = Field(None, description=PASSWORD, repr=False)


class ToolUseBlock(Wire):
    """What an earlier answer called."""

    type: Literal["tool_use"]
    id: Name = Field(description="names it for its result")
    name: Name = Field(description="the tool's name")
    input: dict[str, Any] = Field(description="its arguments")


ResultBlock = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ImageBlock, Tag("<image>")]
    | Annotated[DocumentBlock, Tag("<document>")],
    _by_type("result_block_type", "unknown block"),
]


class ToolResultBlock(Wire):
    """What a call came to."""

    type: Literal["tool_result"]
    tool_use_id: Name = Field(description="which call of the message before")
    content: (
        Annotated[
            Annotated[str, Tag("text")]
            | Annotated[Annotated[list[ResultBlock], Field(max_length=MAX_PARTS)], Tag("blocks")],
            _BY_CONTENT,
        ]
        | None
    ) = Field(None, description="a text, or blocks of text, pictures and documents; none: nothing came back")
    is_error: bool | None = Field(None, description="the call failed; the model is told so")


class ThinkingBlock(Wire):
    """What an earlier answer thought; the model sees it again until the next question."""

    type: Literal["thinking"]
    thinking: str = Field(description="the thought")
    signature: str | None = Field(None, description="not looked at: a thought is not a secret here")


class RedactedThinkingBlock(Wire):
    """Accepted, and left out: another service's thought, which nobody here can read."""

    type: Literal["redacted_thinking"]
    data: str = Field("", description="not looked at")


Block = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ImageBlock, Tag("<image>")]
    | Annotated[DocumentBlock, Tag("<document>")]
    | Annotated[ToolUseBlock, Tag("<tool_use>")]
    | Annotated[ToolResultBlock, Tag("<tool_result>")]
    | Annotated[ThinkingBlock, Tag("<thinking>")]
    | Annotated[RedactedThinkingBlock, Tag("<redacted_thinking>")],
    _by_type("block_type", "unknown block"),
]
Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[Annotated[list[Block], Field(max_length=MAX_PARTS)], Tag("blocks")],
    _BY_CONTENT,
]
SystemContent = Annotated[
    Annotated[str, Tag("text")] | Annotated[Annotated[list[TextBlock], Field(max_length=MAX_PARTS)], Tag("blocks")],
    _BY_CONTENT,
]


# --- the request --------------------------------------------------------------------------------------------------


class MessageIn(Wire):
    """One turn; turns of the same role that follow each other are one."""

    role: Literal["user", "assistant", "system"] = Field(description="system: a text anywhere in the conversation")
    content: Content = Field(description="a text or a list of blocks")


class MessagesTool(Wire):
    """A tool the model may call; those that Anthropic runs itself are not offered."""

    type: Literal["custom"] | None = Field(None, description="custom, or nothing")
    name: Name = Field(description="what the model calls")
    description: str | None = Field(None, description="when to call it, for the model")
    input_schema: dict[str, Any] = Field(description="a JSON Schema of type object")
    strict: bool | None = Field(None, description="accepted; forced calls always follow the types of the schema")


class MessagesToolChoice(Wire):
    type: Literal["auto", "any", "tool", "none"] = Field(
        description="auto (default): the model decides; any: at least one call; tool: this one; none: no tools"
    )
    name: Name | None = Field(None, description="with type tool: which")
    disable_parallel_tool_use: bool | None = Field(None, description="true: at most one call")


class MessagesThinking(Wire):
    type: Literal["enabled", "disabled", "adaptive"] = Field(description="adaptive: enabled, without a budget")
    budget_tokens: ThinkingBudget | None = Field(None, description="longest thought in tokens, below max_tokens")
    display: Literal["summarized", "omitted"] | None = Field(
        None, description="omitted: the thought is not sent; summarized (default): it is, whole"
    )


class MessagesFormat(Wire):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema", description="what the answer's text is valid against")


class MessagesOutput(Wire):
    format: MessagesFormat | None = Field(None, description="holds the answer to a JSON Schema")
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="accepted, without effect: thinking says how much is thought"
    )


class MessagesMetadata(Wire):
    user_id: Annotated[str, Field(max_length=512)] | None = Field(None, description="accepted, without effect")


class CountTokensRequest(Wire):
    """A conversation whose tokens are counted; nothing is answered and no picture decoded."""

    model: Annotated[str, Field(max_length=256)] = Field(description="the model's name or one of its aliases")
    messages: Annotated[list[MessageIn], Field(min_length=1, max_length=MAX_MESSAGES)] = Field(
        description="the conversation so far; a last assistant's message is the beginning of the answer"
    )
    system: SystemContent | None = Field(None, description="what the model is told first")
    tools: Annotated[list[MessagesTool], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="tools the model may call"
    )
    tool_choice: MessagesToolChoice | None = Field(None, description="whether and which")
    thinking: MessagesThinking | None = Field(None, description="let the model think before it answers; default: not")
    output_config: MessagesOutput | None = Field(None, description="what the answer looks like")


class MessagesRequest(CountTokensRequest):
    """A conversation, and how to answer it."""

    max_tokens: TokenCount = Field(description="longest answer, its thinking included")
    stream: bool | None = Field(None, description="send the answer piece by piece as server-sent events")
    stop_sequences: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]], Field(max_length=MAX_STOP)]
        | None
    ) = Field(None, description="texts that end the answer and are not part of it")
    temperature: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="0: always the likeliest token")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="choose among the likeliest tokens that together have this probability"
    )
    top_k: Annotated[int, Field(ge=0, le=1 << 24)] | None = Field(None, description="0: off")
    metadata: MessagesMetadata | None = Field(None, description="accepted, without effect")
    service_tier: Literal["auto", "standard_only"] | None = Field(
        None, description="accepted; there is one tier, standard"
    )
