"""Stories of code: what the page shows runs as it is, and a newcomer who has read nothing has it after a few clicks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.page.conftest import PHONE, OpenPage
from tests.e2e.page.stories import AMOUNTS, ANSWERS_IN, EXAMPLES, Talk, copied, may_copy, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

MOST_CLICKS = 13


def take_code(talk: Talk, dialog: Locator, tab: str, folder: Path) -> str:
    """The text of a tab, as its copy button gives it; the files that it names lie in `folder` then."""
    may_copy(talk.page)
    dialog.get_by_role("tab", name=tab, exact=True).click()
    panel = dialog.get_by_role("tabpanel").filter(visible=True)
    shown = panel.locator("pre").inner_text().strip()
    panel.get_by_role("button", name="Copy", exact=True).click()
    wait_until(lambda: copied(talk.page).strip() == shown)
    for button in dialog.get_by_role("button", name=re.compile("^Save ")).all():
        file = talk.saves(button)
        file.save_as(folder / file.suggested_filename)
    return copied(talk.page)


def run(command: list[str], folder: Path) -> str:
    environ = {**os.environ, "FLASHWEB_API_KEY": "none"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_code_that_is_shown_runs_and_gives_the_same_answer(open_page: OpenPage, tmp_path: Path) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "receipt.png")
    assert talk.asks("list the amounts") == AMOUNTS
    dialog = talk.view_code()
    (tmp_path / "ask.py").write_text(take_code(talk, dialog, "Python", tmp_path), encoding="utf-8")
    assert AMOUNTS in run([sys.executable, "ask.py"], tmp_path)
    (tmp_path / "ask.sh").write_text(take_code(talk, dialog, "curl", tmp_path), encoding="utf-8")
    told = run(["bash", "ask.sh"], tmp_path)  # as it is streamed, piece by piece
    assert AMOUNTS in "".join(re.findall(r'"content": ?"([^"]*)"', told)), told[-500:]


def test_a_newcomer_audits_marks_asks_and_leaves_with_code_that_runs(
    open_page: OpenPage, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    talk = Talk(open_page("/", size=PHONE))
    page, main = talk.page, talk.main
    page.evaluate("() => { window.clicks = 0; addEventListener('pointerdown', () => (window.clicks += 1), true) }")
    talk.go_to("Scenes")
    page.get_by_role("link", name=re.compile("^Product picture audit")).click()
    talk.button("sample").click()
    expect(page.locator(".verdict")).to_contain_text("Violation", timeout=ANSWERS_IN)
    expect(page.locator(".finding .words")).to_have_text(
        [re.compile("price.*yes"), re.compile("Brand.*NOVA"), re.compile("Forbidden.*最便宜")]
    )
    main.get_by_role("link", name="Scenes").click()
    page.get_by_role("link", name=re.compile("^Marking")).click()
    talk.button("sample").click()
    expect(page.locator(".score")).to_contain_text("5 / 8", timeout=ANSWERS_IN)
    wrong = [page.get_by_role("radio", name=f"Q{number} is wrong") for number in range(1, 9)]
    assert [number for number, radio in enumerate(wrong, 1) if radio.is_checked()] == [4, 6, 8]
    talk.go_to("Chat")
    page.get_by_role("button", name=re.compile("Read a receipt")).click()
    assert talk.answered(1) == AMOUNTS
    code = take_code(talk, talk.view_code(), "Python", tmp_path)
    clicks = page.evaluate("window.clicks")
    (tmp_path / "ask.py").write_text(code, encoding="utf-8")
    assert AMOUNTS in run([sys.executable, "ask.py"], tmp_path)
    record_property("clicks", clicks)
    record_property("seconds", round(time.monotonic() - began, 1))
    assert 10 <= clicks <= MOST_CLICKS
