"""The engine against transformers: whatever the schedule does to a request, its logits stay the reference's.

Random checkpoints in fp32. The reference sees each request alone, without a cache, with the engine's own answer as
forced continuation; every row of logits that the engine sampled from must be within 1e-4 of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from flashweb.engine import runner as runner_module
from flashweb.engine.config import EngineConfig
from flashweb.engine.core import EngineCore
from flashweb.engine.protocol import Submit, Token, WireImage, WireSampling
from flashweb.engine.sampler import sample
from flashweb.model.glm4v import Glm4v
from flashweb.types import Grid
from tests.parity.reference import (
    IMAGE_TOKEN,
    NUM_SPECIAL,
    VOCAB,
    make_checkpoint,
    mrope_positions,
    random_picture,
    random_prompt,
    reference_greedy,
    reference_logits,
)

TOLERANCE = 1e-4
BLOCK = 4
GREEDY = WireSampling(
    max_tokens=8, min_tokens=0, temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, repetition_penalty=1.0,
    presence_penalty=0.0, frequency_penalty=0.0, seed=None, logit_bias={}, logprobs=None, stop_token_ids=(),
    ignore_eos=True,
)  # fmt: skip
THREE = [5, Grid(1, 4, 6), 7, Grid(1, 6, 2), 2, Grid(1, 8, 8), 9]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Glm4v:
    return Glm4v.load(folder, dtype="float32")


class Recorder:
    """An engine whose every sampled row of logits is kept."""

    def __init__(self, model: Glm4v, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
        self.core = EngineCore(model, EngineConfig(block_size=BLOCK, **changes))
        self.rows: dict[str, list[torch.Tensor]] = {}
        self.answers: dict[str, list[int]] = {}
        self.cached: dict[str, int] = {}

        def recording(logits: torch.Tensor, seqs: list[Any], largest: Any, places: list[int], masks: Any) -> Any:
            for row, seq, place in zip(logits, seqs, places, strict=True):
                # A later row of the same place comes from the right tokens: what a wrong draft led to is forgotten.
                rows = self.rows.setdefault(seq.request_id, [])
                rows[place:] = [row.clone()]
            return sample(logits, seqs, largest, places, masks)

        monkeypatch.setattr(runner_module, "sample", recording)

    def step(self) -> None:
        for news in self.core.step():
            assert isinstance(news, Token), news
            self.answers.setdefault(news.request_id, []).extend(news.token_ids)
            self.cached[news.request_id] = news.num_cached_tokens
        self.core.check_integrity()

    def run(self, *messages: Submit) -> None:
        for message in messages:
            self.core.submit(message)
        while self.core.has_work:
            self.step()

    def check(self, folder: Path, message: Submit) -> None:
        answer, rows = self.answers[message.request_id], self.rows[message.request_id]
        assert len(answer) == len(rows) == message.sampling.max_tokens
        patches = [np.frombuffer(i.patches, np.uint8).reshape(-1, 588) for i in message.images]
        grids = [Grid(*i.grid) for i in message.images]
        reference = reference_logits(folder, [*message.token_ids, *answer[:-1]], patches, grids)
        wanted = reference[len(message.token_ids) - 1 :]
        worst = (torch.stack(rows) - wanted).abs().max().item()
        assert worst <= TOLERANCE, f"{message.request_id}: {worst}"


def answers_of(core: EngineCore) -> dict[str, list[int]]:
    """Steps until there is nothing to do: what every request was told."""
    told: dict[str, list[int]] = {}
    while core.has_work:
        for news in core.step():
            assert isinstance(news, Token), news
            told.setdefault(news.request_id, []).extend(news.token_ids)
        core.check_integrity()
    return told


def ask(name: str, pieces: list[int | Grid], content: int = 0, **changes: Any) -> Submit:
    """A request of random text and random pictures."""
    grids = [p for p in pieces if isinstance(p, Grid)]
    token_ids = random_prompt(pieces, content)
    positions, delta = mrope_positions(token_ids, grids)
    images, at = [], 0
    for number, piece in enumerate(pieces):
        if isinstance(piece, Grid):
            patches, _ = random_picture((piece.h, piece.w), content * 100 + number)
            digest = f"{content} {number} {piece}".encode().ljust(32)[:32]
            images.append(WireImage(at + 1, (1, piece.h, piece.w), digest, patches.tobytes()))
            at += piece.num_tokens + 2
        else:
            at += piece
    return Submit(
        name, tuple(token_ids), positions.astype(np.int32).tobytes(), delta, tuple(images),
        msgspec.structs.replace(GREEDY, **changes),
    )  # fmt: skip


def some_request(name: str, choice: int, **changes: Any) -> Submit:
    """Text, or up to three pictures of different sizes between text, of a seed's choice."""
    rng = random.Random(choice)
    pieces: list[int | Grid] = [rng.randint(3, 30)]
    for _ in range(rng.randint(0, 3)):
        pieces += [Grid(1, 2 * rng.randint(1, 5), 2 * rng.randint(1, 5)), rng.randint(1, 12)]
    return ask(name, pieces, choice, **changes)


def test_greedy_tokens_equal_those_of_transformers_own_generate(
    model: Glm4v, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = ask("a", THREE, max_tokens=32)
    recorder = Recorder(model, monkeypatch)
    recorder.run(message)
    patches = [np.frombuffer(i.patches, np.uint8).reshape(-1, 588) for i in message.images]
    grids = [Grid(*i.grid) for i in message.images]
    assert recorder.answers["a"] == reference_greedy(folder, message.token_ids, patches, grids, 32)
    recorder.check(folder, message)


@pytest.mark.parametrize("budget", [1, 3, 7, 16, 61])
def test_chunked_prefill_with_cuts_inside_pictures(
    model: Glm4v, folder: Path, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    recorder = Recorder(model, monkeypatch, max_num_batched_tokens=budget, max_num_seqs=1)
    message = ask("a", THREE, max_tokens=6)
    recorder.run(message)
    assert recorder.core.num_steps >= len(message.token_ids) // budget
    recorder.check(folder, message)


def test_prefix_hits_of_every_length(model: Glm4v, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(model, monkeypatch)
    whole = ask("whole", THREE)
    recorder.run(whole)
    again = msgspec.structs.replace(whole, request_id="again")
    recorder.run(again)
    assert recorder.cached["again"] == (len(whole.token_ids) - 1) // BLOCK * BLOCK
    assert recorder.answers["again"] == recorder.answers["whole"]
    recorder.check(folder, again)
    # The same first and second picture, another third: found up to the block in which the third begins.
    other = list(whole.images)
    changed, _ = random_picture((8, 8), 777)
    other[2] = msgspec.structs.replace(other[2], digest=b"other".ljust(32), patches=changed.tobytes())
    third = msgspec.structs.replace(whole, request_id="third", images=tuple(other))
    recorder.run(third)
    assert recorder.cached["third"] == other[2].start // BLOCK * BLOCK
    recorder.check(folder, third)


def test_transposed_pictures_of_one_size_share_nothing(
    model: Glm4v, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(model, monkeypatch)
    for name, grid in (("tall", Grid(1, 12, 4)), ("wide", Grid(1, 4, 12))):
        message = ask(name, [4, grid, 6])
        recorder.run(message)
        recorder.check(folder, message)
    assert recorder.cached["wide"] <= BLOCK


def test_preempted_requests_go_on_as_if_nothing_had_happened(
    model: Glm4v, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_per_block = model.kv_bytes_per_token() * BLOCK
    for cache in (False, True):
        recorder = Recorder(
            model, monkeypatch, kv_cache_bytes=44 * bytes_per_block, max_num_seqs=4, max_num_batched_tokens=32,
            enable_prefix_cache=cache,
        )  # fmt: skip
        messages = [ask(f"r{n}", [12, Grid(1, 4, 4 + 2 * n), 5], content=n, max_tokens=40) for n in range(4)]
        recorder.run(*messages)
        assert recorder.core.scheduler.num_preemptions > 0
        for message in messages:
            recorder.check(folder, message)


def test_sixteen_mixed_requests_in_one_batch(model: Glm4v, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(model, monkeypatch, max_num_batched_tokens=48, max_num_batched_patches=64)
    # A sampled picture token would be text to us and a missing picture to the reference.
    sampled = {"seed": 7, "logit_bias": {IMAGE_TOKEN: -100.0}}
    messages = [
        some_request(f"r{n}", n, max_tokens=4 + n, temperature=(n % 3) * 0.6, top_p=1.0 - n / 40, **sampled)
        for n in range(16)
    ]
    recorder.run(*messages)
    for message in messages:
        recorder.check(folder, message)


@pytest.mark.parametrize("overlap", [False, True], ids=["in turn", "overlapped"])
@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.0, "top_k": 4}], ids=["greedy", "seeded"])
def test_drafts_change_no_logits_and_no_token(
    model: Glm4v, folder: Path, monkeypatch: pytest.MonkeyPatch, sampling: dict[str, Any], overlap: bool
) -> None:
    """Few letters to choose from make answers that repeat themselves, rightly and wrongly."""
    letters = {NUM_SPECIAL + 1 + n: 60.0 for n in range(3)}
    messages = [
        ask(f"r{n}", [12, Grid(1, 4, 4 + 2 * n), 5], content=n, max_tokens=40, seed=n, logit_bias=letters, **sampling)
        for n in range(3)
    ]
    plain = Recorder(model, monkeypatch, speculation="off")
    plain.run(*messages)
    drafting = Recorder(model, monkeypatch, speculation="on", overlap=overlap)
    drafting.run(*messages)
    assert drafting.answers == plain.answers
    stats = drafting.core.stats()
    assert stats.num_accepted_tokens > 0 and (stats.num_accepted_tokens < stats.num_draft_tokens or not sampling)
    assert drafting.core.num_steps < plain.core.num_steps
    for message in messages:
        drafting.check(folder, message)


# --- the same answer alone and in a crowd ----------------------------------------------------------------------------


def noisy_neighbours(rng: random.Random) -> Iterator[Submit]:
    """Endless requests with random parameters of every kind."""
    number = 0
    while True:
        number += 1
        yield some_request(
            f"noise {number}", rng.randrange(1 << 20), max_tokens=rng.randint(1, 40), min_tokens=rng.randint(0, 1),
            temperature=rng.choice([0.0, 0.3, 1.0, 2.0]), top_p=rng.uniform(0.1, 1.0), top_k=rng.choice([0, 1, 5, 100]),
            min_p=rng.choice([0.0, 0.1]), repetition_penalty=rng.choice([1.0, 0.5, 1.8]),
            presence_penalty=rng.uniform(-2, 2), frequency_penalty=rng.uniform(-2, 2), seed=rng.choice([None, 1, 2]),
            logit_bias={rng.randrange(NUM_SPECIAL, VOCAB): rng.uniform(-100, 100)}, logprobs=rng.choice([None, 0, 5]),
        )  # fmt: skip


@pytest.mark.parametrize("overlap", [False, True], ids=["in turn", "overlapped"])
@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.8, "top_p": 0.95, "seed": 42}], ids=["greedy", "seeded"])
def test_an_answer_is_the_same_alone_among_31_noisy_neighbours_and_on_a_cache_hit(
    model: Glm4v, monkeypatch: pytest.MonkeyPatch, sampling: dict[str, Any], overlap: bool
) -> None:
    def victim(name: str) -> Submit:
        return ask(name, [20, Grid(1, 6, 8), 9], content=3, max_tokens=48, **sampling)

    alone = Recorder(model, monkeypatch)
    alone.run(victim("victim"))
    wanted = alone.answers["victim"]
    alone.run(victim("hit"))
    assert alone.cached["hit"] > 0
    assert alone.answers["hit"] == wanted

    rng = random.Random(1)
    neighbours = noisy_neighbours(rng)
    crowd = Recorder(
        model, monkeypatch, max_num_seqs=32, max_num_batched_tokens=64, kv_cache_bytes=2 << 20, overlap=overlap
    )
    living: list[str] = []
    rounds = 0
    for round_number in range(3):
        name = f"victim {round_number}"
        for _ in range(31 - len(living)):
            message = next(neighbours)
            crowd.core.submit(message)
            living.append(message.request_id)
        crowd.core.submit(victim(name))
        while len(crowd.answers.get(name, [])) < 48:
            crowd.step()
            rounds += 1
            living = [n for n in living if n in crowd.core.scheduler]
            if living and rng.random() < 0.2:  # leave mid-way
                crowd.core.abort(living.pop(rng.randrange(len(living))))
            while len(living) < 31:  # join mid-way
                message = next(neighbours)
                crowd.core.submit(message)
                living.append(message.request_id)
        assert crowd.answers[name] == wanted
    assert rounds > 100
    crowd.core.scheduler.abort_all()
    crowd.core.check_integrity()
