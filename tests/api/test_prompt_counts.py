"""What a prompt with pictures and documents costs, told beforehand: the number that its answer will report."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tests import pdfs
from tests.house import House, ScriptedEngine, data_url, open_house, png
from tests.jobs.test_api import upload

PDF, LETTER = pdfs.numbered(3), "Sehr geehrte Damen,\n合同 #4711 ".encode()
WIDE, TALL = png(640, 360, 9), png(90, 500, 200)
# A prompt's parts: text, a picture's or document's bytes, and fields of the document's part.
PROMPTS: dict[str, list[tuple[str | bytes, dict[str, Any]]]] = {
    "a picture": [(WIDE, {}), ("What is it?", {})],
    "pictures between words": [("first", {}), (WIDE, {}), ("then", {}), (TALL, {}), ("Which is larger?", {})],
    "a document": [(PDF, {}), ("Which page?", {})],
    "pages of a document": [(PDF, {"pages": "1,3", "dpi": 72}), ("Which page?", {})],
    "a locked one": [(pdfs.locked("open me"), {"password": "open me"}), ("What is it?", {})],
    "a text": [(LETTER, {}), ("What does it say?", {})],
    "all of them": [(PDF, {"pages": "2"}), (TALL, {}), (LETTER, {}), ("What have they in common?", {})],
}


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def chat(given: str | bytes, fields: dict[str, Any]) -> dict[str, Any]:
    if isinstance(given, str):
        return {"type": "text", "text": given}
    if given.startswith(b"\x89PNG"):
        return {"type": "image_url", "image_url": {"url": data_url(given)}}
    return {"type": "file", "file": {"file_data": in_base64(given), "filename": "a.bin"}, **fields}


def messages(given: str | bytes, fields: dict[str, Any]) -> dict[str, Any]:
    if isinstance(given, str):
        return {"type": "text", "text": given}
    source = {"type": "base64", "data": in_base64(given)}
    if given.startswith(b"\x89PNG"):
        return {"type": "image", "source": {**source, "media_type": "image/png"}}
    if given is LETTER:
        return {"type": "document", "title": "a.txt", "source": {"type": "text", "data": LETTER.decode()}}
    return {"type": "document", "title": "a.pdf", "source": source, **fields}


def responses(given: str | bytes, fields: dict[str, Any]) -> dict[str, Any]:
    if isinstance(given, str):
        return {"type": "input_text", "text": given}
    if given.startswith(b"\x89PNG"):
        return {"type": "input_image", "image_url": data_url(given)}
    return {"type": "input_file", "file_data": in_base64(given), "filename": "a.bin", **fields}


async def told(house: House, path: str, body: dict[str, Any]) -> Any:
    answer = await house.post(body, path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def check(house: House, parts: list[tuple[str | bytes, dict[str, Any]]]) -> None:
    said = {"messages": [{"role": "user", "content": [chat(*part) for part in parts]}]}
    counted = (await told(house, "/tokenize", said))["count"]
    assert not house.engine.asked
    assert counted == (await told(house, "/v1/chat/completions", said))["usage"]["prompt_tokens"]
    assert counted == len(house.engine.asked[-1][0].token_ids)
    asked = {"model": "flashweb-nano", "messages": [{"role": "user", "content": [messages(*part) for part in parts]}]}
    counted = (await told(house, "/v1/messages/count_tokens", asked))["input_tokens"]
    usage = (await told(house, "/v1/messages", {**asked, "max_tokens": 9}))["usage"]
    assert counted == usage["input_tokens"] + (usage["cache_read_input_tokens"] or 0)
    given = {"input": [{"role": "user", "content": [responses(*part) for part in parts]}]}
    counted = (await told(house, "/v1/responses/input_tokens", given))["input_tokens"]
    assert counted == (await told(house, "/v1/responses", given))["usage"]["input_tokens"]


async def check_uploaded(house: House) -> None:
    ids = [(await upload(house, data, "user_data", name="a")).json()["id"] for data in (WIDE, PDF)]
    parts = [{"type": "image_file", "file_id": ids[0]}, {"type": "file", "file": {"file_id": ids[1]}, "pages": "2"}]
    said = {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "?"}]}]}
    counted = (await told(house, "/tokenize", said))["count"]
    assert counted == (await told(house, "/v1/chat/completions", said))["usage"]["prompt_tokens"]
    sources = [{"type": "file", "file_id": id} for id in ids]
    kinds = [{"type": "image", "source": sources[0]}, {"type": "document", "source": sources[1], "pages": "2"}]
    asked = {"model": "flashweb-nano", "messages": [{"role": "user", "content": kinds}]}
    counted = (await told(house, "/v1/messages/count_tokens", asked))["input_tokens"]
    assert counted == (await told(house, "/v1/messages", {**asked, "max_tokens": 9}))["usage"]["input_tokens"]


async def test_a_prompt_counted_beforehand_has_the_tokens_its_answer_reports(tmp_path: Path) -> None:
    async with open_house(ScriptedEngine("ok", max_model_len=8192), storage__data_dir=str(tmp_path)) as house:
        for name, parts in PROMPTS.items():
            house.engine.asked.clear()
            try:
                await check(house, parts)
            except AssertionError as error:
                raise AssertionError(name) from error
        await check_uploaded(house)
