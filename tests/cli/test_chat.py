"""`flashweb chat` against a real server, one-shot and at a terminal."""

from __future__ import annotations

import http.server
import io
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashweb.cli.chat import show_text, sort_words, stats_line
from flashweb.cli.client import base_url, picture_url
from flashweb.errors import ConfigError
from flashweb.types import ImagePart, Usage

from .conftest import Run


def test_one_question_about_one_picture(flashweb: Run, echo_server: str, picture: Path) -> None:
    done = flashweb("chat", "--url", echo_server, "receipt.png", "list the amounts")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "list the amounts"


def test_an_unquoted_question_is_read_as_one(flashweb: Run, echo_server: str, picture: Path) -> None:
    done = flashweb("chat", "--url", echo_server, "receipt.png", "list", "the", "amounts")
    assert done.stdout.strip() == "list the amounts"


def test_a_picture_from_standard_input(flashweb: Run, echo_server: str, picture: Path) -> None:
    done = flashweb("chat", "--url", echo_server, "-", "what is this?", "--stats", input=picture.read_bytes())
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+ prompt tokens \(\d+ of pictures", done.stderr)


def test_a_question_from_standard_input(flashweb: Run, echo_server: str, picture: Path) -> None:
    done = flashweb("chat", "--url", echo_server, "receipt.png", input=b"list the amounts\n")
    assert done.stdout.strip() == "list the amounts"


def test_an_answer_cut_by_its_limit_says_so_on_standard_error(flashweb: Run, echo_server: str) -> None:
    done = flashweb("chat", "--url", echo_server, "one two three four five six", "--max-tokens", "2")
    assert done.returncode == 0 and "--max-tokens" in done.stderr


def test_a_missing_picture_is_named_before_anything_is_sent(flashweb: Run) -> None:
    done = flashweb("chat", "--url", "127.0.0.1:1", "recipt.png", "list the amounts")
    assert done.returncode == 3
    assert "recipt.png" in done.stderr and done.stdout == ""


def test_a_picture_the_server_refuses_ends_with_1_and_its_reason(
    flashweb: Run, echo_server: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing")
    done = flashweb("chat", "--url", echo_server, "broken.png", "what?")
    assert done.returncode == 1
    assert "status 400" in done.stderr and done.stdout == ""


def test_no_server_there_says_how_to_start_one(flashweb: Run) -> None:
    done = flashweb("chat", "--url", "http://127.0.0.1:1/v1", "hello")
    assert done.returncode == 1
    assert "flashweb serve" in done.stderr


def test_something_else_on_that_port_is_told_apart_from_a_model_server(flashweb: Run) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _NotAModelServer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    url = f"127.0.0.1:{server.server_address[1]}"
    try:
        for flags, words in ((), "lists no models"), (("--model", "m"), "no JSON object"):
            done = flashweb("chat", "--url", url, *flags, "hello")
            assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
    finally:
        server.shutdown()
        server.server_close()


class _NotAModelServer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._send(b"<html>welcome</html>")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._send(b"data: [1, 2\n\n")

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_words_are_pictures_when_they_are_files_or_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a b.jpg").write_bytes(b"x")
    pictures, question = sort_words(["a b.jpg", "https://example.org/c.png", "is", "it", "3.5?"])
    assert pictures == [ImagePart(data=b"x"), ImagePart(url="https://example.org/c.png")]
    assert question == "is it 3.5?"
    assert sort_words(["~nobody-here/?", "why " * 2000, "nul\0"])[0] == []
    with pytest.raises(ConfigError, match="empty"):
        Path("empty.png").touch()
        sort_words(["empty.png"])


def test_addresses_are_read_with_and_without_scheme_and_v1() -> None:
    for text in ("127.0.0.1:9000", "http://127.0.0.1:9000/", "http://127.0.0.1:9000/v1", "http://127.0.0.1:9000/v1/"):
        assert base_url(text) == "http://127.0.0.1:9000"
    with pytest.raises(ConfigError):
        base_url("ftp://host")


def test_bytes_become_a_data_url_by_what_they_are() -> None:
    assert picture_url(ImagePart(data=b"\x89PNG1234")).startswith("data:image/png;base64,")
    assert picture_url(ImagePart(data=b"RIFF....WEBPxx")).startswith("data:image/webp;base64,")
    assert picture_url(ImagePart(url="https://host/x.png")) == "https://host/x.png"


def test_the_stats_line_counts_the_rate_without_the_first_token() -> None:
    assert stats_line(Usage(287, 11, 16, 256), 0.5, 2.0) == (
        "287 prompt tokens (256 of pictures, 16 cached), 11 out; first after 0.50 s, then 5.0 tokens/s"
    )


# --- at a terminal ----------------------------------------------------------------------------------------------------


class Terminal:
    """A `flashweb` process at a pseudo-terminal."""

    def __init__(self, *args: str, cwd: Path) -> None:
        self._fd, child = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flashweb", *args],
            stdin=child, stdout=child, stderr=child, cwd=cwd, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"}, preexec_fn=_own_terminal,
        )  # fmt: skip
        os.close(child)
        self.seen = ""

    def expect(self, text: str, seconds: float = 30.0) -> str:
        """Read until `text` comes; what came since the last call."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come; seen: {self.seen!r}"
            self.seen += os.read(self._fd, 4096).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._fd)


def _own_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for one in opened:
        one.close()


def test_a_conversation_at_the_terminal(echo_server: str, picture: Path, terminal: list[Terminal]) -> None:
    term = Terminal("chat", "--url", echo_server, cwd=picture.parent)
    terminal.append(term)
    term.expect("> ")
    term.type("/image receipt.png\n")
    term.expect("1 picture(s)")
    term.expect("> ")
    term.type("first question\n")
    term.expect("first question\r\n")  # what the terminal echoes
    term.expect("first question")  # the answer
    term.expect("> ")
    term.type("second one\n")
    term.expect("second one\r\n")
    answer = term.expect("> ")
    assert "first question" in answer and "second one" in answer  # the echo engine repeats every turn it was sent
    term.type("/image nothing.png\n")
    term.expect("there is no picture")
    term.expect("> ")
    term.type("/clear\n")
    term.expect("forgotten")
    term.expect("> ")
    term.type("third\n")
    term.expect("third\r\n")
    assert "first question" not in term.expect("> ")
    term.type("\x04")
    assert term.process.wait(20) == 0


class _EndlessAnswer(http.server.BaseHTTPRequestHandler):
    """A server that never stops talking, and notices when the listener hangs up."""

    hung_up = threading.Event()

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        body = b'{"object": "list", "data": [{"id": "m"}]}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b'data: {"choices": [{"delta": {"content": "on and "}}]}\n\n')
                self.wfile.flush()
                time.sleep(0.01)
        except OSError:
            self.hung_up.set()


def test_ctrl_c_stops_the_answer_and_not_the_conversation(tmp_path: Path, terminal: list[Terminal]) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _EndlessAnswer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    try:
        term = Terminal("chat", "--url", f"127.0.0.1:{server.server_address[1]}", cwd=tmp_path)
        terminal.append(term)
        term.expect("> ")
        term.type("go on\n")
        term.expect("on and on and")
        term.type("\x03")
        term.expect("> ")
        assert _EndlessAnswer.hung_up.wait(10)
        term.type("/quit\n")
        assert term.process.wait(20) == 0
    finally:
        server.shutdown()
        server.server_close()


class _FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_models_text_cannot_steer_the_terminal() -> None:
    out = _FakeTerminal()
    show_text(out, "a\x1b]0;title\x07b\x9b31m\r\n合计\u3000¥5\tend\n")
    assert out.getvalue() == "a]0;titleb31m\n合计\u3000¥5\tend\n"
    raw = io.StringIO()  # a file gets what the model wrote
    show_text(raw, "a\x1b[1m")
    assert raw.getvalue() == "a\x1b[1m"
