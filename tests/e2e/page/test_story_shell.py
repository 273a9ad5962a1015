"""Stories of the page around its pages: code that runs, two languages, two appearances, a phone, a keyboard; and a
newcomer's first minutes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.page.conftest import PHONE, OpenPage, Watch
from tests.e2e.page.screens import Shell
from tests.e2e.page.stories import AMOUNTS, EXAMPLES, Talk, copied, scrolls_sideways, violations

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

ROUTES = ["/", "/scenes", "/scenes/audit", "/scenes/marking", "/compare", "/structured", "/operator"]


@pytest.fixture
def refusals(watch: Watch) -> None:
    watch.allow(r"status of 40[13]")  # the operator's page, on a server without a key


def code_of(talk: Talk, tab: str, folder: Path) -> str:
    """The text of a tab of the code that is shown, as its copy button gives it; its files lie in `folder` then."""
    page = talk.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("tab", name=tab, exact=True).click()
    panel = dialog.get_by_role("tabpanel").filter(visible=True)
    panel.locator("pre").first.hover()
    panel.get_by_role("button", name="Copy", exact=True).first.click()
    for button in dialog.get_by_role("button", name=re.compile("^Save ")).all():
        file = talk.saves(button=button)
        file.save_as(folder / file.suggested_filename)
    return copied(page)


def run(command: list[str], folder: Path) -> str:
    environ = {**os.environ, "FLASHWEB_API_KEY": "none"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_code_that_is_shown_runs_and_gives_the_same_answer(open_page: OpenPage, tmp_path: Path) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "receipt.png")
    assert talk.asks("list the amounts") == AMOUNTS
    talk.choose(talk.answers.last.get_by_role("button", name="More", exact=True), "code")
    (tmp_path / "ask.py").write_text(code_of(talk, "Python", tmp_path), encoding="utf-8")
    assert AMOUNTS in run([sys.executable, "ask.py"], tmp_path)
    (tmp_path / "ask.sh").write_text(code_of(talk, "curl", tmp_path), encoding="utf-8")
    told = run(["bash", "ask.sh"], tmp_path)
    assert AMOUNTS in told or AMOUNTS in "".join(re.findall(r'"content": ?"([^"]*)"', told)), told[-500:]


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
        Shell(page).is_ready()
        left_over = page.get_by_role("main").get_by_text(re.compile(r"\b[a-z]+\.[a-z]+\.[a-z]+\b"))
        assert left_over.count() == 0, "a key instead of its words"
    assert page.evaluate("window.same")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", re.compile("^zh"))


def test_the_appearance_changes_and_stays(open_page: OpenPage) -> None:
    page = open_page("/")
    Shell(page).is_ready()
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("button", name="Dark appearance").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != light
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("route", ROUTES)
def test_a_phone_scrolls_no_page_sideways(open_page: OpenPage, route: str, refusals: None) -> None:
    page = open_page(route, size=(360, 640), locale="zh-CN")
    Shell(page).is_ready()
    page.wait_for_load_state("networkidle")
    assert not scrolls_sideways(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("route", ROUTES)
def test_every_page_can_be_used_with_a_screen_reader(
    open_page: OpenPage, route: str, scheme: str, refusals: None
) -> None:
    page = open_page(route, scheme=scheme)
    Shell(page).is_ready()
    page.wait_for_load_state("networkidle")
    assert not (found := violations(page)), "\n".join(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_conversation_with_boxes_can_be_used_with_a_screen_reader(open_page: OpenPage, scheme: str) -> None:
    talk = Talk(open_page("/", scheme=scheme))
    talk.attach(EXAMPLES / "receipt.png")
    talk.asks("List every amount with its box.")
    assert not (found := violations(talk.page)), "\n".join(found)
    talk.button("settings").click()
    for tab in ("General", "Sampling", "Keys"):
        talk.page.get_by_role("tab", name=tab).click()
        assert not (found := violations(talk.page)), tab + "\n" + "\n".join(found)


@pytest.mark.parametrize("scene", ["audit", "marking", "receipt"])
def test_a_scenes_result_can_be_used_with_a_screen_reader(open_page: OpenPage, scene: str) -> None:
    page = open_page(f"/scenes/{scene}", scheme="dark" if scene == "receipt" else "light")
    page.get_by_role("button", name="Try the sample").click()
    page.locator("article.detail[aria-busy=false]").get_by_text("Request").first.wait_for(timeout=60_000)
    assert not (found := violations(page)), "\n".join(found)


def focused(page) -> str:  # type: ignore[no-untyped-def]
    return str(
        page.evaluate(
            "(() => { const e = document.activeElement;"
            " if (!e.matches('a, button, input, select, textarea, summary')) return e.tagName;"
            " return e.getAttribute('aria-label') || e.innerText || e.getAttribute('placeholder') || e.tagName })()"
        )
    ).strip()


def tab_to(page, name: str, most: int = 60) -> None:  # type: ignore[no-untyped-def]
    """Tab until what has the focus is called so."""
    passed = []
    for _ in range(most):
        if name in (here := focused(page)):
            return
        passed.append(here)
        page.keyboard.press("Tab")
    raise AssertionError(f"{name!r} is not reached by Tab; passed: {passed}")


def test_an_audit_is_done_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page("/")
    Shell(page).is_ready()
    page.keyboard.press("Control+Alt+Digit2")
    page.get_by_role("heading", name="Scenes").wait_for()
    tab_to(page, "Product picture audit")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Product picture audit").wait_for()
    tab_to(page, "Try the sample")
    page.keyboard.press("Enter")
    verdict = page.locator(".verdict")
    verdict.get_by_text("Violation").wait_for(timeout=60_000)
    rejects = page.get_by_role("button", name="Reject", exact=True)
    for at in range(rejects.count()):
        for _ in range(80):
            if rejects.nth(at).evaluate("(button) => button === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
    verdict.get_by_text("Pass").wait_for()


def test_the_keyboards_help_opens_and_closes(open_page: OpenPage) -> None:
    page = open_page("/")
    Shell(page).is_ready()
    page.get_by_role("button", name="Keyboard shortcuts").focus()
    page.keyboard.press("Shift+?")
    help_sheet = page.get_by_role("dialog", name="Keyboard")
    help_sheet.wait_for()
    assert "Send" in help_sheet.inner_text()
    page.keyboard.press("Escape")
    help_sheet.wait_for(state="hidden")


def test_a_newcomer_gets_from_the_first_visit_to_code_in_a_dozen_clicks(
    open_page: OpenPage, tmp_path: Path, record_property
) -> None:  # type: ignore[no-untyped-def]
    """First visit, an audit, a marked worksheet, a question of one's own by code: nothing is read up on."""
    page = open_page("/", size=PHONE)
    page.evaluate("window.clicks = 0")
    clicks = 0

    def click(locator) -> None:  # type: ignore[no-untyped-def]
        nonlocal clicks
        clicks += 1
        locator.click()

    began = time.monotonic()
    nav = page.get_by_role("navigation", name="Pages")
    click(nav.get_by_role("link", name="Scenes"))
    click(page.get_by_role("link", name=re.compile("Product picture audit")))
    click(page.get_by_role("button", name="Try the sample"))
    page.locator(".verdict").get_by_text("Violation").wait_for(timeout=60_000)
    click(page.get_by_role("main").get_by_role("link", name="Scenes"))
    click(page.get_by_role("link", name=re.compile("^Marking")))
    click(page.get_by_role("button", name="Try the sample"))
    expect(page.locator(".score")).to_contain_text("5 / 8", timeout=60_000)
    click(nav.get_by_role("link", name="Chat"))
    click(page.get_by_role("button", name=re.compile("Read a receipt")))
    talk = Talk(page)
    assert talk.answered(1) == AMOUNTS
    clicks += 3  # the menu, its item, and the copy button
    talk.choose(talk.answers.last.get_by_role("button", name="More", exact=True), "code")
    assert "from openai import OpenAI" in code_of(talk, "Python", tmp_path)
    seconds = time.monotonic() - began
    record_property("clicks", clicks)
    record_property("seconds", round(seconds, 1))
    assert clicks <= 12
