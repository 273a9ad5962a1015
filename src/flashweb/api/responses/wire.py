"""What a request of the Responses API looks like: shapes and ranges, nothing else. Parts of a message are the chat's
own, so that every kind of part that a chat takes is taken here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from flashweb.api.schemas.base import MAX_NAME_CHARS, Metadata, TokenCount, Wire
from flashweb.api.schemas.chat import MAX_TOP_LOGPROBS
from flashweb.api.schemas.parts import Content
from flashweb.api.schemas.tools import MAX_TOOLS, choice_kind

MAX_ITEMS = 1024
Id = Annotated[str, Field(min_length=1, max_length=128)]
Status = Literal["in_progress", "completed", "incomplete"]
_STATUS = "accepted, without effect"
_ID = "of an item that was answered; accepted, without effect"


# --- items of the input -------------------------------------------------------------------------------------------


class MessageItem(Wire):
    """One turn, in the easy form or as it was answered."""

    type: Literal["message"] = "message"
    id: Id | None = Field(None, description=_ID)
    role: Literal["user", "assistant", "system", "developer"] = Field(description="developer is read as system")
    content: Content = Field(
        description="a text, or parts: input_text, input_image, input_file; of an assistant output_text and refusal"
    )
    status: Status | None = Field(None, description=_STATUS)


class FunctionCallItem(Wire):
    """What an earlier answer called."""

    type: Literal["function_call"]
    id: Id | None = Field(None, description=_ID)
    call_id: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] = Field(
        description="names it for its function_call_output"
    )
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] = Field(description="the function's name")
    arguments: str = Field(description="a JSON object as text")
    status: Status | None = Field(None, description=_STATUS)


class FunctionOutputItem(Wire):
    """The result of a call."""

    type: Literal["function_call_output"]
    id: Id | None = Field(None, description=_ID)
    call_id: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] = Field(description="of the function_call")
    output: Content = Field(description="a text, or parts, pictures too")
    status: Status | None = Field(None, description=_STATUS)


class SummaryText(Wire):
    type: Literal["summary_text"]
    text: str = Field(description="the thought, where a summary was asked for")


class ReasoningText(Wire):
    type: Literal["reasoning_text"]
    text: str = Field(description="the thought")


class ReasoningItem(Wire):
    """An earlier answer's thinking; the model sees it again until the next user message."""

    type: Literal["reasoning"]
    id: Id | None = Field(None, description=_ID)
    summary: list[SummaryText] = Field([], description="as it was answered")
    content: list[ReasoningText] | None = Field(None, description="as it was answered")
    encrypted_content: str | None = Field(None, description="accepted, without effect: thoughts are never encrypted")
    status: Status | None = Field(None, description=_STATUS)


_ITEM_TYPES = ("message", "function_call", "function_call_output", "reasoning")


def _item_kind(value: Any) -> str | None:
    if not isinstance(value, dict):
        return f"<{value.type}>" if isinstance(value, BaseModel) and hasattr(value, "type") else None
    kind = value.get("type", "message" if "role" in value else None)
    return f"<{kind}>" if kind in _ITEM_TYPES else None


def _input_kind(value: Any) -> str | None:
    return "text" if isinstance(value, str) else "items" if isinstance(value, list) else None


Item = Annotated[
    Annotated[MessageItem, Tag("<message>")]
    | Annotated[FunctionCallItem, Tag("<function_call>")]
    | Annotated[FunctionOutputItem, Tag("<function_call_output>")]
    | Annotated[ReasoningItem, Tag("<reasoning>")],
    Discriminator(_item_kind, custom_error_type="item_type", custom_error_message="unknown item type"),
]
Input = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[Item], Field(min_length=1, max_length=MAX_ITEMS), Tag("items")],
    Discriminator(_input_kind, custom_error_type="input_type", custom_error_message="unknown input type"),
]


# --- how to answer ------------------------------------------------------------------------------------------------


class FunctionTool(Wire):
    """A function the model may call."""

    type: Literal["function"]
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)] = Field(description="what the model calls")
    description: str | None = Field(None, description="when to call it, for the model")
    parameters: dict[str, Any] | None = Field(None, description="a JSON Schema of type object; null: no arguments")
    strict: bool | None = Field(None, description="accepted; forced calls always follow the types of the schema")


class NamedFunction(Wire):
    """This function and no other."""

    type: Literal["function"]
    name: str = Field(description="one of the tools")


class AllowedFunctions(Wire):
    """Only some of the tools."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"] = Field(description="required: at least one call")
    tools: Annotated[list[NamedFunction], Field(min_length=1, max_length=MAX_TOOLS)] = Field(description="those")


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[NamedFunction, Tag("function")]
    | Annotated[AllowedFunctions, Tag("allowed_tools")],
    Discriminator(choice_kind, custom_error_type="tool_choice_type", custom_error_message="unknown tool choice"),
]


class TextFormat(Wire):
    type: Literal["text", "json_object", "json_schema"] = Field(
        "text", description="free text, any JSON object, or JSON that a schema describes"
    )
    name: str | None = Field(None, max_length=256, description="with json_schema: for the caller's own use")
    description: str | None = Field(None, description="accepted for compatibility; say it in the input")
    schema_: dict[str, Any] | bool | None = Field(None, alias="schema", description="with json_schema: JSON Schema")
    strict: bool | None = Field(None, description="accepted for compatibility: the schema is always enforced")


class TextConfig(Wire):
    format: TextFormat | None = Field(None, description="what the answer must look like")
    verbosity: Literal["low", "medium", "high"] | None = Field(None, description=_STATUS)


_Summary = Literal["auto", "concise", "detailed"]


class Reasoning(Wire):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="anything but none or minimal lets the model think before it answers"
    )
    summary: _Summary | None = Field(
        None, description="the thought is answered as the summary (there is no shorter one) instead of as content"
    )
    generate_summary: _Summary | None = Field(None, description="the older name of summary")


class Asked(Wire):
    """What a prompt is made of."""

    model: str | None = Field(None, max_length=256, description="the model's name or one of its aliases")
    input: Input | None = Field(None, description="a text, or the items of a conversation, oldest first")
    instructions: str | None = Field(None, description="a system message before everything; not kept for later ones")
    previous_response_id: Id | None = Field(
        None, description="a stored response of the same key: its conversation goes before the input"
    )
    tools: Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS)] | None = Field(
        None, description="functions the model may call; no other tools are offered"
    )
    tool_choice: ToolChoice | None = Field(
        None, description="none; auto (default): the model decides; required: at least one call; or a function by name"
    )
    parallel_tool_calls: bool | None = Field(None, description="false: at most one call; default true")
    text: TextConfig | None = Field(None, description="the form of the answer's text")
    reasoning: Reasoning | None = Field(None, description="whether the model thinks first; by default it does not")
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="auto: the oldest turns are left out where all do not fit; disabled (default): that is a 400"
    )


class InputTokensRequest(Asked):
    """A prompt to be counted."""


class ResponseStreamOptions(Wire):
    include_obfuscation: bool | None = Field(None, description="accepted, without effect: events are never padded")


class ResponseRequest(Asked):
    """An input, and how to answer it."""

    stream: bool | None = Field(None, description="send the answer as server-sent events")
    stream_options: ResponseStreamOptions | None = Field(None, description="accepted")
    store: bool | None = Field(None, description="keep it, to be retrieved or continued; default true")
    background: bool | None = Field(None, description="answer at once with status queued, and go on by itself")
    max_output_tokens: TokenCount | None = Field(
        None, description="longest answer, thinking included; default 4096, bounded by the context"
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(None, description="0: always the likeliest token")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="choose among the likeliest tokens that together have this probability"
    )
    include: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=16)] | None = Field(
        None, description="message.output_text.logprobs gives log probabilities; other values are without effect"
    )
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = Field(
        None, description="log probabilities, with so many alternatives each"
    )
    metadata: Metadata | None = Field(None, description="up to 16 pairs of texts, given back with the response")
    max_tool_calls: Annotated[int, Field(ge=1, le=1 << 20)] | None = Field(
        None, description="accepted, without effect: it counts built-in tools, of which there are none"
    )
    user: Annotated[str, Field(max_length=512)] | None = Field(None, description="given back, without effect")
    safety_identifier: Annotated[str, Field(max_length=512)] | None = Field(
        None, description="given back, without effect"
    )
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = Field(
        None, description="given back, without effect: every prompt is looked up in the prefix cache"
    )
    prompt_cache_retention: Literal["in_memory", "24h"] | None = Field(None, description="accepted, without effect")
    prompt_cache_options: Any | None = Field(None, description="accepted, without effect")
    service_tier: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="accepted; there is one tier, which the answer names: default"
    )
