"""Stories of who may use the server and of its states: keys, the operator's pages, starting, ending, out of reach."""

from __future__ import annotations

import json
import re
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Start, serving
from tests.e2e.page.conftest import OpenPage, Watch
from tests.e2e.page.stories import EXAMPLES, MARK_ALL, Talk, violations, wait_until

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow

USER, ADMIN = "user-key-0123456789abcdef", "admin-key-0123456789abcdef"


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with serving("--api-keys", f"ada:{USER}", "--admin-key", ADMIN) as url:
        yield url


@pytest.fixture
def refusals(watch: Watch) -> None:
    """The browser's console tells of every refused request; here they are the story."""
    watch.allow(r"status of 40[13]")


def test_a_key_is_asked_for_tried_kept_and_forgotten(open_page: OpenPage, guarded: str, refusals: None) -> None:
    page = open_page("/", server=guarded)
    page.get_by_text("This server answers only with an API key.").wait_for()
    page.get_by_role("button", name="Enter the key").click()
    dialog = page.get_by_role("dialog", name="This server needs an API key")
    field = dialog.get_by_label("API key", exact=True)
    use = dialog.get_by_role("button", name="Use this key")
    use.click()
    dialog.get_by_text("Enter the key first.").wait_for()
    field.fill("nobody-has-this-key")
    use.click()
    dialog.get_by_text("The server does not know this key.").wait_for()
    field.fill(USER)
    use.click()
    dialog.wait_for(state="hidden")
    talk = Talk(page)
    talk.attach(EXAMPLES / "receipt.png")
    assert talk.asks("What is the total?") == "22.58"
    assert USER not in page.evaluate("Object.values(localStorage).join()"), "until this tab is closed, as chosen"
    page.reload()
    assert talk.answered(1) == "22.58"
    assert talk.asks("list the amounts").startswith("4.20")
    # It is in no code that is shown.
    code = talk.view_code()
    code.locator("pre").first.wait_for()
    assert USER not in code.inner_text()
    page.keyboard.press("Escape")
    talk.button("settings").click()
    page.get_by_role("tab", name="Keys").click()
    page.get_by_text(f"••••{USER[-4:]}").wait_for()
    page.get_by_role("button", name="Forget the key").first.click()
    page.keyboard.press("Escape")
    talk.ask("hello")
    page.get_by_role("dialog", name="This server needs an API key").wait_for()


def test_the_operator_sees_metrics_requests_usage_and_engine(open_page: OpenPage, guarded: str, refusals: None) -> None:
    page = open_page("/", server=guarded)
    page.get_by_role("button", name="Enter the key").click()
    page.get_by_role("dialog").get_by_label("API key", exact=True).fill(USER)
    page.get_by_role("button", name="Use this key").click()
    talk = Talk(page)
    talk.attach(EXAMPLES / "receipt.png")
    talk.asks("What is the total?")
    number = re.search(r"req_\w+", talk.figures())
    assert number
    talk.go_to("Operator")
    page.get_by_role("tab", name="Requests").click()
    page.get_by_role("main").get_by_role("button", name="Enter the key").click()
    field = page.get_by_role("dialog").get_by_label("Admin key", exact=True)
    field.fill(USER)
    page.get_by_role("button", name="Use this key").click()
    page.get_by_text("This key does not open the operator page.").wait_for()
    field.fill(ADMIN)
    page.get_by_role("button", name="Use this key").click()
    main = page.get_by_role("main")
    main.get_by_role("tab", name="Live").click()
    main.get_by_text("Sequences in the engine").first.wait_for()
    main.get_by_role("tab", name="Requests").click()
    main.get_by_label("Search id, path, key or error").fill(number[0])
    row = main.get_by_role("row").filter(has_text="ada")
    row.first.wait_for()
    assert row.count() == 1
    main.get_by_role("button", name=re.compile(f"^Details of {number[0]}")).first.click()
    details = page.get_by_role("dialog")
    details.get_by_text(number[0]).first.wait_for()
    details.get_by_role("link", name="Open its conversation").or_(
        details.get_by_role("button", name="Open its conversation")
    ).first.wait_for()
    page.keyboard.press("Escape")
    main.get_by_role("tab", name="Usage").click()
    main.get_by_role("row").filter(has_text="ada").first.wait_for()
    main.get_by_role("tab", name="Engine and model").click()
    main.get_by_text("The engine answers").wait_for()
    assert ADMIN not in main.inner_text()


def ask(server: str, more: dict[str, int]) -> int:
    """The status of a question by the user."""
    body = {"messages": [{"role": "user", "content": "hello"}], **more}
    request = urllib.request.Request(
        server + "/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {USER}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_operators_filled_pages_can_be_used_with_a_screen_reader(
    open_page: OpenPage, guarded: str, refusals: None, watch: Watch, scheme: str
) -> None:
    watch.allow("status of 400")
    page = open_page("/operator", server=guarded, scheme=scheme)
    main = page.get_by_role("main")
    main.get_by_role("heading", name="A key is needed").wait_for()
    assert violations(page) == []
    main.get_by_role("tab", name="Requests").click()
    main.get_by_role("button", name="Enter the key").click()
    page.get_by_role("dialog").get_by_label("Admin key", exact=True).fill(ADMIN)
    page.get_by_role("button", name="Use this key").click()
    main.get_by_text(re.compile(r"of \d+ requests")).wait_for()
    main.get_by_role("tab", name="Live").click()
    main.get_by_text("Sequences in the engine").first.wait_for()
    # One that is answered and one that is refused, for the charts and the tables.
    assert [ask(guarded, body) for body in ({"max_tokens": 4}, {"max_tokens": -4})] == [200, 400]
    main.get_by_text("No request in the last").wait_for(state="hidden")
    main.get_by_text("All numbers of this range as a table").click()
    main.get_by_role("table").wait_for()
    assert violations(page) == []
    for tab, words in (("Usage", "Share of tokens"), ("Engine and model", "The engine answers"), ("Requests", "400")):
        main.get_by_role("tab", name=tab).click()
        main.get_by_text(words).first.wait_for()
        assert violations(page) == [], tab
    main.get_by_role("button", name=re.compile("^Details of")).last.click()
    page.get_by_role("dialog").get_by_text("Stages").first.wait_for()
    assert violations(page) == []


def test_a_key_that_was_not_given_can_be_given_later(open_page: OpenPage, guarded: str, refusals: None) -> None:
    page = open_page("/scenes", server=guarded)
    page.get_by_role("dialog", name="This server needs an API key").wait_for()
    page.keyboard.press("Escape")
    banner = page.get_by_text("This server answers only with an API key.")
    banner.wait_for()
    page.get_by_role("button", name="Enter the key").first.click()
    page.get_by_role("dialog", name="This server needs an API key").wait_for()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_that_loads_is_waited_for_and_one_that_goes_is_missed(
    open_page: OpenPage, start: Start, watch: Watch
) -> None:
    watch.allow(r"status of 503|ERR_CONNECTION|ERR_EMPTY_RESPONSE|net::")
    server = start(wait=False)
    wait_until(lambda: is_open(server.port), seconds=30)
    page = open_page("/", server=server.url)
    # The engine needs seconds; the page is there before it.
    page.get_by_text("The model is being loaded.").wait_for()
    talk = Talk(page)
    talk.question.fill("hello")
    assert page.get_by_role("button", name=re.compile("^Send: the model is still loading")).is_disabled()
    page.get_by_text("The model is being loaded.").wait_for(state="hidden", timeout=60_000)
    assert talk.question.input_value() == "hello"
    talk.button("send").click()
    talk.answered(1)
    server.process.send_signal(signal.SIGTERM)
    page.get_by_text(re.compile("The server (is shutting down|does not answer)")).first.wait_for(timeout=30_000)
    page.get_by_text("The server does not answer.").first.wait_for(timeout=60_000)
    server.process.wait(30)
    talk.question.fill("kept")
    # Back on the same port, the page goes on by itself.
    start(port=server.port)
    page.get_by_text("The server does not answer.").first.wait_for(state="hidden", timeout=60_000)
    assert talk.question.input_value() == "kept"
    expect(talk.button("send")).to_be_enabled(timeout=30_000)


def test_a_server_that_ends_says_so_and_lets_the_running_answer_finish(
    open_page: OpenPage, start: Start, watch: Watch
) -> None:
    watch.allow(r"status of 503|ERR_|net::")
    server = start("--timeout-graceful-shutdown", "20")
    talk = Talk(open_page("/", server=server.url))
    talk.attach(EXAMPLES / "worksheet.png")
    talk.ask(MARK_ALL)
    talk.answers.last.locator(".markdown").wait_for()
    server.process.send_signal(signal.SIGTERM)
    assert "8题对5题" in talk.answered(1)
