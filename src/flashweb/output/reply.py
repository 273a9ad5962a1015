"""`ReplySplitter`: the marked text of an answer -> thinking, answer and tool calls. The mirror of what the chat
template writes into a prompt.

With thinking off there is no thought. With thinking on the model begins with `<think>`, which it sometimes leaves
out, so text counts as thinking until `</think>`, or until a tool call, which a thought cannot contain. Knows nothing of
tokens: the stream must mark the tags (see `tags.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flashweb.output import tags
from flashweb.output.calls import CallReader
from flashweb.types import ToolCallPiece


class ReplyText(NamedTuple):
    """What is new since the last call."""

    reasoning: str = ""
    content: str = ""
    calls: tuple[ToolCallPiece, ...] = ()


class ReplySplitter:
    """Splits one answer. White space around its parts, which belongs to the format, is dropped.

    `tools`: OpenAI's tool objects the model was told of; without any, nothing is a call. What follows the end of call
    number `max_calls` is nobody's.
    """

    def __init__(
        self, *, thinking: bool, tools: Sequence[Mapping[str, Any]] = (), max_calls: int | None = None
    ) -> None:
        self._thinking = thinking  # still before </think>
        self._calls = CallReader(tools) if tools else None
        self._max_calls = max_calls
        self._plain = not thinking and not tools
        self._trim = thinking  # drop white space until the next visible character
        self._held = ""  # white space that is dropped if a tag follows

    @property
    def is_over(self) -> bool:
        """Whether as many calls have come as there may be."""
        return self._calls is not None and self._calls.num_complete == self._max_calls

    @property
    def calls_are_complete(self) -> bool:
        """Whether there are tool calls and all of them have come to their end."""
        calls = self._calls
        return calls is not None and not calls.inside and 0 < calls.num_begun == calls.num_complete

    def feed(self, text: str) -> ReplyText:
        if self._plain:
            return ReplyText(content=text)
        reasoning, content = "", ""
        for piece in tags.pieces(text):
            if self.is_over:
                break
            name = tags.NAME_OF.get(piece)
            if name is not None:
                self._read_tag(name)
            elif self._calls is not None and self._calls.inside:
                self._calls.read_text(piece)
            elif self._thinking:
                reasoning += self._visible(piece, hold=True)
            else:
                content += self._visible(piece, hold=self._calls is not None)
        return ReplyText(reasoning, content, self._calls.take() if self._calls is not None else ())

    def flush(self, *, ended: bool = True) -> ReplyText:
        """What was held back, at the end of the answer. `ended`: by the model, not by a limit or a stop text, so that a
        call which only lacks its closing tag may count as complete."""
        held, self._held = self._held, ""
        calls: tuple[ToolCallPiece, ...] = ()
        if self._calls is not None and ended:
            self._calls.end()
            calls = self._calls.take()
        return ReplyText(reasoning=held) if self._thinking else ReplyText(content=held, calls=calls)

    def _read_tag(self, name: str) -> None:
        calls = self._calls
        if calls is not None and name == tags.CALL:
            self._thinking, self._held = False, ""
            calls.begin()
        elif calls is not None and calls.inside:
            calls.read_tag(name)
            self._trim = True  # what stands between calls, and behind the last one, begins with a line break
        elif self._thinking and name == tags.END_THINK:
            self._thinking, self._held, self._trim = False, "", True
        # Any other tag has no business here, and is no text either.

    def _visible(self, text: str, *, hold: bool) -> str:
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        text = self._held + text
        shown = text.rstrip() if hold else text
        self._held = text[len(shown) :]
        return shown
