"""The API's own description: complete, and true to the wire models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flashweb.api.examples import CHAT_FIELDS, CHAT_REQUESTS
from flashweb.api.schemas import MAX_TOKENS, ChatRequest
from tests.house import ScriptedEngine, data_url, open_house, png

NAMES_ENOUGH = {"type", "role", "object", "owned_by"}  # one fixed value each


@pytest.fixture
async def document() -> AsyncIterator[dict[str, Any]]:
    async with open_house() as house:
        yield (await house.client.get("/openapi.json")).json()


def test_every_example_is_a_request_that_is_accepted() -> None:
    for _, body in CHAT_REQUESTS.values():
        ChatRequest.model_validate(body)
    for name, value in CHAT_FIELDS.items():
        assert getattr(ChatRequest.model_validate({**CHAT_REQUESTS["text"][1], name: value}), name) is not None


@pytest.mark.parametrize("name", CHAT_REQUESTS)
async def test_every_example_is_answered(name: str) -> None:
    async with open_house() as house:
        response = await house.post(CHAT_REQUESTS[name][1])
    assert response.status_code == 200, response.text


async def test_every_field_is_described_and_every_field_of_a_request_has_an_example(document: dict[str, Any]) -> None:
    models = document["components"]["schemas"]
    bare = [
        f"{model}.{name}"
        for model, schema in models.items()
        for name, field in schema.get("properties", {}).items()
        if "description" not in field and "$ref" not in field and name not in NAMES_ENOUGH
    ]
    assert not bare
    fields = models["ChatRequest"]["properties"]
    assert not [name for name, field in fields.items() if not field.get("examples")]


async def test_every_response_names_its_headers_and_every_error_its_envelope(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                assert "x-request-id" in response["headers"], (path, status)
    responses = document["paths"]["/v1/chat/completions"]["post"]["responses"]
    assert {"x-flashweb-model", "x-flashweb-warning"} <= responses["200"]["headers"].keys()
    for status in responses.keys() - {"200"}:
        assert responses[status]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorBody")
    assert "retry-after" in responses["503"]["headers"]


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/chat/completions", {"max_tokens": 5.0, "n": 1.0, "seed": 7.0, "top_k": 3.0, "stop_token_ids": [9.0]}),
        ("/v1/multimodal/completions", {"max_tokens": 5.0, "seed": 7.0}),
        ("/infer", {"max_tokens": 5e0}),
    ],
)
async def test_a_whole_number_may_be_written_with_a_point(path: str, more: dict[str, Any]) -> None:
    """JSON Schema counts 5.0 among the integers, and some languages have no other numbers."""
    body = {"prompt": "hi", "image": data_url(png()), "messages": [{"role": "user", "content": "hi"}], **more}
    async with open_house(ScriptedEngine("one two three four five six seven")) as house:
        answer = await house.post(body, path)
        params = house.engine.asked[-1][1] if house.engine.asked else None
        refused = await house.post({**body, "max_tokens": 5.5}, path)
    assert answer.status_code == 200 and params is not None, answer.text
    assert params.max_tokens == 5 and type(params.max_tokens) is int
    assert refused.status_code == 400 and "whole number" in refused.text


async def test_pictures_and_a_text_take_the_same_fields_as_a_chat(document: dict[str, Any]) -> None:
    models = document["components"]["schemas"]
    chat = models["ChatRequest"]["properties"]
    for name in ("CompletionRequest", "InferenceRequest", "PromptRequest"):
        for field in ("max_tokens", "temperature", "top_p", "seed", "stop", "response_format", "enhance"):
            assert models[name]["properties"][field]["anyOf"] == chat[field]["anyOf"], f"{name}.{field}"
    (count, _) = chat["max_tokens"]["anyOf"]
    assert (count["type"], count["minimum"], count["maximum"]) == ("integer", 1, MAX_TOKENS)


@pytest.mark.parametrize("path", ["/v1/multimodal/completions", "/v1/multi-modal/inference", "/infer"])
async def test_a_schema_beside_pictures_is_the_one_that_was_sent(path: str) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "string"}}, "required": ["total"]}
    form = {"type": "json_schema", "json_schema": {"name": "total", "schema": schema, "strict": True}}
    async with open_house(ScriptedEngine('{"total": "1"}')) as house:
        answer = await house.post({"prompt": "hi", "image": data_url(png()), "response_format": form}, path)
        (_, params, _) = house.engine.asked[-1]
    assert answer.status_code == 200 and params.structure is not None
    assert '"total"' in params.structure.source
