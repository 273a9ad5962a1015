"""The contract's table of endpoints, row by row and in its words; each row is one test. What a row promises in general
(limits, errors, every way in) is proved for all of them at once in test_entry_points.py.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import pytest
import pytest_asyncio

from flashweb.api.error_shapes import INFER_PATHS
from flashweb.api.pages import PAGE_ROUTES
from flashweb.api.schemas.chat_answers import ChatCompletion, ChatCompletionChunk
from flashweb.api.schemas.pictures import MultimodalCompletion
from tests.api.routes import all_routes, send
from tests.house import House, ScriptedEngine, data_url, events_of, open_house, png, user

# One house for all rows: each takes half a second to open.
pytestmark = pytest.mark.asyncio(loop_scope="module")
BASE64 = base64.b64encode(png()).decode()
ALIASES = ("glm-4.6v-flash", "glm-4v-flash-web", "glm-4.6v-flash-web")
AUDIT = {"contains_price": True, "contains_brand_logo": None, "forbidden_words": ["最便宜"]}
ADMIN = {"authorization": "Bearer an-admin-key-of-some-length"}
COMPLETIONS, MULTIPART = "/v1/multimodal/completions", "/v1/multimodal/completions-multipart"
INFERENCE = "/v1/multi-modal/inference"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened() -> AsyncIterator[House]:
    async with open_house(ScriptedEngine(), auth__admin_key=ADMIN["authorization"][7:]) as house:
        yield house


@pytest.fixture
def house(opened: House) -> House:
    opened.engine.answer, opened.engine.error, opened.engine.phase = "a gear", None, "ready"
    return opened


async def test_models_own_name_and_aliases_are_echoed_any_other_is_a_404_and_some_endpoints_need_none(
    house: House,
) -> None:
    asked = {"prompt": "What?", "image": BASE64}
    for name in ("flashweb-nano", *ALIASES):
        for path in ("/v1/chat/completions", COMPLETIONS, INFERENCE):
            body = {**asked, "messages": user("hi"), "model": name}
            answer = await house.post(body, path)
            assert (answer.status_code, answer.json()["model"]) == (200, name)
            assert answer.headers["x-flashweb-model"] == "flashweb-nano"
    for path in ("/v1/chat/completions", COMPLETIONS, INFERENCE, *INFER_PATHS, "/api/scenes/ocr", "/api/audit-image"):
        answer = await house.post({**asked, "messages": user("hi"), "model": "gpt-4o"}, path)
        assert answer.status_code == 404 and "gpt-4o" in answer.text and "glm-4.6v-flash" in answer.text, path
        if path not in INFER_PATHS:
            assert answer.json()["error"]["code"] == "model_not_found"
    for path in (COMPLETIONS, *INFER_PATHS):
        assert (await house.post(asked, path)).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        "What is it?",
        [{"type": "text", "text": "What is it?"}],
        {"type": "text", "text": "What is it?"},
        [{"type": "image_url", "image_url": {"url": data_url(png())}}, {"type": "text", "text": "What is it?"}],
        [
            {"type": "image_url", "image_url": {"url": BASE64}},
            {"type": "image_url", "image_url": data_url(png(84, 56))},
        ],
        {"type": "image_url", "image_url": {"url": data_url(png())}},
    ],
)
async def test_row_chat_completions(house: House, content: Any) -> None:
    """`content` a string, a list or one part object; pictures as data URL or bare base64; several; several turns."""
    turns = [{"role": "user", "content": content}, {"role": "assistant", "content": "It is."}, *user("And now?")]
    more = {"temperature": 2, "top_p": 1, "max_completion_tokens": 9, "response_format": {"type": "text"}}
    for messages in (turns[:1], turns):
        body = {"model": "glm-4.6v-flash", "messages": messages, **more}
        whole = await house.post(body)
        ChatCompletion.model_validate(whole.json(), strict=True)
        assert whole.json()["choices"][0]["finish_reason"] == "stop" and whole.json()["usage"]["completion_tokens"] > 0
        stream = await house.post({**body, "stream": True, "stream_options": {"include_usage": True}})
        *chunks, done = events_of(stream.text)
        assert done == "[DONE]" and chunks[-1]["usage"] == whole.json()["usage"]
        for chunk in chunks:
            ChatCompletionChunk.model_validate(chunk, strict=True)
    cut = await house.post({"messages": turns[:1], "max_tokens": 1})
    assert cut.json()["choices"][0]["finish_reason"] == "length"
    assert (await house.post({"messages": turns[:1], "temperature": 2.1})).status_code == 400


@pytest.mark.parametrize("older", [False, True])
async def test_row_chat_completions_calls_tools_and_the_older_functions(house: House, older: bool) -> None:
    house.engine.answer = "<tool_call>now\n</tool_call>"
    function = {"name": "now", "parameters": {"type": "object", "properties": {}}}
    offered = {"functions": [function]} if older else {"tools": [{"type": "function", "function": function}]}
    (choice,) = (await house.post({"messages": user("the time?"), **offered})).json()["choices"]
    assert choice["finish_reason"] == ("function_call" if older else "tool_calls")
    call = choice["message"]["function_call"] if older else choice["message"]["tool_calls"][0]["function"]
    assert call == {"name": "now", "arguments": "{}"}


@pytest.mark.parametrize(
    "pictures",
    [
        {"image": BASE64}, {"image": data_url(png())}, {"image": [BASE64, BASE64]}, {"image_url": data_url(png())},
    ],
)  # fmt: skip
async def test_row_multimodal_completions(house: House, pictures: Any) -> None:
    body = {"prompt": "What?", **pictures, "max_tokens": 99, "temperature": 0.1, "top_p": 0.5}
    answer = await house.post({**body, "response_format": {"type": "json_object"}}, COMPLETIONS)
    found = answer.json()
    MultimodalCompletion.model_validate(found, strict=True)
    assert {"id", "object", "created", "model", "choices", "usage"} <= set(found)
    assert found["object"] == "multimodal.completion" and set(found["choices"][0]) >= {
        "index",
        "message",
        "finish_reason",
    }
    (_, params, _) = house.engine.asked[-1]
    assert (params.max_tokens, params.temperature, params.top_p) == (99, 0.1, 0.5) and params.structure is not None
    *chunks, done = events_of((await house.post({**body, "stream": True}, COMPLETIONS)).text)
    assert done == "[DONE]" and {chunk["object"] for chunk in chunks} == {"multimodal.completion.chunk"}
    assert all("delta" in choice for chunk in chunks for choice in chunk["choices"])
    both = await house.post({"prompt": "What?", "image": BASE64, "image_url": data_url(png())}, COMPLETIONS)
    assert both.status_code == 400


@pytest.mark.parametrize("path", [MULTIPART, f"{MULTIPART}-multipart"])
async def test_row_multimodal_completions_multipart_and_its_hidden_alias(house: House, path: str) -> None:
    """Fields in any order; the file `image` may repeat; the same parameters as fields; the alias is not described."""
    fields = [
        ("temperature", (None, "0.1")), ("image", ("a.png", png())), ("prompt", (None, "What?")),
        ("image", ("b.png", png(84, 56))), ("max_tokens", (None, "99")),
    ]  # fmt: skip
    for order in (fields, fields[::-1]):
        answer = await house.client.post(path, files=order)
        MultimodalCompletion.model_validate(answer.json(), strict=True)
        prompt, params, _ = house.engine.asked[-1]
        assert len(prompt.spans) == 2 and (params.max_tokens, params.temperature) == (99, 0.1)
    streamed = await house.client.post(path, files=[*fields, ("stream", (None, "true"))])
    assert events_of(streamed.text)[-1] == "[DONE]"
    described = (await house.client.get("/openapi.json")).json()["paths"]
    assert (path in described) == (path == MULTIPART)


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data"])
async def test_row_multi_modal_inference(house: House, kind: str) -> None:
    answer = await send(house, INFERENCE, kind)
    assert set(answer.json()) == {"id", "model", "text", "finish_reason", "usage", "timings_ms"}
    assert set(answer.json()["timings_ms"]) == {
        "fetch", "decode", "preprocess", "queue", "encode", "prefill", "decode_tokens", "total",
    }  # fmt: skip
    raw = (await send(house, INFERENCE, kind, raw=True if kind.endswith("json") else "true")).json()
    assert raw["prompt_token_ids"] == list(house.engine.asked[-1][0].token_ids)
    assert len(raw["output_token_ids"]) == raw["usage"]["completion_tokens"]


@pytest.mark.parametrize("path", INFER_PATHS)
async def test_row_glm_infer_and_infer(house: House, path: str) -> None:
    for kind in ("multipart/form-data", "application/json"):
        found = (await send(house, path, kind)).json()
        assert set(found) == {"result", "code", "cost_time"} and found["result"] == "a gear" and found["code"] == 0
    by_url = await house.post({"prompt": "What?", "image_url": data_url(png())}, path)
    assert by_url.status_code == 200
    for answer, status in (
        (await house.post({"prompt": "What?"}, path), 400),
        (await house.client.get(path), 405),
        (await house.post(b"x", path, headers={"content-type": "video/mp4"}), 415),
    ):
        assert answer.status_code == status and answer.json() == {"code": status, "msg": answer.json()["msg"]}


@pytest.mark.parametrize("path", ["/v1/health", "/health"])
async def test_row_health(house: House, path: str) -> None:
    answer = await house.client.get(path)
    assert (answer.status_code, answer.json()) == (
        200, {"status": "ok", "model_loaded": True, "model": "flashweb-nano"},
    )  # fmt: skip
    for phase in ("loading", "stalled"):
        house.engine.phase = phase
        assert (await house.client.get(path)).status_code == 503


async def test_row_health_live_and_ready(house: House) -> None:
    for phase, ready in (("ready", 200), ("loading", 503), ("stalled", 503)):
        house.engine.phase = phase
        assert (await house.client.get("/health/live")).json() == {"status": "ok"}
        assert (await house.client.get("/health/ready")).status_code == ready


async def test_row_models(house: House) -> None:
    listed = (await house.client.get("/v1/models")).json()
    assert listed["object"] == "list" and [one["id"] for one in listed["data"]] == ["flashweb-nano", *ALIASES]
    for one in listed["data"]:
        assert (await house.client.get(f"/v1/models/{one['id']}")).json() == one
    assert (await house.client.get("/v1/models/nobody")).json()["error"]["code"] == "model_not_found"


async def test_row_docs_and_openapi_json(house: House) -> None:
    """With assets served locally, working under the page's policy."""
    page = await house.client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert page.status_code == 200 and "script-src 'self'" in policy and "unsafe" not in policy
    assert "<style" not in page.text and " style=" not in page.text and page.text.count("<script") == 1
    assets = [part.split('"')[0] for name in ("src", "href") for part in page.text.split(f'{name}="')[1:]]
    assert any(asset.endswith(".js") for asset in assets) and all(asset.startswith("/") for asset in assets)
    for asset in assets:
        assert (await house.client.get(asset)).status_code == 200
    assert (await house.client.get("/openapi.json")).json()["openapi"].startswith("3.1")


async def test_row_metrics(house: House) -> None:
    answer = await house.client.get("/metrics")
    assert answer.status_code == 200 and "# TYPE vllm:request_success_total counter" in answer.text


async def test_row_scenes(house: House) -> None:
    listed = (await house.client.get("/api/scenes")).json()["scenes"]
    names = [scene["name"] for scene in listed]
    assert names == ["audit", "service", "receipt", "marking", "contract", "inspection", "ocr"]
    said = {"audit": json.dumps(AUDIT), "receipt": '{"amounts": ["1.50"], "total": null}'}
    for scene in listed:
        house.engine.answer = said.get(scene["name"], "some text")
        answer = await house.post({"image": BASE64, "rules": ["no more"]}, f"/api/scenes/{scene['name']}")
        if answer.status_code == 200:
            jsonschema.validate(answer.json(), scene["schema"])
        else:
            assert scene["name"] in ("marking", "contract", "inspection") and answer.json()["detail"]


@pytest.mark.parametrize("field", ["file", "image"])
async def test_row_audit_image(house: House, field: str) -> None:
    house.engine.answer = json.dumps(AUDIT, ensure_ascii=False)
    answer = await house.client.post("/api/audit-image", files={field: ("a.png", png(), "image/png")})
    assert answer.json() == AUDIT
    house.engine.answer = "no object"
    broken = await house.client.post("/api/audit-image", files={field: ("a.png", png(), "image/png")})
    assert broken.status_code == 500 and broken.json()["detail"] == broken.json()["error"]["message"]


async def test_row_admin_status_and_requests(house: House) -> None:
    await house.chat("a private question")
    for path in ("/api/admin/status", "/api/admin/requests"):
        assert (await house.client.get(path)).status_code == 401
        answer = await house.client.get(path, headers=ADMIN)
        assert answer.status_code == 200 and "private" not in answer.text
    assert (await house.client.get("/api/admin/status", headers=ADMIN)).json()["usage"][0]["requests"] > 0


async def test_there_is_no_route_that_the_table_does_not_have(house: House) -> None:
    table = {
        "/v1/chat/completions", COMPLETIONS, MULTIPART, f"{MULTIPART}-multipart", INFERENCE, *INFER_PATHS, "/v1/health",
        "/health", "/health/live", "/health/ready", "/v1/models", "/v1/models/{model_id:path}", "/docs", "/metrics",
        "/api/scenes", "/api/scenes/{name}", "/api/audit-image", "/api/admin/status", "/api/admin/requests",
    }  # fmt: skip
    files = {"/static/{name}", "/assets/{name}", "/samples/{name}"}
    ours = {*PAGE_ROUTES, *files, "/api/admin/requests/{request_id}"}  # the page; ending a request
    # Not rows of the table: section 9 promises them by name, as the work "documents, video, jobs".
    documents_and_jobs = {
        "/v1/responses", "/v1/responses/input_tokens", "/v1/responses/{response_id}",
        "/v1/responses/{response_id}/cancel", "/v1/responses/{response_id}/input_items", "/v1/messages",
        "/v1/messages/count_tokens", "/v1/files", "/v1/files/{file_id}", "/v1/files/{file_id}/content", "/v1/batches",
        "/v1/batches/{batch_id}", "/v1/batches/{batch_id}/cancel", "/api/jobs/{job_id}", "/api/jobs/{job_id}/result",
    }  # fmt: skip
    # Came with that work: what batches may ask beside chats, and what clients cut their documents by.
    beside_them = {"/v1/completions", "/tokenize", "/detokenize"}
    assert {route.path for route in all_routes()} == table | ours | documents_and_jobs | beside_them
