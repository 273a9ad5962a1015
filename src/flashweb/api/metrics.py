"""`GET /metrics`, and the count of every HTTP request for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from flashweb import __version__
from flashweb.api.exchange import Exchange
from flashweb.observe.engine_metrics import ServerFacts
from flashweb.observe.metrics import CONTENT_TYPE, Metrics
from flashweb.pipeline import Pipeline

PATH = "/metrics"
# vLLM leaves these out too: probes would drown what they are there to show.
NOT_COUNTED = ("/health", "/v1/health", PATH)


def metrics_router(pipeline: Pipeline) -> APIRouter:
    router = APIRouter(tags=["metrics"])
    one_at_a_time = asyncio.Lock()  # however many ask

    @router.get(PATH, operation_id="metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Counters, gauges and histograms in Prometheus' text format, also while the engine is loading or dead. Names
        are vLLM's where it has one."""
        async with one_at_a_time:
            facts = ServerFacts(__version__, pipeline.health().ready, pipeline.start_seconds)
            # On a thread: some milliseconds in which no stream would get its tokens.
            text = await asyncio.to_thread(pipeline.metrics.exposition, pipeline.engine.state, facts)
        return Response(text, media_type=CONTENT_TYPE, headers={"cache-control": "no-store"})

    return router


def count_http(metrics: Metrics) -> Callable[[Exchange], None]:
    """Counts exchanges by the pattern of their route, their method and their status; 499 when nobody was left."""

    def count(exchange: Exchange) -> None:
        scope = exchange.scope
        if not scope["path"].startswith(NOT_COUNTED):
            handler = getattr(scope.get("route"), "path", "none")
            metrics.http(handler, scope["method"], exchange.status, exchange.seconds)

    return count
