"""Webhooks of batches, jobs and background responses over the whole app, read by the official client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flashweb.jobs import runner
from flashweb.webhooks import courier
from tests.house import House, ScriptedEngine, png
from tests.jobs.test_api import batch_of, jsonl, line, open_shop, until
from tests.samples import read, value
from tests.webhooks.receivers import ALLOWED, SECRET, receiving


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(runner, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(courier, "IDLE_SECONDS", 0.02)


async def respond(house: House, **fields: Any) -> str:
    answer = await house.post({"input": "hi", "background": True, **fields}, "/v1/responses")
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]  # type: ignore[no-any-return]


async def later(house: House, picture: bytes, **query: Any) -> Any:
    path = "/api/scenes/ocr"
    return await house.client.post(path, files={"image": picture}, params={"async": "true", **query})


async def test_whatever_ends_is_told_at_its_own_receiver_or_at_the_servers(tmp_path: Path) -> None:
    engine = ScriptedEngine("some words")
    async with receiving() as own, receiving() as servers:
        given = {**ALLOWED, "webhooks__webhook_url": servers.url}
        async with open_shop(tmp_path, engine, **given) as house:
            made = await batch_of(house, jsonl(line("a")), webhook_url=own.url)
            failed = await batch_of(house, b"{}\n", webhook_url=own.url)
            job = (await later(house, png(), webhook_url=own.url)).json()["id"]
            bad = (await later(house, b"no picture", webhook_url=own.url)).json()["id"]
            told = {event.data.id: event.type for event in await own.has(4)}
            assert told == {
                made["id"]: "batch.completed", failed["id"]: "batch.failed", job: "job.completed", bad: "job.failed"
            }  # fmt: skip
            assert "webhook" not in (await house.client.get(f"/v1/batches/{made['id']}")).text
            assert (await later(house, png())).status_code == 202
            await servers.has(1)
            short = await respond(house, max_output_tokens=1)
            await respond(house)
            await servers.has(3)
            engine.stay = True
            batch = await batch_of(house, jsonl(line("late")))
            await until(house, batch["id"], "in_progress")
            await house.post({}, f"/v1/batches/{batch['id']}/cancel")
            await servers.has(4)
            id = await respond(house)
            await house.post({}, f"/v1/responses/{id}/cancel")
            last = (await servers.has(5))[-1]
            assert (last.type, last.data.id) == ("response.cancelled", id)
            assert {event.type for event in servers.events if event.data.id == short} == {"response.incomplete"}
            engine.stay, engine.error = False, ValueError("broken")
            await respond(house)
            await servers.has(6)
            metrics = (await house.client.get("/metrics")).text
    assert sorted(servers.types) == [
        "batch.cancelled", "job.completed", "response.cancelled", "response.completed", "response.failed",
        "response.incomplete",
    ]  # fmt: skip
    assert len(own.came) == 4 and SECRET not in metrics and "hidden" not in metrics
    assert value(read(metrics), "flashweb:webhooks_total", outcome="sent") == 10
    assert value(read(metrics), "flashweb:webhooks_pending") <= 1


async def test_a_receiver_that_cannot_be_is_refused_before_anything_is_kept(tmp_path: Path) -> None:
    async with open_shop(tmp_path, runs=False, **ALLOWED) as house:
        for url in ("http://example.com/", "https://10.0.0.1/", "https://[::1]/", "ftp://a", "https://u:p@a.com/"):
            answer = await later(house, png(), webhook_url=url)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_webhook_url", "webhook_url")
            body = {"input_file_id": "file-none", "endpoint": "/v1/chat/completions", "webhook_url": url}
            assert (await house.post(body, "/v1/batches")).json()["error"]["code"] == "invalid_webhook_url"
        assert not list(tmp_path.iterdir())
    async with open_shop(tmp_path, runs=False) as house:
        refused = await later(house, png(), webhook_url="https://example.com/")
        assert refused.json()["error"]["code"] == "webhooks_not_offered"
