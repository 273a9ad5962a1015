"""What a start does before it serves: ports, a second start, and what it tells people."""

from __future__ import annotations

import errno
import http.server
import json
import shlex
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from flashweb.errors import ConfigError
from flashweb.serve import (
    AlreadyRunning,
    Bound,
    already_running,
    bind,
    is_loopback,
    listen,
    open_command,
    open_sockets,
    ready_lines,
)
from flashweb.settings import ServerSettings
from tests.house import make_settings


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_bound_port_refuses_at_once_until_it_listens() -> None:
    bound = open_sockets(ServerSettings(port=0, ui_port=()))
    assert isinstance(bound, Bound)
    try:
        assert not connects(bound.ports[0])
        listen(bound)
        assert connects(bound.ports[0])
    finally:
        bound.sockets[0].close()


def test_a_port_that_is_bound_but_silent_cannot_be_bound_twice() -> None:
    with bind("127.0.0.1", 0) as first, pytest.raises(OSError) as caught:
        bind("127.0.0.1", first.getsockname()[1])
    assert caught.value.errno == errno.EADDRINUSE


def test_connections_of_an_earlier_server_do_not_keep_the_next_one_from_its_port() -> None:
    first = bind("127.0.0.1", 0)
    port = first.getsockname()[1]
    listen(Bound((first,), (port,)))
    with socket.create_connection(("127.0.0.1", port)) as client:
        first.setblocking(True)
        accepted, _ = first.accept()
        accepted.close()  # this side closes first, so the port's TIME_WAIT is ours
        assert client.recv(1) == b""
    first.close()
    with bind("127.0.0.1", port) as second:
        with pytest.raises(OSError):
            bind("127.0.0.1", port)
        listen(Bound((second,), (port,)))
        assert connects(port)


class _Flashweb(http.server.BaseHTTPRequestHandler):
    """Answers /health as a server that is still loading does."""

    def log_message(self, *args: object) -> None:
        pass

    def version_string(self) -> str:
        return "flashweb"

    def do_GET(self) -> None:
        body = json.dumps({"status": "loading", "model_loaded": False, "model": "some-model"}).encode()
        self.send_response(503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_a_second_start_waits_for_a_first_one_that_does_not_listen_yet() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Flashweb, bind_and_activate=False)
    server.socket.close()
    server.socket = bind("127.0.0.1", 0)
    server.socket.setblocking(True)
    port = server.socket.getsockname()[1]

    def serve() -> None:
        time.sleep(0.5)
        server.socket.listen()
        server.serve_forever(poll_interval=0.05)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert open_sockets(ServerSettings(port=port, ui_port=()), patience=10) == AlreadyRunning("some-model")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_port_that_stays_silent_is_an_error_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}.*--port"):
            open_sockets(ServerSettings(port=port, ui_port=()), patience=0.5)
    assert 0.5 <= time.monotonic() - began < 5
    assert capsys.readouterr().err.count("does not answer; waiting") == 1


def test_a_second_start_says_which_model_answers_and_how_to_get_another() -> None:
    settings = make_settings(server__port=8123)
    same = already_running(settings, "flashweb-nano")
    assert "already running: flashweb-nano at http://127.0.0.1:8123/v1" in same and "another --port" not in same
    other = already_running(settings, "zai-org/GLM-4.6V-Flash")
    assert "already running: zai-org/GLM-4.6V-Flash at" in other and "For flashweb-nano, stop that one" in other


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1", "localhost"])
def test_only_loopback_addresses_are_not_open(host: str) -> None:
    assert is_loopback(host)
    lines = ready_lines(make_settings(server__host=host), [8080], "m", loaded=True)
    assert "OPEN TO EVERY MACHINE" not in lines and "For other machines: stop this one" in lines


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "10.0.0.1", "fe80::1", "no-such-host.invalid"])
def test_every_other_address_gets_the_warning(host: str) -> None:
    assert not is_loopback(host)
    lines = ready_lines(make_settings(server__host=host), [8080], "m", loaded=True)
    assert "!!! OPEN TO EVERY MACHINE" in lines and "For other machines" not in lines


def test_the_command_for_other_machines_is_the_one_that_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "a folder" / "flashweb"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    typed = ["a folder/flashweb", "serve", "my model", "--port", "9000"]
    expected = [str(program), *typed[1:], "--host", "0.0.0.0"]
    assert shlex.split(open_command(typed, [sys.executable, *typed])) == expected
    monkeypatch.setenv("PATH", str(program.parent))
    assert shlex.split(open_command(typed, [sys.executable, *typed])) == ["flashweb", *expected[1:]]


def test_the_command_for_other_machines_keeps_the_interpreter_of_python_m() -> None:
    typed = ["/somewhere/.venv/bin/python", "-m", "flashweb", "serve", "--ui-port", "7860,8000"]
    argv = ["/somewhere/src/flashweb/__main__.py", *typed[3:]]
    assert open_command(argv, typed) == shlex.join([*typed, "--host", "0.0.0.0"])
