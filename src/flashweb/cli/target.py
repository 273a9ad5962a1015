"""Which server a command talks to: the flags `--url`, `--model`, `--key` and what stands in for them when absent."""

from __future__ import annotations

import argparse
import os

from flashweb.settings import load_settings


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="the server (default: this machine's, on the configured port)")
    parser.add_argument("--model", help="model name to ask for (default: the first the server lists)")
    parser.add_argument("--key", help="API key (default: FLASHWEB_API_KEY of the environment)")


def target_url(args: argparse.Namespace) -> str:
    if args.url:
        return str(args.url)
    server = load_settings({}).settings.server
    host = "127.0.0.1" if server.host in ("0.0.0.0", "::", "") else server.host
    return f"http://{f'[{host}]' if ':' in host else host}:{server.port}"


def target_key(args: argparse.Namespace) -> str | None:
    """Not OPENAI_API_KEY: a key for one host must not go to whatever host --url names."""
    return args.key or os.environ.get("FLASHWEB_API_KEY") or None
