"""What schemathesis is told beside the API's description. Loaded by its command line (SCHEMATHESIS_HOOKS)."""

from __future__ import annotations

import atexit
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis.transport.serialization import Binary

from tests.house import data_url, png

ARE_PICTURES_REAL = bool(os.environ.get("REAL_PICTURES"))
PICTURE = png(8, 8)
# Of a form with a picture, what may come beside it.
DESCRIBED = {"prompt", "model", "enhance", "max_tokens", "temperature", "top_p", "seed", "stop", "stream", "raw"}
ANSWERED: Counter[str] = Counter()  # "POST /infer 400" -> how often
BROKEN_PROMISES = ("invalid_answer", "incomplete_answer")


@schemathesis.check
def no_server_error_but_a_broken_promise(ctx: Any, response: Any, case: Any) -> None:
    """A scene promises an object. The echo engine repeats the question whatever was promised, and an answer may be cut
    by the request's own max_tokens: both are a 500 by the contract (never half an object)."""
    if response.status_code >= 500:
        assert case.operation.path.startswith("/api/"), response.text
        assert response.json()["error"]["code"] in BROKEN_PROMISES, response.text


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Where asked for, real pictures in what is valid: any text fits the description of `image`, few are a picture, and
    one of `image`, `image_url` and `file_id` is enough; `pages` is a text that has to make sense. Which schemas can be
    enforced is tests/structured's business."""
    if _is_valid(case) and "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = str(uuid4())  # one that came with another body would rightly be refused
    body = case.body
    if not (ARE_PICTURES_REAL and _is_valid(case) and isinstance(body, dict)) or "messages" in body:
        return
    for name in ("response_format", "file_id", "pages"):
        body.pop(name, None)
    if case.media_type == "multipart/form-data":
        # Unknown fields are ignored, but not one that comes twice, or whose name is none that a form can have.
        for name in [name for name in body if name not in DESCRIBED]:
            del body[name]
        body["image"] = [Binary(PICTURE)]
    elif body.get("image_url") is not None and body.get("image") is None:
        body["image_url"] = data_url(PICTURE)
    else:
        body["image"] = data_url(PICTURE)
        body.pop("image_url", None)


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Also of what the checks themselves sent, such as a request without its key."""
    ANSWERED[f"{case.method.upper()} {case.operation.path} {response.status_code}"] += 1
    image = case.body.get("image") if isinstance(case.body, dict) else None
    if isinstance(image, list) and any(isinstance(one, Binary) and one.data == PICTURE for one in image):
        # What has files and was changed by a hook counts as invalid, as schemathesis cannot look into files.
        case.meta.generation.mode = schemathesis.GenerationMode.POSITIVE


def _is_valid(case: Any) -> bool:
    return case.meta is not None and bool(case.meta.generation.mode.is_positive)


def write_answered() -> None:
    Path(os.environ["ANSWERED_FILE"]).write_text(json.dumps(dict(sorted(ANSWERED.items()))))


atexit.register(write_answered)
