"""A chat as it came over HTTP -> a `Chat`. What its messages and parts mean is decided here once, for every endpoint;
sampling is `sampling.py`, the way back `answers.py`.
"""

from __future__ import annotations

from typing import Any

from flashweb.api.parts import Parts
from flashweb.api.schemas.chat import ChatMessage, ChatRequest
from flashweb.api.thinking import thinks
from flashweb.api.tools import history_calls, match_results, tool_use
from flashweb.errors import InvalidRequest
from flashweb.types import Chat, DocumentPart, ImagePart, Message, VideoPart


def to_chat(request: ChatRequest, *, max_images: int, owner: str | None = None) -> Chat:
    """Raises InvalidRequest for what this edition does not offer and for too many pictures.

    `owner` is whose pictures a uuid means (`caller.owner_of`); None where pictures have no uuid.
    """
    parts = Parts(request, owner)
    messages = match_results([_message(index, message, parts) for index, message in enumerate(request.messages)])
    use = tool_use(request)
    chat = Chat(
        messages,
        enable_thinking=thinks(request),
        tools=use.tools,
        parallel_tool_calls=use.parallel,
        add_generation_prompt=request.add_generation_prompt is not False and not request.continue_final_message,
        continue_final_message=bool(request.continue_final_message),
    )
    if chat.continue_final_message:
        _check_continued(request, chat)
    if len(chat.images) > max_images:
        raise InvalidRequest(
            f"The messages hold {len(chat.images)} pictures; the limit is {max_images}. Send fewer, or start the "
            "server with a larger --max-images.",
            param="messages",
        )
    return chat


def _check_continued(request: ChatRequest, chat: Chat) -> None:
    """An answer can go on only with an assistant's text, which comes after the thinking."""
    if request.add_generation_prompt:
        raise InvalidRequest(
            "continue_final_message and add_generation_prompt are both true; a turn is continued or a new one begun, "
            "so set one of them.",
            param="continue_final_message",
        )
    last = chat.messages[-1]
    if last.role != "assistant" or last.tool_calls or not last.text.strip():
        raise InvalidRequest(
            "continue_final_message needs an assistant's message with text at the end of messages, whose text the "
            f"answer continues; the last one's role is {last.role!r}"
            f"{' and it has no text' if last.role == 'assistant' else ''}.",
            param="continue_final_message",
        )
    if thinks(request):
        raise InvalidRequest(
            "continue_final_message and thinking exclude each other: the given text stands behind the thinking. Leave "
            "reasoning_effort and enable_thinking out.",
            param="continue_final_message",
        )


def _message(index: int, message: ChatMessage, convert: Parts) -> Message:
    where = f"messages[{index}]"
    calls = history_calls(message, where)
    if message.content is None and message.role != "assistant":
        raise InvalidRequest(f"{where}.content is missing; give a text or a list of parts.", param=f"{where}.content")
    role: Any = {"developer": "system", "function": "tool"}.get(message.role, message.role)
    parts = convert(f"{where}.content", message.role, message.content)
    if role not in ("user", "tool") and any(isinstance(part, ImagePart | DocumentPart | VideoPart) for part in parts):
        raise InvalidRequest(
            f"{where}.content: pictures, documents and clips belong into user messages and tool results, this one's "
            f"role is {message.role!r}.",
            param=f"{where}.content",
        )
    # A function message, the older form, answers the only call before it, which had no id.
    answers = "" if message.role == "function" else message.tool_call_id
    thought = message.reasoning_content if message.reasoning_content is not None else message.reasoning
    return Message(role, parts, thought if role == "assistant" else None, calls, answers if role == "tool" else None)
