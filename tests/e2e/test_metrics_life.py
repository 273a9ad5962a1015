"""`GET /metrics` of a real server with the bundled model: loading, requests of every kind, a dead engine."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

import httpx
import psutil

from flashweb.api.schemas.admin import RequestsOut, StatusOut
from tests.e2e.conftest import Start
from tests.house import png, user
from tests.samples import Samples, read, value
from tests.servers import wait_until_ready


def until(client: httpx.Client, is_so: Callable[[Samples], object], seconds: float = 10.0) -> Samples:
    """The samples once they are as expected: the engine tells its own numbers twice a second."""
    deadline = time.monotonic() + seconds
    while not is_so(samples := read(client.get("/metrics").text)):
        assert time.monotonic() < deadline, samples
        time.sleep(0.05)
    return samples


def test_a_servers_life_in_its_metrics(start: Start) -> None:
    server = start("--speculation", "off", "--admin-key", "the-operators", wait=False)
    loading = 0
    with httpx.Client(base_url=server.url, timeout=30) as client:
        while True:
            try:
                samples = read(client.get("/metrics").text)
            except httpx.TransportError:  # it does not listen yet
                time.sleep(0.02)
                continue
            if value(samples, "flashweb:engine_up"):
                break
            loading += value(samples, "flashweb:engine_state", state="loading")
            assert "flashweb:startup_seconds" not in samples and "flashweb:model_info" not in samples
        assert loading
        wait_until_ready(server.url, server.process)
        before = until(client, lambda s: value(s, "vllm:generation_tokens_total") == 2)  # the warm-up's
        stages = {labels["stage"]: seconds for labels, seconds in before["flashweb:startup_seconds"]}
        assert list(stages) == ["imports", "weights", "KV cache", "warm-up", "first answer"]
        assert min(stages.values()) > 0

        usages = [ask(client, "one"), ask(client, "what is it?", png(112, 112, grey=9))]
        usages.append(ask(client, "and now, once more?", png(112, 112, grey=9)))  # other words first: no prefix to find
        leave(client)
        num_prompt = sum(usage["prompt_tokens"] for usage in usages)
        num_answer = sum(usage["completion_tokens"] for usage in usages)

        def grown(samples: Samples, name: str, **labels: str) -> float:
            return value(samples, name, **labels) - value(before, name, **labels)

        until(client, lambda s: value(s, "vllm:request_success_total", finished_reason="abort") == 1)
        samples = until(
            client,
            lambda s: (
                grown(s, "vllm:generation_tokens_total") > num_answer and not value(s, "vllm:num_requests_running")
            ),
        )
        assert value(samples, "vllm:request_success_total", finished_reason="length") == 3
        assert grown(samples, "vllm:prompt_tokens_total") > num_prompt  # the left one's too
        assert value(samples, "vllm:request_prompt_tokens_sum") == num_prompt
        assert value(samples, "vllm:request_generation_tokens_sum") == num_answer
        for name in ("queue_time", "prefill_time", "decode_time", "inference_time"):
            assert value(samples, f"vllm:request_{name}_seconds_count") == 3
        first, whole = "vllm:time_to_first_token_seconds_sum", "vllm:e2e_request_latency_seconds_sum"
        assert (
            0 < value(samples, "vllm:request_prefill_time_seconds_sum") < value(samples, first) < value(samples, whole)
        )
        gaps = grown(samples, "vllm:inter_token_latency_seconds_count")
        assert gaps == grown(samples, "vllm:generation_tokens_total") - 4  # one token a step, the first has none

        assert value(samples, "flashweb:image_encode_seconds_count") == 1
        queries, hits = "flashweb:encoder_cache_queries_total", "flashweb:encoder_cache_hits_total"
        assert (grown(samples, queries), grown(samples, hits)) == (2, 1)
        assert (value(samples, "vllm:mm_cache_queries_total"), value(samples, "vllm:mm_cache_hits_total")) == (2, 1)

        look_as_operator(client, num_prompt)
        (engine,) = psutil.Process(server.process.pid).children()
        assert value(samples, "flashweb_engine_process_resident_memory_bytes") > 0
        os.kill(engine.pid, signal.SIGKILL)
        samples = until(client, lambda s: value(s, "flashweb:engine_up") == 0)
        assert value(samples, "vllm:request_generation_tokens_sum") == num_answer


def ask(client: httpx.Client, *parts: str | bytes) -> dict[str, int]:
    body = {"messages": user(*parts), "max_tokens": 4, "ignore_eos": True, "timings": True}
    answer = client.post("/v1/chat/completions", json=body).raise_for_status()
    timings = answer.json()["timings_ms"]
    stages = sum(timings.values()) - timings["total"]
    assert 0 < timings["prefill"] < stages < timings["total"]  # one picture at most: nothing side by side
    assert f"prefill;dur={timings['prefill']:g}" in answer.headers["server-timing"]
    usage: dict[str, int] = answer.json()["usage"]
    return usage


def look_as_operator(client: httpx.Client, num_prompt: int) -> None:
    """The same life as the operator's endpoints tell it, after three answers and one that was left."""
    assert client.get("/api/admin/status").status_code == 401
    operator = {"authorization": "Bearer the-operators"}
    status = StatusOut.model_validate(client.get("/api/admin/status", headers=operator).json())
    assert (status.status, status.engine.phase, status.engine.restarts) == ("ok", "ready", 0)
    assert status.model.dtype and status.model.weight_bytes > 0 and status.model.max_model_len > 0
    assert status.kv_cache.blocks == status.kv_cache.used + status.kv_cache.free > 0 and status.kv_cache.bytes > 0
    assert status.prefix_cache.queries >= status.prefix_cache.hits
    assert status.encoder_cache.hits == 1 and status.encoder_cache.entries > 0
    assert list(status.start_seconds) == ["imports", "weights", "KV cache", "warm-up", "first answer"]
    (usage,) = status.usage
    assert usage.pictures == 2 and usage.prompt_tokens > num_prompt  # the left one's too
    found = RequestsOut.model_validate(client.get("/api/admin/requests?path=/v1/chat", headers=operator).json())
    left, again, first, plain = found.requests
    assert left.usage.completion_tokens > 0 and left.finish_reasons == []
    assert first.timings_ms is not None and again.timings_ms is not None and plain.timings_ms is not None
    assert first.timings_ms.encode > 0 == again.timings_ms.encode == plain.timings_ms.encode
    assert first.image_hash == again.image_hash and first.image_hash and plain.image_hash is None


def leave(client: httpx.Client) -> None:
    """Asks for a long answer and goes away after its first words."""
    body = {"messages": user("count"), "max_tokens": 2000, "ignore_eos": True, "stream": True}
    with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: ") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                return
