"""A chat as it came over HTTP -> a `Chat`. What its messages and parts mean is decided here once, for every endpoint;
sampling is `sampling.py`, the way back `answers.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flashweb.api import schemas
from flashweb.api.thinking import thinks
from flashweb.api.tools import history_calls, match_results, tool_use
from flashweb.errors import InvalidRequest
from flashweb.types import Chat, ImagePart, Message, Part, TextPart


def to_chat(request: schemas.ChatRequest, *, max_images: int) -> Chat:
    """Raises InvalidRequest for what this edition does not offer and for too many pictures."""
    _refuse_later_features(request)
    messages = match_results([_message(index, message) for index, message in enumerate(request.messages)])
    use = tool_use(request)
    chat = Chat(messages, thinks(request), use.tools, use.parallel)
    if len(chat.images) > max_images:
        raise InvalidRequest(
            f"The messages hold {len(chat.images)} pictures; the limit is {max_images}. Send fewer, or start the "
            "server with a larger --max-images.",
            param="messages",
        )
    return chat


def _refuse_later_features(request: schemas.ChatRequest) -> None:
    if request.response_format is not None and request.response_format.type != "text":
        raise InvalidRequest(
            f"response_format.type {request.response_format.type!r} is not offered in this edition, only 'text'; "
            "leave it out and ask for JSON in the prompt.",
            param="response_format",
            code="unsupported_parameter",
        )


def _message(index: int, message: schemas.ChatMessage) -> Message:
    where = f"messages[{index}]"
    calls = history_calls(message, where)
    if message.content is None and message.role != "assistant":
        raise InvalidRequest(f"{where}.content is missing; give a text or a list of parts.", param=f"{where}.content")
    role: Any = {"developer": "system", "function": "tool"}.get(message.role, message.role)
    parts = tuple(_parts(message.content))
    if role != "user" and any(isinstance(part, ImagePart) for part in parts):
        raise InvalidRequest(
            f"{where}.content: pictures belong into user messages, this one's role is {message.role!r}.",
            param=f"{where}.content",
        )
    # A function message, the older form, answers the only call before it, which had no id.
    answers = "" if message.role == "function" else message.tool_call_id
    thought = message.reasoning_content if message.reasoning_content is not None else message.reasoning
    return Message(role, parts, thought if role == "assistant" else None, calls, answers if role == "tool" else None)


def _parts(content: schemas.Content | None) -> Iterable[Part]:
    if content is None:
        return
    if isinstance(content, str):
        yield TextPart(content)
        return
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, schemas.TextPart):
            yield TextPart(part.text)
        else:
            yield ImagePart(url=part.image_url if isinstance(part.image_url, str) else part.image_url.url)
