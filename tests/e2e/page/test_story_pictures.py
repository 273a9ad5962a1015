"""Pictures of every page in three appearances, for README and docs, made by the story that they show:
`PAGE_PICTURES=docs/page pytest ...` writes them there; without it they are drawn and thrown away, so that the story
keeps working."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.e2e.conftest import serving
from tests.e2e.page.conftest import PHONE, OpenPage
from tests.e2e.page.stories import ANSWERS_IN, EXAMPLES, Part, Talk, settle

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

WIDE = (1000, 640)
ADMIN = "admin-key-0123456789abcdef"
QUALITIES = (36, 30, 22)
MOST_BYTES = 21_000


@dataclass(frozen=True)
class Appearance:
    name: str
    locale: str
    scheme: str
    size: tuple[int, int]

    @property
    def chinese(self) -> bool:
        return self.locale == "zh-CN"

    def open(self, open_page: OpenPage, path: str, **more: str) -> Page:
        return open_page(path, locale=self.locale, scheme=self.scheme, size=self.size, **more)


APPEARANCES = (
    Appearance("light", "en-US", "light", WIDE),
    Appearance("dark", "zh-CN", "dark", WIDE),
    Appearance("phone", "en-US", "light", PHONE),
)
in_every_appearance = pytest.mark.parametrize("look", APPEARANCES, ids=lambda look: look.name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(os.environ.get("PAGE_PICTURES") or tmp_path)


@pytest.fixture(scope="module")
def operated() -> Iterator[str]:
    with serving("--admin-key", ADMIN) as url:
        yield url


def keep(page: Page, name: str, folder: Path) -> None:
    """As WebP, as good as it can be in MOST_BYTES."""
    settle(page)
    with Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide"))) as shot:
        for quality in QUALITIES:
            packed = io.BytesIO()
            shot.convert("RGB").save(packed, "WEBP", quality=quality, method=6)
            if packed.tell() <= MOST_BYTES:
                break
    assert packed.tell() <= MOST_BYTES
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.webp").write_bytes(packed.getvalue())


def to_top(what: Locator) -> None:
    what.evaluate("(element) => element.scrollIntoView({ block: 'start' })")


@in_every_appearance
def test_a_receipt_with_its_boxes(open_page: OpenPage, folder: Path, look: Appearance) -> None:
    talk = Talk(look.open(open_page, "/"), look.chinese)
    talk.attach(EXAMPLES / "receipt.png")
    talk.asks("提取图中所有金额数字及其坐标" if talk.chinese else "List every amount with its box.")
    pane = talk.page.get_by_role("region", name=talk.word("pane"))
    expect(pane.locator("svg [data-box]")).to_have_count(8)
    to_top(pane)  # a phone has it above the answer
    keep(talk.page, f"chat-{look.name}", folder)


@in_every_appearance
def test_the_scenes_to_choose_from(open_page: OpenPage, folder: Path, look: Appearance) -> None:
    part = Part(look.open(open_page, "/scenes"), look.chinese)
    part.main.get_by_role("listitem").first.wait_for()
    part.page.set_viewport_size({"width": look.size[0], "height": 400 if look.size == WIDE else look.size[1]})  # a row
    keep(part.page, f"scenes-{look.name}", folder)


@pytest.mark.parametrize(
    ("scene", "look", "locale"),
    [("marking", APPEARANCES[0], "zh-CN"), ("audit", APPEARANCES[1], "en-US"), ("receipt", APPEARANCES[2], "en-US")],
    ids=["marking-light", "audit-dark", "receipt-phone"],
)
def test_a_scene_at_work(open_page: OpenPage, folder: Path, scene: str, look: Appearance, locale: str) -> None:
    look = Appearance(look.name, locale, look.scheme, look.size)
    talk = Talk(look.open(open_page, f"/scenes/{scene}"), look.chinese)
    to_top(talk.try_sample())
    keep(talk.page, f"scene-{look.name}", folder)


@in_every_appearance
def test_two_settings_beside_each_other(open_page: OpenPage, folder: Path, look: Appearance) -> None:
    part = Part(look.open(open_page, "/compare"), look.chinese)
    part.pick(EXAMPLES / "receipt.png")
    question = "提取图中所有金额数字及其坐标" if part.chinese else "List every amount with its box."
    part.page.get_by_label(part.word("question-of-both")).fill(question)
    part.main.locator("details").first.get_by_label(part.word("picture-size")).nth(1).select_option(index=3)
    part.button("ask-both").click()
    part.page.get_by_role("heading", name=part.word("difference")).wait_for()
    tokens = part.page.get_by_role("row").filter(has_text=part.word("picture-tokens")).get_by_role("cell")
    expect(tokens.nth(1)).not_to_have_text("–", timeout=ANSWERS_IN)
    to_top(part.main.locator("figure").first)
    keep(part.page, f"compare-{look.name}", folder)


@in_every_appearance
def test_an_answer_as_a_table(open_page: OpenPage, folder: Path, look: Appearance) -> None:
    part = Part(look.open(open_page, "/structured"), look.chinese)
    part.pick(EXAMPLES / "receipt.png")
    part.page.get_by_label(part.word("begin-with")).select_option("receipt")
    part.button("read").click()
    result = part.main.get_by_role("article")
    result.get_by_text(part.word("valid"), exact=True).wait_for(timeout=ANSWERS_IN)
    if look.size == PHONE:
        to_top(result)
    keep(part.page, f"structured-{look.name}", folder)


@in_every_appearance
def test_the_operators_live_numbers(open_page: OpenPage, folder: Path, look: Appearance, operated: str) -> None:
    part = Part(look.open(open_page, "/operator", server=operated), look.chinese)
    part.main.get_by_text(re.compile("Sequences in the engine|引擎中的序列")).first.wait_for()
    for number in range(3):
        body = {"messages": [{"role": "user", "content": f"What is {number}?"}]}
        assert part.page.request.post(f"{operated}/v1/chat/completions", data=body).ok
    part.main.get_by_text(re.compile("No request in the last|秒没有请求")).wait_for(state="hidden")
    keep(part.page, f"operator-{look.name}", folder)
