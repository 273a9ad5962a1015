"""A real server from start to end: sockets, ready line, drain, clients that leave, an engine that dies."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from flashweb.engine import EngineClient
from flashweb.serve import engine_config
from tests.e2e.conftest import Listen, Running, Start
from tests.house import NANO, ScriptedEngine, events_of, make_pipeline, make_settings, png, processor, user
from tests.servers import free_port, wait_until_ready

ECHO = ("--engine", "echo")


def get(url: str) -> tuple[int, Any, dict[str, str]]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, json.loads(response.read()), dict(response.headers)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), dict(error.headers)


def chat(url: str, text: str = "hello there", **parameters: Any) -> httpx.Response:
    body = {"messages": user(text), "max_tokens": 8, **parameters}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)


class Reader(threading.Thread):
    """Reads one stream in the background; `begun` is set with its first text."""

    def __init__(self, url: str, **parameters: Any) -> None:
        super().__init__()
        self.url, self.parameters = url, parameters
        self.begun = threading.Event()
        self._pieces: list[str] = []  # not one string: copied with every piece, it lets the reader fall behind
        self.start()
        assert self.begun.wait(30), "the stream never began"

    def run(self) -> None:
        body = {"messages": user("a b c d"), "stream": True, "ignore_eos": True, **self.parameters}
        try:
            with httpx.stream("POST", f"{self.url}/v1/chat/completions", json=body, timeout=60) as response:
                for piece in response.iter_text():
                    self._pieces.append(piece)
                    self.begun.set()
        except httpx.HTTPError:
            pass  # the server went away; the test looks at what had come
        finally:
            self.begun.set()

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    @property
    def events(self) -> list[Any]:
        self.join(60)
        return events_of(self.text)


def test_one_app_answers_on_every_port_and_the_ready_line_names_them(start: Start) -> None:
    page = free_port()
    running = start(*ECHO, "--ui-port", str(page))
    for port in (running.port, page):
        assert get(f"http://127.0.0.1:{port}/health")[0] == 200
    running.wait_for("ready")
    assert f"{running.url}/v1" in running.text and f"http://127.0.0.1:{page}/" in running.text
    _, _, command = running.text.partition("For other machines: stop this one (Ctrl-C), then start it with: ")
    typed = [sys.executable, "-m", "flashweb", "serve", "--port", str(running.port)]
    assert command.startswith(shlex.join(typed)) and command.splitlines()[0].endswith(" --host 0.0.0.0")


def test_a_second_start_says_already_running_and_ends_with_0(start: Start) -> None:
    first = start(*ECHO)
    second = start(*ECHO, port=first.port, wait=False)
    assert second.process.wait(30) == 0
    assert "already running: flashweb-nano" in second.text and first.url in second.text
    assert get(f"{first.url}/health")[0] == 200


def test_a_port_that_somebody_else_holds_is_a_clear_error(start: Start) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05}).start()
        running = start(*ECHO, port=other.server_address[1], wait=False)
        try:
            assert running.process.wait(30) == 3
        finally:
            other.shutdown()
    assert "cannot listen on" in running.text and "--port" in running.text


def test_a_busy_page_port_is_a_log_line_and_the_server_starts(start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        running = start(*ECHO, "--ui-port", str(other.getsockname()[1]))
        assert get(f"{running.url}/health")[0] == 200
    assert "not available" in running.text


def test_opening_the_server_to_others_warns_so_that_nobody_can_miss_it(start: Start) -> None:
    running = start(*ECHO, "--host", "0.0.0.0")
    running.wait_for("ready")
    assert "!!! OPEN TO EVERY MACHINE" in running.text
    assert "0.0.0.0" not in running.text.partition("!!!")[0]


def test_an_unknown_flag_ends_with_the_nearest_one(start: Start) -> None:
    running = start("--limit-concurrancy", "3", wait=False)
    assert running.process.wait(30) == 2
    assert "did you mean --limit-concurrency?" in running.text and len(running.text.splitlines()) == 1


def test_sigterm_lets_a_stream_finish_while_new_requests_are_refused(start: Start) -> None:
    running = start(*ECHO)
    reader = Reader(running.url, max_tokens=32_000)  # some seconds
    running.process.send_signal(signal.SIGTERM)
    running.wait_for("stopping")
    assert reader.is_alive(), "the stream was too short for this test"
    status, body, headers = get(f"{running.url}/health/ready")
    assert (status, body["status"]) == (503, "draining")
    refused = chat(running.url)
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["code"] == "model_not_ready"
    assert get(f"{running.url}/health/live")[0] == 200
    *chunks, done = reader.events
    assert done == "[DONE]" and chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert running.process.wait(30) == 0


def test_after_the_grace_time_a_stream_ends_with_an_error_event(start: Start) -> None:
    running = start(*ECHO, "--timeout-graceful-shutdown", "0.3")
    reader = Reader(running.url, max_tokens=32_000)
    running.process.send_signal(signal.SIGTERM)
    *_, error, done = reader.events
    assert done == "[DONE]" and "grace time" in error["error"]["message"]
    assert running.process.wait(30) == 0


def test_a_second_signal_ends_at_once(start: Start) -> None:
    running = start(*ECHO)
    Reader(running.url, max_tokens=32_000)
    running.process.send_signal(signal.SIGINT)
    running.wait_for("stopping")
    began = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 130
    assert time.monotonic() - began < 5  # of the 30 that it would wait


def test_an_idle_server_stops_quickly_with_0(start: Start) -> None:
    running = start(*ECHO)
    began = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0
    assert time.monotonic() - began < 5


@contextmanager
def connection_of(url: str, payload: bytes) -> Iterator[socket.socket]:
    """A raw connection that has sent one chat request."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(payload)}\r\n\r\n"
        raw.sendall(head.encode() + payload)
        yield raw


async def until(condition: Any, seconds: float) -> float:
    """Seconds until the condition held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never came true"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_stops_its_row_within_a_second(listen: Listen, stream: bool) -> None:
    engine = ScriptedEngine("word " * 30)
    pipeline = make_pipeline(engine)
    async with listen(pipeline) as url:
        engine.stay = True
        payload = json.dumps({"messages": user("hi"), "stream": stream}).encode()
        seconds = []
        for _ in range(3):  # a machine that stalls spoils one of them
            with connection_of(url, payload):
                await until(lambda: engine.num_running == 1, 20)
            seconds.append(await until(lambda: engine.num_running == 0 and pipeline.num_inside == 0, 20))
        assert min(seconds) < 1


async def test_a_reader_that_stopped_reading_is_dropped_and_its_neighbour_answered(listen: Listen) -> None:
    engine = ScriptedEngine("word " * 400, max_model_len=1 << 20)
    pipeline = make_pipeline(engine, server__send_timeout=0.5)
    async with listen(pipeline) as url:
        engine.answer = "word " * 200_000  # far more than the sockets' buffers hold
        payload = json.dumps({"messages": user("hi"), "stream": True, "max_tokens": 1 << 20}).encode()
        with connection_of(url, payload):
            await until(lambda: engine.num_running == 1, 5)
            engine.answer = "fine"
            async with httpx.AsyncClient() as client:
                answer = await client.post(f"{url}/v1/chat/completions", json={"messages": user("hi")}, timeout=30)
            assert answer.json()["choices"][0]["message"]["content"] == "fine"
            await until(lambda: engine.num_running == 0, 30)


async def test_a_body_that_drips_in_too_slowly_is_a_400(listen: Listen) -> None:
    pipeline = make_pipeline(ScriptedEngine(), server__body_timeout=0.3)
    async with listen(pipeline) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        answer = await asyncio.wait_for(reader.read(4000), 5)
        writer.close()
    assert b"400" in answer.split(b"\r\n")[0] and b"body_timeout" in answer


async def test_an_endless_body_is_cut_off_at_the_limit(listen: Listen) -> None:
    pipeline = make_pipeline(ScriptedEngine(), server__max_body_size=100_000)

    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 10_000
            yield b" " * 10_000

    async with listen(pipeline) as url, httpx.AsyncClient() as client:
        with pytest.raises((httpx.WriteError, httpx.ReadError)):
            await client.post(f"{url}/v1/chat/completions", content=endless(), timeout=10)
    assert sent < 10_000_000  # twice the limit and what the sockets' buffers hold


@pytest.mark.parametrize("size", [100_001, 190_000])
async def test_a_body_over_the_limit_is_a_413_that_the_client_gets_to_read(listen: Listen, size: int) -> None:
    async def unannounced() -> Any:
        for _ in range(size // 1000 + 1):
            yield b" " * 1000

    pipeline = make_pipeline(ScriptedEngine(), server__max_body_size=100_000)
    async with listen(pipeline) as url, httpx.AsyncClient() as client:
        for content in (b" " * size, unannounced()):
            answer = await client.post(f"{url}/v1/chat/completions", content=content)
            assert answer.status_code == 413 and answer.json()["error"]["code"] == "request_too_large"
            assert "100000" in answer.json()["error"]["message"]
        assert (await client.get(f"{url}/health")).status_code == 200


async def test_a_silent_stream_is_kept_alive_with_comments(listen: Listen) -> None:
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine("late", gate=gate)
    pipeline = make_pipeline(engine, server__stream_keep_alive=0.1)
    async with listen(pipeline) as url, httpx.AsyncClient() as client:
        gate.clear()
        body = {"messages": user("hi"), "stream": True}
        async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as response:
            pieces = response.aiter_text()
            first = await anext(pieces)
            gate.set()
            rest = "".join([piece async for piece in pieces])
    assert first.startswith(": keep-alive\n\n")
    assert events_of(first + rest)[-1] == "[DONE]"


# --- with the real engine -----------------------------------------------------------------------------------------


async def test_blocks_return_to_base_within_a_second_of_a_client_leaving(listen: Listen) -> None:
    settings = make_settings(engine__max_num_seqs=2, engine__threads=1)
    engine = EngineClient(engine_config(settings, NANO, processor()))
    pipeline = make_pipeline(engine, engine__max_num_seqs=2, engine__threads=1)
    async with listen(pipeline) as url:
        await until(lambda: engine.state.num_running == 0, 10)
        base = engine.state.num_free_blocks
        payload = {"messages": user("Tell me a story.", png(448, 448)), "max_tokens": 2000, "ignore_eos": True}
        for stream in (True, False):
            with connection_of(url, json.dumps({**payload, "stream": stream}).encode()):
                await until(lambda: engine.state.num_free_blocks < base, 20)
            assert await until(lambda: engine.state.num_free_blocks == base, 20) < 5  # the count comes once a second
            assert pipeline.num_inside == 0


def worker_of(running: Running) -> int:
    """The engine process under a server."""
    children = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(running.process.pid)], capture_output=True, text=True
    )
    return next(int(line.split()[0]) for line in children.stdout.splitlines() if "flashweb.engine.worker" in line)


def test_an_engine_killed_mid_stream_is_reported_restarted_and_answers_as_before(start: Start) -> None:
    running = start("--threads", "1")
    before = chat(running.url).json()["choices"]
    reader = Reader(running.url, max_tokens=3000)
    os.kill(worker_of(running), signal.SIGKILL)
    *_, error, done = reader.events
    assert done == "[DONE]" and error["error"]["code"] == "engine_died"
    seen = set()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status, body, _ = get(f"{running.url}/health")
        seen.add(status)
        if status == 200 and 503 in seen:
            break
        time.sleep(0.02)
    assert seen == {200, 503} or seen == {503, 200}, "health must go red and green again"
    assert chat(running.url).json()["choices"] == before
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == 0


def test_a_lazy_server_is_ready_at_once_and_loads_with_the_first_request(start: Start) -> None:
    running = start("--lazy-load", "--threads", "1", wait=False)
    wait_until_ready(running.url, running.process, 20)
    assert get(f"{running.url}/health")[1]["model_loaded"] is False
    running.wait_for("loads with the first request")
    assert chat(running.url).status_code == 200
    assert get(f"{running.url}/health")[1]["model_loaded"] is True


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_engine_ends_with_a_server_that_was_killed(start: Start) -> None:
    running = start("--threads", "1")
    worker = worker_of(running)
    running.process.kill()
    deadline = time.monotonic() + 15
    while is_alive(worker):
        assert time.monotonic() < deadline, "the engine outlived its server"
        time.sleep(0.05)


@pytest.mark.parametrize(("model", "code", "words"), [("no/such/model", 3, "bundled"), (".", 4, "config.json")])
def test_a_model_that_cannot_be_used_ends_the_command_with_a_reason(
    start: Start, model: str, code: int, words: str
) -> None:
    running = start(model, wait=False)
    assert running.process.wait(30) == code, running.text
    assert words in running.text and "Traceback" not in running.text


def test_weights_that_do_not_fit_end_the_command_with_a_reason(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(NANO, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    running = start(str(folder), wait=False)
    assert running.process.wait(60) == 4, running.text
    assert "model.safetensors" in running.text and "Traceback" not in running.text
