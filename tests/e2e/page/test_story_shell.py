"""Stories of the page around its pages: two languages, two appearances, a phone, a keyboard, a screen reader."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.e2e.page.conftest import OpenPage
from tests.e2e.page.stories import ANSWERS_IN, EXAMPLES, Part, Talk, scrolls_sideways, violations

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

ROUTES = ["/", "/scenes", "/scenes/audit", "/scenes/marking", "/compare", "/structured", "/operator"]


def test_the_language_changes_without_a_reload(open_page: OpenPage) -> None:
    page = open_page("/")
    talk = Talk(page)
    talk.is_ready()
    talk.question.fill("stays")
    page.evaluate("window.same = true")
    page.get_by_role("button", name="切换到中文").click()
    chinese = Talk(page, chinese=True)
    expect(chinese.question).to_have_value("stays")
    expect(page.locator("html")).to_have_attribute("lang", re.compile("^zh"))
    for name in ("场景", "对比", "结构化"):
        page.get_by_role("navigation", name="页面").get_by_role("link", name=name).click()
        Part(page).is_ready()
        left_over = page.get_by_role("main").get_by_text(re.compile(r"\b[a-z]+\.[a-z]+\.[a-z]+\b"))
        assert left_over.count() == 0, "a key instead of its words"
    assert page.evaluate("window.same")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", re.compile("^zh"))


def test_the_appearance_changes_and_stays(open_page: OpenPage) -> None:
    page = open_page("/")
    Part(page).is_ready()
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("button", name="Dark appearance").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("html")).not_to_have_css("background-color", light)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("route", ROUTES)
def test_a_phone_scrolls_no_page_sideways(open_page: OpenPage, route: str) -> None:
    page = open_page(route, size=(360, 640), locale="zh-CN")
    Part(page).is_ready()
    page.wait_for_load_state("networkidle")
    assert not scrolls_sideways(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("route", ROUTES)
def test_every_page_can_be_used_with_a_screen_reader(open_page: OpenPage, route: str, scheme: str) -> None:
    page = open_page(route, scheme=scheme)
    Part(page).is_ready()
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_conversation_with_boxes_can_be_used_with_a_screen_reader(open_page: OpenPage, scheme: str) -> None:
    talk = Talk(open_page("/", scheme=scheme))
    talk.attach(EXAMPLES / "receipt.png")
    talk.asks("List every amount with its box.")
    assert violations(talk.page) == []
    talk.button("settings").click()
    for tab in ("General", "Sampling", "Keys"):
        talk.page.get_by_role("tab", name=tab).click()
        assert violations(talk.page) == [], tab


@pytest.mark.parametrize("scene", ["audit", "marking", "receipt"])
def test_a_scenes_result_can_be_used_with_a_screen_reader(open_page: OpenPage, scene: str) -> None:
    part = Part(open_page(f"/scenes/{scene}", scheme="dark" if scene == "receipt" else "light"))
    part.try_sample()
    assert violations(part.page) == []


def focused(page: Page) -> str:
    """What has the focus, by the name that a person would call it."""
    return str(
        page.evaluate(
            "(() => { const e = document.activeElement;"
            " if (!e.matches('a, button, input, select, textarea, summary')) return e.tagName;"
            " return e.getAttribute('aria-label') || e.innerText || e.getAttribute('placeholder') || e.tagName })()"
        )
    ).strip()


def tab_to(target: Locator) -> None:
    """By the Tab key alone; it is pressed until the element has the focus."""
    passed = []
    for _ in range(80):
        if target.evaluate("(element) => element === document.activeElement"):
            return
        passed.append(focused(target.page))
        target.page.keyboard.press("Tab")
    raise AssertionError(f"not reached by Tab; passed: {passed}")


def test_an_audit_is_done_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page("/")
    Part(page).is_ready()
    page.keyboard.press("Control+Alt+Digit2")
    page.get_by_role("heading", name="Scenes").wait_for()
    tab_to(page.get_by_role("link", name=re.compile("^Product picture audit")))
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Product picture audit").wait_for()
    tab_to(page.get_by_role("button", name="Try the sample"))
    page.keyboard.press("Enter")
    verdict = page.locator(".verdict")
    verdict.get_by_text("Violation").wait_for(timeout=ANSWERS_IN)
    rejects = page.get_by_role("button", name="Reject", exact=True)
    for reject in rejects.all():
        tab_to(reject)
        page.keyboard.press("Space")
    verdict.get_by_text("Pass").wait_for()


def test_the_keyboards_help_opens_and_closes(open_page: OpenPage) -> None:
    page = open_page("/")
    Part(page).is_ready()
    page.get_by_role("button", name="Keyboard shortcuts").focus()
    page.keyboard.press("Shift+?")
    help_sheet = page.get_by_role("dialog", name="Keyboard")
    help_sheet.wait_for()
    assert "Send" in help_sheet.inner_text()
    page.keyboard.press("Escape")
    help_sheet.wait_for(state="hidden")
