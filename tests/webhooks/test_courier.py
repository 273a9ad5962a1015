"""The courier over a real store and real receivers, with a clock of the test's own."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flashweb.errors import ConfigError, InvalidRequest
from flashweb.jobs import JobQueue, NewJob, open_queue
from flashweb.media.fetch import Fetcher
from flashweb.media.settings import MediaSettings
from flashweb.observe.metrics import Metrics
from flashweb.webhooks import Courier, JobEndings, courier
from flashweb.webhooks.events import Event
from tests.house import make_settings, until
from tests.media.test_fetch import PRIVATE
from tests.servers import free_port
from tests.webhooks.receivers import ALLOWED, SECRET, receiving, receiving_many


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDLE_SECONDS", "BUSY_SECONDS"):
        monkeypatch.setattr(courier, name, 0.01)


class World:
    def __init__(self, folder: Path, fetcher: Fetcher | None = None, **given: Any) -> None:
        self.settings = make_settings(storage__data_dir=str(folder), **{**ALLOWED, **given})
        self.queue: JobQueue = open_queue(self.settings.storage)
        self.metrics = Metrics("m")
        self.fetcher = fetcher
        self.ahead = 0.0  # seconds
        self.stands_at: float | None = None

    def now(self) -> float:
        return (self.stands_at or time.time()) + self.ahead

    def courier(self) -> Courier:
        endings = (JobEndings(self.queue),)
        return Courier(self.settings, endings, self.metrics, fetcher=self.fetcher, clock=self.now)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Courier]:
        made = self.courier()
        made.start()
        try:
            yield made
        finally:
            await made.stop()

    async def end_jobs(self, url: str | None, *ids: str, owner: str = "ada") -> None:
        def work(store: Any) -> None:
            for id in ids:
                store.submit(NewJob(id, "request", owner, {"webhook_url": url}), [b""], self.now())
            for lease in store.claim("w", len(ids), self.now(), 60.0):
                store.finish(lease, b"{}", True, self.now())

        await self.queue.do(work)

    async def pause(self) -> float | None:
        """Until the one event is told again, once an attempt is over; None: it is settled. While the clock stands."""

        def work(store: Any) -> list[Any]:
            with store._driver.reading() as tx:
                return tx.all("SELECT ready_at FROM endings")  # type: ignore[no-any-return]

        async with asyncio.timeout(10):
            while True:
                rows = await self.queue.do(work)
                pause = rows[0][0] - self.now() if rows else None
                if pause is None or (pause > 0 and abs(pause - courier.LEASE_SECONDS) > 1e-3):
                    return pause
                await asyncio.sleep(0.01)

    def count(self, outcome: str) -> float:
        return self.metrics._webhooks[outcome]._value.get()  # type: ignore[no-any-return]


async def test_an_event_is_told_once_in_the_form_that_the_official_client_takes(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with receiving() as receiver, world.working():
        await world.end_jobs(receiver.url, "job_1")
        (event,) = await receiver.has(1)
        await until(lambda: world.count("sent"))
        await asyncio.sleep(0.1)  # in which it would be told again
    assert len(receiver.came) == 1
    assert (event.type, event.data.id, event.object) == ("job.completed", "job_1", "event")
    assert abs(event.created_at - time.time()) < 5
    ((headers, _),) = receiver.came
    assert headers["webhook-id"] == event.id and headers["content-type"] == "application/json"
    assert world.count("sent") == 1


async def test_what_fails_is_told_again_with_the_same_id_after_pauses_that_double(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.stands_at = time.time()
    moved = b"HTTP/1.1 307 .\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    busy = b"HTTP/1.1 503 .\r\nRetry-After: 4000\r\nContent-Length: 0\r\n\r\n"
    async with receiving(500, 404, moved, busy, b"no HTTP\r\n\r\n", 204) as receiver, world.working():
        await world.end_jobs(receiver.url, "job_1")
        for least in (5.0, 5.0, 10.0, 4000.0, 4000.0):
            pause, least = await world.pause(), max(least, world.ahead)
            assert pause is not None and least <= pause <= 1.21 * least
            world.ahead += pause + 0.1
        assert await world.pause() is None
        (headers, *_) = zip(*receiver.came, strict=True)
    assert len(headers) == 6 and len({one["webhook-id"] for one in headers}) == 1
    assert len({one["webhook-timestamp"] for one in headers}) == 6
    assert (world.count("sent"), world.count("failed")) == (1, 5)


async def test_a_receiver_that_is_gone_or_failed_for_three_days_is_given_up_and_its_address_is_not_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    world.stands_at = time.time()
    async with receiving(410) as gone, receiving(500) as broken, world.working():
        await world.end_jobs(gone.url, "job_1")
        assert await world.pause() is None
        await world.end_jobs(gone.url, "job_2")
        assert await world.pause() is None and gone.types == ["job.completed"]
        await world.end_jobs(broken.url, "job_3")
        pause = await world.pause()
        assert pause is not None
        world.ahead += courier.LIFE_SECONDS + pause
        assert await world.pause() is None and len(broken.came) == 2
    assert world.count("given_up") == 3
    assert "job_3" in caplog.text and "hidden" not in caplog.text and SECRET not in caplog.text


async def test_no_private_address_is_told_whether_asked_for_or_found_behind_a_name(tmp_path: Path) -> None:
    for host in PRIVATE:
        with pytest.raises(InvalidRequest, match="webhook's address"):
            World(tmp_path, media__media_allow_hosts=[]).courier().checked(f"https://{host}/")
    with pytest.raises(InvalidRequest, match="https://"):
        World(tmp_path).courier().checked("http://example.com/")
    answers = [["127.0.0.1"], ["10.0.0.1"], ["93.184.216.34", "127.0.0.2"]]  # rebinding: public to us, then private

    async def resolver(host: str, port: int) -> list[str]:
        return answers.pop(0)

    fetcher = Fetcher(MediaSettings(allow_hosts=("127.0.0.1/32", "[::1]")), resolver=resolver)
    async with receiving(500, 200) as receiver:
        world = World(tmp_path, fetcher, media__media_allow_hosts=[])
        url = f"http://hooks.test:{receiver.port}/"
        target = Fetcher(MediaSettings(allow_hosts=("hooks.test",))).receiver(url)
        assert (await fetcher.post(target, {}, b"{}", 5)).status == 500
        for _ in range(2):
            posted = await fetcher.post(target, {}, b"{}", 5)
            assert (posted.status, posted.words) == (0, "its host has no public address")
        with pytest.raises(InvalidRequest):
            world.courier().checked(url)
        assert len(receiver.came) == 1 and not answers


async def test_receivers_that_are_slow_endless_or_down_harm_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POST_SECONDS", "LEASE_SECONDS"):  # longer than the test, however busy the machine
        monkeypatch.setattr(courier, name, 600.0)
    world = World(tmp_path)
    endless = b"HTTP/1.1 200 .\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with receiving_many(24, b"") as mute, receiving(endless) as talker, receiving() as good, world.working():
        for index, one in enumerate(mute):
            await world.end_jobs(one.url, f"job_{index}")
        await world.end_jobs(mute[0].url, *(f"job_of_one_{n}" for n in range(20)))
        await world.end_jobs("http://127.0.0.1:1/", "job_nobody")
        await world.end_jobs(talker.url, "job_talker", owner="bob")
        await world.end_jobs(good.url, *(f"job_good_{n}" for n in range(5)), owner="bob")
        await good.has(5, 60)
        await talker.has(1, 60)
        async with asyncio.timeout(60):
            while talker.num_open or world.count("sent") < 6:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert all(one.num_open for one in mute[1:])  # all this while they kept us waiting
        assert mute[0].num_open <= courier.MAX_OF_URL


async def test_events_of_all_stores_together_have_so_many_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "MAX_AT_ONCE", 6)
    most_open = 0

    @dataclass
    class Store:
        """Has as many ends to tell as are asked for; each claim waits for the others, as those of two disks do."""

        name: str
        num_told: int = 0

        async def claim(self, limit: int, now: float, until: float) -> tuple[list[Event], int]:
            await asyncio.sleep(0)
            self.num_told += limit
            urls = [f"http://127.0.0.1:{one.port}/{self.name}" for one in mute[:limit]]
            return [Event(f"{url}/{self.num_told}", "job.completed", now, url, url) for url in urls], limit

        async def settle(self, ready_at: Any) -> None: ...

    async with receiving_many(6, b"") as mute:
        world = World(tmp_path)
        telling = Courier(world.settings, (Store("one"), Store("two")), world.metrics, clock=world.now)
        telling.start()
        await until(lambda: sum(one.num_open for one in mute) >= 6)
        for _ in range(30):
            await asyncio.sleep(0.01)
            most_open = max(most_open, sum(one.num_open for one in mute))
        await telling.stop()
    assert most_open == 6


async def test_a_receiver_that_does_not_answer_is_not_tried_for_a_while_and_then_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "POST_SECONDS", 0.2)
    monkeypatch.setattr(courier, "LONGEST_SILENCE", 60.0)
    world = World(tmp_path)
    async with receiving(b"") as mute, world.working():
        await world.end_jobs(mute.url, *(f"job_{n}" for n in range(40)))
        await until(lambda: mute.num_tried)
        await asyncio.sleep(0.6)
        await until(lambda: not mute.num_open)
        assert mute.num_tried <= courier.MAX_OF_URL
        for _ in range(3):
            num = mute.num_tried
            async with asyncio.timeout(60):
                while mute.num_tried == num:  # an attempt that a stalled machine cut short has not even connected
                    world.ahead += courier.LONGEST_SILENCE
                    await asyncio.sleep(0.4)
            assert mute.num_tried == num + 1


async def test_what_was_under_way_when_the_server_ended_or_died_is_told_by_the_next(tmp_path: Path) -> None:
    async with receiving(b"", 200) as receiver:
        world = World(tmp_path)
        await world.end_jobs(receiver.url, "job_1")
        async with world.working():
            await receiver.has(1)  # and stopped before it answers
        await world.queue.close()
        world = World(tmp_path)
        async with world.working():
            first, second = await receiver.has(2)
            while (await world.queue.do(lambda store: store.claim_endings(0, 0.0, 0.0)))[1]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # until it has noted the answer
        await world.end_jobs(receiver.url, "job_2")
        now = world.now()
        await world.queue.do(lambda store: store.claim_endings(1, now, now + courier.LEASE_SECONDS))  # and died
        async with world.working():
            await asyncio.sleep(0.1)
            assert len(receiver.came) == 2  # and not once more because the courier stopped while it took note
            world.ahead = courier.LEASE_SECONDS + 1
            third = (await receiver.has(3))[2]
    assert first.id == second.id != third.id and third.data.id == "job_2"


@pytest.mark.parametrize("secret", ["abcdefgh-a-password", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "%" * 40])
def test_a_secret_that_is_none_and_a_url_without_one_are_refused_and_not_told(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ConfigError, match="openssl rand") as refusal:
        World(tmp_path, webhooks__webhook_secret=[secret]).courier()
    assert secret == "whsec_" or secret not in str(refusal.value)
    with pytest.raises(ConfigError, match="webhook-secret-file"):
        make_settings(webhooks__webhook_url="https://example.com/")
    with pytest.raises(ConfigError, match="--webhook-url"):
        World(tmp_path, webhooks__webhook_url="https://10.0.0.1/").courier()
    with pytest.raises(InvalidRequest, match="signs no webhooks"):
        World(tmp_path, webhooks__webhook_secret=[]).courier().checked("https://example.com/")


async def test_the_receiver_of_the_document_works(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "FIRST_PAUSE", 0.2)  # it may not listen yet
    document = (root / "docs" / "jobs.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```py\n(from http.server.*?)^```", document, re.MULTILINE | re.DOTALL)
    port = free_port()
    once = "timeout = 20; server.handle_request"
    code = code.replace("whsec_...", SECRET).replace("9000", str(port)).replace("serve_forever", once)
    world = World(tmp_path)
    served = asyncio.create_task(asyncio.to_thread(exec, code, {}))
    async with world.working():
        await world.end_jobs(f"http://127.0.0.1:{port}/", "job_1")
        await served
    assert "job.completed job_1" in capsys.readouterr().out


async def test_while_one_secret_replaces_another_each_signs(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"# old and new\nwhsec_{'b2xk' * 10}\n{SECRET}\n")
    file.chmod(0o600)
    world = World(tmp_path, webhooks__webhook_secret=[], webhooks__webhook_secret_file=str(file))
    async with receiving() as receiver, world.working():
        await world.end_jobs(receiver.url, "job_1")
        assert await receiver.has(1)
    assert receiver.came[0][0]["webhook-signature"].count("v1,") == 2
