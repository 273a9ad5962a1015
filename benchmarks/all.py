"""Measures every figure of the READMEs, one after the other, and writes them there: half an hour on two quiet cores.

    .venv/bin/python benchmarks/all.py [NAME ...]

With names, only those (start_time, serve_ratio, cpu_generate, media, echo_cost, memory, bench, eval). New results
have to be added to git before report.py shows them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from common import RESULTS, ROOT, flashweb_command, free_port, running

SCRIPTS = {
    "start_time": ["start_time.py"],
    "serve_ratio": ["serve_ratio.py"],
    "cpu_generate": ["cpu_generate.py"],
    "media": ["media.py"],
    "echo_cost": ["echo_cost.py", "--save"],
    "memory": ["memory.py", "--save"],
}
# These measure a running server with the bundled model.
COMMANDS = {
    "bench": ["bench", "--concurrency", "1,8", "--least", "16"],
    "eval": ["eval", "--concurrency", "4"],
}


def main(names: list[str]) -> int:
    unknown = set(names) - set(SCRIPTS) - set(COMMANDS)
    if unknown:
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join([*SCRIPTS, *COMMANDS])}")
    wanted = names or [*SCRIPTS, *COMMANDS]
    failed = [name for name in wanted if not measured(name)]
    subprocess.run([sys.executable, "benchmarks/report.py"], cwd=ROOT, check=True)
    print(f"not measured or not met: {', '.join(failed)}" if failed else "all measured", file=sys.stderr)
    return int(bool(failed))


def measured(name: str) -> bool:
    print(f"--- {name}", file=sys.stderr, flush=True)
    if name in SCRIPTS:
        script, *flags = SCRIPTS[name]
        return subprocess.run([sys.executable, f"benchmarks/{script}", *flags], cwd=ROOT).returncode == 0
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{port}"
        with running(flashweb_command(port), url, Path(folder) / "log", "/health/ready"):
            target = ["--url", url, "--json", str(RESULTS / f"{name}.json")]
            return (
                subprocess.run([sys.executable, "-m", "flashweb", *COMMANDS[name], *target], cwd=ROOT).returncode == 0
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
