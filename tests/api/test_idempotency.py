"""`Idempotency-Key` on every POST: the same request again is the same answer, and nothing is done twice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from flashweb.api import idempotency
from flashweb.api.exchange import Exchange
from flashweb.api.idempotency import KEY_PATTERN, parse_key
from flashweb.errors import EngineDied, FlashwebError, InvalidRequest
from flashweb.observe.ledger import Record
from flashweb.observe.work import Work
from flashweb.stored.idempotency import IdempotencyStore
from tests.api.routes import COUNTING, TAKING_A_PLACE, TEXT_ONLY, all_routes, description, send, ways_into, words_of
from tests.house import House, ScriptedEngine, data_url, open_house, png, until, user

JSON = "application/json"
WAYS = [*ways_into(), *((path, JSON) for path in (*TEXT_ONLY, *COUNTING, *TAKING_A_PLACE))]
AUDIT = '{"contains_price": true, "contains_brand_logo": null, "forbidden_words": []}'
BATCH = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": []}}\n'


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keys that other tests have used mean nothing here."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def key(text: str = "8e03978e-40d5-43e8-bc93-6894a57f9324") -> dict[str, str]:
    return {"idempotency-key": text}


def is_replay(answer: httpx.Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


async def upload(house: House, data: bytes = BATCH, **headers: str) -> httpx.Response:
    return await house.client.post(
        "/v1/files", files={"file": ("in.jsonl", data)}, data={"purpose": "batch"}, headers=headers
    )


def check_again(first: httpx.Response, again: httpx.Response, where: str = "") -> None:
    """The same answer, under an id of its own."""
    assert not is_replay(first) and is_replay(again), where
    assert (again.status_code, again.content) == (first.status_code, first.content), where
    assert again.headers["x-request-id"] != first.headers["x-request-id"], where
    for name in ("content-type", "content-length", "x-flashweb-model", "x-flashweb-warning", "location"):
        assert again.headers.get(name) == first.headers.get(name), f"{where} {name}"


async def test_every_way_in_gives_the_same_answer_again_without_asking_the_engine() -> None:
    async with open_house(ScriptedEngine(AUDIT)) as house:
        for path, kind in WAYS:
            first = await send(house, path, kind, temprature="1", headers=key())
            asked = len(house.engine.asked)
            assert first.status_code == 200, f"{path} ({kind}): {first.text}"
            # A form is made anew, with another boundary, as clients that try again do.
            again = await send(house, path, kind, temprature="1", headers=key())
            if kind == JSON and (path, "multipart/form-data") in WAYS:
                other = await send(house, path, kind, prompt="another", question="another", headers=key())
                assert other.status_code == 400 and "Idempotency-Key" in other.text, path
            check_again(first, again, f"{path} ({kind})")
            assert len(house.engine.asked) == asked
            await _forget(house)


async def _forget(house: House) -> None:
    """Both kinds of body of a path come under one key here: the next begins anew."""
    database = house.pipeline.settings.storage.folder / "idempotency.sqlite"
    store = IdempotencyStore(database, max_bytes=1 << 20, seconds=1)
    await store._run(lambda: store._opened().execute("DELETE FROM answers"))
    await store.close()


async def test_what_is_kept_for_callers_is_not_made_twice() -> None:
    async with open_house(ScriptedEngine("ok")) as house:
        first, again = [await upload(house, **key("file")) for _ in range(2)]
        check_again(first, again, "/v1/files")
        body = {"input_file_id": first.json()["id"], "endpoint": "/v1/chat/completions", "completion_window": "1h"}
        made, made_again = [await house.post(body, "/v1/batches", headers=key("b")) for _ in range(2)]
        check_again(made, made_again, "/v1/batches")
        batch = made.json()["id"]
        assert [one["id"] for one in (await house.client.get("/v1/batches")).json()["data"]].count(batch) == 1
        for path in (f"/v1/batches/{batch}/cancel", "/v1/responses/resp_0/cancel"):
            cancelled = [await house.client.post(path, headers=key("c")) for _ in range(2)]
            check_again(*cancelled, path)
        later = {"image": data_url(png())}
        jobs = [await house.post(later, "/api/scenes/audit?async=true", headers=key("j")) for _ in range(2)]
        check_again(*jobs, "async scene")
        assert jobs[0].status_code == 202 and jobs[0].json()["id"] == jobs[1].json()["id"]


def test_no_route_that_takes_a_post_is_left_out() -> None:
    """Of the app's own routes: what is sent above and here is all there is, and all of it is described."""
    tried = {path.replace("/ocr", "/{name}") for path, _ in WAYS}
    tried |= {"/v1/files", "/v1/batches", "/v1/batches/{batch_id}/cancel", "/v1/responses/{response_id}/cancel"}
    assert {route.path for route in all_routes() if "POST" in route.methods} == tried
    for path, operations in description()["paths"].items():
        for method, operation in operations.items():
            named = [one.get("$ref", "") for one in operation.get("parameters", [])]
            assert (named.count("#/components/parameters/Idempotency-Key") == 1) == (method == "post"), path


async def test_another_body_under_the_same_key_is_refused_and_another_path_another_request() -> None:
    async with open_house(ScriptedEngine("ok")) as house:
        assert (await house.post({"messages": user("a")}, headers=key())).status_code == 200
        for body, query in (({"messages": user("b")}, ""), ({"messages": user("a")}, "?x=1")):
            other = await house.post(body, f"/v1/chat/completions{query}", headers=key())
            assert other.status_code == 400 and other.json()["error"]["code"] == "idempotency_key_reused"
            assert other.json()["error"]["param"] == "Idempotency-Key"
        assert not is_replay(await house.post({"prompt": "a"}, "/v1/completions", headers=key()))
        quoted = await house.post({"messages": user("a")}, headers=key(f'"{key()["idempotency-key"]}"'))
        assert is_replay(quoted), "a structured field's string and the bare text are one key"


async def test_while_the_first_is_answered_the_same_key_is_a_409_that_says_when_to_come_again() -> None:
    gate = asyncio.Event()
    gate.set()
    async with open_house(ScriptedEngine("ok", gate=gate)) as house:
        gate.clear()
        first = asyncio.create_task(house.post({"messages": user("a")}, headers=key()))
        await until(lambda: house.engine.num_running)
        second = await house.post({"messages": user("a")}, headers=key())
        assert second.status_code == 409 and second.json()["error"]["code"] == "idempotency_key_in_use"
        assert second.headers["retry-after"] == "1" and second.headers["x-should-retry"] == "true"
        gate.set()
        check_again(await first, await house.post({"messages": user("a")}, headers=key()))


async def test_keys_are_their_callers_own() -> None:
    keys = ("shop:sk-0123456789abcdef", "bank:sk-fedcba9876543210")
    async with open_house(ScriptedEngine("ok"), auth__api_keys=keys) as house:
        for text in keys:
            bearer = {"authorization": f"Bearer {text.partition(':')[2]}"}
            answer = await house.post({"messages": user("a")}, headers={**key(), **bearer})
            assert answer.status_code == 200 and not is_replay(answer)
        assert (await house.post({"messages": user("a")}, headers=key())).status_code == 401


async def test_a_stream_is_given_again_as_a_stream_once_it_was_whole() -> None:
    async with open_house(ScriptedEngine("a b c")) as house:
        for path, more in (
            ("/v1/chat/completions", {"messages": user("hi")}),
            ("/v1/messages", {"messages": user("hi"), "model": "flashweb-nano", "max_tokens": 50}),
            ("/v1/responses", {"input": "hi"}),
        ):
            first, again = [await house.post({**more, "stream": True}, path, headers=key()) for _ in range(2)]
            check_again(first, again, path)
            assert first.headers["content-type"].startswith("text/event-stream") and first.text.count("data: ") > 2
        house.engine.error = EngineDied("gone")
        for _ in range(2):  # one that ended with an error event is not kept
            cut = await house.post({"messages": user("ho"), "stream": True}, headers=key("cut"))
            assert cut.status_code == 200 and "engine_died" in cut.text and not is_replay(cut)


@pytest.mark.parametrize(
    ("error", "status"), [(FlashwebError("no", code="out_of_memory"), 500), (EngineDied("gone"), 503)]
)
async def test_errors_that_may_pass_are_not_kept_and_those_of_the_request_are(error: Exception, status: int) -> None:
    async with open_house(ScriptedEngine("")) as house:
        house.engine.error = error
        assert (await house.post({"messages": user("a")}, headers=key())).status_code == status
        house.engine.error, house.engine.answer = None, "ok"
        again = await house.post({"messages": user("a")}, headers=key())
        assert again.status_code == 200 and not is_replay(again)
        for path in ("/v1/chat/completions", "/v1/messages", "/api/audit-image", "/infer"):
            first, second = [await house.post({"messages": 7}, path, headers=key("bad")) for _ in range(2)]
            assert first.status_code == second.status_code == 400 and is_replay(second), path
            assert words_of(first) == words_of(second) and first.json().keys() == second.json().keys(), path


async def test_past_its_deadline_a_stream_is_not_kept() -> None:
    async with open_house(ScriptedEngine("a b"), server__request_timeout=0.2) as house:
        house.engine.stay = True
        for _ in range(2):
            cut = await house.post({"messages": user("a"), "stream": True}, headers=key())
            assert "timeout" in cut.text and not is_replay(cut)


async def test_a_client_that_leaves_frees_its_key() -> None:
    async with open_house(ScriptedEngine("ok")) as house:
        house.engine.stay = True
        gone = asyncio.create_task(house.post({"messages": user("a")}, headers=key()))
        await until(lambda: house.engine.num_running)
        gone.cancel()
        await asyncio.wait({gone})
        house.engine.stay = False
        again = await house.post({"messages": user("a")}, headers=key())
        assert again.status_code == 200 and not is_replay(again)


async def test_an_answer_larger_than_what_is_kept_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "MAX_ANSWER_BYTES", 100)
    async with open_house(ScriptedEngine("a b c")) as house:
        for stream in (True, False):
            for _ in range(2):
                answer = await house.post({"messages": user("a"), "stream": stream}, headers=key(f"{stream}"))
                assert answer.status_code == 200 and not is_replay(answer)


BAD_KEYS = ["", " ", '""', "a b", "x" * 256, '"' + "x" * 256 + '"', "schl\xfcssel", '"open', '"a" "b"', '"a\\b"']
GOOD_KEYS = {"a": "a", "x" * 255: "x" * 255, '"a b"': "a b", r'"a\"b\\"': 'a"b\\', "order:17/2": "order:17/2"}


async def test_a_key_is_visible_ascii_within_its_length_or_a_400() -> None:
    for text, read in GOOD_KEYS.items():
        assert parse_key([text.encode()]) == read and re.search(KEY_PATTERN, text)
    for text in BAD_KEYS:
        assert not re.search(KEY_PATTERN, text)
        with pytest.raises(InvalidRequest, match="1 to 255"):
            parse_key([text.encode("latin-1")])
    with pytest.raises(InvalidRequest, match="2 times"):
        parse_key([b"a", b"a"])
    async with open_house(ScriptedEngine("ok")) as house:
        for text in BAD_KEYS[:6]:
            answer = await house.post({"messages": user("a")}, headers=key(text))
            assert answer.status_code == 400 and answer.json()["error"]["code"] == "invalid_idempotency_key", text
        assert not house.engine.asked


async def test_it_outlives_the_server_unless_it_is_in_memory_and_may_be_off(tmp_path: Path) -> None:
    for kind, wanted in (("disk", True), ("memory", False), ("off", False)):
        given = {"storage__data_dir": str(tmp_path / kind), "storage__idempotency": kind}
        bodies = []
        for _ in range(2):
            async with open_house(ScriptedEngine("ok"), **given) as house:
                again = [await house.post({"messages": user("a")}, headers=key()) for _ in range(2)]
                assert is_replay(again[1]) == (kind != "off")
                bodies.append((is_replay(again[0]), again[0].json()["id"]))
        assert bodies[1][0] == wanted and (bodies[0][1] == bodies[1][1]) == wanted
        assert (tmp_path / kind / "idempotency.sqlite").exists() == wanted


@asynccontextmanager
async def dying(house: House, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Whatever is answered meanwhile, the server dies before it can keep that."""

    async def die(self: IdempotencyStore, *_: Any) -> None:
        self._running.clear()

    with monkeypatch.context() as patch:
        patch.setattr(IdempotencyStore, "keep", die)
        patch.setattr(IdempotencyStore, "release", die)
        yield
    await _lapse(house.pipeline.settings.storage.folder)


async def test_what_was_kept_when_the_server_died_before_it_could_answer_is_not_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is kept, its answer is nowhere: the next request with the key finds it by its id."""
    monkeypatch.setattr("flashweb.stored.idempotency.LEASE_SECONDS", -1.0)
    async with open_house(ScriptedEngine("ok")) as house:
        file = (await upload(house)).json()["id"]
        batch = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "1h"}

        async def post(path: str, text: str) -> httpx.Response:
            if path == "/v1/files":
                return await upload(house, **key(text))
            body = {"input": "x", "background": True} if path == "/v1/responses" else batch
            return await house.post(body, path, headers=key(text))

        for path in ("/v1/batches", "/v1/files", "/v1/responses"):
            async with dying(house, monkeypatch):
                lost = await post(path, "k")
            found = await post(path, "k")
            assert found.status_code == 200 and found.json() == lost.json(), path
            assert not is_replay(found)
            other = await post(path, "another")
            assert other.json()["id"] != found.json()["id"]
        assert len((await house.client.get("/v1/batches")).json()["data"]) == 2
        assert len((await house.client.get("/v1/files")).json()["data"]) == 3


async def test_a_background_response_that_is_asked_for_again_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashweb.stored.idempotency.LEASE_SECONDS", -1.0)
    body = {"input": "x", "background": True}
    async with open_house(ScriptedEngine("ok")) as house:
        async with dying(house, monkeypatch):
            id = (await house.post(body, "/v1/responses", headers=key())).json()["id"]
        await house.client.post(f"/v1/responses/{id}/cancel")
        again = (await house.post(body, "/v1/responses", headers=key())).json()
        assert (again["id"], again["status"]) == (id, "cancelled")


async def _lapse(folder: Path) -> None:
    store = IdempotencyStore(folder / "idempotency.sqlite", max_bytes=1 << 20, seconds=1)
    await store._run(lambda: store._opened().execute("UPDATE answers SET lease = 0"))
    await store.close()


def test_a_form_in_pieces_has_the_digest_of_the_whole_whatever_its_boundary() -> None:
    boundary = b"xyxyz"
    form = b"--xyxyz\r\ncontent-disposition: form-data; name=a\r\n\r\nxyxy xyx 0 xy\r\n--xyxyz--\r\n"
    redrawn = form.replace(boundary, b"0123456789")

    def digest(data: bytes, boundary: bytes, size: int) -> bytes:
        headers = [(b"content-type", b"multipart/form-data; boundary=" + boundary), (b"content-length", b"9")]
        scope: dict[str, Any] = {"headers": headers, "query_string": b"", "state": {}, "path": "/", "method": "POST"}

        async def nowhere(message: Any) -> None: ...

        scope["state"]["exchange"] = Exchange(scope, nowhere, Record("r", "POST", "/", Work()))
        body = idempotency._Body(scope)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            body.add({"type": "http.request", "body": piece, "more_body": start + size < len(data)})
        assert body.is_complete
        return body.digest

    whole = digest(form, boundary, len(form))
    assert {digest(form, boundary, size) for size in range(1, 12)} == {whole}
    assert {digest(redrawn, b"0123456789", size) for size in (1, 5, 99)} == {whole}
    assert digest(form.replace(b" xy", b" yx"), boundary, 7) != whole


async def test_a_disk_that_cannot_be_used_is_a_503_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    async with open_house(ScriptedEngine("ok"), storage__data_dir=str(tmp_path / "data")) as house:
        answer = await house.post({"messages": user("a")}, headers=key())
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "storage_broken"
        assert not house.engine.asked
        assert (await house.post({"messages": user("a")})).status_code == 200


async def test_requests_without_a_key_leave_no_trace(tmp_path: Path) -> None:
    async with open_house(ScriptedEngine("ok"), storage__data_dir=str(tmp_path)) as house:
        await house.post({"messages": user("a")})
        assert (await house.client.get("/v1/models", headers=key())).status_code == 200
    assert not (tmp_path / "idempotency.sqlite").exists()
