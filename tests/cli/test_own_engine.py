"""The promise of the first screen: with no server running, one command reads a picture and gives the true answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run

AMOUNTS = {
    "receipt.png": ("list the amounts", "4.20, 2.75, 6.90, 3.48, 5.25, 22.58, 30.00, 7.42"),
    "menu-zh.png": ("提取图中所有金额数字,并按出现顺序列出", "18.00, 4.50, 16.00, 38.50"),
}


@pytest.mark.parametrize("name", AMOUNTS)
def test_the_examples_are_read_without_a_server(flashweb: Run, root: Path, name: str) -> None:
    question, truth = AMOUNTS[name]
    done = flashweb("chat", "--own", str(root / "examples" / name), question)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == truth
    assert done.stderr == "", "nothing but the answer when the output is no terminal"
