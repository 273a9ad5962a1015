"""Uploaded files by their ids, in every way in that takes pictures: the same prompt as from the bytes themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.responses import ResponseItemList

from flashweb.jobs import files, runner
from tests import pdfs
from tests.api.routes import send, ways_into, words_of
from tests.house import House, ScriptedEngine, open_house, png
from tests.jobs.test_api import jsonl, open_shop, until, upload

ADA, BOB = ({"authorization": f"Bearer {name}"} for name in ("ada", "bob"))
# Those that take parts of messages have their own places for an id.
DIALECTS = ("/v1/chat/completions", "/v1/messages", "/v1/responses")
PICTURES_ALONE = [way for way in ways_into() if way[0] not in DIALECTS]
AUDIT = '{"contains_price": true, "contains_brand_logo": null, "forbidden_words": []}'
PHOTO, PDF = png(300, 200, 40), pdfs.numbered(2)


async def id_of(house: House, data: bytes, headers: Any = ADA, **fields: str) -> str:
    return str((await upload(house, data, "user_data", name="a.bin", headers=headers, fields=fields)).json()["id"])


async def ask(house: House, way: tuple[str, str], headers: dict[str, str] = ADA, **fields: Any) -> httpx.Response:
    path, kind = way
    fields = {"prompt": "What is it?", **fields}
    if kind != "multipart/form-data":
        return await house.post(fields, path, headers=headers)
    listed = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    form: Any = [(name, (None, str(value))) for name, values in listed.items() for value in values]
    return await house.client.post(path, files=form, headers=headers)


def seen(house: House) -> tuple[tuple[int, ...], list[bytes]]:
    prompt = house.engine.asked[-1][0]
    return prompt.token_ids, [span.image.digest for span in prompt.spans]


async def test_an_uploaded_file_is_named_wherever_pictures_are_taken(tmp_path: Path) -> None:
    async with open_house(ScriptedEngine(AUDIT, max_model_len=8192), storage__data_dir=str(tmp_path)) as house:
        photo, other, document = [await id_of(house, data) for data in (PHOTO, png(), PDF)]
        for way in PICTURES_ALONE:
            assert (await send(house, *way, [PHOTO, png()])).status_code == 200, way
            sent = seen(house)
            answer = await ask(house, way, file_id=[photo, other])
            assert answer.status_code == 200, f"{way}: {answer.text}"
            assert seen(house) == sent, way
            assert (await ask(house, way, file_id=document, pages="2", dpi=72)).status_code == 200
            assert len(seen(house)[1]) == 1 and seen(house)[1] != sent[1][:1]


async def test_an_id_that_leads_nowhere_is_a_404_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_house(ScriptedEngine(), storage__data_dir=str(tmp_path)) as house:
        life = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
        foreign, expired = await id_of(house, PHOTO, BOB), await id_of(house, PHOTO, **life)
        store: Any = house.pipeline.documents.bytes_of
        assert isinstance(store.__self__, files.FileStore)
        now = store.__self__._clock()
        monkeypatch.setattr(store.__self__, "_clock", lambda: now + 3601)
        for way in PICTURES_ALONE:
            for id in (foreign, expired, "file-nobody", "../../etc/passwd"):
                answer = await ask(house, way, file_id=id)
                assert answer.status_code == 404 and repr(id) in words_of(answer), f"{way}: {answer.text}"
                if "infer" not in way[0].split("/")[-1]:
                    error = answer.json()["error"]
                    assert (error["code"], error["param"]) == ("file_not_found", "file_id"), way
            for wrong in ("", "x" * 129):
                assert (await ask(house, way, file_id=wrong)).status_code == 400, way
            both = await ask(house, way, file_id="file-1", image_url="https://example.com/a.png")
            assert both.status_code == 400 and "image_url and file_id" in words_of(both), way
        assert not house.engine.asked


async def test_an_uploaded_file_that_is_no_picture_is_told_as_one_sent_along(tmp_path: Path) -> None:
    way = ("/v1/multimodal/completions", "application/json")
    async with open_house(ScriptedEngine(), storage__data_dir=str(tmp_path)) as house:
        for data, status in ((b"plain words", 400), (PHOTO[:60], 400), (pdfs.encrypted(), 400)):
            sent = await send(house, *way, [data])
            named = await ask(house, way, file_id=await id_of(house, data))
            assert (sent.status_code, named.status_code) == (status, status), named.text
            assert named.json()["error"]["code"] == sent.json()["error"]["code"]


async def test_jobs_and_batches_read_the_files_of_whoever_handed_them_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "IDLE_SECONDS", 0.02)
    async with open_shop(tmp_path, ScriptedEngine("words")) as house:
        mine, foreign = await id_of(house, PHOTO), await id_of(house, PHOTO, BOB)
        for id, status in ((mine, "completed"), (foreign, "failed")):
            job = await house.post({"file_id": id}, "/api/scenes/ocr?async=true", headers=ADA)
            place = job.headers["location"]
            while (told := (await house.client.get(place, headers=ADA)).json())["status"] != status:
                assert told["status"] in ("queued", "in_progress"), told
                await asyncio.sleep(0.02)
            result = await house.client.get(f"{place}/result", headers=ADA)
            assert result.status_code == (200 if id == mine else 404), result.text
        path = "/v1/multimodal/completions"
        rows = [
            {"custom_id": id, "method": "POST", "url": path, "body": {"prompt": "?", "file_id": id}}
            for id in (mine, foreign)
        ]
        file = await upload(house, jsonl(*rows), headers=ADA)
        asked = {"input_file_id": file.json()["id"], "endpoint": path}
        batch = (await house.post(asked, "/v1/batches", headers=ADA)).json()
        done = await until(house, batch["id"], "completed", headers=ADA)
        outputs = [f"/v1/files/{done[name]}/content" for name in ("output_file_id", "error_file_id")]
        good, bad = [(await house.client.get(path, headers=ADA)).json() for path in outputs]
        assert (good["custom_id"], bad["custom_id"], bad["response"]["status_code"]) == (mine, foreign, 404)


async def test_a_stored_response_lists_the_ids_it_was_asked_about(tmp_path: Path) -> None:
    async with open_house(ScriptedEngine(max_model_len=8192), storage__data_dir=str(tmp_path)) as house:
        photo, document = await id_of(house, PHOTO), await id_of(house, PDF)
        parts = [
            {"type": "input_image", "file_id": photo, "detail": "low"},
            {"type": "image_file", "image_file": {"file_id": photo, "detail": "low"}},
            {"type": "image", "source": {"type": "file", "file_id": photo}, "detail": "low"},
            {"type": "input_file", "file_id": document, "pages": "1", "detail": "original"},
            {"type": "file", "file": {"file_id": document}, "pages": "1"},
        ]
        answer = await house.post({"input": [{"role": "user", "content": parts}]}, "/v1/responses", headers=ADA)
        assert answer.status_code == 200, answer.text
        path = f"/v1/responses/{answer.json()['id']}/input_items"
        listed = (await house.client.get(path, headers=ADA)).json()
        ResponseItemList.model_validate(listed, strict=True)
        content = listed["data"][0]["content"]
        assert [part["file_id"] for part in content] == [photo] * 3 + [document] * 2
        assert {part["detail"] for part in content[:3]} == {"low"}
