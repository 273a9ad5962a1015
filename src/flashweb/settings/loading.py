"""`load_settings`: flag, environment, TOML file, preset and default become one tree; unknown names and bad values are
ConfigErrors that say where they stand."""

from __future__ import annotations

import argparse
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flashweb.errors import ConfigError
from flashweb.settings.declared import ENV_PREFIX, Option, format_value, mentions, nearest, options
from flashweb.settings.flags import DEFAULT_TOML
from flashweb.settings.tree import PRESETS, Settings

# Names of the environment that other parts read for themselves and that are no settings.
_OTHER_ENV_NAMES = {"FLASHWEB_CONFIG", "FLASHWEB_HUB_URL", "FLASHWEB_API_KEY"}
# Kubernetes tells every pod about the services beside it: one called flashweb (or flashweb-...) gives such names.
_SERVICE_NAME = re.compile(
    rf"{ENV_PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://.+", re.IGNORECASE)
# Names that the product's documents use in the environment and in the config file, with or without our prefix.
_ALIASES = {"API_KEY_REQUIRED": "auth.api_key_required", "VALID_API_KEYS": "auth.api_keys"}


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
    if mentions(opt.info.annotation, type(None)) and text.lower() in ("", "none"):
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
