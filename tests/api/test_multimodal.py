"""The endpoints of pictures and one text: shapes, defaults, limits, and errors as each path's callers know them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flashweb.api.schemas import pictures as wire
from flashweb.api.schemas.chat_answers import TimingsOut
from flashweb.errors import DeadlineExceeded, EngineDied, FlashwebError
from flashweb.types import Enhancement
from tests.house import House, ScriptedEngine, data_url, events_of, open_house, png

COMPLETIONS = "/v1/multimodal/completions"
FORMS = ("/v1/multimodal/completions-multipart", "/v1/multimodal/completions-multipart-multipart")
INFERENCE = "/v1/multi-modal/inference"
INFER = ("/v1/glm/infer", "/infer")
BASE64 = base64.b64encode(png()).decode()
ASKED = {"prompt": "这张图是什么?", "image": BASE64}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house(ScriptedEngine("a gear")) as opened:
        yield opened


async def upload(house: House, path: str, *pictures: bytes, **fields: str) -> Any:
    files = [("image", ("a.png", picture, "image/png")) for picture in pictures or (png(),)]
    return await house.client.post(path, files=files, data={"prompt": "What?", **fields})


async def test_a_completion_has_the_guides_shape_and_its_temperature(house: House) -> None:
    answer = await house.post(ASKED, COMPLETIONS)
    assert answer.status_code == 200 and answer.headers["x-flashweb-model"] == "flashweb-nano"
    body = answer.json()
    wire.MultimodalCompletion.model_validate(body, strict=True)
    assert body["object"] == "multimodal.completion" and body["id"].startswith("mmcmpl-")
    assert body["choices"][0]["message"]["content"] == "a gear" and body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["prompt_tokens_details"]["image_tokens"] > 0
    (_, params, _) = house.engine.asked[-1]
    assert (params.temperature, params.top_p, params.max_tokens) == (0.7, 1.0, 512)


@pytest.mark.parametrize(
    "pictures",
    [
        {"image": BASE64},
        {"image": data_url(png())},
        {"image": [BASE64]},
        {"image_url": data_url(png())},
        {"image_url": {"url": data_url(png())}},
        {"image_url": [data_url(png())]},
    ],
)
async def test_a_picture_comes_in_many_forms_and_is_always_the_chats(house: House, pictures: Any) -> None:
    given = {"temperature": 0, "max_tokens": 5, "seed": 3, "top_k": 7, "stop": ["x"]}
    for path in (COMPLETIONS, INFERENCE, *INFER):
        assert (await house.post({"prompt": "What?", **pictures, **given}, path)).status_code == 200
    for path in (*FORMS, INFERENCE, *INFER):
        fields = {name: json.dumps(value) for name, value in given.items()}
        assert (await upload(house, path, **fields)).status_code == 200
    assert (await house.chat(png(), "What?", **given)).status_code == 200
    prompts = {(prompt.token_ids, prompt.spans[0].image.digest) for prompt, _, _ in house.engine.asked}
    assert len(prompts) == 1
    assert len({repr(params) for _, params, _ in house.engine.asked}) <= 2, "top_p is 1 on the guide's endpoints"


async def test_several_pictures_come_before_the_text_in_their_order(house: House) -> None:
    lists = [base64.b64encode(png(56, 112)).decode(), BASE64]
    assert (await house.post({**ASKED, "image": lists}, COMPLETIONS)).status_code == 200
    assert (await upload(house, FORMS[0], png(56, 112), png())).status_code == 200
    for prompt, _, _ in house.engine.asked:
        assert [span.image.source_size for span in prompt.spans] == [(112, 56), (56, 56)]


@pytest.mark.parametrize("path", [COMPLETIONS, *FORMS])
async def test_a_stream_is_chunks_of_the_same_name(house: House, path: str) -> None:
    if path == COMPLETIONS:
        answer = await house.post({**ASKED, "stream": True}, path)
    else:
        answer = await upload(house, path, stream="true")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events_of(answer.text)
    assert done == "[DONE]" and {chunk["object"] for chunk in chunks} == {"multimodal.completion.chunk"}
    for chunk in chunks:
        wire.MultimodalCompletionChunk.model_validate(chunk, strict=True)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "a gear"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop" and house.pipeline.num_inside == 0


async def test_inference_tells_timings_and_with_raw_the_tokens() -> None:
    async with open_house(ScriptedEngine("a gear, or so", steps_at_once=4)) as house:
        plain = (await house.post(ASKED, INFERENCE)).json()
        raw = (await house.post({**ASKED, "raw": True, "stop": ","}, INFERENCE)).json()
        by_form = (await upload(house, INFERENCE, raw="true")).json()
        prompt = house.engine.asked[1][0]
    wire.InferenceOut.model_validate(raw, strict=True)
    assert plain["text"] == "a gear, or so" and "output_token_ids" not in plain and plain["timings_ms"]["total"] > 0
    assert set(plain["timings_ms"]) == set(TimingsOut.model_fields)
    assert raw["prompt_token_ids"] == list(prompt.token_ids)
    assert raw["text"] == "a gear" and len(raw["output_token_ids"]) == raw["usage"]["completion_tokens"] == 7
    assert len(by_form["output_token_ids"]) == by_form["usage"]["completion_tokens"]


@pytest.mark.parametrize("path", INFER)
async def test_infer_answers_in_its_envelope(house: House, path: str) -> None:
    for answer in (await house.post(ASKED, path), await upload(house, path)):
        assert answer.status_code == 200
        body = answer.json()
        wire.InferOut.model_validate(body, strict=True)
        assert (body["result"], body["code"]) == ("a gear", 0) and body["cost_time"] >= 0


BLOB = "blob:http://a.test/1"
REFUSED: dict[str, tuple[Any, int, str]] = {
    "no body": (b"", 400, "empty"),
    "no JSON": (b"{", 400, "not valid JSON"),
    "no prompt": ({"image": BASE64}, 400, "prompt is missing"),
    "no picture": ({"prompt": "a"}, 400, "image is missing"),
    "both": ({**ASKED, "image_url": data_url(png())}, 400, "one of them"),
    "no base64": ({**ASKED, "image": "???"}, 400, "neither a URL nor valid base64"),
    "a blob": ({"prompt": "a", "image_url": BLOB}, 400, "send the bytes"),
    "a private address": ({"prompt": "a", "image_url": "http://127.0.0.1:1/a.png"}, 400, "public internet"),
    "a number for a text": ({**ASKED, "prompt": 5}, 400, "prompt must be a string"),
    "a list of no pictures": ({**ASKED, "image": []}, 400, "image"),
    "a temperature": ({**ASKED, "temperature": 9}, 400, "at most 2"),
    "an unknown enhancement": ({**ASKED, "enhance": "all"}, 400, "enhance"),
    "17 pictures": ({**ASKED, "image": [BASE64] * 17}, 400, "limit is 16"),
    "another model": ({**ASKED, "model": "gpt-4"}, 404, "gpt-4"),
    "a picture too large": ({**ASKED, "image": "A" * 3000}, 413, "limit"),
    "an image as the body": (png(), 400, "JSON"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_bad_request_is_refused_alike_on_every_path(name: str) -> None:
    body, status, words = REFUSED[name]
    async with open_house(ScriptedEngine(), media__max_upload_size=1024) as house:
        for path in (COMPLETIONS, INFERENCE, *INFER, "/api/scenes/ocr", "/api/audit-image"):
            if "/api/" in path and name in ("no prompt", "a number for a text", "a temperature"):
                continue
            answer = await house.post(body, path)
            found = answer.json()
            assert answer.status_code == status, f"{path}: {answer.text}"
            if path in INFER:
                assert set(found) == {"code", "msg"} and found["code"] == status and words in found["msg"]
            else:
                assert (
                    set(found["error"]) == {"message", "type", "param", "code"} and words in found["error"]["message"]
                )
                assert ("detail" in found) == path.startswith("/api/")
                assert found.get("detail", found["error"]["message"]) == found["error"]["message"]
        assert not house.engine.asked and house.pipeline.num_inside == 0


@pytest.mark.parametrize("path", INFER)
async def test_every_failure_of_infer_is_in_its_envelope(path: str) -> None:
    """Also those of layers that know nothing of the path: methods, host names, body limits, a full house."""
    limits = {"server__max_body_size": 2000, "server__limit_concurrency": 1}
    async with open_house(ScriptedEngine(), **limits) as house:
        seen = {
            "method": await house.client.get(path),
            "host": await house.post(ASKED, path, headers={"host": "evil.test"}),
            "body": await house.post(b"x" * 3000, path),
            "compressed": await house.post(ASKED, path, headers={"content-encoding": "gzip"}),
            "type": await house.post(ASKED, path, headers={"content-type": "image/png"}),
        }
        with house.pipeline.admit():
            seen["full"] = await house.post(ASKED, path)
        house.pipeline.close()
        seen["draining"] = await house.post(ASKED, path)
        head = await house.client.head(path)
    statuses = {name: answer.status_code for name, answer in seen.items()}
    assert statuses == {
        "method": 405, "host": 400, "body": 413, "compressed": 415, "type": 415, "full": 503, "draining": 503,
    }  # fmt: skip
    for answer in seen.values():
        assert answer.json() == {"code": answer.status_code, "msg": answer.json()["msg"]}
        assert len(answer.json()["msg"]) > 20 and answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["content-length"] == str(len(answer.content))
    assert seen["full"].headers["retry-after"] and seen["method"].headers["allow"] == "POST"
    assert head.status_code == 405 and head.content == b""


@pytest.mark.parametrize(
    ("error", "elsewhere", "in_envelope"),
    [
        (FlashwebError("the device ran out of memory", code="out_of_memory"), 500, 507),
        (EngineDied("gone"), 503, 503),
        (DeadlineExceeded("too slow"), 504, 504),
        (ValueError("a secret"), 500, 500),
    ],
)
async def test_what_the_engine_raises_has_its_status_on_every_path(
    error: Exception, elsewhere: int, in_envelope: int
) -> None:
    async with open_house(ScriptedEngine()) as house:
        house.engine.answer, house.engine.error = "", error
        for path in (COMPLETIONS, INFERENCE, "/api/scenes/ocr"):
            answer = await house.post(ASKED, path)
            assert answer.status_code == elsewhere and "error" in answer.json()
        for path in INFER:
            answer = await house.post(ASKED, path)
            assert answer.status_code == in_envelope and set(answer.json()) == {"code", "msg"}
            assert answer.json()["code"] == in_envelope and "secret" not in answer.text


@pytest.mark.parametrize("path", [INFERENCE, *INFER])
async def test_streams_are_refused_where_there_are_none(house: House, path: str) -> None:
    for answer in (await house.post({**ASKED, "stream": True}, path), await upload(house, path, stream="True")):
        assert answer.status_code == 400 and "stream is not offered here" in answer.text


async def test_models_aliases_and_response_format_pass_through(house: House) -> None:
    answer = await house.post({**ASKED, "model": "glm-4.6v-flash"}, COMPLETIONS)
    assert answer.json()["model"] == "glm-4.6v-flash" and answer.headers["x-flashweb-model"] == "flashweb-nano"
    assert (await house.post({**ASKED, "response_format": {"type": "text"}}, COMPLETIONS)).status_code == 200
    refused = await house.post({**ASKED, "response_format": {"type": "no such"}}, COMPLETIONS)
    assert refused.status_code == 400 and refused.json()["error"]["param"].startswith("response_format")


@pytest.mark.parametrize("how", [None, "text"])
async def test_enhance_makes_another_picture_and_only_then(house: House, how: Enhancement | None) -> None:
    asked = {} if how is None else {"enhance": how}
    picture = png(grey=90)
    plain = await house.chat(picture, "What?")
    assert plain.status_code == 200
    assert (await house.chat(picture, "What?", **asked)).status_code == 200
    url = {"type": "image_url", "image_url": {"url": data_url(picture)}, **asked}
    parts = {"messages": [{"role": "user", "content": [url, {"type": "text", "text": "What?"}]}]}
    assert (await house.post(parts)).status_code == 200
    for path in (COMPLETIONS, INFERENCE, "/infer"):
        body = {"prompt": "What?", "image": base64.b64encode(picture).decode(), **asked}
        assert (await house.post(body, path)).status_code == 200
    assert (await upload(house, FORMS[0], picture, **asked)).status_code == 200
    first, *others = [prompt.spans[0].image for prompt, _, _ in house.engine.asked]
    assert len({one.digest for one in others}) == 1
    assert (others[0].digest == first.digest) == (how is None)
