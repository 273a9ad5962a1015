"""Stories of what the model points at: boxes on the picture, the two answers side by side, a table of fields."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.page.conftest import PHONE, WIDE, OpenPage
from tests.e2e.page.stories import EXAMPLES, Talk, copied

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

AMOUNTS = ["4.20", "2.75", "6.90", "3.48", "5.25", "22.58", "30.00", "7.42"]


@pytest.mark.parametrize(("locale", "size"), [("en-US", WIDE), ("zh-CN", PHONE)], ids=["en-wide", "zh-phone"])
def test_every_amount_has_its_box(open_page: OpenPage, tmp_path: Path, locale: str, size: tuple[int, int]) -> None:
    talk = Talk(open_page("/", locale=locale, size=size), chinese=locale == "zh-CN")
    talk.attach(EXAMPLES / "receipt.png")
    told = talk.asks("提取图中所有金额数字及其坐标" if talk.chinese else "List every amount with its box.")
    pane = talk.page.get_by_role("region", name=talk.word("pane"))
    drawn = pane.locator("svg [data-box]")
    expect(drawn).to_have_count(8)
    rows = pane.get_by_role("list", name=talk.word("boxes")).get_by_role("listitem")
    assert [re.sub(r"^\d+\s+", "", row.inner_text()).split()[0] for row in rows.all()] == AMOUNTS
    # From the text to the picture.
    buttons = talk.answers.last.get_by_role("button").filter(has_text=re.compile(r"^\[\d+,"))
    expect(buttons).to_have_count(8)
    buttons.nth(5).click()
    expect(drawn.nth(5)).to_have_attribute("aria-pressed", "true")
    # From the picture to the text.
    drawn.nth(1).focus()
    talk.page.keyboard.press("Enter")
    expect(drawn.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(buttons.nth(1)).to_be_in_viewport()
    # Closer, and back.
    before = drawn.nth(0).locator("rect").first.bounding_box()
    pane.get_by_role("button", name=talk.word("zoom-in"), exact=True).click()
    pane.get_by_role("button", name=talk.word("zoom-in"), exact=True).click()
    closer = drawn.nth(0).locator("rect").first.bounding_box()
    assert before and closer and closer["width"] > before["width"] * 1.3
    pane.get_by_role("button", name=talk.word("fit"), exact=True).click()
    # Out of the page, as numbers and as a picture.
    menu = pane.get_by_role("button", name=talk.word("save-boxes"), exact=True)
    file = tmp_path / "boxes.json"
    talk.saves(menu=menu, item="boxes-json").save_as(file)
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert [[int(edge) for edge in one["box"]] for one in kept["boxes"]] == [
        [int(edge) for edge in box] for box in re.findall(r"\[(\d+),\s*(\d+),\s*(\d+),\s*(\d+)\]", told)
    ]
    width, height = kept["picture"]["width"], kept["picture"]["height"]
    with Image.open(EXAMPLES / "receipt.png") as picture:
        assert (width, height) == picture.size
    for one in kept["boxes"]:
        scaled = [edge * side / 1000 for edge, side in zip(one["box"], (width, height) * 2, strict=True)]
        assert all(abs(pixel - exact) <= 1 for pixel, exact in zip(one["pixels"], scaled, strict=True))
    drawing = tmp_path / "boxes.png"
    talk.saves(menu=menu, item="boxes-png").save_as(drawing)
    with Image.open(drawing) as picture:
        assert picture.width >= width and len(picture.convert("RGB").getcolors(1 << 24) or []) > 10


def test_two_settings_are_asked_side_by_side(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("/compare")
    page.get_by_role("main").locator("input[type=file][multiple]").first.set_input_files(EXAMPLES / "receipt.png")
    page.get_by_role("main").get_by_role("list", name="Attached files").get_by_role("listitem").first.wait_for()
    page.get_by_label("Question for both").fill("list the amounts")
    sides = page.get_by_role("main").locator("details").first
    sides.get_by_label("Own question").nth(1).fill("What is the total?")
    sides.get_by_text("One difference", exact=False).or_(sides.get_by_text("one difference")).first.wait_for()
    page.get_by_role("button", name="Ask both").click()
    page.get_by_text("4.20, 2.75, 6.90").first.wait_for()
    page.get_by_role("heading", name="Difference").wait_for()
    table = page.get_by_role("table").filter(has_text="First token")
    tokens = table.get_by_role("row").filter(has_text="Picture tokens").get_by_role("cell")
    expect(tokens.nth(0)).not_to_have_text("–")
    expect(tokens.nth(1)).not_to_have_text("–", timeout=30_000)
    assert tokens.nth(0).inner_text().strip() == tokens.nth(1).inner_text().strip() != ""
    page.get_by_role("button", name="Save this comparison").click()
    with page.expect_download() as caught:
        page.get_by_role("menuitem", name="Save as JSON").click()
    file = tmp_path / "pair.json"
    caught.value.save_as(file)
    assert "22.58" in file.read_text(encoding="utf-8")
    page.reload()
    page.get_by_role("button", name=re.compile("^list the amounts")).first.click()
    page.get_by_text("4.20, 2.75, 6.90").first.wait_for()


def test_fields_are_named_and_come_back_as_a_table(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("/structured")
    main = page.get_by_role("main")
    main.locator("input[type=file][multiple]").first.set_input_files(EXAMPLES / "receipt.png")
    main.get_by_role("list", name="Attached files").get_by_role("listitem").first.wait_for()
    page.get_by_label("Begin with").select_option("receipt")
    page.get_by_role("button", name="Read the picture").click()
    main.get_by_text("Valid", exact=True).wait_for(timeout=60_000)
    result = main.locator("article").first
    result.get_by_text("Fits the schema").wait_for()
    assert result.get_by_text("22.58").first.is_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    result.get_by_role("button", name="Copy", exact=True).first.click()
    page.get_by_role("menuitem", name="Copy as CSV").click()
    page.get_by_text("Copied").first.wait_for()
    rows = list(csv.reader(io.StringIO(copied(page))))
    assert any("22.58" in cell for row in rows for cell in row), rows
    result.get_by_role("button", name="Copy", exact=True).first.click()
    with page.expect_download() as caught:
        page.get_by_role("menuitem", name="Save as JSON").click()
    file = tmp_path / "answer.json"
    caught.value.save_as(file)
    assert "22.58" in json.dumps(json.loads(file.read_text(encoding="utf-8")))


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
