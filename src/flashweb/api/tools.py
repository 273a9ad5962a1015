"""Tools as they come over HTTP -> the tools of a `Chat` and the grammar of forced calls.

Three forms mean the same: `tools` with `tool_choice`, its `allowed_tools`, and the older `functions` with
`function_call`. They become one here, for every endpoint. The way back is `answers.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from flashweb.api.schemas.chat import ChatMessage, ChatRequest
from flashweb.api.schemas.tools import AllowedTools, FunctionDefinition, FunctionName
from flashweb.errors import InvalidRequest
from flashweb.output import call_grammar
from flashweb.types import Message, Structure


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Which tools the model is told of, whether it must call one, and whether it may call several."""

    tools: tuple[Mapping[str, Any], ...] = ()
    forced: bool = False
    parallel: bool = True


_FIELDS = frozenset({"tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"})
_NO_TOOLS = ToolUse()


def tool_use(request: ChatRequest) -> ToolUse:
    """Raises InvalidRequest for tools that cannot be offered and choices that cannot be met.

    `none` offers nothing: a tool the model does not know of it cannot call.
    """
    if request.model_fields_set.isdisjoint(_FIELDS):
        return _NO_TOOLS  # nearly always
    offered = _offered(request)
    if request.functions is None:
        choice: Any = request.tool_choice
        param = "tool_choice"
    else:
        choice, param = request.function_call, "function_call"
    several = request.parallel_tool_calls is not False and request.functions is None
    match choice:
        case None | "auto":
            return ToolUse(tuple(offered.values()), parallel=several)
        case "none":
            return ToolUse()
        case "required":
            names: Iterable[str] = offered
            forced = True
        case AllowedTools():
            names = [tool.function.name for tool in choice.allowed_tools.tools]
            forced = choice.allowed_tools.mode == "required"
            param = "tool_choice.allowed_tools"
        case _:
            names = [choice.name if isinstance(choice, FunctionName) else choice.function.name]
            forced, several = True, False
    if not offered:
        raise InvalidRequest(
            f"{param} asks for a call, but there are no tools; add tools or leave it out.", param=param
        )
    for name in names:
        if name not in offered:
            known = ", ".join(list(offered)[:8])
            raise InvalidRequest(f"{param}: there is no tool {name[:80]!r}; the tools are {known[:400]}.", param=param)
    if forced and _wants_format(request):
        raise InvalidRequest(
            f"{param} asks for a call and response_format for an answer of its own form; an answer cannot be both. "
            "Leave one of them out.",
            param=param,
        )
    return ToolUse(tuple(offered[name] for name in dict.fromkeys(names)), forced, several)


def forced_calls(request: ChatRequest) -> Structure | None:
    """What the answer must be, where the request demands a call. Raises InvalidRequest."""
    use = tool_use(request)
    if not use.forced:
        return None
    try:
        return Structure("grammar", call_grammar(use.tools, parallel=use.parallel), "tools")
    except InvalidRequest as error:
        raise InvalidRequest(f"a forced call cannot be enforced: {error.message}.", param="tools") from None
    except ValueError as error:
        raise InvalidRequest(
            f"a forced call cannot be enforced: {error}; simplify their parameters.", param="tools"
        ) from None


def _wants_format(request: ChatRequest) -> bool:
    return request.response_format is not None and request.response_format.type != "text"


def _offered(request: ChatRequest) -> dict[str, Mapping[str, Any]]:
    """Tool objects by name, as the caller wrote them."""
    if request.functions and request.tools:
        raise InvalidRequest("functions is the older form of tools; give one of them.", param="functions")
    if request.functions:
        functions = [(f"functions[{i}]", function) for i, function in enumerate(request.functions)]
        objects = [{"type": "function", "function": function.as_given} for _, function in functions]
    else:
        tools = request.tools or []
        functions = [(f"tools[{i}].function", tool.function) for i, tool in enumerate(tools)]
        objects = [tool.as_given for tool in tools]
    offered: dict[str, Mapping[str, Any]] = {}
    for (where, function), one in zip(functions, objects, strict=True):
        _check_function(where, function)
        if function.name in offered:
            raise InvalidRequest(
                f"{where}.name {function.name[:80]!r} is there twice; give every tool its own name.",
                param=f"{where}.name",
            )
        offered[function.name] = one
    return offered


def _check_function(where: str, function: FunctionDefinition) -> None:
    if function.name != function.name.strip() or not function.name.isprintable():
        raise InvalidRequest(
            f"{where}.name is {function.name[:80]!r}; a name has no line breaks and no space around it.",
            param=f"{where}.name",
        )
    schema = function.parameters or {}
    if schema.get("type", "object") != "object" or not isinstance(schema.get("properties", {}), dict):
        raise InvalidRequest(
            f'{where}.parameters must be a JSON Schema with "type": "object"; its properties are the arguments.',
            param=f"{where}.parameters",
        )


# --- earlier turns ------------------------------------------------------------------------------------------------


def history_calls(message: ChatMessage, where: str) -> tuple[Mapping[str, Any], ...]:
    """An assistant turn's calls as the template reads them: {"id", "name", "arguments": mapping}. Raises
    InvalidRequest."""
    calls = [
        (call.id, call.function, f"{where}.tool_calls[{index}].function")
        for index, call in enumerate(message.tool_calls or [])
    ]
    if message.function_call is not None:
        calls.append(("", message.function_call, f"{where}.function_call"))
    if calls and message.role != "assistant":
        param = calls[0][2].rpartition("[")[0] or calls[0][2]
        raise InvalidRequest(f"{param}: only assistant messages have calls, this one is {message.role!r}.", param=param)
    return tuple(
        {"id": id, "name": function.name, "arguments": _arguments(function.arguments, f"{param}.arguments")}
        for id, function, param in calls
    )


def _arguments(given: str | dict[str, Any], param: str) -> Mapping[str, Any]:
    if isinstance(given, dict):
        return given
    try:
        parsed = msgspec.json.decode(given) if given.strip() else {}
    except (msgspec.DecodeError, UnicodeError, ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidRequest(
            f"{param} is not the text of a JSON object; send back what the answer had, or {{}} for none.", param=param
        )
    return parsed


def match_results(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The same messages, with the results of each assistant turn in the order of its calls: the template shows no ids,
    so order is how the model knows which result is whose. Raises InvalidRequest for a result without a call."""
    ordered: list[Message] = []
    results: list[Message] = []
    calls: tuple[Mapping[str, Any], ...] = ()
    for index, message in enumerate(messages):
        if message.role != "tool":
            ordered += _in_order(results, calls)
            results = []
            ordered.append(message)
            calls = message.tool_calls
            continue
        _check_result(message, calls, results, f"messages[{index}]")
        results.append(message)
    return (*ordered, *_in_order(results, calls))


def _check_result(message: Message, calls: Sequence[Mapping[str, Any]], before: Sequence[Message], where: str) -> None:
    known = [call["id"] for call in calls]
    if not known:
        raise InvalidRequest(
            f"{where} is a tool's result, but the message before it is no assistant message with tool_calls; send "
            "that one too.",
            param=f"{where}.role",
        )
    id = message.tool_call_id
    if id not in known:
        wrong = "is missing" if id is None else f"is {id[:80]!r}"
        raise InvalidRequest(
            f"{where}.tool_call_id {wrong}; the calls before it are {', '.join(map(repr, known[:8]))[:300]}.",
            param=f"{where}.tool_call_id",
        )
    if any(result.tool_call_id == id for result in before):
        raise InvalidRequest(
            f"{where}.tool_call_id {id!r} has been answered already; a call has one result.",
            param=f"{where}.tool_call_id",
        )


def _in_order(results: Sequence[Message], calls: Sequence[Mapping[str, Any]]) -> list[Message]:
    places = {call["id"]: index for index, call in enumerate(calls)}
    return sorted(results, key=lambda result: places[result.tool_call_id])
