"""`/tokenize` and `/detokenize`: the tokens of a text or of a chat, as the model would see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flashweb.api.schemas.tokens import TokenizeOut
from tests.house import House, ScriptedEngine, data_url, open_house, png, processor, user

TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}


async def tokens_of(house: House, **body: Any) -> dict[str, Any]:
    response = await house.post(body, "/tokenize")
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    TokenizeOut.model_validate(answer, extra="forbid")
    assert answer["count"] == len(answer["tokens"])
    return answer


async def test_a_text_becomes_tokens_and_back() -> None:
    async with open_house(ScriptedEngine()) as house:
        answer = await tokens_of(house, prompt="green 茶 <sop>", return_token_strs=True)
        bare = await tokens_of(house, prompt="green 茶 <sop>", add_special_tokens=False, model="glm-4.6v-flash")
        back = await house.post({"tokens": answer["tokens"]}, "/detokenize")
    assert answer["tokens"][:2] == list(processor().prefix_ids) and bare["tokens"] == answer["tokens"][2:]
    assert "".join(answer["token_strs"]) == "[gMASK]<sop>green 茶 <sop>" == back.json()["prompt"]
    assert answer["max_model_len"] == 2048 and bare["token_strs"] is None
    assert processor().tokenizer.control_ids["<sop>"] not in bare["tokens"]


async def test_a_chat_has_the_tokens_that_its_answer_would_report() -> None:
    messages = user("what is", png(300, 200), "and", png(90, 500))
    shapes: list[dict[str, Any]] = [
        {}, {"tools": [TOOL]}, {"chat_template_kwargs": {"enable_thinking": True}}, {"add_generation_prompt": False},
        {"mm_processor_kwargs": {"max_pixels": 12544}},
    ]  # fmt: skip
    async with open_house(ScriptedEngine("ok</think>")) as house:
        for more in shapes:
            house.engine.asked.clear()
            counted = await tokens_of(house, messages=messages, **more)
            assert house.engine.asked == []
            answered = (await house.post({"messages": messages, **more})).json()
            ((prompt, _, _),) = house.engine.asked
            assert counted["tokens"] == list(prompt.token_ids), more
            assert counted["count"] == answered["usage"]["prompt_tokens"]


async def test_an_uploaded_picture_is_counted_as_the_same_picture_sent_along(tmp_path: Path) -> None:
    asked = {"type": "input_text", "text": "what is it?"}
    async with open_house(ScriptedEngine(), storage__data_dir=str(tmp_path)) as house:
        form = {"files": {"file": ("a.png", png(300, 200), "image/png")}, "data": {"purpose": "vision"}}
        id = (await house.client.post("/v1/files", **form)).json()["id"]  # type: ignore[arg-type]
        numbers = []
        for picture in ({"file_id": id}, {"image_url": data_url(png(300, 200))}):
            messages = [{"role": "user", "content": [{"type": "input_image", **picture}, asked]}]
            counted = await house.post({"input": messages}, "/v1/responses/input_tokens")
            tokens = await tokens_of(house, messages=messages)
            numbers.append((counted.json()["input_tokens"], tokens["count"]))
        missing = [{"role": "user", "content": [{"type": "input_image", "file_id": "file-0"}]}]
        gone = await house.post({"input": missing}, "/v1/responses/input_tokens")
    assert numbers[0] == numbers[1]
    assert gone.status_code == 404, gone.text


async def test_a_picture_is_counted_from_its_header_alone_also_where_no_answer_would_fit() -> None:
    broken = png(1400, 1400)[:200]  # the header is whole, the pixels are missing
    async with open_house(ScriptedEngine(max_model_len=512)) as house:
        counted = await tokens_of(house, messages=user(broken))
        refused = await house.chat(broken)
    num_tokens = processor().geometry.num_tokens(1400, 1400)
    assert counted["tokens"].count(processor().image_token_id) == num_tokens > counted["max_model_len"]
    assert refused.status_code == 400


async def test_a_picture_kept_under_a_uuid_is_counted_under_it() -> None:
    part = {"type": "image_url", "image_url": {"url": data_url(png(112, 112))}, "uuid": "one"}
    async with open_house(ScriptedEngine()) as house:
        unknown = await house.post(
            {"messages": [{"role": "user", "content": {**part, "image_url": None}}]}, "/tokenize"
        )
        await house.post({"messages": [{"role": "user", "content": part}]})
        known = await tokens_of(house, messages=[{"role": "user", "content": {**part, "image_url": None}}])
    assert unknown.status_code == 404
    num_tokens = processor().geometry.num_tokens(112, 112)
    assert known["tokens"].count(processor().image_token_id) == num_tokens


BAD: list[tuple[str, Any, str]] = [
    ("/tokenize", {}, "prompt"), ("/tokenize", {"prompt": "a", "messages": user("b")}, "messages"),
    ("/tokenize", {"prompt": 3}, "prompt"), ("/tokenize", {"messages": []}, "messages"),
    ("/tokenize", {"messages": user("a"), "temperature": 9}, "temperature"),
    ("/tokenize", {"prompt": "a" * 200_000}, "prompt"),
    ("/detokenize", {}, "tokens"), ("/detokenize", {"tokens": [999_999]}, "tokens"),
    ("/detokenize", {"tokens": [-1]}, "tokens[0]"), ("/detokenize", {"tokens": "a"}, "tokens"),
]  # fmt: skip


async def test_what_cannot_be_counted_is_a_400_that_names_the_parameter() -> None:
    async with open_house(ScriptedEngine()) as house:
        for path, body, param in BAD:
            response = await house.post(body, path)
            assert response.status_code == 400 and response.json()["error"]["param"] == param, response.text


@pytest.mark.parametrize(("path", "body"), [("/tokenize", {"prompt": "a"}), ("/detokenize", {"tokens": []})])
async def test_another_models_tokens_are_not_counted_here(path: str, body: Any) -> None:
    async with open_house(ScriptedEngine()) as house:
        response = await house.post({**body, "model": "gpt-4o"}, path)
        fields = await house.post({**body, "frob": 1}, path)
    assert response.status_code == 404 and response.json()["error"]["code"] == "model_not_found"
    assert fields.status_code == 200
