"""Rates and deadlines at the door: what is counted, for whom, and what a caller hears when it is too much."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from flashweb.api.caller import Background
from flashweb.api.exchange import Exchanges
from flashweb.api.forwarded import Forwarded, network_of
from flashweb.api.limits import Deadline, deadline_of, duration
from flashweb.observe.ledger import Ledger
from flashweb.pipeline import Pipeline
from tests.house import (
    ScriptedEngine,
    Upload,
    begun,
    events_of,
    make_app,
    make_pipeline,
    open_house,
    png,
    until,
    user,
)

LIMIT = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")


async def test_an_answer_tells_what_is_left_and_one_too_many_is_a_429_before_any_picture_is_read() -> None:
    async with open_house(ScriptedEngine(), server__rate_limit="2/minute") as house:
        answers = [await house.chat("hi", png()) for _ in range(3)]
        loaded = house.pipeline._loader.num_loaded  # type: ignore[attr-defined]
        assert (await house.client.get("/health")).status_code == 200
        assert LIMIT[0] not in (await house.client.get("/docs")).headers
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers[LIMIT[1]] for answer in answers] == ["1", "0", "0"]
    refused = answers[2]
    assert refused.headers[LIMIT[0]] == "2" and refused.headers[LIMIT[2]] in ("59s", "60s", "1m0s")
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert loaded == 1 + 2, "the warm-up's picture and two of ours"


async def test_a_429_does_not_wait_for_the_body() -> None:
    app = make_app(pipeline := make_pipeline(ScriptedEngine(), server__rate_limit="1/minute"))
    await pipeline.start()
    await pipeline.wait_ready()
    try:
        for status in (400, 429):
            upload = Upload(app)
            request = upload.begin()
            upload.body(b"{", more=status == 429)
            upload.leave()
            await asyncio.wait_for(request, 5)
            assert upload.status == status
    finally:
        await pipeline.stop()


async def test_each_key_has_its_own_limit_wherever_it_comes_from_and_guesses_cost_nobody_anything() -> None:
    keys = ["one:sk-first-0123456789", "two:sk-second-0123456789"]
    async with open_house(ScriptedEngine(), server__rate_limit="1/minute", auth__api_keys=keys) as house:
        statuses = []
        for key in ("guess", "sk-first-0123456789", "sk-first-0123456789", "sk-second-0123456789", "guess"):
            answer = await house.client.get("/v1/models", headers={"authorization": f"Bearer {key}"})
            statuses.append(answer.status_code)
    assert statuses == [401, 200, 429, 200, 401]


async def test_without_keys_a_new_bearer_is_not_a_new_caller_and_neither_is_a_forged_hop() -> None:
    async with open_house(ScriptedEngine(), server__rate_limit="1/minute") as house:
        statuses = [
            (
                await house.client.get("/v1/models", headers={"authorization": f"Bearer {n}", "x-forwarded-for": n})
            ).status_code
            for n in ("1.1.1.1", "2.2.2.2")
        ]
    assert statuses == [200, 429]


@pytest.mark.parametrize(("scope", "expected"), [("caller", [200, 200]), ("global", [200, 429])])
async def test_behind_a_trusted_proxy_callers_are_told_apart_unless_all_share_one_limit(
    scope: str, expected: list[int]
) -> None:
    options = {
        "server__rate_limit": "1/minute",
        "server__trusted_proxies": ["127.0.0.1"],
        "server__rate_limit_scope": scope,
    }
    async with open_house(ScriptedEngine(), **options) as house:
        statuses = [
            (await house.client.get("/v1/models", headers={"x-forwarded-for": hops})).status_code
            for hops in ("6.6.6.6, 1.1.1.1", "6.6.6.6, 2.2.2.2")
        ]
    assert statuses == expected


@pytest.mark.parametrize(
    ("peer", "hops", "caller"),
    [
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        ("10.0.0.1", ["1.2.3.4:5678"], "1.2.3.4"),
        ("10.0.0.1", ["::ffff:1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["[2001:db8:1:2:3::4]:99"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["2001:db8:1:2:ffff::9"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["1.2.3.4, garbage"], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4, garbage, 10.0.0.9"], "10.0.0.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.7"], "10.0.0.7"),
        ("9.9.9.9", ["1.2.3.4"], "9.9.9.9"),
        ("fe80::1%eth0", ["1.2.3.4"], "fe80::/64"),
        ("::ffff:10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
    ],
)
async def test_the_caller_is_the_right_most_hop_that_is_not_a_trusted_proxy(
    peer: str, hops: list[str], caller: str
) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(network_of(scope))

    headers = [(b"x-forwarded-for", hop.encode()) for hop in hops] + [(b"x-forwarded-proto", b"https")]
    scope: dict[str, Any] = {"type": "http", "client": (peer, 1), "headers": headers, "scheme": "http"}
    await Forwarded(app, ["10.0.0.0/8"])(scope, None, None)  # type: ignore[arg-type]
    assert seen == [caller]
    assert scope["scheme"] == ("https" if caller != peer and "/" not in caller or hops == [] else scope["scheme"])


def test_durations_are_written_as_openai_writes_them() -> None:
    assert [duration(s) for s in (0, 0.12, 1, 59.2, 360, 3605)] == ["0ms", "120ms", "1s", "1m0s", "6m0s", "1h0m5s"]


# --- deadlines ----------------------------------------------------------------------------------------------------


def test_deadlines_are_the_contracts_by_path_and_a_given_one_holds_for_all() -> None:
    expected = {
        "/infer": 30, "/v1/glm/infer": 30, "/v1/multimodal/completions": 45,
        "/v1/multimodal/completions-multipart": 45, "/v1/multimodal/completions-multipart-multipart": 45,
        "/api/audit-image": 45, "/v1/chat/completions": 600, "/api/scenes/audit": 600, "/v1/multi-modal/inference": 600,
        "/v1/completions": 600, "/v1/messages": 600, "/v1/messages/count_tokens": 600, "/tokenize": 600,
        "/inference": 600, "/whatever/comes": 600,
    }  # fmt: skip
    assert {path: deadline_of(path, None) for path in expected} == expected
    assert {deadline_of(path, 7) for path in expected} == {7}


def has_ended(pipeline: Pipeline, engine: ScriptedEngine) -> bool:
    return engine.num_running == 0 and pipeline.num_inside == 0


async def test_past_its_deadline_a_request_is_a_504_and_its_work_has_ended() -> None:
    async with open_house(ScriptedEngine(stay=False), server__request_timeout=0.2) as house:
        house.engine.stay = True
        answer = await house.chat("hi")
        assert has_ended(house.pipeline, house.engine)
        house.engine.stay = False
        again = [(await house.chat("hi")).status_code for _ in range(5)]  # not all of them while the machine stalls
    assert answer.status_code == 504 and 200 in again
    assert (answer.json()["error"]["code"], answer.json()["error"]["type"]) == ("timeout", "server_error")
    assert "0.2 seconds" in answer.json()["error"]["message"]


async def test_past_its_deadline_a_stream_ends_with_an_error_event() -> None:
    async with open_house(ScriptedEngine("some words", stay=False), server__request_timeout=0.3) as house:
        house.engine.stay = True
        answer = await begun(lambda: house.chat("hi", stream=True))
        assert has_ended(house.pipeline, house.engine)
    *chunks, error, done = events_of(answer.text)
    assert answer.status_code == 200 and done == "[DONE]" and error["error"]["code"] == "timeout"
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text and "some words".startswith(text)


async def test_a_stream_that_has_not_begun_at_its_deadline_is_a_504() -> None:
    gate = asyncio.Event()
    gate.set()
    async with open_house(ScriptedEngine(gate=gate), server__request_timeout=0.2) as house:
        gate.clear()
        answer = await house.chat("hi", stream=True)
        assert has_ended(house.pipeline, house.engine)
    assert answer.status_code == 504


async def test_a_body_that_comes_too_slowly_meets_the_deadline_too() -> None:
    app = make_app(pipeline := make_pipeline(ScriptedEngine(), server__request_timeout=0.2))
    await pipeline.start()
    await pipeline.wait_ready()
    try:
        upload = Upload(app)
        request = upload.begin()
        upload.body(b"{", more=True)
        await until(lambda: upload.sent)
        upload.leave()
        await asyncio.wait_for(request, 10)
        assert upload.status == 504 and pipeline.num_inside == 0
    finally:
        await pipeline.stop()


async def test_a_time_out_of_somebody_elses_is_not_a_deadline() -> None:
    async with open_house(ScriptedEngine(), server__request_timeout=30) as house:
        house.engine.answer, house.engine.error = "", TimeoutError("inside")
        assert (await house.chat("hi")).status_code == 500


# --- concurrency --------------------------------------------------------------------------------------------------


async def test_limit_concurrency_caps_running_and_waiting_together_and_counts_no_probe() -> None:
    gate = asyncio.Event()
    gate.set()
    async with open_house(ScriptedEngine(gate=gate), server__limit_concurrency=3) as house:
        gate.clear()
        inside = [asyncio.create_task(house.chat("hi")) for _ in range(3)]
        while house.pipeline.num_inside < 3:  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.01)
        for path in ("/health", "/v1/models", "/docs"):
            assert (await house.client.get(path)).status_code == 200
        refused = await house.post({"messages": user("hi")})
        gate.set()
        statuses = [answer.status_code for answer in await asyncio.gather(*inside)]
    assert statuses == [200, 200, 200]
    assert refused.status_code == 503 and refused.json()["error"]["code"] == "server_is_overloaded"
    assert "retry-after" in refused.headers


async def test_work_that_nobody_waits_for_has_ten_times_as_long() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.4)
        ended.append(scope["path"])

    async def nothing() -> Message:
        raise AssertionError("nobody reads")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    ended, statuses = list[str](), list[int]()
    layers = Exchanges(Deadline(app, 0.3), Ledger(), [])
    for path, is_background in (("/waits", False), ("/job", True)):
        scope: Scope = {"type": "http", "path": path, "headers": [], "method": "POST"}
        if is_background:
            Background("owner", None).mark(scope)
        await layers(scope, nothing, send)
    assert (ended, statuses) == (["/job"], [504])
