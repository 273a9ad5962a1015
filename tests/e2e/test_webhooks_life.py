"""Webhooks of a real server that is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.e2e.test_jobs_life import kill_service
from tests.house import png
from tests.samples import read, value
from tests.webhooks.receivers import SECRET, receiving


@pytest.mark.slow
async def test_every_end_is_told_though_the_whole_service_is_killed_in_the_middle(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASHWEB_WEBHOOK_SECRET", SECRET)
    flags = ("--engine", "echo", "--data-dir", str(tmp_path / "data"), "--media-allow-hosts", "127.0.0.1")
    async with receiving(200, 500, b"", 500, 200) as receiver, httpx.AsyncClient(timeout=30) as client:
        running = await asyncio.to_thread(start, *flags, "--workers", "2")
        path, query = f"{running.url}/api/scenes/ocr", {"async": "true", "webhook_url": receiver.url}
        answers = [await client.post(path, params=query, files={"image": png(grey=n)}) for n in range(20)]
        await receiver.has(3, 60)
        kill_service(running)
        await asyncio.to_thread(start, *flags, port=running.port)
        async with asyncio.timeout(150):  # leases of the dead among them
            while True:
                samples = read((await client.get(f"{running.url}/metrics")).text)
                told = {event.data.id for event in receiver.events}
                if len(told) == 20 and not value(samples, "flashweb:webhooks_pending"):
                    break
                await asyncio.sleep(0.2)
    assert told == {answer.json()["id"] for answer in answers}
    assert len({event.id for event in receiver.events}) == 20
    assert len(receiver.came) >= 23  # three were not taken at first
    assert not value(samples, "flashweb:webhooks_total", outcome="given_up")
    assert "hidden" not in running.text and SECRET not in running.text
