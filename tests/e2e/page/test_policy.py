"""The page under its own policy: formulas, code, pictures and dialogs are drawn without an inline style or a byte from
elsewhere. `open_page` fails on whatever the browser refused."""

from __future__ import annotations

import re

import pytest

from tests.e2e.page.conftest import PHONE, WIDE, OpenPage
from tests.e2e.page.stories import Part, Talk

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.slow  # `make test` opens every page under the policy as well, in test_smoke.py

# The echo engine says it back.
ANSWER = r"""
Sum $$\frac{a}{\sqrt{b}} + \sum_{i=1}^n x_i$$ and \(y^2\)

| left | right |
|:--|--:|
| 1 | 2 |

```python
def answer() -> str:
    return "code"
```

The total is at [100,200,300,400].

<b style="color: red" onclick="alert(1)">bold</b> <img src="https://elsewhere.example/a.png" onerror="alert(1)">
<style>body { display: none }</style><script>document.title = "taken"</script>
![a picture](https://elsewhere.example/b.png) [a link](javascript:alert(1))
"""


def test_an_answer_with_everything_in_it_is_drawn_and_loads_nothing(open_page: OpenPage, echo_server: str) -> None:
    page = open_page("/", server=echo_server)
    talk = Talk(page)
    talk.is_ready()
    talk.asks(ANSWER)
    main = talk.main
    main.locator(".katex").first.wait_for()
    main.get_by_role("cell", name="2", exact=True).wait_for()
    main.get_by_role("button").filter(has_text="[100,200,300,400]").first.wait_for()
    assert main.locator("pre span[class^=hljs]").count() > 0
    assert (
        main.locator("img[src^=http]").count() == main.locator("[onclick], [onerror], a[href^=javascript]").count() == 0
    )
    assert page.title() != "taken" and main.is_visible()
    bar = main.locator(".katex .frac-line, .katex .sqrt").first
    assert bar.bounding_box(), "a formula without its heights is a heap of letters"


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_what_the_header_opens_is_drawn_under_the_policy(open_page: OpenPage, size: tuple[int, int]) -> None:
    part = Part(open_page("/", size=size))
    part.is_ready()
    header = part.page.get_by_role("banner")
    for button, title in (("Keyboard shortcuts", "Keyboard"), ("Settings", "Settings")):
        header.get_by_role("button", name=button, exact=True).click()
        dialog = part.page.get_by_role("dialog", name=title)
        dialog.wait_for()
        for tab in dialog.get_by_role("tab").all():
            tab.click()
            expect(dialog.get_by_role("tabpanel", name=tab.inner_text())).to_contain_text(re.compile(r"\w"))
        part.page.keyboard.press("Escape")
        dialog.wait_for(state="hidden")
    header.get_by_role("button", name="Dark appearance").click()
    expect(part.page.locator("html")).to_have_attribute("data-theme", "dark")
    header.get_by_role("button", name="切换到中文").click()
    expect(part.page.locator("html")).to_have_attribute("lang", re.compile("^zh"))


def test_a_scenes_sample_is_read(open_page: OpenPage) -> None:
    part = Part(open_page("/scenes/receipt"))
    part.try_sample().get_by_text("22.58").first.wait_for()
