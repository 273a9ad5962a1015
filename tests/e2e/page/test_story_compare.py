"""Stories of two answers side by side."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.e2e.page.conftest import OpenPage, Watch, in_both_languages
from tests.e2e.page.stories import AMOUNTS, ANSWERS_IN, EXAMPLES, LOST, Part, scrolls_sideways

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow


@in_both_languages
def test_two_settings_are_asked_side_by_side(
    open_page: OpenPage, tmp_path: Path, locale: str, size: tuple[int, int]
) -> None:
    part = Part(open_page("/compare", locale=locale, size=size), chinese=locale == "zh-CN")
    page, main = part.page, part.main
    part.pick(EXAMPLES / "receipt.png")
    page.get_by_label(part.word("question-of-both"), exact=True).fill("list the amounts")
    main.get_by_label(part.word("question-of-one"), exact=True).nth(1).fill("What is the total?")
    main.get_by_text(part.word("one-difference")).wait_for()
    part.button("ask-both").click()
    answers = [main.get_by_role("region", name=part.word(side), exact=True) for side in ("left", "right")]
    for answer, words in zip(answers, (AMOUNTS, "22.58"), strict=True):
        expect(answer).to_have_text(words, timeout=ANSWERS_IN)
    main.get_by_role("heading", name=part.word("difference")).wait_for()
    # The same picture costs both sides the same.
    tokens = main.get_by_role("row", name=re.compile(part.word("picture-tokens"))).get_by_role("cell")
    expect(tokens).to_have_text([re.compile(r"^\d+\s*$")] * 2, timeout=ANSWERS_IN)
    assert tokens.nth(0).inner_text() == tokens.nth(1).inner_text()
    assert not scrolls_sideways(page)
    file = tmp_path / "pair.json"
    part.saves(part.button("save-comparison"), "save-json").save_as(file)
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert AMOUNTS in str(kept) and "What is the total?" in str(kept)
    # It is found again after a reload.
    page.reload()
    main.get_by_role("button", name=re.compile("^list the amounts")).click()
    for answer, words in zip(answers, (AMOUNTS, "22.58"), strict=True):
        expect(answer).to_have_text(words)


def test_a_comparison_says_why_nothing_can_be_asked(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("ERR_INTERNET_DISCONNECTED")
    part = Part(open_page("/compare"))
    part.page.get_by_label(part.word("question-of-both"), exact=True).fill("hello")
    part.page.context.set_offline(True)
    part.button("ask-both").click()
    part.main.get_by_text(LOST).wait_for()
    expect(part.button("ask-both")).to_be_disabled()
    part.page.context.set_offline(False)
    expect(part.button("ask-both")).to_be_enabled()
    assert not part.main.get_by_text(LOST).is_visible()
