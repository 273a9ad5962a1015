"""The API's own description: complete, and true to the wire models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from fastapi.openapi.models import OpenAPI

from flashweb.api.answer_examples import ANSWERS
from flashweb.api.dialect_examples import FIELDS
from flashweb.api.examples import CHAT_FIELDS, CHAT_REQUESTS
from flashweb.api.responses import told, wire
from flashweb.api.schemas import (
    admin,
    chat,
    chat_answers,
    completions,
    errors,
    jobs,
    messages,
    messages_answers,
    ops,
    parts,
    pictures,
    structures,
    tokens,
    tools,
)
from flashweb.api.schemas.base import MAX_TOKENS
from flashweb.api.schemas.chat import ChatRequest
from tests.api.routes import description, framework
from tests.house import ScriptedEngine, data_url, open_house, png

NAMES_ENOUGH = {"type", "role", "object", "owned_by"}  # one fixed value each
WIRE_MODELS = (
    admin, chat, chat_answers, completions, errors, jobs, messages, messages_answers, ops, parts, pictures, structures,
    tokens, tools, wire, told,
)  # fmt: skip


def model_of(name: str) -> Any:
    (model,) = {getattr(module, name) for module in WIRE_MODELS if hasattr(module, name)}
    return model


@pytest.fixture
def document() -> dict[str, Any]:
    return description()


def test_every_example_is_a_request_that_is_accepted() -> None:
    for _, body in CHAT_REQUESTS.values():
        ChatRequest.model_validate(body)
    for name, value in CHAT_FIELDS.items():
        assert getattr(ChatRequest.model_validate({**CHAT_REQUESTS["text"][1], name: value}), name) is not None


@pytest.mark.parametrize("name", CHAT_REQUESTS)
async def test_every_example_is_answered(name: str) -> None:
    async with open_house() as house:
        response = await house.post(CHAT_REQUESTS[name][1])
    assert response.status_code == 200, response.text


def test_every_field_is_described_and_every_field_of_a_request_has_an_example(document: dict[str, Any]) -> None:
    models = document["components"]["schemas"]
    bare = [
        f"{model}.{name}"
        for model, schema in models.items()
        for name, field in schema.get("properties", {}).items()
        if "description" not in field and "$ref" not in field and name not in NAMES_ENOUGH
    ]
    assert not bare
    fields = models["ChatRequest"]["properties"]
    assert not [name for name, field in fields.items() if not field.get("examples")]


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


# What is kept for callers; it asks the model nothing by itself, so neither has it a place that the operator could end.
KEPT = ("/v1/files", "/v1/batches", "/api/jobs", "/v1/responses/{")
# What counts tokens or spells them: a place in the queue, but no model answers.
COUNTS = {"/v1/messages/count_tokens", "/v1/responses/input_tokens", "/tokenize", "/detokenize"}
# A list's `after`, a batch's input file; and what has ended already, or not yet.
NAMES_IN_THE_REQUEST = {("get", "/v1/files"), ("get", "/v1/batches"), ("post", "/v1/batches")}
DEPENDS_ON_ITS_STATE = {("post", "/v1/batches/{batch_id}/cancel"), ("get", "/api/jobs/{job_id}/result")}
LATER = {("post", "/api/scenes/{name}")}
OPEN = {"/health", "/v1/health", "/health/ready", "/health/live"}
QUIET = OPEN | {"/metrics"}  # neither timed nor, with the operator's own, counted


def is_asked(path: str, method: str) -> bool:
    return method == "post" and not path.startswith(KEPT)


def test_every_route_lists_each_error_that_it_can_answer(document: dict[str, Any]) -> None:
    for path, method, operation in operations_of(document):
        statuses = set(map(int, operation["responses"]))
        wanted = {200, 400, 413, 415, 500, 504}
        wanted |= set() if path in OPEN else {401}
        wanted |= {403} if "/admin/" in path else set()
        wanted |= {429, 503} if path not in QUIET and "/admin/" not in path else set()
        wanted |= {503} if path in OPEN else set()
        wanted |= {404, 409} if is_asked(path, method) else {404} if "{" in path else set()
        wanted |= {404} if (method, path) in NAMES_IN_THE_REQUEST else set()
        wanted |= {409} if (method, path) in DEPENDS_ON_ITS_STATE else set()
        wanted |= {202} if (method, path) in LATER else set()
        wanted |= {507} if path.endswith("/infer") else set()
        wanted |= {409} if method == "post" else set()  # of an Idempotency-Key
        assert statuses == wanted, f"{method} {path}: {statuses ^ wanted}"


def test_every_response_names_its_headers_and_every_error_its_own_shape(document: dict[str, Any]) -> None:
    for path, method, operation in operations_of(document):
        is_counted = path not in QUIET and "/admin/" not in path
        for status, response in operation["responses"].items():
            headers = {name: resolved(document, header) for name, header in response["headers"].items()}
            assert all(header["description"] for header in headers.values())
            wanted = {"x-request-id"}
            wanted |= set() if path in QUIET else {"openai-processing-ms"}
            wanted |= {"request-id"} if path.startswith("/v1/messages") else set()
            wanted |= {"server-timing"} if is_asked(path, method) and status != "202" else set()
            is_answer = is_asked(path, method) and status == "200"
            wanted |= {"x-flashweb-model", "x-flashweb-cache"} if is_answer and path not in COUNTS else set()
            is_given_again = method == "post" and status in ("200", "202", "400", "404", "413")
            wanted |= {"idempotent-replayed"} if is_given_again else set()
            wanted |= {"x-flashweb-warning"} if "requestBody" in operation and status == "200" else set()
            wanted |= {"location", "preference-applied"} if status == "202" else set()
            is_result = path.endswith("/result") and status == "200"
            wanted |= {"x-flashweb-request-id", "x-flashweb-model", "x-flashweb-warning"} if is_result else set()
            limits = {f"x-ratelimit-{word}-requests" for word in ("limit", "remaining", "reset")}
            wanted |= limits if is_counted else set()
            by_status = {"401": "www-authenticate", "409": "x-should-retry", "429": "retry-after", "503": "retry-after"}
            if status in by_status and path != "/health/live":
                wanted.add(by_status[status])
            assert headers.keys() == wanted, f"{method} {path} {status}"
            if status not in ("200", "202") and (path not in OPEN or status != "503"):
                shape = "InferError" if path.endswith("/infer") else "ErrorBody"
                shape = "DetailErrorBody" if path.startswith("/api/") else shape
                shape = "MessagesError" if path.startswith("/v1/messages") else shape
                content = response["content"]["application/json"]
                assert content["schema"]["$ref"].endswith(f"/{shape}"), f"{method} {path} {status}"
                example = resolved(document, content["examples"]["typical"])["value"]
                jsonschema.validate(example, {**content["schema"], "components": document["components"]})
                assert example.get("code", int(status)) == int(status)


def test_an_example_of_an_error_has_the_status_it_is_shown_under(document: dict[str, Any]) -> None:
    """Of the one table: an error class that changes its status changes the description."""
    for name, kind in (("401", "authentication_error"), ("403", "permission_error"), ("429", "rate_limit_error")):
        example = document["components"]["examples"]["ErrorBody" + name if name != "403" else "DetailErrorBody403"]
        assert example["value"]["error"]["type"] == kind
    assert document["components"]["examples"]["InferError507"]["value"]["code"] == 507


def test_every_body_and_answer_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    for path, method, operation in operations_of(document):
        bodies = [*operation.get("requestBody", {}).get("content", {}).items()]
        bodies += operation["responses"]["200"].get("content", {}).items()
        bodies += operation["responses"].get("202", {}).get("content", {}).items()
        assert bodies, f"{method} {path} says nothing"
        for kind, content in bodies:
            if kind in ("text/event-stream", "multipart/form-data"):  # described by the schemas of their parts
                continue
            schema = content["schema"]
            found = [example["value"] for example in content.get("examples", {}).values()]
            found += [content["example"]] if "example" in content else resolved(document, schema).get("examples", [])
            if kind == "text/plain" or path in ("/api/admin/status", "/api/admin/requests"):
                continue
            assert found, f"{method} {path} {kind} has no example"
            for example in found:
                jsonschema.validate(example, {**schema, "components": document["components"]})


@pytest.mark.parametrize("name", ANSWERS)
def test_every_example_of_an_answer_fits_its_wire_model(name: str) -> None:
    model_of(name).model_validate(ANSWERS[name])


@pytest.mark.parametrize("name", FIELDS)
def test_every_example_of_a_field_of_a_dialect_fits_its_wire_model(name: str) -> None:
    model = model_of(name)
    model.model_validate({field: FIELDS[name][field] for field in model.model_fields})


def test_every_field_of_every_request_has_an_example_and_every_form_has_files(document: dict[str, Any]) -> None:
    models = document["components"]["schemas"]
    for name in FIELDS:
        fields = models[name]["properties"]
        assert not [field for field, schema in fields.items() if not schema.get("examples")], name
        if not issubclass(model_of(name), pictures.PicturesIn):
            continue
        form = models[name.replace("Request", "Form")]["properties"]
        assert form.keys() == fields.keys() | {"file"}
        assert form["image"]["items"] == form["file"]["items"] == {"type": "string", "format": "binary"}


def test_every_parameter_is_described_and_has_an_example(document: dict[str, Any]) -> None:
    for path, method, operation in operations_of(document):
        for parameter in (resolved(document, one) for one in operation.get("parameters", [])):
            assert parameter["description"] and "schema" in parameter, f"{method} {path} {parameter['name']}"
            assert parameter.get("example") or parameter["schema"].get("examples"), f"{path} {parameter['name']}"


def test_streams_are_described_by_their_events(document: dict[str, Any]) -> None:
    chunks = {
        "/v1/chat/completions": "ChatCompletionChunk",
        "/v1/completions": "TextCompletionChunk",
        "/v1/multimodal/completions": "MultimodalCompletionChunk",
        "/v1/multimodal/completions-multipart": "MultimodalCompletionChunk",
    }
    named = {  # events with names, errors among them; no [DONE] ends these
        ("post", "/v1/messages"): "MessageStreamEvent",
        ("post", "/v1/responses"): "ResponseEvent",
        ("get", "/v1/responses/{response_id}"): "ResponseEvent",
    }
    for path, method, operation in operations_of(document):
        stream = operation["responses"]["200"].get("content", {}).get("text/event-stream")
        assert (stream is not None) == (path in chunks or (method, path) in named)
        if (method, path) in named:
            properties = stream["schema"]["properties"]
            assert properties["data"]["contentSchema"]["$ref"].endswith(f"/{named[method, path]}")
            assert properties["event"]["type"] == "string" and "DONE" not in str(stream)
        elif stream is not None:
            piece, end = stream["schema"]["properties"]["data"]["anyOf"]
            names = [ref["$ref"].rpartition("/")[2] for ref in piece["contentSchema"]["anyOf"]]
            assert names == [chunks[path], "ErrorBody"] and end["const"] == "[DONE]"


@pytest.mark.parametrize("keys", [(), ("shop:sk-0123456789abcdef",)])
def test_every_route_says_whose_key_it_takes(keys: tuple[str, ...]) -> None:
    document = framework(auth__api_keys=keys).openapi()
    OpenAPI.model_validate(document)  # by FastAPI's own model of the whole format
    assert document["components"]["securitySchemes"]["adminKey"]["scheme"] == "bearer"
    for path, _, operation in operations_of(document):
        asked = [list(choice) for choice in operation["security"]]
        if path in OPEN:
            assert asked == []
        elif "/admin/" in path:
            assert asked == [["adminKey"]]
        else:
            assert asked == [["key"], ["keyHeader"], *([] if keys else [[]])], path


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/chat/completions", {"max_tokens": 5.0, "n": 1.0, "seed": 7.0, "top_k": 3.0, "stop_token_ids": [9.0]}),
        ("/v1/multimodal/completions", {"max_tokens": 5.0, "seed": 7.0}),
        ("/infer", {"max_tokens": 5e0}),
    ],
)
async def test_a_whole_number_may_be_written_with_a_point(path: str, more: dict[str, Any]) -> None:
    """JSON Schema counts 5.0 among the integers, and some languages have no other numbers."""
    body = {"prompt": "hi", "image": data_url(png()), "messages": [{"role": "user", "content": "hi"}], **more}
    async with open_house(ScriptedEngine("one two three four five six seven")) as house:
        answer = await house.post(body, path)
        params = house.engine.asked[-1][1] if house.engine.asked else None
        refused = await house.post({**body, "max_tokens": 5.5}, path)
    assert answer.status_code == 200 and params is not None, answer.text
    assert params.max_tokens == 5 and type(params.max_tokens) is int
    assert refused.status_code == 400 and "whole number" in refused.text


def test_pictures_and_a_text_take_the_same_fields_as_a_chat(document: dict[str, Any]) -> None:
    models = document["components"]["schemas"]
    chat = models["ChatRequest"]["properties"]
    for name in ("CompletionRequest", "InferenceRequest", "PromptRequest"):
        for field in ("max_tokens", "temperature", "top_p", "seed", "stop", "response_format", "enhance"):
            assert models[name]["properties"][field]["anyOf"] == chat[field]["anyOf"], f"{name}.{field}"
    (count, _) = chat["max_tokens"]["anyOf"]
    assert (count["type"], count["minimum"], count["maximum"]) == ("integer", 1, MAX_TOKENS)


@pytest.mark.parametrize("path", ["/v1/multimodal/completions", "/v1/multi-modal/inference", "/infer"])
async def test_a_schema_beside_pictures_is_the_one_that_was_sent(path: str) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "string"}}, "required": ["total"]}
    form = {"type": "json_schema", "json_schema": {"name": "total", "schema": schema, "strict": True}}
    async with open_house(ScriptedEngine('{"total": "1"}')) as house:
        answer = await house.post({"prompt": "hi", "image": data_url(png()), "response_format": form}, path)
        (_, params, _) = house.engine.asked[-1]
    assert answer.status_code == 200 and params.structure is not None
    assert '"total"' in params.structure.source


def test_no_model_is_called_after_the_file_it_stands_in() -> None:
    assert not [name for name in description()["components"]["schemas"] if "__" in name], "two of one name"
