"""On a GPU answers held to a structure are the CPU's, beside free ones, and the free ones stay what they are alone."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests.e2e.conftest import Start

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

AMOUNTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "contains_price": {"type": "boolean"},
        "amounts": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 6},
        "largest": {"type": ["string", "null"]},
    },
    "required": ["contains_price", "amounts", "largest"],
    "additionalProperties": False,
}
TOTAL = {"type": "function", "function": {"name": "book", "parameters": AMOUNTS}}
FIELDS: dict[str, dict[str, Any]] = {
    "free": {},
    "free with logprobs": {"logprobs": True, "top_logprobs": 3},
    "free and biased": {"repetition_penalty": 1.05, "logit_bias": {"100": 1.5}},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": AMOUNTS}}},
    "object": {"response_format": {"type": "json_object"}},
    "choice": {"structured_outputs": {"choice": ["a receipt", "a poster", "a worksheet"]}},
    "regex": {"structured_outputs": {"regex": "[A-Z][a-z ]{3,20}\\."}},
    "call": {"tools": [TOTAL], "tool_choice": "required"},
    "thinking": {
        "chat_template_kwargs": {"enable_thinking": True}, "thinking_token_budget": 30,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": AMOUNTS}},
    },
}  # fmt: skip
PICTURES = ("receipt.png", "worksheet.png")


async def ask(client: httpx.AsyncClient, picture: bytes, fields: dict[str, Any]) -> Any:
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "List every amount."}]
    body = {"messages": [{"role": "user", "content": parts}], "temperature": 0, "max_tokens": 120, **fields}
    answer = await client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    choice = answer.json()["choices"][0]
    message = choice["message"]
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return message["content"], message.get("reasoning_content"), calls, choice["finish_reason"]


async def answers_of(url: str, pictures: dict[str, bytes], at_once: int) -> dict[tuple[str, str], Any]:
    """By the name of the fields and of the picture."""
    gate = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(base_url=url, timeout=300) as client:

        async def one(kind: str, name: str) -> Any:
            async with gate:
                return await ask(client, pictures[name], FIELDS[kind])

        keys = [(kind, name) for name in pictures for kind in FIELDS]
        return dict(zip(keys, await asyncio.gather(*(one(*key) for key in keys)), strict=True))


@pytest.mark.parametrize("speculation", ["off", "on"])
async def test_held_and_free_answers_in_one_batch_are_the_cpus_alone(
    start: Start, root: Path, speculation: str
) -> None:
    pictures = {name: (root / "examples" / name).read_bytes() for name in PICTURES}
    slow = start("--device", "cpu", "--dtype", "float32")
    expected = await answers_of(slow.url, pictures, at_once=1)
    fast = start("--device", "cuda", "--dtype", "float32", "--speculation", speculation)
    for _ in range(2):  # the second time from the prefix cache
        assert await answers_of(fast.url, pictures, at_once=len(expected)) == expected
    for name in pictures:
        jsonschema.validate(json.loads(expected["schema", name][0]), AMOUNTS)
        (call,) = expected["call", name][2]
        jsonschema.validate(json.loads(call["arguments"]), AMOUNTS)
        assert expected["choice", name][0] in FIELDS["choice"]["structured_outputs"]["choice"]
