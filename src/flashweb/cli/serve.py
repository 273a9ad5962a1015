"""Start the server: load MODEL, print a ready line with the URLs, answer until stopped (SIGTERM or Ctrl-C drains)."""

from __future__ import annotations

import argparse

from flashweb.settings import add_arguments as add_setting_arguments
from flashweb.settings import load_settings, print_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_setting_arguments(parser)
    parser.add_argument(
        "--print-config", action="store_true", help="print every setting and where its value came from, then end"
    )


def run(args: argparse.Namespace) -> int:
    loaded = load_settings(args)
    if args.print_config:
        print(print_config(loaded), end="")
        return 0
    from flashweb.serve import run as serve

    return serve(loaded.settings)
