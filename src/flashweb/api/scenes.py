"""`/api/scenes` and `/api/audit-image`: a picture, a scene's question, and an object as the scene promises it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from flashweb.api.answer_examples import ANSWERS
from flashweb.api.chat import Job, log_fields_of
from flashweb.api.error_handlers import CLIENT_CLOSED_REQUEST, json_response
from flashweb.api.jobs import LATER_HEADERS, answer_later, wants_later
from flashweb.api.multimodal import Maker
from flashweb.api.openapi import asked_body
from flashweb.api.pictures import Asked, read_asked, warnings_of
from flashweb.api.schemas import pictures as wire
from flashweb.api.schemas.jobs import JobOut
from flashweb.api.sse import ClientGone
from flashweb.errors import InvalidRequest
from flashweb.jobs import JobQueue
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline, Ticket
from flashweb.scenes import Scene, SceneBook
from flashweb.scenes.scene import MAX_RULES_CHARS
from flashweb.settings import Settings
from flashweb.webhooks import Courier

SceneName = Annotated[str, Path(description="one of the names of /api/scenes", examples=["audit"])]
DEFAULT_MAX_TOKENS = 4096  # bounded by the context, as every answer is
# An object has one right form and is to be repeatable: greedy, whatever the checkpoint's own sampling.
GREEDY: Mapping[str, Any] = {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0}
Later = Annotated[
    bool | None,
    Query(
        alias="async",
        description="true: answer later; the same as the header Prefer: respond-async",
        examples=[True],
    ),
]

Hook = Annotated[
    str | None,
    Query(
        max_length=2048,
        description="with async: an https:// URL that is told when the answer is there; default: --webhook-url",
        examples=["https://example.com/hooks"],
    ),
]


def scenes_router(
    pipeline: Pipeline, names: ModelNames, settings: Settings, queue: JobQueue, hooks: Courier
) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["scenes"])
    maker = Maker(pipeline, names, settings)
    book = SceneBook(settings.server.scenes_dir)

    @router.get(
        "/scenes",
        operation_id="listScenes",
        summary="List the scenes",
        responses={200: {"model": wire.SceneList, "description": "what is offered"}},
        response_class=Response,
    )
    async def list_scenes() -> Response:
        """Every scene with its fields, the schema of its results and hints for showing them; and the files of the
        operator's folder that could not be read."""
        scenes, broken = book.all()
        return json_response(
            {
                "scenes": [scene.described() for scene in scenes.values()],
                "errors": [{"file": one.file, "message": one.message} for one in broken],
            }
        )

    async def run(request: Request, scene: Scene) -> Response:
        with pipeline.admit() as ticket:
            asked = await read_asked(request, wire.SceneRequest, settings)
            job = _job(maker, scene, asked, ticket)
            log_fields_of(request)["scene"] = scene.name
            try:
                collector = await maker.whole(request, job)
            except ClientGone:
                return Response(status_code=CLIENT_CLOSED_REQUEST)
        (choice,) = collector.choices()
        result = scene.result(choice["message"]["content"] or "", choice["finish_reason"])
        headers = {"x-flashweb-model": names.own, **warnings_of(asked.wire)}
        if _wants_text(request):
            return Response(scene.as_text(result), 200, headers, media_type="text/plain")
        return json_response(result, headers=headers)

    @router.post(
        "/scenes/{name}",
        operation_id="runScene",
        summary="Ask a scene about a picture",
        openapi_extra=asked_body(wire.SceneRequest),
        responses={
            200: {
                "description": "an object that is valid against the scene's schema, {text: ...} for scenes that answer "
                "in text; as plain text when Accept asks for text/plain",
                "content": {
                    "application/json": {"schema": {"type": "object"}, "example": ANSWERS["AuditOut"]},
                    "text/plain": {"schema": {"type": "string"}, "example": "128.50, 39.99, 168.49"},
                },
            },
            202: {
                "model": JobOut,
                "description": "with ?async=true or Prefer: respond-async: the job to ask later",
                "headers": LATER_HEADERS,
            },
        },
        response_class=Response,
    )
    async def run_scene(request: Request, name: SceneName, later: Later = None, webhook_url: Hook = None) -> Response:
        """A form with one or several files (`image` or `file`), or JSON with `image` or `image_url`; `question`,
        `rules` and `language` as the scene's description says. Greedy. An answer that is not valid is an error, never
        half an object. With `?async=true` the answer comes later, at `/api/jobs/{id}/result`."""
        scene = book.find(name)
        if wants_later(request):
            return await answer_later(request, queue, hooks.checked(webhook_url))
        return await run(request, scene)

    @router.post(
        "/audit-image",
        operation_id="auditImage",
        summary="Audit a product picture",
        openapi_extra=asked_body(wire.SceneRequest),
        responses={200: {"model": wire.AuditOut, "description": "the audit"}},
        response_class=Response,
    )
    async def audit_image(request: Request) -> Response:
        """The scene `audit` under the address that the API guide's page posts to."""
        return await run(request, book.find("audit"))

    return router


def _job(maker: Maker, scene: Scene, asked: Asked[wire.SceneRequest], ticket: Ticket) -> Job:
    given = asked.wire
    prompt = scene.prompt(given.question, _rules(given.rules), given.language)
    own: dict[str, Any] = {"model": given.model, "max_tokens": given.max_tokens or DEFAULT_MAX_TOKENS}
    enhance = given.enhance or scene.file.enhance
    if enhance is not None:
        own["enhance"] = enhance
    job = maker.job(asked, prompt, ticket, {**GREEDY, **own}, prefix="scene")
    return replace(job, params=replace(job.params, structure=scene.structure))


def _rules(rules: str | list[str] | None) -> list[str]:
    """Rules one by one: a text's lines, or a list's entries."""
    listed = rules.splitlines() if isinstance(rules, str) else rules or []
    kept = [rule.strip() for rule in listed if rule.strip()]
    num_chars = sum(map(len, kept))
    if num_chars > MAX_RULES_CHARS:
        raise InvalidRequest(
            f"rules have {num_chars} characters together; the limit is {MAX_RULES_CHARS}. Shorten them.", param="rules"
        )
    return kept


def _wants_text(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "text/plain" in accepted and "json" not in accepted
