"""Every page of the page opens, by its address and from another, wide and narrow, light and dark; and a picture is
read. Short enough for `make test`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.page.conftest import PHONE, WIDE, OpenPage, Watch
from tests.e2e.page.screens import Chat, Shell

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROUTES = ["/", "/scenes", "/scenes/receipt", "/compare", "/structured"]
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def is_wider_than_the_screen(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide-light", "phone-dark"])
@pytest.mark.parametrize("route", ROUTES)
def test_every_page_opens_by_its_address(open_page: OpenPage, route: str, size: tuple[int, int], scheme: str) -> None:
    page = open_page(route, size=size, scheme=scheme)
    Shell(page).is_ready()
    page.wait_for_load_state("networkidle")
    assert page.locator("html").get_attribute("data-theme") == scheme
    assert not is_wider_than_the_screen(page)


def test_the_operators_page_asks_for_the_admin_key(open_page: OpenPage, watch: Watch) -> None:
    watch.allow(r"status of 40[13]")  # the server has no admin key, and says so
    Shell(open_page("/operator")).is_ready()


def test_every_page_is_one_click_away(open_page: OpenPage, watch: Watch) -> None:
    watch.allow(r"status of 40[13]")
    page = open_page("/")
    shell = Shell(page)
    shell.is_ready()
    for name, route in (("Scenes", "/scenes"), ("Compare", "/compare"), ("Structured", "/structured"), ("Chat", "/")):
        shell.go_to(name)
        page.wait_for_url(lambda url, route=route: url.split("//")[1].partition("/")[2] == route.lstrip("/"))
        shell.is_ready()


def test_a_picture_is_read(open_page: OpenPage) -> None:
    page = open_page("/")
    chat = Chat(page)
    chat.attach(EXAMPLES / "receipt.png")
    chat.ask("list the amounts")
    chat.shows("4.20, 2.75, 6.90, 3.48, 5.25, 22.58, 30.00, 7.42")


def test_a_chinese_browser_is_answered_in_chinese(open_page: OpenPage) -> None:
    page = open_page("/", locale="zh-CN")
    page.get_by_role("main").wait_for()
    assert (page.locator("html").get_attribute("lang") or "").startswith("zh")
    page.get_by_role("link", name="场景").wait_for()  # its words are a file of their own
