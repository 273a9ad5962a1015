"""Deltas -> OpenAI's answer: usage, log probabilities, choices.

Built as plain dicts (their shape is documented in `schemas/chat_answers.py` and tested against it), because this runs
once per token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from flashweb.types import Box, Delta, FinishReason, TokenLogprob, ToolCallPiece, Usage

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
    if len(usages) < 2:
        return usages[0] if usages else Usage(0, 0)
    return Usage(
        prompt_tokens=max(u.prompt_tokens for u in usages),
        completion_tokens=sum(u.completion_tokens for u in usages),
        cached_tokens=max(u.cached_tokens for u in usages),
        image_tokens=max(u.image_tokens for u in usages),
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


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What of an answer a request wants to see, and in which of OpenAI's forms."""

    reasoning: bool = True
    functions: bool = False  # `function_call`, the older form of tool calls

    def finish(self, reason: FinishReason) -> str:
        return "function_call" if self.functions and reason is FinishReason.TOOL_CALLS else reason


def delta_out(delta: Delta, form: AnswerForm) -> dict[str, Any]:
    """What is new, without boxes: they go with the end."""
    out: dict[str, Any] = {}
    if delta.reasoning and form.reasoning:
        out["reasoning_content"] = out["reasoning"] = delta.reasoning
    if delta.text:
        out["content"] = delta.text
    if delta.tool_calls and form.functions:
        out["function_call"] = _piece_out(delta.tool_calls)
    elif delta.tool_calls:
        by_index = groupby(delta.tool_calls, key=lambda piece: piece.index)
        out["tool_calls"] = [_call_piece_out(index, tuple(pieces)) for index, pieces in by_index]
    return out


def _call_piece_out(index: int, pieces: Sequence[ToolCallPiece]) -> dict[str, Any]:
    head = {"id": pieces[0].id, "type": "function"} if pieces[0].id else {}
    return {"index": index, **head, "function": _piece_out(pieces)}


def _piece_out(pieces: Sequence[ToolCallPiece]) -> dict[str, Any]:
    """Pieces of one call as one; a first piece, and no other, has the name."""
    name = {"name": pieces[0].name} if pieces[0].name else {}
    return {**name, "arguments": "".join(piece.arguments for piece in pieces)}


def boxes_out(boxes: Iterable[Box]) -> list[dict[str, Any]]:
    return [{"image": box.image, "box": list(box.corners), "pixels": list(box.pixels)} for box in boxes]


class Collector:
    """Deltas of a whole answer, gathered into OpenAI's `choices` and `usage`."""

    def __init__(self, n: int, *, logprobs: bool, text_of: TokenText, form: AnswerForm) -> None:
        self._deltas: list[list[Delta]] = [[] for _ in range(n)]
        self._logprobs = logprobs
        self._text_of = text_of
        self._form = form

    def add(self, index: int, delta: Delta) -> None:
        self._deltas[index].append(delta)

    def deltas(self, index: int) -> Sequence[Delta]:
        """What has come of one choice, for dialects that write their own."""
        return self._deltas[index]

    @property
    def usage(self) -> Usage:
        return add_usages(delta.usage for deltas in self._deltas for delta in deltas if delta.usage is not None)

    def choices(self) -> list[dict[str, Any]]:
        return [self._choice(index, deltas) for index, deltas in enumerate(self._deltas)]

    def _choice(self, index: int, deltas: list[Delta]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(d.text for d in deltas), "refusal": None}
        reasoning = "".join(d.reasoning for d in deltas)
        if reasoning and self._form.reasoning:
            message["reasoning_content"] = message["reasoning"] = reasoning
        self._add_calls(message, [piece for delta in deltas for piece in delta.tool_calls])
        if deltas[-1].boxes:
            message["boxes"] = boxes_out(deltas[-1].boxes)
        entries = [entry for delta in deltas for entry in delta.logprobs]
        finish = deltas[-1].finish
        return {
            "index": index,
            "message": message,
            "logprobs": logprobs_out(entries, self._text_of) if self._logprobs else None,
            "finish_reason": finish and self._form.finish(finish),
        }

    def _add_calls(self, message: dict[str, Any], pieces: list[ToolCallPiece]) -> None:
        if not pieces:
            return
        message["content"] = message["content"] or None
        calls = [
            {"id": own[0].id, "type": "function", "function": _piece_out(own)}
            for own in (tuple(group) for _, group in groupby(pieces, key=lambda piece: piece.index))
        ]
        if self._form.functions:
            message["function_call"] = calls[0]["function"]
        else:
            message["tool_calls"] = calls
