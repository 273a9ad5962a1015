"""What the Messages API answers. Written by hand in `messages_answers.py`; these models are its documentation and its
test."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, RootModel

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]
_STOP = (
    "end_turn: the model ended; stop_sequence: one of them came; tool_use: it ended with calls, all of them whole; "
    "max_tokens and model_context_window_exceeded: it was cut"
)


class TextBlockOut(BaseModel):
    type: Literal["text"]
    text: str = Field(description="what was said")


class ThinkingBlockOut(BaseModel):
    type: Literal["thinking"]
    thinking: str = Field(description="the thought; empty where it was not to be shown")
    signature: str = Field(description="a digest of the thought; send both back as they are")


class ToolUseBlockOut(BaseModel):
    type: Literal["tool_use"]
    id: str = Field(description="the tool_result names it")
    name: str = Field(description="the tool to call")
    input: dict[str, Any] = Field(description="its arguments")


BlockOut = TextBlockOut | ThinkingBlockOut | ToolUseBlockOut


class MessageTokensDetails(BaseModel):
    thinking_tokens: int = Field(description="of the thinking")


class MessageDeltaUsage(BaseModel):
    input_tokens: int = Field(description="of the prompt, without those the prefix cache answered")
    cache_creation_input_tokens: Literal[0] = Field(description="nothing is billed for being kept")
    cache_read_input_tokens: int = Field(description="of the prompt, answered by the prefix cache")
    output_tokens: int = Field(description="of the answer, thinking included")
    output_tokens_details: MessageTokensDetails


class MessageUsage(MessageDeltaUsage):
    service_tier: Literal["standard"] = Field(description="there is one")


class MessageOut(BaseModel):
    id: str = Field(description="msg_...: this answer's name")
    type: Literal["message"]
    role: Literal["assistant"]
    model: str = Field(description="the name that was asked for; the header x-flashweb-model names who answered")
    content: list[BlockOut] = Field(description="blocks in the order in which the model wrote them")
    stop_reason: StopReason | None = Field(description=f"{_STOP}; null in message_start")
    stop_sequence: str | None = Field(description="which of stop_sequences came")
    usage: MessageUsage


class MessageStart(BaseModel):
    type: Literal["message_start"]
    message: MessageOut = Field(description="the answer without content")


class MessagePing(BaseModel):
    type: Literal["ping"]


class BlockStart(BaseModel):
    type: Literal["content_block_start"]
    index: int = Field(description="which block")
    content_block: BlockOut = Field(description="the block, empty")


class MessageTextDelta(BaseModel):
    type: Literal["text_delta"]
    text: str = Field(description="the next piece")


class MessageThinkingDelta(BaseModel):
    type: Literal["thinking_delta"]
    thinking: str = Field(description="the next piece")


class MessageSignatureDelta(BaseModel):
    type: Literal["signature_delta"]
    signature: str = Field(description="of the whole thought, at its end")


class MessageInputDelta(BaseModel):
    type: Literal["input_json_delta"]
    partial_json: str = Field(description="the next piece of the arguments' JSON")


class BlockDelta(BaseModel):
    type: Literal["content_block_delta"]
    index: int = Field(description="which block")
    delta: MessageTextDelta | MessageThinkingDelta | MessageSignatureDelta | MessageInputDelta = Field(
        description="what is new of it"
    )


class BlockStop(BaseModel):
    type: Literal["content_block_stop"]
    index: int = Field(description="which block")


class MessageEnd(BaseModel):
    stop_reason: StopReason = Field(description=_STOP)
    stop_sequence: str | None = Field(description="which of stop_sequences came")


class MessageDelta(BaseModel):
    type: Literal["message_delta"]
    delta: MessageEnd = Field(description="how the answer ended")
    usage: MessageDeltaUsage


class MessageStop(BaseModel):
    type: Literal["message_stop"]


class MessagesErrorOut(BaseModel):
    type: Literal[
        "invalid_request_error",
        "authentication_error",
        "permission_error",
        "not_found_error",
        "request_too_large",
        "rate_limit_error",
        "timeout_error",
        "api_error",
        "overloaded_error",
    ] = Field(description="Anthropic's kind of error")
    message: str = Field(description="what was wrong, the value, the limit and the fix")


class MessagesError(BaseModel):
    type: Literal["error"]
    error: MessagesErrorOut
    request_id: str = Field(description="as in the header request-id")


class MessageStreamEvent(
    RootModel[
        MessageStart | MessagePing | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | MessagesError
    ]
):
    """The data of a server-sent event; the event's name is its type."""


class TokenCountOut(BaseModel):
    input_tokens: int = Field(description="of the prompt, pictures included")
