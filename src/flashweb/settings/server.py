"""`ServerSettings`: sockets, limits at the door, and the end of the server's life."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from flashweb.settings.section import Section, Size, option

_RATE = re.compile(r"\s*(\d{1,9})\s*(?:/|\s+per\s+)\s*(second|minute|hour|day)\s*", re.IGNORECASE)


class ServerSettings(Section):
    """Sockets, limits at the door, and the end of the server's life."""

    host: str = option("127.0.0.1", "address to listen on; 0.0.0.0 opens the server to other machines")
    port: int = option(8080, "port of the API; 0 lets the system choose one", ge=0, le=65535)
    ui_port: tuple[Annotated[int, Field(ge=0, le=65535)], ...] = option(
        (7860,), "further ports, same app (the page's), as a comma list; 0 for none. A busy one is skipped"
    )
    cors_allowed_origins: tuple[str, ...] = option(
        (), "browser origins that may call the API besides the server's own ports, as a comma list; * for every one"
    )
    allowed_hosts: tuple[str, ...] = option(
        (),
        "host names this server answers to besides addresses, localhost and its own name, as a comma list; * for "
        "every one (guards against DNS rebinding while listening on a loopback address)",
    )
    max_body_size: Size = option(64 << 20, "largest request body", unit="bytes", ge=1024)
    body_timeout: float = option(
        300.0, "a request body must have arrived completely within this time", unit="seconds", gt=0
    )
    limit_concurrency: int | None = option(
        None, "largest number of running + waiting inference requests; default: 5 x --max-num-seqs", ge=1
    )
    timeout_graceful_shutdown: float = option(
        60.0, "time running requests get to finish after SIGTERM", unit="seconds", ge=0
    )
    stream_keep_alive: float = option(
        10.0, "a silent stream gets an SSE comment this often, so that proxies keep it open", unit="seconds", gt=0
    )
    send_timeout: float = option(
        60.0, "a client that reads nothing for this long is dropped and its request stopped", unit="seconds", gt=0
    )
    scenes_dir: str | None = option(
        None, "folder of further scenes, one .toml file each, read again when one changes; docs/scenes.md"
    )
    use_rest: bool = option(True, "accepted for older start scripts; the REST API is always on")
    enable_web_ui: bool = option(True, "accepted for older start scripts; the page is always on")
    workers: int = option(1, "web processes, which share one engine", ge=1, le=64)
    preset: Literal["default", "strict"] = option(
        "default", "strict: defaults for the open internet (table below); whatever is given beside it still counts"
    )
    request_timeout: float | None = option(
        None,
        "longest time from a request's first byte to its answer's last; default: by path, 30 (infer), 45 (multimodal, "
        "audit-image) or 600",
        unit="seconds",
        gt=0,
    )
    rate_limit: str | None = option(None, "requests a caller may make, as N/second, N/minute, N/hour or N/day")
    rate_limit_scope: Literal["caller", "global"] = option(
        "caller", "who shares a rate limit: each API key (without keys each address, IPv6 by /64), or all together"
    )
    rate_limit_redis: SecretStr | None = option(
        None, "redis:// URL where several servers count together; default: in this server's memory"
    )
    rate_limit_fallback: Literal["open", "closed"] = option(
        "open", "while Redis does not answer: open lets every request pass, closed refuses them with 503"
    )
    trusted_proxies: tuple[str, ...] = option(
        (),
        "addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, as a comma list",
    )

    @field_validator("ui_port")
    @classmethod
    def _zero_means_none(cls, ports: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(port for port in ports if port != 0)

    @field_validator("rate_limit")
    @classmethod
    def _a_rate(cls, rate: str | None) -> str | None:
        if rate is None or rate.strip().lower() in ("", "off", "none", "0"):
            return None
        match = _RATE.fullmatch(rate)
        if match is None or int(match[1]) == 0:
            raise ValueError(f"{rate!r} is no rate; write N/second, N/minute, N/hour or N/day, such as 10/second")
        return f"{int(match[1])}/{match[2].lower()}"

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for text in proxies:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise ValueError(f"{text!r} is neither an address nor a network such as 10.0.0.0/8") from None
        return proxies
