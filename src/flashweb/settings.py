"""The one settings tree: every option is declared here once, and flags, environment names, the TOML file, the help
texts, `--print-config` and `docs/settings.md` are derived from the declaration.

A value comes from the first of: flag, environment (`FLASHWEB_*`), TOML file, default. A name nobody declared is an
error that proposes the nearest one that exists. Knows what the options are called, which values they take and
which of this edition's limits they touch; not what they do. Imports nothing of ours but the errors.
"""

from __future__ import annotations

import argparse
import difflib
import ipaddress
import json
import os
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from flashweb.errors import ConfigError

ENV_PREFIX = "FLASHWEB_"
DEFAULT_TOML = "flashweb.toml"
BUNDLED_MODEL = "flashweb-nano"
# Names of the environment that other parts read for themselves and that are no settings.
_OTHER_ENV_NAMES = {"FLASHWEB_CONFIG", "FLASHWEB_HUB_URL", "FLASHWEB_API_KEY"}
# Kubernetes tells every pod about the services beside it: one called flashweb (or flashweb-...) gives such names.
_SERVICE_NAME = re.compile(
    rf"{ENV_PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://.+", re.IGNORECASE)
# Names that the product's documents use in the environment and in the config file, with or without our prefix.
_ALIASES = {"API_KEY_REQUIRED": "auth.api_key_required", "VALID_API_KEYS": "auth.api_keys"}

_RATE = re.compile(r"\s*(\d{1,9})\s*(?:/|\s+per\s+)\s*(second|minute|hour|day)\s*", re.IGNORECASE)
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)
_SIZE_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(value: Any) -> Any:
    """`10MiB`, `10MB`, `10m` -> 10 * 1024**2 (every unit is a power of 1024, as nginx and Docker read them)."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is no size; write a number with an optional unit, such as 4k, 10MiB or 2GiB")
    return int(float(match[1]) * 1024 ** _SIZE_POWERS[match[2].lower()])


Size = Annotated[int, BeforeValidator(parse_size)]


def option(default: Any, help: str, *, unit: str = "", **constraints: Any) -> Any:
    """One declared option; `unit` is what a bare number means."""
    return Field(default, description=help, json_schema_extra={"unit": unit}, **constraints)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class ServerSettings(_Section):
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


class AuthSettings(_Section):
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


class MediaSettings(_Section):
    """Pictures: how large, how many, from where."""

    max_upload_size: Size = option(10 << 20, "largest picture in a JSON body, decoded", unit="bytes", ge=1024)
    max_multipart_size: Size = option(32 << 20, "largest picture in a multipart form", unit="bytes", ge=1024)
    max_image_size: int = option(
        2048,
        "longest side the model sees; larger pictures are scaled down, never refused; 0 leaves the model's own limit",
        unit="pixels",
        ge=0,
    )
    max_image_pixels: int = option(
        50_000_000, "pictures with more pixels than this are refused before decoding", unit="pixels", ge=1
    )
    max_aspect_ratio: float = option(200.0, "pictures longer than this times their width are refused", ge=1)
    max_images: int = option(16, "pictures in one request", ge=0)
    media_allow_hosts: tuple[str, ...] = option(
        (),
        "hosts whose private or loopback addresses image_url may name, and webhooks, these over http too, as a comma "
        "list of host or host:port",
    )
    fetch_timeout: float = option(10.0, "whole time a remote picture may take", unit="seconds", gt=0)
    max_fetch_size: Size = option(20 << 20, "largest remote picture", unit="bytes", ge=1024)
    max_redirects: int = option(3, "redirects followed for a remote picture, each checked anew", ge=0)
    media_workers: int = option(
        0, "pictures that are decoded and resized at the same time; 0 means by the number of cores", ge=0, le=256
    )
    media_resize: Literal["exact", "fast"] = option(
        "exact", "exact gives the reference's pixels; fast is within 2 of 255 levels, in processes of 220 MB each"
    )
    media_cache_memory: Size = option(
        128 << 20, "memory for recent pictures, decoded and resized; 0 prepares every one anew", unit="bytes", ge=0
    )
    media_uuid_memory: Size = option(
        64 << 20, "memory for pictures that callers sent with a uuid; 0 keeps none", unit="bytes", ge=0
    )
    max_document_pages: int = option(50, "pages of PDF documents in one request", ge=0)
    max_document_dpi: int = option(200, "finest drawing of a page that a request may ask for", ge=36, le=1200)
    document_page_timeout: float = option(10.0, "time that one page of a PDF may take to draw", unit="seconds", gt=0)
    document_memory: Size = option(
        1 << 30, "memory that a process which draws PDF pages may take for them", unit="bytes", ge=64 << 20
    )
    document_workers: int = option(
        0, "PDF pages that are drawn at the same time, each in a process; 0 means by the number of cores", ge=0, le=64
    )
    document_cache_memory: Size = option(
        128 << 20, "memory for recently drawn pages of PDF documents; 0 draws every one anew", unit="bytes", ge=0
    )
    max_videos: int = option(4, "clips in one request", ge=0)
    max_video_size: Size = option(32 << 20, "largest clip, however it comes", unit="bytes", ge=1024)
    max_video_seconds: float = option(300.0, "longest clip", unit="seconds", gt=0)
    max_video_frames: int = option(18_000, "frames that a clip's file may hold; far fewer are looked at", ge=2)
    max_video_pixels: int = option(9_000_000, "pixels of a clip's frames", unit="pixels", ge=1)
    max_video_tokens: int = option(70_000, "tokens that the clips of one request may become", unit="tokens", ge=1)
    video_timeout: float = option(30.0, "time that reading one clip may take", unit="seconds", gt=0)
    video_memory: Size = option(
        1 << 30, "memory that a process which decodes clips may take for them", unit="bytes", ge=64 << 20
    )
    video_workers: int = option(
        0, "clips that are decoded at the same time, each in a process; 0 means by the number of cores", ge=0, le=64
    )
    video_cache_memory: Size = option(
        128 << 20, "memory for recent clips, decoded and resized; 0 decodes every one anew", unit="bytes", ge=0
    )


class ModelSettings(_Section):
    """Which checkpoint, and how its weights are held."""

    model: str = option(BUNDLED_MODEL, "the bundled model, a hub id such as zai-org/GLM-4.6V-Flash, or a folder")
    served_model_name: tuple[str, ...] = option(
        (), "further names clients may ask for besides the model's own and the built-in aliases, as a comma list"
    )
    revision: str | None = option(None, "branch, tag or commit of a Hugging Face id")
    dtype: Literal["auto", "bfloat16", "float32"] = option("auto", "number format the model computes in")
    load_format: Literal["auto", "dummy"] = option("auto", "dummy fills random weights, for measuring only")
    quantization: Literal["auto", "none", "fp8", "int8", "int4"] = option(
        "auto",
        "hold the decoder's weights in fewer bits; auto: on a GPU the widest format that fits its memory, on a CPU "
        "none; a checkpoint that is quantised already keeps its numbers where they are no wider. int4 and fp8 need a "
        "CUDA GPU (fp8 an Ada or Hopper one); under int8 on a CPU an answer may depend on the requests beside it",
    )


class EngineSettings(_Section):
    """The engine process: batch, memory, device."""

    engine: Literal["auto", "echo"] = option("auto", "echo answers with the prompt's own tokens; for tests of the API")
    device: Literal["auto", "cpu", "cuda"] = option("auto", "auto takes a GPU when there is one")
    threads: int = option(0, "CPU threads of the engine; 0 means by the number of cores", ge=0)
    max_model_len: Size = option(
        0, "tokens of prompt and answer together; 0 means what model and memory allow", unit="tokens", ge=0
    )
    max_num_seqs: int = option(0, "requests that decode at once; 0 means by device", ge=0, le=4096)
    max_num_batched_tokens: Size = option(0, "tokens of one engine step; 0 means by device", unit="tokens", ge=0)
    kv_cache_dtype: Literal["auto", "fp8"] = option(
        "auto",
        "what the KV cache keeps of keys and values: auto, the number format the model computes in; fp8, e4m3 with a "
        "scale a head and token, for nearly twice the tokens in the same memory",
    )
    kv_cache_memory: Size = option(0, "memory of the KV cache; 0 means what is left", unit="bytes", ge=0)
    gpu_memory_utilization: float = option(0.85, "share of the GPU's memory the engine may use", gt=0, le=1)
    encoder_cache_memory: Size = option(
        0, "memory for recent pictures' features; 0 means by device", unit="bytes", ge=0
    )
    prefix_cache: bool = option(True, "reuse the KV cache of earlier prompts that begin alike")
    prefer: Literal["throughput", "latency"] = option(
        "throughput",
        "latency: prompts and pictures that arrive are computed in smaller pieces, so that running streams hardly "
        "pause; fewer requests per second",
    )
    speculation: Literal["auto", "on", "off"] = option(
        "auto", "compute likely next tokens together where an answer repeats its prompt or itself; never changes it"
    )
    lazy_load: bool = option(False, "be ready at once and load the model on the first request")


class StorageSettings(_Section):
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


class WebhookSettings(_Section):
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


class ResultSettings(_Section):
    """Whole answers that are kept for requests that come again; off unless --result-cache says how much."""

    result_cache: Size = option(
        0,
        "memory for answers, greedy ones and those with a seed, that identical requests of the same caller get without "
        "asking the model; 0 computes each",
        unit="bytes",
        ge=0,
    )
    result_cache_entries: int = option(10_000, "answers kept at most", ge=1)
    result_cache_seconds: float = option(3600.0, "how long an answer is kept", unit="seconds", gt=0)
    result_cache_redis: SecretStr | None = option(
        None, "redis:// URL where several processes and servers keep them; --result-cache is then its bound there"
    )
    result_cache_sampled: bool = option(
        False, "keep also answers that were drawn at random without a seed: the same request then gets the same answer"
    )
    result_cache_shared: bool = option(
        False,
        "give answers to callers with other keys too; from how fast one comes, they can then tell what others asked",
    )

    @field_validator("result_cache_redis")
    @classmethod
    def _a_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("redis://", "rediss://", "redis+unix://")):
            raise ValueError("it is no redis://, rediss:// or redis+unix:// URL")
        return url


class LogSettings(_Section):
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


class Settings(_Section):
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


# --- the declared options, as data --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option:
    section: str
    name: str
    info: FieldInfo

    @property
    def path(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def flag(self) -> str:
        return "MODEL" if self.path == "model.model" else "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def unit(self) -> str:
        extra = self.info.json_schema_extra
        return str(extra.get("unit", "")) if isinstance(extra, dict) else ""

    @property
    def is_bool(self) -> bool:
        return _mentions(self.info.annotation, bool)

    @property
    def is_list(self) -> bool:
        return typing.get_origin(self.info.annotation) is tuple

    @property
    def is_secret(self) -> bool:
        return _mentions(self.info.annotation, SecretStr)

    @property
    def choices(self) -> tuple[str, ...]:
        annotation = self.info.annotation
        return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()


def options() -> Iterator[Option]:
    """Every option of the tree, section by section, in the order of declaration."""
    for section, section_info in Settings.model_fields.items():
        assert section_info.annotation is not None
        for name, info in section_info.annotation.model_fields.items():
            yield Option(section, name, info)


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing when no known name is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]}?)" if found else ""


def format_value(value: Any) -> str:
    """A value as the TOML file would hold it; secrets are hidden."""
    if isinstance(value, SecretStr):
        return '"**********"'
    if isinstance(value, tuple):
        return "[" + ", ".join(format_value(item) for item in value) + "]"
    if value is None:
        return "(not set)"
    return json.dumps(value, ensure_ascii=False)


# --- flags --------------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser, sections: Iterable[str] | None = None) -> None:
    """Derive flags (and the optional MODEL) from the tree. Absent flags leave no trace in the namespace."""
    wanted = None if sections is None else set(sections)
    groups: dict[str, Any] = {}
    for opt in options():
        if wanted is not None and opt.section not in wanted:
            continue
        group = groups.get(opt.section)
        if group is None:
            group = groups[opt.section] = parser.add_argument_group(opt.section)
        _add_argument(group, opt)
    parser.add_argument("--config", metavar="FILE", default=None, help=f"TOML file (default {DEFAULT_TOML} if present)")


def _add_argument(group: Any, opt: Option) -> None:
    text = f"{opt.info.description} (default {format_value(opt.info.default)}"
    text += f" {opt.unit}, " if opt.unit else ", "
    text = (text + f"env {opt.env})").replace("%", "%%")
    if opt.path == "model.model":
        group.add_argument(opt.path, nargs="?", metavar="MODEL", default=argparse.SUPPRESS, help=text)
    elif opt.is_bool:
        switch = argparse.BooleanOptionalAction
        group.add_argument(opt.flag, dest=opt.path, action=switch, default=argparse.SUPPRESS, help=text)
    else:
        metavar = "{" + ",".join(opt.choices) + "}" if opt.choices else opt.name.split("_")[-1].upper()
        group.add_argument(opt.flag, dest=opt.path, metavar=metavar, default=argparse.SUPPRESS, help=text)


# --- loading ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings and, per option path, the words for where its value came from."""

    settings: Settings
    sources: Mapping[str, str]


def load_settings(
    namespace: argparse.Namespace | Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    toml_path: str | Path | None = None,
) -> LoadedSettings:
    """Fill the tree: flag > environment > TOML file > default.

    `namespace` comes from a parser prepared by `add_arguments` (or is a mapping of option paths such as
    `server.port`). Raises ConfigError for unknown names, bad values and unreadable files.
    """
    environ = os.environ if environ is None else environ
    given = dict(namespace) if isinstance(namespace, Mapping) else vars(namespace or argparse.Namespace())
    file = toml_path or given.get("config") or environ.get("FLASHWEB_CONFIG")
    found: dict[str, tuple[Any, str]] = {}
    found.update(_from_toml(file))
    found.update(_from_environment(environ))
    found.update(_from_flags(given))
    found = {**_from_preset(found.get("server.preset", ("", ""))[0]), **found}
    return LoadedSettings(_build(found), {path: source for path, (_, source) in found.items()})


def _from_preset(name: Any) -> dict[str, tuple[Any, str]]:
    """The preset's values, as defaults: what is given anywhere beside it counts more."""
    return {path: (value, f"preset {name}") for path, value in PRESETS.get(name, {}).items()}


def _from_flags(given: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, str]]]:
    for opt in options():
        if opt.path in given:
            yield opt.path, (given[opt.path], "argument MODEL" if opt.flag == "MODEL" else f"flag {opt.flag}")


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[Any, str]]]:
    for alias, path in _ALIASES.items():
        for name in (alias, ENV_PREFIX + alias):
            if environ.get(name, "").strip():
                yield path, (environ[name], f"environment {name}")
    known = {opt.env: opt for opt in options()}
    for name, text in environ.items():
        if not name.startswith(ENV_PREFIX) or name in _OTHER_ENV_NAMES or _is_of_kubernetes(name, text):
            continue
        if name.removeprefix(ENV_PREFIX) in _ALIASES:
            continue  # above
        if name not in known:
            raise ConfigError(f"unknown environment variable {name}{nearest(name, known)}; unset or rename it")
        yield known[name].path, (text, f"environment {name}")


def _is_of_kubernetes(name: str, text: str) -> bool:
    """Whether the variable tells of a service; `FLASHWEB_PORT` is both ours and theirs, told apart by its value."""
    return bool(_SERVICE_NAME.fullmatch(name) or (name.endswith("_PORT") and _SERVICE_URL.fullmatch(text)))


def _from_toml(file: str | Path | None) -> Iterator[tuple[str, tuple[Any, str]]]:
    path = Path(file) if file is not None else Path(DEFAULT_TOML)
    if file is None and not path.is_file():
        return
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config file {path}: {error.strerror}; give another --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the config file {path} is no TOML: {error}") from error
    sections = Settings.model_fields
    known = {opt.path for opt in options()}
    for section, table in document.items():
        if section in _ALIASES:
            yield _ALIASES[section], (table, f"file {path}")
            continue
        if section not in sections:
            raise ConfigError(f"{path}: unknown section [{section}]{nearest(section, sections)}")
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {section} must be a table, written as [{section}]")
        for key, value in table.items():
            name = f"{section}.{key.replace('-', '_')}"
            if name not in known:
                raise ConfigError(f"{path}: unknown setting {section}.{key}{nearest(name, known)}")
            yield name, (value, f"file {path}")


def _build(found: Mapping[str, tuple[Any, str]]) -> Settings:
    tree: dict[str, dict[str, Any]] = {}
    for opt in options():
        if opt.path in found:
            value, source = found[opt.path]
            tree.setdefault(opt.section, {})[opt.name] = _from_text(opt, value, source)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain_invalid(error, found)) from None


def _explain_invalid(error: ValidationError, found: Mapping[str, tuple[Any, str]]) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"][:2])
    reason = first["msg"].removeprefix("Value error, ")
    if "." not in path:  # a whole section, which may hold secrets
        return f"[{path}] is refused: {reason}"
    value, source = found.get(path, (first["input"], "default"))
    secret = any(opt.is_secret for opt in options() if opt.path == path)
    return f"{source}: {path} = {'(hidden)' if secret else format_value(value)} is refused: {reason}"


def _from_text(opt: Option, value: Any, source: str) -> Any:
    """Flags and environment give text; split lists, read truth values, let pydantic do the numbers."""
    if isinstance(value, bool) and not opt.is_bool:  # pydantic would read true as 1
        raise ConfigError(f"{source}: {opt.path} = {format_value(value)} is refused: this is no switch; give its value")
    if opt.is_list and isinstance(value, dict):  # names and keys
        return [f"{name}:{item}" for name, item in value.items()]
    if not isinstance(value, str):
        return value
    text = value.strip()
    if opt.is_list:
        return _split_list(text, opt, source)
    if _mentions(opt.info.annotation, type(None)) and text.lower() in ("", "none"):
        return None
    return text


def _split_list(text: str, opt: Option, source: str) -> list[Any]:
    if not text.startswith(("[", "{") if opt.is_secret else "["):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        items = json.loads(text)
    except ValueError:
        shown = "(hidden)" if opt.is_secret else repr(text)
        raise ConfigError(f"{source}: {opt.path} = {shown} is neither a comma list nor a JSON list") from None
    return [f"{name}:{item}" for name, item in items.items()] if isinstance(items, dict) else list(items)


def _mentions(annotation: Any, wanted: type) -> bool:
    if annotation is wanted:
        return True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, tuple):
        return wanted in typing.get_args(annotation)
    return False


# --- telling people ---------------------------------------------------------------------------------------------


def print_config(loaded: LoadedSettings) -> str:
    """The whole tree as a TOML file would hold it, each line with the place its value came from."""
    lines: list[str] = []
    section = ""
    for opt in options():
        if opt.section != section:
            section = opt.section
            lines += ["", f"[{section}]"] if lines else [f"[{section}]"]
        value = getattr(getattr(loaded.settings, opt.section), opt.name)
        comment = "# " if value is None else ""
        text = f"{comment}{opt.name} = {format_value(value)}"
        lines.append(f"{text:<48} # {loaded.sources.get(opt.path, 'default')}")
    return "\n".join(lines) + "\n"


def settings_markdown() -> str:
    """`docs/settings.md`, generated; `tests/test_settings.py` keeps the file current."""
    lines = [
        "# Settings",
        "",
        "Generated from `src/flashweb/settings.py` by `python -m flashweb.settings`; do not edit by hand.",
        "",
        "A value comes from the first of: flag, environment, TOML file (`--config FILE`, or `flashweb.toml` in the",
        "working directory), default. Unknown names are errors that propose the nearest known one. Sizes accept",
        "`4k`, `10MiB`, `2G` (powers of 1024); lists are comma lists or JSON lists. `flashweb serve --print-config`",
        "shows every value and where it came from. What Kubernetes sets for a service called flashweb",
        "(`FLASHWEB_SERVICE_HOST`, `FLASHWEB_PORT=tcp://...`) is passed over.",
    ]
    section = ""
    for opt in options():
        if opt.section != section:
            section = opt.section
            doc = (Settings.model_fields[section].annotation.__doc__ or "").strip()
            lines += ["", f"## [{section}]", "", doc, ""]
            lines += ["| flag | environment, TOML | default | meaning |", "|---|---|---|---|"]
        default = format_value(opt.info.default) + (f" {opt.unit}" if opt.unit else "")
        meaning = str(opt.info.description) + (f" ({' / '.join(opt.choices)})" if opt.choices else "")
        names = f"`{opt.env}`, `{opt.path}`"
        lines.append(f"| `{opt.flag}` | {names} | {default} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join([*lines, *_presets_markdown()]) + "\n"


def _presets_markdown() -> list[str]:
    lines = ["", "## Presets", "", "What `--preset` changes of the defaults; whatever is given beside it still counts."]
    for name, values in PRESETS.items():
        lines += ["", f"| option | under `{name}` |", "|---|---|"]
        by_path = {opt.path: opt for opt in options()}
        for path, value in values.items():
            unit = by_path[path].unit
            lines.append(f"| `{by_path[path].flag}` | {format_value(value)}{' ' + unit if unit else ''} |")
    return lines


if __name__ == "__main__":
    print(settings_markdown(), end="")
