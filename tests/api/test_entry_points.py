"""No endpoint has its own way with pictures, limits or errors: every way into the server is refused alike, in the same
words, by the same code. The ways are read from the app; one that somebody adds is tested here too."""

from __future__ import annotations

import ast
import asyncio
import re
from functools import partial
from pathlib import Path
from typing import Any

from flashweb.api.error_shapes import INFER_PATHS, MESSAGES_PATHS
from flashweb.api.pages import PAGE_ROUTES
from flashweb.errors import EngineDied, FlashwebError
from tests.api.routes import COUNTING, TAKING_A_PLACE, TEXT_ONLY, all_routes, send, ways_into, words_of
from tests.house import CountingLoader, House, ScriptedEngine, begun, events_of, open_house, png

API = Path(__file__).parents[2] / "src" / "flashweb" / "api"
JSON = "application/json"
WAYS = ways_into()
COUNTS = [(path, JSON) for path in COUNTING]
ANSWERING = [*WAYS, *((path, JSON) for path in TEXT_ONLY)]
INSIDE = [*ANSWERING, *COUNTS, *((path, JSON) for path in TAKING_A_PLACE)]
AUDIT = '{"contains_price": true, "contains_brand_logo": null, "forbidden_words": []}'


def loader_of(house: House) -> CountingLoader:
    loader = house.pipeline._loader
    assert isinstance(loader, CountingLoader)
    return loader


def loaded(house: House) -> int:
    return loader_of(house).num_loaded


def check_shape(path: str, body: dict[str, Any], status: int) -> None:
    """S3's envelope on its paths, Anthropic's on its own, OpenAI's elsewhere, with `detail` beside it under /api/."""
    if path in INFER_PATHS:
        assert body == {"code": status, "msg": body["msg"]}
        return
    if path in MESSAGES_PATHS:
        assert set(body) == {"type", "error", "request_id"} and set(body["error"]) == {"type", "message"}
        assert body["type"] == "error" and body["request_id"].startswith("req_")
        return
    assert set(body) == ({"error", "detail"} if path.startswith("/api/") else {"error"})
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body.get("detail", body["error"]["message"]) == body["error"]["message"]


def test_the_ways_in_are_those_of_the_contract() -> None:
    """Whoever adds one adds it here too, after a look at everything below."""
    assert {path for path, _ in WAYS} == {
        "/v1/chat/completions", "/v1/multimodal/completions", "/v1/multimodal/completions-multipart",
        "/v1/multimodal/completions-multipart-multipart", "/v1/multi-modal/inference", "/v1/glm/infer", "/infer",
        "/api/scenes/ocr", "/api/audit-image", "/v1/messages", "/v1/responses",
    }  # fmt: skip
    assert len(WAYS) == 16, "a kind of body came or went"


async def test_every_way_loads_its_pictures_by_the_one_loader_and_asks_the_one_engine() -> None:
    async with open_house(ScriptedEngine(AUDIT)) as house:
        for path, kind in WAYS:
            before, asked = loaded(house), len(house.engine.asked)
            answer = await send(house, path, kind, (png(), png(56, 84)))
            assert answer.status_code == 200, f"{path} ({kind}): {answer.text}"
            assert loaded(house) - before == 2 and len(house.engine.asked) - asked == 1, path
            (spans, _, _) = (house.engine.asked[-1][0].spans, *house.engine.asked[-1][1:])
            assert [span.image.source_size for span in spans] == [(56, 56), (84, 56)], path
            assert answer.headers["x-flashweb-model"] == "flashweb-nano" and house.pipeline.num_inside == 0


async def test_what_only_counts_measures_its_pictures_by_the_one_loader_and_asks_nobody() -> None:
    async with open_house(ScriptedEngine(AUDIT)) as house:
        for path, kind in COUNTS:
            before, measured = loaded(house), loader_of(house).num_measured
            answer = await send(house, path, kind, (png(), png(56, 84)))
            assert answer.status_code == 200, f"{path}: {answer.text}"
            assert loader_of(house).num_measured - measured == 2 and loaded(house) == before, path
        assert not house.engine.asked and house.pipeline.num_inside == 0


async def test_an_uploaded_picture_goes_the_way_of_one_that_is_sent() -> None:
    cut = png()[:40]
    async with open_house(ScriptedEngine("ok")) as house:
        for picture, status in ((png(), 200), (cut, 400)):
            before, form = loaded(house), {"file": ("a.png", picture)}
            upload = await house.client.post("/v1/files", files=form, data={"purpose": "vision", "temprature": "1"})
            assert upload.status_code == 200 and "temprature" in upload.headers["x-flashweb-warning"], upload.text
            assert loaded(house) == before, "an upload reads no picture"
            file = {"file_id": upload.json()["id"]}
            part = {"type": "input_image", **file}
            anthropics = {"type": "image", "source": {"type": "file", **file}}
            for path, field, one in (
                ("/v1/chat/completions", "messages", part),
                ("/v1/responses", "input", part),
                ("/v1/messages", "messages", anthropics),
            ):
                turn = [{"role": "user", "content": [one, {"type": "text", "text": "What is it?"}]}]
                before, more = loaded(house), {"model": "flashweb-nano", "max_tokens": 9}
                answer = await house.post({field: turn, **more}, path)
                assert answer.status_code == status and loaded(house) - before == 1, f"{path}: {answer.text}"
                if status == 400:
                    assert words_of(answer) == words_of(await send(house, path, JSON, [cut])), path


async def test_a_model_that_is_not_here_is_a_404_on_every_way() -> None:
    async with open_house(ScriptedEngine(AUDIT)) as house:
        for path, kind in INSIDE:
            answer = await send(house, path, kind, model="gpt-4o")
            assert answer.status_code == 404 and "'gpt-4o'" in words_of(answer), f"{path} ({kind}): {answer.text}"
            check_shape(path, answer.json(), 404)
        assert not house.engine.asked


async def test_a_field_that_nobody_knows_is_named_in_a_warning_on_every_way() -> None:
    async with open_house(ScriptedEngine(AUDIT)) as house:
        for path, kind in INSIDE:
            plain = await send(house, path, kind)
            unread = "ignored unknown fields: prompt" if path.startswith("/api/") else None  # a scene has its own
            assert plain.headers.get("x-flashweb-warning") == unread, path
            answer = await send(house, path, kind, temprature="1")
            assert answer.status_code == 200 and "temprature" in answer.headers["x-flashweb-warning"], path
            # What a scene asks is its own business, whatever else is sent; tokens are spelled in one way only.
            if not path.startswith("/api/") and path not in TAKING_A_PLACE:
                assert (await send(house, path, kind, bad_words=["x"])).status_code == 400, path


# What is sent, and the status; the words are the same wherever it is sent.
PICTURES: dict[str, tuple[list[bytes], int]] = {
    "no picture": ([b"not a picture at all"], 400),
    "a file cut short": ([png()[:40]], 400),
    "too many": ([png()] * 4, 400),
    "too many bytes": ([png() + bytes(20_000)], 413),
    "too many pixels": ([png(3000, 20)], 413),
}


async def test_a_bad_picture_is_refused_alike_on_every_way() -> None:
    limits = {
        "media__max_images": 3, "media__max_upload_size": 10_000, "media__max_multipart_size": 10_000,
        "media__max_image_pixels": 50_000,
    }  # fmt: skip
    async with open_house(ScriptedEngine(), **limits) as house:
        for name, (pictures, status) in PICTURES.items():
            words: dict[str, set[str]] = {}
            for path, kind in [*WAYS, *COUNTS]:
                answer = await send(house, path, kind, pictures)
                assert answer.status_code == status, f"{name} to {path} ({kind}): {answer.text}"
                check_shape(path, answer.json(), status)
                # Without the parameter's name, which is the path's own.
                words.setdefault(kind, set()).add(re.sub(r"^[\w\[\].]+: ", "", words_of(answer)))
            for kind, found in words.items():
                assert len(found) == 1, f"{name} as {kind}: {found}"
        assert not house.engine.asked and house.pipeline.num_inside == 0


async def test_rate_queue_and_drain_refuse_every_way_before_a_picture_is_read() -> None:
    async with open_house(ScriptedEngine(), server__rate_limit="1/day", server__limit_concurrency=1) as house:
        before = loaded(house)
        assert (await house.client.get("/v1/models")).status_code == 200
        for path, kind in INSIDE:
            answer = await send(house, path, kind)
            assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0, path
            assert answer.headers["x-ratelimit-remaining-requests"] == "0"
            check_shape(path, answer.json(), 429)
        assert loaded(house) == before
    async with open_house(ScriptedEngine(), server__limit_concurrency=1) as house:
        before, words = loaded(house), set()
        for is_draining in (False, True):
            for path, kind in INSIDE:
                if is_draining:
                    house.pipeline.close()
                    answer = await send(house, path, kind)
                else:
                    with house.pipeline.admit():
                        answer = await send(house, path, kind)
                assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0, path
                check_shape(path, answer.json(), 503)
                words.add(words_of(answer))
        assert loaded(house) == before and not house.engine.asked
    assert len(words) == 2, "one text for a full house, one for a draining one"


ENGINES: list[tuple[Exception, int]] = [
    (FlashwebError("the device ran out of memory", code="out_of_memory"), 500),
    (EngineDied("gone"), 503),
    (ValueError("a secret"), 500),
]


async def test_what_the_engine_raises_is_told_alike_on_every_way() -> None:
    async with open_house(ScriptedEngine()) as house:
        for error, status in ENGINES:
            house.engine.answer, house.engine.error = "", error
            words = set()
            for path, kind in ANSWERING:
                answer = await send(house, path, kind)
                wanted = 507 if path in INFER_PATHS and getattr(error, "code", None) == "out_of_memory" else status
                assert answer.status_code == wanted, f"{path}: {answer.text}"
                check_shape(path, answer.json(), wanted)
                words.add(words_of(answer))
            assert len(words) == 1 and "secret" not in words.pop()
        assert house.pipeline.num_inside == 0


async def test_past_its_deadline_every_way_is_a_504_and_its_work_has_ended() -> None:
    async with open_house(ScriptedEngine(max_num_seqs=len(ANSWERING)), server__request_timeout=0.3) as house:
        house.engine.stay = True
        answers = await asyncio.gather(*(send(house, path, kind) for path, kind in ANSWERING))
        assert house.engine.num_running == 0 and house.pipeline.num_inside == 0
    for (path, _), answer in zip(ANSWERING, answers, strict=True):
        assert answer.status_code == 504, f"{path}: {answer.text}"
        check_shape(path, answer.json(), 504)


STREAMING = (
    "/v1/chat/completions", "/v1/completions", "/v1/multimodal/completions", "/v1/messages", "/v1/responses",
)  # fmt: skip


async def test_past_its_deadline_a_begun_stream_ends_with_an_error_event_in_its_paths_words() -> None:
    engine = ScriptedEngine("some words", max_num_seqs=len(STREAMING))
    async with open_house(engine, server__request_timeout=0.3) as house:
        house.engine.stay = True
        streams = (begun(partial(send, house, path, JSON, stream=True)) for path in STREAMING)
        answers = await asyncio.gather(*streams)
        assert house.engine.num_running == 0 and house.pipeline.num_inside == 0
    for path, answer in zip(STREAMING, answers, strict=True):
        assert answer.status_code == 200, f"{path}: {answer.text}"
        *events, last = events_of(answer.text)
        if path == "/v1/responses":
            assert last["type"] == "error" and last["code"] == "timeout" and "deadline" in last["message"]
            assert [event["sequence_number"] for event in [*events, last]] == list(range(len(events) + 1))
        elif path == "/v1/messages":
            check_shape(path, last, 504)
            assert last["error"]["type"] == "timeout_error" and len(events) > 1
        else:
            check_shape(path, events.pop(), 504)
            assert last == "[DONE]" and events


async def test_without_its_key_every_route_that_is_not_open_is_a_401() -> None:
    files = {"/docs", "/static/{name}", "/assets/{name}", "/samples/{name}"}
    open_paths = {*PAGE_ROUTES, *files, "/health", "/v1/health", "/health/ready", "/health/live"}
    async with open_house(ScriptedEngine(), auth__api_keys=("shop:sk-0123456789abcdef",)) as house:
        for route in all_routes():
            (method,) = route.methods
            answer = await house.client.request(method, re.sub(r"\{name\}", "x", route.path))
            assert (answer.status_code == 401) != (route.path in open_paths), f"{method} {route.path}"
            if answer.status_code == 401:
                check_shape(route.path, answer.json(), 401)
                assert answer.headers["www-authenticate"].startswith("Bearer")


# Who may say a status by number. Everybody else raises an error of ours, and the one table knows its status.
SAY_STATUSES = {
    "error_handlers.py", "error_shapes.py", "described_layers.py",
    "ops.py",  # health's 503 has its own body
    "records.py", "metrics.py", "middleware.py",  # 499, in logs and counts
    "pages.py",  # 404 of a file that is not there
}  # fmt: skip


def test_no_endpoint_says_a_status_or_makes_an_envelope_by_itself() -> None:
    for path in API.rglob("*.py"):
        source = path.read_text("utf-8")
        said = re.findall(r"(?:status(?:_code)?\s*[=:]\s*|Response\([^()]*, |HTTPException\()([45]\d\d)\b", source)
        assert path.name in SAY_STATUSES or not said, f"{path.name} says {said}"
        dicts = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Dict)]
        envelopes = [node for node in dicts if [ast.unparse(key) for key in node.keys if key] == ["'error'"]]
        assert path.name == "error_handlers.py" or not envelopes, f"{path.name} makes an envelope of its own"


def test_nobody_but_the_pipeline_loads_a_picture() -> None:
    users = [
        path.name for path in API.parent.rglob("*.py") if re.search(r"\b_?loader\.load\(", path.read_text("utf-8"))
    ]
    assert users == ["spine.py"]
    decoders = {path.name for path in API.rglob("*.py") if re.search(r"b64decode|PIL|Image\.open", path.read_text())}
    assert not decoders, f"{decoders} decode by themselves"
