"""`flashweb bench`: what it sends, what it counts, what it prints."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from flashweb.cli.bench import table
from flashweb.cli.load import Load, Timed, percentile, picture, request_body, request_bytes, summary

from .conftest import Run


def pictures_of(body: dict[str, object]) -> list[str]:
    (message,) = body["messages"]  # type: ignore[misc]
    parts = message["content"] if isinstance(message["content"], list) else []
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def test_a_run_against_a_server_gives_a_table_and_json(flashweb: Run, echo_server: str, tmp_path: Path) -> None:
    done = flashweb(
        "bench", "--url", echo_server, "--concurrency", "1,4", "--least", "4", "--per-client", "1", "--side", "112",
        "--tokens", "8", "--json", "out.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert [row["concurrency"] for row in result["rows"]] == [1, 4]
    for row in result["rows"]:
        assert row["requests"] == 4 and row["errors"] == 0
        assert 0 < row["first_token_ms_p50"] <= row["first_token_ms_p95"] <= row["whole_ms_p95"]
        assert row["cached_tokens"] == 0
        assert 0 <= row["gap_ms_p50"] <= row["gap_ms_p99"] <= row["gap_ms_max"]
        assert row["client_cpu"] > 0
    assert result["setup"]["load"]["side"] == 112
    assert len(done.stdout.splitlines()) == 3


def test_json_alone_on_standard_output_is_machine_readable(flashweb: Run, echo_server: str) -> None:
    done = flashweb("bench", "--url", echo_server, "--concurrency", "1", "--least", "1", "--per-client", "1",
                    "--side", "0", "--tokens", "2", "--json", "-")  # fmt: skip
    assert json.loads(done.stdout)["rows"][0]["requests"] == 1


def test_a_server_that_answers_errors_makes_the_bench_fail(flashweb: Run, echo_server: str) -> None:
    done = flashweb("bench", "--url", echo_server, "--model", "no-such-model", "--concurrency", "2", "--warm-up", "0",
                    "--side", "0")  # fmt: skip
    assert done.returncode == 1
    assert "no-such-model" in done.stderr


def test_every_request_carries_pictures_nobody_else_carries() -> None:
    load = Load("m", side=64, images=2, seed=5)
    sent = [url for number in range(6) for url in pictures_of(request_body(load, number))]
    assert len(sent) == 12 and len(set(sent)) == 12
    other_seed = pictures_of(request_body(Load("m", side=64, images=2, seed=6), 0))
    assert not set(other_seed) & set(sent)


def test_shared_pictures_are_the_same_in_every_request() -> None:
    load = Load("m", side=64, shared=True)
    assert pictures_of(request_body(load, 0)) == pictures_of(request_body(load, 7))


def test_without_a_side_no_picture_is_sent() -> None:
    assert pictures_of(request_body(Load("m", side=0), 0)) == []


def test_the_picture_is_a_jpeg_of_the_asked_size_and_always_the_same() -> None:
    data = picture(448, 3)
    assert Image.open(io.BytesIO(data)).size == (448, 448)
    assert data == picture(448, 3) != picture(448, 4)
    assert 10_000 < len(data) < 120_000, "as compressible as a photograph"


def test_a_fixed_length_is_asked_for_in_both_usual_ways() -> None:
    body = request_body(Load("m", side=0, tokens=9), 0)
    assert body["max_tokens"] == body["min_tokens"] == 9 and body["ignore_eos"] is True
    free = request_body(Load("m", side=0, tokens=9, ignore_eos=False), 0)
    assert "ignore_eos" not in free and "min_tokens" not in free


def test_percentiles_are_those_the_goals_were_measured_with() -> None:
    assert percentile([5, 1, 3, 2, 4], 0.5) == 3
    assert percentile(list(range(1, 101)), 0.95) == 96
    assert percentile(list(range(1, 7)), 0.95) == 6
    assert percentile([7], 0.95) == 7


def test_a_row_of_nothing_but_errors_still_prints() -> None:
    row = summary(8, [], ["refused"], 1.0)
    assert row["errors"] == 1 and row["first_error"] == "refused"
    assert "-" in table([row]).splitlines()[1]


def test_rates_count_only_what_was_answered() -> None:
    row = summary(1, [Timed(0.1, 0.01, 0.4, 32, 300, 0)] * 4, ["x"], 2.0)
    assert row["requests_per_s"] == 2.0 and row["output_tokens_per_s"] == 64.0
    assert row["per_token_ms_p50"] == pytest.approx(10.0)


def test_base64_of_the_picture_is_what_is_sent() -> None:
    (url,) = pictures_of(request_body(Load("m", side=64, seed=1), 2))
    assert base64.b64decode(url.partition(",")[2]) == picture(64, 1 * 1_000_003 + 2)


def test_so_many_requests_in_a_row_carry_the_same_picture() -> None:
    load = Load("m", side=64, repeats=3)
    sent = [pictures_of(request_body(load, number))[0] for number in range(6)]
    assert sent[0] == sent[1] == sent[2] != sent[3] == sent[4] == sent[5]


def test_long_texts_have_the_asked_length_end_with_the_question_and_never_begin_alike() -> None:
    texts = [
        request_body(Load("m", side=0, text_chars=500, prompt="Why?"), n)["messages"][0]["content"] for n in (0, 1)
    ]
    assert [len(text) for text in texts] == [500, 500]
    assert all(text.endswith(" Why?") for text in texts)
    assert texts[0][:20] != texts[1][:20]


def test_requests_are_streamed_json_and_shared_ones_are_made_once() -> None:
    bodies = request_bytes(Load("m", side=64, shared=True), 5)
    assert len(bodies) == 5 and len({id(body) for body in bodies}) == 1
    assert json.loads(bodies[0])["stream"] is True
    assert len(set(request_bytes(Load("m", side=64), 5))) == 5


def test_gaps_are_counted_between_the_events_of_one_answer_only() -> None:
    first = Timed(0.1, 0.01, 0.4, 3, 9, 0, stamps=(1.0, 1.5, 1.75))
    second = Timed(0.1, 0.01, 0.4, 2, 9, 0, stamps=(5.0, 5.125))
    row = summary(2, [first, second], [], 2.0)
    assert (row["gap_ms_p50"], row["gap_ms_max"]) == (250.0, 500.0)
    within = summary(2, [first, second], [], 2.0, gaps_from=1.2, gaps_until=2.0)
    assert within["gap_ms_max"] == 250.0, "gaps that begin before or end after the time do not count"


def test_text_streams_beside_a_load_are_reported_with_and_without_it(flashweb: Run, echo_server: str) -> None:
    done = flashweb(
        "bench", "--url", echo_server, "--concurrency", "2", "--least", "24", "--side", "112", "--tokens", "16",
        "--streams", "2", "--json", "-", "--warm-up", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["requests"] == 24 and row["prompt_tokens"] > 16, "the row is that of the pictures"
    alone, beside = row["streams"]["alone"], row["streams"]["beside"]
    assert alone["requests"] == 6 and beside["requests"] >= 2
    idle, busy = alone.get("gap_ms_p50"), beside.get("gap_ms_p99")
    if idle and busy:  # the echo writes without a pause: several tokens may come at once
        assert row["gap_ratio"] == pytest.approx(busy / idle, abs=0.006, rel=0.02)
    else:
        assert "gap_ratio" not in row


@pytest.mark.parametrize("flag", ["--tokens", "--least", "--repeats", "--images"])
def test_numbers_that_make_no_load_are_refused(flashweb: Run, flag: str) -> None:
    done = flashweb("bench", flag, "0")
    assert done.returncode == 3 and f"{flag} 0 is too small" in done.stderr
