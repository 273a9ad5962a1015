"""Answers held to a structure, with a model whose answer shows every mistake (see `fake_model`)."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import jsonschema
import pytest

from flashweb.engine.constraint import MaskWanted, fill_rows
from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Failed, Submit, Token, WireStructure
from flashweb.errors import InvalidRequest
from tests.engine.fake_model import EOS, VOCAB, FakeModel, expected_answer, request
from tests.engine.fake_vocabulary import FakeTokens, allowed, expected_structured, fake_grammars, text_of
from tests.engine.test_core_fake import make_core, text

SCHEMA = {
    "type": "array",
    "items": {"anyOf": [{"enum": ["ab", "abc", True, 12]}, {"type": "string", "maxLength": 3}, {"type": "null"}]},
    "minItems": 2,
    "maxItems": 4,
}
LISTS = WireStructure("json_schema", json.dumps(SCHEMA))
THOUGHT_END, CALL = 7, 6


def structured_core(model: FakeModel | None = None, **changes: Any) -> EngineCore:
    core = make_core(model, **changes)
    core.grammars = fake_grammars()
    return core


def ask(name: str, words: int, structure: WireStructure | None = LISTS, length: int = 5, **changes: Any) -> Submit:
    return request(name, text(words, length), **{"max_tokens": 60, "structure": structure, **changes})


def answers_of(core: EngineCore, *messages: Submit) -> dict[str, list[int]]:
    for message in messages:
        core.submit(message)
    answers: dict[str, list[int]] = {m.request_id: [] for m in messages}
    finish: dict[str, str | None] = {}
    while core.has_work:
        for news in core.step():
            assert isinstance(news, Token), news
            answers[news.request_id].extend(news.token_ids)
            finish[news.request_id] = news.finish
        core.check_integrity()
    assert all(finish.values())
    return answers


def check(token_ids: list[int]) -> None:
    jsonschema.validate(json.loads(text_of(token_ids)), SCHEMA)


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("speculation", ["on", pytest.param("off", marks=pytest.mark.slow)])
@pytest.mark.parametrize("blocks", [22, pytest.param(40, marks=pytest.mark.slow)])
def test_structured_answers_in_any_company_are_those_of_a_lone_pass(
    overlap: bool, speculation: str, blocks: int
) -> None:
    """Beside free ones, in chunks of a prompt, overlapped, with drafts, and preempted where blocks run short."""
    model = FakeModel(letters=4)  # answers repeat themselves: there are drafts
    core = structured_core(model, overlap=overlap, speculation=speculation, kv_cache_bytes=8 * 4 * blocks,
                           max_model_len=80)  # fmt: skip
    held = [ask(f"s{i}", i, length=5 + 9 * (i % 3)) for i in range(6)]
    free = [request(f"f{i}", text(50 + i, 6), max_tokens=30) for i in range(4)]
    answers = answers_of(core, held[0], free[0], held[1], free[1], *held[2:], *free[2:])
    for message in held:
        assert answers[message.request_id] == expected_structured(message, LISTS, letters=4)
        check(answers[message.request_id])
    for message in free:
        assert answers[message.request_id] == expected_answer(message, letters=4)
    assert blocks == 40 or core.stats().num_preemptions > 0
    assert speculation == "off" or core.stats().num_accepted_tokens > 0


@pytest.mark.parametrize("overlap", [False, True])
def test_a_seeded_answer_at_temperature_2_matches_and_is_the_same_in_any_batch(overlap: bool) -> None:
    options: dict[str, Any] = {
        "temperature": 2.0, "top_p": 0.9, "top_k": 20, "logit_bias": {20: 5.0}, "repetition_penalty": 1.1,
    }  # fmt: skip
    plain = [ask(f"p{i}", i, temperature=2.0, seed=i) for i in range(3)]
    loaded = [ask(f"l{i}", i, seed=i, **options) for i in range(3)]
    together = answers_of(structured_core(overlap=overlap), *plain, *loaded)
    for message in (*plain, *loaded):
        check(together[message.request_id])
        assert answers_of(structured_core(overlap=not overlap), message) == {
            message.request_id: together[message.request_id]
        }


@pytest.mark.parametrize("overlap", [False, True])
def test_the_answer_ends_when_it_is_complete_whatever_ignore_eos_and_min_tokens_say(overlap: bool) -> None:
    two = WireStructure("choice", '["ab", "abc"]')
    core = structured_core(overlap=overlap)
    answers = answers_of(
        core, ask("a", 1, two, ignore_eos=True), ask("b", 2, two, min_tokens=40), ask("c", 3, two, stop_token_ids=())
    )
    assert text_of(answers["a"]) in ("ab", "abc")
    assert text_of(answers["b"]) == "abc"  # more tokens were wanted, and there was one
    assert text_of(answers["c"]) in ("ab", "abc")


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("speculation", ["off", "on"])
def test_a_thought_is_free_and_cannot_end_the_answer_and_what_follows_it_matches(
    overlap: bool, speculation: str
) -> None:
    structure = WireStructure("json_schema", json.dumps(SCHEMA), THOUGHT_END)
    core = structured_core(FakeModel(letters=4), overlap=overlap, speculation=speculation)
    # Now and then the thought's end is wanted; the end of the answer much more, and never allowed before.
    bias = {THOUGHT_END: 3.4, EOS: 6.0}
    messages = [ask(f"t{i}", i, structure, logit_bias=bias, max_tokens=90) for i in range(4)]
    answers = answers_of(core, *messages)
    closed = [tokens for tokens in answers.values() if THOUGHT_END in tokens]
    assert len(closed) >= 2
    for tokens in answers.values():
        thought = tokens[: tokens.index(THOUGHT_END)] if THOUGHT_END in tokens else tokens
        assert EOS not in thought
    for tokens in closed:
        check(tokens[tokens.index(THOUGHT_END) + 1 :])


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("speculation", ["off", "on"])
def test_a_thought_cannot_end_in_a_call_that_its_structure_has_no_place_for(overlap: bool, speculation: str) -> None:
    """`<tool_call>` ends a thought too, and an answer behind it would be held to nothing."""
    structure = WireStructure("json_schema", json.dumps(SCHEMA), THOUGHT_END)
    core = structured_core(
        FakeModel(letters=4), overlap=overlap, speculation=speculation, thought_end_ids=(THOUGHT_END, CALL)
    )
    bias = {THOUGHT_END: 3.4, CALL: 9.0}
    for loaded in ({"logit_bias": bias}, {}):
        answers = answers_of(core, *(ask(f"t{i}", i, structure, max_tokens=90, **loaded) for i in range(4)))
        assert not any(CALL in tokens for tokens in answers.values())
        for tokens in answers.values():
            if THOUGHT_END in tokens:
                check(tokens[tokens.index(THOUGHT_END) + 1 :])


@pytest.mark.parametrize("overlap", [False, True])
def test_a_call_in_the_midst_of_a_thought_is_the_beginning_of_the_structure_that_begins_with_it(overlap: bool) -> None:
    calls = f'start: "\\n"? <c{CALL}> NAME\nNAME: /[ab]{{3}}/\n'
    core = structured_core(overlap=overlap, thought_end_ids=(THOUGHT_END, CALL))
    messages = [ask(f"t{i}", i, WireStructure("grammar", calls, THOUGHT_END), logit_bias={CALL: 8.0}) for i in range(4)]
    answers = answers_of(core, *messages)
    assert all(CALL in tokens and THOUGHT_END not in tokens for tokens in answers.values())
    for tokens in answers.values():
        called = text_of(tokens[tokens.index(CALL) :])
        assert len(called) == 3 and set(called) <= {"a", "b"}, "nothing else follows, and the answer is complete"


def test_the_likeliest_token_passes_where_the_mask_has_it_and_nowhere_else() -> None:
    """What spares a greedy row its mask must not be of another opinion."""
    encode = FakeTokens().encode
    texts = ["", "[", '["', '["a', '["a",', "[12", '["ab", null', '["ab", null]']
    choice, thought = WireStructure("choice", '["[12", "[\\"a\\"]"]'), WireStructure("json_schema", "{}", THOUGHT_END)
    seen: set[bool] = set()
    for structure, text_before in product((LISTS, choice, thought), texts):
        constraint = fake_grammars().constraint(structure, (THOUGHT_END, CALL))
        for token in encode(text_before):
            constraint.accept(token)
        if constraint.is_complete or constraint._error:
            continue
        permitted = allowed(constraint)
        for token in range(VOCAB):
            masks = fill_rows([MaskWanted(constraint, likeliest=(token,))])
            assert (masks.refused == ()) == (token in permitted), (structure, text_before, token)
            seen.add(token in permitted)
    assert seen == {False, True}


def test_a_dead_end_fails_its_own_request_and_no_other() -> None:
    core = structured_core()
    quote = FakeTokens().encode('"')[0]
    banned = {token: float("-inf") for token in range(VOCAB) if token != quote}
    core.submit(ask("dead", 1, logit_bias=banned))
    core.submit(ask("well", 2))
    news = []
    while core.has_work:
        news += core.step()
    (failed,) = [one for one in news if isinstance(one, Failed)]
    assert failed.request_id == "dead" and "structure" in failed.message
    check([id for one in news if isinstance(one, Token) for id in one.token_ids])


def test_the_limits_of_a_step_are_an_error_of_the_request_that_is_told_in_its_words() -> None:
    constraint = fake_grammars().constraint(WireStructure("regex", "abc"))
    constraint.accept(EOS)
    with pytest.raises(InvalidRequest, match="cannot go on as its schema or grammar demands"):
        allowed(constraint)
    assert not constraint.is_complete


def test_an_aborted_structured_request_leaves_nothing_behind() -> None:
    for overlap in (False, True):
        core = structured_core(overlap=overlap)
        core.submit(ask("a", 1))
        core.submit(ask("b", 2))
        for _ in range(4):
            core.step()
        assert core.abort("a")
        while core.has_work:
            core.step()
        core.check_integrity()


def test_logprobs_are_the_models_own_and_finite() -> None:
    core = structured_core()
    core.submit(ask("a", 1, logprobs=3))
    entries = []
    while core.has_work:
        for news in core.step():
            assert isinstance(news, Token)
            entries += news.logprobs
    assert entries and all(-200 < chosen <= 0 for chosen, _ in entries)
    assert any(best[0][1] > chosen for chosen, best in entries)  # the likeliest was not always allowed


def test_a_structure_that_cannot_be_enforced_is_refused_by_the_engine_too() -> None:
    with pytest.raises(InvalidRequest, match='"not"'):
        structured_core().submit(ask("a", 1, WireStructure("json_schema", '{"not": {}}')))


def test_drafts_are_cut_where_the_grammar_ends_and_leave_no_trace() -> None:
    encode = FakeTokens().encode
    constraint = fake_grammars().constraint(WireStructure("choice", '["abc"]'))
    assert constraint.num_allowed(encode("abcd")) == 3
    assert constraint.num_allowed(encode("ba")) == 0
    assert constraint.num_allowed((EOS,)) == 0
    assert allowed(constraint) == set(encode("a"))
    for token in encode("abc"):
        constraint.accept(token)
    assert constraint.is_complete and constraint.num_allowed(encode("a")) == 0


def test_compiled_grammars_are_kept_by_bytes_and_the_oldest_goes_first() -> None:
    grammars = fake_grammars()
    grammars._most_bytes = 700 << 10  # two small ones
    a, b, c = (WireStructure("choice", json.dumps([text])) for text in "abc")
    for structure in (a, b, a, c):
        grammars.constraint(structure)
    assert a in grammars and c in grammars and b not in grammars
