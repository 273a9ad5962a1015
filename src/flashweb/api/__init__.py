"""The HTTP face: OpenAI's chat API, health, models, docs. Nobody imports from here but the server."""

from flashweb.api.app import create_app
from flashweb.api.middleware import own_origins

__all__ = ["create_app", "own_origins"]
