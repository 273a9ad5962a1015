"""Items of a conversation -> a chat request, the one form in which prompts are made here; and an error about that chat
-> the same error about the caller's own fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from flashweb.api.parse import validated
from flashweb.api.responses import wire
from flashweb.api.sampling import DEFAULT_MAX_TOKENS_LONG
from flashweb.api.schemas.chat import ChatRequest
from flashweb.errors import FlashwebError, InvalidRequest

# field of a request -> why ignoring it would give another answer than the one asked for
_NOT_OFFERED = {
    "prompt": "prompt templates are not kept here; send the text as instructions and input",
    "conversation": "conversations are not kept as objects here; use previous_response_id",
    "context_management": "contexts are not compacted here; use truncation: auto",
    "moderation": "nothing is moderated here",
}


def refuse_not_offered(document: Mapping[str, Any]) -> None:
    """Raises InvalidRequest for what must not be ignored, in words of its own."""
    for name, words in _NOT_OFFERED.items():
        if document.get(name) is not None:
            raise InvalidRequest(
                f"{name} is not offered: {words}. Leave the field out.", param=name, code="unsupported_parameter"
            )
    tools = document.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind != "function":
            raise InvalidRequest(
                f"tools[{index}].type {kind[:80]!r} is not offered: this server has no tools of its own, it only calls "
                'functions of the caller\'s. Use type "function".',
                param=f"tools[{index}].type",
                code="unsupported_parameter",
            )


class Conversation:
    """Items put together to messages; remembers which item each message came from."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.places: list[str] = []
        self._turn: dict[str, Any] | None = None  # the assistant's, while its items follow each other

    def instruct(self, text: str) -> None:
        self._say("instructions", {"role": "system", "content": text})

    def keep_last(self, most: int) -> None:
        """Leave out the oldest turns, so that no more than `most` messages remain; instructions stay."""
        head = int(self.places[:1] == ["instructions"])
        if len(self.messages) <= most:
            return
        first = len(self.messages) - most + head
        while first < len(self.messages) - 1 and self.messages[first]["role"] != "user":
            first += 1
        del self.messages[head:first], self.places[head:first]

    def add(self, place: str, item: wire.Item) -> None:
        match item:
            case wire.ReasoningItem():
                thought = "\n".join(part.text for part in item.content or item.summary)
                self._assistant(place, "reasoning_content", thought)
            case wire.FunctionCallItem():
                call = {"id": item.call_id, "function": {"name": item.name, "arguments": item.arguments}}
                self._assistant(place, "tool_calls", call)
            case wire.FunctionOutputItem():
                self._say(place, {"role": "tool", "tool_call_id": item.call_id, "content": item.output})
            case wire.MessageItem(role="assistant"):
                self._assistant(place, "content", item.content)
            case wire.MessageItem():
                self._say(place, {"role": item.role, "content": item.content})

    def _say(self, place: str, message: dict[str, Any]) -> None:
        self._turn = None
        self.messages.append(message)
        self.places.append(place)

    def _assistant(self, place: str, name: str, value: Any) -> None:
        """A turn is a thought, a text and calls, in this order; what comes out of it begins another."""
        order = ("reasoning_content", "content", "tool_calls")
        turn = self._turn
        if turn is None or (name != "tool_calls" and any(field in turn for field in order[order.index(name) :])):
            turn = {"role": "assistant"}
            self._say(place, turn)
            self._turn = turn
        if name == "tool_calls":
            turn.setdefault(name, []).append(value)
        else:
            turn[name] = value


def chat_request(asked: wire.Asked, conversation: Conversation) -> ChatRequest:
    """Raises InvalidRequest."""
    document: dict[str, Any] = {
        "model": asked.model,
        "messages": conversation.messages,
        "tools": [_tool(tool) for tool in asked.tools or ()] or None,
        "tool_choice": _tool_choice(asked.tool_choice),
        "parallel_tool_calls": asked.parallel_tool_calls,
        "response_format": _response_format(asked.text),
        "reasoning_effort": asked.reasoning.effort if asked.reasoning is not None else None,
    }
    if isinstance(asked, wire.ResponseRequest):
        wants_logprobs = asked.top_logprobs is not None or "message.output_text.logprobs" in (asked.include or ())
        document |= {
            "max_completion_tokens": asked.max_output_tokens or DEFAULT_MAX_TOKENS_LONG,
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "logprobs": wants_logprobs,
            "top_logprobs": asked.top_logprobs if wants_logprobs else None,
            "service_tier": asked.service_tier,
        }
    return validated(document, ChatRequest)


def _tool(tool: wire.FunctionTool) -> dict[str, Any]:
    function = tool.model_dump(exclude={"type"}, exclude_unset=True)
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, wire.NamedFunction):
        return {"type": "function", "function": {"name": choice.name}}
    if isinstance(choice, wire.AllowedFunctions):
        tools = [_tool_choice(tool) for tool in choice.tools]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
    return choice


def _response_format(text: wire.TextConfig | None) -> dict[str, Any] | None:
    format = text.format if text is not None else None
    if format is None or format.type == "text":
        return None
    if format.type == "json_object":
        return {"type": "json_object"}
    if format.schema_ is None:
        raise InvalidRequest("text.format.schema is missing; give a JSON Schema.", param="text.format.schema")
    schema = {"name": format.name, "schema": format.schema_, "strict": format.strict}
    return {"type": "json_schema", "json_schema": schema}


# --- errors -------------------------------------------------------------------------------------------------------

_MESSAGE = re.compile(r"messages\[(\d+)\]")
_WORDS = (
    (re.compile(r"response_format\.json_schema\.schema|response_format\.json_schema"), "text.format.schema"),
    (re.compile(r"\bresponse_format\b"), "text.format"),
    (re.compile(r"(tools\[\d+\])\.function\b"), r"\1"),
    (re.compile(r"\btool_choice\.allowed_tools\b"), "tool_choice"),
    (re.compile(r"\bmax_completion_tokens\b|\bmax_tokens\b"), "max_output_tokens"),
    (re.compile(r"\.tool_calls\[\d+\]\.function\b|\.tool_calls\b"), ""),
    (re.compile(r"^messages$"), "input"),
)


@contextmanager
def in_their_words(places: Sequence[str]) -> Iterator[None]:
    """An error about the chat names the request's own fields; `places`: where each message came from."""
    try:
        yield
    except FlashwebError as error:
        error.message = _reworded(error.message, places)
        if error.param is not None:
            error.param = _reworded(error.param, places)
        raise


def _reworded(text: str, places: Sequence[str]) -> str:
    def place(found: re.Match[str]) -> str:
        index = int(found[1])
        return places[index] if index < len(places) else "input"

    text = _MESSAGE.sub(place, text)
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return text
