"""`/api/admin`: for the admin key alone; facts of engine, requests and keys; nothing of anybody's content."""

from __future__ import annotations

import asyncio
import calendar
import os
import time
from typing import Any

import httpx
import pytest

from flashweb.api.schemas.admin import CancelledOut, RequestOut, RequestsOut, StatusOut
from flashweb.observe.ledger import MAX_RECENT
from tests.api.routes import all_routes
from tests.house import House, ScriptedEngine, Upload, events_of, make_app, make_pipeline, open_house, png, until

KEY = "an-admin-key-of-some-length"
ADMIN = {"authorization": f"Bearer {KEY}"}
STATUS, REQUESTS = "/api/admin/status", "/api/admin/requests"


async def listed(house: House, **filters: Any) -> list[RequestOut]:
    answer = await house.client.get(REQUESTS, params=filters, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return RequestsOut.model_validate(answer.json()).requests


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": KEY}, {"authorization": f"Basic {KEY}"}, {"authorization": "Bearer "},
     {"authorization": f"Bearer {KEY}x"}, {"authorization": f"Bearer {KEY[:-1]}"}, {"authorization": "Bearer \xff"}],
)  # fmt: skip
async def test_without_the_admin_key_every_path_is_closed(headers: dict[str, str]) -> None:
    raw = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    async with open_house(ScriptedEngine(), auth__admin_key=KEY) as house:
        for method, path in (("GET", STATUS), ("GET", REQUESTS), ("DELETE", f"{REQUESTS}/req_1")):
            answer = await house.client.request(method, path, headers=raw)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
            assert KEY not in answer.text


async def test_another_key_is_not_the_admin_key() -> None:
    async with open_house(ScriptedEngine(), auth__admin_key=KEY, auth__api_keys=("shop:sk-1234567890",)) as house:
        answer = await house.client.get(STATUS, headers={"authorization": "Bearer sk-1234567890"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


async def test_without_a_key_in_the_settings_nobody_gets_in() -> None:
    for settings in ({}, {"auth__admin_key": ""}):
        async with open_house(ScriptedEngine(), **settings) as house:
            for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer None"}, ADMIN):
                answer = await house.client.get(STATUS, headers=headers)
                assert answer.status_code == 403 and "--admin-key" in answer.text


USER = "sk-a-user-key-of-some-length"


@pytest.mark.parametrize(
    ("settings", "no_key", "unknown", "users", "admins"),
    [
        ({}, 403, 403, 403, 403),
        ({"auth__api_keys": (f"shop:{USER}",)}, 401, 401, 403, 401),
        ({"auth__admin_key": KEY}, 401, 401, 401, 200),
        ({"auth__admin_key": KEY, "auth__api_keys": (f"shop:{USER}",)}, 401, 401, 403, 200),
    ],
)
async def test_who_asks_with_something_else_hears_why_not(
    settings: dict[str, Any], no_key: int, unknown: int, users: int, admins: int
) -> None:
    """The table of docs/api.md, for every route under the prefix and for paths that there are not."""
    paths = [route.path for route in all_routes() if route.path.startswith("/api/admin/")]
    app = make_app(make_pipeline(ScriptedEngine(), **settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        for path in [*paths, "/api/admin/nothing", "/api/admin"]:
            for key, status in ((None, no_key), ("unknown", unknown), (USER, users), (KEY, admins)):
                headers = {} if key is None else {"authorization": f"Bearer {key}"}
                answer = await client.get(path, headers=headers)
                is_let_in = status == 200 and answer.status_code in (200, 404, 405)
                assert is_let_in or answer.status_code == status, f"{path} with {key}"
                assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
                if answer.status_code == 403:
                    assert ("--admin-key" in answer.text) == ("auth__admin_key" not in settings)
                    assert answer.json()["detail"] == answer.json()["error"]["message"]


async def test_the_status_has_engine_limits_versions_and_usage() -> None:
    async with open_house(ScriptedEngine("one two"), auth__admin_key=KEY, server__limit_concurrency=7) as house:
        used = (await house.chat("what is it?", png(112, 56, grey=41))).json()["usage"]
        await house.chat("hi", temperature=9)
        answer = await house.client.get(STATUS, headers=ADMIN)
        house.engine.phase = "dead"
        dead = StatusOut.model_validate((await house.client.get(STATUS, headers=ADMIN)).json())
    status = StatusOut.model_validate(answer.json())
    assert answer.headers["cache-control"] == "no-store" and KEY not in answer.text
    assert (status.status, status.ready, status.engine.phase) == ("ok", True, "ready")
    assert (dead.status, dead.ready, dead.engine.phase) == ("dead", False, "dead")
    assert status.web_process.pid == os.getpid() and status.web_process.workers == 1
    assert status.model.name == "flashweb-nano" and "glm-4.6v-flash" in status.model.names
    assert (status.limits["capacity"], status.limits["max_images"], status.limits["max_body_size"]) == (7, 16, 64 << 20)
    assert {"flashweb", "python", "pillow"} <= set(status.versions)
    assert "first answer" in status.start_seconds
    (usage,) = status.usage
    assert (usage.key, usage.requests, usage.errors, usage.pictures) == (None, 2, 1, 1)
    assert (usage.prompt_tokens, usage.completion_tokens) == (used["prompt_tokens"], used["completion_tokens"])


async def test_the_status_tells_usage_by_day_as_usage_in_all() -> None:
    async with open_house(ScriptedEngine("one two"), auth__admin_key=KEY) as house:
        await house.chat("what is it?")
        status = StatusOut.model_validate((await house.client.get(STATUS, headers=ADMIN)).json())
    (day,) = status.usage_by_day
    assert abs(time.time() - calendar.timegm(time.strptime(day.day, "%Y-%m-%d"))) < 2 * 86400
    assert [day.model_dump(exclude={"day"})] == [used.model_dump() for used in status.usage]


async def test_the_status_tells_what_was_set_and_no_secret() -> None:
    users = "a-users-key-that-nobody-sees"
    changed = {
        "auth__admin_key": KEY, "auth__api_keys": (f"shop:{users}",), "server__limit_concurrency": 7,
        "webhooks__webhook_url": "https://hooks.example/a-token", "webhooks__webhook_secret": ("whsec_" + "a" * 40,),
    }  # fmt: skip
    async with open_house(ScriptedEngine(), **changed) as house:
        answer = await house.client.get(STATUS, headers=ADMIN)
    told = StatusOut.model_validate(answer.json()).settings
    assert told["--limit-concurrency"] == "7"
    assert {"--admin-key", "--api-keys", "--webhook-url", "--webhook-secret"} <= set(told)
    assert "--max-images" not in told and "--max-body-size" not in told
    for secret in (KEY, users, "shop", "a-token", "aaaa"):
        assert secret not in answer.text


async def test_requests_are_listed_with_facts_and_without_content() -> None:
    picture = png(112, 56, grey=42)
    async with open_house(ScriptedEngine("a private answer"), auth__admin_key=KEY, log__access_log=True) as house:
        before = time.time()
        answer = await house.chat("the customer's secret", picture, n=2, user="who-asks")
        await house.client.get("/health")
        text = (await house.client.get(REQUESTS, headers=ADMIN)).text
        (found,) = await listed(house)
    for content in ("secret", "private", "who-asks", "the cust"):
        assert content not in text
    assert found.id == answer.headers["x-request-id"]
    assert (found.method, found.path, found.state, found.status) == ("POST", "/v1/chat/completions", "finished", 200)
    millisecond = 0.001  # what the log's times are rounded to, up or down
    assert before - millisecond <= found.time <= time.time() + millisecond and found.latency_ms > 0
    assert found.timings_ms is not None and found.timings_ms.total == pytest.approx(found.latency_ms, abs=0.1)
    usage = answer.json()["usage"]
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (
        usage["prompt_tokens"], usage["completion_tokens"],
    )  # fmt: skip
    (seen,) = found.pictures
    assert (seen.width, seen.height, seen.bytes) == (112, 56, len(picture))
    assert found.finish_reasons == ["stop", "stop"] and found.error_code is None and found.image_hash


async def test_requests_are_filtered() -> None:
    async with open_house(ScriptedEngine(), auth__admin_key=KEY) as house:
        await house.chat("hi")
        await house.client.get("/v1/models")
        middle = time.time()
        await house.chat("hi", temperature=9)
        await house.client.get("/v1/nothing")
        assert [one.status for one in await listed(house)] == [404, 400, 200, 200]
        assert [one.status for one in await listed(house, status="4xx")] == [404, 400]
        assert [one.error_code for one in await listed(house, status="404")] == ["not_found"]
        assert [one.status for one in await listed(house, path="/v1/chat")] == [400, 200]
        assert [one.status for one in await listed(house, since=middle)] == [404, 400]
        assert [one.status for one in await listed(house, limit=1)] == [404]
        assert await listed(house, status="running") == []
        for bad in ({"status": "good"}, {"limit": 0}, {"limit": MAX_RECENT + 1}, {"since": "nan"}, {"since": "x"}):
            answer = await house.client.get(REQUESTS, params=bad, headers=ADMIN)
            assert answer.status_code == 400 and answer.json()["error"]["param"] == next(iter(bad))


async def running_one(house: House) -> RequestOut:
    await until(lambda: house.engine.num_running)
    (found,) = await listed(house, status="running")
    return found


async def cancel(house: House, request_id: str) -> httpx.Response:
    return await house.client.delete(f"{REQUESTS}/{request_id}", headers=ADMIN)


async def test_a_running_request_is_seen_and_can_be_ended() -> None:
    gate = asyncio.Event()
    gate.set()
    async with open_house(ScriptedEngine(gate=gate), auth__admin_key=KEY) as house:
        gate.clear()
        asking = asyncio.create_task(house.chat("hi"))
        running = await running_one(house)
        assert (running.state, running.status) == ("running", None)
        assert CancelledOut.model_validate((await cancel(house, running.id)).json()).id == running.id
        answer = await asyncio.wait_for(asking, 5)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "cancelled_by_operator")
        assert answer.headers["x-should-retry"] == "false"
        assert (house.engine.num_running, house.pipeline.num_inside) == (0, 0)
        (ended,) = await listed(house, path="/v1/chat")
        assert (ended.status, ended.error_code, ended.finish_reasons) == (409, "cancelled_by_operator", [])
        for gone in (running.id, "req_nobody"):
            late = await cancel(house, gone)
            assert (late.status_code, late.json()["error"]["code"]) == (404, "request_not_found")


async def test_a_running_request_tells_whose_it_is() -> None:
    gate = asyncio.Event()
    gate.set()
    user = "sk-a-user-key-of-some-length"
    async with open_house(ScriptedEngine(gate=gate), auth__admin_key=KEY, auth__api_keys=(f"shop:{user}",)) as house:
        gate.clear()
        body = {"messages": [{"role": "user", "content": "hi"}]}
        asking = asyncio.create_task(
            house.client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {user}"})
        )
        running = await running_one(house)
        gate.set()
        await asyncio.wait_for(asking, 5)
    assert (running.state, running.key) == ("running", "shop")


async def test_a_request_whose_body_is_still_coming_can_be_ended_too() -> None:
    async with open_house(ScriptedEngine(), auth__admin_key=KEY) as house:
        app = make_app(house.pipeline)
        upload = Upload(app)
        asking = upload.begin()
        upload.body(b'{"messages": [', more=True)
        await asyncio.sleep(0.05)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080") as client:
            (running,) = (await client.get(REQUESTS, headers=ADMIN)).json()["requests"]
            assert (await client.delete(f"{REQUESTS}/{running['id']}", headers=ADMIN)).status_code == 200
            upload.leave()
            await asyncio.wait_for(asking, 10)
        assert (upload.status, house.pipeline.num_inside) == (409, 0)


async def test_a_stream_that_is_ended_says_so_and_its_tokens_count() -> None:
    async with open_house(ScriptedEngine("one two three"), auth__admin_key=KEY) as house:
        house.engine.stay, before = True, house.engine.num_taken
        asking = asyncio.create_task(house.chat("hi", stream=True, n=2))
        running = await running_one(house)
        await until(lambda: house.engine.num_taken > before + 3)
        assert (await cancel(house, running.id)).status_code == 200
        answer = await asyncio.wait_for(asking, 5)
        (ended,) = await listed(house, path="/v1/chat")
    *_, error, done = events_of(answer.text)
    assert (error["error"]["code"], done) == ("cancelled_by_operator", "[DONE]")
    assert (ended.status, ended.error_code, ended.finish_reasons) == (200, "cancelled_by_operator", [])
    assert ended.usage.completion_tokens > 1 and ended.usage.prompt_tokens > 0


async def test_the_operators_own_questions_are_not_listed() -> None:
    async with open_house(ScriptedEngine(), auth__admin_key=KEY) as house:
        await house.client.get(STATUS, headers=ADMIN)
        await house.client.get("/metrics")
        assert await listed(house) == []
        status = StatusOut.model_validate((await house.client.get(STATUS, headers=ADMIN)).json())
    assert status.usage == [] and status.web_process.requests_running == 0


async def test_every_field_of_these_answers_is_described() -> None:
    async with open_house(ScriptedEngine()) as house:
        document = (await house.client.get("/openapi.json")).json()
    for path, method in ((STATUS, "get"), (REQUESTS, "get"), (f"{REQUESTS}/{{request_id}}", "delete")):
        operation = document["paths"][path][method]
        assert operation["summary"] and operation["description"] and "403" in operation["responses"]
    schemas = document["components"]["schemas"]
    for name in ("StatusOut", "EngineStatusOut", "KvCacheOut", "KeyUsageOut", "RequestOut", "TimingsOut"):
        for field, shape in schemas[name]["properties"].items():
            assert "description" in shape or "$ref" in str(shape), f"{name}.{field}"
    (example,) = schemas["RequestOut"]["examples"]
    RequestOut.model_validate(example)
