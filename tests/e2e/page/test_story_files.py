"""Stories of what is asked about: pictures, photos, documents, clips and links come in by every way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pillow_heif
import pytest
from PIL import Image

from tests import clips
from tests.e2e.page.conftest import OpenPage, Watch, in_both_languages
from tests.e2e.page.stories import AMOUNTS, EXAMPLES, LOST, Talk, stored
from tests.pdfs import locked, pdf, picture

if TYPE_CHECKING:
    from playwright.sync_api import Locator

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow


@in_both_languages
def test_a_picture_is_dropped_asked_about_and_answered(open_page: OpenPage, locale: str, size: tuple[int, int]) -> None:
    talk = Talk(open_page("/", locale=locale, size=size), chinese=locale == "zh-CN")
    talk.drop(EXAMPLES / "receipt.png")
    talk.has_tiles(1)
    question = "提取图中所有金额数字,并按出现顺序列出" if talk.chinese else "list the amounts"
    assert talk.asks(question) == AMOUNTS
    assert talk.questions.last.get_by_role("img", name="receipt.png").first.is_visible()
    assert re.search(r"/chat/[\w-]+$", talk.page.url), "a conversation has an address of its own"


def test_a_picture_is_pasted(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.paste(EXAMPLES / "price-tag.png")
    talk.has_tiles(1)
    assert talk.asks("list the amounts") == "24.90, 39.90"


def test_a_photo_is_taken(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.is_ready()
    talk.choose(talk.button("add"), "camera")
    shoot = talk.page.get_by_role("dialog").get_by_role("button", name="Take the photo")
    expect(shoot).to_be_enabled()
    shoot.click()
    talk.has_tiles(1)
    assert "tokens" in talk.tiles.first.inner_text()


def test_a_heic_photo_is_read_by_the_server_where_the_browser_cannot(open_page: OpenPage, tmp_path: Path) -> None:
    photo = tmp_path / "IMG_0001.HEIC"
    with Image.open(EXAMPLES / "receipt.png") as image:
        pillow_heif.from_pillow(image.convert("RGB")).save(photo, quality=95)
    talk = Talk(open_page("/"))
    talk.attach(photo)
    assert "No preview here; the server can read it" in talk.tiles.first.inner_text()
    assert talk.asks("list the amounts") == AMOUNTS
    talk.questions.last.get_by_title("IMG_0001.HEIC").get_by_text("IMG_0001.HEIC").wait_for()
    expect(talk.questions.last.get_by_role("img")).to_have_count(0)
    pane = talk.page.get_by_role("region", name=talk.word("pane"))
    pane.get_by_text("IMG_0001.HEIC").wait_for()
    expect(pane.get_by_role("button")).to_have_count(0)


def test_a_clip_is_asked_about(open_page: OpenPage, tmp_path: Path) -> None:
    clip = tmp_path / "till.mp4"
    words, blank = clips.page("¥88.50"), clips.page("")
    clip.write_bytes(clips.film(10, lambda frame: words if frame >= 5 else blank, rate=5))
    talk = Talk(open_page("/"))
    talk.attach(clip)
    assert "tokens: counted on sending" in talk.tiles.first.inner_text()
    assert talk.asks("提取视频中所有金额数字") == "88.50"
    assert "till.mp4" in talk.questions.last.inner_text()


PASSWORD = "open me"


@pytest.fixture
def locked_file(tmp_path: Path) -> Path:
    file = tmp_path / "locked.pdf"
    file.write_bytes(locked(PASSWORD, "Total $22.58"))
    return file


def test_an_encrypted_document_is_opened_by_the_password_given_with_it(
    open_page: OpenPage, locked_file: Path, tmp_path: Path
) -> None:
    talk = Talk(open_page("/"))
    talk.attach(locked_file)
    talk.choose(talk.page.get_by_role("button", name="What to do with locked.pdf"), "password")
    dialog = talk.page.get_by_role("dialog", name="Password of locked.pdf")
    dialog.get_by_label(talk.word("password")).fill(PASSWORD)
    dialog.get_by_role("button", name="Use it").click()
    talk.tiles.first.get_by_text("A password was given").wait_for()
    assert talk.asks("list the amounts") == "22.58"
    talk.open_list()
    file = tmp_path / "talk.json"
    talk.saves(talk.actions_of("list the amounts"), "json").save_as(file)
    assert "locked.pdf" in stored(talk.page) and PASSWORD not in stored(talk.page), "kept in no database"
    assert "locked.pdf" in file.read_text(encoding="utf-8") and PASSWORD not in file.read_text(encoding="utf-8")


def test_an_encrypted_document_asks_for_its_password(open_page: OpenPage, locked_file: Path, watch: Watch) -> None:
    watch.allow("status of 400")
    talk = Talk(open_page("/"))
    talk.attach(locked_file)
    talk.ask("list the amounts")
    failure = talk.answers.last.get_by_role("alert")
    for password, words in (("open you", "The PDF is locked"), (PASSWORD, "The password does not open the PDF")):
        failure.get_by_text(words).first.wait_for()
        failure.get_by_label(talk.word("password")).fill(password)
        failure.get_by_role("button", name="Open and ask again").click()
    assert talk.answered(1) == "22.58"


def test_a_password_waits_for_a_server_that_cannot_be_reached(
    open_page: OpenPage, locked_file: Path, watch: Watch
) -> None:
    watch.allow("status of 400|ERR_INTERNET_DISCONNECTED")
    talk = Talk(open_page("/"))
    talk.attach(locked_file)
    talk.ask("list the amounts")
    failure = talk.answers.last.get_by_role("alert")
    failure.get_by_label(talk.word("password")).fill(PASSWORD)
    talk.page.context.set_offline(True)
    talk.page.evaluate("void window.dispatchEvent(new Event('online'))")  # the page looks, and finds nobody
    failure.get_by_text(LOST).wait_for()
    expect(failure.get_by_role("button", name="Open and ask again")).to_be_disabled()
    talk.page.context.set_offline(False)
    failure.get_by_role("button", name="Open and ask again").click()
    assert talk.answered(1) == "22.58"


def test_a_link_to_this_network_is_refused_in_words(open_page: OpenPage, pictures: str, watch: Watch) -> None:
    watch.allow(r"status of 400")
    talk = Talk(open_page("/"))
    talk.is_ready()
    talk.choose(talk.button("add"), "link")
    dialog = talk.page.get_by_role("dialog", name="Add a link")
    field = dialog.get_by_label(talk.word("link-field"))
    field.fill("receipt.png")
    talk.button("link-add").click()
    dialog.get_by_text("An address begins with https://").wait_for()
    field.fill(f"http://{pictures}/receipt.png")
    talk.button("link-add").click()
    talk.has_tiles(1)
    talk.ask("list the amounts")
    failure = talk.answers.last.get_by_role("alert")
    failure.wait_for()
    words = failure.inner_text()
    assert "not allowed" in words or "private" in words or "refused" in words, words
    assert "Request" in words, "the request's number, to be asked about"


def test_a_document_is_read_page_by_page(open_page: OpenPage, tmp_path: Path) -> None:
    file = tmp_path / "both.pdf"
    pages_in_it = []
    for name in ("receipt.png", "price-tag.png"):
        with Image.open(EXAMPLES / name) as image:
            pages_in_it.append(picture(image))
    file.write_bytes(pdf(*pages_in_it))
    talk = Talk(open_page("/"))
    talk.attach(file)
    talk.page.get_by_text("2 of 2 pages").wait_for()
    pages = talk.composer.get_by_label("Pages to look at, such as 1-3,5")
    pages.fill("7")
    talk.page.get_by_text("It has 2 pages").wait_for()
    pages.fill("2")
    talk.page.get_by_text("1 of 2 pages").wait_for()
    assert talk.asks("list the amounts") == "24.90, 39.90"


def test_pictures_are_put_in_order_and_taken_out(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "receipt.png", EXAMPLES / "price-tag.png", EXAMPLES / "part.png")
    assert talk.tile_names() == ["receipt.png", "price-tag.png", "part.png"]
    talk.page.get_by_role("button", name="What to do with part.png").click()
    talk.page.get_by_role("menuitem", name="Move to the left").click()
    assert talk.tile_names() == ["receipt.png", "part.png", "price-tag.png"]
    talk.tiles.nth(0).get_by_role("button").first.focus()
    talk.page.keyboard.press("Alt+ArrowRight")
    assert talk.tile_names() == ["part.png", "receipt.png", "price-tag.png"]
    talk.tiles.nth(2).drag_to(talk.tiles.nth(0))
    assert talk.tile_names() == ["price-tag.png", "part.png", "receipt.png"]
    for name in ("part.png", "receipt.png"):
        talk.page.get_by_role("button", name=f"Remove {name}").click()
    assert talk.asks("list the amounts") == "24.90, 39.90"


def draw_region(talk: Talk, dialog: Locator) -> None:
    """With the mouse, round the line of the receipt's total."""
    surface = dialog.get_by_role("application")
    surface.scroll_into_view_if_needed()
    where = surface.bounding_box()
    assert where
    left, right = (where["x"] + where["width"] * share for share in (0.02, 0.98))
    top, bottom = (where["y"] + where["height"] * share for share in (0.62, 0.72))
    talk.page.mouse.move(left, top)
    talk.page.mouse.down()
    talk.page.mouse.move(right, bottom, steps=4)
    talk.page.mouse.up()


def test_a_region_is_asked_about_and_cut_out(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "receipt.png")
    before = talk.tiles.first.inner_text()
    edit = talk.page.get_by_role("button", name="receipt.png: crop, rotate, point at a region")
    dialog = talk.page.get_by_role("dialog", name="Edit the picture")
    edit.click()
    draw_region(talk, dialog)
    region = re.search(r"\[(\d+), (\d+), (\d+), (\d+)\]", dialog.inner_text())
    assert region and abs(int(region[2]) - 620) < 15 and abs(int(region[4]) - 720) < 15, "per mille of the picture"
    dialog.get_by_role("button", name="Ask about the box").click()
    dialog.wait_for(state="hidden")
    assert "[" + ",".join(region.groups()) + "]" in talk.question.input_value().replace(" ", "")
    # The same region, cut out: the total's line alone is left to read.
    edit.click()
    draw_region(talk, dialog)
    dialog.get_by_role("button", name="Crop to the box").click()
    dialog.get_by_role("button", name="Done").click()
    dialog.wait_for(state="hidden")
    expect(talk.tiles.first).not_to_have_text(before)
    answer = talk.asks("list the amounts")
    assert "22.58" in answer and "4.20" not in answer


def test_what_a_picture_will_cost_is_what_it_cost(open_page: OpenPage, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    with Image.open(EXAMPLES / "receipt.png") as picture:
        picture.convert("RGB").resize((3000, 3400)).save(photo)
    talk = Talk(open_page("/"))
    talk.attach(photo, EXAMPLES / "price-tag.png")
    told = [tile.inner_text() for tile in talk.tiles.all()]
    assert "→" in told[0], "made smaller, and both sizes told"
    match = [re.search(r"([\d,]+) tokens", text) for text in told]
    costs = [int(one[1].replace(",", "")) for one in match if one]
    assert len(costs) == 2
    talk.asks("list the amounts")
    shown = re.search(r"pictures (\d+)", talk.figures())
    assert shown and int(shown[1]) == sum(costs), (talk.figures(), costs)
