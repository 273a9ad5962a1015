"""Several web processes before one engine: real processes, real sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Running, Start
from tests.house import events_of, user
from tests.samples import read, value

pytestmark = pytest.mark.slow
ECHO = ("--engine", "echo", "--workers", "2")


def children(pid: int, module: str) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if module in line]


def web_processes(running: Running) -> list[int]:
    return children(running.process.pid, "flashweb.web_process")


def num_sockets(pid: int) -> int:
    """Open TCP connections of a process, by the kernel's own list."""
    inodes = {line.split()[9] for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]}
    links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    return sum(link.startswith("socket:[") and link[8:-1] in inodes for link in links)


@contextmanager
def clients_of(running: Running, number: int) -> Iterator[list[httpx.Client]]:
    """Each with a connection of its own."""
    with ExitStack() as stack:
        yield [stack.enter_context(httpx.Client(base_url=running.url)) for _ in range(number)]


def chat(client: httpx.Client, **parameters: object) -> httpx.Response:
    return client.post("/v1/chat/completions", json={"messages": user("a b c"), **parameters}, timeout=60)


def test_connections_are_spread_one_death_is_repaired_and_the_drain_ends_with_0(start: Start) -> None:
    running = start(*ECHO)
    running.wait_for("ready", 30)
    webs = web_processes(running)
    assert len(webs) == 2
    with clients_of(running, 6) as clients:
        with ThreadPoolExecutor(6) as pool:
            assert {answer.status_code for answer in pool.map(chat, clients)} == {200}
        assert [num_sockets(pid) for pid in webs] == [3, 3], "the one with the fewest gets the next"

    os.kill(webs[0], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while len(now := web_processes(running)) < 2 or webs[0] in now or running.text.count("another one is started") < 1:
        assert httpx.get(f"{running.url}/health", timeout=5).status_code == 200
        assert time.monotonic() < deadline
        time.sleep(0.05)

    with httpx.Client(base_url=running.url) as client, client.stream(
        "POST", "/v1/chat/completions",
        json={"messages": user("a b c"), "stream": True, "ignore_eos": True, "max_tokens": 12_000}, timeout=60,
    ) as stream:  # fmt: skip
        pieces = stream.iter_text()
        text = next(pieces)
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("stopping")
        deadline = time.monotonic() + 10
        while (refused := httpx.get(f"{running.url}/health", timeout=5)).status_code == 200:
            assert time.monotonic() < deadline
        assert refused.json()["status"] == "draining"
        text += "".join(pieces)
    assert events_of(text)[-1] == "[DONE]" and '"finish_reason":"length"' in text
    assert running.process.wait(30) == 0
    assert "Traceback" not in running.text


def test_a_rate_and_the_number_inside_are_counted_over_all_web_processes(start: Start) -> None:
    running = start(*ECHO, "--rate-limit", "5/minute", "--limit-concurrency", "2")
    running.wait_for("ready", 30)
    endless = {"ignore_eos": True, "max_tokens": 3000}
    with clients_of(running, 4) as clients:
        with ThreadPoolExecutor(4) as pool:
            statuses = [answer.status_code for answer in pool.map(lambda client: chat(client, **endless), clients)]
        answers = [chat(client) for client in clients]
    assert statuses.count(200) <= 2 and statuses.count(503) >= 2, statuses
    assert [answer.status_code for answer in answers] == [200, 429, 429, 429]
    assert answers[0].headers["x-ratelimit-remaining-requests"] == "0"


def test_counts_usage_and_requests_are_told_for_all_web_processes_and_outlive_one_of_them(start: Start) -> None:
    running = start(*ECHO, "--admin-key", "an-admin-key-of-some-length")
    running.wait_for("ready", 30)
    admin = {"authorization": "Bearer an-admin-key-of-some-length"}
    (folder,) = {metrics_folder(pid) for pid in web_processes(running)}
    assert folder.is_dir() and folder.stat().st_uid == os.getuid() and folder.parent.stat().st_mode & 0o077 == 0
    with clients_of(running, 4) as clients:
        ids = {chat(client).headers["x-request-id"] for client in clients}
        for client in clients:
            counted = read(client.get("/metrics").text)
            assert value(counted, "vllm:request_success_total", finished_reason="stop") == 4
            status = client.get("/api/admin/status", headers=admin).json()
            assert len({one["pid"] for one in status["web_processes"]}) == 2
            assert [usage["requests"] for usage in status["usage"] if usage["completion_tokens"]] == [4]
            found = client.get("/api/admin/requests", headers=admin, params={"path": "/v1"}).json()["requests"]
            assert {request["id"] for request in found} == ids
            assert len({request["web_process"] for request in found}) == 2

    with clients_of(running, 2) as clients, ThreadPoolExecutor(1) as pool:
        endless = pool.submit(chat, clients[0], ignore_eos=True, max_tokens=30_000)
        path, here = "/api/admin/requests", {"status": "running"}
        deadline = time.monotonic() + 10
        while not (found := clients[1].get(path, headers=admin, params=here).json()["requests"]):
            assert time.monotonic() < deadline
        assert clients[1].delete(f"{path}/{found[0]['id']}", headers=admin).status_code == 200
        assert endless.result().status_code == 409

    os.kill(web_processes(running)[0], signal.SIGKILL)
    running.wait_for("another one is started")
    with clients_of(running, 1) as clients:
        counted = read(clients[0].get("/metrics").text)
        assert value(counted, "vllm:request_success_total", finished_reason="stop") == 4
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0 and not folder.exists()


def metrics_folder(pid: int) -> Path:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    (found,) = [entry for entry in entries if entry.startswith(b"PROMETHEUS_MULTIPROC_DIR=")]
    return Path(os.fsdecode(found.partition(b"=")[2]))


def test_several_web_processes_share_one_real_engine_that_survives_them(start: Start) -> None:
    running = start("--workers", "2", "--threads", "1")
    running.wait_for("ready", 60)
    (engine,) = children(running.process.pid, "flashweb.engine.worker")
    with clients_of(running, 2) as clients:
        answers = [chat(client, max_tokens=8).json()["choices"] for client in clients]
    assert answers[0] == answers[1]
    os.kill(web_processes(running)[0], signal.SIGKILL)
    running.wait_for("another one is started")
    with clients_of(running, 2) as clients:
        assert all(chat(client, max_tokens=8).json()["choices"] == answers[0] for client in clients)

    os.kill(engine, signal.SIGKILL)
    seen: list[int] = []
    deadline = time.monotonic() + 60
    while 503 not in seen or seen[-1] != 200:
        seen.append(httpx.get(f"{running.url}/health", timeout=5).status_code)
        assert time.monotonic() < deadline
    with httpx.Client(base_url=running.url) as client:
        assert chat(client, max_tokens=8).json()["choices"] == answers[0]
    assert children(running.process.pid, "flashweb.engine.worker") != [engine]
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0


def test_web_processes_end_with_the_one_above_them(start: Start) -> None:
    running = start(*ECHO)
    webs = web_processes(running)
    running.process.kill()
    deadline = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in webs):
        assert time.monotonic() < deadline, "a web process outlived the one above"
        time.sleep(0.05)


def test_a_second_signal_ends_everything_at_once(start: Start) -> None:
    running = start(*ECHO)
    running.wait_for("ready", 30)
    webs = web_processes(running)
    body = {"messages": user("a b"), "stream": True, "ignore_eos": True, "max_tokens": 32_000}
    with httpx.stream("POST", f"{running.url}/v1/chat/completions", json=body, timeout=30) as stream:
        next(stream.iter_text())
        running.process.send_signal(signal.SIGINT)
        running.wait_for("stopping")
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 130
    assert not any(Path(f"/proc/{pid}").exists() and pid in webs for pid in web_processes(running))
