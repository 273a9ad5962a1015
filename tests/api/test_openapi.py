"""The API's own description: complete, and true to the wire models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flashweb.api.examples import CHAT_FIELDS, CHAT_REQUESTS
from flashweb.api.schemas import ChatRequest
from tests.house import open_house

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
