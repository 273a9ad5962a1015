"""Builds and tests the page with Node, where there is Node; called by `make web` and `make test`.

    python3 web/tools/page.py build | test

Packages come by `npm ci`, and only when those that lie there are not the lock file's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

WEB = Path(__file__).resolve().parents[1]
LEAST_NODE = (20, 19)  # Vite's own
LEFT_OUT = {"build": "the page cannot be built", "test": "the page's own tests are left out"}
# As npm names what is the network's fault; all else is the lock file's, or ours.
UNREACHABLE = re.compile(
    r"code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT|E5\d\d)\b"
)


def main(arguments: list[str]) -> int:
    if arguments not in (["build"], ["test"]):
        print(__doc__)
        return 2
    (verb,) = arguments
    missing = missing_node()
    if missing is not None:
        say(f"{missing}; {LEFT_OUT[verb]}")
        return 1 if verb == "build" else 0
    if not is_installed() and not install():
        say("no package registry answers; " + LEFT_OUT[verb])
        return 1 if verb == "build" else 0
    if verb == "build":
        npm("run", "--silent", "types")
        npm("run", "--silent", "build")
        subprocess.run([sys.executable, str(WEB / "tools" / "built.py")], check=True)
    else:
        # Types are checked by the build, and a test of Python sees to it that what is here was built.
        npm("test", "--silent", "--", "--reporter=dot")
    return 0


def missing_node() -> str | None:
    """What is missing, in words; None when all is there."""
    least = ".".join(map(str, LEAST_NODE))
    if not shutil.which("node") or not shutil.which("npm"):
        return f"no Node (with npm) on this machine, {least} or newer is needed"
    shown = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(map(int, re.findall(r"\d+", shown)[:2]))
    return None if version >= LEAST_NODE else f"Node is {shown.strip()}, {least} or newer is needed"


def is_installed(web: Path = WEB) -> bool:
    """Whether node_modules holds what the lock file says: npm keeps a list of what it put there."""
    try:
        wanted = packages_of(web / "package-lock.json")
        there = packages_of(web / "node_modules" / ".package-lock.json")
    except OSError:
        return False
    except ValueError:  # half a file
        return False
    missing = [path for path, package in wanted.items() if path not in there and not package.get("optional")]
    return not missing and all(
        path in wanted and wanted[path].get("version") == package.get("version") for path, package in there.items()
    )


def packages_of(lock: Path) -> dict[str, dict[str, Any]]:
    packages: dict[str, dict[str, Any]] = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    return {path: package for path, package in packages.items() if path}  # "" is the page itself


def install() -> bool:
    """False when the registry could not be reached. Raises CalledProcessError when something else is wrong."""
    say("installing the page's packages (npm ci) ...")
    command = ["npm", "ci", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000", "--loglevel=error"]
    done = subprocess.run(command, cwd=WEB, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode and not UNREACHABLE.search(done.stderr):
        sys.stderr.write(done.stderr)
        done.check_returncode()
    return done.returncode == 0


def npm(*arguments: str) -> None:
    plain = {} if sys.stdout.isatty() else {"NO_COLOR": "1"}  # a log shows no colours
    subprocess.run(["npm", *arguments], cwd=WEB, check=True, env={**os.environ, **plain})


def say(text: str) -> None:
    print(f"flashweb: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        say(f"{' '.join(map(str, error.cmd))} failed (exit status {error.returncode}); see above")
        sys.exit(1)
