"""The page's parts as a person finds them: by role and by label. Tests say what they do; how is said here, once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


class Shell:
    """What is around every page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def main(self) -> Locator:
        return self.page.get_by_role("main")

    def is_ready(self) -> None:
        """Drawn, and nothing failed in drawing it."""
        # Not wait_for_function: it evaluates text, which the page's policy forbids to everybody.
        self.main.filter(has_text=re.compile(r"\S")).wait_for()
        assert not self.page.get_by_text("This part of the page has failed").is_visible()

    def go_to(self, name: str) -> None:
        self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()

    def open_each(self) -> int:
        """Everything that the header's buttons open, one after the other; how many there were."""
        buttons = self.page.get_by_role("banner").get_by_role("button").all()
        for button in buttons:
            button.click()
            self.page.wait_for_timeout(200)  # what opens may be a dialog, a menu, or another language
            self.page.keyboard.press("Escape")
        return len(buttons)


class Chat:
    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def question(self) -> Locator:
        return self.page.get_by_role("main").get_by_role("textbox").last

    def attach(self, *files: Path) -> None:
        self.question.wait_for()
        self.page.locator("main input[type=file][accept*=image]").first.set_input_files(files)
        for file in files:
            self.page.get_by_role("main").get_by_role("img", name=file.name).first.wait_for()

    def ask(self, words: str) -> None:
        self.question.fill(words)
        self.page.get_by_role("button", name="Send", exact=True).click()

    def shows(self, words: str) -> None:
        """In the conversation, once the answer is there."""
        self.page.get_by_role("main").get_by_text(words).first.wait_for()
