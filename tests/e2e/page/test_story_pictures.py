"""Pictures of the page for README and docs, made by the story that they show: `PAGE_PICTURES=docs/page pytest ...`
writes them there; without it they are drawn and thrown away, so that the story keeps working."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.page.conftest import PHONE, OpenPage
from tests.e2e.page.stories import ANSWERS_IN, EXAMPLES, Talk, settle

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

SIZE = (1280, 800)
MOST_BYTES = 60_000


def keep(talk: Talk, name: str, folder: Path) -> None:
    """As WebP, as good as it can be in MOST_BYTES."""
    settle(talk.page)
    with Image.open(io.BytesIO(talk.page.screenshot(animations="disabled", caret="hide"))) as shot:
        for quality in (65, 50, 35):
            packed = io.BytesIO()
            shot.convert("RGB").save(packed, "WEBP", quality=quality, method=6)
            if packed.tell() <= MOST_BYTES:
                break
    assert packed.tell() <= MOST_BYTES
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.webp").write_bytes(packed.getvalue())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(os.environ.get("PAGE_PICTURES") or tmp_path)


@pytest.mark.parametrize(
    ("name", "locale", "scheme", "size"),
    [
        ("chat-light", "en-US", "light", SIZE),
        ("chat-dark-zh", "zh-CN", "dark", SIZE),
        ("chat-phone", "en-US", "light", PHONE),
    ],
)
def test_a_receipt_with_its_boxes(
    open_page: OpenPage, folder: Path, name: str, locale: str, scheme: str, size: tuple[int, int]
) -> None:
    talk = Talk(open_page("/", locale=locale, scheme=scheme, size=size), chinese=locale == "zh-CN")
    talk.attach(EXAMPLES / "receipt.png")
    talk.asks("提取图中所有金额数字及其坐标" if talk.chinese else "List every amount with its box.")
    pane = talk.page.get_by_role("region", name=talk.word("pane"))
    expect(pane.locator("svg [data-box]")).to_have_count(8)
    pane.evaluate("(pane) => pane.scrollIntoView({ block: 'start' })")  # a phone has it above the answer
    keep(talk, name, folder)


@pytest.mark.parametrize(
    ("scene", "scheme", "locale", "size"),
    [("marking", "light", "zh-CN", SIZE), ("audit", "dark", "en-US", SIZE), ("receipt", "light", "en-US", PHONE)],
)
def test_a_scene_at_work(
    open_page: OpenPage, folder: Path, scene: str, scheme: str, locale: str, size: tuple[int, int]
) -> None:
    talk = Talk(open_page(f"/scenes/{scene}", scheme=scheme, locale=locale, size=size), chinese=locale == "zh-CN")
    talk.try_sample().evaluate("(article) => article.scrollIntoView({ block: 'start' })")
    keep(talk, f"scene-{scene}", folder)


def test_two_settings_beside_each_other(open_page: OpenPage, folder: Path) -> None:
    talk = Talk(open_page("/compare", size=SIZE))
    talk.pick(EXAMPLES / "receipt.png")
    talk.page.get_by_label(talk.word("question-of-both")).fill("List every amount with its box.")
    talk.main.locator("details").first.get_by_label("Picture size").nth(1).select_option(index=3)
    talk.button("ask-both").click()
    talk.page.get_by_role("heading", name="Difference").wait_for()
    tokens = talk.page.get_by_role("row").filter(has_text="Picture tokens").get_by_role("cell")
    expect(tokens.nth(1)).not_to_have_text("–", timeout=ANSWERS_IN)
    talk.main.locator("figure").first.evaluate("(figure) => figure.scrollIntoView({ block: 'start' })")
    keep(talk, "compare", folder)
