"""What the Responses API answers: written by hand in `answer.py` and `turns.py`; these models are its documentation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from flashweb.api.schemas.chat_answers import BoxOut, TokenLogprobOut

_ItemStatus = Literal["in_progress", "completed", "incomplete"]
_ITEM_ID = "this item's name"
_ITEM_STATUS = "incomplete where the limit cut it off"


class OutputText(BaseModel):
    type: Literal["output_text"]
    text: str = Field(description="the answer")
    annotations: list[Any] = Field(description="always empty")
    logprobs: list[TokenLogprobOut] = Field(description="one entry per token where asked for, else empty")


class OutputMessage(BaseModel):
    type: Literal["message"]
    id: str = Field(description=_ITEM_ID)
    role: Literal["assistant"]
    status: _ItemStatus = Field(description=_ITEM_STATUS)
    content: list[OutputText] = Field(description="one text")
    boxes: list[BoxOut] | None = Field(None, description="boxes of the answer on the request's pictures")


class OutputCall(BaseModel):
    type: Literal["function_call"]
    id: str = Field(description=_ITEM_ID)
    call_id: str = Field(description="names the call for its function_call_output")
    name: str = Field(description="which function to call")
    arguments: str = Field(description="a JSON object; cut off where the status is incomplete")
    status: _ItemStatus = Field(description=_ITEM_STATUS)


class ThoughtText(BaseModel):
    type: Literal["reasoning_text", "summary_text"]
    text: str = Field(description="the thought")


class OutputReasoning(BaseModel):
    type: Literal["reasoning"]
    id: str = Field(description=_ITEM_ID)
    summary: list[ThoughtText] = Field(description="the thought, where a summary was asked for")
    content: list[ThoughtText] | None = Field(None, description="the thought, where no summary was asked for")
    status: _ItemStatus = Field(description=_ITEM_STATUS)


class InputTokensDetails(BaseModel):
    cached_tokens: int = Field(description="answered from the prefix cache")
    cache_write_tokens: int = Field(description="always 0: what is put into the cache is not counted")
    image_tokens: int = Field(description="that stand for pictures")


class OutputTokensDetails(BaseModel):
    reasoning_tokens: int = Field(description="of the thinking")


class ResponseUsage(BaseModel):
    input_tokens: int = Field(description="of the prompt, pictures and earlier turns included")
    input_tokens_details: InputTokensDetails
    output_tokens: int = Field(description="of the answer, thinking included")
    output_tokens_details: OutputTokensDetails
    total_tokens: int = Field(description="the sum of both")


class ResponseErrorOut(BaseModel):
    code: str = Field(description="server_error, invalid_prompt, or what is wrong with a picture")
    message: str = Field(description="what was wrong")


class IncompleteDetails(BaseModel):
    reason: Literal["max_output_tokens"] = Field(description="this or the context was reached")


class ReasoningOut(BaseModel):
    effort: str | None = Field(description="as asked for")
    summary: str | None = Field(description="as asked for")


class ResponseOut(BaseModel):
    id: str = Field(description="resp_...: by it a stored response is found and continued")
    object: Literal["response"]
    created_at: int = Field(description="when the request came, in seconds since 1970")
    completed_at: int | None = Field(description="when the answer was complete")
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"] = Field(
        description="how far it is; the first two only of background responses and inside events"
    )
    background: bool = Field(description="as asked for")
    error: ResponseErrorOut | None = Field(description="with status failed")
    incomplete_details: IncompleteDetails | None = Field(description="with status incomplete")
    instructions: str | None = Field(description="as asked for")
    max_output_tokens: int | None = Field(description="as asked for")
    max_tool_calls: int | None = Field(description="as asked for")
    metadata: dict[str, str] = Field(description="as asked for")
    model: str = Field(description="the name that was asked for; the header x-flashweb-model names who answered")
    output: list[OutputReasoning | OutputMessage | OutputCall] = Field(description="in the order it came")
    parallel_tool_calls: bool = Field(description="whether there may be several calls")
    previous_response_id: str | None = Field(description="as asked for")
    prompt_cache_key: str | None = Field(description="as asked for")
    reasoning: ReasoningOut
    safety_identifier: str | None = Field(description="as asked for")
    service_tier: Literal["default"] = Field(description="there is one")
    store: bool = Field(description="whether it is kept")
    temperature: float = Field(description="that was used")
    text: dict[str, Any] = Field(description="the form of the answer, as asked for")
    tool_choice: Any = Field(description="as asked for; default auto")
    tools: list[dict[str, Any]] = Field(description="as asked for")
    top_logprobs: int = Field(description="as asked for; default 0")
    top_p: float = Field(description="that was used")
    truncation: Literal["auto", "disabled"] = Field(description="as asked for; default disabled")
    usage: ResponseUsage | None = Field(description="null before the end")
    user: str | None = Field(description="as asked for")


class ResponseEvent(BaseModel):
    """One server-sent event; its name is its type. Further fields by type: `response` of those that tell of the whole,
    `output_index`, `item_id`, `content_index` or `summary_index`, `item`, `part`, `delta`, `text`, `arguments`."""

    type: str = Field(
        description="response.created, .queued (background), .in_progress; then of each item .output_item.added, "
        ".content_part.added, .output_text.delta and .done (or .reasoning_text, .reasoning_summary_text, "
        ".function_call_arguments), .content_part.done, .output_item.done; last .completed, .incomplete or .failed"
    )
    sequence_number: int = Field(description="0, 1, 2, ...")


class DeletedOut(BaseModel):
    id: str = Field(description="which one")
    object: Literal["response"]
    deleted: bool = Field(description="true")


class ItemList(BaseModel):
    object: Literal["list"]
    data: list[dict[str, Any]] = Field(description="items of the input, each with an id")
    first_id: str = Field(description="of the page's first item, empty without one")
    last_id: str = Field(description="of the page's last item")
    has_more: bool = Field(description="whether there is a further page")


class InputTokensOut(BaseModel):
    object: Literal["response.input_tokens"]
    input_tokens: int = Field(description="of the prompt")
