"""Deltas -> OpenAI's answer: usage, log probabilities, choices.

Built as plain dicts (their shape is documented in `schemas.py` and tested against it), because this runs once per
token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from flashweb.types import Delta, TokenLogprob, Usage

TokenText = Callable[[int], tuple[str, bytes]]


def usage_out(usage: Usage) -> dict[str, Any]:
    prompt: dict[str, Any] = {"cached_tokens": usage.cached_tokens, "image_tokens": usage.image_tokens}
    if usage.images:
        prompt["images"] = [asdict(image) for image in usage.images]
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def add_usages(usages: Iterable[Usage]) -> Usage:
    """Of several choices over one prompt: the prompt counts once, the answers all."""
    usages = list(usages)
    return Usage(
        prompt_tokens=max((u.prompt_tokens for u in usages), default=0),
        completion_tokens=sum(u.completion_tokens for u in usages),
        cached_tokens=max((u.cached_tokens for u in usages), default=0),
        image_tokens=max((u.image_tokens for u in usages), default=0),
        reasoning_tokens=sum(u.reasoning_tokens for u in usages),
        images=next((u.images for u in usages if u.images), ()),
    )


def logprobs_out(entries: Iterable[TokenLogprob], text_of: TokenText) -> dict[str, Any]:
    content = []
    for entry in entries:
        top = [_logprob(token_id, logprob, text_of) for token_id, logprob in entry.top]
        content.append({**_logprob(entry.token_id, entry.logprob, text_of), "top_logprobs": top})
    return {"content": content, "refusal": None}


def _logprob(token_id: int, logprob: float, text_of: TokenText) -> dict[str, Any]:
    text, raw = text_of(token_id)
    # JSON has no -inf; -9999 is what the field's other servers write for "never".
    return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(raw)}


def delta_out(delta: Delta) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if delta.reasoning:
        out["reasoning_content"] = delta.reasoning
    if delta.text:
        out["content"] = delta.text
    return out


class Collector:
    """Deltas of a whole answer, gathered into OpenAI's `choices` and `usage`."""

    def __init__(self, n: int, *, logprobs: bool, text_of: TokenText) -> None:
        self._deltas: list[list[Delta]] = [[] for _ in range(n)]
        self._logprobs = logprobs
        self._text_of = text_of

    def add(self, index: int, delta: Delta) -> None:
        self._deltas[index].append(delta)

    @property
    def usage(self) -> Usage:
        return add_usages(delta.usage for deltas in self._deltas for delta in deltas if delta.usage is not None)

    def choices(self) -> list[dict[str, Any]]:
        return [self._choice(index, deltas) for index, deltas in enumerate(self._deltas)]

    def _choice(self, index: int, deltas: list[Delta]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(d.text for d in deltas), "refusal": None}
        reasoning = "".join(d.reasoning for d in deltas)
        if reasoning:
            message["reasoning_content"] = reasoning
        entries = [entry for delta in deltas for entry in delta.logprobs]
        return {
            "index": index,
            "message": message,
            "logprobs": logprobs_out(entries, self._text_of) if self._logprobs else None,
            "finish_reason": deltas[-1].finish,
        }
