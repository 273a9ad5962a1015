"""Background responses: queued, run, watched from the middle, cancelled, and taken up again by another process."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types.responses import Response

from flashweb.api.responses import routes
from flashweb.api.responses.runs import Runs
from flashweb.errors import EngineDied
from flashweb.jobs import JobQueue, runner, sql
from flashweb.jobs.records import MAX_ATTEMPTS
from flashweb.jobs.sqlite import sqlite_store
from flashweb.stored import SqliteResponses
from flashweb.types import TokenOut
from tests.api.test_responses import PATH, read_events
from tests.house import ScriptedEngine, data_url, encode, make_app, make_pipeline, png, user

Client = httpx.AsyncClient


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(runner, "BEAT_SECONDS", 0.1)


@asynccontextmanager
async def server(folder: Path, engine: Any, **given: Any) -> AsyncIterator[Client]:
    """A whole life of the app, its start and end included, over the same folder as the one before."""
    pipeline = make_pipeline(engine, storage__data_dir=str(folder), **given)
    app = make_app(pipeline)
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    scope: dict[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0"}}
    life: asyncio.Task[None] = asyncio.create_task(app(scope, inbox.get, said.put))  # type: ignore[arg-type]
    inbox.put_nowait({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    await asyncio.wait_for(pipeline.wait_ready(), 60)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        try:
            yield client
        finally:
            await pipeline.drain(0)
            inbox.put_nowait({"type": "lifespan.shutdown"})
            assert (await said.get())["type"] == "lifespan.shutdown.complete"
            await life


async def submit(client: Client, input: Any = "x", **fields: Any) -> str:
    answer = await client.post(PATH, json={"input": input, "background": True, **fields})
    assert answer.status_code == 200, answer.text
    found = Response.model_validate(answer.json(), strict=True)
    assert found.status == "queued" and found.background and found.output == []
    return found.id


async def until(client: Client, id: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            body: dict[str, Any] = (await client.get(f"{PATH}/{id}")).json()
            Response.model_validate(body, strict=True)
            if done(body):
                return body
            await asyncio.sleep(0.01)


def has(status: str) -> Callable[[dict[str, Any]], bool]:
    return lambda body: body["status"] == status


async def test_a_background_response_is_queued_runs_and_is_retrieved(tmp_path: Path) -> None:
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine("a picture", gate=gate)
    picture = {"type": "input_image", "image_url": data_url(png(300, 300, 3))}
    async with server(tmp_path, engine) as client:
        gate.clear()  # from here on: the warm-up is over
        id = await submit(
            client, [{"role": "user", "content": [picture]}], instructions="be brief", metadata={"a": "b"}
        )
        running = await until(client, id, has("in_progress"))
        assert running["output"] == []
        early = await client.post(PATH, json={"input": "y", "previous_response_id": id})
        assert early.status_code == 400 and "in_progress" in early.text
        gate.set()
        body = await until(client, id, has("completed"))
        assert Response.model_validate(body).output_text == "a picture"
        assert body["metadata"] == {"a": "b"} and body["instructions"] == "be brief"
        assert body["usage"]["input_tokens_details"]["image_tokens"] > 0
        follow = await client.post(PATH, json={"input": "y", "previous_response_id": id})
        assert follow.status_code == 200
        assert len(engine.asked[-1][0].spans) == 1
        assert (await client.post(f"{PATH}/{id}/cancel")).json() == body  # an end is final


async def test_its_events_are_streamed_from_the_beginning_and_from_the_middle(tmp_path: Path) -> None:
    async with server(tmp_path, ScriptedEngine("one two three")) as client:
        answer = await client.post(PATH, json={"input": "x", "background": True, "stream": True})
        events = read_events(answer.text)
        told = [event.type for event in events]
        assert told[:3] == ["response.created", "response.queued", "response.in_progress"]
        assert told[-1] == "response.completed" and events[-1].response.output_text == "one two three"
        assert events[0].response.status == "queued" and events[2].response.status == "in_progress"
        id = events[0].response.id
        again = await client.get(f"{PATH}/{id}", params={"stream": "true"})
        assert again.text == answer.text
        middle = await client.get(f"{PATH}/{id}", params={"stream": "true", "starting_after": 7})
        assert [e.to_dict() for e in read_events(middle.text, 8)] == [e.to_dict() for e in events[8:]]


async def test_a_watcher_may_leave_and_come_back_while_it_runs(tmp_path: Path) -> None:
    engine = ScriptedEngine("half", stay=True)
    async with server(tmp_path, stays_later(engine)) as client:
        id = await submit(client)
        seen = await watch(client, id, -1, "response.output_text.delta")
        assert seen[-1]["type"] == "response.output_text.delta"
        more = await watch(client, id, seen[-1]["sequence_number"] - 1, "response.output_text.delta")
        assert more[0] == seen[-1]
        assert (await client.post(f"{PATH}/{id}/cancel")).json()["status"] == "cancelled"
        async with asyncio.timeout(60):
            rest = await client.get(f"{PATH}/{id}", params={"stream": "true"})  # ends, though no event says so
        assert "response.completed" not in rest.text
        await until_idle(engine)


def stays_later(engine: ScriptedEngine) -> ScriptedEngine:
    """The same, which first answers the warm-up."""
    whole = engine.generate

    async def generate(prompt: Any, params: Any, request_id: str) -> AsyncIterator[Any]:
        engine.stay = not params.ignore_eos
        async for out in whole(prompt, params, request_id):
            yield out

    engine.generate = generate  # type: ignore[method-assign]
    return engine


async def watch(client: Client, id: str, after: int, last: str) -> list[dict[str, Any]]:
    """Events until one of that type has come; httpx's transport in process would wait for the end of the stream."""
    store_events: list[dict[str, Any]] = []
    app = client._transport.app  # type: ignore[attr-defined]
    query = f"stream=true&starting_after={after}".encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": f"{PATH}/{id}", "raw_path": b"", "query_string": query, "root_path": "",
        "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080),
    }  # fmt: skip
    leave = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await leave.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        for line in message.get("body", b"").decode().splitlines():
            if line.startswith("data: "):
                store_events.append(json.loads(line.removeprefix("data: ")))
        if any(event["type"] == last for event in store_events):
            leave.set()

    async with asyncio.timeout(60):
        await app(scope, receive, send)
    return store_events


async def until_idle(engine: ScriptedEngine) -> None:
    async with asyncio.timeout(60):
        while engine.num_running:  # noqa: ASYNC110  (the engine has no event for it)
            await asyncio.sleep(0.01)


async def test_a_cancelled_response_frees_its_place_and_a_deleted_one_too(tmp_path: Path) -> None:
    engine = ScriptedEngine("half", stay=True)
    async with server(tmp_path, stays_later(engine)) as client:
        first, second = await submit(client), await submit(client)
        await until(client, first, has("in_progress"))
        await until(client, second, has("in_progress"))
        assert (await client.post(f"{PATH}/{first}/cancel")).json()["status"] == "cancelled"
        assert (await client.post(f"{PATH}/{first}/cancel")).json()["status"] == "cancelled"
        assert (await client.delete(f"{PATH}/{second}")).status_code == 200
        await until_idle(engine)
        assert (await client.get(f"{PATH}/{first}")).json()["status"] == "cancelled"
        assert (await client.get(f"{PATH}/{second}")).status_code == 404


async def test_another_process_may_cancel_what_runs_here(tmp_path: Path) -> None:
    one, two = ScriptedEngine("half", stay=True), ScriptedEngine("half", stay=True)
    async with server(tmp_path, stays_later(one)) as first, server(tmp_path, stays_later(two)) as second:
        id = await submit(first)
        await until(second, id, has("in_progress"))
        # Which of them runs it is decided by who has the lock.
        runs_it, other = (one, second) if one.num_running else (two, first)
        assert (await other.post(f"{PATH}/{id}/cancel")).json()["status"] == "cancelled"
        await until_idle(runs_it)


async def test_what_a_stop_interrupts_is_answered_after_the_next_start(tmp_path: Path) -> None:
    engine = ScriptedEngine("half", stay=True)
    async with server(tmp_path, stays_later(engine)) as client:
        id = await submit(client, temperature=0.25)
        await until(client, id, has("in_progress"))
    async with server(tmp_path, ScriptedEngine("whole")) as client:
        body = await until(client, id, has("completed"))
        assert Response.model_validate(body).output_text == "whole"
        assert body["temperature"] == 0.25 and body["id"] == id
        text = (await client.get(f"{PATH}/{id}", params={"stream": "true"})).text
        assert read_events(text)[-1].type == "response.completed" and "half" not in text


async def test_what_a_crash_interrupts_is_answered_anew_once_and_nothing_of_the_first_run_is_heard(
    tmp_path: Path,
) -> None:
    engine = ScriptedEngine("half", stay=True)
    async with server(tmp_path, stays_later(engine)) as client:
        id = await submit(client)
        await until(client, id, has("in_progress"))
    queue, crashed = sqlite_store(tmp_path / "jobs.sqlite"), SqliteResponses(tmp_path, max_bytes=1 << 30, days=30)
    (lease,) = queue.claim(f"{socket.gethostname()}:{tmp_path}", 1, time.time(), 3600)
    assert await crashed.begin(id, lease.token) is not None  # a process that dies with this in its hands
    async with server(tmp_path, ScriptedEngine("whole")) as client:
        body = await until(client, id, has("completed"))
        assert Response.model_validate(body).output_text == "whole"
        assert not await crashed.add_events(id, lease.token, 0, [b"late"])
        assert not queue.finish(lease, b"late", True, time.time())
        async with asyncio.timeout(10):  # the queue hears of it after the store
            while (job := queue.get(id, "")) is not None and not job.has_ended:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert job is not None and (job.total, job.completed, job.failed) == (1, 1, 0)
        assert (await client.get(f"{PATH}/{id}")).json() == body
    await crashed.close()
    queue.close()


async def test_who_watches_while_it_is_answered_anew_hears_the_new_answer_from_its_beginning(tmp_path: Path) -> None:
    engine, has_heard, num_runs = ScriptedEngine("whole answer"), asyncio.Event(), 0
    whole = engine.generate

    async def generate(prompt: Any, params: Any, request_id: str) -> AsyncIterator[Any]:
        nonlocal num_runs
        num_runs += not params.ignore_eos  # the warm-up has it
        if num_runs == 1:
            yield TokenOut(tuple(encode("half of it")))
            await has_heard.wait()
            raise EngineDied("gone")
        async for out in whole(prompt, params, request_id):
            yield out

    engine.generate = generate  # type: ignore[method-assign]
    async with server(tmp_path, engine) as client:
        id = await submit(client)
        watching = asyncio.create_task(watch(client, id, -1, "response.completed"))
        await watch(client, id, -1, "response.output_text.delta")
        await asyncio.sleep(2 * routes.POLL_SECONDS[1])  # the other one has heard as much
        has_heard.set()
        events = await watching
    created = max(index for index, event in enumerate(events) if event["type"] == "response.created")
    assert created > 0 and events[created]["sequence_number"] == 0
    anew = [event["delta"] for event in events[created:] if event["type"] == "response.output_text.delta"]
    assert "".join(anew) == "whole answer"


async def test_a_response_whose_process_died_before_it_was_handed_in_is_answered_all_the_same(tmp_path: Path) -> None:
    async with server(tmp_path, ScriptedEngine("x")) as client:
        id = await submit(client, "what?", instructions="be brief")
        await until(client, id, has("completed"))
    interrupt(tmp_path, id)
    (tmp_path / "jobs.sqlite").unlink()  # as when the queue's server has lost what it had
    async with server(tmp_path, ScriptedEngine("whole")) as client:
        body = await until(client, id, has("completed"))
        assert Response.model_validate(body).output_text == "whole" and body["instructions"] == "be brief"


def interrupt(folder: Path, id: str) -> None:
    """As the disk looks when a response has begun and not ended."""
    with closing(sqlite3.connect(folder / "responses.sqlite")) as line, line:
        line.execute("UPDATE responses SET status = 'in_progress', run = 4 WHERE id = ?", (id,))
        ((body,),) = line.execute("SELECT body FROM responses WHERE id = ?", (id,))
        queued = json.dumps({**json.loads(body), "status": "in_progress", "output": [], "usage": None})
        line.execute("UPDATE responses SET body = ? WHERE id = ?", (queued.encode(), id))


async def test_a_run_whose_number_a_power_cut_took_back_is_answered_all_the_same(tmp_path: Path) -> None:
    """The two files go to the disk each by itself: the store may know of runs that the queue has forgotten."""
    engine = ScriptedEngine("half", stay=True)
    async with server(tmp_path, stays_later(engine)) as client:
        id = await submit(client)
        await until(client, id, has("in_progress"))
    with closing(sqlite3.connect(tmp_path / "responses.sqlite")) as line, line:
        line.execute("UPDATE responses SET run = run + 2 WHERE id = ?", (id,))
    async with server(tmp_path, ScriptedEngine("whole")) as client:
        body = await until(client, id, lambda body: body["status"] not in ("queued", "in_progress"))
        assert body["status"] == "completed" and Response.model_validate(body).output_text == "whole"


async def test_a_response_whose_job_was_given_up_has_failed(tmp_path: Path) -> None:
    async with server(tmp_path, ScriptedEngine("x")) as client:
        id = await submit(client)
        await until(client, id, has("completed"))
    interrupt(tmp_path, id)
    async with server(tmp_path, ScriptedEngine("whole")) as client:
        body = await until(client, id, has("failed"))
        assert body["error"]["code"] == "server_error" and "broke off" in body["error"]["message"]
        events = read_events((await client.get(f"{PATH}/{id}", params={"stream": "true"})).text)
        assert [events[0].type, events[-1].type] == ["response.created", "response.failed"]


async def test_a_response_that_takes_the_engine_with_it_fails_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "back_off_seconds", lambda attempt: 0.01)
    engine = ScriptedEngine("half")
    async with server(tmp_path, engine) as client:
        engine.error = EngineDied("the engine has died")
        id = await submit(client)
        body = await until(client, id, has("failed"))
        assert body["error"]["code"] == "server_error" and f"{MAX_ATTEMPTS} runs" in body["error"]["message"]
        assert len([asked for asked in engine.asked if not asked[1].ignore_eos]) == MAX_ATTEMPTS
        events = read_events((await client.get(f"{PATH}/{id}", params={"stream": "true"})).text)
        assert [events[0].type, events[-1].type] == ["response.created", "response.failed"]


async def test_callers_take_turns_whatever_each_has_handed_in(tmp_path: Path) -> None:
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine("ok", gate=gate, max_num_seqs=1)
    async with server(tmp_path, engine) as client:
        gate.clear()
        mine = [await submit(client, f"mine {i}") for i in range(8)]
        asked = {"input": "theirs", "background": True, "temperature": 0.5}
        assert (await client.post(PATH, json=asked, headers={"authorization": "Bearer another"})).status_code == 200
        gate.set()
        for id in mine:
            await until(client, id, has("completed"))
    order = [params.temperature for _, params, _ in engine.asked if not params.ignore_eos]
    assert len(order) == 9 and order.index(0.5) <= 2, "it has waited for all of somebody else's"


async def test_a_failure_of_the_run_is_the_responses_status(tmp_path: Path) -> None:
    engine = ScriptedEngine("half")
    async with server(tmp_path, engine) as client:
        engine.error = ValueError("a secret")
        id = await submit(client)
        body = await until(client, id, has("failed"))
        assert body["error"]["code"] == "server_error" and "secret" not in json.dumps(body)
        engine.error = None
        before = await client.post(PATH, json={"input": "y"})
        id = await submit(client, previous_response_id=before.json()["id"])
        await until(client, id, has("completed"))


async def test_no_more_run_at_once_than_have_room_and_others_are_answered_meanwhile(tmp_path: Path) -> None:
    engine = ScriptedEngine("ok", max_num_seqs=2)
    async with server(tmp_path, engine) as client:
        ids = [await submit(client, f"number {i}") for i in range(12)]
        chat = await client.post("/v1/chat/completions", json={"messages": user("hi")})
        assert chat.status_code == 200
        for id in ids:
            await until(client, id, has("completed"))
        questions = [asked for asked in engine.asked if not asked[1].ignore_eos]
        assert len(questions) == 13


async def test_a_background_response_is_background_work_in_the_engine(tmp_path: Path) -> None:
    engine = ScriptedEngine("words")
    async with server(tmp_path, engine) as client:
        await until(client, await submit(client), has("completed"))
        assert (await client.post(PATH, json={"input": "now"})).status_code == 200
    # The first was the warm-up's.
    assert [params.background for _, params, _ in engine.asked][-2:] == [True, False]


async def test_a_server_that_stops_while_it_mends_leaves_no_queue_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server(tmp_path, ScriptedEngine("x")) as client:
        await until(client, await submit(client), has("completed"))
    queues: list[JobQueue] = []

    async def mend(runs: Runs) -> None:
        queues.append(runs._queue)
        while True:
            await asyncio.sleep(0)
            await runs._queue.do(lambda store: store.get("none", ""))

    monkeypatch.setattr(Runs, "mend", mend)
    async with server(tmp_path, ScriptedEngine("x")):
        pass
    assert queues and all(queue._store is None for queue in queues)
