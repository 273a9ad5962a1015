"""The API's own description: complete, true to the wire models, and a source of requests that never hurt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

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


# Not among them: that whatever fits the schema is accepted. Pictures must be pictures, and values must fit each other.
CHECKS: list[Any] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection,
]  # fmt: skip
ROUTES = {
    "GET /v1/models": 1,
    "GET /v1/models/{model_id}": 10,
    "GET /v1/health": 1,
    "GET /health/live": 1,
}


def attack(url: str, route: str, mode: schemathesis.GenerationMode, num_requests: int) -> None:
    """Generated requests, each answered with a status and a body that the description knows, none with a 5xx."""
    method, path = route.split()
    description = schemathesis.openapi.from_url(f"{url}/openapi.json", timeout=60)
    strategy = description[path][method].as_strategy(generation_mode=mode)

    @given(case=strategy)
    @settings(
        max_examples=num_requests,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    def send(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS, timeout=60)

    send()


@pytest.mark.parametrize("route", ROUTES)
def test_generated_requests_get_documented_answers(echo_server: str, route: str) -> None:
    attack(echo_server, route, schemathesis.GenerationMode.POSITIVE, ROUTES[route])


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_many_generated_chats_get_documented_answers(echo_server: str, mode: schemathesis.GenerationMode) -> None:
    attack(echo_server, "POST /v1/chat/completions", mode, 500)
