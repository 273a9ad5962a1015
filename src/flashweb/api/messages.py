"""`POST /v1/messages` and `/v1/messages/count_tokens`: Anthropic's Messages API, a thin adapter onto the way of a chat.
Errors get its shape outside, in `error_shapes.py`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from flashweb.api.answers import AnswerForm
from flashweb.api.caller import owner_of
from flashweb.api.chat import make_job, read_json_body, respond
from flashweb.api.convert import to_chat
from flashweb.api.error_handlers import json_response
from flashweb.api.error_shapes import MESSAGES_PATHS
from flashweb.api.messages_answers import ANTHROPIC
from flashweb.api.messages_in import chat_request
from flashweb.api.openapi import json_body, json_or_named_events
from flashweb.api.parse import read_document, validated
from flashweb.api.schemas.messages import CountTokensRequest, MessagesRequest
from flashweb.api.schemas.messages_answers import MessageOut, MessageStreamEvent, TokenCountOut
from flashweb.api.unknown_fields import refuse_harmful, unknown_names, warning_headers
from flashweb.errors import InvalidRequest
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline
from flashweb.settings import Settings

CREATE, COUNT = MESSAGES_PATHS
# What would answer something else than was asked if it were ignored.
_NOT_OFFERED: Mapping[str, str] = {
    "container": "code is not run here",
    "mcp_servers": "no other servers are called",
    "context_management": "earlier turns are not cut here; shorten the messages",
}
_EVENT_WORDS = "the JSON of an event; the last one is message_stop, or an error's"
_IGNORED = {"cache_control"}  # every prompt is looked up in the prefix cache


def messages_router(pipeline: Pipeline, names: ModelNames, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["messages"])

    @router.post(
        CREATE,
        operation_id="createMessage",
        summary="Answer a conversation (Anthropic's Messages API)",
        openapi_extra=json_body(MessagesRequest),
        responses=json_or_named_events(MessageOut, MessageStreamEvent, _EVENT_WORDS),
        response_class=Response,
    )
    async def create_message(request: Request) -> Response:
        """With pictures, documents, tools and thinking, whole or streamed. A last assistant's message is the beginning
        of the answer."""
        with ExitStack() as place:
            ticket = place.enter_context(pipeline.admit())
            document = read_document(await read_json_body(request))
            _refuse(document)
            wire = validated(document, MessagesRequest)
            warnings = warning_headers(_unknown(document))
            del document
            job = make_job(chat_request(wire), names, settings, pipeline, ticket, owner_of(request))
            hidden = wire.thinking is not None and wire.thinking.display == "omitted"
            job = replace(
                job,
                id=f"msg_{secrets.token_hex(12)}",
                object="message",
                stream=bool(wire.stream),
                form=AnswerForm(reasoning=not hidden),
            )
            return await respond(request, pipeline, names, settings, job, place, warnings, ANTHROPIC)

    @router.post(
        COUNT,
        operation_id="countMessageTokens",
        summary="Count a conversation's tokens (Anthropic's Messages API)",
        openapi_extra=json_body(CountTokensRequest),
        responses={200: {"model": TokenCountOut, "description": "the number"}},
        response_class=Response,
    )
    async def count_tokens(request: Request) -> Response:
        """As many as an answer would report; of pictures only the headers are read."""
        with pipeline.admit():
            document = read_document(await read_json_body(request))
            _refuse(document)
            wire = validated(document, CountTokensRequest)
            names.check(wire.model)
            chat = to_chat(chat_request(wire), max_images=settings.media.max_images, owner=owner_of(request))
            ids = await pipeline.prompt_ids(chat)
        return json_response({"input_tokens": len(ids)}, headers=warning_headers(_unknown(document)))

    return router


def _refuse(document: Mapping[str, Any]) -> None:
    refuse_harmful(document)
    for name, reason in _NOT_OFFERED.items():
        if document.get(name):
            raise InvalidRequest(
                f"{name} is not offered: {reason}. Leave it out.", param=name, code="unsupported_parameter"
            )


def _unknown(document: Mapping[str, Any]) -> list[str]:
    return [name for name in unknown_names(document, MessagesRequest) if name not in _IGNORED]
