"""Requests generated from the API's own description, against a real server: no 5xx, no answer it does not describe."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

pytestmark = pytest.mark.slow
ROUTES = {
    "POST /v1/multimodal/completions": 100,
    "POST /v1/multi-modal/inference": 100,
    "POST /infer": 100,
    "GET /api/scenes": 1,
    "POST /v1/chat/completions": 200,
    "POST /v1/completions": 40,
    "POST /v1/messages": 40,
    "POST /v1/messages/count_tokens": 20,
    "POST /tokenize": 20,
    "POST /detokenize": 20,
    "GET /v1/models": 1,
    "GET /v1/models/{model_id}": 20,
    "GET /v1/health": 1,
    "GET /health/live": 1,
}


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("route", ROUTES)
def test_generated_requests_get_documented_answers(echo_server: str, route: str, mode: str) -> None:
    schemathesis = pytest.importorskip("schemathesis")  # here: it takes as long to import as many tests to run
    method, path = route.split()
    operation = schemathesis.openapi.from_url(f"{echo_server}/openapi.json", timeout=60)[path][method]
    fields = [parameter for parameter in operation.iter_parameters() if parameter.location != "path"]
    if mode == "negative" and not (operation.body or fields):
        pytest.skip("this route takes nothing that could be wrong: any text is a name")

    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    @settings(
        max_examples=ROUTES[route],
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    def send(case: Any) -> None:
        case.call_and_validate(base_url=echo_server, checks=_checks(), timeout=60)

    send()


def _checks() -> list[Any]:
    """Not among them: that whatever fits the schema is accepted. Pictures must be pictures, and values must fit each
    other."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    return [
        not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
        checks.response_headers_conformance, checks.response_schema_conformance, checks.negative_data_rejection,
    ]  # fmt: skip
