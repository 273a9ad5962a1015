"""A finish on a CPU: what is asked more often, how the rate goes, and what does not change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file

from tests.training.test_conversations import needs_fonts
from training import conversations, finish, layouts, structured, tasks, turns


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    rates = [finish.rate_at(step, 480, 6e-5) for step in range(481)]
    assert rates[0] == pytest.approx(2e-6) and rates[29] == max(rates) == pytest.approx(6e-5)
    assert rates[30:190] == [6e-5] * 160 and rates[192:] == sorted(rates[192:], reverse=True) and rates[480] == 0


def test_what_is_to_be_learnt_is_asked_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "TASKS", dict(tasks.TASKS))
    monkeypatch.setattr(turns, "CHAINS", turns.CHAINS)
    monkeypatch.setattr(structured, "FORMS", dict(structured.FORMS))
    monkeypatch.setattr(structured, "PAGE_RECEIPT", structured.PAGE_RECEIPT)
    monkeypatch.setattr(conversations, "SHARES", dict(conversations.SHARES))
    monkeypatch.setattr(conversations, "NEEDS", dict(conversations.NEEDS))
    monkeypatch.setattr(layouts, "TRAIN", dict(layouts.TRAIN))
    before, tag = dict(turns.CHAINS), layouts.TRAIN["price_tag"]
    finish.ask_more(more := finish.More(pages={"price_tag": 45.0}))
    assert layouts.TRAIN["price_tag"] == (tag[0], 45.0, *tag[2:])
    assert tasks.TASKS["describe"][:2] == (tasks._describe, more.tasks["describe"])
    assert dict(turns.CHAINS) == before | {turns.describe: more.describe_chain}
    assert (structured.FORMS["words"], structured.PAGE_RECEIPT) == (more.words, more.page_receipt)
    assert more.shares.items() <= conversations.SHARES.items()
    assert conversations.NEEDS["json"][-len(more.layouts) :] == more.layouts


@needs_fonts
def test_only_the_decoders_blocks_learn(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.finish", "--out", str(tmp_path / "out"), "--steps", "2"]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    was, is_now = (load_file(folder / "model.safetensors") for folder in (finish.MODEL, tmp_path / "out"))
    changed = {name for name in was if not torch.equal(was[name], is_now[name])}
    assert changed and all(".layers." in name and "visual" not in name for name in changed), changed
