"""Stories of answers as tables: fields are named, the model is held to them, and what comes back fits."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.e2e.page.conftest import OpenPage, in_both_languages
from tests.e2e.page.stories import ANSWERS_IN, EXAMPLES, Part, copied, may_copy, scrolls_sideways

pytestmark = pytest.mark.slow


@in_both_languages
def test_fields_are_named_and_come_back_as_a_table(
    open_page: OpenPage, tmp_path: Path, locale: str, size: tuple[int, int]
) -> None:
    part = Part(open_page("/structured", locale=locale, size=size), chinese=locale == "zh-CN")
    page, main = part.page, part.main
    part.pick(EXAMPLES / "receipt.png")
    page.get_by_label(part.word("begin-with")).select_option("receipt")
    part.button("read").click()
    result = main.get_by_role("article")
    result.get_by_text(part.word("valid"), exact=True).wait_for(timeout=ANSWERS_IN)
    result.get_by_text(part.word("fits")).wait_for()
    for read in ("Harbor Grocery", "Rye bread", "Dark chocolate", "22.58"):
        assert result.get_by_text(read).first.is_visible()
    assert not scrolls_sideways(page)
    copy = result.get_by_role("button", name=part.word("copy"), exact=True)
    may_copy(page)
    part.choose(copy, "copy-csv")
    page.get_by_text(part.word("copied")).first.wait_for()
    rows = list(csv.reader(io.StringIO(copied(page))))
    assert any("22.58" in cell for row in rows for cell in row), rows
    file = tmp_path / "answer.json"
    part.saves(copy, "save-json").save_as(file)
    assert "22.58" in str(json.loads(file.read_text(encoding="utf-8")))


def test_a_schema_is_made_of_fields_and_mistakes_in_it_are_told_at_their_place(open_page: OpenPage) -> None:
    page = open_page("/structured")
    page.get_by_label("Begin with").select_option("pairs")
    page.get_by_role("button", name="Add a field", exact=True).click()
    page.get_by_label("Name", exact=True).last.fill("remark")
    page.get_by_role("tab", name="JSON Schema").click()
    text = page.get_by_label("JSON Schema", exact=True).and_(page.get_by_role("textbox"))
    assert '"remark"' in text.input_value()
    text.fill('{"type": "object",\n "properties": {"a": {"type": "strin"}},}')
    page.get_by_text("Line 2, column").wait_for()
    text.fill('{"type": "object", "properties": {"a": {"type": "strin"}}}')
    page.get_by_text("strin is no type").wait_for()
