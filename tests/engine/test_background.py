"""Background work takes what callers leave of the engine, and its answers are the ones it would give alone."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Submit, Token
from flashweb.engine.step import Batch
from tests.engine.fake_model import FakePicture, expected_answer, request
from tests.engine.test_core_fake import SMALL, make_core, text


def ask(name: str, words: int, *, background: bool, **changes: Any) -> Submit:
    return request(name, text(words, 9), **{"max_tokens": 12, "ignore_eos": True, "background": background, **changes})


def ticking(core: EngineCore) -> EngineCore:
    """By a clock for which all steps take as long: what is due by the time does not depend on the machine."""
    core.scheduler._clock = map(float, count()).__next__
    return core


def run(core: EngineCore, answers: dict[str, list[int]], steps: int = 1000) -> None:
    for _ in range(steps):
        if not core.has_work:
            return
        for news in core.step():
            assert isinstance(news, Token), news
            answers.setdefault(news.request_id, []).extend(news.token_ids)
        core.check_integrity()


def steps_to_first_token(core: EngineCore, name: str, answers: dict[str, list[int]]) -> int:
    for step in range(1, 100):
        run(core, answers, 1)
        if answers.get(name):
            return step
    raise AssertionError(f"{name} never began")


@pytest.mark.parametrize("overlap", [False, True])
def test_a_callers_first_token_comes_as_soon_in_a_full_house_of_background_work_as_in_an_empty_one(
    overlap: bool,
) -> None:
    def core() -> EngineCore:
        return ticking(make_core(overlap=overlap, max_num_seqs=4, max_num_batched_tokens=8, enable_prefix_cache=False))

    alone = core()
    alone.submit(ask("caller", 7, background=False))
    expected = steps_to_first_token(alone, "caller", {})

    busy, answers = core(), dict[str, list[int]]()
    work = [ask(f"b{i}", 20 + i, background=True) for i in range(6)]
    for message in work:
        busy.submit(message)
    run(busy, answers, 8)
    caller = ask("caller", 7, background=False)
    busy.submit(caller)
    # One more at most: a step is under way already.
    assert steps_to_first_token(busy, "caller", answers) <= expected + overlap
    run(busy, answers)
    for message in (*work, caller):
        assert answers[message.request_id] == expected_answer(message, eos=())


def test_no_background_row_is_in_a_step_that_computes_a_callers_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    core = ticking(make_core(max_num_seqs=4, max_num_batched_tokens=6))
    for i in range(2):
        core.submit(ask(f"b{i}", 20 + i, background=True))
    run(core, {}, 6)
    core.submit(request("caller", [*text(3, 12), FakePicture(1, SMALL), 5], max_tokens=3))
    schedule, steps = core.scheduler.schedule, list[set[str]]()

    def recorded() -> Batch:
        batch = schedule()
        if any(c.seq.request_id == "caller" and c.start < c.seq.num_prompt_tokens for c in batch.chunks):
            steps.append({chunk.seq.request_id for chunk in batch.chunks})
        return batch

    monkeypatch.setattr(core.scheduler, "schedule", recorded)
    run(core, {})
    assert len(steps) >= 3, "the prompt has more tokens than two steps"
    assert steps == [{"caller"}] * len(steps)


def test_blocks_that_a_caller_lacks_are_taken_from_the_youngest_background_work() -> None:
    core = ticking(make_core(max_num_seqs=8, kv_cache_bytes=8 * 4 * 12, max_model_len=40))
    answers: dict[str, list[int]] = {}
    work = [ask(f"b{i}", 20 + i, background=True) for i in range(3)]
    for message in work:
        core.submit(message)
    run(core, answers, 3)
    caller = request("caller", text(5, 20), max_tokens=10, ignore_eos=True)
    core.submit(caller)
    steps_to_first_token(core, "caller", answers)
    assert core.stats().num_preemptions > 0
    assert len(answers["caller"]) <= 2, "it was first"
    run(core, answers)
    for message in (*work, caller):
        assert answers[message.request_id] == expected_answer(message, eos=())


def test_a_caller_overtakes_background_work_that_waits_and_no_other_caller() -> None:
    core = make_core(max_num_seqs=1)
    order = ["first", "b1", "b2", "second"]
    for name in order:
        core.submit(ask(name, 5, background=name.startswith("b"), max_tokens=3))
    ended: list[str] = []
    while core.has_work:
        ended += [news.request_id for news in core.step() if isinstance(news, Token) and news.finish]
    assert ended == ["first", "second", "b1", "b2"]


def test_background_work_alone_uses_the_whole_engine() -> None:
    def num_steps(background: bool) -> int:
        core = make_core(max_num_seqs=4)
        for i in range(12):
            core.submit(ask(f"r{i}", i, background=background))
        run(core, {})
        return core.num_steps

    assert num_steps(True) == num_steps(False)
