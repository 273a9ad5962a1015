"""A set of conversations drawn again with other seeds and put to the bundled model: where the shipped set is too small
to tell 2 % from 4 %. Needs the font pack of training (TRAINING_FONTS, see training/README.md).

    .venv/bin/python benchmarks/further_cases.py [--only refusals] [--seeds 881 882 883 884 885] [--model FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import NANO, ROOT, machine, write_result


def scores(folder: Path, model: str) -> dict[str, Any]:
    """What `flashweb eval` makes of the cases in a folder, one set."""
    out = folder / "scores.json"
    command = [sys.executable, "-m", "flashweb", "eval", "--own", "--model", model, "--cases", str(folder)]
    subprocess.run([*command, "--json", str(out)], check=True, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(out.read_text("utf-8"))["sets"][0]
    return found


def together(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds, which all draw the same number of each kind."""
    figures = [name for name, value in found[0].items() if isinstance(value, float)]
    means = {name: round(sum(one[name] for one in found) / len(found), 2) for name in figures}
    return {"cases": sum(one["cases"] for one in found), **means}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="refusals")
    parser.add_argument("--seeds", type=int, nargs="+", default=[881, 882, 883, 884, 885])
    parser.add_argument("--model", default=str(NANO))
    asked = parser.parse_args()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    found = []
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as folder:
            draw = [sys.executable, "-m", "training.heldout_talks", "--out", folder, "--seed", str(seed)]
            subprocess.run([*draw, "--only", asked.only], check=True, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)
            found.append({"seed": seed, **scores(Path(folder), asked.model)})
        print(found[-1], flush=True)
    write_result(f"further_{asked.only}", {"setup": machine(), "together": together(found), "seeds": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
