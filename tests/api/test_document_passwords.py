"""Encrypted documents: the password opens them in every dialect, and is in no log, no answer and no message."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.responses import ResponseItemList

from tests import pdfs
from tests.api.routes import words_of
from tests.house import House, ScriptedEngine, open_house

WORD = "Grüße-57"
LOCKED, OPEN = pdfs.locked(WORD), pdfs.pdf(pdfs.text("secret"))
BASE64 = base64.b64encode(LOCKED).decode()
URL = f"data:application/pdf;base64,{BASE64}"
QUESTION = {"type": "text", "text": "What is it?"}


def chat(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [part, QUESTION]}]}


def dialects(password: str | None) -> dict[str, tuple[str, dict[str, Any]]]:
    """Request and path by the name of its dialect."""
    more = {} if password is None else {"password": password}
    source = {"type": "base64", "media_type": "application/pdf", "data": BASE64}
    anthropic = {"type": "document", "source": source, **more}
    said = [{"role": "user", "content": [{"type": "input_file", "file_data": URL, **more}]}]
    pictures = {"prompt": "What is it?", "image": BASE64, **more}
    return {
        "chat": ("/v1/chat/completions", chat({"type": "file", "file": {"file_data": URL}, **more})),
        "anthropic's part": ("/v1/chat/completions", chat(anthropic)),
        "messages": ("/v1/messages", {"model": "flashweb-nano", "max_tokens": 9, **chat(anthropic)}),
        "count": ("/v1/messages/count_tokens", {"model": "flashweb-nano", **chat(anthropic)}),
        "tokenize": ("/tokenize", chat({"type": "file", "file": {"file_data": URL}, **more})),
        "responses": ("/v1/responses", {"input": said}),
        "inference": ("/v1/multi-modal/inference", pictures),
        "infer": ("/infer", pictures),
        "scene": ("/api/scenes/ocr", pictures),
    }


def kind_of(answer: httpx.Response) -> Any:
    error = answer.json().get("error")
    return error and error.get("code", error["type"])


async def test_the_password_opens_a_document_in_every_dialect(tmp_path: Path) -> None:
    async with open_house(ScriptedEngine("words"), storage__data_dir=str(tmp_path)) as house:
        await house.post({"prompt": "What is it?", "image": base64.b64encode(OPEN).decode()}, "/infer")
        (expected,) = house.engine.asked[-1][0].spans
        for name, (path, body) in dialects(WORD).items():
            house.engine.asked.clear()
            answer = await house.post(body, path)
            assert answer.status_code == 200, f"{name}: {answer.text}"
            if name not in ("count", "tokenize"):
                (span,) = house.engine.asked[-1][0].spans
                assert span.image.digest == expected.image.digest, name
            # What was opened before is opened by nobody who has not the password.
            for wrong, code in (
                ("not this one", "wrong_document_password"), (None, "encrypted_document"), ("", "encrypted_document"),
            ):  # fmt: skip
                path, body = dialects(wrong)[name]
                refused = await house.post(body, path)
                assert refused.status_code == 400 and "password" in words_of(refused), f"{name}: {refused.text}"
                assert path in ("/infer", "/v1/messages", "/v1/messages/count_tokens") or kind_of(refused) == code
        form = {"files": {"image": ("a.pdf", LOCKED)}, "data": {"prompt": "What?", "password": WORD}}
        assert (await house.client.post("/infer", **form)).status_code == 200  # type: ignore[arg-type]
        number = {**form, "data": {"prompt": "What?", "password": "1234"}}  # a form's fields are texts
        assert "not the one" in (await house.client.post("/infer", **number)).text  # type: ignore[arg-type]


async def everything_said(house: House) -> str:
    """What operators and callers may read of earlier requests."""
    told = [(await house.client.get(path)).text for path in ("/api/admin/status", "/api/admin/requests", "/metrics")]
    return "".join(told)


async def test_a_password_is_told_to_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bad = {"password": 5_700_000_057}, {"password": "Grüße-57" * 20}, {"password": {"a": WORD}}
    options: dict[str, Any] = {"storage__data_dir": str(tmp_path), "log__access_log": True}
    async with open_house(ScriptedEngine("words"), **options) as house:
        said = []
        for given in (WORD, "Grüße-57 wrong"):
            for path, body in dialects(given).values():
                said.append(await house.post(body, path))
        for more in bad:
            for path, body in (
                ("/v1/chat/completions", chat({"type": "file", "file": {"file_data": URL}, **more})),
                ("/infer", {"prompt": "?", "image": BASE64, **more}),
            ):
                said.append(await house.post(body, path))
                assert said[-1].status_code == 400 and "password" in words_of(said[-1]), said[-1].text
        text = "".join(answer.text + str(answer.headers) for answer in said) + await everything_said(house)
    for secret in ("57", "Gr"):
        assert f"{secret}-57" not in text.replace("Grüße-57", "Gr-57"), secret
    assert "5700000057" not in text
    logged = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert "Grüße" not in logged and "5700000057" not in logged


async def test_a_stored_conversation_keeps_the_password_for_its_next_turn_and_lists_it_never(tmp_path: Path) -> None:
    async with open_house(ScriptedEngine("words", max_model_len=8192), storage__data_dir=str(tmp_path)) as house:
        for part, listed in (
            ({"type": "input_file", "file_data": URL, "filename": "a.pdf", "password": WORD}, {"filename": "a.pdf"}),
            (
                {"type": "file", "file": {"file_data": URL, "filename": "b.pdf"}, "password": WORD},
                {"filename": "b.pdf"},
            ),
            (dialects(WORD)["messages"][1]["messages"][0]["content"][0], {}),
        ):
            first = await house.post({"input": [{"role": "user", "content": [part]}]}, "/v1/responses")
            assert first.status_code == 200, first.text
            again = {"input": "and?", "previous_response_id": first.json()["id"]}
            assert (await house.post(again, "/v1/responses")).status_code == 200
            assert len(house.engine.asked[-1][0].spans) == 1
            items = await house.client.get(f"/v1/responses/{first.json()['id']}/input_items")
            ResponseItemList.model_validate(items.json(), strict=True)
            assert items.json()["data"][0]["content"] == [{"type": "input_file", **listed}]
            assert "password" not in json.dumps([items.json(), first.json()])
