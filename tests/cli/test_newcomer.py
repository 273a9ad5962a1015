"""docs/jobs.md's way from a folder of pictures to a table, as a newcomer walks it: with breaks, bad pictures, a wrong
key and a server that goes away. The server here tells scenes and answers audits, and can be told to stop."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flashweb.cli import main
from tests.house import png

SCHEMA = {"properties": {"contains_price": {}, "contains_brand_logo": {}, "forbidden_words": {}}}
ANSWER = {"contains_price": True, "contains_brand_logo": None, "forbidden_words": ["最便宜", "第一"]}
COLUMNS = ["file", *SCHEMA["properties"], "error"]


class Shop(ThreadingHTTPServer):
    """Answers `room` audits, then keeps the others waiting."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.port = self.server_address[1]
        self.num_asked = 0
        self.room = threading.Semaphore(1000)
        self.key: str | None = None


class Desk(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        scene = {"name": "audit", "schema": {**SCHEMA, "additionalProperties": False}}
        if self.path == "/api/scenes" and not self._knows_key():
            return
        self._answer(200, {"scenes": [scene]} if self.path == "/api/scenes" else {"model_loaded": True})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self._knows_key():
            return
        self.server.num_asked += 1
        self.server.room.acquire()
        is_picture = b"\x89PNG" in body
        self._answer(200, ANSWER) if is_picture else self._answer(400, {"error": {"message": "no picture"}})

    def _knows_key(self) -> bool:
        knows = self.server.key in (None, self.headers.get("authorization", "").removeprefix("Bearer "))
        if not knows:
            self._answer(401, {"error": {"message": "the key is wrong"}})
        return knows

    def _answer(self, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with Shop() as shop:
        thread = threading.Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("FLASHWEB_PORT", str(shop.port))
        yield shop
        shop.shutdown()
        thread.join()


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """30 of them, called `examples` where the command is typed."""
    folder = tmp_path / "examples"
    folder.mkdir()
    for number in range(30):
        (folder / f"p{number:02}.png").write_bytes(png(grey=number))
    monkeypatch.chdir(tmp_path)
    return folder


def documented(root: Path) -> list[str]:
    """The command of docs/jobs.md's first lines, without what installed it."""
    (block,) = re.findall(r"^```sh\n(.*?)^```", (root / "docs/jobs.md").read_text(), re.MULTILINE | re.DOTALL)[:1]
    install, command = block.strip().splitlines()
    assert install == "make install"
    words = shlex.split(command)
    assert words[0] == ".venv/bin/flashweb"
    return words[1:]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flashweb", *command], stderr=subprocess.PIPE, text=True, env=dict(os.environ),
        start_new_session=True,
        # Whoever runs the tests in a shell's background has SIGINT ignored, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def wait_for_rows(path: Path, number: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not path.exists() or len(path.read_bytes().splitlines()) < 1 + number:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def test_the_documented_command_makes_a_table_of_a_folder(
    shop: Shop, pictures: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "-rf.png").write_bytes(b"not a picture")
    (pictures / "=cmd|calc.png").write_bytes(png(grey=99))
    for hidden in ("._p01.png", ".thumbs/p01.png"):
        (pictures / hidden).parent.mkdir(exist_ok=True)
        (pictures / hidden).write_bytes(b"a file manager's own")
    foreign = os.fsdecode("价格".encode("gbk") + b".png")  # out of an archive of another system
    (pictures / foreign).write_bytes(png(grey=98))
    command, out = documented(root), Path("audit.csv")
    assert main(command) == 1 and shop.num_asked == 33
    told = capsys.readouterr().err
    assert f"33 requests to http://127.0.0.1:{shop.port}\n" in told and "33 of 33" in told
    assert "1 were not answered; their errors are in audit.csv." in told
    assert out.read_bytes().startswith(b"\xef\xbb\xbffile,contains_price,")
    rows = {row["file"]: row for row in table(out)}
    assert list(rows["p00.png"]) == COLUMNS and len(rows) == 33
    assert rows["p00.png"]["forbidden_words"] == "最便宜; 第一" and rows["p00.png"]["contains_price"] == "true"
    assert rows["'-rf.png"]["error"] == "no picture" and rows["'=cmd|calc.png"]["error"] == ""
    assert foreign.encode("utf-8", "backslashreplace").decode() in rows
    (pictures / "-rf.png").write_bytes(png(grey=97))
    assert main(command) == 0 and shop.num_asked == 34
    assert not [row for row in table(out) if row["error"]] and len(table(out)) == 33


def test_it_goes_on_after_control_c_and_after_it_was_killed(
    shop: Shop, pictures: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, out = documented(root), Path("audit.csv")
    shop.room = threading.Semaphore(10)
    process = start(command)
    wait_for_rows(out, 10, process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "what has been answered is in audit.csv. Start it again" in told, told
    assert "Traceback" not in told and len(table(out)) == 10
    for _ in range(16):  # those that nobody waits for any more, and ten further ones
        shop.room.release()
    wait_for = start(command)
    wait_for_rows(out, 11, wait_for)
    wait_for.kill()
    _, told = wait_for.communicate(timeout=60)
    assert "30 requests to" in told and "10 of them answered before" in told
    done = {row["file"]: row for row in table(out)}
    assert 11 <= len(done) < 30
    shop.room = threading.Semaphore(1000)
    assert main(command) == 0
    rows = table(out)
    assert [row["file"] for row in rows] == [f"p{number:02}.png" for number in range(30)]
    assert f"{len(done)} of them answered before" in capsys.readouterr().err


def test_a_wrong_key_is_told_at_once_and_one_that_is_refused_later_ends_the_work(
    shop: Shop, pictures: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = documented(root)
    shop.key = "right"
    assert main([*command, "--key", "wrong"]) == 1
    assert "answered with status 401: the key is wrong" in capsys.readouterr().err
    assert not Path("audit.csv").exists()
    shop.room = threading.Semaphore(5)
    result: list[int] = []
    thread = threading.Thread(target=lambda: result.append(main([*command, "--key", "right", "--concurrency", "1"])))
    thread.start()
    while shop.num_asked < 6:
        time.sleep(0.01)
    shop.key = "another"
    shop.room.release()
    thread.join(30)
    assert result == [1] and shop.num_asked == 6  # not all of them were refused, one after another
    assert "the key is wrong; 24 of 30 are not answered. Start it again to go on." in capsys.readouterr().err


def test_a_server_that_is_away_is_told_and_one_that_goes_away_ends_the_work(
    shop: Shop, pictures: Path, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*documented(root), "--concurrency", "1"]
    assert main([*command, "--url", "http://127.0.0.1:9"]) == 1
    assert "no answer from http://127.0.0.1:9 (" in (told := capsys.readouterr().err) and "start it: flashweb" in told
    monkeypatch.setattr("flashweb.cli.batch_client.PATIENCE_SECONDS", 0.1)
    shop.room = threading.Semaphore(3)
    process = threading.Thread(target=lambda: result.append(main(command)))
    result: list[int] = []
    process.start()
    while shop.num_asked < 4:
        time.sleep(0.01)
    shop.shutdown()
    shop.socket.close()
    shop.room.release()
    process.join(30)
    assert result == [1] and len(table(Path("audit.csv"))) == 5
    assert "; 26 of 30 are not answered. Start it again to go on." in capsys.readouterr().err


@pytest.mark.slow
def test_the_documented_command_works_with_nothing_but_the_bundled_model(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASHWEB_PORT", "9")  # nobody is there
    monkeypatch.chdir(root)
    command = documented(root)
    out = tmp_path / "audit.csv"
    command[command.index("-o") + 1] = str(out)
    assert main(command) == 0
    rows = {row["file"]: row for row in table(out)}
    assert list(rows["poster.png"]) == COLUMNS and rows["price-tag.png"]["contains_price"] == "true"
