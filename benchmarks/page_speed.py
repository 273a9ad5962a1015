"""The page's weight and pace in this machine's Chromium: bytes of the first load, time until it can be used, a long
history scrolled, an answer of 200 tokens/s drawn.

    .venv/bin/python benchmarks/page_speed.py

The figures are those of a machine; what else it was doing meanwhile is told by `cpu_idle_share` beside each.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from common import ROOT, flashweb_command, free_port, machine, running, write_result

sys.path[:0] = [str(ROOT), str(ROOT / "web" / "tools")]

import built  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from tests.e2e.page.stories import Talk, conversation, exported, set_settings  # noqa: E402

MESSAGES = 500
STREAM_TOKENS = 1600  # eight seconds of it
STEP_MS = 5  # 200 tokens/s
STARTS = 5
SCROLLS = 3


def idle_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    return round((after[0] - before[0]) / max(1, after[1] - before[1]), 2)


def cpu_times() -> tuple[int, int]:
    """Idle and all, of all cores, since the machine was started."""
    numbers = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return numbers[3] + numbers[4], sum(numbers)


def weight() -> dict[str, Any]:
    return {"first_scripts_gzip_bytes": built.first_load(), "scripts": len(built.first_scripts())}


def opened(browser: Browser, url: str) -> Page:
    return browser.new_context(base_url=url, viewport={"width": 1280, "height": 900}).new_page()


def start_time(browser: Browser, url: str) -> dict[str, Any]:
    """From the navigation until a question can be typed; each time in a browser that has nothing kept."""
    before, seconds, painted = cpu_times(), [], []
    for _ in range(STARTS):
        page = opened(browser, url)
        began = time.perf_counter()
        page.goto("/", wait_until="commit")
        page.get_by_role("main").get_by_role("textbox").last.wait_for()
        seconds.append(time.perf_counter() - began)
        painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"))
        page.context.close()
    return {
        "usable_ms_median": round(1000 * median(seconds)),
        "first_paint_ms_median": round(median(painted)),
        "starts": STARTS,
        "cpu_idle_share": idle_share(before, cpu_times()),
    }


WATCH_LONG_TASKS = """
window.longTasks = []
new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((e) => e.duration)))
  .observe({ type: 'longtask', buffered: false })
"""


def scrolling(browser: Browser, url: str) -> dict[str, Any]:
    """A history of MESSAGES messages with tables, code, formulas and boxes, from its end to its beginning and back."""
    answer = (
        "| a | b |\\n|--|--|\\n| 1 | $4.20 |\\n\\n```python\\nprint('{at}')\\n```\\n\\nand $x^{at}$ at [10,20,300,400]."
    ).replace("\\n", "\n")
    texts = [f"Question {at}" if at % 2 == 0 else answer.replace("{at}", str(at)) for at in range(MESSAGES)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(exported([conversation("Long", *texts)]))
        file.flush()
        page = opened(browser, url)
        page.goto("/")
        talk = Talk(page)
        talk.is_ready()
        talk.import_file(Path(file.name))
        talk.list.get_by_role("link", name="Long").wait_for()  # the file is read meanwhile
    began = time.perf_counter()
    talk.list.get_by_role("link", name="Long").click()
    page.get_by_text(f"Question {MESSAGES - 2}", exact=True).first.wait_for()
    open_ms = 1000 * (time.perf_counter() - began)
    page.wait_for_timeout(1000)
    before = cpu_times()
    page.evaluate(WATCH_LONG_TASKS)
    page.get_by_role("region", name="Conversation", exact=True).hover()
    for direction in (-1, 1):
        for _ in range(120):
            page.mouse.wheel(0, direction * 800)
            page.wait_for_timeout(16)
    page.wait_for_timeout(500)
    tasks = page.evaluate("longTasks")
    page.context.close()
    return {
        "messages": MESSAGES,
        "open_ms": round(open_ms),
        "long_tasks": len(tasks),
        "longest_task_ms": round(max(tasks, default=0)),
        "cpu_idle_share": idle_share(before, cpu_times()),
    }


def streaming(browser: Browser, url: str) -> dict[str, Any]:
    """How much of the main thread an answer takes while it comes at 200 tokens/s."""
    page = opened(browser, url)
    page.goto("/")
    talk = Talk(page)
    talk.is_ready()
    set_settings(page, "Sampling", Longest_answer=str(STREAM_TOKENS))
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def busy_seconds() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    page.evaluate(WATCH_LONG_TASKS)
    talk.ask("go on " * 400)
    text = talk.answers.last.locator(".markdown")
    text.wait_for()
    before, busy, began, length = cpu_times(), busy_seconds(), time.perf_counter(), len(text.inner_text())
    page.wait_for_timeout(2000)
    seconds, busy = time.perf_counter() - began, busy_seconds() - busy
    grown = len(text.inner_text()) - length
    tasks = page.evaluate("longTasks")
    result = {
        "seconds": round(seconds, 2),
        "characters_per_second": round(grown / seconds),
        "busy_share": round(busy / seconds, 3),
        "longest_task_ms": round(max(tasks, default=0)),
        "cpu_idle_share": idle_share(before, cpu_times()),
    }
    talk.button("stop").click(timeout=2000) if talk.button("stop").is_visible() else None
    page.context.close()
    return result


def main() -> int:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        print("no Chromium on this machine")
        return 1
    found: dict[str, Any] = {"machine": machine()}
    log = Path(tempfile.gettempdir()) / f"page-speed-{os.getpid()}.log"
    port, stub = free_port(), free_port()
    url, stub_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{stub}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        found["browser"] = browser.version
        with running(flashweb_command(port, "--engine", "echo"), url, log):
            found["weight"] = weight()
            found["start"] = start_time(browser, url)
            found["scroll"] = [scrolling(browser, url) for _ in range(SCROLLS)]
        os.environ["STUB_STEP_MS"] = str(STEP_MS)
        command = [sys.executable, str(ROOT / "benchmarks" / "stub_server.py"), "--port", str(stub), "--ui-port", "0"]
        with running(command, stub_url, log, health="/health/ready"):
            found["stream"] = streaming(browser, stub_url)
        browser.close()
    found["bounds"] = {
        "first_scripts_gzip_bytes": built.MAX_FIRST_SCRIPT_BYTES,
        "longest_scroll_task_ms": 100,
        "stream_busy_share": 0.5,
    }
    write_result("page_speed", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
