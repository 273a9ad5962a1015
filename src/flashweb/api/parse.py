"""Bytes to a validated wire model, with errors that name the parameter, the value, the limit and the fix.

JSON is read once by msgspec (strict: no NaN, no trailing text) and checked by pydantic in Python objects, so that a
picture's base64 text is copied once and not again. Knows nothing of what a request means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from flashweb.errors import InvalidRequest

MAX_DEPTH = 64
MAX_SHOWN = 80
_SECRET = {"password"}  # fields whose values stand in no message
MAX_SECRET = 127
Model = TypeVar("Model", bound=BaseModel)


def parse_body(body: bytes, model: type[Model]) -> Model:
    """Raises InvalidRequest with `param` set where one parameter is at fault."""
    return validated(read_document(body), model)


def read_document(body: bytes) -> dict[str, Any]:
    """The body's JSON object, bounded in depth. Raises InvalidRequest."""
    document = _decode(body)
    if not isinstance(document, dict):
        raise InvalidRequest(f"The body must be a JSON object, got {_kind(document)}.")
    _check_depth(document)
    return document


def parse_document(document: dict[str, Any], model: type[Model]) -> Model:
    """`parse_body` for what is an object already: a form's fields, or fields put together here."""
    _check_depth(document)
    return validated(document, model)


def validated(document: dict[str, Any], model: type[Model]) -> Model:
    """Raises InvalidRequest with `param` set where one parameter is at fault."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _explained(error, document) from None


def _decode(body: bytes) -> Any:
    if not body.strip():
        raise InvalidRequest("The body is empty; send a JSON object with Content-Type: application/json.")
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise InvalidRequest(f"The JSON is nested too deeply; the limit is {MAX_DEPTH} levels.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {_shown(str(error))}.") from None


def _check_depth(document: Any) -> None:
    """Walk without recursion; lists of numbers or text need no visit of their own."""
    level = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            for child in value.values() if isinstance(value, dict) else value:
                if isinstance(child, dict | list):
                    below.append(child)
        if not below:
            return
        level = below
    raise InvalidRequest(f"The JSON is nested too deeply; the limit is {MAX_DEPTH} levels.")


# --- pydantic's errors in our words -------------------------------------------------------------------------------

_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "content_type": "a string, a list of parts, or one part object",
    "tool_choice_type": 'none, auto, required, {"type": "function", ...} or {"type": "allowed_tools", ...}',
    "input_type": "a string or a list of items",
    "item_type": "an item of type message, function_call, function_call_output or reasoning",
    "finite_number": "a finite number",
    "blocks_type": "a string or a list of blocks",
    "prompt_type": "a text, a list of texts, a list of token ids, or a list of such lists",
}
_UNKNOWN_PART = (
    '{param}: part type {value} is not offered here; use type "text", or "image_url" with a data: URL, an http(s) '
    'URL or bare base64, or "file" for a document ("input_text", "input_image", "image", "input_file", "file_url" and '
    '"document" are read too), or "video_url" for a clip.'
)
_CLIPS = {"video", "video_url", "input_video"}
_NO_CLIPS = (
    "{param}.type is {value}, and the Messages API has no clips; send it to /v1/chat/completions as video_url, or "
    "frames of it as image blocks."
)
# Anthropic's unions: what a type may be.
_KINDS = {
    "block_type": "text, image, document, tool_use, tool_result, thinking or redacted_thinking",
    "inner_block_type": "text or image",
    "result_block_type": "text, image or document",
    "image_source_type": "base64, url or file",
    "document_source_type": "base64, url, file, text or content",
}


def _explained(error: ValidationError, document: dict[str, Any]) -> InvalidRequest:
    problem, loc = _most_telling(error.errors(include_url=False), document)
    kind, value = problem["type"], problem["input"]
    context = problem.get("ctx", {})
    param = _param(loc)
    if kind == "missing":
        return InvalidRequest(f"{param} is missing; add it.", param=param)
    if loc and loc[-1] in _SECRET:
        return InvalidRequest(f"{param} must be a string of at most {MAX_SECRET} characters.", param=param)
    if kind == "part_type":
        name = value.get("type") if isinstance(value, dict) else value
        return InvalidRequest(_UNKNOWN_PART.format(param=param, value=_shown(name)), param=param)
    if kind in _KINDS:
        name = value.get("type") if isinstance(value, dict) else value
        words = _NO_CLIPS if isinstance(name, str) and name in _CLIPS else "{param}.type must be {kinds}, got {value}."
        told = words.format(param=param, kinds=_KINDS[kind], value=_shown(name))
        return InvalidRequest(told, param=f"{param}.type")
    if kind in _TYPES:
        return InvalidRequest(f"{param} must be {_TYPES[kind]}, got {_shown(value)}.", param=param)
    return InvalidRequest(f"{param} {_limit_words(kind, context, value, problem['msg'])}", param=param)


def _limit_words(kind: str, context: dict[str, Any], value: Any, fallback: str) -> str:
    shown = _shown(value)
    match kind:
        case "greater_than_equal":
            return f"must be at least {_number(context['ge'])}, got {shown}."
        case "greater_than":
            return f"must be greater than {_number(context['gt'])}, got {shown}."
        case "less_than_equal":
            return f"must be at most {_number(context['le'])}, got {shown}."
        case "less_than":
            return f"must be less than {_number(context['lt'])}, got {shown}."
        case "too_long":
            return f"may hold at most {context['max_length']} entries, got {context['actual_length']}."
        case "too_short":
            return f"must hold at least {context['min_length']} entry, got {context['actual_length']}."
        case "string_too_long":
            return f"may be at most {context['max_length']} characters long, got {len(value)}."
        case "string_too_short":
            return f"must be at least {context['min_length']} character long, got {shown}."
        case "extra_forbidden":
            return "is not offered; leave it out."
        case "literal_error":
            return f"must be one of {context['expected']}, got {shown}."
    return f"is not acceptable: {fallback[:1].lower()}{fallback[1:]}; got {shown}."


def _number(limit: Any) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


def _most_telling(problems: Sequence[Any], document: dict[str, Any]) -> tuple[Any, tuple[int | str, ...]]:
    """Of a union's complaints the one that got deepest into the document, with its path."""
    found = [(problem, _path(problem["loc"], document)) for problem in problems]
    return max(found, key=lambda item: (len(item[1]), item[0]["type"] not in _TYPES))


def _path(loc: tuple[int | str, ...], document: Any) -> tuple[int | str, ...]:
    """pydantic's location without the names of union branches woven into it: the steps that exist in the document,
    and the last one where it is the missing key."""
    kept: list[int | str] = []
    for position, step in enumerate(loc):
        if isinstance(document, dict) and (step in document or (position == len(loc) - 1 and isinstance(step, str))):
            if step not in document and ("[" in str(step) or not str(step).islower()):
                continue
            kept.append(step)
            document = document.get(step)
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            kept.append(step)
            document = document[step]
    return tuple(kept)


def _param(path: tuple[int | str, ...]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _shown(value: Any) -> str:
    """A value short enough for a message; containers only by kind, so no picture ends up in an error."""
    if isinstance(value, dict | list):
        return _kind(value)
    text = {True: "true", False: "false", None: "null"}.get(value) if isinstance(value, bool | None) else repr(value)
    assert text is not None
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text)} characters)"


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return _shown(value)
