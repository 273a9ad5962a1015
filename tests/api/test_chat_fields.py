"""Fields of a chat request beside its messages: without effect, ignored with a warning, refused; and what the answer
says about itself. With the official client's own types as judge."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.house import ScriptedEngine, events_of, open_house, png, user

HI: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


async def test_fields_without_effect_are_accepted_without_a_warning() -> None:
    fields = {
        "user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "metadata": {"a": "b"}, "store": False,
        "service_tier": "flex", "modalities": ["text"], "best_of": 1, "echo": False, "audio": None,
    }  # fmt: skip
    async with open_house(ScriptedEngine()) as house:
        plain, full = await house.post(HI), await house.post({**HI, **fields})
        assert full.status_code == 200, full.text
        assert house.engine.asked[0][0].token_ids == house.engine.asked[1][0].token_ids
        assert house.engine.asked[0][1] == house.engine.asked[1][1]
    assert "x-flashweb-warning" not in plain.headers and "x-flashweb-warning" not in full.headers
    assert "service_tier" not in plain.json() and full.json()["service_tier"] == "default"


@pytest.mark.parametrize("stream", [False, True])
async def test_unknown_fields_are_ignored_and_named_in_a_header(stream: bool) -> None:
    async with open_house(ScriptedEngine()) as house:
        response = await house.post({**HI, "stream": stream, "verbosity": "low", "zeta": {"x": [1]}})
    assert response.status_code == 200
    assert response.headers["x-flashweb-warning"] == "ignored unknown fields: verbosity, zeta"


async def test_the_warning_is_bounded_and_carries_nothing_but_clean_names() -> None:
    names = ["evil\r\nset-cookie: a=b", "", "ünïcode", "x" * 5000, *(f"f{i}" for i in range(200))]
    async with open_house(ScriptedEngine()) as house:
        response = await house.post({**HI, **dict.fromkeys(names, "SECRET")})
    warning = response.headers["x-flashweb-warning"]
    assert response.status_code == 200 and "set-cookie" not in response.headers
    assert len(warning) < 600 and "SECRET" not in warning and warning.isascii()
    assert "evil??set-cookie?" in warning and warning.endswith("and 194 more")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "best_of": ({"best_of": 3}, "best_of"),
    "best_of under n": ({"best_of": 1, "n": 2}, "best_of"),
    "beam search": ({"use_beam_search": True}, "use_beam_search"),
    "echo": ({"echo": True}, "echo"),
    "prompt_logprobs": ({"prompt_logprobs": 0}, "prompt_logprobs"),
    "a cut prompt": ({"truncate_prompt_tokens": 10}, "truncate_prompt_tokens"),
    "allowed tokens": ({"allowed_token_ids": [1]}, "allowed_token_ids"),
    "bad words": ({"bad_words": ["a"]}, "bad_words"),
    "documents": ({"documents": [{"text": "a"}]}, "documents"),
    "a template": ({"chat_template": "{{ 1 }}"}, "chat_template"),
    "spoken answers": ({"modalities": ["text", "audio"]}, "modalities"),
    "a voice": ({"audio": {"voice": "alloy"}}, "audio"),
    "17 metadata": ({"metadata": {str(i): "x" for i in range(17)}}, "metadata"),
    "a long metadata value": ({"metadata": {"a": "x" * 513}}, "metadata.a"),
    "a metadata number": ({"metadata": {"a": 1}}, "metadata.a"),
    "a long user": ({"user": "x" * 513}, "user"),
    "both turns": ({"continue_final_message": True, "add_generation_prompt": True}, "continue_final_message"),
    "nothing to continue": ({"continue_final_message": True}, "continue_final_message"),
    "stream options alone": ({"stream_options": {"continuous_usage_stats": True}}, "stream_options"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_ignored_and_what_contradicts_itself_is_a_clear_400(name: str) -> None:
    fields, param = REFUSED[name]
    async with open_house(ScriptedEngine()) as house:
        response = await house.post({**HI, **fields})
        assert not house.engine.asked
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["param"] == param and error["message"].startswith(param.split(".")[0])


# --- messages -----------------------------------------------------------------------------------------------------


async def prompt_of(messages: list[dict[str, Any]], **parameters: Any) -> tuple[int, ...]:
    async with open_house(ScriptedEngine()) as house:
        response = await house.post({"messages": messages, **parameters})
        assert response.status_code == 200, response.text
        return tuple(house.engine.asked[0][0].token_ids)


async def test_developer_is_system_and_names_change_nothing() -> None:
    plain = await prompt_of([{"role": "system", "content": "S"}, *HI["messages"]])
    assert await prompt_of([{"role": "developer", "content": "S"}, *HI["messages"]]) == plain
    named = [{"role": "system", "content": "S", "name": "sys"}, {"role": "user", "content": "hi", "name": "ann"}]
    assert await prompt_of(named) == plain


async def test_the_thinking_of_earlier_turns_is_left_to_the_template() -> None:
    before = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    thought = [before[0], {**before[1], "reasoning_content": "because"}]
    assert await prompt_of([*thought, *HI["messages"]]) == await prompt_of([*before, *HI["messages"]])
    assert await prompt_of(thought) != await prompt_of(before)  # since the last user message it is read again


@pytest.mark.parametrize("content", ["", "  \n", [], [{"type": "text", "text": ""}]])
async def test_empty_content_is_an_empty_message(content: Any) -> None:
    assert len(await prompt_of([{"role": "user", "content": content}])) > 0
    assert await prompt_of([{"role": "user", "content": []}]) == await prompt_of([{"role": "user", "content": ""}])


async def test_an_assistants_content_may_be_null() -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None}, *HI["messages"]]
    assert await prompt_of(turns) == await prompt_of([turns[0], {"role": "assistant", "content": ""}, turns[2]])


# --- answers that go on with a given text -------------------------------------------------------------------------

OPEN = [{"role": "user", "content": "count"}, {"role": "assistant", "content": "one, two,"}]


async def test_a_continued_turn_is_the_prompt_of_a_new_one_and_the_given_text() -> None:
    new = await prompt_of(OPEN[:1])
    for parameters in ({}, {"add_generation_prompt": False}):
        prompt = await prompt_of(OPEN, continue_final_message=True, **parameters)
        assert prompt[: len(new)] == new and len(prompt) > len(new)


async def test_a_last_assistant_message_alone_is_a_finished_turn() -> None:
    """As OpenAI and vLLM read it: several assistants' turns in a row are no order to finish another's sentence."""
    finished = await prompt_of(OPEN)
    assert finished == await prompt_of(OPEN, add_generation_prompt=True)
    assert finished == await prompt_of(OPEN, continue_final_message=False)
    open_end = await prompt_of(OPEN, add_generation_prompt=False)
    assert finished[: len(open_end)] == open_end and len(finished) > len(open_end)


async def test_the_answer_holds_only_what_is_new() -> None:
    async with open_house(ScriptedEngine(" three")) as house:
        body = {"messages": OPEN, "continue_final_message": True}
        whole = (await house.post(body)).json()["choices"][0]["message"]
        chunks = events_of((await house.post({**body, "stream": True})).text)[:-1]
    assert whole["content"] == " three" and "reasoning_content" not in whole
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == " three"


@pytest.mark.parametrize(
    ("messages", "parameters", "words"),
    [
        (OPEN[:1], {}, "role is 'user'"),
        ([OPEN[0], {"role": "assistant", "content": " \n"}], {}, "has no text"),
        ([OPEN[0], {"role": "assistant", "content": None}], {}, "has no text"),
        (OPEN, {"reasoning_effort": "high"}, "thinking"),
        (OPEN, {"chat_template_kwargs": {"enable_thinking": True}}, "thinking"),
    ],
)
async def test_only_an_assistants_text_can_be_continued(messages: Any, parameters: Any, words: str) -> None:
    async with open_house(ScriptedEngine()) as house:
        response = await house.post({"messages": messages, "continue_final_message": True, **parameters})
    assert response.status_code == 400 and words in response.json()["error"]["message"]


# --- usage and labels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("include_usage", [False, True])
@pytest.mark.parametrize("n", [1, 2])
async def test_continuous_usage_counts_up_in_every_chunk(n: int, include_usage: bool) -> None:
    options = {"continuous_usage_stats": True, "include_usage": include_usage}
    async with open_house(ScriptedEngine("four words are here", max_num_seqs=4)) as house:
        response = await house.chat("hi", png(), stream=True, n=n, stream_options=options)
        whole = (await house.chat("hi", png(), n=n)).json()["usage"]
    *chunks, done = events_of(response.text)
    assert done == "[DONE]"
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts[0] == 0 and counts == sorted(counts) and len(set(counts)) > 3
    assert {chunk["usage"]["prompt_tokens"] for chunk in chunks} == {whole["prompt_tokens"]}
    assert (chunks[-1]["choices"] == []) == include_usage
    last = dict(chunks[-1]["usage"], prompt_tokens_details=whole["prompt_tokens_details"])
    assert last == whole and chunks[-1]["usage"]["prompt_tokens_details"]["images"][0]["tokens"] > 0


async def test_the_fingerprint_is_the_servers_and_the_same_in_every_chunk() -> None:
    async with open_house(ScriptedEngine()) as house:
        whole = (await house.post(HI)).json()["system_fingerprint"]
        chunks = events_of((await house.post({**HI, "stream": True, "service_tier": "auto"})).text)[:-1]
    async with open_house(ScriptedEngine(), model__dtype="float32") as house:
        other = (await house.post(HI)).json()["system_fingerprint"]
    assert {chunk["system_fingerprint"] for chunk in chunks} == {whole} and whole.startswith("fp_")
    assert other != whole
    assert {chunk["service_tier"] for chunk in chunks} == {"default"}


EVERYTHING: dict[str, Any] = {
    "n": 2, "logprobs": True, "top_logprobs": 2, "max_completion_tokens": 9, "seed": 1, "service_tier": "auto",
    "temperature": 0.5, "stop": ["###"],
}  # fmt: skip


async def test_answers_are_of_the_official_clients_types() -> None:
    async with open_house(ScriptedEngine("some words", max_num_seqs=4)) as house:
        for parameters in ({}, EVERYTHING, {"reasoning_effort": "high"}):
            whole = await house.chat("hi", png(), **parameters)
            answer = ChatCompletion.model_validate_json(whole.content, strict=True)
            assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
            options = {"include_usage": True, "continuous_usage_stats": True}
            stream = await house.chat("hi", png(), stream=True, stream_options=options, **parameters)
            *chunks, _ = events_of(stream.text)
            for chunk in chunks:
                ChatCompletionChunk.model_validate_json(json.dumps(chunk), strict=True)


async def test_a_seed_gives_each_choice_its_own_seed() -> None:
    async with open_house(ScriptedEngine(max_num_seqs=4)) as house:
        await house.post({"messages": user("hi"), "n": 3, "seed": 7})
        assert sorted(params.seed for _, params, _ in house.engine.asked) == [7, 8, 9]


async def test_min_p_top_k_and_min_tokens_at_their_ends_are_taken() -> None:
    async with open_house(ScriptedEngine("a b c")) as house:
        for fields in ({"top_k": -1, "min_p": 0}, {"top_k": 0, "min_p": 1}, {"min_tokens": 0}, {"stop": []}):
            assert (await house.post({**HI, **fields})).status_code == 200, fields
        assert [params.top_k for _, params, _ in house.engine.asked][:2] == [0, 0]
        kept = await house.post({**HI, "stop": "b", "include_stop_str_in_output": True})
        cut = await house.post({**HI, "stop": "b"})
    assert kept.json()["choices"][0]["message"]["content"] == "a b"
    assert cut.json()["choices"][0]["message"]["content"].rstrip() == "a"
