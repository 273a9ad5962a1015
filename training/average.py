"""Average the weights of two checkpoints of the same shape, with their reading heads where both have one.

    python -m training.average FIRST SECOND --share 0.9 --out FOLDER     # 0.1 x FIRST + 0.9 x SECOND

Where SECOND went on from FIRST, some of FIRST keeps what it did well and evens out a learning rate that had not yet
come down. Only the weights are written: the other files of a checkpoint are FIRST's, and are copied.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from training.export import READING_FILE


def average(first: dict[str, Tensor], second: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """(1 - share) x first + share x second, summed in fp32, in the dtype of `first`."""
    assert first.keys() == second.keys(), first.keys() ^ second.keys()
    return {
        name: ((1 - share) * one.float() + share * second[name].float()).to(one.dtype) for name, one in first.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    weights = average(
        load_file(args.first / "model.safetensors"), load_file(args.second / "model.safetensors"), args.share
    )
    if args.out.resolve() != args.first.resolve():
        shutil.copytree(args.first, args.out, dirs_exist_ok=True)
    save_file(weights, args.out / "model.safetensors", metadata={"format": "pt"})
    heads = [folder / READING_FILE for folder in (args.first, args.second)]
    if all(head.exists() for head in heads):
        save_file(average(*map(load_file, heads), args.share), args.out / READING_FILE)


if __name__ == "__main__":
    main()
