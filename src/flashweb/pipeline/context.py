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


def check_text(chars: int, limit: int) -> None:
    if limit and chars > limit * MAX_CHARS_PER_TOKEN:
        raise ContextLengthExceeded(
            f"The messages hold {chars} characters of text, far more than the context of {limit} tokens can "
            "take; shorten them.",
            param="messages",
        )


def check_pictures(tokens: Sequence[int], limit: int) -> None:
    """Known from the headers alone: pictures that cannot fit are refused before any of them is decoded. `tokens`: of
    each picture."""
    if limit and sum(tokens) >= limit:
        raise ContextLengthExceeded(
            f"The {len(tokens)} pictures become {sum(tokens)} tokens, the context holds {limit}; send fewer or smaller "
            "ones, ask for less detail, or start the server with a smaller --max-image-size or a larger "
            "--max-model-len.",
            param="messages",
        )


def fit(prompt: Prompt, params: SamplingParams, limit: int) -> SamplingParams:
    """Bound the answer by what the context leaves."""
    if not limit:
        return params
    left = limit - prompt.num_tokens
    if left < max(1, params.min_tokens):
        raise ContextLengthExceeded(
            f"The prompt has {prompt.num_tokens} tokens ({prompt.num_image_tokens} of them for pictures); with an "
            f"answer of at least {max(1, params.min_tokens)} that is over the context of {limit} tokens. Shorten "
            "the messages, send fewer or smaller pictures, or start the server with a larger --max-model-len.",
            param="messages",
        )
    return params if params.max_tokens <= left else replace(params, max_tokens=left)
