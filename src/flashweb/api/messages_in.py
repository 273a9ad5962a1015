"""A request of Anthropic's Messages API -> the chat request it is short for. Pictures, limits, sampling, tools and
thinking are decided where a chat's are; here is only what the two APIs say differently.

    one user message with results and text   tool messages, then a user message
    turns of one role in a row                one message
    a last assistant's message                an answer that goes on with it (`continue_final_message`)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from flashweb.api.parse import parse_document
from flashweb.api.schemas import messages as wire
from flashweb.api.schemas.chat import ChatRequest
from flashweb.errors import InvalidRequest

# Who may say what.
_BLOCKS_OF: dict[str, tuple[str, ...]] = {
    "user": ("text", "image", "document", "tool_result"),
    "assistant": ("text", "thinking", "redacted_thinking", "tool_use"),
    "system": ("text",),
}
_Located = tuple[str, Any]  # where in the request a block stands, and the block


def chat_request(request: wire.CountTokensRequest) -> ChatRequest:
    """Raises InvalidRequest for what does not fit together, and whatever a chat request's own check does."""
    return parse_document({"model": request.model, "messages": _messages(request), **_parameters(request)}, ChatRequest)


# --- turns --------------------------------------------------------------------------------------------------------


def _messages(request: wire.CountTokensRequest) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if request.system:
        told = [block for _, block in _blocks("system", request.system)]
        messages.append({"role": "system", "content": _parts(told)})
    calls: list[str] = []  # of the turn before
    for role, blocks in _turns(request.messages):
        if role == "user":
            messages += _user_turn(blocks, calls)
            calls = []
        elif role == "system":
            messages.append({"role": "system", "content": _parts([block for _, block in blocks])})
        else:
            messages.append(_assistant_turn(blocks))
            calls = [block.id for _, block in blocks if isinstance(block, wire.ToolUseBlock)]
    return messages


def _turns(messages: Sequence[wire.MessageIn]) -> Iterator[tuple[str, list[_Located]]]:
    """Messages of the same role that follow each other are one turn."""
    for role, group in groupby(enumerate(messages), key=lambda numbered: numbered[1].role):
        blocks = [one for index, message in group for one in _blocks(f"messages[{index}].content", message.content)]
        for where, block in blocks:
            if block.type not in _BLOCKS_OF[role]:
                raise InvalidRequest(
                    f"{where}: {block.type} blocks do not belong into a message of the role {role!r}; it may hold "
                    f"{', '.join(_BLOCKS_OF[role])}.",
                    param=where,
                )
        yield role, blocks


def _blocks(where: str, content: str | Sequence[Any]) -> list[_Located]:
    if isinstance(content, str):
        return [(where, wire.TextBlock(type="text", text=content))]
    return [(f"{where}[{index}]", block) for index, block in enumerate(content)]


def _user_turn(blocks: Sequence[_Located], calls: Sequence[str]) -> list[dict[str, Any]]:
    """The results of calls come first, whatever their place among the blocks: they answer the turn before."""
    answered: set[str] = set()
    messages: list[dict[str, Any]] = []
    for where, block in blocks:
        if not isinstance(block, wire.ToolResultBlock):
            continue
        if block.tool_use_id not in calls or block.tool_use_id in answered:
            reason = "has a result already" if block.tool_use_id in answered else "is no tool_use of the turn before"
            raise InvalidRequest(
                f"{where}.tool_use_id: {block.tool_use_id[:80]!r} {reason}; every tool_use has one tool_result, in the "
                "message after it.",
                param=f"{where}.tool_use_id",
            )
        answered.add(block.tool_use_id)
        messages.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": _result(block)})
    said = _parts([block for _, block in blocks if not isinstance(block, wire.ToolResultBlock)])
    return [*messages, {"role": "user", "content": said}] if said or not messages else messages


def _result(block: wire.ToolResultBlock) -> list[dict[str, Any]]:
    # The model's format has no mark for a call that failed, so it is said in words.
    failed = [_text("Error: ")] if block.is_error else []
    return [*failed, *_parts([inner for _, inner in _blocks("", block.content or "")])]


def _assistant_turn(blocks: Sequence[_Located]) -> dict[str, Any]:
    thoughts = [block.thinking for _, block in blocks if isinstance(block, wire.ThinkingBlock)]
    calls = [
        {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": block.input}}
        for _, block in blocks
        if isinstance(block, wire.ToolUseBlock)
    ]
    turn: dict[str, Any] = {"role": "assistant", "content": _said(blocks)}
    if thoughts:
        turn["reasoning_content"] = "\n".join(thoughts)
    if calls:
        turn["tool_calls"] = calls
    return turn


def _said(blocks: Sequence[_Located]) -> str:
    return "".join(block.text for _, block in blocks if isinstance(block, wire.TextBlock))


# --- blocks -------------------------------------------------------------------------------------------------------


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _parts(blocks: Sequence[Any]) -> list[dict[str, Any]]:
    """The parts of a chat message; empty texts, which say nothing, are left out."""
    parts: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, wire.TextBlock):
            parts += [_text(block.text)] if block.text else []
        elif isinstance(block, wire.ImageBlock):
            parts.append({"type": "image", "source": block.source.model_dump(exclude_none=True)})
        else:
            assert isinstance(block, wire.DocumentBlock), f"{type(block)} was sorted out before"
            parts += _document(block)
    return parts


def _document(block: wire.DocumentBlock) -> list[dict[str, Any]]:
    """Text as text and blocks as blocks, under their title; files as a chat's `file` part."""
    context = [_text(f"{block.context}\n")] if block.context else []
    title = [_text(f"{block.title}\n")] if block.title else []
    match block.source:
        case wire.PlainTextSource(data=data):
            return [*context, *title, _text(f"{data}\n")]
        case wire.ContentSource(content=content):
            return [*context, *title, *_parts([inner for _, inner in _blocks("", content)]), _text("\n")]
        case wire.UploadedSource(file_id=file_id):
            file = {"file_id": file_id}
        case wire.UrlSource(url=url):
            file = {"file_url": url}
        case wire.Base64Source(data=data):
            file = {"file_data": data}
    named = {"filename": block.title} if block.title else {}
    wanted = {"pages": block.pages, "dpi": block.dpi, "password": block.password}
    return [*context, {"type": "file", "file": {**file, **named}, **wanted}]


# --- parameters ---------------------------------------------------------------------------------------------------


def _parameters(request: wire.CountTokensRequest) -> dict[str, Any]:
    given: dict[str, Any] = {
        "tools": [_tool(index, tool) for index, tool in enumerate(request.tools)] if request.tools else None,
        "thinking": _thinking(request.thinking),
        **_tool_choice(request.tool_choice),
    }
    if request.output_config is not None and request.output_config.format is not None:
        schema = {"name": "answer", "schema": request.output_config.format.schema_}
        given["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.messages[-1].role == "assistant":
        _check_prefill(request)
        given["continue_final_message"] = True
    if isinstance(request, wire.MessagesRequest):
        _check_budget(request)
        given |= {name: getattr(request, name) for name in ("max_tokens", "temperature", "top_p", "top_k")}
        given["stop"] = request.stop_sequences
    return {name: value for name, value in given.items() if value is not None}


def _tool(index: int, tool: wire.MessagesTool) -> dict[str, Any]:
    if tool.input_schema.get("type", "object") != "object":
        raise InvalidRequest(
            f'tools[{index}].input_schema must be a JSON Schema with "type": "object"; its properties are the '
            "arguments.",
            param=f"tools[{index}].input_schema",
        )
    described = {"description": tool.description} if tool.description is not None else {}
    return {"type": "function", "function": {"name": tool.name, **described, "parameters": tool.input_schema}}


def _tool_choice(choice: wire.MessagesToolChoice | None) -> dict[str, Any]:
    if choice is None:
        return {}
    parallel = {"parallel_tool_calls": False} if choice.disable_parallel_tool_use else {}
    if choice.type != "tool":
        return {"tool_choice": {"any": "required"}.get(choice.type, choice.type), **parallel}
    if choice.name is None:
        raise InvalidRequest("tool_choice.name is missing; say which tool.", param="tool_choice.name")
    return {"tool_choice": {"type": "function", "function": {"name": choice.name}}, **parallel}


def _thinking(thinking: wire.MessagesThinking | None) -> dict[str, Any] | None:
    if thinking is None:
        return None
    if thinking.type == "disabled":
        return {"type": "disabled"}
    budget = {} if thinking.budget_tokens is None else {"budget_tokens": thinking.budget_tokens}
    return {"type": "enabled", **budget}


def _check_budget(request: wire.MessagesRequest) -> None:
    budget = request.thinking.budget_tokens if request.thinking is not None else None
    if budget is not None and budget >= request.max_tokens:
        raise InvalidRequest(
            f"thinking.budget_tokens is {budget} but max_tokens, which holds the thought and the answer, is "
            f"{request.max_tokens}; raise max_tokens or lower the budget.",
            param="thinking.budget_tokens",
        )


def _check_prefill(request: wire.CountTokensRequest) -> None:
    """The last turn is the beginning of the answer."""
    *_, (_, blocks) = _turns(request.messages)
    where = f"messages[{len(request.messages) - 1}]"
    said = _said(blocks)
    if any(isinstance(block, wire.ToolUseBlock) for _, block in blocks):
        wrong = "has a tool_use; a user message with its tool_result has to follow"
    elif not said.strip():
        wrong = "has no text to go on with; give it some or leave the message out"
    elif said != said.rstrip():
        wrong = "ends with white space, where no answer can go on; cut it off"
    elif request.thinking is not None and request.thinking.type != "disabled":
        wrong = "begins the answer, and a thought would have to stand before it; switch thinking off or leave it out"
    else:
        return
    raise InvalidRequest(f"{where}: the last message is an assistant's and {wrong}.", param=where)
