"""Structured output over HTTP: which field asks for what, what is refused before the first token, and real answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import pytest
import pytest_asyncio

from flashweb.engine import EngineClient, EngineConfig
from flashweb.types import Structure
from tests.house import NANO, House, ScriptedEngine, events_of, open_house, processor

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "red": {"type": "integer", "minimum": 0, "maximum": 255},
        "parts": {"type": "array", "items": {"enum": ["cyan", "magenta"]}, "maxItems": 2},
    },
    "required": ["name", "red"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "colour", "strict": True, "schema": SCHEMA}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nano() -> AsyncIterator[House]:
    config = EngineConfig(
        model=str(NANO), device="cpu", threads=1, max_num_seqs=8, eos_token_ids=tuple(processor().eos_token_ids),
        num_real_tokens=processor().num_real_tokens, max_model_len=1024,
    )  # fmt: skip
    async with open_house(EngineClient(config)) as house:
        yield house


async def structure_of(**fields: Any) -> Structure | None:
    async with open_house(ScriptedEngine("{}")) as house:
        response = await house.chat("hello", **fields)
        assert response.status_code == 200, response.text
        return house.engine.asked[0][1].structure


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, "json_object"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "any"}}}, "json_object"),
        ({"response_format": FORMAT}, "json_schema"),
        ({"structured_outputs": {"json": SCHEMA}}, "json_schema"),
        ({"structured_outputs": {"json": json.dumps(SCHEMA)}}, "json_schema"),
        ({"structured_outputs": {"json_object": True}}, "json_object"),
        ({"structured_outputs": {"json_object": False}}, None),
        ({"structured_outputs": {"regex": "[0-9]+"}}, "regex"),
        ({"structured_outputs": {"choice": ["a", "b"]}}, "choice"),
        ({"structured_outputs": {"grammar": 'start: "a"'}}, "grammar"),
        ({"guided_json": SCHEMA}, "json_schema"),
        ({"guided_regex": "[0-9]+"}, "regex"),
        ({"guided_choice": ["a", "b"], "guided_decoding_backend": "xgrammar"}, "choice"),
        ({"guided_grammar": 'root ::= "a"'}, "grammar"),
    ],
)
async def test_each_field_asks_for_its_structure(fields: dict[str, Any], kind: str | None) -> None:
    from flashweb.api.parse import parse_body
    from flashweb.api.schemas.chat import ChatRequest
    from flashweb.api.structures import to_structure

    body = {"messages": [{"role": "user", "content": "hello"}], **fields}
    structure = to_structure(parse_body(json.dumps(body).encode(), ChatRequest))
    assert (structure.kind if structure else None) == kind


async def test_json_has_4096_tokens_by_default_and_other_forms_have_512() -> None:
    async with open_house(ScriptedEngine("{}", max_model_len=8192)) as house:
        await house.chat("hello", response_format=FORMAT)
        await house.chat("hello", guided_choice=["a", "b"])
        await house.chat("hello", response_format=FORMAT, max_tokens=7)
        assert [params.max_tokens for _, params, _ in house.engine.asked] == [4096, 512, 7]


async def test_the_thought_before_an_answer_is_free() -> None:
    closing = processor().tokenizer.control_id("</think>")
    thinking = await structure_of(response_format=FORMAT, chat_template_kwargs={"enable_thinking": True})
    plain = await structure_of(response_format=FORMAT)
    assert thinking is not None and plain is not None
    assert (thinking.after_token, plain.after_token) == (closing, None)


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}}},
         "response_format.json_schema.schema", 'the keyword "not" at #'),
        ({"structured_outputs": {"json": {"uniqueItems": True}}}, "structured_outputs.json", '"uniqueItems"'),
        ({"guided_json": "{"}, "guided_json", "cannot be read"),
        ({"guided_regex": "(?=a)b"}, "guided_regex", "look-around"),
        ({"guided_choice": []}, "guided_choice", "must be a list of texts"),
        ({"structured_outputs": {"grammar": "start: other"}}, "structured_outputs.grammar", "unknown name"),
        ({"response_format": FORMAT, "guided_regex": "a"}, "guided_regex", "one of them"),
        ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs.choice", "one of them"),
        ({"structured_outputs": {"structural_tag": "{}"}}, "structured_outputs.structural_tag", "not offered"),
        ({"guided_whitespace_pattern": " *"}, "guided_whitespace_pattern", "not offered"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "must be one of"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": 1}}},
         "response_format.json_schema.schema", "must be"),
    ],
)  # fmt: skip
async def test_what_cannot_be_honoured_is_a_400_that_names_it_before_the_stream_starts(
    nano: House, fields: dict[str, Any], param: str, words: str
) -> None:
    for stream in (False, True):
        response = await nano.chat("hello", stream=stream, **fields)
        error = response.json()["error"]
        assert response.status_code == 400 and error["param"] == param and words in error["message"], error


@pytest.mark.parametrize("temperature", [0, 2])
async def test_real_answers_match_their_schema_whatever_the_temperature(nano: House, temperature: float) -> None:
    response = await nano.chat(
        "Say something.", response_format=FORMAT, temperature=temperature, seed=3, n=3, logprobs=True, top_logprobs=2
    )
    assert response.status_code == 200, response.text
    for choice in response.json()["choices"]:
        assert choice["finish_reason"] == "stop"
        jsonschema.validate(json.loads(choice["message"]["content"]), SCHEMA)
        assert all(entry["logprob"] > -1000 for entry in choice["logprobs"]["content"])


async def test_a_streamed_answer_matches_too_and_a_cut_one_says_length(nano: House) -> None:
    response = await nano.chat("Say something.", response_format=FORMAT, stream=True, temperature=1.5, seed=1)
    chunks = [event for event in events_of(response.text) if event != "[DONE]"]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    jsonschema.validate(json.loads(text), SCHEMA)
    cut = await nano.chat("Say something.", response_format=FORMAT, max_tokens=4)
    assert cut.json()["choices"][0]["finish_reason"] == "length"


async def test_the_other_forms_are_enforced_by_the_real_engine(nano: House) -> None:
    async def said(**fields: Any) -> str:
        response = await nano.chat("Say something.", temperature=1.9, seed=5, **fields)
        return str(response.json()["choices"][0]["message"]["content"])

    assert await said(guided_choice=["yes, of course", "不"]) in ("yes, of course", "不")
    assert len(await said(guided_regex="[0-9]{4}-[a-f]{3}")) == 8
    assert await said(guided_grammar='root ::= "a" b\nb ::= "x" | "y"') in ("ax", "ay")
    assert isinstance(json.loads(await said(guided_json={"type": "object", "maxProperties": 1,
                      "additionalProperties": {"type": "boolean"}, "patternProperties": {}})), dict)  # fmt: skip


async def test_a_thinking_answer_is_free_until_it_has_thought(nano: House) -> None:
    closing = processor().tokenizer.control_id("</think>")
    response = await nano.chat(
        "Say something.", response_format=FORMAT, chat_template_kwargs={"enable_thinking": True}, max_tokens=300,
        logit_bias={str(closing): 12}, temperature=1.0, seed=2,
    )  # fmt: skip
    choice = response.json()["choices"][0]
    if choice["finish_reason"] == "stop":
        jsonschema.validate(json.loads(choice["message"]["content"]), SCHEMA)
    else:
        assert not choice["message"]["content"] or choice["message"]["content"].startswith("{")
