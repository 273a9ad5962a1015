"""Deltas -> an answer of Anthropic's Messages API: content blocks, whole or as the events of a stream.

A whole answer is what a client would put together from the stream's events, so the two cannot differ.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from itertools import takewhile
from typing import Any

import msgspec

from flashweb.api.chat import Dialect, Job, gather, note_usage
from flashweb.api.sse import named_event
from flashweb.pipeline import Pipeline
from flashweb.types import Delta, FinishReason, ToolCallPiece, Usage

PING = named_event({"type": "ping"})


class Blocks:
    """The content blocks of one answer, as events, in the order in which the model wrote them.

    `show_thinking` False: a thought is an empty block, which only says that there was one.
    """

    def __init__(self, *, show_thinking: bool = True) -> None:
        self._show_thinking = show_thinking
        self._open = ""  # the type of the block that has begun
        self._num_begun = 0
        self._thought = ""

    def feed(self, delta: Delta) -> list[dict[str, Any]]:
        """The events that a piece of the answer is; the last piece closes the last block."""
        events: list[dict[str, Any]] = []
        # What is left of a call that has begun before precedes what is said behind it.
        rest = tuple(takewhile(lambda piece: not piece.id, delta.tool_calls))
        self._add_arguments(events, rest)
        if delta.reasoning:
            self._enter(events, {"type": "thinking", "thinking": "", "signature": ""})
            self._thought += delta.reasoning
            if self._show_thinking:
                self._add(events, {"type": "thinking_delta", "thinking": delta.reasoning})
        if delta.text:
            self._enter(events, {"type": "text", "text": ""})
            self._add(events, {"type": "text_delta", "text": delta.text})
        for piece in delta.tool_calls[len(rest) :]:
            if piece.id:
                self._close(events)
                self._enter(events, {"type": "tool_use", "id": piece.id, "name": piece.name, "input": {}})
            self._add_arguments(events, [piece])
        if delta.finish is not None:
            self._close(events)
        return events

    def _add_arguments(self, events: list[dict[str, Any]], pieces: Iterable[ToolCallPiece]) -> None:
        for piece in pieces:
            if piece.arguments:
                assert self._open == "tool_use", "a call's first piece has its id"
                self._add(events, {"type": "input_json_delta", "partial_json": piece.arguments})

    def _enter(self, events: list[dict[str, Any]], block: dict[str, Any]) -> None:
        if self._open == block["type"]:
            return
        self._close(events)
        events.append({"type": "content_block_start", "index": self._num_begun, "content_block": block})
        self._open = block["type"]
        self._num_begun += 1

    def _add(self, events: list[dict[str, Any]], delta: dict[str, Any]) -> None:
        events.append({"type": "content_block_delta", "index": self._num_begun - 1, "delta": delta})

    def _close(self, events: list[dict[str, Any]]) -> None:
        if not self._open:
            return
        if self._open == "thinking":
            self._add(events, {"type": "signature_delta", "signature": _signature(self._thought)})
            self._thought = ""
        events.append({"type": "content_block_stop", "index": self._num_begun - 1})
        self._open = ""


def _signature(thought: str) -> str:
    """A digest: clients send it back with the thought, and nobody here needs to check it."""
    return base64.b64encode(hashlib.blake2b(thought.encode(), digest_size=24).digest()).decode()


def content_of(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks that a stream's events add up to. A call that was cut off is left out: half of one must not run."""
    content: list[dict[str, Any]] = []
    arguments = ""
    for event in events:
        if event["type"] == "content_block_start":
            content.append(dict(event["content_block"]))
            arguments = ""
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            if delta["type"] == "input_json_delta":
                arguments += delta["partial_json"]
            else:
                name = delta["type"].removesuffix("_delta")
                content[-1][name] += delta[name]
        elif content[-1]["type"] == "tool_use":
            try:
                content[-1]["input"] = msgspec.json.decode(arguments)
            except msgspec.DecodeError:
                content.pop()
    return content


def usage_out(usage: Usage) -> dict[str, Any]:
    """Anthropic counts what the cache answered apart from the other tokens of the prompt."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }


def stop_of(last: Delta, job: Job) -> dict[str, Any]:
    """Why the answer ended, from its last piece."""
    assert last.usage is not None, "the last piece carries it"
    match last.finish:
        case FinishReason.TOOL_CALLS:
            reason = "tool_use"
        case FinishReason.LENGTH:
            cut = last.usage.completion_tokens >= job.params.max_tokens
            reason = "max_tokens" if cut else "model_context_window_exceeded"
        case _:
            reason = "end_turn" if last.stop is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": last.stop if reason == "stop_sequence" else None}


def _message(job: Job, content: list[dict[str, Any]], stop: dict[str, Any], usage: Usage) -> dict[str, Any]:
    return {
        "id": job.id,
        "type": "message",
        "role": "assistant",
        "model": job.model,
        "content": content,
        **stop,
        "usage": {**usage_out(usage), "service_tier": "standard"},
    }


async def _whole(pipeline: Pipeline, job: Job, log_fields: dict[str, Any]) -> dict[str, Any]:
    deltas = (await gather(pipeline, job, log_fields)).deltas(0)
    blocks = Blocks(show_thinking=job.form.reasoning)
    content = content_of(event for delta in deltas for event in blocks.feed(delta))
    last = deltas[-1]
    assert last.usage is not None, "the last piece carries it"
    return _message(job, content, stop_of(last, job), last.usage)


async def _events(pipeline: Pipeline, job: Job, log_fields: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    """message_start once there is something to say, a ping, the blocks as they come, message_delta, message_stop."""
    blocks = Blocks(show_thinking=job.form.reasoning)
    begun = time.perf_counter()
    # With the usage on every piece: the first event tells what the prompt was.
    answering = pipeline.stream(job.chat, job.params, 1, job.ticket, running_usage=True)
    head = b""
    async with aclosing(answering) as pieces:
        async for _, delta in pieces:
            assert delta.usage is not None, "asked for"
            if not head:
                log_fields["ttft_ms"] = round((time.perf_counter() - begun) * 1000, 1)
                start = _message(job, [], {"stop_reason": None, "stop_sequence": None}, delta.usage)
                head = named_event({"type": "message_start", "message": start}) + PING
                yield head
            if news := b"".join(map(named_event, blocks.feed(delta))):
                yield news
            if delta.finish is not None:
                note_usage(log_fields, delta.usage)
                ending = {"type": "message_delta", "delta": stop_of(delta, job), "usage": usage_out(delta.usage)}
                yield named_event(ending) + named_event({"type": "message_stop"})
                return


ANTHROPIC = Dialect(_whole, _events, keep_alive=PING)
