"""Prompt lookup by its definition, and the engine with it: not a token of any answer may change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Failed, Submit, Token
from flashweb.engine.speculation import MAX_DRAFTS, MAX_PAUSE, NgramIndex, Speculation, copy_on
from flashweb.engine.step import Row, Sampled, accept
from flashweb.errors import FlashwebError
from flashweb.model.inputs import ForwardInputs
from tests.engine.fake_model import EOS, MODULUS, FakeCache, FakeModel, FakePicture, expected_answer, request
from tests.engine.test_core_fake import TALL, make_core, run, text

FEW = 2  # letters of an answer that repeats itself all the time, and as often does not go on as before

# --- the index ---------------------------------------------------------------------------------------------------


def newest_place(tokens: Sequence[int], shortest: int, longest: int, window: int) -> int | None:
    """The definition: the longest n-gram at the end that is found in the window before it, and where it ended last."""
    end = len(tokens)
    for n in range(longest, shortest - 1, -1):
        for place in range(end - 1, max(n, end - window) - 1, -1):
            if n < end and tokens[place - n : place] == tokens[end - n :]:
                return place
    return None


@given(
    tokens=st.lists(st.integers(0, 2), max_size=60),
    lengths=st.sampled_from([(1, 1), (1, 3), (2, 4), (3, 4)]),
    window=st.integers(1, 20) | st.just(100),
    looked_at=st.sets(st.integers(0, 60)),
)
def test_the_longest_ngram_is_found_at_its_newest_place(
    tokens: list[int], lengths: tuple[int, int], window: int, looked_at: set[int]
) -> None:
    index = NgramIndex(*lengths, window)
    for end in sorted(looked_at | {len(tokens)}):
        if end <= len(tokens):
            assert index.find(tokens, end) == newest_place(tokens[:end], *lengths, window)
            assert len(index) <= window * (lengths[1] - lengths[0] + 1)


@given(text=st.lists(st.integers(0, 3), min_size=1, max_size=20), start=st.integers(0, 19), count=st.integers(0, 30))
def test_what_is_copied_may_be_copied_again(text: list[int], start: int, count: int) -> None:
    start %= len(text)
    whole = list(text)
    for i in range(count):
        whole.append(whole[start + i])
    assert copy_on(text, start, len(text), count) == whole[len(text) :]


def test_a_draft_is_one_token_shorter_than_the_repetition() -> None:
    seen = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    for length in range(3, 12):
        tokens = [*seen, 0, *seen[:length]]
        drafts = Speculation().drafts(tokens, len(tokens), 100)
        assert drafts == tuple([*seen[length:], *tokens[13:]][: min(length - 1, MAX_DRAFTS)])
    assert Speculation().drafts([*seen, 0, 1, 2], 16, 100) == ()
    assert Speculation().drafts([*seen, 0, 1, 2, 3, 4], 18, 2) == (5, 6)


def test_wrong_drafts_make_ever_longer_pauses_until_one_is_right() -> None:
    tokens, speculation = [7] * 1000, Speculation()
    length, pauses = 10, []
    for _ in range(9):
        speculation.learn(0, length)
        pause = 0
        while not speculation.drafts(tokens, length + pause, 3):
            pause += 1
        pauses.append(pause)
        length += pause
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 64, 64] and pauses[-1] == MAX_PAUSE
    speculation.learn(1, length)
    assert speculation.is_repeating(tokens, length)
    speculation.learn(0, length)
    assert not speculation.is_repeating(tokens, length) and speculation.is_repeating(tokens, length + 1)


def test_tokens_count_up_to_the_first_that_is_not_as_guessed() -> None:
    broken = FlashwebError("NaN", code="internal_error")
    a, b, c = Sampled(1), Sampled(2), Sampled(3)

    def outcome(rows: list[Row], drafts: list[int]) -> Any:
        return accept(rows, drafts)

    assert outcome([a], []) == (a,)
    assert outcome([], []) == ()
    assert outcome([a, b, c], [1, 2]) == (a, b, c)
    assert outcome([a, b, c], [1, 9]) == (a, b)
    assert outcome([a, b, c], [9, 2]) == (a,)
    assert outcome([a], [1, 2]) == (a,)  # computed again without drafts
    assert outcome([broken, b], [1]) is broken
    assert outcome([a, broken, c], [1, 2]) == (a,)
    assert outcome([a, broken, c], [9, 2]) == (a,)


# --- the engine --------------------------------------------------------------------------------------------------


def speculating(overlap: bool = False, model: FakeModel | None = None, **changes: Any) -> EngineCore:
    return make_core(model or FakeModel(letters=FEW), speculation="on", overlap=overlap, **changes)


def both(*messages: Submit, **changes: Any) -> tuple[dict[str, list[int]], EngineCore]:
    """The answers, the same with and without drafts, in turn and overlapped; and the core that drafted."""
    plain = run(make_core(FakeModel(letters=FEW), speculation="off", **changes), *messages)
    for overlap in (True, False):
        core = speculating(overlap, **changes)
        assert run(core, *messages) == plain
        assert core.blocks.num_free_blocks == core.blocks.num_blocks
    return plain, core


def test_a_text_that_repeats_itself_takes_fewer_steps_and_reads_the_same() -> None:
    message = request("a", [*text(1, 5), FakePicture(1, TALL), 9], max_tokens=90, ignore_eos=True)
    answers, core = both(message)
    assert answers["a"] == expected_answer(message, letters=FEW)
    assert core.num_steps < 75
    stats = core.stats()
    assert 0 < stats.num_accepted_tokens < stats.num_draft_tokens
    assert core.num_steps + stats.num_accepted_tokens == 90 + 1  # the prompt takes two
    assert stats.num_verifications <= core.num_steps


@pytest.mark.parametrize("letters", [1, FEW])  # a thought that never ends by itself, and one that does
def test_drafts_stop_where_a_thought_may_have_to_be_closed_and_go_on_behind_it(letters: int) -> None:
    for budget in (0, 9, 20, 33):
        message = request(f"{budget}", text(1, 5), max_tokens=60, ignore_eos=True, thinking_budget=budget)
        for overlap in (True, False):
            core = speculating(overlap, FakeModel(letters=letters))
            assert run(core, message)[f"{budget}"] == expected_answer(message, letters=letters)
            assert core.stats().num_accepted_tokens > 0


def test_seeded_answers_stay_the_same_whatever_the_sampling() -> None:
    kinds: list[dict[str, Any]] = [
        {"temperature": 1.0},
        {"temperature": 0.7, "top_p": 0.9, "top_k": 3, "min_p": 0.02},
        {"temperature": 1.5, "min_tokens": 30, "stop_token_ids": (8,)},
        {"temperature": 0.8, "logit_bias": {9: 1.0, EOS: -100.0}},
        {"temperature": 0.0, "logit_bias": {9: 0.5}},
        {"temperature": 1.0, "repetition_penalty": 1.1, "frequency_penalty": 0.2},
    ]
    accepted = 0
    for number, kind in enumerate(kinds):
        for seed in range(3):
            message = request("a", text(number, 6), max_tokens=60, seed=seed, **kind)
            accepted += both(message)[1].stats().num_accepted_tokens
    assert accepted > 50


def test_an_answer_whose_choices_depend_on_the_ones_before_is_never_drafted() -> None:
    message = request("a", text(1, 5), max_tokens=60, ignore_eos=True, presence_penalty=0.1)
    assert both(message)[1].stats().num_draft_tokens == 0


def test_stop_tokens_and_lengths_end_an_answer_inside_its_drafts() -> None:
    ends = set()
    for number in range(12):
        for length in (7, 23, 60):
            answers, core = both(request("a", text(number, 5), max_tokens=length))
            ends.add((len(answers["a"]) == length, core.stats().num_accepted_tokens > 0))
    assert {(True, True), (False, True)} <= ends


def test_the_last_token_of_the_context_is_reached_and_not_passed() -> None:
    message = request("a", text(1, 20), max_tokens=1000, ignore_eos=True)
    answers, core = both(message, kv_cache_bytes=8 * 4 * 16)
    assert len(answers["a"]) == 64 - 20 and core.stats().num_accepted_tokens > 0


def test_log_probabilities_come_with_every_token_of_a_step() -> None:
    message = request("a", text(1, 5), max_tokens=60, ignore_eos=True, logprobs=2)

    def news(core: EngineCore) -> list[Any]:
        core.submit(message)
        heard = []
        while core.has_work:
            heard += core.step()
        assert all(isinstance(n, Token) and len(n.logprobs) == len(n.token_ids) for n in heard)
        return [entry for n in heard if isinstance(n, Token) for entry in n.logprobs]

    core = speculating()
    assert news(core) == news(make_core(FakeModel(letters=FEW), speculation="off"))
    assert core.stats().num_accepted_tokens > 0


def test_many_sequences_with_too_little_memory_answer_the_same() -> None:
    messages = [
        request(f"r{n}", [*text(n, 3 + n), *([FakePicture(n, TALL)] if n % 3 == 0 else [])], max_tokens=20 + 3 * n)
        for n in range(7)
    ]
    answers, core = both(*messages, kv_cache_bytes=8 * 4 * 16, max_num_batched_tokens=9)
    assert answers == {m.request_id: expected_answer(m, letters=FEW) for m in messages}
    assert core.stats().num_accepted_tokens > 0 and core.scheduler.num_preemptions > 0


def test_the_next_turn_finds_an_answer_that_was_drafted_in_the_cache() -> None:
    core = speculating()
    turn = text(1, 5)
    answer = run(core, request("first", turn, max_tokens=50, ignore_eos=True))["first"]
    assert core.stats().num_accepted_tokens > 0
    message = request("second", [*turn, *answer, 9], max_tokens=30)
    core.submit(message)
    first = core.step()[0]
    assert isinstance(first, Token) and first.num_cached_tokens == (5 + 50 - 1) // 4 * 4
    assert [*first.token_ids, *run(core)["second"]] == expected_answer(message, letters=FEW)


def test_an_abort_while_drafts_are_under_way_leaves_nothing() -> None:
    for steps in range(1, 20):
        core = speculating(overlap=True)
        stays = request("stays", text(3, 6), max_tokens=40)
        core.submit(request("goes", text(1, 9), max_tokens=80, ignore_eos=True))
        core.submit(stays)
        heard = [n for _ in range(steps) for n in core.step()]
        assert core.abort("goes")
        rest = run(core)
        before = [t for n in heard if isinstance(n, Token) and n.request_id == "stays" for t in n.token_ids]
        assert before + rest.get("stays", []) == expected_answer(stays, letters=FEW)
        assert core.blocks.num_free_blocks == core.blocks.num_blocks


def test_sequences_without_drafts_go_on_overlapping() -> None:
    core = make_core(FakeModel(), speculation="on", overlap=True)  # an answer of many letters repeats nothing
    message = request("a", text(1, 5), max_tokens=40, ignore_eos=True)
    core.submit(message)
    under_way = 0
    while core.has_work:
        core.step()
        under_way += core._under_way is not None
    assert core.stats().num_draft_tokens == 0 and under_way == core.num_steps == 40


@pytest.mark.parametrize(("running", "drafts"), [(4, True), (5, False)])
def test_auto_drafts_for_four_sequences_and_not_for_five(running: int, drafts: bool) -> None:
    core = make_core(FakeModel(letters=FEW), max_num_seqs=5, max_num_batched_tokens=64, kv_cache_bytes=8 * 4 * 100)
    run(core, *[request(f"r{n}", text(n, 5), max_tokens=60, ignore_eos=True) for n in range(running)])
    assert (core.stats().num_draft_tokens > 0) is drafts


class BreaksBehind(FakeModel):
    """What is computed behind a sequence's newest token comes to NaN, or raises."""

    raises = False

    def forward(self, inputs: ForwardInputs, cache: FakeCache) -> Tensor:
        hidden = super().forward(inputs, cache)
        row = 0
        for count, context in zip(inputs.query_lens, inputs.context_lens, strict=True):
            if count > 1 and context - count > 5:
                if self.raises:
                    raise IndexError("a batch that the decoder cannot take")
                cache.storage[0, inputs.slots[row + 1 : row + count]] = MODULUS
                hidden[row + 1 : row + count] = MODULUS
            row += count
        return hidden


@pytest.mark.parametrize("raises", [False, True], ids=["NaN", "raised"])
@pytest.mark.parametrize("overlap", [False, True], ids=["in turn", "overlapped"])
def test_a_draft_that_breaks_hurts_nobody_and_leaves_nothing(raises: bool, overlap: bool) -> None:
    model = BreaksBehind(letters=FEW)
    model.raises = raises
    core = speculating(overlap, model)
    message = request("a", text(1, 5), max_tokens=80, ignore_eos=True)
    core.submit(message)
    answer: list[int] = []
    while core.has_work:
        for news in core.step():
            assert not isinstance(news, Failed)
            answer += news.token_ids
        assert not bool((core.runner.cache.storage == MODULUS).any()) or core._under_way is not None
        core.check_integrity()
    assert answer == expected_answer(message, letters=FEW)
    assert core.stats().num_draft_tokens > 0 == core.stats().num_accepted_tokens
    assert not bool((core.runner.cache.storage == torch.tensor(MODULUS)).any())
