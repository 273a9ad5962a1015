"""`flashweb.asgi:app` for ASGI servers that are started by hand: `gunicorn -k uvicorn.workers.UvicornWorker app:app`.

Settings come from the environment and `flashweb.toml`; sockets and signals are the server's business. One worker in
this edition: each would load an engine of its own. `flashweb serve` is the usual way to start.
"""

from __future__ import annotations

import uvicorn.protocols.http.auto
from starlette.types import ASGIApp

from flashweb.api import create_app, own_origins
from flashweb.http_protocol import BoundedHttp
from flashweb.observe import configure_logging
from flashweb.serve import build_pipeline
from flashweb.settings import load_settings


def build_app() -> ASGIApp:
    """The whole app, wired but not started: its lifespan starts and stops the engine."""
    settings = load_settings().settings
    configure_logging(settings.log)
    pipeline, names = build_pipeline(settings)
    ports = (settings.server.port, *settings.server.ui_port)
    return create_app(settings, pipeline, names, own_origins=own_origins(settings.server.host, ports))


# gunicorn's worker for uvicorn leaves the choice of a parser to uvicorn, after this import: bare httptools, unbounded,
# where that is installed, as it is with us.
uvicorn.protocols.http.auto.AutoHTTPProtocol = BoundedHttp

app = build_app()
