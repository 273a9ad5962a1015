"""The page under its own policy: formulas, code, pictures and dialogs are drawn without an inline style or a byte from
elsewhere. `open_page` fails on whatever the browser refused."""

from __future__ import annotations

import pytest

from tests.e2e.page.conftest import PHONE, WIDE, OpenPage
from tests.e2e.page.screens import Chat, Shell

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
    chat = Chat(page)
    chat.ask(ANSWER)
    main = page.get_by_role("main")
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
    shell = Shell(open_page("/", size=size))
    shell.is_ready()
    assert shell.open_each() >= 3


def test_a_scenes_sample_is_read(open_page: OpenPage) -> None:
    page = open_page("/scenes/receipt")
    page.get_by_role("button", name="Try the sample").click()
    page.get_by_role("main").get_by_text("22.58").first.wait_for()
