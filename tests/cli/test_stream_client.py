"""The load generator's connection: every framing, every way to be cut, and what counts as a token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashweb.cli.client import ChatServer, ServerError, ServerUnreachable
from flashweb.cli.load import Load, run_load
from flashweb.cli.stream_client import StreamClient, Streamed

ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}], "usage": None}
WORD = {"choices": [{"index": 0, "delta": {"content": "wört"}, "finish_reason": None}]}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
COUNT = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
ANSWER = [ROLE, WORD, WORD, WORD, END, COUNT]


def event(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def chunked(pieces: Sequence[bytes], trailer: bytes = b"") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: Chunked\r\n\r\n"
    body = b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return head + body + b"0\r\n" + trailer + b"\r\n"


WHOLE = chunked([*(event(chunk) for chunk in ANSWER), b": keep-alive\n\n", b"data: [DONE]\n\n"])


class Scripted:
    """A server that answers each request with the next of the given answers, in the given portions, and counts."""

    def __init__(self, *answers: Sequence[bytes], close: bool = False) -> None:
        self.answers = list(answers)
        self.close = close
        self.num_connections = 0
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.num_connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                for portion in self.answers.pop(0):
                    writer.write(portion)
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def client_of(server: Scripted, timeout_seconds: float = 10.0) -> AsyncIterator[StreamClient]:
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    client = StreamClient(f"http://127.0.0.1:{port}", "secret", timeout_seconds=timeout_seconds)
    try:
        yield client
    finally:
        client.close()
        listening.close()
        await asyncio.sleep(0)


async def ask(server: Scripted) -> Streamed:
    async with client_of(server) as client:
        return await client.post(b"{}")


def is_whole(streamed: Streamed) -> bool:
    times = [streamed.started, *streamed.stamps, streamed.ended]
    return len(streamed.stamps) == 3 and streamed.usage["completion_tokens"] == 3 and times == sorted(times)


async def test_a_role_an_empty_delta_and_a_count_are_no_tokens() -> None:
    assert is_whole(await ask(Scripted([WHOLE])))


@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_it_does_not_matter_where_the_line_cuts_an_answer(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WHOLE)]
    portions = [WHOLE[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    assert is_whole(asyncio.run(ask(Scripted(portions))))


async def test_one_byte_at_a_time_is_the_same_answer() -> None:
    assert is_whole(await ask(Scripted([WHOLE[i : i + 1] for i in range(len(WHOLE))])))


async def test_counted_bodies_bodies_until_the_end_and_trailers_are_read() -> None:
    body = b"".join(map(event, ANSWER)) + b"data: [DONE]\n\n"
    counted = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    assert is_whole(await ask(Scripted([counted])))
    assert is_whole(await ask(Scripted([b"HTTP/1.1 200 OK\r\n\r\n" + body], close=True)))
    assert is_whole(await ask(Scripted([chunked([body], b"x-took: 3\r\n")])))
    assert is_whole(await ask(Scripted([b"HTTP/1.1 100 Continue\r\n\r\n" + counted])))


async def test_the_connection_is_kept_and_a_closed_one_is_made_anew() -> None:
    kept = Scripted([WHOLE], [WHOLE], [WHOLE])
    async with client_of(kept) as client:
        for _ in range(3):
            assert is_whole(await client.post(b'{"a":1}'))
    assert kept.num_connections == 1 and len(kept.requests) == 3
    assert kept.requests[0].endswith(b'\r\n\r\n{"a":1}') and b"Bearer secret\r\n" in kept.requests[0]
    closing = Scripted([WHOLE], [WHOLE], close=True)
    async with client_of(closing) as client:
        assert is_whole(await client.post(b"{}")) and is_whole(await client.post(b"{}"))
    assert closing.num_connections == 2


async def test_reasoning_and_tool_calls_are_tokens_too() -> None:
    deltas = [{"reasoning_content": "hm"}, {"tool_calls": [{"index": 0}]}, {"content": None}]
    chunks = [{"choices": [{"delta": delta}]} for delta in deltas]
    assert len((await ask(Scripted([chunked([*map(event, chunks), event(COUNT)])]))).stamps) == 2


async def test_a_refusal_says_why_and_leaves_the_line_usable() -> None:
    body = b'{"error": {"message": "no such model"}}'
    refusal = b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    server = Scripted([refusal], [WHOLE])
    async with client_of(server) as client:
        with pytest.raises(ServerError, match="status 404: no such model"):
            await client.post(b"{}")
        assert is_whole(await client.post(b"{}"))
    assert server.num_connections == 1


async def test_an_error_in_the_stream_is_an_error_and_the_rest_is_not_taken_for_the_next_answer() -> None:
    broken = chunked([event(WORD), event({"error": {"message": "engine died"}}), event(WORD)])
    server = Scripted([broken], [WHOLE])
    async with client_of(server) as client:
        with pytest.raises(ServerError, match="engine died"):
            await client.post(b"{}")
        assert is_whole(await client.post(b"{}"))
    assert server.num_connections == 2


@pytest.mark.parametrize("answer", [WHOLE[:-40], WHOLE[:60], b""], ids=["in the body", "in the head", "before it"])
async def test_a_line_that_breaks_is_not_an_answer(answer: bytes) -> None:
    with pytest.raises(ServerUnreachable):
        await ask(Scripted([answer], close=True))


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", chunked([b"data: nonsense\n\n"]), b"HTTP/1.1 abc\r\n\r\n"])
async def test_what_is_no_stream_of_chunks_is_a_clear_error(answer: bytes) -> None:
    with pytest.raises(ServerError):
        await ask(Scripted([answer]))


async def test_an_answer_that_takes_too_long_is_given_up() -> None:
    async with client_of(Scripted([WHOLE[:80]], [WHOLE]), timeout_seconds=0.2) as client:
        with pytest.raises(ServerUnreachable, match="not done after"):
            await client.post(b"{}")


async def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(ServerUnreachable, match="no answer from"):
        await StreamClient("http://127.0.0.1:9").post(b"{}")


async def test_figures_mean_what_the_goals_were_measured_with() -> None:
    """The role is no first token, and what comes after the last token (its count) belongs to the tokens' time."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for pause, portion in zip((0.0, 0.1, 0.1, 0.2), (WHOLE[:180], WHOLE[180:400], b"", WHOLE[400:]), strict=True):
            await asyncio.sleep(pause)
            writer.write(portion)
        writer.close()

    assert WHOLE[:180].count(b"data:") == 1 and b"w" not in WHOLE[:180].partition(b"data:")[2]
    assert WHOLE[400:].count(b'"usage": {') == 1
    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening, ChatServer(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}") as server:
        row = await asyncio.wait_for(run_load(server, Load("m", side=0, tokens=3), 1, 1), 20)
    assert row["errors"] == 0, row
    # Not less than the server's pauses, which the clock may cut by its resolution; more on a machine that is busy.
    assert row["first_token_ms_p50"] > 95 and row["per_token_ms_p50"] > 290 / 2
    assert row["whole_ms_p50"] == pytest.approx(row["first_token_ms_p50"] + 2 * row["per_token_ms_p50"], abs=0.1)
    assert 1 / row["requests_per_s"] >= 0.39
