"""Stories of a phone in the hand: fingers tap, pinch, drag and draw, and still scroll the page past the picture."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.page.conftest import PHONE, OpenPage
from tests.e2e.page.stories import EXAMPLES, Talk, settle, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Locator

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

Point = tuple[float, float]
STEPS = 8
REST_SECONDS = 0.1


@dataclass
class Fingers:
    """Touches as the browser gets them from a screen: it decides itself what is scrolled and what the page is told."""

    session: CDPSession

    def move(self, *ways: tuple[Point, Point]) -> None:
        """A finger for each way, from its beginning to its end, at the same time."""
        self._touch("touchStart", [begin for begin, _ in ways])
        for step in range(1, STEPS + 1):
            self._touch("touchMove", [between(begin, end, step / STEPS) for begin, end in ways])
        # One that is lifted while it moves throws what it moved, and the next touch only stops that.
        time.sleep(REST_SECONDS)
        self._touch("touchEnd", [])

    def _touch(self, kind: str, points: Sequence[Point]) -> None:
        touches = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def between(begin: Point, end: Point, share: float) -> Point:
    return begin[0] + (end[0] - begin[0]) * share, begin[1] + (end[1] - begin[1]) * share


def fingers_on(talk: Talk) -> Fingers:
    return Fingers(talk.page.context.new_cdp_session(talk.page))


def place_in(element: Locator, across: float, down: float) -> Point:
    """A point of an element, by shares of its width and height."""
    element.scroll_into_view_if_needed()
    where = element.bounding_box()
    assert where
    return where["x"] + where["width"] * across, where["y"] + where["height"] * down


@pytest.fixture
def boxed(open_page: OpenPage) -> Talk:
    """A receipt's boxes on a phone."""
    talk = Talk(open_page("/", size=PHONE, touch=True))
    talk.attach(EXAMPLES / "receipt.png")
    talk.asks("List every amount with its box.")
    return talk


def stage_of(talk: Talk) -> Locator:
    return talk.page.get_by_role("group", name=re.compile("^Picture receipt.png"))


def scrolled(talk: Talk) -> float:
    """How far the conversation is, in px."""
    return float(talk.main.get_by_role("region", name="Conversation").evaluate("(region) => region.scrollTop"))


def test_the_picture_is_pinched_dragged_and_tapped(boxed: Talk) -> None:
    stage, fingers = stage_of(boxed), fingers_on(boxed)
    boxes = stage.locator("svg [data-box]")
    expect(boxes).to_have_count(8)

    def left_and_width() -> tuple[float, float]:
        where = boxes.nth(5).locator("rect").first.bounding_box()
        assert where
        return where["x"], where["width"]

    x, y = place_in(stage, 0.5, 0.5)
    _, before = left_and_width()
    fingers.move(((x - 25, y), (x - 100, y)), ((x + 25, y), (x + 100, y)))
    settle(boxed.page)
    left, wider = left_and_width()
    assert wider > before * 2.5, "fingers four times as far apart"
    at = scrolled(boxed)
    fingers.move(((x, y), (x - 60, y - 10)))
    settle(boxed.page)
    assert left_and_width() == pytest.approx((left - 60, wider), abs=12), "dragged, and no larger"
    assert scrolled(boxed) == at
    boxed.button("fit").tap()
    wait_until(lambda: left_and_width()[1] == pytest.approx(before))
    where = boxes.nth(2).locator("rect").first.bounding_box()
    assert where
    boxed.page.touchscreen.tap(where["x"] + where["width"] / 2, where["y"] + where["height"] / 2)
    expect(boxes.nth(2)).to_have_attribute("aria-pressed", "true")


def test_a_finger_scrolls_past_a_picture_that_is_shown_whole(boxed: Talk) -> None:
    x, y = place_in(stage_of(boxed), 0.5, 0.5)
    at = scrolled(boxed)
    way = 100 if at > 100 else -100  # down or up, whichever way there is more to see
    fingers_on(boxed).move(((x, y), (x, y + way)))
    wait_until(lambda: (at - scrolled(boxed)) * way > 0)


def test_the_drawer_of_conversations_is_opened_and_left_by_touch(open_page: OpenPage) -> None:
    talk = Talk(open_page("/", size=PHONE, touch=True))
    talk.is_ready()
    talk.asks("pelican")
    talk.button("show-list").tap()
    talk.list.wait_for()
    assert talk.main.locator("[inert]").count() == 1, "nothing behind it can be touched"
    talk.page.touchscreen.tap(PHONE[0] - 15, PHONE[1] / 2)
    talk.list.wait_for(state="hidden")
    talk.button("show-list").tap()
    talk.list.get_by_role("button", name=talk.word("new"), exact=True).tap()
    talk.page.wait_for_url(re.compile(r"/$"))
    talk.list.wait_for(state="hidden")
    assert talk.answers.count() == 0
    talk.button("show-list").tap()
    talk.list.get_by_role("link", name="pelican").tap()
    talk.answers.first.wait_for()
    expect(talk.list).to_be_hidden()


def test_a_region_is_drawn_with_a_finger(open_page: OpenPage) -> None:
    talk = Talk(open_page("/", size=PHONE, touch=True))
    talk.attach(EXAMPLES / "receipt.png")
    talk.page.get_by_role("button", name="receipt.png: crop, rotate, point at a region").tap()
    dialog = talk.page.get_by_role("dialog", name="Edit the picture")
    surface = dialog.get_by_role("application")
    begin, end = place_in(surface, 0.05, 0.3), place_in(surface, 0.95, 0.6)
    fingers_on(talk).move((begin, end))
    region = re.search(r"\[(\d+), (\d+), (\d+), (\d+)\]", dialog.inner_text())
    assert region, "the finger drew, and did not scroll"
    assert [int(edge) for edge in region.groups()] == pytest.approx([50, 300, 950, 600], abs=15)
    dialog.get_by_role("button", name="Ask about the box").tap()
    dialog.wait_for(state="hidden")
    assert region[0].replace(" ", "") in talk.question.input_value()
