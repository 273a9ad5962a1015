"""What operators and clients ask about the server itself: models and health."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from flashweb.api.error_handlers import json_response
from flashweb.api.sampling import default_sampling
from flashweb.api.schemas.chat import MAX_MESSAGES
from flashweb.api.schemas.ops import HealthOut, LiveOut, ModelList, ModelOut
from flashweb.names import ModelNames
from flashweb.pipeline import Pipeline
from flashweb.settings import Settings

ModelId = Annotated[str, Path(description="one of the names of /v1/models", examples=["glm-4.6v-flash"])]


def ops_router(pipeline: Pipeline, names: ModelNames, settings: Settings) -> APIRouter:
    router = APIRouter()
    limits = _limits(settings)
    red: dict[int | str, dict[str, Any]] = {
        503: {
            "model": HealthOut,
            "description": "loading, draining, stalled or dead",
            "headers": {
                "retry-after": {"description": "seconds until it is worth asking again", "schema": {"type": "integer"}}
            },
        }
    }

    def model(name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": names.created,
            "owned_by": "flashweb",
            "root": names.own,
            "max_model_len": pipeline.engine.state.max_model_len or None,
            "default_sampling": default_sampling(pipeline.generation_defaults),
            "limits": limits,
        }

    @router.get("/v1/models", operation_id="listModels", tags=["models"], response_model=ModelList)
    async def list_models() -> Response:
        """The loaded model and every name it answers to."""
        return json_response({"object": "list", "data": [model(name) for name in names.all]})

    @router.get(
        "/v1/models/{model_id:path}",
        operation_id="retrieveModel",
        tags=["models"],
        response_model=ModelOut,
    )
    async def retrieve_model(model_id: ModelId) -> Response:
        """One of the names."""
        return json_response(model(names.check(model_id)))

    async def health() -> Response:
        """200 while the server can answer (also before a lazy load); 503 while loading, draining, stalled or dead."""
        now = pipeline.health()
        body: dict[str, Any] = {"status": now.status, "model_loaded": now.model_loaded, "model": names.own}
        if now.detail:
            body["detail"] = now.detail
        state = pipeline.engine.state
        if now.status == "loading" and state.phase == "loading":
            body["progress"] = round(state.progress, 3)
        return json_response(body, 200 if now.ready else 503, {} if now.ready else {"retry-after": "2"})

    for path, operation in (("/health", "health"), ("/v1/health", "healthV1"), ("/health/ready", "healthReady")):
        route = router.get(path, operation_id=operation, tags=["health"], response_model=HealthOut, responses=red)
        route(health)

    @router.get(
        "/health/live",
        operation_id="healthLive",
        tags=["health"],
        response_model=LiveOut,
        responses={503: {"model": LiveOut, "description": "only a restart of the server can help"}},
    )
    async def live() -> Response:
        """200 while the process answers; 503 when only a restart of the whole server can help: the engine has failed
        too often, or cannot work with this checkpoint, and is not started again."""
        if pipeline.health().gave_up:
            return json_response({"status": "dead"}, 503)
        return json_response({"status": "ok"})

    return router


def _limits(settings: Settings) -> dict[str, Any]:
    media = settings.media
    return {
        "max_body_bytes": settings.server.max_body_size,
        "max_messages": MAX_MESSAGES,
        "max_images": media.max_images,
        "max_image_bytes": media.max_upload_size,
        "max_image_pixels": media.max_image_pixels,
        "max_image_side": media.max_image_size,
        "max_aspect_ratio": media.max_aspect_ratio,
        "max_document_pages": media.max_document_pages,
        "max_videos": media.max_videos,
        "max_video_bytes": media.max_video_size,
        "max_video_seconds": media.max_video_seconds,
    }
