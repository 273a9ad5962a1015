"""The scene endpoints in front of an engine that says what it was told: what is asked, what is made of the answer."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flashweb.api.schemas import pictures as wire
from flashweb.types import Structure
from tests.house import House, ScriptedEngine, open_house, png, processor

BASE64 = base64.b64encode(png()).decode()
AUDIT = {"contains_price": True, "contains_brand_logo": None, "forbidden_words": ["最便宜"]}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house(ScriptedEngine(json.dumps(AUDIT, ensure_ascii=False))) as opened:
        yield opened


def question_of(house: House) -> str:
    (prompt, _, _) = house.engine.asked[-1]
    return processor().tokenizer.decode(prompt.token_ids)


async def test_the_list_tells_a_page_all_it_needs(house: House) -> None:
    listed = (await house.client.get("/api/scenes")).json()
    wire.SceneList.model_validate(listed)
    scenes = {scene["name"]: scene for scene in listed["scenes"]}
    assert list(scenes) == ["audit", "service", "receipt", "marking", "contract", "inspection", "ocr"]
    assert listed["errors"] == [] and not any(scene["own"] for scene in scenes.values())
    assert all(set(scene["title"]) == {"zh", "en"} and scene["show"] for scene in scenes.values())
    assert scenes["marking"]["show"] == {"summary": "score", "Q*": "marks"} and scenes["ocr"]["translates"]
    for scene in scenes.values():
        assert (Path(__file__).parents[2] / "examples" / scene["sample"]).is_file()


async def test_a_scene_is_asked_greedily_and_held_to_its_schema(house: House) -> None:
    answer = await house.post({"image": BASE64, "temperature": 2, "messages": []}, "/api/scenes/audit")
    assert answer.status_code == 200 and answer.json() == AUDIT
    assert answer.headers["x-flashweb-model"] == "flashweb-nano"
    (_, params, _) = house.engine.asked[-1]
    assert params.temperature == 0 and params.top_k == 0 and params.max_tokens > 1000, "bounded by the context"
    assert isinstance(params.structure, Structure) and params.structure.kind == "json_schema"
    assert set(json.loads(params.structure.source)["properties"]) == set(AUDIT)
    assert "只输出JSON" in question_of(house)


@pytest.mark.parametrize("field", ["file", "image"])
async def test_the_audit_has_an_address_of_its_own_that_takes_a_form(house: House, field: str) -> None:
    files = [(field, ("a.png", png(), "image/png"))] * 2
    answer = await house.client.post("/api/audit-image", files=files, data={"language": "en"})
    assert answer.status_code == 200 and answer.json() == AUDIT
    wire.AuditOut.model_validate(answer.json(), strict=True)
    assert len(house.engine.asked[-1][0].spans) == 2 and "Audit this product picture" in question_of(house)


@pytest.mark.parametrize("rules", ["不许有价格\n\n 不许有二维码 ", ["不许有价格", "不许有二维码"]])
async def test_rules_and_a_question_follow_the_scenes_own_words(house: House, rules: Any) -> None:
    asked = {"image": BASE64, "rules": rules, "question": "这是包吗？"}
    assert (await house.post(asked, "/api/scenes/audit")).status_code == 200
    assert "不要任何解释。\n这是包吗？\n另外必须遵守以下规则：\n1. 不许有价格\n2. 不许有二维码" in question_of(house)
    files = {"image": ("a.png", png(), "image/png")}
    data = {"rules": rules, "question": "这是包吗？"}
    assert (await house.client.post("/api/scenes/audit", files=files, data=data)).status_code == 200
    assert len({prompt.token_ids for prompt, _, _ in house.engine.asked}) == 1


async def test_service_asks_the_question_alone_and_answers_in_text(house: House) -> None:
    house.engine.answer = " 是的。\n"
    for question, wanted in (("支持无线充电吗?", "支持无线充电吗?"), (None, "请描述这张图片的内容")):
        answer = await house.post({"image": BASE64, "question": question}, "/api/scenes/service")
        assert answer.json() == {"text": "是的。"} and house.engine.asked[-1][1].structure is None
        assert wanted in question_of(house) and "{question}" not in question_of(house)
    plain = await house.post({"image": BASE64}, "/api/scenes/service", headers={"accept": "text/plain"})
    assert plain.text == "是的。" and plain.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(("language", "words"), [(None, "文字内容"), ("en", "翻译成英文"), ("Thai", "翻译成Thai")])
async def test_ocr_with_a_language_asks_for_a_translation(house: House, language: str | None, words: str) -> None:
    asked = {"image": BASE64} if language is None else {"image": BASE64, "language": language}
    assert (await house.post(asked, "/api/scenes/ocr")).status_code == 200
    assert words in question_of(house)


async def test_receipts_come_as_text_in_the_order_of_the_page(house: House) -> None:
    house.engine.answer = '{"amounts": ["¥1,280.00", "39.99"], "total": "$1,319.99"}'
    answer = await house.post({"image": BASE64}, "/api/scenes/receipt")
    assert answer.json() == {"amounts": ["1280.00", "39.99"], "total": "1319.99"}
    plain = await house.post({"image": BASE64}, "/api/scenes/receipt", headers={"accept": "text/plain"})
    assert plain.text == "1280.00, 39.99"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("我不知道", "invalid_answer"),
        ("[1]", "invalid_answer"),
        ('{"contains_price": true', "invalid_answer"),
        ('{"contains_price": "yes", "contains_brand_logo": null, "forbidden_words": []}', "invalid_answer"),
        ('{"contains_price": true, "contains_brand_logo": null, "forbidden_words": [], "more": 1}', "invalid_answer"),
    ],
)
async def test_an_answer_that_breaks_the_promise_is_an_error_and_never_half_an_object(said: str, code: str) -> None:
    async with open_house(ScriptedEngine(said)) as house:
        answer = await house.post({"image": BASE64}, "/api/audit-image")
    body = answer.json()
    assert answer.status_code == 500 and body["error"]["code"] == code and body["detail"] == body["error"]["message"]
    assert "yes" not in answer.text and "我不知道" not in answer.text


async def test_an_answer_cut_by_its_limit_is_an_error(house: House) -> None:
    answer = await house.post({"image": BASE64, "max_tokens": 5}, "/api/scenes/audit")
    assert answer.status_code == 500 and answer.json()["error"]["code"] == "incomplete_answer"


async def test_bad_calls_are_the_callers_mistake_with_a_detail(house: House) -> None:
    for path, body, status, words in (
        ("/api/scenes/no-such", {"image": BASE64}, 404, "there are audit, service"),
        ("/api/scenes/audit", {"image": BASE64, "language": "fr"}, 400, "zh or en"),
        ("/api/scenes/audit", {"image": BASE64, "rules": ["x" * 9000]}, 400, "limit is 8000"),
        ("/api/scenes/audit", {"image": BASE64, "rules": 7}, 400, "rules"),
        ("/api/nothing", {"image": BASE64}, 404, "There is no POST"),
    ):
        answer = await house.post(body, path)
        assert answer.status_code == status and words in answer.json()["detail"], answer.text
        assert answer.json()["detail"] == answer.json()["error"]["message"]
    lost = await house.client.get("/api/audit-image")
    assert lost.status_code == 405 and lost.json()["detail"] and not house.engine.asked


OWN = """
answer = "text"
title = { zh = "猫", en = "Cat" }
description = { zh = "有没有猫", en = "Is there a cat" }
prompt = { zh = "有猫吗？", en = "Is there a cat?" }
enhance = "text"
"""


async def test_own_scenes_come_and_go_without_a_restart_and_a_broken_one_harms_no_other(tmp_path: Path) -> None:
    (tmp_path / "cat.toml").write_text(OWN, "utf-8")
    (tmp_path / "broken.toml").write_text("answer = [", "utf-8")
    (tmp_path / "notes.txt").write_text("no scene")
    async with open_house(ScriptedEngine("有"), server__scenes_dir=str(tmp_path)) as house:
        listed = (await house.client.get("/api/scenes")).json()
        assert [scene["name"] for scene in listed["scenes"] if scene["own"]] == ["cat"]
        assert [(one["file"], "no TOML" in one["message"]) for one in listed["errors"]] == [("broken.toml", True)]
        assert (await house.post({"image": BASE64}, "/api/scenes/cat")).json() == {"text": "有"}
        assert "有猫吗？" in question_of(house)
        picture = house.engine.asked[-1][0].spans[0].image.digest
        (tmp_path / "cat.toml").write_text(
            OWN.replace("有猫吗？", "有几只猫？").replace('enhance = "text"', ""), "utf-8"
        )
        os.utime(tmp_path / "cat.toml", ns=(1, 1))
        assert (await house.post({"image": BASE64}, "/api/scenes/cat")).status_code == 200
        assert "有几只猫？" in question_of(house) and house.engine.asked[-1][0].spans[0].image.digest != picture
        (tmp_path / "cat.toml").unlink()
        (tmp_path / "broken.toml").write_text(OWN, "utf-8")
        assert (await house.post({"image": BASE64}, "/api/scenes/cat")).status_code == 404
        assert (await house.post({"image": BASE64}, "/api/scenes/broken")).status_code == 200
        assert (await house.client.get("/api/scenes")).json()["errors"] == []
