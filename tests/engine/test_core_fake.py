"""The engine's policy with a model whose answer shows every mistake of the cache (see `fake_model`)."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from torch import Tensor

from flashweb.engine import core as core_module
from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.engine.encoder_cache import PixelsNeeded
from flashweb.engine.memory import Card
from flashweb.engine.protocol import Failed, Submit, Token
from flashweb.engine.step import Batch
from flashweb.errors import ConfigError, ContextLengthExceeded, InvalidRequest, Overloaded
from flashweb.types import Grid
from tests.engine.fake_model import (
    BROKEN_PIXEL,
    BROKEN_TOKEN,
    CLOSE_THOUGHT,
    END_OF_THOUGHT,
    EOS,
    MODULUS,
    NAN_TOKEN,
    PATCH_VALUES,
    VOCAB,
    FakeModel,
    FakePicture,
    expected_answer,
    request,
    without_pixels,
)

SMALL = Grid(1, 4, 4)
TALL, WIDE = Grid(1, 8, 4), Grid(1, 4, 8)


def make_core(model: FakeModel | None = None, **changes: Any) -> EngineCore:
    defaults = EngineConfig(
        block_size=4, max_num_seqs=4, max_num_batched_tokens=12, max_num_batched_patches=24, kv_cache_bytes=8 * 4 * 40,
        encoder_cache_bytes=400, eos_token_ids=(EOS,), max_waiting=1000, thought_end_ids=(END_OF_THOUGHT,),
        thought_close_ids=CLOSE_THOUGHT,
    )  # fmt: skip
    return EngineCore(model or FakeModel(), msgspec.structs.replace(defaults, **changes))


def run(core: EngineCore, *messages: Submit) -> dict[str, list[int]]:
    """Submits all, steps until idle; the answers by id. Failures end the test."""
    for message in messages:
        core.submit(message)
    answers: dict[str, list[int]] = {m.request_id: [] for m in messages}
    while core.has_work:
        for news in core.step():
            assert isinstance(news, Token), news
            answers.setdefault(news.request_id, []).extend(news.token_ids)
        core.check_integrity()
    return answers


def text(seed: int, length: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(8, 46) for _ in range(length)]


# --- one by one ----------------------------------------------------------------------------------------------------


def test_a_text_and_a_picture_request_give_the_answer_of_a_cacheless_pass() -> None:
    plain = request("a", text(1, 5), max_tokens=20)
    picture = request("b", [*text(2, 3), FakePicture(1, TALL), *text(3, 2)], max_tokens=20)
    core = make_core()
    answers = run(core, plain, picture)
    assert answers["a"] == expected_answer(plain)
    assert answers["b"] == expected_answer(picture)


def test_a_prompt_longer_than_a_step_is_computed_in_chunks() -> None:
    message = request("a", [*text(1, 30), FakePicture(1, TALL), *text(2, 20)], max_tokens=5)
    core = make_core(max_num_batched_tokens=7)
    assert run(core, message)["a"] == expected_answer(message)
    assert core.num_steps >= 8


def test_the_same_prompt_again_is_answered_from_the_cache_except_its_last_token() -> None:
    pieces = [*text(1, 6), FakePicture(1, TALL), *text(2, 6)]  # 20 tokens: 5 full blocks
    model = FakeModel()
    core = make_core(model)
    first = run(core, request("a", pieces))
    core.submit(request("b", pieces))
    news = [n for n in core.step() if isinstance(n, Token)]
    assert news[0].num_cached_tokens == 16  # not 20: the last token is computed for its logits
    rest = run(core)
    assert [*news[0].token_ids, *rest["b"]] == first["a"]
    assert model.num_pictures_encoded == 1
    assert core.blocks.prefix_hits == 16


def test_the_next_turn_finds_the_picture_and_the_last_answer_in_the_cache() -> None:
    model = FakeModel()
    core = make_core(model, encoder_cache_bytes=0)
    turn = [*text(1, 3), FakePicture(1, TALL), 9]
    answer = run(core, request("first", turn, max_tokens=10, ignore_eos=True))["first"]
    message = request("second", [*turn, *answer, *text(2, 3)])
    core.submit(message)
    first = core.step()[0]
    assert isinstance(first, Token) and first.num_cached_tokens == (12 + 10 - 1) // 4 * 4
    assert [*first.token_ids, *run(core)["second"]] == expected_answer(message)
    assert model.num_pictures_encoded == 1


def test_pictures_of_equal_tokens_never_share_blocks() -> None:
    """Same placeholder ids, same number of tokens: only digests and positions tell them apart."""
    before, after = text(1, 4), text(2, 6)
    core = make_core(encoder_cache_bytes=10_000)
    messages = [
        request(name, [*before, picture, *after])
        for name, picture in {
            "tall": FakePicture(1, TALL),
            "wide": FakePicture(1, WIDE),
            "other": FakePicture(2, TALL),
        }.items()
    ]
    for message in messages:
        assert run(core, message)[message.request_id] == expected_answer(message)
    assert core.blocks.prefix_hits == 2 * 4  # only the text in front of the pictures


def test_a_block_with_another_past_is_another_block() -> None:
    """Tokens and positions of the second block are equal everywhere; what lies before it is not."""
    core = make_core()
    one, other, second = text(1, 4), text(2, 4), text(3, 4)
    run(core, request("other past", [*other, *second, 9], max_tokens=1))
    run(core, request("one", [*one, 9], max_tokens=1))
    message = request("both", [*one, *second, 9])
    assert run(core, message)["both"] == expected_answer(message)
    assert core.blocks.prefix_hits == 4


def test_the_same_picture_one_token_later_is_another_block() -> None:
    picture = FakePicture(1, Grid(1, 16, 8))  # 32 tokens: several blocks lie wholly inside it
    core = make_core(max_num_batched_tokens=64)
    for shift in (4, 5, 8):
        message = request(f"at {shift}", [*text(1, shift), picture, *text(2, 5)])
        assert run(core, message)[message.request_id] == expected_answer(message)


def test_decoding_goes_on_while_pictures_wait_for_the_tower() -> None:
    core = make_core(max_num_seqs=6, max_num_batched_tokens=64, kv_cache_bytes=8 * 4 * 100)
    core.submit(request("text", text(1, 4), max_tokens=30, ignore_eos=True))
    core.step()
    for n in range(4):
        core.submit(request(f"p{n}", [8, FakePicture(n, SMALL), 9], max_tokens=2, ignore_eos=True))
    firsts = []
    for _ in range(4):
        batch = {n.request_id for n in core.step()}
        assert "text" in batch, "the decoding row stalled"
        firsts.append(sorted(batch - {"text"}))
    assert firsts[0] == ["p0"], "one picture of 16 patches fits into a step of 24, two do not"
    run(core)


def test_a_prompt_with_the_step_to_itself_may_take_more_of_it() -> None:
    core = make_core(kv_cache_bytes=8 * 4 * 100)
    core.scheduler.limits = replace(core.scheduler.limits, max_lone_tokens=20)
    lone, next_one = request("a", text(1, 26), max_tokens=9), request("b", text(2, 15), max_tokens=2)
    core.submit(lone)
    core.submit(next_one)
    sizes = []
    while core.has_work:
        before = {s.request_id: s.num_computed_tokens for s in core.scheduler._running}
        core.step()
        after = {s.request_id: s.num_computed_tokens for s in core.scheduler._running}
        sizes.append(tuple(after.get(name, 0) - before.get(name, 0) for name in "ab"))
        core.check_integrity()
    # All of 20 alone; the rest of it and what has room beside it in 12; then 11 beside the row that decodes.
    assert sizes[:3] == [(20, 0), (6, 6), (1, 9)]
    assert run(core, lone, next_one)["a"] == expected_answer(lone)


def test_where_latency_is_preferred_a_large_picture_is_encoded_in_slices_beside_decoding_rows() -> None:
    """24 patches and 12 tokens a step are 8 and 3 beside decoding rows: 32 patches are four slices."""
    model = FakeModel()
    core = make_core(model, prefer="latency")
    core.submit(request("text", text(1, 4), max_tokens=30, ignore_eos=True))
    core.step()
    picture = request("p", [8, FakePicture(1, TALL), 9], max_tokens=3, ignore_eos=True)
    core.submit(picture)
    seen = []
    for _ in range(6):
        news = core.step()
        assert "text" in {n.request_id for n in news}, "the decoding row stalled"
        computed = {seq.request_id: seq.num_computed_tokens for seq in core.scheduler._running}
        seen.append((model.num_slices_encoded, model.num_pictures_encoded, computed.get("p")))
        core.check_integrity()
    assert seen == [(1, 0, 1), (2, 0, 1), (3, 0, 1), (3, 1, 1), (3, 1, 4), (3, 1, 7)]
    assert run(core)["p"] == expected_answer(picture)


def test_a_picture_half_through_the_tower_is_encoded_whole_once_nobody_decodes() -> None:
    model = FakeModel()
    core = make_core(model, prefer="latency")
    core.submit(request("text", text(1, 4), max_tokens=4, ignore_eos=True))
    core.step()
    picture = request("p", [8, FakePicture(1, TALL), 9], max_tokens=3, ignore_eos=True)
    core.submit(picture)
    assert run(core)["p"] == expected_answer(picture)
    assert model.num_pictures_encoded == 1 and not core.runner._begun and not core.scheduler._tower.slices_left


def test_a_sliced_picture_whose_request_is_aborted_leaves_nothing_and_can_be_asked_about_again() -> None:
    core = make_core(prefer="latency")
    core.submit(request("text", text(1, 4), max_tokens=40, ignore_eos=True))
    core.step()
    for name in ("first", "second", "third"):
        core.submit(request(name, [8, FakePicture(1, TALL), 9], max_tokens=3, ignore_eos=True))
        core.step()
        core.step()
        assert core.abort(name)
        core.check_integrity()
        assert not core.scheduler._tower.slices_left and len(core.runner._begun) <= 1
    again = request("again", [8, FakePicture(1, TALL), 9], max_tokens=3, ignore_eos=True)
    core.submit(again)
    assert run(core)["again"] == expected_answer(again)


def test_a_picture_larger_than_the_towers_budget_still_gets_its_turn() -> None:
    message = request("a", [FakePicture(1, Grid(1, 16, 8)), *text(1, 3)])
    assert run(make_core(max_num_batched_patches=8), message)["a"] == expected_answer(message)


def test_one_picture_asked_about_twice_at_once_is_encoded_once() -> None:
    model = FakeModel()
    core = make_core(model, max_num_batched_tokens=64)
    picture = FakePicture(1, SMALL)
    run(core, request("a", [8, picture, 9]), request("b", [10, picture, 11]))
    assert model.num_pictures_encoded == 1
    assert (core.encoder.queries, core.encoder.hits) == (2, 1)


def test_an_encoder_cache_of_no_bytes_still_serves_pictures() -> None:
    core = make_core(encoder_cache_bytes=0, max_num_batched_tokens=5)
    message = request("a", [*text(1, 3), FakePicture(1, TALL), *text(2, 3), FakePicture(2, SMALL), 9])
    assert run(core, message)["a"] == expected_answer(message)
    assert len(core.encoder) == 0


def test_preempted_sequences_go_on_with_the_same_tokens() -> None:
    core = make_core(kv_cache_bytes=8 * 4 * 12, max_num_seqs=4, enable_prefix_cache=False)
    messages = [request(f"r{n}", text(n, 6), max_tokens=25, ignore_eos=True) for n in range(4)]
    answers = run(core, *messages)
    assert core.scheduler.num_preemptions > 0
    for message in messages:
        assert answers[message.request_id] == expected_answer(message)


def test_a_sequence_preempted_in_the_middle_of_its_picture_lets_go_of_it_and_comes_back() -> None:
    core = make_core(kv_cache_bytes=8 * 4 * 12, max_num_seqs=2, max_num_batched_tokens=4, enable_prefix_cache=False)
    old = request("old", text(1, 4), max_tokens=30, ignore_eos=True)
    core.submit(old)
    news = core.step()
    young = request("young", [FakePicture(1, Grid(1, 16, 8)), 9], max_tokens=4)
    core.submit(young)
    while not core.scheduler.num_preemptions:
        news += core.step()
        core.check_integrity()
    assert not any(n.request_id == "young" for n in news), "it was still reading its picture"
    answers = run(core)
    before = [t for n in news if isinstance(n, Token) for t in n.token_ids]
    assert before + answers["old"] == expected_answer(old)
    assert answers["young"] == expected_answer(young)


def test_nobody_is_admitted_into_the_last_blocks_that_others_are_about_to_need() -> None:
    core = make_core(kv_cache_bytes=8 * 4 * 4, max_num_seqs=2, max_num_batched_tokens=32)
    core.submit(request("running", text(1, 3), max_tokens=8, ignore_eos=True))
    core.step()
    run(core, request("fits exactly", text(2, 12), max_tokens=2, ignore_eos=True))
    assert core.scheduler.num_preemptions == 0


def test_a_sampled_answer_is_the_same_alone_in_a_crowd_and_after_preemption() -> None:
    def ask(name: str) -> Submit:
        return request(name, text(0, 6), max_tokens=20, ignore_eos=True, temperature=1.0, top_p=0.9, seed=7)

    alone = run(make_core(), ask("a"))["a"]
    crowd = [request(f"n{n}", text(n, 6), max_tokens=25, temperature=1.5, ignore_eos=True) for n in range(5)]
    core = make_core(kv_cache_bytes=8 * 4 * 12)
    assert run(core, *crowd[:3], ask("a"), *crowd[3:])["a"] == alone
    assert core.scheduler.num_preemptions > 0
    other_seed = request("a", text(0, 6), max_tokens=20, ignore_eos=True, temperature=1.0, top_p=0.9, seed=8)
    assert run(make_core(), other_seed)["a"] != alone


def test_abort_gives_every_block_back_at_any_point() -> None:
    core = make_core()
    base = core.blocks.num_free_blocks
    for steps in range(12):
        core.submit(request("a", [*text(1, 14), FakePicture(1, TALL), *text(2, 9)], max_tokens=20))
        for _ in range(steps):
            core.step()
        core.abort("a")
        assert not core.abort("a"), "it is gone"
        core.check_integrity()
        assert core.blocks.num_free_blocks == base
        assert not core.has_work


def test_a_sequence_ends_with_length_when_the_context_is_full() -> None:
    core = make_core(max_model_len=20)
    message = request("a", text(1, 15), max_tokens=50, ignore_eos=True)
    core.submit(message)
    tokens = []
    while core.has_work:
        tokens += core.step()
    assert len(tokens) == 5
    assert isinstance(tokens[-1], Token) and tokens[-1].finish == "length"


def test_stop_tokens_end_with_stop_but_not_before_min_tokens() -> None:
    free = request("a", text(3, 6), max_tokens=12, ignore_eos=True)
    stop = expected_answer(free)[2]
    core = make_core()
    core.submit(request("a", text(3, 6), max_tokens=12, stop_token_ids=(stop,), ignore_eos=True))
    news = [n for _ in range(20) for n in core.step()]
    assert isinstance(news[-1], Token) and news[-1].finish == "stop" and news[-1].token_ids == (stop,)
    held = run(core, request("b", text(3, 6), max_tokens=12, min_tokens=8, stop_token_ids=(stop,), ignore_eos=True))
    assert stop not in held["b"][:8] and len(held["b"]) > 8


def test_an_answer_whose_min_tokens_is_its_max_tokens_ends_with_length() -> None:
    stop = expected_answer(request("a", text(3, 6), max_tokens=12, ignore_eos=True))[2]
    core = make_core()
    changes = {"max_tokens": 3, "min_tokens": 3, "stop_token_ids": (stop,), "ignore_eos": True}
    core.submit(request("a", text(3, 6), **changes))
    news = [n for _ in range(6) for n in core.step() if isinstance(n, Token)]
    assert len(news) == 3 and news[-1].finish == "length" and news[-1].token_ids != (stop,)


def test_a_picture_token_left_over_alone_at_the_end_of_a_prompt_is_computed_from_the_picture() -> None:
    message = request("a", [*text(1, 12), FakePicture(3, Grid(1, 2, 2))])  # a step takes 12 tokens, the prompt has 13
    assert run(make_core(), message)["a"] == expected_answer(message)


# --- pictures that come without pixels -----------------------------------------------------------------------------


def test_a_picture_that_was_encoded_needs_no_pixels_again() -> None:
    model = FakeModel()
    core = make_core(model, enable_prefix_cache=False)
    first = request("a", [*text(1, 3), FakePicture(1, TALL), 9])
    second = request("b", [*text(2, 5), FakePicture(1, TALL), 10])
    run(core, first)
    assert core.encoder.take_changes() == ((first.images[0].digest,), ())
    assert run(core, without_pixels(second))["b"] == expected_answer(second)
    assert model.num_pictures_encoded == 1


def test_pixels_are_asked_for_when_the_features_are_gone_and_nothing_is_queued() -> None:
    core = make_core(encoder_cache_bytes=64)  # TALL's 8 features of 8 bytes
    first, other = (request(f"{n}", [FakePicture(n, TALL), 9]) for n in (1, 2))
    with pytest.raises(PixelsNeeded):
        core.submit(without_pixels(first))
    assert not core.has_work
    run(core, first, other)
    assert core.encoder.take_changes() == ((other.images[0].digest,), (first.images[0].digest,))
    with pytest.raises(PixelsNeeded):  # though the prefix cache covers it: those blocks may go at any time
        core.submit(without_pixels(first))
    core.check_integrity()
    assert run(core, first)["1"] == expected_answer(first)


def test_features_stay_from_submit_to_the_end_of_a_request_without_pixels() -> None:
    core = make_core(encoder_cache_bytes=64, max_num_seqs=1, enable_prefix_cache=False)
    asked = request("asked", [*text(1, 3), FakePicture(1, TALL), 9])
    run(core, asked)
    core.submit(request("before", [FakePicture(2, TALL), 9]))
    core.submit(without_pixels(asked))
    answers = run(core)  # the picture in front drives out whatever nobody holds
    assert answers["asked"] == expected_answer(asked)
    core.submit(without_pixels(asked))
    core.abort("asked")
    core.check_integrity()


def test_a_preempted_request_without_pixels_is_computed_again() -> None:
    core = make_core(kv_cache_bytes=8 * 4 * 16, max_num_seqs=2, max_num_batched_tokens=8, enable_prefix_cache=False)
    old = request("old", text(1, 4), max_tokens=40, ignore_eos=True)
    young = request("young", [FakePicture(1, Grid(1, 16, 8)), 9], max_tokens=20, ignore_eos=True)
    run(core, young)
    core.submit(old)
    core.step()
    core.submit(without_pixels(young))
    others = (request(f"other{n}", [FakePicture(3 + n, TALL), 9], max_tokens=1) for n in range(5))
    core.abort("old")
    answers = run(core, old, *others)
    assert core.scheduler.num_preemptions > 0
    assert answers["young"] == expected_answer(young)


def test_a_request_without_pixels_may_use_those_of_one_that_waits() -> None:
    model = FakeModel()
    core = make_core(model, max_num_seqs=1, encoder_cache_bytes=0, enable_prefix_cache=False)
    messages = [request(name, [FakePicture(1, TALL), *text(n, 2)]) for n, name in enumerate("abc")]
    core.submit(messages[0])
    core.submit(without_pixels(messages[1]))
    core.abort("a")
    core.submit(without_pixels(messages[2]))
    answers = run(core)
    assert answers == {m.request_id: expected_answer(m) for m in messages[1:]}


@pytest.mark.parametrize("held", [False, True])
def test_features_of_a_request_that_failed_are_not_known_any_more(held: bool) -> None:
    """Held: by another request without pixels, which goes on with them."""
    model = FakeModel()
    core = make_core(model, max_num_batched_tokens=64, enable_prefix_cache=False)
    good = request("good", [8, FakePicture(1, SMALL), 9], max_tokens=12, ignore_eos=True)
    run(core, good)
    answer: list[int] = []
    if held:
        core.submit(without_pixels(good))
    core.submit(request("bad", [FakePicture(1, SMALL), NAN_TOKEN]))
    for news in core.step():
        if isinstance(news, Token):
            answer += news.token_ids
    assert core.encoder.take_changes()[1] == (good.images[0].digest,)
    for _ in range(2):
        with pytest.raises(PixelsNeeded):
            core.submit(without_pixels(request("next", [FakePicture(1, SMALL), 9])))
    core.check_integrity()
    again = request("again", [FakePicture(1, SMALL), 10])
    core.submit(again)
    assert model.num_pictures_encoded == 1
    answers = run(core)
    assert model.num_pictures_encoded == 2
    assert answers["again"] == expected_answer(again)
    if held:
        assert answer + answers["good"] == expected_answer(good)
    assert again.images[0].digest in core.encoder


# --- refused, and failing alone ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": float("nan")}, {"temperature": float("inf")}, {"temperature": -1.0}, {"top_p": 0.0},
        {"top_p": float("nan")}, {"top_k": -1}, {"min_p": 2.0}, {"repetition_penalty": 0.0}, {"max_tokens": 0},
        {"repetition_penalty": 0.009},
        {"presence_penalty": float("nan")}, {"frequency_penalty": float("inf")}, {"min_tokens": 9, "max_tokens": 8},
        {"logprobs": 1000}, {"logprobs": -1}, {"logit_bias": {10**6: 1.0}}, {"logit_bias": {3: float("nan")}},
    ],
)  # fmt: skip
def test_sampling_parameters_that_cannot_work_are_refused_by_name(changes: dict[str, Any]) -> None:
    core = make_core()
    with pytest.raises(InvalidRequest, match=next(iter(changes))) as error:
        core.submit(request("a", text(1, 4), **changes))
    assert error.value.param == next(iter(changes))
    assert not core.has_work


@pytest.mark.parametrize("damage", ["ids", "negative", "positions", "delta", "grid", "overlap", "outside", "bytes",
                                    "digest", "digest alone", "empty", "values"])  # fmt: skip
def test_a_damaged_message_is_refused_before_it_can_hurt(damage: str) -> None:
    good = request("a", [8, FakePicture(1, SMALL), 9, FakePicture(2, SMALL)])
    first, second = good.images
    replace = msgspec.structs.replace
    bad = {
        "ids": lambda: replace(good, token_ids=(10**6, *good.token_ids[1:])),
        "negative": lambda: replace(good, token_ids=(-1, *good.token_ids[1:])),
        "positions": lambda: replace(good, positions=good.positions[:-4]),
        "values": lambda: replace(good, positions=np.full((3, 10), 10**6, np.int32).tobytes()),
        "delta": lambda: replace(good, position_delta=10**9),
        "grid": lambda: replace(good, images=(replace(first, grid=(1, 3, 4)), second)),
        "overlap": lambda: replace(good, images=(first, replace(second, start=3))),
        "outside": lambda: replace(good, images=(first, replace(second, start=8))),
        "bytes": lambda: replace(good, images=(replace(first, patches=(first.patches or b"")[:-1]), second)),
        "digest": lambda: replace(good, images=(replace(first, digest=b"short"), second)),
        "digest alone": lambda: replace(good, images=(replace(first, digest=b"short", patches=None), second)),
        "empty": lambda: replace(good, token_ids=(), positions=b"", images=()),
    }[damage]()
    core = make_core()
    with pytest.raises(InvalidRequest):
        core.submit(bad)
    assert not core.has_work


def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers() -> None:
    with pytest.raises(ContextLengthExceeded, match=r"200 tokens.*holds 128"):
        make_core().submit(request("a", text(1, 200)))


def test_an_id_in_use_is_refused_and_the_first_owner_is_not_disturbed() -> None:
    core = make_core()
    message = request("a", text(1, 4))
    core.submit(message)
    with pytest.raises(InvalidRequest, match="in use"):
        core.submit(request("a", text(2, 4)))
    assert run(core)["a"] == expected_answer(message)


def test_a_full_queue_says_so_with_numbers() -> None:
    core = make_core(max_num_seqs=1, max_waiting=2)
    for n in range(3):
        core.submit(request(f"{n}", text(n, 3)))
    with pytest.raises(Overloaded, match="limit is 3"):
        core.submit(request("3", text(3, 3)))


def test_queued_pixels_are_bounded() -> None:
    size = SMALL.num_patches * PATCH_VALUES
    core = make_core(max_waiting_bytes=2 * size)
    for n in range(2):
        core.submit(request(f"{n}", [FakePicture(n, SMALL), 9]))
    with pytest.raises(Overloaded, match="pictures"):
        core.submit(request("2", [FakePicture(2, SMALL), 9]))
    run(core)
    core.submit(request("2", [FakePicture(2, SMALL), 9]))


@pytest.mark.parametrize("poison", [BROKEN_TOKEN, NAN_TOKEN])
def test_a_request_that_breaks_the_step_fails_alone(poison: int) -> None:
    core = make_core(max_num_batched_tokens=64)
    good = [request(f"g{n}", text(n, 5), max_tokens=10) for n in range(3)]
    for message in (good[0], request("bad", [*text(9, 5), poison]), *good[1:]):
        core.submit(message)
    answers: dict[str, list[int]] = {}
    failures = []
    while core.has_work:
        for news in core.step():
            if isinstance(news, Failed):
                failures.append(news)
            else:
                answers.setdefault(news.request_id, []).extend(news.token_ids)
        core.check_integrity()
    assert [f.request_id for f in failures] == ["bad"]
    assert failures[0].code == "internal_error"
    assert answers == {m.request_id: expected_answer(m) for m in good}
    # Nothing of it is remembered: the same text without the poison is computed anew.
    again = request("again", text(9, 9))
    assert run(core, again)["again"] == expected_answer(again)


def test_nothing_computed_by_a_request_that_ended_in_nan_is_remembered() -> None:
    core = make_core(max_num_batched_tokens=8)
    poisoned = [NAN_TOKEN, *text(1, 18)]  # the first chunks are computed, and remembered, before the NaN shows
    for name in ("first", "second"):
        core.submit(request(name, poisoned))
        news = [n for _ in range(3) for n in core.step()]
        assert [n.request_id for n in news if isinstance(n, Failed)] == [name]
        core.check_integrity()
    assert core.blocks.prefix_hits == 0


@pytest.mark.parametrize("preempted", [False, True])
def test_a_request_that_fails_after_a_prefix_hit_leaves_the_remembered_blocks_as_they_were(preempted: bool) -> None:
    core = make_core()
    good = request("first", text(1, 18))
    assert run(core, good)["first"] == expected_answer(good)
    core.submit(request("bad", [*text(1, 18), NAN_TOKEN]))
    if preempted:
        core.scheduler._admit(Batch())
        core.scheduler._preempt_youngest()
    news = [n for _ in range(3) for n in core.step()]
    assert [n.request_id for n in news if isinstance(n, Failed)] == ["bad"]
    core.check_integrity()
    core.submit(request("again", text(1, 18)))
    again = [n for _ in range(20) for n in core.step() if isinstance(n, Token)]
    assert again[0].num_cached_tokens == 16
    assert [t for n in again for t in n.token_ids] == expected_answer(good)


def test_what_a_request_computed_after_it_was_preempted_is_wiped_and_forgotten_when_it_fails() -> None:
    core = make_core(max_num_batched_tokens=8)
    core.submit(request("bad", [*text(2, 4), NAN_TOKEN, *text(3, 15)]))
    core.step()
    core.scheduler._preempt_youngest()  # its first two blocks are remembered now, and matched when it comes back
    news = [n for _ in range(4) for n in core.step()]
    assert [n.request_id for n in news] == ["bad"] and isinstance(news[0], Failed)
    assert not bool((core.runner.cache.storage == MODULUS).any()), "NaN was left in a block"
    assert not core.blocks._block_of
    core.check_integrity()


def test_a_block_forgotten_while_another_held_it_is_wiped_by_the_last_that_fails() -> None:
    core = make_core(max_num_batched_tokens=12)
    poisoned = [NAN_TOKEN, *text(1, 18)]
    core.submit(request("first", poisoned))
    core.step()  # three blocks full of NaN are remembered
    core.submit(request("second", poisoned))
    news = [n for _ in range(4) for n in core.step()]
    assert sorted(n.request_id for n in news if isinstance(n, Failed)) == ["first", "second"]
    assert not bool((core.runner.cache.storage == MODULUS).any()), "NaN was left in a block"
    assert not core.blocks._block_of
    core.check_integrity()


def test_a_picture_that_breaks_the_tower_fails_alone() -> None:
    class BrokenPicture(FakePicture):
        @property
        def patches(self) -> np.ndarray:  # type: ignore[type-arg]
            return np.full((self.grid.num_patches, PATCH_VALUES), BROKEN_PIXEL, np.uint8)

    core = make_core(max_num_batched_tokens=64, max_num_batched_patches=64)
    good = request("good", [8, FakePicture(1, SMALL), 9])
    core.submit(request("bad", [8, BrokenPicture(7, SMALL), 9]))
    core.submit(good)
    news = core.step()
    assert [n.request_id for n in news if isinstance(n, Failed)] == ["bad"]
    first = [n for n in news if isinstance(n, Token)]
    assert [*first[0].token_ids, *run(core)["good"]] == expected_answer(good)


ODD_FLOATS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 1.0, 1e-300, 1e300, -1.0])
ODD_INTS = st.integers(-2, 60) | st.sampled_from([2**31, 2**63 - 1, -(2**63)])
ODD_PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": ODD_INTS, "min_tokens": ODD_INTS, "temperature": ODD_FLOATS, "top_p": ODD_FLOATS,
        "top_k": ODD_INTS, "min_p": ODD_FLOATS, "repetition_penalty": ODD_FLOATS, "presence_penalty": ODD_FLOATS,
        "frequency_penalty": ODD_FLOATS, "seed": ODD_INTS | st.none(), "logprobs": ODD_INTS | st.none(),
        "logit_bias": st.dictionaries(ODD_INTS, ODD_FLOATS, max_size=3), "ignore_eos": st.booleans(),
        "stop_token_ids": st.lists(ODD_INTS, max_size=3).map(tuple),
    },
)  # fmt: skip


@settings(max_examples=60)
@given(many=st.lists(ODD_PARAMS, min_size=1, max_size=6))
def test_whatever_the_parameters_the_engine_lives_and_a_neighbour_gets_its_answer(many: list[dict[str, Any]]) -> None:
    live_through(many)


@pytest.mark.slow
@settings(max_examples=3000)
@given(many=st.lists(ODD_PARAMS, min_size=1, max_size=6))
def test_the_same_for_ten_thousand_requests(many: list[dict[str, Any]]) -> None:
    live_through(many)


def live_through(many: list[dict[str, Any]]) -> None:
    core = make_core(max_num_batched_tokens=64, kv_cache_bytes=8 * 4 * 200)
    canary = request("canary", text(4, 5), max_tokens=12, ignore_eos=True)
    core.submit(canary)
    accepted = {"canary"}
    for number, params in enumerate(many):
        try:
            core.submit(request(f"{number}", text(number, 4), **params))
            accepted.add(f"{number}")
        except InvalidRequest:
            pass
    answer: list[int] = []
    ended = set()
    while core.has_work:
        for news in core.step():
            if isinstance(news, Failed) or news.finish:
                ended.add(news.request_id)
            if news.request_id == "canary":
                assert isinstance(news, Token)
                answer.extend(news.token_ids)
    assert answer == expected_answer(canary)
    assert ended == accepted
    core.check_integrity()


def test_a_context_that_cannot_fit_is_a_clear_error_at_start() -> None:
    with pytest.raises(ConfigError, match="max_model_len 128"):
        make_core(max_model_len=128, kv_cache_bytes=8 * 4 * 10)
    assert make_core(kv_cache_bytes=8 * 4 * 10).plan.limits.max_model_len == 40


def test_warm_up_leaves_nothing_behind() -> None:
    core = make_core(FakeModel(max_position_embeddings=1024), kv_cache_bytes=8 * 4 * 200)
    core.warm_up()
    core.check_integrity()
    assert core.stats().num_steps == 0 and core.stats().prefix_queries == 0
    assert core.blocks.num_free_blocks == core.blocks.num_blocks


class RecordingModel(FakeModel):
    encoded: list[int]

    def encode_images(self, patches: list[Tensor], grids: list[Grid]) -> list[Tensor]:
        self.encoded = [*getattr(self, "encoded", []), *(grid.num_patches for grid in grids)]
        return super().encode_images(patches, grids)


def test_measuring_the_peak_encodes_the_largest_picture_and_reserves_for_sampling_and_a_long_past(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("reset_peak_memory_stats", None), ("empty_cache", None), ("max_memory_allocated", 1000)):
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    config = EngineConfig(block_size=4, max_num_seqs=2, max_num_batched_tokens=8, max_num_batched_patches=64)
    model = RecordingModel()
    peak = core_module._peak_bytes(model, config)
    # The family's largest picture (24,576 patches, as the largest square), though a step of 8 tokens holds only 16.
    assert model.encoded == [156 * 156, 16]
    assert peak == 1000 + 10 * 4 * 2 * VOCAB + 2 * (4 + 2) * 8 * 4 * 128


def test_a_trial_step_that_fails_ends_the_start_instead_of_measuring_too_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("reset_peak_memory_stats", "empty_cache", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: 0)
    model = FakeModel()
    monkeypatch.setattr(model, "forward", lambda *_: 1 / 0)
    config = EngineConfig(block_size=4, max_num_seqs=2, max_num_batched_tokens=8, max_num_batched_patches=64)
    with pytest.raises(RuntimeError, match="a step of 8 tokens.*ZeroDivisionError"):
        core_module._peak_bytes(model, config)


@pytest.mark.parametrize(
    ("changes", "gib", "captured"),
    [
        ({}, 80, True),
        ({}, 12, False),  # a small card's steps have fewer patches
        ({"max_num_batched_patches": 5476}, 12, True),
        ({"max_image_patches": 4096}, 80, False),
        ({"max_model_len": 1370}, 80, False),
    ],
    ids=str,
)
def test_graphs_have_room_for_a_usual_picture_where_steps_and_sequences_have(
    changes: dict[str, int], gib: int, captured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Card(gib << 30, 0, has_fp8=True)
    monkeypatch.setattr(Card, "of", staticmethod(lambda *_: card))
    model = FakeModel(max_position_embeddings=65536)
    grid = core_module._largest_captured(model, EngineConfig(**changes))
    assert (grid == core_module.USUAL_GRID) is captured


# --- thousands of random steps -----------------------------------------------------------------------------------


def overlapped(**changes: Any) -> EngineCore:
    return make_core(overlap=True, **changes)


def test_overlapped_steps_give_the_same_answers_also_after_preemption() -> None:
    messages = [
        request(f"r{n}", [*text(n, 3 + n), *([FakePicture(n, TALL)] if n % 3 == 0 else []), *text(9 + n, 2)],
                max_tokens=12 + n)
        for n in range(7)
    ]  # fmt: skip
    core = overlapped(kv_cache_bytes=8 * 4 * 16, max_num_batched_tokens=9)
    answers = run(core, *messages)
    assert answers == {m.request_id: expected_answer(m) for m in messages}
    assert core.scheduler.num_preemptions > 0, "this test wants a cache that is too small"


def test_overlapped_the_step_after_the_last_token_is_computed_only_where_the_end_could_not_be_known() -> None:
    model = FakeModel()
    by_length = request("a", text(1, 5), max_tokens=6, ignore_eos=True)
    assert run(overlapped(model=model), by_length)["a"] == expected_answer(by_length)
    assert model.num_forwards == 6
    stops = next(m for n in range(200) if 2 < len(expected_answer(m := request("b", text(n, 5), max_tokens=60))) < 20)
    model = FakeModel()
    answer = run(overlapped(model=model), stops)["b"]
    assert answer == expected_answer(stops) and answer[-1] == EOS
    assert model.num_forwards == len(answer) + 1


def test_overlapped_a_choice_that_depends_on_the_last_token_waits_for_it() -> None:
    message = request("a", text(1, 5), max_tokens=10, ignore_eos=True, frequency_penalty=1.5, repetition_penalty=1.3)
    assert run(overlapped(), message) == run(make_core(), message)


def test_overlapped_a_thought_is_closed_at_its_budget_and_not_where_it_has_just_ended() -> None:
    budgets = range(12)
    messages = [
        request(f"{budget} {seed}", text(seed, 5), max_tokens=20, ignore_eos=True, thinking_budget=budget)
        for budget in budgets
        for seed in range(8)
    ]
    expected = {message.request_id: expected_answer(message) for message in messages}
    ended = [END_OF_THOUGHT in expected[f"{budget} {seed}"][:budget] for budget in budgets for seed in range(8)]
    assert any(ended) and not all(ended)
    assert run(overlapped(), *messages) == expected == run(make_core(), *messages)


def test_a_thought_is_closed_whatever_the_sampling() -> None:
    kinds: list[dict[str, Any]] = [
        {"temperature": 1.0, "seed": 1},
        {"repetition_penalty": 1.3},
        {"logit_bias": {END_OF_THOUGHT: -100.0, CLOSE_THOUGHT[1]: -100.0}},
        {"min_tokens": 10, "stop_token_ids": CLOSE_THOUGHT},
    ]
    for kind in kinds:
        message = request("a", text(1, 5), max_tokens=10, ignore_eos=True, thinking_budget=4, **kind)
        answer = run(overlapped(), message)["a"]
        assert answer == run(make_core(), message)["a"]
        assert tuple(answer[4:6]) == CLOSE_THOUGHT or END_OF_THOUGHT in answer[:4]


def test_overlapped_a_request_aborted_while_under_way_leaves_nothing_and_hurts_nobody() -> None:
    for steps in range(1, 9):
        core = overlapped(max_num_batched_tokens=7)
        stays = request("stays", text(3, 6), max_tokens=20)
        core.submit(request("goes", [*text(1, 9), FakePicture(1, TALL)], max_tokens=40, ignore_eos=True))
        core.submit(stays)
        heard = [n for _ in range(steps) for n in core.step()]
        assert core.abort("goes")
        rest = run(core)
        before = [t for n in heard if isinstance(n, Token) and n.request_id == "stays" for t in n.token_ids]
        assert before + rest.get("stays", []) == expected_answer(stays)
        assert core.blocks.num_free_blocks == core.blocks.num_blocks


def test_overlapped_nan_and_a_broken_decoder_fail_alone() -> None:
    core = overlapped()
    good = request("good", text(2, 6), max_tokens=15)
    core.submit(good)
    core.submit(request("nan", [*text(1, 5), NAN_TOKEN], max_tokens=15))
    core.submit(request("broken", [*text(4, 5), BROKEN_TOKEN], max_tokens=15))
    failed, answer = set(), []
    while core.has_work:
        for news in core.step():
            if isinstance(news, Failed):
                failed.add(news.request_id)
            else:
                assert news.request_id == "good"
                answer += news.token_ids
        core.check_integrity()
    assert failed == {"nan", "broken"} and answer == expected_answer(good)


class RandomTraffic(RuleBasedStateMachine):
    """Arrivals, aborts and steps in any order, with very little memory; every answer and every book is checked."""

    @initialize(
        blocks=st.integers(8, 16),
        seqs=st.integers(2, 6),
        tokens=st.integers(6, 40),
        patches=st.integers(1, 80),
        cache=st.booleans(),
        encoder_bytes=st.sampled_from([0, 100, 10_000]),
        overlap=st.booleans(),
        letters=st.sampled_from([2, VOCAB]),
        speculation=st.sampled_from(["on", "auto", "off"]),
        prefer=st.sampled_from(["throughput", "latency"]),
        rides=st.booleans(),
    )
    def start(
        self,
        blocks: int,
        seqs: int,
        tokens: int,
        patches: int,
        cache: bool,
        encoder_bytes: int,
        overlap: bool,
        letters: int,
        speculation: str,
        prefer: str,
        rides: bool,
    ) -> None:
        self.idle = 0  # steps in a row that computed nothing although there was work
        self.now = 0.0
        self.letters = letters
        self.core = make_core(
            FakeModel(letters=letters),
            overlap=overlap,
            speculation=speculation,
            prefer=prefer,
            kv_cache_bytes=8 * 4 * blocks,
            max_num_seqs=seqs,
            max_num_batched_tokens=tokens,
            max_num_batched_patches=patches,
            enable_prefix_cache=cache,
            encoder_cache_bytes=encoder_bytes,
            max_waiting=20,
        )
        self.core.scheduler._clock = lambda: self.now
        self.core.runner.whole_patches = 4
        self.core.scheduler.limits = replace(self.core.scheduler.limits, background_rides=rides)
        self.max_model_len = self.core.plan.limits.max_model_len
        self.messages: dict[str, Submit] = {}
        self.answers: dict[str, list[int]] = {}
        self.count = 0

    @rule(
        prefix=st.integers(0, 2),
        prefix_length=st.integers(1, 12),
        picture=st.integers(-1, 2),
        grid=st.sampled_from([SMALL, TALL, WIDE]),
        second=st.booleans(),
        tail=st.integers(1, 6),
        max_tokens=st.sampled_from([1, 3, 10, 60]),
        budget=st.sampled_from([None, None, 0, 2, 7]),
        pixels=st.booleans(),
        background=st.booleans(),
    )
    def arrive(
        self,
        prefix: int,
        prefix_length: int,
        picture: int,
        grid: Grid,
        second: bool,
        tail: int,
        max_tokens: int,
        budget: int | None,
        pixels: bool,
        background: bool,
    ) -> None:
        pieces: list[Any] = text(prefix, prefix_length)
        if picture >= 0:
            pieces.append(FakePicture(picture, grid))
        if second:
            pieces += [9, FakePicture(picture + 1, SMALL)]
        self.count += 1
        asked = [*pieces, *text(50 + tail % 2, tail)]
        options: dict[str, Any] = {"thinking_budget": budget, "background": background}
        message = request(f"r{self.count}", asked, max_tokens=max_tokens, **options)
        try:
            try:
                self.core.submit(message if pixels else without_pixels(message))
            except PixelsNeeded:
                self.core.check_integrity()
                self.core.submit(message)
        except Overloaded:
            assert len(self.messages) >= self.core.plan.limits.max_num_seqs + 20
        except ContextLengthExceeded:
            assert len(message.token_ids) >= self.max_model_len
        else:
            self.messages[message.request_id] = message
            self.answers[message.request_id] = []

    @rule(which=st.integers(0, 100))
    def abort(self, which: int) -> None:
        if self.messages:
            name = list(self.messages)[which % len(self.messages)]
            assert self.core.abort(name)
            del self.messages[name], self.answers[name]

    @rule(steps=st.integers(1, 8), seconds=st.sampled_from([0.0, 0.1, 3.0]), urgent=st.booleans())
    def step(self, steps: int, seconds: float = 0.0, urgent: bool = False) -> None:
        for _ in range(steps):
            had_work = self.core.has_work
            before = self.core.num_steps
            self.now += seconds
            for news in self.core.step(lambda: urgent):
                assert isinstance(news, Token), news
                answer = self.answers[news.request_id]
                answer.extend(news.token_ids)
                if news.finish:
                    message = self.messages.pop(news.request_id)
                    assert self.answers.pop(news.request_id) == expected_answer(
                        message, self.max_model_len, letters=self.letters
                    )
            is_idle = had_work and self.core.num_steps == before and not urgent  # else it was left, for good reason
            self.idle = self.idle + 1 if is_idle else 0
            assert self.idle <= self.core.overlap, "work was waiting and nothing moved"
            self.core.check_integrity()

    @invariant()
    def books_balance(self) -> None:
        if hasattr(self, "core"):
            self.core.check_integrity()
            assert set(self.messages) == set(self.answers)

    def teardown(self) -> None:
        if hasattr(self, "core"):
            while self.core.has_work:
                self.step(1)
            assert not self.messages
            assert self.core.blocks.num_free_blocks == self.core.blocks.num_blocks


class MuchRandomTraffic(RandomTraffic):
    pass


RandomTraffic.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestRandomTraffic = RandomTraffic.TestCase
MuchRandomTraffic.TestCase.settings = settings(max_examples=1000, stateful_step_count=60, deadline=None)
TestMuchRandomTraffic = pytest.mark.slow(MuchRandomTraffic.TestCase)


# --- the start ----------------------------------------------------------------------------------------------------


def warmed_up(monkeypatch: pytest.MonkeyPatch, on_accelerator: bool, **changes: Any) -> list[Grid]:
    """The pictures that a warm-up computes."""
    model = FakeModel(max_position_embeddings=2048, device=torch.device("meta" if on_accelerator else "cpu"))
    core = make_core(model, kv_cache_bytes=8 * 4 * 600, overlap=False, **changes)
    tried: list[Grid] = []
    monkeypatch.setattr(core, "_try", lambda request: tried.append(Grid(*request.images[0].grid)))
    core.warm_up()
    return tried


def test_an_accelerator_is_warmed_up_with_a_picture_of_a_usual_size_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warmed_up(monkeypatch, True) == [Grid(1, 16, 16), Grid(1, 74, 74)]
    assert warmed_up(monkeypatch, False) == [Grid(1, 16, 16)]


def test_the_warm_up_picture_is_no_larger_than_a_picture_or_a_sequence_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warmed_up(monkeypatch, True, max_image_patches=1000)[-1] == Grid(1, 30, 30)
    assert warmed_up(monkeypatch, True, max_model_len=102)[-1] == Grid(1, 20, 20)


def test_a_warm_up_names_its_stage_and_leaves_no_figures_behind() -> None:
    core = make_core(kv_cache_bytes=8 * 4 * 100)
    core.warm_up()
    stages = dict(core.ready().start_seconds)
    assert list(stages) == ["KV cache", "warm-up"] and stages["warm-up"] > 0
    stats = core.stats()
    assert stats.num_steps == stats.prefix_queries == stats.encoder_queries == 0
    assert stats.peak_memory_bytes > 100 << 20  # torch alone is more
    core.check_integrity()
