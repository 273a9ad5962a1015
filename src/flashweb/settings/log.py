"""`LogSettings`: what the server writes to standard error."""

from __future__ import annotations

from typing import Literal

from flashweb.settings.section import Section, option


class LogSettings(Section):
    """What the server writes to standard error."""

    log_level: Literal["debug", "info", "warning", "error"] = option("info", "least severe messages to write")
    log_format: Literal["text", "json"] = option("text", "one line for people, or one JSON object per line")
    access_log: bool = option(True, "one line per request")
    log_image_hash: bool = option(True, "the MD5 of a request's pictures in its access log line, as image_hash")
    log_prompt_chars: int = option(
        32,
        "first characters of a question in the access log, as prompt_truncated, never more than half of it; 0 for none",
        unit="characters",
        ge=0,
        le=100,
    )
