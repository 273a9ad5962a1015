"""Every request that docs/api.md and docs/scenes.md show is sent, and every piece of an answer is one.

Blocks of ```sh, ```python and ```json go to a server with the bundled model; the short ones inside the text, to the app
in this process with the echo engine.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from typing import Any

import httpx
import jsonschema
import pytest

from flashweb.api.schemas.chat import ChatRequest
from flashweb.api.schemas.chat_answers import AssistantMessage, TimingsOut
from tests.house import data_url, open_house, png
from tests.test_docs import DOCUMENTED_URL, ROOT

OTHER_CLIENTS = {"langchain_openai", "litellm", "instructor"}
DOCUMENTS = ("docs/api.md", "docs/scenes.md")
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
NAMED = {"type": "function", "function": {"name": "f"}}
PICTURE = {"type": "image_url", "image_url": {"url": data_url(png())}, "uuid": "one"}


def said(content: Any, role: str = "user", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def chosen(choice: Any) -> dict[str, Any]:
    return {"tools": [TOOL], "tool_choice": choice}


# What is short for a request: its text in the document -> the request's fields it stands for.
SHORT: dict[str, dict[str, Any]] = {
    '{"type": "text", "text": ...}': {"messages": [said([{"type": "text", "text": "hi"}])]},
    '{"type": "image_url", "image_url": URL or {"url": URL}}': {
        "messages": [said([{"type": "image_url", "image_url": data_url(png())}, {**PICTURE, "uuid": "two"}])]
    },
    '{"type": "image_url", "image_url": null, "uuid": ...}': {
        "messages": [said([PICTURE]), said([{"type": "image_url", "image_url": None, "uuid": "one"}])]
    },
    'mm_processor_kwargs: {"max_pixels": ...}': {"mm_processor_kwargs": {"max_pixels": 200704}},
    'detail: "low"': {"messages": [said([{**PICTURE, "detail": "low"}])]},
    "content: null": {"messages": [said("hi"), said(None, "assistant"), said("hi")]},
    "continue_final_message: true": {
        "messages": [said("hi"), said("It is", "assistant")], "continue_final_message": True,
    },
    'response_format: {"type": "json_schema", "json_schema": {"name": ..., "schema": {...}}}': {
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    },
    '"auto"': chosen("auto"),
    '"none"': chosen("none"),
    '"required"': chosen("required"),
    '{"type": "function", "function": {"name": ...}}': chosen(NAMED),
    '{"type": "allowed_tools", "allowed_tools": {"mode": "auto" or "required", "tools": [...]}}': chosen(
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}
    ),
    '{"role": "tool", "tool_call_id": ..., "content": ...}': {
        "messages": [
            said("hi"),
            said(None, "assistant", tool_calls=[{"id": "a", "type": "function", "function": {"name": "f"}}]),
            said("7", "tool", tool_call_id="a"),
        ]
    },
}  # fmt: skip
# Of answers, of other endpoints, or of uploaded files, whose own tests have them.
NO_CHATS = {
    '{"type": "input_image", "file_id": ...}',
    '{"type": "image_file", "image_file": {"file_id": ...}}',
    '{"type": "image", "source": {"type": "file", "file_id": ...}}',
    '{"input_tokens": ...}',
    '{"count", "max_model_len", "tokens", "token_strs"}',
    '{"prompt": text}',
    'service_tier: "default"',
    'finish_reason: "function_call"',
    "raw: true",
    '{"url": ...}',
    '{"result", "code", "cost_time"}',
    '{"id", "model", "text", "finish_reason", "usage", "timings_ms"}',
    '{"result": text, "code": 0, "cost_time": seconds}',
    '{"code": status, "msg": text}',
    '{"error": {...}}',
    '{"error": {"message", "type", "param", "code"}}',
}


@cache
def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(document), re.MULTILINE | re.DOTALL)


def short_ones() -> list[str]:
    """Every piece of code inside the text that looks like a part of a request."""
    text = re.sub(r"^```.*?^```", "", text_of("docs/api.md"), flags=re.MULTILINE | re.DOTALL)
    fields = "|".join(ChatRequest.model_fields)
    found = re.findall(rf"`((?:{fields}|content|detail|raw|finish_reason): [^`\n]+|{{\"[^`\n]+)`", text)
    return list(dict.fromkeys(found))


def fields_of(short: str) -> dict[str, Any] | None:
    if short in SHORT:
        return SHORT[short]
    name, _, value = short.partition(": ")
    try:
        return {name: json.loads(value)}
    except ValueError:
        return None


def test_every_kind_of_block_is_of_a_language_that_is_run() -> None:
    for document in DOCUMENTS:
        languages = set(re.findall(r"^```(\w+)$", text_of(document), re.MULTILINE))
        # `text` is what a document becomes in a prompt; tests/api/test_documents.py has it.
        assert languages <= {"sh", "python", "json", "toml", "text"}, f"{document}: nobody runs {languages}"


def test_every_short_request_of_the_document_is_known_here() -> None:
    unknown = [short for short in short_ones() if short not in NO_CHATS and fields_of(short) is None]
    assert not unknown, "docs/api.md has examples that nobody runs; say in SHORT which request they stand for"
    gone = [short for short in SHORT if f"`{short}`" not in text_of("docs/api.md")]
    assert not gone, "these no longer stand in docs/api.md"


async def test_every_short_request_is_answered_without_a_warning() -> None:
    wrong = {}
    async with open_house() as house:
        for short in {**dict.fromkeys(short_ones()), **SHORT}:
            fields = fields_of(short)
            if short in NO_CHATS or fields is None:
                continue
            answer = await house.post({"messages": [said("hi")], "max_tokens": 200, **fields})
            if answer.status_code != 200 or "x-flashweb-warning" in answer.headers:
                wrong[short] = answer.text
    assert not wrong


@pytest.mark.parametrize(
    "line", [line for name in DOCUMENTS for block in blocks(name, "sh") for line in block.splitlines()]
)
def test_every_curl_example_gets_an_answer(line: str, nano: str) -> None:
    assert line.startswith("curl "), f"this test does not know how to run {line!r}"
    if not shutil.which("curl"):
        pytest.skip("no curl on this machine")
    command = line.replace(DOCUMENTED_URL, nano).replace("curl ", "curl --fail -sS ", 1)
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("22.58" if "receipt" in line else '"tokens"') in done.stdout, "the total of the receipt, or a count"


@pytest.mark.parametrize("text", blocks("docs/api.md", "json"))
def test_every_json_example_is_a_request_that_is_answered_or_a_piece_of_an_answer(text: str, nano: str) -> None:
    body = json.loads(text)
    if "boxes" in body:
        AssistantMessage.model_validate({"role": "assistant", "content": "", **body})
    elif "prefill" in body:
        assert body.keys() == TimingsOut.model_validate(body).model_dump().keys()
    else:
        path = "/v1/completions" if "prompt" in body else "/v1/chat/completions"
        answer = httpx.post(nano + path, json={"max_tokens": 200, **body}, timeout=60)
        assert answer.status_code == 200 and "x-flashweb-warning" not in answer.headers, answer.text
        if "response_format" in body:
            content = json.loads(answer.json()["choices"][0]["message"]["content"])
            jsonschema.validate(content, body["response_format"]["json_schema"]["schema"])


def samples(package: str) -> list[str]:
    """The blocks of Python that show this client: `openai` has those that import no other."""
    found = []
    for code in blocks("docs/api.md", "python"):
        others = set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)) & OTHER_CLIENTS
        if package in (others or {"openai"}):
            found.append(code)
    return found


def run_sample(code: str, python: str, url: str) -> None:
    done = subprocess.run(
        [python, "-c", code.replace(DOCUMENTED_URL, url)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "the sample printed nothing"


@pytest.mark.parametrize("code", samples("openai"))
def test_every_python_example_of_the_official_client_runs(code: str, nano: str) -> None:
    """Those of other clients run in the environments of these: `test_clients.py`."""
    run_sample(code, sys.executable, nano)


def test_every_python_example_is_of_a_client_that_is_run() -> None:
    run = [code for package in ("openai", *OTHER_CLIENTS) for code in samples(package)]
    assert sorted(run) == sorted(blocks("docs/api.md", "python"))
