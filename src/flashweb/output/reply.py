"""`ReplySplitter`: safe text -> thinking and answer. The mirror of what the chat template writes into a prompt.

With thinking off everything is answer. With thinking on the model begins with `<think>`, which it sometimes leaves
out, so text counts as thinking until `</think>`. Knows nothing of tokens: the stream must keep both tags
(`TextStream(keep_control=THINK_TAGS)`).
"""

from __future__ import annotations

from typing import NamedTuple

THINK_TAGS = ("<think>", "</think>")


class ReplyText(NamedTuple):
    """New text since the last call."""

    reasoning: str = ""
    content: str = ""


class ReplySplitter:
    """Splits one answer. White space around both parts, which belongs to the format, is dropped."""

    def __init__(self, *, thinking: bool) -> None:
        self._thinking = thinking  # still before </think>
        self._opened = False  # the opening tag, or other text, has been seen
        self._trim = thinking  # drop white space until the next visible character
        self._held = ""

    def feed(self, text: str) -> ReplyText:
        if not self._thinking:
            return ReplyText(content=self._trimmed(text))
        held = self._held + text
        opening, closing = THINK_TAGS
        if not self._opened:
            held = held.lstrip()
            if held != opening and opening.startswith(held):  # also when nothing visible has come
                self._held = held
                return ReplyText()
            self._opened = True
            held = held.removeprefix(opening)
        reasoning, tag, content = held.partition(closing)
        if tag:
            self._thinking = False
            self._held = ""
            reasoning = self._trimmed(reasoning.rstrip())
            self._trim = True
            return ReplyText(reasoning, self._trimmed(content))
        safe = len(held.rstrip()) if (cut := _partial_suffix(held, closing)) == 0 else len(held[:-cut].rstrip())
        self._held = held[safe:]
        return ReplyText(reasoning=self._trimmed(held[:safe]))

    def flush(self) -> ReplyText:
        """What was held back, at the end of the answer."""
        held, self._held = self._held, ""
        return ReplyText(reasoning=self._trimmed(held)) if self._thinking else ReplyText(content=held)

    def _trimmed(self, text: str) -> str:
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        return text


def _partial_suffix(text: str, tag: str) -> int:
    """Length of the longest proper prefix of `tag` that ends `text`."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0)
