"""Stories of the answer: it grows, is stopped or interrupted and goes on, has branches, and is drawn as what it is."""

from __future__ import annotations

import re
import time
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.page.conftest import OpenPage, in_both_languages
from tests.e2e.page.stories import (
    AMOUNTS,
    ANSWERS_IN,
    EXAMPLES,
    MARK_ALL,
    Talk,
    conversation,
    copied,
    exported,
    may_copy,
    set_settings,
    wait_until,
)

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow


def test_words_appear_before_the_answer_is_whole(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "worksheet.png")
    talk.is_ready()
    talk.page.evaluate(
        """() => {
          window.lengths = new Set()
          const look = () => {
            const text = document.querySelector('article[data-answer] .markdown')
            if (text) window.lengths.add(text.textContent.length)
            requestAnimationFrame(look)
          }
          look()
        }"""
    )
    talk.asks(MARK_ALL)
    assert talk.page.evaluate("window.lengths.size") >= 5


WATCHED = {
    "sequences": r"vllm:num_requests_running\{[^}]*\}",
    "blocks": r"vllm:kv_cache_usage_perc\{[^}]*\}",
    "given up": r'vllm:request_success_total\{[^}]*finished_reason="abort"[^}]*\}',
}


def engine_of(server: str) -> dict[str, float]:
    """Sequences in it, the share of its KV cache's blocks that they hold, and answers that were given up so far."""
    with urllib.request.urlopen(server + "/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {name: float(re.findall(rf"^{pattern} (\S+)$", text, re.M)[0]) for name, pattern in WATCHED.items()}


def test_an_answer_grows_and_is_stopped_and_the_engine_is_free_again(open_page: OpenPage, page_server: str) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "worksheet.png")
    # The page stops by itself at a word, with what it shows then noted: from here it might come after the end.
    talk.page.evaluate(
        """(name) => {
          const look = () => {
            window.seen = document.querySelector('article[data-answer] .markdown')?.innerText ?? ''
            if (!window.seen.includes('Q2')) return requestAnimationFrame(look)
            document.querySelector(`button[aria-label="${name}"]`).click()
            window.stoppedAt = Date.now()
          }
          look()
        }""",
        talk.word("stop"),
    )
    freed = {"sequences": 0, "blocks": 0, "given up": engine_of(page_server)["given up"] + 1}
    talk.ask(MARK_ALL)
    asked_at = 0.0  # the last time; how long the answer takes is no matter of the stop

    def is_freed() -> bool:
        nonlocal asked_at
        asked_at = time.time()
        return engine_of(page_server) == freed

    wait_until(is_freed, seconds=ANSWERS_IN / 1000)
    assert asked_at - talk.page.evaluate("window.stoppedAt") / 1000 < 1.0
    text = talk.answers.last.locator(".markdown")
    talk.answers.last.get_by_text("Stopped.", exact=True).wait_for()
    kept = text.inner_text()
    seen = talk.page.evaluate("window.seen")
    assert kept.startswith(seen.rstrip()) and "8题" not in kept, "what was there stays, and no more comes"
    talk.page.reload()
    talk.answers.last.get_by_text("Stopped.", exact=True).wait_for()
    assert text.inner_text() == kept


def test_a_reload_in_the_middle_of_an_answer_loses_nothing(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "worksheet.png")
    # The page reloads itself, with what it shows at that moment noted: from here both would come later than a word.
    talk.page.evaluate(
        """() => {
          const look = () => {
            const seen = document.querySelector('article[data-answer] .markdown')?.innerText ?? ''
            if (!seen.includes('Q2')) return requestAnimationFrame(look)
            sessionStorage.setItem('seen', seen)
            location.reload()
          }
          look()
        }"""
    )
    talk.ask(MARK_ALL)
    talk.main.get_by_text("Interrupted").wait_for()
    kept = talk.answers.last.locator(".markdown").inner_text()
    seen = talk.page.evaluate("sessionStorage.getItem('seen')")
    assert "8题" not in seen and kept.startswith(seen.rstrip()), (seen, kept)
    talk.answers.last.get_by_role("button", name="Continue", exact=True).click()
    talk.answers.last.get_by_text("8题对5题").wait_for()


def test_on_a_wide_screen_pictures_question_and_answer_stand_side_by_side(open_page: OpenPage) -> None:
    talk = Talk(open_page("/", size=(1600, 900)))
    talk.attach(EXAMPLES / "receipt.png")
    talk.asks("list the amounts")
    regions = (talk.page.get_by_role("region", name=talk.word("pane")), talk.questions.last, talk.answers.last)
    pictures, question, answer = (region.bounding_box() for region in regions)
    assert pictures and question and answer
    assert pictures["x"] + pictures["width"] <= question["x"]
    assert question["x"] + question["width"] <= answer["x"] and question["y"] == answer["y"]


def test_a_thought_is_folded_and_timed(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.attach(EXAMPLES / "receipt.png")
    toggle = talk.composer.get_by_role("button", name="Thinking")
    if toggle.get_attribute("aria-pressed") != "true":
        toggle.click()
    assert talk.asks("What is the total?") == "22.58"
    fold = talk.answers.last.locator("details").first
    expect(fold.locator("summary")).to_have_text(re.compile(r"^\s*Thought for [\d.]+ m?s\s*$"))
    thought = fold.get_by_text("Total $22.58")
    assert not thought.is_visible()
    fold.locator("summary").click()
    thought.wait_for()


@in_both_languages
def test_questions_and_answers_have_branches(open_page: OpenPage, locale: str, size: tuple[int, int]) -> None:
    talk = Talk(open_page("/", locale=locale, size=size), chinese=locale == "zh-CN")
    talk.attach(EXAMPLES / "receipt.png")
    assert talk.asks("What is the total?") == "22.58"
    talk.answers.last.get_by_role("button", name=talk.word("again"), exact=True).click()
    talk.answers.last.get_by_text("2 / 2").wait_for()
    assert talk.answered(1) == "22.58"
    question = talk.questions.last
    question.get_by_role("button", name=talk.word("edit"), exact=True).click()
    talk.page.get_by_label(talk.word("edit-field"), exact=True).last.fill("list the amounts")
    talk.button("edit-send").click()
    talk.questions.last.get_by_text("2 / 2").wait_for()
    talk.main.get_by_text(AMOUNTS).first.wait_for()
    talk.questions.last.get_by_role("button", name=talk.word("previous")).click()
    talk.questions.last.get_by_text("What is the total?").wait_for()
    talk.answers.last.get_by_text("2 / 2").wait_for()
    talk.answers.last.get_by_role("button", name=talk.word("previous")).click()
    talk.answers.last.get_by_text("1 / 2").wait_for()
    talk.page.reload()
    talk.answers.last.get_by_text("1 / 2").wait_for()
    talk.questions.last.get_by_role("button", name=talk.word("next")).click()
    talk.main.get_by_text(AMOUNTS).first.wait_for()


def test_a_cut_answer_goes_on(open_page: OpenPage) -> None:
    talk = Talk(open_page("/"))
    talk.is_ready()
    set_settings(talk.page, "Sampling", Longest_answer="8")
    talk.attach(EXAMPLES / "receipt.png")
    cut = talk.asks("list the amounts")
    talk.answers.last.get_by_text("Cut off").wait_for()
    assert AMOUNTS.startswith(cut) and cut != AMOUNTS
    go_on = talk.answers.last.get_by_role("button", name="Continue", exact=True)
    text = talk.answers.last.locator(".markdown")
    while go_on.is_visible():  # eight tokens at a time, as it was asked
        before = text.inner_text()
        go_on.click()
        expect(text).not_to_have_text(before)
        talk.answered(1)
    assert text.inner_text().strip() == AMOUNTS
    assert talk.answers.count() == 1


MARKDOWN = r"""
# Result

| item | price |
|:--|--:|
| Rye bread | $4.20 |
| Milk | $2.75 |

```python
def total(prices: list[float]) -> float:
    return sum(prices)
```

Inline $a^2 + b^2$, also \(x_1\), and $$\frac{1}{2}$$ and \[\sum_i i\] but a price of $5 and $6 stays.

- [x] done
- [ ] open
"""


def test_markdown_code_and_formulas_are_drawn(open_page: OpenPage, tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    file.write_text(exported([conversation("Drawn", "show", MARKDOWN)]), encoding="utf-8")
    talk = Talk(open_page("/"))
    talk.is_ready()
    talk.import_file(file)
    talk.list.get_by_role("link", name="Drawn").click()
    answer = talk.answers.first
    answer.get_by_role("heading", name="Result").wait_for()
    assert answer.get_by_role("cell", name="$4.20", exact=True).is_visible()
    answer.locator(".katex").nth(3).wait_for()
    assert answer.locator(".katex").count() == 4
    assert answer.get_by_text("a price of $5 and $6 stays").is_visible()
    assert answer.locator("pre span[class^=hljs]").count() > 2
    may_copy(talk.page)
    answer.locator("pre").first.hover()
    answer.get_by_role("button", name="Copy", exact=True).first.click()
    assert "def total" in copied(talk.page)
