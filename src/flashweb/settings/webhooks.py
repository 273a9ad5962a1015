"""`WebhookSettings`: who is told that something has ended."""

from __future__ import annotations

from typing import Self

from pydantic import SecretStr, model_validator

from flashweb.settings.section import Section, option


class WebhookSettings(Section):
    """Who is told that a batch, a background response or a job has ended (jobs.md)."""

    webhook_url: str | None = option(None, "https:// URL that is told, of requests that name none themselves")
    webhook_secret: tuple[SecretStr, ...] = option(
        (),
        "what webhooks are signed with, whsec_...; several, as a comma list, while one replaces another. Better in the "
        "environment or a file: other users of the machine can read flags",
    )
    webhook_secret_file: str | None = option(None, "file with one such secret a line; # begins a comment")

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if self.webhook_url and not (self.webhook_secret or self.webhook_secret_file):
            raise ValueError("--webhook-url needs a --webhook-secret-file: receivers could not tell who sends")
        return self
