"""What a batch may cost a caller, and what callers leave a batch: the rules of `turns.py`, by a clock of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Submit, Token
from flashweb.engine.runner import Launched
from flashweb.engine.step import Batch
from flashweb.engine.turns import HELD_UP, LATELY_SECONDS, Share, Turn
from tests.engine.fake_model import FakeModel, FakePicture, expected_answer, request
from tests.engine.test_background import ticking
from tests.engine.test_core_fake import SMALL, TALL, make_core, text

MOST_TOKENS, MOST_PATCHES = 3, 4  # of background prompts beside callers, as `make_core`'s steps have 12 and 24


def cost(batch: Batch) -> float:
    """Seconds: a hundredth for each token and each patch."""
    patches = batch.slice.picture.grid.num_patches / batch.slice.of if batch.slice else batch.num_patches
    return (batch.num_tokens + patches) / 100


@dataclass
class Shop:
    """An engine whose steps take what they cost, and what was in them."""

    core: EngineCore
    now: float = 0.0
    steps: list[Batch] = field(default_factory=list)
    begins: list[float] = field(default_factory=list)  # of the steps
    first_token_at: dict[str, float] = field(default_factory=dict)
    answers: dict[str, list[int]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.core.scheduler._clock = lambda: self.now
        launch = self.core.runner.launch

        def timed(batch: Batch, is_urgent: Any = None) -> Launched:
            self.steps.append(batch)
            self.begins.append(self.now)
            launched = launch(batch, is_urgent)
            self.now += cost(batch)
            return launched

        self.core.runner.launch = timed  # type: ignore[method-assign]

    def step(self) -> None:
        for news in self.core.step():
            assert isinstance(news, Token), news
            self.first_token_at.setdefault(news.request_id, self.now)
            self.answers.setdefault(news.request_id, []).extend(news.token_ids)
            if news.finish:
                self.ended.add(news.request_id)
        self.core.check_integrity()


def ask(name: str, words: int, *pictures: FakePicture, **changes: Any) -> Submit:
    pieces = [*text(len(name) + words, words), *pictures, 7]
    background = name.startswith("b")
    return request(name, pieces, **{"max_tokens": 6, "ignore_eos": True, "background": background, **changes})


def background_part(batch: Batch) -> tuple[int, float]:
    """Prompt tokens and patches of background sequences in a step."""
    tokens = sum(c.end - c.start for c in batch.chunks if c.seq.is_background and c.start < c.seq.num_prompt_tokens)
    patches = sum(p.grid.num_patches for p, o in zip(batch.pictures, batch.owners, strict=False) if o.is_background)
    if batch.slice is not None and batch.owners[0].is_background:
        patches += batch.slice.picture.grid.num_patches / batch.slice.of
    return tokens, patches


sizes = st.integers(1, 25)
pictures = st.lists(st.builds(FakePicture, st.integers(0, 99), st.sampled_from([SMALL, TALL])), max_size=1)
jobs = st.lists(st.tuples(sizes, pictures, st.integers(1, 12)), min_size=1, max_size=4)


@given(background=jobs, callers=jobs, waits=st.lists(st.integers(0, 6), min_size=4, max_size=4))
@settings(max_examples=20, deadline=None)
def test_background_work_delays_a_first_token_by_one_bounded_step_and_a_tenth_of_the_time(
    background: list[Any], callers: list[Any], waits: list[int]
) -> None:
    shop = Shop(make_core(max_num_seqs=8, kv_cache_bytes=8 * 4 * 200, enable_prefix_cache=False))
    messages: dict[str, Submit] = {}
    for i, (words, shown, tokens) in enumerate(background):
        messages[f"b{i}"] = ask(f"b{i}", words, *shown, max_tokens=tokens)
        shop.core.submit(messages[f"b{i}"])
    arrived: dict[str, float] = {}
    for i, (words, shown, tokens) in enumerate(callers):
        for _ in range(waits[i]):
            if shop.core.has_work:
                shop.step()
        message = messages[f"c{i}"] = ask(f"c{i}", words, *shown, max_tokens=tokens)
        arrived[f"c{i}"] = shop.now
        shop.core.submit(message)
    while shop.core.has_work:
        shop.step()
    assert {name: expected_answer(message, eos=()) for name, message in messages.items()} == shop.answers
    # Rows of all that decode, and of background prompts what is allowed.
    bounded = (len(messages) + MOST_TOKENS + MOST_PATCHES) / 100
    for name, came in arrived.items():
        waited = shop.first_token_at[name] - came
        inside = [b for b, at in zip(shop.steps, shop.begins, strict=True) if came <= at < shop.first_token_at[name]]
        for batch in inside:
            tokens, patches = background_part(batch)
            assert tokens <= MOST_TOKENS and patches <= MOST_PATCHES
        spent = sum(cost(batch) for batch in inside if batch.has_background)
        assert spent <= bounded + waited / HELD_UP + 1e-9


def callers_without_end() -> Iterator[Submit]:
    number = 0
    while True:
        number += 1
        yield ask(f"c{number}", 3 + number % 20, FakePicture(100 + number, SMALL), max_tokens=1 + number % 9)


@given(background=jobs, clients=st.integers(1, 3))
@settings(max_examples=8, deadline=None)
def test_background_work_has_its_tenth_of_the_time_under_callers_without_end(
    background: list[Any], clients: int
) -> None:
    shop = Shop(make_core(max_num_seqs=8, kv_cache_bytes=8 * 4 * 200, max_waiting=5))
    messages = [ask(f"b{i}", words, *shown, max_tokens=tokens) for i, (words, shown, tokens) in enumerate(background)]
    new, inside, all_callers = callers_without_end(), set[str](), dict[str, Submit]()

    def fill() -> None:
        inside.difference_update(shop.ended)
        while len(inside) < clients:
            message = next(new)
            shop.core.submit(message)
            inside.add(message.request_id)
            all_callers[message.request_id] = message

    fill()
    shop.step()
    for message in messages:
        shop.core.submit(message)
    began = shop.now
    names = {message.request_id for message in messages}
    while not names <= shop.ended:
        fill()
        shop.step()
        assert shop.now - began < 100, "background work starves"
    spent = sum(cost(batch) for batch, at in zip(shop.steps, shop.begins, strict=True) if at >= began)
    spent_on_it = sum(
        cost(batch) for batch, at in zip(shop.steps, shop.begins, strict=True) if at >= began and batch.has_background
    )
    longest = max(map(cost, shop.steps))
    # Once it is due it waits for the step under way and no longer: each of its steps brings at most that delay.
    num_turns = sum(batch.has_background for batch in shop.steps)
    assert spent <= (1 + HELD_UP) * spent_on_it + (num_turns + 1) * longest
    for message in messages:
        assert shop.answers[message.request_id] == expected_answer(message, eos=())
    for name in shop.ended - names:
        assert shop.answers[name] == expected_answer(all_callers[name], eos=())


def test_a_share_is_due_nine_times_its_last_steps_time_after_it() -> None:
    share = Share()
    assert share.is_due(0.0)
    share.begin()
    assert not share.is_due(1.0), "one at a time"
    share.end(1.0, seconds=0.5)
    assert not share.is_due(1.0 + HELD_UP * 0.5 - 0.01)
    assert share.is_due(1.0 + HELD_UP * 0.5)


def test_on_a_cpu_a_caller_that_decodes_has_its_steps_to_itself_between_two_shares() -> None:
    shop = Shop(make_core(max_num_seqs=8, kv_cache_bytes=8 * 4 * 200))
    for i in range(4):
        shop.core.submit(ask(f"b{i}", 20, max_tokens=30))
    for _ in range(12):
        shop.step()
    shop.core.submit(ask("c", 4, max_tokens=40))
    begun = len(shop.steps)
    while "c" not in shop.ended:
        shop.step()
    steps = shop.steps[begun:]
    alone = [batch for batch in steps if not batch.has_background]
    assert {len(batch.chunks) for batch in alone} == {1}
    assert 0 < len(steps) - len(alone) < len(steps) / 4


def test_on_an_accelerator_background_rows_ride_along_with_callers_that_decode_and_with_no_prompt_of_theirs() -> None:
    shop = accelerated()
    for i in range(3):
        shop.core.submit(ask(f"b{i}", 5, max_tokens=40))
    for _ in range(6):
        shop.step()
    shop.core.submit(ask("c", 9, max_tokens=8))
    shop.core.submit(ask("b9", 12, FakePicture(1, TALL), max_tokens=3))
    begun = len(shop.steps)
    while "c" not in shop.ended:
        shop.step()
    steps = [batch for batch in shop.steps[begun:] if any(c.seq.request_id == "c" for c in batch.chunks)]
    prompts = [b for b in steps if any(not c.seq.is_background and c.start < c.seq.num_prompt_tokens for c in b.chunks)]
    decodes = [batch for batch in steps if batch not in prompts]
    assert prompts and not any(batch.has_background for batch in prompts)
    assert len(decodes) > 3
    for batch in decodes:
        assert {"b0", "b1", "b2"} <= {c.seq.request_id for c in batch.chunks}
        tokens, patches = background_part(batch)
        assert tokens <= MOST_TOKENS and patches <= 8


def test_on_an_accelerator_steps_stay_small_for_a_while_after_a_caller_has_gone() -> None:
    shop = accelerated()
    shop.core.submit(ask("b0", 5, max_tokens=60))
    shop.step()
    shop.core.submit(ask("c", 5, max_tokens=1))
    while "c" not in shop.ended:
        shop.step()
    turns = {}
    shop.core.submit(ask("b1", 25, max_tokens=1))
    for seconds in (0.0, LATELY_SECONDS):
        shop.now += seconds
        shop.step()
        turns[seconds] = shop.steps[-1].turn, background_part(shop.steps[-1])[0]
    assert turns == {0.0: (Turn.BESIDE, MOST_TOKENS), LATELY_SECONDS: (Turn.EVERYBODY, 11)}


def accelerated() -> Shop:
    """Limits as a card has them, with the model that computes on a CPU."""
    shop = Shop(make_core(max_num_seqs=8, kv_cache_bytes=8 * 4 * 200))
    limits = shop.core.scheduler.limits
    shop.core.scheduler.limits = replace(limits, background_rides=True, max_background_patches=8)
    return shop


# --- left in the middle -----------------------------------------------------------------------------------------------


def test_a_background_picture_is_left_half_way_when_somebody_comes_and_gone_on_with_later() -> None:
    model = FakeModel()
    core = ticking(make_core(model, max_num_batched_tokens=64, max_num_batched_patches=64))
    core.runner.whole_patches = 4
    job = ask("b", 3, FakePicture(1, SMALL))
    core.submit(job)
    coming = iter([False, False, True])
    assert core.step(lambda: next(coming)) == [] and core.num_steps == 0
    assert (model.num_slices_encoded, model.num_forwards) == (3, 0), "the tower's part of three blocks"
    core.check_integrity()
    caller = ask("c", 5)
    core.submit(caller)
    news = core.step(lambda: True)
    assert [n.request_id for n in news] == ["c"], "whoever waits is never left"
    answers: dict[str, list[int]] = {"c": [t for n in news if isinstance(n, Token) for t in n.token_ids]}
    while core.has_work:
        for one in core.step(lambda: False):
            assert isinstance(one, Token)
            answers.setdefault(one.request_id, []).extend(one.token_ids)
        core.check_integrity()
    assert answers == {m.request_id: expected_answer(m, eos=()) for m in (job, caller)}
    assert model.num_slices_encoded == SMALL.num_patches - 1, "nothing was computed twice"
    assert not core.runner._begun


def test_a_step_that_is_always_left_still_gets_on() -> None:
    core = make_core(max_num_batched_tokens=64, max_num_batched_patches=64)
    core.runner.whole_patches = 4
    job = ask("b", 3, FakePicture(1, TALL), FakePicture(2, SMALL))
    core.submit(job)
    answer: list[int] = []
    for _ in range(TALL.num_patches + SMALL.num_patches + 10):
        for news in core.step(lambda: True):
            assert isinstance(news, Token)
            answer += news.token_ids
    assert answer == expected_answer(job, eos=())


def test_overlapped_steps_are_never_left() -> None:
    model = FakeModel()
    core = make_core(model, overlap=True, max_num_batched_tokens=64, max_num_batched_patches=64)
    core.runner.whole_patches = 4
    core.submit(ask("b", 3, FakePicture(1, SMALL)))
    core.step(lambda: True)
    assert core.num_steps == 1 and model.num_slices_encoded == 0


def test_a_picture_that_breaks_the_tower_block_by_block_fails_alone() -> None:
    class BrokenModel(FakeModel):
        def encode_in_slices(self, patches: Any, grid: Any, slices: int) -> Any:
            yield None
            raise ValueError("a picture that the tower cannot take")

        def encode_images(self, patches: Any, grids: Any) -> Any:
            if grids[0] == TALL:
                raise ValueError("a picture that the tower cannot take")
            return super().encode_images(patches, grids)

    core = make_core(BrokenModel(), max_num_batched_tokens=64, max_num_batched_patches=64)
    core.runner.whole_patches = 4
    good = ask("b1", 3, FakePicture(2, SMALL))
    core.submit(ask("b0", 3, FakePicture(1, TALL)))
    core.submit(good)
    heard: dict[str, list[Any]] = {}
    while core.has_work:
        for news in core.step(lambda: False):
            heard.setdefault(news.request_id, []).append(news)
        core.check_integrity()
    assert [type(news).__name__ for news in heard["b0"]] == ["Failed"]
    assert [t for news in heard["b1"] for t in news.token_ids] == expected_answer(good, eos=())
