"""`StorageSettings`: what outlives a request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from flashweb.settings.section import Section, Size, option


class StorageSettings(Section):
    """What outlives a request: uploaded files, stored responses, jobs."""

    data_dir: str | None = option(
        None, "folder for what outlives a request; default: flashweb in $XDG_DATA_HOME or ~/.local/share"
    )
    responses_size: Size = option(
        1 << 30,
        "largest size of all stored responses with their pictures; those unused for longest are dropped",
        unit="bytes",
        ge=1 << 20,
    )
    responses_days: float = option(30.0, "a stored response is kept so long after its last use", unit="days", gt=0)
    jobs_url: SecretStr | None = option(
        None,
        "postgresql:// or redis:// URL of a queue that several servers share; default: a SQLite file in --data-dir",
    )
    max_waiting_jobs: int = option(
        200,
        "jobs of one caller that wait or run: batches, background responses and scenes that are answered later; one "
        "more is a 429",
        ge=1,
    )
    max_file_size: Size = option(512 << 20, "largest file at /v1/files", unit="bytes", ge=1024)
    file_quota: Size = option(10 << 30, "bytes of all files of one caller together", unit="bytes", ge=1024)
    keep_days: float = option(30.0, "how long jobs that have ended, and files of batches, are kept", unit="days", gt=0)

    idempotency: Literal["disk", "memory", "off"] = option(
        "disk",
        "where answers to requests with an Idempotency-Key are kept: disk, in --data-dir, for all web processes and "
        "over a restart; memory, of each web process; off: the header is not looked at",
    )
    idempotency_hours: float = option(24.0, "how long such an answer is given again", unit="hours", gt=0)
    idempotency_size: Size = option(
        64 << 20,
        "largest size of all such answers; the oldest of whoever has most are dropped",
        unit="bytes",
        ge=1 << 20,
    )

    @property
    def folder(self) -> Path:
        """Of this server's own; made by whoever first writes into it."""
        if self.data_dir:
            return Path(self.data_dir).expanduser()
        return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "flashweb"
