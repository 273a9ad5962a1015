"""`POST /tokenize` and `/detokenize`: what a prompt is in tokens, without an answer. No picture is decoded."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from flashweb.api.caller import owner_of
from flashweb.api.chat import read_json_body
from flashweb.api.convert import to_chat
from flashweb.api.error_handlers import json_response
from flashweb.api.openapi import json_body
from flashweb.api.parse import read_document, validated
from flashweb.api.schemas.chat import ChatRequest
from flashweb.api.schemas.tokens import DetokenizeOut, DetokenizeRequest, TokenizeOut, TokenizeRequest
from flashweb.api.unknown_fields import refuse_harmful, unknown_names, warning_headers
from flashweb.errors import InvalidRequest
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline
from flashweb.settings import Settings
from flashweb.types import Chat

_OWN = ("prompt", "add_special_tokens", "return_token_strs")


def tokens_router(pipeline: Pipeline, names: ModelNames, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["tokens"])

    @router.post(
        "/tokenize",
        operation_id="tokenize",
        summary="Count a prompt's tokens",
        openapi_extra=json_body(TokenizeRequest),
        responses={200: {"model": TokenizeOut, "description": "the tokens"}},
        response_class=Response,
    )
    async def tokenize(request: Request) -> Response:
        """Of a text (`prompt`), or of a chat (`messages`) as it would be answered, with its tools and pictures. More
        tokens than the context holds are counted too."""
        # A place, as for an answer: no more bodies are in memory than there are places.
        with pipeline.admit():
            document = read_document(await read_json_body(request))
            wire = validated(document, TokenizeRequest)
            names.check(wire.model)
            if (wire.prompt is None) == (wire.messages is None):
                given = "neither" if wire.prompt is None else "both"
                raise InvalidRequest(
                    f"prompt and messages: {given} was given; give one of them.",
                    param="messages" if wire.prompt is not None else "prompt",
                )
            if wire.prompt is not None:
                ids = await pipeline.tokenize(wire.prompt, prefix=wire.add_special_tokens is not False)
                known: type[Any] = TokenizeRequest
            else:
                refuse_harmful(document)
                ids = await pipeline.prompt_ids(_chat_of(document, settings, owner_of(request)))
                known = ChatRequest
        body = {
            "count": len(ids),
            "max_model_len": pipeline.engine.state.max_model_len or None,
            "tokens": ids,
            "token_strs": [pipeline.token_text(id)[0] for id in ids] if wire.return_token_strs else None,
        }
        unknown = [name for name in unknown_names(document, known) if name not in _OWN]
        return json_response(body, headers=warning_headers(unknown))

    @router.post(
        "/detokenize",
        operation_id="detokenize",
        summary="Spell tokens",
        openapi_extra=json_body(DetokenizeRequest),
        responses={200: {"model": DetokenizeOut, "description": "the text"}},
        response_class=Response,
    )
    async def detokenize(request: Request) -> Response:
        """Control tokens are written by their names, bytes that are no character as U+FFFD."""
        with pipeline.admit():
            document = read_document(await read_json_body(request))
            wire = validated(document, DetokenizeRequest)
            names.check(wire.model)
            highest = max(wire.tokens, default=0)
            if highest >= pipeline.num_tokens:
                raise InvalidRequest(
                    f"tokens: there is no token {highest}; ids are below {pipeline.num_tokens}.", param="tokens"
                )
            warnings = warning_headers(unknown_names(document, DetokenizeRequest))
            return json_response({"prompt": pipeline.text_of(wire.tokens)}, headers=warnings)

    return router


def _chat_of(document: dict[str, Any], settings: Settings, owner: str) -> Chat:
    """The chat that a chat completion with these fields would answer."""
    chat = {name: value for name, value in document.items() if name not in _OWN}
    return to_chat(validated(chat, ChatRequest), max_images=settings.media.max_images, owner=owner)
