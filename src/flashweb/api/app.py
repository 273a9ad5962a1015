"""`create_app(settings, pipeline)`: the list of parts, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp

from flashweb import __version__
from flashweb.api.admin import admin_router
from flashweb.api.background import Background
from flashweb.api.batches import batches_router
from flashweb.api.chat import StraightToChat, chat_router
from flashweb.api.completions import completions_router
from flashweb.api.error_handlers import install_error_handlers
from flashweb.api.files import files_router
from flashweb.api.idempotency import idempotency_store
from flashweb.api.jobs import jobs_router
from flashweb.api.messages import messages_router
from flashweb.api.metrics import metrics_router
from flashweb.api.middleware import layers
from flashweb.api.multimodal import multimodal_router
from flashweb.api.openapi import install_openapi
from flashweb.api.ops import ops_router
from flashweb.api.pages import PAGE_FOLDER, pages_router
from flashweb.api.responses.routes import Responses, responses_router
from flashweb.api.scenes import scenes_router
from flashweb.api.tokens import tokens_router
from flashweb.keys import KeyRing
from flashweb.names import ModelNames
from flashweb.observe.ledger import Ledger
from flashweb.observe.peers import NoPeers, Peers
from flashweb.pipeline import Pipeline
from flashweb.rate_limit import RateLimiter, build_limiter
from flashweb.settings import Settings
from flashweb.stored.idempotency import IdempotencyStore
from flashweb.webhooks import Courier, JobEndings, ResponseEndings


def create_app(
    settings: Settings,
    pipeline: Pipeline,
    names: ModelNames,
    *,
    own_origins: Sequence[str] = (),
    limiter: RateLimiter | None = None,
    peers: Peers | None = None,
    page: Path = PAGE_FOLDER,
) -> ASGIApp:
    """The whole HTTP face over one pipeline. Its lifespan starts the pipeline (in the background, so that health can
    be asked meanwhile) and stops it; draining comes before and is the server's business.

    `own_origins` are the addresses of the server's own pages, which may call every port of it. `limiter` counts
    requests where several web processes count together; by default this one counts for itself. `peers` are those
    other web processes, whom the operator's questions are put to as well. `page` is the folder of the built web page.
    Raises ConfigError.
    """
    keys, limiter = KeyRing(settings.auth), limiter or build_limiter(settings.server)
    background = Background(settings, pipeline)
    responses = Responses(pipeline, names, settings, background.queue)
    endings = JobEndings(background.queue), ResponseEndings(responses.store)
    hooks = Courier(settings, endings, pipeline.metrics)
    idempotency = idempotency_store(settings.storage)
    pipeline.read_files_by(background.files.bytes_of)
    app = FastAPI(
        title="flashweb",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(pipeline, limiter, responses, background, hooks, idempotency, lambda: whole),
        redirect_slashes=False,
    )
    ledger = Ledger()
    chat = chat_router(pipeline, names, settings)
    app.include_router(chat)
    app.include_router(completions_router(pipeline, names, settings))
    app.include_router(messages_router(pipeline, names, settings))
    app.include_router(tokens_router(pipeline, names, settings))
    app.include_router(multimodal_router(pipeline, names, settings))
    app.include_router(responses_router(responses))
    app.include_router(scenes_router(pipeline, names, settings, background.queue, hooks))
    app.include_router(files_router(background.files, settings.storage))
    app.include_router(batches_router(background.queue, background.files, background.batches, hooks))
    app.include_router(jobs_router(background.queue))
    app.include_router(ops_router(pipeline, names, settings))
    app.include_router(metrics_router(pipeline))
    app.include_router(admin_router(pipeline, names, settings, ledger, peers or NoPeers()))
    app.include_router(pages_router(names, page))
    install_error_handlers(app)
    install_openapi(app, keys_required=keys.required)
    chats = StraightToChat(app, chat)
    whole = layers(chats, settings, own_origins, limiter, keys, pipeline.metrics, ledger, idempotency)
    return whole


def _lifespan(
    pipeline: Pipeline,
    limiter: RateLimiter | None,
    responses: Responses,
    background: Background,
    hooks: Courier,
    idempotency: IdempotencyStore | None,
    whole: Callable[[], ASGIApp],
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await pipeline.start()
        responses.start()
        background.start(whole(), responses.runs)
        hooks.start()
        try:
            yield
        finally:
            # The queue closes behind all that put something into it: whoever came later would open it again.
            await hooks.stop()
            await responses.stop()
            await background.stop()
            await responses.close()
            await pipeline.stop()
            if idempotency is not None:
                await idempotency.close()
            if limiter is not None:
                await limiter.close()

    return lifespan
