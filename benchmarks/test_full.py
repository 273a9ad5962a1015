"""Runs every test there is, slow ones too, and records the outcome in benchmarks/results/test-full.json.

What needs a GPU or a browser is skipped where there is none; the record says so.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

from common import ROOT, machine, write_result


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        explore = "--hypothesis-profile=explore"  # examples that no run has seen
        command = [sys.executable, "-m", "pytest", "-q", explore, f"--junitxml={report}", *sys.argv[1:]]
        code = subprocess.run(command, cwd=ROOT).returncode
        write_result(
            "test-full", {"command": "make test-full", "setup": machine(), "exit_code": code} | outcome(report)
        )
    return code


def outcome(report: Path) -> dict[str, object]:
    suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
    cases = list(suite.iter("testcase"))
    skipped = Counter(case[0].get("message", "") for case in cases if len(case) and case[0].tag == "skipped")
    slowest = sorted(cases, key=lambda case: float(case.get("time", 0)), reverse=True)[:10]
    bad = [f"{c.get('classname')}::{c.get('name')}" for c in cases if len(c) and c[0].tag in ("failure", "error")]
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    return counts | {
        "passed": counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"],
        "seconds": round(float(suite.get("time", 0)), 1),
        "failed": bad,
        "skipped_because": dict(skipped),
        "slowest_seconds": {
            f"{c.get('classname')}::{c.get('name')}": round(float(c.get("time", 0)), 1) for c in slowest
        },
    }


if __name__ == "__main__":
    sys.exit(main())
