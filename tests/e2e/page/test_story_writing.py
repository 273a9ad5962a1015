"""Stories of the question while it is written: the draft is kept, and the keys send what is meant to be sent."""

from __future__ import annotations

import re

import pytest

from tests.e2e.page.conftest import OpenPage
from tests.e2e.page.stories import EXAMPLES, Talk, stored, wait_until

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow


def test_what_is_being_written_survives_reload_and_change_of_conversation(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "receipt.png")
    talk.question.fill("half a quest")
    wait_until(lambda: "half a quest" in stored(talk.page))
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


def test_two_tabs_write_new_conversations_of_their_own(open_page: OpenPage) -> None:
    one = Talk(open_page("/"))
    one.is_ready()
    other = Talk(one.page.context.new_page())
    other.page.goto(one.page.url)
    other.is_ready()
    one.question.fill("of the first")
    other.question.fill("of the second")
    wait_until(lambda: all(words in stored(one.page) for words in ("of the first", "of the second")))
    one.question.fill("")
    wait_until(lambda: "of the first" not in stored(other.page))
    one.page.close()
    other.page.reload()
    expect(other.question).to_have_value("of the second")


def test_a_duplicated_tab_goes_on_by_itself_with_what_is_being_written(open_page: OpenPage) -> None:
    one = Talk(open_page("/"))
    one.is_ready()
    one.question.fill("half a quest")
    wait_until(lambda: "half a quest" in stored(one.page))
    # As "Duplicate" does it, the other tab begins with a copy of what this one keeps for itself.
    with one.page.expect_popup() as opened:
        one.page.evaluate("void window.open(location.href)")
    other = Talk(opened.value)
    other.is_ready()
    expect(other.question).to_have_value("half a quest")
    key = "sessionStorage.getItem('flashweb.draft')"
    wait_until(lambda: one.page.evaluate(key) != other.page.evaluate(key))
    expect(other.question).to_have_value("half a quest")
    other.question.fill("of the second")
    one.question.fill("of the first")
    wait_until(lambda: all(words in stored(one.page) for words in ("of the first", "of the second")))
    for talk, words in ((one, "of the first"), (other, "of the second")):
        talk.page.reload()
        talk.is_ready()
        expect(talk.question).to_have_value(words)


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
