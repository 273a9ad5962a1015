"""`/api/admin` of several web processes: one answer for all of them, whichever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from flashweb.api.admin_peers import added_up, newest_first
from flashweb.api.schemas.admin import RequestsOut, StatusOut
from tests.house import House, ScriptedEngine, open_house

KEY = "an-admin-key-of-some-length"
ADMIN = {"authorization": f"Bearer {KEY}"}
STATUS, REQUESTS = "/api/admin/status", "/api/admin/requests"


class Wire:
    """Between web processes that are in one process here."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[bytes], bytes]] = {}

    def of(self, name: str) -> End:
        return End(self, name)


class End:
    def __init__(self, wire: Wire, name: str) -> None:
        self._wire, self._name = wire, name

    def answer_with(self, answer: Callable[[bytes], bytes]) -> None:
        self._wire.answers[self._name] = answer

    async def ask(self, question: bytes) -> list[bytes]:
        return [answer(question) for name, answer in self._wire.answers.items() if name != self._name]


@asynccontextmanager
async def two_houses() -> AsyncIterator[tuple[House, House]]:
    wire, given = Wire(), {"auth__admin_key": KEY, "auth__api_keys": ("shop:sk-0123456789abcdef",)}
    async with (
        open_house(ScriptedEngine("one two"), options={"peers": wire.of("a")}, **given) as one,
        open_house(ScriptedEngine("one two"), options={"peers": wire.of("b")}, **given) as other,
    ):
        yield one, other


async def test_usage_and_requests_are_those_of_all_web_processes_together() -> None:
    shop = {"authorization": "Bearer sk-0123456789abcdef"}
    async with two_houses() as (one, other):
        for house in (one, other, other):
            answer = await house.post({"messages": [{"role": "user", "content": "hi"}]}, headers=shop)
            assert answer.status_code == 200
        for asked in (one, other):
            status = StatusOut.model_validate((await asked.client.get(STATUS, headers=ADMIN)).json())
            assert len(status.web_processes) == 2 and status.web_process == status.web_processes[0]
            (usage,) = status.usage
            assert (usage.key, usage.requests, usage.completion_tokens) == ("shop", 3, 3 * 7)
            assert [(day.key, day.requests) for day in status.usage_by_day] == [("shop", 3)]
            body = (await asked.client.get(REQUESTS, headers=ADMIN)).json()
            found = RequestsOut.model_validate(body).requests
            assert len({request.id for request in found}) == 3
            assert [request.time for request in found] == sorted((request.time for request in found), reverse=True)
            (newest,) = (await asked.client.get(REQUESTS, params={"limit": 1}, headers=ADMIN)).json()["requests"]
            assert newest["id"] == found[0].id == answer.headers["x-request-id"]
            none = (await asked.client.get(REQUESTS, params={"status": "5xx"}, headers=ADMIN)).json()
            assert none["requests"] == []


async def test_a_request_is_ended_from_whichever_web_process() -> None:
    async with two_houses() as (one, other):
        other.engine.stay = True
        body = {"messages": [{"role": "user", "content": "hi"}]}
        running = asyncio.create_task(other.post(body, headers=ADMIN))
        while not other.engine.num_running:  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.01)
        listed = (await one.client.get(REQUESTS, params={"status": "running"}, headers=ADMIN)).json()["requests"]
        assert [request["state"] for request in listed] == ["running"]
        path = f"{REQUESTS}/{listed[0]['id']}"
        assert (await one.client.delete(path, headers=ADMIN)).json() == {"id": listed[0]["id"], "cancelled": True}
        assert (await running).status_code == 409
        assert (await one.client.delete(path, headers=ADMIN)).status_code == 404


def test_sums_keep_keys_apart_and_lists_put_running_requests_first() -> None:
    def used(key: str | None, number: int) -> dict[str, object]:
        return {"key": key, "requests": number, "errors": 1}

    assert added_up([[used(None, 1), used("a", 2)], [used("a", 5), used("b", 7)]]) == [
        {"key": None, "requests": 1, "errors": 1},
        {"key": "a", "requests": 7, "errors": 2},
        {"key": "b", "requests": 7, "errors": 1},
    ]
    over, running = {"state": "finished", "time": 9.0}, {"state": "running", "time": 1.0}
    assert newest_first([[over], [running, {"state": "finished", "time": 5.0}]], 2) == [running, over]
