"""The guard: which paths are open, whose key it is, and that nothing of a key is ever shown."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from flashweb.api import app as app_module
from flashweb.api import auth
from flashweb.api.pages import PAGE_ROUTES
from flashweb.errors import ConfigError
from flashweb.keys import KeyRing
from flashweb.settings import AuthSettings
from tests.house import ScriptedEngine, make_app, make_pipeline, open_house, user

KEY, OTHER, ADMIN = "sk-first-0123456789abcdef", "sk-second-0123456789abcdef", "sk-admin-0123456789abcdef"
KEYS: dict[str, Any] = {"auth__api_keys": [f"shop:{KEY}", OTHER], "auth__admin_key": ADMIN}
OPEN = {
    *PAGE_ROUTES, "/docs", "/openapi.json", "/health", "/health/live", "/health/ready", "/v1/health",
    "/static/{name}", "/assets/{name}", "/samples/{name}",
}  # fmt: skip


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def every_route(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(method, path) of whatever the app routes, found in the app itself."""
    made: list[FastAPI] = []

    class Kept(FastAPI):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr(app_module, "FastAPI", Kept)
    make_app(make_pipeline(ScriptedEngine()))
    found: list[tuple[str, str]] = []

    def walk(routes: Any) -> None:
        for route in routes:
            inner = getattr(getattr(route, "original_router", None), "routes", None)
            if inner is not None:
                walk(inner)
            elif isinstance(route, APIRoute) or hasattr(route, "methods"):
                found.extend((method, route.path) for method in route.methods or ())

    walk(made[0].routes)
    return found


async def test_every_route_of_the_app_is_guarded_but_those_the_contract_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = every_route(monkeypatch)
    paths = {path for _, path in routes}
    assert {"/v1/chat/completions", "/v1/models", *OPEN} <= paths
    async with open_house(ScriptedEngine(), **KEYS) as house:
        for method, path in routes:
            answer = await house.client.request(
                method, path.replace("{name}", "page.css").replace("{", "").replace("}", "")
            )
            assert (answer.status_code != 401) == (path in OPEN), f"{method} {path}: {answer.status_code}"


@pytest.mark.parametrize("path", [
    "/nope", "http://127.0.0.1:8080//docs", "/docs/", "/docs/../v1/models", "/static", "/health/x",
    "/v1/health/..", "/HEALTH", "/metrics", "/v1/models", "/static%2f..%2fv1/models", "/assets/../v1/models",
    "/chat/../v1/models", "/scenesx", "/operator/x", "/docs%3f", "/api/admin/status",
])  # fmt: skip
async def test_a_path_nobody_opened_is_guarded_also_when_it_does_not_exist(path: str) -> None:
    async with open_house(ScriptedEngine(), **KEYS) as house:
        assert (await house.client.get(path)).status_code == 401


async def test_every_options_is_open_and_errors_carry_cors_headers() -> None:
    async with open_house(ScriptedEngine(), server__cors_allowed_origins=["http://shop.example"], **KEYS) as house:
        origin = {"origin": "http://shop.example"}
        preflight = await house.client.options(
            "/v1/chat/completions", headers={**origin, "access-control-request-method": "POST"}
        )
        plain = await house.client.options("/v1/chat/completions")
        refused = await house.post({"messages": user("hi")}, headers=origin)
    assert (preflight.status_code, plain.status_code, refused.status_code) == (200, 405, 401)
    assert refused.headers["access-control-allow-origin"] == "http://shop.example"


async def test_a_refusal_is_openais_and_the_engine_hears_nothing_of_it() -> None:
    async with open_house(ScriptedEngine(), **KEYS) as house:
        missing = await house.post({"messages": user("hi")})
        wrong = await house.post({"messages": user("hi")}, headers=bearer("sk-wrong-key-of-mine"))
        for answer in (missing, wrong):
            assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["error"]["code"] == "invalid_api_key"
            assert answer.json()["error"]["type"] == "authentication_error"
        assert house.engine.asked == []
    assert "sk-wrong" not in wrong.text and missing.text != wrong.text


@pytest.mark.parametrize("headers", [
    bearer(KEY), bearer(OTHER), bearer(ADMIN), {"authorization": f"bearer   {KEY} "}, {"x-api-key": KEY},
    {"authorization": "Basic abc", "x-api-key": KEY},
])  # fmt: skip
async def test_every_key_opens_in_every_form(headers: dict[str, str]) -> None:
    async with open_house(ScriptedEngine(), **KEYS) as house:
        assert (await house.post({"messages": user("hi")}, headers=headers)).status_code == 200


@pytest.mark.parametrize("key", [
    KEY[:-1], KEY + "x", KEY.upper(), f"shop:{KEY}", "' OR 1=1 --", "\u00e9" * 10, "{$gt: 0}", "x" * 50_000, "shop", "",
])  # fmt: skip
async def test_nothing_but_the_key_itself_opens(key: str) -> None:
    async with open_house(ScriptedEngine(), **KEYS) as house:
        raw = [(b"authorization", b"Bearer " + key.encode())]
        assert (await house.client.get("/v1/models", headers=raw)).status_code == 401


async def test_without_keys_any_bearer_passes() -> None:
    async with open_house(ScriptedEngine()) as house:
        for headers in ({}, bearer("not-needed")):
            assert (await house.post({"messages": user("hi")}, headers=headers)).status_code == 200


async def test_keys_that_are_not_required_are_only_names() -> None:
    async with open_house(ScriptedEngine(), auth__api_key_required=False, **KEYS) as house:
        assert (await house.client.get("/v1/models")).status_code == 200


@pytest.mark.parametrize("keys", [{}, {"auth__api_keys": [KEY]}])
async def test_the_operators_paths_are_for_the_admin_key_alone(keys: dict[str, Any]) -> None:
    async with open_house(ScriptedEngine(), **keys) as house:  # no admin key: for nobody
        assert (await house.client.get("/api/admin/status", headers=bearer(KEY))).status_code == 403
    async with open_house(ScriptedEngine(), auth__admin_key=ADMIN, **keys) as house:
        statuses = [
            (await house.client.get(path, headers=headers)).status_code
            for path in ("/api/admin/status", "/api/admin", "/api/admin/x/y")
            for headers in ({}, bearer("wrong"), bearer(KEY))
        ]
    assert statuses == [401, 401, 403 if keys else 401] * 3


async def test_the_log_names_the_caller_and_never_shows_a_key(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("flashweb.access")
    logger.parent, kept = logging.root, logger.parent
    try:
        with caplog.at_level(logging.INFO):
            async with open_house(ScriptedEngine(), log__access_log=True, **KEYS) as house:
                for key in (KEY, OTHER, ADMIN, "sk-guess-guess-guess"):
                    await house.post({"messages": user("hi")}, headers=bearer(key))
    finally:
        logger.parent = kept
    fields = [vars(record)["flashweb_fields"] for record in caplog.records if record.name == "flashweb.access"]
    names = [entry.get("key") for entry in fields]
    assert names[0] == "shop" and names[1].startswith("key-") and names[2:] == ["admin", None]
    assert not any(part in str(fields) for part in (KEY, OTHER, ADMIN, "guess"))


def ring(**given: Any) -> KeyRing:
    return KeyRing(AuthSettings.model_validate(given))


def test_a_key_ring_does_the_same_work_for_every_key_and_holds_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    held = ring(api_keys=(f"a:{KEY}", f"b:{OTHER}"), admin_key=ADMIN)
    compared: list[int] = []
    real = auth.KeyRing.caller.__globals__["hmac"].compare_digest
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: (compared.append(len(b)), real(a, b))[1])
    answers = [held.caller(key.encode()) for key in (KEY, OTHER, ADMIN, "x", "")]
    assert [answer.name if answer else None for answer in answers] == ["a", "b", "admin", None, None]
    assert compared == [32] * 15
    assert KEY not in repr(vars(held)) and KEY.encode() not in b"".join(digest for digest, _ in held._held)


def test_keys_of_a_file_are_read_and_a_file_that_others_may_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# ours\n\nshop:{KEY}\n  {OTHER}  \n")
    path.chmod(0o600)
    held = ring(api_key_file=str(path))
    assert held.required and held.caller(KEY.encode()).name == "shop" and held.caller(OTHER.encode())
    assert not caplog.records
    path.chmod(0o644)
    ring(api_key_file=str(path))
    assert "chmod 600" in caplog.text and KEY not in caplog.text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"api_keys": ("a:x" * 10, "a:y" * 10)}, "two API keys are called 'a'"),
        ({"api_keys": (f"a:{KEY}", f"b:{KEY}")}, "'b' is also that of 'a'"),
        ({"api_keys": (KEY,), "admin_key": KEY}, "is also that of"),
        ({"api_keys": ("has space and more",)}, "printable ASCII"),
        ({"api_key_file": "/no/such/file"}, "cannot read"),
        ({"api_keys": ("",)}, "empty"),
    ],
)
def test_keys_that_cannot_be_told_apart_or_used_are_an_error(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        ring(**given)
    assert KEY not in str(caught.value)


def test_a_required_key_file_without_keys_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# none yet\n")
    with pytest.raises(ConfigError, match="there are none"):
        ring(api_key_file=str(path), api_key_required=True)


def test_a_short_key_is_told(caplog: pytest.LogCaptureFixture) -> None:
    ring(api_keys=("test",))
    assert "only 4 characters" in caplog.text and "'test'" not in caplog.text
