"""`/v1/completions`: the prompt as it stands, several at once, the older shape of log probabilities."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import Completion

from flashweb.api.legacy_logprobs import LegacyLogprobs
from flashweb.api.schemas.completions import TextCompletion, TextCompletionChunk
from flashweb.types import TokenLogprob
from tests.house import House, ScriptedEngine, events_of, open_house, processor

PATH = "/v1/completions"
PREFIX = list(processor().prefix_ids)


def ids_of(text: str) -> list[int]:
    return processor().tokenizer.encode(text)


async def ask(house: House, **body: Any) -> dict[str, Any]:
    response = await house.post(body, PATH)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    TextCompletion.model_validate(answer, extra="forbid")
    Completion.model_validate(answer, strict=True)
    return answer


async def chunks(house: House, **body: Any) -> list[dict[str, Any]]:
    response = await house.post({**body, "stream": True}, PATH)
    *found, done = events_of(response.text)
    assert done == "[DONE]"
    for chunk in found:
        TextCompletionChunk.model_validate(chunk, extra="forbid")
    return found


def prompts(house: House) -> list[list[int]]:
    return [list(prompt.token_ids) for prompt, _, _ in house.engine.asked]


async def test_a_text_goes_to_the_model_as_it_stands_behind_the_models_own_beginning() -> None:
    async with open_house(ScriptedEngine("hot.")) as house:
        answer = await ask(house, prompt="<|user|> Tea is", max_tokens=9)
        await ask(house, prompt="Tea is", add_special_tokens=False)
    assert [processor().tokenizer.control_ids[name] for name in ("[gMASK]", "<sop>")] == PREFIX
    # What spells a control token is text here too.
    assert prompts(house) == [PREFIX + ids_of("<|user|> Tea is"), ids_of("Tea is")]
    assert house.engine.asked[0][1].max_tokens == 9
    (choice,) = answer["choices"]
    assert choice == {"index": 0, "text": "hot.", "logprobs": None, "finish_reason": "stop"}
    assert answer["object"] == "text_completion" and answer["id"].startswith("cmpl-")
    assert answer["usage"]["prompt_tokens"] == len(prompts(house)[0])


@pytest.mark.parametrize("prompt", [[104, 105], [[104, 105], [106]], ["hi", "j"]])
async def test_token_ids_are_taken_as_they_are_and_lists_answered_in_order(prompt: list[Any]) -> None:
    async with open_house() as house:  # repeats each prompt's own text
        answer = await ask(house, prompt=prompt)
        streamed = await chunks(house, prompt=prompt)
    wanted = ["hi"] if prompt == [104, 105] else ["hi", "j"]
    assert [choice["text"] for choice in answer["choices"]] == wanted
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(wanted)))
    texts = [""] * len(wanted)
    for chunk in streamed:
        texts[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert texts == wanted


async def test_every_prompt_has_n_answers_and_counts_once() -> None:
    engine = ScriptedEngine("abc", max_num_seqs=8)
    async with open_house(engine) as house:
        answer = await ask(house, prompt=["x", "yz"], n=2, best_of=2, seed=5)
        inside = house.pipeline.num_inside
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3] and inside == 0
    usage = answer["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (3 + 4, 4 * 3)
    assert sorted(params.seed for _, params, _ in engine.asked) == [5, 5, 6, 6]


async def test_more_prompts_than_places_are_worked_on_a_few_at_a_time() -> None:
    async with open_house(ScriptedEngine("ok", max_num_seqs=2)) as house:  # ten places
        answer = await ask(house, prompt=[f"prompt {number}" for number in range(30)], max_tokens=2)
    assert len(answer["choices"]) == 30 and sorted(prompts(house)) == sorted(
        PREFIX + ids_of(f"prompt {number}") for number in range(30)
    )


async def test_a_full_house_refuses_the_prompts_it_has_no_places_for() -> None:
    async with open_house(ScriptedEngine("ok"), server__limit_concurrency=3) as house:
        response = await house.post({"prompt": ["a", "b", "c", "d"]}, PATH)
        assert response.status_code == 503 and response.headers["retry-after"]
        assert house.pipeline.num_inside == 0
        await ask(house, prompt=["a", "b", "c"])


async def test_echo_repeats_the_prompt_before_its_answer() -> None:
    async with open_house(ScriptedEngine("bc")) as house:
        answer = await ask(house, prompt=["a", "A"], echo=True)
        streamed = await chunks(house, prompt=[*PREFIX, *ids_of("a")], echo=True)
    assert [choice["text"] for choice in answer["choices"]] == ["abc", "Abc"]
    assert "".join(chunk["choices"][0]["text"] for chunk in streamed) == "abc"


async def test_a_stream_ends_with_its_reason_and_the_usage_that_was_asked_for() -> None:
    async with open_house(ScriptedEngine("abc")) as house:
        options = {"include_usage": True, "continuous_usage_stats": True}
        *pieces, last = await chunks(house, prompt="x", stream_options=options, max_tokens=2)
        plain = await chunks(house, prompt="x")
    assert [piece["choices"][0]["finish_reason"] for piece in pieces] == [None, "length"]
    assert [piece["usage"]["completion_tokens"] for piece in pieces] == [1, 2]
    assert last["choices"] == [] and last["usage"]["total_tokens"] == 3 + 2
    assert plain[-1]["choices"][0]["finish_reason"] == "stop" and "usage" not in plain[-1]


async def test_log_probabilities_come_in_four_lists() -> None:
    async with open_house(ScriptedEngine("茶 a")) as house:
        answer = await ask(house, prompt="x", logprobs=1)
        streamed = await chunks(house, prompt="x", logprobs=1)
    logprobs = answer["choices"][0]["logprobs"]
    assert logprobs["tokens"] == ["茶", " ", "a"] and logprobs["text_offset"] == [0, 1, 2]
    assert logprobs["token_logprobs"] == [-0.5] * 3 and logprobs["top_logprobs"][0] == {"茶": -0.5}
    added: dict[str, list[Any]] = {name: [] for name in logprobs}
    for chunk in streamed:
        for name, values in chunk["choices"][0]["logprobs"].items():
            added[name] += values
    assert added == logprobs


def test_parts_of_a_character_have_their_own_names_and_one_place() -> None:
    raw = [b"a", b"\xf0\x9f", b"\x8d\xb5", b"!", b"<|user|>"]
    shown = LegacyLogprobs(lambda id: (raw[id].decode(errors="replace"), raw[id]), lambda id: id != 4, begin=3)
    out = shown.out([TokenLogprob(id, float("-inf"), ((id, float("-inf")),)) for id in range(5)])
    assert out["tokens"] == ["a", "bytes:\\xf0\\x9f", "bytes:\\x8d\\xb5", "!", "<|user|>"]
    assert out["text_offset"] == [3, 4, 4, 5, 6] and set(out["token_logprobs"]) == {-9999.0}
    assert shown.out([TokenLogprob(0, -1.0)])["text_offset"] == [6]


async def test_a_chats_other_parameters_hold_and_unknown_ones_are_named() -> None:
    async with open_house(ScriptedEngine("a. b. c")) as house:
        response = await house.post({"prompt": "x", "stop": "b", "top_k": 3, "tools": [], "nonsense": 1}, PATH)
        default = house.engine.asked[0][1]
    assert response.json()["choices"][0]["text"] == "a. " and default.top_k == 3 and default.max_tokens == 512
    assert response.headers["x-flashweb-warning"] == "ignored unknown fields: tools, nonsense"


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "prompt"), ({"prompt": []}, "prompt"), ({"prompt": 3}, "prompt"), ({"prompt": [[]]}, "prompt[0]"),
    ({"prompt": [1, "a"]}, "prompt[1]"), ({"prompt": ["a", 1]}, "prompt[1]"), ({"prompt": [999_999]}, "prompt"),
    ({"prompt": [["a"]]}, "prompt[0][0]"), ({"prompt": [True]}, "prompt[0]"), ({"prompt": ["a"] * 65}, "prompt"),
    ({"prompt": "", "add_special_tokens": False}, "prompt"), ({"prompt": "a", "suffix": "b"}, "suffix"),
    ({"prompt": "a", "best_of": 2}, "best_of"), ({"prompt": "a", "logprobs": 99}, "logprobs"),
    ({"prompt": "a", "logprobs": 1, "echo": True}, "logprobs"), ({"prompt": "a", "temperature": 3}, "temperature"),
    ({"prompt": "a", "n": 9}, "n"), ({"prompt": "a", "min_p": 2}, "min_p"), ({"prompt": "a b " * 4000}, "prompt"),
    ({"prompt": "a" * 200_000}, "prompt"), ({"prompt": ["a", [104] * 3000]}, "prompt[1]"),
    ({"prompt": [[104], [104] * 3000]}, "prompt"), ({"prompt": [processor().image_token_id]}, "prompt"),
    ({"prompt": "a", "stream_options": {}}, "stream_options"),
]  # fmt: skip


async def test_what_cannot_be_continued_is_a_400_that_names_the_parameter() -> None:
    async with open_house(ScriptedEngine()) as house:
        for body, param in BAD:
            response = await house.post(body, PATH)
            assert response.status_code == 400, (body, response.text)
            assert response.json()["error"]["param"] == param, response.text
        assert house.engine.asked == [] and house.pipeline.num_inside == 0


async def test_an_error_of_one_prompt_ends_the_whole_answer() -> None:
    async with open_house(ScriptedEngine("ab", max_num_seqs=4)) as house:
        house.engine.error = RuntimeError("lost")
        whole = await house.post({"prompt": ["a", "b", "c"]}, PATH)
        streamed = await house.post({"prompt": ["a", "b", "c"], "stream": True}, PATH)
        assert house.engine.num_running == 0 and house.pipeline.num_inside == 0
    assert whole.status_code == 500
    last, done = events_of(streamed.text)[-2:]
    assert last["error"]["code"] == "internal_error" and done == "[DONE]"
