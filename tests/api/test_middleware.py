"""What concerns every request: ids, headers, CORS, host names, limits, the log."""

from __future__ import annotations

import json
import logging

import pytest

from flashweb.api import own_origins
from flashweb.api.middleware import is_loopback
from flashweb.observe.log import JsonFormatter, TextFormatter, event
from tests.house import ScriptedEngine, open_house, png, user

EVERY_PATH = [
    "/",
    "/docs",
    "/openapi.json",
    "/health",
    "/health/live",
    "/v1/models",
    "/v1/models/nope",
    "/nope",
    "/static/x.js",
    "/assets/x.js",
    "/samples/receipt.png",
    "/chat/1",
]


@pytest.mark.parametrize("path", EVERY_PATH)
async def test_every_response_has_an_id_of_its_own_and_the_security_headers(path: str) -> None:
    async with open_house(ScriptedEngine()) as house:
        first = await house.client.get(path, headers={"x-request-id": "mine"})
        second = await house.client.get(path)
    ids = {first.headers["x-request-id"], second.headers["x-request-id"]}
    assert len(ids) == 2 and all(value.startswith("req_") for value in ids)
    assert first.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in first.headers["content-security-policy"]
    assert first.headers["server"] == "flashweb"


async def test_a_page_of_our_own_port_may_call_us_and_a_foreign_one_may_not() -> None:
    options = {"own_origins": own_origins("127.0.0.1", [8080, 7860])}
    async with open_house(ScriptedEngine(), options=options) as house:
        for origin, allowed in (("http://localhost:7860", True), ("http://evil.example", False)):
            answer = await house.post({"messages": user("hi")}, headers={"origin": origin})
            assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
            preflight = await house.client.options(
                "/v1/chat/completions",
                headers={"origin": origin, "access-control-request-method": "POST",
                         "access-control-request-headers": "authorization,content-type"},
            )  # fmt: skip
            assert (preflight.status_code == 200) is allowed


async def test_errors_carry_cors_headers_too() -> None:
    async with open_house(ScriptedEngine(), server__cors_allowed_origins=["http://shop.example"]) as house:
        house.engine.error = ValueError("boom")
        house.engine.answer = ""
        headers = {"origin": "http://shop.example"}
        crash = await house.post({"messages": user("hi")}, headers=headers)
        bad = await house.post(b"{", headers=headers)
        lost = await house.client.get("/nope", headers=headers)
    assert [answer.status_code for answer in (crash, bad, lost)] == [500, 400, 404]
    for answer in (crash, bad, lost):
        assert answer.headers["access-control-allow-origin"] == "http://shop.example"
        assert "x-request-id" in answer.headers["access-control-expose-headers"]


async def test_a_star_opens_the_api_to_every_origin_without_credentials() -> None:
    async with open_house(ScriptedEngine(), server__cors_allowed_origins=["*"]) as house:
        answer = await house.post({"messages": user("hi")}, headers={"origin": "null"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200), ("localhost", 200), ("[::1]:8080", 200), ("192.168.1.5", 200), ("LOCALHOST:1", 200),
        ("a.localhost", 200), ("evil.example", 400), ("127.0.0.1.evil.example:8080", 400),
        ("localhost.evil.example", 400), ("evil.example#127.0.0.1", 400), ("127.0.0.1@evil.example", 400),
        ("[::1", 400), ("", 400),
    ],
)  # fmt: skip
async def test_on_loopback_only_known_host_names_are_answered(host: str, status: int) -> None:
    async with open_house(ScriptedEngine()) as house:
        answer = await house.client.get("/v1/models", headers={"host": host})
    assert answer.status_code == status
    if status == 400:
        assert "--allowed-hosts" in answer.json()["error"]["message"]


async def test_listed_names_pass_and_an_open_server_asks_nothing() -> None:
    async with open_house(ScriptedEngine(), server__allowed_hosts=["shop.example"]) as house:
        assert (await house.client.get("/health", headers={"host": "shop.example"})).status_code == 200
        assert (await house.client.get("/health", headers={"host": "evil.example"})).status_code == 400
    async with open_house(ScriptedEngine(), server__host="0.0.0.0") as house:
        assert (await house.client.get("/health", headers={"host": "anything.example"})).status_code == 200


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/"])
async def test_a_strange_host_never_changes_which_path_is_meant(path: str) -> None:
    async with open_house(ScriptedEngine(), server__allowed_hosts=["*"]) as house:
        for host in ("a/v1/chat/completions", "a?b", "a#b", "a:99999"):
            assert (await house.client.get(path, headers={"host": host})).status_code == 200


async def test_a_body_over_the_limit_is_a_413_before_it_is_read() -> None:
    async with open_house(ScriptedEngine(), server__max_body_size=2000) as house:
        answer = await house.chat("x" * 3000)
        assert answer.status_code == 413
        assert (answer.json()["error"]["code"], "2000" in answer.text) == ("request_too_large", True)
        assert (await house.chat("x" * 100)).status_code == 200


async def test_a_compressed_body_is_a_415() -> None:
    async with open_house(ScriptedEngine()) as house:
        answer = await house.post(b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert answer.status_code == 415


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "::1", "localhost", "127.9.9.9"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "example.com", ""]))


async def test_the_access_log_has_the_facts_and_nothing_of_the_content(caplog: pytest.LogCaptureFixture) -> None:
    secret = "the customer's secret"
    logger = logging.getLogger("flashweb.access")
    logger.parent, kept = logging.root, logger.parent
    try:
        with caplog.at_level(logging.INFO, logger="flashweb.access"):
            async with open_house(ScriptedEngine("a private answer"), log__access_log=True) as house:
                answer = await house.chat(secret, png(), model="glm-4.6v-flash")
                await house.client.get("/health")
    finally:
        logger.parent = kept
    (record,) = [record for record in caplog.records if record.name == "flashweb.access"]
    entry = json.loads(JsonFormatter().format(record))
    assert entry["request_id"] == answer.headers["x-request-id"]
    assert (entry["status"], entry["completion_tokens"]) == (200, 16)
    assert entry["prompt_tokens"] > entry["image_tokens"] > 0 and entry["latency_ms"] > 0
    assert "secret" not in str(entry) and "private" not in str(entry)
    assert "secret" not in TextFormatter().format(record)


def test_a_log_line_cannot_be_forged_and_long_values_are_cut(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.log")
    with caplog.at_level(logging.INFO, logger="test.log"):
        event(logger, "GET /a\n12:00:00 INFO forged", value="x" * 1000, none=None)
    (record,) = caplog.records
    line = TextFormatter().format(record)
    assert "\n" not in line and len(line) < 400
    entry = json.loads(JsonFormatter().format(record))
    assert len(entry["value"]) < 300 and "none" not in entry
