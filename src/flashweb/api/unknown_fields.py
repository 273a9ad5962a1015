"""Top-level fields of a chat request that nobody here knows: ignored with a warning, or refused where ignoring them
would give another answer than the one asked for.

The warning is the header `x-flashweb-warning`; it holds nothing of the caller's but cleaned and shortened names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from flashweb.errors import InvalidRequest

WARNING_HEADER = "x-flashweb-warning"
MAX_NAMES = 10
MAX_NAME_CHARS = 40
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-]")

_IsHarmful = Callable[[Any, Mapping[str, Any]], bool]


def _given(value: Any, document: Mapping[str, Any]) -> bool:
    return value is not None


def _on(value: Any, document: Mapping[str, Any]) -> bool:
    return bool(value)


def _other_than_n(value: Any, document: Mapping[str, Any]) -> bool:
    return value is not None and value != (document.get("n") or 1)


def _other_than_text(value: Any, document: Mapping[str, Any]) -> bool:
    return value is not None and value != ["text"]


# field -> when ignoring it would be wrong, and why it is not offered with the way out
_HARMFUL: dict[str, tuple[_IsHarmful, str]] = {
    "best_of": (_other_than_n, "answers are not ranked here; ask for n answers and choose"),
    "use_beam_search": (_on, "beam search is not offered; use temperature 0 for the likeliest answer"),
    "echo": (_on, "the prompt is never repeated in the answer; put it before the answer yourself"),
    "prompt_logprobs": (_given, "log probabilities of the prompt are not computed; logprobs gives the answer's"),
    "truncate_prompt_tokens": (_given, "prompts are not cut, a longer one is refused; shorten the messages"),
    "allowed_token_ids": (_on, "answers are not bound to a list of tokens; use logit_bias"),
    "bad_words": (_on, "words are not forbidden by name; use logit_bias with -100"),
    "documents": (_on, "documents beside the messages are not read; put their text into a message"),
    "chat_template": (_given, "the template is the checkpoint's; a request cannot bring its own"),
    "modalities": (_other_than_text, "answers are text"),
    "audio": (_given, "answers are text"),
}


def refuse_harmful(document: Mapping[str, Any]) -> None:
    """Raises InvalidRequest for a field that must not be ignored and is not offered."""
    for name, (is_harmful, words) in _HARMFUL.items():
        if name in document and is_harmful(document[name], document):
            raise InvalidRequest(
                f"{name} is not offered: {words}. Leave the field out.", param=name, code="unsupported_parameter"
            )


def unknown_names(document: Mapping[str, Any], model: type[BaseModel]) -> list[str]:
    """Names that neither the wire model nor the table above knows, in the order sent."""
    known = model.model_fields
    return [name for name in document if name not in known and name not in _HARMFUL]


def warning_headers(names: list[str]) -> dict[str, str]:
    """The warning header, or nothing when no name was ignored."""
    if not names:
        return {}
    shown = [_UNSAFE.sub("?", name[:MAX_NAME_CHARS]) or "?" for name in names[:MAX_NAMES]]
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return {WARNING_HEADER: f"ignored unknown fields: {', '.join(shown)}{more}"}
