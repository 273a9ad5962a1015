"""One turn of a conversation: from a request of the Responses API, and what it continues, to a chat's job, its answer
and what is kept of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any

from flashweb.api.chat import Job, make_job
from flashweb.api.convert import to_chat
from flashweb.api.responses import wire
from flashweb.api.responses.answer import Answer, Event
from flashweb.api.responses.chats import Conversation, chat_request, in_their_words
from flashweb.api.responses.items import kept_items, read_items, said
from flashweb.api.schemas.chat import MAX_MESSAGES, ChatRequest
from flashweb.errors import ContextLengthExceeded, InvalidRequest, Overloaded, StorageUnavailable
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline, Ticket
from flashweb.settings import Settings
from flashweb.stored import ResponseStore, StoredResponse
from flashweb.types import Chat


@dataclass(frozen=True, slots=True)
class Turn:
    """A checked request. `places`: where each message of the chat came from, for errors."""

    id: str
    owner: str
    asked: wire.ResponseRequest
    items: list[dict[str, Any]]
    job: Job
    body: dict[str, Any]
    places: Sequence[str]

    @property
    def is_stored(self) -> bool:
        return self.asked.store is not False

    def stored(self, body: dict[str, Any], request: dict[str, Any] | None = None) -> StoredResponse:
        return StoredResponse(self.id, self.owner, body, self.items, self.asked.previous_response_id, request)


class Turns:
    def __init__(self, pipeline: Pipeline, names: ModelNames, settings: Settings, store: ResponseStore) -> None:
        self.pipeline = pipeline
        self.names = names
        self.settings = settings
        self.store = store

    async def prepare(
        self, asked: wire.ResponseRequest, ticket: Ticket, owner: str, id: str, again: StoredResponse | None = None
    ) -> Turn:
        """`again`: the background response that this is the run of; its input is kept with it. Raises InvalidRequest
        and its family, ModelNotFound, ResponseNotFound, StorageUnavailable."""
        given: str | Sequence[wire.Item] | None = asked.input if again is None else read_items(again.items)
        if not given:
            raise InvalidRequest("input is missing; give a text or a list of items.", param="input")
        conversation = await self._conversation(asked, given, owner)
        with in_their_words(conversation.places):
            request = chat_request(asked, conversation)
            job = make_job(request, self.names, self.settings, self.pipeline, ticket, owner)
            if asked.truncation == "auto":
                job = replace(job, chat=await self._shortened(job.chat, job.params.max_tokens))
        items = kept_items(given) if again is None else again.items
        body = _body(id, asked, job, created=job.created if again is None else again.body["created_at"])
        return Turn(id, owner, asked, items, job, body, conversation.places)

    async def count(self, asked: wire.InputTokensRequest, owner: str) -> int:
        """Tokens of the prompt. Raises what `prepare` does."""
        conversation = await self._conversation(asked, asked.input or (), owner)
        if not conversation.messages:
            raise InvalidRequest("input is missing; give a text or a list of items.", param="input")
        with in_their_words(conversation.places):
            request = chat_request(asked, conversation)
            self.names.check(request.model)
            return len(await self.pipeline.prompt_ids(self._chat(request, owner)))

    def _chat(self, request: ChatRequest, owner: str) -> Chat:
        return to_chat(request, max_images=self.settings.media.max_images, owner=owner)

    async def _conversation(self, asked: wire.Asked, given: str | Sequence[wire.Item], owner: str) -> Conversation:
        """Instructions, what came before, and the input."""
        conversation = Conversation()
        if asked.instructions:
            conversation.instruct(asked.instructions)
        if asked.previous_response_id is not None:
            for turn in await self.store.conversation(asked.previous_response_id, owner):
                _check_over(turn)
                for item in read_items([*turn.items, *turn.body["output"]]):
                    conversation.add("previous_response_id", item)
        if isinstance(given, str):
            conversation.add("input", said(given))
        else:
            for index, item in enumerate(given):
                conversation.add(f"input[{index}]", item)
        if asked.truncation == "auto":
            conversation.keep_last(MAX_MESSAGES)
        return conversation

    async def _shortened(self, chat: Chat, max_tokens: int) -> Chat:
        """Without as many of the oldest turns as it takes for the rest to fit with a quarter of the context, or what
        the answer may have at most, to spare. The last turn stays, and system messages at the beginning."""
        limit = self.pipeline.engine.state.max_model_len
        if not limit:
            return chat
        room = limit - min(max_tokens, limit // 4)
        head = next((i for i, message in enumerate(chat.messages) if message.role != "system"), 0)
        starts = [i for i, message in enumerate(chat.messages) if message.role == "user" and i >= head]
        if not starts:
            return chat
        choices = [chat] + [replace(chat, messages=chat.messages[:head] + chat.messages[i:]) for i in starts[1:]]
        low, high = 0, len(choices) - 1
        while low < high:
            middle = (low + high) // 2
            if await self._fits(choices[middle], room):
                high = middle
            else:
                low = middle + 1
        return choices[low]

    async def _fits(self, chat: Chat, room: int) -> bool:
        try:
            return len(await self.pipeline.prompt_ids(chat)) <= room
        except ContextLengthExceeded:
            return False

    async def events(self, turn: Turn, *, quiet: bool = False) -> AsyncGenerator[list[Event], None]:
        """The events in the order they come, some at a time; they change `turn.body` to what it is at the end. A
        response that is to be stored is stored before its last event, a background one by whoever runs it.

        What is wrong with the request is raised before the first event, a failure after it is an event itself. `quiet`:
        no events, every failure is raised. A refusal at the door (Overloaded) of a background one is always raised:
        whoever runs it has time to try again.
        """
        job, asked = turn.job, turn.asked
        answer = Answer(
            turn.body,
            self.pipeline.token_text,
            logprobs=job.params.logprobs is not None,
            show_summary=_wants_summary(asked),
            quiet=quiet,
        )
        begun = bool(asked.background)
        if begun:
            answer.begin()
            yield answer.take()
        try:
            with in_their_words(turn.places):
                async with aclosing(self.pipeline.stream(job.chat, job.params, 1, job.ticket)) as pieces:
                    async for _, delta in pieces:
                        if not begun:
                            answer.begin()
                            begun = True
                        answer.add(delta)
                        if not quiet and delta.finish is None:
                            yield answer.take()
            if turn.is_stored and not asked.background:
                await self.store.put(turn.stored(turn.body))
            answer.end()
        except Exception as error:
            if quiet or not begun or (asked.background and isinstance(error, Overloaded)):
                raise
            answer.fail(error)
            if turn.is_stored and not asked.background:
                with suppress(StorageUnavailable):
                    await self.store.put(turn.stored(turn.body))
        yield answer.take()


def _check_over(turn: StoredResponse) -> None:
    if turn.is_running:
        raise InvalidRequest(
            f"previous_response_id: response {turn.id!r} is {turn.status}; wait for its end, or cancel it.",
            param="previous_response_id",
        )


def _wants_summary(asked: wire.ResponseRequest) -> bool:
    return asked.reasoning is not None and bool(asked.reasoning.summary or asked.reasoning.generate_summary)


def _body(id: str, asked: wire.ResponseRequest, job: Job, *, created: int) -> dict[str, Any]:
    """The response before its answer."""
    given = asked.model_dump(mode="json", by_alias=True, exclude_none=True)
    reasoning = given.get("reasoning", {})
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "completed_at": None,
        "status": "queued" if asked.background else "in_progress",
        "background": bool(asked.background),
        "error": None,
        "incomplete_details": None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "max_tool_calls": asked.max_tool_calls,
        "metadata": asked.metadata or {},
        "model": job.model,
        "output": [],
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": asked.previous_response_id,
        "prompt_cache_key": asked.prompt_cache_key,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": asked.safety_identifier,
        "service_tier": "default",
        "store": asked.store is not False,
        "temperature": job.params.temperature,
        "text": {"format": {"type": "text"}, **given.get("text", {})},
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": [_tool(tool) for tool in asked.tools or ()],
        "top_logprobs": asked.top_logprobs or 0,
        "top_p": job.params.top_p,
        "truncation": asked.truncation or "disabled",
        "usage": None,
        "user": asked.user,
    }


def _tool(tool: wire.FunctionTool) -> dict[str, Any]:
    return {"description": None, "parameters": None, "strict": True, **tool.model_dump(mode="json", exclude_unset=True)}
