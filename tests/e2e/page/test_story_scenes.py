"""Stories of the scenes: every sample is answered right by the bundled model; many files at once; a teacher and a
reviewer correct what the model said."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.page.conftest import PHONE, WIDE, OpenPage, Watch
from tests.e2e.page.stories import ANSWERS_IN, EXAMPLES, Part, scrolls_sideways, stored
from tests.pdfs import locked

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

# What a person must be able to read off each scene's sample.
RIGHT = {
    "audit": ["NOVA", "最便宜"],
    "service": ["10000mAh"],
    "receipt": ["22.58", "7.42"],
    "marking": ["5 / 8"],
    "contract": ["本公司保留最终解释权"],
    "inspection": ["裂纹", "划痕"],
    "ocr": ["TC20415", "2027年6月30日"],
}


@pytest.mark.parametrize("scene", RIGHT)
def test_a_sample_is_answered_right(open_page: OpenPage, scene: str) -> None:
    part = Part(open_page(f"/scenes/{scene}", locale="zh-CN", size=PHONE if scene == "receipt" else WIDE), chinese=True)
    if scene == "service":
        part.page.get_by_label("问题", exact=True).fill("这个设备支持无线充电吗?电池容量多少?")
    answer = part.try_sample()
    for words in RIGHT[scene]:
        shown = answer.get_by_text(words).filter(visible=True).count()
        values = [field.input_value() for field in answer.locator("input:visible, textarea:visible").all()]
        assert shown or any(words in value for value in values), words
    assert not scrolls_sideways(part.page)


def test_many_files_are_read_with_progress_and_kept_as_a_table(
    open_page: OpenPage, tmp_path: Path, watch: Watch
) -> None:
    watch.allow("status of 400")  # one of them is no picture
    files = []
    for at in range(5):
        file = tmp_path / f"bill-{at}.png"
        file.write_bytes((EXAMPLES / "receipt.png").read_bytes())
        files.append(file)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    page = open_page("/scenes/receipt")
    page.get_by_label("Choose files").and_(page.locator("input")).set_input_files([*files, broken])
    page.get_by_role("button", name="Ask about 6 pictures").click()
    page.get_by_text("6 of 6 answered, 1 failed").wait_for(timeout=ANSWERS_IN)
    rows = page.get_by_role("region", name="Files").get_by_role("row")
    assert rows.filter(has_text="22.58").count() == 5
    page.get_by_role("button", name="Save all results").click()
    with page.expect_download() as caught:
        page.get_by_role("menuitem", name="CSV").click()
    table = tmp_path / "results.csv"
    caught.value.save_as(table)
    with table.open(encoding="utf-8-sig", newline="") as text:
        kept = list(csv.DictReader(text))
    assert len(kept) == 6 and sum("22.58" in " ".join(row.values()) for row in kept) == 5


def test_encrypted_documents_are_opened_by_passwords_given_before_or_after(
    open_page: OpenPage, tmp_path: Path, watch: Watch
) -> None:
    watch.allow("status of 400")  # the second is asked about without its password
    for name in ("first", "second"):
        (tmp_path / f"{name}.pdf").write_bytes(locked(f"open {name}", "Total $22.58"))
    part = Part(open_page("/scenes/receipt"))
    page = part.page
    files = page.get_by_label("Choose files").and_(page.locator("input"))
    files.set_input_files([tmp_path / "first.pdf", tmp_path / "second.pdf"])
    rows = page.get_by_role("region", name="Files").get_by_role("row")
    rows.get_by_role("button", name="Password of first.pdf").click()
    dialog = page.get_by_role("dialog", name="Password of first.pdf")
    dialog.get_by_label(part.word("password")).fill("open first")
    dialog.get_by_role("button", name="Use it").click()
    rows.filter(has_text="first.pdf").get_by_text("A password was given").wait_for()
    page.get_by_role("button", name="Ask about 2 pictures").click()
    page.get_by_text("2 of 2 answered, 1 failed").wait_for(timeout=ANSWERS_IN)
    expect(rows.filter(has_text="22.58")).to_contain_text("first.pdf")
    rows.get_by_role("button", name="second.pdf", exact=True).click()
    failure = page.locator("article.detail").get_by_role("alert")
    failure.get_by_text("The PDF is locked").first.wait_for()
    failure.get_by_label(part.word("password")).fill("open second")
    failure.get_by_role("button", name="Open and ask again").click()
    page.get_by_text("2 of 2 answered, 0 failed").wait_for(timeout=ANSWERS_IN)
    expect(rows.filter(has_text="22.58")).to_have_count(2)
    assert "open first" not in stored(page) and "open second" not in stored(page)


def test_a_batch_is_cancelled_and_taken_up_again(open_page: OpenPage, tmp_path: Path) -> None:
    files = []
    for at in range(8):
        file = tmp_path / f"page-{at}.png"
        file.write_bytes((EXAMPLES / "worksheet.png").read_bytes() + bytes([at]))
        files.append(file)
    page = open_page("/scenes/marking")
    page.get_by_label("Choose files").and_(page.locator("input")).set_input_files(files)
    page.get_by_role("button", name="Ask about 8 pictures").click()
    page.get_by_text(re.compile("[1-6] of 8 answered")).wait_for(timeout=ANSWERS_IN)
    page.get_by_role("button", name="Cancel", exact=True).click()
    again = page.get_by_role("button", name=re.compile(r"Ask about [1-7] pictures"))
    again.wait_for()
    again.click()
    page.get_by_text("8 of 8 answered, 0 failed").wait_for(timeout=ANSWERS_IN)


def num_red(image: Image.Image) -> int:
    """Pixels of the teacher's pen."""
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")), 2, 0)
    return int(np.sum((red > 180) & (green < 90) & (blue < 90)))


def test_a_teacher_corrects_a_mark(open_page: OpenPage, tmp_path: Path) -> None:
    part = Part(open_page("/scenes/marking"))
    part.try_sample()
    page = part.page
    score = part.main.locator(".score")
    expect(score).to_contain_text("5 / 8")
    page.get_by_role("radio", name="Q6 is right").check(force=True)
    expect(score).to_contain_text("6 / 8")
    handle = page.get_by_role("button", name=re.compile("^Mark of Q8"))
    rectangle = handle.locator("rect").first
    before = rectangle.get_attribute("x") or ""
    handle.focus()
    page.keyboard.press("ArrowRight")
    expect(rectangle).not_to_have_attribute("x", before)
    page.get_by_label("Suggestion").last.fill("Carry the one: 52+38=90")
    table = tmp_path / "score.csv"
    part.saves(page.get_by_role("button", name="CSV", exact=True)).save_as(table)
    text = table.read_text(encoding="utf-8-sig")
    assert "6 of 8" in text and "Carry the one" in text
    drawing = tmp_path / "marked.png"
    part.saves(page.get_by_role("button", name="PNG", exact=True)).save_as(drawing)
    with Image.open(drawing) as marked, Image.open(EXAMPLES / "worksheet.png") as sheet:
        assert num_red(marked) > num_red(sheet) + 200
    page.get_by_role("button", name="Back to the model’s marks").click()
    expect(score).to_contain_text("5 / 8")


def test_a_reviewer_overrides_the_model(open_page: OpenPage) -> None:
    part = Part(open_page("/scenes/audit"))
    part.try_sample()
    verdict = part.main.locator(".verdict")
    expect(verdict).to_contain_text("Violation")
    rejects = part.main.get_by_role("button", name="Reject", exact=True)
    count = rejects.count()
    assert count >= 1
    part.main.get_by_role("textbox", name=re.compile("^Note on")).first.fill("quoted from a review")
    for at in range(count):
        rejects.nth(at).click()
    expect(verdict).to_contain_text("Pass")
    expect(verdict).to_contain_text(f"All findings decided: {count}")
    rejects.first.click()  # taken back
    expect(verdict).not_to_contain_text("Pass")
