"""`POST /v1/completions`, OpenAI's older endpoint: the model goes on with a text as it stands, without a chat template.

A thin adapter: a prompt becomes tokens, and the tokens a `Chat` that holds nothing else; parameters are a chat's.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from flashweb.api.answers import Collector, add_usages, usage_out
from flashweb.api.chat import Dialect, Job, make_job, note_usage, read_json_body, respond
from flashweb.api.legacy_logprobs import LegacyLogprobs
from flashweb.api.openapi import json_body, json_or_stream
from flashweb.api.parse import parse_document, read_document, validated
from flashweb.api.schemas.chat import ChatRequest
from flashweb.api.schemas.completions import TextCompletion, TextCompletionChunk, TextCompletionRequest
from flashweb.api.sse import DONE, event
from flashweb.api.unknown_fields import refuse_harmful, unknown_names, warning_headers
from flashweb.errors import ContextLengthExceeded, InvalidRequest
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline, Ticket
from flashweb.settings import Settings
from flashweb.types import Chat, Delta, Usage

PATH = "/v1/completions"
# Of one request's prompts so many are worked on side by side; each holds n places.
PROMPTS_AT_ONCE = 8
# A chat's fields that mean nothing without messages, or mean something else here.
_NOT_HERE = frozenset({
    "messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "logprobs", "top_logprobs",
    "enhance", "mm_processor_kwargs", "chat_template_kwargs", "thinking", "thinking_token_budget", "thinking_budget",
    "include_reasoning", "reasoning_effort", "add_generation_prompt", "continue_final_message",
})  # fmt: skip
_TAKEN = frozenset(ChatRequest.model_fields) - _NOT_HERE


@dataclass(frozen=True, slots=True)
class _Prompts:
    """What one request asks: a chat of tokens for each prompt, and the text that `echo` repeats of it; the tickets to
    work with, one for each prompt that is worked on at the same time."""

    chats: Sequence[Chat]
    echoes: Sequence[str]
    tickets: Sequence[Ticket]


def completions_router(pipeline: Pipeline, names: ModelNames, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["chat"])

    @router.post(
        PATH,
        operation_id="createCompletion",
        summary="Go on with a text, without a chat template",
        openapi_extra=json_body(TextCompletionRequest),
        responses=json_or_stream(TextCompletion, TextCompletionChunk),
        response_class=Response,
    )
    async def create_completion(request: Request) -> Response:
        """One prompt or several, as texts or as token ids; the answers come whole or, with `stream: true`, as
        server-sent events that end with `data: [DONE]`."""
        with ExitStack() as place:
            ticket = place.enter_context(pipeline.admit())
            document = read_document(await read_json_body(request))
            refuse_harmful({name: value for name, value in document.items() if name != "echo"})
            wire = validated(document, TextCompletionRequest)
            unknown = [name for name in unknown_names(document, TextCompletionRequest) if name not in _TAKEN]
            _refuse(wire)
            job = make_job(_chat_request(wire), names, settings, pipeline, ticket)
            job = replace(job, id=f"cmpl-{secrets.token_hex(12)}", object="text_completion")
            prompts = await _tokens(wire, pipeline)
            _check_fit(prompts, job, pipeline.engine.state.max_model_len)
            more = [place.enter_context(pipeline.admit(job.n)) for _ in prompts[1:PROMPTS_AT_ONCE]]
            echoes = [_echo(wire, at, ids, job, pipeline) for at, ids in enumerate(prompts)]
            chats = [Chat((), token_ids=tuple(ids)) for ids in prompts]
            asked = _Prompts(chats, echoes, [ticket, *more])
            return await respond(request, pipeline, names, settings, job, place, warning_headers(unknown), _text(asked))

    return router


# --- the request --------------------------------------------------------------------------------------------------


def _refuse(wire: TextCompletionRequest) -> None:
    if wire.suffix:
        raise InvalidRequest(
            "suffix is not offered: the model goes on with a text and cannot fill one in. Leave it out.",
            param="suffix",
            code="unsupported_parameter",
        )
    if wire.echo and wire.logprobs is not None:
        raise InvalidRequest(
            "echo together with logprobs is not offered: log probabilities of the prompt are not computed. Leave one "
            "of them out.",
            param="logprobs",
            code="unsupported_parameter",
        )


def _chat_request(wire: TextCompletionRequest) -> ChatRequest:
    """The parameters as a chat has them; its one message is replaced by the prompts."""
    given = wire.model_dump(exclude_unset=True, exclude={"prompt"})
    document = {name: value for name, value in given.items() if name in _TAKEN}
    if wire.logprobs is not None:
        document |= {"logprobs": True, "top_logprobs": wire.logprobs}
    return parse_document({**document, "messages": [{"role": "user", "content": ""}]}, ChatRequest)


async def _tokens(wire: TextCompletionRequest, pipeline: Pipeline) -> list[list[int]]:
    """Each prompt as tokens. Raises InvalidRequest and ContextLengthExceeded."""
    prompt: Any = wire.prompt
    several = isinstance(prompt, list) and not isinstance(prompt[0], int)
    prefix = wire.add_special_tokens is not False
    found: list[list[int]] = []
    for at, one in enumerate(prompt if several else [prompt]):
        where = f"prompt[{at}]" if several else "prompt"
        ids = await pipeline.tokenize(one, prefix=prefix) if isinstance(one, str) else one
        if not ids:
            raise InvalidRequest(f"{where} is empty; give the model something to go on with.", param=where)
        _check_ids(ids, where, pipeline)
        found.append(ids)
    return found


def _check_ids(ids: Sequence[int], where: str, pipeline: Pipeline) -> None:
    if max(ids) >= pipeline.num_tokens:
        raise InvalidRequest(
            f"{where}: there is no token {max(ids)}; ids are below {pipeline.num_tokens}.", param=where
        )
    if pipeline.processor.image_token_id in ids:
        raise InvalidRequest(
            f"{where}: token {pipeline.processor.image_token_id} stands for a part of a picture, and pictures are not "
            "sent here; use /v1/chat/completions.",
            param=where,
        )


def _check_fit(prompts: Sequence[Sequence[int]], job: Job, limit: int) -> None:
    """All of them, before the first is answered. 0: not loaded yet, the engine checks."""
    least = max(1, job.params.min_tokens)
    for at, ids in enumerate(prompts):
        if limit and len(ids) + least > limit:
            raise ContextLengthExceeded(
                f"Prompt {at} has {len(ids)} tokens; with an answer of at least {least} that is over the context of "
                f"{limit} tokens. Shorten it, or start the server with a larger --max-model-len.",
                param="prompt",
            )


def _echo(wire: TextCompletionRequest, at: int, ids: Sequence[int], job: Job, pipeline: Pipeline) -> str:
    if not wire.echo:
        return ""
    if isinstance(wire.prompt, str):
        return wire.prompt
    given = wire.prompt[at]
    return given if isinstance(given, str) else pipeline.text_of(ids, keep_control=job.params.keep_control)


# --- the answers --------------------------------------------------------------------------------------------------


async def _answers(pipeline: Pipeline, job: Job, asked: _Prompts) -> AsyncGenerator[tuple[int, Delta], None]:
    """(index of the choice among those of all prompts, what is new of it). Every ticket works on one prompt after
    another; the first error ends them all."""
    if len(asked.chats) == 1:
        only = pipeline.stream(asked.chats[0], job.params, job.n, asked.tickets[0], running_usage=job.running_usage)
        async with aclosing(only) as pieces:
            async for piece in pieces:
                yield piece
        return
    queue: asyncio.Queue[tuple[int, Delta] | Exception | None] = asyncio.Queue(maxsize=4 * len(asked.tickets))
    todo = iter(enumerate(asked.chats))

    async def work(ticket: Ticket) -> None:
        end: Exception | None = None
        try:
            for at, chat in todo:
                answering = pipeline.stream(chat, job.params, job.n, ticket, running_usage=job.running_usage)
                async with aclosing(answering) as pieces:
                    async for index, delta in pieces:
                        await queue.put((at * job.n + index, delta))
        except Exception as error:
            end = error
        await queue.put(end)

    tasks = [asyncio.create_task(work(ticket)) for ticket in asked.tickets]
    running = len(tasks)
    try:
        while running:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _usage_of(usages: Sequence[Usage | None], n: int) -> Usage:
    """So far, of all choices: a prompt counts once for its n choices, several prompts add up."""
    by_prompt = [usages[at : at + n] for at in range(0, len(usages), n)]
    each = [add_usages(usage for usage in own if usage is not None) for own in by_prompt]
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in each),
        completion_tokens=sum(usage.completion_tokens for usage in each),
        cached_tokens=sum(usage.cached_tokens for usage in each),
    )


@dataclass(slots=True)
class _Choice:
    """What is known of one choice while it comes."""

    echo: str
    logprobs: LegacyLogprobs | None
    usage: Usage | None = None

    def out(self, index: int, deltas: Sequence[Delta]) -> dict[str, Any]:
        text, self.echo = self.echo + "".join(delta.text for delta in deltas), ""
        entries = [entry for delta in deltas for entry in delta.logprobs]
        logprobs = self.logprobs.out(entries) if self.logprobs is not None else None
        last = deltas[-1]
        self.usage = last.usage or self.usage
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": last.finish}


@dataclass(slots=True)
class _Choices:
    """All choices of one request."""

    pipeline: Pipeline
    job: Job
    asked: _Prompts
    each: list[_Choice] = field(init=False)

    def __post_init__(self) -> None:
        self.each = [self._choice(echo) for echo in self.asked.echoes for _ in range(self.job.n)]

    def _choice(self, echo: str) -> _Choice:
        params, is_control = self.job.params, self.pipeline.processor.tokenizer.is_control
        if params.logprobs is None:
            return _Choice(echo, None)
        shown = LegacyLogprobs(
            self.pipeline.token_text, lambda id: params.keep_control or not is_control(id), len(echo)
        )
        return _Choice(echo, shown)

    @property
    def usage(self) -> Usage:
        return _usage_of([choice.usage for choice in self.each], self.job.n)


def _text(asked: _Prompts) -> Dialect:
    async def whole(pipeline: Pipeline, job: Job, log_fields: dict[str, Any]) -> dict[str, Any]:
        choices = _Choices(pipeline, job, asked)
        collector = Collector(len(choices.each), logprobs=False, text_of=pipeline.token_text, form=job.form)
        async with aclosing(_answers(pipeline, job, asked)) as pieces:
            async for index, delta in pieces:
                collector.add(index, delta)
        written = [choice.out(index, collector.deltas(index)) for index, choice in enumerate(choices.each)]
        note_usage(log_fields, choices.usage)
        return {**_head(job), "choices": written, **_rest(job, choices.usage)}

    async def events(pipeline: Pipeline, job: Job, log_fields: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        choices = _Choices(pipeline, job, asked)
        head = _head(job)
        async with aclosing(_answers(pipeline, job, asked)) as pieces:
            async for index, delta in pieces:
                chunk = {**head, "choices": [choices.each[index].out(index, [delta])]}
                yield event({**chunk, "usage": usage_out(choices.usage)} if job.running_usage else chunk)
        note_usage(log_fields, choices.usage)
        last = _rest(job, choices.usage) if job.include_usage else _timings(job)
        yield (event({**head, "choices": [], **last}) if last else b"") + DONE

    return Dialect(whole, events)


def _head(job: Job) -> dict[str, Any]:
    return {"id": job.id, "object": job.object, "created": job.created, "model": job.model, **job.labels}


def _rest(job: Job, usage: Usage) -> dict[str, Any]:
    return {"usage": usage_out(usage), **_timings(job)}


def _timings(job: Job) -> dict[str, Any]:
    return {"timings_ms": job.ticket.work.timings_ms()} if job.timings else {}
