"""A chat as it came over HTTP -> a `Chat`. What its messages and parts mean is decided here once, for every endpoint;
sampling is `sampling.py`, the way back `answers.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flashweb.api import schemas
from flashweb.errors import InvalidRequest
from flashweb.types import Chat, ImagePart, Message, Part, TextPart


def to_chat(request: schemas.ChatRequest, *, max_images: int) -> Chat:
    """Raises InvalidRequest for what this edition does not offer and for too many pictures."""
    _refuse_later_features(request)
    messages = tuple(_message(index, message) for index, message in enumerate(request.messages))
    chat = Chat(messages, enable_thinking=thinks(request))
    if len(chat.images) > max_images:
        raise InvalidRequest(
            f"The messages hold {len(chat.images)} pictures; the limit is {max_images}. Send fewer, or start the "
            "server with a larger --max-images.",
            param="messages",
        )
    return chat


def _refuse_later_features(request: schemas.ChatRequest) -> None:
    for name in ("tools", "functions"):
        if getattr(request, name):
            raise InvalidRequest(
                f"{name} are not offered in this edition; leave the field out.",
                param=name,
                code="unsupported_parameter",
            )


def thinks(request: schemas.ChatRequest) -> bool:
    if request.chat_template_kwargs is not None and "enable_thinking" in request.chat_template_kwargs.model_fields_set:
        return request.chat_template_kwargs.enable_thinking
    return request.reasoning_effort not in (None, "none", "minimal")


def _message(index: int, message: schemas.ChatMessage) -> Message:
    where = f"messages[{index}]"
    if message.role in ("tool", "function") or message.tool_calls:
        param = f"{where}.tool_calls" if message.tool_calls else f"{where}.role"
        raise InvalidRequest(
            f"{param}: tools are not offered in this edition; send their results as text in a user message.",
            param=param,
            code="unsupported_parameter",
        )
    if message.content is None and message.role != "assistant":
        raise InvalidRequest(f"{where}.content is missing; give a text or a list of parts.", param=f"{where}.content")
    role: Any = "system" if message.role == "developer" else message.role
    parts = tuple(_parts(message.content))
    if role != "user" and any(isinstance(part, ImagePart) for part in parts):
        raise InvalidRequest(
            f"{where}.content: pictures belong into user messages, this one's role is {message.role!r}.",
            param=f"{where}.content",
        )
    return Message(role, parts)


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
