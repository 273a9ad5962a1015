"""One request and its answer: what every layer finds of it, and what goes out in one piece."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from flashweb.api.exchange import Exchanges, exchange_of
from flashweb.api.sse import DONE, EventStream
from flashweb.observe.ledger import Ledger
from tests.api.test_timings import access_lines  # noqa: F401  (a fixture)
from tests.house import ScriptedEngine, Upload, make_app, make_pipeline, open_house, png, user


async def sent_by(events: AsyncGenerator[bytes, None]) -> list[Message]:
    """The messages of a stream of events, as the server gets them."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await EventStream(events, headers={"x-a": "b"}, keep_alive_seconds=9, send_timeout_seconds=9)(
            scope, receive, send
        )

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await Exchanges(app, Ledger(), [])(scope, receive, send)
    assert exchange_of(scope).status == 200
    return sent


async def test_the_end_of_a_stream_goes_out_with_its_last_event_when_its_work_is_over() -> None:
    over = False

    async def events() -> AsyncGenerator[bytes, None]:
        nonlocal over
        try:
            yield b"data: 1\n\n"
            yield b"data: 2\n\n" + DONE
        finally:
            over = True

    start, *pieces = await sent_by(events())
    assert start["type"] == "http.response.start" and over
    assert [(piece["body"][:7], piece["more_body"]) for piece in pieces] == [(b"data: 1", True), (b"data: 2", False)]


async def test_a_stream_whose_events_just_end_is_ended_too() -> None:
    async def events() -> AsyncGenerator[bytes, None]:
        yield b"data: 1\n\n"

    _, *pieces = await sent_by(events())
    assert [(piece["body"], piece["more_body"]) for piece in pieces] == [(b"data: 1\n\n", True), (b"", False)]


async def test_a_streamed_answers_engine_work_has_ended_when_its_last_piece_goes_out() -> None:
    engine = ScriptedEngine("some words")
    app = make_app(pipeline := make_pipeline(engine))
    await pipeline.start()
    await pipeline.wait_ready()
    upload = Upload(app)
    request = upload.begin()
    upload.body(json.dumps({"messages": user("hi"), "stream": True}).encode())
    running: list[int] = []
    upload.sent = _Watched(lambda: running.append(engine.num_running))  # type: ignore[assignment]
    await asyncio.wait_for(request, 10)
    await pipeline.stop()
    assert upload.sent[-1]["body"].endswith(DONE) and not upload.sent[-1]["more_body"]
    assert running[-1] == 0 and running[1] == 1


class _Watched(list[Any]):
    def __init__(self, look: Any) -> None:
        super().__init__()
        self._look = look

    def append(self, item: Any) -> None:
        self._look()
        super().append(item)


async def test_an_answer_to_a_program_differs_from_one_to_a_page_only_in_what_pages_need() -> None:
    async with open_house(ScriptedEngine(), server__cors_allowed_origins=["http://shop.example"]) as house:
        program = await house.chat("hi")
        page = await house.post({"messages": user("hi")}, headers={"origin": "http://shop.example"})
    assert program.headers["vary"] == page.headers["vary"] == "Origin"
    assert set(page.headers) - set(program.headers) == {
        "access-control-allow-origin", "access-control-expose-headers",
    }  # fmt: skip


async def test_no_name_of_an_answers_head_is_there_twice() -> None:
    async with open_house(ScriptedEngine(), server__rate_limit="100/minute") as house:
        for answer in (await house.chat("hi"), await house.chat("hi", temperature=9), await house.client.get("/docs")):
            names = [name for name, _ in answer.headers.multi_items()]
            assert len(names) == len(set(names)), names


async def test_the_log_names_the_scene_beside_the_answers_own_fields(access_lines: Any) -> None:  # noqa: F811
    async with open_house(ScriptedEngine("a text"), log__access_log=True) as house:
        await house.client.post("/api/scenes/ocr", files={"file": png()})
    (entry,) = access_lines()
    assert entry["scene"] == "ocr" and entry["prompt_tokens"] > 0
