"""`Answer`: the pieces of an answer -> the output of a response, and the events that tell of it.

One reading for both ways: a whole answer is the last event's response. Pieces become items in the order they come: a
thought, a message, calls. Knows nothing of HTTP or of where the pieces come from.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec

from flashweb.api.answers import TokenText, boxes_out, logprobs_out
from flashweb.api.error_handlers import error_body
from flashweb.api.responses.items import new_id
from flashweb.errors import InvalidRequest
from flashweb.types import Delta, FinishReason, TokenLogprob, ToolCallPiece, Usage

Event = dict[str, Any]
_encode = msgspec.json.encode
# The words that OpenAI's type knows; everything else of ours is one of two.
_ERROR_CODES = frozenset({"invalid_image", "invalid_image_url", "image_too_large", "failed_to_download_image"})


def frame(event: Event) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _encode(event))


def response_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": 0,
            "image_tokens": usage.image_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def response_error(error: Exception) -> dict[str, Any]:
    """Of a response that failed; what is not ours is worded neutrally, and logged."""
    told = error_body(error)["error"]
    code = told["code"]
    if code not in _ERROR_CODES:
        code = "invalid_prompt" if isinstance(error, InvalidRequest) else "server_error"
    return {"code": code, "message": told["message"]}


class Answer:
    """`body` is the response before its answer; it is changed as that comes. `show_summary`: the thought is told as
    its own summary. `quiet`: nobody wants the events on the way, only the body. `number`: of the first event."""

    def __init__(
        self,
        body: dict[str, Any],
        text_of: TokenText,
        *,
        logprobs: bool,
        show_summary: bool,
        quiet: bool = False,
        number: int = 0,
    ) -> None:
        self.body = body
        self._text_of = text_of
        self._logprobs = logprobs
        self._show_summary = show_summary
        thought = "reasoning_summary_text" if show_summary else "reasoning_text"
        self._growths = {"message": "output_text", "function_call": "function_call_arguments", "reasoning": thought}
        self._quiet = quiet
        self._number = number
        self._events: list[Event] = []
        self._item: dict[str, Any] | None = None  # the one that grows
        self._growth = ""  # what its growth is called in events
        self._where: dict[str, Any] = {}  # its place in the answer, for events
        self._pieces: list[str] = []  # its text
        self._entries: list[dict[str, Any]] = []  # its log probabilities
        self._call = -1

    def take(self) -> list[Event]:
        """The events since the last time."""
        events, self._events = self._events, []
        return events

    def begin(self) -> None:
        """A response that was queued tells so first."""
        self._tell_response("created")
        if self.body["status"] == "queued":
            self._tell_response("queued")
            self.body["status"] = "in_progress"
        self._tell_response("in_progress")

    def add(self, delta: Delta) -> None:
        if delta.reasoning:
            self._open("reasoning")
            self._grow(delta.reasoning)
        if delta.text:
            self._open("message")
            self._grow(delta.text, delta.logprobs)
        for piece in delta.tool_calls:
            self._add_call(piece)
        if delta.finish is not None:
            self._finish(delta)

    def end(self) -> None:
        """Once the last piece was added, and whatever else belongs to the end is done."""
        self._tell_response(self.body["status"])

    def fail(self, error: Exception) -> None:
        """In place of the end."""
        self._close("incomplete")
        self.body.update(status="failed", error=response_error(error), completed_at=None)
        self._tell_response("failed")

    # --- items --------------------------------------------------------------------------------------------------------

    def _open(self, type: str, **more: Any) -> None:
        if self._item is not None and self._item["type"] == type and not more:
            return
        self._close("completed")
        own: dict[str, Any]
        match type:
            case "reasoning":
                own = {"summary": []} if self._show_summary else {"summary": [], "content": []}
            case "message":
                own = {"role": "assistant", "content": []}
            case _:
                own = {"arguments": "", **more}
        self._item = {"id": new_id(type), "type": type, "status": "in_progress", **own}
        self._pieces, self._entries = [], []
        self.body["output"].append(self._item)
        self._growth = self._growths[type]
        place = {"reasoning_summary_text": {"summary_index": 0}, "function_call_arguments": {}}
        self._where = {"item_id": self._item["id"], "output_index": self._index}
        self._where |= place.get(self._growth, {"content_index": 0})
        self._tell("output_item.added", output_index=self._index, item=dict(self._item))
        if type != "function_call":
            self._tell_part("added", "")

    def _grow(self, text: str, logprobs: Iterable[TokenLogprob] = ()) -> None:
        self._pieces.append(text)
        new = logprobs_out(logprobs, self._text_of)["content"] if self._logprobs else []
        self._entries += new
        if not self._quiet:
            more = {"logprobs": new} if self._growth == "output_text" else {}
            self._tell(self._growth + ".delta", **self._where, delta=text, **more)

    def _add_call(self, piece: ToolCallPiece) -> None:
        if piece.index != self._call:
            self._call = piece.index
            self._open("function_call", call_id=piece.id, name=piece.name)
        if piece.arguments:
            self._grow(piece.arguments)

    def _close(self, status: str) -> None:
        item = self._item
        if item is None:
            return
        text = "".join(self._pieces)
        match item["type"]:
            case "message":
                item["content"] = [self._text_part(text)]
                self._tell("output_text.done", **self._where, text=text, logprobs=self._entries)
            case "function_call":
                item["arguments"] = text
                self._tell("function_call_arguments.done", **self._where, arguments=text, name=item["name"])
            case _:
                field, kind = ("summary", "summary_text") if self._show_summary else ("content", "reasoning_text")
                item[field] = [{"type": kind, "text": text}]
                self._tell(self._growth + ".done", **self._where, text=text)
        if item["type"] != "function_call":
            self._tell_part("done", text)
        item["status"] = status
        self._tell("output_item.done", output_index=self._index, item=dict(item))
        self._item = None

    def _finish(self, delta: Delta) -> None:
        assert delta.usage is not None
        whole = delta.finish is not FinishReason.LENGTH
        if not self.body["output"]:
            self._open("message")  # an answer without a word is one, too
        status = "completed" if whole else "incomplete"
        if delta.boxes:
            message = next((item for item in reversed(self.body["output"]) if item["type"] == "message"), None)
            if message is not None:
                message["boxes"] = boxes_out(delta.boxes)
        self._close(status)
        self.body.update(status=status, usage=response_usage(delta.usage))
        if whole:
            self.body["completed_at"] = int(time.time())
        else:
            self.body["incomplete_details"] = {"reason": "max_output_tokens"}

    # --- events -------------------------------------------------------------------------------------------------------

    @property
    def _index(self) -> int:
        return len(self.body["output"]) - 1

    def _tell_part(self, what: str, text: str) -> None:
        match self._growth:
            case "output_text":
                self._tell(f"content_part.{what}", **self._where, part=self._text_part(text))
            case "reasoning_text":
                self._tell(f"content_part.{what}", **self._where, part={"type": "reasoning_text", "text": text})
            case _:
                part = {"type": "summary_text", "text": text}
                self._tell(f"reasoning_summary_part.{what}", **self._where, part=part)

    def _text_part(self, text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(self._entries)}

    def _tell_response(self, what: str) -> None:
        output = [dict(item) for item in self.body["output"]]
        self._tell(what, response={**self.body, "output": output})

    def _tell(self, type: str, **fields: Any) -> None:
        if not self._quiet:
            self._events.append({"type": f"response.{type}", "sequence_number": self._number, **fields})
            self._number += 1
