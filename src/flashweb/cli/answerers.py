"""Who answers a chat: a running server, or an engine of our own that lives as long as the command.

Both take the same `Chat` and give the same `Delta`s, so that `chat` and `eval` need not know which one it is.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from flashweb.cli.client import ChatServer, chat_body
from flashweb.cli.target import target_key, target_url
from flashweb.progress import ENGINE_STAGES, StageBars
from flashweb.settings import Settings, load_settings
from flashweb.types import Chat, Delta, FinishReason, SamplingParams, ToolCallPiece, Usage

# The API's own defaults and ranges, which commands may not import; a test holds them together.
DEFAULT_MAX_TOKENS = 512
DEFAULT_MAX_TOKENS_THINKING = 4096  # also with tools
RANGES: dict[str, tuple[float, float]] = {
    "max_tokens": (1, 1 << 20),
    "temperature": (0, 2),
    "seed": (-(1 << 63), (1 << 63) - 1),
}


def whole_number(name: str) -> Callable[[str], int]:
    """For argparse: reads a whole number within RANGES[name]."""

    def read(text: str) -> int:
        try:
            return int(_within(name, int(text), text))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None

    return read


def number(name: str) -> Callable[[str], float]:
    """For argparse: reads a number within RANGES[name]."""

    def read(text: str) -> float:
        try:
            return _within(name, float(text), text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no number") from None

    return read


def _within(name: str, value: float, text: str) -> float:
    least, most = RANGES[name]
    if not least <= value <= most:  # also for NaN
        raise argparse.ArgumentTypeError(f"{text} is out of range; give {least} to {most}")
    return value


@dataclass(frozen=True, slots=True)
class Options:
    """How to answer; None leaves it to the server or the checkpoint."""

    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None


class Answerer(Protocol):
    @property
    def name(self) -> str:
        """Who answers, in words for the person at the keyboard."""

    def answer(self, chat: Chat, options: Options) -> AsyncGenerator[Delta, None]:
        """The answer as it comes; closing the iterator stops it. Raises FlashwebError."""


class ServerAnswerer:
    """A server that speaks OpenAI's chat completions."""

    def __init__(self, server: ChatServer, model: str) -> None:
        self._server, self._model = server, model

    @property
    def name(self) -> str:
        return f"{self._model} at {self._server.url}"

    async def answer(self, chat: Chat, options: Options) -> AsyncGenerator[Delta, None]:
        given = {"max_tokens": options.max_tokens, "temperature": options.temperature, "seed": options.seed}
        body = chat_body(chat) | {key: value for key, value in given.items() if value is not None}
        body |= {"model": self._model, "stream_options": {"include_usage": True}}
        async with aclosing(self._server.stream(body)) as chunks:
            async for chunk in chunks:
                yield _delta(chunk)


def _delta(chunk: dict[str, Any]) -> Delta:
    choice = (chunk.get("choices") or [{}])[0]
    delta, usage = choice.get("delta") or {}, chunk.get("usage")
    reason = choice.get("finish_reason")
    return Delta(
        text=delta.get("content") or "",
        reasoning=delta.get("reasoning_content") or "",
        tool_calls=tuple(_call_piece(piece) for piece in delta.get("tool_calls") or ()),
        finish=FinishReason(reason) if reason in set(FinishReason) else None,
        usage=_usage(usage) if usage else None,
    )


def _call_piece(piece: dict[str, Any]) -> ToolCallPiece:
    function = piece.get("function") or {}
    id, name, arguments = piece.get("id") or "", function.get("name") or "", function.get("arguments") or ""
    return ToolCallPiece(int(piece.get("index") or 0), id, name, arguments)


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
        int(details.get("cached_tokens") or 0),
        int(details.get("image_tokens") or 0),
    )


class EngineAnswerer:
    """The server's own pipeline without HTTP in front of it."""

    def __init__(self, pipeline: Any, model: str) -> None:
        self._pipeline, self._model = pipeline, model

    @property
    def name(self) -> str:
        return f"{self._model}, in an engine of this command"

    async def answer(self, chat: Chat, options: Options) -> AsyncGenerator[Delta, None]:
        defaults = self._pipeline.generation_defaults
        params = {
            name: value
            for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
            if (value := defaults.get(name)) is not None
        }
        if params.get("top_k") == -1:  # off, in the words of some checkpoints
            params["top_k"] = 0
        if options.temperature is not None:
            params["temperature"] = options.temperature
        default = DEFAULT_MAX_TOKENS_THINKING if chat.enable_thinking or chat.tools else DEFAULT_MAX_TOKENS
        limit = default if options.max_tokens is None else options.max_tokens
        sampling = SamplingParams(max_tokens=limit, seed=options.seed, **params)
        async with aclosing(self._pipeline.stream(chat, sampling)) as pieces:
            async for _, delta in pieces:
                yield delta


@asynccontextmanager
async def answerer(args: argparse.Namespace, *, own: bool = False) -> AsyncIterator[Answerer]:
    """The server at --url; else one of ours that runs on this machine; else (or with `own`) an engine of our own."""
    if not own:
        async with ChatServer(target_url(args), key=target_key(args)) as server:
            if args.url or "model_loaded" in (await server.health() or {}):
                yield ServerAnswerer(server, args.model or (await server.models())[0])
                return
    given = {"model.model": args.model} if args.model else {}
    async with own_engine(load_settings(given).settings) as engine:
        yield engine


@asynccontextmanager
async def own_engine(settings: Settings) -> AsyncIterator[EngineAnswerer]:
    """Start the pipeline and its engine process, show the progress, stop both at the end."""
    async with own_pipeline(settings) as (pipeline, names):
        yield EngineAnswerer(pipeline, names.own)


@asynccontextmanager
async def own_pipeline(settings: Settings) -> AsyncIterator[tuple[Any, Any]]:
    """The pipeline that answers, and the names of its model."""
    from flashweb.serve import build_pipeline  # the heavy half: only when there is no server to ask

    logging.getLogger("flashweb").setLevel(logging.ERROR)  # people read this output
    pipeline, names = build_pipeline(settings)
    try:
        await pipeline.start()
        await _watch(pipeline)
        yield pipeline, names
    finally:
        await pipeline.stop()


async def _watch(pipeline: Any) -> None:
    """Wait until the pipeline can answer, with a bar on a terminal. Raises what kept it from starting."""
    ready = asyncio.create_task(pipeline.wait_ready())
    bars = StageBars(ENGINE_STAGES)
    try:
        while not ready.done():
            await asyncio.wait({ready}, timeout=0.1)
            if sys.stderr.isatty():
                bars.show(pipeline.engine.state.stage, pipeline.engine.state.progress)
    finally:
        bars.clear()
        ready.cancel()
    await ready
