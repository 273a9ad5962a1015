"""How many requests were generated from the API's description, against which servers, and what came back: runs
tests/e2e/test_generated_requests.py and writes down what passed. Ten minutes on two idle cores; `-k nano` makes only
that run anew, GENERATED_SEED draws other requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import RESULTS, ROOT, machine, write_result

KEPT = RESULTS / "generated_requests.json"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "GENERATED_RESULTS": folder,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
        }
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "0",
            "tests/e2e/test_generated_requests.py",
            *sys.argv[1:],
        ]
        code = subprocess.run(command, cwd=ROOT, env=environ).returncode
        made = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(Path(folder).glob("*.json"))}
    kept = json.loads(KEPT.read_text("utf-8"))["runs"] if sys.argv[1:] and KEPT.exists() else {}
    runs = {name: kept.get(name, {}) | made.get(name, {}) for name in sorted(kept.keys() | made.keys())}
    write_result("generated_requests", {"setup": machine(), "exit_code": code, **summed(runs)})
    return code


def summed(runs: dict[str, dict[str, object]]) -> dict[str, object]:
    def total(name: str) -> float:
        return sum(float(str(run[name])) for run in runs.values())

    return {
        "cases": int(total("cases")),
        "with_failures": int(total("with_failures")),
        "seconds": round(total("seconds"), 1),
        "runs": runs,
    }


if __name__ == "__main__":
    sys.exit(main())
