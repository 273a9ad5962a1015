"""The page as a person who uses it has it: a conversation, its files, menus and dialogs, in English and in Chinese.

Everything is found by role and by name. Names that a story in both languages needs are said once here, so that it reads
the same in both.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Download, Locator, Page

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
ANSWERS_IN = 60_000  # ms; the whole test run may share two cores
AMOUNTS = "4.20, 2.75, 6.90, 3.48, 5.25, 22.58, 30.00, 7.42"  # of examples/receipt.png
LOST = "Nothing can be asked now: the server cannot be reached."
MARK_ALL = "请逐题检查解题过程,标出所有计算错误、公式误用或逻辑漏洞,并用红色标注原文位置。"

# What is on the page, in English and in Chinese.
NAMES = {
    "composer": ("Your question", "你的问题"),
    "question": ("Question", "问题"),
    "answer": ("Answer", "回答"),
    "asked": ("Your question", "你的问题"),
    "send": ("Send", "发送"),
    "stop": ("Stop the answer", "停止回答"),
    "figures": ("Figures of this answer", "本次回答的数据"),
    "again": ("Answer again", "重新回答"),
    "edit": ("Edit question", "修改问题"),
    "edit-field": ("Change the question", "修改问题"),
    "edit-send": ("Send as new branch", "作为新分支发送"),
    "previous": ("Previous branch", "上一个分支"),
    "next": ("Next branch", "下一个分支"),
    "more": ("More", "更多"),
    "code": ("View as code", "查看代码"),
    "clear": ("Clear conversation", "清空对话"),
    "undo": ("Undo", "撤销"),
    "show-list": ("Show conversations", "显示对话列表"),
    "list": ("Conversations", "对话列表"),
    "rename": ("Rename", "重命名"),
    "new-title": ("New title", "新标题"),
    "delete": ("Delete", "删除"),
    "new": ("New conversation", "新对话"),
    "markdown": ("Export as Markdown", "导出为 Markdown"),
    "json": ("Export as JSON (with pictures)", "导出为 JSON（含图片）"),
    "html": ("Export as web page (with pictures)", "导出为网页（含图片）"),
    "add": ("Add a picture, a document or a clip", "添加图片、文档或短视频"),
    "camera": ("Take a photo", "拍照"),
    "link": ("Link to a picture", "图片链接"),
    "link-field": ("Address of a picture, a PDF or a clip", "图片、PDF 或视频的地址"),
    "link-add": ("Add the link", "添加链接"),
    "files": ("Attached files", "已添加的文件"),
    "password": ("Password of the PDF", "PDF 的密码"),
    "settings": ("Settings", "设置"),
    "boxes": ("Boxes", "方框"),
    "pane": ("Pictures and boxes", "图片与方框"),
    "zoom-in": ("Zoom in", "放大"),
    "fit": ("Show the whole picture", "显示全图"),
    "save-boxes": ("Save or copy", "保存或复制"),
    "boxes-png": ("Picture with boxes (PNG)", "带方框的图片（PNG）"),
    "boxes-json": ("Boxes (JSON)", "方框（JSON）"),
    "sample": ("Try the sample", "用示例试试"),
    "question-of-both": ("Question for both", "两侧共用的问题"),
    "question-of-one": ("Own question", "单独的问题"),
    "one-difference": ("one difference", "1 处不同"),
    "ask-both": ("Ask both", "同时提问"),
    "left": ("Left", "左侧"),
    "right": ("Right", "右侧"),
    "difference": ("Difference", "差异"),
    "picture-size": ("Picture size", "图片尺寸"),
    "picture-tokens": ("Picture tokens", "图片词元"),
    "save-comparison": ("Save this comparison", "保存本次比较"),
    "save-json": ("Save as JSON", "保存为 JSON"),
    "begin-with": ("Begin with", "从模板开始"),
    "read": ("Read the picture", "读取图片"),
    "valid": ("Valid", "有效"),
    "fits": ("Fits the schema", "符合 Schema"),
    "copy": ("Copy", "复制"),
    "copy-csv": ("Copy as CSV", "复制为 CSV"),
    "copied": ("Copied", "已复制"),
}


@dataclass
class Part:
    """A part of the page in one of its languages."""

    page: Page
    chinese: bool = False

    def word(self, name: str) -> str:
        return NAMES[name][self.chinese]

    @property
    def main(self) -> Locator:
        return self.page.get_by_role("main")

    def is_ready(self) -> None:
        """Drawn, and nothing failed in drawing it."""
        # Not wait_for_function: it evaluates text, which the page's policy forbids to everybody.
        self.main.filter(has_text=re.compile(r"\S")).wait_for()
        assert not self.page.get_by_text("This part of the page has failed").is_visible()

    def go_to(self, name: str) -> None:
        """Another page, by the link to it. English only."""
        self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=self.word(name), exact=True)

    def pick(self, *files: Path) -> None:
        """Files by the picker of a page that is about pictures; they are there when this returns."""
        self.main.locator("input[type=file][multiple]").first.set_input_files(files)
        tiles = self.main.get_by_role("list", name=self.word("files")).get_by_role("listitem")
        tiles.filter(has=self.page.get_by_role("button")).nth(len(files) - 1).wait_for()

    def try_sample(self) -> Locator:
        """Of a scene; the whole answer to it."""
        self.button("sample").click()
        detail = self.page.locator("article.detail[aria-busy=false]")
        detail.get_by_text(re.compile("^(Request|请求)")).first.wait_for(timeout=ANSWERS_IN)
        return detail

    def choose(self, menu: Locator, item: str) -> None:
        menu.click()
        self.page.get_by_role("menuitem", name=self.word(item), exact=True).click()

    def saves(self, button: Locator, item: str = "") -> Download:
        """What a button gives as a file, or an item of its menu."""
        with self.page.expect_download() as caught:
            if item:
                self.choose(button, item)
            else:
                button.click()
        return caught.value


class Talk(Part):
    """A conversation: what is asked, what is answered, and what is done at both."""

    @property
    def composer(self) -> Locator:
        return self.page.get_by_role("region", name=self.word("composer"), exact=True)

    @property
    def question(self) -> Locator:
        return self.composer.get_by_role("textbox", name=self.word("question"), exact=True)

    @property
    def tiles(self) -> Locator:
        return self.composer.get_by_role("list", name=self.word("files")).get_by_role("listitem")

    @property
    def answers(self) -> Locator:
        return self.page.get_by_role("article", name=self.word("answer"), exact=True)

    @property
    def questions(self) -> Locator:
        return self.page.get_by_role("article", name=self.word("asked"), exact=True)

    @property
    def list(self) -> Locator:
        return self.page.get_by_role("navigation", name=self.word("list"))

    @property
    def titles(self) -> Sequence[str]:
        return [row.inner_text().strip() for row in self.list.get_by_role("link").all()]

    def is_ready(self) -> None:
        super().is_ready()
        self.question.wait_for()

    # -- files --------------------------------------------------------------------------------------------------------

    def attach(self, *files: Path) -> None:
        """Picks them; they are there when this returns."""
        self.is_ready()
        before = self.tiles.count()
        self.composer.locator("input[type=file][multiple]").set_input_files(files)
        self.has_tiles(before + len(files))

    def drop(self, *files: Path) -> None:
        self.is_ready()
        data = data_transfer(self.page, files)
        for kind in ("dragenter", "dragover", "drop"):
            self.question.dispatch_event(kind, {"dataTransfer": data})

    def paste(self, *files: Path) -> None:
        self.is_ready()
        data = data_transfer(self.page, files)
        self.question.evaluate(
            "(field, data) => field.dispatchEvent("
            "new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))",
            data,
        )

    def has_tiles(self, count: int) -> None:
        self.tiles.filter(has=self.page.get_by_role("button")).nth(count - 1).wait_for()
        assert self.tiles.count() == count

    def tile_names(self) -> Sequence[str]:
        return [tile.locator(".name").inner_text() for tile in self.tiles.all()]

    # -- asking -------------------------------------------------------------------------------------------------------

    def ask(self, words: str) -> None:
        """Sends, and does not wait."""
        self.question.fill(words)
        self.button("send").click()

    def asks(self, words: str) -> str:
        """Sends, and waits for the whole answer; its text."""
        before = self.answers.count()
        self.ask(words)
        return self.answered(before + 1)

    def answered(self, count: int) -> str:
        """The text of the answer number `count` (from 1), once it is whole."""
        answer = self.answers.nth(count - 1)
        answer.get_by_label(self.word("figures")).wait_for(timeout=ANSWERS_IN)
        return answer.locator(".markdown").inner_text().strip()

    def figures(self, number: int = -1) -> str:
        answer = self.answers.last if number < 0 else self.answers.nth(number)
        return answer.get_by_label(self.word("figures")).inner_text()

    def view_code(self) -> Locator:
        """The dialog with the last question as code."""
        self.choose(self.answers.last.get_by_role("button", name=self.word("more"), exact=True), "code")
        return self.page.get_by_role("dialog")

    # -- the list -----------------------------------------------------------------------------------------------------

    def open_list(self) -> None:
        if not self.list.is_visible():
            self.button("show-list").click()
        self.list.wait_for()

    def actions_of(self, title: str) -> Locator:
        pattern = re.compile(rf"{re.escape(title)}.*(的操作|”$)")
        return self.list.get_by_role("button", name=pattern)

    def import_file(self, path: Path) -> None:
        self.open_list()
        self.list.locator("input[type=file]").set_input_files(path)


def data_transfer(page: Page, files: Sequence[Path]) -> Any:
    """The browser's own carrier of dropped and pasted files."""
    payload = [
        {
            "name": file.name,
            "type": mimetypes.guess_type(file.name)[0] or "",
            "base64": base64.b64encode(file.read_bytes()).decode(),
        }
        for file in files
    ]
    return page.evaluate_handle(
        """(files) => {
          const data = new DataTransfer()
          for (const { name, type, base64 } of files) {
            const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
            data.items.add(new File([bytes], name, { type }))
          }
          return data
        }""",
        payload,
    )


def set_settings(page: Page, tab: str, **fields: str) -> None:
    """Opens the settings, fills fields of a tab by their labels, closes them. English only."""
    page.get_by_role("button", name="Settings", exact=True).click()
    dialog = page.get_by_role("dialog", name="Settings")
    dialog.get_by_role("tab", name=tab).click()
    for label, value in fields.items():
        dialog.get_by_label(label.replace("_", " "), exact=True).fill(value)
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")


def exported(conversations: list[dict[str, Any]], files: dict[str, Any] | None = None) -> str:
    """The text of a file that the page can import."""
    body = {"format": "flashweb-conversations", "version": 1, "exportedAt": "2026-01-01T00:00:00Z"}
    return json.dumps(body | {"conversations": conversations, "files": files or {}}, ensure_ascii=False)


def conversation(title: str, *texts: str, attachments: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Question, answer, question, ... in one line; `attachments` belong to the first."""
    messages = [
        {
            "id": f"m{at}",
            "parentId": f"m{at - 1}" if at else None,
            "role": "assistant" if at % 2 else "user",
            "text": text,
            "attachments": attachments or [] if at == 0 else [],
            "createdAt": 1_700_000_000_000 + at,
        }
        for at, text in enumerate(texts)
    ]
    return {
        "id": "c",
        "title": title,
        "titleIsOwn": True,
        "systemPrompt": "",
        "leafId": messages[-1]["id"],
        "createdAt": 1_700_000_000_000,
        "updatedAt": 1_700_000_000_000,
        "messages": messages,
    }


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def violations(page: Page) -> list[str]:
    """What axe finds serious or critical, each with the elements it means."""
    if not AXE.is_file():
        pytest.skip("axe-core is not there: npm ci in web/")
    # Through the debugger's protocol: the page's policy would refuse a script element with this text.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        """async () => {
          const { violations } = await axe.run(document, { resultTypes: ['violations'] })
          return violations
            .filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(({ id, impact, nodes }) =>
              `${id} (${impact}): ${nodes.slice(0, 4).map(({ target, failureSummary }) =>
                `${target.join(' ')} [${failureSummary.replace(/\\s+/g, ' ').slice(0, 200)}]`).join(' | ')}`)
        }"""
    )
    return [str(one) for one in found]


def copied(page: Page) -> str:
    """What a copy button put into the clipboard; `may_copy` came before."""
    return str(page.evaluate("navigator.clipboard.readText()"))


def may_copy(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])


def settle(page: Page) -> None:
    """Until what goes off by itself has gone off: pictures have loaded or failed, and two frames were drawn."""
    page.evaluate(
        """async () => {
          const pictures = [...document.images].filter((image) => image.loading !== 'lazy')
          await Promise.all(pictures.map((image) => image.decode().catch(() => undefined)))
          for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame)
        }"""
    )


def stored(page: Page) -> str:
    """All that this browser keeps for the page: its databases, without the bytes of files, and both storages."""
    return str(
        page.evaluate(
            """async () => {
              const answer = (request) => new Promise((done, fail) => {
                request.onsuccess = () => done(request.result)
                request.onerror = () => fail(request.error)
              })
              const kept = [{ ...localStorage }, { ...sessionStorage }]
              for (const { name } of await indexedDB.databases()) {
                const database = await answer(indexedDB.open(name))
                for (const store of database.objectStoreNames)
                  kept.push(await answer(database.transaction(store).objectStore(store).getAll()))
                database.close()
              }
              return JSON.stringify(kept)
            }"""
        )
    )


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
