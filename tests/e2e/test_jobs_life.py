"""Batches and background responses of a real server whose processes are killed, through the official client."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.conftest import Running, Start
from tests.house import data_url, png, user
from tests.jobs.brokers import postgres_server, redis_server
from tests.servers import wait_until_ready


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def jobs_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    with postgres_server() if request.param == "postgres" else redis_server() as broker:
        yield broker.url


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_service(running: Running) -> None:
    """Every process of it, at once and without warning."""
    for pid in (running.process.pid, *children_of(running.process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.process.wait(10)


def kill_engine(running: Running) -> None:
    for pid in children_of(running.process.pid):
        os.kill(pid, signal.SIGKILL)


def picture_requests(num: int) -> bytes:
    lines = []
    for n in range(num):
        body = {"messages": user("What is this?", png(grey=n % 256, width=56 + 28 * (n // 256))), "max_tokens": 4}
        line = {"custom_id": f"r{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        lines.append(json.dumps(line).encode() + b"\n")
    return b"".join(lines)


def client_of(running: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="not-needed", max_retries=10)


def wait_for_completed(client: openai.OpenAI, id: str, num: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(openai.APIConnectionError):
            batch = client.batches.retrieve(id)
            assert batch.status in ("validating", "in_progress", "finalizing", "completed"), batch
            counts = batch.request_counts
            assert counts is not None
            if counts.completed >= num and (batch.status == "completed" or num < counts.total):
                return
        time.sleep(0.05)
    raise AssertionError(f"{num} were not answered in {seconds} s: {client.batches.retrieve(id)}")


def check_answers(client: openai.OpenAI, id: str, num: int) -> None:
    """Every request has its one answer."""
    batch = client.batches.retrieve(id)
    counts = batch.request_counts
    assert counts is not None and (counts.total, counts.completed, counts.failed) == (num, num, 0), batch
    assert batch.error_file_id is None and batch.output_file_id is not None
    lines = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert [line["custom_id"] for line in lines] == [f"r{n}" for n in range(num)]
    assert {line["response"]["status_code"] for line in lines} == {200}
    assert len({line["response"]["request_id"] for line in lines}) == num


def make_batch(client: openai.OpenAI, num: int) -> str:
    file = client.files.create(file=("in.jsonl", picture_requests(num)), purpose="batch")
    made = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert made.id in {one.id for one in client.batches.list(limit=5)}
    assert client.files.delete(file.id).deleted  # the batch has its own copy
    return made.id


@pytest.mark.parametrize("workers", ["1", pytest.param("3", marks=pytest.mark.slow)])
def test_a_batch_survives_the_kill_of_the_whole_service(start: Start, tmp_path: Path, workers: str) -> None:
    flags = ("--engine", "echo", "--data-dir", str(tmp_path / "data"), "--workers", workers)
    running = start(*flags)
    id = make_batch(client_of(running), 12)
    time.sleep(0.2)
    kill_service(running)
    running = start(*flags, port=running.port)
    client = client_of(running)
    wait_for_completed(client, id, 12, 60)
    check_answers(client, id, 12)


@pytest.mark.slow
def test_a_large_batch_survives_three_kills_of_the_whole_service(
    start: Start, tmp_path: Path, jobs_url: str | None
) -> None:
    num, flags = 500, ["--data-dir", str(tmp_path / "data"), *(["--jobs-url", jobs_url] if jobs_url else [])]
    running = start(*flags)
    id = make_batch(client_of(running), num)
    for share in (0.1, 0.4, 0.7):
        wait_for_completed(client_of(running), id, int(share * num), 600)
        kill_service(running)
        running = start(*flags, port=running.port)
    client = client_of(running)
    wait_for_completed(client, id, num, 900)
    check_answers(client, id, num)


@pytest.mark.slow
def test_a_large_batch_survives_three_kills_of_the_engine(start: Start, tmp_path: Path) -> None:
    num = 500
    running = start("--data-dir", str(tmp_path / "data"))
    client = client_of(running)
    id = make_batch(client, num)
    for share in (0.1, 0.4, 0.7):
        wait_for_completed(client, id, int(share * num), 600)
        kill_engine(running)
        wait_until_ready(running.url, running.process, 120)
    wait_for_completed(client, id, num, 900)
    check_answers(client, id, num)


def make_responses(client: openai.OpenAI, num: int) -> list[str]:
    ids = []
    for n in range(num):
        picture = {"type": "input_image", "image_url": data_url(png(grey=n)), "detail": "auto"}
        asked: list[Any] = [{"role": "user", "content": [{"type": "input_text", "text": "What is this?"}, picture]}]
        made = client.responses.create(model="flashweb-nano", input=asked, background=True, max_output_tokens=6)
        ids.append(made.id)
    return ids


def wait_for_responses(client: openai.OpenAI, ids: list[str], num: int) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        with contextlib.suppress(openai.APIConnectionError):
            told = [client.responses.retrieve(id).status for id in ids]
            assert set(told) <= {"queued", "in_progress", "completed", "incomplete"}, told
            if sum(status in ("completed", "incomplete") for status in told) >= num:
                return
        time.sleep(0.05)
    raise AssertionError(f"{num} were never answered")


@pytest.mark.slow
@pytest.mark.parametrize(("killed", "workers"), [("service", "1"), ("service", "2"), ("engine", "1")])
def test_background_responses_survive_three_kills(
    start: Start, tmp_path: Path, jobs_url: str | None, killed: str, workers: str
) -> None:
    num, flags = 60, ["--data-dir", str(tmp_path / "data"), "--workers", workers, "--threads", "1"]
    flags += ["--jobs-url", jobs_url] if jobs_url else []
    running = start(*flags)
    ids = make_responses(client_of(running), num)
    for share in (0.1, 0.4, 0.7):
        wait_for_responses(client_of(running), ids, int(share * num))
        if killed == "engine":
            kill_engine(running)
            wait_until_ready(running.url, running.process, 120)
        else:
            kill_service(running)
            running = start(*flags, port=running.port)
    client = client_of(running)
    wait_for_responses(client, ids, num)
    for id in ids:  # what is kept is what the events told, and they are of one run alone
        events = list(client.responses.retrieve(id, stream=True))
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert [event.type for event in events].count("response.created") == 1
        told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        last = events[-1]
        assert last.type in ("response.completed", "response.incomplete") and last.response.output_text == told
        assert client.responses.retrieve(id) == last.response
