"""Models, health, docs, and the pages: what they say, and that they need nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from flashweb.api.schemas.ops import HealthOut, ModelList
from tests.house import ScriptedEngine, open_house

ALIASES = ["glm-4.6v-flash", "glm-4v-flash-web", "glm-4.6v-flash-web"]


async def test_the_models_are_the_own_name_and_the_aliases() -> None:
    async with open_house(ScriptedEngine()) as house:
        listed = ModelList.model_validate((await house.client.get("/v1/models")).json())
        assert [model.id for model in listed.data] == ["flashweb-nano", *ALIASES]
        assert {model.root for model in listed.data} == {"flashweb-nano"}
        for name in ALIASES:
            assert (await house.client.get(f"/v1/models/{name}")).json()["id"] == name
        missing = await house.client.get("/v1/models/gpt-4o")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_model_tells_its_defaults_and_the_limits_that_are_in_force() -> None:
    async with open_house(
        ScriptedEngine(max_model_len=8192), media__max_images=3, media__max_upload_size=2048
    ) as house:
        model = ModelList.model_validate((await house.client.get("/v1/models")).json()).data[0]
        await house.chat("hi")
        params = house.engine.asked[-1][1]
        turns = [{"role": "user", "content": "hi"}] * (model.limits.max_messages + 1)
        taken, refused = [await house.post({"messages": some}) for some in (turns[1:], turns)]
    assert (model.limits.max_images, model.limits.max_image_bytes) == (3, 2048)
    assert (taken.status_code, refused.status_code) == (200, 400)
    assert f"at most {model.limits.max_messages} entries" in refused.json()["error"]["message"]
    told = model.default_sampling
    for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens"):
        assert getattr(told, name) == getattr(params, name), name


async def test_health_tells_how_far_loading_is_and_nothing_of_it_otherwise() -> None:
    async with open_house(ScriptedEngine()) as house:
        assert "progress" not in (await house.client.get("/health")).json()
        house.engine.phase = "loading"
        body = HealthOut.model_validate((await house.client.get("/health")).json())
    assert body.status == "loading" and body.progress is not None and 0 <= body.progress <= 1


@pytest.mark.parametrize("name", [None, "flashweb-nano", *ALIASES])
async def test_the_answer_echoes_the_name_asked_for(name: str | None) -> None:
    async with open_house(ScriptedEngine()) as house:
        answer = await house.chat("hi", **({} if name is None else {"model": name}))
    assert answer.json()["model"] == (name or "flashweb-nano")
    assert answer.headers["x-flashweb-model"] == "flashweb-nano"


async def test_health_is_green_when_warmed_and_red_when_not() -> None:
    async with open_house(ScriptedEngine()) as house:
        for path in ("/health", "/v1/health", "/health/ready"):
            answer = await house.client.get(path)
            body = HealthOut.model_validate(answer.json())
            assert (answer.status_code, body.status, body.model_loaded) == (200, "ok", True)
            assert body.model == "flashweb-nano"
        for phase in ("loading", "stalled", "dead"):
            house.engine.phase = phase
            answer = await house.client.get("/v1/health")
            assert (answer.status_code, answer.json()["status"]) == (503, phase)
            assert "retry-after" in answer.headers
            assert (await house.client.get("/health/live")).status_code == 200
            assert (await house.chat("hi")).status_code == 503


async def test_liveness_turns_red_only_when_the_engine_is_given_up() -> None:
    async with open_house(ScriptedEngine()) as house:
        house.engine.phase = "dead"
        assert (await house.client.get("/health/live")).status_code == 200
        house.engine.gave_up = True
        answer = await house.client.get("/health/live")
    assert (answer.status_code, answer.json()) == (503, {"status": "dead"})


@pytest.mark.parametrize("path", ["/", "/docs", "/health", "/health/live", "/health/ready", "/v1/health", "/v1/models"])
async def test_head_is_get_without_its_body(path: str) -> None:
    async with open_house(ScriptedEngine()) as house:
        plain = {"accept-encoding": "identity"}  # the client unpacks, and a length is of what is sent
        got, head = await house.client.get(path, headers=plain), await house.client.head(path, headers=plain)
        document = (await house.client.get("/openapi.json")).json()
        lost = await house.client.head("/v1/nothing")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(got.content))
    assert head.headers["content-type"] == got.headers["content-type"]
    assert (lost.status_code, lost.content) == (404, b"")
    assert not any("head" in operations for operations in document["paths"].values())


async def test_an_unknown_path_and_a_wrong_method_use_the_envelope() -> None:
    async with open_house(ScriptedEngine()) as house:
        lost = await house.client.get("/v1/nothing")
        wrong = await house.client.get("/v1/chat/completions")
    assert lost.status_code == 404 and set(lost.json()["error"]) == {"message", "type", "param", "code"}
    assert wrong.status_code == 405 and "POST" in wrong.headers["allow"]
    assert wrong.json()["error"]["code"] == "method_not_allowed"


def references(document: dict[str, Any]) -> set[str]:
    return set(re.findall(r"#/components/schemas/(\w+)", str(document)))


async def test_the_description_lists_every_route_and_resolves_by_itself() -> None:
    async with open_house(ScriptedEngine()) as house:
        document = (await house.client.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/v1/chat/completions", "/v1/models", "/v1/models/{model_id}",
        "/v1/completions", "/v1/messages", "/v1/messages/count_tokens", "/tokenize", "/detokenize",
        "/v1/responses", "/v1/responses/input_tokens", "/v1/responses/{response_id}",
        "/v1/responses/{response_id}/cancel", "/v1/responses/{response_id}/input_items",
        "/v1/multimodal/completions", "/v1/multimodal/completions-multipart", "/v1/multi-modal/inference",
        "/v1/glm/infer", "/infer", "/api/scenes", "/api/scenes/{name}", "/api/audit-image",
        "/health", "/v1/health", "/health/ready", "/health/live", "/metrics",
        "/v1/files", "/v1/files/{file_id}", "/v1/files/{file_id}/content",
        "/v1/batches", "/v1/batches/{batch_id}", "/v1/batches/{batch_id}/cancel",
        "/api/jobs/{job_id}", "/api/jobs/{job_id}/result",
        "/api/admin/status", "/api/admin/requests", "/api/admin/requests/{request_id}",
    }  # fmt: skip
    schemas = document["components"]["schemas"]
    assert references(document) <= set(schemas)
    assert "messages" in schemas["ChatRequest"]["required"]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation.get("description") for operation in operations)
    assert not any("422" in operation["responses"] for operation in operations)
    chat = document["paths"]["/v1/chat/completions"]["post"]
    assert set(chat["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}


class Links(HTMLParser):
    """Addresses a page loads or links to, and whether it holds inline script or style."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in ("script", "img", "link"):
            address = named.get("src") or named.get("href")
            self.inline += address is None
            self.loaded += [address] if address else []
        elif tag == "a":
            self.linked.append(named.get("href") or "")
        self.inline += tag == "style" or any(name == "style" or name.startswith("on") for name in named)


@pytest.mark.parametrize("page", ["/", "/docs"])
async def test_a_page_loads_only_our_own_files_and_works_under_the_strict_policy(page: str, tmp_path: Path) -> None:
    async with open_house(ScriptedEngine(), options={"page": tmp_path}) as house:  # a copy without the built page
        answer = await house.client.get(page)
        links = Links()
        links.feed(answer.text)
        assert links.inline == 0 and links.loaded
        for address in links.loaded + [link for link in links.linked if link.startswith("/")]:
            assert address.startswith("/"), f"{address} is not ours"
            assert (await house.client.get(address)).status_code == 200, address
        assert "flashweb-nano" in answer.text and "http://127.0.0.1:8080" in answer.text


async def test_a_page_shows_a_strange_host_as_text_only(tmp_path: Path) -> None:
    options = {"page": tmp_path}
    async with open_house(ScriptedEngine(), options=options, server__allowed_hosts=["*"]) as house:
        answer = await house.client.get("/", headers={"host": '"><script>alert(1)</script>'})
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("name", ["..%2f..%2fsettings.py", "x.html", "landing.html", "docs", ".js", "%00.js", "a/b.js"])
async def test_only_the_pages_own_files_are_served(name: str) -> None:
    async with open_house(ScriptedEngine()) as house:
        assert (await house.client.get(f"/static/{name}")).status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/files", "GET, POST"),
        ("/v1/files/file-1", "DELETE, GET"),
        ("/v1/chat/completions", "POST"),
        ("/", "GET"),
        ("/v1/responses/resp_1", "DELETE, GET"),
        ("/v1/responses/input_tokens", "POST"),
    ],  # fmt: skip
)
async def test_a_wrong_method_is_told_every_right_one(path: str, allowed: str) -> None:
    """Also where each method of a path is a route of its own."""
    async with open_house(ScriptedEngine()) as house:
        answer = await house.client.put(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert f"it takes {allowed}." in answer.json()["error"]["message"]
