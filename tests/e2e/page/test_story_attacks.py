"""Stories of people who mean harm: what they put into answers, titles, names, addresses and scenes stays text.

A canary (`window.harmed`) is what every attack tries to set. Requests to other hosts, refusals by the policy and errors
fail each test by themselves (conftest.py).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import serving
from tests.e2e.page.conftest import OpenPage, Watch
from tests.e2e.page.stories import EXAMPLES, Part, Talk, conversation, exported, settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

HARM = "window.harmed=1"
ATTACKS = [
    f"<script>{HARM}</script>",
    f"<img src=x onerror={HARM}>",
    f"<svg onload={HARM}>",
    f"<svg><animate onbegin={HARM} attributeName=x dur=1s>",
    f'<iframe srcdoc="<script>parent.{HARM}</script>"></iframe>',
    f'<iframe src="javascript:parent.{HARM}"></iframe>',
    f'<a href="javascript:{HARM}">click</a>',
    f"<details open ontoggle={HARM}>x</details>",
    f"<input autofocus onfocus={HARM}>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={HARM}></style></mglyph></table></mtext></math>",
    f'<noscript><p title="</noscript><img src=x onerror={HARM}>">',
    "<style>body{display:none}</style><link rel=stylesheet href=https://elsewhere.example/x.css>",
    '<div style="background:url(https://elsewhere.example/x)">x</div>',
    '<base href="https://elsewhere.example/"><meta http-equiv=refresh content="0;url=https://elsewhere.example">',
    "<img src=https://elsewhere.example/pixel.gif srcset='https://elsewhere.example/2 2x'>",
    "![x](https://elsewhere.example/pixel.gif)",
    f"![x](data:image/svg+xml,<svg/onload={HARM}>)",
    f"[click](javascript:{HARM})",
    f"[click](java&#10;script:{HARM})",
    f"[click](data:text/html,<script>opener.{HARM}</script>)",
    f'[click](https://elsewhere.example/"onmouseover="{HARM})',
    f'```html" onclick="{HARM}\n<b>x</b>\n```',
    f"```<script>{HARM}</script>\nx\n```",
    f"$\\href{{javascript:{HARM}}}{{x}}$",
    f"$\\text{{<img src=x onerror={HARM}>}}$",
    "$\\includegraphics{https://elsewhere.example/x.png}$",
    f"| <img src=x onerror={HARM}> |\n|---|\n| <svg onload={HARM}> |",
    f'[1,20,30,40]"><img src=x onerror={HARM}>',
    f'{{"bbox_2d": [1, 20, 300, 400], "label": "<img src=x onerror={HARM}>"}}',
]
NAME = f'"><img src=x onerror={HARM}>'


def is_unharmed(page: Page) -> None:
    settle(page)
    assert page.evaluate("window.harmed") is None
    assert page.evaluate("document.baseURI").startswith(page.evaluate("location.origin"))
    main = page.get_by_role("main")
    assert main.locator("script, iframe, object, embed, base, link, meta, form[action]").count() == 0
    assert main.locator("img[src^=http]:not([src*='127.0.0.1'])").count() == 0
    assert (
        main.locator("[onclick], [onerror], [onload], [onfocus], [onmouseover], a[href^='javascript' i]").count() == 0
    )


def test_nothing_in_an_answer_comes_alive(open_page: OpenPage, tmp_path: Path) -> None:
    picture = {"file": "f0", "id": "p", "kind": "image", "name": NAME, "width": 10, "height": 10}
    data = base64.b64encode((EXAMPLES / "receipt.png").read_bytes()).decode()
    talks = [
        conversation(f"<img src=x onerror={HARM}>", NAME, "\n\n".join(ATTACKS), attachments=[picture]),
        conversation(ATTACKS[0], *[text for attack in ATTACKS for text in (attack, attack)]),
    ]
    file = tmp_path / "harm.json"
    file.write_text(exported(talks, {"f0": {"type": "image/png", "base64": data}}), encoding="utf-8")
    talk = Talk(open_page("/"))
    talk.is_ready()
    talk.import_file(file)
    for title in (talks[0]["title"], talks[1]["title"]):
        talk.list.get_by_role("link", name=title).click()
        talk.answers.first.wait_for()
        for answer in talk.answers.all():
            answer.scroll_into_view_if_needed()
        for link in talk.main.get_by_role("link", name="click").all():
            href = link.get_attribute("href")
            assert href and href.startswith("https://"), href
        is_unharmed(talk.page)


def test_a_picture_kind_that_is_a_script_is_none(open_page: OpenPage, tmp_path: Path) -> None:
    svg = base64.b64encode(f"<svg xmlns='http://www.w3.org/2000/svg' onload='{HARM}'/>".encode()).decode()
    picture = {"file": "f0", "id": "p", "kind": "image", "name": "a.svg"}
    page_file = {"file": "f1", "id": "q", "kind": "pdf", "name": "a.html"}
    files = {
        "f0": {"type": "image/svg+xml", "base64": svg},
        "f1": {"type": "text/html", "base64": base64.b64encode(f"<script>{HARM}</script>".encode()).decode()},
    }
    file = tmp_path / "harm.json"
    talks = [conversation("Files", "look", "seen", attachments=[picture, page_file])]
    file.write_text(exported(talks, files), encoding="utf-8")
    talk = Talk(open_page("/"))
    talk.is_ready()
    talk.import_file(file)
    talk.list.get_by_role("link", name="Files").click()
    talk.answers.first.wait_for()
    is_unharmed(talk.page)


def test_names_of_files_and_links_are_text(open_page: OpenPage, tmp_path: Path) -> None:
    file = tmp_path / f"<img src=x onerror={HARM}>.png"
    file.write_bytes((EXAMPLES / "receipt.png").read_bytes())
    talk = Talk(open_page("/"))
    talk.attach(file)
    assert talk.tile_names() == [file.name]
    talk.choose(talk.button("add"), "link")
    talk.page.get_by_label(talk.word("link-field")).fill(f"https://elsewhere.example/{NAME}")
    talk.button("link-add").click()
    talk.has_tiles(2)
    is_unharmed(talk.page)
    talk.tiles.nth(1).get_by_role("button", name="Remove").click()
    assert talk.asks("list the amounts").startswith("4.20")
    talk.view_code().locator("pre").first.wait_for()
    is_unharmed(talk.page)


@pytest.mark.parametrize(
    "path",
    [
        "/chat/%3Cimg%20src=x%20onerror=window.harmed=1%3E",
        "/scenes/%3Csvg%20onload=window.harmed=1%3E",
        "/%22%3E%3Cscript%3Ewindow.harmed=1%3C/script%3E",
    ],
)
def test_addresses_are_text(open_page: OpenPage, path: str, watch: Watch) -> None:
    watch.allow("status of 404")
    page = open_page(path)
    page.wait_for_load_state("networkidle")
    settle(page)
    assert page.evaluate("window.harmed") is None


@pytest.fixture(scope="module")
def own_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scene whose every word is an attack, in front of an engine that says the question back."""
    folder = tmp_path_factory.mktemp("scenes")
    (folder / "harm.toml").write_text(
        f"""
answer = "text"
title = {{ en = '{NAME}', zh = '{NAME}' }}
description = {{ en = '<svg onload={HARM}>', zh = '<svg onload={HARM}>' }}
prompt = {{ en = '<img src=x onerror={HARM}>', zh = '<img src=x onerror={HARM}>' }}
""",
        encoding="utf-8",
    )
    with serving("--engine", "echo", "--scenes-dir", str(folder)) as url:
        yield url


def test_a_scene_of_someone_else_is_text(open_page: OpenPage, own_scene: str) -> None:
    page = open_page("/scenes", server=own_scene)
    Part(page).is_ready()
    page.get_by_role("link", name=NAME).click()
    page.get_by_role("heading", name=NAME).wait_for()
    page.get_by_label("Choose files").and_(page.locator("input")).set_input_files(EXAMPLES / "receipt.png")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator("article.detail").get_by_text("<img src=x").first.wait_for()
    is_unharmed(page)


def test_an_answer_of_a_model_that_was_told_to_attack_stays_text(open_page: OpenPage, own_scene: str) -> None:
    """Through the stream, token by token: half a tag is text too."""
    talk = Talk(open_page("/", server=own_scene))
    talk.is_ready()
    talk.asks("\n\n".join(ATTACKS[:21]))
    is_unharmed(talk.page)
