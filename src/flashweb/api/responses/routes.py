"""`/v1/responses`: create, stream, retrieve, cancel, delete, the input's items, and the count of a prompt's tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from flashweb.api.caller import lease_of, owner_of
from flashweb.api.chat import log_fields_of, read_json_body
from flashweb.api.error_handlers import CLIENT_CLOSED_REQUEST, error_body, json_response
from flashweb.api.exchange import exchange_of
from flashweb.api.idempotency import new_id
from flashweb.api.openapi import json_body, json_or_named_events
from flashweb.api.parse import read_document, validated
from flashweb.api.responses import told, wire
from flashweb.api.responses.answer import frame
from flashweb.api.responses.chats import refuse_not_offered
from flashweb.api.responses.examples import COUNTS, RESPONSES
from flashweb.api.responses.items import MAX_LISTED, page
from flashweb.api.responses.runs import PATH, Runs, Step
from flashweb.api.responses.turns import Turn, Turns
from flashweb.api.sse import ClientGone, EventStream, until_gone
from flashweb.api.unknown_fields import refuse_harmful, unknown_names, warning_headers
from flashweb.errors import InvalidRequest, StorageUnavailable
from flashweb.jobs import JobQueue, Lease
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline
from flashweb.settings import Settings
from flashweb.stored import SqliteResponses, StoredResponse

MEND_SECONDS = 2.0  # after a store did not answer
POLL_SECONDS = (0.05, 0.5)  # between looks for further events of a background response, shortest and longest
_EVENT_WORDS = "the JSON of an event; the last one is completed, incomplete or failed, or an error's"
_Include = Annotated[
    list[str] | None,
    Query(
        alias="include[]",
        description="accepted; see each route",
        examples=[["message.input_image.image_url"]],
    ),
]
_ResponseId = Annotated[str, Path(description="the response's id", examples=["resp_0a1b2c3d4e5f60718293a4b5"])]
# Described alone where a value out of it is told in our own words (items.py).
_Limit = Annotated[
    int, Query(description="items of a page", examples=[20], json_schema_extra={"minimum": 1, "maximum": MAX_LISTED})
]
_Order = Annotated[
    str,
    Query(description="asc: oldest first; desc", examples=["desc"], json_schema_extra={"enum": ["asc", "desc"]}),
]
_ITEM = ["msg_0a1b2c3d4e5f60718293a4b5"]


class Responses:
    """Everything behind the routes: requests to turns, the store, and what runs in the background (over `queue`)."""

    def __init__(self, pipeline: Pipeline, names: ModelNames, settings: Settings, queue: JobQueue) -> None:
        storage = settings.storage
        self.pipeline = pipeline
        self.names = names
        self.settings = settings
        self.store = SqliteResponses(storage.folder, max_bytes=storage.responses_size, days=storage.responses_days)
        self.turns = Turns(pipeline, names, settings, self.store)
        self.runs = Runs(self.store, queue, self._answer)
        self._mending: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Background responses that a crash has left without a job get one."""
        if self.store.exists:
            self._mending = asyncio.create_task(self._mend())

    async def stop(self) -> None:
        """Nothing is put into the queue from here on; what it still runs is kept until `close`."""
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.wait({self._mending})

    async def close(self) -> None:
        await self.store.close()

    async def _mend(self) -> None:
        while True:
            try:
                return await self.runs.mend()
            except StorageUnavailable:
                await asyncio.sleep(MEND_SECONDS)

    async def create(self, request: Request) -> Response:
        lease = lease_of(request.scope)
        if lease is not None:
            return await self._run(request, lease)
        owner = owner_of(request)
        with ExitStack() as place:
            ticket = place.enter_context(self.pipeline.admit())
            asked, document = await _read(request, wire.ResponseRequest)
            warnings = warning_headers(unknown_names(document, wire.ResponseRequest))
            if asked.background and asked.store is False:
                raise InvalidRequest(
                    "background is true but store is false; an answer that nobody waits for must be stored.",
                    param="store",
                )
            turn = await self.turns.prepare(asked, ticket, owner, f"resp_{new_id(request)}")
            self.pipeline.widen(ticket, 1)  # the engine may have gone while the body came
            headers = {"x-flashweb-model": self.names.own, **warnings}
            if asked.background:
                del document["input"]
                caller = exchange_of(request.scope).caller_name
                new = turn.stored(turn.body, {"asked": document, "caller": caller})
                kept = await self.runs.submit(new, caller)
                if not asked.stream:
                    return json_response(kept.body, headers=headers)
                return self._replayed(turn.id, owner, -1, headers)
            if asked.stream:
                last = _LastWords()
                events = self._events(turn, log_fields_of(request), last)
                return self._stream(events, headers, last, place.pop_all())
            try:
                body = await until_gone(request.receive, self._whole(turn, log_fields_of(request)))
            except ClientGone:
                return Response(status_code=CLIENT_CLOSED_REQUEST)
        return json_response(body, headers=headers)

    async def count(self, request: Request) -> Response:
        with self.pipeline.admit():
            asked, document = await _read(request, wire.InputTokensRequest)
            # What the answer would take is no unknown field of the count of its prompt.
            warnings = warning_headers(unknown_names(document, wire.ResponseRequest))
            number = await self.turns.count(asked, owner_of(request))
        return json_response({"object": "response.input_tokens", "input_tokens": number}, headers=warnings)

    async def retrieve(self, request: Request, id: str, *, stream: bool, after: int) -> Response:
        owner = owner_of(request)
        found = await self.store.get(id, owner)
        if not stream:
            return json_response(found.body)
        if not found.body["background"]:
            raise InvalidRequest(
                "Only a background response can be streamed again; leave stream out to get the whole of this one.",
                param="stream",
            )
        return self._replayed(id, owner, after, {})

    async def cancel(self, request: Request, id: str) -> Response:
        owner = owner_of(request)
        if not (await self.store.get(id, owner)).body["background"]:
            raise InvalidRequest(
                "Only a background response can be cancelled; to end another one, close its connection.",
                param="response_id",
            )
        return json_response((await self.runs.cancel(id, owner)).body)

    async def delete(self, request: Request, id: str) -> Response:
        owner = owner_of(request)
        await self.runs.delete(id, owner)
        return json_response({"id": id, "object": "response", "deleted": True})

    async def input_items(
        self, request: Request, id: str, *, limit: int, order: str, after: str | None, before: str | None, whole: bool
    ) -> Response:
        found = await self.store.get(id, owner_of(request), whole=whole)
        return json_response(page(found.items, limit=limit, order=order, after=after, before=before))

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _whole(self, turn: Turn, log_fields: dict[str, Any]) -> dict[str, Any]:
        async with aclosing(self.turns.events(turn, quiet=True)) as batches:
            async for _ in batches:
                pass
        _note_usage(log_fields, turn.body)
        return turn.body

    async def _events(self, turn: Turn, log_fields: dict[str, Any], last: _LastWords) -> AsyncGenerator[bytes, None]:
        async with aclosing(self.turns.events(turn)) as batches:
            async for events in batches:
                if events:
                    last.number += len(events)
                    yield b"".join(map(frame, events))
        _note_usage(log_fields, turn.body)

    async def _run(self, request: Request, lease: Lease) -> Response:
        """A background response's, for the runner of jobs: what is kept is in the store, it hears how that ended."""
        try:
            body = await until_gone(request.receive, self.runs.run(lease))
        except ClientGone:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        if body is not None:
            _note_usage(log_fields_of(request), body)
        status = "cancelled" if body is None else body["status"]
        return json_response({"id": lease.job_id, "object": "response", "status": status})

    async def _answer(self, stored: StoredResponse) -> AsyncGenerator[Step, None]:
        """A background response's, as it comes."""
        assert stored.request is not None
        asked = validated({**stored.request["asked"], "input": ""}, wire.ResponseRequest)
        with self.pipeline.admit() as ticket:
            turn = await self.turns.prepare(asked, ticket, stored.owner, stored.id, stored)
            async with aclosing(self.turns.events(turn)) as batches:
                async for events in batches:
                    yield events, turn.body

    def _replayed(self, id: str, owner: str, after: int, headers: dict[str, str]) -> EventStream:
        last = _LastWords(after + 1)
        return self._stream(self._replay(id, owner, last), headers, last)

    async def _replay(self, id: str, owner: str, last: _LastWords) -> AsyncGenerator[bytes, None]:
        """A background response's events as they come into the store, from whichever process; when it is answered anew,
        those of the new answer from their beginning."""
        shortest, longest = POLL_SECONDS
        pause, heard_of = shortest, 0
        while True:
            events, more, run = await self.store.events(id, owner, last.number - 1)
            if heard_of and run and run != heard_of:
                heard_of, last.number = run, 0
                continue
            heard_of = run or heard_of
            if events:
                last.number += len(events)
                yield b"".join(events)
            elif not more:
                return
            pause = shortest if events else min(2 * pause, longest)
            await asyncio.sleep(pause)

    def _stream(
        self,
        events: AsyncGenerator[bytes, None],
        headers: dict[str, str],
        last: _LastWords,
        place: ExitStack | None = None,
    ) -> EventStream:
        return EventStream(
            events,
            headers=headers,
            keep_alive_seconds=self.settings.server.stream_keep_alive,
            send_timeout_seconds=self.settings.server.send_timeout,
            on_end=(place or ExitStack()).close,
            last_words=last,
        )


async def _read(request: Request, model: Any) -> tuple[Any, dict[str, Any]]:
    document = read_document(await read_json_body(request))
    refuse_harmful(document)
    refuse_not_offered(document)
    return validated(document, model), document


class _LastWords:
    """Where a stream has begun and its response cannot tell of its own end: before its first event, or at the
    deadline. `number` is the next event's."""

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def __call__(self, error: Exception) -> bytes:
        told = error_body(error)["error"]
        event = {"type": "error", "code": told["code"], "message": told["message"], "param": told["param"]}
        return frame({**event, "sequence_number": self.number})


def _note_usage(log_fields: dict[str, Any], body: dict[str, Any]) -> None:
    usage = body["usage"]
    if usage is not None:
        log_fields["prompt_tokens"] = usage["input_tokens"]
        log_fields["completion_tokens"] = usage["output_tokens"]
        log_fields["image_tokens"] = usage["input_tokens_details"]["image_tokens"] or None
        log_fields["cached_tokens"] = usage["input_tokens_details"]["cached_tokens"] or None


def responses_router(responses: Responses) -> APIRouter:
    router = APIRouter(prefix=PATH, tags=["responses"])

    def answered(model: type[BaseModel], words: str) -> dict[int | str, dict[str, Any]]:
        return {200: {"model": model, "description": words}}

    @router.post(
        "",
        operation_id="createResponse",
        summary="Answer an input, with pictures",
        openapi_extra=json_body(wire.ResponseRequest, RESPONSES),
        responses=json_or_named_events(told.ResponseOut, told.ResponseEvent, _EVENT_WORDS),
        response_class=Response,
    )
    async def create_response(request: Request) -> Response:
        """The input is a text or a conversation; `previous_response_id` puts a stored one before it. The answer comes
        whole, as events (`stream: true`), or later (`background: true`)."""
        return await responses.create(request)

    @router.post(
        "/input_tokens",
        operation_id="countResponseInputTokens",
        summary="Count the tokens of an input",
        openapi_extra=json_body(wire.InputTokensRequest, COUNTS),
        responses=answered(told.InputTokensOut, "the number"),
        response_class=Response,
    )
    async def count_input_tokens(request: Request) -> Response:
        """Of the prompt that the same request would make, pictures included; nothing is generated or stored."""
        return await responses.count(request)

    @router.get(
        "/{response_id}",
        operation_id="getResponse",
        summary="Retrieve a stored response",
        responses=json_or_named_events(told.ResponseOut, told.ResponseEvent, _EVENT_WORDS),
        response_class=Response,
    )
    async def get_response(
        request: Request,
        response_id: _ResponseId,
        include: _Include = None,
        stream: Annotated[bool, Query(description="a background response's events instead", examples=[True])] = False,
        starting_after: Annotated[
            int,
            Query(
                ge=-1, le=1 << 31, description="with stream: only events with a higher sequence_number", examples=[41]
            ),
        ] = -1,
        include_obfuscation: Annotated[
            bool | None, Query(description="accepted: events are never padded", examples=[False])
        ] = None,
    ) -> Response:
        """As it is now; log probabilities are there if they were asked for with the request."""
        return await responses.retrieve(request, response_id, stream=stream, after=starting_after)

    @router.delete(
        "/{response_id}",
        operation_id="deleteResponse",
        summary="Delete a stored response",
        responses=answered(told.DeletedOut, "gone"),
        response_class=Response,
    )
    async def delete_response(request: Request, response_id: _ResponseId) -> Response:
        """Its input and pictures too. One that runs is cancelled; what continues it can no longer be continued."""
        return await responses.delete(request, response_id)

    @router.post(
        "/{response_id}/cancel",
        operation_id="cancelResponse",
        summary="Cancel a background response",
        responses=answered(told.ResponseOut, "as it is now"),
        response_class=Response,
    )
    async def cancel_response(request: Request, response_id: _ResponseId) -> Response:
        """One that has ended stays as it was."""
        return await responses.cancel(request, response_id)

    @router.get(
        "/{response_id}/input_items",
        operation_id="listInputItems",
        summary="List the items of a response's input",
        responses=answered(told.ItemList, "a page"),
        response_class=Response,
    )
    async def list_input_items(
        request: Request,
        response_id: _ResponseId,
        limit: _Limit = 20,
        order: _Order = "desc",
        after: Annotated[str | None, Query(description="id of the item before the page", examples=_ITEM)] = None,
        before: Annotated[str | None, Query(description="id of the item behind the page", examples=_ITEM)] = None,
        include: _Include = None,
    ) -> Response:
        """Those of its own input, not of the responses it continues. Pictures are null unless include has
        message.input_image.image_url."""
        whole = "message.input_image.image_url" in (include or ())
        return await responses.input_items(
            request, response_id, limit=limit, order=order, after=after, before=before, whole=whole
        )

    return router
