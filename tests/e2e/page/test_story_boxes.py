"""Stories of what the model points at: boxes on the picture, in its list and in the text are the same ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.e2e.page.conftest import OpenPage, in_both_languages
from tests.e2e.page.stories import AMOUNTS, EXAMPLES, Talk, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow


def width_of(box: Locator) -> float:
    where = box.locator("rect").first.bounding_box()
    assert where
    return where["width"]


@in_both_languages
def test_every_amount_has_its_box(open_page: OpenPage, tmp_path: Path, locale: str, size: tuple[int, int]) -> None:
    talk = Talk(open_page("/", locale=locale, size=size), chinese=locale == "zh-CN")
    talk.attach(EXAMPLES / "receipt.png")
    told = talk.asks("提取图中所有金额数字及其坐标" if talk.chinese else "List every amount with its box.")
    pane = talk.page.get_by_role("region", name=talk.word("pane"))
    drawn = pane.locator("svg [data-box]")
    expect(drawn).to_have_count(8)
    rows = pane.get_by_role("list", name=talk.word("boxes")).get_by_role("listitem")
    assert [re.sub(r"^\d+\s+", "", row.inner_text()).split()[0] for row in rows.all()] == AMOUNTS.split(", ")
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
    before = width_of(drawn.nth(0))
    for _ in range(2):
        pane.get_by_role("button", name=talk.word("zoom-in"), exact=True).click()
    wait_until(lambda: width_of(drawn.nth(0)) > before * 1.4)
    pane.get_by_role("button", name=talk.word("fit"), exact=True).click()
    wait_until(lambda: width_of(drawn.nth(0)) == pytest.approx(before))
    # Out of the page, as numbers and as a picture.
    menu = pane.get_by_role("button", name=talk.word("save-boxes"), exact=True)
    file = tmp_path / "boxes.json"
    talk.saves(menu, "boxes-json").save_as(file)
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
    talk.saves(menu, "boxes-png").save_as(drawing)
    with Image.open(drawing) as picture:
        assert picture.width >= width
        pixels = np.asarray(picture.convert("RGB"))
    assert np.ptp(pixels, axis=2).max() > 60, "boxes are coloured, the receipt is not"
