"""Chat completions with the bundled model behind a real server: parameters that change what is generated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Running, Start
from tests.house import data_url, png, processor

pytestmark = pytest.mark.slow
QUESTION = "What is in this image?"


@pytest.fixture
def nano(start: Start) -> Iterator[Running]:
    yield start("--threads", "1")


def ask(server: Running, *turns: dict[str, Any], picture: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    part = picture or {"type": "image_url", "image_url": {"url": data_url(png(112, 112, grey=200))}}
    question = {"role": "user", "content": [part, {"type": "text", "text": QUESTION}]}
    body = {"messages": [question, *turns], "max_tokens": 24, "temperature": 0, **more}
    response = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=120)
    assert response.status_code == 200, response.text
    return dict(response.json())


def text(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


def test_parameters_change_what_the_bundled_model_says_as_documented(nano: Running) -> None:
    whole = text(ask(nano))
    assert len(whole.split()) > 3

    # An open turn goes on exactly where the model itself would have gone on.
    begun = " ".join(whole.split()[:2])
    rest = text(ask(nano, {"role": "assistant", "content": begun}, continue_final_message=True))
    assert (begun + rest).startswith(whole)

    # Cut before the stop text, or behind it.
    word = whole.split()[2]
    assert text(ask(nano, stop=word)) == whole.partition(word)[0]
    assert text(ask(nano, stop=[word], include_stop_str_in_output=True)) == whole.partition(word)[0] + word

    # The likeliest first token is not taken when it is forbidden.
    first = ask(nano, max_tokens=1, logprobs=True, top_logprobs=2)["choices"][0]["logprobs"]["content"][0]
    assert first["token"] == first["top_logprobs"][0]["token"] and first["logprob"] <= 0
    (token_id,) = processor().tokenizer.encode(first["token"])
    assert not text(ask(nano, logit_bias={str(token_id): -100})).startswith(first["token"])

    # The end token is passed over until the answer is long enough.
    long = httpx.post(
        f"{nano.url}/v1/chat/completions",
        json={"messages": [{"role": "user", "content": "hi"}], "max_tokens": 12, "min_tokens": 12, "ignore_eos": True},
        timeout=120,
    ).json()
    assert (long["usage"]["completion_tokens"], long["choices"][0]["finish_reason"]) == (12, "length")

    # The same seed is the same answer, for every choice; sampling without one is not bound to it.
    one, two = (ask(nano, temperature=1.5, seed=5, n=2)["choices"] for _ in range(2))
    assert [choice["message"]["content"] for choice in one] == [choice["message"]["content"] for choice in two]
    assert text(ask(nano, temperature=1.5, top_k=1, seed=1)) == whole
    assert text(ask(nano, temperature=1.5, min_p=1, seed=1)) == whole

    # A picture by name is the picture, and the prefix cache knows it.
    named = {"type": "image_url", "image_url": {"url": data_url(png(112, 112, grey=200))}, "uuid": "grey"}
    ask(nano, picture=named)
    again = ask(nano, picture={**named, "image_url": None})
    assert text(again) == whole
    details = again["usage"]["prompt_tokens_details"]
    assert details["cached_tokens"] > 0 and details["images"][0]["source_width"] == 112
