"""`GET /metrics`: counts after known requests, whatever state the engine is in, whoever asks and with what."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from flashweb.engine import EngineState
from flashweb.errors import EngineDied
from flashweb.observe.engine_metrics import ServerFacts
from flashweb.observe.metrics import Metrics
from tests.house import ScriptedEngine, Upload, make_app, open_house, png, until
from tests.samples import Samples, read, value

FINISHED = "vllm:request_success_total"
FACTS = ServerFacts("1.2.3", is_ready=True)


async def scrape(client: httpx.AsyncClient) -> Samples:
    answer = await client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return read(answer.text)


async def test_answers_are_counted_by_how_they_ended_and_timed_when_they_came_to_an_end() -> None:
    async with open_house(ScriptedEngine("one two three")) as house:
        await house.chat("hi")
        await house.chat("hi", stream=True)
        await house.chat("hi", max_tokens=1, n=2)
        house.engine.error = EngineDied("gone")
        assert (await house.chat("hi")).status_code == 503
        house.engine.error, house.engine.stay = None, True
        upload = Upload(make_app(house.pipeline))
        asking = upload.begin()
        upload.body(b'{"messages": [{"role": "user", "content": "hi"}]}')
        await until(lambda: house.engine.num_running == 1)
        upload.leave()
        await asking
        assert (await house.chat("hi", temperature=9)).status_code == 400
        samples = await scrape(house.client)
    ended = {labels["finished_reason"]: number for labels, number in samples[FINISHED]}
    assert ended == {"stop": 2, "length": 2, "tool_calls": 0, "error": 1, "abort": 1}
    for name in ("vllm:time_to_first_token_seconds", "vllm:e2e_request_latency_seconds", "vllm:request_params_n"):
        assert value(samples, f"{name}_count") == 4
    assert value(samples, "vllm:request_params_n_sum") == 1 + 1 + 2 + 2
    assert value(samples, "vllm:request_time_per_output_token_seconds_count") == 2  # one token has no time between
    assert value(samples, "vllm:request_generation_tokens_bucket", le="1.0") == 2
    by_status = {labels["status"]: number for labels, number in samples["http_requests_total"]}
    assert by_status == {"200": 3, "503": 1, "400": 1, "499": 1}
    assert {labels["handler"] for labels, _ in samples["http_requests_total"]} == {"/v1/chat/completions"}


async def test_what_is_refused_at_the_door_is_counted_by_why() -> None:
    gate = asyncio.Event()
    gate.set()  # for the warm-up
    async with open_house(ScriptedEngine(gate=gate), server__limit_concurrency=1) as house:
        gate.clear()
        running = asyncio.create_task(house.chat("hi"))
        await until(lambda: house.engine.num_running == 1)
        assert (await house.chat("hi")).status_code == 503
        gate.set()
        await running
        house.engine.phase = "stalled"
        assert (await house.chat("hi")).status_code == 503
        samples = await scrape(house.client)
    refused = {labels["reason"]: number for labels, number in samples["flashweb:requests_refused_total"] if number}
    assert refused == {"full": 1, "stalled": 1}
    assert value(samples, "vllm:admission_rejections_total", reason="max_num_queued_reqs") == 1
    assert sum(number for _, number in samples[FINISHED]) == 1


async def test_pictures_are_counted_and_one_that_comes_again_is_a_hit() -> None:
    async with open_house(ScriptedEngine()) as house:
        before = await scrape(house.client)
        for _ in range(2):
            assert (await house.chat("what is it?", png(112, 56, grey=77))).status_code == 200
        assert (await house.chat("and this?", b"no picture")).status_code == 400
        samples = await scrape(house.client)
    assert value(before, "flashweb:images_total") == 0  # the warm-up's is nobody's
    assert value(samples, "flashweb:images_total") == 2
    assert value(samples, "flashweb:image_pixels_total") == 2 * 112 * 56
    assert value(samples, "flashweb:image_bytes_total") == 2 * len(png(112, 56, grey=77))
    assert value(samples, "flashweb:image_tokens_total") > 0
    assert value(samples, "flashweb:image_decode_seconds_count") == 1
    assert value(samples, "flashweb:image_preprocess_seconds_count") == 1
    assert (value(samples, "vllm:mm_cache_queries_total"), value(samples, "vllm:mm_cache_hits_total")) == (2, 1)


async def test_a_fetch_is_counted_by_how_it_ended() -> None:
    picture = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/secret-name.png"}}
    async with open_house(ScriptedEngine()) as house:
        answer = await house.post({"messages": [{"role": "user", "content": [picture]}]})
        assert answer.status_code == 400
        text = (await house.client.get("/metrics")).text
    outcomes = {labels["outcome"]: number for labels, number in read(text)["flashweb:image_fetch_total"] if number}
    assert outcomes == {"refused": 1}
    assert "secret-name" not in text


@pytest.mark.parametrize("phase", ["off", "loading", "stalled", "dead", "stopped"])
async def test_it_answers_and_says_so_while_the_engine_does_not(phase: str) -> None:
    async with open_house(ScriptedEngine()) as house:
        house.engine.phase = phase
        samples = await scrape(house.client)
        house.engine.phase = "ready"
        again = await scrape(house.client)
    states = {labels["state"]: number for labels, number in samples["flashweb:engine_state"] if number}
    assert states == {phase: 1}
    assert (value(samples, "flashweb:engine_up"), value(samples, "flashweb:ready")) == (0, 0)
    assert (value(again, "flashweb:engine_up"), value(again, "flashweb:ready")) == (1, 1)


async def test_nothing_a_caller_sends_becomes_a_label() -> None:
    hostile = "x\"}\n1 % {évil='"
    async with open_house(ScriptedEngine()) as house:
        before = {name: len(series) for name, series in (await scrape(house.client)).items()}
        for number in range(5):
            await house.client.get(f"/v1/nothing-{number}")
            await house.client.get(f"/v1/models/model-{number}", headers={"authorization": f"Bearer key-{number}"})
            await house.client.request(f"BREW{number}", "/v1/models")
            await house.post({"model": f"name-{number}", "messages": []})
            await house.chat("hi", user=f"user-{number}")
        accept = {"accept": "application/openmetrics-text; version=99.0.0, ;;;q=x", "accept-encoding": "br,\x7f"}
        answer = await house.client.get("/metrics", params={"name[]": hostile}, headers=accept)
    assert answer.status_code == 200 and "vil" not in answer.text
    samples = read(answer.text)
    grown = {name for name, series in samples.items() if len(series) > before.get(name, 0)}
    assert all(name.startswith("http_request") for name in grown)
    handlers = {labels["handler"] for labels, _ in samples["http_requests_total"]}
    assert handlers == {"none", "/v1/models", "/v1/models/{model_id:path}", "/v1/chat/completions"}
    assert {labels["method"] for labels, _ in samples["http_requests_total"]} == {"GET", "POST", "OTHER"}


def test_the_document_lists_every_metric_with_its_type(root: Path) -> None:
    state = EngineState("ready", process_id=os.getpid())
    found: dict[str, str] = {}
    for collector in Metrics("m").collectors(state, FACTS):
        for family in collector.collect():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            if not re.match(r"(flashweb_engine_)?process_", name):
                found[name] = family.type
    text = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \|[^|]*\| [^|]+ \|$", text, re.MULTILINE)
    assert len(rows) == len(dict(rows)) == text.count("\n| `")
    assert dict(rows) == found


def test_the_engines_process_is_shown_beside_our_own() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        samples = read(Metrics("m").exposition(EngineState("ready", process_id=other.pid), FACTS).decode())
        other.communicate(b"\n")
    alone = read(Metrics("m").exposition(EngineState("dead"), FACTS).decode())
    assert value(samples, "process_resident_memory_bytes") > 0
    assert "flashweb_engine_process_cpu_seconds_total" in samples
    assert not [name for name in alone if name.startswith("flashweb_engine_process")]


def test_several_web_processes_that_share_a_folder_are_added_up(tmp_path: Path) -> None:
    code = """if True:
        import os
        from flashweb.engine import EngineState
        from flashweb.observe.engine_metrics import ServerFacts
        from flashweb.observe.metrics import Metrics
        metrics = Metrics("m")
        child = os.fork()
        metrics.refused("full")
        metrics.http("/v1/models", "GET", 200, 0.5)
        if not child:
            os._exit(0)
        os.waitpid(child, 0)  # a worker that is gone still counts
        print(metrics.exposition(EngineState("ready", num_running=3), ServerFacts("v", True)).decode())
    """
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    samples = read(done.stdout)
    assert value(samples, "flashweb:requests_refused_total", reason="full") == 2
    assert value(samples, "http_request_duration_seconds_sum", handler="/v1/models") == 1.0
    assert value(samples, "vllm:num_requests_running") == 3  # the engine's own: once
    assert "process_resident_memory_bytes" not in samples
