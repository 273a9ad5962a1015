"""`Background`: files, queue and runner of one server, wired and with one life, and the app as the runner asks it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Scope

from flashweb.api import caller
from flashweb.api.exchange import exchange_of
from flashweb.api.responses import runs
from flashweb.api.responses.runs import Runs
from flashweb.jobs import JobQueue, batches, open_queue, requests
from flashweb.jobs.batches import Batches
from flashweb.jobs.files import FileStore
from flashweb.jobs.requests import Requests
from flashweb.jobs.runner import Answer, Ask, Call, Kind, Runner
from flashweb.keys import Caller
from flashweb.pipeline import Pipeline
from flashweb.pipeline.door import ASSUMED_MAX_NUM_SEQS
from flashweb.settings import Settings

DAY = 24 * 3600.0
# Of the engine's places, this part more: while one request's picture is decoded another one's tokens are made.
AHEAD = 0.25
RESERVE = 0.2  # of all places, running and waiting: a background request never takes the last ones


class Background:
    def __init__(self, settings: Settings, pipeline: Pipeline) -> None:
        """Nothing is opened and nobody asked yet. Raises ConfigError."""
        storage = settings.storage
        self.files = FileStore(storage)
        self.queue: JobQueue = open_queue(storage)
        self._keep_seconds = storage.keep_days * DAY
        self.batches = Batches(
            self.queue,
            self.files,
            storage.folder / "batches",
            max_body_bytes=settings.server.max_body_size,
            keep_seconds=self._keep_seconds,
        )
        self._folder = storage.folder
        self._pipeline = pipeline
        self._runner: Runner | None = None
        self._responses: Runs | None = None

    def start(self, app: ASGIApp, responses: Runs) -> None:
        """Begin to run what is in the queue, through `app`, the whole of it."""
        kinds: dict[str, Kind] = {batches.KIND: self.batches, requests.KIND: Requests(), runs.KIND: responses}
        self._responses = responses
        self._runner = Runner(self.queue, kinds, asker(app), places_of(self._pipeline), self._folder, sweep=self._sweep)
        self._runner.start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.stop()
        await self.files.close()  # first: what still writes a batch's files reads its answers in the queue
        await self.queue.close()

    async def _sweep(self) -> None:
        await self.files.sweep()
        if not await self.queue.is_there():
            return
        before = time.time() - self._keep_seconds
        await self.queue.do(lambda store: store.purge(before))
        await self.batches.sweep()
        if self._responses is not None:
            await self._responses.mend()


def places_of(pipeline: Pipeline) -> Callable[[int], int]:
    """How many items may begin beside `running` ones: as many as keep the engine full, never so many that an
    interactive request finds the house full."""

    def places(running: int) -> int:
        if not pipeline.health().ready:
            return 0
        engine_full = pipeline.engine.state.max_num_seqs or ASSUMED_MAX_NUM_SEQS
        inside = pipeline.num_inside
        others = max(0, inside + pipeline.door.tell_inside(inside) - running)
        capacity = pipeline.capacity
        room = capacity - math.ceil(RESERVE * capacity) - others
        if capacity == 1 and not others:
            room = 1  # a house of one place: jobs have it while nobody else is there, or they would never run
        return min(engine_full + max(1, int(AHEAD * engine_full)), room) - running

    return places


def asker(app: ASGIApp) -> Ask:
    """Requests to the app within this process: the way of every other request, without a key and outside of rates."""

    async def ask(call: Call, unwanted: asyncio.Event) -> Answer:
        collected, scope = _Collected(call.body, unwanted), _scope(call)
        await app(scope, collected.receive, collected.send)
        return collected.answer(exchange_of(scope).record.work.error_code)

    return ask


def _scope(call: Call) -> Scope:
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": call.path,
        "raw_path": quote(call.path).encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", call.content_type.encode("latin-1")),
            (b"content-length", str(len(call.body)).encode()),
        ],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
        "state": {},
    }
    caller.Background(call.owner, Caller(call.caller) if call.caller else None, call.lease).mark(scope)
    return scope


class _Collected:
    """The two ends of one request: its body, and the answer as it comes."""

    def __init__(self, body: bytes, unwanted: asyncio.Event) -> None:
        self._body: bytes | None = body
        self._unwanted = unwanted
        self._start: Message = {"status": 500, "headers": []}
        self._pieces: list[bytes] = []

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._unwanted.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._pieces.append(message.get("body", b""))

    def answer(self, error_code: str | None) -> Answer:
        headers = {name.lower(): value.decode("latin-1") for name, value in self._start["headers"]}
        return Answer(
            int(self._start["status"]),
            headers.get(b"x-request-id", ""),
            b"".join(self._pieces),
            headers.get(b"content-type", ""),
            {name.decode(): value for name, value in headers.items() if name.startswith(b"x-flashweb-")},
            error_code,
        )
