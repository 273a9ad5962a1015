"""Standard Webhooks' signature: HMAC-SHA256 over `id.timestamp.body`, under a secret that the receiver knows too."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

from flashweb.errors import ConfigError
from flashweb.keys import lines_of
from flashweb.settings import WebhookSettings

PREFIX = "whsec_"


class Signer:
    """Signs with every secret there is, so that one can take another's place. Raises ConfigError."""

    def __init__(self, settings: WebhookSettings) -> None:
        given = [secret.get_secret_value().strip() for secret in settings.webhook_secret]
        if settings.webhook_secret_file is not None:
            given += lines_of(Path(settings.webhook_secret_file).expanduser(), "webhook secret")
        self._keys = [_key(secret) for secret in given]

    @property
    def can_sign(self) -> bool:
        return bool(self._keys)

    def headers(self, id: str, seconds: int, body: bytes) -> dict[str, str]:
        """`seconds`: of this attempt, since 1970; a receiver refuses what is old."""
        signed = f"{id}.{seconds}.".encode() + body
        made = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in self._keys)
        return {
            "webhook-id": id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(f"v1,{signature}" for signature in made),
        }


def _key(secret: str) -> bytes:
    key = b""
    try:
        if secret.startswith(PREFIX):
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        pass
    if not 24 <= len(key) <= 64:
        raise ConfigError(
            "a webhook secret is no whsec_ with the base64 of 24 to 64 random bytes behind it; make one with: "
            'echo "whsec_$(openssl rand -base64 32)"'
        )
    return key
