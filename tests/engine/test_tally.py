"""What the engine counts for the metrics: every token's gap once, every request's times once, in bulk."""

from __future__ import annotations

import random
from itertools import count
from typing import Any

import msgspec
import pytest
import torch

from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Started, Token
from flashweb.engine.runner import Encoding
from flashweb.engine.tally import INTER_TOKEN_EDGES, EngineTally, Tally
from flashweb.types import Grid
from tests.engine.fake_model import EOS, FakeModel, FakePicture, request

TALL = Grid(1, 8, 4)


def make_core(**changes: Any) -> EngineCore:
    defaults = EngineConfig(
        block_size=4, max_num_seqs=4, max_num_batched_tokens=12, max_num_batched_patches=24, kv_cache_bytes=8 * 4 * 40,
        encoder_cache_bytes=10_000, eos_token_ids=(EOS,),
    )  # fmt: skip
    return EngineCore(FakeModel(), msgspec.structs.replace(defaults, **changes))


def text(seed: int, length: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(8, 46) for _ in range(length)]


def run(core: EngineCore) -> tuple[int, dict[str, Started]]:
    """Steps until idle: the tokens that came, and what was told of each request's start."""
    num_tokens, started = 0, {}
    while core.has_work:
        num_tokens += sum(len(news.token_ids) for news in core.step() if isinstance(news, Token))
        for one in core.scheduler.take_started():
            assert one.request_id not in started, "told twice"
            started[one.request_id] = one
    return num_tokens, started


def test_a_value_on_an_edge_belongs_to_it_and_one_above_all_edges_to_the_rest() -> None:
    tally = Tally((1.0, 2.0))
    for value, times in ((0.5, 1), (1.0, 2), (1.5, 1), (2.0, 1), (9.0, 3)):
        tally.add(value, times)
    assert tally.counts().numbers == (3, 2, 3)
    assert tally.counts().total == 0.5 + 2.0 + 1.5 + 2.0 + 27.0


def test_sequences_that_had_their_last_tokens_in_one_step_are_counted_together() -> None:
    tally = EngineTally()
    tally.add_gaps(10.0, {9.98: 60, 9.5: 2})
    numbers = tally.inter_token.counts().numbers
    assert numbers[INTER_TOKEN_EDGES.index(0.025)] == 60 and numbers[INTER_TOKEN_EDGES.index(0.5)] == 2
    assert sum(numbers) == 62


def test_every_token_but_a_sequences_first_has_a_gap_and_every_step_a_size() -> None:
    core = make_core()
    for name in "abc":
        core.submit(request(name, text(ord(name), 6), max_tokens=5, ignore_eos=True))
    num_tokens, started = run(core)
    stats = core.stats()
    assert num_tokens == stats.num_answer_tokens == 15
    assert stats.num_prompt_tokens == 18
    assert sum(stats.inter_token.numbers) == 12 and stats.inter_token.total > 0
    assert sum(stats.step_tokens.numbers) == core.num_steps and stats.step_tokens.total == 18 + 12
    assert set(started) == set("abc")


def test_times_are_from_arrival_to_the_first_step_and_from_there_to_the_first_token() -> None:
    core = make_core(max_num_seqs=1)
    clock = count(100.0)
    core.scheduler._clock = lambda: next(clock)
    core.submit(request("first", text(1, 4), max_tokens=3, ignore_eos=True))  # at 100
    core.submit(request("second", text(2, 4), max_tokens=1))  # at 101
    _, started = run(core)
    # Looks at the clock: admission (102), three commits (103 to 105), the second's admission (106) and commit (107).
    assert (started["first"].queue, started["first"].prefill) == (2.0, 1.0)
    assert (started["second"].queue, started["second"].prefill) == (5.0, 1.0)
    assert started["first"].encode == 0.0
    assert core.stats().inter_token.total == 2.0


def test_a_preempted_sequence_is_told_of_once_and_its_pause_is_a_gap() -> None:
    core = make_core(kv_cache_bytes=8 * 4 * 12, max_model_len=40)
    for name in "abc":
        core.submit(request(name, text(ord(name), 8), max_tokens=20, ignore_eos=True))
    num_tokens, started = run(core)
    assert core.stats().num_preemptions > 0
    assert set(started) == set("abc")
    assert sum(core.stats().inter_token.numbers) == num_tokens - 3


def test_the_towers_time_goes_to_those_it_worked_for() -> None:
    core = make_core()
    core.submit(request("new", [8, FakePicture(1, TALL), 9], max_tokens=1))
    core.submit(request("text", text(1, 4), max_tokens=1))
    _, started = run(core)
    core.submit(request("again", [10, 11, 12, FakePicture(1, TALL), 9], max_tokens=1))
    _, later = run(core)
    assert 0.0 < started["new"].encode <= started["new"].prefill
    assert started["text"].encode == later["again"].encode == 0.0
    assert not core._encodings


def test_a_picture_encoded_in_slices_has_the_time_of_all_of_them() -> None:
    core = make_core(prefer="latency")
    core.submit(request("text", text(1, 4), max_tokens=12, ignore_eos=True))
    core.step()
    core.submit(request("picture", [8, FakePicture(1, TALL), 9], max_tokens=1))
    seen = []
    while "picture" in core.scheduler:
        core.step()
        seen += [seq.encode_seconds for seq in core.scheduler._running if seq.request_id == "picture"]
    assert len(set(seen)) > 2 and sorted(seen) == seen and seen[0] > 0


@pytest.mark.gpu
def test_on_a_gpu_the_towers_time_is_the_devices_own_and_nobody_waits_for_it() -> None:
    device = torch.device("cuda")
    matrix = torch.ones(8192, 8192, device=device)
    torch.cuda.synchronize()
    before, at_work = Encoding(device), Encoding(device)
    before.ended()
    for _ in range(20):
        matrix @ matrix
    at_work.ended()
    assert at_work.seconds() is None  # the device has some 20 TFLOP to do yet
    torch.cuda.synchronize()
    nothing, work = before.seconds(), at_work.seconds()
    assert nothing is not None and work is not None
    assert 0 <= nothing < 0.1 * work


def test_the_warm_up_leaves_no_trace() -> None:
    core = make_core(max_model_len=64)
    core.warm_up()
    stats = core.stats()
    assert (stats.num_prompt_tokens, stats.num_answer_tokens, sum(stats.step_tokens.numbers)) == (0, 0, 0)
    assert core.scheduler.take_started() == ()
