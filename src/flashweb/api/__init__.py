"""The HTTP face: OpenAI's chat API, health, models, docs. Nobody imports from here but the server."""

from flashweb.api.app import create_app
from flashweb.api.middleware import own_origins
from flashweb.api.names import ModelNames

__all__ = ["ModelNames", "create_app", "own_origins"]
