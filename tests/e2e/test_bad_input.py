"""Bad requests against a real server with the real engine: a 4xx, the engine alive, the neighbour's answer the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.test_bad_requests import BAD, FIELDS, JSON
from tests.e2e.conftest import Running, Start
from tests.house import png, user

pytestmark = pytest.mark.slow


@pytest.fixture
def nano(start: Start) -> Iterator[Running]:
    yield start("--threads", "1", "--max-num-seqs", "4")


def send(url: str, body: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{url}/v1/chat/completions", content=content, timeout=60)


def neighbour(url: str) -> Any:
    answer = send(url, {"messages": user("What do you read?", png(112, 112)), "max_tokens": 8})
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"]


def test_nothing_on_the_list_disturbs_the_engine_or_a_neighbour(nano: Running) -> None:
    before = neighbour(nano.url)
    for name, (body, _, words) in BAD.items():
        answer = send(nano.url, body)
        assert answer.status_code == 400, f"{name}: {answer.status_code} {answer.text}"
        assert words in answer.json()["error"]["message"], name
    assert neighbour(nano.url) == before
    assert "Traceback" not in nano.text


# Values at and over every edge, and combinations that contradict each other; the small ones finish quickly.
EDGES: dict[str, st.SearchStrategy[Any]] = {
    "max_tokens": st.sampled_from([1, 2, 3, 0, -1, 1 << 31, 1 << 63, None]),
    "min_tokens": st.sampled_from([0, 1, 2, 3, 4, -1, None]),
    "temperature": st.sampled_from([0, 1e-9, 0.7, 2, -0.0, 2.0001, None]),
    "top_p": st.sampled_from([1e-9, 0.5, 1, 0, 1.1]),
    "top_k": st.sampled_from([-1, 0, 1, 50, 1 << 24, 1 << 40]),
    "min_p": st.sampled_from([0, 0.5, 1]),
    "n": st.sampled_from([1, 2, 8, 9]),
    "presence_penalty": st.sampled_from([-2, 0, 2]),
    "frequency_penalty": st.sampled_from([-2, 0, 2]),
    "repetition_penalty": st.sampled_from([1e-6, 0.01, 0.5, 1, 2, 10]),
    "seed": st.sampled_from([0, -1, (1 << 63) - 1, -(1 << 63), 1 << 63]),
    "stop": st.sampled_from(["\n", "\x00", "\ufffd", ["a"] * 16, [], "<|image|>"]),
    "stop_token_ids": st.sampled_from([[0], [4437], [4438], [1 << 23], []]),
    "logit_bias": st.sampled_from([{"0": -100}, {"4437": 100}, {str(i): -100 for i in range(300)}, {"4438": 1}]),
    "logprobs": st.booleans(),
    "top_logprobs": st.sampled_from([0, 1, 20, 21]),
    "ignore_eos": st.booleans(),
    "stream": st.booleans(),
    "chat_template_kwargs": st.sampled_from([{"enable_thinking": True}, {}, {"chat_template": "{{ 1/0 }}"}]),
}


def test_no_combination_of_parameters_kills_the_engine(nano: Running) -> None:
    before = neighbour(nano.url)
    text = st.sampled_from(["", " ", "hi", "\x00", "<|image|><|video|>", "🙂" * 5, "\u202e", "a" * 500])
    asked = st.fixed_dictionaries({}, optional=EDGES)
    wild = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3)

    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(text, asked, wild, st.booleans(), st.integers(0, 9))
    def run(said: str, given_: dict[str, Any], odd: dict[str, Any], with_picture: bool, oddness: int) -> None:
        parts: list[str | bytes] = [said, png(30, 40)] if with_picture else [said]
        body = {"max_tokens": 3, **given_, **(odd if oddness == 0 else {})}
        answer = send(nano.url, {"messages": user(*parts), **body})
        assert answer.status_code in (200, 400, 404), f"{body}: {answer.status_code} {answer.text}"
        assert '"code":"internal_error"' not in answer.text and '"code":"engine_died"' not in answer.text

    run()
    assert neighbour(nano.url) == before
    assert "Traceback" not in nano.text
