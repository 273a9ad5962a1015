"""Stories of the chat: files come in by every way, answers grow, stop, branch and go on, and nothing gets lost."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.page.conftest import PHONE, WIDE, OpenPage, Watch
from tests.e2e.page.stories import (
    AMOUNTS,
    EXAMPLES,
    Talk,
    conversation,
    copied,
    exported,
    set_settings,
)
from tests.pdfs import pdf, picture

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

MARK_ALL = "请逐题检查解题过程,标出所有计算错误、公式误用或逻辑漏洞,并用红色标注原文位置。"
BOTH = [("en-US", WIDE), ("zh-CN", PHONE)]
BOTH_NAMES = ["en-wide", "zh-phone"]


def running(server: str) -> dict[str, float]:
    """Sequences in the engine and the share of its blocks in use."""
    with urllib.request.urlopen(server + "/metrics", timeout=5) as answer:
        text = answer.read().decode()
    names = {"running": "vllm:num_requests_running", "blocks": "vllm:kv_cache_usage_perc"}
    found = {key: re.search(rf"^{name}\{{[^}}]*\}} (\S+)$", text, re.M) for key, name in names.items()}
    return {key: float(match[1]) for key, match in found.items() if match}


@pytest.mark.parametrize(("locale", "size"), BOTH, ids=BOTH_NAMES)
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


def test_a_link_to_this_network_is_refused_in_words(open_page: OpenPage, pictures: str, watch: Watch) -> None:
    watch.allow(r"status of 400")
    talk = Talk(open_page("/"))
    talk.is_ready()
    talk.choose(talk.button("add"), "link")
    dialog = talk.page.get_by_role("dialog", name="Add a link")
    field = dialog.get_by_label("Address of a picture, a PDF or a clip")
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


def test_a_picture_is_cropped_and_a_region_asked_about(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "receipt.png")
    before = talk.tiles.first.inner_text()
    talk.page.get_by_role("button", name="receipt.png: crop, rotate, point at a region").click()
    dialog = talk.page.get_by_role("dialog", name="Edit the picture")
    surface = dialog.get_by_role("application")
    surface.scroll_into_view_if_needed()
    where = surface.bounding_box()
    assert where
    x, y, width, height = where["x"], where["y"], where["width"], where["height"]
    talk.page.mouse.move(x + width * 0.02, y + height * 0.62)
    talk.page.mouse.down()
    talk.page.mouse.move(x + width * 0.98, y + height * 0.72, steps=4)
    talk.page.mouse.up()
    region = re.search(r"\[(\d+), (\d+), (\d+), (\d+)\]", dialog.inner_text())
    assert region and abs(int(region[2]) - 620) < 15 and abs(int(region[4]) - 720) < 15, "per mille of the picture"
    dialog.get_by_role("button", name="Ask about the box").click()
    dialog.wait_for(state="hidden")
    assert "[" + ",".join(region.groups()) + "]" in talk.question.input_value().replace(" ", "")
    # The same region, cut out: the total's line alone is left to read.
    talk.page.get_by_role("button", name="receipt.png: crop, rotate, point at a region").click()
    surface.scroll_into_view_if_needed()
    where = surface.bounding_box()
    assert where
    x, y, width, height = where["x"], where["y"], where["width"], where["height"]
    talk.page.mouse.move(x + width * 0.02, y + height * 0.62)
    talk.page.mouse.down()
    talk.page.mouse.move(x + width * 0.98, y + height * 0.72, steps=4)
    talk.page.mouse.up()
    dialog.get_by_role("button", name="Crop to the box").click()
    dialog.get_by_role("button", name="Done").click()
    dialog.wait_for(state="hidden")
    expect(talk.tiles.first).not_to_have_text(before)
    assert "22.58" in talk.asks("list the amounts") and "4.20" not in talk.answers.last.inner_text()


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


def test_an_answer_grows_and_is_stopped_and_the_engine_is_free_again(open_page: OpenPage, page_server: str) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "worksheet.png")
    talk.ask(MARK_ALL)
    text = talk.answers.last.locator(".markdown")
    text.get_by_text("Q1").wait_for()
    first = text.inner_text()
    talk.button("stop").click()
    stopped_at = time.monotonic()
    talk.page.get_by_text("Stopped.", exact=True).first.wait_for()
    while (now := running(page_server))["running"] or now["blocks"] > 0.5:
        assert time.monotonic() - stopped_at < 1.0, f"a second after the stop the engine still works: {now}"
        time.sleep(0.02)
    kept = text.inner_text()
    assert kept.startswith(first.split("\n")[0]) and "8题" not in kept, "what was there stays, and no more comes"
    talk.page.reload()
    talk.page.get_by_text("Stopped.", exact=True).first.wait_for()
    assert talk.answers.last.locator(".markdown").inner_text() == kept


def test_words_appear_before_the_answer_is_whole(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "worksheet.png")
    talk.is_ready()
    talk.page.evaluate(
        """() => {
          window.lengths = new Set()
          const look = () => {
            const text = document.querySelector('article[data-answer] .markdown')
            if (text) window.lengths.add(text.textContent.length)
            requestAnimationFrame(look)
          }
          look()
        }"""
    )
    talk.asks(MARK_ALL)
    assert talk.page.evaluate("window.lengths.size") >= 5


def test_a_thought_is_folded_and_timed(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "receipt.png")
    toggle = talk.composer.get_by_role("button", name="Thinking")
    if toggle.get_attribute("aria-pressed") != "true":
        toggle.click()
    assert talk.asks("What is the total?") == "22.58"
    fold = talk.answers.last.locator("details").first
    assert re.fullmatch(r"Thought for [\d.]+ m?s", fold.locator("summary").inner_text().strip())
    thought = fold.get_by_text("Total $22.58")
    assert not thought.is_visible()
    fold.locator("summary").click()
    thought.wait_for()


@pytest.mark.parametrize(("locale", "size"), BOTH, ids=BOTH_NAMES)
def test_questions_and_answers_have_branches(open_page: OpenPage, locale: str, size: tuple[int, int]) -> None:
    talk = Talk(open_page("/", locale=locale, size=size), chinese=locale == "zh-CN")
    talk.attach(EXAMPLES / "receipt.png")
    assert talk.asks("What is the total?") == "22.58"
    talk.answers.last.get_by_role("button", name=talk.word("again"), exact=True).click()
    talk.answers.last.get_by_text("2 / 2").wait_for()
    assert talk.answered(1) == "22.58"
    question = talk.questions.last
    question.get_by_role("button", name=talk.word("edit"), exact=True).click()
    talk.page.get_by_label(talk.word("edit-field"), exact=True).last.fill("list the amounts")
    talk.button("edit-send").click()
    talk.questions.last.get_by_text("2 / 2").wait_for()
    talk.main.get_by_text(AMOUNTS).first.wait_for()
    talk.questions.last.get_by_role("button", name=talk.word("previous")).click()
    talk.questions.last.get_by_text("What is the total?").wait_for()
    talk.answers.last.get_by_text("2 / 2").wait_for()
    talk.answers.last.get_by_role("button", name=talk.word("previous")).click()
    talk.answers.last.get_by_text("1 / 2").wait_for()
    talk.page.reload()
    talk.answers.last.get_by_text("1 / 2").wait_for()
    talk.questions.last.get_by_role("button", name=talk.word("next")).click()
    talk.main.get_by_text(AMOUNTS).first.wait_for()


def test_a_cut_answer_goes_on(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.is_ready()
    set_settings(talk.page, "Sampling", Longest_answer="8")
    talk.attach(EXAMPLES / "receipt.png")
    cut = talk.asks("list the amounts")
    talk.answers.last.get_by_text("Cut off").wait_for()
    assert AMOUNTS.startswith(cut) and cut != AMOUNTS
    go_on = talk.answers.last.get_by_role("button", name="Continue", exact=True)
    text = talk.answers.last.locator(".markdown")
    while go_on.is_visible():  # eight tokens at a time, as it was asked
        before = text.inner_text()
        go_on.click()
        expect(text).not_to_have_text(before)
        talk.answered(1)
    assert text.inner_text().strip() == AMOUNTS
    assert talk.answers.count() == 1


@pytest.mark.parametrize(("locale", "size"), BOTH, ids=BOTH_NAMES)
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
    files = {
        form: talk.saves(menu=talk.actions_of("list the amounts"), item=form) for form in ("markdown", "json", "html")
    }
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


def test_what_is_being_written_survives_reload_and_change_of_conversation(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "receipt.png")
    talk.question.fill("half a quest")
    talk.page.wait_for_timeout(600)  # kept a moment after the last key
    talk.page.reload()
    talk.has_tiles(1)
    assert talk.question.input_value() == "half a quest"
    talk.asks("What is the total?")
    talk.question.fill("and for this one")
    talk.open_list()
    talk.list.get_by_role("button", name="New conversation").click()
    expect(talk.question).to_have_value("")
    talk.page.go_back()
    expect(talk.question).to_have_value("and for this one")


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


@pytest.mark.parametrize(
    ("preset", "sends", "breaks"),
    [
        ("Enter or Shift+Enter sends", ["Enter", "Shift+Enter"], ["Control+Enter"]),
        ("Enter sends", ["Enter"], ["Shift+Enter"]),
        ("Ctrl+Enter sends", ["Control+Enter"], ["Enter"]),
    ],
    ids=["source", "enter", "ctrl-enter"],
)
def test_the_keys_send_as_the_settings_say(
    open_page: OpenPage, preset: str, sends: list[str], breaks: list[str]
) -> None:
    talk = Talk(open_page("/"))
    talk.is_ready()
    talk.button("settings").click()
    talk.page.get_by_role("dialog").get_by_role("radio", name=re.compile(f"^{re.escape(preset)}")).check(force=True)
    talk.page.keyboard.press("Escape")
    for key in breaks:
        talk.question.fill("one")
        talk.question.press("End")
        talk.question.press(key)
        talk.question.press_sequentially("two")
        assert talk.question.input_value() == "one\ntwo", key
    for count, key in enumerate(sends, 1):
        talk.question.fill(f"hello {count}")
        talk.question.press(key)
        talk.answered(count)


def test_enter_that_confirms_a_chinese_word_does_not_send(open_page: OpenPage) -> None:
    talk = Talk(open_page("/", locale="zh-CN"), chinese=True)
    talk.is_ready()
    talk.question.click()
    session = talk.page.context.new_cdp_session(talk.page)
    session.send("Input.imeSetComposition", {"text": "jine", "selectionStart": 4, "selectionEnd": 4})
    # Enter as it arrives while a word is open: with the composition's own mark, then as Safari has it.
    for mark in ("isComposing: true", "keyCode: 229"):
        talk.question.evaluate(
            f"(field) => field.dispatchEvent(new KeyboardEvent('keydown', {{ key: 'Enter', bubbles: true, {mark} }}))"
        )
    session.send("Input.insertText", {"text": "金额"})
    expect(talk.question).to_have_value("金额")
    assert talk.answers.count() == 0
    talk.question.press("Enter")
    talk.answered(1)
    assert "金额" in talk.questions.first.inner_text()


def test_a_reload_in_the_middle_of_an_answer_loses_nothing(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "worksheet.png")
    # Reloaded by itself as soon as a word is there: from here it would come too late.
    talk.page.evaluate(
        """() => {
          const look = () => {
            const seen = document.querySelector('article[data-answer] .markdown')?.innerText ?? ''
            if (!seen.includes('Q2')) return requestAnimationFrame(look)
            sessionStorage.setItem('seen', seen)
            location.reload()
          }
          look()
        }"""
    )
    talk.ask(MARK_ALL)
    talk.main.get_by_text("Interrupted").wait_for()
    kept = talk.answers.last.locator(".markdown").inner_text()
    seen = talk.page.evaluate("sessionStorage.getItem('seen')")
    assert kept.startswith(seen.rstrip()), (seen, kept)
    talk.answers.last.get_by_role("button", name="Continue", exact=True).click()
    talk.answers.last.get_by_text("8题对5题").wait_for()


MARKDOWN = r"""
# Result

| item | price |
|:--|--:|
| Rye bread | $4.20 |
| Milk | $2.75 |

```python
def total(prices: list[float]) -> float:
    return sum(prices)
```

Inline $a^2 + b^2$, also \(x_1\), and $$\frac{1}{2}$$ and \[\sum_i i\] but a price of $5 and $6 stays.

- [x] done
- [ ] open
"""


def test_markdown_code_and_formulas_are_drawn(open_page: OpenPage, tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    file.write_text(exported([conversation("Drawn", "show", MARKDOWN)]), encoding="utf-8")
    talk = Talk(open_page("/"))
    talk.is_ready()
    talk.import_file(file)
    talk.list.get_by_role("link", name="Drawn").click()
    answer = talk.answers.first
    answer.get_by_role("heading", name="Result").wait_for()
    assert answer.get_by_role("cell", name="$4.20", exact=True).is_visible()
    answer.locator(".katex").nth(3).wait_for()
    assert answer.locator(".katex").count() == 4
    assert answer.get_by_text("a price of $5 and $6 stays").is_visible()
    assert answer.locator("pre span[class^=hljs]").count() > 2
    talk.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block = answer.locator("pre").first
    block.hover()
    answer.get_by_role("button", name="Copy", exact=True).first.click()
    assert "def total" in copied(talk.page)
