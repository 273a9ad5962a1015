"""Stories of what this browser keeps: conversations are found, renamed, cleared, deleted and brought back, and leave as
files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.e2e.page.conftest import WIDE, OpenPage, in_both_languages
from tests.e2e.page.stories import AMOUNTS, EXAMPLES, Talk, exported

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow


@in_both_languages
def test_conversations_are_found_renamed_deleted_and_brought_back(
    open_page: OpenPage, locale: str, size: tuple[int, int]
) -> None:
    talk = Talk(open_page("/", locale=locale, size=size), chinese=locale == "zh-CN")
    for question in ("pelican", "heron"):
        talk.is_ready()
        talk.asks(question)
        talk.open_list()
        talk.list.get_by_role("button", name=talk.word("new"), exact=True).click()
        talk.page.wait_for_url(re.compile(r"/$"))
    talk.open_list()
    assert talk.titles == ["heron", "pelican"]
    search = talk.list.get_by_role("searchbox")
    search.fill("pelic")
    talk.list.get_by_role("link", name="heron").wait_for(state="hidden")
    assert [title.split("\n")[0] for title in talk.titles] == ["pelican"]
    search.fill("")
    talk.choose(talk.actions_of("pelican"), "rename")
    field = talk.list.get_by_label(talk.word("new-title"))
    field.fill("Birds of the coast")
    field.press("Enter")
    talk.list.get_by_role("link", name="Birds of the coast").wait_for()
    talk.choose(talk.actions_of("Birds of the coast"), "delete")
    talk.list.get_by_role("link", name="Birds of the coast").wait_for(state="hidden")
    talk.button("undo").click()
    talk.page.wait_for_url(re.compile(r"/chat/"))
    talk.open_list()
    talk.list.get_by_role("link", name="Birds of the coast").wait_for()


def test_a_conversation_leaves_in_three_forms_and_comes_back(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("/")
    talk = Talk(page)
    talk.attach(EXAMPLES / "receipt.png")
    talk.asks("list the amounts")
    talk.open_list()
    files = {form: talk.saves(talk.actions_of("list the amounts"), form) for form in ("markdown", "json", "html")}
    texts = {}
    for form, file in files.items():
        path = tmp_path / file.suggested_filename
        file.save_as(path)
        texts[form] = path.read_text(encoding="utf-8")
    assert AMOUNTS in texts["markdown"] and "receipt.png" in texts["markdown"]
    assert AMOUNTS in texts["html"] and "data:image/png;base64," in texts["html"]
    assert "<script" not in texts["html"], "a page to be sent around runs nothing"
    kept = json.loads(texts["json"])
    assert kept["conversations"][0]["messages"][1]["text"] == AMOUNTS and len(kept["files"]) == 1
    # Into a browser that never saw it: it is whole, and can be asked on.
    other = Talk(open_page("/"))
    other.is_ready()
    other.import_file(tmp_path / files["json"].suggested_filename)
    other.list.get_by_role("link", name="list the amounts").click()
    other.answers.first.get_by_text(AMOUNTS).wait_for()
    other.questions.first.get_by_role("img", name="receipt.png").first.wait_for()
    assert other.asks("What is the total?") == "22.58"


def test_a_file_that_is_no_export_is_refused_in_words(open_page: OpenPage, tmp_path: Path) -> None:
    talk = Talk(open_page("/"))
    talk.is_ready()
    wrong = {"a.json": ("{", "no JSON"), "b.json": ("{}", "no export"), "c.json": (exported([]), "no conversation")}
    for name, (text, words) in wrong.items():
        (tmp_path / name).write_text(text)
        talk.import_file(tmp_path / name)
        talk.page.get_by_text(words).first.wait_for()


def test_a_conversation_is_cleared_and_brought_back(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.is_ready()
    talk.asks("hello")
    clear = talk.button("clear")
    where = clear.bounding_box()
    assert where and where["x"] > WIDE[0] * 0.7 and where["y"] < 160, "at the top right"
    clear.click()
    talk.answers.first.wait_for(state="hidden")
    assert talk.answers.count() == 0
    talk.button("undo").click()
    talk.answers.first.wait_for()
