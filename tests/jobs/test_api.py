"""Files, batches and jobs over the whole app, in this process: a real queue on the disk, and an engine that echoes."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types import Batch, FileDeleted, FileObject

import flashweb
from flashweb.api.background import asker
from flashweb.errors import Overloaded
from flashweb.jobs import runner
from flashweb.jobs.runner import Call
from flashweb.jobs.sql import SqlStore
from flashweb.jobs.sqlite import sqlite_store
from tests.house import House, ScriptedEngine, data_url, make_app, make_pipeline, open_house, png, user

KEYS = {"auth__api_keys": ("ada:ada-key-0123456789", "bob:bob-key-0123456789")}
ADA, BOB = ({"authorization": f"Bearer {name}-key-0123456789"} for name in ("ada", "bob"))


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner here is another app's than the one that is asked: it looks for news itself."""
    monkeypatch.setattr(runner, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(runner, "BEAT_SECONDS", 0.1)


@asynccontextmanager
async def open_shop(folder: Path, engine: Any = None, *, runs: bool = True, **given: Any) -> AsyncIterator[House]:
    """A house with its runner of jobs at work (the client's transport starts no lifespan)."""
    async with open_house(engine, storage__data_dir=str(folder), **given) as house:
        if not runs:
            yield house
            return
        async with working(house):
            yield house


@asynccontextmanager
async def working(house: House) -> AsyncIterator[None]:
    """The runner of another process of the same server: the same folder, the same engine."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    app = make_app(house.pipeline)
    inbox.put_nowait({"type": "lifespan.startup"})
    life = asyncio.create_task(app({"type": "lifespan", "state": {}}, inbox.get, outbox.put))  # type: ignore[arg-type]
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await life


def line(name: str, url: str = "/v1/chat/completions", **body: Any) -> dict[str, Any]:
    return {"custom_id": name, "method": "POST", "url": url, "body": {"messages": user(f"say {name}"), **body}}


def jsonl(*lines: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


async def upload(house: House, data: bytes, purpose: str = "batch", **options: Any) -> httpx.Response:
    fields = options.pop("fields", {})
    form = {"data": {"purpose": purpose, **fields}, "files": {"file": (options.pop("name", "in.jsonl"), data)}}
    return await house.client.post("/v1/files", **form, **options)  # type: ignore[arg-type]


async def batch_of(house: House, data: bytes, endpoint: str = "/v1/chat/completions", **more: Any) -> dict[str, Any]:
    headers = more.pop("headers", {})
    file = (await upload(house, data, headers=headers)).json()
    response = await house.post(
        {"input_file_id": file["id"], "endpoint": endpoint, **more}, "/v1/batches", headers=headers
    )
    assert response.status_code == 200, response.text
    return response.json()  # type: ignore[no-any-return]


async def until(house: House, id: str, *states: str, seconds: float = 150, headers: Any = None) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        while True:
            found = (await house.client.get(f"/v1/batches/{id}", headers=headers)).json()
            Batch.model_validate(found)
            if found["status"] in states:
                return found  # type: ignore[no-any-return]
            await asyncio.sleep(0.02)


async def wait_for(is_so: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def status_of(house: House, job: str, *states: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (told := (await house.client.get(job)).json())["status"] not in states:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return told  # type: ignore[no-any-return]


async def lines_of(house: House, id: str) -> list[Any]:
    response = await house.client.get(f"/v1/files/{id}/content")
    assert response.status_code == 200, response.text
    return [json.loads(one) for one in response.text.splitlines()]


# --- files --------------------------------------------------------------------------------------------------------


async def test_a_file_is_kept_told_of_given_back_and_deleted(tmp_path: Path) -> None:
    async with open_shop(tmp_path, runs=False) as house:
        data = jsonl(line("a"))
        sent = await upload(house, data, name="../../etc/päss.jsonl")
        assert sent.status_code == 200, sent.text
        file = FileObject.model_validate(sent.json())
        assert (file.bytes, file.purpose, file.filename) == (len(data), "batch", "../../etc/päss.jsonl")
        assert file.expires_at is not None and file.expires_at - file.created_at == 30 * 24 * 3600
        told = (await house.client.get(f"/v1/files/{file.id}")).json()
        assert told == sent.json()
        content = await house.client.get(f"/v1/files/{file.id}/content")
        assert content.content == data and content.headers["content-disposition"].startswith("attachment")
        assert content.headers["x-content-type-options"] == "nosniff"
        kept = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_dir()} == {0o700}
        gone = await house.client.delete(f"/v1/files/{file.id}")
        assert FileDeleted.model_validate(gone.json()).deleted
        assert (await house.client.get(f"/v1/files/{file.id}")).status_code == 404
        assert not list((tmp_path / "files").iterdir())


async def test_files_are_listed_page_by_page_and_by_purpose(tmp_path: Path) -> None:
    async with open_shop(tmp_path, runs=False) as house:
        assert (await house.client.get("/v1/files")).json()["data"] == []
        assert not list(tmp_path.iterdir())  # asking makes nothing
        ids = [(await upload(house, png(), "vision", name=f"{n}.png")).json()["id"] for n in range(3)]
        ids.append((await upload(house, b"words", "user_data")).json()["id"])
        newest = (await house.client.get("/v1/files", params={"limit": 3})).json()
        assert [one["id"] for one in newest["data"]] == ids[:0:-1] and newest["has_more"]
        rest = (await house.client.get("/v1/files", params={"limit": 3, "after": newest["last_id"]})).json()
        assert [one["id"] for one in rest["data"]] == ids[:1] and not rest["has_more"]
        vision = (await house.client.get("/v1/files", params={"purpose": "vision", "order": "asc"})).json()
        assert [one["id"] for one in vision["data"]] == ids[:3]
        assert (await house.client.get("/v1/files", params={"limit": 0})).status_code == 400
        assert (await house.client.get("/v1/files", params={"after": "file-none"})).status_code == 404


async def test_files_and_batches_of_one_key_are_nobody_elses(tmp_path: Path) -> None:
    async with open_shop(tmp_path, runs=False, **KEYS) as house:
        file = (await upload(house, jsonl(line("a")), headers=ADA)).json()
        made = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions"}
        batch = (await house.post(made, "/v1/batches", headers=ADA)).json()
        job = await house.client.post(
            "/api/scenes/ocr?async=true", files={"image": png()}, headers={**ADA, "prefer": "wait=1"}
        )
        assert job.status_code == 202, job.text
        paths = (
            f"/v1/files/{file['id']}", f"/v1/files/{file['id']}/content", f"/v1/batches/{batch['id']}",
            job.headers["location"], f"{job.headers['location']}/result",
        )  # fmt: skip
        for path in paths:
            assert (await house.client.get(path, headers=ADA)).status_code in (200, 409)
            assert (await house.client.get(path, headers=BOB)).status_code == 404
        assert (await house.client.delete(f"/v1/files/{file['id']}", headers=BOB)).status_code == 404
        assert (await house.client.delete(job.headers["location"], headers=BOB)).status_code == 404
        assert (await house.post({}, f"/v1/batches/{batch['id']}/cancel", headers=BOB)).status_code == 404
        assert (await house.post(made, "/v1/batches", headers=BOB)).status_code == 404
        for path in ("/v1/files", "/v1/batches"):
            assert (await house.client.get(path, headers=BOB)).json()["data"] == []
            assert (await house.client.get(path)).status_code == 401


REFUSED_FILES: list[tuple[str, bytes, dict[str, str], int, str | None]] = [
    ("batch", png(), {}, 415, "unsupported_media_type"),
    ("vision", b"words", {}, 415, "unsupported_media_type"),
    ("batch_output", b"{}", {}, 400, None),
    ("user_data", b"", {}, 400, "empty_file"),
    ("user_data", bytes(5000), {}, 413, "file_too_large"),
    ("user_data", b"x", {"expires_after[anchor]": "created_at", "expires_after[seconds]": "5"}, 400, None),
    ("user_data", b"x", {"expires_after[anchor]": "created_at"}, 400, None),
]


async def test_a_file_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    async with open_shop(tmp_path, runs=False, storage__max_file_size=4096) as house:
        for purpose, data, fields, status, code in REFUSED_FILES:
            response = await upload(house, data, purpose, fields=fields)
            assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text
        assert not list((tmp_path / "files").glob("*"))
        assert (await house.client.get("/v1/files")).json()["data"] == []


async def test_a_field_that_nobody_knows_is_named_and_decides_nothing(tmp_path: Path) -> None:
    async with open_shop(tmp_path, runs=False, **KEYS) as house:
        kept = await upload(house, b"x", "user_data", fields={"owner": "bob"}, headers=ADA)
        assert kept.status_code == 200 and kept.headers["x-flashweb-warning"] == "ignored unknown fields: owner"
        assert (await house.client.get(f"/v1/files/{kept.json()['id']}", headers=BOB)).status_code == 404
        lines = (await upload(house, jsonl(line("a")), headers=ADA)).json()["id"]
        body = {"input_file_id": lines, "endpoint": "/v1/chat/completions", "owner": "bob"}
        made = await house.post(body, "/v1/batches", headers=ADA)
        assert made.status_code == 200 and made.headers["x-flashweb-warning"] == "ignored unknown fields: owner"
        assert (await house.client.get(f"/v1/batches/{made.json()['id']}", headers=BOB)).status_code == 404


async def test_an_upload_that_is_far_too_large_is_told_the_limit_that_it_met(tmp_path: Path) -> None:
    async with open_shop(tmp_path, runs=False, storage__max_file_size=2048, server__max_body_size=4096) as house:
        refused = await upload(house, bytes(2 << 20), "user_data")
    assert refused.status_code == 413 and "--max-file-size" in refused.json()["error"]["message"]


async def test_whose_a_file_is_tells_the_key_and_not_the_password_of_a_proxy(tmp_path: Path) -> None:
    proxy = {"authorization": "Basic c2hvcDpzZXNhbWU="}  # one for everybody behind it
    ada, bob = ({**proxy, "x-api-key": f"{name}-key-0123456789"} for name in ("ada", "bob"))
    async with open_shop(tmp_path, runs=False, **KEYS) as house:
        path = "/v1/files/" + (await upload(house, b"words", "user_data", headers=ada)).json()["id"]
        found = [(await house.client.get(path, headers=headers)).status_code for headers in (ada, ADA, bob, BOB)]
    assert found == [200, 200, 404, 404]


async def test_a_callers_files_together_have_a_bound(tmp_path: Path) -> None:
    async with open_shop(tmp_path, runs=False, storage__file_quota=5000, **KEYS) as house:
        assert (await upload(house, b"x" * 3000, "user_data", headers=ADA)).status_code == 200
        refused = await upload(house, b"x" * 3000, "user_data", headers=ADA)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "file_quota_exceeded")
        assert (await upload(house, b"x" * 3000, "user_data", headers=BOB)).status_code == 200


async def test_a_file_whose_time_is_over_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flashweb.jobs.files import FileStore
    from tests.house import make_settings

    now = 1000.0
    store = FileStore(make_settings(storage__data_dir=str(tmp_path)).storage, lambda: now)
    async with await store.receive("ada") as incoming:
        incoming.take(b"words")
        file = await incoming.finish("user_data", "a.txt", 60.0, "file-1")
    assert await store.bytes_of(file.id, "ada") == b"words"
    now = 1060.0
    with pytest.raises(Exception, match="No such File"):
        await store.bytes_of(file.id, "ada")
    await store.sweep()
    assert not list((tmp_path / "files").iterdir())
    await store.close()


async def test_a_file_that_is_deleted_while_its_download_begins_is_a_404_or_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flashweb.jobs.files import FileStore

    for when, expected in (("get", (404, "file_not_found")), ("opened", (200, b"words"))):
        find = getattr(FileStore, when)

        async def and_lose(store: FileStore, id: str, owner: str, find: Any = find) -> Any:
            found = await find(store, id, owner)
            store.path_of(id).unlink()
            return found

        async with open_shop(tmp_path, runs=False) as house:
            id = (await upload(house, b"words", "user_data")).json()["id"]
            with monkeypatch.context() as patched:
                patched.setattr(FileStore, when, and_lose)
                answer = await house.client.get(f"/v1/files/{id}/content")
            told = answer.content if answer.status_code == 200 else answer.json()["error"]["code"]
            assert (answer.status_code, told) == expected


async def test_files_are_removed_in_their_time_where_nobody_ever_handed_in_a_job(tmp_path: Path) -> None:
    from flashweb.jobs.files import FileStore
    from tests.house import make_settings

    store = FileStore(make_settings(storage__data_dir=str(tmp_path)).storage, lambda: time.time() - 120)
    async with await store.receive("") as incoming:
        incoming.take(b"words")
        await incoming.finish("user_data", "a.txt", 60.0, "file-1")
    await store.close()
    async with asyncio.timeout(10), open_shop(tmp_path):
        while list((tmp_path / "files").iterdir()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not (tmp_path / "jobs.sqlite").exists()


async def test_a_job_that_another_process_forgets_meanwhile_is_a_404(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_shop(tmp_path, runs=False) as house:
        made = await house.post({"image_url": data_url(png())}, "/api/scenes/audit?async=true")
        assert made.status_code == 202
        monkeypatch.setattr(SqlStore, "item_state", lambda *_: None)  # deleted between the two questions
        answer = await house.client.get(f"/api/jobs/{made.json()['id']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")


async def test_a_full_disk_and_one_that_is_read_only_are_clear_errors_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_shop(tmp_path, runs=False) as house:
        kept = (await upload(house, b"before", "user_data")).json()["id"]
        fsync = os.fsync

        def refuse(number: int) -> Callable[[int], None]:
            def no(descriptor: int) -> None:
                raise OSError(number, os.strerror(number), "/secret/path")

            return no

        told = {errno.ENOSPC: "storage_full", errno.EROFS: "storage_read_only", errno.EIO: "storage_broken"}
        for number, code in told.items():
            monkeypatch.setattr(os, "fsync", refuse(number))
            response = await upload(house, b"words", "user_data")
            assert (response.status_code, response.json()["error"]["code"]) == (503, code)
            assert "retry-after" in response.headers and "secret" not in response.text
        monkeypatch.setattr(os, "fsync", fsync)
        assert [path.name for path in (tmp_path / "files").iterdir()] == [kept]
        assert (await upload(house, b"after", "user_data")).status_code == 200


async def test_a_picture_may_be_an_uploaded_file_of_the_same_caller(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with open_shop(tmp_path, engine, runs=False, media__max_multipart_size=2000, **KEYS) as house:
        id = (await upload(house, png(), "vision", headers=ADA)).json()["id"]
        for part in (
            {"type": "input_image", "file_id": id},
            {"type": "image_file", "image_file": {"file_id": id}},
            {"type": "image", "source": {"type": "file", "file_id": id}},
        ):
            body = {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "what?"}]}]}
            answer = await house.post(body, headers=ADA)
            assert answer.status_code == 200, answer.text
            assert answer.json()["usage"]["prompt_tokens_details"]["image_tokens"] > 0
            others = await house.post(body, headers=BOB)
            assert (others.status_code, others.json()["error"]["code"]) == (404, "file_not_found")
        both = {"type": "input_image", "file_id": id, "image_url": data_url(png())}
        answer = await house.post({"messages": [{"role": "user", "content": [both]}]}, headers=ADA)
        assert answer.status_code == 400 and "give it once" in answer.json()["error"]["message"]
        large = (await upload(house, png() + bytes(4000), "vision", headers=ADA)).json()["id"]
        part = {"type": "input_image", "file_id": large}
        answer = await house.post({"messages": [{"role": "user", "content": [part]}]}, headers=ADA)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_large")


# --- batches ------------------------------------------------------------------------------------------------------


async def test_a_batch_is_answered_each_request_once_and_errors_in_their_own_file(tmp_path: Path) -> None:
    lines = [line(f"r{n}", max_tokens=8) for n in range(12)]
    lines.append(line("picture", max_tokens=8) | {"body": {"messages": user("what?", png()), "max_tokens": 8}})
    lines += [line("wrong", temperature=9), line("nobody", model="gpt-9")]
    async with open_shop(tmp_path) as house:
        made = await batch_of(house, jsonl(*lines), metadata={"for": "ada"})
        assert made["status"] in ("validating", "in_progress") and made["metadata"] == {"for": "ada"}
        done = await until(house, made["id"], "completed")
        assert done["request_counts"] == {"total": 15, "completed": 13, "failed": 2}
        answers = await lines_of(house, done["output_file_id"])
        assert [one["custom_id"] for one in answers] == [*(f"r{n}" for n in range(12)), "picture"]
        for one in answers:
            assert one["response"]["status_code"] == 200 and one["error"] is None
            assert one["response"]["request_id"].startswith("req_") and one["id"].startswith("batch_req_")
            assert one["response"]["body"]["object"] == "chat.completion"
        assert answers[3]["response"]["body"]["choices"][0]["message"]["content"].strip().startswith("say r3")
        wrong, nobody = await lines_of(house, done["error_file_id"])
        assert (wrong["custom_id"], wrong["response"]["status_code"]) == ("wrong", 400)
        assert wrong["response"]["body"]["error"]["param"] == "temperature"
        assert nobody["response"]["body"]["error"]["code"] == "model_not_found"
        file = (await house.client.get(f"/v1/files/{done['output_file_id']}")).json()
        assert file["purpose"] == "batch_output" and file["expires_at"] is not None
        assert not list((tmp_path / "batches").iterdir())  # its copy of the input is gone
        listed = (await house.client.get("/v1/batches")).json()
        assert [one["id"] for one in listed["data"]] == [made["id"]]


async def test_what_is_wrong_with_a_batchs_lines_is_told_by_their_numbers(tmp_path: Path) -> None:
    bad = [
        line("same"), line("same"), line("", url="/v1/chat/completions"), line("get") | {"method": "GET"},
        line("url", url="/v1/embeddings"), line("stream", stream=True), {"custom_id": "no url", "method": "POST"},
        line("list") | {"body": []},
    ]  # fmt: skip
    async with open_shop(tmp_path) as house:
        made = await batch_of(house, jsonl(*bad) + b"\n{not json\n")
        failed = await until(house, made["id"], "failed")
        told = [(one["line"], one["code"]) for one in failed["errors"]["data"]]
        assert told == [
            (2, "duplicate_custom_id"), (3, "invalid_custom_id"), (4, "invalid_method"), (5, "invalid_url"),
            (6, "invalid_body"), (7, "invalid_request"), (8, "invalid_body"), (10, "invalid_json_line"),
        ]  # fmt: skip
        assert failed["errors"]["data"][5]["param"] == "url"
        assert failed["failed_at"] and failed["request_counts"]["total"] == 0
        empty = await batch_of(house, b"{}\n")
        assert (await until(house, empty["id"], "failed"))["errors"]["data"][0]["line"] == 1


REFUSED_BATCHES: list[tuple[dict[str, Any], int, str]] = [
    ({"endpoint": "/v1/embeddings"}, 400, "endpoint"),
    ({"endpoint": "/api/scenes/../admin"}, 400, "endpoint"),
    ({"completion_window": "soon"}, 400, "completion_window"),
    ({"completion_window": "31d"}, 400, "completion_window"),
    ({"input_file_id": "file-none"}, 404, "id"),
    ({"metadata": {str(n): "" for n in range(17)}}, 400, "metadata"),
]


async def test_a_batch_that_cannot_be_is_refused(tmp_path: Path) -> None:
    async with open_shop(tmp_path, runs=False) as house:
        file = (await upload(house, jsonl(line("a")))).json()
        for wrong, status, param in REFUSED_BATCHES:
            given = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", **wrong}
            response = await house.post(given, "/v1/batches")
            assert (response.status_code, response.json()["error"]["param"]) == (status, param), response.text
        assert (await house.client.get("/v1/batches")).json()["data"] == []


async def test_a_cancelled_batch_ends_what_runs_and_keeps_what_is_answered(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer="words", max_num_seqs=2)
    async with open_shop(tmp_path, engine) as house:
        first = await batch_of(house, jsonl(line("quick")))
        await until(house, first["id"], "completed")
        engine.stay = True
        made = await batch_of(house, jsonl(*(line(f"r{n}") for n in range(6))))
        await wait_for(lambda: engine.num_running > 0)
        cancelled = await house.post({}, f"/v1/batches/{made['id']}/cancel")
        assert cancelled.json()["status"] in ("cancelling", "cancelled")
        ended = await until(house, made["id"], "cancelled")
        assert ended["request_counts"]["completed"] == 0 and ended["output_file_id"] is None
        errors = await lines_of(house, ended["error_file_id"])
        assert [one["error"]["code"] for one in errors] == ["batch_cancelled"] * 6
        await wait_for(lambda: engine.num_running == 0)  # at the next heartbeat
        again = await house.post({}, f"/v1/batches/{first['id']}/cancel")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "batch_ended")


async def test_a_batch_never_takes_the_places_that_interactive_requests_wait_in(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer="words", max_num_seqs=4)
    async with open_shop(tmp_path, engine) as house:
        engine.gate = asyncio.Event()
        made = await batch_of(house, jsonl(*(line(f"r{n}") for n in range(40))))
        await wait_for(lambda: engine.num_running == 5)  # the engine's four, and one ahead
        asking = [asyncio.create_task(house.chat("now")) for _ in range(15)]  # of 20 places
        await wait_for(lambda: house.pipeline.num_inside == 20)
        await asyncio.sleep(0.3)  # in which the batch would take more
        assert house.pipeline.num_inside == 20
        engine.gate.set()
        assert {one.status_code for one in await asyncio.gather(*asking)} == {200}
        assert (await until(house, made["id"], "completed"))["request_counts"]["completed"] == 40


async def test_the_key_of_a_batch_is_in_the_usage_of_its_requests_and_no_rate_holds_them(tmp_path: Path) -> None:
    given = {**KEYS, "auth__admin_key": "the-admin-key-0123", "server__rate_limit": "40/minute"}
    async with open_shop(tmp_path, **given) as house:
        made = await batch_of(house, jsonl(*(line(f"r{n}", max_tokens=2) for n in range(50))), headers=ADA)
        async with asyncio.timeout(20):
            while (await house.client.get("/metrics", headers=ADA)).status_code == 200:
                store = sqlite_store(tmp_path / "jobs.sqlite")
                items = store.items(made["id"], -1, 100)
                store.close()
                if items and all(item.result for item in items):
                    break
                await asyncio.sleep(0.1)
        assert {json.loads(item.result or b"{}")["status_code"] for item in items} == {200}


async def test_a_scene_in_a_batch_and_a_window_that_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine(answer="some words")
    async with open_shop(tmp_path, engine) as house:
        scene = {"custom_id": "a", "method": "POST", "url": "/api/scenes/ocr", "body": {"image": data_url(png())}}
        made = await batch_of(house, jsonl(scene), "/api/scenes/ocr")
        done = await until(house, made["id"], "completed")
        (answer,) = await lines_of(house, done["output_file_id"])
        assert answer["response"]["body"] == {"text": "some words"}
        engine.stay = True
        late = await batch_of(house, jsonl(line("late")), completion_window="1m")
        await until(house, late["id"], "in_progress")
        store = sqlite_store(tmp_path / "jobs.sqlite")
        with store._driver.writing() as tx:  # a minute is long for a test
            tx.run("UPDATE jobs SET expires = 1 WHERE id = ?", late["id"])
        store.close()
        expired = await until(house, late["id"], "expired")
        (error,) = await lines_of(house, expired["error_file_id"])
        assert error["error"]["code"] == "batch_expired" and error["response"] is None


# --- the runner's own death ---------------------------------------------------------------------------------------


async def test_a_batch_goes_on_where_its_runner_died_and_every_request_has_one_answer(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer="words", max_num_seqs=4)
    async with open_house(engine, storage__data_dir=str(tmp_path)) as house:
        made = await batch_of(house, jsonl(*(line(f"r{n}") for n in range(60))))
        for _ in range(3):
            asked = len(engine.asked)
            async with working(house):
                await wait_for(lambda asked=asked: len(engine.asked) >= asked + 6)  # type: ignore[misc]
            house.pipeline.door.is_closed = False  # the lifespan's end closed it
            engine.phase = "ready"
        async with working(house):
            done = await until(house, made["id"], "completed")
            assert done["request_counts"] == {"total": 60, "completed": 60, "failed": 0}
            answers = await lines_of(house, done["output_file_id"])
            assert [one["custom_id"] for one in answers] == [f"r{n}" for n in range(60)]


# --- what one caller may have waiting ----------------------------------------------------------------------------


async def test_what_a_caller_has_waiting_is_bounded_whichever_way_it_comes_in(tmp_path: Path) -> None:
    given: dict[str, Any] = {**KEYS, "storage__max_waiting_jobs": 2}
    picture = {"image": data_url(png())}
    async with open_shop(tmp_path, runs=False, **given) as house:
        file = (await upload(house, jsonl(line("a")), headers=ADA)).json()["id"]
        batch = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        ways: list[tuple[str, Any, dict[str, str]]] = [
            ("/api/scenes/ocr?async=true", picture, {}),
            ("/api/scenes/ocr", picture, {"prefer": "respond-async"}),
            ("/v1/batches", batch, {}),
            ("/v1/responses", {"input": "x", "background": True}, {}),
        ]
        for path, body, headers in (ways[0], ways[-1]):
            assert (await house.post(body, path, headers={**headers, **ADA})).status_code in (200, 202)
        for path, body, headers in ways:
            refused = await house.post(body, path, headers={**headers, **ADA})
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_jobs"), path
            message = refused.json()["error"]["message"]
            assert "2 jobs" in message and "--max-waiting-jobs" in message and "retry-after" in refused.headers
        assert not list((tmp_path / "batches").iterdir()), "what was refused leaves nothing"
        assert (await house.post(picture, ways[0][0], headers=BOB)).status_code == 202
        jobs = sqlite_store(tmp_path / "jobs.sqlite")
        assert sum(len(jobs.claim("w", 9, time.time(), 60.0)) for _ in range(2)) == 3
        jobs.close()


def test_nothing_but_the_guard_puts_what_callers_hand_in_into_the_queue() -> None:
    source = Path(flashweb.__file__).parent
    found = {str(path.relative_to(source)): path.read_text().count("store.submit(") for path in source.rglob("*.py")}
    assert {path: num for path, num in found.items() if num} == {
        "jobs/queue.py": 1,  # the guard
        "api/responses/runs.py": 1,  # again, for what it has let in
    }
    guarded = [path for path in source.rglob("*.py") if ".hand_in(" in path.read_text()]
    assert {str(path.relative_to(source)) for path in guarded} == {
        "api/batches.py", "api/jobs.py", "api/responses/runs.py", "jobs/batches.py",
    }  # fmt: skip


# --- scenes that are answered later -------------------------------------------------------------------------------


async def test_a_scene_is_answered_later_when_that_is_asked_for(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer="some words")
    async with open_shop(tmp_path, engine) as house:
        engine.gate = asyncio.Event()
        sent = await house.client.post("/api/scenes/ocr", files={"image": png()}, headers={"prefer": "respond-async"})
        assert sent.status_code == 202 and sent.headers["preference-applied"] == "respond-async"
        job = sent.headers["location"]
        assert sent.json()["status"] in ("queued", "in_progress") and sent.json()["result_url"] is None
        early = await house.client.get(f"{job}/result")
        assert (early.status_code, early.json()["error"]["code"]) == (409, "not_finished")
        engine.gate.set()
        told = await status_of(house, job, "completed", "failed")
        result = await house.client.get(told["result_url"])
        assert (result.status_code, result.json()) == (200, {"text": "some words"})
        assert (await house.client.delete(job)).status_code == 200  # it has ended: it is forgotten
        assert (await house.client.get(job)).status_code == 404
        unknown = await house.client.post("/api/scenes/none?async=true", files={"image": png()})
        assert unknown.status_code == 404 and unknown.json()["detail"]


async def test_who_asks_how_a_job_stands_has_nobody_read_its_request_and_once_it_has_ended_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine(answer="some words")
    async with open_shop(tmp_path, engine) as house:
        engine.gate = asyncio.Event()
        sent = await house.client.post("/api/scenes/ocr?async=true", files={"image": png() + bytes(1_000_000)})
        job = sent.headers["location"]

        def read(*_: Any) -> list[Any]:
            raise AssertionError("the request was read")

        with monkeypatch.context() as patched:
            patched.setattr(SqlStore, "items", read)
            assert (await house.client.get(job)).status_code == 200
            assert (await house.client.get(f"{job}/result")).status_code == 409
            engine.gate.set()
            await status_of(house, job, "completed")
        assert (await house.client.get(f"{job}/result")).json() == {"text": "some words"}
        store = sqlite_store(tmp_path / "jobs.sqlite")
        (item,) = store.items(sent.json()["id"], -1, 1)
        store.close()
        assert item.payload == b"" and item.result is not None


async def test_what_a_caller_would_have_heard_in_headers_comes_with_the_result(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer="some words")
    async with open_shop(tmp_path, engine) as house:
        now = await house.post({"image": data_url(png()), "temprature": 1}, "/api/scenes/ocr")
        told = {name: value for name, value in now.headers.items() if name.startswith("x-flashweb-")}
        assert told["x-flashweb-warning"] == "ignored unknown fields: temprature"
        sent = await house.post({"image": data_url(png()), "temprature": 1}, "/api/scenes/ocr?async=true")
        job = sent.headers["location"]
        await status_of(house, job, "completed")
        later = await house.client.get(f"{job}/result")
        assert later.json() == now.json() and later.headers["x-flashweb-request-id"].startswith("req_")
        assert {name: later.headers.get(name) for name in told} == told
        made = await batch_of(house, jsonl(line("good", temprature=1), line("plain"), line("bad", n=0, temprature=1)))
        done = await until(house, made["id"], "completed")
        good, plain = await lines_of(house, done["output_file_id"])
        assert good["response"]["headers"] == told
        assert plain["response"]["headers"] == {"x-flashweb-model": "flashweb-nano"}
        (bad,) = await lines_of(house, done["error_file_id"])
        assert bad["response"]["status_code"] == 400 and "headers" not in bad["response"]


async def test_the_result_of_a_job_is_the_error_it_met_and_one_that_waits_can_be_cancelled(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer="some words")
    async with open_shop(tmp_path, engine) as house:
        engine.stay = True
        bad = await house.client.post("/api/scenes/ocr?async=true", files={"image": b"no picture"})
        job = bad.headers["location"]
        await status_of(house, job, "failed")
        result = await house.client.get(f"{job}/result")
        assert (result.status_code, result.json()["error"]["code"]) == (400, "invalid_image")
        running = (await house.client.post("/api/scenes/ocr?async=1", files={"image": png()})).headers["location"]
        await wait_for(lambda: engine.num_running > 0)
        assert (await house.client.delete(running)).json()["status"] == "cancelled"
        assert (await house.client.get(f"{running}/result")).json()["error"]["code"] == "no_result"


async def test_a_batch_is_background_work_in_the_engine_and_a_callers_request_is_not(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with open_shop(tmp_path, engine) as house:
        batch = await batch_of(house, jsonl(line("a"), line("b")))
        assert (await until(house, batch["id"], "completed"))["request_counts"]["completed"] == 2
        assert (await house.post({"messages": user("now")})).status_code == 200
    assert [params.background for _, params, _ in engine.asked] == [True, True, False]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/multimodal/completions", "/infer"])
async def test_the_runner_hears_that_the_engine_is_full_in_whatever_shape_an_endpoint_says_so(path: str) -> None:
    """What is not the request's own fault must not cost it an attempt."""
    engine = ScriptedEngine()
    pipeline = make_pipeline(engine)
    body = {"messages": user("a")} if path.endswith("chat/completions") else {"prompt": "a", "image": data_url(png())}
    await pipeline.start()
    await pipeline.wait_ready()
    engine.answer, engine.error = "", Overloaded("full")
    answer = await asker(make_app(pipeline))(Call(path, json.dumps(body).encode(), "me"), asyncio.Event())
    await pipeline.stop()
    assert (answer.status, answer.error_code) == (503, "server_is_overloaded")
