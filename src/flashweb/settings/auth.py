"""`AuthSettings`: who may call."""

from __future__ import annotations

from typing import Self

from pydantic import SecretStr, model_validator

from flashweb.settings.section import Section, option


class AuthSettings(Section):
    """Who may call. Keys are better given in the environment or a file: other users of the machine can read flags."""

    api_keys: tuple[SecretStr, ...] = option(
        (),
        "API keys, each KEY or NAME:KEY (the name is for logs and usage), as a comma list, a JSON list or a JSON "
        "object of names and keys; also VALID_API_KEYS",
    )
    api_key_file: str | None = option(None, "file with one API key a line, as above; # begins a comment")
    api_key_required: bool | None = option(
        None, "refuse requests without a valid key; default: when there are keys; also API_KEY_REQUIRED"
    )
    admin_key: SecretStr | None = option(None, "key for /api/admin; it also opens everything else")

    @model_validator(mode="after")
    def _required_keys_exist(self) -> Self:
        if self.api_key_required and not (self.api_keys or self.api_key_file):
            raise ValueError(
                "API keys are required, but there are none; set VALID_API_KEYS or --api-key-file, or take back "
                "API_KEY_REQUIRED"
            )
        return self
