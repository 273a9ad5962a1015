"""For ASGI servers started by hand: `gunicorn -k uvicorn.workers.UvicornWorker app:app` (one worker in this edition).

Settings come from the environment (`FLASHWEB_*`) and `flashweb.toml`; `flashweb serve` is the usual way to start.
"""

from flashweb.asgi import app

__all__ = ["app"]
