"""uvicorn around our app: everything HTTP that `serve.py` starts, in one module, so that it can be imported while the
engine process is already loading. Knows nothing of signals, models or when to stop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp

from flashweb.api import create_app, own_origins
from flashweb.http_protocol import BoundedHttp
from flashweb.names import ModelNames
from flashweb.observe.peers import Peers
from flashweb.pipeline import Pipeline
from flashweb.rate_limit import RateLimiter
from flashweb.settings import Settings


class Server(uvicorn.Server):
    """uvicorn's server without its own signal handling: draining needs the listener open while we say 503."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def build_server(
    settings: Settings,
    pipeline: Pipeline,
    names: ModelNames,
    ports: Sequence[int],
    limiter: RateLimiter | None = None,
    peers: Peers | None = None,
) -> Server:
    origins = own_origins(settings.server.host, ports)
    return server_of(create_app(settings, pipeline, names, own_origins=origins, limiter=limiter, peers=peers))


def server_of(app: ASGIApp) -> Server:
    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # uvicorn believes whoever is on 127.0.0.1; we believe `--trusted-proxies`
        lifespan="on",
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
    )
    return Server(config)
