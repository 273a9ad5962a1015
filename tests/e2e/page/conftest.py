"""The page in the machine's own Chromium, in front of a real server with the bundled model.

A test fails on whatever a person would find in the browser's console: an error, a refusal by the policy, a request to
another host. What a test provokes on purpose it says (`watch.allow`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

PAGE = Path(__file__).resolve().parents[3] / "src" / "flashweb" / "page"
WIDE, PHONE = (1280, 900), (375, 740)

in_both_languages = pytest.mark.parametrize(
    ("locale", "size"), [("en-US", WIDE), ("zh-CN", PHONE)], ids=["en-wide", "zh-phone"]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)


def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or pytest.skip("no Chromium on this machine")


@pytest.fixture(scope="session")
def page_server() -> Iterator[str]:
    assert (PAGE / "index.html.gz").is_file(), "the page is not built: make web"
    with serving() as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of a module, not of the session: Playwright's loop would still be running in the async tests of other modules."""
    program = chromium()
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        # Containers run tests as root, where Chromium has no sandbox of its own; it sees nothing but our page here.
        # Its camera is a drawn one.
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *camera])
        yield browser
        browser.close()


@dataclass
class Watch:
    """What went wrong in a browser, in the order in which it did."""

    hosts: set[str]
    problems: list[str] = field(default_factory=list)
    allowed: list[re.Pattern[str]] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._note(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def on_error(self, error: Exception) -> None:
        self._note(f"uncaught: {error}")

    def on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc not in self.hosts:
            self._note(f"a request to another host: {request.url}")

    def allow(self, pattern: str) -> None:
        """What a test provokes; from here on."""
        self.allowed.append(re.compile(pattern))

    def _note(self, words: str) -> None:
        if not any(pattern.search(words) for pattern in self.allowed):
            self.problems.append(words)


@pytest.fixture
def watch(page_server: str) -> Watch:
    return Watch({urlsplit(page_server).netloc})


OpenPage = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser, page_server: str, watch: Watch) -> Iterator[OpenPage]:
    """A browser of its own (empty storage) at a path of the page: `open_page("/scenes", size=PHONE, scheme="dark")`;
    `server` is another one than the bundled model's; with `touch` it is a phone's or a tablet's, without a mouse."""
    contexts: list[BrowserContext] = []

    def go(
        path: str = "/",
        *,
        size: tuple[int, int] = WIDE,
        scheme: str = "light",
        locale: str = "en-US",
        server: str = page_server,
        touch: bool = False,
    ) -> Page:
        watch.hosts.add(urlsplit(server).netloc)
        context = browser.new_context(
            base_url=server,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
            locale=locale,
            reduced_motion="reduce",  # nothing to wait for
            has_touch=touch,
            is_mobile=touch,
        )
        contexts.append(context)
        context.set_default_timeout(15_000)
        context.on("console", watch.on_console)
        context.on("weberror", lambda error: watch.on_error(error.error))
        context.on("request", watch.on_request)
        page = context.new_page()
        page.goto(path)
        return page

    yield go
    for context in contexts:
        context.close()
    assert not watch.problems, "\n".join(watch.problems)
