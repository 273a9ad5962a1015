"""Every page of the page opens, by its address and from another, wide and narrow, light and dark; and a picture is
read. Short enough for `make test`."""

from __future__ import annotations

import pytest

from tests.e2e.page.conftest import PHONE, WIDE, OpenPage
from tests.e2e.page.stories import AMOUNTS, EXAMPLES, Part, Talk, scrolls_sideways

ROUTES = ["/", "/scenes", "/scenes/receipt", "/compare", "/structured"]


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide-light", "phone-dark"])
@pytest.mark.parametrize("route", ROUTES)
def test_every_page_opens_by_its_address(open_page: OpenPage, route: str, size: tuple[int, int], scheme: str) -> None:
    page = open_page(route, size=size, scheme=scheme)
    Part(page).is_ready()
    page.wait_for_load_state("networkidle")
    assert page.locator("html").get_attribute("data-theme") == scheme
    assert not scrolls_sideways(page)


def test_the_operators_page_asks_for_the_admin_key(open_page: OpenPage) -> None:
    part = Part(open_page("/operator"))
    part.page.get_by_role("tab", name="Usage").click()
    part.main.get_by_role("heading", name="The operator’s key is needed").wait_for()


def test_every_page_is_one_click_away(open_page: OpenPage, page_server: str) -> None:
    part = Part(open_page("/"))
    part.is_ready()
    for name, route in (("Scenes", "/scenes"), ("Compare", "/compare"), ("Structured", "/structured"), ("Chat", "/")):
        part.go_to(name)
        part.page.wait_for_url(page_server + route)
        part.is_ready()


def test_a_picture_is_read(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "receipt.png")
    assert talk.asks("list the amounts") == AMOUNTS


def test_a_chinese_browser_is_answered_in_chinese(open_page: OpenPage) -> None:
    page = open_page("/", locale="zh-CN")
    page.get_by_role("link", name="场景").wait_for()  # its words are a file of their own
    assert (page.locator("html").get_attribute("lang") or "").startswith("zh")
