"""`Settings`: all sections, and the presets that change their defaults."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from flashweb.settings.auth import AuthSettings
from flashweb.settings.engine import EngineSettings
from flashweb.settings.log import LogSettings
from flashweb.settings.media import MediaSettings
from flashweb.settings.model import ModelSettings
from flashweb.settings.results import ResultSettings
from flashweb.settings.section import Section
from flashweb.settings.server import ServerSettings
from flashweb.settings.storage import StorageSettings
from flashweb.settings.webhooks import WebhookSettings


class Settings(Section):
    """The whole tree. Frozen; built once, in `load_settings`, and handed down."""

    server: ServerSettings = Field(default_factory=ServerSettings)
    auth: AuthSettings = Field(default_factory=AuthSettings)
    media: MediaSettings = Field(default_factory=MediaSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    results: ResultSettings = Field(default_factory=ResultSettings)
    log: LogSettings = Field(default_factory=LogSettings)


# What a preset changes of the defaults.
PRESETS: dict[Any, dict[str, Any]] = {
    # Strangers: 5 MiB a picture (the product's documents), a key each, and nobody may fill the house alone.
    "strict": {
        "auth.api_key_required": True,
        "server.rate_limit": "30/minute",
        "server.limit_concurrency": 32,
        "server.request_timeout": 120.0,
        "server.max_body_size": 32 << 20,
        "server.body_timeout": 30.0,
        "server.send_timeout": 30.0,
        "media.max_upload_size": 5 << 20,
        "media.max_multipart_size": 5 << 20,
        "media.max_fetch_size": 5 << 20,
        "media.max_images": 4,
        "media.max_image_pixels": 25_000_000,
    },
}
