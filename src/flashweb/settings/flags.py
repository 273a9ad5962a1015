"""The flags of the command line, and the optional MODEL."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from flashweb.settings.declared import Option, format_value, options

DEFAULT_TOML = "flashweb.toml"


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
