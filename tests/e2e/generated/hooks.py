"""What schemathesis is told beside the API's description. Loaded by its command line (SCHEMATHESIS_HOOKS)."""

from __future__ import annotations

import atexit
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.transport.serialization import Binary

from tests.house import data_url, png

PICTURE = png(8, 8)
ANSWERED: Counter[str] = Counter()  # "POST /infer 400" -> how often
BROKEN_PROMISES = ("invalid_answer", "incomplete_answer")


@schemathesis.check
def no_server_error_but_a_broken_promise(ctx: Any, response: Any, case: Any) -> None:
    """A scene promises an object. The echo engine repeats the question whatever was promised, and an answer may be cut
    by the request's own max_tokens: both are a 500 by the contract (never half an object)."""
    if response.status_code >= 500:
        assert case.operation.path.startswith("/api/"), response.text
        assert response.json()["error"]["code"] in BROKEN_PROMISES, response.text


def with_a_real_picture(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """A valid request about pictures: any text fits the description of `image`, few are a picture, and one of `image`
    and `image_url` is enough. What schemas can be enforced is tests/structured's business."""
    body = case.body
    if case.meta is None or not case.meta.generation.mode.is_positive or not isinstance(body, dict):
        return
    body.pop("response_format", None)
    if case.media_type == "multipart/form-data":
        body["image"] = [Binary(PICTURE)]
        body.pop("image_url", None)
        body.pop("file", None)
    elif body.get("image_url") is not None and body.get("image") is None:
        body["image_url"] = data_url(PICTURE)
    elif "messages" not in body:
        body["image"] = data_url(PICTURE)
        body.pop("image_url", None)


if os.environ.get("REAL_PICTURES"):
    schemathesis.hook("before_call")(with_a_real_picture)


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Also what the checks themselves sent, such as a request without its key."""
    ANSWERED[f"{case.method.upper()} {case.operation.path} {response.status_code}"] += 1


def write_answered() -> None:
    Path(os.environ["ANSWERED_FILE"]).write_text(json.dumps(dict(sorted(ANSWERED.items()))))


atexit.register(write_answered)
