"""`flashweb eval` against a server that knows every answer, and against one that knows none."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashweb.cli import main
from flashweb.cli.client import chat_body
from flashweb.evaluate import SETS, calls_as_text, load
from flashweb.evaluate.scoring import calls

from .conftest import Run

PER_SET = 2


class _KnowsEverything(http.server.BaseHTTPRequestHandler):
    """Streams the truth about the messages it is sent, in two pieces; refuses what `refuse` names."""

    truths: dict[str, str] = {}
    refuse: set[str] = set()
    sampling: set[tuple[float, int | None]] = set()  # (temperature, seed) of what was asked

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._send(b'{"object": "list", "data": [{"id": "oracle"}]}')

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert body["model"] == "oracle"
        self.sampling.add((body["temperature"], body.get("seed")))
        if any(text in json.dumps(body["messages"], ensure_ascii=False) for text in self.refuse):
            self._send(b'{"error": {"message": "not today"}}', 503)
            return
        truth = self.truths[json.dumps(body["messages"])]
        pieces = [truth[: len(truth) // 2], truth[len(truth) // 2 :]]
        events = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
        self._send("".join(f"data: {json.dumps(event)}\n\n" for event in events).encode() + b"data: [DONE]\n\n")

    def _send(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def oracle() -> Iterator[str]:
    _KnowsEverything.truths = {json.dumps(chat_body(case.chat())["messages"]): case.answer for case in load(SETS)}
    _KnowsEverything.refuse, _KnowsEverything.sampling = set(), set()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _KnowsEverything)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_that_is_always_right_scores_100_in_every_set(
    oracle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, answers = tmp_path / "scores.json", tmp_path / "answers.jsonl"
    flags = ["--limit", str(PER_SET), "--json", str(out), "--answers", str(answers)]
    assert main(["eval", "--url", oracle, *flags]) == 0
    result = json.loads(out.read_text())
    assert [row["set"] for row in result["sets"]] == list(SETS)
    assert all(row["exact"] == 100.0 and row["cases"] == PER_SET for row in result["sets"])
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    assert len(lines) == PER_SET * len(SETS) and all(line["answer"] == line["truth"] for line in lines)
    assert {temperature for temperature, _ in _KnowsEverything.sampling} == {0.0}
    shown = capsys.readouterr()
    assert "100.0" in shown.out


def test_sampled_answers_have_a_temperature_and_a_seed_for_each_case(oracle: str) -> None:
    assert main(["eval", "--url", oracle, "--sets", "reading", "--limit", "3", "--temperature", "0.7"]) == 0
    assert _KnowsEverything.sampling == {(0.7, 0), (0.7, 1), (0.7, 2)}


def test_tools_and_calls_of_a_case_cross_the_wire_and_calls_that_come_back_are_scored() -> None:
    cases = load(["tools"])
    bodies = [chat_body(case.chat()) for case in cases]
    assert all(body["tools"] for body in bodies)
    called = [message for body in bodies for message in body["messages"] if "tool_calls" in message]
    results = [message for body in bodies for message in body["messages"] if message["role"] == "tool"]
    assert [m["tool_calls"][0]["id"] for m in called] == [m["tool_call_id"] for m in results] and results
    for case in cases:
        made = [(name, json.dumps(arguments)) for name, arguments in calls(case.answer)]
        if made:
            assert case.score(calls_as_text(made)).exact == 1.0
            assert case.score(calls_as_text([(made[0][0], made[0][1][:-3])])).exact == 0.0


def test_an_unanswered_question_counts_as_wrong_and_fails_the_command(
    oracle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, *_ = load(["reading"])
    _KnowsEverything.refuse = {first.question}
    refused = 1 + (second.question == first.question)
    assert main(["eval", "--url", oracle, "--sets", "reading", "--limit", "2", "--json", "-"]) == 1
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert result["errors"] == refused and result["sets"][0]["exact"] == 100 * (2 - refused) / 2
    assert "not today" in shown.err


def test_a_server_that_repeats_the_question_reads_nothing(flashweb: Run, echo_server: str) -> None:
    done = flashweb("eval", "--url", echo_server, "--sets", "reading", "--limit", "3", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sets"][0]["exact"] == 0.0


def test_an_unknown_set_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--url", "127.0.0.1:1", "--sets", "readnig"]) == 3
    assert "readnig" in capsys.readouterr().err
