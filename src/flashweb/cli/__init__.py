"""The `flashweb` command: finds the verb, imports only that verb's module, turns errors into exit codes.

Exit codes: 0 done, 1 the work itself failed (a server answered with an error, a score was missed), 2 wrong usage,
3 a wrong setting, 4 the environment or the model folder is not fit, 130 interrupted. Answers go to standard output,
everything else to standard error.

Each verb is a module here with `add_arguments(parser)` and `run(args) -> int`. Nothing heavy is imported before the
verb is known: `flashweb --version` must not wait for an HTTP stack.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn

from flashweb import __version__

# verb -> what `flashweb --help` says about it
VERBS = {
    "serve": "start the server: flashweb serve [MODEL]",
    "chat": 'ask about pictures: flashweb chat receipt.png "list the amounts"',
    "bench": "measure any OpenAI-compatible server: first token, time per token, requests/s",
    "eval": "score any OpenAI-compatible server on the bundled model's held-out pictures",
    "batch": "many requests or pictures: flashweb batch scene audit pictures/ -o audit.csv",
    "doctor": "check this machine, tell whether a model fits and what to do",
}
OK, FAILED, USAGE, CONFIG, ENVIRONMENT, INTERRUPTED = 0, 1, 2, 3, 4, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code and never raises for mistakes of the person at the keyboard."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] in (["--version"], ["-V"], ["version"]):
        print(f"flashweb {__version__}")
        return OK
    if not args or args[0] in ("-h", "--help", "help"):
        print(_help())
        return OK if args else USAGE
    if args[0] not in VERBS:
        near = get_close_matches(args[0], VERBS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        print(f"flashweb: unknown command {args[0]!r}{hint}; `flashweb --help` lists them", file=sys.stderr)
        return USAGE
    return _run(args[0], args[1:])


def _run(verb: str, args: list[str]) -> int:
    from flashweb.errors import CheckpointError, ConfigError, FlashwebError

    try:
        module = import_module(f"flashweb.cli.{verb}")
        parser = _Parser(
            prog=f"flashweb {verb}",
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(parser)
        return int(module.run(parser.parse_args(args)))
    except SystemExit as leaving:  # argparse: 0 for --help, 2 for wrong usage
        return leaving.code if isinstance(leaving.code, int) else USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `flashweb chat ... | head -1`: the reader has enough
        return _leave_quietly()
    except ConfigError as error:
        return _complain(error.message, CONFIG)
    except CheckpointError as error:
        return _complain(error.message, ENVIRONMENT)
    except FlashwebError as error:
        return _complain(error.message, FAILED)


class _Parser(argparse.ArgumentParser):
    """Proposes the nearest flag for one that nobody declared, without the page of usage that would hide it."""

    def error(self, message: str) -> NoReturn:
        _, found, unknown = message.partition("unrecognized arguments: ")
        if found:
            name = unknown.split()[0].partition("=")[0]
            near = get_close_matches(name, self._option_string_actions, n=1)
            message += f" (did you mean {near[0]}?)" if near else ""
        self.exit(USAGE, f"{self.prog}: {message}; `{self.prog} --help` lists the flags\n")


def _leave_quietly() -> int:
    """Keep the interpreter from complaining when it flushes a pipe that nobody reads any more."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _complain(message: str, code: int) -> int:
    print(f"flashweb: {message}", file=sys.stderr)
    return code


def _help() -> str:
    width = max(map(len, VERBS))
    rows = "\n".join(f"  {verb:<{width}}  {text}" for verb, text in VERBS.items())
    return (
        f"flashweb {__version__}: serve a GLM-4V vision-language model on this machine\n\n"
        f"usage: flashweb COMMAND [...]   (flashweb COMMAND --help explains it)\n\n{rows}\n\n"
        "  --version  print the version\n"
    )
