"""What fits into the context of `limit` tokens (0: not known yet, the engine checks again), decided as early as it is
known: by the length of the text, by the pictures' headers, by the prompt. Raises ContextLengthExceeded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flashweb.errors import ContextLengthExceeded
from flashweb.types import Chat, Prompt, SamplingParams, TextPart

# No vocabulary packs natural text tighter; a longer text is refused without counting its tokens.
MAX_CHARS_PER_TOKEN = 64


def text_chars(chat: Chat) -> int:
    """Characters of all that a chat says, tools and calls included."""
    chars, calls = 0, list[Mapping[str, Any]]()
    for message in chat.messages:
        chars += len(message.reasoning or "")
        calls += message.tool_calls
        for part in message.parts:
            if isinstance(part, TextPart):
                chars += len(part.text)
    return chars + (len(repr((chat.tools, calls))) if chat.tools or calls else 0)


def check_text(chars: int, limit: int, param: str = "messages") -> None:
    if limit and chars > limit * MAX_CHARS_PER_TOKEN:
        raise _over(limit, f"{param}: {chars} characters of text are far more than that; send less.", param)


def check_pictures(tokens: Sequence[int], limit: int) -> None:
    """Known from the headers alone: pictures that cannot fit are refused before any of them is decoded. `tokens`: of
    each picture."""
    if limit and sum(tokens) >= limit:
        raise _over(
            limit,
            f"The {len(tokens)} pictures become {sum(tokens)}; send fewer or smaller ones, ask for less detail, or "
            "start the server with a smaller --max-image-size or a larger --max-model-len.",
        )


def check_pages(tokens: Sequence[int], limit: int) -> None:
    """The same of documents, before any page is drawn. `tokens`: of each page."""
    if limit and sum(tokens) >= limit:
        raise _over(
            limit,
            f"The {len(tokens)} pages become {sum(tokens)}; choose fewer with pages, draw them smaller with dpi, or "
            "start the server with a larger --max-model-len.",
        )


def check_clips(tokens: Sequence[int], limit: int) -> None:
    """The same of clips, before any frame is decoded. `tokens`: of each clip."""
    if limit and sum(tokens) >= limit:
        raise _over(
            limit,
            f"The {len(tokens)} clips become {sum(tokens)}; send shorter ones, take fewer frames with max_frames or "
            "smaller ones with max_pixels, or start the server with a larger --max-model-len.",
        )


def fit(prompt: Prompt, params: SamplingParams, limit: int) -> SamplingParams:
    """Bound the answer by what the context leaves."""
    if not limit:
        return params
    left = limit - prompt.num_tokens
    if left < max(1, params.min_tokens):
        raise _over(
            limit,
            f"The prompt has {prompt.num_tokens} ({prompt.num_image_tokens} of them for pictures), and the answer "
            f"needs at least {max(1, params.min_tokens)}. Shorten the messages, send fewer or smaller pictures, or "
            "start the server with a larger --max-model-len.",
        )
    return params if params.max_tokens <= left else replace(params, max_tokens=left)


def _over(limit: int, why: str, param: str = "messages") -> ContextLengthExceeded:
    """Begins with OpenAI's words, new and old: by them, not by the code, LangChain, LiteLLM and others know it."""
    words = f"Input tokens exceed the configured limit: this model's maximum context length is {limit} tokens. {why}"
    return ContextLengthExceeded(words, param=param)
